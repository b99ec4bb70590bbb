//! Changes: decided in turns against what is durable, and true once they are (ruling 54, R23).

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::answers::Asker;
use super::papers::Then;
use super::prices::{CHANGE, MEMBER};
use super::{Server, User};
use crate::record::{Change, Invite, Outcome, Record, Restraint};
use crate::time::Time;
use crate::wire::Code;
use crate::words::look_alike::looks;
use crate::words::{AddressRange, Credential, LinkId, Name, SharedText, Ticket};

/// What somebody wants to be so.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    Block { asker: Asker, user: String },
    Group { asker: Asker, change: GroupChange, group: String },
    Register(Registering),
    Purge { name: Name },
    Restrain { ticket: Ticket, user: Name, how: Restraint, until: Option<Time> },
    BanRange { ticket: Ticket, range: AddressRange, until: Option<Time> },
    Invite { ticket: Ticket, code: String, invite: Invite },
    Revoke { ticket: Ticket, number: u32 },
    Announce { ticket: Ticket, text: SharedText },
    Withdraw { ticket: Ticket, number: u32 },
    Order { asker: Asker, words: String },
}

/// An account that is to be made, by an invite or without.
#[derive(Debug, Clone)]
pub(super) struct Registering {
    pub(super) attempt: u64,
    pub(super) link: LinkId,
    pub(super) name: Name,
    pub(super) credential: Credential,
    pub(super) invite: Option<String>,
}

/// How a group is to change.
#[derive(Debug, Clone)]
pub(super) enum GroupChange {
    Create(Vec<String>),
    Add(String),
    Remove(String),
    Leave,
    Delete,
}

/// What a wish reads or writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    Account(Name),
    Look(String),
    Pair(User, User),
    Group(Name),
    GroupLook(String),
    Restraints(Name),
    Ranges,
    Invites,
    Announcements,
}

#[derive(Debug, Default)]
pub(super) struct Subjects {
    reads: Vec<Subject>,
    writes: Vec<Subject>,
}

impl Subjects {
    fn conflict_with(&self, other: &Subjects) -> bool {
        let meets =
            |these: &[Subject], those: &[Subject]| these.iter().any(|subject| those.contains(subject));
        meets(&self.writes, &other.writes)
            || meets(&self.writes, &other.reads)
            || meets(&self.reads, &other.writes)
    }
}

/// A wish that was handed to the store.
#[derive(Debug)]
pub(super) struct Begun {
    subjects: Subjects,
    /// Who is told, beside the one who asked.
    concerned: Vec<User>,
}

/// What a wish comes to at its turn.
pub(super) enum Decision {
    Change(Change, BTreeSet<User>),
    Answered,
    /// The shell says when it is done.
    Ordered,
}

impl Wish {
    const fn asker(&self) -> Option<&Asker> {
        match self {
            Wish::Block { asker, .. } | Wish::Group { asker, .. } | Wish::Order { asker, .. } => Some(asker),
            Wish::Register(_)
            | Wish::Purge { .. }
            | Wish::Restrain { .. }
            | Wish::BanRange { .. }
            | Wish::Invite { .. }
            | Wish::Announce { .. }
            | Wish::Withdraw { .. }
            | Wish::Revoke { .. } => None,
        }
    }
}

impl Server {
    pub(super) fn has_wish(&self, user: User) -> bool {
        self.wishes.values().filter_map(Wish::asker).any(|asker| asker.user == user)
    }

    pub(super) fn submit(&mut self, wish: Wish) {
        let id = self.next_serial();
        self.waiting_wishes.insert((matches!(wish, Wish::Group { .. }), id));
        self.wishes.insert(id, wish);
        self.take_turns();
    }

    /// Each wish that nothing stands in the way of has its turn, the oldest first; those about their owner's
    /// own account or blocks before those that may only name them.
    fn take_turns(&mut self) {
        let mut after = (false, 0);
        let mut passed_over: Vec<Subjects> = Vec::new();
        while let Some(next) = self
            .waiting_wishes
            .range((core::ops::Bound::Excluded(after), core::ops::Bound::Unbounded))
            .next()
            .copied()
        {
            after = next;
            let Some(wish) = self.wishes.get(&next.1).cloned() else { continue };
            let subjects = self.subjects(&wish);
            let mut before = self.begun.values().map(|begun| &begun.subjects).chain(&passed_over);
            if before.any(|other| subjects.conflict_with(other)) {
                passed_over.push(subjects);
            } else {
                self.take_turn(next, &wish, subjects);
            }
        }
    }

