//! Locks: an independent count of wrong passwords for each name, over links, lives and races.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Call, Check, Verdict, rule, words};
use crate::record::{Fact, Record, RecordNumber, Suspect};
use crate::server::Settings;
use crate::sim::trace::SeenVerdict;
use crate::time::Time;
use crate::wire::Refusal;
use crate::words::{LinkId, Ticket};

/// Tries on one link where names are not locked.
const TRIES_A_LINK: u32 = 3;

/// What is known of all names.
#[derive(Debug, Default)]
pub(in crate::sim) struct Locks {
    names: BTreeMap<String, Lock>,
    attempts: Vec<Attempt>,
    /// Links that may try again, by what they were told in this call.
    answered: Vec<LinkId>,
    /// Duration, attempts, whether attempts extend a lock.
    rules: (u64, u32, bool),
}

#[derive(Debug, Default)]
struct Lock {
    count: u32,
    verifying: u32,
    /// Surely locked until; perhaps locked until.
    locked: Option<(Time, Time)>,
    /// The first record of the lock, and until when it says.
    locked_by: (RecordNumber, Time),
    /// What was counted may have been lost, or counted otherwise.
    shaky: bool,
    /// Verdicts since that is so, and how often it was.
    judged: u32,
    shakes: u32,
    last_record: RecordNumber,
}

/// A password on its way to a decision.
#[derive(Debug)]
struct Attempt {
    link: LinkId,
    name: String,
    password: String,
    at: Time,
    registers: bool,
    /// It is a name alone: it is answered and decides nothing.
    asks: bool,
    ticket: Option<Ticket>,
    /// It is being hashed for a new account.
    hashing: bool,
    expected: Option<Outcome>,
    /// The count of its name was not known when it came.
    doubtful: bool,
    /// The file was read again while its password was compared: with another line it may be `busy`.
    overtaken: bool,
    /// The record that counts its failure.
    record: Option<RecordNumber>,
    failed: bool,
    /// Its verdict is known, and how often its name's count had been shaken by then.
    judged: bool,
    shakes: u32,
    /// The lock that it met, or made.
    met: Option<(Time, Time)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Left(u32),
    Locked,
    In,
    Busy,
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

