//! A reference of what an omniscient server would know: sessions, blocks, groups, mailboxes, history.
//!
//! It is naive on purpose: a fact holds when it is decided, a change and mail when they are durable, and
//! it answers by scanning everything.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::ToString;
use alloc::vec::Vec;

use super::known::{Account, Asked, Known, SessionSeen, Stored};
use crate::record::{Change, Fact, Mail, Outcome, Record, RecordNumber, Suspect};
use crate::server::Settings;
use crate::server::settings::{HeldOnBlock, OfflineDelivery};
use crate::time::Time;
use crate::wire::{Code, Status};
use crate::words::{LinkId, MessageId, Name};

/// A burst that no scenario comes to.
const UNHURRIED_BURST: u32 = 4_096;
/// The record of a fact that the store refused, until it is written again.
const UNWRITTEN: RecordNumber = RecordNumber(u64::MAX);

/// A user or a name that somebody tried, by its place in the table.
pub(crate) type User = usize;

/// What a command came to: success, for a message with its status, or an error.
pub(crate) type Ending = Result<Option<Status>, Code>;

/// Mail whose removal is not durable.
#[derive(Debug)]
struct Removal {
    record: RecordNumber,
    /// `None` while the mail itself is not durable.
    stored: Option<Stored>,
}

/// The reference.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) settings: Settings,
    pub(crate) users: Vec<Known>,
    pub(crate) groups: BTreeMap<Name, Vec<User>>,
    /// The same as they are kept: with members whose account was gone at the last start, and not purged.
    pub(crate) kept_groups: BTreeMap<Name, Vec<User>>,
    /// Records with the store, oldest first.
    under_way: VecDeque<(RecordNumber, Record)>,
    /// The last record that the server knows to be durable, and the last that is applied here.
    known_durable: RecordNumber,
    applied: RecordNumber,
    removals: BTreeMap<(User, MessageId), Removal>,
    /// Until when a block stood that was lifted: blocker, blocked.
    stood_until: BTreeMap<(User, User), Time>,
    /// Texts that were dropped out of a mailbox unread, because their sender was blocked.
    pub(crate) dropped: BTreeSet<(User, u32)>,
    /// Mail that waited when its sender was blocked, or came while they were: it may be dropped.
    pub(crate) doomed: BTreeSet<(User, MessageId)>,
    /// The settings have said so, at some time.
    pub(crate) drops: bool,
    /// The settings have let mail of the blocked through, at some time: it may be under way.
    pub(crate) delivers: bool,
    /// Most that was ever promised room, so that a full mailbox can be told from a refusal without reason.
    pub(crate) peak: Peak,
    /// The lowest that the limits of mailboxes have been.
    pub(crate) limits: Peak,
    /// Links had to wait because of their rate, at some time.
    pub(crate) hurried: bool,
    /// Stored mail did not come by itself, at some time: what is live may then come before it.
    pub(crate) by_hand: bool,
}

/// The fullest that mailboxes have been, or the least that they may be.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Peak {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) of_one: u64,
    pub(crate) in_all: u64,
}

impl Model {
    /// The place of a name in the table.
    pub(crate) fn user(&mut self, name: &str) -> User {
        if let Some(user) = self.find(name) {
            return user;
        }
        self.users.push(Known { name: name.to_string(), ..Known::default() });
        self.users.len() - 1
    }

    pub(crate) fn find(&self, name: &str) -> Option<User> {
        self.users.iter().position(|known| known.name == name)
    }

    pub(crate) fn start(&mut self, settings: &Settings, accounts: &[Name]) {
        self.take_settings(settings);
        let known = self.named(accounts);
        let first = self.users.iter().all(|known| known.account == Account::Absent);
        for user in 0..self.users.len() {
            let remembered = self.remembers(user);
            let is_in = known.contains(&user);
            match first {
                true => self.users[user].begins(is_in),
                false => self.users[user].started(is_in, remembered),
            }
        }
        self.under_way.clear();
        (self.known_durable, self.applied) = (RecordNumber(0), RecordNumber(0));
        self.groups = self.kept_groups.clone();
        let here: Vec<bool> = self.users.iter().map(Known::is_account).collect();
        take_out(&mut self.groups, |member| !here[member]);
    }

