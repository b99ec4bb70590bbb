//! Groups: made, changed and written to by their members.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::ServerState;
use super::accounts::UserId;
use super::commands::Asker;
use super::delivery::Tell;
use super::journal::{Settlement, Then};
use super::listing::word_lines;
use super::messages::{Post, Reach};
use crate::planted::{self, Planted};
use crate::record::{Change, Outcome, Record, RecordNumber};
use crate::wire::{Answer, Code, ServerLine, Status, Words};
use crate::words::{LinkId, Name, Text};

/// A group. The longest-standing member comes first and is the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) members: Vec<UserId>,
}

impl Group {
    fn owner(&self) -> Option<UserId> {
        self.members.first().copied()
    }
}

/// A group message whose members are not all settled.
#[derive(Debug, Clone)]
pub(super) struct GroupMessage {
    asker: Asker,
    group: Name,
    open: u32,
    delivered: u16,
    stored: u16,
    refused: u16,
    withheld: bool,
    error: Option<Code>,
}

/// A change of a group whose record is on its way.
#[derive(Debug, Clone)]
pub(super) struct GroupChange {
    kind: GroupCommand,
    group: Name,
    /// Members from this change on; a later change may be under way already.
    members: Vec<UserId>,
    /// Those to be told beside them.
    left: Vec<UserId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GroupCommand {
    Create,
    Add,
    /// Somebody who is a member already.
    AddAgain,
    Remove,
    Leave,
    Delete,
}

impl GroupCommand {
    const fn name(self) -> &'static str {
        match self {
            GroupCommand::Create => "create group",
            GroupCommand::Add | GroupCommand::AddAgain => "add group",
            GroupCommand::Remove => "remove group",
            GroupCommand::Leave => "leave group",
            GroupCommand::Delete => "delete group",
        }
    }

    const fn answer(self, group: &str) -> Answer<'_> {
        match self {
            GroupCommand::Create => Answer::CreateGroup { group },
            GroupCommand::Add | GroupCommand::AddAgain => Answer::AddToGroup { group },
            GroupCommand::Remove => Answer::RemoveFromGroup { group },
            GroupCommand::Leave => Answer::LeaveGroup { group },
            GroupCommand::Delete => Answer::DeleteGroup { group },
        }
    }
}

impl ServerState {
    pub(super) fn create_group(&mut self, asker: Asker, group: &str, members: Words<'_>) {
        match self.new_group(&asker, group, members) {
            Ok((group, members)) => {
                self.change_group(asker, GroupCommand::Create, group, members, Vec::new())
            }
            Err(code) => self.fail(&asker, None, code, GroupCommand::Create.name()),
        }
    }

    fn new_group(&self, asker: &Asker, group: &str, words: Words<'_>) -> Result<(Name, Vec<UserId>), Code> {
        let group = Name::new(group).map_err(|_| Code::BadName)?;
        if self.groups.contains_key(&group) {
            return Err(Code::GroupExists);
        }
        let mut members = alloc::vec![asker.user];
        let mut known: BTreeSet<UserId> = members.iter().copied().collect();
        for word in words.iter() {
            let user = self.accounts.find(word).ok_or(Code::UnknownUser)?;
            if known.insert(user) {
                members.push(user);
            }
        }
        self.check_limits(&members, &members)?;
        if members.iter().any(|&user| user != asker.user && self.reach(asker.user, user).is_barred()) {
            return Err(Code::Blocked);
        }
        Ok((group, members))
    }

    /// `joining` are those who would be in one group more.
    fn check_limits(&self, members: &[UserId], joining: &[UserId]) -> Result<(), Code> {
        let within = |limit: u32, count: usize| limit == 0 || count <= limit as usize;
        let fits = within(self.settings.members_per_group, members.len())
            && joining
                .iter()
                .all(|&user| within(self.settings.groups_per_user, self.accounts[user].groups.len() + 1));
        if fits { Ok(()) } else { Err(Code::Limit) }
    }

    /// The group, if the asker is in it. That it exists stays private to its members.
    fn group_of(&self, asker: &Asker, group: &str) -> Result<(Name, &Group), Code> {
        let found = self
            .groups
            .get_key_value(group)
            .filter(|(_, group)| group.members.contains(&asker.user) || planted::is(Planted::GroupOpenToAll));
        found.map(|(name, group)| (name.clone(), group)).ok_or(Code::UnknownGroup)
    }

