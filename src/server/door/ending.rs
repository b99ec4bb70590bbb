//! Sessions: what keeps them, and their one end.

use core::time::Duration;

use super::entry::{self, Entry};
use super::links::{self, LastAnswer, Stage};
use super::{probes, waiting};
use crate::planted::{self, Planted};
use crate::record::{AfterEnd, Fact};
use crate::server::accounts::UserId;
use crate::server::answers::Asker;
use crate::server::deadlines::Deadline;
use crate::server::effect::{Report, SessionEnd};
use crate::server::people::{history, introductions, presence, relays};
use crate::server::post::{self, storing};
use crate::server::session::Session;
use crate::server::settings::Settings;
use crate::server::{Later, Phase, ServerState, announcements, wishes};
use crate::time::Time;
use crate::wire::{Farewell, Notice, ServerLine};
use crate::words::LinkId;

/// A client that takes nothing for so long has had what it gets.
const PROGRESS_WITHIN: Duration = Duration::from_secs(2);
/// How long before a timeout its user is told; with a short one at half of it.
const IDLE_NOTICE_SECS: u64 = 60;
/// Last words wait for their record for so long.
const PART_WITHIN: Duration = Duration::from_secs(2);

/// Why a session ends, and what its link is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The link, if there is one, is told once the record is settled.
    Farewell(SessionEnd, Farewell, LastAnswer),
    /// The link is told at once: the server stops.
    Stopped,
    /// The link is closed and told nothing: the server restarts.
    Restarted,
    /// There is no link to tell.
    LinkLost,
}

impl End {
    const fn why(self) -> SessionEnd {
        match self {
            End::Farewell(why, ..) => why,
            End::Stopped | End::Restarted => SessionEnd::Stopped,
            End::LinkLost => SessionEnd::LinkLost,
        }
    }

    /// Whether the token may still resume the session.
    fn after(self) -> AfterEnd {
        match self {
            End::LinkLost if planted::is(Planted::TokenEndsWithLink) => AfterEnd::Nothing,
            End::Stopped if planted::is(Planted::StopEndsToken) => AfterEnd::Nothing,
            End::LinkLost | End::Stopped | End::Restarted => AfterEnd::Resume,
            End::Farewell(..) => AfterEnd::Nothing,
        }
    }
}

/// Ends a session: what is under way to its user is stored, the others are told once, its link closes.
pub(super) fn end_session(server: &mut ServerState, user: UserId, end: End) {
    if server.accounts[user].session.is_none() {
        return;
    }
    storing::store_all_under_way(server, user);
    introductions::withdraw_all(server, user);
    relays::session_ended(server, user);
    look_at(server, user, None);
    let Some(session) = server.accounts[user].session.take() else { return };
    let link = session.link;
    server.door.awaited -= usize::from(session.held);
    leave_roster(server, user, &session);
    history::session_ended(server, user, server.now);
    if end.after() == AfterEnd::Nothing && !planted::is(Planted::TokenSurvivesLogout) {
        server.accounts[user].token = None;
        server.accounts[user].ledger.clear();
    }
    probes::session_moved(server, user);
    announcements::note_heard(server, user);
    let name = server.accounts.name(user).clone();
    let ended = Fact::SessionEnded { user: name.clone(), after: end.after(), at: server.now };
    let ServerState { papers, out, .. } = server;
    let number = papers.persist_fact(out, ended);
    server.out.report(Report::LoggedOut { user: name, why: end.why() });
    let untold = end.why() == SessionEnd::Timeout && planted::is(Planted::TimeoutNotTold);
    if !matches!(end, End::Stopped | End::Restarted) && !untold {
        presence::changed(server, user, false);
    }
    if server.accounts[user].is_leaving() {
        server.later.push_back(Later::Purge);
    }
    let Some(link) = link else { return };
    match end {
        End::Farewell(_, farewell, last) => {
            let due = server.now + PART_WITHIN;
            if let Some(link) = server.door.links.get_mut(&link) {
                link.stage = Stage::Parting(farewell, last);
                link.due = Some(due);
                link.held.clear();
            }
            server.deadlines.add(due, Deadline::Parting(link));
            server.papers.wait_for(number, link);
        }
        End::Stopped => links::say_farewell(server, link, Farewell::ServerShutdown),
        End::Restarted if planted::is(Planted::RestartSaysBye) => {
            links::say_farewell(server, link, Farewell::ServerShutdown);
        }
        End::LinkLost | End::Restarted => links::detach(server, link),
    }
}

