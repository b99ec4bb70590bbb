//! Messages on their way to a session: sent, remembered until they are acknowledged, else stored.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::ServerState;
use super::accounts::UserId;
use super::commands::Asker;
use super::deadlines::Deadline;
use super::journal::{Settlement, Then};
use super::leaving::Leaving;
use super::mailbox::Source;
use super::settings::OfflineDelivery;
use crate::planted::{self, Planted};
use crate::record::{Fact, Mail, Outcome, Record, RecordNumber};
use crate::time::Time;
use crate::wire::{self, Answer, Code, Freshness, ServerLine, Status};
use crate::words::{MessageId, Name, Origin, Ticket};

/// A message that is not acknowledged within this time is stored.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(2);
/// What may be under way to one session, unacknowledged.
const WINDOW_BYTES: usize = 64 * 1024;
const WINDOW_MESSAGES: usize = 2048;
/// What may wait in memory behind it before it goes to the mailbox.
const BEHIND_BYTES: usize = 256 * 1024;
const BEHIND_MESSAGES: usize = 4096;

/// A message under way to a session.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) id: MessageId,
    pub(super) from: UserId,
    pub(super) group: Option<Name>,
    pub(super) origin: Option<Origin>,
    /// When it was accepted.
    pub(super) sent_at: Time,
    pub(super) text: Arc<str>,
    pub(super) keep: Keep,
    pub(super) tell: Tell,
    /// Its last byte's place in the output of the link.
    pub(super) end: u64,
}

/// Where a message is besides being under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Nowhere: it must be acknowledged or stored.
    Memory,
    /// In the mailbox, and counted there: an acknowledgement removes it. The record that put it
    /// there may still be on its way.
    Mailbox(RecordNumber),
    /// It could not be stored; its sender knows that the outcome is unknown.
    GivenUp,
}

/// Who hears what became of a message.
#[derive(Debug, Clone)]
pub(super) enum Tell {
    Nobody,
    Sender(Asker),
    /// The group message of this number counts it.
    Group(u64),
}

/// What is under way to one session.
#[derive(Debug, Clone, Default)]
pub(super) struct Delivery {
    /// Sent, in the order of the link.
    unacknowledged: VecDeque<Parcel>,
    unacknowledged_bytes: usize,
    /// To be sent when the mailbox is shown and the window allows.
    behind: VecDeque<Parcel>,
    behind_bytes: usize,
    /// Stored mail to be shown first, in this order.
    pub(super) sources: VecDeque<Source>,
    pub(super) loading: Option<Loading>,
    /// The user has said that he goes.
    pub(super) leaving: Option<Leaving>,
    /// The largest id sent or passed over, but for what is shown of one sender alone.
    pub(super) cursor: MessageId,
    /// Whether a deadline for acknowledgement is set.
    watched: bool,
}

/// A page of mail that the store was asked for.
#[derive(Debug, Clone)]
pub(super) struct Loading {
    pub(super) ticket: Ticket,
    /// What was taken out of the mailbox since: it may be in the page all the same.
    pub(super) gone: Vec<MessageId>,
    /// The mailbox was emptied since: nothing of the page is in it.
    pub(super) all_gone: bool,
}

impl Delivery {
    fn window_is_open(&self) -> bool {
        self.unacknowledged_bytes < WINDOW_BYTES && self.unacknowledged.len() < WINDOW_MESSAGES
    }

    /// Whether nothing is under way, and nothing waits to be.
    pub(super) fn is_done(&self) -> bool {
        self.unacknowledged.is_empty()
            && self.behind.is_empty()
            && self.sources.is_empty()
            && self.loading.is_none()
    }

    /// Whether the next page of stored mail may be asked for.
    pub(super) fn wants_page(&self) -> bool {
        self.loading.is_none() && self.unacknowledged_bytes < WINDOW_BYTES && self.unacknowledged.len() < 256
    }

    /// Whether stored mail that is to be shown is going to be, all of it.
    pub(super) fn covers(&self, source: &Source) -> bool {
        self.sources.iter().any(|waiting| waiting.covers(source))
    }

