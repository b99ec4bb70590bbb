//! Attempts: passwords on their way to a decision, each told apart from the others.

use alloc::string::{String, ToString};

use super::{Call, Check, Verdict, rule};
use crate::record::RecordNumber;
use crate::time::Time;
use crate::words::{LinkId, Ticket};

/// A password on its way to a decision.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) link: LinkId,
    pub(super) name: String,
    pub(super) password: String,
    pub(super) at: Time,
    pub(super) registers: bool,
    /// It is a name alone: it is answered and decides nothing.
    pub(super) asks: bool,
    pub(super) ticket: Option<Ticket>,
    /// It is being hashed for a new account.
    pub(super) hashing: bool,
    pub(super) expected: Option<Outcome>,
    /// The count of its name was not known when it came.
    pub(super) doubtful: bool,
    /// The file was read again while its password was compared: with another line it may be `busy`.
    pub(super) overtaken: bool,
    /// The record that counts its failure.
    pub(super) record: Option<RecordNumber>,
    pub(super) failed: bool,
    /// Its verdict is known, and how often its name's count had been shaken by then.
    pub(super) judged: bool,
    pub(super) shakes: u32,
    /// The lock that it met, or made.
    pub(super) met: Option<(Time, Time)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Left(u32),
    Locked,
    In,
    Busy,
}

impl Attempt {
    /// Whether its password is being compared.
    pub(super) const fn is_compared(&self) -> bool {
        self.ticket.is_some() && !self.judged
    }
}

impl Check {
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

    /// Which attempt a password is of. Most are typed but once; the others are told apart by the call:
    /// it goes on with the lines of its own link, and with those who wait for its name.
    pub(super) fn attempt_of(&self, password: &[u8]) -> Option<usize> {
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
        let waits = |link: &LinkId| open.get(link).is_some_and(|seen| seen.user.is_none());
        let fits = |attempt: &&Attempt| {
            attempt.registers && attempt.name == name && attempt.ticket.is_none() && waits(&attempt.link)
        };
        let fitting = || self.locks.attempts.iter().filter(fits);
        let surely = fitting().find(|attempt| attempt.hashing);
        surely.or_else(|| fitting().next()).map(|attempt| attempt.link)
    }

    /// A link whose password was right, and that has not been told so.
    pub(super) fn link_let_in(&self, name: &str) -> Option<LinkId> {
        let open = &self.links.seen;
        let waits = |link: &LinkId| open.get(link).is_some_and(|seen| seen.user.is_none());
        let right = |attempt: &&Attempt| {
            attempt.name == name && attempt.judged && !attempt.failed && waits(&attempt.link)
        };
        self.locks.attempts.iter().find(right).map(|attempt| attempt.link)
    }

    /// The oldest attempt of a link.
    pub(super) fn take_attempt(&mut self, link: LinkId) -> Option<Attempt> {
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

    /// Who was told to try again can do so: their link is read on, but for what they have typed ahead.
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
            seen.is_some_and(|seen| seen.user.is_none())
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
}