/// The server restarts, and nobody could take this session up again.
pub(super) fn end_for_restart(server: &mut ServerState, user: UserId) {
    end_session(server, user, End::Restarted);
}

fn leave_roster(server: &mut ServerState, user: UserId, session: &Session) {
    if let Some(moved) = server.people.roster.leave(user, session.place)
        && let Some(moved) = server.accounts[moved].session.as_mut()
    {
        moved.place = session.place;
    }
}

/// A new login takes the place of the session (`duplicate_login=replace`), or the session has outlived its
/// link.
pub(super) fn make_way(server: &mut ServerState, user: UserId) {
    let end = match server.accounts[user].link() {
        Some(_) => End::Farewell(SessionEnd::Replaced, Farewell::Replaced, LastAnswer::None),
        None => End::LinkLost,
    };
    end_session(server, user, end);
}

/// A login was decided, and its link is gone before anybody was told: there was no session. The store is given
/// the one before again. A token of before may be tried again.
pub(super) fn never_entered(server: &mut ServerState, user: UserId, entry: Entry) {
    let after = if entry.is_by_token() { AfterEnd::Resume } else { AfterEnd::Nothing };
    entry::remember_failures(server, user, entry);
    let account = &mut server.accounts[user];
    account.entering = None;
    if after == AfterEnd::Nothing {
        account.token = None;
        account.ledger.clear();
    }
    let (user_name, login, token) = (account.name.clone(), account.login, account.token);
    let (began, ended) = history::last_session(server, user);
    let at = began.unwrap_or(history::NEVER);
    let began = Fact::SessionBegan { user: user_name.clone(), login, token, at };
    let ended = Fact::SessionEnded { user: user_name, after, at: ended };
    let ServerState { papers, out, .. } = server;
    papers.persist_fact(out, began);
    papers.persist_fact(out, ended);
    if server.accounts[user].is_leaving() {
        server.later.push_back(Later::Purge);
    }
}

/// A session's link is gone: what was under way is stored at once. The session ends, or waits for its client
/// to come back.
pub(super) fn session_lost_link(server: &mut ServerState, user: UserId) {
    let Some(session) = server.accounts[user].session.as_mut() else {
        unreachable!("a member has a session")
    };
    session.link = None;
    session.lost_at = server.now;
    let serial = session.serial;
    relays::lost_link(server, user);
    let grace_secs = server.settings.resume_grace_secs;
    if grace_secs > 0 && server.phase == Phase::Serving {
        storing::store_all_under_way(server, user);
        if !planted::is(Planted::GraceKeepsRequests) {
            introductions::withdraw_all(server, user);
        }
        probes::session_moved(server, user);
        let grace_secs = grace_secs - grace_secs / 2 * u64::from(planted::is(Planted::GraceHalved));
        let at = server.now + Duration::from_secs(grace_secs);
        server.deadlines.add(at, Deadline::Grace(user, serial));
    } else if !planted::is(Planted::GhostSession) {
        end_session(server, user, End::LinkLost);
    }
}

