//! Connections between clients: who listens, and who reaches whom.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::client_host::Process;
use super::link::Holder;
use super::network::Answer;
use super::relayed::is_relayed;
use super::seals::Seal;
use super::strangers::PORT_BY_HAND;
use super::trace::{PeerSeen, ProcessId, Seen};
use super::world::{Happening, News, World};
use crate::client::{Event, Mapped, PeerOpened};
use crate::words::LinkId;

/// How long a dial waits for a machine that says nothing.
const DIAL_MICROS: u64 = 3_000_000;

/// How long a router passes a port on.
const LEASE_SECS: u64 = 120;

impl World {
    pub(super) fn see_peer(&mut self, seen: PeerSeen) {
        self.trace.add(self.now, Seen::Peer(seen));
    }

    /// Something may keep a client from making private links.
    pub(super) fn disturb(&mut self, process: ProcessId) {
        self.see_peer(PeerSeen::Disturbed { process });
    }

    /// The same, of those at the ends of a link.
    pub(super) fn disturb_ends(&mut self, link: LinkId) {
        let Some(link) = self.links.get(&link) else { return };
        for holder in [link.ends[0].holder, link.ends[1].holder] {
            if let Holder::Process(process) = holder {
                self.disturb(process);
            }
        }
    }

    /// A client writes to the server.
    pub(super) fn see_asked(&mut self, process: ProcessId, bytes: &[u8]) {
        let has = |word: &[u8]| memchr::memmem::find(bytes, word).is_some();
        if has(b"startprivate ") || has(b"accept ") {
            let bytes = self.trace.keep(bytes);
            self.see_peer(PeerSeen::Asked { process, bytes });
        }
    }

    pub(super) fn listen(&mut self, id: ProcessId) {
        let works = !self.draw.chance(30);
        let Some(process) = self.process(id) else { return };
        let addresses = if works { process.place.listeners(id.0) } else { Vec::new() };
        process.listening.clone_from(&addresses);
        self.see_peer(PeerSeen::Listens { process: id, addresses: addresses.clone() });
        self.tell_client(id, Event::Listening { addresses });
    }

    /// A client asks its router to pass a port on. Not all routers answer.
    pub(super) fn ask_router(&mut self, process: &mut Process, attempt: u64) {
        process.asked_router = Some(attempt);
        if let Some(favour) = process.place.favour(process.id.0) {
            let news = News::RouterSpeaks { attempt };
            self.after(favour.after_micros, Happening::Client { process: process.id, news });
        }
    }

    pub(super) fn router_speaks(&mut self, id: ProcessId, attempt: u64) {
        let Some(process) = self.process(id) else { return };
        let favour = process.place.favour(id.0);
        if process.asked_router == Some(attempt) {
            process.place.is_favoured(id.0, favour);
            let place = process.place;
            self.see_peer(PeerSeen::Favoured { process: id, favour, place });
        }
        let outside = favour.and_then(|favour| favour.says);
        let mapped = outside.map(|outside| Mapped { outside, lease_secs: LEASE_SECS });
        self.tell_client(id, Event::PortMapped { attempt, mapped });
    }

    /// It needs that no more.
    pub(super) fn release_port(&mut self, process: &mut Process) {
        process.asked_router = None;
        process.place.is_favoured(process.id.0, None);
        let place = process.place;
        self.see_peer(PeerSeen::Favoured { process: process.id, favour: None, place });
    }

    /// Whoever comes from now on is refused.
    pub(super) fn stop_listening(&mut self, process: &mut Process) {
        process.listening.clear();
        process.punching.clear();
        self.see_peer(PeerSeen::StopsListening { process: process.id });
    }

    /// A client dials another one.
    pub(super) fn dials_peer(&mut self, id: ProcessId, news: News) {
        let micros = self.draw.below(self.weather.latency_micros * 2 + 1);
        self.after(micros, Happening::Client { process: id, news });
    }

    /// The same from its listening port.
    pub(super) fn begins_punch(&mut self, id: ProcessId, address: SocketAddr) {
        self.see_peer(PeerSeen::Punches { process: id, address });
        self.dials_peer(id, News::Punch { address });
    }

    /// A dial comes to its end.
    pub(super) fn connect_peer(&mut self, id: ProcessId, address: SocketAddr) {
        let Some(place) = self.process(id).map(|process| process.place) else { return };
        let lost = self.now < self.weather.lose_dials_until;
        if lost {
            self.disturb(id);
        }
        let others = self.seats.iter().filter_map(|seat| seat.process.as_ref());
        let answers = others
            .filter(|other| other.id != id && !lost)
            .map(|other| (place.dials(address, &other.place, &other.listening), other.id));
        match answers.max_by_key(|(answer, _)| *answer) {
            Some((Answer::Connected, other)) => self.join(id, other, address),
            Some((Answer::Nothing, _)) | None if address.port() == PORT_BY_HAND && !lost => {
                self.call_by_hand(id, address);
            }
            Some((Answer::Refused, _)) => {
                self.see_peer(PeerSeen::Unreached { process: id, refused: true });
                self.tell_client(id, Event::PeerUnreached { address });
            }
            Some((Answer::Nothing, _)) | None => {
                self.see_peer(PeerSeen::Unreached { process: id, refused: false });
                let news = News::PeerUnreached { address };
                self.after(DIAL_MICROS, Happening::Client { process: id, news });
            }
        }
    }

    fn join(&mut self, id: ProcessId, other: ProcessId, address: SocketAddr) {
        let from = self.process(id).map_or(address.ip(), |process| process.place.observed());
        let from = SocketAddr::new(from, 50_000);
        let link = self.new_link(Holder::Process(id), Holder::Process(other));
        self.reach(other, link, from);
        self.has_joined(id, link, true);
        self.tell_client(id, Event::PeerOpened { link, opened: PeerOpened::Dialled(address) });
    }

