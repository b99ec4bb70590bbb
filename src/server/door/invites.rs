//! Invites: whoever has the code of one may make an account, also where nobody else may (R65).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::entry::refuse_for_good;
use super::{accounts, addresses, login};
use crate::planted::{self, Planted};
use crate::record::{Change, Digest, Fact, Invite, Record, RecordNumber};
use crate::server::ServerState;
use crate::server::acts::NotDone;
use crate::server::effect::Report;
use crate::server::papers::Then;
use crate::server::papers::lane::{Subject, Subjects, Wish};
use crate::server::wishes::{self, Decision};
use crate::time::Time;
use crate::wire::{Refusal, ServerLine};
use crate::words::{LinkId, Name, Ticket, Token};

/// Invites that are remembered; those that are over make room.
const INVITES: usize = 1_000;

const AT_ONCE: RecordNumber = RecordNumber(0);

/// The invites by the digests of their codes, also those that are over.
#[derive(Debug, Clone, Default)]
pub(super) struct Invites {
    by_code: BTreeMap<Digest, Invite>,
    /// The highest number so far.
    last: u32,
}

fn is_over(invite: &Invite, now: Time) -> bool {
    invite.is_over(now) && !(invite.left > 0 && planted::is(Planted::InviteOutlasts))
}

/// An operator wants an invite.
pub(in crate::server) fn make(server: &mut ServerState, ticket: Ticket, code: &Token, invite: Invite) {
    let code = server.secrets.invite_digest(code);
    wishes::submit(server, Wish::Invite { ticket, code, invite });
}

/// An operator wants an invite to be no more.
pub(in crate::server) fn revoke(server: &mut ServerState, ticket: Ticket, number: u32) {
    wishes::submit(server, Wish::Revoke { ticket, number });
}

/// One is made or revoked at a time.
pub(in crate::server) fn invite_subjects() -> Subjects {
    Subjects { reads: Vec::new(), writes: Vec::from([Subject::Invites]) }
}

/// Why nobody could make an account of this name by an invite, if so.
fn why_not_for(server: &mut ServerState, name: &Name) -> Option<NotDone> {
    match accounts::why_not_new(server, name)? {
        Refusal::NameTaken => Some(NotDone::NameTaken),
        Refusal::BadName => Some(NotDone::BadName),
        // It is about to be free.
        Refusal::Busy
        | Refusal::InvalidCredentials { .. }
        | Refusal::LockedOut { .. }
        | Refusal::AlreadyOnline
        | Refusal::Stale
        | Refusal::InvalidInvite => None,
    }
}

/// Numbers an invite, and makes room for it.
pub(in crate::server) fn decide_invite(
    server: &mut ServerState,
    ticket: Ticket,
    code: Digest,
    invite: &Invite,
) -> Decision {
    if let Some(why) = invite.name.as_ref().and_then(|name| why_not_for(server, name)) {
        server.out.acted(ticket, Err(why));
        return Decision::Answered;
    }
    let invites = &server.door.invites;
    if invites.by_code.len() >= INVITES {
        let now = server.now;
        let over = invites.by_code.iter().filter(|(_, invite)| is_over(invite, now));
        let Some(oldest) = over.min_by_key(|(_, invite)| invite.number).map(|(code, _)| *code) else {
            server.out.acted(ticket, Err(NotDone::Limit));
            return Decision::Answered;
        };
        let revoked = Change::InviteRevoked { code: oldest };
        server.papers.persist(&mut server.out, Record::Change(revoked), Then::Nothing);
    }
    let number = server.door.invites.last + 1;
    let invite = Invite { number, ..invite.clone() };
    Decision::Change { change: Change::InviteMade { code, invite }, concerned: Vec::new() }
}

pub(in crate::server) fn decide_revocation(
    server: &mut ServerState,
    ticket: Ticket,
    number: u32,
) -> Decision {
    let mut all = server.door.invites.by_code.iter();
    match all.find(|(_, invite)| invite.number == number).map(|(code, _)| *code) {
        Some(code) => Decision::Change { change: Change::InviteRevoked { code }, concerned: Vec::new() },
        None => {
            server.out.acted(ticket, Err(NotDone::UnknownInvite));
            Decision::Answered
        }
    }
}

