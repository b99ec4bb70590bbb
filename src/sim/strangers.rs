//! Those who speak to private ports by hand: strangers, and people who were introduced.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::calls::call;
use super::cast::{USERS, hand_address};
use super::client_host::SEATS_USED;
use super::hand::Manner;
use super::link::Holder;
use super::scenario::Step;
use super::seals;
use super::steps::HAPPENINGS;
use super::trace::{ProcessId, Seen};
use super::world::{Happening, News, World};
use crate::client::{self, Event, PeerOpened};
use crate::time::Time;
use crate::wire::{Role, ServerLine};
use crate::words::{DeviceKey, LinkId, Token};

/// Introductions and first lines that are remembered.
const OVERHEARD: usize = 8;
/// Where somebody listens by hand who was introduced.
pub(super) const PORT_BY_HAND: u16 = 6_666;
/// Kinds of [`Ambush`].
const AMBUSHES: u32 = 10;
/// Of whoever is introduced by hand, and of somebody else.
const KEYS_BY_HAND: [DeviceKey; 2] = [DeviceKey([0xaa; 32]), DeviceKey([0xac; 32])];
const ANOTHER_KEY: DeviceKey = DeviceKey([0xbb; 32]);
/// Strangers who come together, how often they do, and with what pause.
const CROWD: usize = 6;
const CROWDS: u8 = 120;
const CROWD_PAUSE_MICROS: u64 = 50_000;
/// For so long they come to all who are introduced.
const CROWDS_COME_MICROS: u64 = 3_600_000_000;
/// Of an [`Ambush`] that says nothing.
const SILENT: u32 = 8;
/// Never shown: no stranger may say it.
const TEXT: &str = "text 1 1717200000000000 t999999999 from a stranger\n";
/// What somebody who listens by hand says to a client that calls, and with which key.
const ANSWERS: &[(&str, Proof)] = &[
    ("ready\nopened\ntext 1 1717200000000000 by hand\n", Proof::Own),
    ("ready\nnominate\ntext 1 1717200000000000 by hand\n", Proof::Own),
    ("opened\n", Proof::Own),
    ("nominate\nopened\n", Proof::Own),
    ("ready\nready\nopened\n", Proof::Own),
    ("ready\ntext 1 1717200000000000 t999999999 too early\n", Proof::Own),
    ("ready\nopened\ntext 1 1717200000000000 t999999999 with another key\n", Proof::Anothers),
    ("ready\nopened\ntext 1 1717200000000000 t999999999 in the clear\n", Proof::None),
];

/// What somebody by hand proves before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// The key that the server has told.
    Own,
    /// Another one.
    Anothers,
    /// Nothing.
    None,
}

/// What a stranger who connects to a client says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ambush(u32);

/// What strangers may have got to know.
#[derive(Debug, Default)]
pub(super) struct Overheard {
    introductions: Vec<Introduction>,
    /// The first lines of those who called.
    calls: Vec<Vec<u8>>,
    /// What is said at the port of somebody by hand.
    answer: usize,
    /// Which key they have.
    key: usize,
    /// Until then many strangers come to all who are introduced.
    crowds_until: Time,
}

/// An `introduce` of the server.
#[derive(Debug, Clone)]
struct Introduction {
    id: Token,
    /// Who was told, and of whom.
    reader: Holder,
    of: String,
    role: Role,
}

impl Introduction {
    /// As both know it, given the name of its reader.
    fn known(&self, own: &str) -> client::Introduction {
        let (requester, accepter) = match self.role {
            Role::Requester => (own, self.of.as_str()),
            Role::Accepter => (self.of.as_str(), own),
        };
        client::Introduction { id: self.id, requester: requester.into(), accepter: accepter.into() }
    }
}

impl World {
    /// The server writes.
    pub(super) fn overhear(&mut self, link: LinkId, bytes: &[u8]) {
        if memchr::memmem::find(bytes, b"introduce ").is_none() {
            return;
        }
        let Some(reader) = self.links.get(&link).map(|link| link.ends[0].holder) else { return };
        for line in bytes.split(|byte| *byte == b'\n') {
            if let Ok(ServerLine::Introduce { user, id, role, .. }) = ServerLine::parse(line) {
                let told = Introduction { id, reader, of: user.to_string(), role };
                keep(&mut self.overheard.introductions, told);
                if let (Holder::Process(process), true) = (reader, self.now < self.overheard.crowds_until) {
                    self.after(0, Happening::Client { process, news: News::Crowd { left: CROWDS } });
                }
            }
        }
    }

