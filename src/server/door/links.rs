//! Links: connections, from their opening to their close.

use alloc::boxed::Box;
use core::net::SocketAddr;
use core::time::Duration;

use super::backlog::Backlog;
use super::probes::Denied;
use super::strangers::Newcomer;
use super::waiting::{self, Waits};
use super::{couriers, ending, hashing, login, probes, strangers, turns};
use crate::planted::{self, Planted};
use crate::record::Digest;
use crate::server::accounts::UserId;
use crate::server::deadlines::Deadline;
use crate::server::effect::Report;
use crate::server::people::relays;
use crate::server::{Later, Phase, ServerState, post, wishes};
use crate::time::Time;
use crate::wire::{Capabilities, Farewell, Framer, RELAY_LINE_BYTES, Refusal, ServerLine, VERSION};
use crate::words::{LinkId, Ticket, Token};

/// The input side of one connection. No `Debug`: what came may hold a password.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) from: SocketAddr,
    pub(super) stage: Stage,
    pub(super) capabilities: Capabilities,
    pub(super) framer: Framer,
    /// Lines that wait to be obeyed.
    pub(super) held: Backlog,
    /// The shell reads it no more.
    pub(super) paused: bool,
    pub(super) waits: Waits,
    /// What its lines have cost in this turn.
    pub(super) spent: u64,
    /// The client has said all that it will.
    pub(super) ended: bool,
    /// Wrong passwords on this link.
    pub(super) failures: u32,
    /// Whether anything has come on it.
    pub(super) spoke: bool,
    /// When it began to log in, as a serial number.
    pub(super) begun: Option<u64>,
    /// The cookie that it has shown.
    pub(super) cookie: Option<Token>,
    /// The invite that was shown on it.
    pub(super) invite: Option<Digest>,
    /// Commands of a courier that are not answered.
    pub(super) open: u32,
    /// The login that was refused on it because of a session.
    pub(super) denied: Option<Box<Denied>>,
    /// Whether it was asked if its client is there, and has said nothing since.
    pub(super) asked: bool,
    /// When the link must be logged in, or its last words be said.
    pub(super) due: Option<Time>,
    /// When something of what a logout waits for was last taken.
    pub(super) moved_at: Time,
}

/// How far a link has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not logged in.
    Anonymous,
    /// A password of it is being compared, or hashed for a new account.
    LoggingIn(Ticket),
    /// A password of it waits for its turn.
    Queued,
    /// Its password is right; this user's session is asked whether its client is there.
    Asking(UserId),
    /// It is being refused: the record that the refusal reveals is on its way. Whether it closes then.
    Refused(Refusal, bool),
    /// It is let in as this user once the record of that is settled.
    Entering(UserId, super::entry::Entry),
    /// It carries this user's session.
    Member(UserId),
    /// It carries this user's session, which ends: only acknowledgements are still of interest.
    Leaving(UserId, LastAnswer),
    /// It is let in as a courier of this user, with this token, once the record of that is settled.
    Hailing(UserId, Token),
    /// It carries messages of this user.
    Carrying(UserId),
    /// So it did: it says goodbye once all are answered.
    Departing(UserId, LastAnswer),
    /// Its session is over. The last words are said once the record of that is settled, or after 2 s.
    Parting(Farewell, LastAnswer),
}

/// Whether a command is still to be answered when a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LastAnswer {
    None,
    /// `ok logout`, with the number of the command.
    Logout(Option<u64>),
}

impl Stage {
    /// Whose session the link carries.
    pub(super) const fn user(self) -> Option<UserId> {
        match self {
            Stage::Member(user) | Stage::Leaving(user, _) => Some(user),
            Stage::Anonymous
            | Stage::LoggingIn(_)
            | Stage::Queued
            | Stage::Asking(_)
            | Stage::Refused(..)
            | Stage::Entering(..)
            | Stage::Hailing(..)
            | Stage::Carrying(_)
            | Stage::Departing(..)
            | Stage::Parting(..) => None,
        }
    }

    /// Who pays for the lines of the link, and whether it is a courier's.
    pub(super) const fn payer(self) -> Option<(UserId, bool)> {
        match self {
            Stage::Member(user) => Some((user, false)),
            Stage::Carrying(user) => Some((user, true)),
            Stage::Anonymous
            | Stage::LoggingIn(_)
            | Stage::Queued
            | Stage::Asking(_)
            | Stage::Refused(..)
            | Stage::Entering(..)
            | Stage::Leaving(..)
            | Stage::Hailing(..)
            | Stage::Departing(..)
            | Stage::Parting(..) => None,
        }
    }

    /// Whose courier the link is, or is about to be.
    pub(super) const fn courier(self) -> Option<UserId> {
        match self {
            Stage::Hailing(user, _) | Stage::Carrying(user) | Stage::Departing(user, _) => Some(user),
            Stage::Anonymous
            | Stage::LoggingIn(_)
            | Stage::Queued
            | Stage::Asking(_)
            | Stage::Refused(..)
            | Stage::Entering(..)
            | Stage::Member(_)
            | Stage::Leaving(..)
            | Stage::Parting(..) => None,
        }
    }
}