    fn group_owned_by(&self, asker: &Asker, group: &str) -> Result<(Name, &Group), Code> {
        let (name, group) = self.group_of(asker, group)?;
        if group.owner() == Some(asker.user) { Ok((name, group)) } else { Err(Code::NotOwner) }
    }

    pub(super) fn add_to_group(&mut self, asker: Asker, group: &str, user: &str) {
        let added = self.members_with(&asker, group, user);
        match added {
            Ok((group, Some(members))) => {
                self.change_group(asker, GroupCommand::Add, group, members, Vec::new())
            }
            // He is in it already: nothing changes and nobody is told.
            Ok((group, None))
                if self.journal.changes_group(&group) && !planted::is(Planted::SoAlreadyIsSure) =>
            {
                self.answer_with_group(asker, group);
            }
            Ok((group, None)) => {
                self.send_members_of(&asker, group.as_str());
                self.answer(&asker, None, Outcome::Done, Answer::AddToGroup { group: group.as_str() });
            }
            Err(code) => self.fail(&asker, None, code, GroupCommand::Add.name()),
        }
    }

    fn members_with(
        &self,
        asker: &Asker,
        group: &str,
        user: &str,
    ) -> Result<(Name, Option<Vec<UserId>>), Code> {
        let (name, group) = self.group_owned_by(asker, group)?;
        let user = self.accounts.find(user).ok_or(Code::UnknownUser)?;
        if group.members.contains(&user) {
            return Ok((name, None));
        }
        let mut members = group.members.clone();
        members.push(user);
        self.check_limits(&members, &[user])?;
        if self.reach(asker.user, user).is_barred() {
            return Err(Code::Blocked);
        }
        Ok((name, Some(members)))
    }

    pub(super) fn remove_from_group(&mut self, asker: Asker, group: &str, user: &str) {
        match self.members_without(&asker, group, user) {
            Ok((group, members, user)) => {
                self.change_group(asker, GroupCommand::Remove, group, members, alloc::vec![user]);
            }
            Err(code) => self.fail(&asker, None, code, GroupCommand::Remove.name()),
        }
    }

    fn members_without(
        &self,
        asker: &Asker,
        group: &str,
        user: &str,
    ) -> Result<(Name, Vec<UserId>, UserId), Code> {
        let (name, group) = self.group_owned_by(asker, group)?;
        let user = self.another(asker, user)?;
        if !group.members.contains(&user) {
            return Err(Code::NotMember);
        }
        Ok((name, group.members.iter().copied().filter(|&member| member != user).collect(), user))
    }

    pub(super) fn leave_group(&mut self, asker: Asker, group: &str) {
        match self.group_of(&asker, group) {
            Ok((name, group)) => {
                let members = group.members.iter().copied().filter(|&member| member != asker.user).collect();
                self.change_group(asker, GroupCommand::Leave, name, members, Vec::new());
            }
            Err(code) => self.fail(&asker, None, code, GroupCommand::Leave.name()),
        }
    }

    pub(super) fn delete_group(&mut self, asker: Asker, group: &str) {
        match self.group_owned_by(&asker, group) {
            Ok((name, group)) => {
                let left = group.members.clone();
                self.change_group(asker, GroupCommand::Delete, name, Vec::new(), left);
            }
            Err(code) => self.fail(&asker, None, code, GroupCommand::Delete.name()),
        }
    }

    /// Makes a change that was found good; it is answered, and told, when it is durable.
    fn change_group(
        &mut self,
        asker: Asker,
        kind: GroupCommand,
        group: Name,
        members: Vec<UserId>,
        left: Vec<UserId>,
    ) {
        let concerned: Vec<UserId> = members.iter().chain(&left).copied().chain([asker.user]).collect();
        let record = self.group_record(group.clone(), &members);
        let change = GroupChange { kind, group, members, left };
        let number = self.persist_firm(record, Then::Group { asker, change });
        for user in concerned {
            self.accounts[user].touched = number;
        }
        self.persist_settled(&asker, Outcome::Done);
        if let Some(link) = self.asker_link(&asker) {
            self.reserve_answer(link, number);
        }
    }

