//! Messages: sent to who is there, and stored for who is not (R23 to R28).

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answers::Asker;
use super::papers::{Stored, Then};
use super::prices::{STORED, units_of};
use super::{News, Server, Timer, User, later};
use crate::record::{Fact, Mail, Record};
use crate::server::settings::{BlockNotice, HeldOnBlock, OfflineDelivery};
use crate::sim::cast::shared;
use crate::time::Time;
use crate::wire::{Code, Status};
use crate::words::{MessageId, Name, Origin, SharedText};

/// A message that is not acknowledged within this time is stored (R25).
const ACKNOWLEDGE_SECS: u64 = 2;
/// What may be sent and not acknowledged.
const WINDOW_BYTES: usize = 64 * 1024;
const WINDOW_MESSAGES: usize = 2_048;
/// What may wait for that in memory.
const UNSENT_BYTES: usize = 256 * 1024;
const UNSENT_MESSAGES: usize = 4_096;
/// Live messages that may wait for stored ones of the same sender.
const WAITING_MESSAGES: usize = 64;

/// A message before it has an id.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) from: User,
    pub(super) group: Option<Name>,
    pub(super) origin: Option<Origin>,
    pub(super) text: SharedText,
}

/// Who hears what became of a message.
#[derive(Debug, Clone)]
pub(super) enum Tell {
    Nobody,
    Sender(Asker),
    Group(u64),
}

/// A message under way to a session.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) mail: Mail,
    pub(super) keep: Keep,
    pub(super) tell: Tell,
    /// The place of its last byte in the output of its link.
    pub(super) end: u64,
}

/// Where a message is beside being under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Memory(User),
    Mailbox,
    GivenUp,
}

/// Messages of one sender to one receiver.
#[derive(Debug, Default)]
pub(super) struct Queue {
    storing: u32,
    waiting: VecDeque<(Letter, Tell)>,
}

fn bytes(parcels: &VecDeque<Parcel>) -> usize {
    parcels.iter().map(|parcel| parcel.mail.text.len()).sum()
}

impl Server {
    pub(super) fn begin_message(&mut self, asker: &Asker) {
        if asker.is_courier() {
            self.at_mut(asker.user).unanswered.1 += 1;
            if asker.send.is_none() {
                self.courier_asks(asker.link);
            }
            return;
        }
        let unanswered = &mut self.at_mut(asker.user).unanswered;
        (unanswered.0, unanswered.1) = (unanswered.0 + 1, unanswered.1 + 1);
    }

    pub(super) fn end_message(&mut self, asker: &Asker) {
        let account = self.at_mut(asker.user);
        account.unanswered.1 -= 1;
        if asker.is_courier() {
            if asker.send.is_none() {
                self.courier_answered(asker.link);
            }
        } else if account.login == asker.login {
            account.unanswered.0 -= 1;
        }
        let account = self.at(asker.user);
        if account.session.as_ref().is_some_and(|session| session.delivery.leaving.is_some()) {
            self.later.push_back(super::Later::GoOnLeaving(asker.user));
        }
        self.may_purge(asker.user);
    }

    pub(super) fn message(&mut self, asker: &Asker, to: &str, text: &str) {
        let to = match self.another(asker, to) {
            Ok(to) => to,
            Err(code) => return self.fail(asker, code),
        };
        self.begin_message(asker);
        self.will_be_heard_of(asker.user);
        let letter = Letter { from: asker.user, group: None, origin: asker.origin(), text: shared(text) };
        let tell = Tell::Sender(asker.clone());
        let passes = self.may_reach(asker.user, to);
        if passes || self.settings.block_notice == BlockNotice::Silent {
            self.charge(asker.user, units_of(text.len()));
        }
        match self.settings.block_notice {
            _ if passes => self.post(to, letter, tell),
            BlockNotice::Silent => self.pretend_stored(asker, to),
            BlockNotice::Tell => self.tell_sender(to, &tell, Err(Code::Blocked)),
        }
    }

