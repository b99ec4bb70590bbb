//! Groups: made and changed by their members, and messages to them (features 7, R31).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::answers::{Asker, reach_word};
use super::lane::{Decision, GroupChange};
use super::messages::{Letter, Tell};
use super::papers::Then;
use super::prices::units_of;
use super::{Server, User, later};
use crate::record::{Change, Maker, Outcome};
use crate::sim::cast::shared;
use crate::time::Time;
use crate::wire::{Code, Status};
use crate::words::look_alike::{are_alike, is_fit};
use crate::words::{LinkId, Name};

/// R54, in seconds.
const THIRTY_DAYS: u64 = 30 * 86_400;

/// A group message whose members are not all settled.
#[derive(Debug)]
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

impl Server {
    pub(super) fn set_group(&mut self, group: &Name, members: &[Name], maker: Option<&Maker>) {
        let members: Vec<User> = members.iter().filter_map(|name| self.find(name.as_str())).collect();
        self.groups.remove(group);
        self.makers.remove(group);
        let made_by = maker.and_then(|maker| Some((self.find(maker.name.as_str())?, maker.left_at)));
        if let Some(made_by) = made_by.filter(|_| !members.is_empty()) {
            self.makers.insert(group.clone(), made_by);
        }
        if !members.is_empty() {
            self.groups.insert(group.clone(), members);
        }
    }

    /// The group, if the user is in it: that it exists is private to its members.
    fn group_of(&self, user: User, group: &str) -> Result<(Name, Vec<User>), Code> {
        let found = self.groups.get_key_value(group).filter(|(_, members)| members.contains(&user));
        found.map(|(name, members)| (name.clone(), members.clone())).ok_or(Code::UnknownGroup)
    }

    /// The group, if the user owns it: the longest-standing member does.
    fn owned(&self, user: User, group: &str) -> Result<(Name, Vec<User>), Code> {
        let (name, members) = self.group_of(user, group)?;
        if members.first() == Some(&user) { Ok((name, members)) } else { Err(Code::NotOwner) }
    }

    fn check_size(&self, size: usize) -> Result<(), Code> {
        let limit = self.settings.members_per_group as usize;
        if limit > 0 && size > limit { Err(Code::Limit) } else { Ok(()) }
    }

    /// R54: groups that a user has made and is in, or left within 30 days.
    fn check_made(&self, user: User) -> Result<(), Code> {
        let counts = |(maker, left_at): &&(User, Option<Time>)| {
            *maker == user && left_at.is_none_or(|left_at| later(left_at, THIRTY_DAYS) > self.now)
        };
        let limit = self.settings.groups_per_user as usize;
        if limit > 0 && self.makers.values().filter(counts).count() >= limit {
            Err(Code::Limit)
        } else {
            Ok(())
        }
    }

