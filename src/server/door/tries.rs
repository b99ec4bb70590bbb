//! Counting wrong passwords: for a name over all links and addresses, or for a device (R14, R51).

use core::net::SocketAddr;
use core::time::Duration;

use super::addresses::{self, Network};
use super::names::{Guesses, Subject};
use super::{devices, hashing};
use crate::planted::{self, Planted};
use crate::record::{Digest, Fact, RecordNumber, Suspect};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::time::Time;
use crate::words::Name;

/// What a password counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Name(Subject),
    /// A device of an account that was in before.
    Device(UserId, Digest),
}

impl Counted {
    /// The account that is tried, if there is one.
    pub(super) const fn user(self) -> Option<UserId> {
        match self {
            Counted::Name(Subject::Account(user)) | Counted::Device(user, _) => Some(user),
            Counted::Name(Subject::Unknown(_)) => None,
        }
    }
}

pub(super) fn subject(server: &ServerState, name: &str) -> Subject {
    match server.accounts.find_open(name) {
        Some(user) => Subject::Account(user),
        None => Subject::Unknown(server.secrets.name_digest(name)),
    }
}

fn guesses(server: &ServerState, counted: Counted) -> Guesses {
    let guesses = match counted {
        Counted::Name(subject) => server.door.names.get(subject),
        Counted::Device(user, device) => devices::find(server, user, device).map(|device| &device.guesses),
    };
    guesses.copied().unwrap_or_default()
}

fn change(
    server: &mut ServerState,
    counted: Counted,
    from: Option<SocketAddr>,
    change: impl FnOnce(&mut Guesses),
) {
    match counted {
        Counted::Name(subject) => server.door.names.change(subject, from.map(Network::of), change),
        Counted::Device(user, device) => {
            if let Some(device) = devices::find_mut(server, user, device) {
                change(&mut device.guesses);
            }
        }
    }
}

/// What is counted when a lock is over.
fn count_after_lock(server: &ServerState) -> u32 {
    let left = server.settings.lock_attempts.saturating_sub(1);
    if planted::is(Planted::LockEndLeavesOneTry) { left } else { 0 }
}

/// Locks of names whose time has come are over; counting begins again at zero.
pub(in crate::server) fn end_locks(server: &mut ServerState) {
    let left = count_after_lock(server);
    server.door.names.end_locks(server.now, left);
}

/// Ends the lock of a device that is to be looked at, if its time has come.
pub(super) fn end_lock_of_device(server: &mut ServerState, counted: Counted) {
    if matches!(counted, Counted::Device(..)) {
        let (now, left) = (server.now, count_after_lock(server));
        change(server, counted, None, |guesses| guesses.end_lock(now, left));
    }
}

/// Finds a place for a name that is to be compared. `false`: there is none for it.
pub(super) fn find_place(server: &mut ServerState, counted: Counted, from: SocketAddr) -> bool {
    let Counted::Name(subject) = counted else { return true };
    if server.door.names.get(subject).is_some() {
        return true;
    }
    let places = server.settings.name_places as usize;
    if server.door.names.is_spent(Network::of(from), places) {
        return false;
    }
    while server.door.names.len() >= places.max(1) {
        let Some(first) = server.door.names.first_to_go() else { return false };
        let forgotten = server.door.names.forget(first);
        let stays = planted::is(Planted::MadeUpStaysStored);
        if forgotten.is_some_and(|guesses| guesses.count > 0) && !stays {
            persist_name(server, first);
        }
    }
    let age = server.next_serial();
    server.door.names.enter(subject, age);
    true
}

/// Seconds until the name or the device may be tried again, if it is locked.
pub(super) fn locked_secs(server: &ServerState, counted: Counted) -> Option<u64> {
    let device = matches!(counted, Counted::Device(..)) && planted::is(Planted::NameLockReachesDevice);
    let counted = match counted.user() {
        Some(user) if device => Counted::Name(Subject::Account(user)),
        _ => counted,
    };
    let until = guesses(server, counted).locked_until?;
    (until > server.now || planted::is(Planted::LockForEver)).then(|| server.now.seconds_until(until))
}

/// The record that says that it is locked.
pub(super) fn record(server: &ServerState, counted: Counted) -> RecordNumber {
    guesses(server, counted).record
}

