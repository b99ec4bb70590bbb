//! Raw connections: a person with `nc`, or a simple stand-in for a client that acknowledges.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::cast::hand_address;
use super::link::Holder;
use super::world::World;
use crate::wire::{Admission, ClientLine, Frame, Framer, Relayed, ServerLine};
use crate::words::{LinkId, MessageId, Name, Token};

/// Longest line a stand-in reads.
const LINE_BYTES: usize = 1 << 20;
/// Tokens remembered, over all raw connections.
const TOKENS_KEPT: usize = 8;

/// Cookies remembered, over all raw connections.
const COOKIES_KEPT: usize = 24;

/// A token that a raw connection was given.
#[derive(Debug, Clone)]
pub(super) struct KeptToken {
    user: Name,
    token: Token,
    /// The connection that had it last: its numbers go on.
    hand: usize,
}

/// What somebody with a raw connection can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Read and write lines.
    Plain,
    /// Acknowledge as well.
    Acknowledging,
    /// And come back, and read who is away.
    Resuming,
    /// And keep a cookie, and say that they are there.
    Keeping,
    /// Have links relayed, and take what comes, or not.
    Relaying,
    RelayingNothing,
    /// Be a courier, and acknowledge, which means nothing there.
    Courier,
}

/// A raw connection.
#[derive(Debug)]
pub(super) struct Hand {
    pub(super) link: LinkId,
    pub(super) open: bool,
    /// It says no more.
    pub(super) ended: bool,
    /// It numbers its commands and acknowledges what it gets.
    pub(super) acknowledges: bool,
    /// It holds no session, and keeps tokens for others like it.
    courier: bool,
    /// It takes what is relayed to it.
    takes: bool,
    /// It does not answer whether it is there.
    pub(super) silent: bool,
    /// It does not acknowledge, and was let in.
    pub(super) welcomed: bool,
    number: u64,
    /// Its session goes on over another connection: nothing more is asked here.
    retired: bool,
    framer: Framer,
    answered: u64,
    answered_early: BTreeSet<u64>,
}

impl KeptToken {
    pub(super) fn is_for(&self, user: &str) -> bool {
        self.user.as_str() == user
    }

    pub(super) const fn is_of(&self, hand: usize) -> bool {
        self.hand == hand
    }
}

impl World {
    /// A raw connection to the server, if it can be reached; its index.
    pub(super) fn open_hand(&mut self, choice: u8, manner: Manner) -> Option<usize> {
        self.open_hand_at(hand_address(self.hands.len(), choice), manner)
    }

    /// The same from an address.
    pub(super) fn open_hand_at(&mut self, from: SocketAddr, manner: Manner) -> Option<usize> {
        if !self.host.is_up() || self.now < self.weather.refuse_dials_until {
            return None;
        }
        let index = self.hands.len();
        let link = self.accept(Holder::Hand(index), from);
        self.hands.push(Hand {
            link,
            open: true,
            ended: false,
            acknowledges: manner != Manner::Plain,
            courier: manner == Manner::Courier,
            takes: manner == Manner::Relaying,
            silent: false,
            welcomed: false,
            number: 0,
            retired: false,
            framer: Framer::default(),
            answered: 0,
            answered_early: BTreeSet::new(),
        });
        match manner {
            Manner::Plain => {}
            Manner::Acknowledging => self.hand_writes(index, b"hello 1 ack\n"),
            Manner::Resuming => self.hand_writes(index, b"hello 1 ack resume away\n"),
            Manner::Keeping => self.hand_writes(index, b"hello 1 ack resume device alive away until\n"),
            Manner::Relaying | Manner::RelayingNothing => {
                self.hand_writes(index, b"hello 1 ack resume relay\n");
            }
            Manner::Courier => self.hand_writes(index, b"hello 1 ack courier until\n"),
        }
        Some(index)
    }

    /// Bytes are sent on a raw connection.
    pub(super) fn hand_writes(&mut self, index: usize, bytes: &[u8]) {
        let Some(hand) = self.hands.get(index).filter(|hand| !hand.ended) else { return };
        let link = hand.link;
        self.write(link, 0, bytes);
        self.pump(link, 0);
    }

    /// A command is sent, with a number if the connection acknowledges.
    pub(super) fn hand_commands(&mut self, index: usize, command: &[u8]) {
        let Some(hand) = self.hands.get_mut(index).filter(|hand| !hand.retired) else { return };
        let mut line = Vec::with_capacity(command.len() + 16);
        if hand.acknowledges {
            hand.number += 1;
            line.extend_from_slice(alloc::format!("#{} ", hand.number).as_bytes());
        }
        line.extend_from_slice(command);
        line.push(b'\n');
        self.hand_writes(index, &line);
    }

    /// A number is used for two lines at once.
    pub(super) fn hand_reuses(&mut self, index: usize, first: &[u8], second: &[u8]) {
        // A courier's numbers are not remembered: what it says twice is two messages (R57).
        if self.hands[index].courier {
            return;
        }
        let Some(hand) = self.hands.get_mut(index).filter(|hand| !hand.retired) else { return };
        hand.number += 1;
        let mut lines = Vec::new();
        for command in [first, second] {
            lines.extend_from_slice(alloc::format!("#{} ", hand.number).as_bytes());
            lines.extend_from_slice(command);
            lines.push(b'\n');
        }
        self.hand_writes(index, &lines);
    }

