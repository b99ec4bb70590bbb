//! Second logins: whether the client of a session is still there, and what may be done if it is (R52).

use alloc::boxed::Box;
use core::time::Duration;

use super::entry::refuse;
use super::links::{self, Stage};
use super::login::{self, Attempt, Way};
use super::{ending, tries};
use crate::planted::{self, Planted};
use crate::record::RecordNumber;
use crate::server::accounts::UserId;
use crate::server::deadlines::Deadline;
use crate::server::settings::Takeover;
use crate::server::{Later, Phase, ServerState};
use crate::time::Time;
use crate::wire::{Prompt, Refusal, ServerLine};
use crate::words::{LinkId, Name};

/// For so long an answer is waited for once the question has left for the network.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// For so long it is waited for in all.
const ASKED_FOR: Duration = Duration::from_secs(15);
const AT_ONCE: RecordNumber = RecordNumber(0);

/// A question to the client of a session, and the login that waits for the answer.
#[derive(Debug, Clone)]
pub(in crate::server) struct Probe {
    attempt: Attempt,
    /// The link that was asked, and where in its output the question ends.
    asked: LinkId,
    ends_at: u64,
    serial: u64,
    /// When there has been no answer for long enough.
    due: Time,
}

/// A login that was refused because of a session.
#[derive(Debug, Clone)]
pub(super) struct Denied {
    /// Whose: the account may go, and another have its place.
    name: Name,
    attempt: Attempt,
}

/// Whether a session is being asked whether it is there.
pub(super) fn is_asked(server: &ServerState, user: UserId) -> bool {
    server.accounts[user].probe.is_some()
}

/// Asks the client of a session whether it is there, if it is one that answers and would be heard. `false`: it is
/// taken to be there.
pub(super) fn ask(server: &mut ServerState, attempt: &Attempt) -> bool {
    let Some(user) = attempt.counted.user() else { return false };
    let Some(asked) = server.accounts[user].link() else { return false };
    let listens = server
        .door
        .links
        .get(&asked)
        .is_some_and(|link| link.capabilities.alive && !link.paused && !link.ended);
    if !listens {
        return false;
    }
    let written = server.out.write_line(&ServerLine::Alive);
    let ends_at = server.out.queue(asked, written);
    let serial = server.next_serial();
    let due = server.now + ASKED_FOR;
    if let Some(link) = server.door.links.get_mut(&asked) {
        link.asked = true;
    }
    links::set_stage(server, attempt.link, Stage::Asking(user));
    server.deadlines.add(due, Deadline::Probe(user, serial));
    let attempt = attempt.clone();
    server.accounts[user].probe = Some(Box::new(Probe { attempt, asked, ends_at, serial, due }));
    true
}

/// So many bytes have left on the link of a session.
pub(super) fn left_for_network(server: &mut ServerState, id: LinkId, user: UserId, flushed: u64) {
    let now = server.now;
    let Some(probe) = server.accounts[user].probe.as_mut() else { return };
    if probe.asked != id || flushed < probe.ends_at {
        return;
    }
    // It has left once: what leaves later changes nothing.
    probe.ends_at = u64::MAX;
    let (due, serial) = (probe.due.min(now + ANSWERS_WITHIN), probe.serial);
    let before = core::mem::replace(&mut probe.due, due);
    server.deadlines.remove(before, Deadline::Probe(user, serial));
    server.deadlines.add(due, Deadline::Probe(user, serial));
}

/// Something has come on a link: its client is there.
pub(super) fn heard(server: &mut ServerState, id: LinkId) {
    let Some(link) = server.door.links.get_mut(&id) else { return };
    if !core::mem::replace(&mut link.asked, false) {
        return;
    }
    if let Some(user) = link.stage.user().filter(|_| !planted::is(Planted::AnswerUnheard)) {
        answered(server, user);
    }
}

