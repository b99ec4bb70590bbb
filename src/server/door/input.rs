//! Links: connections as the core sees them, from their opening to their close.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;
use core::net::{IpAddr, SocketAddr};

use super::accounts::UserId;
use super::deadlines::Deadline;
use super::effect::Report;
use super::listing::Waiting;
use super::lockout::Subject;
use super::outbox::{HeldOutput, Release, Written};
use super::session::Lost;
use super::{Phase, ServerState};
use crate::planted::{self, Planted};
use crate::record::RecordNumber;
use crate::time::Time;
use crate::wire::{
    Capabilities, ClientLine, Code, Farewell, Frame, Framer, LINE_ROOM, Misuse, ServerLine, VERSION,
};
use crate::words::{LinkId, Ticket};

/// A line of more bytes closes its link; where lines may be long, one of more than twice the limit.
const ENDLESS_LINE_BYTES: usize = 64 * 1024;
/// Output that may wait in here for records. The shell's limit does not see it, and a store may take
/// its time while others go on talking.
const HELD_BYTES: u64 = 1 << 20;
/// The same for the operator. No setting allows more.
const HELD_LIMIT: &str = "1 MiB of output that waits for the store";
/// Input that came although the link was paused; a shell that goes on beyond it is cut off.
const BACKLOG_BYTES: usize = 1 << 20;

/// One connection. No `Debug`: its input may hold a password.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) from: SocketAddr,
    pub(super) stage: Stage,
    pub(super) capabilities: Capabilities,
    framer: Framer,
    /// Input not looked at yet, while the link waits.
    backlog: Vec<u8>,
    pub(super) waits: Waits,
    /// Bytes handed out so far, and how many of them have left.
    pub(super) sent: u64,
    pub(super) flushed: u64,
    pub(super) held: HeldOutput,
    held_bytes: u64,
    pub(super) listings: VecDeque<Waiting>,
    /// Wrong passwords on this link.
    pub(super) failures: u32,
    /// Whether anything has come on it.
    spoke: bool,
    login_due: Option<Time>,
}

/// How far a link has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not logged in.
    Anonymous,
    /// A password of it is being compared, or hashed for a new account.
    LoggingIn(Ticket),
    /// A password of it waits until one more try at the name is free.
    Waiting(Subject),
    /// It carries this user's session.
    Member(UserId),
    /// It carries this user's session, which ends: only what he acknowledges is still of interest.
    Leaving(UserId),
    /// Only what is held is still to be sent.
    Closing,
}

impl Stage {
    /// Whose session the link carries.
    pub(super) const fn user(self) -> Option<UserId> {
        match self {
            Stage::Member(user) | Stage::Leaving(user) => Some(user),
            Stage::Anonymous | Stage::LoggingIn(_) | Stage::Waiting(_) | Stage::Closing => None,
        }
    }
}

/// Why a link takes no input for now; several reasons may hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Waits(u8);

impl Waits {
    /// For a password to be compared or hashed, or an account to be made.
    pub(super) const LOGIN: Waits = Waits(1);
    /// For the rate of deliveries to allow more.
    pub(super) const RATE: Waits = Waits(2);
    /// For lists to leave.
    pub(super) const LISTING: Waits = Waits(4);

    const fn any(self) -> bool {
        self.0 != 0
    }
}

impl Link {
    /// All bytes that will have been sent once nothing is held any more.
    pub(super) const fn queued(&self) -> u64 {
        self.sent + self.held_bytes
    }

    /// Bytes handed out that have not left.
    pub(super) const fn in_flight(&self) -> u64 {
        self.sent.saturating_sub(self.flushed)
    }
}

/// Whether limits by address apply: an operator's own machine is exempt.
pub(super) fn limited_address(from: SocketAddr) -> Option<IpAddr> {
    let ip = from.ip().to_canonical();
    if ip.is_loopback() {
        return None;
    }
    Some(match ip {
        IpAddr::V4(_) => ip,
        // One host is given a /64.
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    })
}

impl ServerState {
    pub(super) fn open_link(&mut self, id: LinkId, from: SocketAddr, nonce: &[u8; 32]) {
        self.secrets.absorb(nonce);
        if self.phase == Phase::Stopping || self.links.contains_key(&id) {
            self.outbox.close(id);
            return;
        }
        self.make_room_for_link(from);
        let login_due = (self.settings.login_secs > 0)
            .then(|| self.now + core::time::Duration::from_secs(self.settings.login_secs));
        let link = Link {
            from,
            stage: Stage::Anonymous,
            capabilities: Capabilities::default(),
            framer: Framer::default(),
            backlog: Vec::new(),
            waits: Waits::default(),
            sent: 0,
            flushed: 0,
            held: HeldOutput::default(),
            held_bytes: 0,
            listings: VecDeque::new(),
            failures: 0,
            spoke: false,
            login_due,
        };
        self.links.insert(id, link);
        self.anonymous.insert(id);
        if let Some(at) = login_due {
            self.deadlines.add(at, Deadline::Login(id));
        }
        let capabilities = Capabilities { acknowledge: true, resume: true };
        self.send(id, &ServerLine::Greeting { version: VERSION, capabilities });
    }

