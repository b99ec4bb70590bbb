//! Locks: an independent count of wrong passwords for each name, over links, lives and races.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::attempts::{Attempt, Outcome};
use super::{Call, Check, Verdict, rule, words};
use crate::record::{Fact, Record, RecordNumber, Suspect};
use crate::server::Settings;
use crate::sim::known::Account;
use crate::sim::trace::SeenVerdict;
use crate::time::Time;
use crate::wire::Refusal;
use crate::words::{LinkId, Ticket};

/// Facts of one account under way at which nobody is let in under its name (PROTOCOL.md R13).
const FACTS_OF_ONE: usize = 16;
/// Tries on one link where names are not locked.
const TRIES_A_LINK: u32 = 3;

/// What is known of all names.
#[derive(Debug, Default)]
pub(in crate::sim) struct Locks {
    pub(super) names: BTreeMap<String, Lock>,
    pub(super) attempts: Vec<Attempt>,
    /// Links that may try again, by what they were told in this call.
    pub(super) answered: Vec<LinkId>,
    /// Duration, attempts, whether attempts extend a lock.
    rules: (u64, u32, bool),
}

#[derive(Debug, Default)]
pub(super) struct Lock {
    count: u32,
    verifying: u32,
    /// Surely locked until; perhaps locked until.
    pub(super) locked: Option<(Time, Time)>,
    /// The first record of the lock, and until when it says.
    locked_by: (RecordNumber, Time),
    /// What was counted may have been lost, or counted otherwise.
    pub(super) shaky: bool,
    /// Verdicts since that is so, and how often it was.
    judged: u32,
    shakes: u32,
    last_record: RecordNumber,
}

impl Lock {
    fn shake(&mut self) {
        self.shaky = true;
        self.judged = 0;
        self.shakes += 1;
    }
}

impl Locks {
    /// A count that began under other rules is not judged.
    pub(super) fn settings_changed(&mut self, settings: &Settings) {
        let rules = (settings.block_duration_secs, settings.lock_attempts, settings.lock_extend);
        if core::mem::replace(&mut self.rules, rules) == rules {
            return;
        }
        self.names.values_mut().for_each(Lock::shake);
        self.attempts.iter_mut().for_each(|attempt| attempt.doubtful = true);
    }

    /// The credentials file is read again.
    pub(super) fn file_read(&mut self) {
        self.attempts.iter_mut().for_each(|attempt| attempt.overtaken |= attempt.ticket.is_some());
    }

    /// What was counted stays, and a crash loses it until it is written again.
    pub(super) fn store_refused(&mut self, from: RecordNumber) {
        for lock in self.names.values_mut().filter(|lock| lock.last_record >= from) {
            lock.last_record = RecordNumber(u64::MAX);
        }
    }

    pub(super) fn server_gone(&mut self, survived: RecordNumber) {
        self.attempts.clear();
        self.answered.clear();
        for lock in self.names.values_mut() {
            if lock.last_record > survived {
                lock.shake();
            }
            lock.verifying = 0;
            lock.last_record = RecordNumber(0);
            lock.locked_by.0 = RecordNumber(0);
        }
    }
}

impl Check {
    /// The count of a name whose account came or went began again at zero, or will.
    pub(super) fn odd_names_are_shaky(&mut self) {
        for known in self.model.users.iter().filter(|known| known.strange) {
            if let Some(lock) = self.locks.names.get_mut(&known.name) {
                lock.shake();
            }
        }
    }

    /// Whether names are locked at all.
    fn names_lock(&self) -> bool {
        self.model.settings.block_duration_secs > 0 && self.model.settings.lock_attempts > 0
    }

    pub(super) fn verify_asked(&mut self, ticket: Ticket, password: &[u8]) -> Verdict {
        let (locks, most) = (self.names_lock(), self.model.settings.lock_attempts);
        let place = self.attempt_of(password);
        let Some(attempt) = place.and_then(|place| self.locks.attempts.get_mut(place)) else {
            rule!(self, false, "nothing is verified that nobody typed", "{}", words(password));
            return Ok(());
        };
        attempt.ticket = Some(ticket);
        self.tickets.insert(ticket, attempt.link);
        let name = attempt.name.clone();
        let odd = self.model.find(&name).is_some_and(|user| self.model.users[user].strange);
        let lock = self.locks.names.entry(name.clone()).or_default();
        lock.shaky |= odd;
        if let Some((surely, _)) = lock.locked {
            rule!(
                self,
                lock.shaky || !locks || surely <= self.now,
                "no verification during a lock",
                "{name} is locked until {}",
                surely.0
            );
            lock.locked = None;
            lock.count = 0;
        }
        lock.verifying += 1;
        rule!(
            self,
            lock.shaky || !locks || lock.count + lock.verifying <= most,
            "never more verifications than tries",
            "{name}: {} failed, {} under way",
            lock.count,
            lock.verifying
        );
        Ok(())
    }