    pub(crate) fn reload(&mut self, settings: &Settings, accounts: &[Name]) {
        self.take_settings(settings);
        let known = self.named(accounts);
        for (user, entry) in self.users.iter_mut().enumerate() {
            entry.file_read(known.contains(&user));
        }
    }

    fn named(&mut self, names: &[Name]) -> Vec<User> {
        names.iter().map(|name| self.user(name.as_str())).collect()
    }

    fn take_settings(&mut self, settings: &Settings) {
        self.settings = settings.clone();
        self.delivers |= settings.held_on_block == HeldOnBlock::Deliver;
        self.drops |= settings.held_on_block == HeldOnBlock::Drop;
        self.by_hand |= settings.offline_delivery != OfflineDelivery::Auto;
        self.hurried |= (1..UNHURRIED_BURST).contains(&settings.rate_burst);
        // Zero is no limit.
        let lower = |limit: u64, next: u64| match (limit, next) {
            (0, any) | (any, 0) => any,
            (limit, next) => limit.min(next),
        };
        self.limits = Peak {
            messages: lower(self.limits.messages, settings.mailbox_messages.into()),
            bytes: lower(self.limits.bytes, settings.mailbox_bytes),
            of_one: lower(self.limits.of_one, settings.mailbox_per_sender.into()),
            in_all: lower(self.limits.in_all, settings.mailbox_total_bytes),
        };
    }

    /// A record goes to the store. A fact holds from now on.
    pub(crate) fn decided(&mut self, number: RecordNumber, record: &Record) {
        self.under_way.push_back((number, record.clone()));
        match record {
            Record::Fact(Fact::MailRemoved { user, ids }) => {
                let user = self.user(user.as_str());
                ids.iter().for_each(|id| self.remove(user, *id, number));
            }
            Record::Fact(Fact::SessionEnded { user, at, .. }) => {
                let user = self.user(user.as_str());
                self.users[user].history.ended = Some((*at, *at));
            }
            Record::MailStored { to, mail } => self.measure(to, mail),
            Record::Fact(Fact::SessionBegan { .. } | Fact::Failures { .. })
            | Record::Change(_)
            | Record::Settled { .. } => {}
        }
    }

    fn remove(&mut self, user: User, id: MessageId, record: RecordNumber) {
        if let Some(stored) = self.users[user].mailbox.remove(&id) {
            self.removals.insert((user, id), Removal { record, stored: Some(stored) });
        } else if let Some(removal) = self.removals.get_mut(&(user, id)) {
            removal.record = record;
        } else if self
            .mail_under_way()
            .any(|(to, mail)| to.as_str() == self.users[user].name && mail.id == id)
        {
            self.removals.insert((user, id), Removal { record, stored: None });
        }
    }

    /// The server knows that all records up to this one are durable.
    pub(crate) const fn committed(&mut self, upto: RecordNumber) {
        self.known_durable = upto;
    }

    /// The next record that is durable and not applied yet.
    pub(crate) fn next_durable(&self) -> Option<&Record> {
        let (number, record) = self.under_way.front()?;
        (*number <= self.known_durable).then_some(record)
    }

    /// Applies the next durable record.
    pub(crate) fn advance(&mut self, now: Time) -> Option<(RecordNumber, Record)> {
        self.next_durable()?;
        let (number, record) = self.under_way.pop_front()?;
        self.applied = number;
        match &record {
            Record::Fact(fact) => self.written(number, fact),
            Record::Change(change) => self.apply(change, now),
            Record::MailStored { to, mail } => self.store(to, mail),
            Record::Settled { user, origin, outcome, .. } => {
                let user = self.user(user.as_str());
                self.users[user].settled.insert((origin.login.0, origin.number), ending_of(*outcome));
            }
        }
        Some((number, record))
    }

