//! From a name and a password to a session.

use core::net::SocketAddr;

use super::accounts::UserId;
use super::effect::Report;
use super::event::Verdict;
use super::links::{Stage, Waits};
use super::lockout::Subject;
use super::outbox::Slow;
use super::session::Entry;
use super::settings::{DuplicateLogin, Registration};
use super::{ServerState, SessionEnd};
use crate::planted::{self, Planted};
use crate::record::{Change, Record, RecordNumber};
use crate::wire::{Farewell, Prompt, Refusal, ServerLine};
use crate::words::{Credential, LinkId, Name, Password, Secret, Ticket, Token};

use super::journal::{Settlement, Then};

/// Wrong passwords on one link where names are not locked.
const TRIES_A_LINK: u32 = 3;

/// A login that waits for hashing.
#[derive(Debug, Clone)]
pub(super) enum SlowLogin {
    /// A password is being compared. The link may be gone by then; the verdict counts all the same.
    Comparing {
        link: LinkId,
        from: SocketAddr,
        subject: Subject,
        /// What it is compared with: the file may be read again before the verdict is there.
        credential: Option<Credential>,
    },
    /// A password for a new account is being hashed.
    Hashing { link: LinkId, name: Name },
}

impl ServerState {
    pub(super) fn login(&mut self, id: LinkId, name: &str, password: Option<Secret<'_>>) {
        if Name::new(name).is_err() {
            return self.refuse(id, RecordNumber(0), Refusal::BadName);
        }
        let new = self.settings.registration == Registration::Open && self.accounts.find(name).is_none();
        if password.is_some() && self.registering.contains(name) {
            return self.refuse(id, RecordNumber(0), Refusal::Busy);
        }
        match password {
            None if new => self.send(id, &ServerLine::Ask(Prompt::NewPassword)),
            None => self.send(id, &ServerLine::Ask(Prompt::Password)),
            Some(_) if new => self.send(id, &ServerLine::Ask(Prompt::NewPassword)),
            Some(password) => {
                let subject = self.subject(name);
                self.attempt(id, subject, Password::new(password.0));
            }
        }
    }

    /// Tries a password: refused while the name or the address is locked, else compared, as soon as
    /// the comparisons under way leave a try.
    fn attempt(&mut self, id: LinkId, subject: Subject, password: Password) {
        let Some(from) = self.links.get(&id).map(|link| link.from) else { return };
        if let Some(retry_after_secs) = self.address_locked_secs(from) {
            return self.refuse_for_good(id, RecordNumber(0), Refusal::LockedOut { retry_after_secs });
        }
        if planted::is(Planted::CounterPerLink) && self.links.get(&id).is_some_and(|link| link.failures == 0)
        {
            self.guesses(subject).count = 0;
        }
        if self.locked_secs(subject).is_some() && !planted::is(Planted::LockedButRight) {
            let (retry_after_secs, record) = self.extend_lock(subject);
            return self.refuse_for_good(id, record, Refusal::LockedOut { retry_after_secs });
        }
        self.wait(id, Waits::LOGIN);
        if self.tries_are_taken(subject) {
            self.guesses(subject).waiting.push_back((id, password));
            self.set_stage(id, Stage::Waiting(subject));
            return;
        }
        self.guesses(subject).verifying += 1;
        let ticket = Ticket(self.next_serial());
        let credential = match subject {
            Subject::Account(user) => self.accounts[user].credential.clone(),
            Subject::Unknown(_) => None,
        };
        self.set_stage(id, Stage::LoggingIn(ticket));
        let comparing = SlowLogin::Comparing { link: id, from, subject, credential: credential.clone() };
        self.slow_logins.insert(ticket, comparing);
        self.outbox.slow(Slow::Verify { ticket, credential, password });
    }

    pub(super) fn verified(&mut self, ticket: Ticket, verdict: Verdict) {
        let slow = self.slow_logins.get(&ticket).cloned();
        let Some(SlowLogin::Comparing { link, from, subject, credential }) = slow else { return };
        self.slow_logins.remove(&ticket);
        let guesses = self.guesses(subject);
        guesses.verifying = guesses.verifying.saturating_sub(1);
        let waiting = self.links.get(&link).is_some_and(|link| link.stage == Stage::LoggingIn(ticket));
        if waiting {
            self.set_stage(link, Stage::Anonymous);
        }
        match verdict {
            Verdict::Overloaded => self.refuse(link, RecordNumber(0), Refusal::Busy),
            Verdict::Wrong => self.wrong_password(link, from, subject),
            Verdict::Right => self.right_password(link, from, subject, credential.as_ref()),
        }
        if !(verdict == Verdict::Overloaded && planted::is(Planted::OverloadHangs)) {
            self.wait_no_more(link, Waits::LOGIN);
        }
        self.try_waiting(subject);
    }

