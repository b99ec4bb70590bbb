//! Beginnings: a login shows nowhere until its record is durable, or refused; then it is told.

use super::links::LinkSeen;
use super::{Call, Check, Verdict, rule};
use crate::record::{Fact, Record, RecordNumber};
use crate::sim::known::{Coming, SessionSeen};
use crate::sim::model::User;
use crate::time::Time;
use crate::wire::Admission;
use crate::words::LinkId;

impl Check {
    /// A session begins: its link is to be told when that is durable.
    pub(super) fn session_began(&mut self, number: RecordNumber, record: &Record) -> Verdict {
        let Record::Fact(Fact::SessionBegan { user, login, at, .. }) = record else { return Ok(()) };
        let (user, login) = (self.model.user(user.as_str()), login.0);
        let known = &self.model.users[user];
        let again = known.login == login && (known.session.is_some() || known.coming.is_some());
        let link = self.link_beginning(user, login);
        let Some(link) = link.filter(|_| *at == self.now && !again && !self.facts.is_again()) else {
            // It is written again, or only the right to resume was changed, as after a new password.
            self.overtaken.remove(&user);
            return Ok(());
        };
        let alone = known.session.is_none() && known.coming.is_none_or(|coming| !self.is_open(coming.link));
        rule!(self, alone, "one session a user", "{} has one already", known.name);
        self.overtaken.remove(&user);
        let known = &mut self.model.users[user];
        known.login = login;
        known.coming = Some(Coming { link, record: number, at: *at });
        Ok(())
    }

    pub(super) fn is_open(&self, link: LinkId) -> bool {
        self.links.seen.contains_key(&link)
    }

    /// On which link a session begins.
    fn link_beginning(&self, user: User, login: u64) -> Option<LinkId> {
        let resuming = self
            .tokens
            .claimants((user, login))
            .rfind(|link| self.links.seen.get(link).is_some_and(|seen| seen.user.is_none()));
        if resuming.is_some() {
            return resuming;
        }
        let verified = match self.call {
            Call::Verified(ticket) => self.link_of_ticket(ticket),
            _ => None,
        };
        let name = &self.model.users[user].name;
        verified.or_else(|| self.link_registering(name)).or_else(|| self.link_let_in(name))
    }

    /// The link of a login that waits is gone. Its user was never told, and nobody else was.
    pub(super) fn login_lost_link(&mut self, link: LinkId) {
        for known in &mut self.model.users {
            known.blurred |= known.coming.is_some_and(|coming| coming.link == link);
        }
    }

    /// Every login whose record is durable, or refused, is told so in that very call.
    pub(super) fn logins_are_told(&self) -> Verdict {
        for known in &self.model.users {
            let Some(coming) = known.coming.filter(|coming| self.is_open(coming.link)) else { continue };
            let waits = self.model.is_under_way(coming.record);
            rule!(self, waits, "a login is told when its record is known", "{}", known.name);
        }
        Ok(())
    }

    /// A link is let in, by password or by token.
    pub(super) fn welcomed(&mut self, link: LinkId, admission: &Admission<'_>, resumed: bool) -> Verdict {
        let Admission { user, unread, login, token } = *admission;
        let login = login.0;
        let user = self.model.user(user);
        if resumed {
            self.resumed_rightly(link, user, login)?;
        }
        self.tokens.given(user, login, token);
        let known = &self.model.users[user];
        let risen = login == known.login && (resumed || login > known.told_login);
        rule!(self, risen, "login numbers rise", "{}: {login} after {}", known.name, known.told_login);
        // Who resumes may do so while the link is lost on which they came back before.
        let own = |coming: &Coming| coming.link == link || (resumed && !self.is_open(coming.link));
        match known.coming.filter(own) {
            Some(coming) => self.session_begins(link, user, coming)?,
            None => self.session_goes_on(link, user, resumed)?,
        }
        let entry = &mut self.model.users[user];
        entry.told_login = entry.told_login.max(login);
        self.welcomed_in_call.insert(user);
        if self.counts_unread(user) {
            let counted = self.model.unread(user);
            let fits = self.at_some_point(|check| check.model.unread(user) == unread);
            let name = &self.model.users[user].name;
            rule!(self, fits, "unread counts what waits", "{name}: {unread}, should be {counted}");
        }
        self.admitted(link)?;
        self.obeys_from_now_on(link, user, login);
        Ok(())
    }

