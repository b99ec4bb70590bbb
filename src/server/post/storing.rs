//! Storing messages: room is promised at once, and booked when the record is durable.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::delivery::{self, Delivery, Keep, MAY_BE_SHOWN, Parcel};
use super::mailbox::{Amount, Kept, Mailbox};
use super::messages::{self, tell_outcome, tell_sender};
use super::pages::{self, Source};
use super::{discard, expiry};
use crate::planted::{self, Planted};
use crate::record::{Mail, MailSummary, Outcome, Record};
use crate::server::accounts::UserId;
use crate::server::answers::{self, Tell};
use crate::server::papers::{Stored, Then};
use crate::server::settings::OfflineDelivery;
use crate::server::{Later, ServerState, session};
use crate::time::Time;
use crate::wire::{Code, Status};
use crate::words::{MessageId, Name};

/// Whether one more message of so many bytes may be stored, after all that are on their way.
pub(super) fn has_room(server: &ServerState, to: UserId, from: UserId, bytes: u64) -> bool {
    let settings = &server.settings;
    let within = |limit: u64, used: u64| limit == 0 || used <= limit;
    let mailbox = server.accounts[to].inbox.mailbox.as_deref();
    let expected = mailbox.map_or(Amount::default(), |mailbox| {
        if planted::is(Planted::RoomNotPromised) { mailbox.booked() } else { mailbox.expected() }
    });
    let of_sender = mailbox.map_or(0, |mailbox| mailbox.expected_of(server.accounts.name(from)));
    let all = planted::is(Planted::QuotaCountsAllSenders);
    let of_sender = if all { expected.messages } else { of_sender };
    let held = mailbox.filter(|_| planted::is(Planted::HeldIsNoMail)).map_or(0, |mailbox| {
        let held = mailbox.by_sender().filter(|(from, _)| super::is_held(server, to, from));
        held.map(|(_, messages)| messages).sum()
    });
    let free = held + u32::from(planted::is(Planted::MailboxOneMore));
    within(u64::from(settings.mailbox_messages), u64::from((expected.messages + 1).saturating_sub(free)))
        && within(settings.mailbox_bytes, expected.bytes + bytes)
        && within(u64::from(settings.mailbox_per_sender), u64::from(of_sender) + 1)
        && within(settings.mailbox_total_bytes, server.post.stored_bytes + bytes)
        && is_within_shares(server, to, server.accounts.name(from), bytes)
}

/// What a stored copy costs its sender.
pub(super) const STORED_UNITS: u64 = 4;
/// The least share of a mailbox, and of all mailboxes together, that one sender may fill.
const LEAST_SHARE_BYTES: u64 = 512 << 10;
const LEAST_TOTAL_SHARE_BYTES: u64 = 1 << 20;

/// What one sender may fill of so many bytes: one part in `parts`, but at least `least`; 0 for no limit.
fn share(limit: u64, parts: u32, least: u64) -> u64 {
    limit.checked_div(u64::from(parts)).map_or(0, |part| part.max(least).min(limit))
}

/// Whether a sender stays within their share of a mailbox, and of all of them, with so many bytes more.
fn is_within_shares(server: &ServerState, to: UserId, from: &Name, bytes: u64) -> bool {
    let settings = &server.settings;
    let within = |limit: u64, used: u64| limit == 0 || used <= limit || planted::is(Planted::SharesIgnored);
    let mailbox = server.accounts[to].inbox.mailbox.as_deref();
    let of_sender = mailbox.map_or(0, |mailbox| mailbox.bytes_of(from));
    let one = share(settings.mailbox_bytes, settings.mailbox_share, LEAST_SHARE_BYTES);
    let all = share(settings.mailbox_total_bytes, settings.total_share, LEAST_TOTAL_SHARE_BYTES);
    within(one, of_sender + bytes) && within(all, server.post.bytes_of(from) + bytes)
}

/// Changes what is counted of a mailbox, and of its sender.
fn count<T>(server: &mut ServerState, to: UserId, from: &Name, change: impl FnOnce(&mut Mailbox) -> T) -> T {
    let mailbox = server.accounts[to].inbox.mailbox.get_or_insert_with(Box::default);
    let before = mailbox.bytes_of(from);
    let changed = change(mailbox);
    let after = mailbox.bytes_of(from);
    server.post.count(from, before, after);
    expiry::watch(server, to);
    changed
}