    fn take_turn(&mut self, place: (bool, u64), wish: &Wish, subjects: Subjects) {
        let decision = match wish {
            Wish::Block { asker, user } => self.decide_block(asker, user),
            Wish::Group { asker, change, group } => self.decide_group(asker, change, group),
            Wish::Register(registration) => self.decide_account(registration),
            Wish::BanRange { ticket, range, until } => self.decide_range(*ticket, *range, *until),
            Wish::Invite { ticket, invite, .. } => self.decide_invite(*ticket, invite),
            Wish::Revoke { ticket, number } => self.decide_revocation(*ticket, *number),
            Wish::Announce { text, .. } => self.decide_announcement(text),
            Wish::Withdraw { ticket, number } => self.decide_withdrawal(*ticket, *number),
            Wish::Order { asker, words } => self.decide_order(place.1, asker, words),
            Wish::Purge { name } => {
                let blockers = self.find(name.as_str()).map_or_else(Vec::new, |user| self.blockers_of(user));
                Decision::Change(
                    Change::AccountRemoved { name: name.clone() },
                    blockers.into_iter().collect(),
                )
            }
            Wish::Restrain { ticket, user, how, until } => self.decide_restraint(*ticket, user, *how, *until),
        };
        self.waiting_wishes.remove(&place);
        match decision {
            Decision::Answered => {
                self.wishes.remove(&place.1);
                if let Some(asker) = wish.asker() {
                    self.read_on(asker.user);
                }
            }
            Decision::Ordered => drop(self.begun.insert(place.1, Begun { subjects, concerned: Vec::new() })),
            Decision::Change(change, concerned) => {
                if let Some(asker) = wish.asker() {
                    let added = self.added(&change);
                    self.charge(asker.user, CHANGE + MEMBER * added);
                }
                self.begun.insert(place.1, Begun { subjects, concerned: concerned.into_iter().collect() });
                self.persist_settled(
                    Some(Record::Change(change)),
                    wish.asker(),
                    Outcome::Done,
                    Then::Wish(place.1),
                );
            }
        }
    }

    /// Members that a change adds; the maker of a group is none (R42).
    fn added(&self, change: &Change) -> u64 {
        let Change::GroupSet { group, members, .. } = change else { return 0 };
        let before = self.groups.get(group).map_or(1, Vec::len);
        members.len().saturating_sub(before) as u64
    }

    fn subjects(&self, wish: &Wish) -> Subjects {
        match wish {
            Wish::Block { asker, user } => {
                let account = |user: User| Subject::Account(self.name(user).clone());
                let mut subjects = Subjects { reads: [account(asker.user)].into(), writes: Vec::new() };
                if let Some(user) = self.find(user) {
                    subjects.reads.push(account(user));
                    subjects.writes.push(Subject::Pair(asker.user, user));
                }
                subjects
            }
            Wish::Group { asker, change, group } => self.group_subjects(asker, change, group),
            Wish::Restrain { user, .. } => Subjects {
                reads: [Subject::Account(user.clone())].into(),
                writes: [Subject::Restraints(user.clone())].into(),
            },
            Wish::BanRange { .. } => Subjects { reads: Vec::new(), writes: [Subject::Ranges].into() },
            Wish::Announce { .. } | Wish::Withdraw { .. } => {
                Subjects { reads: Vec::new(), writes: [Subject::Announcements].into() }
            }
            Wish::Order { .. } => Subjects::default(),
            Wish::Invite { .. } | Wish::Revoke { .. } => {
                Subjects { reads: Vec::new(), writes: [Subject::Invites].into() }
            }
            Wish::Register(Registering { name, .. }) | Wish::Purge { name } => {
                let mut writes = Vec::from([Subject::Account(name.clone())]);
                writes.extend(looks(name.as_str()).into_iter().map(Subject::Look));
                Subjects { reads: Vec::new(), writes }
            }
        }
    }

