//! Presence: who comes and goes is told at once, to exactly those entitled.

use super::{Check, Verdict, rule};
use crate::sim::model::User;
use crate::words::LinkId;

impl Check {
    /// Every other session whose user the subject has not blocked is to be told. `perhaps`: it may be left out.
    pub(super) fn owe_presence(&mut self, subject: User, online: bool, perhaps: bool) {
        for other in (0..self.model.users.len()).filter(|other| *other != subject) {
            let blocked = self.model.users[subject].blocks.contains(&other);
            let odd = self.model.users[subject].is_odd() || self.model.users[other].is_odd();
            let Some(session) = self.model.session_mut(other).filter(|_| odd || !blocked) else { continue };
            // A session between two links may be on the next one already.
            let perhaps = perhaps || odd || session.link.is_none();
            session.presence.push_back((subject, online, perhaps));
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

    /// When a call is over nobody is owed a notice: none waits for the disk.
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