pub(in crate::server) fn open_link(server: &mut ServerState, id: LinkId, from: SocketAddr, nonce: &[u8; 32]) {
    server.secrets.absorb(nonce);
    if server.phase == Phase::Stopping || server.door.links.contains_key(&id) {
        return server.out.turn_away(id);
    }
    let newcomer = Newcomer::from(server, from);
    if !strangers::make_room(server, newcomer) {
        return server.out.turn_away(id);
    }
    let login_secs = server.settings.login_secs;
    let login_secs = login_secs - login_secs / 2 * u64::from(planted::is(Planted::LoginTimeHalved));
    let login_due = (login_secs > 0).then(|| server.now + Duration::from_secs(login_secs));
    let link = Link {
        from,
        stage: Stage::Anonymous,
        capabilities: Capabilities::default(),
        framer: Framer::default(),
        held: Backlog::default(),
        paused: false,
        waits: Waits::default(),
        spent: 0,
        ended: false,
        failures: 0,
        spoke: false,
        begun: None,
        cookie: None,
        invite: None,
        open: 0,
        denied: None,
        asked: false,
        due: login_due,
        moved_at: server.now,
    };
    server.door.links.insert(id, link);
    server.door.strangers.insert(id, newcomer);
    if let Some(at) = login_due {
        server.deadlines.add(at, Deadline::Login(id));
    }
    server.out.open(id);
    // A frame of a relay has to fit into a line.
    let relay = server.settings.line_bytes == 0 || server.settings.line_bytes >= RELAY_LINE_BYTES;
    let capabilities = Capabilities {
        acknowledge: true,
        resume: true,
        device: true,
        alive: true,
        courier: true,
        away: true,
        relay,
        until: true,
    };
    server.out.send(id, &ServerLine::Greeting { version: VERSION, capabilities });
}

/// Bytes have left for the network.
pub(in crate::server) fn flushed(server: &mut ServerState, id: LinkId, upto: u64) {
    let flushed = server.out.flushed(id, upto);
    let Some(link) = server.door.links.get(&id) else { return };
    let (stage, acknowledges) = (link.stage, link.capabilities.acknowledge);
    waiting::lists_moved(server, id);
    if let Some(user) = stage.user() {
        if !acknowledges {
            post::delivery::left_for_network(server, user, flushed);
        }
        probes::left_for_network(server, id, user, flushed);
        post::delivery::advance(server, user);
        relays::go_on(server, user);
        ending::go_on_leaving(server, user);
    }
}

/// The client has said all that it will: a logout after all that it has said, unless it can resume.
pub(in crate::server) fn stream_ended(server: &mut ServerState, id: LinkId) {
    let Some(link) = server.door.links.get_mut(&id) else { return };
    if link.capabilities.resume && !link.capabilities.courier {
        server.out.close(id);
        return link_lost(server, id);
    }
    link.ended = true;
    if planted::is(Planted::LogoutAtEndOfStreamDropsLines) {
        link.held.clear();
    }
    server.later.push_back(Later::Read(id));
}

/// All that was said on a link that has ended is obeyed.
pub(super) fn end_is_due(server: &mut ServerState, id: LinkId) {
    let Some(link) = server.door.links.get(&id) else { return };
    match link.stage {
        Stage::Anonymous => close(server, id),
        Stage::Member(user) => ending::leave_at_end(server, id, user),
        Stage::Carrying(user) => couriers::leave(server, id, user, LastAnswer::None),
        Stage::Hailing(..)
        | Stage::Departing(..)
        | Stage::LoggingIn(_)
        | Stage::Queued
        | Stage::Asking(_)
        | Stage::Refused(..)
        | Stage::Entering(..)
        | Stage::Leaving(..)
        | Stage::Parting(..) => {}
    }
}

/// The link is gone, and what depends on it ends.
pub(in crate::server) fn link_lost(server: &mut ServerState, id: LinkId) {
    if !server.door.links.contains_key(&id) {
        return;
    }
    wishes::drop_unnumbered(server, id);
    let Some(link) = take(server, id) else { return };
    match link.stage {
        Stage::Queued => hashing::leave(server, id),
        Stage::Asking(user) => probes::forget(server, user),
        Stage::Entering(user, entry) => ending::never_entered(server, user, entry),
        // The end of its stream was a logout, and nothing can be said on it any more.
        Stage::Member(user) if link.ended => ending::leaving_lost_link(server, user),
        Stage::Member(user) => ending::session_lost_link(server, user),
        Stage::Leaving(user, _) => ending::leaving_lost_link(server, user),
        Stage::Anonymous
        | Stage::LoggingIn(_)
        | Stage::Refused(..)
        | Stage::Hailing(..)
        | Stage::Carrying(_)
        | Stage::Departing(..)
        | Stage::Parting(..) => {}
    }
    server.out.forget(id);
}

