//! Input: bytes become lines, and lines are obeyed, at once or when their link need not wait any more.

use core::mem;

use super::backlog::Held;
use super::links::{self, Stage};
use super::{commands, couriers, devices, ending, invites, login, probes, turns, waiting};
use crate::planted::{self, Planted};
use crate::server::accounts::UserId;
use crate::server::people::relays;
use crate::server::{ServerState, post, session};
use crate::wire::{
    Capabilities, ClientLine, Code, Farewell, Frame, LINE_ROOM, Misuse, Prompt, RelayLine, ServerLine,
    VERSION,
};
use crate::words::LinkId;

/// A line of more bytes closes its link; where lines may be long, one of more than twice the limit.
const ENDLESS_LINE_BYTES: usize = 64 * 1024;
/// What may wait on one link; with more it is not read.
const HELD_BYTES: usize = 64 * 1024;
/// Input that came although the link was paused; a shell that goes on beyond it is cut off.
const HELD_WHILE_PAUSED_BYTES: usize = 1 << 20;

/// Takes bytes off the network: every whole line is obeyed, unless its link has to wait.
pub(in crate::server) fn receive(server: &mut ServerState, id: LinkId, bytes: &[u8]) {
    let limit = line_limit(server);
    let Some(link) = server.door.links.get_mut(&id).filter(|link| !link.ended) else { return };
    link.spoke = true;
    if link.asked {
        probes::heard(server, id);
        server.do_what_is_due();
    }
    let Some(link) = server.door.links.get_mut(&id) else { return };
    let mut framer = mem::take(&mut link.framer);
    let mut rest = bytes;
    while let Some(frame) = framer.next(&mut rest, limit) {
        take_frame(server, id, frame);
        // Before the next line: how lines share a chunk makes no difference.
        server.do_what_is_due();
        if !server.door.links.contains_key(&id) {
            return;
        }
    }
    if framer.is_between_lines() {
        // So is the one that was left in its place.
        return;
    }
    let endless = framer.skipped() > endless_line(server);
    let Some(link) = server.door.links.get_mut(&id) else { return };
    link.framer = framer;
    if endless {
        links::cut_off(server, id, "line_bytes");
    }
}

/// The longest line that is obeyed.
const fn line_limit(server: &ServerState) -> usize {
    match server.settings.line_bytes {
        0 => usize::MAX,
        bytes => bytes.saturating_add(LINE_ROOM),
    }
}

/// The longest line that is skipped.
fn endless_line(server: &ServerState) -> usize {
    line_limit(server).saturating_mul(2).max(ENDLESS_LINE_BYTES)
}

fn take_frame(server: &mut ServerState, id: LinkId, frame: Frame<'_>) {
    let Some(link) = server.door.links.get(&id) else { return };
    let (stage, waits) = (link.stage, link.waits.any() || !link.held.is_empty());
    let relays = link.capabilities.relay;
    if matches!(stage, Stage::Parting(..)) {
        return;
    }
    if let Frame::Line(line) = frame
        && let Some(line) = obeyed_at_once(stage, relays, line)
    {
        return obey(server, id, stage, line);
    }
    match frame {
        // It must make no difference whether the end of the line came with it.
        Frame::TooLong { bytes } if bytes > endless_line(server) => {
            links::cut_off(server, id, "line_bytes");
        }
        Frame::Line(line) if line.iter().all(|&byte| byte == b' ') => {}
        _ if matches!(stage, Stage::Leaving(..) | Stage::Departing(..)) => {}
        _ if waits || must_wait(server, id, stage) => hold(server, id, frame),
        Frame::TooLong { .. } => obey_at_a_price(server, id, stage, Held::TooLong),
        Frame::Line(line) => obey_at_a_price(server, id, stage, Held::Line(line)),
    }
}

/// Whether the user of a link that does not wait has to pay first, or has too many records under way.
fn must_wait(server: &mut ServerState, id: LinkId, stage: Stage) -> bool {
    stage.payer().is_some_and(|(user, is_courier)| waiting::must_wait(server, id, user, is_courier))
}

/// Obeys a line that costs its user a unit, and whatever else it causes.
fn obey_at_a_price(server: &mut ServerState, id: LinkId, stage: Stage, line: Held<'_>) {
    let user = stage.payer().map(|(user, _)| user);
    server.door.begin_line(user);
    if let Some(user) = user {
        session::charge(server, user, 1);
    }
    match line {
        Held::Line(line) => obey_line(server, id, stage, line),
        Held::TooLong => misused(server, id, Misuse { number: None, command: "", code: Code::TooLong }),
    }
    turns::end_line(server, id);
}

