//! Password hashing and verification. Every guess costs the same work.

mod threads;

use std::collections::BTreeMap;

use argon2::{Algorithm, Argon2, Block, KeyId, Params, ParamsBuilder, Version};
use password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

pub(crate) use self::threads::{Hashing, Job, Pool, threads};
use crate::server::Verdict;
use crate::shell::credentials::parse_phc;
use crate::words::{Credential, Name};

/// What a hash costs: settings `argon2_kib` and `argon2_passes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub kib: u32,
    /// Passes over it.
    pub passes: u32,
}

/// A hash could not be made: memory or randomness is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no memory or randomness to hash a password")]
pub struct HashFailed;

/// Hashes passwords in a buffer that is reused. With a buffer for each hash the process grows, because the
/// allocator does not return them all to the system. Between two passwords the buffer is zeroed, and no
/// larger than the last [`Cost`] requires.
#[derive(Default)]
pub struct Hasher {
    memory: Vec<Block>,
}

impl Hasher {
    /// Hashes a password with a fresh salt.
    ///
    /// # Errors
    /// [`HashFailed`].
    pub fn hash(&mut self, password: &str, cost: Cost) -> Result<Credential, HashFailed> {
        self.hash_with(password, params(cost)?)
    }

    /// Hashes the password of another hash, which the new one [renews](Credential::renews).
    ///
    /// # Errors
    /// [`HashFailed`].
    pub fn renew(&mut self, old: &Credential, password: &str, cost: Cost) -> Result<Credential, HashFailed> {
        let id = old.key_id().and_then(|id| KeyId::from_b64(&id).ok()).ok_or(HashFailed)?;
        let params = ParamsBuilder::new().m_cost(cost.kib).t_cost(cost.passes).p_cost(1).keyid(id).build();
        self.hash_with(password, params.map_err(|_| HashFailed)?)
    }

    fn hash_with(&mut self, password: &str, params: Params) -> Result<Credential, HashFailed> {
        let mut salt = [0; Salt::RECOMMENDED_LENGTH];
        getrandom::fill(&mut salt).map_err(|_| HashFailed)?;
        let mut output = Zeroizing::new([0; Params::DEFAULT_OUTPUT_LEN]);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let filled = self.fill(&argon2, password, &salt, output.as_mut_slice());
        self.keep(&params);
        filled?;
        let hash = PasswordHash {
            algorithm: argon2::ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).map_err(|_| HashFailed)?,
            salt: Some(Salt::new(&salt).map_err(|_| HashFailed)?),
            hash: Some(Output::new(output.as_slice()).map_err(|_| HashFailed)?),
        };
        Ok(Credential::new(&hash.to_string()))
    }

    /// Compares a password with a credential. A hash is verified with its own parameters. For a plain
    /// password, and without a credential, a hash is computed and discarded, so that the time tells nothing.
    ///
    /// # Errors
    /// [`HashFailed`]: the password may be right or wrong.
    pub fn verify(
        &mut self,
        credential: Option<&Credential>,
        password: &str,
        cost: Cost,
    ) -> Result<Verdict, HashFailed> {
        let right = match credential {
            Some(hash) if hash.is_hash() => return self.verify_hash(hash.reveal(), password, cost),
            Some(plain) => bool::from(plain.reveal().as_bytes().ct_eq(password.as_bytes())),
            None => false,
        };
        self.hash(password, cost)?;
        Ok(if right { Verdict::Right } else { Verdict::Wrong })
    }

    fn verify_hash(&mut self, hash: &str, password: &str, cost: Cost) -> Result<Verdict, HashFailed> {
        let Ok(expected) = parse_phc(hash) else { return Ok(Verdict::Wrong) };
        let (Some(salt), Some(wanted)) = (&expected.salt, &expected.hash) else { return Ok(Verdict::Wrong) };
        let version = expected.version.map_or(Ok(Version::V0x13), Version::try_from);
        let version = version.map_err(|_| HashFailed)?;
        let own = Params::try_from(&expected).map_err(|_| HashFailed)?;
        let setting = params(cost)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, version, own);
        let mut output = Zeroizing::new(vec![0; wanted.len()]);
        let filled = self.fill(&argon2, password, salt, &mut output);
        self.keep(&setting);
        filled?;
        let right = bool::from(output.as_slice().ct_eq(wanted.as_ref()));
        Ok(if right { Verdict::Right } else { Verdict::Wrong })
    }

    /// Computes the hash into `output`.
    fn fill(
        &mut self,
        argon2: &Argon2<'_>,
        password: &str,
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), HashFailed> {
        let needed = argon2.params().block_count();
        let missing = needed.saturating_sub(self.memory.len());
        self.memory.try_reserve_exact(missing).map_err(|_| HashFailed)?;
        self.memory.resize(self.memory.len() + missing, Block::default());
        argon2
            .hash_password_into_with_memory(password.as_bytes(), salt, output, &mut self.memory)
            .map_err(|_| HashFailed)
    }

    /// Wipes the buffer and shrinks it to what these parameters require.
    fn keep(&mut self, params: &Params) {
        self.memory.iter_mut().for_each(Zeroize::zeroize);
        self.memory.truncate(params.block_count());
        self.memory.shrink_to_fit();
    }
}

