//! One mailbox: what is counted of it here. The mail itself is in the store.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use crate::record::MailSummary;
use crate::time::Time;
use crate::words::{MessageId, Name};

/// How much is in a mailbox, and on its way into it.
#[derive(Debug, Clone, Default)]
pub(super) struct Mailbox {
    stored: Amount,
    promised: Amount,
    senders: BTreeMap<Name, Share>,
    /// Messages whose records are on their way to the disk.
    promises: BTreeMap<MessageId, Promise>,
    /// Messages that are out of the mailbox, as far as the disk does not know it yet.
    removed: BTreeSet<MessageId>,
    /// No message in it was accepted before.
    oldest: Time,
    /// When it may be looked at for messages whose time is over.
    not_before: Time,
    pub(super) watch: Watch,
}

/// Whether a mailbox is watched for messages whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Watch {
    #[default]
    No,
    /// It is looked at then.
    At(Time),
    /// It is being looked at, or is to be next.
    Due,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Amount {
    pub(super) messages: u32,
    pub(super) bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.messages += 1;
        self.bytes += bytes;
    }

    fn subtract(&mut self, bytes: u64) {
        assert!(self.messages > 0 && self.bytes >= bytes, "mail is counted before it is taken out");
        self.messages -= 1;
        self.bytes -= bytes;
    }
}

/// One sender's messages.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    stored: u32,
    promised: u32,
    /// Of both.
    bytes: u64,
}

/// Room that is kept for a message on its way.
#[derive(Debug, Clone)]
struct Promise {
    from: Name,
    bytes: u64,
    /// Its receiver has it already: it need not be in the mailbox.
    shown: bool,
}

/// What a promise came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// The message is in the mailbox.
    InMailbox,
    /// Its receiver has it already.
    Shown,
}

impl Mailbox {
    /// What would be in the mailbox with all that is on its way.
    pub(super) const fn expected(&self) -> Amount {
        Amount {
            messages: self.stored.messages + self.promised.messages,
            bytes: self.stored.bytes + self.promised.bytes,
        }
    }

    /// What is in the mailbox.
    pub(super) const fn booked(&self) -> Amount {
        self.stored
    }

    /// Bytes of one sender, with those on their way.
    pub(super) fn bytes_of(&self, from: &Name) -> u64 {
        self.senders.get(from).map_or(0, |share| share.bytes)
    }

    /// Messages of one sender, with those on their way.
    pub(super) fn expected_of(&self, from: &Name) -> u32 {
        self.senders.get(from).map_or(0, |share| share.stored + share.promised)
    }

    pub(super) fn is_expecting(&self) -> bool {
        !self.promises.is_empty()
    }

    pub(super) const fn has_mail(&self) -> bool {
        self.stored.messages > 0
    }

    pub(super) fn has_mail_of(&self, from: &Name) -> bool {
        self.senders.get(from).is_some_and(|share| share.stored > 0)
    }

    /// Nothing of it need be remembered.
    pub(super) fn is_idle(&self) -> bool {
        !self.has_mail() && self.promises.is_empty() && self.removed.is_empty() && self.watch == Watch::No
    }

    /// How many messages each sender has in it.
    pub(super) fn by_sender(&self) -> impl Iterator<Item = (&Name, u32)> {
        self.senders.iter().map(|(from, share)| (from, share.stored))
    }

    pub(super) fn promise(&mut self, id: MessageId, from: Name, bytes: u64) {
        self.promised.add(bytes);
        let share = self.senders.entry(from.clone()).or_default();
        share.promised += 1;
        share.bytes += bytes;
        let before = self.promises.insert(id, Promise { from, bytes, shown: false });
        assert!(before.is_none(), "a message is stored once");
    }

    fn take_promise(&mut self, id: MessageId) -> Option<Promise> {
        let promise = self.promises.remove(&id)?;
        self.promised.subtract(promise.bytes);
        if let Some(share) = self.senders.get_mut(&promise.from) {
            share.promised -= 1;
            share.bytes -= promise.bytes;
        }
        self.drop_empty_share(&promise.from);
        Some(promise)
    }

    fn drop_empty_share(&mut self, from: &Name) {
        if self.senders.get(from).is_some_and(|share| share.stored + share.promised == 0) {
            self.senders.remove(from);
        }
    }

