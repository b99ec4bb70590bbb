//! What an evil server tells clients: introductions that are not true, and all else.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::impostors::{EVIL_KEYS, OF_SERVER};
use super::peers::port_of;
use super::relays::Other;
use super::server::{Side, known};
use super::world::{USERS, World, end_of};
use crate::sim::coverage::Rare;
use crate::sim::scenario::Step;
use crate::wire::Contact;
use crate::words::{LinkId, Token};

/// A name that nobody has.
pub(super) const NOBODY: &str = "nobody";
/// Relays at once, of the same two.
const RELAYS: u32 = 24;
/// Requests at once, in the names of as many.
const REQUESTS: u32 = 90;

/// How the server relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Relaying {
    #[default]
    Passes,
    Refuses,
    Ignores,
    /// It is itself the other end.
    Between,
    /// A third client is the other end.
    Crosses,
}

/// What the server does otherwise than it should, and how often still.
#[derive(Debug, Default)]
pub(super) struct Evil {
    scheme: (u32, u32),
    relaying: (Relaying, u32),
    /// After so many frames, which tampering.
    tampering: Vec<(u32, u32)>,
    pub(super) frames: Vec<Vec<u8>>,
    strips: (u32, u32),
    resumes: (u32, u32),
    alone: (u32, u32),
    /// What happens when the next conversations move, and how many.
    moves: (u32, u32),
    /// Conversations on relays at whose beginning it calls.
    pub(super) ambushes: u32,
    /// What impostors do; 0: what is drawn for each.
    pub(super) manner: u32,
    ids: Vec<Token>,
}

impl Evil {
    pub(super) fn keep_frame(&mut self, bytes: &[u8], most: usize) {
        if self.frames.len() >= most {
            self.frames.remove(0);
        }
        self.frames.push(bytes.to_vec());
    }

    /// What is done to this frame, if anything.
    pub(super) fn next_tampering(&mut self) -> Option<u32> {
        self.tampering.iter_mut().for_each(|(left, _)| *left = left.saturating_sub(1));
        let place = self.tampering.iter().position(|(left, _)| *left == 0)?;
        Some(self.tampering.remove(place).1)
    }

    pub(super) fn tamper_later(&mut self, choice: u32) {
        self.tampering.push((1, choice));
    }

    /// Some frame is tampered with, soon. A scenario of an evil relay has no other evil.
    pub(super) fn tampers(&mut self, step: Step) {
        if step.salt % 16 > 12 {
            self.moves = (step.salt / 16, 2);
        } else if self.tampering.len() < 8 {
            self.tampering.push((step.salt / 16 % 14 + 1, step.salt % 16));
        }
    }

    pub(super) fn schemes(&mut self, step: Step) {
        self.scheme = (step.salt, u32::from(step.argument) % 3 + 1);
    }

    pub(super) fn relays_otherwise(&mut self, step: Step) {
        let manners = [Relaying::Refuses, Relaying::Ignores, Relaying::Between, Relaying::Crosses];
        let place = usize::try_from(step.salt % 4).unwrap_or(0);
        self.relaying = (manners[place], u32::from(step.argument) % 3 + 1);
    }

    pub(super) fn strips(&mut self, step: Step) {
        let left = u32::from(step.argument) % 2 + 1;
        match step.salt % 3 {
            0 => self.strips = (step.salt / 3, left),
            1 => self.resumes = (step.salt / 3, left),
            _ => self.alone = (step.salt / 3, left),
        }
    }
}

/// Takes one of what is left.
fn take<T: Copy>(of: &mut (T, u32)) -> Option<T> {
    of.1 = of.1.checked_sub(1)?;
    Some(of.0)
}

impl World {
    /// The server does from now on what it should.
    pub(super) fn repent(&mut self) {
        let frames = core::mem::take(&mut self.server.evil.frames);
        let ids = core::mem::take(&mut self.server.evil.ids);
        self.server.evil = Evil { frames, ids, ..Evil::default() };
    }

    pub(super) fn greeting(&mut self) -> String {
        let Some(choice) = take(&mut self.server.evil.strips) else {
            return String::from("hobnob 1 ack resume device alive away relay until");
        };
        self.did(Rare::GreetingStripped);
        let lines =
            ["hobnob 1 ack resume", "hobnob 1", "hobnob 1 relay", "hobnob 9 ack resume relay", "bye version"];
        String::from(lines[usize::try_from(choice).unwrap_or(0) % lines.len()])
    }

