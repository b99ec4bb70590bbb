//! The server in the part of a client: it knows every id, and has keys of its own.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::peers::port_of;
use super::seal::{Opened, Own, Seal};
use super::server::Side;
use super::world::{Happening, World};
use crate::client::Introduction;
use crate::sim::calls::call;
use crate::sim::coverage::Rare;
use crate::sim::link::Holder;
use crate::sim::scenario::Step;
use crate::sim::trace::ProcessId;
use crate::words::{DeviceKey, LinkId, Token};

/// Keys that the server has itself.
pub(super) const EVIL_KEYS: [DeviceKey; 2] = [DeviceKey([0xe1; 32]), DeviceKey([0xe2; 32])];
/// Where it waits for those to whom it tells this address.
pub(super) const OF_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(66, 6, 6, 6));

pub(super) fn is_of_server(address: IpAddr) -> bool {
    address == OF_SERVER
}

/// What no client has said or may say: whoever hears it ends the link at once.
pub(super) const IMPOSSIBLE: [&str; 6] = [
    "ack 1000000",
    "text 1000000 1717200000000000 t999999999 much later",
    "continue ffffffffffffffffffffffffffffffff 0",
    "continued 1000000",
    "hobnob-private 2 11111111111111111111111111111111 11111111111111111111111111111111",
    "ready and more",
];

/// Whether a line cannot be said on an encrypted link by one who follows the protocol.
pub(super) fn cannot_be(line: &[u8]) -> bool {
    IMPOSSIBLE.iter().any(|impossible| line.starts_with(impossible.as_bytes()))
        || line.starts_with(b"continue ") && line.ends_with(b" 1000000\n")
}

/// Where an impostor is.
#[derive(Debug, Clone, Copy)]
pub(super) enum At {
    /// At an end of a connection.
    Link(LinkId, usize),
    /// At the other end of the relay that a user knows by this number.
    Relay(&'static str, u64),
}

/// The server in the part of a client.
#[derive(Debug)]
pub(super) struct Impostor {
    at: At,
    /// What the other was told.
    side: Side,
    calls: bool,
    own: Own,
    seal: Seal,
    is_secured: bool,
    called: usize,
    lines: Vec<u8>,
    said: u64,
    manner: u32,
}

impl Impostor {
    fn introduction(&self) -> Introduction {
        let Side { reader, other, is_requester, id, .. } = &self.side;
        let (reader, other) = ((*reader).to_string(), other.clone());
        let (requester, accepter) = if *is_requester { (reader, other) } else { (other, reader) };
        Introduction { id: *id, requester, accepter }
    }

    /// As if a client had said it.
    fn call(&self, nonce: Token) -> String {
        let Side { reader, other, is_requester, id, .. } = &self.side;
        match self.manner / 64 % 8 {
            0 => call(*id, nonce, *is_requester, other, reader),
            1 => call(*id, nonce, !is_requester, reader, other),
            _ => call(*id, nonce, !is_requester, other, reader),
        }
    }
}

impl World {
    fn new_impostor(&mut self, at: At, side: Side, calls: bool) -> usize {
        let drawn = u32::try_from(self.draw.below(1 << 20)).unwrap_or(0);
        let manner = Some(self.server.evil.manner).filter(|manner| *manner > 0).unwrap_or(drawn);
        let is_evil = side.key.is_some_and(|key| EVIL_KEYS.contains(&key));
        let forges = !is_evil && manner % 3 == 1;
        let key = side.key.filter(|_| is_evil || forges).unwrap_or(EVIL_KEYS[0]);
        let own = Own { key, signs: !forges, can_move: !manner.is_multiple_of(5), fresh: self.fresh() };
        if !is_evil {
            self.did(if forges { Rare::KeyForged } else { Rare::OwnKeyShown });
        }
        self.impostors.push(Impostor {
            at,
            side,
            calls,
            own,
            seal: Seal::new(calls),
            is_secured: false,
            called: 0,
            lines: Vec::new(),
            said: 0,
            manner,
        });
        self.impostors.len() - 1
    }

    /// What a user was told last, of somebody or of anybody.
    pub(super) fn last_told(&self, user: &str, of: Option<&str>) -> Option<Side> {
        let fits = |side: &&Side| side.reader == user && of.is_none_or(|of| side.other == of);
        self.server.told.iter().rev().find(fits).cloned()
    }