/// Closes a link that carries no session, after what was sent on it.
pub(super) fn close(server: &mut ServerState, id: LinkId) {
    let Some(link) = take(server, id) else { return };
    assert!(link.stage.user().is_none(), "a session ends before its link is closed");
    match link.stage {
        Stage::Queued => hashing::leave(server, id),
        Stage::Asking(user) => probes::forget(server, user),
        Stage::Anonymous
        | Stage::LoggingIn(_)
        | Stage::Refused(..)
        | Stage::Entering(..)
        | Stage::Member(_)
        | Stage::Leaving(..)
        | Stage::Hailing(..)
        | Stage::Carrying(_)
        | Stage::Departing(..)
        | Stage::Parting(..) => {}
    }
    server.out.close(id);
}

/// The last word on a link whose user or courier, if there is one, is out of the way.
pub(super) fn say_farewell(server: &mut ServerState, id: LinkId, farewell: Farewell) {
    server.out.send(id, &ServerLine::Bye(farewell));
    if stage(server, id).is_some_and(|stage| stage.user().is_some()) {
        set_stage(server, id, Stage::Anonymous);
    }
    close(server, id);
}

/// Closes the link that a session has moved on from.
pub(super) fn detach(server: &mut ServerState, id: LinkId) {
    wishes::drop_unnumbered(server, id);
    if take(server, id).is_some() {
        server.out.close(id);
    }
}

/// Cuts a link off: its client has gone beyond a bound.
pub(super) fn cut_off(server: &mut ServerState, id: LinkId, limit: &'static str) {
    let Some(from) = server.door.links.get(&id).map(|link| link.from) else { return };
    server.out.report(Report::LimitReached { limit, from });
    // Closed before what it carried ends, so that nothing more is said on it.
    server.out.close(id);
    link_lost(server, id);
}

fn take(server: &mut ServerState, id: LinkId) -> Option<Link> {
    leave_anonymous(server, id);
    let link = server.door.links.remove(&id)?;
    if link.waits.has(Waits::TURN) {
        turns::forget(server, id);
    }
    if let Some(user) = link.stage.courier() {
        server.accounts[user].couriers.leave(id);
    }
    Some(link)
}

/// The link is logged in, or gone: it counts no more among those that are not.
pub(super) fn leave_anonymous(server: &mut ServerState, id: LinkId) {
    let Some((from, due)) = server.door.links.get(&id).map(|link| (link.from, link.due)) else { return };
    if server.door.strangers.remove(id, from)
        && let Some(at) = due
    {
        server.deadlines.remove(at, Deadline::Login(id));
    }
}

/// A link has not logged in in time.
pub(in crate::server) fn close_overdue(server: &mut ServerState, id: LinkId) {
    if login::is_with_the_store(server, id) {
        // The registration is decided; it is the disk that takes its time.
        server.deadlines.add(server.now + Duration::from_secs(1), Deadline::Login(id));
    } else if couriers::is_kept_waiting(server, id) {
        couriers::set_due(server, id, Some(server.now + Duration::from_secs(1)));
    } else if server.door.strangers.contains(id) {
        say_farewell(server, id, Farewell::Timeout);
    }
}

pub(super) fn stage(server: &ServerState, id: LinkId) -> Option<Stage> {
    server.door.links.get(&id).map(|link| link.stage)
}

pub(super) fn set_stage(server: &mut ServerState, id: LinkId, stage: Stage) {
    if let Some(link) = server.door.links.get_mut(&id) {
        link.stage = stage;
    }
}

/// Whether the session of a link is over, and its last word is not said.
pub(in crate::server) fn is_parting(server: &ServerState, id: LinkId) -> bool {
    matches!(stage(server, id), Some(Stage::Parting(..)))
}

pub(super) fn is_anonymous(server: &ServerState, id: LinkId) -> bool {
    stage(server, id) == Some(Stage::Anonymous)
}

/// Says the last words on a link whose session is over, and closes it.
pub(super) fn part(server: &mut ServerState, id: LinkId) {
    let Some(Stage::Parting(farewell, last)) = stage(server, id) else { return };
    if let Some(at) = server.door.links.get(&id).and_then(|link| link.due) {
        server.deadlines.remove(at, Deadline::Parting(id));
    }
    if let LastAnswer::Logout(number) = last {
        server.out.send(id, &ServerLine::Done { number, answer: crate::wire::Answer::Logout });
    }
    server.out.send(id, &ServerLine::Bye(farewell));
    close(server, id);
}

/// The record of the end of a session takes too long: its link has waited enough.
pub(in crate::server) fn parting_due(server: &mut ServerState, id: LinkId) {
    part(server, id);
}
