//! What the server relays, and what it does to that.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::impostors::{At, EVIL_KEYS};
use super::lies::Relaying;
use super::server::{known, pair};
use super::world::{Happening, World};
use crate::sim::coverage::Rare;
use crate::wire::relay_line::seal;
use crate::wire::{FRAME_BYTES, RelayLine};

/// An end of a relay, known by its user and their number.
#[derive(Debug)]
pub(super) struct Relay {
    /// Who is at the other end, as the user was told.
    pub(super) with: String,
    pub(super) other: Other,
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Other {
    Client(&'static str, u64),
    Impostor(usize),
    Nobody,
}

/// What the server does to a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tampering {
    Changes,
    Repeats,
    Truncates,
    Drops,
    Delays,
    Splits,
    /// Something comes before it that came earlier, perhaps elsewhere.
    Injects,
    /// It goes back to where it comes from.
    Returns,
    /// It goes to somebody else.
    Misroutes,
    /// More is said to be taken than was sent.
    Overtakes,
    /// The relay is closed.
    Closes,
    /// The offer to move conversations is taken out of a handshake.
    Downgrades,
}

const TAMPERINGS: [(Tampering, Rare); 12] = [
    (Tampering::Changes, Rare::FrameChanged),
    (Tampering::Repeats, Rare::FrameRepeated),
    (Tampering::Truncates, Rare::FrameTruncated),
    (Tampering::Drops, Rare::FrameDropped),
    (Tampering::Delays, Rare::FrameDelayed),
    (Tampering::Splits, Rare::FrameSplit),
    (Tampering::Injects, Rare::FrameInjected),
    (Tampering::Returns, Rare::FrameReturned),
    (Tampering::Misroutes, Rare::FrameMisrouted),
    (Tampering::Overtakes, Rare::TookTooMuch),
    (Tampering::Closes, Rare::RelayClosedFalsely),
    (Tampering::Downgrades, Rare::DowngradeTried),
];

/// Frames that it remembers.
const FRAMES: usize = 24;

impl World {
    pub(super) fn hears_of_relay(&mut self, user: &'static str, line: RelayLine<'_>) {
        match line {
            RelayLine::Open { user: other } => self.asks_for_relay(user, other),
            RelayLine::Data { number, sealed } => self.relays(user, number, &sealed.bytes()),
            RelayLine::Took { number, count } => {
                if let Some(Other::Client(other, theirs)) = self.other_end(user, number) {
                    self.say(other, &format!("relay took {theirs} {count}"));
                }
            }
            RelayLine::Close { number } => {
                if let Some(Relay { other: Other::Client(other, theirs), .. }) =
                    self.server.relays.remove(&(user, number))
                {
                    self.server.relays.remove(&(other, theirs));
                    self.say(other, &format!("relay closed {theirs}"));
                }
            }
        }
    }

    pub(super) fn other_end(&self, user: &'static str, number: u64) -> Option<Other> {
        self.server.relays.get(&(user, number)).map(|relay| relay.other)
    }

    fn asks_for_relay(&mut self, user: &'static str, other: &str) {
        let runs = |relay: &Relay| relay.with == other;
        let has_one = self.server.relays.iter().any(|((of, _), relay)| *of == user && runs(relay));
        let told = self.last_told(user, Some(other)).and_then(|side| side.key);
        let is_evil = told.is_some_and(|key| EVIL_KEYS.contains(&key));
        // Only the server can be whom it has named.
        let manner = if is_evil { Relaying::Between } else { self.relaying() };
        match (manner, known(other)) {
            (Relaying::Refuses, _) => self.say(user, &format!("relay refused {other}")),
            (Relaying::Ignores, _) => {}
            (Relaying::Between, _) => self.relay_with_impostor(user, other),
            (Relaying::Crosses, Some(other)) if !has_one => self.cross(user, other),
            (Relaying::Passes | Relaying::Crosses, Some(other)) => {
                let knows = self.server.introduced.contains(&pair(user, other));
                if !knows || !self.is_here(other) {
                    self.say(user, &format!("relay refused {other}"));
                } else if !has_one {
                    self.open_relay([user, other], [other, user]);
                }
            }
            (Relaying::Passes | Relaying::Crosses, None) => self.relay_with_impostor(user, other),
        }
    }

