//! What operators keep users from (R63).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::accounts::UserId;
use super::acts::NotDone;
use super::papers::lane::{Subject, Subjects, Wish};
use super::wishes::{self, Decision};
use super::{ServerState, door};
use crate::planted::{self, Planted};
use crate::record::{Change, Restraint};
use crate::time::Time;
use crate::wire::{Code, CommandKind};
use crate::words::{Name, Ticket};

/// Said of a restraint without end where names are never locked.
const LOCK_SECS: u64 = 60;

/// What a user is kept from, and until when; [`Time::MAX`]: without end. Some are over.
pub(super) type Restraints = BTreeMap<Restraint, Time>;

/// An operator wants a user restrained, or no more.
pub(super) fn submit(
    server: &mut ServerState,
    ticket: Ticket,
    user: &Name,
    how: Restraint,
    until: Option<Time>,
) {
    wishes::submit(server, Wish::Restrain { ticket, user: user.clone(), how, until });
}

/// Others may change the account meanwhile, but not remove it or restrain it.
pub(super) fn subjects(user: &Name) -> Subjects {
    let reads = Vec::from([Subject::Account(user.clone())]);
    Subjects { reads, writes: Vec::from([Subject::Restraints(user.clone())]) }
}

pub(super) fn decide(
    server: &mut ServerState,
    ticket: Ticket,
    name: &Name,
    how: Restraint,
    until: Option<Time>,
) -> Decision {
    let outcome = match server.accounts.find_open(name.as_str()) {
        None => Err(NotDone::UnknownUser),
        Some(user) if until.is_none() && !server.accounts[user].restraints.contains_key(&how) => Ok(0),
        Some(_) => {
            let change = Change::Restrained { user: name.clone(), how, until };
            return Decision::Change { change, concerned: Vec::new() };
        }
    };
    server.out.acted(ticket, outcome);
    Decision::Answered
}

/// What the record does.
pub(super) fn apply(server: &mut ServerState, name: &Name, how: Restraint, until: Option<Time>) {
    let Some(user) = server.accounts.find(name.as_str()) else { return };
    let restraints = &mut server.accounts[user].restraints;
    match until {
        Some(until) => restraints.insert(how, until),
        None => restraints.remove(&how),
    };
}

/// It is durable, or the disk has refused it. Whoever may not be in goes.
pub(super) fn has_changed(server: &mut ServerState, ticket: Ticket, name: &Name, durable: bool) {
    if !durable {
        return server.out.acted(ticket, Err(NotDone::StorageUnavailable));
    }
    if let Some(user) = server.accounts.find(name.as_str())
        && barred_secs(server, user).is_some()
        && !planted::is(Planted::BannedStaysIn)
    {
        door::turn_out(server, user);
    }
    server.out.acted(ticket, Ok(1));
}

fn holds(server: &ServerState, user: UserId, how: Restraint) -> Option<Time> {
    let until = server.accounts[user].restraints.get(&how).copied();
    until.filter(|until| *until > server.now || planted::is(Planted::BanOutlasts))
}

/// For how many seconds a user is not let in, if so.
pub(super) fn barred_secs(server: &ServerState, user: UserId) -> Option<u64> {
    let both = [Restraint::Banned, Restraint::Disabled].map(|how| holds(server, user, how));
    let until = both.into_iter().flatten().max()?;
    Some(told_secs(server, until))
}

/// What is said of a restraint that lasts so long.
pub(super) fn told_secs(server: &ServerState, until: Time) -> u64 {
    let lock_secs = server.settings.block_duration_secs;
    let endless = if lock_secs > 0 { lock_secs } else { LOCK_SECS };
    if until == Time::MAX { endless } else { server.now.seconds_until(until) }
}

/// Why a user may not say this, if so.
pub(super) fn refusal(server: &ServerState, user: UserId, kind: CommandKind) -> Option<Code> {
    let speaks = matches!(
        kind,
        CommandKind::Message | CommandKind::MessageGroup | CommandKind::Broadcast | CommandKind::StartPrivate
    );
    let broadcasts = kind == CommandKind::Broadcast && planted::is(Planted::MutedBroadcasts);
    (speaks && !broadcasts && holds(server, user, Restraint::Muted).is_some()).then_some(Code::Muted)
}

impl ServerState {
    /// What users are kept from at this time, and until when; [`Time::MAX`]: without end. By name.
    #[must_use]
    pub fn restraints(&self, now: Time) -> Vec<(Name, Restraint, Time)> {
        let of_user = |user: UserId| {
            let account = &self.accounts[user];
            let name = account.name.clone();
            account.restraints.iter().map(move |(how, until)| (name.clone(), *how, *until))
        };
        let mut all: Vec<_> = self.accounts.ids().into_iter().flat_map(of_user).collect();
        all.retain(|(.., until)| *until > now || planted::is(Planted::OverRestraintListed));
        all.sort_unstable();
        all
    }
}
