//! Who was online, and when.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use crate::planted::{self, Planted};
use crate::record::Fact;
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::deadlines::Deadline;
use crate::time::Time;

/// The beginning of no session: a login that nobody was told of is all that is known.
pub(in crate::server) const NEVER: Time = Time::MAX;

/// Sessions that are forgotten at a time.
const AT_ONCE: usize = 64;
/// Further ones are forgotten no sooner.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

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
    /// When the next of them are forgotten, if they are to be.
    watched: Option<Time>,
    /// None are forgotten before.
    not_before: Time,
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
    watch(server);
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
    watch(server);
}

pub(in crate::server) fn forget(server: &mut ServerState, user: UserId) {
    let (history, past) = (&mut server.people.history, &server.accounts[user].past);
    if let Some(login) = past.login {
        history.logins.remove(&(login, user));
    }
    history.ends.remove(&(past.end, user));
    history.open.remove(&user);
    server.accounts[user].past.login = None;
    watch(server);
}

/// How long it is remembered when a session ended, if that is limited.
fn time_allowed(server: &ServerState) -> Option<Duration> {
    let days = u64::from(server.settings.history_days);
    (days > 0).then(|| Duration::from_secs(days.saturating_mul(86_400)))
}

/// Sets the deadline to the end that is the oldest now.
pub(in crate::server) fn watch(server: &mut ServerState) {
    let time = time_allowed(server);
    let history = &mut server.people.history;
    let oldest = history.ends.first().map(|(end, _)| *end);
    let wanted = time.zip(oldest).map(|(time, oldest)| (oldest + time).max(history.not_before));
    let before = core::mem::replace(&mut history.watched, wanted);
    if before != wanted {
        if let Some(at) = before {
            server.deadlines.remove(at, Deadline::History);
        }
        if let Some(at) = wanted {
            server.deadlines.add(at, Deadline::History);
        }
    }
}

/// Forgets sessions that ended too long ago, a few at a time.
pub(in crate::server) fn forget_over(server: &mut ServerState) {
    server.people.history.watched = None;
    let Some(time) = time_allowed(server) else { return };
    server.people.history.not_before = server.now + AGAIN_AFTER;
    let kept = if planted::is(Planted::PastKeptLonger) { 30 } else { 0 };
    let over = server.now.minus_seconds(kept) - time;
    let ends = server.people.history.ends.iter().take_while(|(end, _)| *end <= over);
    let users: Vec<UserId> = ends.take(AT_ONCE).map(|(_, user)| *user).collect();
    for user in users {
        forget(server, user);
        server.accounts[user].past.end = Time::ZERO;
        // A login that is decided has its record, which says so as well.
        if server.accounts[user].entering.is_none() && !planted::is(Planted::PastStaysOnDisk) {
            let user = server.accounts.name(user).clone();
            let ServerState { papers, out, .. } = server;
            papers.persist_fact(out, Fact::SessionForgotten { user });
        }
    }
    watch(server);
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