    pub(super) fn is_under_way(&self, id: MessageId) -> bool {
        self.unacknowledged.iter().any(|parcel| parcel.id == id)
    }

    /// Where a message stands among those that are not acknowledged.
    fn position(&self, id: MessageId) -> Option<usize> {
        let first = self.unacknowledged.front()?.id;
        // Live messages have running numbers; stored ones between them are the exception.
        let expected = usize::try_from(id.number.saturating_sub(first.number)).unwrap_or(usize::MAX);
        match self.unacknowledged.get(expected) {
            Some(parcel) if parcel.id == id => Some(expected),
            Some(_) | None => self.unacknowledged.iter().position(|parcel| parcel.id == id),
        }
    }

    fn push_behind(&mut self, parcel: Parcel) {
        self.behind_bytes += parcel.text.len();
        self.behind.push_back(parcel);
    }

    fn take_behind(&mut self) -> VecDeque<Parcel> {
        self.behind_bytes = 0;
        core::mem::take(&mut self.behind)
    }

    fn pop_unacknowledged(&mut self) -> Option<Parcel> {
        let parcel = self.unacknowledged.pop_front()?;
        self.unacknowledged_bytes -= parcel.text.len();
        if self.unacknowledged.is_empty() && self.unacknowledged.capacity() > 64 {
            self.unacknowledged = VecDeque::new();
        }
        Some(parcel)
    }

    /// The time at which the oldest message that is nowhere else was accepted.
    fn oldest_in_memory(&self) -> Option<Time> {
        let sent = self.unacknowledged.iter().find(|parcel| parcel.keep == Keep::Memory);
        sent.or(self.behind.front()).map(|parcel| parcel.sent_at)
    }
}

impl ServerState {
    /// Sends a message to a user whose session has a link, behind what must come first.
    pub(super) fn deliver(&mut self, to: UserId, parcel: Parcel) {
        let Some(session) = self.accounts[to].session.as_mut() else { return };
        let delivery = &mut session.delivery;
        let shown = delivery.sources.is_empty() && delivery.loading.is_none()
            || planted::is(Planted::LiveBeforeStored);
        let live = shown && delivery.behind.is_empty();
        if live && delivery.window_is_open() {
            return self.send_parcel(to, parcel, Freshness::Live);
        }
        delivery.push_behind(parcel);
        if delivery.behind_bytes > BEHIND_BYTES || delivery.behind.len() > BEHIND_MESSAGES {
            self.store_behind(to);
        }
        self.watch(to);
    }

    /// Sends a message and remembers it until it is acknowledged.
    pub(super) fn send_parcel(&mut self, to: UserId, mut parcel: Parcel, freshness: Freshness) {
        let Some(link) = self.accounts[to].session.as_ref().and_then(|session| session.link) else { return };
        let accounts = &self.accounts;
        let written = self.outbox.write(|out| {
            let Some(text) = crate::words::Text::new(&parcel.text) else { return };
            let delivery = wire::Delivery {
                id: parcel.id,
                from: accounts.name(parcel.from).as_str(),
                sent_at: parcel.sent_at,
                origin: parcel.origin,
                freshness,
                text,
            };
            match &parcel.group {
                Some(group) => ServerLine::GroupMessage { group: group.as_str(), delivery }.encode(out),
                None => ServerLine::Message(delivery).encode(out),
            }
        });
        parcel.end = self.queue(link, RecordNumber(0), written);
        if planted::is(Planted::DeliveredWhenSent) {
            let tell = core::mem::replace(&mut parcel.tell, Tell::Nobody);
            self.tell_sender(to, &tell, Ok(Status::Delivered), None);
        }
        let Some(session) = self.accounts[to].session.as_mut() else { return };
        if planted::is(Planted::ReceivingIsActivity) {
            session.last_active = self.now;
        }
        let delivery = &mut session.delivery;
        // Mail of one sender may be shown before older mail of others, which is still to come.
        if freshness == Freshness::Live {
            delivery.cursor = delivery.cursor.max(parcel.id);
        }
        delivery.unacknowledged_bytes += parcel.text.len();
        delivery.unacknowledged.push_back(parcel);
        self.watch(to);
    }