    /// A client has dialled the server's address. Of a connection that both have opened the requester is the caller.
    pub(super) fn impostor_is_dialled(&mut self, id: ProcessId, link: LinkId, punched: bool) {
        let user = self.seat_of(id).map(|seat| self.seats[seat].user).unwrap_or_default();
        let nobody = Side {
            reader: user,
            other: String::new(),
            is_requester: true,
            id: Token([0; 16]),
            key: None,
            addresses: Vec::new(),
        };
        let side = self.last_told(user, None).unwrap_or(nobody);
        let calls = punched && !side.is_requester;
        let impostor = self.new_impostor(At::Link(link, 1), side, calls);
        self.did(Rare::ServerDialled);
        if calls {
            self.impostor_begins(impostor);
        }
    }

    pub(super) fn impostor_on_relay(&mut self, user: &str, with: &str, at: At) -> Option<usize> {
        let side = self.last_told(user, Some(with))?;
        let calls = !side.is_requester;
        Some(self.new_impostor(at, side, calls))
    }

    /// The server calls a client itself, now, or when the next conversation begins on a relay.
    pub(super) fn impostor_comes(&mut self, step: Step) {
        if step.salt.is_multiple_of(3) {
            self.server.evil.ambushes = 2;
        } else {
            let place = usize::from(step.argument) % 4;
            self.impostor_calls(usize::from(step.actor) % self.seats.len(), place);
        }
    }

    /// A conversation has begun on a relay.
    pub(super) fn spring(&mut self, user: &str) {
        let seat = self.seats.iter().position(|seat| seat.user == user);
        if let (Some(seat), Some(left)) = (seat, self.server.evil.ambushes.checked_sub(1)) {
            self.server.evil.ambushes = left;
            let micros = self.draw.below(1_500_000);
            self.after(micros, Happening::Called { seat });
        }
    }

    /// It calls as somebody of whom the client was told, the last or so many before.
    pub(super) fn impostor_calls(&mut self, seat: usize, place: usize) {
        let user = self.seats[seat].user;
        let told: Vec<Side> = self.server.told.iter().filter(|side| side.reader == user).cloned().collect();
        let Some(side) = told.into_iter().rev().nth(place) else { return };
        let Some(process) = self.seats[seat].process.as_ref().filter(|one| !one.listening.is_empty()) else {
            return;
        };
        let id = process.id;
        let link = self.new_link(Holder::Hand(self.impostors.len()), Holder::Process(id));
        let impostor = self.new_impostor(At::Link(link, 0), side, true);
        self.reach(id, link, SocketAddr::new(OF_SERVER, port_of(id)));
        self.did(Rare::ServerCalled);
        self.impostor_begins(impostor);
    }

    /// What was recorded is said again, at a port or on a relay.
    pub(super) fn replay(&mut self, step: Step) {
        let seat = usize::from(step.actor) % self.seats.len();
        let place = usize::from(step.argument) % self.recorded.len().max(1);
        let bytes = self.recorded.get(place).map(|(_, _, bytes)| bytes.clone()).unwrap_or_default();
        if step.salt.is_multiple_of(2) {
            let process = self.seats[seat].process.as_ref().filter(|one| !one.listening.is_empty());
            let Some(id) = process.map(|process| process.id) else { return };
            let link = self.new_link(Holder::Hand(usize::MAX), Holder::Process(id));
            self.reach(id, link, SocketAddr::new(OF_SERVER, port_of(id)));
            self.write(link, 0, &bytes);
            self.pump(link, 0);
            return self.did(Rare::RecordingCalled);
        }
        let user = self.seats[seat].user;
        let relay = self.server.relays.keys().rev().find(|(of, _)| *of == user).copied();
        if let Some((user, number)) = relay {
            let all: Vec<Vec<u8>> = if (step.salt / 2).is_multiple_of(2) {
                Vec::from([bytes])
            } else {
                self.server.evil.frames.clone()
            };
            all.iter().filter(|bytes| !bytes.is_empty()).for_each(|bytes| self.relay_to(user, number, bytes));
            self.did(Rare::RecordingRelayed);
        }
    }

    fn impostor_writes(&mut self, number: usize, bytes: &[u8]) {
        let Some(impostor) = self.impostors.get(number).filter(|_| !bytes.is_empty()) else { return };
        match impostor.at {
            At::Link(link, end) => {
                self.write(link, end, bytes);
                self.pump(link, end);
            }
            At::Relay(user, relay) => self.relay_to(user, relay, bytes),
        }
    }

    /// An impostor that calls does so.
    pub(super) fn impostor_begins(&mut self, number: usize) {
        let again = self.draw.chance(100);
        let nonce = if again { 1 } else { u128::from(self.fresh()) + 1_000 };
        let Some(impostor) = self.impostors.get_mut(number).filter(|impostor| impostor.calls) else { return };
        let mut said = impostor.call(Token(nonce.to_be_bytes())).into_bytes();
        said.push(b'\n');
        let introduction = impostor.introduction();
        impostor.is_secured = true;
        impostor.seal.secure(true, impostor.own.clone(), introduction);
        said.extend(impostor.seal.take_says());
        self.impostor_writes(number, &said);
    }

