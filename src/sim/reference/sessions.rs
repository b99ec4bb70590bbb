//! Sessions: how they begin, what keeps them, and their one end (R15 to R20).

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::door::{Stage, waits};
use super::links::address_of;
use super::messages::Parcel;
use super::pages::Source;
use super::papers::DRAWN;
use super::prices::RESUMPTION;
use super::told::TOKEN;
use super::{Ledger, Server, Timer, User, later};
use crate::record::{AfterEnd, Fact, RecordNumber};
use crate::server::settings::{OfflineDelivery, Settings};
use crate::time::Time;
use crate::words::{LinkId, LoginNumber, MessageId};

/// What a logout waits for must move within this time, and last words for their record (R18, R20).
const PATIENCE_SECS: u64 = 2;

/// A login that is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// By password: the failures since the last login.
    by_password: Option<u32>,
    /// A token is told.
    token: bool,
    /// A cookie is told.
    device: bool,
    at: Time,
}

/// A user who is online.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) serial: u64,
    pub(super) link: Option<LinkId>,
    pub(super) from: core::net::SocketAddr,
    pub(super) lost_at: Time,
    /// R58: it was there before a restart, and its client is not back.
    pub(super) held: bool,
    pub(super) away: Option<alloc::string::String>,
    pub(super) last_active: Time,
    /// The activity after which it was announced that nothing followed (R20).
    pub(super) announced_after: Option<Time>,
    pub(super) looked_at: Option<Time>,
    pub(super) delivery: Delivery,
}

/// What is under way to one session.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// Sent and not acknowledged, in the order of the link.
    pub(super) sent: VecDeque<Parcel>,
    /// To be sent when stored mail is shown and the window allows.
    pub(super) unsent: VecDeque<Parcel>,
    /// Stored mail to be shown first.
    pub(super) sources: VecDeque<Source>,
    /// The page of it that was asked for.
    pub(super) loading: Option<u64>,
    /// The user has said that they go: the last message that they are shown.
    pub(super) leaving: Option<MessageId>,
    pub(super) watched: bool,
}

impl Delivery {
    fn is_done(&self) -> bool {
        self.sent.is_empty() && self.unsent.is_empty() && self.sources.is_empty() && self.loading.is_none()
    }
}

/// Why a session ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Farewell(&'static str, Option<String>),
    Stopped,
    Restarted,
    LinkLost,
}

impl Server {
    pub(super) fn enter_by_password(&mut self, id: LinkId, user: User, failed: u32) {
        let Some(resumes) = self.links.get(&id).map(|link| link.resumes) else { return };
        let millisecond = self.now.0 / 1_000;
        let account = self.at_mut(user);
        account.login = millisecond.max(account.login + 1);
        account.token = resumes.then_some(DRAWN);
        account.ledger = Ledger::default();
        account.unanswered.0 = 0;
        let device = self.note_device(id, user);
        self.enter(id, user, Some(failed), device);
    }

    pub(super) fn enter_by_token(&mut self, id: LinkId, user: User) {
        self.charge(user, RESUMPTION);
        if self.session(user).is_none() {
            return self.enter(id, user, None, false);
        }
        let Some(from) = self.links.get(&id).map(|link| link.from) else { return };
        self.leave_anonymous(id);
        self.store_all_under_way(user);
        self.withdraw_unnumbered(user);
        let old = self.session_mut(user).and_then(|session| session.link.take());
        self.end_relays(user);
        if let Some(old) = old {
            self.detach(old);
        }
        if let Some(session) = self.session_mut(user) {
            (session.link, session.from, session.held) = (Some(id), from, false);
            session.delivery = Delivery::default();
        }
        self.probe_answered(user);
        let entry = Entry { by_password: None, token: false, device: false, at: self.now };
        self.admit(id, user, &entry, false);
        self.tell_requests_again(user, id);
    }