    /// `block_notice=silent`: `stored` is said, after as long as it takes (ruling 15).
    fn pretend_stored(&mut self, asker: &Asker, to: User) {
        let outcome = self.stored(self.now);
        let then = Then::Pretended { to, asker: asker.clone(), outcome };
        self.charge(asker.user, STORED);
        self.begin_unsettled(asker.user);
        if asker.words.is_some() && asker.send.is_none_or(|(word, _)| word == "given") {
            self.persist_settled(None, Some(asker), outcome, then);
        } else {
            let user = self.name(to).clone();
            self.persist(Record::Fact(Fact::MailRemoved { user, ids: Vec::new() }), then);
        }
    }

    /// Sends a message, or stores it; behind those of the same sender that are on their way.
    pub(super) fn post(&mut self, to: User, letter: Letter, tell: Tell) {
        let pair = (to, letter.from);
        let is_here = self
            .session(to)
            .is_some_and(|session| session.link.is_some() && session.delivery.leaving.is_none());
        match self.queues.get_mut(&pair) {
            None if is_here => return self.send_live(to, letter, tell),
            Some(queue) if is_here && queue.waiting.len() < WAITING_MESSAGES => {
                let from = letter.from;
                queue.waiting.push_back((letter, tell));
                return self.begin_unsettled(from);
            }
            _ => {}
        }
        self.store_waiting_of(to, letter.from);
        self.post_to_mailbox(to, letter, tell);
    }

    fn accepted(&mut self, to: User, letter: Letter) -> Mail {
        let Letter { from, group, origin, text } = letter;
        let (boot, sent_at, from) = (self.boot, self.now, self.name(from).clone());
        let account = self.at_mut(to);
        account.last_message += 1;
        Mail { id: MessageId { boot, number: account.last_message }, from, group, origin, sent_at, text }
    }

    fn send_live(&mut self, to: User, letter: Letter, tell: Tell) {
        let keep = Keep::Memory(letter.from);
        let parcel = Parcel { mail: self.accepted(to, letter), keep, tell, end: 0 };
        let room = self.may_be_sent(to);
        let Some(session) = self.session_mut(to) else { return };
        let delivery = &mut session.delivery;
        let shown = delivery.sources.is_empty() && delivery.loading.is_none();
        if shown && room && delivery.unsent.is_empty() && is_open(&delivery.sent) {
            return self.send_parcel(to, parcel, "live");
        }
        delivery.unsent.push_back(parcel);
        if bytes(&delivery.unsent) > UNSENT_BYTES || delivery.unsent.len() > UNSENT_MESSAGES {
            self.store_in_order(to);
        }
        self.watch(to);
    }

    pub(super) fn send_parcel(&mut self, to: User, mut parcel: Parcel, freshness: &str) {
        let Some(link) = self.at(to).link() else { return };
        let Mail { id, from, group, origin, sent_at, text } = &parcel.mail;
        let kind = match group {
            Some(group) => format!("group-message {id} {group}"),
            None => format!("message {id}"),
        };
        let origin = origin.map_or_else(|| String::from("-"), |origin| format!("{origin}"));
        let line = format!("{kind} {from} {} {origin} {freshness} {text}", sent_at.0);
        parcel.end = self.send(link, &line);
        if let Some(session) = self.session_mut(to) {
            session.delivery.sent.push_back(parcel);
        }
        self.watch(to);
    }

    /// Sees to it that a message that stays unacknowledged is noticed.
    fn watch(&mut self, user: User) {
        let Some(session) = self.session_mut(user).filter(|session| !session.delivery.watched) else {
            return;
        };
        let delivery = &mut session.delivery;
        let in_memory = delivery.sent.iter().find(|parcel| matches!(parcel.keep, Keep::Memory(_)));
        let Some(oldest) = in_memory.or(delivery.unsent.front()).map(|parcel| parcel.mail.sent_at) else {
            return;
        };
        delivery.watched = true;
        let timer = Timer::Acknowledgement(user, session.serial);
        self.set(later(oldest, ACKNOWLEDGE_SECS), timer);
    }

