//! Counting wrong passwords, for names and for addresses (features 1.3, R14).

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use core::net::SocketAddr;

use super::links::limited_address;
use super::papers::DRAWN;
use super::{Server, User, later};
use crate::record::{Fact, RecordNumber, Suspect};
use crate::time::Time;
use crate::words::LinkId;

/// Made-up names that are remembered (R40).
const MADE_UP: usize = 10_000;

/// Whose guesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    Account(User),
    MadeUp(String),
}

/// The guesses at one name.
#[derive(Debug, Clone, Default)]
pub(super) struct Guesses {
    pub(super) count: u32,
    pub(super) locked_until: Option<Time>,
    pub(super) since_login: u32,
    pub(super) record: RecordNumber,
    pub(super) comparing: u32,
    /// Attempts that wait for those under way, with what was typed.
    pub(super) waiting: VecDeque<(LinkId, String)>,
}

impl Guesses {
    /// The account comes or goes: counting begins at zero, and who waits is answered all the same.
    pub(super) fn begin_anew(&mut self) {
        let waiting = core::mem::take(&mut self.waiting);
        *self = Guesses { comparing: self.comparing, waiting, ..Guesses::default() };
    }

    pub(super) fn is_idle(&self) -> bool {
        self.comparing == 0 && self.waiting.is_empty()
    }
}

impl Server {
    pub(super) fn subject(&self, name: &str) -> Subject {
        self.find_open(name).map_or_else(|| Subject::MadeUp(name.to_string()), Subject::Account)
    }

    pub(super) fn guesses(&mut self, subject: &Subject) -> &mut Guesses {
        match subject {
            Subject::Account(user) => &mut self.at_mut(*user).guesses,
            Subject::MadeUp(name) => {
                if !self.made_up.contains_key(name) {
                    self.make_room_for_made_up();
                    self.made_up_by_age.push_back(name.clone());
                }
                self.made_up.entry(name.clone()).or_default()
            }
        }
    }

    /// R40: the oldest made-up name is forgotten, on the disk too; not one whose password is being compared.
    fn make_room_for_made_up(&mut self) {
        if self.made_up_by_age.len() < MADE_UP {
            return;
        }
        let idle = |name: &String| self.made_up.get(name).is_none_or(Guesses::is_idle);
        let oldest = self.made_up_by_age.iter().position(idle);
        let Some(name) = oldest.and_then(|oldest| self.made_up_by_age.remove(oldest)) else { return };
        if self.made_up.remove(&name).is_some_and(|guesses| guesses.count > 0) {
            let suspect = Suspect::Unknown(DRAWN);
            let fact = Fact::Failures { suspect, count: 0, locked_until: None, since_login: 0 };
            self.persist_made_up(&name, fact);
        }
    }

    /// Seconds for which a name is locked still; a lock that is over makes counting begin at zero.
    pub(super) fn locked_secs(&mut self, subject: &Subject) -> Option<u64> {
        let now = self.now;
        let guesses = self.guesses(subject);
        let until = guesses.locked_until?;
        if until > now {
            return Some(now.seconds_until(until));
        }
        (guesses.locked_until, guesses.count) = (None, 0);
        None
    }

    /// An attempt during a lock.
    pub(super) fn extend_lock(&mut self, subject: &Subject) -> (u64, RecordNumber) {
        if self.settings.lock_extend {
            let until = later(self.now, self.settings.block_duration_secs);
            self.guesses(subject).locked_until = Some(until);
            let record = self.persist_guesses(subject);
            return (self.now.seconds_until(until), record);
        }
        (self.locked_secs(subject).unwrap_or(0), self.guesses(subject).record)
    }

    pub(super) const fn locks(&self) -> bool {
        self.settings.block_duration_secs > 0 && self.settings.lock_attempts > 0
    }

    /// Whether those under way may use up all tries.
    pub(super) fn tries_are_taken(&mut self, subject: &Subject) -> bool {
        let (locks, attempts) = (self.locks(), self.settings.lock_attempts);
        let guesses = self.guesses(subject);
        locks && guesses.comparing > 0 && guesses.count + guesses.comparing >= attempts
    }

    pub(super) fn count_failure(
        &mut self,
        subject: &Subject,
        from: SocketAddr,
    ) -> (RecordNumber, Option<u64>) {
        self.count_address_failure(from);
        let until = later(self.now, self.settings.block_duration_secs);
        let (locks, attempts) = (self.locks(), self.settings.lock_attempts);
        let guesses = self.guesses(subject);
        guesses.count += 1;
        guesses.since_login += 1;
        let locked = locks && guesses.count >= attempts;
        if locked {
            guesses.locked_until = Some(until);
        }
        let record = self.persist_guesses(subject);
        (record, locked.then(|| self.now.seconds_until(until)))
    }

    /// A right password; the failures since the login before. They are told once.
    pub(super) fn forgive(&mut self, subject: &Subject, login: bool) -> u32 {
        let guesses = self.guesses(subject);
        let since_login = guesses.since_login;
        if guesses.count > 0 || login && since_login > 0 {
            (guesses.count, guesses.locked_until) = (0, None);
            if login {
                guesses.since_login = 0;
            }
            self.persist_guesses(subject);
        }
        since_login
    }

    /// Failures that a login was to be told of, which was cut off before (R15).
    pub(super) fn leave_to_next_login(&mut self, user: User, failed: u32) {
        if failed > 0 {
            let subject = Subject::Account(user);
            self.guesses(&subject).since_login += failed;
            self.persist_guesses(&subject);
        }
    }

    fn persist_guesses(&mut self, subject: &Subject) -> RecordNumber {
        let guesses = self.guesses(subject).clone();
        let Guesses { count, locked_until, since_login, .. } = guesses;
        let fact = |suspect| Fact::Failures { suspect, count, locked_until, since_login };
        let record = match subject {
            // Nothing of an account that is gone is left to the next of its name.
            Subject::Account(user) if self.at(*user).is_gone() => return guesses.record,
            Subject::Account(user) => {
                let name = self.name(*user).clone();
                self.persist_fact(fact(Suspect::Account(name)))
            }
            Subject::MadeUp(name) => self.persist_made_up(name, fact(Suspect::Unknown(DRAWN))),
        };
        self.guesses(subject).record = record;
        record
    }

    pub(super) fn address_locked_secs(&self, from: SocketAddr) -> Option<u64> {
        let (count, since) = self.addresses.get(&limited_address(from)?)?;
        let until = later(*since, self.settings.block_duration_secs);
        let limit = self.settings.failures_per_address;
        (limit > 0 && *count >= limit && until > self.now).then(|| self.now.seconds_until(until))
    }

    fn count_address_failure(&mut self, from: SocketAddr) {
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
        let Some(guesses) = self.made_up.get_mut(name) else { return };
        if guesses.is_idle() {
            self.made_up.remove(name);
            self.made_up_by_age.retain(|known| known != name);
        } else {
            guesses.begin_anew();
        }
    }
}
