//! What operators do (R62).

use super::accounts::UserId;
use super::{ServerState, announcements, door, restraints};
use crate::record::{Invite, Restraint};
use crate::time::Time;
use crate::wire::code::spelled;
use crate::wire::{Notice, ServerLine};
use crate::words::{AddressRange, LinkId, Name, SharedText, Text, Ticket, Token};

/// Something that an operator wants done.
#[derive(Clone, PartialEq, Eq)]
pub enum Act {
    /// Everybody who is online reads this.
    Announce(SharedText),
    /// The same, and whoever has no connection reads it when they have one again (R67).
    AnnounceKept(SharedText),
    /// The announcement of this number is kept no more.
    Withdraw(u32),
    /// The session of a user ends.
    Kick {
        /// Whose.
        user: Name,
        /// What they are told before.
        reason: Option<SharedText>,
    },
    /// What was counted for a name, and for the devices of its account, is forgotten, and so are their locks.
    Unlock(Name),
    /// A user is kept from something, or no more (R63).
    Restrain {
        /// Whom.
        user: Name,
        /// From what.
        how: Restraint,
        /// For so long, with [`Time::MAX`] without end. `None`: no more.
        until: Option<Time>,
    },
    /// Nobody is let in from these addresses, or no more (R63).
    BanRange {
        /// From where.
        range: AddressRange,
        /// For so long, with [`Time::MAX`] without end. `None`: no more.
        until: Option<Time>,
    },
    /// Whoever has the code may make an account (R65).
    Invite {
        /// 16 random bytes, never used before.
        code: Token,
        /// What it is good for. It gets its number when it is made.
        invite: Invite,
    },
    /// The invite of this number is no more.
    Revoke(u32),
}

/// Without what is said to users, and without codes.
impl core::fmt::Debug for Act {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Act::Announce(text) => write!(f, "Announce({} bytes)", text.len()),
            Act::AnnounceKept(text) => write!(f, "AnnounceKept({} bytes)", text.len()),
            Act::Withdraw(number) => write!(f, "Withdraw({number})"),
            Act::Kick { user, reason: _ } => write!(f, "Kick({user})"),
            Act::Unlock(name) => write!(f, "Unlock({name})"),
            Act::Restrain { user, how, until } => write!(f, "Restrain({user}, {how} until {until:?})"),
            Act::BanRange { range, until } => write!(f, "BanRange({range} until {until:?})"),
            Act::Invite { code: _, invite } => write!(f, "Invite({invite:?})"),
            Act::Revoke(number) => write!(f, "Revoke({number})"),
        }
    }
}

spelled! {
    /// Why an act was not done.
    NotDone {
        /// There is no account of this name.
        UnknownUser = "unknown_user",
        /// The user has no session.
        Offline = "offline",
        /// There is no invite of this number.
        UnknownInvite = "unknown_invite",
        /// There is an account of this name.
        NameTaken = "name_taken",
        /// Nobody could register this name.
        BadName = "bad_name",
        /// No announcement of this number is kept.
        UnknownAnnouncement = "unknown_announcement",
        /// There are as many of the kind as the server remembers, and none is over.
        Limit = "limit",
        /// The disk has refused it.
        StorageUnavailable = "storage_unavailable",
    }
}

/// How many an act has reached: sessions, or names and devices. Of an invite its number.
pub type Reached = Result<u64, NotDone>;

/// Does what an operator wants.
pub(super) fn act(server: &mut ServerState, ticket: Ticket, act: &Act) {
    let outcome = match act {
        Act::Announce(text) => Ok(announcements::say(server, text.as_text())),
        Act::Kick { user, reason } => kick(server, user, reason.as_ref()),
        Act::Unlock(name) => Ok(door::unlock(server, name)),
        // Answered when it is durable.
        Act::AnnounceKept(text) => return announcements::submit(server, ticket, text.clone()),
        Act::Withdraw(number) => return announcements::withdraw(server, ticket, *number),
        Act::Restrain { user, how, until } => {
            return restraints::submit(server, ticket, user, *how, *until);
        }
        Act::BanRange { range, until } => return door::ban_range(server, ticket, *range, *until),
        Act::Invite { code, invite } => return door::make_invite(server, ticket, code, invite.clone()),
        Act::Revoke(number) => return door::revoke_invite(server, ticket, *number),
    };
    server.out.acted(ticket, outcome);
}

/// Says the message of the day to a user who has logged in (R64).
pub(super) fn greet(server: &mut ServerState, id: LinkId) {
    if let Some(text) = server.settings.motd.as_deref().and_then(Text::new) {
        server.out.send(id, &ServerLine::Notice(Notice::Operator { text }));
    }
}

fn kick(server: &mut ServerState, name: &Name, reason: Option<&SharedText>) -> Reached {
    let user = server.accounts.find(name.as_str()).ok_or(NotDone::UnknownUser)?;
    if server.accounts[user].session.is_none() {
        let known = !server.accounts[user].is_leaving();
        return Err(if known { NotDone::Offline } else { NotDone::UnknownUser });
    }
    tell(server, user, reason);
    door::kick(server, user);
    Ok(1)
}

/// Tells a user something of the operator.
fn tell(server: &mut ServerState, user: UserId, text: Option<&SharedText>) {
    if let (Some(link), Some(text)) = (server.accounts[user].link(), text.map(SharedText::as_text)) {
        server.out.send(link, &ServerLine::Notice(Notice::Operator { text }));
    }
}