    /// A raw connection says no more, and reads on.
    pub(super) fn end_hand(&mut self, index: usize) {
        if let Some(hand) = self.hands.get_mut(index)
            && !core::mem::replace(&mut hand.ended, true)
        {
            let link = hand.link;
            self.end_stream(link, 0);
        }
    }

    pub(super) fn hand_receives(&mut self, index: usize, mut bytes: &[u8]) {
        let Some(hand) = self.hands.get_mut(index) else { return };
        if !hand.acknowledges {
            hand.welcomed |= memchr::memmem::find(bytes, b"welcome ").is_some();
            return;
        }
        let (mut shown, mut answered) = (None, false);
        let (mut given, mut cookie, mut asked) = (None, None, false);
        let mut taken = Vec::new();
        let mut early = core::mem::take(&mut hand.answered_early);
        while let Some(frame) = hand.framer.next(&mut bytes, LINE_BYTES) {
            let Frame::Line(line) = frame else { continue };
            match ServerLine::parse(line) {
                Ok(ServerLine::Message(delivery) | ServerLine::GroupMessage { delivery, .. }) => {
                    shown = Some(delivery.id);
                }
                Ok(ServerLine::Done { number, .. } | ServerLine::Failed { number, .. }) => {
                    answered = true;
                    early.extend(number);
                }
                Ok(ServerLine::Welcome(Admission { user, token: Some(token), .. })) => {
                    given = Name::new(user).ok().map(|user| KeptToken { user, token, hand: index });
                }
                Ok(ServerLine::Device { cookie: told }) => cookie = Some(told),
                Ok(ServerLine::Alive) => asked = !hand.silent,
                Ok(ServerLine::Relay(Relayed::Data { number, sealed })) if hand.takes => {
                    taken.push((number, sealed.len()));
                }
                _ => {}
            }
        }
        while early.remove(&(hand.answered + 1)) {
            hand.answered += 1;
        }
        hand.answered_early = early;
        let all = hand.answered;
        let user = given.as_ref().map(|kept: &KeptToken| kept.user.clone());
        self.cookies.extend(user.zip(cookie));
        let excess = self.cookies.len().saturating_sub(COOKIES_KEPT);
        self.cookies.drain(..excess);
        for (number, count) in taken {
            self.hand_writes(index, alloc::format!("relay took {number} {count}\n").as_bytes());
        }
        if asked {
            self.hand_writes(index, b"alive\n");
        }
        if self.hands[index].courier {
            self.passes.extend(given.take().map(|kept| (kept.user, kept.token)));
            let excess = self.passes.len().saturating_sub(COOKIES_KEPT);
            self.passes.drain(..excess);
        }
        self.tokens.extend(given);
        let excess = self.tokens.len().saturating_sub(TOKENS_KEPT);
        self.tokens.drain(..excess);
        if shown.is_some() || answered {
            self.hand_acknowledges(index, shown, (answered && all > 0).then_some(all));
        }
    }

    /// The connection that had a token last.
    pub(super) fn hand_with_token(&self, choice: u16) -> Option<usize> {
        let place = usize::from(choice).checked_rem(self.tokens.len())?;
        Some(self.tokens[place].hand)
    }

    /// The user of a connection that had a token last.
    pub(super) fn user_of_hand(&self, hand: usize) -> Option<Name> {
        self.tokens.iter().find(|kept| kept.hand == hand).map(|kept| kept.user.clone())
    }

    /// Somebody comes back by a token that was given to a raw connection, or by one that is made up.
    pub(super) fn resume_by_hand(&mut self, choice: u16, made_up: bool) {
        if self.tokens.is_empty() {
            return;
        }
        let place = usize::from(choice) % self.tokens.len();
        let KeptToken { user, mut token, hand: before } = self.tokens[place].clone();
        let Some(index) = self.open_hand(3, Manner::Resuming) else { return };
        if made_up {
            token.0[usize::from(choice) % token.0.len()] ^= 1;
        } else {
            self.tokens[place].hand = index;
            self.hands[index].number = self.hands[before].number;
            // What was asked on the old connection is asked no more.
            self.hands[index].answered = self.hands[before].number;
            self.hands[before].retired = true;
            for seat in self.seats.iter_mut().filter(|seat| seat.hand == Some(before)) {
                seat.hand = Some(index);
            }
        }
        self.hand_writes(index, alloc::format!("resume {user} {token}\n").as_bytes());
    }

    fn hand_acknowledges(&mut self, index: usize, shown: Option<MessageId>, answered: Option<u64>) {
        if shown.is_none() && answered.is_none() {
            return;
        }
        let mut line = Vec::new();
        ClientLine::Acknowledge { shown, answered }.encode(&mut line);
        self.hand_writes(index, &line);
    }

    pub(super) fn hand_loses(&mut self, index: usize) {
        if let Some(hand) = self.hands.get_mut(index) {
            hand.open = false;
        }
    }

    /// A raw connection is closed from its side.
    pub(super) fn close_hand(&mut self, index: usize) {
        if let Some(hand) = self.hands.get_mut(index)
            && core::mem::take(&mut hand.open)
        {
            let link = hand.link;
            self.close_end(link, 0);
        }
    }
}
