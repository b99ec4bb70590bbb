//! Notices of groups: a change is told to its members when it is durable, before anything decided later.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::{Check, Verdict, rule};
use crate::record::{Change, Record};
use crate::sim::model::User;
use crate::wire::Words;
use crate::words::{LinkId, Name};

/// What links are owed in this call.
#[derive(Debug, Default)]
pub(super) struct Notices {
    owed: BTreeMap<LinkId, VecDeque<Notice>>,
}

/// Word of a change of a group.
#[derive(Debug)]
struct Notice {
    group: Name,
    by: User,
    /// The place of the command among the lines of all users.
    order: u64,
    /// The members from this change on, sorted by name.
    members: Vec<User>,
}

impl Check {
    /// The members of the group that a record changes, as long as it does not hold.
    pub(super) fn members_before(&self, record: &Record) -> Vec<User> {
        let Record::Change(Change::GroupSet { group, .. } | Change::GroupRemoved { group }) = record else {
            return Vec::new();
        };
        self.model.groups.get(group).cloned().unwrap_or_default()
    }

    /// A change is durable: the members of a group, and those who were, are to be told, but not who made it.
    pub(super) fn owe_notices(&mut self, record: &Record, before: &[User], by: Option<(User, u64)>) {
        let Record::Change(Change::GroupSet { group, .. } | Change::GroupRemoved { group }) = record else {
            return;
        };
        let Some((by, order)) = by else { return };
        let mut members = self.model.groups.get(group).cloned().unwrap_or_default();
        members.sort_by(|one, other| self.model.users[*one].name.cmp(&self.model.users[*other].name));
        let gone = before.iter().filter(|user| !members.contains(user));
        for user in members.iter().chain(gone).filter(|user| **user != by) {
            let session = self.model.users[*user].session.as_ref();
            let Some(link) = session.and_then(|session| session.link) else { continue };
            let notice = Notice { group: group.clone(), by, order, members: members.clone() };
            self.notices.owed.entry(link).or_default().push_back(notice);
        }
    }

    /// Members of a group are sent, for an answer or for a notice.
    pub(super) fn members_sent(&mut self, link: LinkId, members: Words<'_>) {
        let members: Vec<User> = members.iter().map(|name| self.model.user(name)).collect();
        if let Some(seen) = self.links.seen.get_mut(&link) {
            seen.members.extend(members);
        }
    }

    /// A link is told that a group was changed.
    pub(super) fn change_told(&mut self, link: LinkId, group: &str, by: &str) -> Verdict {
        let by = self.model.user(by);
        let seen = self.links.seen.get_mut(&link);
        let members = seen.map(|seen| core::mem::take(&mut seen.members)).unwrap_or_default();
        let is_next = |check: &Check| {
            let next = check.notices.owed.get(&link).and_then(VecDeque::front);
            next.is_some_and(|next| next.group.as_str() == group && next.by == by && next.members == members)
        };
        let fits = self.at_some_point(is_next);
        if let Some(owed) = self.notices.owed.get_mut(&link) {
            owed.pop_front();
        }
        let names: Vec<&str> = members.iter().map(|user| self.model.users[*user].name.as_str()).collect();
        rule!(
            self,
            fits,
            "a change of a group is told to its members",
            "{link:?} is told that {group} is {names:?} by {}",
            self.model.users[by].name
        );
        Ok(())
    }

    /// Something leaves for a line of a user: of their changes before it everybody has been told.
    pub(super) fn notices_come_first(&self, by: User, order: u64) -> Verdict {
        let owed = self.notices.owed.iter();
        let late = owed.flat_map(|(link, owed)| owed.iter().map(move |notice| (link, notice)));
        let late = late.filter(|(_, notice)| notice.by == by && notice.order < order);
        let late = late.map(|(link, notice)| (*link, &notice.group)).next();
        rule!(self, late.is_none(), "a change is told before what comes behind it", "{late:?}");
        Ok(())
    }

    /// Everybody has been told in the very call.
    pub(super) fn changes_are_told(&mut self) -> Verdict {
        for (link, owed) in core::mem::take(&mut self.notices.owed) {
            let Some(notice) = owed.front().filter(|_| self.links.seen.contains_key(&link)) else { continue };
            let user = self.model.member_on(link).map(|user| self.model.users[user].name.clone());
            let told = user.is_none();
            let user = user.unwrap_or_default();
            rule!(self, told, "a change of a group is told to its members", "{user} of {}", notice.group);
        }
        Ok(())
    }
}