    pub(super) fn acknowledgement_due(&mut self, user: User, serial: u64) {
        if self.session_of(user).is_none_or(|session| session.serial != serial) {
            return;
        }
        let overdue = Time(self.now.0.saturating_sub(ACKNOWLEDGE_SECS * 1_000_000));
        let Some(session) = self.session_mut(user) else { return };
        session.delivery.watched = false;
        let all = session.delivery.unsent.front().is_some_and(|parcel| parcel.mail.sent_at <= overdue);
        self.store_unacknowledged(user, if all { Time::MAX } else { overdue });
        if all {
            self.store_unsent(user);
        }
        self.watch(user);
    }

    pub(super) fn acknowledged(&mut self, user: User, shown: MessageId) {
        let Some(session) = self.session(user) else { return };
        if let Some(last) = session.delivery.sent.iter().position(|parcel| parcel.mail.id == shown) {
            self.settle_first(user, last + 1);
        }
    }

    /// For a client that does not acknowledge it must do that the bytes have left (R25).
    pub(super) fn left_for_network(&mut self, user: User, upto: u64) {
        let Some(session) = self.session(user) else { return };
        let left = session.delivery.sent.iter().take_while(|parcel| parcel.end <= upto).count();
        if left > 0 {
            self.settle_first(user, left);
        }
    }

    fn settle_first(&mut self, user: User, count: usize) {
        let mut removed: Vec<MessageId> = Vec::new();
        for _ in 0..count {
            let Some(parcel) = self.session_mut(user).and_then(|session| session.delivery.sent.pop_front())
            else {
                break;
            };
            if let Some(link) = self.at(user).link() {
                let (user, text) = (self.name(user).clone(), parcel.mail.text.to_string());
                self.news.push(News::Got { link, user, text });
            }
            match parcel.keep {
                Keep::Memory(_) => self.tell_sender(user, &parcel.tell, Ok(Status::Delivered)),
                Keep::Mailbox => {
                    let id = parcel.mail.id;
                    removed.extend(self.at_mut(user).mailbox.take_out(id).then_some(id));
                    self.mailbox_changed(user);
                }
                Keep::GivenUp => {}
            }
        }
        self.note_removed(user, removed);
        self.advance(user);
        self.leaving_moved(user);
    }

    pub(super) fn note_removed(&mut self, user: User, ids: Vec<MessageId>) {
        if !ids.is_empty() {
            let user = self.name(user).clone();
            self.persist_fact(Fact::MailRemoved { user, ids });
        }
    }

    /// Sends what may be sent now: stored mail, then what waits for it and for the window.
    pub(super) fn advance(&mut self, user: User) {
        self.load_next(user);
        while self.may_be_sent(user)
            && let Some(session) = self.session_mut(user)
            && session.delivery.loading.is_none()
            && session.delivery.sources.is_empty()
            && is_open(&session.delivery.sent)
            && let Some(parcel) = session.delivery.unsent.pop_front()
        {
            self.send_parcel(user, parcel, "live");
        }
    }

    /// Whether the output of a user's connection has room for a message (R45).
    pub(super) fn may_be_sent(&self, user: User) -> bool {
        self.at(user).link().is_some_and(|link| self.has_output_room(link))
    }

