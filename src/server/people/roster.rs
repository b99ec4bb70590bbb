//! Who is online: lists.

use alloc::vec::Vec;

use super::{away, blocks, history};
use crate::planted::{self, Planted};
use crate::record::Outcome;
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::answers::{self, Asker};
use crate::server::out::word_lines;
use crate::server::session;
use crate::server::settings::HistoryMode;
use crate::wire::{Answer, Presence, ServerLine, Words};

/// Users with a session, in no order that means anything, but the same in every run.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Roster {
    users: Vec<UserId>,
}

/// A user's place in the roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct Place(usize);

impl Roster {
    pub(in crate::server) fn users(&self) -> &[UserId] {
        &self.users
    }

    pub(in crate::server) fn enter(&mut self, user: UserId) -> Place {
        self.users.push(user);
        Place(self.users.len() - 1)
    }

    /// Takes a user out; the one who has that place from now on.
    pub(in crate::server) fn leave(&mut self, user: UserId, place: Place) -> Option<UserId> {
        let left = self.users.swap_remove(place.0);
        assert!(left == user, "a user is at their place in the roster");
        self.users.get(place.0).copied()
    }
}

pub(in crate::server) fn whoelse(server: &mut ServerState, asker: &Asker) {
    let hide = server.settings.hide_blockers_in_whoelse || planted::is(Planted::BlockersAlwaysHidden);
    let hide = hide && !planted::is(Planted::BlockSkippedInWhoelse);
    let include_self = server.settings.whoelse_include_self;
    let shown = |user: &UserId| {
        if *user == asker.user {
            include_self
        } else if planted::is(Planted::WhoelseHidesBlocked) && blocks::has_blocked(server, asker.user, *user)
        {
            false
        } else {
            !(hide && blocks::has_blocked(server, *user, asker.user))
        }
    };
    let away =
        |user: &UserId| planted::is(Planted::GraceNotListed) && server.accounts[*user].link().is_none();
    let users = server.people.roster.users.iter().copied().filter(|user| !away(user));
    let users: Vec<UserId> = users.filter(shown).collect();
    list(server, asker, &users, Answer::Whoelse { count: users.len() as u64 });
}

/// Users with a session within the last seconds, or (`history_mode=login`) with a login.
pub(in crate::server) fn whoelse_since(server: &mut ServerState, asker: &Asker, seconds: u64) -> Vec<UserId> {
    let more = u64::from(planted::is(Planted::HistoryTooLong));
    let since = server.now.minus_seconds(seconds.saturating_add(more));
    let hide = server.settings.hide_blockers_in_history && !planted::is(Planted::BlockSkippedInHistory);
    let shown =
        |user: &UserId| *user != asker.user && !(hide && blocks::has_blocked(server, *user, asker.user));
    let (roster, history) = (&server.people.roster, &server.people.history);
    let mut users: Vec<UserId> = match server.settings.history_mode {
        HistoryMode::Overlap if !planted::is(Planted::HistoryFromLogin) => {
            roster.users.iter().copied().chain(history.ended_since(since)).filter(shown).collect()
        }
        HistoryMode::Overlap | HistoryMode::Login => history.logged_in_since(since).filter(shown).collect(),
    };
    users.sort_unstable();
    users.dedup();
    users
}

/// Says when a user was last here, as `whoelsesince` would.
pub(in crate::server) fn seen(server: &mut ServerState, asker: &Asker, user: &str) {
    let other = match answers::another(server, asker, user) {
        Ok(other) => other,
        Err(code) => return answers::fail(server, asker, code),
    };
    let hide = server.settings.hide_blockers_in_history && !planted::is(Planted::BlockSkippedInSeen);
    let presence = if hide && blocks::has_blocked(server, other, asker.user) {
        Presence::Never
    } else if server.accounts[other].session.is_some() {
        Presence::Now
    } else {
        match history::last_end(server, other) {
            Some(_) if planted::is(Planted::SeenForgets) => Presence::Never,
            Some(at) => Presence::Until(at),
            None => Presence::Never,
        }
    };
    let name = server.accounts.name(other).clone();
    answers::answer(server, asker, Outcome::Done, Answer::Seen { user: name.as_str(), presence });
}

/// Lists users, sorted by name, before an answer.
pub(in crate::server) fn list(server: &mut ServerState, asker: &Asker, users: &[UserId], answer: Answer<'_>) {
    let mut lines = Vec::new();
    for line in word_lines(&server.accounts.sorted_names(users)) {
        let Some(users) = Words::new(&line) else { unreachable!("names hold no line feed") };
        ServerLine::Users { number: asker.number, users }.encode(&mut lines);
    }
    let tells_away = matches!(answer, Answer::Whoelse { .. });
    let away = if tells_away { away::list(server, asker, users, &mut lines) } else { 0 };
    ServerLine::Done { number: asker.number, answer }.encode(&mut lines);
    let units = users.len() as u64 + if planted::is(Planted::AwayIsFree) { 0 } else { away };
    session::charge(server, asker.user, if planted::is(Planted::ListIsFree) { 0 } else { units });
    if let Some(link) = answers::asker_link(server, asker) {
        server.out.list(link, lines);
    }
}
