//! Records: on their way, settled, refused, written again; and what a start makes of them.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answers::Asker;
use super::{Learnt, Reference, Server, Timer, User, later};
use crate::record::{Change, Digest, Fact, Outcome, Record, RecordNumber, Suspect, WordsDigest};
use crate::server::Settings;
use crate::time::Time;
use crate::wire::Code;
use crate::words::{MessageId, Name};

/// A digest that is not known yet.
pub(super) const DRAWN: Digest = Digest([0; 16]);
/// Facts of one account that may be on their way; with more, nobody comes in under its name (R13).
const FACTS_OF_ONE: usize = 16;

/// What is due when a record is settled, beside applying it.
#[derive(Debug, Clone)]
pub(super) enum Then {
    Nothing,
    Wish(u64),
    Mail(Stored),
    GroupMessage { asker: Asker, group: Name, outcome: Outcome },
    Pretended { to: User, asker: Asker, outcome: Outcome },
    Sent { asker: Asker, outcome: Outcome },
}

/// A message on its way into a mailbox.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) from: User,
    pub(super) to: User,
    pub(super) id: MessageId,
    pub(super) tell: super::messages::Tell,
    pub(super) outcome: Outcome,
    pub(super) refused: Code,
}

/// A record on its way.
#[derive(Debug, Clone)]
pub(super) struct UnderWay {
    number: RecordNumber,
    pub(super) record: Record,
    then: Then,
}

/// What a fact replaces the one before of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Failures(Suspect),
    Began(Name),
    Ended(Name),
    Mail(Name),
    Expired(Name),
    Past(Name),
    Device(Name, Digest),
    Courier(Name, Digest),
    Invite(Digest),
    Heard(Name),
}

/// Facts that the store refused, with the numbers of their records.
pub(super) type Kept = BTreeMap<Key, (RecordNumber, Fact)>;

fn key(fact: &Fact) -> Key {
    match fact {
        Fact::Failures { suspect, .. } => Key::Failures(suspect.clone()),
        Fact::SessionBegan { user, .. } => Key::Began(user.clone()),
        Fact::SessionEnded { user, .. } => Key::Ended(user.clone()),
        Fact::MailRemoved { user, .. } => Key::Mail(user.clone()),
        Fact::MailExpired { user, .. } => Key::Expired(user.clone()),
        Fact::SessionForgotten { user } => Key::Past(user.clone()),
        Fact::Device { user, device, .. } => Key::Device(user.clone(), *device),
        Fact::Courier { user, token, .. } => Key::Courier(user.clone(), *token),
        Fact::InviteUsed { code, .. } => Key::Invite(*code),
        Fact::Heard { user, .. } => Key::Heard(user.clone()),
    }
}

/// The accounts that a record names.
pub(super) fn named(record: &Record) -> Vec<Name> {
    let names = match record {
        Record::Fact(
            Fact::SessionBegan { user, .. }
            | Fact::SessionEnded { user, .. }
            | Fact::Heard { user, .. }
            | Fact::MailRemoved { user, .. }
            | Fact::MailExpired { user, .. }
            | Fact::SessionForgotten { user }
            | Fact::Device { user, .. }
            | Fact::Courier { user, .. }
            | Fact::Failures { suspect: Suspect::Account(user), .. },
        )
        | Record::Settled { user, .. }
        | Record::Sent { user, .. } => [Some(user), None],
        Record::MailStored { to, mail } => [Some(to), Some(&mail.from)],
        Record::Change(Change::AccountAdded { name, .. } | Change::AccountRemoved { name }) => {
            [Some(name), None]
        }
        Record::Change(Change::Blocked { by, user } | Change::Unblocked { by, user }) => {
            [Some(by), Some(user)]
        }
        Record::Change(Change::Restrained { user, .. }) => [Some(user), None],
        Record::Change(Change::GroupSet { members, maker, .. }) => {
            return members.iter().chain(maker.as_ref().map(|maker| &maker.name)).cloned().collect();
        }
        Record::Fact(Fact::Failures { suspect: Suspect::Unknown(_), .. } | Fact::InviteUsed { .. })
        | Record::Change(
            Change::GroupRemoved { .. }
            | Change::Announced { .. }
            | Change::AnnouncementWithdrawn { .. }
            | Change::InviteMade { .. }
            | Change::InviteRevoked { .. }
            | Change::RangeBanned { .. },
        ) => [None, None],
    };
    names.into_iter().flatten().cloned().collect()
}

