//! Post: messages, from their command to the one who reads them, and the mailboxes between.
//!
//! A message to somebody online is sent at once and remembered until it is acknowledged; else it is stored.
//! A stored message is in its mailbox once its record is durable.

pub(super) mod broadcast;
pub(super) mod delivery;
pub(super) mod discard;
pub(super) mod expiry;
pub(super) mod group_messages;
mod mailbox;
pub(super) mod messages;
pub(super) mod pages;
mod queues;
pub(super) mod storing;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

pub(super) use self::delivery::Delivery;
use self::discard::Discard;
use self::expiry::Expiry;
use self::group_messages::GroupMessage;
use self::mailbox::Mailbox;
use self::pages::Page;
use self::queues::Queues;
use super::ServerState;
use super::accounts::UserId;
use super::answers::Asker;
use super::settings::{HeldOnBlock, OfflineDelivery};
use crate::planted::{self, Planted};
use crate::wire::CommandKind;
use crate::words::{MessageId, Name, Ticket};

/// What is under way to more than one account.
#[derive(Debug, Clone, Default)]
pub(super) struct Post {
    /// Pages of mail that the store was asked for.
    pages: BTreeMap<Ticket, Page>,
    /// Mail that is being looked up to be dropped.
    discards: BTreeMap<Ticket, Discard>,
    /// Mailboxes that are looked at for messages whose time is over.
    expiry: Expiry,
    group_messages: BTreeMap<u64, GroupMessage>,
    queues: Queues,
    /// Bytes of text in all mailboxes, and of what is on its way into them.
    stored_bytes: u64,
    /// Of them, those of each sender.
    bytes_of: BTreeMap<Name, u64>,
    broadcasts: u64,
}

impl Post {
    /// Whether nothing is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.pages.is_empty()
            && self.discards.is_empty()
            && self.expiry.is_quiet()
            && self.group_messages.is_empty()
            && self.queues.is_empty()
    }

    /// Bytes of text in all mailboxes, and on their way into them.
    pub(super) const fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// Bytes of one sender in all mailboxes, and on their way into them.
    fn bytes_of(&self, from: &Name) -> u64 {
        self.bytes_of.get(from).copied().unwrap_or_default()
    }

    /// A sender has so many bytes in a mailbox now, after so many before.
    fn count(&mut self, from: &Name, before: u64, after: u64) {
        if before == after {
            return;
        }
        self.stored_bytes = self.stored_bytes + after - before;
        if let Some(bytes) = self.bytes_of.get_mut(from) {
            *bytes = *bytes + after - before;
            if *bytes == 0 {
                self.bytes_of.remove(from);
            }
        } else {
            self.bytes_of.insert(from.clone(), after);
        }
    }
}

/// One account's mailbox, and the number of its last message.
#[derive(Debug, Clone, Default)]
pub(super) struct Inbox {
    mailbox: Option<Box<Mailbox>>,
    /// Running number of the last message to this user within this boot.
    last: u64,
    /// Messages whose time was over, and that the user was not told of.
    untold: u32,
}

impl Inbox {
    /// Numbers go on above this one.
    pub(super) fn number_from(&mut self, last: u64) {
        self.last = self.last.max(last);
    }

    pub(super) const fn last_number(&self) -> u64 {
        self.last
    }

    /// The next id for a message to this user.
    fn next_id(&mut self, boot: u32) -> MessageId {
        self.last += 1;
        let boot = if planted::is(Planted::IdReused) { 1 } else { boot };
        MessageId { boot, number: self.last }
    }

    pub(super) const fn untold(&self) -> u32 {
        self.untold
    }

    pub(super) const fn set_untold(&mut self, untold: u32) {
        self.untold = untold;
    }

    /// Whether a message is on its way into the mailbox.
    pub(super) fn is_expecting(&self) -> bool {
        self.mailbox.as_ref().is_some_and(|mailbox| mailbox.is_expecting())
    }
}

/// The last id given to a message to a user.
pub(super) fn last_id(server: &ServerState, user: UserId) -> MessageId {
    MessageId { boot: server.boot, number: server.accounts[user].inbox.last }
}

/// A block or its lifting is durable: what came before a block is held back, or dropped; what it held back
/// is shown.
pub(super) fn block_changed(server: &mut ServerState, asker: &Asker, user: UserId) {
    if asker.kind == CommandKind::Block {
        storing::hold_back_unsent(server, asker.user, user);
        let drops = server.settings.held_on_block == HeldOnBlock::Drop && !planted::is(Planted::DropHolds)
            || server.settings.held_on_block == HeldOnBlock::Hold && planted::is(Planted::HoldDrops);
        if drops {
            discard::begin(server, asker.user, user);
        }
    } else if !planted::is(Planted::UnblockShowsNothing) {
        show_held_back(server, asker.user, user);
    }
}

/// No block keeps a user any more from what another has sent them.
pub(super) fn show_held_back(server: &mut ServerState, user: UserId, from: UserId) {
    let (name, sender) = (server.accounts.name(user).clone(), server.accounts.name(from).clone());
    pages::show_held(server, user, &sender);
    // With mutual blocks, messages of the one who had blocked wait as well.
    if server.settings.block_mutual && server.settings.offline_delivery == OfflineDelivery::Auto {
        pages::show_held(server, from, &name);
    }
}

/// Whether mail of a sender is held back from a user by a block.
fn is_held(server: &ServerState, user: UserId, from: &Name) -> bool {
    use super::people::blocks;
    let Some(from) = server.accounts.find(from.as_str()) else { return false };
    (server.settings.held_on_block != HeldOnBlock::Deliver || planted::is(Planted::DeliverHolds))
        && !planted::is(Planted::BlockSkippedInMailbox)
        && blocks::has_blocked(server, user, from)
}

/// An account is purged: its mailbox is empty. What it has sent to others stays with them.
pub(super) fn forget(server: &mut ServerState, user: UserId) {
    expiry::unwatch(server, user);
    if let Some(mailbox) = server.accounts[user].inbox.mailbox.take() {
        assert!(!mailbox.is_expecting(), "nothing is on its way to an account when it is purged");
        for from in mailbox.by_sender().map(|(from, _)| from) {
            server.post.count(from, mailbox.bytes_of(from), 0);
        }
    }
    server.post.discards.retain(|_, discard| !discard.is_of(user));
    expiry::forget(server, user);
}

#[cfg(feature = "sim")]
/// Messages of each sender in a mailbox, and all their bytes.
pub(super) fn booked(server: &ServerState, user: UserId) -> (BTreeMap<Name, u32>, u64) {
    let Some(mailbox) = &server.accounts[user].inbox.mailbox else { return Default::default() };
    let stored = mailbox.by_sender().filter(|(_, messages)| *messages > 0);
    (stored.map(|(from, messages)| (from.clone(), messages)).collect(), mailbox.booked().bytes)
}

#[cfg(feature = "sim")]
/// Bytes of text in all mailboxes, without what is on its way.
pub(super) fn booked_bytes(server: &ServerState) -> u64 {
    let mailboxes = || {
        server.accounts.ids().into_iter().filter_map(|user| server.accounts[user].inbox.mailbox.as_deref())
    };
    let expected: u64 = mailboxes().map(|mailbox| mailbox.expected().bytes).sum();
    assert!(expected == server.post.stored_bytes, "the total is that of all mailboxes");
    mailboxes().map(|mailbox| mailbox.booked().bytes).sum()
}