    fn written(&mut self, number: RecordNumber, fact: &Fact) {
        match fact {
            Fact::SessionBegan { user, login, at, .. } => {
                let user = self.user(user.as_str());
                let known = &mut self.users[user];
                if known.written.login != login.0 {
                    known.settled.retain(|(of, _), _| *of >= login.0);
                }
                (known.written.login, known.written.last_login) = (login.0, Some(*at));
            }
            Fact::SessionEnded { user, at, .. } => {
                let user = self.user(user.as_str());
                self.users[user].written.ended = Some((*at, *at));
            }
            Fact::MailRemoved { .. } => self.removals.retain(|_, removal| removal.record != number),
            Fact::Failures { .. } => {}
        }
    }

    fn apply(&mut self, change: &Change, now: Time) {
        match change {
            Change::Blocked { by, user } => {
                let (by, user) = (self.user(by.as_str()), self.user(user.as_str()));
                self.users[by].blocks.insert(user);
                let of_user = self.users[by].mailbox.iter().filter(|(_, stored)| stored.from == user);
                self.doomed.extend(of_user.map(|(id, _)| (by, *id)));
            }
            Change::Unblocked { by, user } => {
                let (by, user) = (self.user(by.as_str()), self.user(user.as_str()));
                self.users[by].blocks.remove(&user);
                self.stood_until.insert((by, user), now);
            }
            Change::GroupSet { group, members } => {
                let members: Vec<User> = members.iter().map(|name| self.user(name.as_str())).collect();
                self.groups.insert(group.clone(), members.clone());
                self.kept_groups.insert(group.clone(), members);
            }
            Change::GroupRemoved { group } => {
                self.groups.remove(group);
                self.kept_groups.remove(group);
            }
            Change::AccountRemoved { name } => {
                let user = self.user(name.as_str());
                self.forget(user);
            }
            Change::AccountAdded { name, .. } => {
                let user = self.user(name.as_str());
                self.users[user].registered();
            }
        }
    }

    fn store(&mut self, to: &Name, mail: &Mail) {
        let (to, from) = (self.user(to.as_str()), self.user(mail.from.as_str()));
        let text = super::check::number_of(&mail.text).unwrap_or(0);
        let stored = Stored { from, bytes: mail.text.len() as u64, text };
        if let Some(removal) = self.removals.get_mut(&(to, mail.id)) {
            removal.stored = Some(stored);
            return;
        }
        if self.users[to].blocks.contains(&from) {
            self.doomed.insert((to, mail.id));
        }
        self.users[to].mailbox.insert(mail.id, stored);
    }

    /// Mail that is with the store and not durable, with its receivers.
    pub(crate) fn mail_under_way(&self) -> impl Iterator<Item = (&Name, &Mail)> {
        self.under_way.iter().filter_map(|(_, record)| match record {
            Record::MailStored { to, mail } => Some((to, mail)),
            Record::Fact(_) | Record::Change(_) | Record::Settled { .. } => None,
        })
    }

    /// Changes that are with the store and not durable.
    /// How many facts of an account are on their way to the store.
    pub(crate) fn facts_under_way(&self, name: &str) -> usize {
        let about = |record: &Record| match record {
            Record::Fact(
                Fact::SessionBegan { user, .. }
                | Fact::SessionEnded { user, .. }
                | Fact::MailRemoved { user, .. },
            ) => user.as_str() == name,
            Record::Fact(Fact::Failures { suspect: Suspect::Account(user), .. }) => user.as_str() == name,
            _ => false,
        };
        self.under_way.iter().filter(|(_, record)| about(record)).count()
    }