    fn post_to_mailbox(&mut self, to: User, letter: Letter, tell: Tell) {
        if self.at(to).is_gone() {
            return self.tell_sender(to, &tell, Err(Code::UnknownUser));
        }
        if self.settings.offline_delivery == OfflineDelivery::Off {
            return self.tell_sender(to, &tell, Err(Code::Offline));
        }
        let (from, bytes) = (letter.from, letter.text.len() as u64);
        if self.has_room(to, from, bytes) {
            // What is under way to the user was sent before.
            self.store_unacknowledged(to, Time::MAX);
            self.store_unsent(to);
        }
        if !self.has_room(to, from, bytes) {
            return self.tell_sender(to, &tell, Err(Code::MailboxFull));
        }
        let mail = self.accepted(to, letter);
        self.store(to, from, mail, tell, Code::StorageUnavailable);
    }

    /// Promises room, and hands a message to the store.
    fn store(&mut self, to: User, from: User, mail: Mail, tell: Tell, refused: Code) {
        let id = mail.id;
        self.at_mut(to).mailbox.promise(id, mail.from.clone(), mail.text.len() as u64);
        self.queues.entry((to, from)).or_default().storing += 1;
        self.charge(from, STORED);
        self.begin_unsettled(from);
        let asker = match &tell {
            Tell::Sender(asker) => Some(asker.clone()),
            Tell::Nobody | Tell::Group(_) => None,
        };
        let outcome = self.stored(mail.sent_at);
        let record = Record::MailStored { to: self.name(to).clone(), mail };
        let then = Then::Mail(Stored { from, to, id, tell, outcome, refused });
        self.persist_settled(Some(record), asker.as_ref(), outcome, then);
    }

    /// A message is durable, or the store refused it.
    pub(super) fn mail_settled(&mut self, stored: &Stored, durable: bool) {
        let Stored { from, to, id, tell, outcome, refused } = stored;
        let (from, to) = (*from, *to);
        if let Some(queue) = self.queues.get_mut(&(to, from)) {
            queue.storing -= 1;
        }
        self.drop_empty_queue(to, from);
        self.end_unsettled(from);
        if durable {
            self.tell_outcome(to, tell, Ok(*outcome));
            // R30: what was sent before a block and is stored after it is held, or removed.
            let drops = self.settings.held_on_block == HeldOnBlock::Drop && self.has_blocked(to, from);
            if drops && self.at_mut(to).mailbox.take_out(*id) {
                self.mailbox_changed(to);
                self.give_up(to, *id);
                self.note_removed(to, Vec::from([*id]));
            }
            self.show_new(to, *id);
        } else {
            let shown = self.at_mut(to).mailbox.release(*id);
            self.give_up(to, *id);
            let ending = if shown { Ok(Status::Delivered) } else { Err(*refused) };
            self.tell_sender(to, tell, ending);
        }
        let free = self.queues.get_mut(&(to, from)).filter(|queue| queue.storing == 0);
        let free = free.map(|queue| core::mem::take(&mut queue.waiting)).unwrap_or_default();
        self.drop_empty_queue(to, from);
        // R30: what waited was let through before the block.
        let held = self.is_held(to, self.name(from));
        for (letter, tell) in free {
            self.end_unsettled(from);
            if held {
                self.post_to_mailbox(to, letter, tell);
            } else {
                self.post(to, letter, tell);
            }
        }
        self.may_purge(to);
    }

    /// What is under way is not in the mailbox any more: its acknowledgement takes nothing out.
    pub(super) fn give_up(&mut self, to: User, id: MessageId) {
        let sent = self.session_mut(to).map(|session| &mut session.delivery.sent);
        if let Some(parcel) = sent.and_then(|sent| sent.iter_mut().find(|parcel| parcel.mail.id == id)) {
            parcel.keep = Keep::GivenUp;
        }
    }

    fn drop_empty_queue(&mut self, to: User, from: User) {
        if self.queues.get(&(to, from)).is_some_and(|queue| queue.storing == 0 && queue.waiting.is_empty()) {
            self.queues.remove(&(to, from));
        }
    }

    fn store_waiting_of(&mut self, to: User, from: User) {
        let queue = self.queues.get_mut(&(to, from));
        for (letter, tell) in queue.map(|queue| core::mem::take(&mut queue.waiting)).unwrap_or_default() {
            self.end_unsettled(from);
            self.post_to_mailbox(to, letter, tell);
        }
    }