/// Hands a message to the store; its sender hears `stored` when it is durable, or `refused`.
pub(super) fn store(
    server: &mut ServerState,
    to: UserId,
    from: UserId,
    mail: Mail,
    tell: Tell,
    refused: Code,
) {
    let (id, bytes) = (mail.id, mail.text.len() as u64);
    count(server, to, &mail.from, |mailbox| mailbox.promise(id, mail.from.clone(), bytes));
    session::charge(server, from, if planted::is(Planted::StoredIsFree) { 0 } else { STORED_UNITS });
    session::begin_record(server, from);
    server.post.queues.begin(from, to);
    let outcome = expiry::end_of(server, mail.sent_at)
        .filter(|_| !planted::is(Planted::EndNotSaid))
        .map_or(Outcome::Message(Status::Stored), Outcome::StoredUntil);
    let settled = match &tell {
        Tell::Sender(asker) => answers::settled_record(server, asker, outcome),
        Tell::Nobody | Tell::Group(_) => None,
    };
    let tell = if planted::is(Planted::ConfirmBeforeCommit) {
        tell_sender(server, to, &tell, Ok(Status::Stored));
        Tell::Nobody
    } else {
        tell
    };
    let record = Record::MailStored { to: server.accounts.name(to).clone(), mail };
    let stored = Stored { from, to, id, bytes, tell, outcome, refused };
    let ServerState { papers, out, .. } = server;
    match settled {
        None => papers.persist(out, record, Then::Mail(stored)),
        Some(settled) => {
            papers.persist(out, record, Then::Nothing);
            papers.persist(out, settled, Then::Mail(stored))
        }
    };
}

/// Applies a record: a message is in its mailbox.
pub(in crate::server) fn apply(server: &mut ServerState, to: &Name, mail: &Mail) {
    let Some(to) = server.accounts.find(to.as_str()) else { return };
    let bytes = mail.text.len() as u64;
    count(server, to, &mail.from, |mailbox| mailbox.book(mail.id, &mail.from, bytes, mail.sent_at));
    drop_idle(server, to);
}

/// Counts mail that the store holds at the start.
pub(in crate::server) fn apply_found(server: &mut ServerState, to: UserId, found: &MailSummary) {
    count(server, to, &found.from, |mailbox| mailbox.book_found(found));
}

/// A message is stored and booked, or the store refused it: its sender hears so, and its receiver is shown it
/// if they are there.
pub(in crate::server) fn settled(server: &mut ServerState, stored: &Stored, durable: bool) {
    let Stored { from, to, id, tell, outcome, refused, .. } = stored;
    let (from, to) = (*from, *to);
    server.post.queues.end(from, to);
    session::end_record(server, from);
    if durable {
        tell_outcome(server, to, tell, Ok(*outcome));
        discard::drop_if_blocked(server, stored);
        pages::show_new(server, to, *id);
    } else {
        let name = server.accounts.name(from).clone();
        let ending = match release(server, to, &name, *id) {
            Kept::Shown => Ok(Status::Delivered),
            Kept::InMailbox if planted::is(Planted::ConfirmRefused) => Ok(Status::Stored),
            Kept::InMailbox => Err(*refused),
        };
        tell_sender(server, to, tell, ending);
    }
    messages::send_waiting(server, from, to);
    if server.accounts[to].is_leaving() {
        server.later.push_back(Later::Purge);
    }
}

fn release(server: &mut ServerState, to: UserId, from: &Name, id: MessageId) -> Kept {
    let kept = count(server, to, from, |mailbox| mailbox.release(id));
    if let Some(session) = server.accounts[to].session.as_mut() {
        session.delivery.give_up(id);
    }
    drop_idle(server, to);
    kept
}

/// A message of a mailbox was shown, or is dropped. Returns whether it was there.
pub(super) fn take_out(
    server: &mut ServerState,
    user: UserId,
    id: MessageId,
    from: &Name,
    bytes: u64,
) -> bool {
    let mailbox = server.accounts[user].inbox.mailbox.as_deref();
    if mailbox.is_none_or(|mailbox| mailbox.is_removed(id)) {
        return false;
    }
    count(server, user, from, |mailbox| mailbox.remove(id, from, bytes));
    true
}

/// The store knows that these messages are out of a mailbox.
pub(in crate::server) fn removal_written(server: &mut ServerState, user: &Name, ids: &[MessageId]) {
    let Some(user) = server.accounts.find(user.as_str()) else { return };
    if let Some(mailbox) = server.accounts[user].inbox.mailbox.as_mut() {
        mailbox.forget_removed(ids);
        drop_idle(server, user);
    }
}

pub(super) fn drop_idle(server: &mut ServerState, user: UserId) {
    let mailbox = &mut server.accounts[user].inbox.mailbox;
    if mailbox.as_deref().is_some_and(Mailbox::is_idle) {
        *mailbox = None;
    }
}

