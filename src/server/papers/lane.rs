//! The lane: changes that users wish for, one each at a time.
//!
//! A wish is decided against durable state when its turn comes, handed to the store, and applied when it is
//! durable. Wishes that do not conflict are under way together; of those that do, the oldest goes first, but
//! a wish about its owner's own account or blocks goes before those that only name them.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use crate::record::{Change, Digest, Invite, Restraint};
use crate::server::Renewal;
use crate::server::accounts::UserId;
use crate::server::answers::Asker;
use crate::time::Time;
use crate::words::{AddressRange, Credential, LinkId, Name, SharedText, Ticket};

/// A wish, told apart from all others. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::server) struct WishId(u64);

/// What somebody wants to be so.
#[derive(Debug, Clone)]
pub(in crate::server) enum Wish {
    /// `block` and `unblock`; which one the asker knows.
    Block { asker: Asker, user: Box<str> },
    /// A command that changes a group.
    Group { asker: Asker, change: GroupChange, group: Box<str> },
    /// A new account, for the user of a link.
    Register(Registration),
    /// An account is gone from the credentials file.
    Purge { name: Name },
    /// An operator keeps a user from something, or no more.
    Restrain { ticket: Ticket, user: Name, how: Restraint, until: Option<Time> },
    /// An operator wants nobody let in from these addresses, or does so no more.
    BanRange { ticket: Ticket, range: AddressRange, until: Option<Time> },
    /// An operator says something to all, also to those who are away.
    Announce { ticket: Ticket, text: SharedText },
    /// An operator wants the announcement of this number to be kept no more.
    Withdraw { ticket: Ticket, number: u32 },
    /// An operator wants an invite with this code.
    Invite { ticket: Ticket, code: Digest, invite: Invite },
    /// An operator wants the invite of this number to be no more.
    Revoke { ticket: Ticket, number: u32 },
    /// A user who is an operator wants something done by the shell.
    Order { asker: Asker, ticket: Ticket, words: Box<str> },
}

/// A new account that somebody wants.
#[derive(Debug, Clone)]
pub(in crate::server) struct Registration {
    pub(in crate::server) link: LinkId,
    pub(in crate::server) name: Name,
    pub(in crate::server) credential: Credential,
    /// By which it is made.
    pub(in crate::server) invite: Option<Digest>,
}

impl Wish {
    /// Whose command it is.
    pub(in crate::server) const fn asker(&self) -> Option<Asker> {
        match self {
            Wish::Block { asker, .. } | Wish::Group { asker, .. } | Wish::Order { asker, .. } => Some(*asker),
            Wish::Register(_)
            | Wish::Purge { .. }
            | Wish::Restrain { .. }
            | Wish::BanRange { .. }
            | Wish::Announce { .. }
            | Wish::Withdraw { .. }
            | Wish::Invite { .. }
            | Wish::Revoke { .. } => None,
        }
    }

    /// How many members its change adds to a group, but for its maker.
    pub(in crate::server) fn members_added(&self, change: &Change) -> u64 {
        match (self, change) {
            (Wish::Group { change: GroupChange::Create(_), .. }, Change::GroupSet { members, .. }) => {
                members.len().saturating_sub(1) as u64
            }
            (Wish::Group { change: GroupChange::Add(_), .. }, _) => 1,
            _ => 0,
        }
    }

    const fn rank(&self) -> Rank {
        match self {
            Wish::Block { .. }
            | Wish::Register(_)
            | Wish::Purge { .. }
            | Wish::Restrain { .. }
            | Wish::BanRange { .. }
            | Wish::Announce { .. }
            | Wish::Withdraw { .. }
            | Wish::Invite { .. }
            | Wish::Revoke { .. }
            | Wish::Order { .. } => Rank::Own,
            Wish::Group { .. } => Rank::Shared,
        }
    }
}

/// Wishes about their owner's account or blocks go before those that may only name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Own,
    Shared,
}

