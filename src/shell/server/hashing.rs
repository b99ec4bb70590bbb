//! Passwords: hashing and comparing them on threads of their own, with the same work for every guess.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use password_hash::phc::PasswordHash;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::server::Verdict;
use crate::shell::credentials::{is_phc, parse_phc};
use crate::words::{Credential, Password, Ticket};

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

/// Makes the credential of a password, with a fresh salt.
///
/// # Errors
/// [`HashFailed`].
pub fn hash(password: &str, cost: Cost) -> Result<Credential, HashFailed> {
    let hash: PasswordHash = argon2id(cost)?.hash_password(password.as_bytes()).map_err(|_| HashFailed)?;
    Ok(Credential::new(&hash.to_string()))
}

/// Compares a password with a credential. A hash is checked by its own parameters; for a plain
/// password, and for no credential at all, one hash is made and thrown away.
///
/// # Errors
/// [`HashFailed`]: the password may be right or wrong.
pub fn verify(credential: Option<&Credential>, password: &str, cost: Cost) -> Result<Verdict, HashFailed> {
    let right = match credential.map(Credential::reveal) {
        Some(hash) if is_phc(hash) => return verify_hash(hash, password, cost),
        Some(plain) => bool::from(plain.as_bytes().ct_eq(password.as_bytes())),
        None => false,
    };
    hash(password, cost)?;
    Ok(if right { Verdict::Right } else { Verdict::Wrong })
}

fn verify_hash(hash: &str, password: &str, cost: Cost) -> Result<Verdict, HashFailed> {
    let Ok(expected) = parse_phc(hash) else { return Ok(Verdict::Wrong) };
    match argon2id(cost)?.verify_password(password.as_bytes(), &expected) {
        Ok(()) => Ok(Verdict::Right),
        Err(password_hash::Error::PasswordInvalid) => Ok(Verdict::Wrong),
        Err(_) => Err(HashFailed),
    }
}

fn argon2id(cost: Cost) -> Result<Argon2<'static>, HashFailed> {
    let params = Params::new(cost.kib, cost.passes, 1, None).map_err(|_| HashFailed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// What a hashing thread found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hashing {
    /// The answer to [`Pool::verify`].
    Verified(Ticket, Verdict),
    /// The answer to [`Pool::hash`].
    Hashed(Ticket, Option<Credential>),
}

/// Threads that hash, one fewer than the machine has cores, and a bounded queue before them.
pub struct Pool {
    jobs: async_channel::Sender<Job>,
}

struct Job {
    ticket: Ticket,
    password: Zeroizing<String>,
    cost: Cost,
    task: Task,
}

enum Task {
    Verify(Option<Credential>),
    Hash,
}

impl Pool {
    /// Starts the threads. They hand each answer to `answer` and end with the pool.
    pub fn start(answer: impl Fn(Hashing) + Clone + Send + 'static) -> std::io::Result<Pool> {
        let (jobs, waiting) = async_channel::unbounded::<Job>();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for n in 0..cores.saturating_sub(1).max(1) {
            let (waiting, answer) = (waiting.clone(), answer.clone());
            thread::Builder::new().name(format!("hashing-{n}")).spawn(move || {
                while let Ok(job) = waiting.recv_blocking() {
                    answer(job.run());
                }
            })?;
        }
        Ok(Pool { jobs })
    }

    /// Compares a password on a thread. If `queue` jobs wait already the answer is returned at once.
    #[must_use]
    pub fn verify(
        &self,
        ticket: Ticket,
        credential: Option<&Credential>,
        password: &Password,
        cost: Cost,
        queue: usize,
    ) -> Option<Hashing> {
        self.submit(Job::new(ticket, password, cost, Task::Verify(credential.cloned())), queue)
    }

    /// Hashes a password on a thread. If `queue` jobs wait already the answer is returned at once.
    #[must_use]
    pub fn hash(&self, ticket: Ticket, password: &Password, cost: Cost, queue: usize) -> Option<Hashing> {
        self.submit(Job::new(ticket, password, cost, Task::Hash), queue)
    }

    /// `queue` 0: no limit.
    fn submit(&self, job: Job, queue: usize) -> Option<Hashing> {
        if queue != 0 && self.jobs.len() >= queue {
            return Some(job.overloaded());
        }
        self.jobs.try_send(job).err().map(|refused| refused.into_inner().overloaded())
    }
}

impl Job {
    fn new(ticket: Ticket, password: &Password, cost: Cost, task: Task) -> Job {
        Job { ticket, password: Zeroizing::new(password.reveal().to_string()), cost, task }
    }

    fn run(self) -> Hashing {
        // A panic in here must not cost a thread; whoever waits is asked to try again.
        let outcome = catch_unwind(AssertUnwindSafe(|| match &self.task {
            Task::Verify(credential) => verify(credential.as_ref(), &self.password, self.cost)
                .map(|verdict| Hashing::Verified(self.ticket, verdict)),
            Task::Hash => hash(&self.password, self.cost)
                .map(|credential| Hashing::Hashed(self.ticket, Some(credential))),
        }));
        match outcome {
            Ok(Ok(answer)) => answer,
            Ok(Err(HashFailed)) | Err(_) => self.overloaded(),
        }
    }

    fn overloaded(&self) -> Hashing {
        match self.task {
            Task::Verify(_) => Hashing::Verified(self.ticket, Verdict::Overloaded),
            Task::Hash => Hashing::Hashed(self.ticket, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const CHEAP: Cost = Cost { kib: 8, passes: 1 };

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
    fn the_pool_answers_and_refuses_beyond_its_queue() {
        let (answers, answered) = mpsc::channel();
        let (go, gate) = async_channel::bounded::<()>(1);
        let pool = Pool::start(move |answer| {
            // Every thread stops at its first answer until the test lets it go on.
            let _ = answers.send(answer);
            let _ = gate.recv_blocking();
        })
        .expect("threads");
        let password = Password::new("falcon");
        let credential = Credential::new("falcon");
        let threads = thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1);
        for n in 0..threads as u64 {
            assert_eq!(pool.verify(Ticket(n), Some(&credential), &password, CHEAP, 2), None);
            assert!(matches!(answered.recv(), Ok(Hashing::Verified(_, Verdict::Right))));
        }
        assert_eq!(pool.hash(Ticket(90), &password, CHEAP, 2), None);
        assert_eq!(pool.hash(Ticket(91), &password, CHEAP, 2), None);
        assert_eq!(pool.hash(Ticket(92), &password, CHEAP, 2), Some(Hashing::Hashed(Ticket(92), None)));
        let busy = pool.verify(Ticket(93), None, &password, CHEAP, 2);
        assert_eq!(busy, Some(Hashing::Verified(Ticket(93), Verdict::Overloaded)));
        drop(go);
        let mut hashed = [answered.recv(), answered.recv()].map(|answer| match answer {
            Ok(Hashing::Hashed(ticket, Some(_))) => ticket.0,
            other => panic!("{other:?}"),
        });
        hashed.sort_unstable();
        assert_eq!(hashed, [90, 91]);
    }
}