    pub(super) fn impostor_reads(&mut self, number: usize, bytes: &[u8]) {
        let Some(impostor) = self.impostors.get_mut(number) else { return };
        impostor.seal.receive(bytes);
        loop {
            let Some(impostor) = self.impostors.get_mut(number) else { return };
            let opened = impostor.seal.next();
            let says = impostor.seal.take_says();
            self.impostor_writes(number, &says);
            match opened {
                Opened::Nothing | Opened::Broken => return,
                Opened::Bytes(bytes) => self.impostor_hears(number, &bytes),
                Opened::Key { .. } => {
                    let calls = self.impostors.get(number).is_some_and(|impostor| impostor.calls);
                    if !calls {
                        self.impostor_says(number, "ready");
                        self.impostor_chooses(number);
                    }
                }
            }
        }
    }

    fn impostor_says(&mut self, number: usize, line: &str) {
        let Some(impostor) = self.impostors.get_mut(number) else { return };
        let sealed = impostor.seal.wrap(format!("{line}\n").as_bytes());
        self.impostor_writes(number, &sealed);
    }

    fn impostor_hears(&mut self, number: usize, bytes: &[u8]) {
        let Some(impostor) = self.impostors.get_mut(number) else { return };
        if !impostor.is_secured {
            impostor.called += bytes.len();
            if impostor.called >= crate::wire::CALL_BYTES {
                impostor.is_secured = true;
                let introduction = impostor.introduction();
                impostor.seal.secure(false, impostor.own.clone(), introduction);
            }
            return;
        }
        impostor.lines.extend_from_slice(bytes);
        while let Some(impostor) = self.impostors.get_mut(number)
            && let Some(end) = impostor.lines.iter().position(|byte| *byte == b'\n')
        {
            let line: Vec<u8> = impostor.lines.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            self.impostor_hears_line(number, &line);
        }
    }

    fn impostor_hears_line(&mut self, number: usize, line: &str) {
        let Some(impostor) = self.impostors.get(number) else { return };
        let manner = impostor.manner;
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["ready"] => self.impostor_chooses(number),
            ["nominate"] => {
                self.impostor_says(number, "opened");
                self.impostor_acts(number);
            }
            ["opened"] => self.impostor_acts(number),
            ["text", text, ..] if !manner.is_multiple_of(4) => {
                self.impostor_says(number, &format!("ack {text}"));
                self.impostor_text(number);
            }
            ["continue", ..] if manner % 11 == 5 => self.impostor_says(number, "continued 1000000"),
            ["continue", _, count] => {
                self.impostor_says(number, &format!("continued {count}"));
                self.impostor_text(number);
            }
            _ => {}
        }
    }

    /// In the part of the requester it chooses the link, or moves a conversation to it, or says what it may not.
    fn impostor_chooses(&mut self, number: usize) {
        let Some(impostor) = self.impostors.get(number) else { return };
        let (manner, id) = (impostor.manner, impostor.side.id);
        if manner % 7 == 3 {
            return self.impostor_acts(number);
        }
        if !impostor.side.is_requester {
            let line = match manner % 7 {
                2 | 5 => format!("continue {id} 0"),
                4 => format!("continue {id} 1000000"),
                6 => String::from(IMPOSSIBLE[2]),
                _ => String::from("nominate"),
            };
            self.impostor_says(number, &line);
        }
    }

    /// What it says on an open link.
    fn impostor_acts(&mut self, number: usize) {
        let Some(impostor) = self.impostors.get(number) else { return };
        let choice = usize::try_from(impostor.manner / 8).unwrap_or(0) % 12;
        match choice {
            0..6 => {
                self.impostor_text(number);
                self.impostor_says(number, IMPOSSIBLE[choice]);
            }
            6 => self.impostor_says(number, "close stopped"),
            7 => {
                self.impostor_says(number, "text 1 1717200000000000 once");
                self.impostor_says(number, "text 1 1717200000000000 twice");
            }
            8 => (0..20).for_each(|_| self.impostor_text(number)),
            _ => self.impostor_text(number),
        }
    }

    fn impostor_text(&mut self, number: usize) {
        let Some(impostor) = self.impostors.get_mut(number).filter(|impostor| impostor.said < 40) else {
            return;
        };
        impostor.said += 1;
        let line = format!("text {} 1717200000000000 t999999999 of the server", impostor.said);
        self.impostor_says(number, &line);
    }
}