/// The client of the session is there, and the login that asked is refused.
fn answered(server: &mut ServerState, user: UserId) {
    let Some(Probe { attempt, .. }) = take(server, user) else { return };
    links::set_stage(server, attempt.link, Stage::Anonymous);
    tries::forgive(server, attempt.counted, tries::Success::Refused);
    deny(server, &attempt);
    login::read_on_if_refused(server, attempt.link);
}

/// Refuses a login because of a session, which its link may take over.
pub(super) fn deny(server: &mut ServerState, attempt: &Attempt) {
    let name = attempt.counted.user().map(|user| server.accounts.name(user).clone());
    if let (Some(link), Some(name)) = (server.door.links.get_mut(&attempt.link), name) {
        link.denied = Some(Box::new(Denied { name, attempt: attempt.clone() }));
    }
    refuse(server, attempt.link, AT_ONCE, Refusal::AlreadyOnline);
}

/// There was no answer: the session ends, and the login goes on.
pub(in crate::server) fn silent(server: &mut ServerState, user: UserId, serial: u64) {
    if server.accounts[user].probe.as_ref().is_some_and(|probe| probe.serial == serial)
        && !planted::is(Planted::SilenceKeepsSession)
    {
        ending::make_way(server, user);
    }
}

/// The session of a user has ended, lost its link or got another: the login that asked about it is decided, behind whoever
/// waits for what was on its way to the session.
pub(super) fn session_moved(server: &mut ServerState, user: UserId) {
    if let Some(probe) = &server.accounts[user].probe {
        server.later.push_back(Later::Asked(user, probe.serial));
    }
}

/// Decides a login that waited, as its session is not on the link that was asked any more. That it goes on elsewhere is an
/// answer.
pub(in crate::server) fn decide(server: &mut ServerState, user: UserId, serial: u64) {
    if server.accounts[user].probe.as_ref().is_none_or(|probe| probe.serial != serial) {
        return;
    }
    if server.accounts[user].link().is_some() {
        return answered(server, user);
    }
    let Some(Probe { attempt, .. }) = take(server, user) else { return };
    links::set_stage(server, attempt.link, Stage::Anonymous);
    if server.phase == Phase::Serving {
        login::right_password(server, &attempt, Way::Password);
        login::read_on_if_refused(server, attempt.link);
    }
}

/// The login that asked is gone, and its question with it.
pub(super) fn forget(server: &mut ServerState, user: UserId) {
    take(server, user);
}

fn take(server: &mut ServerState, user: UserId) -> Option<Probe> {
    let probe = *server.accounts[user].probe.take()?;
    server.deadlines.remove(probe.due, Deadline::Probe(user, probe.serial));
    if let Some(link) = server.door.links.get_mut(&probe.asked) {
        link.asked = false;
    }
    if server.accounts[user].is_leaving() {
        server.later.push_back(Later::Purge);
    }
    Some(probe)
}

/// `takeover`: the session that stands in the way of the last login is to end.
pub(super) fn take_over(server: &mut ServerState, id: LinkId) {
    let denied = server.door.links.get_mut(&id).and_then(|link| link.denied.take());
    let account = |denied: &Denied| server.accounts.find(denied.name.as_str());
    let denied = denied
        .filter(|denied| account(denied).is_some_and(|user| denied.attempt.counted.user() == Some(user)));
    match denied {
        None => server.out.send(id, &ServerLine::Ask(Prompt::Username)),
        Some(denied)
            if server.settings.takeover == Takeover::Deny && !planted::is(Planted::TakeoverDespiteDeny) =>
        {
            deny(server, &denied.attempt);
        }
        Some(denied) => login::right_password(server, &denied.attempt, Way::Takeover),
    }
}

/// Another login begins on a link: it has no claim from the one before.
pub(super) fn forget_claim(server: &mut ServerState, id: LinkId) {
    if let Some(link) = server.door.links.get_mut(&id) {
        link.denied = None;
    }
}