    /// Whether it is sure which mail a login counts.
    fn counts_unread(&self, user: User) -> bool {
        let odd = |user: User| self.model.users[user].is_odd();
        let strange = self.model.users[user].mailbox.values().any(|stored| odd(stored.from));
        !odd(user) && !strange && !self.model.settings.block_mutual
    }

    /// A session begins for everybody.
    fn session_begins(&mut self, link: LinkId, user: User, coming: Coming) -> Verdict {
        let known = self.is_settled(coming.record);
        let now = self.now;
        let entry = &mut self.model.users[user];
        rule!(self, known, "a login is told when its record is known", "{} is let in", entry.name);
        entry.coming = None;
        entry.history.last_login = entry.history.last_login.max(Some(coming.at));
        entry.session = Some(SessionSeen { link: Some(link), active: (now, now), ..SessionSeen::default() });
        self.owe_presence(user, true, false);
        Ok(())
    }

    /// A session that stands goes on over another link.
    fn session_goes_on(&mut self, link: LinkId, user: User, resumed: bool) -> Verdict {
        let now = self.now;
        let name = self.model.users[user].name.clone();
        let session = self.model.session_mut(user).filter(|_| resumed);
        rule!(self, session.is_some(), "a session begins with its record", "{name}");
        if let Some(session) = session {
            session.link = Some(link);
            session.lost_at = None;
            session.moving = false;
            session.active.1 = session.active.1.max(now);
        }
        Ok(())
    }

    /// Who was let in is obeyed: what was typed ahead now, and an end of stream after it.
    fn obeys_from_now_on(&mut self, link: LinkId, user: User, login: u64) {
        let Some(seen) = self.links.seen.get_mut(&link) else { return };
        (seen.user, seen.welcomed, seen.login) = (Some(user), true, login);
        for line in core::mem::take(&mut seen.ahead) {
            self.obey_ahead(link, &line);
        }
        let ended = self.links.seen.get(&link).is_some_and(|seen| seen.stream_ended && !seen.resumes);
        if let Some(session) = self.model.session_mut(user).filter(|_| ended) {
            session.logout_asked = true;
            self.logout_asked(link);
        }
    }

    /// A session that stands is taken up at once: nothing needs to be written for it.
    pub(super) fn sessions_are_taken_up(&self) -> Verdict {
        let Call::Received(link) = self.call else { return Ok(()) };
        let waits = |seen: &LinkSeen| seen.user.is_none() && !seen.stream_ended;
        let waits = self.links.seen.get(&link).is_some_and(waits);
        let tries = self.locks.attempts.iter().any(|attempt| attempt.link == link);
        let Some((user, login)) = self.tokens.claims(link).filter(|_| waits && !tries) else { return Ok(()) };
        let known = &self.model.users[user];
        let stands = known.session.is_some() && known.login == login && !known.is_odd();
        rule!(self, !stands, "a session that stands is taken up at once", "{}, by {link:?}", known.name);
        Ok(())
    }

    /// Who was let in has no other link, once all of a call is done: the links of a batch close in their order.
    pub(super) fn nobody_has_two_links(&mut self) -> Verdict {
        while let Some(user) = self.welcomed_in_call.pop_first() {
            let links =
                self.links.seen.values().filter(|seen| seen.user == Some(user) && seen.welcomed).count();
            let name = &self.model.users[user].name;
            rule!(self, links <= 1, "one session a user", "{name} has {links} links");
        }
        Ok(())
    }

    /// Whether a login of a name is under way: another hears `busy`.
    pub(super) fn is_coming(&self, name: &str) -> bool {
        self.model.find(name).is_some_and(|user| self.model.users[user].coming.is_some())
    }

    /// When the session of a user began or ended that is written again: it is no news.
    pub(super) fn written_again(&mut self, user: User, at: Time) {
        let known = &self.model.users[user];
        if known.session.is_some() && known.history.last_login.is_some_and(|login| login > at) {
            self.overtaken.insert(user);
        }
    }
}