/// An attempt during a lock; with `lock_extend` the lock begins again, and never ends the earlier for it.
pub(super) fn extend_lock(
    server: &mut ServerState,
    counted: Counted,
    from: SocketAddr,
) -> (u64, RecordNumber) {
    let now = server.now;
    let until = now + Duration::from_secs(server.settings.block_duration_secs);
    let extends = server.settings.lock_extend || planted::is(Planted::LockExtends);
    if extends && guesses(server, counted).locked_until < Some(until) {
        change(server, counted, Some(from), |guesses| guesses.locked_until = Some(until));
        let record = match counted {
            Counted::Name(subject) => persist_name(server, subject),
            Counted::Device(user, device) => devices::persist(server, user, device),
        };
        change(server, counted, None, |guesses| guesses.record = record);
        return (now.seconds_until(until), record);
    }
    (locked_secs(server, counted).unwrap_or(0), record(server, counted))
}

/// Whether names are locked at all.
pub(super) fn locks(server: &ServerState) -> bool {
    server.settings.block_duration_secs > 0 && server.settings.lock_attempts > 0
}

/// Whether one more comparison could go beyond the tries. With none under way there is always one: the limit may
/// have been lowered below the count.
pub(super) fn are_taken(server: &ServerState, counted: Counted) -> bool {
    let attempts = server.settings.lock_attempts;
    let locks = locks(server) && !planted::is(Planted::GuessesOutrunCount);
    let guesses = guesses(server, counted);
    locks && guesses.verifying > 0 && guesses.count + guesses.verifying >= attempts
}

/// Forgets what was counted, but not what is being compared.
pub(super) fn count_from_zero(server: &mut ServerState, counted: Counted) {
    change(server, counted, None, |guesses| guesses.count = 0);
}

/// How many wrong passwords were counted.
pub(super) fn count(server: &ServerState, counted: Counted) -> u32 {
    guesses(server, counted).count
}

pub(super) fn begin_comparison(server: &mut ServerState, counted: Counted) {
    change(server, counted, None, |guesses| guesses.verifying += 1);
}

pub(super) fn end_comparison(server: &mut ServerState, counted: Counted) {
    change(server, counted, None, |guesses| {
        assert!(guesses.verifying > 0, "a comparison is counted until its verdict");
        guesses.verifying -= 1;
    });
}

/// Whether a password of the account is being compared.
pub(super) fn is_tried(server: &ServerState, user: UserId) -> bool {
    guesses(server, Counted::Name(Subject::Account(user))).verifying > 0
        || server.accounts[user].devices.iter().any(|device| device.guesses.verifying > 0)
}

/// Counts a wrong password; how many there are now, the record to wait for, and the seconds of the lock if it locks
/// the name or device. A device that was forgotten meanwhile has had no other.
pub(super) fn count_failure(
    server: &mut ServerState,
    counted: Counted,
    from: SocketAddr,
) -> (u32, RecordNumber, Option<u64>) {
    addresses::count_failure(server, from);
    end_lock_of_device(server, counted);
    let count = count(server, counted).saturating_add(1);
    let secs = server.settings.block_duration_secs;
    let secs = if planted::is(Planted::LockTooShort) { secs * 2 / 3 } else { secs };
    let until = server.now + Duration::from_secs(secs);
    let attempts = server.settings.lock_attempts + u32::from(planted::is(Planted::LockOneLate));
    let unknown = counted.user().is_none();
    let exempt = planted::is(Planted::UnknownNeverLocked) && unknown;
    let attempts = attempts - u32::from(planted::is(Planted::UnknownLocksEarly) && unknown && attempts > 1);
    let locked = locks(server) && count >= attempts && !exempt;
    change(server, counted, locked.then_some(from), |guesses| {
        guesses.count = count;
        if locked {
            guesses.locked_until = Some(until);
        }
    });
    if let Some(user) = counted.user() {
        let failures = &mut server.accounts[user].failed_since_login;
        *failures = failures.saturating_add(1);
    }
    let record = persist(server, counted);
    (count, record, locked.then(|| server.now.seconds_until(until)))
}

/// What a right password has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Success {
    /// A login, which may write what is remembered of its device.
    Login { notes_device: bool },
    /// Its user is not let in.
    Refused,
}

