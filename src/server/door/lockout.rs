//! Counting wrong passwords: per name, over all links and addresses, and per address.

use alloc::collections::{BTreeMap, VecDeque};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::links::limited_address;
use crate::planted::{self, Planted};
use crate::record::{Digest, Fact, RecordNumber, Suspect};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::time::Time;
use crate::words::{LinkId, Name, Password};

/// Made-up names remembered; the oldest goes first.
const UNKNOWN_NAMES: usize = 10_000;
/// Addresses with wrong passwords remembered.
const ADDRESSES: usize = 10_000;

/// The guesses at one name.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Guesses {
    /// Wrong passwords in a row.
    pub(super) count: u32,
    pub(in crate::server) locked_until: Option<Time>,
    /// Wrong passwords since the last login; for its notice.
    pub(super) since_login: u32,
    /// The record of the last change; an answer that reveals it waits for it.
    pub(super) record: RecordNumber,
    /// Comparisons under way; each may turn out to be wrong.
    pub(super) verifying: u32,
    /// Attempts that wait because those under way could lock the name.
    pub(super) waiting: VecDeque<(LinkId, Password)>,
}

impl Guesses {
    /// Counts from zero: the account has come or gone. Comparisons under way and those who wait for them are
    /// answered all the same.
    pub(super) fn begin_anew(&mut self) {
        let waiting = core::mem::take(&mut self.waiting);
        *self = Guesses { verifying: self.verifying, waiting, ..Guesses::default() };
    }

    pub(in crate::server) fn is_idle(&self) -> bool {
        self.verifying == 0 && self.waiting.is_empty()
    }
}

/// Whose guesses: an account's, or a made-up name's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Account(UserId),
    Unknown(Digest),
}

/// What is counted for names without an account, and for addresses. Bounded.
#[derive(Debug, Clone)]
pub(super) struct Lockout {
    unknown: HashMap<Digest, (u64, Guesses), FixedState>,
    /// The unknown by age.
    ages: BTreeMap<u64, Digest>,
    addresses: BTreeMap<IpAddr, AddressFailures>,
}

#[derive(Debug, Clone, Copy)]
struct AddressFailures {
    count: u32,
    since: Time,
}

impl Lockout {
    pub(super) fn new(seed: u64) -> Lockout {
        Lockout {
            unknown: HashMap::with_hasher(FixedState::with_seed(seed.rotate_left(16))),
            ages: BTreeMap::new(),
            addresses: BTreeMap::new(),
        }
    }
}

pub(super) fn subject(server: &ServerState, name: &str) -> Subject {
    match server.accounts.find_open(name) {
        Some(user) => Subject::Account(user),
        None => Subject::Unknown(server.secrets.name_digest(name)),
    }
}

/// The guesses at a name; a made-up one is remembered from now on.
pub(super) fn guesses(server: &mut ServerState, subject: Subject) -> &mut Guesses {
    match subject {
        Subject::Account(user) => &mut server.accounts[user].guesses,
        Subject::Unknown(digest) => {
            if !server.door.lockout.unknown.contains_key(&digest) {
                make_room_for_unknown(server);
                let age = server.next_serial();
                server.door.lockout.ages.insert(age, digest);
                server.door.lockout.unknown.insert(digest, (age, Guesses::default()));
            }
            let age = server.last_serial;
            &mut server.door.lockout.unknown.entry(digest).or_insert((age, Guesses::default())).1
        }
    }
}

/// The oldest made-up name that nothing is under way for is forgotten, in the store as well.
fn make_room_for_unknown(server: &mut ServerState) {
    if server.door.lockout.ages.len() < UNKNOWN_NAMES {
        return;
    }
    let idle = |digest: &Digest| {
        server.door.lockout.unknown.get(digest).is_none_or(|(_, guesses)| guesses.is_idle())
    };
    let ages = &server.door.lockout.ages;
    let oldest = if planted::is(Planted::NewestMadeUpGoes) {
        ages.iter().rev().find(|(_, digest)| idle(digest))
    } else {
        ages.iter().find(|(_, digest)| idle(digest))
    };
    let oldest = oldest.map(|(age, digest)| (*age, *digest));
    if let Some((age, digest)) = oldest {
        server.door.lockout.ages.remove(&age);
        let forgotten = server.door.lockout.unknown.remove(&digest);
        let stays = planted::is(Planted::MadeUpStaysStored);
        if forgotten.is_some_and(|(_, guesses)| guesses.count > 0) && !stays {
            let suspect = Suspect::Unknown(digest);
            let fact = Fact::Failures { suspect, count: 0, locked_until: None, since_login: 0 };
            let ServerState { papers, out, .. } = server;
            papers.persist_fact(out, fact);
        }
    }
}