    /// Sees to it that a message that stays unacknowledged is noticed.
    fn watch(&mut self, user: UserId) {
        let Some(session) = self.accounts[user].session.as_mut() else { return };
        if !session.delivery.watched
            && let Some(oldest) = session.delivery.oldest_in_memory()
        {
            session.delivery.watched = true;
            let deadline = Deadline::Acknowledgement(user, session.serial);
            self.deadlines.add(oldest + ACKNOWLEDGE_WITHIN, deadline);
        }
    }

    pub(super) fn acknowledgement_due(&mut self, user: UserId, serial: u64) {
        let session = self.accounts[user].session.as_mut().filter(|session| session.serial == serial);
        let Some(session) = session else { return };
        session.delivery.watched = false;
        if planted::is(Planted::OverdueForgotten) {
            session.delivery.unacknowledged.clear();
            session.delivery.unacknowledged_bytes = 0;
            return;
        }
        let overdue = self.now - ACKNOWLEDGE_WITHIN;
        if session.delivery.behind.front().is_some_and(|parcel| parcel.sent_at <= overdue) {
            self.store_unacknowledged(user, Time::MAX);
            self.store_behind(user);
        } else {
            self.store_unacknowledged(user, overdue);
        }
        self.watch(user);
    }

    /// Stores what was sent, accepted no later than `upto`, and is nowhere else.
    pub(super) fn store_unacknowledged(&mut self, user: UserId, upto: Time) {
        let Some(session) = self.accounts[user].session.as_mut() else { return };
        let mut parcels = core::mem::take(&mut session.delivery.unacknowledged);
        for parcel in
            parcels.iter_mut().filter(|parcel| parcel.keep == Keep::Memory && parcel.sent_at <= upto)
        {
            // It may have been shown, so a failure to store it leaves its outcome open.
            self.store_parcel(user, parcel, Code::OutcomeUnknown, Code::OutcomeUnknown);
        }
        if let Some(session) = self.accounts[user].session.as_mut() {
            session.delivery.unacknowledged = parcels;
        }
    }

    /// Stores what was not sent yet; it will be read from the mailbox, in its turn.
    pub(super) fn store_behind(&mut self, user: UserId) {
        let Some(session) = self.accounts[user].session.as_mut() else { return };
        let parcels = session.delivery.take_behind();
        self.store_unsent(user, parcels);
    }

    /// What one sender has sent and was not sent on yet is held back. With it is stored what waits of others,
    /// for mail is shown in the order of its ids; where nothing is stored, that stays where it is.
    pub(super) fn hold_back_behind(&mut self, user: UserId, from: UserId) {
        let storing = self.settings.offline_delivery != OfflineDelivery::Off;
        let Some(session) = self.accounts[user].session.as_mut() else { return };
        let behind = session.delivery.take_behind();
        let (held, others): (VecDeque<Parcel>, VecDeque<Parcel>) =
            behind.into_iter().partition(|parcel| storing || parcel.from == from);
        others.into_iter().for_each(|parcel| session.delivery.push_behind(parcel));
        self.store_unsent(user, held);
    }

    fn store_unsent(&mut self, user: UserId, parcels: VecDeque<Parcel>) {
        let Some(session) = self.accounts[user].session.as_mut() else { return };
        if parcels.is_empty() {
            return;
        }
        let source = Source::all(None);
        if self.settings.offline_delivery == OfflineDelivery::Auto && !session.delivery.covers(&source) {
            session.delivery.sources.push_back(source);
        }
        // None of them was sent, so none was shown.
        let full = match self.settings.offline_delivery {
            OfflineDelivery::Off => Code::Offline,
            OfflineDelivery::Auto | OfflineDelivery::Manual => Code::MailboxFull,
        };
        for mut parcel in parcels {
            self.store_parcel(user, &mut parcel, full, Code::StorageUnavailable);
        }
    }

