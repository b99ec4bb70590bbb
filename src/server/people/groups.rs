//! Groups: made and changed by their members.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use super::{blocks, presence};
use crate::planted::{self, Planted};
use crate::record::{Change, Maker, Outcome};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::answers::{self, Asker};
use crate::server::out::word_lines;
use crate::server::papers::lane::{GroupChange, Subject, Subjects};
use crate::server::session;
use crate::server::wishes::Decision;
use crate::time::Time;
use crate::wire::{Answer, Code, ServerLine, Words};
use crate::words::look_alike::{is_fit, looks};
use crate::words::{LinkId, Name};

/// A group. The longest-standing member comes first and is the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    members: Vec<UserId>,
    /// Whom it counts for, unless their account is purged; and when they left it.
    maker: Option<UserId>,
    left_at: Option<Time>,
}

/// For so long a group counts for a maker who has left it.
const COUNTS_FOR: Duration = Duration::from_secs(30 * 86_400);

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
    let (users, joins) = match change {
        GroupChange::Create(users) => (&users[..], true),
        GroupChange::Add(user) => (core::slice::from_ref(user), true),
        GroupChange::Remove(user) => (core::slice::from_ref(user), false),
        GroupChange::Leave | GroupChange::Delete => (&[][..], false),
    };
    let named: Vec<UserId> = users.iter().filter_map(|user| server.accounts.find(user)).collect();
    subjects.reads.push(Subject::Account(server.accounts.name(asker.user).clone()));
    let name = |user: &UserId| Subject::Account(server.accounts.name(*user).clone());
    subjects.reads.extend(named.iter().map(name));
    if let Ok(group) = Name::new(group) {
        // The record names them all.
        if let Some(Group { members, maker, .. }) = server.people.groups.get(&group) {
            subjects.reads.extend(members.iter().chain(maker).map(name));
        }
        if matches!(change, GroupChange::Create(_) | GroupChange::Leave | GroupChange::Delete) {
            subjects.writes.extend(looks(group.as_str()).into_iter().map(Subject::GroupLook));
        }
        subjects.writes.push(Subject::Group(group));
    }
    if joins {
        subjects.reads.extend(named.iter().map(|user| Subject::Pair(*user, asker.user)));
        subjects.reads.extend(named.iter().map(|user| Subject::Pair(asker.user, *user)));
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
            let change = record(server, asker.user, group, &members);
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
    let alike = server.people.group_looks.have_alike(group.as_str());
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
    let made = groups_that_count(server, asker.user);
    let limit = server.settings.groups_per_user;
    if limit > 0 && made >= limit as usize {
        return Err(Code::Limit);
    }
    check_size(server, &members)?;
    let barred = |user: &UserId| *user != asker.user && !blocks::may_reach(server, asker.user, *user);
    if members.iter().any(barred) && !planted::is(Planted::BlockerMayBeAdded) {
        return Err(Code::Blocked);
    }
    if planted::is(Planted::CreatorNotOwner) {
        members.rotate_left(1);
    }
    Ok(Some((group, members)))
}

/// How many groups a user has made that count: those they are in, and those they left not long ago.
fn groups_that_count(server: &ServerState, user: UserId) -> usize {
    let counts = |group: &&Name| {
        let left_at = server.people.groups.get(*group).and_then(|group| group.left_at);
        left_at
            .is_none_or(|left_at| left_at + COUNTS_FOR > server.now && !planted::is(Planted::LeftGroupIsFree))
    };
    server.accounts[user].ties.made.iter().filter(counts).count()
}

fn check_size(server: &ServerState, members: &[UserId]) -> Result<(), Code> {
    let limit = server.settings.members_per_group as usize;
    let more = usize::from(planted::is(Planted::MembersLimitOneMore));
    if limit == 0 || members.len() - more <= limit { Ok(()) } else { Err(Code::Limit) }
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
    check_size(server, &members)?;
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

fn record(server: &ServerState, by: UserId, group: Name, members: &[UserId]) -> Change {
    if members.is_empty() {
        return Change::GroupRemoved { group };
    }
    let (maker, left_at) = match server.people.groups.get(&group) {
        None => (Some(by), None),
        Some(Group { maker, left_at, .. }) => (*maker, *left_at),
    };
    let maker = maker.map(|maker| {
        let left_at = (!members.contains(&maker)).then(|| left_at.unwrap_or(server.now));
        Maker { name: server.accounts.name(maker).clone(), left_at }
    });
    let members = members.iter().map(|&user| server.accounts.name(user).clone()).collect();
    Change::GroupSet { group, members, maker }
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
pub(in crate::server) fn apply(
    server: &mut ServerState,
    name: &Name,
    members: &[Name],
    maker: Option<&Maker>,
) {
    let find = |name: &Name| server.accounts.find(name.as_str());
    let members = members.iter().filter_map(find).collect();
    let left_at = maker.and_then(|maker| maker.left_at);
    let maker = maker.and_then(|maker| find(&maker.name));
    set(server, name, Group { members, maker, left_at });
}

fn set(server: &mut ServerState, name: &Name, group: Group) {
    let before = server.people.groups.remove(name);
    count_look(server, name, before.is_some(), !group.members.is_empty());
    if let Some(Group { members, maker, .. }) = before {
        for user in members {
            server.accounts[user].ties.groups.retain(|group| group != name);
        }
        if let Some(maker) = maker {
            server.accounts[maker].ties.made.retain(|group| group != name);
        }
    }
    if group.members.is_empty() {
        return;
    }
    for &user in &group.members {
        insert(&mut server.accounts[user].ties.groups, name);
    }
    if let Some(maker) = group.maker {
        insert(&mut server.accounts[maker].ties.made, name);
    }
    server.people.groups.insert(name.clone(), group);
}

/// Adds to a sorted list what is not in it.
fn insert(groups: &mut Vec<Name>, name: &Name) {
    if let Err(at) = groups.binary_search(name) {
        groups.insert(at, name.clone());
    }
}

/// Counts what the names of groups look like.
fn count_look(server: &mut ServerState, name: &Name, before: bool, after: bool) {
    if before == after {
        return;
    }
    let looks = &mut server.people.group_looks;
    if after { looks.insert(name.as_str()) } else { looks.remove(name.as_str()) }
}

/// Takes a user out of all groups, and no group counts for them; one without a member left is no more.
pub(in crate::server) fn forget(server: &mut ServerState, user: UserId) {
    let ties = &server.accounts[user].ties;
    let concerned: BTreeSet<Name> = ties.groups.iter().chain(&ties.made).cloned().collect();
    for name in concerned {
        let Some(mut group) = server.people.groups.get(&name).cloned() else { continue };
        group.members.retain(|member| *member != user);
        if group.maker == Some(user) {
            (group.maker, group.left_at) = (None, None);
        }
        set(server, &name, group);
    }
}

#[cfg(feature = "sim")]
/// All groups, their members, and whom they count for.
pub(in crate::server) fn all(server: &ServerState) -> Vec<(Name, Vec<Name>, Option<Maker>)> {
    let name = |user: &UserId| server.accounts.name(*user).clone();
    let all = |(group, Group { members, maker, left_at }): (&Name, &Group)| {
        let maker = maker.as_ref().map(|maker| Maker { name: name(maker), left_at: *left_at });
        (group.clone(), members.iter().map(name).collect(), maker)
    };
    server.people.groups.iter().map(all).collect()
}

#[cfg(feature = "sim")]
/// The groups that a user is in.
pub(in crate::server) fn of(server: &ServerState, user: UserId) -> Vec<Name> {
    server.accounts[user].ties.groups.clone()
}