/// Seconds until the name may be tried again, if it is locked.
pub(super) fn locked_secs(server: &mut ServerState, subject: Subject) -> Option<u64> {
    let now = server.now;
    let left = server.settings.lock_attempts.saturating_sub(1);
    let guesses = guesses(server, subject);
    match guesses.locked_until {
        Some(until) if until > now || planted::is(Planted::LockForEver) => Some(now.seconds_until(until)),
        Some(_) => {
            // The lock has run out; counting begins again at zero.
            guesses.locked_until = None;
            guesses.count = if planted::is(Planted::LockEndLeavesOneTry) { left } else { 0 };
            None
        }
        None => None,
    }
}

/// An attempt during a lock; with `lock_extend` the lock begins again.
pub(super) fn extend_lock(server: &mut ServerState, subject: Subject) -> (u64, RecordNumber) {
    let now = server.now;
    if server.settings.lock_extend || planted::is(Planted::LockExtends) {
        let until = now + Duration::from_secs(server.settings.block_duration_secs);
        guesses(server, subject).locked_until = Some(until);
        let record = persist_guesses(server, subject);
        return (now.seconds_until(until), record);
    }
    (locked_secs(server, subject).unwrap_or(0), guesses(server, subject).record)
}

/// Whether names are locked at all.
pub(super) fn locks(server: &ServerState) -> bool {
    server.settings.block_duration_secs > 0 && server.settings.lock_attempts > 0
}

/// Whether one more comparison could go beyond the tries that a name has. With none under way
/// there is always one: the limit may have been lowered below the count.
pub(super) fn tries_are_taken(server: &mut ServerState, subject: Subject) -> bool {
    let attempts = server.settings.lock_attempts;
    let locks = locks(server) && !planted::is(Planted::GuessesOutrunCount);
    let guesses = guesses(server, subject);
    locks && guesses.verifying > 0 && guesses.count + guesses.verifying >= attempts
}

/// Counts a wrong password; the record to wait for, and the seconds of the lock if it locks the name.
pub(super) fn count_failure(
    server: &mut ServerState,
    subject: Subject,
    from: SocketAddr,
) -> (RecordNumber, Option<u64>) {
    count_address_failure(server, from);
    let secs = server.settings.block_duration_secs;
    let secs = if planted::is(Planted::LockTooShort) { secs * 2 / 3 } else { secs };
    let until = server.now + Duration::from_secs(secs);
    let (locks, attempts) = (locks(server), server.settings.lock_attempts);
    let guesses = guesses(server, subject);
    guesses.count = guesses.count.saturating_add(1);
    guesses.since_login = guesses.since_login.saturating_add(1);
    let attempts = attempts + u32::from(planted::is(Planted::LockOneLate));
    let unknown = matches!(subject, Subject::Unknown(_));
    let exempt = planted::is(Planted::UnknownNeverLocked) && unknown;
    let attempts = attempts - u32::from(planted::is(Planted::UnknownLocksEarly) && unknown && attempts > 1);
    let locked = locks && guesses.count >= attempts && !exempt;
    if locked {
        guesses.locked_until = Some(until);
    }
    let record = persist_guesses(server, subject);
    (record, locked.then(|| server.now.seconds_until(until)))
}

/// A right password, which lets its user in or does not: counting begins again at zero. Returns the failures since
/// the login before; they are told, and forgotten, if this is one.
pub(super) fn forgive(server: &mut ServerState, subject: Subject, login: bool) -> u32 {
    let denied_keeps = planted::is(Planted::DeniedKeepsCount) && !login;
    let keep = planted::is(Planted::SuccessKeepsCount) || denied_keeps;
    let guesses = guesses(server, subject);
    let since_login = guesses.since_login;
    if keep {
        return since_login;
    }
    if guesses.count > 0 || login && since_login > 0 {
        guesses.count = 0;
        guesses.locked_until = None;
        if login && !planted::is(Planted::FailuresNeverForgotten) {
            guesses.since_login = 0;
        }
        persist_guesses(server, subject);
    }
    since_login
}

/// A login that forgave so many failures was not told of them.
pub(super) fn remember_failures(server: &mut ServerState, user: UserId, failed: u32) {
    let guesses = &mut server.accounts[user].guesses;
    guesses.since_login = guesses.since_login.saturating_add(failed);
    persist_guesses(server, Subject::Account(user));
}

fn persist_guesses(server: &mut ServerState, subject: Subject) -> RecordNumber {
    let suspect = match subject {
        // An account that was removed meanwhile: nothing of it is left to the next of that name.
        Subject::Account(user) if server.accounts[user].credential.is_none() => {
            return guesses(server, subject).record;
        }
        Subject::Account(user) => Suspect::Account(server.accounts.name(user).clone()),
        Subject::Unknown(digest) => Suspect::Unknown(digest),
    };
    let known = guesses(server, subject);
    let (count, locked_until, since_login) = (known.count, known.locked_until, known.since_login);
    let fact = Fact::Failures { suspect, count, locked_until, since_login };
    let ServerState { papers, out, .. } = server;
    let number = papers.persist_fact(out, fact);
    guesses(server, subject).record = number;
    number
}

