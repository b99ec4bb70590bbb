//! Connections between clients, and with those whom the server sends.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::impostors::is_of_server;
use super::seal::Seal;
use super::world::{Happening, News, World, peer_of};
use crate::client::{Event, PeerOpened};
use crate::sim::coverage::Rare;
use crate::sim::link::Holder;
use crate::sim::trace::ProcessId;
use crate::words::LinkId;

/// How long a dial waits for a machine that says nothing.
const DIAL_MICROS: u64 = 3_000_000;
/// The lowest port at which a client listens; each has its own.
pub(super) const LOWEST_PORT: u16 = 5_000;
/// What is recorded of a direction of a connection, and of how many directions.
const RECORDED_BYTES: usize = 2_048;
const RECORDINGS: usize = 12;

/// Where a client listens, which is also where its connection to the server comes from.
pub(super) fn port_of(id: ProcessId) -> u16 {
    LOWEST_PORT + u16::try_from(id.0 % 50_000).unwrap_or(0)
}

impl World {
    pub(super) fn listen(&mut self, id: ProcessId) {
        let works = !self.draw.chance(30);
        let Some(seat) = self.seat_of(id) else { return };
        let address = SocketAddr::new(self.seats[seat].address, port_of(id));
        let addresses = if works { Vec::from([address]) } else { Vec::new() };
        if let Some(process) = self.process(id) {
            process.listening.clone_from(&addresses);
        }
        self.tell(id, Event::Listening { addresses });
    }

    /// Who listens at an address.
    fn listener_at(&self, address: SocketAddr) -> Option<(usize, ProcessId)> {
        self.seats.iter().enumerate().find_map(|(number, seat)| {
            let process = seat.process.as_ref()?;
            process.listening.contains(&address).then_some((number, process.id))
        })
    }

    fn has_machine(&self, ip: IpAddr) -> bool {
        self.seats.iter().any(|seat| seat.address == ip && !seat.closed)
    }

    /// A dial comes to its end.
    pub(super) fn connect_peer(&mut self, id: ProcessId, address: SocketAddr) {
        let lost = self.now < self.lose_dials_until;
        let Some(own) = self.seat_of(id) else { return };
        if is_of_server(address.ip()) && !lost {
            let link = self.new_link(Holder::Process(id), Holder::Hand(self.impostors.len()));
            self.impostor_is_dialled(id, link, false);
            return self.opens(id, peer_of((link, 0)), PeerOpened::Dialled(address), true);
        }
        let listener = self
            .listener_at(address)
            .filter(|(seat, _)| !lost && (!self.seats[*seat].closed || *seat == own));
        if let Some((_, other)) = listener {
            if other == id {
                self.did(Rare::CalledItself);
            }
            let from = SocketAddr::new(self.seats[own].address, 50_000);
            let link = self.new_link(Holder::Process(id), Holder::Process(other));
            self.reach(other, link, from);
            return self.opens(id, peer_of((link, 0)), PeerOpened::Dialled(address), true);
        }
        let micros = if self.has_machine(address.ip()) && !lost { 0 } else { DIAL_MICROS };
        self.news(id, micros, News::PeerUnreached { address });
    }

    /// A client has a connection.
    fn opens(&mut self, id: ProcessId, link: LinkId, opened: PeerOpened, calls: bool) {
        if let Some(process) = self.process(id) {
            process.seals.insert(link, Seal::new(calls));
            self.tell(id, Event::PeerOpened { link, opened });
        }
    }

    /// A connection arrives at a client; one that stands still learns of it when it goes on.
    pub(super) fn reach(&mut self, id: ProcessId, link: LinkId, from: SocketAddr) {
        let Some(known) = self.links.get_mut(&link) else { return };
        known.ends[1].reading = false;
        let latency = known.latency_micros;
        self.news(id, latency, News::PeerAccepted { link, from });
    }

    /// Connections that nobody has accepted are reset when the port is closed.
    pub(super) fn accept_peer(&mut self, id: ProcessId, link: LinkId, from: SocketAddr) {
        if self.process(id).is_none_or(|process| process.listening.is_empty()) {
            return self.kill_end(link, 1, true);
        }
        if let Some(known) = self.links.get_mut(&link) {
            known.ends[1].reading = true;
            self.opens(id, peer_of((link, 1)), PeerOpened::Accepted(from), false);
            self.after(0, Happening::Arrive { link, end: 1 });
        }
    }

