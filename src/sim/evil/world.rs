//! The clock, the connections, and what is going to happen.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::impostors::Impostor;
use super::processes::Seat;
use super::server::Server;
use super::trace::Seen;
use crate::sim::agenda::Agenda;
use crate::sim::coverage::Rare;
use crate::sim::draw::Draw;
use crate::sim::link::{Chunking, Found, Holder, Link};
use crate::sim::trace::ProcessId;
use crate::sim::world::{BEGINNING, DEAD_LINK_MICROS};
use crate::time::Time;
use crate::words::{LinkId, Name};

/// Those who run a client. Each has a seat.
pub(super) const USERS: [&str; 3] = ["hans", "yoda", "luke"];

/// An end of a link. A client that has called itself holds both.
pub(super) type End = (LinkId, usize);

/// By which a client knows its end of a link.
pub(super) const fn peer_of((link, end): End) -> LinkId {
    LinkId(link.0 * 2 + end as u64)
}

pub(super) const fn end_of(peer: LinkId) -> End {
    (LinkId(peer.0 / 2), (peer.0 % 2) as usize)
}

/// What is going to happen at some time.
#[derive(Debug)]
pub(super) enum Happening {
    /// Something may be read at an end of a link.
    Arrive { link: LinkId, end: usize },
    /// The holder of an end learns that the link is gone.
    Broken { link: LinkId, end: usize },
    /// The link has been silent for too long, unless it was healed.
    Silent { link: LinkId, silence: u32 },
    /// A client is told something.
    Client { process: ProcessId, news: News },
    /// A frozen client goes on.
    Thaw { seat: usize },
    /// The server calls a client.
    Called { seat: usize },
    /// The server relays what it has kept back.
    Relayed { user: &'static str, number: u64, bytes: Vec<u8> },
}

/// What a client is going to be told.
#[derive(Debug, Clone)]
pub(super) enum News {
    Tick { generation: u64 },
    Dialled { dial: u32 },
    PeerDialled { address: SocketAddr },
    PeerUnreached { address: SocketAddr },
    Punch { address: SocketAddr },
    Punched { link: LinkId, address: SocketAddr },
    PunchOver { address: SocketAddr },
    PeerAccepted { link: LinkId, from: SocketAddr },
    Unseal { link: LinkId },
    RelayLeaving { link: LinkId, bytes: Vec<u8> },
    RelayCame { link: LinkId, bytes: Vec<u8> },
    RelayOver { link: LinkId },
    StateAsked { user: Name },
    CookieSought,
    Listening,
    LookedUp { line: u64 },
    Shown,
}

/// The world.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Time,
    agenda: Agenda<Happening>,
    pub(super) draw: Draw,
    pub(super) seen: Vec<(Time, Seen)>,
    pub(super) links: BTreeMap<LinkId, Link>,
    last_link: u64,
    pub(super) seats: Vec<Seat>,
    pub(super) server: Server,
    pub(super) impostors: Vec<Impostor>,
    /// What was written on connections between clients, each direction for itself.
    pub(super) recorded: Vec<(LinkId, usize, Vec<u8>)>,
    pub(super) latency_micros: u64,
    pub(super) lose_dials_until: Time,
    pub(super) chunking: Chunking,
    pub(super) last_process: u32,
    pub(super) last_text: u32,
    /// Counts what was never said before.
    last_fresh: u64,
    pub(super) events: u64,
}

impl World {
    pub(super) fn new() -> World {
        World {
            now: BEGINNING,
            agenda: Agenda::new(),
            draw: Draw::new(0),
            seen: Vec::new(),
            links: BTreeMap::new(),
            last_link: 0,
            seats: USERS.into_iter().zip(0..).map(|(user, number)| Seat::new(user, number)).collect(),
            server: Server::default(),
            impostors: Vec::new(),
            recorded: Vec::new(),
            latency_micros: 200,
            lose_dials_until: Time::ZERO,
            chunking: Chunking::Sometimes,
            last_process: 0,
            last_text: 0,
            last_fresh: 0,
            events: 0,
        }
    }

    pub(super) fn see(&mut self, seen: Seen) {
        self.seen.push((self.now, seen));
    }

    pub(super) fn did(&mut self, rare: Rare) {
        self.see(Seen::Did(rare));
    }

    /// A number that is never used again.
    pub(super) const fn fresh(&mut self) -> u64 {
        self.last_fresh += 1;
        self.last_fresh
    }

    pub(super) fn after(&mut self, micros: u64, what: Happening) {
        self.at(Time(self.now.0.saturating_add(micros)), what);
    }

    pub(super) fn at(&mut self, at: Time, what: Happening) {
        self.agenda.add(at, what);
    }