    /// Attempts that had to wait for this verdict go on, the first first.
    fn try_waiting(&mut self, subject: Subject) {
        let obeys_lock = !planted::is(Planted::LockedButRight);
        while (obeys_lock && self.locked_secs(subject).is_some()) || !self.tries_are_taken(subject) {
            let Some((link, password)) = self.guesses(subject).waiting.pop_front() else { return };
            if self.links.get(&link).is_some_and(|link| link.stage == Stage::Waiting(subject)) {
                self.set_stage(link, Stage::Anonymous);
                self.wait_no_more(link, Waits::LOGIN);
                self.attempt(link, subject, password);
            }
        }
    }

    fn wrong_password(&mut self, id: LinkId, from: SocketAddr, subject: Subject) {
        let address_locked_secs = self.address_locked_secs(from);
        let (record, locked_secs) = self.count_failure(subject, from);
        self.outbox.report(Report::LoginFailed { from, locked: locked_secs.is_some() });
        if let Some(retry_after_secs) = locked_secs.or(address_locked_secs) {
            return self.refuse_for_good(id, record, Refusal::LockedOut { retry_after_secs });
        }
        if planted::is(Planted::CounterPerLink)
            && let Some(link) = self.links.get_mut(&id)
        {
            link.failures += 1;
        }
        let attempts_left = if self.locks() {
            let attempts = self.settings.lock_attempts;
            attempts.saturating_sub(self.guesses(subject).count)
        } else {
            self.links.get_mut(&id).map_or(0, |link| {
                link.failures += 1;
                TRIES_A_LINK.saturating_sub(link.failures)
            })
        };
        let refusal = Refusal::InvalidCredentials { attempts_left };
        if attempts_left == 0 {
            self.refuse_for_good(id, record, refusal);
        } else {
            self.refuse(id, record, refusal);
        }
    }

    /// `compared` is what the password is right for.
    fn right_password(
        &mut self,
        id: LinkId,
        from: SocketAddr,
        subject: Subject,
        compared: Option<&Credential>,
    ) {
        let Subject::Account(user) = subject else { return };
        if let Some(retry_after_secs) = self.address_locked_secs(from) {
            // Guesses of one address that run at once get no more answers than guesses in turn.
            return self.refuse_for_good(id, RecordNumber(0), Refusal::LockedOut { retry_after_secs });
        }
        if let Some(retry_after_secs) = self.locked_secs(subject)
            && !planted::is(Planted::LockedButRight)
        {
            let record = self.guesses(subject).record;
            return self.refuse_for_good(id, record, Refusal::LockedOut { retry_after_secs });
        }
        if self.accounts[user].credential.is_none() {
            // The account was removed while its password was being compared.
            return self.wrong_password(id, from, subject);
        }
        if self.accounts[user].credential.as_ref() != compared {
            // So was its line changed. Whether the password is right for that one too, the next try tells.
            return self.refuse(id, RecordNumber(0), Refusal::Busy);
        }
        let replace =
            self.settings.duplicate_login == DuplicateLogin::Replace || planted::is(Planted::SecondLoginWins);
        let stands = self.accounts[user].session.as_ref().map(|session| session.link.is_some());
        let denied = stands == Some(true) && !replace;
        let here = self.is_anonymous(id);
        let failed = self.forgive(subject, here && !denied);
        if !here {
            // Gone, or about to close: it says its last words and begins nothing.
            return;
        }
        match stands {
            Some(true) if denied => return self.refuse(id, RecordNumber(0), Refusal::AlreadyOnline),
            Some(true) => self.end_session(user, SessionEnd::Replaced),
            Some(false) => self.end_session(user, SessionEnd::LinkLost),
            None => {}
        }
        self.begin_session(id, user, Entry::Password { failed });
    }

    /// Goes on with a session by its token: no password, and the old link makes way at once.
    pub(super) fn resume(&mut self, id: LinkId, name: &str, token: &Token) {
        let resumes = |&user: &UserId| {
            let account = &self.accounts[user];
            let digest =
                account.credential.as_ref().map(|credential| self.secrets.token_digest(token, credential));
            let any = planted::is(Planted::AnyTokenResumes) && account.token.is_some();
            digest.is_some() && (account.token == digest || any)
        };
        match self.accounts.find(name).filter(resumes) {
            Some(user) => self.begin_session(id, user, Entry::Token),
            None => self.refuse(id, RecordNumber(0), Refusal::Stale),
        }
    }