    /// A client says that a conversation moves, or agrees: something may end in this very moment.
    pub(super) fn meddle(&mut self, user: &'static str, link: LinkId) {
        let Some(choice) = take(&mut self.server.evil.moves) else { return };
        let relay = self.server.relays.keys().rev().find(|(of, _)| *of == user).copied();
        match (choice % 4, relay) {
            (0, _) => self.cut(end_of(link).0, choice.is_multiple_of(8)),
            (1, Some((user, number))) => {
                self.server.relays.remove(&(user, number));
                self.say(user, &format!("relay closed {number}"));
            }
            (2, Some((user, number))) => {
                if let Some(Other::Client(other, theirs)) = self.other_end(user, number) {
                    self.say(other, &format!("relay closed {theirs}"));
                }
            }
            (3, Some(_)) => self.server.evil.tampering.push((1, choice / 4)),
            (_, _) => return,
        }
        self.did(Rare::MoveMeddled);
    }

    pub(super) fn relaying(&mut self) -> Relaying {
        take(&mut self.server.evil.relaying).unwrap_or_default()
    }

    /// Whether it does something else than to resume.
    pub(super) fn lies_to_who_resumes(&mut self, link: LinkId, user: &str) -> bool {
        let Some(choice) = take(&mut self.server.evil.resumes) else { return false };
        self.did(Rare::ResumeLied);
        let login = self.server.sessions.get(user).map_or(1, |session| session.login);
        let line = match choice % 6 {
            0 => String::from("refused stale"),
            1 => format!("resumed {user} unread 0 login {}", login + 7),
            2 => format!("resumed {} unread 0 login {login}", other_than(user)),
            3 => String::from("bye kicked"),
            4 => format!("welcome {user} unread 0 login {login}"),
            _ => String::from("refused busy"),
        };
        self.server_says(link, &line);
        true
    }

    /// Who asks for a link is introduced at once, to the server itself, or hears what is not so.
    pub(super) fn answers_by_itself(
        &mut self,
        from: &'static str,
        to: &str,
        number: u64,
        _: &Contact,
    ) -> bool {
        if to.starts_with(NOBODY) && self.server.evil.scheme.1 > 0 {
            let (id, key) = (self.new_id(), Some(EVIL_KEYS[0]));
            let mut side = Side {
                reader: from,
                other: String::from(to),
                is_requester: true,
                id,
                key,
                addresses: Vec::new(),
            };
            match self.draw.below(3) {
                _ if to != NOBODY => self.tell_strangers(&mut side),
                0 => {}
                _ => side.addresses.push(SocketAddr::new(OF_SERVER, 7_004)),
            }
            side.is_requester = self.draw.chance(500);
            self.tell_of(side);
            self.answer(from, number, format!("ok #{number} startprivate {to}"));
            return true;
        }
        let Some(choice) = take(&mut self.server.evil.alone) else { return false };
        self.answers_falsely((from, to), number, "startprivate", choice);
        true
    }

    pub(super) fn answers_acceptance(
        &mut self,
        user: &'static str,
        from: &str,
        number: u64,
        _: &Contact,
    ) -> bool {
        if known(from).is_some() && self.server.evil.alone.1 == 0 {
            return false;
        }
        let choice = take(&mut self.server.evil.alone).unwrap_or(0);
        self.answers_falsely((user, from), number, "accept", choice);
        true
    }

