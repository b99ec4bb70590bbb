//! Logouts: the stored mail that was being shown is shown, and acknowledged, before they are answered.

use alloc::vec::Vec;

use super::{Check, Verdict, rule};
use crate::server::settings::HeldOnBlock;
use crate::sim::model::User;
use crate::time::Time;
use crate::words::{LinkId, MessageId};

/// Who acknowledges nothing for so long is let go.
const PATIENCE_MICROS: u64 = 2_000_000;

/// The mail that waited when a logout was asked for.
#[derive(Debug)]
pub(super) struct Waiting {
    ids: Vec<MessageId>,
    asked_at: Time,
    /// When any mail was last acknowledged, or the logout was asked for.
    moved_at: Time,
    /// When the session ended; the word of it may have had to wait for a record.
    over_at: Option<Time>,
}

impl Check {
    /// `logout` reaches the server on a link.
    pub(super) fn logout_asked(&mut self, link: LinkId) {
        let now = self.now;
        let Some(user) = self.links.seen.get(&link).and_then(|seen| seen.user) else { return };
        let ids = self.shows_now(user);
        if let Some(seen) = self.links.seen.get_mut(&link) {
            seen.leaving.get_or_insert(Waiting { ids, asked_at: now, moved_at: now, over_at: None });
        }
    }

    /// Mail on the way to a user was acknowledged, or has left for one who does not acknowledge.
    pub(super) fn logout_moved(&mut self, link: LinkId) {
        let now = self.now;
        if let Some(leaving) = self.links.seen.get_mut(&link).and_then(|seen| seen.leaving.as_mut())
            && leaving.over_at.is_none()
        {
            leaving.moved_at = now;
        }
    }

    /// The session of a link has ended.
    pub(super) fn logout_over(&mut self, link: Option<LinkId>) {
        let now = self.now;
        let seen = link.and_then(|link| self.links.seen.get_mut(&link));
        if let Some(leaving) = seen.and_then(|seen| seen.leaving.as_mut()) {
            leaving.over_at = Some(now);
        }
    }

    /// `logout` is answered on a link.
    pub(super) fn logout_answered(&mut self, link: LinkId) -> Verdict {
        let Some(seen) = self.links.seen.get(&link) else { return Ok(()) };
        let (Some(user), Some(leaving)) = (seen.user, &seen.leaving) else { return Ok(()) };
        let ended_at = leaving.over_at.unwrap_or(self.now);
        let patient = ended_at.0 < leaving.moved_at.0 + PATIENCE_MICROS;
        // Other settings, and what the store refused, change what is on its way.
        let changed = self.refused_at.max(self.settled_at) >= leaving.asked_at;
        if !patient || changed || self.model.by_hand || !self.is_unhurried() {
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
        if known.odd || self.model.settings.held_on_block == HeldOnBlock::Drop {
            return Vec::new();
        }
        let settled = |by: User, user: User| {
            !self.model.is_pending(by, user) && !self.model.shaky.contains_key(&(by, user))
        };
        let shown = |from: User| {
            !self.model.users[from].odd
                && !self.model.is_cut_off(from, user)
                && settled(user, from)
                && (!self.model.settings.block_mutual || settled(from, user))
        };
        let waiting = known
            .mailbox
            .iter()
            .filter(|(id, stored)| shown(stored.from) && !known.acknowledged.contains(id));
        waiting.map(|(id, _)| *id).collect()
    }
}
