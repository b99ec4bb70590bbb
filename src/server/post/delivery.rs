//! Messages on their way to a session: sent, and remembered until they are acknowledged.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::messages::tell_sender;
use super::pages::{self, Source};
use super::storing;
use crate::planted::{self, Planted};
use crate::record::{Fact, Mail};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::answers::Tell;
use crate::server::deadlines::Deadline;
use crate::time::Time;
use crate::wire::{self, Code, Freshness, ServerLine, Status};
use crate::words::{MessageId, Ticket};

/// A message that is not acknowledged within this time is stored.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(2);
/// What may be under way to one session, unacknowledged.
const WINDOW_BYTES: usize = 64 * 1024;
const WINDOW_MESSAGES: usize = 2048;
/// Stored messages under way beyond which no further page is asked for.
const PAGE_WINDOW_MESSAGES: usize = 256;
/// What may wait in memory for the window before it is stored.
const UNSENT_BYTES: usize = 256 * 1024;
const UNSENT_MESSAGES: usize = 4096;

/// A message under way to a session.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) mail: Mail,
    pub(super) keep: Keep,
    pub(super) tell: Tell,
    /// The place of its last byte in the output of the link.
    pub(super) end: u64,
}

/// Where a message is besides being under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Nowhere: it must be acknowledged or stored. From this user.
    Memory(UserId),
    /// In the mailbox, or on its way into it: an acknowledgement takes it out.
    Mailbox,
    /// It could not be stored; its sender knows that the outcome is unknown.
    GivenUp,
}

/// What is under way to one session.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Delivery {
    /// Sent, in the order of the link.
    unacknowledged: VecDeque<Parcel>,
    unacknowledged_bytes: usize,
    /// To be sent when the stored mail is shown and the window allows.
    unsent: VecDeque<Parcel>,
    unsent_bytes: usize,
    /// Stored mail to be shown first, in this order.
    pub(super) sources: VecDeque<Source>,
    /// The page of stored mail that was asked for.
    pub(super) loading: Option<Ticket>,
    /// The user has said that they go: the last message that is shown before they do.
    leaving: Option<MessageId>,
    /// Whether a deadline for acknowledgement is set.
    watched: bool,
}

impl Delivery {
    fn window_is_open(&self) -> bool {
        self.unacknowledged_bytes < WINDOW_BYTES && self.unacknowledged.len() < WINDOW_MESSAGES
    }

    /// Whether nothing is under way, and nothing waits to be.
    pub(in crate::server) fn is_done(&self) -> bool {
        self.unacknowledged.is_empty()
            && self.unsent.is_empty()
            && self.sources.is_empty()
            && self.loading.is_none()
    }

    pub(in crate::server) const fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Later messages wait for the next login.
    pub(in crate::server) const fn leave(&mut self, last: MessageId) {
        self.leaving = Some(last);
    }

    /// Whether a message came after the user said that they go.
    pub(super) fn is_late(&self, id: MessageId) -> bool {
        self.leaving.is_some_and(|last| id > last)
    }

    /// Whether the next page of stored mail may be asked for.
    pub(super) fn wants_page(&self) -> bool {
        self.loading.is_none()
            && self.unacknowledged_bytes < WINDOW_BYTES
            && self.unacknowledged.len() < PAGE_WINDOW_MESSAGES
    }

    /// Whether stored mail is being read, to be shown.
    pub(super) fn is_showing(&self) -> bool {
        self.loading.is_some() || !self.sources.is_empty()
    }

    pub(super) fn is_under_way(&self, id: MessageId) -> bool {
        self.position(id).is_some()
    }

    /// Where a message is among those that are not acknowledged.
    fn position(&self, id: MessageId) -> Option<usize> {
        let first = self.unacknowledged.front()?.mail.id;
        // Live messages have running numbers; stored ones between them are the exception.
        let expected = usize::try_from(id.number.saturating_sub(first.number)).unwrap_or(usize::MAX);
        match self.unacknowledged.get(expected) {
            Some(parcel) if parcel.mail.id == id => Some(expected),
            Some(_) | None => self.unacknowledged.iter().position(|parcel| parcel.mail.id == id),
        }
    }

    pub(super) fn push_unsent(&mut self, parcel: Parcel) {
        self.unsent_bytes += parcel.mail.text.len();
        self.unsent.push_back(parcel);
    }

