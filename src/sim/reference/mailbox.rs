//! A mailbox: what is in it, and what is on its way into it or out of it.

use alloc::collections::{BTreeMap, BTreeSet};

use super::expiry::Look;
use super::{Server, User};
use crate::record::Mail;
use crate::time::Time;
use crate::words::{MessageId, Name};

/// What a sender may fill in any case: of a mailbox, and of all of them (R40).
const SHARE_BYTES: u64 = 512 * 1024;
const TOTAL_SHARE_BYTES: u64 = 1024 * 1024;

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
    /// Nothing stored was accepted before (R68).
    pub(super) oldest: Time,
    /// It is looked at, and not before.
    pub(super) look: Look,
    pub(super) not_before: Time,
}

impl Mailbox {
    pub(super) fn promise(&mut self, id: MessageId, from: Name, bytes: u64) {
        self.bytes += bytes;
        self.promised.insert(id, (from, bytes, false));
    }

    /// The message is durable.
    pub(super) fn book(&mut self, mail: &Mail) {
        let (id, from, bytes) = (mail.id, &mail.from, mail.text.len() as u64);
        let promise = self.promised.remove(&id);
        if promise.is_none() {
            self.bytes += bytes;
        }
        if promise.is_some_and(|(_, _, shown)| shown) {
            self.bytes -= bytes;
        } else {
            if self.stored.is_empty() {
                (self.oldest, self.not_before) = (mail.sent_at, Time::ZERO);
            }
            self.oldest = self.oldest.min(mail.sent_at);
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

    /// Bytes of one sender, stored or promised.
    fn bytes_of(&self, from: &Name) -> u64 {
        let stored = self.stored.values().filter(|(sender, _)| sender == from).map(|(_, bytes)| bytes);
        let promised =
            self.promised.values().filter(|(sender, ..)| sender == from).map(|(_, bytes, _)| bytes);
        stored.chain(promised).sum()
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
        let mailboxes = || self.users.iter().flatten().map(|account| &account.mailbox);
        let in_all: u64 = mailboxes().map(|mailbox| mailbox.bytes).sum();
        let name = self.name(from);
        let of_sender = || mailboxes().map(|mailbox| mailbox.bytes_of(name)).sum::<u64>();
        let share = share_of(settings.mailbox_bytes, settings.mailbox_share, SHARE_BYTES);
        let total_share = share_of(settings.mailbox_total_bytes, settings.total_share, TOTAL_SHARE_BYTES);
        within(settings.mailbox_messages.into(), count + 1)
            && within(settings.mailbox_bytes, mailbox.bytes + bytes)
            && within(settings.mailbox_per_sender.into(), mailbox.count_of(name) + 1)
            && within(settings.mailbox_total_bytes, in_all + bytes)
            && share.is_none_or(|share| mailbox.bytes_of(name) + bytes <= share)
            && total_share.is_none_or(|share| of_sender() + bytes <= share)
    }
}

/// What one sender may fill of so many bytes, if that is limited (R40).
fn share_of(limit: u64, share: u32, least: u64) -> Option<u64> {
    (limit > 0 && share > 0).then(|| (limit / u64::from(share)).max(least).min(limit))
}
