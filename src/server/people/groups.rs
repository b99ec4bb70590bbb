//! Groups: made and changed by their members.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{blocks, presence};
use crate::planted::{self, Planted};
use crate::record::{Change, Outcome};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::answers::{self, Asker};
use crate::server::out::word_lines;
use crate::server::papers::lane::{GroupChange, Subject, Subjects};
use crate::server::session;
use crate::server::wishes::Decision;
use crate::wire::{Answer, Code, ServerLine, Words};
use crate::words::look_alike::{is_fit, skeleton};
use crate::words::{LinkId, Name};

/// A group. The longest-standing member comes first and is the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    members: Vec<UserId>,
}

/// The members that a group is to have; none: the group is to be no more.
type Members = Vec<UserId>;

/// What a change of a group reads and writes.
pub(in crate::server) fn subjects(
    server: &ServerState,
    asker: &Asker,
    change: &GroupChange,
    group: &str,
) -> Subjects {
    let mut subjects = Subjects::default();
    let (users, joins, makes) = match change {
        GroupChange::Create(users) => (&users[..], true, true),
        GroupChange::Add(user) => (core::slice::from_ref(user), true, false),
        GroupChange::Remove(user) => (core::slice::from_ref(user), false, false),
        GroupChange::Leave | GroupChange::Delete => (&[][..], false, false),
    };
    let named: Vec<UserId> = users.iter().filter_map(|user| server.accounts.find(user)).collect();
    subjects.reads.push(Subject::Account(server.accounts.name(asker.user).clone()));
    let name = |user: &UserId| Subject::Account(server.accounts.name(*user).clone());
    subjects.reads.extend(named.iter().map(name));
    if let Ok(group) = Name::new(group) {
        let members = server.people.groups.get(&group).map_or(&[][..], |group| &group.members);
        // The record names them all.
        subjects.reads.extend(members.iter().map(name));
        if makes || matches!(change, GroupChange::Leave | GroupChange::Delete) {
            subjects.writes.push(Subject::GroupLook(skeleton(group.as_str())));
        }
        subjects.writes.push(Subject::Group(group));
    }
    if joins {
        let joining = named.iter().copied().chain(makes.then_some(asker.user));
        let joining: BTreeSet<UserId> = joining.collect();
        subjects.reads.extend(named.iter().map(|user| Subject::Pair(*user, asker.user)));
        subjects.reads.extend(named.iter().map(|user| Subject::Pair(asker.user, *user)));
        subjects.writes.extend(joining.into_iter().map(Subject::Memberships));
    }
    subjects
}

/// Decides a change of a group whose turn has come.
pub(in crate::server) fn decide(
    server: &mut ServerState,
    asker: &Asker,
    change: &GroupChange,
    group: &str,
) -> Decision {
    let decided = match change {
        _ if server.accounts[asker.user].is_leaving() && !planted::is(Planted::RemovedMayChange) => {
            Err(Code::StorageUnavailable)
        }
        GroupChange::Create(users) => created(server, asker, group, users),
        GroupChange::Add(user) => with_member(server, asker, group, user),
        GroupChange::Remove(user) => without_member(server, asker, group, user),
        GroupChange::Leave => without_asker(server, asker, group),
        GroupChange::Delete => owned(server, asker, group).map(|(name, _)| Some((name, Vec::new()))),
    };
    match decided {
        Ok(Some((group, members))) => {
            let before = members_of(server, &group).into_iter();
            let before = before.filter(|_| !planted::is(Planted::RemovedNotTold));
            let concerned = before.chain(members.iter().copied());
            let concerned: BTreeSet<UserId> = concerned.collect();
            let change = record(server, group, &members);
            Decision::Change { change, concerned: concerned.into_iter().collect() }
        }
        Ok(None) => {
            // The user is a member already: nothing changes and nobody is told.
            answer(server, asker, change, group);
            Decision::Answered
        }
        Err(code) => {
            answers::fail(server, asker, code);
            Decision::Answered
        }
    }
}