    /// What a client that is gone was to be told: only a connection needs somebody.
    pub(super) fn refuse(&mut self, news: &News) {
        if let News::PeerAccepted { link, .. } | News::Punched { link, .. } = news {
            self.kill_end(*link, 1, true);
        }
    }

    /// A dial from the listening port: it meets one of the other client, or reaches its port, or waits.
    pub(super) fn punch(&mut self, id: ProcessId, address: SocketAddr) {
        let Some(own) = self.seat_of(id) else { return };
        let here = SocketAddr::new(self.seats[own].address, port_of(id));
        let lost = self.now < self.lose_dials_until;
        let calls_already = self.process(id).is_some_and(|process| process.punching.contains(&address));
        let others =
            self.seats.iter().filter_map(|seat| seat.process.as_ref().map(|process| (seat, process)));
        let meets = others
            .filter(|(seat, process)| {
                SocketAddr::new(seat.address, port_of(process.id)) == address && process.id != id
            })
            .find(|(_, process)| process.punching.contains(&here))
            .map(|(_, process)| process.id);
        let reached =
            self.listener_at(address).filter(|(seat, other)| !self.seats[*seat].closed && *other != id);
        if calls_already || lost {
            self.tell(id, Event::PeerUnpunched { address });
        } else if is_of_server(address.ip()) {
            let link = self.new_link(Holder::Process(id), Holder::Hand(self.impostors.len()));
            self.impostor_is_dialled(id, link, true);
            self.opens(id, peer_of((link, 0)), PeerOpened::Punched(address), false);
        } else if let Some(other) = meets {
            let link = self.new_link(Holder::Process(id), Holder::Process(other));
            if let Some(other) = self.process(other) {
                other.punching.retain(|calls| *calls != here);
            }
            let latency = self.links.get_mut(&link).map_or(0, |known| {
                known.ends[1].reading = false;
                known.latency_micros
            });
            self.news(other, latency, News::Punched { link, address: here });
            self.opens(id, peer_of((link, 0)), PeerOpened::Punched(address), false);
        } else if let Some((_, other)) = reached {
            let link = self.new_link(Holder::Process(id), Holder::Process(other));
            self.reach(other, link, here);
            self.opens(id, peer_of((link, 0)), PeerOpened::Punched(address), false);
        } else {
            if let Some(process) = self.process(id) {
                process.punching.push(address);
            }
            self.news(id, DIAL_MICROS, News::PunchOver { address });
        }
    }

    /// The other side has called this one while it called.
    pub(super) fn is_punched(&mut self, id: ProcessId, link: LinkId, address: SocketAddr) {
        if let Some(known) = self.links.get_mut(&link) {
            known.ends[1].reading = true;
            self.opens(id, peer_of((link, 1)), PeerOpened::Punched(address), false);
            self.after(0, Happening::Arrive { link, end: 1 });
        } else {
            self.tell(id, Event::PeerUnpunched { address });
        }
    }

    /// Nobody has answered.
    pub(super) fn end_punch(&mut self, id: ProcessId, address: SocketAddr) {
        let Some(process) = self.process(id).filter(|process| process.punching.contains(&address)) else {
            return;
        };
        process.punching.retain(|calls| *calls != address);
        self.tell(id, Event::PeerUnpunched { address });
    }

    /// Somebody on the way keeps what was written.
    pub(super) fn record(&mut self, link: LinkId, end: usize, bytes: &[u8]) {
        let known = self.recorded.iter().position(|(known, of, _)| (*known, *of) == (link, end));
        let index = known.unwrap_or_else(|| {
            if self.recorded.len() >= RECORDINGS {
                self.recorded.remove(0);
            }
            self.recorded.push((link, end, Vec::new()));
            self.recorded.len() - 1
        });
        if let Some((_, _, kept)) = self.recorded.get_mut(index) {
            let room = RECORDED_BYTES.saturating_sub(kept.len());
            kept.extend(bytes.iter().take(room));
        }
    }
}
