//! What records do to the state: while serving, once they are durable, and at the start.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::ServerState;
use super::people::{blocks, groups, history, introductions, presence};
use super::post::{self, storing};
use super::{announcements, door, restraints};
use crate::planted::{self, Planted};
use crate::record::{AfterEnd, Change, Fact, Record, Recovery, Suspect};
use crate::time::Time;
use crate::words::{Credential, Name};

/// What a record does to the state. Total: names that nobody has are skipped.
pub(super) fn apply(server: &mut ServerState, record: &Record) {
    match record {
        Record::Fact(fact) => apply_fact(server, fact),
        Record::Change(change) => apply_change(server, change),
        Record::MailStored { to, mail } => storing::apply(server, to, mail),
        Record::Settled { user, origin, outcome, words } => {
            if let Some(user) = server.accounts.find(user.as_str())
                && server.accounts[user].login == origin.login
            {
                server.accounts[user].ledger.settle(origin.number, *outcome, *words);
            }
        }
        Record::Sent { user, number, outcome, words, until } => {
            if let Some(user) = server.accounts.find(user.as_str()) {
                server.accounts[user].sends.apply(*number, *outcome, *words, *until);
            }
        }
    }
}

fn apply_change(server: &mut ServerState, change: &Change) {
    match change {
        // What the operator has written meanwhile stays, as it does in the file.
        Change::AccountAdded { name, .. } if server.accounts.find_open(name.as_str()).is_some() => {}
        Change::AccountAdded { name, credential } => door::open_account(server, name, credential.clone()),
        Change::AccountRemoved { name } => purge(server, name),
        Change::Blocked { by, user } => blocks::apply(server, by, user, true),
        Change::Unblocked { by, user } => blocks::apply(server, by, user, false),
        Change::GroupSet { group, members, maker } => groups::apply(server, group, members, maker.as_ref()),
        Change::GroupRemoved { group } => groups::apply(server, group, &[], None),
        Change::Restrained { user, how, until } => restraints::apply(server, user, *how, *until),
        Change::RangeBanned { range, until } => door::apply_range(server, *range, *until),
        Change::Announced { announcement } => announcements::apply(server, announcement),
        Change::AnnouncementWithdrawn { number } => announcements::apply_withdrawal(server, *number),
        Change::InviteMade { code, invite } => door::apply_invite(server, *code, Some(invite)),
        Change::InviteRevoked { code } => door::apply_invite(server, *code, None),
    }
}

/// Everything of an account goes, and its name and place are free. What it has sent to others stays.
fn purge(server: &mut ServerState, name: &Name) {
    let Some(user) = server.accounts.find(name.as_str()) else { return };
    // Those whom the user has blocked hear nothing of it.
    presence::forget(server, user);
    post::forget(server, user);
    history::forget(server, user);
    blocks::forget(server, user);
    groups::forget(server, user);
    door::forget_account(server, user);
    introductions::forget(server, user);
    server.accounts.remove(user);
}

/// Applies a fact of an earlier run. While serving, facts are applied where they are decided.
fn apply_fact(server: &mut ServerState, fact: &Fact) {
    match fact {
        Fact::Failures { suspect, count, locked_until, since_login } => {
            door::apply_failures(server, suspect, *count, *locked_until, *since_login);
        }
        Fact::Device { user, device, standing } => {
            if let Some(user) = server.accounts.find(user.as_str()) {
                door::apply_device(server, user, *device, *standing);
            }
        }
        Fact::Courier { user, token, until } => {
            if let Some(user) = server.accounts.find(user.as_str()) {
                server.accounts[user].couriers.apply(*token, *until);
            }
        }
        Fact::SessionBegan { user, login, token, at } => {
            if let Some(user) = server.accounts.find(user.as_str()) {
                history::session_began(server, user, *at);
                let account = &mut server.accounts[user];
                (account.login, account.token) = (*login, *token);
            }
        }
        Fact::SessionEnded { user, after, at } => {
            if let Some(user) = server.accounts.find(user.as_str()) {
                history::session_ended(server, user, *at);
                if *after == AfterEnd::Nothing {
                    server.accounts[user].token = None;
                    server.accounts[user].ledger.clear();
                }
            }
        }
        Fact::Heard { user, upto } => {
            if let Some(user) = server.accounts.find(user.as_str()) {
                announcements::apply_heard(server, user, *upto);
            }
        }
        Fact::InviteUsed { code, left } => door::apply_use(server, *code, *left),
        Fact::MailExpired { user, untold, .. } => {
            if let Some(user) = server.accounts.find(user.as_str()) {
                server.accounts[user].inbox.set_untold(*untold);
            }
        }
        Fact::SessionForgotten { user } => {
            if let Some(user) = server.accounts.find(user.as_str()) {
                history::forget(server, user);
            }
        }
        // The store counts mail for itself.
        Fact::MailRemoved { .. } => {}
    }
}

