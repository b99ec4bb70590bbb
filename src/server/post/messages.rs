//! `message`: to one user, at once or through their mailbox.

use alloc::vec::Vec;

use super::delivery::{self, Keep, Parcel};
use super::{expiry, storing};
use crate::planted::{self, Planted};
use crate::record::{Fact, Mail, Outcome, Record};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::answers::{self, Asker, Tell, another};
use crate::server::papers::Then;
use crate::server::people::{away, blocks, presence};
use crate::server::session;
use crate::server::settings::{BlockNotice, HeldOnBlock, OfflineDelivery};
use crate::time::Time;
use crate::wire::{Answer, Code, Status};
use crate::words::{Name, Origin, SharedText, Text};

/// Live messages of one sender to one receiver that may wait for stored ones; beyond that they are stored.
const WAITING_MESSAGES: usize = 64;

/// A message before it has an id.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) from: UserId,
    pub(super) group: Option<Name>,
    pub(super) origin: Option<Origin>,
    pub(super) text: SharedText,
}

impl Letter {
    /// The message as it is accepted now: with the next id of its receiver.
    fn into_mail(self, server: &mut ServerState, to: UserId) -> Mail {
        let Letter { from, group, origin, text } = self;
        let id = server.accounts[to].inbox.next_id(server.boot);
        let from = server.accounts.name(from).clone();
        let early = u64::from(planted::is(Planted::SentAtSecondEarly));
        Mail { id, from, group, origin, sent_at: server.now.minus_seconds(early), text }
    }
}

pub(in crate::server) fn message(server: &mut ServerState, asker: &Asker, to: &str, text: Text<'_>) {
    let to = match another(server, asker, to) {
        Ok(to) => to,
        Err(code) => return answers::fail(server, asker, code),
    };
    session::begin_message(server, asker);
    presence::reveal(server, asker.user);
    let tell = Tell::Sender(*asker);
    let open = blocks::may_reach(server, asker.user, to) || planted::is(Planted::BlockSkippedInMessage);
    if !open && server.settings.block_notice == BlockNotice::Tell {
        return tell_sender(server, to, &tell, Err(Code::Blocked));
    }
    session::charge(server, asker.user, session::units_for(text.as_str().len()));
    if !open {
        return pretend_stored(server, asker, to);
    }
    let trimmed = planted::is(Planted::TextTrimmed).then(|| Text::new(text.as_str().trim_start())).flatten();
    let text = trimmed.unwrap_or(text);
    let letter = Letter { from: asker.user, group: None, origin: asker.origin(), text: text.into() };
    post(server, to, letter, tell);
}

/// `block_notice=silent`: the sender hears `stored`, whatever would have become of the message, when it is
/// durable that they do: neither the time it takes nor a repeat gives the block away. Where a message to
/// somebody offline is answered otherwise (`offline_delivery=off`, a full mailbox), it does.
fn pretend_stored(server: &mut ServerState, asker: &Asker, to: UserId) {
    let tell = Tell::Sender(*asker);
    session::charge(server, asker.user, storing::STORED_UNITS);
    session::begin_record(server, asker.user);
    let delivered = planted::is(Planted::SilentSaysDelivered);
    let bare = planted::is(Planted::SilentSaysNoEnd);
    let outcome = match expiry::end_of(server, server.now) {
        _ if delivered => Outcome::Message(Status::Delivered),
        Some(until) if !bare => Outcome::StoredUntil(until),
        Some(_) | None => Outcome::Message(Status::Stored),
    };
    let settled = answers::settled_record(server, asker, outcome);
    let record = settled.unwrap_or_else(|| {
        // There is nothing to remember, but the disk must have its time.
        let user = server.accounts.name(to).clone();
        Record::Fact(Fact::MailRemoved { user, ids: Vec::new() })
    });
    let ServerState { papers, out, .. } = server;
    papers.persist(out, record, Then::Pretended { to, tell, outcome });
}

/// The pretence of storing a message is over.
pub(in crate::server) fn pretended(
    server: &mut ServerState,
    to: UserId,
    tell: &Tell,
    ending: Result<Outcome, Code>,
) {
    if let Tell::Sender(asker) = tell {
        session::end_record(server, asker.user);
    }
    tell_outcome(server, to, tell, ending);
}

/// Sends a message to a user whom it may reach, or stores it for them. Whoever is to be told hears what
/// became of it, now or later.
pub(super) fn post(server: &mut ServerState, to: UserId, letter: Letter, tell: Tell) {
    let from = letter.from;
    if !is_here(server, to) {
        return post_behind_waiting(server, to, letter, tell);
    }
    if !server.post.queues.is_storing(from, to) || planted::is(Planted::LiveBeforeStored) {
        return send(server, to, letter, tell);
    }
    if server.post.queues.waiting(from, to) < WAITING_MESSAGES {
        session::begin_record(server, from);
        return server.post.queues.wait(to, letter, tell);
    }
    post_behind_waiting(server, to, letter, tell);
}

/// Stores a message, behind those of the same sender that waited to be sent.
fn post_behind_waiting(server: &mut ServerState, to: UserId, letter: Letter, tell: Tell) {
    store_waiting_of(server, letter.from, to);
    post_to_mailbox(server, to, letter, tell);
}

