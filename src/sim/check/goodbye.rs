//! Logouts: what was under way to the user is shown before they are answered, and no longer waited for than
//! it moves.

use alloc::vec::Vec;

use super::{Call, Check, Verdict, rule};
use crate::record::RecordNumber;
use crate::server::settings::HeldOnBlock;
use crate::sim::model::User;
use crate::time::Time;
use crate::wire::Farewell;
use crate::words::{LinkId, MessageId};

/// Who takes nothing for so long is let go, and no farewell waits longer for the disk.
const PATIENCE_MICROS: u64 = 2_000_000;
/// How late that may be noticed.
const LATE_MICROS: u64 = 1_000_000;

/// The mail that waited when a logout was asked for.
#[derive(Debug)]
pub(super) struct Waiting {
    ids: Vec<MessageId>,
    asked_at: Time,
    /// When mail was last taken, and when anything last moved on the link; at first, when it was asked for.
    taken_at: Time,
    moved_at: Time,
}

impl Check {
    /// `logout`, or the end of a stream, reaches the server on a link.
    pub(super) fn logout_asked(&mut self, link: LinkId) {
        let now = self.now;
        let Some(user) = self.links.seen.get(&link).and_then(|seen| seen.user) else { return };
        let ids = self.shows_now(user);
        if let Some(seen) = self.links.seen.get_mut(&link) {
            seen.leaving.get_or_insert(Waiting { ids, asked_at: now, taken_at: now, moved_at: now });
        }
    }

    /// Something on the way to a user was acknowledged, has left, or was answered.
    pub(super) fn logout_moved(&mut self, link: LinkId) {
        let now = self.now;
        if let Some(seen) = self.links.seen.get_mut(&link).filter(|seen| seen.over.is_none())
            && let Some(leaving) = &mut seen.leaving
        {
            leaving.moved_at = now;
        }
    }

    /// Mail on the way to a user was acknowledged, or has left for one who does not acknowledge.
    pub(super) fn mail_taken(&mut self, link: LinkId) {
        let now = self.now;
        if let Some(leaving) = self.links.seen.get_mut(&link).and_then(|seen| seen.leaving.as_mut()) {
            leaving.taken_at = now;
        }
    }

    /// The session of a link has ended, by this record.
    pub(super) fn session_is_over(&mut self, link: Option<LinkId>, number: RecordNumber) {
        let now = self.now;
        if let Some(seen) = link.and_then(|link| self.links.seen.get_mut(&link)) {
            seen.over = Some((now, number));
        }
    }

    /// A link is told why its session ends: when that is durable, or has waited long enough. A server that
    /// stops waits for nothing.
    pub(super) fn farewell_waits(&mut self, link: LinkId, farewell: Farewell) -> Verdict {
        let over = self.links.seen.get(&link).and_then(|seen| seen.over);
        let Some((at, record)) = over.filter(|_| farewell != Farewell::ServerShutdown) else { return Ok(()) };
        let waited = self.now.0 >= at.0 + PATIENCE_MICROS || self.call == Call::Stop;
        let known = waited || self.is_settled(record);
        rule!(self, known, "a farewell waits for its record", "{link:?}: {farewell}, {record:?}");
        Ok(())
    }

    /// `logout` is answered on a link.
    pub(super) fn logout_answered(&mut self, link: LinkId) -> Verdict {
        let Some(seen) = self.links.seen.get(&link) else { return Ok(()) };
        let (Some(user), Some(leaving)) = (seen.user, &seen.leaving) else { return Ok(()) };
        let ended_at = seen.over.map_or(self.now, |(at, _)| at);
        let patient = ended_at.0 < leaving.taken_at.0 + PATIENCE_MICROS;
        // Other settings change what is on its way.
        if !patient || self.settled_at >= leaving.asked_at || self.model.by_hand || !self.is_unhurried() {
            return Ok(());
        }
        let left: Vec<MessageId> =
            self.shows_now(user).into_iter().filter(|id| leaving.ids.contains(id)).collect();
        let name = &self.model.users[user].name;
        rule!(self, left.is_empty(), "a logout waits for mail that is being shown", "{name}: {left:?}");
        Ok(())
    }

    /// Stored mail that is being shown to a user, and was not acknowledged, as far as that is sure.
    fn shows_now(&self, user: User) -> Vec<MessageId> {
        let known = &self.model.users[user];
        if known.is_odd() || self.model.settings.held_on_block == HeldOnBlock::Drop {
            return Vec::new();
        }
        let shown = |from: User| !self.model.users[from].is_odd() && !self.model.is_cut_off(from, user);
        let waiting = known
            .mailbox
            .iter()
            .filter(|(id, stored)| shown(stored.from) && !known.acknowledged.contains(id));
        waiting.map(|(id, _)| *id).collect()
    }

    /// A link is closed whose client has ended its stream: what it has asked for is answered.
    pub(super) fn end_of_stream_is_honoured(&self, link: LinkId) -> Verdict {
        let Some(seen) = self.links.seen.get(&link).filter(|seen| seen.stream_ended && !seen.resumes) else {
            return Ok(());
        };
        let patient =
            seen.leaving.as_ref().is_some_and(|leaving| self.now.0 < leaving.taken_at.0 + PATIENCE_MICROS);
        let by_logout = seen.farewell.is_none_or(|farewell| farewell == Farewell::Logout);
        let odd = seen.user.is_none_or(|user| self.model.users[user].is_odd());
        if !patient || !by_logout || odd || seen.garbage || self.call == Call::Stop {
            return Ok(());
        }
        let dropped = seen.expected.iter().find(|expected| expected.is_answered_soon());
        rule!(self, dropped.is_none(), "what came before the end of a stream is answered", "{dropped:?}");
        Ok(())
    }

    /// Nobody who wants to go is kept, but for the change that they have asked for before.
    pub(super) fn logouts_are_carried_out(&self) -> Verdict {
        let late = |at: Time| self.now.0 > at.0 + PATIENCE_MICROS + LATE_MICROS;
        for (link, seen) in &self.links.seen {
            let untold = seen.over.filter(|(at, _)| late(*at));
            rule!(self, untold.is_none(), "a farewell waits two seconds at most", "{link:?}: {untold:?}");
            let waits = seen.user.is_some_and(|user| self.wishes.is_anything_open(user));
            let Some(leaving) = seen.leaving.as_ref().filter(|_| seen.over.is_none() && !waits) else {
                continue;
            };
            let kept =
                late(leaving.moved_at.max(self.settled_at)) && self.is_unhurried() && self.is_flushed(*link);
            rule!(self, !kept, "a logout is carried out", "{link:?}: {leaving:?}");
        }
        Ok(())
    }
}