/// How a group is to change. Names are words as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) enum GroupChange {
    Create(Vec<Box<str>>),
    Add(Box<str>),
    Remove(Box<str>),
    Leave,
    Delete,
}

/// What a wish reads or writes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::server) enum Subject {
    /// Whether there is an account of this name.
    Account(Name),
    /// Whether there is a name that looks like this.
    Look(String),
    /// Whether the first blocks the second.
    Pair(UserId, UserId),
    /// A group of this name, and its members.
    Group(Name),
    /// What an operator keeps the user of this name from.
    Restraints(Name),
    /// Whether there is a group whose name looks like this.
    GroupLook(String),
    /// The invites, but for how often each was used.
    Invites,
    /// The addresses from which nobody is let in.
    Ranges,
    /// What operators have said to all.
    Announcements,
}

/// All that a wish reads and writes.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Subjects {
    pub(in crate::server) reads: Vec<Subject>,
    pub(in crate::server) writes: Vec<Subject>,
}

/// How many wishes read and write each subject.
#[derive(Debug, Clone, Default)]
struct Claims {
    counts: BTreeMap<Subject, Claim>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Claim {
    readers: u32,
    writers: u32,
}

impl Claims {
    fn conflict_with(&self, subjects: &Subjects) -> bool {
        let claim = |subject: &Subject| self.counts.get(subject).copied().unwrap_or_default();
        subjects.writes.iter().map(claim).any(|claim| claim.readers + claim.writers > 0)
            || subjects.reads.iter().map(claim).any(|claim| claim.writers > 0)
    }

    fn add(&mut self, subjects: &Subjects) {
        for subject in &subjects.reads {
            self.counts.entry(subject.clone()).or_default().readers += 1;
        }
        for subject in &subjects.writes {
            self.counts.entry(subject.clone()).or_default().writers += 1;
        }
    }

    fn remove(&mut self, subjects: &Subjects) {
        for subject in &subjects.reads {
            self.count_down(subject, |claim| &mut claim.readers);
        }
        for subject in &subjects.writes {
            self.count_down(subject, |claim| &mut claim.writers);
        }
    }

    fn count_down(&mut self, subject: &Subject, count: fn(&mut Claim) -> &mut u32) {
        let Some(claim) = self.counts.get_mut(subject) else {
            unreachable!("what is given back was claimed")
        };
        assert!(*count(claim) > 0, "a claim is given back once");
        *count(claim) -= 1;
        if claim.readers + claim.writers == 0 {
            self.counts.remove(subject);
        }
    }
}

/// The wishes that are not settled.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Lane {
    last: u64,
    wishes: BTreeMap<WishId, Wish>,
    /// Those whose turn has not come, the next first.
    waiting: BTreeSet<(Rank, WishId)>,
    /// Those that were handed to the store.
    under_way: BTreeMap<WishId, Begun>,
    claims: Claims,
    of_users: BTreeMap<UserId, WishId>,
    purges: BTreeMap<Name, Purge>,
}

/// What is known of a wish that was handed to the store.
#[derive(Debug, Clone)]
struct Begun {
    subjects: Subjects,
    /// Users who are told when it is durable, beside the one who asked.
    concerned: Vec<UserId>,
}

/// A purge that is not durable.
#[derive(Debug, Clone)]
struct Purge {
    /// The line in the credentials file, if the name has come back since.
    returning: Option<Credential>,
}

/// A look at all that wait, in the order of their turns.
#[derive(Debug, Default)]
pub(in crate::server) struct Round {
    after: Option<(Rank, WishId)>,
    /// What those want that were passed over: later ones must not take it from them.
    reserved: Claims,
}

impl Lane {
    pub(in crate::server) fn is_empty(&self) -> bool {
        self.wishes.is_empty() && self.purges.is_empty()
    }

    /// Whether the user's next line has to wait.
    pub(in crate::server) fn is_busy(&self, user: UserId) -> bool {
        self.of_users.contains_key(&user)
    }