impl Reference {
    pub(super) fn committed(&mut self, upto: RecordNumber) {
        while let Some(server) = &mut self.server
            && server.under_way.front().is_some_and(|under_way| under_way.number <= upto)
            && let Some(under_way) = server.under_way.pop_front()
        {
            self.disk.apply(under_way.number, under_way.record.clone());
            server.settle(under_way, true);
        }
    }

    /// Whether the store has written itself since it last synced. Accounts go to the credentials file.
    pub(super) fn is_written(&self, upto: RecordNumber) -> bool {
        let fresh = |under_way: &UnderWay| under_way.number > self.synced && under_way.number <= upto;
        let is_account = |record: &Record| matches!(record, Record::Change(Change::AccountAdded { .. }));
        let under_way = self.server.iter().flat_map(|server| &server.under_way);
        under_way.filter(|under_way| fresh(under_way)).any(|under_way| !is_account(&under_way.record))
    }

    /// The process is gone: of what was on its way that survives which the disk has.
    pub(super) fn gone(&mut self, now: Time, survived: RecordNumber) {
        let is_written = self.is_written(survived);
        let Some(server) = self.server.take() else { return };
        for under_way in server.under_way {
            if under_way.number <= survived {
                self.disk.apply(under_way.number, under_way.record);
            }
        }
        if is_written {
            self.disk.note_written(now);
        }
        self.synced = RecordNumber(0);
        self.learnt = server.learnt;
    }
}

impl Server {
    pub(super) fn new(now: Time, boot: u32, settings: Settings, learnt: Learnt) -> Server {
        Server {
            now,
            boot,
            settings,
            stopping: false,
            users: Vec::new(),
            names: BTreeMap::new(),
            spare: Vec::new(),
            message_floor: 0,
            login_floor: 0,
            roster: Vec::new(),
            links: BTreeMap::new(),
            turns: VecDeque::new(),
            charged: None,
            made_up: BTreeMap::new(),
            places: super::Places::default(),
            hashing: super::Hashing::default(),
            known: super::KnownAddresses::default(),
            registrations: super::Registrations::default(),
            invites: BTreeMap::new(),
            last_invite: 0,
            ranges: BTreeMap::new(),
            announcements: BTreeMap::new(),
            last_announcement: 0,
            early_drops: 0,
            addresses: BTreeMap::new(),
            groups: BTreeMap::new(),
            makers: BTreeMap::new(),
            requests: BTreeMap::new(),
            relays: super::relays::Relays::default(),
            registering: BTreeSet::new(),
            wishes: BTreeMap::new(),
            waiting_wishes: BTreeSet::new(),
            begun: BTreeMap::new(),
            purges: BTreeMap::new(),
            last_record: RecordNumber(0),
            settled: RecordNumber(0),
            under_way: VecDeque::new(),
            kept: Kept::new(),
            retry_is_set: false,
            waiting_words: BTreeMap::new(),
            asked: BTreeMap::new(),
            timers: BTreeSet::new(),
            serial: 0,
            later: VecDeque::new(),
            queues: BTreeMap::new(),
            group_messages: BTreeMap::new(),
            expiry: super::expiry::Expiry::default(),
            forgets_at: None,
            forgets_after: Time::ZERO,
            broadcasts: 0,
            expected: super::Expected::default(),
            news: Vec::new(),
            learnt,
        }
    }

    /// The real record, with what was drawn for it.
    pub(super) fn note_actual(&mut self, number: RecordNumber, record: &Record) {
        if let Some(under_way) = self.under_way.iter_mut().rev().find(|under_way| under_way.number == number)
        {
            under_way.record = record.clone();
        }
    }

    /// Hands a change or mail to the store, behind the kept facts of every account that it names.
    pub(super) fn persist(&mut self, record: Record, then: Then) -> RecordNumber {
        self.take_kept(&record);
        self.hand_out(record, then, None)
    }

    /// The keys of all kept facts that an account may have.
    pub(super) fn keys_of(&self, name: &Name) -> Vec<Key> {
        let of_account = |key: &&Key| match key {
            Key::Failures(Suspect::Account(of))
            | Key::Began(of)
            | Key::Ended(of)
            | Key::Mail(of)
            | Key::Expired(of)
            | Key::Past(of)
            | Key::Device(of, _)
            | Key::Heard(of)
            | Key::Courier(of, _) => of == name,
            Key::Failures(Suspect::Unknown(_)) | Key::Invite(_) => false,
        };
        self.kept.keys().filter(of_account).cloned().collect()
    }