/// A line that is obeyed although its link waits: acknowledgements must not wait for what they settle.
fn obeyed_at_once(stage: Stage, relays: bool, line: &[u8]) -> Option<ClientLine<'_>> {
    let change = |line: &[u8]| {
        [&b"block"[..], b"unblock", b"create", b"add", b"remove", b"leave", b"delete", b"#", b"logout"]
            .iter()
            .any(|word| line.starts_with(word))
    };
    let planted = planted::is(Planted::NextLineDoesNotWait) && !change(line);
    let is_member = stage.user().is_some();
    let sends = is_member || stage.courier().is_some();
    // Most lines are others: their first byte tells.
    if !matches!(line.trim_ascii_start(), [b'a' | b'r', ..]) && !planted {
        return None;
    }
    let line = ClientLine::parse(line).ok()?;
    let settles =
        matches!(line, ClientLine::Acknowledge { .. } | ClientLine::Active { .. } | ClientLine::Alive);
    let took = matches!(line, ClientLine::Relay(RelayLine::Took { .. })) && relays;
    (sends && (settles || planted) || is_member && took).then_some(line)
}

fn hold(server: &mut ServerState, id: LinkId, frame: Frame<'_>) {
    let Some(link) = server.door.links.get_mut(&id) else { return };
    link.held.push(frame);
    if link.held.weight() > HELD_WHILE_PAUSED_BYTES {
        return links::cut_off(server, id, "1 MiB of input that waits");
    }
    if link.held.weight() > HELD_BYTES && !mem::replace(&mut link.paused, true) {
        server.out.pause(id);
    }
}

/// Obeys what was held, as far as the link need not wait again, then the end of its stream.
pub(in crate::server) fn go_on_reading(server: &mut ServerState, id: LinkId) {
    while let Some(link) = server.door.links.get_mut(&id) {
        if link.waits.any() {
            break;
        }
        let (stage, relays) = (link.stage, link.capabilities.relay);
        let Some(next) = link.held.front() else {
            if link.ended {
                links::end_is_due(server, id);
            }
            break;
        };
        let at_once = matches!(next, Held::Line(line) if obeyed_at_once(stage, relays, line).is_some());
        if !at_once && must_wait(server, id, stage) {
            break;
        }
        go_on_with_next(server, id, at_once);
    }
    if let Some(link) = server.door.links.get_mut(&id)
        && link.paused
        && link.held.weight() <= HELD_BYTES / 2
    {
        link.paused = false;
        server.out.resume(id);
    }
}

/// Obeys the next line that was held.
fn go_on_with_next(server: &mut ServerState, id: LinkId, at_once: bool) {
    let Some(link) = server.door.links.get_mut(&id) else { return };
    let stage = link.stage;
    let Some(lent) = link.held.lend() else { return };
    match lent.line() {
        Held::Line(line) if at_once => obey_line(server, id, stage, line),
        _ if matches!(stage, Stage::Leaving(..) | Stage::Departing(..)) => {}
        line @ (Held::Line(_) | Held::TooLong) => obey_at_a_price(server, id, stage, line),
    }
    if let Some(link) = server.door.links.get_mut(&id) {
        link.held.take_back(lent);
    }
}

fn obey_line(server: &mut ServerState, id: LinkId, stage: Stage, line: &[u8]) {
    match ClientLine::parse(line) {
        Ok(line) => obey(server, id, stage, line),
        Err(misuse) => misused(server, id, misuse),
    }
}