    /// Stores everything under way to a user whose link is gone. It is shown when he is back.
    pub(super) fn store_all_under_way(&mut self, user: UserId) {
        if !planted::is(Planted::LostWithLink) {
            self.store_unacknowledged(user, Time::MAX);
        }
        self.store_behind(user);
        if let Some(session) = self.accounts[user].session.as_mut() {
            let delivery = core::mem::take(&mut session.delivery);
            if let Some(loading) = delivery.loading {
                self.loads.remove(&loading.ticket);
            }
        }
    }

    /// Stores a message under way. Its sender hears `full` if it may not be stored, `refused` if the
    /// store refuses it.
    fn store_parcel(&mut self, to: UserId, parcel: &mut Parcel, full: Code, refused: Code) {
        let tell = core::mem::replace(&mut parcel.tell, Tell::Nobody);
        let storing = self.settings.offline_delivery != OfflineDelivery::Off;
        if storing && self.has_room(to, parcel.from, parcel.text.len() as u64) {
            let mail = Mail {
                id: parcel.id,
                from: self.accounts.name(parcel.from).clone(),
                group: parcel.group.clone(),
                origin: parcel.origin,
                sent_at: parcel.sent_at,
                text: parcel.text.clone(),
            };
            parcel.keep = Keep::Mailbox(self.store_mail(to, parcel.from, mail, tell, refused));
        } else {
            parcel.keep = Keep::GivenUp;
            self.tell_sender(to, &tell, Err(full), None);
        }
    }

    /// Makes a message durable for a user; its sender hears `stored` when it is.
    pub(super) fn store_mail(
        &mut self,
        to: UserId,
        from: UserId,
        mail: Mail,
        tell: Tell,
        refused: Code,
    ) -> RecordNumber {
        let origin = mail.origin;
        let record = Record::MailStored { to: self.accounts.name(to).clone(), mail };
        let asker = match &tell {
            Tell::Sender(asker) => Some(*asker),
            Tell::Nobody | Tell::Group(_) => None,
        };
        let tell = if planted::is(Planted::ConfirmBeforeCommit) {
            self.tell_sender(to, &tell, Ok(Status::Stored), None);
            Tell::Nobody
        } else {
            tell
        };
        let number = self.persist_firm(record, Then::Mail { to, tell, refused });
        if let Some(asker) = asker {
            self.accounts[from].touched = number;
            if let (Some(origin), true) = (origin, asker.is_remembered()) {
                let user = self.accounts.name(from).clone();
                let outcome = Outcome::Message(Status::Stored);
                self.persist_note(Record::Settled { user, origin, outcome, words: None });
            }
            if let Some(link) = self.asker_link(&asker) {
                self.reserve_answer(link, number);
            }
        }
        number
    }

    pub(super) fn mail_settled(
        &mut self,
        record: RecordNumber,
        to: UserId,
        tell: &Tell,
        settlement: Settlement,
    ) {
        if settlement.is_err() {
            self.give_up_parcel(to, record);
        }
        self.tell_sender(to, tell, settlement.map(|()| Status::Stored), Some(record));
    }

    /// A message under way that the store refused is in the mailbox no more and not counted there:
    /// its acknowledgement must not count it off once more.
    fn give_up_parcel(&mut self, to: UserId, record: RecordNumber) {
        let Some(session) = self.accounts[to].session.as_mut() else { return };
        let mut parcels = session.delivery.unacknowledged.iter_mut();
        if let Some(parcel) = parcels.find(|parcel| parcel.keep == Keep::Mailbox(record)) {
            parcel.keep = Keep::GivenUp;
        }
    }

    /// The mailbox of a user who is online was emptied: what is on its way out of it is counted no more,
    /// and the page that is loading is of before.
    pub(super) fn mailbox_emptied(&mut self, user: UserId) {
        let Some(session) = self.accounts[user].session.as_mut() else { return };
        for parcel in &mut session.delivery.unacknowledged {
            if let Keep::Mailbox(_) = parcel.keep {
                parcel.keep = Keep::GivenUp;
            }
        }
        if let Some(loading) = session.delivery.loading.take() {
            self.loads.remove(&loading.ticket);
        }
        self.advance(user);
        self.leaving_moved(user);
    }

