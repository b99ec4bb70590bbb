//! Private links through the server, for clients that do not reach each other, or do not want to be reached (R60).
//!
//! The shell encrypts such a link as any other. What it writes comes back here, and leaves in lines to the server as far
//! as the other client has agreed; what the server brings is handed to the shell.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::ClientState;
use super::link::{Origin, Stage};
use super::meeting::{ANSWER_PATIENCE, Meeting};
use super::rejoining::PAUSE;
use crate::client::Phase;
use crate::client::settings::Way;
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::wire::{
    ClientLine, FRAME_BYTES, PeerFarewell, RELAY_WINDOW_BYTES, RelayLine, Relayed, Role, Sealed,
};
use crate::words::LinkId;

/// How long clients try to reach each other before the server relays. They go on trying, and the conversation moves.
const DIRECT_PATIENCE: Duration = Duration::from_millis(300);

/// Bytes that may wait to leave; a link with more counts as lost.
const CLOGGED: usize = 8 << 20;

/// The shell numbers its own links from 1.
const FIRST_LINK: u64 = 1 << 62;

/// Whether the server relays a link.
pub(super) const fn is_relayed(link: LinkId) -> bool {
    link.0 >= FIRST_LINK
}

/// Whether an introduction uses a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// From then on, if there is no other way.
    Due(Time),
    /// The server was asked for one, or has opened one.
    Asked,
    /// No.
    No,
}

/// A private link through the server.
pub(super) struct Relay {
    /// The server's number of it.
    number: u64,
    user: String,
    /// To leave when the other client takes more.
    outgoing: Vec<u8>,
    /// Sent, and not taken by the other client.
    under_way: usize,
    /// Handed to the shell, and not taken by it.
    unread: usize,
    /// The shell writes no more.
    ends: bool,
}

impl Meeting {
    /// When the server is to be asked for a relay.
    pub(super) fn relay_due(&self) -> Option<Time> {
        match self.relay {
            Wish::Due(at) => Some(at),
            Wish::Asked | Wish::No => None,
        }
    }

    /// From when on an introduction with this way and so many addresses uses a relay.
    pub(super) fn first_wish(way: Way, addresses: usize, now: Time) -> Wish {
        match way {
            Way::Direct => Wish::No,
            Way::Auto if addresses > 0 => Wish::Due(now + DIRECT_PATIENCE),
            Way::Auto | Way::Relay => Wish::Due(now),
        }
    }
}

impl ClientState {
    /// Whether the server relays.
    pub(super) fn has_relays(&self) -> bool {
        let Phase::Session(session) = &self.phase else { return false };
        self.link.capabilities().relay && session.is_online()
    }

    /// Asks for relays where it is time. Whoever can open a link already does not need one.
    pub(super) fn open_relays_when_due(&mut self) {
        let now = self.now;
        let due = |meeting: &Meeting| meeting.relay_due().is_some_and(|due| due <= now);
        let due = self.peers.meetings.iter().filter(|(_, meeting)| due(meeting));
        let users: Vec<String> = due.map(|(user, _)| user.clone()).collect();
        for user in users {
            let is_made = self.peers.links.values().any(|link| link.can_be_opened(&user));
            let asks = self.has_relays() && !is_made;
            let is_lost = self.peers.is_lost(&user);
            let Some(meeting) = self.peers.meetings.get_mut(&user) else { continue };
            // The server does not answer while it has an earlier one.
            let again =
                if is_lost || meeting.is_in_doubt(now) { Wish::Due(now + PAUSE) } else { Wish::Asked };
            meeting.relay = if asks { again } else { Wish::No };
            if asks {
                self.outbox.send(&ClientLine::Relay(RelayLine::Open { user: &user }));
            }
        }
    }

