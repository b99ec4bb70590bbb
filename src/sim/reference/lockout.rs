//! Counting wrong passwords, for names, for devices and for addresses (features 1.3, R14, R40, R51).

use alloc::string::{String, ToString};
use core::net::SocketAddr;

use super::links::{limited_address, network_of};
use super::papers::DRAWN;
use super::{Server, User, later};
use crate::record::{DeviceStanding, Digest, Fact, RecordNumber, Suspect};
use crate::time::Time;
use crate::words::{LinkId, LoginNumber};

/// Whose guesses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Account(User),
    MadeUp(String),
    Device(User, Digest),
}

impl Subject {
    pub(super) const fn user(&self) -> Option<User> {
        match self {
            Subject::Account(user) | Subject::Device(user, _) => Some(*user),
            Subject::MadeUp(_) => None,
        }
    }
}

/// The guesses at one name, or of one device.
#[derive(Debug, Clone, Default)]
pub(super) struct Guesses {
    pub(super) count: u32,
    pub(super) locked_until: Option<Time>,
    /// Of an account: also those that were counted for its devices.
    pub(super) since_login: u32,
    pub(super) record: RecordNumber,
    pub(super) comparing: u32,
}

impl Guesses {
    /// The account goes: counting begins at zero.
    pub(super) fn begin_anew(&mut self) {
        *self = Guesses { comparing: self.comparing, ..Guesses::default() };
    }

    /// A lock that is over makes counting begin at zero.
    fn at(&mut self, now: Time) {
        if self.locked_until.is_some_and(|until| until <= now) {
            (self.locked_until, self.count) = (None, 0);
        }
    }

    /// Whether the name needs its place (R50).
    pub(super) const fn needs_place(&self) -> bool {
        self.count > 0 || self.comparing > 0
    }
}

impl Server {
    pub(super) fn subject(&self, name: &str) -> Subject {
        self.find_open(name).map_or_else(|| Subject::MadeUp(name.to_string()), Subject::Account)
    }

    /// How the guesses are now.
    pub(super) fn guesses(&self, subject: &Subject) -> Guesses {
        let known = match subject {
            Subject::Account(user) => Some(&self.at(*user).guesses),
            Subject::MadeUp(name) => self.made_up.get(name),
            Subject::Device(user, device) => self.at(*user).devices.get(device).map(|device| &device.guesses),
        };
        let mut guesses = known.cloned().unwrap_or_default();
        guesses.at(self.now);
        guesses
    }

    /// Changes them; those of a device that is forgotten meanwhile are lost.
    pub(super) fn set_guesses(&mut self, subject: &Subject, guesses: Guesses) {
        match subject {
            Subject::Account(user) => self.at_mut(*user).guesses = guesses,
            Subject::MadeUp(name) => drop(self.made_up.insert(name.clone(), guesses)),
            Subject::Device(user, device) => {
                if let Some(device) = self.at_mut(*user).devices.get_mut(device) {
                    device.guesses = guesses;
                }
            }
        }
    }

    pub(super) fn change_guesses(&mut self, subject: &Subject, change: impl FnOnce(&mut Guesses)) -> Guesses {
        let mut guesses = self.guesses(subject);
        change(&mut guesses);
        self.set_guesses(subject, guesses.clone());
        guesses
    }

    /// Seconds for which a name or a device is locked still.
    pub(super) fn locked_secs(&self, subject: &Subject) -> Option<u64> {
        self.guesses(subject).locked_until.map(|until| self.now.seconds_until(until))
    }

    /// An attempt during a lock.
    pub(super) fn extend_lock(&mut self, subject: &Subject, from: SocketAddr) -> (u64, RecordNumber) {
        let until = later(self.now, self.settings.block_duration_secs);
        if self.settings.lock_extend && self.guesses(subject).locked_until.is_some_and(|end| end < until) {
            self.change_guesses(subject, |guesses| guesses.locked_until = Some(until));
            self.note_lock(subject, from);
            let record = self.persist_guesses(subject);
            return (self.now.seconds_until(until), record);
        }
        (self.locked_secs(subject).unwrap_or(0), self.guesses(subject).record)
    }

    pub(super) const fn locks(&self) -> bool {
        self.settings.block_duration_secs > 0 && self.settings.lock_attempts > 0
    }

    /// Whether those under way may use up all tries (R14).
    pub(super) fn tries_are_taken(&self, subject: &Subject) -> bool {
        let guesses = self.guesses(subject);
        self.locks()
            && guesses.locked_until.is_none()
            && guesses.comparing > 0
            && guesses.count + guesses.comparing >= self.settings.lock_attempts
    }