/// How many hashes of the credentials file cost how much.
#[derive(Debug, Default)]
struct Costs(BTreeMap<(u32, u32), usize>);

impl Costs {
    fn of(accounts: &[(Name, Credential)]) -> Costs {
        let mut costs = Costs::default();
        for (_, credential) in accounts {
            costs.add(credential);
        }
        costs
    }

    /// What most of them cost; `None`: there is no hash. Work for a name without an account that costs something else
    /// would tell it from the others.
    fn of_most(&self) -> Option<Cost> {
        let most = self.0.iter().max_by_key(|(_, count)| **count);
        most.map(|((kib, passes), _)| Cost { kib: *kib, passes: *passes })
    }

    fn add(&mut self, credential: &Credential) {
        if let Some(Cost { kib, passes }) = cost_of(credential) {
            *self.0.entry((kib, passes)).or_default() += 1;
        }
    }

    fn replace(&mut self, before: &Credential, after: &Credential) {
        if let Some(Cost { kib, passes }) = cost_of(before)
            && let Some(count) = self.0.get_mut(&(kib, passes))
        {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&(kib, passes));
            }
        }
        self.add(after);
    }
}

/// What a hash costs; `None` for a plain password.
fn cost_of(credential: &Credential) -> Option<Cost> {
    let hash = credential.is_hash().then(|| parse_phc(credential.reveal()).ok())??;
    let params = Params::try_from(&hash).ok()?;
    Some(Cost { kib: params.m_cost(), passes: params.t_cost() })
}

fn costs_other_than(credential: &Credential, wanted: Cost) -> bool {
    cost_of(credential).is_some_and(|cost| cost != wanted)
}