fn created(
    server: &ServerState,
    asker: &Asker,
    group: &str,
    users: &[Box<str>],
) -> Result<Option<(Name, Members)>, Code> {
    let group = Name::new(group).map_err(|_| Code::BadName)?;
    if server.people.groups.contains_key(&group) && !planted::is(Planted::CreateReplaces) {
        return Err(Code::GroupExists);
    }
    let alike = server.people.group_looks.contains_key(&skeleton(group.as_str()));
    if !is_fit(group.as_str()) || alike && !planted::is(Planted::LookAlikesIgnored) {
        return Err(Code::BadName);
    }
    let mut members = Vec::from([asker.user]);
    let mut known: BTreeSet<UserId> = members.iter().copied().collect();
    for word in users {
        let user = server.accounts.find_open(word).ok_or(Code::UnknownUser)?;
        if known.insert(user) {
            members.push(user);
        }
    }
    check_limits(server, &members, &members)?;
    let barred = |user: &UserId| *user != asker.user && !blocks::may_reach(server, asker.user, *user);
    if members.iter().any(barred) && !planted::is(Planted::BlockerMayBeAdded) {
        return Err(Code::Blocked);
    }
    if planted::is(Planted::CreatorNotOwner) {
        members.rotate_left(1);
    }
    Ok(Some((group, members)))
}

/// `joining` are those who would be in one group more.
fn check_limits(server: &ServerState, members: &[UserId], joining: &[UserId]) -> Result<(), Code> {
    let within = |limit: u32, count: usize| limit == 0 || count <= limit as usize;
    let limit = server.settings.groups_per_user;
    let limit = if planted::is(Planted::GroupLimitOnlyCreator) && joining.len() == 1 { 0 } else { limit };
    let joins = |user: &UserId| within(limit, server.accounts[*user].ties.groups.len() + 1);
    let more = usize::from(planted::is(Planted::MembersLimitOneMore));
    let fits = within(server.settings.members_per_group, members.len() - more) && joining.iter().all(joins);
    if fits { Ok(()) } else { Err(Code::Limit) }
}

fn with_member(
    server: &ServerState,
    asker: &Asker,
    group: &str,
    user: &str,
) -> Result<Option<(Name, Members)>, Code> {
    let any = planted::is(Planted::MemberMayAdd);
    let (name, group) = if any { of_asker(server, asker, group)? } else { owned(server, asker, group)? };
    let user = server.accounts.find_open(user).ok_or(Code::UnknownUser)?;
    if group.members.contains(&user) {
        let again = Some((name, group.members.clone())).filter(|_| planted::is(Planted::AddAgainTold));
        return Ok(again);
    }
    let mut members = group.members.clone();
    members.push(user);
    check_limits(server, &members, &[user])?;
    if !blocks::may_reach(server, asker.user, user) && !planted::is(Planted::BlockerMayBeAdded) {
        return Err(Code::Blocked);
    }
    Ok(Some((name, members)))
}

fn without_member(
    server: &ServerState,
    asker: &Asker,
    group: &str,
    user: &str,
) -> Result<Option<(Name, Members)>, Code> {
    let (name, group) = owned(server, asker, group)?;
    let user = match server.accounts.find_open(user) {
        Some(user) if user == asker.user => return Err(Code::Oneself),
        user => user.ok_or(Code::UnknownUser)?,
    };
    if !group.members.contains(&user) {
        return if planted::is(Planted::RemoveOfNobody) { Ok(None) } else { Err(Code::NotMember) };
    }
    let mut rest = without(group, user);
    if planted::is(Planted::RemoveTakesTwo) {
        rest.truncate(rest.len().saturating_sub(1).max(1));
    }
    Ok(Some((name, rest)))
}

fn without_asker(server: &ServerState, asker: &Asker, group: &str) -> Result<Option<(Name, Members)>, Code> {
    let (name, group) = of_asker(server, asker, group)?;
    let mut rest = without(group, asker.user);
    if group.members.first() == Some(&asker.user) {
        if planted::is(Planted::GroupDiesWithOwner) {
            rest.clear();
        }
        if planted::is(Planted::NewestSucceeds) && !rest.is_empty() {
            rest.rotate_right(1);
        }
    }
    Ok(Some((name, rest)))
}