    /// A change of a group writes the group, and reads whoever it names.
    fn group_subjects(&self, asker: &Asker, change: &GroupChange, group: &str) -> Subjects {
        let (users, joins, makes): (&[String], bool, bool) = match change {
            GroupChange::Create(users) => (users, true, true),
            GroupChange::Add(user) => (core::slice::from_ref(user), true, false),
            GroupChange::Remove(user) => (core::slice::from_ref(user), false, false),
            GroupChange::Leave | GroupChange::Delete => (&[], false, false),
        };
        let users: Vec<User> = users.iter().filter_map(|user| self.find(user)).collect();
        let mut named: Vec<User> = Vec::from([asker.user]);
        named.extend(&users);
        let mut subjects = Subjects::default();
        if let Ok(group) = Name::new(group) {
            named.extend(self.groups.get(&group).into_iter().flatten());
            named.extend(self.makers.get(&group).map(|(maker, _)| maker));
            if makes || matches!(change, GroupChange::Leave | GroupChange::Delete) {
                subjects.writes.extend(looks(group.as_str()).into_iter().map(Subject::GroupLook));
            }
            subjects.writes.push(Subject::Group(group));
        }
        subjects.reads.extend(named.into_iter().map(|user| Subject::Account(self.name(user).clone())));
        if joins {
            for &user in &users {
                subjects.reads.extend([Subject::Pair(user, asker.user), Subject::Pair(asker.user, user)]);
            }
        }
        subjects
    }

    /// A wish is durable and applied, or was refused.
    pub(super) fn wish_settled(&mut self, id: u64, durable: bool) {
        let (Some(wish), Some(begun)) = (self.wishes.remove(&id), self.begun.remove(&id)) else { return };
        match &wish {
            Wish::Block { asker, .. } | Wish::Group { asker, .. } if !durable => {
                self.fail(asker, Code::StorageUnavailable);
            }
            Wish::Block { asker, user } => self.block_changed(asker, user),
            Wish::Group { asker, group, .. } => self.group_changed(asker, group, &begun.concerned),
            Wish::Register(registration) => self.account_decided(registration, durable),
            Wish::BanRange { ticket, range, .. } => self.range_settled(*ticket, *range, durable),
            Wish::Invite { ticket, code, .. } => self.invite_settled(*ticket, code, durable),
            Wish::Order { .. } => {}
            Wish::Announce { ticket, .. } => self.announced(*ticket, begun.concerned.len(), durable),
            Wish::Revoke { ticket, .. } | Wish::Withdraw { ticket, .. } => {
                self.expected.acted(*ticket, if durable { Ok(1) } else { Err("storage_unavailable") });
            }
            Wish::Restrain { ticket, user, .. } => self.restrained(*ticket, user, durable),
            Wish::Purge { .. } if !durable => self.try_again_later(),
            Wish::Purge { name } => {
                self.purged(name);
                for user in begun.concerned {
                    self.show_held(user, name);
                }
            }
        }
        if let Some(asker) = wish.asker() {
            self.read_on(asker.user);
        }
        self.take_turns();
    }

    /// R66: the shell has obeyed an order, or has not.
    pub(super) fn order_is_over(&mut self, id: u64, done: bool, lines: &[Box<str>]) {
        let Some(Wish::Order { asker, .. }) = self.wishes.remove(&id) else { return };
        self.begun.remove(&id);
        self.answer_order(&asker, done, lines);
        self.read_on(asker.user);
        self.take_turns();
    }

    /// The user's next line is obeyed, or their account may go.
    fn read_on(&mut self, user: User) {
        self.may_purge(user);
        self.end_wait_of(user, super::door::waits::CHANGE);
    }

    /// R23: wishes without a number whose link is lost before their turn are dropped.
    pub(super) fn drop_unnumbered(&mut self, link: LinkId) {
        self.drop_waiting(|asker| asker.is_some_and(|asker| asker.link == link && asker.number.is_none()));
    }

    pub(super) fn drop_waiting(&mut self, drops: impl Fn(Option<&Asker>) -> bool) {
        let of_wish = |place: &(bool, u64)| drops(self.wishes.get(&place.1).and_then(Wish::asker));
        let dropped: Vec<(bool, u64)> =
            self.waiting_wishes.iter().filter(|place| of_wish(place)).copied().collect();
        let mut askers = Vec::new();
        for place in dropped {
            self.waiting_wishes.remove(&place);
            askers.extend(self.wishes.remove(&place.1).and_then(|wish| wish.asker().map(|asker| asker.user)));
        }
        for user in askers {
            self.read_on(user);
        }
        self.take_turns();
    }
}
