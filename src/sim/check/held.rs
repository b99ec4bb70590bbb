//! Held mail: what a block held back is shown when the block is lifted.

use alloc::collections::{BTreeMap, BTreeSet};

use super::{Check, Verdict, rule};
use crate::record::{Change, Fact, Record};
use crate::server::settings::{HeldOnBlock, OfflineDelivery};
use crate::time::Time;
use crate::words::{LinkId, MessageId};

/// Mail that must still be sent on a link, as a block was lifted.
#[derive(Debug, Default)]
pub(super) struct Held {
    owed: BTreeMap<LinkId, BTreeSet<MessageId>>,
}

impl Check {
    /// A fact: mail that was removed is owed no more.
    pub(super) fn held_record(&mut self, record: &Record) {
        if let Record::Fact(Fact::MailRemoved { ids, .. }) = record {
            for owed in self.held.owed.values_mut() {
                owed.retain(|id| !ids.contains(id));
            }
        }
    }

    /// A change is durable.
    pub(super) fn held_applied(&mut self, record: &Record) {
        let Record::Change(change) = record else { return };
        match change {
            Change::Unblocked { by, user } => self.block_lifted(by.as_str(), user.as_str()),
            Change::Blocked { by, .. } => {
                let by = self.model.user(by.as_str());
                if let Some(link) = self.model.session_mut(by).and_then(|session| session.link) {
                    self.held.owed.remove(&link);
                }
            }
            Change::AccountAdded { .. } | Change::AccountRemoved { .. } => self.held.owed.clear(),
            Change::GroupSet { .. } | Change::GroupRemoved { .. } => {}
        }
    }

    fn block_lifted(&mut self, by: &str, user: &str) {
        let (by, user) = (self.model.user(by), self.model.user(user));
        let settings = &self.model.settings;
        let shows = settings.held_on_block == HeldOnBlock::Hold
            && settings.offline_delivery != OfflineDelivery::Off
            && !self.model.is_cut_off(user, by)
            && !self.model.users[by].is_odd()
            && !self.model.users[user].is_odd();
        let link = self.model.session_mut(by).and_then(|session| session.link);
        let Some(seen) = link.and_then(|link| self.links.seen.get(&link)).filter(|_| shows) else { return };
        let is_sent = |id: &MessageId| seen.sent.iter().any(|sent| sent.id == *id);
        let mailbox = self.model.users[by].mailbox.iter();
        let waiting = mailbox.filter(|(id, stored)| stored.from == user && !is_sent(id)).map(|(id, _)| *id);
        if let Some(link) = link {
            self.held.owed.entry(link).or_default().extend(waiting);
        }
    }

    pub(super) fn held_sent(&mut self, link: LinkId, id: MessageId) {
        if let Some(owed) = self.held.owed.get_mut(&link) {
            owed.remove(&id);
        }
    }

    /// In a world at rest nothing that was held back waits any more.
    pub(crate) fn nothing_is_held_back(&mut self, now: Time) -> Verdict {
        self.now = now;
        for (link, owed) in &self.held.owed {
            let stands = self.model.member_on(*link).is_some();
            let nothing = !stands || owed.is_empty();
            rule!(self, nothing, "what a block held back is shown when it is lifted", "{link:?}: {owed:?}");
        }
        Ok(())
    }
}