fn params(cost: Cost) -> Result<Params, HashFailed> {
    Params::new(cost.kib, cost.passes, 1, None).map_err(|_| HashFailed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Renewal;

    const CHEAP: Cost = Cost { kib: 8, passes: 1 };

    fn hash(password: &str, cost: Cost) -> Result<Credential, HashFailed> {
        Hasher::default().hash(password, cost)
    }

    fn verify(credential: Option<&Credential>, password: &str, cost: Cost) -> Result<Verdict, HashFailed> {
        Hasher::default().verify(credential, password, cost)
    }

    #[test]
    fn a_made_hash_admits_its_password_only() {
        let made = hash("falcon", CHEAP).expect("a hash");
        assert!(made.reveal().starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{}", made.reveal());
        assert_ne!(made, hash("falcon", CHEAP).expect("a hash"), "salts differ");
        let dearer = Cost { kib: 16, passes: 2 };
        assert_eq!(verify(Some(&made), "falcon", dearer), Ok(Verdict::Right), "its own parameters count");
        assert_eq!(verify(Some(&made), "Falcon", dearer), Ok(Verdict::Wrong));
        assert_eq!(verify(Some(&made), made.reveal(), dearer), Ok(Verdict::Wrong));
    }

    #[test]
    fn plain_passwords_compare_byte_for_byte_and_nobody_matches_nothing() {
        let plain = Credential::new(" falcon ");
        assert_eq!(verify(Some(&plain), " falcon ", CHEAP), Ok(Verdict::Right));
        for wrong in ["falcon", " falcon", "", " Falcon "] {
            assert_eq!(verify(Some(&plain), wrong, CHEAP), Ok(Verdict::Wrong));
        }
        assert_eq!(verify(None, "", CHEAP), Ok(Verdict::Wrong));
    }

    #[test]
    fn without_a_credential_the_work_is_done_all_the_same() {
        // A cost that cannot be paid shows whether the hash is made.
        let impossible = Cost { kib: 1, passes: 1 };
        assert_eq!(verify(None, "x", impossible), Err(HashFailed));
        assert_eq!(verify(Some(&Credential::new("x")), "x", impossible), Err(HashFailed));
    }

    #[test]
    fn a_name_without_an_account_costs_what_most_hashes_cost() {
        let account = |name: &str, credential: Credential| (Name::new(name).expect("a name"), credential);
        let dear = Cost { kib: 16, passes: 2 };
        let mut accounts = vec![account("hans", Credential::new("falcon"))];
        assert_eq!(Costs::of(&accounts).of_most(), None);
        accounts.push(account("luke", hash("x", CHEAP).expect("a hash")));
        for name in ["yoda", "vader"] {
            accounts.push(account(name, hash("x", dear).expect("a hash")));
        }
        assert_eq!(Costs::of(&accounts).of_most(), Some(dear));
        let (pool, jobs) = Pool::unthreaded();
        pool.learn_costs(&accounts);
        let password = crate::words::Password::new("x");
        assert_eq!(pool.verify(crate::words::Ticket(1), None, &password, CHEAP), None);
        assert_eq!(jobs.try_recv().expect("a job").cost(), dear);
        let renewals = accounts[2..].iter().map(|(name, before)| {
            let after = Hasher::default().renew(before, "x", CHEAP).expect("a hash");
            Renewal { name: name.clone(), before: before.clone(), after }
        });
        pool.learn_renewals(&renewals.collect::<Vec<_>>());
        assert_eq!(pool.verify(crate::words::Ticket(2), None, &password, dear), None);
        assert_eq!(jobs.try_recv().expect("a job").cost(), CHEAP);
    }

    #[test]
    fn a_hash_of_another_cost_is_renewed_when_its_password_is_right() {
        let dear = Cost { kib: 16, passes: 2 };
        let old = hash("falcon", CHEAP).expect("a hash");
        let (pool, jobs) = Pool::unthreaded();
        let run = |credential: &Credential, typed: &str| {
            let password = crate::words::Password::new(typed);
            assert_eq!(pool.verify(crate::words::Ticket(1), Some(credential), &password, dear), None);
            jobs.try_recv().expect("a job").run(&mut Hasher::default())
        };
        let Hashing::Renewed(_, before, after) = run(&old, "falcon") else { panic!("not renewed") };
        assert_eq!(before, old);
        assert!(after.renews(&old) && after.reveal().contains("m=16,t=2,p=1,keyid="), "{}", after.reveal());
        let answer = |verdict| Hashing::Verified(crate::words::Ticket(1), verdict);
        assert_eq!(run(&after, "falcon"), answer(Verdict::Right), "it costs what it should");
        assert_eq!(run(&old, "wrong"), answer(Verdict::Wrong));
        assert_eq!(run(&Credential::new("falcon"), "falcon"), answer(Verdict::Right), "plain stays plain");
        let again = Hasher::default().renew(&after, "falcon", CHEAP).expect("a hash");
        assert!(again.renews(&old), "over two renewals");
        assert_eq!(verify(Some(&again), "falcon", dear), Ok(Verdict::Right));
    }

    /// Hashes of other programs: of both versions, with lanes, and of an unusual length.
    #[test]
    fn hashes_from_elsewhere_admit_their_password() {
        for (version, lanes, length) in
            [(Version::V0x10, 1, 32), (Version::V0x13, 2, 32), (Version::V0x13, 1, 16)]
        {
            let params = Params::new(64, 2, lanes, Some(length)).expect("parameters");
            let foreign = Argon2::new(Algorithm::Argon2id, version, params);
            let hash = argon2::PasswordHasher::hash_password(&foreign, b"falcon").expect("a hash");
            let credential = Credential::new(&hash.to_string());
            assert_eq!(verify(Some(&credential), "falcon", CHEAP), Ok(Verdict::Right), "{hash}");
            assert_eq!(verify(Some(&credential), "falcom", CHEAP), Ok(Verdict::Wrong), "{hash}");
        }
    }

    #[test]
    fn one_piece_of_memory_serves_all_passwords_and_holds_nothing_between_them() {
        let cost = Cost { kib: 64, passes: 1 };
        let mut hasher = Hasher::default();
        let made = hasher.hash("falcon", cost).expect("a hash");
        let memory = hasher.memory.as_ptr();
        for password in ["falcon", "wrong", "saber"] {
            hasher.verify(Some(&made), password, cost).expect("a verdict");
            hasher.verify(None, password, cost).expect("a verdict");
            hasher.hash(password, cost).expect("a hash");
            assert_eq!((hasher.memory.as_ptr(), hasher.memory.capacity()), (memory, 64));
            assert!(hasher.memory.iter().all(|block| block.as_ref().iter().all(|&word| word == 0)));
        }
    }

    #[test]
    fn the_memory_follows_the_setting() {
        let mut hasher = Hasher::default();
        let dear = hasher.hash("falcon", Cost { kib: 256, passes: 1 }).expect("a hash");
        assert_eq!(hasher.memory.capacity(), 256);
        assert_eq!(hasher.verify(Some(&dear), "falcon", CHEAP), Ok(Verdict::Right));
        assert_eq!(hasher.memory.capacity(), 8, "a hash of a dearer time does not stay");
        hasher.hash("falcon", Cost { kib: 64, passes: 1 }).expect("a hash");
        assert_eq!(hasher.memory.capacity(), 64);
    }
}