    fn answers_falsely(&mut self, (user, other): (&'static str, &str), number: u64, verb: &str, choice: u32) {
        self.did(Rare::AnsweredAlone);
        let ok = format!("ok #{number} {verb} {other}");
        if choice % 4 < 2 {
            let id = self.draw_id(choice / 4);
            let key = EVIL_KEYS[usize::try_from(choice / 8 % 2).unwrap_or(0)];
            let is_requester = (verb == "startprivate") != (choice / 16).is_multiple_of(4);
            let addresses = Vec::from([SocketAddr::new(OF_SERVER, 7_000)]);
            let other = String::from(other);
            self.tell_of(Side { reader: user, other, is_requester, id, key: Some(key), addresses });
        }
        match choice % 4 {
            0 | 2 => self.answer(user, number, ok),
            1 => {
                self.answer(user, number, ok.clone());
                self.say(user, &ok);
            }
            _ => self.answer(user, number, format!("error #{number} no_answer {verb}")),
        }
    }

    /// A new id, or one that was used.
    fn draw_id(&mut self, choice: u32) -> Token {
        let ids = &self.server.evil.ids;
        let place = usize::try_from(self.draw.below(ids.len() as u64)).unwrap_or(0);
        match ids.get(place).copied().filter(|_| choice % 4 == 1) {
            Some(id) => {
                self.did(Rare::IdAgain);
                id
            }
            None => self.new_id(),
        }
    }

    /// What two are told becomes what they should not be told.
    pub(super) fn distort(&mut self, sides: &mut [Side; 2]) {
        if self.server.evil.ids.len() >= 16 {
            self.server.evil.ids.remove(0);
        }
        let id = sides[0].id;
        if let Some(scheme) = take(&mut self.server.evil.scheme) {
            self.swap_keys(sides, scheme % 8);
            let evil = |side: &Side| side.key.is_some_and(|key| EVIL_KEYS.contains(&key));
            let between = sides.iter().any(evil) && (scheme / 524_288).is_multiple_of(2);
            let addresses = if between { [4, 11][usize::from(scheme / 8 % 2 == 1)] } else { scheme / 8 % 16 };
            self.swap_addresses(sides, addresses);
            self.swap_roles(sides, scheme / 128 % 8);
            self.swap_ids(sides, scheme / 1_024 % 8);
            if scheme / 8_192 % 4 == 3 {
                let name =
                    if (scheme / 32_768).is_multiple_of(2) { NOBODY } else { other_than(&sides[0].other) };
                sides[1].other = String::from(name);
                self.did(Rare::AnotherName);
            }
            if scheme / 65_536 % 8 == 7 {
                self.tell_of(sides[0].clone());
                self.did(Rare::ToldTwice);
            }
        }
        self.server.evil.ids.push(id);
    }

    fn swap_keys(&mut self, sides: &mut [Side; 2], choice: u32) {
        let [one, other] = EVIL_KEYS;
        let known =
            self.seats.iter().find(|seat| seat.user != sides[0].reader && seat.user != sides[1].reader);
        let third = known.map(|seat| seat.key);
        let keys = [sides[0].key, sides[1].key];
        match choice {
            1 => sides[0].key = Some(one),
            2 => sides[1].key = Some(one),
            3 => sides.iter_mut().for_each(|side| side.key = Some(one)),
            4 => sides[0].key = third,
            5 => (sides[0].key, sides[1].key) = (keys[1], keys[0]),
            6 => sides[1].key = None,
            7 => (sides[0].key, sides[1].key) = (Some(one), Some(other)),
            _ => return,
        }
        self.did(Rare::KeySwapped);
    }

    fn swap_addresses(&mut self, sides: &mut [Side; 2], choice: u32) {
        let of_server = |port| SocketAddr::new(OF_SERVER, port);
        let both = [sides[1].addresses.clone(), sides[0].addresses.clone()];
        for (side, own) in sides.iter_mut().zip(both) {
            match choice {
                4 => side.addresses = Vec::from([of_server(7_001)]),
                5 => side.addresses.push(of_server(7_002)),
                6 | 7 => self.tell_strangers(side),
                8 => side.addresses = own,
                9 => {
                    let ips: [IpAddr; 4] = [
                        Ipv4Addr::new(169, 254, 1, 1).into(),
                        Ipv4Addr::UNSPECIFIED.into(),
                        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).into(),
                        Ipv4Addr::new(169, 254, 2, 2).to_ipv6_mapped().into(),
                    ];
                    side.addresses = ips.into_iter().map(|ip| SocketAddr::new(ip, 5_000)).collect();
                    side.addresses.push(SocketAddr::new(self.seats[0].address, 22));
                    side.addresses.push(SocketAddr::new(self.seats[1].address, 1_023));
                }
                10 => {
                    let seats = self.seats.iter();
                    let all = seats.filter_map(|seat| {
                        let process = seat.process.as_ref()?;
                        Some(SocketAddr::new(seat.address, port_of(process.id)))
                    });
                    side.addresses = all.collect();
                }
                11 => side.addresses.clear(),
                _ => return,
            }
        }
        self.did(Rare::AddressesSwapped);
    }

    /// The addresses of others, who have nothing to do with it.
    fn tell_strangers(&mut self, side: &mut Side) {
        let first = u32::try_from(self.draw.below(60_000)).unwrap_or(0);
        let ips = (0..8).map(|count| Ipv4Addr::from_bits(0xc612_0000 + first + count));
        side.addresses = ips.map(|ip| SocketAddr::new(ip.into(), 8_080)).collect();
    }

