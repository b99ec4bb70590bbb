//! Sessions: one a user, from login to exactly one end.

use alloc::boxed::Box;
use core::time::Duration;

use super::accounts::UserId;
use super::deadlines::Deadline;
use super::delivery::Delivery;
use super::effect::{Report, SessionEnd};
use super::links::{Stage, Waits};
use super::settings::OfflineDelivery;
use super::{Phase, ServerState};
use crate::planted::{self, Planted};
use crate::record::{Fact, Record, RecordNumber};
use crate::time::Time;
use crate::wire::{Admission, Capabilities, Farewell, Notice, ServerLine};
use crate::words::{LinkId, LoginNumber, Token};

/// A user who is online.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// Tells it apart from the user's other sessions.
    pub(super) serial: u64,
    /// `None` while the session outlives its link.
    pub(super) link: Option<LinkId>,
    /// When it last lost its link.
    lost_at: Time,
    pub(super) capabilities: Capabilities,
    /// Where it stands in the list of those online.
    place: usize,
    pub(super) last_active: Time,
    /// When it will be looked at again whether it is idle.
    looked_at: Option<Time>,
    pub(super) delivery: Delivery,
}

/// How somebody came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// By password, after so many failures since the last time.
    Password { failed: u32 },
    /// By token.
    Token,
}

/// How a session lost its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// It broke or was closed from outside.
    ByNetwork,
    /// The same client came back on another.
    ByResume,
}

impl ServerState {
    /// Lets a user in on a link, in a new session or in the one that still stands.
    pub(super) fn begin_session(&mut self, id: LinkId, user: UserId, entry: Entry) {
        self.leave_anonymous(id);
        let Some(link) = self.links.get_mut(&id) else { return };
        link.stage = Stage::Member(user);
        let (from, capabilities) = (link.from, link.capabilities);
        let token = match entry {
            Entry::Password { .. } => self.new_login(user, capabilities),
            Entry::Token => None,
        };
        let stands = self.accounts[user].session.is_some();
        if stands {
            self.session_lost_link(user, Lost::ByResume);
        }
        let record = if self.accounts[user].session.is_some() {
            self.attach(user, id, capabilities);
            RecordNumber(0)
        } else {
            self.open_session(user, id, capabilities)
        };
        let name = self.accounts.name(user).clone();
        let resumed = entry == Entry::Token;
        self.outbox.report(Report::LoggedIn { user: name.clone(), from, resumed });
        let unread = self.unread(user);
        let login = self.accounts[user].login;
        let admission = Admission { user: name.as_str(), unread, login, token };
        let line = if resumed { ServerLine::Resumed(admission) } else { ServerLine::Welcome(admission) };
        self.send_after(id, record, &line);
        if let Entry::Password { failed: count @ 1.. } = entry {
            self.send(id, &ServerLine::Notice(Notice::FailedLogins { count }));
        }
        // What was caused before, on another link or in another session, may not be paid for.
        self.charge(user, 0);
        if self.settings.offline_delivery == OfflineDelivery::Auto {
            self.show_stored(user);
        }
    }

    /// A login by password: a number and a token of its own; what an earlier login left open is void.
    fn new_login(&mut self, user: UserId, capabilities: Capabilities) -> Option<Token> {
        let token = capabilities.resume.then(|| self.secrets.token());
        let credential = self.accounts[user].credential.as_ref();
        let digest =
            token.zip(credential).map(|(token, credential)| self.secrets.token_digest(&token, credential));
        // From the clock, so that no number comes again should the store lose or refuse the last one:
        // receivers would take new messages for repeats.
        let millisecond = self.now.0 / 1_000;
        let account = &mut self.accounts[user];
        account.login = LoginNumber(millisecond.max(account.login.0 + 1));
        account.token = digest;
        account.ledger.clear();
        token
    }