    /// A client calls somebody who listens by hand, and has said all before they are asked.
    pub(super) fn call_by_hand(&mut self, id: ProcessId, address: SocketAddr) {
        let link = self.new_link(Holder::Process(id), Holder::Hand(usize::MAX));
        self.has_joined(id, link, true);
        self.tell_client(id, Event::PeerOpened { link, opened: PeerOpened::Dialled(address) });
        let (answer, proof) = ANSWERS[self.overheard.answer % ANSWERS.len()];
        let key = match proof {
            Proof::Own => Some(KEYS_BY_HAND[self.overheard.key]),
            Proof::Anothers => Some(ANOTHER_KEY),
            Proof::None => None,
        };
        let own = self.process(id).and_then(|process| process.user.clone());
        let told = self
            .overheard
            .introductions
            .iter()
            .rev()
            .find(|told| told.reader == Holder::Process(id))
            .cloned();
        if let (Some(key), Some(own), Some(told)) = (key, own, told) {
            self.write(link, 1, &seals::proof(link, key, &told.known(own.as_str())));
        }
        self.write(link, 1, answer.as_bytes());
        self.pump(link, 1);
    }

    /// Whoever has a connection by hand with a client goes.
    pub(super) fn leave_private_links_by_hand(&mut self) {
        let of_hand = |link: &super::link::Link| {
            link.ends.iter().position(|end| end.open && end.holder == Holder::Hand(usize::MAX))
        };
        let ends: Vec<_> = self.links.iter().filter_map(|(id, link)| Some((*id, of_hand(link)?))).collect();
        ends.into_iter().for_each(|(link, end)| self.close_end(link, end));
    }

    /// A client has read from the server: somebody may have waited for that.
    pub(super) fn spring(&mut self, id: ProcessId, bytes: &[u8]) {
        let Some(process) = self.process(id) else { return };
        if process.ambush.is_some()
            && memchr::memmem::find(bytes, b"introduce ").is_some()
            && let Some(ambush) = process.ambush.take()
        {
            self.send_stranger(id, ambush, true);
        }
    }

    /// A stranger speaks to the private port of a client: now, or as soon as it is introduced to somebody.
    pub(super) fn stranger_comes(&mut self, step: Step) {
        let seat = usize::from(step.actor) % SEATS_USED;
        if (step.salt / 64).is_multiple_of(4) {
            self.let_crowds_come();
        } else if step.salt.is_multiple_of(2) {
            self.arm(seat, step.salt / 2);
        } else if let Some(process) = &self.seats[seat].process {
            let id = process.id;
            self.send_stranger(id, Ambush(step.salt / 2 % AMBUSHES), false);
        }
    }

    /// From now on many strangers come to all who are introduced.
    pub(super) fn let_crowds_come(&mut self) {
        self.overheard.crowds_until = Time(self.now.0 + CROWDS_COME_MICROS);
    }

    /// Some strangers come now, and others later. None of them knows an id, and most of them say nothing.
    pub(super) fn strangers_come(&mut self, id: ProcessId, left: u8) {
        for _ in 0..CROWD {
            let says = u32::try_from(self.draw.below(32)).unwrap_or(0);
            self.send_stranger(id, Ambush(says.min(SILENT)), true);
        }
        if left > 0 {
            let news = News::Crowd { left: left - 1 };
            self.after(CROWD_PAUSE_MICROS, Happening::Client { process: id, news });
        }
    }

    /// Somebody waits until a client is introduced.
    pub(super) fn arm(&mut self, seat: usize, choice: u32) {
        if let Some(process) = self.seats[seat].process.as_mut() {
            process.ambush = Some(Ambush(choice % AMBUSHES));
        }
    }