    pub(crate) fn changes_under_way(&self) -> impl Iterator<Item = (RecordNumber, &Change)> {
        self.under_way.iter().filter_map(|(number, record)| match record {
            Record::Change(change) => Some((*number, change)),
            Record::Fact(_) | Record::MailStored { .. } | Record::Settled { .. } => None,
        })
    }

    /// Mail that is promised room in a mailbox: what is in it, and what is under way there. By sender.
    pub(crate) fn promised(&self, to: User) -> impl Iterator<Item = (&str, u64)> {
        let known = &self.users[to];
        let stays = move |id: &MessageId| !self.removals.contains_key(&(to, *id));
        let stored = known.mailbox.values();
        let stored = stored.map(|stored| (self.users[stored.from].name.as_str(), stored.bytes));
        let under_way =
            self.mail_under_way().filter(move |(name, mail)| name.as_str() == known.name && stays(&mail.id));
        stored.chain(under_way.map(|(_, mail)| (mail.from.as_str(), mail.text.len() as u64)))
    }

    fn measure(&mut self, to: &Name, mail: &Mail) {
        let to = self.user(to.as_str());
        let (mut messages, mut bytes, mut of_one) = (0, 0, 0);
        for (from, length) in self.promised(to) {
            messages += 1;
            bytes += length;
            of_one += u64::from(from == mail.from.as_str());
        }
        let all = (0..self.users.len()).flat_map(|user| self.promised(user)).map(|(_, bytes)| bytes).sum();
        let peak = &mut self.peak;
        peak.messages = peak.messages.max(messages);
        peak.bytes = peak.bytes.max(bytes);
        peak.of_one = peak.of_one.max(of_one);
        peak.in_all = peak.in_all.max(all);
    }

    fn forget(&mut self, user: User) {
        self.removals.retain(|(of, _), _| *of != user);
        let known = &mut self.users[user];
        known.purged();
        known.mailbox.clear();
        known.blocks.clear();
        known.settled.clear();
        (known.history, known.written) = Default::default();
        for known in &mut self.users {
            known.blocks.remove(&user);
        }
        take_out(&mut self.groups, |member| member == user);
        take_out(&mut self.kept_groups, |member| member == user);
    }

    /// The store refused all records from this one on: of changes and mail nothing remains, and facts are
    /// to be written again. Says what was refused.
    pub(crate) fn refused(&mut self, from: RecordNumber) -> Vec<(RecordNumber, Record)> {
        let first = self.under_way.partition_point(|(number, _)| *number < from);
        let refused: Vec<(RecordNumber, Record)> = self.under_way.drain(first..).collect();
        for removal in self.removals.values_mut().filter(|removal| removal.record >= from) {
            removal.record = UNWRITTEN;
        }
        for (_, record) in &refused {
            if let Record::MailStored { to, mail } = record
                && let Some(to) = self.find(to.as_str())
                && self.removals.get(&(to, mail.id)).is_some_and(|removal| removal.stored.is_none())
            {
                self.removals.remove(&(to, mail.id));
            }
        }
        refused
    }

    /// The process is gone; what had not become durable never was.
    pub(crate) fn server_gone(&mut self, survived: RecordNumber, now: Time) {
        self.known_durable = survived;
        while self.advance(now).is_some() {}
        self.under_way.clear();
        for ((user, id), removal) in core::mem::take(&mut self.removals) {
            if let Some(stored) = removal.stored {
                self.users[user].mailbox.insert(id, stored);
            }
        }
        for known in &mut self.users {
            known.server_gone(now);
        }
    }

    /// Whether mail that is durable was acknowledged, and that is not durable.
    pub(crate) fn is_to_be_removed(&self, user: User, id: MessageId) -> bool {
        self.removals.get(&(user, id)).is_some_and(|removal| removal.stored.is_some())
    }

