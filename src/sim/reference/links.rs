//! Links: connections, from their opening to their close (R10, R29 of the rulings, R40).

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::door::{LISTS, Link, Stage, waits};
use super::{Later, Server, Timer, later};
use crate::record::RecordNumber;
use crate::words::LinkId;

/// A list up to this size leaves at once.
const PIECE_BYTES: usize = 32 * 1024;
/// With more written and not left, nothing that others cause goes to a link; with at most so much it is told what
/// it has missed (R45).
const OUTPUT_BYTES: u64 = 64 * 1024;
const OUTPUT_LOW_BYTES: u64 = 32 * 1024;

/// The address that limits count for; loopback is exempt, and a host is given a /64.
pub(super) fn limited_address(from: SocketAddr) -> Option<IpAddr> {
    match from.ip().to_canonical() {
        ip if ip.is_loopback() => None,
        IpAddr::V4(ip) => Some(IpAddr::V4(ip)),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Some(IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into()))
        }
    }
}

/// The address that R48 and R49 count for: loopback is one too.
pub(super) fn address_of(from: SocketAddr) -> IpAddr {
    limited_address(from).unwrap_or_else(|| match from.ip().to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(_) => IpAddr::V6([0; 8].into()),
    })
}

/// The network that R50 counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Network {
    Loopback,
    V4([u8; 3]),
    V6([u16; 3]),
}

pub(super) fn network_of(from: SocketAddr) -> Network {
    match from.ip().to_canonical() {
        ip if ip.is_loopback() => Network::Loopback,
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            Network::V4([a, b, c])
        }
        IpAddr::V6(ip) => {
            let [a, b, c, ..] = ip.segments();
            Network::V6([a, b, c])
        }
    }
}

impl Server {
    /// Lets a link wait for a record; whether it has to.
    pub(super) fn word_waits(&mut self, number: RecordNumber, link: LinkId) -> bool {
        if number <= self.settled {
            return false;
        }
        self.waiting_words.entry(number).or_default().push(link);
        true
    }

    pub(super) fn open_link(&mut self, id: LinkId, from: SocketAddr) {
        if self.stopping {
            return self.expected.close(id);
        }
        if !self.make_room(from) {
            return self.expected.close(id);
        }
        let is_known = self.is_known(from);
        let secs = self.settings.login_secs;
        let due = (secs > 0).then(|| later(self.now, secs));
        let link = Link {
            from,
            stage: Stage::Anonymous,
            acknowledges: false,
            resumes: false,
            keeps_cookie: false,
            says_alive: false,
            courier: false,
            reads_away: false,
            relays: false,
            reads_until: false,
            pass: None,
            open: 0,
            cookie: None,
            invite: None,
            denied: None,
            began_login: None,
            begun: Vec::new(),
            too_long: false,
            held: VecDeque::new(),
            held_bytes: 0,
            paused: false,
            waits: 0,
            ended: false,
            failures: 0,
            spoke: false,
            is_anonymous: true,
            is_known,
            due,
            moved_at: self.now,
            sent: 0,
            flushed: 0,
            lists: VecDeque::new(),
            missed: 0,
            turn: 0,
        };
        self.links.insert(id, link);
        if let Some(due) = due {
            self.set(due, Timer::Login(id));
        }
        let relay = if matches!(self.settings.line_bytes, 1..4_096) { "" } else { " relay" };
        self.send(id, &format!("hobnob 1 ack resume device alive courier away{relay} until"));
    }

    /// Writes a line on a link; the place of its last byte in the output of the link. One that ends in a
    /// carriage return gets one more (R5).
    pub(super) fn send(&mut self, id: LinkId, line: &str) -> u64 {
        let Some(link) = self.links.get_mut(&id) else { return 0 };
        let line = String::from(line) + if line.ends_with('\r') { "\r\n" } else { "\n" };
        link.sent += line.len() as u64;
        let end = link.sent;
        self.expected.line(id, line);
        end
    }

    pub(super) fn send_all(&mut self, id: LinkId, lines: &[String]) {
        for line in lines {
            self.send(id, line);
        }
    }

