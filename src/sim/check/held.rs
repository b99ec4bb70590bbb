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

impl Held {
    pub(super) fn store_refused(&mut self) {
        self.owed.clear();
    }

    pub(super) fn server_gone(&mut self) {
        self.owed.clear();
    }
}

impl Check {
    pub(super) fn held_record(&mut self, record: &Record) {
        match record {
            Record::Change(Change::Unblocked { by, user }) => self.block_lifted(by.as_str(), user.as_str()),
            Record::Change(Change::Blocked { by, .. }) => {
                let by = self.model.user(by.as_str());
                if let Some(link) = self.model.session_mut(by).and_then(|session| session.link) {
                    self.held.owed.remove(&link);
                }
            }
            Record::Fact(Fact::MailRemoved { ids, .. }) => {
                for owed in self.held.owed.values_mut() {
                    owed.retain(|id| !ids.contains(id));
                }
            }
            Record::Change(Change::AccountAdded { .. }) | Record::Change(Change::AccountRemoved { .. }) => {
                self.held.owed.clear()
            }
            Record::Fact(Fact::Failures { .. })
            | Record::Fact(Fact::SessionBegan { .. })
            | Record::Fact(Fact::SessionEnded { .. })
            | Record::MailStored { .. }
            | Record::Change(Change::GroupSet { .. })
            | Record::Change(Change::GroupRemoved { .. })
            | Record::Settled { .. } => {}
        }
    }

    fn block_lifted(&mut self, by: &str, user: &str) {
        let (by, user) = (self.model.user(by), self.model.user(user));
        let settings = &self.model.settings;
        let shows = settings.held_on_block == HeldOnBlock::Hold
            && settings.offline_delivery != OfflineDelivery::Off
            && !self.model.is_cut_off(user, by)
            && !self.model.users[by].odd
            && !self.model.users[user].odd;
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