    /// A message is durable: it is in the mailbox from now on.
    pub(super) fn book(&mut self, id: MessageId, from: &Name, bytes: u64, sent_at: Time) {
        if self.take_promise(id).is_some_and(|promise| promise.shown) {
            return;
        }
        self.note_oldest(sent_at);
        self.stored.add(bytes);
        let share = self.senders.entry(from.clone()).or_default();
        share.stored += 1;
        share.bytes += bytes;
    }

    /// Counts mail that was found at the start.
    pub(super) fn book_found(&mut self, found: &MailSummary) {
        self.note_oldest(found.oldest);
        self.stored.messages += found.count;
        self.stored.bytes += found.bytes;
        let share = self.senders.entry(found.from.clone()).or_default();
        share.stored += found.count;
        share.bytes += found.bytes;
    }

    fn note_oldest(&mut self, sent_at: Time) {
        if !self.has_mail() {
            (self.oldest, self.not_before) = (sent_at, Time::ZERO);
        }
        self.oldest = self.oldest.min(sent_at);
    }

    /// It was looked at: no message left in it was accepted before, and it is not looked at again so soon.
    pub(super) const fn looked_at(&mut self, oldest: Option<Time>, not_before: Time) {
        if let Some(oldest) = oldest {
            self.oldest = oldest;
        }
        (self.not_before, self.watch) = (not_before, Watch::No);
    }

    /// When it is to be looked at, if a message has so much time; `None` if there is none in it.
    pub(super) fn look_at(&self, time: Duration) -> Option<Time> {
        self.has_mail().then(|| (self.oldest + time).max(self.not_before))
    }

    /// A message will not be stored; whether its receiver has it.
    pub(super) fn release(&mut self, id: MessageId) -> Kept {
        let Some(promise) = self.take_promise(id) else { unreachable!("a promise is released once") };
        if promise.shown { Kept::Shown } else { Kept::InMailbox }
    }

    /// A message was shown, or dropped: it is out of the mailbox, or never will be in it.
    pub(super) fn remove(&mut self, id: MessageId, from: &Name, bytes: u64) {
        let new = self.removed.insert(id);
        assert!(new, "a message is removed once");
        if let Some(promise) = self.promises.get_mut(&id) {
            promise.shown = true;
            return;
        }
        self.stored.subtract(bytes);
        let Some(share) = self.senders.get_mut(from) else { unreachable!("mail has a sender") };
        assert!(share.stored > 0, "mail is counted for its sender");
        share.stored -= 1;
        share.bytes -= bytes;
        self.drop_empty_share(from);
    }

    pub(super) fn is_removed(&self, id: MessageId) -> bool {
        self.removed.contains(&id)
    }

    /// The disk knows that these are out of the mailbox.
    pub(super) fn forget_removed(&mut self, ids: &[MessageId]) {
        for id in ids {
            self.removed.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> MessageId {
        MessageId { boot: 1, number }
    }

    #[test]
    fn room_is_promised_and_booked_when_the_message_is_durable() {
        let (mut mailbox, hans) = (Mailbox::default(), Name::new("hans").unwrap());
        mailbox.promise(id(1), hans.clone(), 5);
        assert_eq!((mailbox.expected().messages, mailbox.expected_of(&hans)), (1, 1));
        assert!(!mailbox.has_mail() && mailbox.is_expecting());
        mailbox.book(id(1), &hans, 5, Time(1));
        assert!(mailbox.has_mail_of(&hans) && !mailbox.is_expecting());
        assert_eq!(mailbox.expected().bytes, 5);
        mailbox.remove(id(1), &hans, 5);
        assert!(mailbox.is_removed(id(1)) && !mailbox.has_mail() && !mailbox.is_idle());
        mailbox.forget_removed(&[id(1)]);
        assert!(mailbox.is_idle() && mailbox.senders.is_empty());
    }

    #[test]
    fn what_was_shown_before_it_was_durable_is_never_in_the_mailbox() {
        let (mut mailbox, hans) = (Mailbox::default(), Name::new("hans").unwrap());
        mailbox.promise(id(1), hans.clone(), 5);
        mailbox.remove(id(1), &hans, 5);
        mailbox.book(id(1), &hans, 5, Time(1));
        assert!(!mailbox.has_mail() && mailbox.expected().bytes == 0);
        mailbox.promise(id(2), hans.clone(), 7);
        mailbox.remove(id(2), &hans, 7);
        assert_eq!(mailbox.release(id(2)), Kept::Shown);
    }
}