/// A session may have been without a link for too long; if not, it is looked at again when it could have been.
pub(in crate::server) fn grace_due(server: &mut ServerState, user: UserId, serial: u64) {
    let waits = |session: &&Session| session.serial == serial && session.link.is_none();
    let Some(session) = server.accounts[user].session.as_deref().filter(waits) else { return };
    let Settings { resume_grace_secs, restart_grace_secs, .. } = server.settings;
    let secs = if session.held { restart_grace_secs } else { resume_grace_secs };
    let secs = secs - secs / 2 * u64::from(planted::is(Planted::GraceHalved));
    let due = session.lost_at + Duration::from_secs(secs);
    if due <= server.now {
        end_session(server, user, End::LinkLost);
    } else {
        server.deadlines.add(due, Deadline::Grace(user, serial));
    }
}

/// The user typed something.
pub(super) fn note_activity(server: &mut ServerState, user: UserId, valid: bool) {
    if (valid || server.settings.invalid_counts_as_activity)
        && !planted::is(Planted::TimeoutFromLogin)
        && let Some(session) = server.accounts[user].session.as_mut()
    {
        session.last_active = server.now;
    }
}

/// The time allowed to be idle, or to be without a link, has changed: every session is looked at when it
/// could be over.
pub(in crate::server) fn watch_all(server: &mut ServerState) {
    for user in server.people.roster.users().to_vec() {
        if let Some(serial) = server.accounts[user].session.as_ref().map(|session| session.serial) {
            look_again(server, user);
            if server.accounts[user].link().is_none() {
                server.deadlines.add(server.now, Deadline::Grace(user, serial));
            }
        }
    }
}

/// A session may have been idle for too long; if not, it is looked at again when it could have been.
pub(in crate::server) fn idle_due(server: &mut ServerState, user: UserId, serial: u64) {
    let Some(session) = server.accounts[user].session.as_mut() else { return };
    if session.serial != serial {
        if planted::is(Planted::StaleTimer) {
            time_out(server, user);
        }
        return;
    }
    // A user whose line waits is not idle.
    if let Some(link) = session.link
        && waiting::is_waiting(server, link)
        && !planted::is(Planted::WaitingIsIdle)
        && let Some(session) = server.accounts[user].session.as_mut()
    {
        session.last_active = server.now;
    }
    match idle_until(server, user) {
        Some(until) if until <= server.now => time_out(server, user),
        Some(until) => {
            tell_idle(server, user, until);
            look_again(server, user);
        }
        None => look_again(server, user),
    }
}

/// Tells a user, once for each time without activity, that their session will soon have been idle for too long.
fn tell_idle(server: &mut ServerState, user: UserId, until: Time) {
    let (now, early) = (server.now, notice_before(server));
    let Some(session) = server.accounts[user].session.as_mut() else { return };
    if now < until - early || is_told_idle(session) {
        return;
    }
    session.told_idle_since = Some(session.last_active);
    if let Some(link) = session.link {
        let seconds = u32::try_from(now.seconds_until(until)).unwrap_or(u32::MAX);
        server.out.send(link, &ServerLine::Notice(Notice::Idle { seconds }));
    }
}

fn is_told_idle(session: &Session) -> bool {
    let told = session.told_idle_since;
    told == Some(session.last_active) || told.is_some() && planted::is(Planted::IdleNoticeOnce)
}

/// How long before a timeout its user is told.
fn notice_before(server: &ServerState) -> Duration {
    let late = 10 * u64::from(planted::is(Planted::IdleNoticeLate));
    Duration::from_secs((server.settings.timeout_secs / 2).min(IDLE_NOTICE_SECS).saturating_sub(late))
}

fn time_out(server: &mut ServerState, user: UserId) {
    end_session(server, user, End::Farewell(SessionEnd::Timeout, Farewell::Timeout, LastAnswer::None));
}