    /// Whether messages may go to a link (R45).
    pub(super) fn has_output_room(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.sent - link.flushed <= OUTPUT_BYTES)
    }

    /// Sends what others have caused, or drops it and counts it as one; whether it was sent (R45).
    pub(super) fn notify(&mut self, id: LinkId, lines: &[String]) -> bool {
        let room = self.has_output_room(id);
        let Some(link) = self.links.get_mut(&id) else { return false };
        if link.missed > 0 || !room {
            link.missed += 1;
            return false;
        }
        self.send_all(id, lines);
        true
    }

    fn tell_missed(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id)
            && link.missed > 0
            && link.sent - link.flushed <= OUTPUT_LOW_BYTES
        {
            let missed = core::mem::take(&mut link.missed);
            self.send(id, &format!("notice missed {missed}"));
        }
    }

    /// Sends lines together: at once if they are few and the output drains, else in pieces (ruling 21).
    pub(super) fn send_list(&mut self, id: LinkId, lines: Vec<String>) {
        let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        let Some(link) = self.links.get_mut(&id) else { return };
        let drains = link.lists.is_empty() && link.sent - link.flushed <= PIECE_BYTES as u64;
        if bytes <= PIECE_BYTES && drains {
            self.send_all(id, &lines);
        } else {
            link.lists.push_back(lines);
            self.continue_lists(id);
        }
    }

    fn continue_lists(&mut self, id: LinkId) {
        while let Some(link) = self.links.get_mut(&id)
            && link.sent - link.flushed <= PIECE_BYTES as u64
            && let Some(list) = link.lists.front_mut()
        {
            let mut bytes = 0;
            let fits = |line: &&String| {
                bytes += line.len() + 1;
                bytes <= PIECE_BYTES
            };
            let count = list.iter().take_while(fits).count().max(1).min(list.len());
            let piece: Vec<String> = list.drain(..count).collect();
            if list.is_empty() {
                link.lists.pop_front();
            }
            self.send_all(id, &piece);
        }
    }

    pub(super) fn lists_waiting(&self, id: LinkId) -> usize {
        self.links.get(&id).map_or(0, |link| link.lists.len())
    }

    pub(super) fn flushed(&mut self, id: LinkId, upto: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.flushed = link.flushed.max(upto.min(link.sent));
        let flushed = link.flushed;
        self.tell_missed(id);
        self.continue_lists(id);
        if self.lists_waiting(id) <= LISTS {
            self.wait_no_more(id, waits::LISTS);
        }
        let Some(link) = self.links.get(&id) else { return };
        let acknowledges = link.acknowledges;
        if let Some(user) = link.stage.user() {
            if !acknowledges {
                self.left_for_network(user, flushed);
            }
            self.probe_left(user, flushed);
            self.advance(user);
            self.go_on_relaying(user);
            self.go_on_leaving(user);
        }
    }

    pub(super) fn stream_ended(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.resumes && !link.courier {
            self.expected.close(id);
            return self.link_lost(id);
        }
        link.ended = true;
        self.later.push_back(Later::Read(id));
    }

    pub(super) fn end_is_due(&mut self, id: LinkId) {
        match self.links.get(&id).map(|link| link.stage.clone()) {
            Some(Stage::Anonymous) => self.close(id),
            Some(Stage::Member(user)) => self.leave(id, user, None),
            Some(Stage::Carrying(user)) => self.courier_leaves(id, user, None),
            _ => {}
        }
    }

    pub(super) fn link_lost(&mut self, id: LinkId) {
        if !self.links.contains_key(&id) {
            return;
        }
        self.drop_unnumbered(id);
        let Some(link) = self.take_link(id) else { return };
        match link.stage {
            Stage::Queued => self.leave_lane(id),
            Stage::Probing(entrant) => self.probe_void(entrant.user),
            Stage::Entering(user, entry) => self.never_entered(user, &entry),
            Stage::Member(user) if link.ended => self.leaving_lost_link(user),
            Stage::Member(user) => self.session_lost_link(user),
            Stage::Leaving(user, _) => self.leaving_lost_link(user),
            Stage::Anonymous
            | Stage::LoggingIn(_)
            | Stage::Refused(..)
            | Stage::Hailing(_)
            | Stage::Carrying(_)
            | Stage::Departing(..)
            | Stage::Parting(..) => {}
        }
    }

    pub(super) fn close(&mut self, id: LinkId) {
        if let Some(link) = self.take_link(id) {
            match link.stage {
                Stage::Queued => self.leave_lane(id),
                Stage::Probing(entrant) => self.probe_void(entrant.user),
                _ => {}
            }
            self.expected.close(id);
        }
    }

    /// Closes the link that a session has moved on from.
    pub(super) fn detach(&mut self, id: LinkId) {
        self.drop_unnumbered(id);
        if self.take_link(id).is_some() {
            self.expected.close(id);
        }
    }

    pub(super) fn cut_off(&mut self, id: LinkId) {
        self.expected.close(id);
        self.link_lost(id);
    }

    fn take_link(&mut self, id: LinkId) -> Option<Link> {
        self.leave_anonymous(id);
        self.turns.retain(|queued| *queued != id);
        for account in self.users.iter_mut().flatten() {
            account.couriers.retain(|courier| *courier != id);
        }
        self.links.remove(&id)
    }

    /// The link counts no more among strangers.
    pub(super) fn leave_anonymous(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id)
            && core::mem::take(&mut link.is_anonymous)
            && let Some(due) = link.due
        {
            self.timers.remove(&(due, Timer::Login(id)));
        }
    }

    pub(super) fn login_overdue(&mut self, id: LinkId) {
        if self.registers(id) {
            self.set(later(self.now, 1), Timer::Login(id));
        } else if self.courier_waits(id) {
            // It is looked at again.
        } else if self.links.get(&id).is_some_and(|link| link.is_anonymous) {
            self.send(id, "bye timeout");
            self.close(id);
        }
    }

    pub(super) fn stage(&self, id: LinkId) -> Option<&Stage> {
        self.links.get(&id).map(|link| &link.stage)
    }

    pub(super) fn set_stage(&mut self, id: LinkId, stage: Stage) {
        if let Some(link) = self.links.get_mut(&id) {
            link.stage = stage;
        }
    }

    /// The last words of a link whose session is over.
    pub(super) fn part(&mut self, id: LinkId) {
        let Some(Stage::Parting(farewell, last)) = self.stage(id).cloned() else { return };
        if let Some(due) = self.links.get(&id).and_then(|link| link.due) {
            self.timers.remove(&(due, Timer::Parting(id)));
        }
        if let Some(last) = last {
            self.send(id, &last);
        }
        self.send(id, &("bye ".to_string() + farewell));
        self.close(id);
    }
}