    /// The members that a group is to have; `None`: it has them already.
    fn decided(
        &self,
        asker: &Asker,
        change: &GroupChange,
        group: &str,
    ) -> Result<Option<(Name, Vec<User>)>, Code> {
        let by = asker.user;
        if self.at(by).is_gone() {
            return Err(Code::StorageUnavailable);
        }
        match change {
            GroupChange::Create(users) => {
                let group = Name::new(group).map_err(|_| Code::BadName)?;
                if self.groups.contains_key(&group) {
                    return Err(Code::GroupExists);
                }
                let alike = |other: &Name| are_alike(other.as_str(), group.as_str());
                if !is_fit(group.as_str()) || self.groups.keys().any(alike) {
                    return Err(Code::BadName);
                }
                let mut members = Vec::from([by]);
                for word in users {
                    let user = self.find_open(word).ok_or(Code::UnknownUser)?;
                    if !members.contains(&user) {
                        members.push(user);
                    }
                }
                self.check_made(by)?;
                self.check_size(members.len())?;
                if members.iter().any(|user| *user != by && !self.may_reach(by, *user)) {
                    return Err(Code::Blocked);
                }
                Ok(Some((group, members)))
            }
            GroupChange::Add(user) => {
                let (group, mut members) = self.owned(by, group)?;
                let user = self.find_open(user).ok_or(Code::UnknownUser)?;
                if members.contains(&user) {
                    return Ok(None);
                }
                members.push(user);
                self.check_size(members.len())?;
                if self.may_reach(by, user) { Ok(Some((group, members))) } else { Err(Code::Blocked) }
            }
            GroupChange::Remove(user) => {
                let (group, mut members) = self.owned(by, group)?;
                let user = self.another(asker, user)?;
                if self.at(user).is_gone() {
                    return Err(Code::UnknownUser);
                }
                if !members.contains(&user) {
                    return Err(Code::NotMember);
                }
                members.retain(|member| *member != user);
                Ok(Some((group, members)))
            }
            GroupChange::Leave => {
                let (group, mut members) = self.group_of(by, group)?;
                members.retain(|member| *member != by);
                Ok(Some((group, members)))
            }
            GroupChange::Delete => Ok(Some((self.owned(by, group)?.0, Vec::new()))),
        }
    }

    pub(super) fn decide_group(&mut self, asker: &Asker, change: &GroupChange, group: &str) -> Decision {
        match self.decided(asker, change, group) {
            Ok(Some((group, members))) => {
                let before = self.groups.get(&group).cloned().unwrap_or_default();
                let concerned: BTreeSet<User> = before.into_iter().chain(members.iter().copied()).collect();
                let names: Vec<Name> = members.iter().map(|user| self.name(*user).clone()).collect();
                let change = match names.is_empty() {
                    true => Change::GroupRemoved { group },
                    false => {
                        let made_by = self.makers.get(&group).copied();
                        let is_new = !self.groups.contains_key(&group);
                        let maker =
                            made_by.or(is_new.then_some((asker.user, None))).map(|(user, left_at)| Maker {
                                name: self.name(user).clone(),
                                left_at: (!members.contains(&user)).then(|| left_at.unwrap_or(self.now)),
                            });
                        Change::GroupSet { group, members: names, maker }
                    }
                };
                Decision::Change(change, concerned)
            }
            Ok(None) => {
                self.answer_group(asker, group);
                Decision::Answered
            }
            Err(code) => {
                self.fail(asker, code);
                Decision::Answered
            }
        }
    }

    /// Answers a command about a group, with its members for those who are in it.
    pub(super) fn answer_group(&mut self, asker: &Asker, group: &str) {
        let lines = match self.group_of(asker.user, group) {
            Ok((name, _)) => self.member_lines(&asker.tag(), &name),
            Err(_) => Vec::new(),
        };
        self.charge(asker.user, units_of_lines(&lines));
        self.answer_after(asker, Outcome::Done, &lines, &format!("{} {group}", asker.name));
    }

    /// The change is durable: its answer, and the notices (R31).
    pub(super) fn group_changed(&mut self, asker: &Asker, group: &str, concerned: &[User]) {
        let Ok(name) = Name::new(group) else { return };
        let lines = self.member_lines(&asker.tag(), &name);
        self.charge(asker.user, units_of_lines(&lines));
        self.answer_after(asker, Outcome::Done, &lines, &format!("{} {group}", asker.name));
        self.will_be_heard_of(asker.user);
        let mut lines: Vec<String> = self.member_lines("", &name);
        lines.push(format!("changed {group} {}", self.name(asker.user)));
        let told = concerned.iter().filter(|user| **user != asker.user);
        let links: Vec<LinkId> = told.filter_map(|user| self.at(*user).link()).collect();
        for link in links {
            if self.notify(link, &lines) {
                self.charge(asker.user, units_of_lines(&lines));
            }
        }
    }