    pub(super) fn verified(&mut self, ticket: Ticket, verdict: SeenVerdict) -> Verdict {
        let (locks, most) = (self.names_lock(), self.model.settings.lock_attempts);
        let until = Time(self.now.0 + self.model.settings.block_duration_secs * 1_000_000);
        let Some(attempt) = self.locks.attempts.iter_mut().find(|attempt| attempt.ticket == Some(ticket))
        else {
            return Ok(());
        };
        let odd = self.model.find(&attempt.name).is_some_and(|user| self.model.users[user].strange);
        let lock = self.locks.names.entry(attempt.name.clone()).or_default();
        lock.verifying = lock.verifying.saturating_sub(1);
        lock.judged += 1;
        let outcome = match verdict {
            SeenVerdict::Overloaded => Outcome::Busy,
            SeenVerdict::Right if lock.locked.is_some_and(|(surely, _)| surely > self.now) => Outcome::Locked,
            SeenVerdict::Right => {
                lock.count = 0;
                if attempt.overtaken {
                    lock.shake();
                }
                if let Some(seen) = self.links.seen.get_mut(&attempt.link).filter(|_| odd) {
                    // If the account is gone by now, it was a failure.
                    seen.failures_blurred = true;
                }
                Outcome::In
            }
            SeenVerdict::Wrong if locks => {
                lock.count += 1;
                if lock.count >= most {
                    lock.locked = Some((until, until));
                    Outcome::Locked
                } else {
                    Outcome::Left(most - lock.count)
                }
            }
            SeenVerdict::Wrong => {
                let failures = self.links.seen.get_mut(&attempt.link).map_or(0, |seen| {
                    seen.failures += 1;
                    seen.failures
                });
                Outcome::Left(TRIES_A_LINK.saturating_sub(failures))
            }
        };
        attempt.judged = true;
        attempt.shakes = lock.shakes;
        attempt.failed = verdict == SeenVerdict::Wrong;
        let blurred = !locks && self.links.seen.get(&attempt.link).is_some_and(|seen| seen.failures_blurred);
        attempt.expected = (!lock.shaky && !blurred).then_some(outcome);
        let (name, locked) = (attempt.name.clone(), lock.locked);
        if outcome == Outcome::Locked {
            // Not a lock that it met when it came and that was over when it was looked at.
            attempt.met = locked;
            for attempt in self.locks.attempts.iter_mut().filter(|attempt| attempt.name == name) {
                attempt.met = attempt.met.or(locked);
            }
        }
        Ok(())
    }

    pub(super) fn lock_record(&mut self, number: RecordNumber, record: &Record) {
        let Record::Fact(Fact::Failures { suspect, locked_until, .. }) = record else { return };
        let Call::Verified(ticket) = self.call else {
            if let Suspect::Account(name) = suspect
                && let Some(lock) = self.locks.names.get_mut(name.as_str())
            {
                lock.last_record = number;
            }
            return;
        };
        let mut attempts = self.locks.attempts.iter_mut();
        let Some(attempt) = attempts.find(|attempt| attempt.ticket == Some(ticket)) else { return };
        attempt.record.get_or_insert(number);
        if let Some(lock) = self.locks.names.get_mut(&attempt.name) {
            lock.last_record = number;
            if let Some(until) = locked_until.filter(|until| *until != lock.locked_by.1) {
                lock.locked_by = (number, until);
            }
        }
    }

    /// A link is let in.
    pub(super) fn admitted(&mut self, link: LinkId) -> Verdict {
        let Some(attempt) = self.take_attempt(link) else { return Ok(()) };
        let fits = attempt.expected.is_none_or(|expected| expected == Outcome::In);
        rule!(self, fits, "only a right password lets in", "{}: {:?}", attempt.name, attempt.expected);
        Ok(())
    }

    /// A login was refused: the reason must be the right one.
    pub(super) fn login_refused(&mut self, link: LinkId, refusal: Refusal) -> Verdict {
        if refusal == Refusal::BadName {
            self.name_answered(link);
        }
        if !matches!(refusal, Refusal::LockedOut { .. } | Refusal::InvalidCredentials { attempts_left: 0 }) {
            self.locks.answered.push(link);
        }
        if matches!(refusal, Refusal::Stale | Refusal::Busy) {
            self.tokens.refused(link);
        }
        if matches!(refusal, Refusal::BadName | Refusal::Stale) {
            return Ok(());
        }
        let Some(attempt) = self.take_attempt(link) else { return Ok(()) };
        if refusal == Refusal::NameTaken {
            return self.name_is_taken(&attempt);
        }
        self.refusal_is_true(&attempt, refusal)
    }

