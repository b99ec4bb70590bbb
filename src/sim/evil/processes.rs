//! The client programs: where they run, and what starts and ends them.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::seal::Seal;
use super::trace::Seen;
use super::world::{End, Happening, News, World, end_of};
use crate::client::{AcceptPrivate, ClientState, Event, Exit, KnownKey, Settings};
use crate::sim::trace::ProcessId;
use crate::words::{DeviceKey, LinkId, Password};

/// Clients number links that are relayed from here.
const FIRST_RELAYED: u64 = 1 << 62;

pub(super) const fn is_relayed(link: LinkId) -> bool {
    link.0 >= FIRST_RELAYED
}

/// Where the client of a user runs.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) user: &'static str,
    pub(super) address: IpAddr,
    pub(super) key: DeviceKey,
    /// Nobody is let in whom the client does not call at the same time.
    pub(super) closed: bool,
    /// What its state folder remembers.
    pub(super) keys: Vec<KnownKey>,
    pub(super) process: Option<Process>,
}

impl Seat {
    pub(super) fn new(user: &'static str, number: u8) -> Seat {
        let address = Ipv4Addr::new(203, 0, 113, 10 + number).into();
        let key = DeviceKey([number + 1; 32]);
        Seat { user, address, key, closed: false, keys: Vec::new(), process: None }
    }
}

/// A running client.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) id: ProcessId,
    pub(super) user: &'static str,
    pub(super) state: Option<Box<ClientState>>,
    pub(super) generation: u64,
    pub(super) dial: u32,
    pub(super) link: Option<LinkId>,
    /// Links with others, relayed ones too.
    pub(super) seals: BTreeMap<LinkId, Seal>,
    pub(super) listening: Vec<SocketAddr>,
    pub(super) punching: Vec<SocketAddr>,
    pub(super) can_move: bool,
    lines: u64,
    pub(super) frozen: bool,
    pub(super) held: Vec<News>,
    pub(super) exited: bool,
    /// Its person is asked about requests, or says yes.
    pub(super) can_be_asked: bool,
    /// It shows a session.
    pub(super) is_in: bool,
    /// Who has asked it for a private link.
    pub(super) asked_by: Vec<String>,
    /// Whom it has conversations with.
    pub(super) talks_with: Vec<String>,
    pub(super) last_sequence: u64,
    pub(super) showing_is_due: bool,
}

impl Process {
    /// Its ends of connections.
    pub(super) fn ends(&self) -> Vec<End> {
        let peers = self.seals.keys().filter(|link| !is_relayed(**link)).map(|link| end_of(*link));
        peers.chain(self.link.map(|link| (link, 0))).collect()
    }
}

impl World {
    /// A client starts at a seat that has none.
    pub(super) fn start(&mut self, seat: usize, mut settings: Settings) {
        if self.seats[seat].process.is_some() {
            return;
        }
        self.last_process += 1;
        let id = ProcessId(self.last_process);
        let (user, key) = (self.seats[seat].user, self.seats[seat].key);
        settings.user = Some(String::from(user));
        settings.password = Some(Password::new("falcon"));
        settings.device_key = Some(key);
        self.see(Seen::Started { process: id, user, key, path: settings.path });
        let seed = self.draw.number();
        let can_be_asked = settings.accept_private != AcceptPrivate::Never;
        self.seats[seat].process = Some(Process {
            id,
            user,
            state: Some(Box::new(ClientState::new(settings, seed))),
            generation: 0,
            dial: 0,
            link: None,
            seals: BTreeMap::new(),
            listening: Vec::new(),
            punching: Vec::new(),
            can_move: !self.draw.chance(100),
            lines: 0,
            frozen: false,
            held: Vec::new(),
            exited: false,
            can_be_asked,
            is_in: false,
            asked_by: Vec::new(),
            talks_with: Vec::new(),
            last_sequence: 0,
            showing_is_due: false,
        });
        self.tell(id, Event::Started);
    }

    pub(super) fn seat_of(&self, id: ProcessId) -> Option<usize> {
        self.seats.iter().position(|seat| seat.process.as_ref().is_some_and(|process| process.id == id))
    }

    pub(super) fn process(&mut self, id: ProcessId) -> Option<&mut Process> {
        self.seats.iter_mut().filter_map(|seat| seat.process.as_mut()).find(|process| process.id == id)
    }

    /// A line is typed at a seat, if somebody is there who can.
    pub(super) fn enter(&mut self, seat: usize, text: &str) {
        let running = self.seats[seat].process.as_mut();
        let Some(process) = running.filter(|process| !process.frozen && process.is_in) else { return };
        process.lines += 1;
        // Nothing is taken after that.
        process.is_in = text != "logout";
        let (id, line) = (process.id, process.lines);
        self.see(Seen::Typed { process: id, line, text: String::from(text) });
        self.tell(id, Event::Typed { line, text: text.as_bytes() });
    }

    /// What a program leaves behind that ends by itself, or is killed.
    pub(super) fn bury(&mut self, process: &Process, exit: Option<Exit>, hard: bool) {
        self.see(Seen::Gone { process: process.id, exit });
        for (link, end) in process.ends() {
            if exit.is_some() { self.close_end(link, end) } else { self.kill_end(link, end, hard) }
        }
    }

    pub(super) fn kill(&mut self, seat: usize, hard: bool) {
        if let Some(process) = self.seats[seat].process.take() {
            self.bury(&process, None, hard);
        }
    }

    /// A client stops running and reading, or goes on.
    pub(super) fn freeze(&mut self, seat: usize, frozen: bool) {
        let Some(process) = self.seats[seat].process.as_mut() else { return };
        if core::mem::replace(&mut process.frozen, frozen) == frozen {
            return;
        }
        let id = process.id;
        let held = core::mem::take(&mut process.held);
        let ends = process.ends();
        for news in held {
            self.news(id, 0, news);
        }
        for (link, end) in ends {
            if let Some(link) = self.links.get_mut(&link) {
                link.ends[end].reading = !frozen;
            }
            self.after(0, Happening::Arrive { link, end });
        }
    }
}