/// A right password, which lets its user in or does not: counting begins again at zero, for the device or for the
/// name. Returns the failures since the login before; they are told, and forgotten, if this is one.
pub(super) fn forgive(server: &mut ServerState, counted: Counted, success: Success) -> u32 {
    let login = matches!(success, Success::Login { .. });
    let Some(user) = counted.user() else { unreachable!("no password is right for a made-up name") };
    end_lock_of_device(server, counted);
    let denied_keeps = planted::is(Planted::DeniedKeepsCount) && !login;
    let keep = planted::is(Planted::SuccessKeepsCount) || denied_keeps;
    let since_login = server.accounts[user].failed_since_login;
    if keep {
        return since_login;
    }
    let tells = login && since_login > 0;
    if tells && !planted::is(Planted::FailuresNeverForgotten) {
        server.accounts[user].failed_since_login = 0;
    }
    let counts = count(server, counted) > 0;
    if counts {
        change(server, counted, None, |guesses| (guesses.count, guesses.locked_until) = (0, None));
    }
    match counted {
        Counted::Name(subject) if counts || tells => {
            persist_name(server, subject);
        }
        Counted::Device(_, device) => {
            if tells {
                persist_name(server, Subject::Account(user));
            }
            if counts && success != (Success::Login { notes_device: true }) {
                devices::persist(server, user, device);
            }
        }
        Counted::Name(_) => {}
    }
    since_login
}

/// A login that forgave so many failures was not told of them.
pub(super) fn remember_failures(server: &mut ServerState, user: UserId, failed: u32) {
    let failures = &mut server.accounts[user].failed_since_login;
    *failures = failures.saturating_add(failed);
    persist_name(server, Subject::Account(user));
}

/// Writes a failure that was counted; the record that an answer which reveals it waits for.
fn persist(server: &mut ServerState, counted: Counted) -> RecordNumber {
    let number = match counted {
        Counted::Name(subject) => persist_name(server, subject),
        Counted::Device(user, device) => {
            devices::persist(server, user, device);
            persist_name(server, Subject::Account(user))
        }
    };
    change(server, counted, None, |guesses| guesses.record = number);
    number
}

fn persist_name(server: &mut ServerState, subject: Subject) -> RecordNumber {
    let Guesses { count, locked_until, record, .. } = guesses(server, Counted::Name(subject));
    let (suspect, since_login) = match subject {
        // An account that was removed meanwhile: nothing of it is left to the next of that name.
        Subject::Account(user) if server.accounts[user].is_leaving() => return record,
        Subject::Account(user) => {
            let name = server.accounts.name(user).clone();
            (Suspect::Account(name), server.accounts[user].failed_since_login)
        }
        Subject::Unknown(digest) => (Suspect::Unknown(digest), 0),
    };
    let fact = Fact::Failures { suspect, count, locked_until, since_login };
    let ServerState { papers, out, .. } = server;
    papers.persist_fact(out, fact)
}

/// What an earlier run has counted. Each name takes a place, however many there are.
pub(in crate::server) fn apply_failures(
    server: &mut ServerState,
    suspect: &Suspect,
    count: u32,
    locked_until: Option<Time>,
    since_login: u32,
) {
    let subject = match suspect {
        Suspect::Account(name) => {
            let Some(user) = server.accounts.find(name.as_str()) else { return };
            server.accounts[user].failed_since_login = since_login;
            Subject::Account(user)
        }
        Suspect::Unknown(digest) => Subject::Unknown(*digest),
    };
    server.door.names.forget(subject);
    if count > 0 {
        let age = server.next_serial();
        server.door.names.enter(subject, age);
        let counted = |guesses: &mut Guesses| (guesses.count, guesses.locked_until) = (count, locked_until);
        server.door.names.change(subject, None, counted);
    }
}