    /// Mail of a user that is durable and was acknowledged, where that is not durable.
    pub(crate) fn to_be_removed(&self, user: User) -> impl Iterator<Item = MessageId> {
        let removals = self.removals.range((user, MessageId::default())..);
        let own = removals.take_while(move |((of, _), _)| *of == user);
        own.filter(|(_, removal)| removal.stored.is_some()).map(|((_, id), _)| *id)
    }

    /// Whether mail is in a mailbox, or under way there.
    pub(crate) fn has_mail(&self, user: User, id: MessageId) -> bool {
        let name = &self.users[user].name;
        self.users[user].mailbox.contains_key(&id)
            || self.mail_under_way().any(|(to, mail)| to.as_str() == name && mail.id == id)
    }

    /// Whether anything is remembered of an account.
    pub(crate) fn remembers(&self, user: User) -> bool {
        let known = &self.users[user];
        known.history.last_login.is_some()
            || !known.mailbox.is_empty()
            || !known.blocks.is_empty()
            || self.users.iter().any(|known| known.blocks.contains(&user))
            || self.kept_groups.values().any(|members| members.contains(&user))
    }

    /// Whether a record is with the store, and its fate not known.
    pub(crate) fn is_under_way(&self, number: RecordNumber) -> bool {
        self.under_way.binary_search_by_key(&number, |(number, _)| *number).is_ok()
    }

    /// Whether nothing is with the store.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The last record that is applied.
    pub(crate) const fn applied(&self) -> RecordNumber {
        self.applied
    }

    /// Whether a block stands, or stood at a time or later.
    pub(crate) fn has_stood_since(&self, by: User, user: User, at: Time) -> bool {
        let lifted = self.stood_until.get(&(by, user));
        self.users[by].blocks.contains(&user) || lifted.is_some_and(|until| *until >= at)
    }

    /// Whether `sender` cannot reach `receiver`.
    pub(crate) fn is_cut_off(&self, sender: User, receiver: User) -> bool {
        self.is_cut_off_since(sender, receiver, Time::MAX)
    }

    /// Whether `sender` cannot reach `receiver`, or could not at a time or later.
    pub(crate) fn is_cut_off_since(&self, sender: User, receiver: User, at: Time) -> bool {
        self.has_stood_since(receiver, sender, at)
            || (self.settings.block_mutual && self.has_stood_since(sender, receiver, at))
    }

    /// Whose link it is, if it is a session's.
    pub(crate) fn member_on(&self, link: LinkId) -> Option<User> {
        let on = |known: &Known| known.session.as_ref().is_some_and(|session| session.link == Some(link));
        self.users.iter().position(on)
    }

    /// Mail that a login counts: what is not held back.
    pub(crate) fn unread(&self, user: User) -> u64 {
        let held = |stored: &&Stored| {
            self.settings.held_on_block != HeldOnBlock::Deliver && self.is_cut_off(stored.from, user)
        };
        self.users[user].mailbox.values().filter(|stored| !held(stored)).count() as u64
    }

    /// The session of a user, if there is one.
    pub(crate) fn session_mut(&mut self, user: User) -> Option<&mut SessionSeen> {
        self.users[user].session.as_mut()
    }

    /// What is known of a command, by its login and number.
    pub(crate) fn asked_mut(&mut self, user: User, login: u64, number: u64) -> Option<&mut Asked> {
        self.users[user].numbers.get_mut(&(login, number))
    }
}

/// Takes members out of all groups; one without a member left is no more.
fn take_out(groups: &mut BTreeMap<Name, Vec<User>>, is_out: impl Fn(User) -> bool) {
    groups.values_mut().for_each(|members| members.retain(|member| !is_out(*member)));
    groups.retain(|_, members| !members.is_empty());
}

/// How a command ended that the disk remembers.
pub(super) const fn ending_of(outcome: Outcome) -> Ending {
    match outcome {
        Outcome::Message(status) => Ok(Some(status)),
        Outcome::Broadcast { .. } | Outcome::Group { .. } | Outcome::Done => Ok(None),
        Outcome::Failed(code) => Err(code),
    }
}