    /// A client is told something after so many microseconds.
    pub(super) fn news(&mut self, process: ProcessId, micros: u64, news: News) {
        self.after(micros, Happening::Client { process, news });
    }

    /// Lets so many microseconds pass, or so many happenings; says whether the time is over.
    pub(super) fn pass(&mut self, until: Time, most: u32) -> bool {
        for _ in 0..most {
            let Some((at, what)) = self.agenda.take(until) else { break };
            self.now = self.now.max(at);
            self.happen(what);
        }
        let is_over = !self.agenda.is_due(until);
        if is_over {
            self.now = self.now.max(until);
        }
        is_over
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Arrive { link, end } => self.arrive(link, end),
            Happening::Broken { link, end } => self.broken(link, end),
            Happening::Silent { link, silence } => self.silent_for_too_long(link, silence),
            Happening::Client { process, news } => self.bring(process, news),
            Happening::Thaw { seat } => self.freeze(seat, false),
            Happening::Called { seat } => self.impostor_calls(seat, 0),
            Happening::Relayed { user, number, bytes } => self.relay_to(user, number, &bytes),
        }
    }

    pub(super) fn new_link(&mut self, dialler: Holder, dialled: Holder) -> LinkId {
        self.last_link += 1;
        let link = LinkId(self.last_link);
        let latency = self.draw.below(self.latency_micros + 1);
        self.links.insert(link, Link::new(dialler, dialled, latency));
        link
    }

    /// Queues bytes at an end.
    pub(super) fn write(&mut self, link: LinkId, end: usize, bytes: &[u8]) {
        if let Some(link) = self.links.get_mut(&link) {
            link.write(end, bytes);
        }
    }

    /// Moves what waits at an end into the network.
    pub(super) fn pump(&mut self, id: LinkId, end: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if let Some(at) = link.pump(end, self.now) {
            self.at(at, Happening::Arrive { link: id, end: 1 - end });
        }
    }

    /// An end is closed by its holder, once all that waits has left.
    pub(super) fn close_end(&mut self, id: LinkId, end: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.close(end);
        self.pump(id, end);
        self.drop_if_over(id);
    }

    /// What waits at an end is lost, and so, if it is `hard`, is what is under way.
    pub(super) fn kill_end(&mut self, id: LinkId, end: usize, hard: bool) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.ends[end].die(hard);
        self.close_end(id, end);
    }

    /// The link breaks: both ends learn it after a while.
    pub(super) fn cut(&mut self, id: LinkId, hard: bool) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.cut(hard);
        for end in 0..2 {
            let delay = self.draw.below(5_000);
            self.after(delay, Happening::Broken { link: id, end });
        }
    }

    fn arrive(&mut self, id: LinkId, end: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let found = link.read(end, self.now, self.chunking, &mut self.draw);
        let (holder, open) = (link.ends[end].holder, link.ends[end].open);
        match found {
            Found::Nothing => {}
            Found::TheEnd | Found::Reset => self.broken(id, end),
            Found::Bytes(bytes) => {
                if link.has_more(end, self.now) {
                    self.after(0, Happening::Arrive { link: id, end });
                }
                self.pump(id, 1 - end);
                match holder {
                    _ if !open => {}
                    Holder::Server => self.server_reads(id, &bytes),
                    Holder::Process(process) => self.client_reads(process, (id, end), &bytes),
                    Holder::Hand(impostor) => self.impostor_reads(impostor, &bytes),
                }
            }
        }
    }

    /// The holder of an end learns that the link is gone.
    pub(super) fn broken(&mut self, id: LinkId, end: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(holder) = link.lose(end) else { return };
        match holder {
            Holder::Server => self.server_loses(id),
            Holder::Process(process) => self.client_loses(process, (id, end)),
            Holder::Hand(_) => {}
        }
        self.pump(id, end);
        self.drop_if_over(id);
    }

    fn drop_if_over(&mut self, id: LinkId) {
        if self.links.get(&id).is_some_and(Link::is_over) {
            self.links.remove(&id);
        }
    }

    /// A link falls silent: nothing of the given ends arrives any more.
    pub(super) fn silence(&mut self, id: LinkId, ends: [bool; 2]) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let silence = link.fall_silent(ends);
        let micros = self.draw.between(DEAD_LINK_MICROS - 1_000_000, DEAD_LINK_MICROS);
        self.after(micros, Happening::Silent { link: id, silence });
    }

    fn silent_for_too_long(&mut self, id: LinkId, silence: u32) {
        if self.links.get(&id).is_some_and(|link| link.has_been_silent_since(silence)) {
            for end in [0, 1] {
                self.broken(id, end);
            }
            self.links.remove(&id);
        }
    }

    /// A silent link speaks again.
    pub(super) fn heal(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.heal();
        for end in [0, 1] {
            self.after(0, Happening::Arrive { link: id, end });
        }
    }
}
