//! What others are told of a user's presence: at first every change, then only what lasts.

use alloc::vec::Vec;
use core::time::Duration;

use super::blocks;
use crate::planted::{self, Planted};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::deadlines::Deadline;
use crate::time::Time;
use crate::wire::ServerLine;
use crate::words::LinkId;

/// What was told of one user.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::server) struct Told {
    online: bool,
    /// Changes that were told at once and have not come back, and since when the next one does.
    used: u32,
    used_since: Time,
    /// When the last change was, and when it is due if it was not told.
    changed: Time,
    due: Option<Time>,
}

impl Told {
    /// Takes one of the changes that may be told at once, if there is one left. One comes back each `settle`.
    fn take_one(&mut self, burst: u32, settle: Duration, now: Time) -> bool {
        let settle_micros = u64::try_from(settle.as_micros()).unwrap_or(u64::MAX);
        let back = (now.0.saturating_sub(self.used_since.0) / settle_micros).min(u64::from(self.used));
        self.used -= u32::try_from(back).unwrap_or(u32::MAX);
        self.used_since = Time(self.used_since.0 + back * settle_micros);
        if self.used >= burst {
            return false;
        }
        if self.used == 0 {
            self.used_since = now;
        }
        self.used += 1;
        true
    }
}

/// A user has come or gone.
pub(in crate::server) fn changed(server: &mut ServerState, user: UserId, online: bool) {
    forget_due(server, user);
    let now = server.now;
    server.accounts[user].told.changed = now;
    if server.accounts[user].told.online == online {
        return;
    }
    let (burst, secs) = (server.settings.presence_burst, server.settings.presence_settle_secs);
    let settle = Duration::from_secs(secs);
    let unsettled = burst == 0 || secs == 0 || planted::is(Planted::PresenceNeverSettles);
    if unsettled || server.accounts[user].told.take_one(burst, settle, now) {
        return tell(server, user, online);
    }
    tell_at(server, user, now + settle);
}

fn tell_at(server: &mut ServerState, user: UserId, due: Time) {
    server.accounts[user].told.due = Some(due);
    server.deadlines.add(due, Deadline::Presence(user));
}

/// Nothing has changed for long enough: what is so is told.
pub(in crate::server) fn settled(server: &mut ServerState, user: UserId) {
    server.accounts[user].told.due = None;
    let online = server.accounts[user].session.is_some();
    if server.accounts[user].told.online != online && !planted::is(Planted::PresenceForgotten) {
        tell(server, user, online);
    }
}

/// A user is about to cause a line to somebody: that they are online is told before it.
pub(in crate::server) fn reveal(server: &mut ServerState, user: UserId) {
    let account = &server.accounts[user];
    if !account.told.online && account.session.is_some() && !planted::is(Planted::UnsettledSpeaks) {
        forget_due(server, user);
        tell(server, user, true);
    }
}

/// The settings of this have changed. The whole burst is there again, and what was not told is due by them.
pub(in crate::server) fn settings_changed(server: &mut ServerState) {
    let (burst, secs) = (server.settings.presence_burst, server.settings.presence_settle_secs);
    for user in server.accounts.ids() {
        server.accounts[user].told.used = 0;
        if server.accounts[user].told.due.is_none() {
            continue;
        }
        forget_due(server, user);
        if burst == 0 || secs == 0 {
            settled(server, user);
        } else {
            let due = server.accounts[user].told.changed + Duration::from_secs(secs);
            tell_at(server, user, due);
        }
    }
}

/// A session goes on after a restart: the others know of it.
pub(in crate::server) fn was_told(server: &mut ServerState, user: UserId) {
    server.accounts[user].told.online = true;
}

/// An account is purged: the others are told the last of it.
pub(in crate::server) fn forget(server: &mut ServerState, user: UserId) {
    forget_due(server, user);
    if server.accounts[user].told.online {
        tell(server, user, false);
    }
}

fn forget_due(server: &mut ServerState, user: UserId) {
    if let Some(due) = server.accounts[user].told.due.take() {
        server.deadlines.remove(due, Deadline::Presence(user));
    }
}

/// Tells every other user online that somebody came or went, but for those whom the subject has blocked.
pub(in crate::server) fn tell(server: &mut ServerState, user: UserId, online: bool) {
    let entitled = |viewer: &UserId| {
        *viewer != user
            && (!blocks::has_blocked(server, user, *viewer) || planted::is(Planted::PresenceToBlocked))
    };
    let viewers = server.people.roster.users().iter().copied().filter(entitled);
    let links: Vec<LinkId> = viewers.filter_map(|viewer| server.accounts[viewer].link()).collect();
    server.accounts[user].told.online = online;
    let name = server.accounts.name(user).as_str();
    let line = if online { ServerLine::Online { user: name } } else { ServerLine::Offline { user: name } };
    let written = server.out.write_line(&line);
    for link in links {
        server.out.offer(link, written);
        if planted::is(Planted::PresenceTwice) {
            server.out.queue(link, written);
        }
    }
}