/// Takes up where an earlier run left off.
pub(super) fn recover(server: &mut ServerState, accounts: Vec<(Name, Credential)>, recovery: Recovery) {
    for (name, credential) in accounts {
        server.accounts.insert(&name, credential);
    }
    let mut gone: BTreeSet<Name> = BTreeSet::new();
    // Names with an account take their places first, in the order of the names (R50).
    let mut counted: Vec<&Record> =
        recovery.records.iter().filter(|record| of_name(record).is_some()).collect();
    counted.sort_by_key(|record| of_name(record));
    let others = recovery.records.iter().filter(|record| of_name(record).is_none());
    for record in counted.into_iter().chain(others) {
        for name in remembered_of(record) {
            if server.accounts.find(name.as_str()).is_none() {
                gone.insert(name.clone());
            }
        }
        apply(server, record);
    }
    let held = held_sessions(&recovery.records);
    for summary in &recovery.mail {
        match server.accounts.find(summary.to.as_str()) {
            Some(to) => storing::apply_found(server, to, summary),
            None => {
                gone.insert(summary.to.clone());
            }
        }
    }
    let crash = if planted::is(Planted::CrashEndAtStart) { server.now } else { recovery.last_written };
    end_sessions_of_the_crash(server, crash);
    door::take_up_held(server, held);
    door::forget_too_many(server);
    for name in gone {
        door::note_unknown(server, &name);
    }
    door::begin_purges(server);
}

/// Whose sessions a restart has held, and since when.
fn held_sessions(records: &[Record]) -> BTreeMap<Name, Time> {
    let mut held = BTreeMap::new();
    for record in records {
        match record {
            Record::Fact(Fact::SessionEnded { user, after: AfterEnd::Held, at }) => {
                held.insert(user.clone(), *at);
            }
            Record::Fact(Fact::SessionBegan { user, .. } | Fact::SessionEnded { user, .. }) => {
                held.remove(user);
            }
            Record::Fact(_)
            | Record::Change(_)
            | Record::MailStored { .. }
            | Record::Settled { .. }
            | Record::Sent { .. } => {}
        }
    }
    held
}

/// Of which account's name a record counts failures, if it does.
const fn of_name(record: &Record) -> Option<&Name> {
    match record {
        Record::Fact(Fact::Failures { suspect: Suspect::Account(name), .. }) => Some(name),
        Record::Fact(_)
        | Record::Change(_)
        | Record::MailStored { .. }
        | Record::Settled { .. }
        | Record::Sent { .. } => None,
    }
}

/// The accounts that the store remembers something of, by a record that says so.
fn remembered_of(record: &Record) -> Vec<&Name> {
    match record {
        Record::Fact(
            Fact::Failures { suspect: Suspect::Account(name), .. }
            | Fact::Device { user: name, .. }
            | Fact::Courier { user: name, .. }
            | Fact::SessionBegan { user: name, .. }
            | Fact::SessionEnded { user: name, .. }
            | Fact::Heard { user: name, .. }
            | Fact::MailExpired { user: name, .. }
            | Fact::SessionForgotten { user: name },
        )
        | Record::Sent { user: name, .. } => Vec::from([name]),
        Record::Change(Change::Blocked { by, user } | Change::Unblocked { by, user }) => {
            Vec::from([by, user])
        }
        Record::Change(Change::Restrained { user, .. }) => Vec::from([user]),
        Record::Change(Change::GroupSet { members, maker, .. }) => {
            members.iter().chain(maker.as_ref().map(|maker| &maker.name)).collect()
        }
        Record::Fact(
            Fact::Failures { suspect: Suspect::Unknown(_), .. }
            | Fact::MailRemoved { .. }
            | Fact::InviteUsed { .. },
        )
        | Record::Change(
            Change::AccountAdded { .. }
            | Change::AccountRemoved { .. }
            | Change::GroupRemoved { .. }
            | Change::RangeBanned { .. }
            | Change::Announced { .. }
            | Change::AnnouncementWithdrawn { .. }
            | Change::InviteMade { .. }
            | Change::InviteRevoked { .. },
        )
        | Record::MailStored { .. }
        | Record::Settled { .. } => Vec::new(),
    }
}

/// A session that was open at a crash ended at the crash.
fn end_sessions_of_the_crash(server: &mut ServerState, at: Time) {
    for user in history::open_sessions(server) {
        let name = server.accounts.name(user).clone();
        let after = if planted::is(Planted::CrashEndsToken) { AfterEnd::Nothing } else { AfterEnd::Resume };
        let ended = Fact::SessionEnded { user: name, after, at };
        apply_fact(server, &ended);
        if !planted::is(Planted::CrashEndNotWritten) {
            let ServerState { papers, out, .. } = server;
            papers.persist_fact(out, ended);
        }
    }
}
