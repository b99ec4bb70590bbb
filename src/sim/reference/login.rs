//! From a name and a password to a login that is decided (R12 to R14).

use alloc::format;
use alloc::string::String;
use core::net::SocketAddr;

use super::door::{Stage, waits};
use super::lane::{Decision, Wish};
use super::lockout::Subject;
use super::told::Ask;
use super::{Server, User};
use crate::record::{Change, RecordNumber};
use crate::server::settings::{DuplicateLogin, Registration};
use crate::sim::cast::meant;
use crate::sim::server_host::{HASHED, is_right};
use crate::sim::trace::SeenVerdict;
use crate::words::look_alike::{is_fit, skeleton};
use crate::words::{Credential, LinkId, Name};

/// Wrong passwords on one link where names are not locked.
const TRIES_A_LINK: u32 = 3;
const AT_ONCE: RecordNumber = RecordNumber(0);

impl Server {
    fn is_open(&self) -> bool {
        self.settings.registration == Registration::Open
    }

    /// Whether a name is being registered, or comes back.
    fn is_taken_up(&self, name: &str) -> bool {
        self.registering.contains(name) || self.purges.get(name).is_some_and(Option::is_some)
    }

    pub(super) fn login(&mut self, id: LinkId, name: &str, password: Option<String>) {
        if Name::new(name).is_err() {
            return self.refuse(id, AT_ONCE, "bad_name");
        }
        let new = self.is_open() && self.find_open(name).is_none();
        match password {
            Some(_) if self.is_taken_up(name) => self.refuse(id, AT_ONCE, "busy"),
            _ if new => self.ask(id, "new_password"),
            None => self.ask(id, "password"),
            Some(password) => {
                let subject = self.subject(name);
                self.attempt(id, subject, password);
            }
        }
    }

    fn attempt(&mut self, id: LinkId, subject: Subject, password: String) {
        let Some(from) = self.links.get(&id).map(|link| link.from) else { return };
        if let Some(seconds) = self.address_locked_secs(from) {
            return self.refuse_for_good(id, AT_ONCE, &format!("locked_out {seconds}"));
        }
        if self.locked_secs(&subject).is_some() {
            let (seconds, record) = self.extend_lock(&subject);
            return self.refuse_for_good(id, record, &format!("locked_out {seconds}"));
        }
        self.wait(id, waits::LOGIN);
        if self.tries_are_taken(&subject) {
            self.guesses(&subject).waiting.push_back((id, password));
            return self.set_stage(id, Stage::Queued(subject));
        }
        self.guesses(&subject).comparing += 1;
        let attempt = self.next_serial();
        let credential = match &subject {
            Subject::Account(user) => self.at(*user).credential.clone(),
            Subject::MadeUp(_) => None,
        };
        let right = credential.as_ref().is_some_and(|credential| is_right(credential, &password));
        self.set_stage(id, Stage::LoggingIn(attempt));
        self.expected.ask(Ask::Compare { attempt, link: id, from, subject, credential, right });
    }

    pub(super) fn verified(
        &mut self,
        attempt: u64,
        link: LinkId,
        from: SocketAddr,
        subject: &Subject,
        credential: Option<&Credential>,
        verdict: SeenVerdict,
    ) {
        self.guesses(subject).comparing -= 1;
        if self.stage(link) == Some(&Stage::LoggingIn(attempt)) {
            self.set_stage(link, Stage::Anonymous);
        }
        match (verdict, subject) {
            (SeenVerdict::Overloaded, _) => self.refuse(link, AT_ONCE, "busy"),
            (SeenVerdict::Right, Subject::Account(user)) => {
                self.right_password(link, from, *user, credential);
            }
            _ => self.wrong_password(link, from, subject),
        }
        self.read_on_if_refused(link);
        self.try_queued(subject);
        if let Subject::Account(user) = subject {
            self.may_purge(*user);
        }
    }