    pub(super) fn store_refused(&mut self) {
        for lock in self.names.values_mut() {
            lock.last_record = RecordNumber(u64::MAX);
            lock.locked_by.0 = RecordNumber(0);
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
    /// The count of a name whose account came or went began anew, or will.
    pub(super) fn odd_names_are_shaky(&mut self) {
        for known in self.model.users.iter().filter(|known| known.odd) {
            if let Some(lock) = self.locks.names.get_mut(&known.name) {
                lock.shake();
            }
        }
    }

    /// Whether names are locked at all.
    fn names_lock(&self) -> bool {
        self.model.settings.block_duration_secs > 0 && self.model.settings.lock_attempts > 0
    }

    /// A password reaches the server.
    pub(super) fn attempt(&mut self, link: LinkId, name: &str, password: Option<&str>, registers: bool) {
        let member = self.links.seen.get(&link).is_none_or(|seen| seen.user.is_some());
        if member {
            return;
        }
        let asks = password.is_none() || crate::words::Name::new(name).is_err();
        self.locks.attempts.push(Attempt {
            link,
            name: name.to_string(),
            password: password.unwrap_or("").to_string(),
            at: self.now,
            registers,
            asks,
            ticket: None,
            hashing: false,
            expected: None,
            doubtful: self.locks.names.get(name).is_some_and(|lock| lock.shaky),
            overtaken: false,
            record: None,
            failed: false,
            judged: false,
            shakes: 0,
            met: self
                .locks
                .names
                .get(name)
                .and_then(|lock| lock.locked)
                .filter(|(_, perhaps)| *perhaps > self.now),
        });
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
        let odd = self.model.find(&name).is_some_and(|user| self.model.users[user].odd);
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

    /// Which attempt a password is of. Most are typed but once; the others are told apart by the call:
    /// it goes on with the lines of its own link, and with those who wait for its name.
    fn attempt_of(&self, password: &[u8]) -> Option<usize> {
        let open = &self.links.seen;
        let all = &self.locks.attempts;
        let typed = |attempt: &&Attempt| {
            attempt.ticket.is_none()
                && !attempt.asks
                && attempt.password.as_bytes() == password
                && open.contains_key(&attempt.link)
        };
        let decided = match self.call {
            Call::Verified(ticket) => all.iter().find(|attempt| attempt.ticket == Some(ticket)),
            _ => None,
        };
        let near = |attempt: &Attempt| {
            self.call == Call::Received(attempt.link)
                || decided.is_some_and(|decided| decided.link == attempt.link || decided.name == attempt.name)
        };
        let place = all.iter().position(|attempt| typed(&attempt) && near(attempt));
        place.or_else(|| all.iter().position(|attempt| typed(&attempt)))
    }

    pub(super) fn verified(&mut self, ticket: Ticket, verdict: SeenVerdict) -> Verdict {
        let (locks, most) = (self.names_lock(), self.model.settings.lock_attempts);
        let until = Time(self.now.0 + self.model.settings.block_duration_secs * 1_000_000);
        let Some(attempt) = self.locks.attempts.iter_mut().find(|attempt| attempt.ticket == Some(ticket))
        else {
            return Ok(());
        };
        let odd = self.model.find(&attempt.name).is_some_and(|user| self.model.users[user].odd);
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

    /// The link that a call is about whose login it decides.
    pub(super) fn link_of_ticket(&self, ticket: Ticket) -> Option<LinkId> {
        self.tickets.get(&ticket).copied()
    }

    /// A link registers a new name: the one whose lines are read, unless it goes on with older ones.
    pub(super) fn hash_asked(&mut self) {
        let Call::Received(link) = self.call else { return };
        let waits = |attempt: &&mut Attempt| {
            attempt.link == link && attempt.registers && attempt.ticket.is_none() && !attempt.hashing
        };
        if let Some(attempt) = self.locks.attempts.iter_mut().find(waits) {
            attempt.hashing = true;
        }
    }

    /// A link on which a name is being registered.
    pub(super) fn link_registering(&self, name: &str) -> Option<LinkId> {
        let open = &self.links.seen;
        // One that goes on has been refused, and may not have been told yet.
        let waits = |link: &LinkId| open.get(link).is_some_and(|seen| seen.user.is_none() && seen.paused);
        let fits = |attempt: &&Attempt| {
            attempt.registers && attempt.name == name && attempt.ticket.is_none() && waits(&attempt.link)
        };
        let fitting = || self.locks.attempts.iter().filter(fits);
        let surely = fitting().find(|attempt| attempt.hashing);
        surely.or_else(|| fitting().next()).map(|attempt| attempt.link)
    }

    /// The oldest attempt of a link.
    fn take_attempt(&mut self, link: LinkId) -> Option<Attempt> {
        let attempts = &mut self.locks.attempts;
        let place = attempts.iter().position(|attempt| attempt.link == link)?;
        Some(attempts.remove(place))
    }

    /// A name was answered without a decision about its password: it is new, or none, or came alone.
    pub(super) fn name_answered(&mut self, link: LinkId) {
        let first = self.locks.attempts.iter().position(|attempt| attempt.link == link);
        if let Some(place) = first.filter(|place| self.locks.attempts[*place].ticket.is_none()) {
            self.locks.attempts.remove(place);
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
        if refusal == Refusal::Stale {
            self.tokens.refused(link);
        }
        if matches!(refusal, Refusal::BadName | Refusal::Stale) {
            return Ok(());
        }
        let Some(attempt) = self.take_attempt(link) else { return Ok(()) };
        let from = self.links.seen.get(&link).and_then(|seen| seen.from);
        let limited = from.is_some_and(|from| !from.ip().is_loopback());
        let name = attempt.name.as_str();
        let odd = self.model.find(name).is_some_and(|user| self.model.users[user].odd);
        let extends = self.model.settings.lock_extend;
        let duration = self.model.settings.block_duration_secs * 1_000_000;
        let now = self.now;
        let lock = self.locks.names.entry(attempt.name.clone()).or_default();
        let unjudged = attempt.doubtful || (attempt.ticket.is_some() && attempt.expected.is_none());
        if attempt.registers || lock.shaky || unjudged || odd {
            let is_last = lock.judged == 1 && attempt.shakes == lock.shakes;
            if lock.shaky && is_last && !odd && attempt.at > self.settled_at {
                resync(lock, refusal, self.model.settings.lock_attempts);
            }
            return Ok(());
        }
        let fits = match (refusal, attempt.expected) {
            (Refusal::InvalidCredentials { attempts_left }, Some(Outcome::Left(left))) => {
                attempts_left == left
            }
            (Refusal::AlreadyOnline, Some(Outcome::In)) => true,
            // He and others have failed too often from there meanwhile.
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
            !told || extends || locked != attempt.met || by <= self.model.committed,
            "a lock is told when it is durable",
            "{name} is told to be locked, {by:?} is not durable"
        );
        self.failure_is_durable(&attempt)
    }

    /// Who was told to try again can do so: his link is read on, but for what he has typed ahead.
    pub(super) fn who_was_answered_is_read(&mut self) -> Verdict {
        for link in core::mem::take(&mut self.locks.answered) {
            let paused = self.links.seen.get(&link).is_some_and(|seen| seen.paused);
            let ahead = self.locks.attempts.iter().any(|attempt| attempt.link == link);
            let hurried = !self.is_unhurried();
            rule!(self, !paused || ahead || hurried, "who may try again is read", "{link:?} is left unread");
        }
        // Nobody hears any more what became of the others.
        let open = &self.links.seen;
        let waits = |attempt: &Attempt| attempt.ticket.is_some() && !attempt.judged;
        self.locks.attempts.retain(|attempt| open.contains_key(&attempt.link) || waits(attempt));
        Ok(())
    }

    /// Who waits for a try at a name has somebody to wait for.
    pub(super) fn who_waits_to_try_will(&self) -> Verdict {
        if self.locks.attempts.is_empty() || !self.is_at_rest() {
            return Ok(());
        }
        let attempts = &self.locks.attempts;
        let waits = |place: usize, attempt: &Attempt| {
            let seen = self.links.seen.get(&attempt.link);
            seen.is_some_and(|seen| seen.paused && seen.user.is_none())
                && attempt.ticket.is_none()
                && !attempt.asks
                && !attempt.registers
                && attempts[..place].iter().all(|before| before.link != attempt.link)
        };
        for (_, attempt) in attempts.iter().enumerate().filter(|(place, attempt)| waits(*place, attempt)) {
            let under_way = |other: &Attempt| other.ticket.is_some() && !other.judged;
            let awaited = attempts.iter().any(|other| other.name == attempt.name && under_way(other));
            rule!(
                self,
                awaited,
                "who waits for a try has somebody to wait for",
                "{:?} waits to try {}",
                attempt.link,
                attempt.name
            );
        }
        Ok(())
    }

    /// A failure was told: its record must be durable, unless the store refuses.
    fn failure_is_durable(&self, attempt: &Attempt) -> Verdict {
        if !attempt.failed || !self.names_lock() {
            return Ok(());
        }
        let Some(record) = attempt.record else {
            rule!(self, false, "failures are recorded", "{}", attempt.name);
            return Ok(());
        };
        rule!(
            self,
            record <= self.model.committed || self.refused_at >= attempt.at,
            "nothing before its record",
            "a failure of {} is told, {record:?} is not durable",
            attempt.name
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
