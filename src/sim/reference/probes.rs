//! Whether a session that keeps its user out has anybody at the other end, and who takes it over (R52).

use super::door::Stage;
use super::lockout::Subject;
use super::login::AT_ONCE;
use super::{Later, Server, Timer, User, later};
use crate::server::settings::{DuplicateLogin, Takeover};
use crate::time::Time;
use crate::words::{Credential, LinkId, Name};

/// An answer has so long, from when the question has left, and in all.
const ANSWER_SECS: u64 = 5;
const IN_ALL_SECS: u64 = 15;

/// A right password that waits for an answer of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entrant {
    pub(super) user: User,
    pub(super) subject: Subject,
    /// What the password is right for.
    pub(super) compared: Option<Credential>,
}

/// The question to a session.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    /// Of the new login.
    link: LinkId,
    /// The place of the end of the question in the output of the session's connection.
    end: u64,
    asked_at: Time,
    due: Time,
}

/// A login that was denied, and may take over.
#[derive(Debug, Clone)]
pub(super) struct Denied {
    name: Name,
    entrant: Entrant,
}

impl Server {
    /// Whether a new login finds a session that keeps it out; the session may be asked first.
    pub(super) fn is_kept_out(&self, user: User) -> bool {
        self.at(user).link().is_some() && self.settings.duplicate_login == DuplicateLogin::Deny
    }

    /// Asks the session whether it is there; `false`: nobody needs to ask.
    pub(super) fn probe(&mut self, id: LinkId, entrant: &Entrant) -> bool {
        let user = entrant.user;
        let Some(link) = self.at(user).link() else { return false };
        if self.links.get(&link).is_none_or(|link| !link.says_alive || link.paused) {
            return false;
        }
        let (now, due) = (self.now, later(self.now, IN_ALL_SECS));
        let end = self.send(link, "alive");
        self.at_mut(user).probe = Some(Probe { link: id, end, asked_at: now, due });
        self.set(due, Timer::Probe(user));
        self.wait(id, super::door::waits::LOGIN);
        self.set_stage(id, Stage::Probing(entrant.clone()));
        true
    }

    fn take_probe(&mut self, user: User) -> Option<LinkId> {
        let probe = self.at_mut(user).probe.take()?;
        self.timers.remove(&(probe.due, Timer::Probe(user)));
        Some(probe.link)
    }

    /// The question has left, or more of what is after it.
    pub(super) fn probe_left(&mut self, user: User, flushed: u64) {
        let now = self.now;
        let Some(probe) = self.at(user).probe.clone().filter(|probe| probe.end <= flushed) else { return };
        let due = later(now, ANSWER_SECS).min(later(probe.asked_at, IN_ALL_SECS));
        self.timers.remove(&(probe.due, Timer::Probe(user)));
        self.at_mut(user).probe = Some(Probe { due, end: u64::MAX, ..probe });
        self.set(due, Timer::Probe(user));
    }

    /// Somebody is there.
    pub(super) fn probe_answered(&mut self, user: User) {
        let Some(link) = self.take_probe(user) else { return };
        self.may_purge(user);
        if let Some(Stage::Probing(entrant)) = self.stage(link).cloned() {
            self.set_stage(link, Stage::Anonymous);
            self.forgive(&entrant.subject, false, false);
            self.deny(link, &entrant);
            self.read_on_if_refused(link);
        }
    }

    /// Nobody answers.
    pub(super) fn probe_due(&mut self, user: User) {
        if self.users.get(user).and_then(Option::as_ref).is_some_and(|account| account.probe.is_some()) {
            self.make_way(user);
        }
    }

    /// The session has ended, or lost its connection: the new login is decided.
    pub(super) fn probe_over(&mut self, user: User) {
        if let Some(link) = self.take_probe(user)
            && !self.stopping
        {
            self.later.push_back(Later::Decide(link));
        }
    }

    /// The connection of the new login has ended.
    pub(super) fn probe_void(&mut self, user: User) {
        if self.take_probe(user).is_some() {
            self.may_purge(user);
        }
    }

    pub(super) fn decide_again(&mut self, id: LinkId) {
        let Some(Stage::Probing(entrant)) = self.stage(id).cloned() else { return };
        self.may_purge(entrant.user);
        self.set_stage(id, Stage::Anonymous);
        self.right_password(id, &entrant, false);
        self.read_on_if_refused(id);
    }

    /// The password was right, and the session stays.
    pub(super) fn deny(&mut self, id: LinkId, entrant: &Entrant) {
        let denied = Denied { name: self.name(entrant.user).clone(), entrant: entrant.clone() };
        if let Some(link) = self.links.get_mut(&id) {
            link.denied = Some(denied);
        }
        self.refuse(id, AT_ONCE, "already_online");
    }

    /// `takeover`
    pub(super) fn take_over(&mut self, id: LinkId) {
        let Some(denied) = self.links.get_mut(&id).and_then(|link| link.denied.take()) else {
            return self.ask(id, "username");
        };
        let Denied { name, entrant } = denied;
        if self.find(name.as_str()) != Some(entrant.user) {
            return self.ask(id, "username");
        }
        if self.settings.takeover == Takeover::Deny {
            return self.deny(id, &entrant);
        }
        self.right_password(id, &entrant, true);
    }
}