    fn send_stranger(&mut self, id: ProcessId, ambush: Ambush, at_once: bool) {
        let Some(process) = self.process(id).filter(|process| !process.listening.is_empty()) else { return };
        let own = process.user.as_ref().map_or_else(String::new, |name| name.as_str().to_string());
        let introductions = &self.overheard.introductions;
        let told = introductions.iter().rev().find(|told| told.reader == Holder::Process(id)).cloned();
        let other = told.as_ref().and_then(|told| {
            introductions.iter().find(|other| other.id == told.id && other.reader != told.reader)
        });
        let by_hand = other.is_some_and(|other| matches!(other.reader, Holder::Hand(_)));
        // The client may be logged in and not have shown it yet.
        let own = other.map_or(own, |other| other.of.clone());
        let (zero, of) = (Token([0; 16]), USERS[1].to_string());
        let zero = Introduction { id: zero, reader: Holder::Server, of, role: Role::Accepter };
        let told = told.unwrap_or(zero);
        if by_hand && ambush.0 == 9 {
            return self.come_twice(id, &told, &own);
        }
        let lines = self.lines_of_stranger(ambush, &told, &own);
        // They may say again what they have heard.
        let link = self.link_of_stranger(id, at_once, ambush.0 == 9);
        self.write(link, 0, lines.as_slice());
        self.pump(link, 0);
    }

    fn link_of_stranger(&mut self, id: ProcessId, at_once: bool, knows_id: bool) -> LinkId {
        let from = hand_address(usize::from(at_once), 0);
        let link = self.new_link(Holder::Hand(usize::MAX), Holder::Process(id));
        if let (true, Some(link)) = (at_once, self.links.get_mut(&link)) {
            link.latency_micros = 0;
        }
        self.trace.add(self.now, Seen::Stranger { process: id, knows_id });
        self.reach(id, link, from);
        link
    }

    /// Each differs in one thing from what would open a link.
    fn lines_of_stranger(&mut self, ambush: Ambush, told: &Introduction, own: &str) -> Vec<u8> {
        let Introduction { id, of, role, .. } = told;
        let (asks, nonce) = (role.other() == Role::Requester, Token([0x11; 16]));
        let says = |id: Token, from: &str, to: &str| call(id, nonce, asks, from, to) + "\n";
        let other = USERS.iter().find(|user| **user != of && **user != own).copied().unwrap_or_default();
        let mut wrong = *id;
        wrong.0[usize::try_from(self.draw.below(16)).unwrap_or(0)] ^= 1;
        let foreign = self.overheard.introductions.iter().rev().find(|known| known.id != *id);
        let foreign = foreign.map_or(Token([0; 16]), |known| known.id);
        let call = match ambush.0 {
            0 => says(wrong, of, own),
            1 => says(*id, other, own),
            2 => says(*id, of, other),
            3 => says(foreign, of, own),
            4 => format!("hobnob-private 1 {id} {of} {own}\n"),
            5 => says(*id, own, of),
            6 => String::new(),
            7 => String::from("ready\n"),
            SILENT => return Vec::new(),
            _ => {
                let place = usize::try_from(self.draw.below(OVERHEARD as u64)).unwrap_or(0);
                let calls = &self.overheard.calls;
                let call = calls.get(place % calls.len().max(1));
                let call = call.map_or(&b""[..], Vec::as_slice);
                return [call, &seals::beginning(), b"nominate\nopened\n", TEXT.as_bytes()].concat();
            }
        };
        [call.as_bytes(), &seals::beginning(), b"nominate\nopened\n", TEXT.as_bytes()].concat()
    }

    /// Somebody who was introduced by hand comes on two connections, and nominates both.
    fn come_twice(&mut self, id: ProcessId, told: &Introduction, own: &str) {
        let links = [self.link_of_stranger(id, true, true), self.link_of_stranger(id, true, true)];
        let again = self.draw.chance(300);
        for (number, link) in (0..).zip(links) {
            // The second time another nonce, or the same.
            let nonce = Token([if again { 0 } else { number }; 16]);
            let asks = told.role.other() == Role::Requester;
            let call = call(told.id, nonce, asks, &told.of, own) + "\n";
            let proof = seals::proof(link, KEYS_BY_HAND[self.overheard.key], &told.known(own));
            self.write(link, 0, &[call.as_bytes(), &seals::beginning(), &proof].concat());
            self.pump(link, 0);
        }
        for link in links {
            if let Some(link) = self.links.get_mut(&link) {
                link.latency_micros = 200;
            }
            self.write(link, 0, b"nominate\ntext 1 1717200000000000 by hand\n");
            self.pump(link, 0);
        }
    }

