//! From a name and a password to a login that is decided (R12 to R14).

use alloc::format;
use alloc::string::String;
use core::net::SocketAddr;

use super::door::{Stage, waits};
use super::lane::{Decision, Registering, Wish};
use super::lockout::Subject;
use super::probes::Entrant;
use super::{Server, User};
use crate::record::{Change, RecordNumber};
use crate::server::settings::Registration;
use crate::sim::trace::SeenVerdict;
use crate::words::look_alike::{are_alike, is_fit};
use crate::words::{Credential, LinkId, Name};

/// Wrong passwords on one link where names are not locked.
const TRIES_A_LINK: u32 = 3;
pub(super) const AT_ONCE: RecordNumber = RecordNumber(0);

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
        if self.invite_of(id).is_some_and(|code| self.is_no_invite(&code)) {
            return self.refuse_invite(id);
        }
        let invited = self.invite_of(id).is_some_and(|code| self.is_invited(&code, name));
        let kept = self.settings.operators.iter().any(|operator| operator.as_str() == name);
        let new = (self.is_open() || invited) && !kept && self.find_open(name).is_none();
        match password {
            Some(_) if self.is_taken_up(name) => self.refuse(id, AT_ONCE, "busy"),
            _ if new => self.ask(id, "new_password"),
            None => self.ask(id, "password"),
            Some(password) => self.password_comes(id, name, password, false),
        }
    }

    pub(super) fn verified(
        &mut self,
        attempt: u64,
        link: LinkId,
        from: SocketAddr,
        subject: &Subject,
        compared: Option<Credential>,
        verdict: SeenVerdict,
    ) {
        self.hashing.under_way -= 1;
        if let Some(user) = subject.user() {
            self.at_mut(user).comparing -= 1;
        }
        self.change_guesses(subject, |guesses| guesses.comparing = guesses.comparing.saturating_sub(1));
        if self.stage(link) == Some(&Stage::LoggingIn(attempt)) {
            self.set_stage(link, Stage::Anonymous);
        }
        match (verdict, subject.user()) {
            (SeenVerdict::Overloaded, _) => self.refuse(link, AT_ONCE, "busy"),
            (SeenVerdict::Right, Some(user)) => {
                let entrant = Entrant { user, subject: subject.clone(), compared };
                self.right_password_from(link, from, &entrant, false);
            }
            _ => self.wrong_password(link, from, subject),
        }
        self.read_on_if_refused(link);
        self.settle_place(subject);
        self.give_hashing_turns();
        if let Some(user) = subject.user() {
            self.may_purge(user);
        }
    }

    pub(super) fn read_on_if_refused(&mut self, id: LinkId) {
        if self.stage(id) == Some(&Stage::Anonymous) {
            self.wait_no_more(id, waits::LOGIN);
        }
    }

    fn wrong_password(&mut self, id: LinkId, from: SocketAddr, subject: &Subject) {
        let address_locked = self.address_locked_secs(from);
        let (left, record, locked) = self.count_failure(subject, from);
        if let Some(seconds) = locked.or(address_locked) {
            return self.refuse_for_good(id, record, &format!("locked_out {seconds}"));
        }
        let left = if self.locks() { left } else { self.tries_left_on_link(id, TRIES_A_LINK) };
        let refusal = format!("invalid_credentials {left}");
        if left == 0 { self.refuse_for_good(id, record, &refusal) } else { self.refuse(id, record, &refusal) }
    }

    pub(super) fn right_password(&mut self, id: LinkId, entrant: &Entrant, replaces: bool) {
        if let Some(from) = self.links.get(&id).map(|link| link.from) {
            self.right_password_from(id, from, entrant, replaces);
        }
    }

    /// `replaces`: as with `duplicate_login=replace`.
    fn right_password_from(&mut self, id: LinkId, from: SocketAddr, entrant: &Entrant, replaces: bool) {
        let Entrant { user, subject, compared } = entrant;
        let user = *user;
        if let Some(seconds) = self.address_locked_secs(from) {
            return self.refuse_for_good(id, AT_ONCE, &format!("locked_out {seconds}"));
        }
        if let Some(seconds) = self.locked_secs(subject) {
            let record = self.guesses(subject).record;
            return self.refuse_for_good(id, record, &format!("locked_out {seconds}"));
        }
        if self.at(user).is_gone() {
            let counts_for_name = !matches!(subject, Subject::Device(..));
            if counts_for_name && !self.places.has(subject) && !self.finds_place(subject, from) {
                return self.refuse(id, AT_ONCE, "busy");
            }
            return self.wrong_password(id, from, subject);
        }
        if !compared.as_ref().is_some_and(|compared| self.at(user).has(compared)) {
            return self.refuse(id, AT_ONCE, "busy");
        }
        if self.is_kept_away(id, Some(user)) {
            return;
        }
        if self.is_courier(id) {
            self.forgive(subject, false, false);
            if self.stage(id) == Some(&Stage::Anonymous) {
                self.courier_comes(id, user);
            }
            return;
        }
        let busy = self.is_busy(user) || self.at(user).probe.is_some();
        let denied = !replaces && self.is_kept_out(user);
        let here = self.stage(id) == Some(&Stage::Anonymous);
        if here && denied && !busy && self.probe(id, entrant) {
            return;
        }
        let enters = here && !denied && !busy;
        let failed = self.forgive(subject, enters, enters && self.notes_device(id));
        if !here {
            // Gone, or about to close.
        } else if busy {
            self.refuse(id, AT_ONCE, "busy");
        } else if denied {
            self.deny(id, entrant);
        } else {
            self.make_way(user);
            self.enter_by_password(id, user, failed);
        }
    }

    pub(super) fn resume(&mut self, id: LinkId, name: &str, token: &str) {
        if self.is_courier(id) {
            return self.courier_resumes(id, name, token);
        }
        let resumes = |user: &User| {
            let account = self.at(*user);
            let known = account.token.and_then(|digest| self.learnt.tokens.get(&digest));
            known.is_some_and(|(known, credential)| known == token && account.has(credential))
        };
        let user = self.find(name).filter(resumes);
        if self.is_kept_away(id, user) {
            return;
        }
        match user {
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
        match self.invite_of(id) {
            Some(code) if !self.is_invited(&code, name) => return self.refuse_invite(id),
            None if !self.is_open() => return self.password_comes(id, name, password, false),
            Some(_) | None => {}
        }
        if let Some(refusal) = self.why_not_new(&new) {
            return self.refuse(id, AT_ONCE, refusal);
        }
        self.password_comes(id, name, password, true);
    }

    /// Why no account of this name can be made, if so.
    pub(super) fn why_not_new(&self, name: &Name) -> Option<&'static str> {
        if self.purges.contains_key(name) {
            return Some("busy");
        }
        if self.find(name.as_str()).is_some() {
            return Some("name_taken");
        }
        if !is_fit(name.as_str()) || self.is_like_operator(name) {
            return Some("bad_name");
        }
        self.names.keys().any(|other| are_alike(other.as_str(), name.as_str())).then_some("bad_name")
    }

    /// Whether a link waits for its new account to be durable.
    pub(super) fn registers(&self, id: LinkId) -> bool {
        let of_link = |wish: &Wish| matches!(wish, Wish::Register(Registering { link, attempt, .. }) if *link == id && self.stage(id) == Some(&Stage::LoggingIn(*attempt)));
        self.wishes.values().any(of_link)
    }

    pub(super) fn hashed(&mut self, attempt: u64, link: LinkId, name: &Name, credential: Option<Credential>) {
        self.hashing.under_way -= 1;
        let here = self.stage(link) == Some(&Stage::LoggingIn(attempt));
        match credential {
            Some(credential) if here => {
                let invite = self.invite_of(link);
                self.submit(Wish::Register(Registering {
                    attempt,
                    link,
                    name: name.clone(),
                    credential,
                    invite,
                }));
            }
            _ => {
                self.registering.remove(name);
                if here {
                    self.set_stage(link, Stage::Anonymous);
                    self.refuse(link, AT_ONCE, "busy");
                    self.read_on_if_refused(link);
                }
            }
        }
        self.give_hashing_turns();
    }

    pub(super) fn decide_account(&mut self, registration: &Registering) -> Decision {
        let Registering { attempt, link, ref name, ref credential, ref invite } = *registration;
        let here = self.stage(link) == Some(&Stage::LoggingIn(attempt));
        let over = invite.as_ref().is_some_and(|code| !self.is_invited(code, name.as_str()));
        if here && over {
            self.registering.remove(name);
            self.refuse_invite(link);
            return Decision::Answered;
        }
        let refusal = self.why_not_new(name);
        if here && refusal.is_none() {
            if let Some(code) = invite {
                self.use_invite(code, true);
            }
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
    pub(super) fn account_decided(&mut self, registration: &Registering, durable: bool) {
        let Registering { attempt, link, ref name, ref credential, ref invite } = *registration;
        self.registering.remove(name);
        if let Some(code) = invite.as_ref().filter(|_| !durable) {
            self.use_invite(code, false);
        }
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
            Some((user, _)) if self.is_courier(link) => {
                self.set_stage(link, Stage::Anonymous);
                self.hail(link, user);
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
