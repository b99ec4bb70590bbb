//! A mailbox: what is in it, and what is on its way into it or out of it.

use alloc::collections::{BTreeMap, BTreeSet};

use super::{Server, User};
use crate::words::{MessageId, Name};

/// One user's stored mail, without the texts.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    /// Durable, and not taken out.
    stored: BTreeMap<MessageId, (Name, u64)>,
    /// On its way to the disk; `true`: shown already, so that it need not be stored.
    promised: BTreeMap<MessageId, (Name, u64, bool)>,
    /// Taken out, as far as the disk does not know it.
    removed: BTreeSet<MessageId>,
    /// Of all that is stored or promised.
    bytes: u64,
}

impl Mailbox {
    pub(super) fn promise(&mut self, id: MessageId, from: Name, bytes: u64) {
        self.bytes += bytes;
        self.promised.insert(id, (from, bytes, false));
    }

    /// The message is durable.
    pub(super) fn book(&mut self, id: MessageId, from: &Name, bytes: u64) {
        let promise = self.promised.remove(&id);
        if promise.is_none() {
            self.bytes += bytes;
        }
        if promise.is_some_and(|(_, _, shown)| shown) {
            self.bytes -= bytes;
        } else {
            self.stored.insert(id, (from.clone(), bytes));
        }
    }

    /// The store refused a message; whether its receiver has it already.
    pub(super) fn release(&mut self, id: MessageId) -> bool {
        let Some((_, bytes, shown)) = self.promised.remove(&id) else { return false };
        self.bytes -= bytes;
        shown
    }

    /// A message was shown or is dropped; whether it was there.
    pub(super) fn take_out(&mut self, id: MessageId) -> bool {
        if !self.removed.insert(id) {
            return false;
        }
        if let Some((_, _, shown)) = self.promised.get_mut(&id) {
            *shown = true;
        } else if let Some((_, bytes)) = self.stored.remove(&id) {
            self.bytes -= bytes;
        }
        true
    }

    pub(super) fn forget_removed(&mut self, ids: &[MessageId]) {
        self.removed.retain(|id| !ids.contains(id));
    }

    pub(super) fn is_expecting(&self) -> bool {
        !self.promised.is_empty()
    }

    pub(super) fn is_removed(&self, id: MessageId) -> bool {
        self.removed.contains(&id)
    }

    pub(super) fn has_mail(&self) -> bool {
        !self.stored.is_empty()
    }

    pub(super) fn has_mail_of(&self, from: &Name) -> bool {
        self.stored.values().any(|(sender, _)| sender == from)
    }

    /// Messages of one sender, stored or promised.
    pub(super) fn count_of(&self, from: &Name) -> u64 {
        let stored = self.stored.values().filter(|(sender, _)| sender == from).count();
        let promised = self.promised.values().filter(|(sender, ..)| sender == from).count();
        (stored + promised) as u64
    }

    pub(super) fn senders(&self) -> impl Iterator<Item = &Name> {
        self.stored.values().map(|(from, _)| from)
    }
}

impl Server {
    /// Whether one more message may be stored (ruling 42, R40).
    pub(super) fn has_room(&self, to: User, from: User, bytes: u64) -> bool {
        let within = |limit: u64, used: u64| limit == 0 || used <= limit;
        let (settings, mailbox) = (&self.settings, &self.at(to).mailbox);
        let count = (mailbox.stored.len() + mailbox.promised.len()) as u64;
        let in_all: u64 = self.users.iter().flatten().map(|account| account.mailbox.bytes).sum();
        within(settings.mailbox_messages.into(), count + 1)
            && within(settings.mailbox_bytes, mailbox.bytes + bytes)
            && within(settings.mailbox_per_sender.into(), mailbox.count_of(self.name(from)) + 1)
            && within(settings.mailbox_total_bytes, in_all + bytes)
    }
}