    /// At the bounds of connections that are not logged in, the oldest silent one goes.
    fn make_room_for_link(&mut self, from: SocketAddr) {
        let per_address = self.settings.unauthenticated_per_address as usize;
        if let Some(ip) = limited_address(from)
            && per_address > 0
        {
            let same = |server: &ServerState, id: &LinkId| limited_address(server.links[id].from) == Some(ip);
            let rivals: Vec<LinkId> = self.anonymous.iter().copied().filter(|id| same(self, id)).collect();
            self.close_oldest_silent(rivals, per_address, "unauthenticated_per_address");
        }
        let all = self.settings.unauthenticated_max as usize;
        if all > 0 && self.anonymous.len() >= all {
            let rivals: Vec<LinkId> = self.anonymous.iter().copied().collect();
            self.close_oldest_silent(rivals, all, "unauthenticated_max");
        }
    }

    /// Closes links until there is room for one more: one, unless the bound has been lowered.
    fn close_oldest_silent(&mut self, mut rivals: Vec<LinkId>, bound: usize, limit: &'static str) {
        while rivals.len() >= bound {
            let silent = rivals.iter().position(|id| !self.links[id].spoke);
            let oldest = rivals.remove(silent.unwrap_or(0));
            let from = self.links[&oldest].from;
            self.outbox.report(Report::LimitReached { limit, from });
            self.close_link(oldest);
        }
    }

    /// Takes bytes off the network: every whole line is obeyed, unless the link has to wait.
    pub(super) fn receive(&mut self, id: LinkId, bytes: &[u8]) {
        let limit = self.line_limit();
        let Some(link) = self.links.get_mut(&id) else { return };
        link.spoke = true;
        if link.stage == Stage::Closing {
            return;
        }
        if link.waits.any() {
            link.backlog.extend_from_slice(bytes);
            if link.backlog.len() > BACKLOG_BYTES {
                self.lose_link(id);
                self.outbox.close(id);
            }
            return;
        }
        let mut framer = mem::take(&mut link.framer);
        let (mut rest, mut stage) = (bytes, link.stage);
        while let Some(frame) = framer.next(&mut rest, limit) {
            self.obey_frame(id, stage, frame);
            let Some(link) = self.links.get_mut(&id) else { return };
            stage = link.stage;
            if stage == Stage::Closing {
                return;
            }
            if link.waits.any() {
                link.backlog.extend_from_slice(rest);
                break;
            }
        }
        if framer.is_between_lines() {
            // So is the one that was left in its place.
            return;
        }
        let endless = framer.skipped() > self.endless_line();
        let Some(link) = self.links.get_mut(&id) else { return };
        link.framer = framer;
        if endless {
            self.cut_endless_line(id);
        }
    }

    /// The longest line that is obeyed.
    const fn line_limit(&self) -> usize {
        match self.settings.line_bytes {
            0 => usize::MAX,
            bytes => bytes.saturating_add(LINE_ROOM),
        }
    }

    /// The longest line that is skipped.
    fn endless_line(&self) -> usize {
        self.line_limit().saturating_mul(2).max(ENDLESS_LINE_BYTES)
    }

    fn cut_endless_line(&mut self, id: LinkId) {
        let Some(from) = self.links.get(&id).map(|link| link.from) else { return };
        self.outbox.report(Report::LimitReached { limit: "line_bytes", from });
        self.lose_link(id);
        self.outbox.close(id);
    }

    fn obey_frame(&mut self, id: LinkId, stage: Stage, frame: Frame<'_>) {
        let line = match frame {
            // Whether its end came with it must make no difference.
            Frame::TooLong { bytes } if bytes > self.endless_line() => return self.cut_endless_line(id),
            Frame::TooLong { .. } => {
                return self.misused(id, Misuse { number: None, command: "", code: Code::TooLong });
            }
            Frame::Line(line) if line.iter().all(|&byte| byte == b' ') => return,
            Frame::Line(line) => line,
        };
        match ClientLine::parse(line) {
            Ok(line) => self.obey(id, stage, line),
            Err(misuse) => self.misused(id, misuse),
        }
    }

