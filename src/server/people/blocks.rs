//! `block` and `unblock`, and the one place that decides whether one user may reach another.

use alloc::vec::Vec;

use super::{introductions, relays};
use crate::planted::{self, Planted};
use crate::record::{Change, Outcome};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::answers::{self, Asker, another};
use crate::server::papers::lane::{Subject, Subjects};
use crate::server::wishes::Decision;
use crate::wire::{Answer, Code, CommandKind, ServerLine};
use crate::words::Name;

/// Whether something of one user may come to another. Every path on which it could asks here.
pub(in crate::server) fn may_reach(server: &ServerState, from: UserId, to: UserId) -> bool {
    let mutual = server.settings.block_mutual && !planted::is(Planted::MutualIgnored);
    let mutual = mutual || planted::is(Planted::BlockMutual);
    !(has_blocked(server, to, from) || mutual && has_blocked(server, from, to))
}

/// Whether a user has blocked another: this alone decides who sees that they are online.
pub(in crate::server) fn has_blocked(server: &ServerState, by: UserId, user: UserId) -> bool {
    server.accounts[by].ties.blocks.binary_search(&user).is_ok()
}

/// Users who have blocked a user.
pub(in crate::server) fn blockers_of(server: &ServerState, user: UserId) -> &[UserId] {
    &server.accounts[user].ties.blocked_by
}

/// What a change of a block reads and writes.
pub(in crate::server) fn subjects(server: &ServerState, asker: &Asker, user: &str) -> Subjects {
    let by = Subject::Account(server.accounts.name(asker.user).clone());
    match server.accounts.find(user) {
        None => Subjects { reads: Vec::from([by]), writes: Vec::new() },
        Some(user) => Subjects {
            reads: Vec::from([by, Subject::Account(server.accounts.name(user).clone())]),
            writes: Vec::from([Subject::Pair(asker.user, user)]),
        },
    }
}

/// Decides a `block` or `unblock` whose turn has come.
pub(in crate::server) fn decide(server: &mut ServerState, asker: &Asker, user: &str) -> Decision {
    let user = match another(server, asker, user) {
        _ if server.accounts[asker.user].is_leaving() && !planted::is(Planted::RemovedMayChange) => {
            Err(Code::StorageUnavailable)
        }
        Ok(user) if server.accounts[user].is_leaving() => Err(Code::UnknownUser),
        found => found,
    };
    let user = match user {
        Ok(user) => user,
        Err(code) => {
            answers::fail(server, asker, code);
            return Decision::Answered;
        }
    };
    let blocks = asker.kind == CommandKind::Block;
    if has_blocked(server, asker.user, user) == blocks {
        already_so(server, asker, user);
        return Decision::Answered;
    }
    let (by, user) = (server.accounts.name(asker.user).clone(), server.accounts.name(user).clone());
    let change = if blocks { Change::Blocked { by, user } } else { Change::Unblocked { by, user } };
    Decision::Change { change, concerned: Vec::new() }
}

fn already_so(server: &mut ServerState, asker: &Asker, user: UserId) {
    if server.settings.strict_block && !planted::is(Planted::StrictBlockIgnored) {
        let blocks = asker.kind == CommandKind::Block;
        let code = if blocks { Code::AlreadyBlocked } else { Code::NotBlocked };
        answers::fail(server, asker, code);
    } else {
        answer(server, asker, user);
    }
}

fn answer(server: &mut ServerState, asker: &Asker, user: UserId) {
    let name = server.accounts.name(user).clone();
    let user = name.as_str();
    let blocks = asker.kind == CommandKind::Block;
    let answer = if blocks { Answer::Block { user } } else { Answer::Unblock { user } };
    answers::answer(server, asker, Outcome::Done, answer);
}

/// The change is durable and applied: answers its command, and ends what a block ends. Returns the other
/// user, if the account is still there.
pub(in crate::server) fn has_changed(server: &mut ServerState, asker: &Asker, user: &str) -> Option<UserId> {
    let user = server.accounts.find(user)?;
    answer(server, asker, user);
    if asker.kind == CommandKind::Block {
        introductions::end_blocked(server, user, asker.user);
        relays::end_blocked(server, user, asker.user);
        if planted::is(Planted::BlockEndsOwnRequest) {
            introductions::end_blocked(server, asker.user, user);
        }
        if server.settings.block_ends_private || planted::is(Planted::BlockEndsPrivate) {
            end_private_link(server, asker, user);
        }
    }
    Some(user)
}

/// `block_ends_private`: the blocker's client closes the link that may stand.
fn end_private_link(server: &mut ServerState, asker: &Asker, user: UserId) {
    let name = server.accounts.name(user).clone();
    if let Some(link) = answers::asker_link(server, asker) {
        server.out.send(link, &ServerLine::EndPrivate { user: name.as_str() });
    }
}

/// Applies a record: names that nobody has are skipped.
pub(in crate::server) fn apply(server: &mut ServerState, by: &Name, user: &Name, blocks: bool) {
    let ids = (server.accounts.find(by.as_str()), server.accounts.find(user.as_str()));
    if let (Some(by), Some(user)) = ids {
        set(&mut server.accounts[by].ties.blocks, user, blocks);
        set(&mut server.accounts[user].ties.blocked_by, by, blocks);
    }
}

/// Takes a user out of all blocks.
pub(in crate::server) fn forget(server: &mut ServerState, user: UserId) {
    for other in core::mem::take(&mut server.accounts[user].ties.blocks) {
        set(&mut server.accounts[other].ties.blocked_by, user, false);
    }
    for other in core::mem::take(&mut server.accounts[user].ties.blocked_by) {
        set(&mut server.accounts[other].ties.blocks, user, false);
    }
}

fn set(users: &mut Vec<UserId>, user: UserId, is_in: bool) {
    match (users.binary_search(&user), is_in) {
        (Err(at), true) => users.insert(at, user),
        (Ok(at), false) => {
            users.remove(at);
        }
        (Ok(_), true) | (Err(_), false) => {}
    }
}

#[cfg(feature = "sim")]
/// The names of those whom a user has blocked, in order.
pub(in crate::server) fn blocked_by(server: &ServerState, user: UserId) -> Vec<Name> {
    let blocks = server.accounts[user].ties.blocks.iter();
    let mut names: Vec<Name> = blocks.map(|other| server.accounts.name(*other).clone()).collect();
    names.sort_unstable();
    names
}