/// What the records do.
pub(in crate::server) fn apply_invite(server: &mut ServerState, code: Digest, invite: Option<&Invite>) {
    let invites = &mut server.door.invites;
    match invite {
        Some(invite) => {
            invites.last = invites.last.max(invite.number);
            invites.by_code.insert(code, invite.clone());
        }
        None => drop(invites.by_code.remove(&code)),
    }
}

/// An invite is durable, or the disk has refused it. The operator is told its number.
pub(in crate::server) fn invite_decided(
    server: &mut ServerState,
    ticket: Ticket,
    code: Digest,
    durable: bool,
) {
    let number = server.door.invites.by_code.get(&code).filter(|_| durable).map(|invite| invite.number);
    server.out.acted(ticket, number.map(u64::from).ok_or(NotDone::StorageUnavailable));
}

/// `invite CODE` from somebody who is not logged in. A wrong one counts as a wrong password does for an address.
pub(super) fn shown(server: &mut ServerState, id: LinkId, code: &Token) {
    if !login::begin(server, id) {
        return;
    }
    let Some(from) = server.door.links.get(&id).map(|link| link.from) else { return };
    if let Some(retry_after_secs) = addresses::locked_secs(server, from) {
        return refuse_for_good(server, id, AT_ONCE, Refusal::LockedOut { retry_after_secs });
    }
    let code = server.secrets.invite_digest(code);
    let good = server.door.invites.by_code.get(&code).filter(|invite| !is_over(invite, server.now));
    let Some(name) = good.map(|invite| invite.name.clone()) else {
        if !planted::is(Planted::InviteGuessIsFree) {
            addresses::count_failure(server, from);
        }
        server.out.report(Report::InviteRefused { from });
        return refuse_for_good(server, id, AT_ONCE, Refusal::InvalidInvite);
    };
    server.out.send(id, &ServerLine::Invited { name: name.as_ref().map(Name::as_str) });
    if let Some(link) = server.door.links.get_mut(&id) {
        link.invite = Some(code);
    }
}

/// The invite that was shown on a link.
pub(super) fn of_link(server: &ServerState, id: LinkId) -> Option<Digest> {
    server.door.links.get(&id)?.invite
}

/// Whether nobody can use an invite any more.
pub(super) fn is_no_more(server: &ServerState, code: Digest) -> bool {
    server.door.invites.by_code.get(&code).is_none_or(|invite| is_over(invite, server.now))
}

/// Whether a name may be registered by an invite now.
pub(super) fn is_good(server: &ServerState, code: Digest, name: &str) -> bool {
    let invite = server.door.invites.by_code.get(&code).filter(|invite| !is_over(invite, server.now));
    let is_for = |only: &Name| only.as_str() == name || planted::is(Planted::InviteForAnyName);
    invite.is_some_and(|invite| invite.name.as_ref().is_none_or(is_for))
}

/// An account is to be made by an invite: it is good for one less.
pub(super) fn take(server: &mut ServerState, code: Digest) {
    let less = u32::from(!planted::is(Planted::InviteNotUsedUp));
    set_left(server, code, |left| left.saturating_sub(less));
}

/// The account could not be made.
pub(super) fn give_back(server: &mut ServerState, code: Digest) {
    if !planted::is(Planted::InviteNotGivenBack) {
        set_left(server, code, |left| left.saturating_add(1));
    }
}

fn set_left(server: &mut ServerState, code: Digest, change: impl FnOnce(u32) -> u32) {
    let Some(invite) = server.door.invites.by_code.get_mut(&code) else { return };
    invite.left = change(invite.left);
    let used = Fact::InviteUsed { code, left: invite.left };
    if !planted::is(Planted::InviteUseNotStored) {
        server.papers.persist_fact(&mut server.out, used);
    }
}

/// A fact of an earlier run.
pub(in crate::server) fn apply_use(server: &mut ServerState, code: Digest, left: u32) {
    if let Some(invite) = server.door.invites.by_code.get_mut(&code) {
        invite.left = left;
    }
}

impl ServerState {
    /// All invites that are remembered, also those that are over, the first made first.
    #[must_use]
    pub fn invites(&self) -> Vec<&Invite> {
        let mut all: Vec<&Invite> = self.door.invites.by_code.values().collect();
        all.sort_unstable_by_key(|invite| invite.number);
        all
    }
}