    pub(in super::super) fn on_relay_line(&mut self, line: Relayed<'_>) {
        self.abandon_meetings_that_are_over();
        match line {
            Relayed::Opened { number, user } => self.on_relay_opened(number, user),
            Relayed::Refused { user } => self.on_relay_refused(user),
            Relayed::Unknown { user } => self.on_relay_unknown(user),
            Relayed::Data { number, sealed } => self.on_relay_data(number, sealed),
            Relayed::Took { number, count } => self.on_relay_took(number, count),
            Relayed::Closed { number } => {
                if let Some(link) = self.link_of_relay(number) {
                    self.peers.relays.remove(&link);
                    self.outbox.end_relay(link);
                }
            }
        }
    }

    fn link_of_relay(&self, number: u64) -> Option<LinkId> {
        let mut relays = self.peers.relays.iter();
        relays.find(|(_, relay)| relay.number == number).map(|(link, _)| *link)
    }

    /// A relay has begun: the requester calls on it.
    fn on_relay_opened(&mut self, number: u64, user: &str) {
        let now = self.now;
        let until = now + ANSWER_PATIENCE;
        if self.peers.conversations.get(user).is_some_and(|open| open.allowance.is_spent(now)) {
            self.outbox.send(&ClientLine::Relay(RelayLine::Close { number }));
            return self.lose_conversation_without_allowance(user);
        }
        let serves = |relay: &Relay| relay.user == user && !relay.ends;
        let earlier = self.peers.relays.iter().filter(|(_, relay)| serves(relay));
        let earlier: Vec<LinkId> = earlier.map(|(link, _)| *link).collect();
        self.be_rejoined(user);
        let is_direct = self.way_to(user) == Way::Direct;
        let meeting = self.peers.meetings.get_mut(user);
        let wants = |meeting: &&mut Meeting| {
            let is_refused = meeting.way == Way::Direct || meeting.moves.is_some() && is_direct;
            let begins = meeting.moves.is_none() && meeting.doubt.is_none();
            let is_served = begins && !earlier.is_empty();
            !is_refused && !is_served || planted::is(Planted::ClientRelaysAnyway)
        };
        let Some(meeting) = meeting.filter(wants) else {
            return self.outbox.send(&ClientLine::Relay(RelayLine::Close { number }));
        };
        meeting.relay = Wish::Asked;
        let calls = meeting.role == Role::Requester;
        if let Some(conversation) = self.peers.conversations.get_mut(user) {
            conversation.allowance.spend(now);
        }
        // The server opens another one when those before are over.
        earlier.into_iter().for_each(|link| self.end_relay(link));
        self.peers.relayed += 1;
        let link = LinkId(FIRST_LINK + self.peers.relayed);
        let relay = Relay {
            number,
            user: user.to_owned(),
            outgoing: Vec::new(),
            under_way: 0,
            unread: 0,
            ends: false,
        };
        self.peers.relays.insert(link, relay);
        self.outbox.begin_relay(link, calls);
        if calls {
            self.call(link, user, Origin::Relay);
        } else {
            self.add_link(link, Stage::Relayed { user: user.to_owned(), until });
        }
    }

    fn on_relay_refused(&mut self, user: &str) {
        if let Some(meeting) = self.peers.meetings.get_mut(user) {
            meeting.relay = Wish::No;
            self.relay_failed(user);
        }
    }

    /// There will be none before the two are introduced again.
    fn on_relay_unknown(&mut self, user: &str) {
        if let Some(meeting) = self.peers.meetings.get_mut(user) {
            meeting.relay = Wish::No;
            meeting.end_doubt(self.now);
            self.abandon_if_relayed(user);
        }
        if self.peers.is_lost(user) && !self.peers.links.values().any(|known| known.may_take_over(user)) {
            self.lose_conversation(user);
        }
    }

    /// A relay did not become a link: without it there may be no way.
    pub(super) fn relay_failed(&mut self, user: &str) {
        if !self.ask_for_relay_again(user) {
            self.abandon_if_relayed(user);
        }
    }

    pub(super) fn abandon_if_relayed(&mut self, user: &str) {
        let (now, is_rejoined) = (self.now, self.peers.is_lost(user));
        let is_over = |meeting: &Meeting| meeting.way == Way::Relay && !meeting.is_in_doubt(now);
        if self.peers.meetings.get(user).is_some_and(is_over) && !is_rejoined {
            self.abandon_meeting(user);
        }
    }

