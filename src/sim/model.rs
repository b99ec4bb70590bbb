//! A reference of what an omniscient server would know: sessions, blocks, groups, mailboxes, history.
//!
//! It is naive on purpose: it follows the records as they are decided, undoes those that were refused
//! or lost, and answers by scanning everything.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::record::{Change, Fact, Mail, Record, RecordNumber};
use crate::server::Settings;
use crate::server::settings::{HeldOnBlock, OfflineDelivery};
use crate::time::Time;
use crate::wire::{Code, Status};
use crate::words::{LinkId, MessageId, Name};

/// A burst that no scenario comes to.
const UNHURRIED_BURST: u32 = 4_096;

/// A user or a name that somebody tried, by its place in the table.
pub(crate) type User = usize;

/// What is known of one name.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) account: bool,
    /// Accounts that came or went while the server ran are judged less strictly.
    pub(crate) odd: bool,
    /// A login or an end was refused by the store and may be lost: its history is not judged.
    pub(crate) blurred: bool,
    pub(crate) session: Option<SessionSeen>,
    /// The number of the last login decided, and of the last that somebody was told.
    pub(crate) login: u64,
    pub(crate) told_login: u64,
    /// How often each command, by login and number, has come and was not answered.
    pub(crate) numbers: BTreeMap<(u64, u64), u32>,
    /// What those that changed something came to.
    pub(crate) answers: BTreeMap<(u64, u64), Result<Option<Status>, Code>>,
    pub(crate) last_login: Option<Time>,
    /// Between which times the last session ended.
    pub(crate) ended: Option<(Time, Time)>,
    pub(crate) blocks: BTreeSet<User>,
    /// Blocks of which the blocker has been told, until their lifting is durable.
    pub(crate) announced: BTreeSet<User>,
    pub(crate) mailbox: BTreeMap<MessageId, Stored>,
    /// Ids that its clients have acknowledged.
    pub(crate) acknowledged: BTreeSet<MessageId>,
}

/// A session as seen from outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionSeen {
    pub(crate) link: Option<LinkId>,
    /// When its link was lost.
    pub(crate) lost_at: Option<Time>,
    /// When a link was lost that had asked to take it up: whether it did may not have been told yet.
    pub(crate) perhaps_lost_at: Time,
    /// The server closed its link and went on with it: it moves to another.
    pub(crate) moving: bool,
    /// The last sign of activity, at least and at most.
    pub(crate) active: (Time, Time),
    /// The sign of activity before the last.
    pub(crate) active_before: Time,
    pub(crate) unread: Option<u64>,
    /// What its link must be told of others, in order; `true`: may be left out.
    pub(crate) presence: VecDeque<(User, bool, bool)>,
    pub(crate) logout_asked: bool,
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) from: User,
    pub(crate) bytes: u64,
    pub(crate) text: u32,
}

/// How to undo a record that was refused or lost.
#[derive(Debug)]
enum Undo {
    Block(User, User),
    Unblock(User, User),
    Group(Name, Option<Vec<User>>),
    Store(User, MessageId),
    Remove(User, Vec<(MessageId, Stored)>),
    Began(User, Option<Time>),
    Ended(User, Option<(Time, Time)>),
    Nothing,
}