    pub(super) fn group_list(&mut self, asker: &Asker) {
        let of_asker = self.groups.iter().filter(|(_, members)| members.contains(&asker.user));
        let groups: Vec<Name> = of_asker.map(|(name, _)| name.clone()).collect();
        let names: usize = groups.iter().filter_map(|group| self.groups.get(group)).map(Vec::len).sum();
        self.charge(asker.user, names as u64);
        let lines = groups.iter().flat_map(|group| self.member_lines(&asker.tag(), group)).collect();
        self.answer_list(asker, lines, &format!("grouplist {}", groups.len()));
    }

    pub(super) fn message_group(&mut self, asker: &Asker, group: &str, text: &str) {
        let (group, members) = match self.group_of(asker.user, group) {
            Ok(found) => found,
            Err(code) => return self.fail(asker, code),
        };
        self.will_be_heard_of(asker.user);
        self.begin_message(asker);
        let number = self.next_serial();
        let message = GroupMessage {
            asker: asker.clone(),
            group: group.clone(),
            open: 1,
            delivered: 0,
            stored: 0,
            refused: 0,
            withheld: false,
            error: None,
        };
        self.group_messages.insert(number, message);
        let letter =
            Letter { from: asker.user, group: Some(group), origin: asker.origin(), text: shared(text) };
        for member in members.into_iter().filter(|member| *member != asker.user) {
            let open = self.may_reach(asker.user, member);
            let Some(message) = self.group_messages.get_mut(&number) else { return };
            if open {
                message.open += 1;
                self.charge(asker.user, units_of(text.len()));
                self.post(member, letter.clone(), Tell::Group(number));
            } else {
                message.withheld = true;
            }
        }
        self.part_done(number);
    }

    pub(super) fn member_settled(&mut self, number: u64, ending: Result<Status, Code>) {
        let Some(message) = self.group_messages.get_mut(&number) else { return };
        match ending {
            Ok(Status::Delivered) => message.delivered += 1,
            Ok(Status::Stored) => message.stored += 1,
            Err(Code::Blocked) => message.withheld = true,
            Err(code) => {
                message.refused += 1;
                if message.error != Some(Code::OutcomeUnknown) {
                    message.error = Some(code);
                }
            }
        }
        self.part_done(number);
    }

    fn part_done(&mut self, number: u64) {
        let Some(message) = self.group_messages.get_mut(&number) else { return };
        message.open -= 1;
        if message.open > 0 {
            return;
        }
        let Some(message) = self.group_messages.remove(&number) else { return };
        let GroupMessage { asker, group, delivered, stored, refused, withheld, error, .. } = message;
        let nobody = delivered == 0 && stored == 0;
        // Ruling 16: an error only if nobody got it, or where no count can tell.
        let error = error.filter(|code| nobody || *code == Code::OutcomeUnknown);
        if let Some(code) = error.or((nobody && withheld).then_some(Code::Blocked)) {
            self.fail(&asker, code);
            return self.end_message(&asker);
        }
        let outcome = Outcome::Group { delivered, stored, refused, withheld };
        if stored > 0 && asker.words.is_some() && asker.send.is_none() {
            let then = Then::GroupMessage { asker: asker.clone(), group, outcome };
            self.begin_unsettled(asker.user);
            self.persist_settled(None, Some(&asker), outcome, then);
        } else {
            self.answer_group_message(&asker, &group, outcome);
        }
    }

    pub(super) fn answer_group_message(&mut self, asker: &Asker, group: &Name, outcome: Outcome) {
        let Outcome::Group { delivered, stored, refused, withheld } = outcome else { return };
        let reach = reach_word(withheld);
        let answer = format!("message group {group} {delivered} {stored} {refused} {reach}");
        self.answer(asker, outcome, &answer);
        self.end_message(asker);
    }
}

/// What lines cost with their ends.
fn units_of_lines(lines: &[String]) -> u64 {
    units_of(lines.iter().map(|line| line.len() + 1).sum())
}