    /// The server brings no more than what this client has agreed to.
    fn on_relay_data(&mut self, number: u64, sealed: Sealed<'_>) {
        let Some(link) = self.link_of_relay(number) else { return };
        let Some(relay) = self.peers.relays.get_mut(&link) else { return };
        relay.unread += sealed.len();
        if relay.unread > RELAY_WINDOW_BYTES {
            return self.end_relay(link);
        }
        self.outbox.feed_relay(link, &sealed.bytes());
    }

    fn on_relay_took(&mut self, number: u64, count: u64) {
        let Some(link) = self.link_of_relay(number) else { return };
        let Some(relay) = self.peers.relays.get_mut(&link) else { return };
        let count = usize::try_from(count).ok();
        match count.and_then(|count| relay.under_way.checked_sub(count)) {
            Some(left) => {
                relay.under_way = left;
                self.send_relayed(link);
            }
            None => self.end_relay(link),
        }
    }

    /// The server does not keep to the rules.
    fn end_relay(&mut self, link: LinkId) {
        if let Some(relay) = self.peers.relays.remove(&link) {
            self.outbox.send(&ClientLine::Relay(RelayLine::Close { number: relay.number }));
            self.outbox.end_relay(link);
        }
    }

    /// The shell has something for the other client; nothing: it has no more.
    pub(in super::super) fn on_relay_leaving(&mut self, link: LinkId, bytes: &[u8]) {
        let Some(relay) = self.peers.relays.get_mut(&link) else { return };
        relay.ends |= bytes.is_empty();
        relay.outgoing.extend_from_slice(bytes);
        if relay.outgoing.len() > CLOGGED {
            self.end_relay(link);
            self.on_peer_closed(link);
            return self.outbox.reset_peer(link);
        }
        self.send_relayed(link);
    }

    /// Sends as much as the other client takes, and then the end, if it has come to that.
    fn send_relayed(&mut self, link: LinkId) {
        let Some(relay) = self.peers.relays.get_mut(&link) else { return };
        while !relay.outgoing.is_empty() && relay.under_way < RELAY_WINDOW_BYTES {
            let room = RELAY_WINDOW_BYTES - relay.under_way;
            let count = relay.outgoing.len().min(FRAME_BYTES).min(room);
            let frame: Vec<u8> = relay.outgoing.drain(..count).collect();
            relay.under_way += count;
            self.outbox.send_frame(relay.number, &frame);
        }
        if relay.ends && relay.outgoing.is_empty() {
            self.outbox.send(&ClientLine::Relay(RelayLine::Close { number: relay.number }));
            self.peers.relays.remove(&link);
            self.outbox.end_relay(link);
        }
    }

    /// The shell has read what it was handed.
    pub(in super::super) fn on_relay_taken(&mut self, link: LinkId, count: usize) {
        let Some(relay) = self.peers.relays.get_mut(&link) else { return };
        let count = count.min(relay.unread);
        relay.unread -= count;
        let took = RelayLine::Took { number: relay.number, count: count as u64 };
        self.outbox.send(&ClientLine::Relay(took));
    }

    /// The connection to the server is lost, and all relays with it.
    pub(in super::super) fn lose_relays(&mut self) {
        while let Some((link, _)) = self.peers.relays.pop_first() {
            self.outbox.end_relay(link);
        }
        self.peers.meetings.values_mut().for_each(|meeting| meeting.relay = Wish::No);
    }

    pub(in super::super) fn has_relayed_links(&self) -> bool {
        !self.peers.relays.is_empty()
    }

    /// Says goodbye on all links that the server relays.
    pub(in super::super) fn end_relayed_conversations(&mut self) {
        let relayed = |link: LinkId| self.peers.relays.contains_key(&link);
        let users =
            self.peers.conversations.iter().filter(|(_, conversation)| conversation.links().any(relayed));
        let users: Vec<String> = users.map(|(user, _)| user.clone()).collect();
        for user in users {
            self.say_close(&user, PeerFarewell::LoggedOut);
        }
    }
}