    fn take_kept(&mut self, record: &Record) {
        let mut kept: Vec<(RecordNumber, Fact)> = Vec::new();
        for name in named(record) {
            for key in self.keys_of(&name) {
                kept.extend(self.kept.remove(&key));
            }
        }
        self.hand_out_kept(kept);
    }

    /// Hands a change or mail to the store, and with it what its command comes to, if that is remembered.
    pub(super) fn persist_settled(
        &mut self,
        record: Option<Record>,
        asker: Option<&Asker>,
        outcome: Outcome,
        then: Then,
    ) {
        let sent = asker.and_then(|asker| self.sent_record(asker, outcome));
        let settled = sent.or_else(|| {
            let asker = asker.filter(|asker| asker.send.is_none())?;
            let (origin, words) = (asker.origin()?, asker.words.clone()?);
            let user = self.name(asker.user).clone();
            Some((Record::Settled { user, origin, outcome, words: Some(WordsDigest(0)) }, words))
        });
        match (record, settled) {
            (Some(record), None) => drop(self.persist(record, then)),
            (record, Some((settled, words))) => {
                if let Some(record) = record {
                    self.persist(record, Then::Nothing);
                }
                self.take_kept(&settled);
                self.hand_out(settled, then, Some(words));
            }
            (None, None) => unreachable!("something is written"),
        }
    }

    fn hand_out_kept(&mut self, mut kept: Vec<(RecordNumber, Fact)>) {
        kept.sort_unstable_by_key(|(number, _)| *number);
        for (_, fact) in kept {
            let made_up = match &fact {
                Fact::Failures { suspect: Suspect::Unknown(digest), .. } => self.learnt.name_of(digest),
                _ => None,
            };
            self.hand_out(Record::Fact(fact), Then::Nothing, made_up);
        }
    }

    pub(super) fn persist_fact(&mut self, fact: Fact) -> RecordNumber {
        let whole = matches!(
            fact,
            Fact::Failures { .. } | Fact::Device { .. } | Fact::Courier { .. } | Fact::InviteUsed { .. }
        );
        if whole {
            self.kept.remove(&key(&fact));
        }
        self.persist(Record::Fact(fact), Then::Nothing)
    }

    /// Failures of a name without an account, whose digest the server draws.
    pub(super) fn persist_made_up(&mut self, name: &str, fact: Fact) -> RecordNumber {
        if let Some(digest) = self.learnt.names.get(name) {
            self.kept.remove(&Key::Failures(Suspect::Unknown(*digest)));
        }
        self.hand_out(Record::Fact(fact), Then::Nothing, Some(name.to_string()))
    }

    fn hand_out(&mut self, record: Record, then: Then, made_up: Option<String>) -> RecordNumber {
        self.last_record.0 += 1;
        let number = self.last_record;
        self.expected.record(number, record.clone(), made_up);
        self.under_way.push_back(UnderWay { number, record, then });
        number
    }

    /// Whether the store is far behind with an account.
    pub(super) fn is_behind_with(&self, name: &Name) -> bool {
        let of_account = |under_way: &&UnderWay| {
            matches!(&under_way.record, Record::Fact(_)) && named(&under_way.record).first() == Some(name)
        };
        self.under_way.iter().filter(of_account).count() >= FACTS_OF_ONE
    }

    pub(super) fn store_refused(&mut self, from: RecordNumber) {
        assert!(
            self.under_way.front().is_none_or(|first| first.number >= from),
            "the store answers in order"
        );
        for under_way in self.under_way.clone() {
            if let Record::Fact(fact) = under_way.record {
                self.keep(under_way.number, fact);
            }
        }
        if !self.kept.is_empty() {
            self.try_again_later();
        }
        let upto = self.last_record;
        while self.under_way.front().is_some_and(|under_way| under_way.number <= upto) {
            let Some(under_way) = self.under_way.pop_front() else { break };
            self.settle(under_way, false);
        }
    }

    /// A fact that the store refused holds, and is written later: the newest of its kind.
    fn keep(&mut self, number: RecordNumber, fact: Fact) {
        let key = key(&fact);
        let before = self.kept.remove(&key);
        let fact = match (fact, before) {
            (
                Fact::Failures { suspect: Suspect::Unknown(_), count: 0, .. }
                | Fact::Device { standing: None, .. }
                | Fact::Courier { until: None, .. },
                _,
            ) => return,
            (Fact::MailRemoved { user, mut ids }, Some((_, Fact::MailRemoved { ids: before, .. }))) => {
                ids.extend(before);
                Fact::MailRemoved { user, ids }
            }
            (
                Fact::MailExpired { user, mut ids, untold },
                Some((_, Fact::MailExpired { ids: before, .. })),
            ) => {
                ids.extend(before);
                Fact::MailExpired { user, ids, untold }
            }
            (fact, _) => fact,
        };
        self.kept.insert(key, (number, fact));
    }

