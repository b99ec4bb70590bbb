//! Changes: who may make them, and which of them may be under way together.

use alloc::vec::Vec;

use super::wishes::{Wish, is_change};
use super::{Check, Verdict, rule, words};
use crate::record::{Change, Record, RecordNumber};
use crate::sim::model::User;
use crate::wire::{Answer, Command};
use crate::words::Name;

/// What a change reads or writes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    /// Whether the first has blocked the second.
    Pair(User, User),
    Group(Name),
    Account(User),
}

/// All that a change reads and writes.
#[derive(Debug, Default)]
struct Subjects {
    writes: Vec<Subject>,
    reads: Vec<Subject>,
}

impl Subjects {
    fn conflict(&self, other: &Subjects) -> bool {
        let touches = |one: &Subjects, other: &Subjects| {
            one.writes.iter().any(|subject| other.writes.contains(subject) || other.reads.contains(subject))
        };
        touches(self, other) || touches(other, self)
    }
}

impl Check {
    /// A change goes to the store: somebody asked for it whose turn it is, they may, and nothing under way
    /// conflicts.
    pub(super) fn change_is_legal(&mut self, number: RecordNumber, record: &Record) -> Verdict {
        let Record::Change(change) = record else { return Ok(()) };
        self.nothing_conflicts(change)?;
        let name = match change {
            Change::AccountRemoved { .. } => return Ok(()),
            Change::AccountAdded { name, .. } => name,
            Change::Blocked { .. }
            | Change::Unblocked { .. }
            | Change::GroupSet { .. }
            | Change::GroupRemoved { .. } => return self.wish_is_granted(number, change),
        };
        let taken = self.model.find(name.as_str()).is_some_and(|user| self.model.users[user].is_account());
        rule!(self, !taken, "an account is made for a name that is free", "{name}");
        Ok(())
    }

    fn wish_is_granted(&mut self, number: RecordNumber, change: &Change) -> Verdict {
        let legal = self.at_some_point(|check| check.wish_for(change).is_some());
        rule!(self, legal, "a change is asked for by one who may make it", "{change:?}");
        self.nobody_is_overtaken(change)?;
        if let Some(order) = self.wish_for(change).map(Wish::order) {
            self.wishes.handed_over(order, number);
        }
        Ok(())
    }

    /// Of wishes that conflict the oldest goes first.
    fn nobody_is_overtaken(&self, change: &Change) -> Verdict {
        let Some(granted) = self.wish_for(change).filter(|_| self.is_unhurried()) else { return Ok(()) };
        let own = self.subjects_of(change);
        let overtaken = self.wishes.first().find(|wish| {
            let waits = wish.waits() && wish.user != granted.user && wish.goes_before(granted);
            let heard = wish.link().is_some_and(|link| self.is_heard(link));
            let wanted =
                || self.change_of(wish).is_some_and(|change| own.conflict(&self.subjects_of(&change)));
            waits && heard && wanted()
        });
        let overtaken = overtaken.map(|wish| (&self.model.users[wish.user].name, words(&wish.line)));
        rule!(self, overtaken.is_none(), "the oldest wish goes first", "{change:?} before {overtaken:?}");
        Ok(())
    }

    /// The change that a wish would come to now.
    fn change_of(&self, wish: &Wish) -> Option<Change> {
        let name = |user: User| Name::new(&self.model.users[user].name).ok();
        let command = wish.command()?;
        let change = match command {
            Command::Block { user } => Change::Blocked { by: name(wish.user)?, user: Name::new(user).ok()? },
            Command::Unblock { user } => {
                Change::Unblocked { by: name(wish.user)?, user: Name::new(user).ok()? }
            }
            Command::CreateGroup { group, .. }
            | Command::AddToGroup { group, .. }
            | Command::RemoveFromGroup { group, .. }
            | Command::LeaveGroup { group }
            | Command::DeleteGroup { group } => {
                let group = Name::new(group).ok()?;
                let members = self.group_after(wish.user, &command, &group)?;
                let members = members.into_iter().map(name).collect::<Option<Vec<Name>>>()?;
                if members.is_empty() {
                    Change::GroupRemoved { group }
                } else {
                    Change::GroupSet { group, members }
                }
            }
            _ => return None,
        };
        self.comes_to(wish.user, &command, &change).then_some(change)
    }