    fn read_on_if_refused(&mut self, id: LinkId) {
        if self.stage(id) == Some(&Stage::Anonymous) {
            self.wait_no_more(id, waits::LOGIN);
        }
    }

    /// Attempts that waited for this verdict go on, the first first.
    fn try_queued(&mut self, subject: &Subject) {
        while self.locked_secs(subject).is_some() || !self.tries_are_taken(subject) {
            let Some((link, password)) = self.guesses(subject).waiting.pop_front() else { return };
            if self.stage(link) == Some(&Stage::Queued(subject.clone())) {
                self.set_stage(link, Stage::Anonymous);
                self.attempt(link, subject.clone(), password);
                self.read_on_if_refused(link);
            }
        }
    }

    pub(super) fn leave_queue(&mut self, id: LinkId, subject: &Subject) {
        self.guesses(subject).waiting.retain(|(link, _)| *link != id);
    }

    fn wrong_password(&mut self, id: LinkId, from: SocketAddr, subject: &Subject) {
        let address_locked = self.address_locked_secs(from);
        let (record, locked) = self.count_failure(subject, from);
        if let Some(seconds) = locked.or(address_locked) {
            return self.refuse_for_good(id, record, &format!("locked_out {seconds}"));
        }
        let left = if self.locks() {
            self.settings.lock_attempts.saturating_sub(self.guesses(subject).count)
        } else {
            self.links.get_mut(&id).map_or(0, |link| {
                link.failures += 1;
                TRIES_A_LINK.saturating_sub(link.failures)
            })
        };
        let refusal = format!("invalid_credentials {left}");
        if left == 0 { self.refuse_for_good(id, record, &refusal) } else { self.refuse(id, record, &refusal) }
    }

    /// `compared` is what the password is right for.
    fn right_password(&mut self, id: LinkId, from: SocketAddr, user: User, compared: Option<&Credential>) {
        let subject = Subject::Account(user);
        if let Some(seconds) = self.address_locked_secs(from) {
            return self.refuse_for_good(id, AT_ONCE, &format!("locked_out {seconds}"));
        }
        if let Some(seconds) = self.locked_secs(&subject) {
            let record = self.guesses(&subject).record;
            return self.refuse_for_good(id, record, &format!("locked_out {seconds}"));
        }
        if self.at(user).is_gone() {
            return self.wrong_password(id, from, &subject);
        }
        if self.at(user).credential.as_ref() != compared {
            return self.refuse(id, AT_ONCE, "busy");
        }
        let busy = self.is_busy(user);
        let denied = self.at(user).link().is_some() && self.settings.duplicate_login == DuplicateLogin::Deny;
        let here = self.stage(id) == Some(&Stage::Anonymous);
        let failed = self.forgive(&subject, here && !denied && !busy);
        if !here {
            // Gone, or about to close.
        } else if busy {
            self.refuse(id, AT_ONCE, "busy");
        } else if denied {
            self.refuse(id, AT_ONCE, "already_online");
        } else {
            self.make_way(user);
            self.enter_by_password(id, user, failed);
        }
    }

    pub(super) fn resume(&mut self, id: LinkId, name: &str, token: &str) {
        let resumes = |user: &User| {
            let account = self.at(*user);
            let known = account.token.and_then(|digest| self.learnt.tokens.get(&digest));
            known.is_some_and(|(known, credential)| {
                known == token && account.credential.as_ref() == Some(credential)
            })
        };
        match self.find(name).filter(resumes) {
            Some(user) if self.is_busy(user) => self.refuse(id, AT_ONCE, "busy"),
            Some(user) => self.enter_by_token(id, user),
            None => self.refuse(id, AT_ONCE, "stale"),
        }
    }