    /// Makes the session and tells the others. Returns the record that its welcome waits for.
    fn open_session(&mut self, user: UserId, id: LinkId, capabilities: Capabilities) -> RecordNumber {
        let serial = self.next_serial();
        let session = Session {
            serial,
            link: Some(id),
            lost_at: self.now,
            capabilities,
            place: self.online.len(),
            last_active: self.now,
            looked_at: None,
            delivery: Delivery::default(),
        };
        self.online.push(user);
        let account = &mut self.accounts[user];
        account.session = Some(Box::new(session));
        let (name, login, token) = (account.name.clone(), account.login, account.token);
        let record =
            self.persist_soft(Record::Fact(Fact::SessionBegan { user: name, login, token, at: self.now }));
        self.idle_due(user, serial);
        self.tell_presence(user, true, record);
        record
    }

    /// The session that stands goes on over another link. Nobody else notices.
    fn attach(&mut self, user: UserId, id: LinkId, capabilities: Capabilities) {
        if let Some(session) = self.accounts[user].session.as_mut() {
            session.link = Some(id);
            session.capabilities = capabilities;
            session.delivery = Delivery::default();
        }
    }

    /// A session has no link any more: what was under way to its user is stored at once. It ends, or
    /// waits for its client to come back.
    pub(super) fn session_lost_link(&mut self, user: UserId, lost: Lost) {
        let Some(session) = self.accounts[user].session.as_mut() else { return };
        let old = session.link.take();
        session.lost_at = self.now;
        let serial = session.serial;
        self.store_all_under_way(user);
        match lost {
            Lost::ByResume => {
                self.withdraw_unnumbered_requests(user);
                if let Some(old) = old {
                    self.detach(old);
                }
            }
            Lost::ByNetwork if self.settings.resume_grace_secs > 0 && self.phase == Phase::Serving => {
                let at = self.now + Duration::from_secs(self.settings.resume_grace_secs);
                self.deadlines.add(at, Deadline::Grace(user, serial));
                self.withdraw_private_requests(user);
            }
            Lost::ByNetwork if planted::is(Planted::GhostSession) => {}
            Lost::ByNetwork => self.end_session(user, SessionEnd::LinkLost),
        }
    }

    /// Closes a link whose session has moved on.
    fn detach(&mut self, id: LinkId) {
        self.links.remove(&id);
        self.journal.hold_no_more(id);
        self.outbox.close(id);
    }

    /// The session may have been without a link for too long; if not, this looks again when it could have been.
    pub(super) fn grace_due(&mut self, user: UserId, serial: u64) {
        let waits = |session: &&Session| session.serial == serial && session.link.is_none();
        let Some(session) = self.accounts[user].session.as_deref().filter(waits) else { return };
        let due = session.lost_at + Duration::from_secs(self.settings.resume_grace_secs);
        if due <= self.now {
            self.end_session(user, SessionEnd::LinkLost);
        } else {
            self.deadlines.add(due, Deadline::Grace(user, serial));
        }
    }

    /// Ends a session: what is under way to its user is stored, the others are told once, its link closes.
    pub(super) fn end_session(&mut self, user: UserId, why: SessionEnd) {
        if self.accounts[user].session.is_none() {
            return;
        }
        self.store_all_under_way(user);
        self.withdraw_private_requests(user);
        self.look_at(user, None);
        let Some(session) = self.accounts[user].session.take() else { return };
        self.leave_online(&session);
        let resumable = match why {
            SessionEnd::LinkLost | SessionEnd::Stopped => true,
            SessionEnd::Logout | SessionEnd::Timeout | SessionEnd::Replaced => false,
        };
        let name = self.accounts.name(user).clone();
        let record = self.persist_soft(Record::Fact(Fact::SessionEnded {
            user: name.clone(),
            resumable,
            at: self.now,
        }));
        self.outbox.report(Report::LoggedOut { user: name, why });
        let untold = why == SessionEnd::Timeout && planted::is(Planted::TimeoutNotTold);
        if why != SessionEnd::Stopped && !untold {
            self.tell_presence(user, false, record);
        }
        if let Some(link) = session.link {
            match why {
                SessionEnd::Logout => self.say_farewell(link, Farewell::Logout),
                SessionEnd::Timeout => self.say_farewell(link, Farewell::Timeout),
                SessionEnd::Replaced => self.say_farewell(link, Farewell::Replaced),
                SessionEnd::Stopped => self.say_farewell(link, Farewell::ServerShutdown),
                SessionEnd::LinkLost => self.detach(link),
            }
        }
        if self.accounts[user].credential.is_none() {
            // The account went while its session stood: what came since goes as well.
            let name = self.accounts.name(user).clone();
            self.remove_account(&name);
        }
    }