    /// The wish that a change is for, among those whose turn it is and whose users may make it.
    fn wish_for(&self, change: &Change) -> Option<&Wish> {
        let comes_to = |wish: &&Wish| {
            let here = self.model.users[wish.user].is_account();
            here && wish.command().is_some_and(|command| self.comes_to(wish.user, &command, change))
        };
        let waiting = || self.wishes.first().filter(|wish| wish.waits()).filter(comes_to);
        // What was asked for on a lost link may have come to an end unheard.
        waiting().find(|wish| wish.is_linked()).or_else(|| waiting().next())
    }

    /// Whether a command of a user, obeyed now, makes this change.
    fn comes_to(&self, user: User, command: &Command<'_>, change: &Change) -> bool {
        let model = &self.model;
        let is = |name: &Name, user: User| model.users[user].name == name.as_str();
        let stands = |whom: &Name| {
            model.find(whom.as_str()).is_some_and(|whom| model.users[user].blocks.contains(&whom))
        };
        match (command, change) {
            (Command::Block { user: whom }, Change::Blocked { by, user: blocked }) => {
                let fits = is(by, user) && *whom == blocked.as_str() && !is(blocked, user);
                fits && self.is_account(whom) && !stands(blocked)
            }
            (Command::Unblock { user: whom }, Change::Unblocked { by, user: blocked }) => {
                is(by, user) && *whom == blocked.as_str() && stands(blocked)
            }
            (_, Change::GroupSet { group, members }) => {
                let members: Option<Vec<User>> =
                    members.iter().map(|name| model.find(name.as_str())).collect();
                members.is_some() && self.group_after(user, command, group) == members
            }
            (_, Change::GroupRemoved { group }) => {
                self.group_after(user, command, group).is_some_and(|members| members.is_empty())
            }
            (_, Change::Blocked { .. } | Change::Unblocked { .. }) => false,
            (_, Change::AccountAdded { .. } | Change::AccountRemoved { .. }) => false,
        }
    }

    /// The members of a group behind a command of a user; `None` if they may not do so.
    fn group_after(&self, user: User, command: &Command<'_>, group: &Name) -> Option<Vec<User>> {
        let model = &self.model;
        let before = model.groups.get(group);
        let owned = before.filter(|members| members.first() == Some(&user));
        let named = |whom: &str| model.find(whom).filter(|_| self.is_account(whom));
        match command {
            Command::CreateGroup { group: made, members } if *made == group.as_str() && before.is_none() => {
                let mut all = Vec::from([user]);
                for member in members.iter() {
                    let member = named(member)?;
                    if !all.contains(&member) {
                        all.push(member);
                    }
                }
                let open = all[1..].iter().all(|member| !model.is_cut_off(user, *member));
                (open && self.has_room(&all, &all)).then_some(all)
            }
            Command::AddToGroup { group: own, user: whom } if *own == group.as_str() => {
                let (whom, mut members) = (named(whom)?, owned?.clone());
                members.push(whom);
                let open = !model.is_cut_off(user, whom) && !owned?.contains(&whom);
                (open && self.has_room(&members, &[whom])).then_some(members)
            }
            Command::RemoveFromGroup { group: own, user: whom } if *own == group.as_str() => {
                let whom = model
                    .find(whom)
                    .filter(|whom| *whom != user && owned.is_some_and(|all| all.contains(whom)))?;
                Some(owned?.iter().copied().filter(|member| *member != whom).collect())
            }
            Command::LeaveGroup { group: own } if *own == group.as_str() => {
                let members = before.filter(|members| members.contains(&user))?;
                Some(members.iter().copied().filter(|member| *member != user).collect())
            }
            Command::DeleteGroup { group: own } if *own == group.as_str() => owned.map(|_| Vec::new()),
            _ => None,
        }
    }