    pub(super) fn register(&mut self, id: LinkId, name: &str, password: String) {
        let Ok(new) = Name::new(name) else { return self.refuse(id, AT_ONCE, "bad_name") };
        if self.is_taken_up(name) {
            return self.refuse(id, AT_ONCE, "busy");
        }
        if !self.is_open() {
            let subject = self.subject(name);
            return self.attempt(id, subject, password);
        }
        if let Some(refusal) = self.why_not_new(&new) {
            return self.refuse(id, AT_ONCE, refusal);
        }
        self.registering.insert(new.clone());
        let attempt = self.next_serial();
        self.wait(id, waits::LOGIN);
        self.set_stage(id, Stage::LoggingIn(attempt));
        let credential = Credential::new(&(String::from(HASHED) + meant(&password)));
        self.expected.ask(Ask::Hash { attempt, link: id, name: new, credential });
    }

    /// Why no account of this name can be made, if so.
    fn why_not_new(&self, name: &Name) -> Option<&'static str> {
        if self.purges.contains_key(name) {
            return Some("busy");
        }
        if self.find(name.as_str()).is_some() {
            return Some("name_taken");
        }
        if !is_fit(name.as_str()) {
            return Some("bad_name");
        }
        let look = skeleton(name.as_str());
        self.names.keys().any(|name| skeleton(name.as_str()) == look).then_some("bad_name")
    }

    /// Whether a link waits for its new account to be durable.
    pub(super) fn registers(&self, id: LinkId) -> bool {
        let of_link = |wish: &Wish| matches!(wish, Wish::Register { link, attempt, .. } if *link == id && self.stage(id) == Some(&Stage::LoggingIn(*attempt)));
        self.wishes.values().any(of_link)
    }

    pub(super) fn hashed(&mut self, attempt: u64, link: LinkId, name: &Name, credential: Option<Credential>) {
        let here = self.stage(link) == Some(&Stage::LoggingIn(attempt));
        match credential {
            Some(credential) if here => {
                self.submit(Wish::Register { attempt, link, name: name.clone(), credential });
            }
            _ => {
                self.registering.remove(name);
                if here {
                    self.set_stage(link, Stage::Anonymous);
                    self.refuse(link, AT_ONCE, "busy");
                }
            }
        }
    }

    pub(super) fn decide_account(
        &mut self,
        attempt: u64,
        link: LinkId,
        name: &Name,
        credential: &Credential,
    ) -> Decision {
        let here = self.stage(link) == Some(&Stage::LoggingIn(attempt));
        let refusal = self.why_not_new(name);
        if here && refusal.is_none() {
            let change = Change::AccountAdded { name: name.clone(), credential: credential.clone() };
            return Decision::Change(change, [].into());
        }
        self.registering.remove(name);
        if let Some(refusal) = refusal.filter(|_| here) {
            self.refuse_registration(link, refusal);
        }
        Decision::Answered
    }

    fn refuse_registration(&mut self, link: LinkId, refusal: &str) {
        self.set_stage(link, Stage::Anonymous);
        self.refuse(link, AT_ONCE, refusal);
        self.wait_no_more(link, waits::LOGIN);
    }

    /// The new account is durable, or could not be stored.
    pub(super) fn account_decided(
        &mut self,
        attempt: u64,
        link: LinkId,
        name: &Name,
        credential: &Credential,
        durable: bool,
    ) {
        self.registering.remove(name);
        if durable {
            self.forget_made_up(name.as_str());
        }
        if self.stage(link) != Some(&Stage::LoggingIn(attempt)) {
            return;
        }
        match self.find_open(name.as_str()).filter(|_| durable).map(|user| (user, self.at(user))) {
            Some((_, account)) if account.credential.as_ref() != Some(credential) => {
                self.refuse_registration(link, "name_taken");
            }
            Some((user, account)) if account.session.is_none() && account.entering.is_none() => {
                self.set_stage(link, Stage::Anonymous);
                self.enter_by_password(link, user, 0);
            }
            _ => self.refuse_registration(link, "busy"),
        }
    }

    /// R13: whether nobody comes in as this user for now.
    fn is_busy(&self, user: User) -> bool {
        let account = self.at(user);
        account.entering.is_some() || account.session.is_none() && self.is_behind_with(&account.name)
    }
}