    /// A caller's first lines, for those who say them again.
    pub(super) fn overhear_call(&mut self, bytes: &[u8]) {
        if bytes.starts_with(b"hobnob-private ") {
            keep(&mut self.overheard.calls, bytes.to_vec());
        }
    }

    /// Somebody who is away comes by hand and agrees with a client on a private link; who asks is drawn.
    pub(super) fn meet_by_hand(&mut self, step: Step) {
        let seat = usize::from(step.actor) % SEATS_USED;
        let user_at = |process: &super::client_host::Process| process.user.clone();
        let online: Vec<_> =
            self.seats.iter().filter_map(|seat| seat.process.as_ref().and_then(user_at)).collect();
        let away = |name: &&&str| {
            let is_account = self.host.accounts.iter().any(|(known, _)| known.as_str() == **name);
            is_account && !online.iter().any(|user| user.as_str() == **name)
        };
        let own = self.seats[seat].process.as_ref().and_then(user_at);
        let away: Vec<&str> = USERS.iter().filter(away).copied().collect();
        let other = away.get(usize::from(step.argument) % away.len().max(1));
        let (Some(own), Some(other)) = (own, other) else { return };
        let place = u8::try_from(step.salt % 8).unwrap_or(0);
        let Some(hand) = self.open_hand(place, Manner::Plain) else { return };
        let login = format!("login {other} {}\n", self.right_password(other));
        self.hand_writes(hand, login.as_bytes());
        self.pass(Time(self.now.0 + 100_000), HAPPENINGS);
        self.arm(seat, [9, 9, 9, 1, 2, 5][usize::try_from(step.salt / 8 % 6).unwrap_or(0)]);
        self.overheard.answer = usize::try_from(step.salt / 32 % 8).unwrap_or(0);
        let verbs = if (step.salt / 256).is_multiple_of(2) {
            ["startprivate", "accept"]
        } else {
            ["accept", "startprivate"]
        };
        self.overheard.key = usize::from((step.salt / 4096).is_multiple_of(4));
        let shows_key = !(step.salt / 512).is_multiple_of(8);
        self.agree_by_hand(seat, hand, [own.as_str(), other], verbs, shows_key);
        if (step.salt / 16_384).is_multiple_of(3) {
            // They come again with another key, which the person may accept.
            self.pass(Time(self.now.0 + 300_000), HAPPENINGS);
            self.type_line(seat, format!("stopprivate {other}").as_bytes());
            self.overheard.key = 1 - self.overheard.key;
            self.agree_by_hand(seat, hand, [own.as_str(), other], verbs, true);
            self.pass(Time(self.now.0 + 300_000), HAPPENINGS);
            self.type_line(seat, format!("trust {other}").as_bytes());
            self.agree_by_hand(seat, hand, [own.as_str(), other], verbs, true);
        }
    }

    /// Somebody by hand and a client ask each other for a link.
    fn agree_by_hand(
        &mut self,
        seat: usize,
        hand: usize,
        [own, other]: [&str; 2],
        verbs: [&str; 2],
        shows_key: bool,
    ) {
        let key = KEYS_BY_HAND[self.overheard.key];
        let key = if shows_key { format!(" {key}") } else { String::new() };
        let by_hand = format!("{} {own}{key} {PORT_BY_HAND}\n", verbs[0]);
        let typed = format!("{} {other}", verbs[1]);
        if verbs[0] == "accept" {
            self.type_line(seat, typed.as_bytes());
            self.pass(Time(self.now.0 + 5_000), HAPPENINGS);
        }
        self.hand_writes(hand, by_hand.as_bytes());
        if verbs[1] == "accept" {
            self.pass(Time(self.now.0 + 5_000), HAPPENINGS);
            self.type_line(seat, typed.as_bytes());
        }
    }
}

/// Adds to a list that is bounded.
fn keep<T>(list: &mut Vec<T>, item: T) {
    if list.len() >= OVERHEARD {
        list.remove(0);
    }
    list.push(item);
}