    fn leave_online(&mut self, session: &Session) {
        self.online.swap_remove(session.place);
        if let Some(&moved) = self.online.get(session.place)
            && let Some(moved) = self.accounts[moved].session.as_mut()
        {
            moved.place = session.place;
        }
    }

    pub(super) fn apply_session_began(
        &mut self,
        user: UserId,
        login: LoginNumber,
        token: Option<crate::record::Digest>,
        at: Time,
    ) {
        self.history.began(user, &self.accounts[user], at);
        let account = &mut self.accounts[user];
        account.login = login;
        account.token = token;
        account.last_login = Some(at);
    }

    pub(super) fn apply_session_ended(&mut self, user: UserId, resumable: bool, at: Time) {
        if !planted::is(Planted::EndNotInHistory) {
            self.history.ended(user, at);
        }
        let account = &mut self.accounts[user];
        account.last_end = at;
        if !resumable && !planted::is(Planted::TokenSurvivesLogout) {
            account.token = None;
            account.ledger.clear();
        }
    }

    /// The user typed something.
    pub(super) fn note_activity(&mut self, user: UserId, valid: bool) {
        if (valid || self.settings.invalid_counts_as_activity)
            && let Some(session) = self.accounts[user].session.as_mut()
        {
            session.last_active = self.now;
        }
    }

    /// The time allowed to be idle, or to be without a link, has changed: every session is looked at when it
    /// could be over.
    pub(super) fn watch_all(&mut self) {
        for user in self.online.clone() {
            if let Some(serial) = self.accounts[user].session.as_ref().map(|session| session.serial) {
                self.idle_due(user, serial);
                self.grace_due(user, serial);
            }
        }
    }

    /// The session may have been idle for too long; if not, this looks again when it could have been.
    pub(super) fn idle_due(&mut self, user: UserId, serial: u64) {
        let any = planted::is(Planted::StaleTimer);
        if any && self.accounts[user].session.as_ref().is_some_and(|session| session.serial != serial) {
            return self.end_session(user, SessionEnd::Timeout);
        }
        let Some(session) = self.accounts[user].session.as_ref().filter(|session| session.serial == serial)
        else {
            return;
        };
        if self.settings.timeout_secs == 0 {
            return;
        }
        let late = 2 * u64::from(planted::is(Planted::TimeoutLate));
        let due = session.last_active + Duration::from_secs(self.settings.timeout_secs + late);
        if due <= self.now {
            self.end_session(user, SessionEnd::Timeout);
        } else {
            self.look_at(user, Some(due));
        }
    }

    /// Sets when it is looked at again whether a session is idle, and at no other time.
    fn look_at(&mut self, user: UserId, due: Option<Time>) {
        let Some(session) = self.accounts[user].session.as_mut() else { return };
        let deadline = Deadline::Idle(user, session.serial);
        if let Some(before) = core::mem::replace(&mut session.looked_at, due)
            && !planted::is(Planted::StaleTimer)
        {
            self.deadlines.remove(before, deadline);
        }
        if let Some(due) = due {
            self.deadlines.add(due, deadline);
        }
    }