    fn obey(&mut self, id: LinkId, stage: Stage, line: ClientLine<'_>) {
        let member = match stage {
            Stage::Member(user) => Some(user),
            Stage::Anonymous => None,
            Stage::Leaving(user) => {
                if let ClientLine::Acknowledge { shown, answered } = line {
                    self.acknowledged(user, shown, answered);
                }
                return;
            }
            Stage::LoggingIn(_) | Stage::Waiting(_) | Stage::Closing => return,
        };
        let first_word = line.first_word();
        match (line, member) {
            (ClientLine::Request { number, command }, Some(user)) => {
                self.obey_command(id, user, number, command)
            }
            (ClientLine::Acknowledge { shown, answered }, Some(user)) => {
                self.acknowledged(user, shown, answered);
            }
            (ClientLine::Active { valid }, Some(user)) => self.note_activity(user, valid),
            (ClientLine::Hello { version, capabilities }, None) => self.hello(id, version, capabilities),
            (ClientLine::Login { name, password }, None) => self.login(id, name, password),
            (ClientLine::Register { name, password }, None) => self.register(id, name, password),
            (ClientLine::Resume { name, token }, None) => self.resume(id, name, &token),
            (
                ClientLine::Hello { .. }
                | ClientLine::Login { .. }
                | ClientLine::Register { .. }
                | ClientLine::Resume { .. },
                Some(_),
            ) => {
                self.misused(id, Misuse { number: None, command: first_word, code: Code::UnknownCommand });
            }
            (
                ClientLine::Request { .. } | ClientLine::Acknowledge { .. } | ClientLine::Active { .. },
                None,
            ) => {
                self.send(id, &ServerLine::Ask(crate::wire::Prompt::Username));
            }
        }
    }

    fn hello(&mut self, id: LinkId, version: u32, capabilities: Capabilities) {
        if version == VERSION {
            if let Some(link) = self.links.get_mut(&id) {
                link.capabilities = capabilities;
            }
        } else {
            self.send(id, &ServerLine::Bye(Farewell::Version));
            self.close_link(id);
        }
    }

    fn misused(&mut self, id: LinkId, misuse: Misuse<'_>) {
        match self.links.get(&id).map(|link| link.stage) {
            Some(Stage::Member(user)) => self.note_activity(user, false),
            Some(Stage::Leaving(_)) => return,
            Some(Stage::Anonymous | Stage::LoggingIn(_) | Stage::Waiting(_) | Stage::Closing) | None => {}
        }
        let Misuse { number, command, code } = misuse;
        self.send(id, &ServerLine::Failed { number, code, command });
    }

    /// Makes a link wait; its input stays where it is.
    pub(super) fn wait(&mut self, id: LinkId, why: Waits) {
        if let Some(link) = self.links.get_mut(&id) {
            if !link.waits.any() {
                self.outbox.pause(id);
            }
            link.waits.0 |= why.0;
        }
    }

    /// Ends one reason to wait.
    pub(super) fn wait_no_more(&mut self, id: LinkId, why: Waits) {
        if let Some(link) = self.links.get_mut(&id)
            && link.waits.0 & why.0 != 0
        {
            link.waits.0 &= !why.0;
            if !link.waits.any() {
                self.ready.push(id);
            }
        }
    }

    pub(super) fn go_on_with_ready_links(&mut self) {
        let mut next = 0;
        while let Some(&id) = self.ready.get(next) {
            next += 1;
            let Some(link) = self.links.get_mut(&id) else { continue };
            if link.waits.any() {
                continue;
            }
            let backlog = mem::take(&mut link.backlog);
            self.receive(id, &backlog);
            if self.links.get(&id).is_some_and(|link| !link.waits.any()) {
                self.outbox.resume(id);
            }
        }
        self.ready.clear();
    }

    /// Queues a line; it may have to wait for what the link's user must not see yet.
    pub(super) fn send(&mut self, id: LinkId, line: &ServerLine<'_>) {
        self.send_after(id, RecordNumber(0), line);
    }

    /// Queues a line that reveals a record.
    pub(super) fn send_after(&mut self, id: LinkId, after: RecordNumber, line: &ServerLine<'_>) {
        let written = self.outbox.write(|out| line.encode(out));
        self.queue(id, after, written);
    }

    /// Queues what was written for one or more links; says where it ends in the output of this one.
    pub(super) fn queue(&mut self, id: LinkId, after: RecordNumber, written: Written) -> u64 {
        let Some(link) = self.links.get_mut(&id) else { return 0 };
        let touched = match link.stage {
            Stage::Member(user) | Stage::Leaving(user) => self.accounts[user].touched,
            Stage::Closing => return link.queued(),
            Stage::Anonymous | Stage::LoggingIn(_) | Stage::Waiting(_) => RecordNumber(0),
        };
        let after =
            if planted::is(Planted::OutputDoesNotWait) { RecordNumber(0) } else { after.max(touched) };
        if link.held.is_empty() && after <= self.journal.settled() {
            link.sent += written.len() as u64;
            self.outbox.send(id, written);
        } else {
            link.held.push_lines(after, self.outbox.bytes(written));
            link.held_bytes += written.len() as u64;
            if link.held_bytes > HELD_BYTES {
                self.overfull.push(id);
            }
            self.journal.hold(id);
        }
        link.queued()
    }