    /// Opens a relay between two, telling each of them whom it is with.
    pub(super) fn open_relay(&mut self, users: [&'static str; 2], with: [&str; 2]) {
        let [Some(one), Some(other)] = users.map(|user| self.next_relay(user)) else { return };
        let ends = [Other::Client(users[1], other), Other::Client(users[0], one)];
        for (((user, number), with), other) in users.into_iter().zip([one, other]).zip(with).zip(ends) {
            self.server.relays.insert((user, number), Relay { with: with.to_string(), other });
            self.say(user, &format!("relay opened {number} {with}"));
        }
    }

    fn next_relay(&mut self, user: &str) -> Option<u64> {
        let session = self.server.sessions.get_mut(user)?;
        session.relays += 1;
        Some(session.relays)
    }

    /// Opens a relay whose other end is the server itself.
    pub(super) fn relay_with_impostor(&mut self, user: &'static str, with: &str) {
        let Some(number) = self.next_relay(user) else { return };
        let impostor = self.impostor_on_relay(user, with, At::Relay(user, number));
        let other = impostor.map_or(Other::Nobody, Other::Impostor);
        self.server.relays.insert((user, number), Relay { with: with.to_string(), other });
        self.say(user, &format!("relay opened {number} {with}"));
        if let Some(impostor) = impostor {
            self.impostor_begins(impostor);
        }
        self.did(Rare::RelayToServer);
    }

    /// Who asks for a relay with one gets one with a third, who is told of somebody else as well.
    fn cross(&mut self, user: &'static str, other: &'static str) {
        let third = self.seats.iter().map(|seat| seat.user).find(|seat| *seat != user && *seat != other);
        let third = third.filter(|third| self.is_here(third));
        let Some(third) = third else { return };
        self.did(Rare::RelaysCrossed);
        let told = if self.draw.chance(500) { user } else { other };
        self.open_relay([user, third], [other, told]);
    }

    /// A client has something for the other end.
    fn relays(&mut self, user: &'static str, number: u64, bytes: &[u8]) {
        let Some(other) = self.other_end(user, number) else { return };
        self.server.evil.keep_frame(bytes, FRAMES);
        match other {
            Other::Nobody => {}
            Other::Impostor(impostor) => {
                self.say(user, &format!("relay took {number} {}", bytes.len()));
                self.impostor_reads(impostor, bytes);
            }
            Other::Client(other, theirs) => match self.server.evil.next_tampering() {
                None => self.relay_to(other, theirs, bytes),
                Some(choice) => self.tamper((user, number), (other, theirs), bytes, choice),
            },
        }
    }

    fn tamper(
        &mut self,
        (user, number): (&'static str, u64),
        (other, theirs): (&'static str, u64),
        bytes: &[u8],
        choice: u32,
    ) {
        let place = usize::try_from(choice).unwrap_or(0) % TAMPERINGS.len();
        let (tampering, rare) = TAMPERINGS[place];
        let cut = bytes.len() / 2;
        match tampering {
            Tampering::Changes | Tampering::Downgrades => {
                let mut bytes = bytes.to_vec();
                let drawn = self.draw.below(bytes.len() as u64);
                let hello = bytes.len() == 10 && bytes[0] == 0x16 && bytes[1] == 1;
                if tampering == Tampering::Downgrades && !hello {
                    // It waits for a handshake.
                    self.server.evil.tamper_later(choice);
                    return self.relay_to(other, theirs, &bytes);
                }
                bytes[if hello { 1 } else { usize::try_from(drawn).unwrap_or(0) }] ^= 1;
                self.relay_to(other, theirs, &bytes);
            }
            Tampering::Repeats => (0..2).for_each(|_| self.relay_to(other, theirs, bytes)),
            Tampering::Truncates => self.relay_to(other, theirs, &bytes[..cut]),
            Tampering::Drops => {}
            Tampering::Delays => {
                let micros = self.draw.below(2_000_000);
                let bytes = bytes.to_vec();
                self.after(micros, Happening::Relayed { user: other, number: theirs, bytes });
            }
            Tampering::Splits => {
                self.relay_to(other, theirs, &bytes[..cut]);
                self.relay_to(other, theirs, &bytes[cut..]);
            }
            Tampering::Injects => {
                let frame = self.draw_frame();
                self.relay_to(other, theirs, &frame);
                self.relay_to(other, theirs, bytes);
            }
            Tampering::Returns => self.relay_to(user, number, bytes),
            Tampering::Misroutes => {
                let ends = self.server.relays.keys().copied();
                let ends: Vec<_> = ends.filter(|end| *end != (other, theirs)).collect();
                let place = usize::try_from(self.draw.below(ends.len() as u64)).unwrap_or(0);
                if let Some((user, number)) = ends.get(place).copied() {
                    self.relay_to(user, number, bytes);
                }
            }
            Tampering::Overtakes => {
                self.relay_to(other, theirs, bytes);
                let count = [1, 16_384, u64::MAX][usize::try_from(self.draw.below(3)).unwrap_or(0)];
                self.say(user, &format!("relay took {number} {count}"));
            }
            Tampering::Closes => {
                self.say(user, &format!("relay closed {number}"));
                self.server.relays.remove(&(user, number));
                self.server.relays.remove(&(other, theirs));
                self.say(other, &format!("relay closed {theirs}"));
            }
        }
        self.did(rare);
    }

    /// A frame that came earlier.
    pub(super) fn draw_frame(&mut self) -> Vec<u8> {
        let frames = &self.server.evil.frames;
        let place = usize::try_from(self.draw.below(frames.len() as u64)).unwrap_or(0);
        frames.get(place).cloned().unwrap_or_default()
    }

    /// The server brings a client something on a relay.
    pub(super) fn relay_to(&mut self, user: &'static str, number: u64, bytes: &[u8]) {
        for part in bytes.chunks(FRAME_BYTES) {
            self.say(user, &format!("relay data {number} {}", seal(part)));
        }
    }

    /// A user's connection is gone, and with it all their relays.
    pub(super) fn relays_end(&mut self, user: &'static str) {
        let of_user = self.server.relays.extract_if(.., |(of, _), _| *of == user);
        let ended: Vec<Relay> = of_user.map(|(_, relay)| relay).collect();
        for relay in ended {
            if let Other::Client(other, theirs) = relay.other {
                self.server.relays.remove(&(other, theirs));
                self.say(other, &format!("relay closed {theirs}"));
            }
        }
    }
}