    /// Takes up a wish; its turn comes when it is looked at.
    pub(in crate::server) fn add(&mut self, wish: Wish) {
        self.last += 1;
        let id = WishId(self.last);
        if let Some(asker) = wish.asker() {
            let before = self.of_users.insert(asker.user, id);
            assert!(before.is_none(), "a user has one wish at a time");
        }
        self.waiting.insert((wish.rank(), id));
        self.wishes.insert(id, wish);
    }

    /// The next wish of a round that waits.
    pub(in crate::server) fn next(&self, round: &mut Round) -> Option<(WishId, Wish)> {
        use core::ops::Bound::{Excluded, Unbounded};
        let from = round.after.map_or(Unbounded, Excluded);
        let next = *self.waiting.range((from, Unbounded)).next()?;
        round.after = Some(next);
        self.wishes.get(&next.1).map(|wish| (next.1, wish.clone()))
    }

    /// Whether nothing stands in the way of a wish; else it keeps its place before later ones.
    pub(in crate::server) fn may_go(&self, round: &mut Round, subjects: &Subjects) -> bool {
        let free = !self.claims.conflict_with(subjects) && !round.reserved.conflict_with(subjects);
        if !free {
            round.reserved.add(subjects);
        }
        free
    }

    /// The wish is handed to the store.
    pub(in crate::server) fn begin(&mut self, id: WishId, subjects: Subjects, concerned: Vec<UserId>) {
        let Some(wish) = self.wishes.get(&id) else { unreachable!("a wish begins before it ends") };
        let waited = self.waiting.remove(&(wish.rank(), id));
        assert!(waited, "a wish begins once");
        self.claims.add(&subjects);
        self.under_way.insert(id, Begun { subjects, concerned });
    }

    /// The wish is settled, or was answered at its turn. Returns it, and the users who are told if it is durable,
    /// beside the one who asked.
    pub(in crate::server) fn end(&mut self, id: WishId) -> (Wish, Vec<UserId>) {
        let Some(wish) = self.wishes.remove(&id) else { unreachable!("a wish ends once") };
        self.waiting.remove(&(wish.rank(), id));
        if let Some(asker) = wish.asker() {
            self.of_users.remove(&asker.user);
        }
        let begun = self.under_way.remove(&id);
        let concerned = begun.map_or_else(Vec::new, |begun| {
            self.claims.remove(&begun.subjects);
            begun.concerned
        });
        (wish, concerned)
    }

    /// The order that the shell answers with this.
    pub(in crate::server) fn ordered(&self, ticket: Ticket) -> Option<WishId> {
        let is_it = |id: &&WishId| matches!(self.wishes.get(id), Some(Wish::Order { ticket: of, .. }) if *of == ticket);
        self.under_way.keys().find(is_it).copied()
    }

    /// Wishes without a number, of this link, whose turn has not come.
    pub(in crate::server) fn unnumbered_of(&self, link: LinkId) -> Vec<WishId> {
        let of_link = |id: &WishId| {
            let asker = self.wishes.get(id).and_then(Wish::asker);
            asker.is_some_and(|asker| asker.link == link && asker.number.is_none())
        };
        self.waiting.iter().map(|(_, id)| *id).filter(of_link).collect()
    }

    /// All wishes whose turn has not come.
    pub(in crate::server) fn all_waiting(&self) -> Vec<WishId> {
        self.waiting.iter().map(|(_, id)| *id).collect()
    }

    /// An account is gone from the credentials file and is to be purged, when nothing is under way for it.
    pub(in crate::server) fn note_purge(&mut self, name: &Name) {
        self.purges.entry(name.clone()).or_insert(Purge { returning: None });
    }

    /// Whether the name is to be purged, or is being purged.
    pub(in crate::server) fn is_purging(&self, name: &str) -> bool {
        self.purges.contains_key(name)
    }

    /// Whether the name is in the credentials file again, and its purge is not durable.
    pub(in crate::server) fn is_returning(&self, name: &str) -> bool {
        self.purges.get(name).is_some_and(|purge| purge.returning.is_some())
    }

