//! Who was online, and when.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::planted::{self, Planted};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::time::Time;

/// The beginning of no session: a login that nobody was told of is all that is known.
pub(in crate::server) const NEVER: Time = Time::MAX;

/// One account's last session.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Past {
    /// When it began, if there was one.
    login: Option<Time>,
    /// When it ended; the session before, while it stands.
    end: Time,
}

impl Past {
    /// When the last session began, if there was one.
    pub(in crate::server) const fn began(&self) -> Option<Time> {
        self.login
    }
}

/// Last logins and last ends, by time, so that a period costs what it returns.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    logins: BTreeSet<(Time, UserId)>,
    ends: BTreeSet<(Time, UserId)>,
    /// Users whose last session has not ended.
    open: BTreeSet<UserId>,
}

impl History {
    pub(super) fn ended_since(&self, since: Time) -> impl Iterator<Item = UserId> {
        self.ends.range((since, UserId(0))..).map(|(_, user)| *user)
    }

    pub(super) fn logged_in_since(&self, since: Time) -> impl Iterator<Item = UserId> {
        self.logins.range((since, UserId(0))..).map(|(_, user)| *user)
    }
}

pub(in crate::server) fn session_began(server: &mut ServerState, user: UserId, at: Time) {
    forget(server, user);
    if at == NEVER {
        return;
    }
    let history = &mut server.people.history;
    history.logins.insert((at, user));
    history.open.insert(user);
    server.accounts[user].past.login = Some(at);
}

pub(in crate::server) fn session_ended(server: &mut ServerState, user: UserId, at: Time) {
    let history = &mut server.people.history;
    if !planted::is(Planted::EndNotInHistory) {
        history.ends.remove(&(server.accounts[user].past.end, user));
        history.open.remove(&user);
        // A login that was cut off before its welcome was no session.
        if server.accounts[user].past.login.is_some() {
            history.ends.insert((at, user));
        }
    }
    server.accounts[user].past.end = at;
}

pub(in crate::server) fn forget(server: &mut ServerState, user: UserId) {
    let (history, past) = (&mut server.people.history, &server.accounts[user].past);
    if let Some(login) = past.login {
        history.logins.remove(&(login, user));
    }
    history.ends.remove(&(past.end, user));
    history.open.remove(&user);
    server.accounts[user].past.login = None;
}

/// Users whose last session has not ended, by what was remembered at the start.
pub(in crate::server) fn open_sessions(server: &ServerState) -> Vec<UserId> {
    server.people.history.open.iter().copied().collect()
}

/// When a user's last session ended, if there was one and none has begun since.
pub(super) fn last_end(server: &ServerState, user: UserId) -> Option<Time> {
    let end = server.accounts[user].past.end;
    server.people.history.ends.contains(&(end, user)).then_some(end)
}

/// When a user's last session began, if there was one, and when it ended.
pub(in crate::server) fn last_session(server: &ServerState, user: UserId) -> (Option<Time>, Time) {
    let past = &server.accounts[user].past;
    (past.login, past.end)
}