    /// Whether a group may have these members, of whom some join it.
    pub(super) fn has_room(&self, members: &[User], joining: &[User]) -> bool {
        let settings = &self.model.settings;
        let within = |limit: u32, count: usize| limit == 0 || count <= limit as usize;
        let groups_of =
            |user: &User| self.model.groups.values().filter(|members| members.contains(user)).count();
        within(settings.members_per_group, members.len())
            && joining.iter().all(|user| within(settings.groups_per_user, groups_of(user) + 1))
    }

    pub(super) fn is_account(&self, name: &str) -> bool {
        self.model.find(name).is_some_and(|user| self.model.users[user].is_account())
    }

    /// Changes are under way together only if neither writes what the other reads or writes.
    fn nothing_conflicts(&mut self, change: &Change) -> Verdict {
        let own = self.subjects_of(change);
        // What is durable is not under way, though the server may have said nothing of it yet.
        let free = self.at_some_point(|check| {
            !check.model.changes_under_way().any(|(_, other)| own.conflict(&check.subjects_of(other)))
        });
        rule!(self, free, "changes that conflict take turns", "{change:?}");
        Ok(())
    }

    fn subjects_of(&self, change: &Change) -> Subjects {
        let account = |name: &Name| self.model.find(name.as_str()).map(Subject::Account);
        let mut subjects = Subjects::default();
        match change {
            Change::AccountAdded { name, .. } | Change::AccountRemoved { name } => {
                subjects.writes.extend(account(name));
            }
            Change::Blocked { by, user } | Change::Unblocked { by, user } => {
                subjects.reads.extend(account(by).into_iter().chain(account(user)));
                let pair = self.model.find(by.as_str()).zip(self.model.find(user.as_str()));
                subjects.writes.extend(pair.map(|(by, user)| Subject::Pair(by, user)));
            }
            Change::GroupRemoved { group } => subjects.writes.push(Subject::Group(group.clone())),
            Change::GroupSet { group, members } => {
                subjects.writes.push(Subject::Group(group.clone()));
                subjects.reads.extend(members.iter().filter_map(account));
                let before = self.model.groups.get(group).map_or(&[][..], Vec::as_slice);
                let members = members.iter().filter_map(|name| self.model.find(name.as_str()));
                let members: Vec<User> = members.collect();
                // The owner adds; whether they reach whom they add is looked at.
                let Some(owner) = members.first().copied() else { return subjects };
                for joining in
                    members.into_iter().filter(|member| !before.contains(member) && *member != owner)
                {
                    subjects.reads.push(Subject::Pair(joining, owner));
                    if self.model.settings.block_mutual {
                        subjects.reads.push(Subject::Pair(owner, joining));
                    }
                }
            }
        }
        subjects
    }

    /// Whether things are as the answer to a change says.
    pub(super) fn change_is_true(&self, user: User, command: &Command<'_>, answer: &Answer<'_>) -> bool {
        let model = &self.model;
        let blocks =
            |whom: &str| model.find(whom).is_some_and(|whom| model.users[user].blocks.contains(&whom));
        let members = |group: &str| Name::new(group).ok().and_then(|name| model.groups.get(&name));
        let is_in = |group: &str, user: User| members(group).is_some_and(|members| members.contains(&user));
        match (command, answer) {
            (Command::Block { user: whom }, Answer::Block { user: told }) => whom == told && blocks(whom),
            (Command::Unblock { user: whom }, Answer::Unblock { user: told }) => {
                whom == told && !blocks(whom)
            }
            (Command::CreateGroup { group, .. }, Answer::CreateGroup { group: told }) => {
                group == told && members(group).is_some_and(|members| members.first() == Some(&user))
            }
            (Command::AddToGroup { group, user: whom }, Answer::AddToGroup { group: told }) => {
                group == told && model.find(whom).is_some_and(|whom| is_in(group, whom))
            }
            (Command::RemoveFromGroup { group, user: whom }, Answer::RemoveFromGroup { group: told }) => {
                group == told && model.find(whom).is_none_or(|whom| !is_in(group, whom))
            }
            (Command::LeaveGroup { group }, Answer::LeaveGroup { group: told }) => {
                group == told && !is_in(group, user)
            }
            (Command::DeleteGroup { group }, Answer::DeleteGroup { group: told }) => {
                group == told && members(group).is_none()
            }
            _ => !is_change(command),
        }
    }
}