/// When a session will have been idle for too long.
fn idle_until(server: &ServerState, user: UserId) -> Option<Time> {
    let stops = |session: &&alloc::boxed::Box<Session>| {
        session.link.is_none() && planted::is(Planted::GraceStopsTimeout)
    };
    let session = server.accounts[user].session.as_ref().filter(|session| !stops(session))?;
    let late = 2 * u64::from(planted::is(Planted::TimeoutLate));
    let timeout_secs = server.settings.timeout_secs;
    (timeout_secs > 0).then(|| session.last_active + Duration::from_secs(timeout_secs + late))
}

fn look_again(server: &mut ServerState, user: UserId) {
    let told = server.accounts[user].session.as_deref().is_some_and(is_told_idle);
    let early = if told { Duration::ZERO } else { notice_before(server) };
    let due = idle_until(server, user).map(|until| until - early);
    look_at(server, user, due);
}

/// Sets when it is looked at again whether a session is idle, and at no other time.
fn look_at(server: &mut ServerState, user: UserId, due: Option<Time>) {
    let Some(session) = server.accounts[user].session.as_mut() else { return };
    let deadline = Deadline::Idle(user, session.serial);
    if let Some(before) = core::mem::replace(&mut session.looked_at, due)
        && !planted::is(Planted::StaleTimer)
    {
        server.deadlines.remove(before, deadline);
    }
    if let Some(due) = due {
        server.deadlines.add(due, deadline);
    }
}

/// `logout`: once the lists that were asked for before have left, the mail that is being shown has been
/// taken, and the user's messages are answered. Nothing else is obeyed any more.
pub(super) fn leave(server: &mut ServerState, asker: &Asker) {
    leave_with(server, asker.link, asker.user, LastAnswer::Logout(asker.number));
}

/// The end of the stream of a user who does not resume is a logout that nobody typed.
pub(super) fn leave_at_end(server: &mut ServerState, id: LinkId, user: UserId) {
    leave_with(server, id, user, LastAnswer::None);
}

fn leave_with(server: &mut ServerState, id: LinkId, user: UserId, last: LastAnswer) {
    let upto = post::last_id(server, user);
    let Some(session) = server.accounts[user].session.as_mut() else {
        unreachable!("a user who leaves has a session")
    };
    session.delivery.leave(upto);
    let serial = session.serial;
    if let Some(link) = server.door.links.get_mut(&id) {
        link.stage = Stage::Leaving(user, last);
        link.moved_at = server.now;
    }
    go_on_leaving(server, user);
    if server.accounts[user].session.is_some() {
        server.deadlines.add(server.now + PROGRESS_WITHIN, Deadline::Leaving(user, serial));
    }
}

/// Something was taken of what a logout waits for.
pub(in crate::server) fn note_progress(server: &mut ServerState, user: UserId) {
    let now = server.now;
    let link = server.accounts[user].link().and_then(|id| server.door.links.get_mut(&id));
    if let Some(link) = link {
        link.moved_at = now;
    }
}

/// Ends the session of a user who leaves, if nothing is on its way any more that the logout waits for.
pub(in crate::server) fn go_on_leaving(server: &mut ServerState, user: UserId) {
    let Some(session) = server.accounts[user].session.as_ref() else { return };
    let Some(id) = session.link.filter(|_| session.delivery.is_leaving()) else { return };
    let owes_mail = !session.delivery.is_done() && !planted::is(Planted::LogoutCutsMail);
    if !owes_mail && !server.accounts[user].unanswered.holds_logout() && server.out.lists_waiting(id) == 0 {
        log_out(server, id, user);
    }
}

fn log_out(server: &mut ServerState, id: LinkId, user: UserId) {
    let Some(Stage::Leaving(_, last)) = links::stage(server, id) else {
        unreachable!("a user who leaves is on a link that does")
    };
    end_session(server, user, End::Farewell(SessionEnd::Logout, Farewell::Logout, last));
}