    /// R18: a session begins when its `welcome` is written, which waits for its record.
    fn enter(&mut self, id: LinkId, user: User, by_password: Option<u32>, device: bool) {
        let at = self.now;
        let account = self.at_mut(user);
        account.entering = Some(id);
        let (name, login, token) = (account.name.clone(), LoginNumber(account.login), account.token);
        self.leave_anonymous(id);
        let entry = Entry { by_password, token: by_password.is_some() && token.is_some(), device, at };
        self.set_stage(id, Stage::Entering(user, entry));
        self.wait(id, waits::LOGIN);
        let number = self.persist_fact(Fact::SessionBegan { user: name, login, token, at });
        self.word_waits(number, id);
    }

    /// The record that a link's next word waits for is settled.
    pub(super) fn word_is_due(&mut self, id: LinkId) {
        match self.stage(id).cloned() {
            Some(Stage::Entering(user, entry)) => self.welcome(id, user, &entry),
            Some(Stage::Refused(refusal, closes)) => {
                self.set_stage(id, Stage::Anonymous);
                self.say_refused(id, &refusal, closes);
            }
            Some(Stage::Parting(..)) => self.part(id),
            Some(Stage::Hailing(user)) => self.courier_is_in(id, user, true),
            _ => {}
        }
    }

    fn welcome(&mut self, id: LinkId, user: User, entry: &Entry) {
        let Some(from) = self.links.get(&id).map(|link| link.from) else { return };
        self.roster.push(user);
        let (serial, now) = (self.next_serial(), self.now);
        let session = Session {
            serial,
            link: Some(id),
            from,
            lost_at: now,
            held: false,
            away: None,
            last_active: now,
            announced_after: None,
            looked_at: None,
            delivery: Delivery::default(),
        };
        let account = self.at_mut(user);
        account.entering = None;
        account.session = Some(session);
        self.note_began(user, entry.at);
        self.idle_due(user, serial);
        self.admit(id, user, entry, true);
        self.came_or_went(user);
    }

    fn admit(&mut self, id: LinkId, user: User, entry: &Entry, is_new: bool) {
        self.set_stage(id, Stage::Member(user));
        let word = if entry.by_password.is_some() { "welcome" } else { "resumed" };
        let unread = self.unread(user);
        let account = self.at(user);
        let mut line = format!("{word} {} unread {unread} login {}", account.name, account.login);
        if entry.token {
            line = line + " token " + TOKEN;
        }
        self.send(id, &line);
        if entry.device {
            self.send(id, &format!("device {TOKEN}"));
            let name = self.name(user).clone();
            self.learnt.cookies_told.insert(id, name);
        }
        if let Some(from) = self.links.get(&id).map(|link| link.from) {
            self.known.came_in(address_of(from), user);
        }
        if let Some(failed @ 1..) = entry.by_password {
            self.send(id, &format!("notice failed_logins {failed}"));
        }
        if is_new {
            self.tell_expired(id, user);
        }
        self.say_motd(id, entry.by_password.is_some());
        self.catch_up(user, id);
        self.look(id, user);
        self.wait_no_more(id, waits::LOGIN);
        if self.settings.offline_delivery == OfflineDelivery::Auto {
            self.show_stored(user);
        }
    }

    pub(super) fn refuse(&mut self, id: LinkId, after: RecordNumber, refusal: &str) {
        self.refuse_then(id, after, refusal, false);
    }

    pub(super) fn refuse_for_good(&mut self, id: LinkId, after: RecordNumber, refusal: &str) {
        self.refuse_then(id, after, refusal, true);
    }

    fn refuse_then(&mut self, id: LinkId, after: RecordNumber, refusal: &str, closes: bool) {
        if self.stage(id) != Some(&Stage::Anonymous) {
            return;
        }
        if self.word_waits(after, id) {
            self.set_stage(id, Stage::Refused(refusal.to_string(), closes));
            return self.wait(id, waits::LOGIN);
        }
        self.say_refused(id, refusal, closes);
    }

    fn say_refused(&mut self, id: LinkId, refusal: &str, closes: bool) {
        self.send(id, &format!("refused {refusal}"));
        if closes {
            self.close(id);
        } else {
            self.wait_no_more(id, waits::LOGIN);
        }
    }