fn without(group: &Group, user: UserId) -> Members {
    if planted::is(Planted::RemovedStays) {
        return group.members.clone();
    }
    group.members.iter().copied().filter(|&member| member != user).collect()
}

/// The group, if the asker is in it. That it exists stays private to its members.
fn of_asker<'a>(server: &'a ServerState, asker: &Asker, group: &str) -> Result<(Name, &'a Group), Code> {
    let found = server.people.groups.get_key_value(group);
    let found = found
        .filter(|(_, group)| group.members.contains(&asker.user) || planted::is(Planted::GroupOpenToAll));
    found.map(|(name, group)| (name.clone(), group)).ok_or(Code::UnknownGroup)
}

fn owned<'a>(server: &'a ServerState, asker: &Asker, group: &str) -> Result<(Name, &'a Group), Code> {
    let (name, group) = of_asker(server, asker, group)?;
    if group.members.first() == Some(&asker.user) { Ok((name, group)) } else { Err(Code::NotOwner) }
}

/// The group and its members, if the asker is one of them.
pub(in crate::server) fn members_for(
    server: &ServerState,
    asker: &Asker,
    group: &str,
) -> Result<(Name, Members), Code> {
    of_asker(server, asker, group).map(|(name, group)| (name, group.members.clone()))
}

fn record(server: &ServerState, group: Name, members: &[UserId]) -> Change {
    if members.is_empty() {
        return Change::GroupRemoved { group };
    }
    let members = members.iter().map(|&user| server.accounts.name(user).clone()).collect();
    Change::GroupSet { group, members }
}

/// The change is durable and applied: answers its command, and tells those whom it concerns.
pub(in crate::server) fn has_changed(
    server: &mut ServerState,
    asker: &Asker,
    change: &GroupChange,
    group: &str,
    concerned: &[UserId],
) {
    let Ok(name) = Name::new(group) else { unreachable!("a group that changed has a name") };
    let lines = member_lines(server, asker.number, &name);
    answer_after(server, asker, change, group, lines);
    let told = concerned.iter().filter(|user| **user != asker.user);
    let links: Vec<LinkId> = told.filter_map(|user| server.accounts[*user].link()).collect();
    presence::reveal(server, asker.user);
    let mut lines = member_lines(server, None, &name);
    let by = server.accounts.name(asker.user).as_str();
    ServerLine::Changed { group, by }.encode(&mut lines);
    let written = server.out.write(|out| out.extend_from_slice(&lines));
    let told = links.into_iter().filter(|link| server.out.offer(*link, written)).count();
    let cost = told as u64 * session::units_for(lines.len());
    session::charge(server, asker.user, if planted::is(Planted::NoticesAreFree) { 0 } else { cost });
}

/// Answers a command about a group that changes nothing, because it is so already or was done before: its
/// members are for members only.
pub(in crate::server) fn answer(server: &mut ServerState, asker: &Asker, change: &GroupChange, group: &str) {
    let lines = match of_asker(server, asker, group) {
        Ok((name, _)) => member_lines(server, asker.number, &name),
        Err(_) => Vec::new(),
    };
    answer_after(server, asker, change, group, lines);
}

fn answer_after(
    server: &mut ServerState,
    asker: &Asker,
    change: &GroupChange,
    group: &str,
    mut lines: Vec<u8>,
) {
    let answer = match change {
        GroupChange::Create(_) => Answer::CreateGroup { group },
        GroupChange::Add(_) => Answer::AddToGroup { group },
        GroupChange::Remove(_) => Answer::RemoveFromGroup { group },
        GroupChange::Leave => Answer::LeaveGroup { group },
        GroupChange::Delete => Answer::DeleteGroup { group },
    };
    session::charge(server, asker.user, session::units_for(lines.len()));
    ServerLine::Done { number: asker.number, answer }.encode(&mut lines);
    let written = server.out.write(|out| out.extend_from_slice(&lines));
    answers::answer_written(server, asker, Outcome::Done, written);
}