/// A logout has waited: without any progress it waits no longer. Mail that was not acknowledged stays stored.
/// Lists have the limits of every output.
pub(in crate::server) fn leaving_due(server: &mut ServerState, user: UserId, serial: u64) {
    let session = server.accounts[user].session.as_ref().filter(|session| session.serial == serial);
    let Some(id) = session.and_then(|session| session.link) else { return };
    let Some(link) = server.door.links.get(&id).filter(|link| matches!(link.stage, Stage::Leaving(..)))
    else {
        return;
    };
    let lists = server.out.lists_waiting(id) > 0;
    let late = Duration::from_secs(2 * u64::from(planted::is(Planted::LogoutWaitsLonger)));
    let from = if lists { server.now } else { link.moved_at + late };
    if from + PROGRESS_WITHIN <= server.now {
        log_out(server, id, user);
    } else {
        server.deadlines.add(from + PROGRESS_WITHIN, Deadline::Leaving(user, serial));
    }
}

/// The link on which a logout waited is gone: that is the logout.
pub(super) fn leaving_lost_link(server: &mut ServerState, user: UserId) {
    if let Some(session) = server.accounts[user].session.as_mut() {
        session.link = None;
        end_session(server, user, End::Farewell(SessionEnd::Logout, Farewell::Logout, LastAnswer::None));
    }
}

/// Tells everybody, stores what is under way, and ends. Wishes that were not handed out are dropped.
pub(in crate::server) fn stop(server: &mut ServerState) {
    server.phase = Phase::Stopping;
    wishes::drop_waiting(server);
    let users = server.people.roster.users().to_vec();
    for &user in &users {
        storing::store_all_under_way(server, user);
    }
    for &user in &users {
        end_session(server, user, End::Stopped);
    }
    let mut rest: alloc::vec::Vec<LinkId> = server.door.links.keys().copied().collect();
    rest.sort_unstable();
    for link in rest {
        match links::stage(server, link) {
            Some(Stage::Parting(..)) => links::part(server, link),
            Some(Stage::Entering(user, entry)) => {
                never_entered(server, user, entry);
                links::say_farewell(server, link, Farewell::ServerShutdown);
            }
            _ => links::say_farewell(server, link, Farewell::ServerShutdown),
        }
    }
    // There may be room again, and no time left to wait for it.
    let ServerState { papers, out, .. } = server;
    papers.write_kept_facts(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    use crate::record::{RecordNumber, Recovery};
    use crate::server::{Effect, Event, Settings, Verdict};
    use crate::words::{Credential, Name, Ticket};

    /// Tickets asked for; every record is durable at once.
    fn tickets(server: &mut ServerState, event: Event<'_>) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        for effect in server.handle(event, Time::ZERO) {
            if let Effect::Verify { ticket, .. } = effect {
                tickets.push(ticket);
            }
        }
        server.handle(Event::Committed { upto: RecordNumber(u64::MAX) }, Time::ZERO).for_each(drop);
        tickets
    }

    #[test]
    fn sessions_that_are_over_leave_no_deadlines_behind() {
        let hans = (Name::new("hans").unwrap(), Credential::new("pw"));
        let mut server =
            ServerState::new(Settings::default(), Vec::from([hans]), Recovery::default(), 1, Time::ZERO);
        for number in 1..=100 {
            let link = LinkId(number);
            let from = "192.0.2.1:40000".parse().unwrap();
            tickets(&mut server, Event::LinkOpened { link, from, nonce: [0; 32] });
            let asked = tickets(&mut server, Event::Received { link, bytes: b"login hans pw\n" });
            tickets(&mut server, Event::Verified { ticket: asked[0], verdict: Verdict::Right });
            assert_eq!(server.online_count(), 1);
            if number % 2 == 0 {
                tickets(&mut server, Event::Received { link, bytes: b"logout\n" });
            } else {
                tickets(&mut server, Event::LinkClosed { link });
            }
            assert_eq!((server.online_count(), server.link_count()), (0, 0));
        }
        assert_eq!(server.deadlines.len(), 0);
    }
}