    /// Stores what was sent, accepted no later than `upto`, and is nowhere else.
    fn store_unacknowledged(&mut self, user: User, upto: Time) {
        let Some(session) = self.session_mut(user) else { return };
        let mut parcels = core::mem::take(&mut session.delivery.sent);
        for parcel in parcels.iter_mut().filter(|parcel| parcel.mail.sent_at <= upto) {
            self.store_parcel(user, parcel, Code::OutcomeUnknown, Code::OutcomeUnknown);
        }
        if let Some(session) = self.session_mut(user) {
            session.delivery.sent = parcels;
        }
    }

    fn store_unsent(&mut self, user: User) {
        if let Some(session) = self.session_mut(user) {
            let parcels = core::mem::take(&mut session.delivery.unsent);
            self.store_all(user, parcels);
        }
    }

    /// R25: what was sent is stored before what waits, if anything is.
    fn store_in_order(&mut self, user: User) {
        if self.is_storing(user) {
            self.store_unacknowledged(user, Time::MAX);
        }
        self.store_unsent(user);
    }

    /// Whether mail for a user is stored.
    fn is_storing(&self, user: User) -> bool {
        self.settings.offline_delivery != OfflineDelivery::Off && !self.at(user).is_gone()
    }

    /// What was not sent yet to one who has blocked its sender is held back; all that waits keeps its order.
    pub(super) fn hold_back_unsent(&mut self, user: User, from: User) {
        let storing = self.is_storing(user);
        let Some(session) = self.session_mut(user) else { return };
        if !session.delivery.unsent.iter().any(|parcel| parcel.keep == Keep::Memory(from)) {
            return;
        }
        if storing {
            return self.store_in_order(user);
        }
        let unsent = core::mem::take(&mut session.delivery.unsent);
        let (held, others) = unsent.into_iter().partition(|parcel| parcel.keep == Keep::Memory(from));
        session.delivery.unsent = others;
        self.store_all(user, held);
    }

    fn store_all(&mut self, user: User, parcels: VecDeque<Parcel>) {
        let full = match self.settings.offline_delivery {
            _ if self.at(user).is_gone() => Code::UnknownUser,
            OfflineDelivery::Off => Code::Offline,
            OfflineDelivery::Auto | OfflineDelivery::Manual => Code::MailboxFull,
        };
        for mut parcel in parcels {
            self.store_parcel(user, &mut parcel, full, Code::StorageUnavailable);
        }
    }

    fn store_parcel(&mut self, to: User, parcel: &mut Parcel, full: Code, refused: Code) {
        let Keep::Memory(from) = parcel.keep else { return };
        let tell = core::mem::replace(&mut parcel.tell, Tell::Nobody);
        if !self.is_storing(to) || !self.has_room(to, from, parcel.mail.text.len() as u64) {
            parcel.keep = Keep::GivenUp;
            return self.tell_sender(to, &tell, Err(full));
        }
        parcel.keep = Keep::Mailbox;
        self.store(to, from, parcel.mail.clone(), tell, refused);
    }

    /// The link is gone: all that was under way is stored.
    pub(super) fn store_all_under_way(&mut self, user: User) {
        self.store_unacknowledged(user, Time::MAX);
        self.store_unsent(user);
        if let Some(session) = self.session_mut(user) {
            session.delivery = super::sessions::Delivery::default();
        }
        let senders: Vec<User> =
            self.queues.keys().filter(|(to, _)| *to == user).map(|(_, from)| *from).collect();
        for from in senders {
            self.store_waiting_of(user, from);
        }
    }
}

/// Whether the window of a session has room.
fn is_open(sent: &VecDeque<Parcel>) -> bool {
    sent.len() < WINDOW_MESSAGES && bytes(sent) < WINDOW_BYTES
}