    /// The name is in the credentials file again: its account is made once the purge is durable.
    pub(in crate::server) fn note_return(&mut self, name: &Name, credential: Credential) {
        let Some(purge) = self.purges.get_mut(name) else { unreachable!("a name returns during its purge") };
        purge.returning = Some(credential);
    }

    /// The line of a name that returns was renewed.
    pub(in crate::server) fn renew_return(&mut self, renewal: &Renewal) {
        if let Some(purge) = self.purges.get_mut(&renewal.name)
            && purge.returning.as_ref() == Some(&renewal.before)
        {
            purge.returning = Some(renewal.after.clone());
        }
    }

    /// The credentials file is read again: who returns, it says.
    pub(in crate::server) fn forget_returns(&mut self) {
        for purge in self.purges.values_mut() {
            purge.returning = None;
        }
    }

    /// The purge is durable; the credential of the account that has come back meanwhile.
    pub(in crate::server) fn end_purge(&mut self, name: &Name) -> Option<Credential> {
        self.purges.remove(name).and_then(|purge| purge.returning)
    }

    /// Names whose purge has no wish: something is under way for them, or the store refused it.
    pub(in crate::server) fn purges_to_begin(&self) -> Vec<Name> {
        let begun: BTreeSet<&Name> = self.wishes.values().filter_map(purged).collect();
        self.purges.keys().filter(|name| !begun.contains(name)).cloned().collect()
    }
}

const fn purged(wish: &Wish) -> Option<&Name> {
    match wish {
        Wish::Purge { name } => Some(name),
        Wish::Block { .. }
        | Wish::Group { .. }
        | Wish::Register(_)
        | Wish::Restrain { .. }
        | Wish::BanRange { .. }
        | Wish::Announce { .. }
        | Wish::Withdraw { .. }
        | Wish::Invite { .. }
        | Wish::Revoke { .. }
        | Wish::Order { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Name {
        Name::new(name).unwrap()
    }

    fn purge(of: &str) -> Wish {
        Wish::Purge { name: name(of) }
    }

    fn writes(of: &str) -> Subjects {
        Subjects { reads: Vec::new(), writes: Vec::from([Subject::Account(name(of))]) }
    }

    fn reads(of: &str) -> Subjects {
        Subjects { reads: Vec::from([Subject::Account(name(of))]), writes: Vec::new() }
    }

    #[test]
    fn wishes_that_only_read_the_same_go_together_and_a_writer_goes_alone() {
        let mut lane = Lane::default();
        let mut round = Round::default();
        lane.add(purge("hans"));
        let (first, _) = lane.next(&mut round).unwrap();
        lane.begin(first, reads("luke"), Vec::new());
        lane.add(purge("yoda"));
        let (second, _) = lane.next(&mut round).unwrap();
        assert!(lane.may_go(&mut round, &reads("luke")) && !lane.may_go(&mut round, &writes("luke")));
        lane.end(first);
        assert!(lane.may_go(&mut Round::default(), &writes("luke")));
        lane.end(second);
        assert!(lane.claims.counts.is_empty() && lane.wishes.is_empty());
    }

    #[test]
    fn one_that_waits_is_not_overtaken_by_a_later_one_that_conflicts_with_it() {
        let mut lane = Lane::default();
        lane.add(purge("hans"));
        let (first, _) = lane.next(&mut Round::default()).unwrap();
        lane.begin(first, writes("luke"), Vec::new());
        lane.add(purge("yoda"));
        lane.add(purge("leia"));
        let mut round = Round::default();
        lane.next(&mut round);
        let both = Subjects {
            writes: Vec::from([Subject::Account(name("luke")), Subject::Account(name("r2"))]),
            ..Subjects::default()
        };
        assert!(!lane.may_go(&mut round, &both));
        lane.next(&mut round);
        assert!(!lane.may_go(&mut round, &reads("r2")), "the one before is to have it");
        assert!(lane.may_go(&mut round, &reads("c3po")));
    }
}