    /// A dial from the listening port: it meets one of the other client, or reaches its port, or waits.
    pub(super) fn punch(&mut self, id: ProcessId, address: SocketAddr) {
        let Some(process) = self.process(id) else { return };
        let (place, calls_already) = (process.place, process.punching.contains(&address));
        let lost = self.now < self.weather.lose_dials_until;
        if lost {
            self.disturb(id);
        }
        let others = self.seats.iter().filter_map(|seat| seat.process.as_ref());
        let others: Vec<&Process> = others.filter(|other| other.id != id && !lost).collect();
        let meets = others.iter().find_map(|other| {
            let there = other.place.shows_itself(other.id.0, &place)?;
            let here = place.shows_itself(id.0, &other.place)?;
            (there == address && other.punching.contains(&here)).then_some((other.id, here))
        });
        let reaches =
            |other: &&&Process| place.dials(address, &other.place, &other.listening) == Answer::Connected;
        let reached = others.iter().find(reaches).map(|other| other.id);
        if calls_already {
            self.tell_client(id, Event::PeerUnpunched { address });
        } else if let Some((other, here)) = meets {
            let link = self.new_link(Holder::Process(id), Holder::Process(other));
            if let Some(other) = self.process(other) {
                other.punching.retain(|calls| *calls != here);
            }
            if let Some(known) = self.links.get_mut(&link) {
                known.ends[1].reading = false;
            }
            let latency = self.links.get(&link).map_or(0, |link| link.latency_micros);
            let news = News::Punched { link, address: here };
            self.after(latency, Happening::Client { process: other, news });
            self.has_punched(id, link, address, true);
        } else if let Some(other) = reached {
            let link = self.new_link(Holder::Process(id), Holder::Process(other));
            let from = self.process(other).map(|other| other.place);
            let from = from.and_then(|other| place.shows_itself(id.0, &other));
            self.reach(other, link, from.unwrap_or(SocketAddr::new(place.observed(), 50_000)));
            self.has_punched(id, link, address, false);
        } else {
            if let Some(process) = self.process(id) {
                process.punching.push(address);
            }
            self.after(DIAL_MICROS, Happening::Client { process: id, news: News::PunchOver { address } });
        }
    }

    fn has_punched(&mut self, id: ProcessId, link: LinkId, address: SocketAddr, both: bool) {
        if let Some(process) = self.process(id) {
            process.peers.push(link);
            process.seals.insert(link, Seal::new(false));
        }
        self.see_peer(PeerSeen::Punched { link, process: id, address, both });
        self.tell_client(id, Event::PeerOpened { link, opened: PeerOpened::Punched(address) });
    }

    /// The other side has called this one while it called.
    pub(super) fn is_punched(&mut self, id: ProcessId, link: LinkId, address: SocketAddr) {
        if let Some(known) = self.links.get_mut(&link) {
            known.ends[1].reading = true;
            self.has_punched(id, link, address, true);
            self.after(0, Happening::Arrive { link, end: 1 });
        } else {
            self.tell_client(id, Event::PeerUnpunched { address });
        }
    }

    /// Nobody has answered.
    pub(super) fn end_punch(&mut self, id: ProcessId, address: SocketAddr) {
        let Some(process) = self.process(id) else { return };
        if process.punching.contains(&address) {
            process.punching.retain(|calls| *calls != address);
            self.tell_client(id, Event::PeerUnpunched { address });
        }
    }

    /// A client closes a connection, or resets it.
    pub(super) fn leave_peer(&mut self, process: &mut Process, link: LinkId, resets: bool) {
        process.peers.retain(|peer| *peer != link);
        let was_open = process.seals.remove(&link).is_some();
        self.see_peer(PeerSeen::Left { link, process: process.id, closed: true });
        if is_relayed(link) && was_open {
            self.relay_leaves(process.id, link, Vec::new());
        }
        if let Some(end) = self.own_end(link, process.id) {
            if resets { self.kill_end(link, end, true) } else { self.close_end(link, end) }
        }
    }

    pub(super) fn has_joined(&mut self, id: ProcessId, link: LinkId, dialled: bool) {
        if let Some(process) = self.process(id) {
            process.peers.push(link);
            process.seals.insert(link, Seal::new(dialled));
        }
        self.see_peer(PeerSeen::Joined { link, process: id, dialled });
    }

    /// A connection arrives at a client with the first bytes of its dialler; a frozen one learns of it when it goes on.
    pub(super) fn reach(&mut self, id: ProcessId, link: LinkId, from: SocketAddr) {
        let Some(known) = self.links.get_mut(&link) else { return };
        known.ends[1].reading = false;
        let latency = known.latency_micros;
        self.after(latency, Happening::Client { process: id, news: News::PeerAccepted { link, from } });
    }

    /// Connections that nobody has accepted are reset when their port is closed.
    pub(super) fn accept_peer(&mut self, id: ProcessId, link: LinkId, from: SocketAddr) {
        if self.process(id).is_none_or(|process| process.listening.is_empty()) {
            return self.refuse(&News::PeerAccepted { link, from });
        }
        if let Some(known) = self.links.get_mut(&link) {
            known.ends[1].reading = true;
            self.has_joined(id, link, false);
            self.tell_client(id, Event::PeerOpened { link, opened: PeerOpened::Accepted(from) });
            self.after(0, Happening::Arrive { link, end: 1 });
        }
    }

    /// What a client that is gone was to be told: only a connection needs somebody.
    pub(super) fn refuse(&mut self, news: &News) {
        if let News::PeerAccepted { link, .. } | News::Punched { link, .. } = news {
            self.kill_end(*link, 1, true);
        }
    }
}