    /// Charges a user for deliveries; beyond his burst his link waits unread.
    pub(super) fn charge(&mut self, user: UserId, deliveries: u64) {
        let rate = u64::from(self.settings.rate_per_s);
        if rate == 0 || self.settings.rate_burst == 0 {
            return;
        }
        let paid_until = self.accounts[user].paid_until.max(self.now);
        self.accounts[user].paid_until = paid_until + time_for(deliveries, rate);
        if let Some(free_at) = self.throttled_until(user)
            && let Some(session) = self.accounts[user].session.as_ref()
            && let Some(link) = session.link
        {
            let deadline = Deadline::Throttle(user, session.serial);
            self.wait(link, Waits::RATE);
            self.deadlines.add(free_at, deadline);
        }
    }

    /// When what a user has caused will be within his burst, if it is not.
    fn throttled_until(&self, user: UserId) -> Option<Time> {
        let (burst, rate) = (u64::from(self.settings.rate_burst), u64::from(self.settings.rate_per_s));
        if burst == 0 || rate == 0 {
            return None;
        }
        let free_at = self.accounts[user].paid_until - time_for(burst, rate);
        (free_at > self.now).then_some(free_at)
    }

    /// A session may cause deliveries again, unless it has caused more since that was expected.
    pub(super) fn throttle_due(&mut self, user: UserId, serial: u64) {
        let session = self.accounts[user].session.as_ref().filter(|session| session.serial == serial);
        let Some(link) = session.and_then(|session| session.link) else { return };
        match self.throttled_until(user) {
            Some(free_at) => self.deadlines.add(free_at, Deadline::Throttle(user, serial)),
            None => self.wait_no_more(link, Waits::RATE),
        }
    }

    /// The rate of deliveries has changed: nobody waits for what he owes at the one before.
    pub(super) fn rate_changed(&mut self) {
        for user in self.accounts.ids() {
            self.accounts[user].paid_until = self.now;
            if let Some(link) = self.accounts[user].session.as_ref().and_then(|session| session.link) {
                self.wait_no_more(link, Waits::RATE);
            }
        }
    }

    /// Tells everybody, stores what is under way, and ends.
    pub(super) fn stop(&mut self) {
        self.phase = Phase::Stopping;
        let users = self.online.clone();
        for &user in &users {
            self.store_all_under_way(user);
        }
        for &user in &users {
            self.end_session(user, SessionEnd::Stopped);
        }
        while let Some(&link) = self.anonymous.first() {
            self.say_farewell(link, Farewell::ServerShutdown);
        }
        // There may be room again, and no time left to wait for it.
        self.rewrite_unsaved();
    }
}

/// How long so many deliveries take, in nanoseconds, so that high rates lose nothing to rounding.
const fn time_for(deliveries: u64, rate: u64) -> Duration {
    Duration::from_nanos(deliveries.saturating_mul(1_000_000_000) / rate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    use crate::record::Recovery;
    use crate::server::{Effect, Event, Settings, Verdict};
    use crate::words::{Credential, Name, Ticket};

    fn tickets(server: &mut ServerState, event: Event<'_>) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        for effect in server.handle(event, Time::ZERO) {
            if let Effect::Verify { ticket, .. } = effect {
                tickets.push(ticket);
            }
        }
        tickets
    }

    #[test]
    fn sessions_that_are_over_leave_no_deadlines_behind() {
        let hans = (Name::new("hans").unwrap(), Credential::new("pw"));
        let mut server =
            ServerState::new(Settings::default(), Vec::from([hans]), Recovery::default(), 1, Time::ZERO);
        for number in 1..=100 {
            let link = LinkId(number);
            let from = "192.0.2.1:40000".parse().unwrap();
            tickets(&mut server, Event::LinkOpened { link, from, nonce: [0; 32] });
            let asked = tickets(&mut server, Event::Received { link, bytes: b"login hans pw\n" });
            tickets(&mut server, Event::Verified { ticket: asked[0], verdict: Verdict::Right });
            assert_eq!(server.online_count(), 1);
            tickets(&mut server, Event::LinkClosed { link });
            assert_eq!(server.online_count(), 0);
        }
        assert_eq!(server.deadlines.len(), 0);
    }
}