/// Whether a message can be sent to a user now. One who leaves is shown what was under way, and no more.
fn is_here(server: &ServerState, to: UserId) -> bool {
    let manual = server.settings.offline_delivery == OfflineDelivery::Manual;
    let session = server.accounts[to].session.as_ref();
    let session = session.filter(|_| !(manual && planted::is(Planted::ManualStoresAll)));
    session.is_some_and(|session| session.link.is_some() && !session.delivery.is_leaving())
}

fn send(server: &mut ServerState, to: UserId, letter: Letter, tell: Tell) {
    let keep = Keep::Memory(letter.from);
    let mail = letter.into_mail(server, to);
    delivery::deliver(server, to, Parcel { mail, keep, tell, end: 0 });
}

fn post_to_mailbox(server: &mut ServerState, to: UserId, letter: Letter, tell: Tell) {
    if server.accounts[to].is_leaving() {
        return tell_sender(server, to, &tell, Err(Code::UnknownUser));
    }
    if server.settings.offline_delivery == OfflineDelivery::Off && !planted::is(Planted::OffStores) {
        return tell_sender(server, to, &tell, Err(Code::Offline));
    }
    let (from, bytes) = (letter.from, letter.text.len() as u64);
    if storing::has_room(server, to, from, bytes) {
        // What is under way to the user was sent before, and must not be lost where this is kept.
        storing::store_unacknowledged(server, to, Time::MAX);
        storing::store_unsent(server, to);
    }
    if !storing::has_room(server, to, from, bytes) {
        let dropped = planted::is(Planted::FullMailboxDrops);
        let ending = if dropped { Ok(Status::Stored) } else { Err(Code::MailboxFull) };
        return tell_sender(server, to, &tell, ending);
    }
    let mail = letter.into_mail(server, to);
    storing::store(server, to, from, mail, tell, Code::StorageUnavailable);
}

/// Messages of one sender to one receiver may be sent on: what they waited for is stored, or was refused.
pub(super) fn send_waiting(server: &mut ServerState, from: UserId, to: UserId) {
    for (letter, tell) in server.post.queues.take_free(from, to) {
        session::end_record(server, from);
        post_again(server, to, letter, tell);
    }
}

/// The receiver is not there any more, or leaves: messages that waited to be sent are stored.
pub(super) fn store_waiting(server: &mut ServerState, to: UserId) {
    for from in server.post.queues.senders_to(to) {
        store_waiting_of(server, from, to);
    }
}

/// Stores the messages of one sender that waited to be sent.
fn store_waiting_of(server: &mut ServerState, from: UserId, to: UserId) {
    for (letter, tell) in server.post.queues.take_waiting(from, to) {
        session::end_record(server, from);
        post_to_mailbox(server, to, letter, tell);
    }
}

/// Posts a message that has waited. It came before any block that is durable since: if its receiver has made one, it
/// is held back as what was stored before is.
fn post_again(server: &mut ServerState, to: UserId, letter: Letter, tell: Tell) {
    let delivers = server.settings.held_on_block == HeldOnBlock::Deliver;
    if delivers || !blocks::has_blocked(server, to, letter.from) {
        post(server, to, letter, tell);
    } else {
        post_to_mailbox(server, to, letter, tell);
    }
}

/// The sender of a message, or of a group message, hears what became of it.
pub(in crate::server) fn tell_sender(
    server: &mut ServerState,
    to: UserId,
    tell: &Tell,
    ending: Result<Status, Code>,
) {
    tell_outcome(server, to, tell, ending.map(Outcome::Message));
}

/// The same, with the end of what is stored.
pub(super) fn tell_outcome(server: &mut ServerState, to: UserId, tell: &Tell, ending: Result<Outcome, Code>) {
    let status = |outcome| {
        if outcome == Outcome::Message(Status::Delivered) { Status::Delivered } else { Status::Stored }
    };
    match tell {
        Tell::Nobody => {}
        Tell::Group(number) => {
            server.tally.message(ending.map(status));
            super::group_messages::member_settled(server, *number, ending.map(status));
        }
        Tell::Sender(asker) => {
            server.tally.message(ending.map(status));
            match ending {
                Ok(outcome) => answer(server, to, asker, outcome),
                Err(code) => answers::fail(server, asker, code),
            }
            session::end_message(server, asker);
        }
    }
}

fn answer(server: &mut ServerState, to: UserId, asker: &Asker, outcome: Outcome) {
    if asker.send.is_none() {
        answers::note_confirmed(server, asker, outcome);
        away::tell(server, asker, to);
    }
    let heard = answers::as_heard(server, asker, outcome);
    let to = server.accounts.name(to).as_str();
    let answer = match heard {
        Outcome::StoredUntil(until) => Answer::StoredUntil { to, until },
        Outcome::Message(status) => Answer::Message { to, status },
        Outcome::Broadcast { .. } | Outcome::Group { .. } | Outcome::Done | Outcome::Failed(_) => {
            unreachable!("a message is delivered or stored")
        }
    };
    let line = crate::wire::ServerLine::Done { number: asker.number, answer };
    let written = server.out.write_line(&line);
    answers::answer_written(server, asker, outcome, written);
}
