//! Sessions: each ends once, for a reason and in time.

use super::{Call, Check, Verdict, rule};
use crate::record::{Fact, Record, RecordNumber};
use crate::server::settings::DuplicateLogin;
use crate::sim::known::SessionSeen;
use crate::sim::model::User;
use crate::time::Time;
use crate::words::LinkId;

/// How late a timeout may be.
const LATE_MICROS: u64 = 1_000_000;

impl Check {
    /// Something was typed on a link.
    pub(super) fn activity(&mut self, link: LinkId, valid: bool) {
        let now = self.now;
        let counts = self.model.settings.invalid_counts_as_activity;
        let Some(user) = self.model.member_on(link) else { return };
        // A line that waits counts when it is obeyed, if ever.
        let waits = self.wishes.is_anything_open(user);
        if let Some(session) = self.model.session_mut(user)
            && (valid || counts)
            && session.active.1 < now
        {
            session.active = (if waits { session.active.0 } else { now }, now);
        }
    }

    /// Something was typed that is answered or closes the link: it may count.
    pub(super) fn perhaps_activity(&mut self, link: LinkId) {
        let now = self.now;
        if let Some(session) = self.model.member_on(link).and_then(|user| self.model.session_mut(user)) {
            session.active.1 = session.active.1.max(now);
        }
    }

    /// A session's link is gone, from outside.
    pub(super) fn session_link_lost(&mut self, link: LinkId) {
        let now = self.now;
        if let Some(user) = self.model.member_on(link)
            && let Some(session) = self.model.session_mut(user)
        {
            session.link = None;
            session.lost_at = Some(now);
            session.presence.clear();
            self.lost_in_call = Some(user);
        }
    }

    pub(super) fn session_record(&mut self, number: RecordNumber, record: &Record) -> Verdict {
        match record {
            Record::Fact(Fact::SessionBegan { .. }) => self.session_began(number, record),
            Record::Fact(Fact::SessionEnded { user, at, .. }) => {
                let user = self.model.user(user.as_str());
                if *at != self.now || self.facts.is_again() {
                    // Of a login that was told to nobody the session before is all that is left.
                    if self.model.users[user].coming.is_some_and(|coming| !self.is_open(coming.link)) {
                        self.model.users[user].coming = None;
                    }
                    self.written_again(user, *at);
                    return Ok(());
                }
                self.session_ended(user, number)
            }
            Record::Fact(Fact::Failures { .. } | Fact::MailRemoved { .. })
            | Record::Change(_)
            | Record::MailStored { .. }
            | Record::Settled { .. } => Ok(()),
        }
    }

    /// No call leaves an older end of a session after a newer beginning.
    pub(super) fn nothing_is_overtaken(&self) -> Verdict {
        let user = self.overtaken.first().map(|user| self.model.users[*user].name.as_str());
        rule!(
            self,
            user.is_none(),
            "a later record is not replaced by an earlier one",
            "the end of {user:?}"
        );
        Ok(())
    }

    fn session_ended(&mut self, user: User, number: RecordNumber) -> Verdict {
        self.model.users[user].coming = None;
        if self.model.users[user].session.is_none() {
            return Ok(());
        }
        let cause = self.ending_has_cause(user);
        let late = self.call == Call::Tick && self.is_overdue(user);
        let name = self.model.users[user].name.as_str();
        rule!(self, cause, "a session ends for a reason", "{name}, in {:?}", self.call);
        rule!(self, !late, "timeouts are exact to a second", "{name} was in too long");
        let ended = self.model.users[user].session.take();
        self.session_is_over(ended.and_then(|session| session.link), number);
        if self.call != Call::Stop {
            self.owe_presence(user, false, false);
        }
        Ok(())
    }