/// Obeys a line of a link that was in this stage when the line began.
fn obey(server: &mut ServerState, id: LinkId, stage: Stage, line: ClientLine<'_>) {
    let member = match stage {
        Stage::Member(user) => user,
        Stage::Anonymous => return obey_stranger(server, id, line),
        Stage::Carrying(user) => return couriers::obey(server, id, user, line),
        Stage::Leaving(user, _) => {
            if let ClientLine::Acknowledge { shown: Some(shown), .. } = line {
                post::delivery::acknowledged(server, user, shown);
            }
            return;
        }
        Stage::LoggingIn(_)
        | Stage::Queued
        | Stage::Asking(_)
        | Stage::Refused(..)
        | Stage::Entering(..)
        | Stage::Hailing(..)
        | Stage::Departing(..)
        | Stage::Parting(..) => return,
    };
    let first_word = line.first_word();
    match line {
        ClientLine::Request { number, command } => {
            commands::obey_command(server, id, member, number, command);
            waiting::look(server, id, member);
        }
        ClientLine::Marked { number, .. } => {
            let code = Code::UnknownCommand;
            misused(server, id, Misuse { number: Some(number), command: first_word, code });
        }
        ClientLine::Acknowledge { shown, answered } => acknowledge(server, member, shown, answered),
        ClientLine::Alive => {}
        ClientLine::Active { .. } if planted::is(Planted::ActiveIgnored) => {}
        ClientLine::Active { valid } => {
            ending::note_activity(server, member, valid || planted::is(Planted::InvalidActiveCounts));
        }
        ClientLine::Relay(line) if reads_relays(server, id) => relays::obey(server, id, member, line),
        ClientLine::Relay(_)
        | ClientLine::Hello { .. }
        | ClientLine::Device { .. }
        | ClientLine::Invite { .. }
        | ClientLine::Takeover
        | ClientLine::Login { .. }
        | ClientLine::Register { .. }
        | ClientLine::Resume { .. } => {
            misused(server, id, Misuse { number: None, command: first_word, code: Code::UnknownCommand });
        }
    }
}

fn reads_relays(server: &ServerState, id: LinkId) -> bool {
    server.door.links.get(&id).is_some_and(|link| link.capabilities.relay)
}

fn acknowledge(
    server: &mut ServerState,
    user: UserId,
    shown: Option<crate::words::MessageId>,
    answered: Option<u64>,
) {
    if planted::is(Planted::AcknowledgingIsActivity) {
        ending::note_activity(server, user, true);
    }
    if let Some(answered) = answered {
        server.accounts[user].ledger.answered(answered);
    }
    if let Some(shown) = shown {
        post::delivery::acknowledged(server, user, shown);
    }
}

fn obey_stranger(server: &mut ServerState, id: LinkId, line: ClientLine<'_>) {
    match line {
        ClientLine::Hello { version, capabilities } => hello(server, id, version, capabilities),
        ClientLine::Login { name, password } => login::login(server, id, name, password),
        ClientLine::Register { name, password } => login::register(server, id, name, password),
        ClientLine::Resume { name, token } => login::resume(server, id, name, &token),
        ClientLine::Device { cookie } => devices::shown(server, id, cookie),
        ClientLine::Invite { code } => invites::shown(server, id, &code),
        ClientLine::Takeover => probes::take_over(server, id),
        ClientLine::Request { .. }
        | ClientLine::Marked { .. }
        | ClientLine::Acknowledge { .. }
        | ClientLine::Active { .. }
        | ClientLine::Relay(_)
        | ClientLine::Alive => {
            server.out.send(id, &ServerLine::Ask(Prompt::Username));
        }
    }
}

fn hello(server: &mut ServerState, id: LinkId, version: u32, capabilities: Capabilities) {
    if version == VERSION {
        if let Some(link) = server.door.links.get_mut(&id) {
            link.capabilities = capabilities;
        }
    } else {
        links::say_farewell(server, id, Farewell::Version);
    }
}

pub(super) fn misused(server: &mut ServerState, id: LinkId, misuse: Misuse<'_>) {
    match links::stage(server, id) {
        Some(Stage::Member(user)) => ending::note_activity(server, user, false),
        Some(Stage::Leaving(..) | Stage::Departing(..) | Stage::Parting(..)) | None => return,
        Some(
            Stage::Anonymous
            | Stage::LoggingIn(_)
            | Stage::Queued
            | Stage::Asking(_)
            | Stage::Refused(..)
            | Stage::Entering(..)
            | Stage::Hailing(..)
            | Stage::Carrying(_),
        ) => {}
    }
    let Misuse { number, command, code } = misuse;
    let is_logged_in = matches!(links::stage(server, id), Some(Stage::Member(_) | Stage::Carrying(_)));
    let of_strangers = ["hello", "device", "invite", "login", "register", "resume", "takeover"];
    let over = of_strangers.contains(&command) && is_logged_in;
    let link = server.door.links.get(&id);
    let relays = link.is_some_and(|link| link.capabilities.relay && link.stage.courier().is_none());
    let over = over || command == "relay" && !relays && is_logged_in;
    let code = if over { Code::UnknownCommand } else { code };
    server.tally.command_failed(code);
    server.out.send(id, &ServerLine::Failed { number, code, command });
    couriers::look(server, id);
}