/// The reference.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) settings: Settings,
    /// The timeout before the last reload: what was due then may still be carried out.
    pub(crate) timeout_before_secs: u64,
    pub(crate) users: Vec<Known>,
    pub(crate) groups: BTreeMap<Name, Vec<User>>,
    undo: VecDeque<(RecordNumber, Undo)>,
    /// Mail whose removal the store refused: it is back after a restart, unless removed again before.
    unsaved: Vec<(User, MessageId, Stored)>,
    pub(crate) committed: RecordNumber,
    /// Texts that were dropped out of a mailbox unread, because their sender was blocked.
    pub(crate) dropped: BTreeSet<(User, u32)>,
    /// Mail that waited when its sender was blocked, or came while he was: it may be dropped.
    pub(crate) doomed: BTreeSet<(User, MessageId)>,
    /// The settings have said so, at some time.
    pub(crate) drops: bool,
    /// The settings have let mail of the blocked through, at some time: it may be under way.
    pub(crate) delivers: bool,
    /// Pairs whose block was undone: blocker, blocked, and when.
    pub(crate) shaky: BTreeMap<(User, User), Time>,
    /// Most that ever waited, so that a full mailbox can be told from a refusal without reason.
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

    pub(crate) fn start(&mut self, settings: &Settings, accounts: &[Name], now: Time) {
        self.reload(settings, accounts);
        self.committed = RecordNumber(0);
        self.undo.clear();
        for known in &mut self.users {
            known.session = None;
            if let Some((_, end)) = &mut known.ended {
                *end = (*end).min(now);
            }
        }
    }

    pub(crate) fn reload(&mut self, settings: &Settings, accounts: &[Name]) {
        self.timeout_before_secs = self.settings.timeout_secs;
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
        let known: Vec<User> = accounts.iter().map(|name| self.user(name.as_str())).collect();
        let first = self.users.iter().all(|known| !known.account);
        for (user, entry) in self.users.iter_mut().enumerate() {
            let account = known.contains(&user);
            entry.odd |= account != entry.account && !(first && account);
            entry.account = account;
        }
    }

    /// A record was decided.
    pub(crate) fn decided(&mut self, number: RecordNumber, record: &Record, now: Time) {
        let undo = match record {
            Record::Change(Change::Blocked { by, user }) => {
                let (by, user) = (self.user(by.as_str()), self.user(user.as_str()));
                if self.users[by].blocks.insert(user) { self.began_to_block(by, user) } else { Undo::Nothing }
            }
            Record::Change(Change::Unblocked { by, user }) => {
                let (by, user) = (self.user(by.as_str()), self.user(user.as_str()));
                if self.users[by].blocks.remove(&user) { Undo::Unblock(by, user) } else { Undo::Nothing }
            }
            Record::Change(Change::GroupSet { group, members }) => {
                let members = members.iter().map(|name| self.user(name.as_str())).collect();
                Undo::Group(group.clone(), self.groups.insert(group.clone(), members))
            }
            Record::Change(Change::GroupRemoved { group }) => {
                Undo::Group(group.clone(), self.groups.remove(group))
            }
            Record::MailStored { to, mail } => self.store(to, mail),
            Record::Fact(Fact::MailRemoved { user, ids }) => {
                let user = self.user(user.as_str());
                let mailbox = &mut self.users[user].mailbox;
                let mut gone: Vec<_> = ids.iter().filter_map(|id| mailbox.remove_entry(id)).collect();
                self.unsaved.retain(|(of, id, stored)| {
                    let again = *of == user && ids.contains(id);
                    if again {
                        gone.push((*id, stored.clone()));
                    }
                    !again
                });
                Undo::Remove(user, gone)
            }
            Record::Fact(Fact::SessionBegan { user, at, .. }) => {
                let user = self.user(user.as_str());
                Undo::Began(user, self.users[user].last_login.replace(*at))
            }
            Record::Fact(Fact::SessionEnded { user, at, .. }) => {
                let user = self.user(user.as_str());
                Undo::Ended(user, self.users[user].ended.replace((*at, *at)))
            }
            Record::Change(Change::AccountRemoved { name }) => {
                let user = self.user(name.as_str());
                self.forget(user);
                Undo::Nothing
            }
            Record::Change(Change::AccountAdded { name, .. }) => {
                let user = self.user(name.as_str());
                self.users[user].odd = true;
                Undo::Nothing
            }
            Record::Fact(Fact::Failures { .. }) | Record::Settled { .. } => Undo::Nothing,
        };
        let _ = now;
        self.undo.push_back((number, undo));
    }

    fn began_to_block(&mut self, by: User, user: User) -> Undo {
        let of_user = self.users[by].mailbox.iter().filter(|(_, stored)| stored.from == user);
        self.doomed.extend(of_user.map(|(id, _)| (by, *id)));
        Undo::Block(by, user)
    }

    fn store(&mut self, to: &Name, mail: &Mail) -> Undo {
        let (to, from) = (self.user(to.as_str()), self.user(mail.from.as_str()));
        let text = super::check::number_of(&mail.text).unwrap_or(0);
        if self.users[to].blocks.contains(&from) {
            self.doomed.insert((to, mail.id));
        }
        self.users[to].mailbox.insert(mail.id, Stored { from, bytes: mail.text.len() as u64, text });
        self.measure(to, from);
        Undo::Store(to, mail.id)
    }

    fn measure(&mut self, to: User, from: User) {
        let mailbox = &self.users[to].mailbox;
        let of_one = mailbox.values().filter(|stored| stored.from == from).count() as u64;
        let bytes = mailbox.values().map(|stored| stored.bytes).sum();
        let all = self.users.iter().flat_map(|known| known.mailbox.values()).map(|stored| stored.bytes).sum();
        let peak = &mut self.peak;
        peak.messages = peak.messages.max(mailbox.len() as u64);
        peak.bytes = peak.bytes.max(bytes);
        peak.of_one = peak.of_one.max(of_one);
        peak.in_all = peak.in_all.max(all);
    }

    fn forget(&mut self, user: User) {
        self.unsaved.retain(|(of, ..)| *of != user);
        self.users[user].odd = true;
        self.users[user].mailbox.clear();
        self.users[user].blocks.clear();
        self.users[user].announced.clear();
        self.users[user].last_login = None;
        self.users[user].ended = None;
        for known in &mut self.users {
            known.blocks.remove(&user);
            known.announced.remove(&user);
        }
        for members in self.groups.values_mut() {
            members.retain(|member| *member != user);
        }
        self.groups.retain(|_, members| !members.is_empty());
    }

    pub(crate) fn committed(&mut self, upto: RecordNumber) {
        self.committed = self.committed.max(upto);
        while self.undo.front().is_some_and(|(number, _)| *number <= upto) {
            if let Some((_, Undo::Unblock(by, user))) = self.undo.pop_front() {
                self.users[by].announced.remove(&user);
            }
        }
    }

    /// Records from this one on were refused: firm ones are undone, soft ones will be written again.
    pub(crate) fn refused(&mut self, from: RecordNumber) {
        while let Some(undo) = self.undo_from(from) {
            match undo {
                Undo::Began(user, _) | Undo::Ended(user, _) => self.users[user].blurred = true,
                Undo::Remove(user, mail) => {
                    self.unsaved.extend(mail.into_iter().map(|(id, stored)| (user, id, stored)));
                }
                Undo::Nothing => {}
                Undo::Block(..) | Undo::Unblock(..) | Undo::Group(..) | Undo::Store(..) => {
                    self.undo(undo, Time::MAX)
                }
            }
        }
    }

    /// The process is gone; what had not become durable never was.
    pub(crate) fn server_gone(&mut self, survived: RecordNumber, now: Time) {
        for user in 0..self.users.len() {
            // What was delivered live is not remembered over a restart; the receiver knows it again.
            self.users[user].answers.retain(|_, answer| *answer == Ok(Some(Status::Stored)));
            if let Some(session) = self.users[user].session.take() {
                self.users[user].ended = Some((session.active.0, now));
            }
        }
        while let Some(undo) = self.undo_from(RecordNumber(survived.0 + 1)) {
            self.undo(undo, now);
        }
        self.committed(survived);
        self.undo.clear();
        for (user, id, stored) in core::mem::take(&mut self.unsaved) {
            self.users[user].mailbox.insert(id, stored);
        }
    }

    fn undo_from(&mut self, from: RecordNumber) -> Option<Undo> {
        let last = self.undo.back().is_some_and(|(number, _)| *number >= from);
        if last { self.undo.pop_back().map(|(_, undo)| undo) } else { None }
    }

    fn undo(&mut self, undo: Undo, now: Time) {
        match undo {
            Undo::Block(by, user) => {
                self.users[by].blocks.remove(&user);
                self.users[by].announced.remove(&user);
                self.shaky.insert((by, user), now);
            }
            Undo::Unblock(by, user) => {
                self.users[by].blocks.insert(user);
                self.shaky.insert((by, user), now);
            }
            Undo::Group(group, Some(members)) => {
                self.groups.insert(group, members);
            }
            Undo::Group(group, None) => {
                self.groups.remove(&group);
            }
            Undo::Store(user, id) => {
                self.unsaved.retain(|(of, mail, _)| (*of, *mail) != (user, id));
                self.users[user].mailbox.remove(&id);
            }
            Undo::Remove(user, mail) => self.users[user].mailbox.extend(mail),
            Undo::Began(user, last) => {
                self.users[user].last_login = last;
                self.users[user].blurred = true;
            }
            Undo::Ended(user, ended) => {
                let lost = self.users[user].ended.take();
                let from = ended.map_or(Time::ZERO, |(from, _)| from);
                self.users[user].ended = lost.map(|(_, upto)| (from, upto.max(now)));
            }
            Undo::Nothing => {}
        }
    }

    /// The changes of a pair's block that are on their way to the disk: whether each makes or lifts it.
    fn block_changes(&self, by: User, user: User) -> impl DoubleEndedIterator<Item = (RecordNumber, bool)> {
        self.undo.iter().filter_map(move |(number, undo)| match undo {
            Undo::Block(a, b) if (*a, *b) == (by, user) => Some((*number, true)),
            Undo::Unblock(a, b) if (*a, *b) == (by, user) => Some((*number, false)),
            Undo::Block(..)
            | Undo::Unblock(..)
            | Undo::Group(..)
            | Undo::Store(..)
            | Undo::Remove(..)
            | Undo::Began(..)
            | Undo::Ended(..)
            | Undo::Nothing => None,
        })
    }

    /// Whether the change that a pair's block last saw is still on its way to the disk.
    pub(crate) fn is_pending(&self, by: User, user: User) -> bool {
        self.last_block_change(by, user).is_some()
    }

    /// The record of the change that a pair's block last saw, if it is on its way to the disk.
    pub(crate) fn last_block_change(&self, by: User, user: User) -> Option<RecordNumber> {
        self.block_changes(by, user).next_back().map(|(number, _)| number)
    }

    /// The record of the last change of a group, if it is on its way to the disk.
    pub(crate) fn last_group_change(&self, name: &Name) -> Option<RecordNumber> {
        let changes = |undo: &Undo| matches!(undo, Undo::Group(group, _) if group == name);
        self.undo.iter().rev().find(|(_, undo)| changes(undo)).map(|(number, _)| *number)
    }

    /// Whether a block stands on the disk.
    pub(crate) fn stands_durably(&self, by: User, user: User) -> bool {
        let first = self.block_changes(by, user).next();
        first.map_or_else(|| self.users[by].blocks.contains(&user), |(_, made)| !made)
    }

    /// Whether a block stands, or may turn out to have stood.
    pub(crate) fn may_stand(&self, by: User, user: User) -> bool {
        self.users[by].blocks.contains(&user) || self.is_pending(by, user)
    }

    /// Whether nothing of `sender` that cannot wait may reach `receiver`.
    pub(crate) fn is_shut(&self, sender: User, receiver: User) -> bool {
        self.may_stand(receiver, sender) || (self.settings.block_mutual && self.may_stand(sender, receiver))
    }

    /// Whether `sender` cannot reach `receiver`.
    pub(crate) fn is_cut_off(&self, sender: User, receiver: User) -> bool {
        self.users[receiver].blocks.contains(&sender)
            || (self.settings.block_mutual && self.users[sender].blocks.contains(&receiver))
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
}