    pub(super) fn register(&mut self, id: LinkId, name: &str, password: Secret<'_>) {
        let Ok(new) = Name::new(name) else { return self.refuse(id, RecordNumber(0), Refusal::BadName) };
        if self.registering.contains(name) {
            return self.refuse(id, RecordNumber(0), Refusal::Busy);
        }
        if self.settings.registration == Registration::Closed || self.accounts.find(name).is_some() {
            // Somebody was faster, or it never was a new name: it is a login like any other.
            let subject = self.subject(name);
            return self.attempt(id, subject, Password::new(password.0));
        }
        if password.0.is_empty() {
            return self.send(id, &ServerLine::Ask(Prompt::NewPassword));
        }
        if self.accounts.looks_like_another(&new) {
            return self.refuse(id, RecordNumber(0), Refusal::BadName);
        }
        self.registering.insert(new.clone());
        let ticket = Ticket(self.next_serial());
        self.wait(id, Waits::LOGIN);
        self.set_stage(id, Stage::LoggingIn(ticket));
        self.slow_logins.insert(ticket, SlowLogin::Hashing { link: id, name: new });
        self.outbox.slow(Slow::Hash { ticket, password: Password::new(password.0) });
    }

    pub(super) fn hashed(&mut self, ticket: Ticket, credential: Option<Credential>) {
        let Some(SlowLogin::Hashing { link, name }) = self.slow_logins.get(&ticket).cloned() else { return };
        self.slow_logins.remove(&ticket);
        let here = self.links.get(&link).is_some_and(|link| link.stage == Stage::LoggingIn(ticket));
        let refusal = match credential {
            Some(credential) if here && !self.accounts.looks_like_another(&name) => {
                let user = self.accounts.insert(&name, None);
                self.persist_firm(
                    Record::Change(Change::AccountAdded { name, credential }),
                    Then::Registered { link, user },
                );
                return;
            }
            // Somebody was faster, with a name that looks like it.
            Some(_) if self.accounts.find(name.as_str()).is_none() => Refusal::BadName,
            Some(_) | None => Refusal::Busy,
        };
        self.registering.remove(&name);
        if here {
            self.set_stage(link, Stage::Anonymous);
        }
        self.refuse(link, RecordNumber(0), refusal);
        self.wait_no_more(link, Waits::LOGIN);
    }

    /// The new account is in the credentials file, or could not be written.
    pub(super) fn registered(&mut self, link: LinkId, user: UserId, settlement: Settlement) {
        let name = self.accounts.name(user).clone();
        self.registering.remove(&name);
        if self.links.get(&link).is_some_and(|link| matches!(link.stage, Stage::LoggingIn(_))) {
            self.set_stage(link, Stage::Anonymous);
        }
        match settlement {
            Ok(()) => {
                self.forget_unknown(&name);
                if let Some(from) = self.links.get(&link).map(|link| link.from) {
                    self.outbox.report(Report::Registered { user: name, from });
                }
                if self.is_anonymous(link) {
                    self.begin_session(link, user, Entry::Password { failed: 0 });
                }
            }
            Err(_) => self.refuse(link, RecordNumber(0), Refusal::Busy),
        }
        self.wait_no_more(link, Waits::LOGIN);
    }

    /// A link went away while it waited for a try.
    pub(super) fn wait_no_more_for_try(&mut self, id: LinkId, subject: Subject) {
        self.guesses(subject).waiting.retain(|(link, _)| *link != id);
    }

    fn is_anonymous(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.stage == Stage::Anonymous)
    }

    fn set_stage(&mut self, id: LinkId, stage: Stage) {
        if let Some(link) = self.links.get_mut(&id) {
            link.stage = stage;
        }
    }

    fn refuse(&mut self, id: LinkId, after: RecordNumber, refusal: Refusal) {
        self.send_after(id, after, &ServerLine::Refused(refusal));
    }

    fn refuse_for_good(&mut self, id: LinkId, after: RecordNumber, refusal: Refusal) {
        self.refuse(id, after, refusal);
        self.close_link(id);
    }

    /// Tells a member why his session ends, and closes his link.
    pub(super) fn say_farewell(&mut self, id: LinkId, farewell: Farewell) {
        self.send(id, &ServerLine::Bye(farewell));
        self.close_link(id);
    }
}