    pub(super) fn end_session(&mut self, user: User, end: End) {
        if self.session(user).is_none() {
            return;
        }
        self.store_all_under_way(user);
        self.withdraw_all(user);
        self.end_introductions(user);
        self.look_at(user, None);
        let Some(session) = self.at_mut(user).session.take() else { return };
        if let Some(place) = self.roster.iter().position(|other| *other == user) {
            self.roster.swap_remove(place);
        }
        let now = self.now;
        self.note_ended(user, now);
        let after = match end {
            End::Stopped | End::Restarted | End::LinkLost => AfterEnd::Resume,
            End::Farewell(..) => AfterEnd::Nothing,
        };
        let account = self.at_mut(user);
        if after == AfterEnd::Nothing {
            account.token = None;
            account.ledger = Ledger::default();
        }
        let name = account.name.clone();
        self.write_heard(user);
        let number = self.persist_fact(Fact::SessionEnded { user: name, after, at: now });
        if !matches!(end, End::Stopped | End::Restarted) {
            self.came_or_went(user);
        }
        self.probe_over(user);
        self.may_purge(user);
        let Some(id) = session.link else { return };
        match end {
            End::Farewell(farewell, last) => {
                let due = later(now, PATIENCE_SECS);
                if let Some(link) = self.links.get_mut(&id) {
                    link.stage = Stage::Parting(farewell, last);
                    link.due = Some(due);
                    link.held.clear();
                    link.held_bytes = 0;
                }
                self.set(due, Timer::Parting(id));
                self.word_waits(number, id);
            }
            End::Stopped => self.say_farewell(id),
            End::Restarted | End::LinkLost => self.detach(id),
        }
    }

    fn say_farewell(&mut self, id: LinkId) {
        self.send(id, "bye server_shutdown");
        self.set_stage(id, Stage::Anonymous);
        self.close(id);
    }

    /// The session of before ends for a new login.
    pub(super) fn make_way(&mut self, user: User) {
        let end = match self.at(user).link() {
            Some(_) => End::Farewell("replaced", None),
            None => End::LinkLost,
        };
        self.end_session(user, end);
    }

    /// The link of a login that nobody was told of is gone: there was no session (R18).
    pub(super) fn never_entered(&mut self, user: User, entry: &Entry) {
        let after = if entry.by_password.is_none() { AfterEnd::Resume } else { AfterEnd::Nothing };
        let account = self.at_mut(user);
        account.entering = None;
        if after == AfterEnd::Nothing {
            account.token = None;
            account.ledger = Ledger::default();
        }
        let (name, login, token) = (account.name.clone(), LoginNumber(account.login), account.token);
        let (began, ended) = (account.began.unwrap_or(Time::MAX), account.ended);
        self.leave_to_next_login(user, entry.by_password.unwrap_or(0));
        self.persist_fact(Fact::SessionBegan { user: name.clone(), login, token, at: began });
        self.persist_fact(Fact::SessionEnded { user: name, after, at: ended });
        self.may_purge(user);
    }

    pub(super) fn session_lost_link(&mut self, user: User) {
        let (now, grace_secs, serving) = (self.now, self.settings.resume_grace_secs, !self.stopping);
        let Some(session) = self.session_mut(user) else { return };
        (session.link, session.lost_at) = (None, now);
        let serial = session.serial;
        self.end_relays(user);
        if grace_secs > 0 && serving {
            self.store_all_under_way(user);
            self.withdraw_all(user);
            self.set(later(now, grace_secs), Timer::Grace(user, serial));
            self.probe_over(user);
        } else {
            self.end_session(user, End::LinkLost);
        }
    }

    pub(super) fn grace_due(&mut self, user: User, serial: u64) {
        let waits = |session: &&Session| session.serial == serial && session.link.is_none();
        let Some(lost_at) = self.session_of(user).filter(waits).map(|session| session.lost_at) else {
            return;
        };
        let held = self.session_of(user).is_some_and(|session| session.held);
        let Settings { resume_grace_secs, restart_grace_secs, .. } = self.settings;
        let due = later(lost_at, if held { restart_grace_secs } else { resume_grace_secs });
        if due <= self.now {
            self.end_session(user, End::LinkLost);
        } else {
            self.set(due, Timer::Grace(user, serial));
        }
    }