    fn pop_unsent(&mut self) -> Option<Parcel> {
        let parcel = self.unsent.pop_front()?;
        self.unsent_bytes -= parcel.mail.text.len();
        Some(parcel)
    }

    /// Whether something of a sender waits to be sent.
    pub(super) fn unsent_is_of(&self, from: UserId) -> bool {
        self.unsent.iter().any(|parcel| parcel.keep == Keep::Memory(from))
    }

    pub(super) fn take_unsent(&mut self) -> VecDeque<Parcel> {
        self.unsent_bytes = 0;
        core::mem::take(&mut self.unsent)
    }

    fn push_sent(&mut self, parcel: Parcel) {
        self.unacknowledged_bytes += parcel.mail.text.len();
        self.unacknowledged.push_back(parcel);
    }

    fn pop_acknowledged(&mut self) -> Option<Parcel> {
        let parcel = self.unacknowledged.pop_front()?;
        self.unacknowledged_bytes -= parcel.mail.text.len();
        if self.unacknowledged.is_empty() && self.unacknowledged.capacity() > 64 {
            self.unacknowledged = VecDeque::new();
        }
        Some(parcel)
    }

    /// Takes the messages that were sent, for a while in which nothing is acknowledged.
    pub(super) fn lend_sent(&mut self) -> VecDeque<Parcel> {
        core::mem::take(&mut self.unacknowledged)
    }

    pub(super) fn give_back_sent(&mut self, parcels: VecDeque<Parcel>) {
        self.unacknowledged = parcels;
    }

    /// A message under way will not be in the mailbox: its acknowledgement takes nothing out.
    pub(super) fn give_up(&mut self, id: MessageId) {
        if let Some(parcel) = self.unacknowledged.iter_mut().find(|parcel| parcel.mail.id == id) {
            parcel.keep = Keep::GivenUp;
        }
    }

    /// When the oldest message that is nowhere else was accepted.
    fn oldest_in_memory(&self) -> Option<Time> {
        let sent = self.unacknowledged.iter().find(|parcel| matches!(parcel.keep, Keep::Memory(_)));
        sent.or(self.unsent.front()).map(|parcel| parcel.mail.sent_at)
    }
}

/// Sends a message to a user whose session has a link, after what must come first.
pub(super) fn deliver(server: &mut ServerState, to: UserId, parcel: Parcel) {
    let Some(session) = server.accounts[to].session.as_mut() else {
        unreachable!("a live message goes to a session")
    };
    let open = session.link.is_some_and(|link| server.out.takes(link));
    let delivery = &mut session.delivery;
    let shown =
        delivery.sources.is_empty() && delivery.loading.is_none() || planted::is(Planted::LiveBeforeStored);
    if open && shown && delivery.unsent.is_empty() && delivery.window_is_open() {
        return send_parcel(server, to, parcel, Freshness::Live);
    }
    delivery.push_unsent(parcel);
    if delivery.unsent_bytes > UNSENT_BYTES || delivery.unsent.len() > UNSENT_MESSAGES {
        storing::store_in_order(server, to);
    }
    watch(server, to);
}

/// Sends a message and remembers it until it is acknowledged.
pub(super) fn send_parcel(server: &mut ServerState, to: UserId, mut parcel: Parcel, freshness: Freshness) {
    let Some(link) = server.accounts[to].link() else { unreachable!("a message is sent to a link") };
    let mail = &parcel.mail;
    let (id, from, sent_at, origin) = (mail.id, mail.from.as_str(), mail.sent_at, mail.origin);
    let delivery = wire::Delivery { id, from, sent_at, origin, freshness, text: mail.text.as_text() };
    let written = server.out.write_line(&match &mail.group {
        Some(group) => ServerLine::GroupMessage { group: group.as_str(), delivery },
        None => ServerLine::Message(delivery),
    });
    parcel.end = server.out.queue(link, written);
    if planted::is(Planted::DeliveredWhenSent) {
        let tell = core::mem::replace(&mut parcel.tell, Tell::Nobody);
        tell_sender(server, to, &tell, Ok(Status::Delivered));
    }
    let Some(session) = server.accounts[to].session.as_mut() else { return };
    if planted::is(Planted::ReceivingIsActivity) {
        session.last_active = server.now;
    }
    session.delivery.push_sent(parcel);
    watch(server, to);
}

fn acknowledge_within() -> Duration {
    ACKNOWLEDGE_WITHIN * if planted::is(Planted::StoredLate) { 2 } else { 1 }
}