pub(in crate::server) fn apply_failures(
    server: &mut ServerState,
    suspect: &Suspect,
    count: u32,
    locked_until: Option<Time>,
    since_login: u32,
) {
    let subject = match suspect {
        Suspect::Account(name) => server.accounts.find(name.as_str()).map(Subject::Account),
        // A forgotten name needs no place in the table.
        Suspect::Unknown(digest) => (count > 0 || server.door.lockout.unknown.contains_key(digest))
            .then_some(Subject::Unknown(*digest)),
    };
    if let Some(subject) = subject {
        let guesses = guesses(server, subject);
        guesses.count = count;
        guesses.locked_until = locked_until;
        guesses.since_login = since_login;
    }
}

/// Seconds until the address may try again, if it has guessed wrong too often.
pub(super) fn address_locked_secs(server: &ServerState, from: SocketAddr) -> Option<u64> {
    let failures = server.door.lockout.addresses.get(&limited_address(from)?)?;
    let until = failures.since + Duration::from_secs(server.settings.block_duration_secs);
    let limit = server.settings.failures_per_address;
    let more = u32::from(planted::is(Planted::AddressLimitOneMore));
    (limit > 0 && failures.count >= limit + more && until > server.now)
        .then(|| server.now.seconds_until(until))
}

fn count_address_failure(server: &mut ServerState, from: SocketAddr) {
    let Some(ip) = limited_address(from) else { return };
    let now = server.now;
    let window = Duration::from_secs(server.settings.block_duration_secs);
    let over = |failures: &AddressFailures| failures.since + window <= now;
    let addresses = &mut server.door.lockout.addresses;
    if addresses.len() >= ADDRESSES && !addresses.contains_key(&ip) {
        addresses.retain(|_, failures| !over(failures));
        if addresses.len() >= ADDRESSES {
            addresses.pop_first();
        }
    }
    let failures = addresses.entry(ip).or_insert(AddressFailures { count: 0, since: now });
    if over(failures) {
        *failures = AddressFailures { count: 0, since: now };
    }
    failures.count = failures.count.saturating_add(1);
}

/// The guesses of a made-up name whose account has just been made are of no more use.
pub(super) fn forget_unknown(server: &mut ServerState, name: &Name) {
    let digest = server.secrets.name_digest(name.as_str());
    let Some((age, guesses)) = server.door.lockout.unknown.get_mut(&digest) else { return };
    if guesses.is_idle() {
        server.door.lockout.ages.remove(age);
        server.door.lockout.unknown.remove(&digest);
    } else {
        guesses.begin_anew();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    use crate::record::Recovery;
    use crate::server::Settings;

    #[test]
    fn who_waits_to_try_a_made_up_name_still_does_when_somebody_registers_it() {
        let mut server =
            ServerState::new(Settings::default(), Vec::new(), Recovery::default(), 1, Time::ZERO);
        let name = Name::new("leia").expect("a name");
        let leia = subject(&server, "leia");
        let known = guesses(&mut server, leia);
        (known.count, known.verifying) = (2, 1);
        known.waiting.push_back((LinkId(1), Password::new("pw")));
        forget_unknown(&mut server, &name);
        let known = guesses(&mut server, leia);
        assert_eq!((known.count, known.verifying, known.waiting.len()), (0, 1, 1));
        known.begin_anew();
        (known.verifying, known.waiting) = (0, VecDeque::new());
        forget_unknown(&mut server, &name);
        assert!(server.door.lockout.unknown.is_empty() && server.door.lockout.ages.is_empty());
    }

    #[test]
    fn the_table_of_addresses_forgets_old_failures_first_and_none_for_an_address_it_knows() {
        let from = |number: usize| {
            let [.., a, b, c] = number.to_be_bytes();
            SocketAddr::from(([10, a, b, c], 40_000))
        };
        let settings = Settings { block_duration_secs: 60, ..Settings::default() };
        let mut server = ServerState::new(settings, Vec::new(), Recovery::default(), 1, Time::ZERO);
        (0..ADDRESSES).for_each(|number| count_address_failure(&mut server, from(number)));
        count_address_failure(&mut server, from(7));
        assert_eq!(server.door.lockout.addresses.len(), ADDRESSES, "a known address takes nobody's place");
        let count = |server: &ServerState, number| {
            server.door.lockout.addresses.get(&from(number).ip()).map(|failures| failures.count)
        };
        assert_eq!((count(&server, 0), count(&server, 7)), (Some(1), Some(2)));
        server.now = Time::ZERO + Duration::from_secs(60);
        (0..2).for_each(|_| count_address_failure(&mut server, from(ADDRESSES)));
        assert_eq!((server.door.lockout.addresses.len(), count(&server, ADDRESSES)), (1, Some(2)));
        (0..ADDRESSES).for_each(|number| count_address_failure(&mut server, from(number)));
        assert_eq!(server.door.lockout.addresses.len(), ADDRESSES);
    }
}
