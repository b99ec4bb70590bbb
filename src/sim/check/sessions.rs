//! Sessions: one a user, ended for a reason, in time, and told to exactly those entitled.

use alloc::vec::Vec;

use super::links::LinkSeen;
use super::{Call, Check, Verdict, rule};
use crate::record::{Change, Fact, Record, RecordNumber};
use crate::server::settings::DuplicateLogin;
use crate::sim::model::{SessionSeen, User};
use crate::time::Time;
use crate::wire::Admission;
use crate::words::LinkId;

/// How late a timeout may be.
const LATE_MICROS: u64 = 1_000_000;

/// Word that somebody is owed of another.
#[derive(Debug, Clone)]
pub(super) struct Owed {
    subject: User,
    online: bool,
    viewer: User,
    /// The viewer's link then.
    link: Option<LinkId>,
    /// It may be left out.
    perhaps: bool,
}

impl Check {
    /// Something was typed on a link.
    pub(super) fn activity(&mut self, link: LinkId, valid: bool) {
        let now = self.now;
        let counts = self.model.settings.invalid_counts_as_activity;
        if let Some(user) = self.model.member_on(link)
            && let Some(session) = self.model.session_mut(user)
            && (valid || counts)
            && session.active.1 < now
        {
            session.active_before = session.active.0;
            session.active = (now, now);
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
        if let Some((user, _)) = self.tokens.claims(link)
            && let Some(session) = self.model.session_mut(user)
        {
            session.perhaps_lost_at = now;
        }
        if let Some(user) = self.model.member_on(link)
            && let Some(session) = self.model.session_mut(user)
        {
            session.link = None;
            session.lost_at = Some(now);
            session.presence.clear();
            self.lost_in_call = Some(user);
        }
    }

    pub(super) fn session_record(&mut self, record: &Record) -> Verdict {
        match record {
            Record::Fact(Fact::SessionBegan { user, login, at, .. }) => {
                let user = self.model.user(user.as_str());
                let known = &self.model.users[user];
                let again = known.session.is_some() && known.login == login.0 && self.refused_at == self.now;
                if *at != self.now || again {
                    self.overtaken.remove(&user);
                    return Ok(());
                }
                self.session_began(user, login.0)
            }
            Record::Fact(Fact::SessionEnded { user, at, .. }) => {
                let user = self.model.user(user.as_str());
                if *at != self.now {
                    self.written_again(user, *at);
                    return Ok(());
                }
                self.session_ended(user)
            }
            Record::Change(Change::AccountAdded { .. })
            | Record::Change(Change::AccountRemoved { .. })
            | Record::Fact(Fact::Failures { .. })
            | Record::MailStored { .. }
            | Record::Fact(Fact::MailRemoved { .. })
            | Record::Change(Change::Blocked { .. })
            | Record::Change(Change::Unblocked { .. })
            | Record::Change(Change::GroupSet { .. })
            | Record::Change(Change::GroupRemoved { .. })
            | Record::Settled { .. } => Ok(()),
        }
    }

    fn session_began(&mut self, user: User, login: u64) -> Verdict {
        let link = match self.call {
            Call::Verified(ticket) => self.link_of_ticket(ticket),
            Call::Received(link) => Some(link),
            Call::Committed => self.link_registering(&self.model.users[user].name.clone()),
            Call::None | Call::LinkClosed(_) | Call::Refused | Call::Stop | Call::Tick | Call::Other => None,
        };
        let known = &self.model.users[user];
        if link.is_none() {
            // Only the right to resume was changed, as after a new password.
            return Ok(());
        }
        rule!(self, known.session.is_none(), "one session a user", "{} has one already", known.name);
        let resumed = login == known.login;
        self.overtaken.remove(&user);
        let mut ahead = false;
        if let Some(seen) = link.and_then(|link| self.links.seen.get_mut(&link)) {
            seen.user = Some(user);
            seen.login = login;
            ahead = seen.logout_ahead;
        }
        let odd = |user: User| self.model.users[user].odd;
        let judged = !resumed
            && !odd(user)
            && !self.model.settings.block_mutual
            && !self.model.users[user].mailbox.values().any(|stored| odd(stored.from));
        let unread = judged.then(|| self.model.unread(user));
        let now = self.now;
        let known = &mut self.model.users[user];
        known.login = login;
        known.session = Some(SessionSeen {
            link,
            active: (now, now),
            active_before: now,
            unread,
            logout_asked: ahead,
            ..SessionSeen::default()
        });
        self.owe_presence(user, true, resumed);
        Ok(())
    }

    /// An end that the store had refused is written again: a session since must be written behind it.
    fn written_again(&mut self, user: User, at: Time) {
        let known = &self.model.users[user];
        if known.session.is_some() && known.last_login.is_some_and(|login| login > at) {
            self.overtaken.insert(user);
        }
    }

    /// No call leaves an older end of a session behind a newer beginning.
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

    fn session_ended(&mut self, user: User) -> Verdict {
        if self.model.users[user].session.is_none() {
            return Ok(());
        }
        let cause = self.ending_has_cause(user);
        let late = self.call == Call::Tick && self.is_overdue(user);
        let name = self.model.users[user].name.as_str();
        rule!(self, cause, "a session ends for a reason", "{name}, in {:?}", self.call);
        rule!(self, !late, "timeouts are exact to a second", "{name} was in too long");
        let ended = self.model.users[user].session.take();
        self.logout_over(ended.and_then(|session| session.link));
        if self.call != Call::Stop {
            self.owe_presence(user, false, false);
        }
        Ok(())
    }

    fn ending_has_cause(&self, user: User) -> bool {
        let Some(session) = &self.model.users[user].session else { return false };
        let settings = &self.model.settings;
        // What was due already is carried out before anything that comes in the same call.
        let last = if session.active.0 == self.now { session.active_before } else { session.active.0 };
        let quiet_secs = self.now.since(last).as_secs();
        let due = |timeout: u64| timeout > 0 && quiet_secs >= timeout;
        let idle =
            due(settings.timeout_secs) || (self.call == Call::Other && due(self.model.timeout_before_secs));
        let over = session.lost_at.is_some_and(|lost| {
            self.now.since(lost).as_secs() >= settings.resume_grace_secs || self.settled_at >= lost
        });
        let asked = session.logout_asked;
        let own = |link: LinkId| session.link == Some(link) && (asked || self.is_garbage(link));
        let own_cause = match self.call {
            Call::Stop | Call::Committed => true,
            // By one who comes in instead, or by what he has typed ahead.
            Call::Verified(ticket) => {
                settings.duplicate_login == DuplicateLogin::Replace
                    || session.link.is_none()
                    || session.link == self.link_of_ticket(ticket)
                    || asked
            }
            Call::LinkClosed(_) => {
                // Who has said `logout` may wait for his mail; with his link he is out.
                asked
                    || (session.lost_at == Some(self.now) || session.moving)
                        && settings.resume_grace_secs == 0
            }
            Call::Received(link) => own(link) || self.comes_back(user, link) || self.just_began(user, link),
            // What was typed ahead of a login may have had to wait for the rate.
            Call::Tick => asked || !self.is_unhurried(),
            Call::None | Call::Refused | Call::Other => asked,
        };
        own_cause || idle || over
    }

    /// Whether a session has begun, or gone on, in this very call: what was typed ahead is obeyed at once.
    fn just_began(&self, user: User, link: LinkId) -> bool {
        let known = &self.model.users[user];
        let own = known.session.as_ref().is_some_and(|session| session.link == Some(link));
        own && (known.last_login == Some(self.now) || self.welcomed_in_call.contains(&user))
    }

    fn is_garbage(&self, link: LinkId) -> bool {
        self.links.seen.get(&link).is_some_and(|seen| seen.garbage)
    }

    /// Whether the call is one in which the same user comes in on another link.
    fn comes_back(&self, user: User, link: LinkId) -> bool {
        let session = &self.model.users[user].session;
        session.as_ref().is_some_and(|session| session.link != Some(link))
    }

    /// Every other session whose user the subject has not blocked is to be told; while that is open, it is
    /// once it is known.
    fn owe_presence(&mut self, subject: User, online: bool, perhaps: bool) {
        for other in (0..self.model.users.len()).filter(|other| *other != subject) {
            let blocks = self.model.users[subject].blocks.contains(&other);
            let odd = self.model.users[subject].odd || self.model.users[other].odd;
            let change = self.model.last_block_change(subject, other).filter(|_| !odd);
            let Some(session) = self.model.session_mut(other) else { continue };
            let (link, perhaps) = (session.link, perhaps || odd);
            let owed = Owed { subject, online, viewer: other, link, perhaps };
            match change {
                Some(change) => self.open_presence.push((change, !blocks, owed)),
                None if blocks && !odd => {}
                None => self.owe(&owed),
            }
        }
    }

    fn owe(&mut self, owed: &Owed) {
        let Some(session) = self.model.session_mut(owed.viewer) else { return };
        // A session between two links may be on the next one already.
        let perhaps = owed.perhaps || owed.link.is_none();
        if session.link == owed.link || owed.link.is_none() {
            session.presence.push_back((owed.subject, owed.online, perhaps));
        }
    }

    /// Changes of blocks have become durable: who came or went behind them is told, unless blocked.
    pub(super) fn presence_committed(&mut self, upto: RecordNumber) {
        let (known, open) = self.open_presence.drain(..).partition(|(change, ..)| *change <= upto);
        self.open_presence = open;
        for (_, _, owed) in Vec::into_iter(known).filter(|(_, lifted, _)| *lifted) {
            self.owe(&owed);
        }
    }

    /// Changes of blocks were refused: as if they had never been.
    pub(super) fn presence_refused(&mut self, from: RecordNumber) {
        let (refused, open) = self.open_presence.drain(..).partition(|(change, ..)| *change >= from);
        self.open_presence = open;
        for (_, _, owed) in Vec::into_iter(refused) {
            if !self.model.users[owed.subject].blocks.contains(&owed.viewer) {
                self.owe(&owed);
            }
        }
    }

    /// A link is told that somebody came or went.
    pub(super) fn presence_sent(&mut self, link: LinkId, subject: &str, online: bool) -> Verdict {
        let subject = self.model.user(subject);
        let viewer = self.links.seen.get(&link).and_then(|seen| seen.user);
        let Some(viewer) = viewer else {
            rule!(self, false, "presence reaches exactly the entitled", "{link:?} is no session's");
            return Ok(());
        };
        let names = (self.model.users[viewer].name.clone(), self.model.users[subject].name.clone());
        let Some(session) = self.model.session_mut(viewer) else { return Ok(()) };
        if session.link != Some(link) {
            return Ok(());
        }
        let fits = |owed: &(User, bool, bool)| (owed.0, owed.1) == (subject, online);
        let due = session.presence.iter().position(|owed| owed.0 == subject && !owed.2);
        let due = due.filter(|due| fits(&session.presence[*due]));
        let place = due.or_else(|| session.presence.iter().position(fits));
        let passed =
            session.presence.iter().take(place.unwrap_or(0)).any(|owed| owed.0 == subject && !owed.2);
        // What may or may not be told before may be what comes next: which is which is not seen.
        if let Some(place) = place {
            let told = session.presence.remove(place);
            debug_assert!(told.is_some());
        }
        rule!(
            self,
            place.is_some() && !passed,
            "presence reaches exactly the entitled",
            "{} is told that {} is {}",
            names.0,
            names.1,
            if online { "online" } else { "offline" }
        );
        Ok(())
    }

    /// A link is let in, by password or by token.
    pub(super) fn welcomed(&mut self, link: LinkId, admission: &Admission<'_>, resumed: bool) -> Verdict {
        let Admission { user, unread, login, token } = *admission;
        let login = login.0;
        let now = self.now;
        let user = self.model.user(user);
        if resumed {
            self.resumed_rightly(link, user, login)?;
        }
        self.tokens.given(user, login, token);
        let stale = login < self.model.users[user].login;
        if !stale {
            self.welcomed_in_call.insert(user);
        }
        if let Some(seen) = self.links.seen.get_mut(&link) {
            seen.user = Some(user);
            seen.welcomed = true;
            seen.login = login;
        }
        let ahead = self.links.seen.get(&link).is_some_and(|seen| seen.logout_ahead);
        let known = &mut self.model.users[user];
        let name = known.name.clone();
        let risen = if resumed { login >= known.told_login } else { login > known.told_login };
        // After the loss of a login that the disk had no room for, an earlier one stands again.
        let risen = risen || stale || (resumed && known.blurred);
        rule!(self, risen, "login numbers rise", "{name}: {login} after {}", known.told_login);
        known.told_login = known.told_login.max(login);
        // The session may have ended while its welcome waited.
        let Some(session) = self.model.session_mut(user) else { return self.admitted(link) };
        if resumed && !stale && session.link != Some(link) {
            session.link = Some(link);
            session.lost_at = None;
            session.moving = false;
            session.logout_asked |= ahead;
            session.active.1 = session.active.1.max(now);
        }
        let own = session.link == Some(link);
        let counted = if own && !resumed { session.unread.take() } else { None };
        rule!(
            self,
            counted.is_none_or(|counted| counted == unread),
            "unread counts what waits",
            "{name}: {unread}, should be {counted:?}"
        );
        self.admitted(link)
    }

    /// Who was let in has no other link, once all of a call is done: the links of a batch close in their order.
    pub(super) fn nobody_has_two_links(&mut self) -> Verdict {
        while let Some(user) = self.welcomed_in_call.pop_first() {
            let own = |seen: &&LinkSeen| seen.user == Some(user) && seen.welcomed;
            let links = self.links.seen.values().filter(own).count();
            let name = &self.model.users[user].name;
            rule!(self, links <= 1, "one session a user", "{name} has {links} links");
        }
        Ok(())
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

    /// Whether a session should have ended more than a second ago.
    fn is_overdue(&self, user: User) -> bool {
        let timeout = self.model.settings.timeout_secs;
        let session = self.model.users[user].session.as_ref().filter(|session| session.link.is_some());
        let Some(session) = session else { return false };
        let from = session.active.1.max(self.settled_at);
        let latest = Time(from.0 + timeout * 1_000_000 + LATE_MICROS);
        timeout > 0 && self.is_unhurried() && self.now > latest
    }

    /// Whether a session that nobody takes up should have been given up more than a second ago.
    fn outlives_its_grace(&self, user: User) -> bool {
        let session = self.model.users[user].session.as_ref();
        // One that moves to another link may wait for the store to say so there.
        let alone = |session: &&SessionSeen| session.link.is_none() && !session.moving;
        let Some(session) = session.filter(alone) else { return false };
        let Some(lost_at) = session.lost_at.map(|at| at.max(session.perhaps_lost_at)) else { return false };
        let grace = self.model.settings.resume_grace_secs;
        let latest = Time(lost_at.max(self.settled_at).0 + grace * 1_000_000 + LATE_MICROS);
        self.now > latest && self.is_at_rest()
    }

    /// Whether a session ends in this very call, for it has been idle, or without a link, for so long.
    pub(super) fn is_somebody_due(&self) -> bool {
        let settings = &self.model.settings;
        let over = |from: Time, seconds: u64| self.now.0 >= from.0 + seconds * 1_000_000;
        let idle = |session: &SessionSeen| {
            settings.timeout_secs > 0 && over(session.active.0, settings.timeout_secs)
        };
        let lost = |session: &SessionSeen| {
            session.lost_at.is_some_and(|lost| over(lost, settings.resume_grace_secs))
        };
        let mut sessions = self.model.users.iter().filter_map(|known| known.session.as_ref());
        sessions.any(|session| idle(session) || lost(session))
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

    /// At the end nobody is owed a notice.
    pub(super) fn presence_is_told(&self) -> Verdict {
        for known in &self.model.users {
            let Some(session) = &known.session else { continue };
            let owed = session.presence.iter().find(|owed| !owed.2);
            let subject = owed.map(|owed| (self.model.users[owed.0].name.as_str(), owed.1));
            rule!(
                self,
                owed.is_none(),
                "presence reaches exactly the entitled",
                "{} was not told of {subject:?}",
                known.name
            );
        }
        Ok(())
    }
}