    /// The sender of a message, or of a group message, hears what became of it.
    pub(super) fn tell_sender(
        &mut self,
        to: UserId,
        tell: &Tell,
        ending: Result<Status, Code>,
        record: Option<RecordNumber>,
    ) {
        match tell {
            Tell::Nobody => {}
            Tell::Group(number) => self.group_member_settled(*number, ending),
            Tell::Sender(asker) => match ending {
                Ok(status) => {
                    let to = self.accounts.name(to).as_str();
                    let answer = Answer::Message { to, status };
                    let line = ServerLine::Done { number: asker.number, answer };
                    let written = self.outbox.write(|out| line.encode(out));
                    self.answer_written(asker, record, Outcome::Message(status), written);
                }
                Err(code) => self.fail(asker, record, code, "message"),
            },
        }
    }

    /// The client has shown everything up to and with a message, and has answers up to a number.
    pub(super) fn acknowledged(&mut self, user: UserId, shown: Option<MessageId>, answered: Option<u64>) {
        if let Some(answered) = answered {
            self.accounts[user].ledger.answered(answered);
        }
        if let Some(shown) = shown
            && let Some(session) = self.accounts[user].session.as_ref()
            && let Some(last) = session.delivery.position(shown)
        {
            self.settle_first(user, last + 1 + usize::from(planted::is(Planted::AcknowledgesOneMore)));
        }
    }

    /// Bytes have left for a client that does not acknowledge: that must do.
    pub(super) fn left_for_network(&mut self, user: UserId, upto: u64) {
        let Some(session) = self.accounts[user].session.as_ref() else { return };
        let left = session.delivery.unacknowledged.partition_point(|parcel| parcel.end <= upto);
        if left > 0 {
            self.settle_first(user, left);
        }
    }

    /// The first messages under way have been shown.
    fn settle_first(&mut self, user: UserId, count: usize) {
        let mut removed: Vec<MessageId> = Vec::new();
        for _ in 0..count {
            let Some(session) = self.accounts[user].session.as_mut() else { break };
            let Some(parcel) = session.delivery.pop_unacknowledged() else { break };
            match parcel.keep {
                Keep::Memory => self.tell_sender(user, &parcel.tell, Ok(Status::Delivered), None),
                Keep::Mailbox(record) => {
                    self.journal.note_removed(record);
                    self.uncount_mail(user, parcel.from, 1, parcel.text.len() as u64);
                    removed.push(parcel.id);
                }
                Keep::GivenUp => {}
            }
        }
        if !removed.is_empty() {
            let user = self.accounts.name(user).clone();
            self.persist_soft(Record::Fact(Fact::MailRemoved { user, ids: removed }));
        }
        self.advance(user);
        self.leaving_moved(user);
    }

    /// Sends on what may be sent now: stored mail first, then what waits behind it.
    pub(super) fn advance(&mut self, user: UserId) {
        self.load_next_page(user);
        while let Some(session) = self.accounts[user].session.as_mut() {
            let delivery = &mut session.delivery;
            if delivery.loading.is_some() || !delivery.sources.is_empty() || !delivery.window_is_open() {
                return;
            }
            let Some(parcel) = delivery.behind.pop_front() else { return };
            delivery.behind_bytes -= parcel.text.len();
            self.send_parcel(user, parcel, Freshness::Live);
        }
    }

    /// An answer was put before output that had not left: what is behind it ends later.
    pub(super) fn shift_unsent(&mut self, user: UserId, sent: u64, grown: u64) {
        if let Some(session) = self.accounts[user].session.as_mut() {
            let parcels = session.delivery.unacknowledged.iter_mut().rev();
            parcels.take_while(|parcel| parcel.end > sent).for_each(|parcel| parcel.end += grown);
        }
    }
}