    /// Who wants to make an account was told that there is one.
    fn name_is_taken(&mut self, attempt: &Attempt) -> Verdict {
        let name = attempt.name.as_str();
        let taken = self.at_some_point(|check| {
            check.model.find(name).is_some_and(|user| check.model.users[user].account != Account::Absent)
        });
        rule!(
            self,
            taken && attempt.registers,
            "a name is taken by somebody",
            "{name} on {:?}",
            attempt.link
        );
        Ok(())
    }

    /// A password was refused: for the reason that the count of its name gives.
    fn refusal_is_true(&mut self, attempt: &Attempt, refusal: Refusal) -> Verdict {
        let from = self.links.seen.get(&attempt.link).and_then(|seen| seen.from);
        let limited = from.is_some_and(|from| !from.ip().is_loopback());
        let name = attempt.name.as_str();
        let odd = self.model.find(name).is_some_and(|user| self.model.users[user].strange);
        let extends = self.model.settings.lock_extend;
        let duration = self.model.settings.block_duration_secs * 1_000_000;
        let now = self.now;
        let coming = self.is_coming(name);
        let stands = self.model.find(name).is_some_and(|user| self.model.users[user].session.is_some());
        let lock = self.locks.names.entry(attempt.name.clone()).or_default();
        let unjudged = attempt.doubtful || (attempt.ticket.is_some() && attempt.expected.is_none());
        if attempt.registers || lock.shaky || unjudged || odd {
            let is_last = lock.judged == 1 && attempt.shakes == lock.shakes;
            if lock.shaky && is_last && !odd && attempt.at > self.settled_at {
                resync(lock, refusal, self.model.settings.lock_attempts);
            }
            return Ok(());
        }
        let behind = self.model.facts_under_way(&attempt.name) >= FACTS_OF_ONE;
        let fits = match (refusal, attempt.expected) {
            (Refusal::InvalidCredentials { attempts_left }, Some(Outcome::Left(left))) => {
                attempts_left == left
            }
            (Refusal::AlreadyOnline, Some(Outcome::In)) => stands,
            (Refusal::Busy, Some(Outcome::In)) => coming || behind,
            // Too many have failed from there meanwhile.
            (Refusal::LockedOut { .. }, Some(Outcome::In | Outcome::Left(_))) => limited,
            (Refusal::Busy, Some(Outcome::Busy)) => true,
            (Refusal::Busy, None) => attempt.ticket.is_none(),
            (Refusal::LockedOut { retry_after_secs }, Some(Outcome::Locked) | None) => {
                let (surely, perhaps) = attempt.met.or(lock.locked).unwrap_or((Time::ZERO, Time::ZERO));
                let least = now.seconds_until(surely);
                let most = attempt.at.seconds_until(perhaps);
                let in_time = retry_after_secs >= least && (1..=most).contains(&retry_after_secs);
                if extends && perhaps > attempt.at && lock.locked.is_some() {
                    lock.locked = Some((surely, Time(now.0 + duration)));
                }
                in_time || limited || extends
            }
            _ => false,
        };
        let (count, locked, by) = (lock.count, lock.locked, lock.locked_by.0);
        let told = matches!(refusal, Refusal::LockedOut { .. }) && attempt.ticket.is_none() && !limited;
        rule!(
            self,
            fits,
            "a refusal tells the truth about the lock",
            "{name}: {refusal:?}, should be {:?} ({count} failed, locked {locked:?}, tried at {})",
            attempt.expected,
            attempt.at.0
        );
        rule!(
            self,
            !told || extends || locked != attempt.met || self.is_settled(by),
            "a lock is told when it is durable",
            "{name} is told to be locked, {by:?} is not durable"
        );
        self.failure_is_durable(attempt)
    }

    /// A failure was told: its record is durable, or was refused.
    fn failure_is_durable(&mut self, attempt: &Attempt) -> Verdict {
        if !attempt.failed || !self.names_lock() {
            return Ok(());
        }
        let name = &attempt.name;
        let Some(record) = attempt.record else {
            rule!(self, false, "failures are recorded", "{name}");
            return Ok(());
        };
        let known = self.is_settled(record);
        rule!(
            self,
            known,
            "nothing before its record",
            "a failure of {name} is told, {record:?} is not durable"
        );
        Ok(())
    }
}

/// What a refusal tells of a lock whose count was unknown.
fn resync(lock: &mut Lock, refusal: Refusal, most: u32) {
    if let Refusal::InvalidCredentials { attempts_left } = refusal
        && most > 0
        && lock.verifying == 0
    {
        lock.count = most.saturating_sub(attempts_left);
        lock.locked = None;
        lock.shaky = false;
    }
}