    fn ending_has_cause(&self, user: User) -> bool {
        let Some(session) = &self.model.users[user].session else { return false };
        let settings = &self.model.settings;
        let asked = session.logout_asked;
        let replaces = settings.duplicate_login == DuplicateLogin::Replace;
        let own = |link: LinkId| session.link == Some(link);
        let lost = (session.lost_at == Some(self.now) || session.moving) && settings.resume_grace_secs == 0;
        match self.call {
            Call::Stop => true,
            // By one who comes in instead, or by what was typed ahead.
            Call::Verified(ticket) => {
                asked || replaces || session.link.is_none() || session.link == self.link_of_ticket(ticket)
            }
            Call::Committed | Call::Refused => asked || replaces,
            // Who has said `logout` may wait for their mail; with the link they are out.
            Call::LinkClosed(_) => asked || lost,
            Call::StreamEnded(_) => asked || lost,
            Call::Received(link) => {
                (own(link) && self.is_garbage(link)) || asked || self.comes_back(user, link)
            }
            Call::Tick => asked || self.is_due(user, session),
            Call::None | Call::Other => asked,
        }
    }

    /// Whether a session has been idle, or without a link, for as long as may be. Who waits for a change is
    /// not idle.
    fn is_due(&self, user: User, session: &SessionSeen) -> bool {
        let settings = &self.model.settings;
        let quiet_secs = self.now.since(session.active.0).as_secs();
        let idle = settings.timeout_secs > 0 && quiet_secs >= settings.timeout_secs;
        let over = session.lost_at.is_some_and(|lost| {
            self.now.since(lost).as_secs() >= settings.resume_grace_secs || self.settled_at >= lost
        });
        // What was typed ahead of a login may have had to wait for the rate.
        let waits = session.link.is_some() && self.wishes.is_anything_open(user);
        over || !self.is_unhurried() || (idle && !waits)
    }

    fn is_garbage(&self, link: LinkId) -> bool {
        self.links.seen.get(&link).is_some_and(|seen| seen.garbage)
    }

    /// Whether the call is one in which the same user comes in on another link.
    fn comes_back(&self, user: User, link: LinkId) -> bool {
        let session = &self.model.users[user].session;
        session.as_ref().is_some_and(|session| session.link != Some(link))
    }

    /// No session outlives its timeout, or without a link its grace, by more than a second.
    pub(super) fn sessions_time_out_in_time(&self) -> Verdict {
        for user in 0..self.model.users.len() {
            let overdue = self.is_overdue(user);
            let name = self.model.users[user].name.as_str();
            rule!(self, !overdue, "timeouts are exact to a second", "{name} is still in");
            let forgotten = self.outlives_its_grace(user);
            rule!(self, !forgotten, "a grace is over in its time", "{name} is still in, without a link");
        }
        Ok(())
    }

    /// Whether a session should have ended more than a second ago. Who waits for a change is not idle.
    fn is_overdue(&self, user: User) -> bool {
        let timeout = self.model.settings.timeout_secs;
        let session = self.model.users[user].session.as_ref().filter(|session| session.link.is_some());
        let Some(session) = session else { return false };
        let from = session.active.1.max(self.settled_at);
        let latest = Time(from.0 + timeout * 1_000_000 + LATE_MICROS);
        let waits = self.wishes.is_anything_open(user);
        timeout > 0 && self.is_unhurried() && self.now > latest && !waits
    }

    /// Whether a session that nobody takes up should have been given up more than a second ago.
    fn outlives_its_grace(&self, user: User) -> bool {
        let Some(session) = self.model.users[user].session.as_ref() else { return false };
        let Some(lost_at) = session.lost_at.filter(|_| session.link.is_none()) else { return false };
        let grace = self.model.settings.resume_grace_secs;
        self.now > Time(lost_at.max(self.settled_at).0 + grace * 1_000_000 + LATE_MICROS)
    }

    /// Without a grace a session ends in the very call that tells of the loss of its link.
    pub(super) fn lost_sessions_end(&mut self) -> Verdict {
        let Some(user) = self.lost_in_call.take() else { return Ok(()) };
        let known = &self.model.users[user];
        let stands = known.session.as_ref().is_some_and(|session| session.link.is_none());
        let ghost = stands && self.model.settings.resume_grace_secs == 0;
        rule!(self, !ghost, "a session ends with its link", "{} goes on", known.name);
        Ok(())
    }
}