    /// Answers what changes nothing in a group whose last change the store may refuse: with a record of its
    /// own, so that it shares what becomes of that.
    fn answer_with_group(&mut self, asker: Asker, group: Name) {
        let members = self.groups.get(&group).map_or_else(Vec::new, |group| group.members.clone());
        let record = self.group_record(group.clone(), &members);
        let change = GroupChange { kind: GroupCommand::AddAgain, group, members, left: Vec::new() };
        let number = self.persist_answer(record, Then::Group { asker, change });
        self.accounts[asker.user].touched = number;
        self.persist_settled(&asker, Outcome::Done);
        if let Some(link) = self.asker_link(&asker) {
            self.reserve_answer(link, number);
        }
    }

    fn group_record(&self, group: Name, members: &[UserId]) -> Record {
        if members.is_empty() {
            return Record::Change(Change::GroupRemoved { group });
        }
        let members = members.iter().map(|&user| self.accounts.name(user).clone()).collect();
        Record::Change(Change::GroupSet { group, members })
    }

    /// The change is durable: its command is answered, and the members are told; or the store refused it.
    pub(super) fn group_settled(
        &mut self,
        record: RecordNumber,
        asker: &Asker,
        change: GroupChange,
        settlement: Settlement,
    ) {
        let GroupChange { kind, group, members, left } = change;
        if let Err(code) = settlement {
            return self.fail(asker, Some(record), code, kind.name());
        }
        self.note_outcome(asker, Outcome::Done);
        let mut lines = self.lines_of(asker.number, &group, &members);
        ServerLine::Done { number: asker.number, answer: kind.answer(group.as_str()) }.encode(&mut lines);
        let written = self.outbox.write(|out| out.extend_from_slice(&lines));
        self.send_answer(asker, Some(record), written);
        if kind == GroupCommand::AddAgain {
            return;
        }
        let by = self.accounts.name(asker.user).clone();
        let mut lines = self.lines_of(None, &group, &members);
        ServerLine::Changed { group: group.as_str(), by: by.as_str() }.encode(&mut lines);
        let written = self.outbox.write(|out| out.extend_from_slice(&lines));
        let told = members.iter().chain(&left).filter(|&&user| user != asker.user);
        let links: Vec<LinkId> =
            told.filter_map(|&user| self.accounts[user].session.as_ref()?.link).collect();
        for link in links {
            self.queue(link, RecordNumber(0), written);
        }
    }

    /// The `members` lines of a group; none if it is no more.
    fn member_lines(&self, number: Option<u64>, group: &Name) -> Vec<u8> {
        let members = self.groups.get(group).map_or(&[][..], |group| &group.members);
        self.lines_of(number, group, members)
    }

    fn lines_of(&self, number: Option<u64>, group: &Name, members: &[UserId]) -> Vec<u8> {
        let mut lines = Vec::new();
        for line in word_lines(&self.accounts.sorted_names(members)) {
            if let Some(members) = Words::new(&line) {
                ServerLine::Members { number, group: group.as_str(), members }.encode(&mut lines);
            }
        }
        lines
    }

    /// Sends the members of a group the asker is in, before an answer about it.
    pub(super) fn send_members_of(&mut self, asker: &Asker, group: &str) {
        if let (Ok((group, _)), Some(link)) = (self.group_of(asker, group), self.asker_link(asker)) {
            let lines = self.member_lines(asker.number, &group);
            let written = self.outbox.write(|out| out.extend_from_slice(&lines));
            self.queue(link, RecordNumber(0), written);
        }
    }

    pub(super) fn group_list(&mut self, asker: Asker) {
        let groups = &self.accounts[asker.user].groups;
        let mut lines = Vec::new();
        for group in groups {
            lines.extend(self.member_lines(asker.number, group));
        }
        let answer = Answer::GroupList { count: groups.len() as u64 };
        ServerLine::Done { number: asker.number, answer }.encode(&mut lines);
        self.list(&asker, lines);
    }