/// Stores what was sent, accepted no later than `upto`, and is nowhere else.
pub(super) fn store_unacknowledged(server: &mut ServerState, user: UserId, upto: Time) {
    let Some(session) = server.accounts[user].session.as_mut() else { return };
    let mut parcels = session.delivery.lend_sent();
    for parcel in parcels.iter_mut().filter(|parcel| parcel.mail.sent_at <= upto) {
        store_parcel(server, user, parcel, MAY_BE_SHOWN, MAY_BE_SHOWN);
    }
    if let Some(session) = server.accounts[user].session.as_mut() {
        session.delivery.give_back_sent(parcels);
    }
}

/// Stores what was not sent yet; it is read from the mailbox in its turn.
pub(super) fn store_unsent(server: &mut ServerState, user: UserId) {
    if let Some(session) = server.accounts[user].session.as_mut() {
        let parcels = session.delivery.take_unsent();
        store_all(server, user, parcels);
    }
}

/// Stores what was sent, and then what was not sent yet: should the server crash, none of it comes before what was
/// sent before it. Where nothing is stored, what was sent may be acknowledged still.
pub(super) fn store_in_order(server: &mut ServerState, user: UserId) {
    if is_storing(server, user) {
        store_unacknowledged(server, user, Time::MAX);
    }
    store_unsent(server, user);
}

/// Whether mail of a user is stored.
fn is_storing(server: &ServerState, user: UserId) -> bool {
    server.settings.offline_delivery != OfflineDelivery::Off && !server.accounts[user].is_leaving()
}

/// What one sender has sent and was not sent on yet is held back, if there is any. With it is stored what is under way
/// of others, for mail is shown in the order of its ids; where nothing is stored, that stays where it is.
pub(super) fn hold_back_unsent(server: &mut ServerState, user: UserId, from: UserId) {
    let storing = is_storing(server, user);
    let Some(session) = server.accounts[user].session.as_mut() else { return };
    if !session.delivery.unsent_is_of(from) {
        return;
    }
    if storing {
        return store_in_order(server, user);
    }
    let unsent = session.delivery.take_unsent();
    let (held, others): (VecDeque<Parcel>, VecDeque<Parcel>) =
        unsent.into_iter().partition(|parcel| parcel.keep == Keep::Memory(from));
    others.into_iter().for_each(|parcel| session.delivery.push_unsent(parcel));
    store_all(server, user, held);
}

fn store_all(server: &mut ServerState, user: UserId, parcels: VecDeque<Parcel>) {
    // None of them was sent, so none was shown.
    let full = match server.settings.offline_delivery {
        _ if server.accounts[user].is_leaving() => Code::UnknownUser,
        OfflineDelivery::Off => Code::Offline,
        OfflineDelivery::Auto | OfflineDelivery::Manual => Code::MailboxFull,
    };
    for mut parcel in parcels {
        store_parcel(server, user, &mut parcel, full, Code::StorageUnavailable);
    }
}

/// Stores a message under way, unless it is stored already or given up. Its sender hears `full` if it may not be stored, `refused` if the store
/// refuses it.
fn store_parcel(server: &mut ServerState, to: UserId, parcel: &mut Parcel, full: Code, refused: Code) {
    let Keep::Memory(sender) = parcel.keep else { return };
    let tell = core::mem::replace(&mut parcel.tell, Tell::Nobody);
    if !is_storing(server, to) || !has_room(server, to, sender, parcel.mail.text.len() as u64) {
        parcel.keep = Keep::GivenUp;
        return tell_sender(server, to, &tell, Err(full));
    }
    parcel.keep = Keep::Mailbox;
    store(server, to, sender, parcel.mail.clone(), tell, refused);
}

/// Stores everything under way to a user whose link is gone. It is shown when they are back.
pub(in crate::server) fn store_all_under_way(server: &mut ServerState, user: UserId) {
    if !planted::is(Planted::LostWithLink) {
        store_unacknowledged(server, user, Time::MAX);
    }
    store_unsent(server, user);
    if let Some(session) = server.accounts[user].session.as_mut() {
        let Delivery { loading, .. } = core::mem::take(&mut session.delivery);
        pages::forget(server, loading);
    }
    messages::store_waiting(server, user);
}

/// Stored mail that is to be shown from a message on.
pub(super) fn show_from(server: &mut ServerState, user: UserId, id: MessageId) {
    let before = MessageId { boot: id.boot, number: id.number.saturating_sub(1) };
    pages::show(server, user, Source::after(before));
    delivery::advance(server, user);
}