    fn swap_roles(&mut self, sides: &mut [Side; 2], choice: u32) {
        match choice {
            4 => sides.iter_mut().for_each(|side| side.is_requester = true),
            5 => sides.iter_mut().for_each(|side| side.is_requester = false),
            6 => sides.iter_mut().for_each(|side| side.is_requester ^= true),
            _ => return,
        }
        self.did(Rare::RolesSwapped);
    }

    fn swap_ids(&mut self, sides: &mut [Side; 2], choice: u32) {
        match choice {
            4 => sides[1].id = self.draw_id(0),
            5 | 6 => {
                let id = self.draw_id(1);
                sides.iter_mut().for_each(|side| side.id = id);
            }
            7 => sides[0].id = self.draw_id(1),
            _ => {}
        }
    }

    /// It introduces, or begins a relay, or tells of requests, and nobody has asked for it.
    pub(super) fn says_unasked(&mut self, step: Step) {
        let reader = USERS[usize::from(step.actor) % USERS.len()];
        let other = if step.salt.is_multiple_of(16) { NOBODY } else { other_than(reader) };
        self.did(Rare::Unasked);
        match step.salt / 16 % 4 {
            0 | 1 => {
                let told = self.server.told.iter().rev().find(|side| side.reader == reader).cloned();
                let fresh = Side {
                    reader,
                    other: String::from(other),
                    is_requester: (step.salt / 64).is_multiple_of(2),
                    id: self.draw_id(step.salt / 128),
                    key: Some(EVIL_KEYS[0]),
                    addresses: Vec::from([SocketAddr::new(OF_SERVER, 7_003)]),
                };
                let told = told.filter(|_| (step.salt / 512).is_multiple_of(2));
                self.tell_of(told.unwrap_or(fresh));
            }
            2 => self.relay_with_impostor(reader, other),
            _ => {
                let pairs = known(other).filter(|other| self.is_here(reader) && self.is_here(other));
                if let Some(other) = pairs {
                    let times = if step.salt / 64 % 4 == 3 { RELAYS } else { 1 };
                    (0..times).for_each(|_| self.open_relay([reader, other], [other, reader]));
                }
            }
        }
    }

    /// It says something that is not so.
    pub(super) fn lies(&mut self, step: Step) {
        let user = USERS[usize::from(step.actor) % USERS.len()];
        let other = other_than(user);
        let number = step.salt / 32 % 12;
        let lines = match step.salt % 16 {
            0 => Vec::from([format!("request {other}")]),
            1 => (0..REQUESTS).map(|count| format!("request {NOBODY}{count}")).collect(),
            2 => Vec::from([format!("withdrawn {other}")]),
            3 => Vec::from([format!("endprivate {other}")]),
            4 => Vec::from([format!("offline {other}"), format!("online {other}")]),
            5 => Vec::from([String::from("bye replaced")]),
            6 => Vec::from([
                String::from("alive"),
                String::from("introduce hans"),
                String::from("relay data x y"),
            ]),
            7 => Vec::from([
                format!("resumed {user} unread 3 login 1"),
                format!("welcome {other} unread 0 login 9"),
            ]),
            8 => Vec::from([
                format!("ok #{number} startprivate {other}"),
                format!("ok #{number} accept {other}"),
            ]),
            9 => Vec::from([format!("error #{number} declined startprivate")]),
            10 => Vec::from([format!("message 1.{number} {other} 1717200000000000 - live from the server")]),
            11 => Vec::from([format!("relay closed {number}"), format!("relay refused {other}")]),
            12 => Vec::from([format!("relay took {number} 70000"), format!("relay data {number} aGVsbG8")]),
            13 => Vec::from([
                format!("relay opened {number} {other}"),
                format!("relay opened {number} {other}"),
            ]),
            14 => Vec::from([format!("device {:032x}", step.salt), String::from("ask password")]),
            _ => Vec::from(["x".repeat(5_000)]),
        };
        lines.iter().for_each(|line| self.say(user, line));
        self.did(Rare::Lied);
    }
}

/// Another user.
pub(super) fn other_than(user: &str) -> &'static str {
    USERS.into_iter().find(|other| *other != user).unwrap_or(USERS[0])
}