fn members_of(server: &ServerState, group: &Name) -> Members {
    server.people.groups.get(group).map_or_else(Vec::new, |group| group.members.clone())
}

/// The `members` lines of a group; none if it is no more.
fn member_lines(server: &ServerState, number: Option<u64>, group: &Name) -> Vec<u8> {
    let mut lines = Vec::new();
    for line in word_lines(&server.accounts.sorted_names(&members_of(server, group))) {
        let Some(members) = Words::new(&line) else { unreachable!("names hold no line feed") };
        ServerLine::Members { number, group: group.as_str(), members }.encode(&mut lines);
    }
    lines
}

pub(in crate::server) fn group_list(server: &mut ServerState, asker: &Asker) {
    let owns = |group: &&Name| {
        let members = server.people.groups.get(*group).map(|group| &group.members);
        members.is_some_and(|members| members.first() == Some(&asker.user))
    };
    let shown = |group: &&Name| !planted::is(Planted::GroupListOwnedOnly) || owns(group);
    let groups: Vec<&Name> = server.accounts[asker.user].ties.groups.iter().filter(shown).collect();
    let names: usize = groups.iter().map(|group| members_of(server, group).len()).sum();
    let mut lines: Vec<u8> =
        groups.iter().flat_map(|group| member_lines(server, asker.number, group)).collect();
    let answer = Answer::GroupList { count: groups.len() as u64 };
    session::charge(server, asker.user, names as u64);
    ServerLine::Done { number: asker.number, answer }.encode(&mut lines);
    if let Some(link) = answers::asker_link(server, asker) {
        server.out.list(link, lines);
    }
}

/// Applies a record: a group has these members, of those that have an account; none: it is no more.
pub(in crate::server) fn apply(server: &mut ServerState, name: &Name, members: &[Name]) {
    let members: Vec<UserId> =
        members.iter().filter_map(|member| server.accounts.find(member.as_str())).collect();
    set(server, name, members);
}

fn set(server: &mut ServerState, name: &Name, members: Vec<UserId>) {
    let before = server.people.groups.remove(name).map_or_else(Vec::new, |group| group.members);
    count_look(server, name, !before.is_empty(), !members.is_empty());
    for user in before {
        server.accounts[user].ties.groups.retain(|group| group != name);
    }
    for &user in &members {
        let groups = &mut server.accounts[user].ties.groups;
        if let Err(at) = groups.binary_search(name) {
            groups.insert(at, name.clone());
        }
    }
    if !members.is_empty() {
        server.people.groups.insert(name.clone(), Group { members });
    }
}

/// Counts what the names of groups look like.
fn count_look(server: &mut ServerState, name: &Name, before: bool, after: bool) {
    if before == after {
        return;
    }
    let looks = &mut server.people.group_looks;
    let look = skeleton(name.as_str());
    let alike = looks.get(&look).copied().unwrap_or_default();
    match if after { alike + 1 } else { alike.saturating_sub(1) } {
        0 => looks.remove(&look),
        alike => looks.insert(look, alike),
    };
}

/// Takes a user out of all groups; one without a member left is no more.
pub(in crate::server) fn forget(server: &mut ServerState, user: UserId) {
    for name in server.accounts[user].ties.groups.clone() {
        let members = members_of(server, &name).into_iter().filter(|&member| member != user).collect();
        set(server, &name, members);
    }
}

#[cfg(feature = "sim")]
/// All groups and their members.
pub(in crate::server) fn all(server: &ServerState) -> Vec<(Name, Vec<Name>)> {
    let name = |user: &UserId| server.accounts.name(*user).clone();
    let groups = server.people.groups.iter();
    groups.map(|(group, Group { members })| (group.clone(), members.iter().map(name).collect())).collect()
}

#[cfg(feature = "sim")]
/// The groups that a user is in.
pub(in crate::server) fn of(server: &ServerState, user: UserId) -> Vec<Name> {
    server.accounts[user].ties.groups.clone()
}