    pub(super) fn try_again_later(&mut self) {
        if !core::mem::replace(&mut self.retry_is_set, true) {
            self.set(later(self.now, 1), Timer::Retry);
        }
    }

    pub(super) fn try_again(&mut self) {
        self.retry_is_set = false;
        self.write_kept();
        self.begin_purges();
    }

    pub(super) fn write_kept(&mut self) {
        let kept = core::mem::take(&mut self.kept).into_values().collect();
        self.hand_out_kept(kept);
    }

    /// A record is durable, or was refused.
    fn settle(&mut self, under_way: UnderWay, durable: bool) {
        let UnderWay { number, record, then } = under_way;
        self.settled = number;
        match &record {
            Record::Fact(Fact::MailRemoved { user, ids } | Fact::MailExpired { user, ids, .. })
                if durable =>
            {
                if let Some(user) = self.find(user.as_str()) {
                    self.at_mut(user).mailbox.forget_removed(ids);
                }
            }
            Record::Fact(_) => {}
            _ if durable => self.apply(&record),
            _ => {}
        }
        match then {
            Then::Nothing => {}
            Then::Wish(wish) => self.wish_settled(wish, durable),
            Then::Mail(stored) => self.mail_settled(&stored, durable),
            Then::GroupMessage { asker, group, outcome } => {
                self.end_unsettled(asker.user);
                self.answer_group_message(&asker, &group, outcome)
            }
            Then::Sent { asker, outcome } => self.send_settled(&asker, outcome, durable),
            Then::Pretended { to, asker, outcome } => {
                self.end_unsettled(asker.user);
                let ending = if durable { Ok(outcome) } else { Err(Code::StorageUnavailable) };
                self.tell_outcome(to, &super::messages::Tell::Sender(asker), ending);
            }
        }
        for link in self.waiting_words.remove(&number).unwrap_or_default() {
            self.word_is_due(link);
        }
    }

    /// What a durable record does.
    pub(super) fn apply(&mut self, record: &Record) {
        match record {
            Record::Fact(_) => {}
            // What the operator has written meanwhile stays.
            Record::Change(Change::AccountAdded { name, credential }) => {
                if self.find_open(name.as_str()).is_none() {
                    self.open_account(name, credential);
                }
            }
            Record::Change(Change::AccountRemoved { name }) => self.purge(name),
            Record::Change(Change::Blocked { by, user }) => self.set_block(by, user, true),
            Record::Change(Change::Unblocked { by, user }) => self.set_block(by, user, false),
            Record::Change(Change::GroupSet { group, members, maker }) => {
                self.set_group(group, members, maker.as_ref());
            }
            Record::Change(Change::GroupRemoved { group }) => self.set_group(group, &[], None),
            Record::Change(Change::Restrained { user, how, until }) => {
                if let Some(user) = self.find(user.as_str()) {
                    let restraints = &mut self.at_mut(user).restraints;
                    restraints.remove(how);
                    restraints.extend(until.map(|until| (*how, until)));
                }
            }
            Record::Change(Change::RangeBanned { range, until }) => {
                self.ranges.remove(range);
                self.ranges.extend(until.map(|until| (*range, until)));
            }
            Record::Change(Change::Announced { announcement }) => self.announcement_read(announcement),
            Record::Change(Change::AnnouncementWithdrawn { number }) => {
                self.announcements.remove(number);
            }
            Record::Change(Change::InviteMade { code, invite }) => self.set_invite(*code, Some(invite)),
            Record::Change(Change::InviteRevoked { code }) => self.set_invite(*code, None),
            Record::MailStored { to, mail } => {
                if let Some(to) = self.find(to.as_str()) {
                    self.at_mut(to).mailbox.book(mail);
                    self.mailbox_changed(to);
                }
            }
            Record::Sent { user, number, outcome, words, until } => {
                if let Some(user) = self.find(user.as_str()) {
                    let words = self.learnt.words.get(words).cloned().unwrap_or_default();
                    self.send_read(user, *number, words, *outcome, *until);
                }
            }
            Record::Settled { user, origin, outcome, words } => {
                if let Some(user) = self.find(user.as_str())
                    && self.at(user).login == origin.login.0
                {
                    let words = words.and_then(|digest| self.learnt.words.get(&digest).cloned());
                    self.at_mut(user).ledger.settle(origin.number, words, *outcome);
                }
            }
        }
    }
}