    /// The tries left, the record of the count, and the seconds of the lock that the failure has begun.
    pub(super) fn count_failure(
        &mut self,
        subject: &Subject,
        from: SocketAddr,
    ) -> (u32, RecordNumber, Option<u64>) {
        self.count_address_failure(from);
        let until = later(self.now, self.settings.block_duration_secs);
        let (locks, attempts) = (self.locks(), self.settings.lock_attempts);
        let (mut locked, is_account) = (false, matches!(subject, Subject::Account(_)));
        let guesses = self.change_guesses(subject, |guesses| {
            guesses.count += 1;
            guesses.since_login += u32::from(is_account);
            locked = locks && guesses.count >= attempts;
            if locked {
                guesses.locked_until = Some(until);
            }
        });
        if locked {
            self.note_lock(subject, from);
        }
        let mut record = self.persist_guesses(subject);
        if let Subject::Device(user, _) = subject {
            let account = Subject::Account(*user);
            self.change_guesses(&account, |guesses| guesses.since_login += 1);
            record = self.persist_since_login(&account);
            self.change_guesses(subject, |guesses| guesses.record = record);
        }
        let left = attempts.saturating_sub(guesses.count);
        (left, record, locked.then(|| self.now.seconds_until(until)))
    }

    fn note_lock(&mut self, subject: &Subject, from: SocketAddr) {
        if !matches!(subject, Subject::Device(..)) {
            self.places.locked(subject, Some(network_of(from)));
        }
    }

    /// A right password; the failures since the login before, if it is a login. They are told once.
    pub(super) fn forgive(&mut self, subject: &Subject, login: bool, device_is_noted: bool) -> u32 {
        let Some(user) = subject.user() else { return 0 };
        let account = Subject::Account(user);
        let since_login = self.guesses(&account).since_login;
        let had_count = self.guesses(subject).count > 0;
        let of_device = matches!(subject, Subject::Device(..));
        self.change_guesses(subject, |guesses| (guesses.count, guesses.locked_until) = (0, None));
        if login {
            self.change_guesses(&account, |guesses| guesses.since_login = 0);
        }
        if had_count && !of_device {
            self.persist_guesses(&account);
        } else if login && since_login > 0 {
            self.persist_since_login(&account);
        }
        if had_count && of_device && !device_is_noted {
            self.persist_guesses(subject);
        }
        self.settle_place(subject);
        since_login
    }

    /// Failures that a login was to be told of, which was cut off before (R15).
    pub(super) fn leave_to_next_login(&mut self, user: User, failed: u32) {
        if failed > 0 {
            let subject = Subject::Account(user);
            self.change_guesses(&subject, |guesses| guesses.since_login += failed);
            self.persist_since_login(&subject);
        }
    }

    /// What is left of the count waits for no other record than before (R18).
    fn persist_since_login(&mut self, account: &Subject) -> RecordNumber {
        let before = self.guesses(account).record;
        let record = self.persist_guesses(account);
        self.change_guesses(account, |guesses| guesses.record = before);
        record
    }

    pub(super) fn persist_guesses(&mut self, subject: &Subject) -> RecordNumber {
        let Guesses { count, locked_until, since_login, record, .. } = self.guesses(subject);
        // Nothing of an account that is gone is left to the next of its name.
        if subject.user().is_some_and(|user| self.at(user).is_gone()) {
            return record;
        }
        let fact = |suspect| Fact::Failures { suspect, count, locked_until, since_login };
        let record = match subject {
            Subject::Account(user) => {
                let name = self.name(*user).clone();
                self.persist_fact(fact(Suspect::Account(name)))
            }
            Subject::MadeUp(name) => self.persist_made_up(name, fact(Suspect::Unknown(DRAWN))),
            Subject::Device(user, device) => {
                let Some(login) = self.at(*user).devices.get(device).map(|device| device.login) else {
                    return record;
                };
                let standing = Some(DeviceStanding { login: LoginNumber(login), count, locked_until });
                let user = self.name(*user).clone();
                self.persist_fact(Fact::Device { user, device: *device, standing })
            }
        };
        self.change_guesses(subject, |guesses| guesses.record = record);
        record
    }

    pub(super) fn address_locked_secs(&self, from: SocketAddr) -> Option<u64> {
        let (count, since) = self.addresses.get(&limited_address(from)?)?;
        let until = later(*since, self.settings.block_duration_secs);
        let limit = self.settings.failures_per_address;
        (limit > 0 && *count >= limit && until > self.now).then(|| self.now.seconds_until(until))
    }

    pub(super) fn count_address_failure(&mut self, from: SocketAddr) {
        let Some(ip) = limited_address(from) else { return };
        let (now, window) = (self.now, self.settings.block_duration_secs);
        let failures = self.addresses.entry(ip).or_insert((0, now));
        if later(failures.1, window) <= now {
            *failures = (0, now);
        }
        failures.0 += 1;
    }

    /// The account of a made-up name has just been made.
    pub(super) fn forget_made_up(&mut self, name: &str) {
        let subject = Subject::MadeUp(name.to_string());
        if self.made_up.contains_key(name) {
            self.change_guesses(&subject, Guesses::begin_anew);
            self.settle_place(&subject);
        }
    }

    /// Wrong passwords on one link, where names are not locked.
    pub(super) fn tries_left_on_link(&mut self, id: LinkId, tries: u32) -> u32 {
        self.links.get_mut(&id).map_or(0, |link| {
            link.failures += 1;
            tries.saturating_sub(link.failures)
        })
    }
}