/// An operator forgives a name and the devices of its account: of how many something was counted.
pub(in crate::server) fn unlock(server: &mut ServerState, name: &Name) -> u64 {
    let subject = subject(server, name.as_str());
    let mut counted = alloc::vec::Vec::from([Counted::Name(subject)]);
    if let Subject::Account(user) = subject
        && !planted::is(Planted::UnlockForgetsDevices)
    {
        let devices = devices::digests(server, user);
        counted.extend(devices.into_iter().map(|device| Counted::Device(user, device)));
    }
    counted.iter().for_each(|counted| end_lock_of_device(server, *counted));
    counted.retain(|counted| count(server, *counted) > 0);
    for &counted in &counted {
        change(server, counted, None, |guesses| (guesses.count, guesses.locked_until) = (0, None));
        match counted {
            Counted::Name(subject) => persist_name(server, subject),
            Counted::Device(user, device) => devices::persist(server, user, device),
        };
    }
    hashing::give_turns(server);
    counted.len() as u64
}

/// How many names are locked at this time, those without an account too.
pub(in crate::server) fn locked_names(server: &ServerState, now: Time) -> usize {
    server.door.names.locked(now)
}

/// Until when the name of an account is locked, if it is.
#[cfg(feature = "sim")]
pub(in crate::server) fn locked_until(server: &ServerState, user: UserId) -> Option<Time> {
    guesses(server, Counted::Name(Subject::Account(user))).locked_until.filter(|until| *until > server.now)
}

/// The account is gone from the credentials file: its name and its devices count from zero.
pub(super) fn begin_anew(server: &mut ServerState, user: UserId) {
    server.door.names.change(Subject::Account(user), None, Guesses::begin_anew);
    server.accounts[user].devices.iter_mut().for_each(|device| device.guesses.begin_anew());
    server.accounts[user].failed_since_login = 0;
}

/// The account is purged.
pub(in crate::server) fn forget_account(server: &mut ServerState, user: UserId) {
    server.door.names.forget(Subject::Account(user));
    addresses::forget_user(server, user);
}

/// The guesses at a made-up name whose account has just been made are of no more use.
pub(super) fn forget_unknown(server: &mut ServerState, name: &Name) {
    let digest = server.secrets.name_digest(name.as_str());
    server.door.names.change(Subject::Unknown(digest), None, Guesses::begin_anew);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    use crate::record::Recovery;
    use crate::server::Settings;

    fn server(name_places: u32) -> ServerState {
        let settings = Settings { name_places, ..Settings::default() };
        ServerState::new(settings, Vec::new(), Recovery::default(), 1, Time::ZERO)
    }

    fn name(server: &ServerState, name: &str) -> Counted {
        Counted::Name(subject(server, name))
    }

    #[test]
    fn a_name_that_is_registered_while_a_password_is_compared_counts_from_zero_and_then_goes() {
        let mut server = server(10);
        let from = SocketAddr::from(([192, 0, 2, 1], 1));
        let leia = name(&server, "leia");
        assert!(find_place(&mut server, leia, from));
        (0..2).for_each(|_| begin_comparison(&mut server, leia));
        count_failure(&mut server, leia, from);
        end_comparison(&mut server, leia);
        forget_unknown(&mut server, &Name::new("leia").expect("a name"));
        assert_eq!((count(&server, leia), guesses(&server, leia).verifying), (0, 1));
        end_comparison(&mut server, leia);
        assert_eq!(server.door.names.len(), 0);
    }

    #[test]
    fn locked_names_are_never_forgotten_and_one_network_locks_no_more_than_a_sixteenth() {
        let mut server = server(32);
        let from = |network: u8| SocketAddr::from(([10, 0, network, 1], 1));
        let lock = |server: &mut ServerState, number: u32, network: u8| {
            let counted = name(server, &alloc::format!("name{number}"));
            if !find_place(server, counted, from(network)) {
                return false;
            }
            for _ in 0..3 {
                begin_comparison(server, counted);
                count_failure(server, counted, from(network));
                end_comparison(server, counted);
            }
            locked_secs(server, counted).is_some()
        };
        assert!(lock(&mut server, 0, 0) && lock(&mut server, 1, 0));
        assert!(!lock(&mut server, 2, 0), "two of 32 are a sixteenth");
        assert!((2..32).all(|number| lock(&mut server, number, number as u8)));
        assert!(!lock(&mut server, 32, 99), "all places are locked");
        server.handle(crate::server::Event::Tick, Time(60_000_000)).for_each(drop);
        end_locks(&mut server);
        assert_eq!(server.door.names.len(), 0);
        assert!(lock(&mut server, 32, 0));
    }
}