    /// Cuts links that would hold more than may wait; the mail of their users is kept. Only now, so
    /// that nothing loses its link in the middle of a fan-out, nor by what has left meanwhile.
    pub(super) fn cut_overfull_links(&mut self) {
        while let Some(id) = self.overfull.pop() {
            let overfull = self.links.get(&id).filter(|link| link.held_bytes > HELD_BYTES);
            if let Some(from) = overfull.map(|link| link.from) {
                self.outbox.report(Report::LimitReached { limit: HELD_LIMIT, from });
                self.lose_link(id);
                self.outbox.close(id);
            }
        }
    }

    /// Keeps a place in the output of a link for the answer that a record brings.
    pub(super) fn reserve_answer(&mut self, id: LinkId, record: RecordNumber) {
        if let Some(link) = self.links.get_mut(&id)
            && link.stage != Stage::Closing
        {
            link.held.reserve_answer(record);
            self.journal.keep_place(record, id);
            self.journal.hold(id);
        }
    }

    /// Puts an answer in the place kept for it; says whether the link still had one.
    pub(super) fn fill_answer(&mut self, id: LinkId, record: RecordNumber, written: Written) -> bool {
        let Some(link) = self.links.get_mut(&id) else { return false };
        if !link.held.fill_answer(record, self.outbox.bytes(written)) {
            return false;
        }
        link.held_bytes += written.len() as u64;
        let (sent, grown) = (link.sent, written.len() as u64);
        if let Some(user) = link.stage.user() {
            self.shift_unsent(user, sent, grown);
        }
        true
    }

    /// Sends what waits for nothing any more.
    pub(super) fn release_held(&mut self, id: LinkId) {
        let settled = self.journal.settled();
        loop {
            let Some(link) = self.links.get_mut(&id) else { return self.journal.hold_no_more(id) };
            match link.held.release(settled) {
                Some(Release::Lines(bytes)) => {
                    link.sent += bytes.len() as u64;
                    link.held_bytes = link.held_bytes.saturating_sub(bytes.len() as u64);
                    let written = self.outbox.write(|out| out.extend_from_slice(&bytes));
                    self.outbox.send(id, written);
                }
                Some(Release::Close) => {
                    self.links.remove(&id);
                    self.outbox.close(id);
                }
                None => {
                    if link.held.is_empty() {
                        self.journal.hold_no_more(id);
                    }
                    return;
                }
            }
        }
    }

    pub(super) fn flushed(&mut self, id: LinkId, upto: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.flushed = link.flushed.max(upto.min(link.sent));
        let flushed = link.flushed;
        if !link.listings.is_empty() {
            self.continue_listings(id);
        }
        if let Some(link) = self.links.get(&id)
            && let Some(user) = link.stage.user()
            && !link.capabilities.acknowledge
        {
            self.left_for_network(user, flushed);
        }
    }

    /// The link is gone; what stood on it ends.
    pub(super) fn lose_link(&mut self, id: LinkId) {
        let Some(stage) = self.links.get(&id).map(|link| link.stage) else { return };
        self.leave_anonymous(id);
        if let Stage::Waiting(subject) = stage {
            self.wait_no_more_for_try(id, subject);
        }
        self.links.remove(&id);
        self.journal.hold_no_more(id);
        match stage {
            Stage::Member(user) => self.session_lost_link(user, Lost::ByNetwork),
            Stage::Leaving(user) => self.leaving_link_lost(id, user),
            Stage::Anonymous | Stage::LoggingIn(_) | Stage::Waiting(_) | Stage::Closing => {}
        }
    }

    /// Closes a link that carries no session, after what was queued for it.
    pub(super) fn close_link(&mut self, id: LinkId) {
        self.leave_anonymous(id);
        if let Some(Stage::Waiting(subject)) = self.links.get(&id).map(|link| link.stage) {
            self.wait_no_more_for_try(id, subject);
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.held.is_empty() {
            self.links.remove(&id);
            self.outbox.close(id);
        } else {
            link.stage = Stage::Closing;
            link.backlog = Vec::new();
            link.listings = VecDeque::new();
            link.held.push_close();
        }
    }

    /// The link is logged in, or gone: it counts no more among those that are not.
    pub(super) fn leave_anonymous(&mut self, id: LinkId) {
        if self.anonymous.remove(&id)
            && let Some(at) = self.links.get(&id).and_then(|link| link.login_due)
        {
            self.deadlines.remove(at, Deadline::Login(id));
        }
    }

    pub(super) fn login_overdue(&mut self, id: LinkId) {
        if self.anonymous.contains(&id) {
            self.send(id, &ServerLine::Bye(Farewell::Timeout));
            self.close_link(id);
        }
    }
}