/// Sees to it that a message that stays unacknowledged is noticed.
fn watch(server: &mut ServerState, user: UserId) {
    let Some(session) = server.accounts[user].session.as_mut() else { return };
    if !session.delivery.watched
        && let Some(oldest) = session.delivery.oldest_in_memory()
    {
        session.delivery.watched = true;
        let deadline = Deadline::Acknowledgement(user, session.serial);
        server.deadlines.add(oldest + acknowledge_within(), deadline);
    }
}

/// The oldest message under way to a session may have gone unacknowledged for too long.
pub(in crate::server) fn acknowledgement_due(server: &mut ServerState, user: UserId, serial: u64) {
    let session = server.accounts[user].session.as_mut().filter(|session| session.serial == serial);
    let Some(session) = session else { return };
    session.delivery.watched = false;
    if planted::is(Planted::OverdueForgotten) {
        while session.delivery.pop_acknowledged().is_some() {}
        return;
    }
    let overdue = server.now - acknowledge_within();
    if session.delivery.unsent.front().is_some_and(|parcel| parcel.mail.sent_at <= overdue) {
        storing::store_unacknowledged(server, user, Time::MAX);
        storing::store_unsent(server, user);
    } else {
        storing::store_unacknowledged(server, user, overdue);
    }
    watch(server, user);
}

/// The client has shown everything up to and with a message.
pub(in crate::server) fn acknowledged(server: &mut ServerState, user: UserId, shown: MessageId) {
    if let Some(session) = server.accounts[user].session.as_ref()
        && let Some(last) = session.delivery.position(shown).or_else(|| {
            let all = session.delivery.unacknowledged.len().checked_sub(1);
            all.filter(|_| planted::is(Planted::UnknownIdAcknowledgesAll))
        })
    {
        settle_first(server, user, last + 1 + usize::from(planted::is(Planted::AcknowledgesOneMore)));
    }
}

/// Bytes have left for a client that does not acknowledge: that must do.
pub(in crate::server) fn left_for_network(server: &mut ServerState, user: UserId, upto: u64) {
    let Some(session) = server.accounts[user].session.as_ref() else { return };
    let left = session.delivery.unacknowledged.partition_point(|parcel| parcel.end <= upto);
    if left > 0 {
        settle_first(server, user, left);
    }
}

/// The first messages under way have been shown.
fn settle_first(server: &mut ServerState, user: UserId, count: usize) {
    let mut removed: Vec<MessageId> = Vec::new();
    for _ in 0..count {
        let session = server.accounts[user].session.as_mut();
        let Some(parcel) = session.and_then(|session| session.delivery.pop_acknowledged()) else { break };
        let mail = &parcel.mail;
        match parcel.keep {
            Keep::Memory(_) => tell_sender(server, user, &parcel.tell, Ok(Status::Delivered)),
            Keep::Mailbox => {
                let bytes = mail.text.len() as u64;
                removed
                    .extend(storing::take_out(server, user, mail.id, &mail.from, bytes).then_some(mail.id));
            }
            Keep::GivenUp => {}
        }
    }
    note_removed(server, user, removed);
    advance(server, user);
    server.go_on_leaving(user);
}

/// Messages are out of a mailbox: so the store is told.
pub(super) fn note_removed(server: &mut ServerState, user: UserId, ids: Vec<MessageId>) {
    if !ids.is_empty() {
        let user = server.accounts.name(user).clone();
        let ServerState { papers, out, .. } = server;
        papers.persist_fact(out, Fact::MailRemoved { user, ids });
    }
}

/// Sends what may be sent now: stored mail first, then what waits for it and for the window.
pub(in crate::server) fn advance(server: &mut ServerState, user: UserId) {
    pages::load_next(server, user);
    while let Some(session) = server.accounts[user].session.as_mut() {
        let delivery = &mut session.delivery;
        if !session.link.is_some_and(|link| server.out.takes(link))
            || delivery.loading.is_some()
            || !delivery.sources.is_empty()
            || !delivery.window_is_open()
        {
            return;
        }
        let Some(parcel) = delivery.pop_unsent() else { return };
        send_parcel(server, user, parcel, Freshness::Live);
    }
}

/// What a message that the client may or may not have shown comes to if it cannot be stored.
pub(super) const MAY_BE_SHOWN: Code = Code::OutcomeUnknown;