    pub(super) fn message_group(&mut self, asker: Asker, group: &str, text: Text<'_>) {
        let (group, members) = match self.group_of(&asker, group) {
            Ok((name, group)) => (name, group.members.clone()),
            Err(code) => return self.fail(&asker, None, code, "message group"),
        };
        self.charge(asker.user, members.len() as u64 - 1);
        let number = self.next_serial();
        let message = GroupMessage {
            asker,
            group: group.clone(),
            // One for this loop itself: it must not be answered before all members were tried.
            open: 1,
            delivered: 0,
            stored: 0,
            refused: 0,
            withheld: false,
            error: None,
        };
        self.group_messages.insert(number, message);
        let post = Post { from: asker.user, group: Some(group), text: text.as_str().into(), asker };
        let last = members.last().copied();
        for member in members.into_iter().filter(|&member| member != asker.user) {
            let skipped = planted::is(Planted::BlockSkippedInGroup);
            let reach = if skipped { Reach::Open } else { self.reach(asker.user, member) };
            if self.refuses_message(reach) {
                self.note_withheld(number);
                continue;
            }
            if let Some(message) = self.group_messages.get_mut(&number) {
                message.open += 1;
            }
            if planted::is(Planted::LastMemberLeftOut) && last == Some(member) {
                self.group_member_settled(number, Ok(Status::Stored));
            } else if let Err(code) = self.post(member, reach, &post, Tell::Group(number)) {
                self.group_member_settled(number, Err(code));
            }
        }
        self.group_part_done(number);
    }

    fn note_withheld(&mut self, number: u64) {
        if let Some(message) = self.group_messages.get_mut(&number) {
            message.withheld = true;
        }
    }

    /// What became of a group message for one member.
    pub(super) fn group_member_settled(&mut self, number: u64, ending: Result<Status, Code>) {
        let Some(message) = self.group_messages.get_mut(&number) else { return };
        match ending {
            Ok(Status::Delivered) => message.delivered = message.delivered.saturating_add(1),
            Ok(Status::Stored) => message.stored = message.stored.saturating_add(1),
            Err(code) => {
                message.refused = message.refused.saturating_add(1);
                if message.error != Some(Code::OutcomeUnknown) {
                    message.error = Some(code);
                }
            }
        }
        self.group_part_done(number);
    }

    fn group_part_done(&mut self, number: u64) {
        let Some(message) = self.group_messages.get_mut(&number) else { return };
        message.open -= 1;
        if message.open > 0 {
            return;
        }
        let Some(message) = self.group_messages.remove(&number) else { return };
        let GroupMessage { asker, group, delivered, stored, refused, withheld, error, .. } = message;
        let nobody = delivered == 0 && stored == 0;
        // Of whom it is unknown, no count can tell.
        if let Some(code) = error.filter(|code| nobody || *code == Code::OutcomeUnknown) {
            return self.fail(&asker, None, code, "message group");
        }
        if nobody && withheld {
            return self.fail(&asker, None, Code::Blocked, "message group");
        }
        let outcome = Outcome::Group { delivered, stored, refused, withheld };
        if stored > 0 {
            self.persist_settled(&asker, outcome);
        }
        self.answer(
            &asker,
            None,
            outcome,
            Answer::MessageGroup {
                group: group.as_str(),
                delivered: u64::from(delivered),
                stored: u64::from(stored),
                refused: u64::from(refused),
                withheld,
            },
        );
    }

    /// What a record says of a group, or what it was before one that was refused.
    pub(super) fn set_group(&mut self, name: &Name, members: Option<Vec<UserId>>) {
        let before = self.groups.remove(name).map_or_else(Vec::new, |group| group.members);
        if planted::is(Planted::RemovedStays)
            && members.as_ref().is_some_and(|members| members.len() < before.len())
        {
            self.groups.insert(name.clone(), Group { members: before });
            return;
        }
        for user in before {
            self.accounts[user].groups.retain(|group| group != name);
        }
        let Some(members) = members.filter(|members| !members.is_empty()) else { return };
        for &user in &members {
            let groups = &mut self.accounts[user].groups;
            if let Err(at) = groups.binary_search(name) {
                groups.insert(at, name.clone());
            }
        }
        self.groups.insert(name.clone(), Group { members });
    }

    /// An account goes: so do its memberships.
    pub(super) fn leave_all_groups(&mut self, user: UserId) {
        for name in self.accounts[user].groups.clone() {
            let members: Vec<UserId> = self.groups.get(&name).map_or_else(Vec::new, |group| {
                group.members.iter().copied().filter(|&member| member != user).collect()
            });
            let record = self.group_record(name, &members);
            self.persist_firm(record, Then::Nothing);
        }
    }
}