    /// A session that a deadline may be of: the account can be gone meanwhile.
    pub(super) fn session_of(&self, user: User) -> Option<&Session> {
        self.users.get(user).and_then(Option::as_ref).and_then(|account| account.session.as_ref())
    }

    pub(super) fn note_activity(&mut self, user: User, valid: bool) {
        let (now, counts) = (self.now, valid || self.settings.invalid_counts_as_activity);
        if let Some(session) = self.session_mut(user).filter(|_| counts) {
            session.last_active = now;
        }
    }

    /// The times allowed have changed.
    pub(super) fn watch_all(&mut self) {
        for user in self.roster.clone() {
            self.look_again(user);
            if let Some(serial) = self.session(user).map(|session| session.serial)
                && self.at(user).link().is_none()
            {
                self.set(self.now, Timer::Grace(user, serial));
            }
        }
    }

    /// `logout`, or the end of a stream: after what is under way (R18).
    pub(super) fn leave(&mut self, id: LinkId, user: User, last: Option<String>) {
        let upto = MessageId { boot: self.boot, number: self.at(user).last_message };
        let Some(session) = self.session_mut(user) else { return };
        session.delivery.leaving = Some(upto);
        let serial = session.serial;
        let now = self.now;
        if let Some(link) = self.links.get_mut(&id) {
            link.stage = Stage::Leaving(user, last);
            link.moved_at = now;
        }
        self.go_on_leaving(user);
        if self.session(user).is_some() {
            self.set(later(now, PATIENCE_SECS), Timer::Leaving(user, serial));
        }
    }

    /// Something was taken of what a logout waits for.
    pub(super) fn leaving_moved(&mut self, user: User) {
        let now = self.now;
        let Some(session) = self.session(user).filter(|session| session.delivery.leaving.is_some()) else {
            return;
        };
        if let Some(link) = session.link.and_then(|id| self.links.get_mut(&id)) {
            link.moved_at = now;
        }
        self.later.push_back(super::Later::GoOnLeaving(user));
    }

    pub(super) fn go_on_leaving(&mut self, user: User) {
        let Some(session) = self.session_of(user).filter(|session| session.delivery.leaving.is_some()) else {
            return;
        };
        let Some(id) = session.link else { return };
        if session.delivery.is_done() && self.at(user).unanswered.0 == 0 && self.lists_waiting(id) == 0 {
            self.log_out(id, user);
        }
    }

    fn log_out(&mut self, id: LinkId, user: User) {
        let last = match self.stage(id) {
            Some(Stage::Leaving(_, last)) => last.clone(),
            _ => None,
        };
        self.end_session(user, End::Farewell("logout", last));
    }

    pub(super) fn leaving_due(&mut self, user: User, serial: u64) {
        let session = self.session_of(user).filter(|session| session.serial == serial);
        let Some(id) = session.and_then(|session| session.link) else { return };
        let Some(link) = self.links.get(&id).filter(|link| matches!(link.stage, Stage::Leaving(..))) else {
            return;
        };
        let from = if self.lists_waiting(id) > 0 { self.now } else { link.moved_at };
        let due = later(from, PATIENCE_SECS);
        if due <= self.now {
            self.log_out(id, user);
        } else {
            self.set(due, Timer::Leaving(user, serial));
        }
    }

    pub(super) fn leaving_lost_link(&mut self, user: User) {
        if let Some(session) = self.session_mut(user) {
            session.link = None;
            self.end_session(user, End::Farewell("logout", None));
        }
    }

    pub(super) fn stop(&mut self) {
        self.stopping = true;
        self.drop_waiting(|_| true);
        let users = self.roster.clone();
        for &user in &users {
            self.store_all_under_way(user);
        }
        for user in users {
            self.end_session(user, End::Stopped);
        }
        let rest: Vec<LinkId> = self.links.keys().copied().collect();
        for id in rest {
            match self.stage(id).cloned() {
                Some(Stage::Parting(..)) => self.part(id),
                Some(Stage::Entering(user, entry)) => {
                    self.never_entered(user, &entry);
                    self.say_farewell(id);
                }
                _ => self.say_farewell(id),
            }
        }
        self.write_kept();
    }
}
