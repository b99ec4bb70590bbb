//! Private links: requests, connecting to the other client, conversations.
//!
//! The server only introduces: it names the other, an id that is used once, the key of the other's device, and
//! addresses. Each side dials all addresses of the other and lets the other in; a caller proves that it knows the id,
//! and then both prove their keys and encrypt all that follows. The requester chooses one of the links; the others are
//! closed. A conversation that the server relays moves to a direct link that is made later, and one that has lost its link
//! goes on over a relay. The private port is open, and strangers have a place at it, only while somebody is expected.

mod allowance;
mod asking;
mod conversation;
mod dials;
mod door;
mod keys;
mod lines;
mod link;
pub(super) mod mapping;
mod meeting;
mod moving;
mod opening;
mod paths;
mod proof;
mod punches;
mod rejoining;
mod relays;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use asking::{Draft, Listening, Request};
use conversation::Conversation;
use dials::Budget;
use keys::Keys;
use link::PeerLink;
use mapping::Mapping;
use meeting::Meeting;
use relays::Relay;

use super::ClientState;
use super::event::KnownKey;
use super::outbox::Outbox;
use super::outstanding::AskedBy;
use super::settings::Way;
use super::verb::Verb;
use super::view::{PrivateEnd, View};
use crate::time::Time;
use crate::wire::{Code, PeerFarewell, PeerLine};
use crate::words::{DeviceKey, LinkId, Token};

/// Private links at a time, including those being made.
const LINKS: usize = 256;

/// The state of all private links.
#[derive(Default)]
pub(super) struct Peers {
    listening: Listening,
    /// What the router passes on to it.
    mapping: Mapping,
    /// Commands that wait until it is known where this client listens.
    drafts: Vec<Draft>,
    /// Requests of other users, oldest first.
    requests: VecDeque<Request>,
    /// Introductions under way, by user.
    meetings: BTreeMap<String, Meeting>,
    /// Dials under way for each address; some may belong to introductions that are over.
    dialling: BTreeMap<SocketAddr, usize>,
    /// Limits the addresses that are dialled, over all sessions.
    budget: Budget,
    /// Every connection with another client, open or not.
    links: BTreeMap<LinkId, PeerLink>,
    /// Those that the server relays, and how many there were.
    relays: BTreeMap<LinkId, Relay>,
    relayed: u64,
    /// How links with these users are to run.
    ways: BTreeMap<String, Way>,
    /// Open links, by user.
    conversations: BTreeMap<String, Conversation>,
    /// Keys of other users' devices.
    keys: Keys,
    /// Commands that look for a direct link, by user: the introduction that each conversation began with.
    searches: BTreeMap<String, Token>,
    /// Users whose link has ended because they went, not because it was closed on purpose.
    departed: BTreeSet<String>,
    /// Requests declined without a number that the server has not answered on this connection.
    declined: usize,
    /// Counts the private messages received.
    shown: u64,
}

impl Peers {
    /// Lines whose result depends on another client.
    pub(super) fn open_results(&self) -> usize {
        let met = self.meetings.values().filter(|meeting| meeting.awaits_result()).count();
        self.drafts.len() + met + self.open_texts()
    }

    /// The same without the texts to those who have not acknowledged any for long: typed lines do not wait for them.
    pub(super) fn results_that_hold(&self) -> usize {
        self.open_results() - self.stalled_texts()
    }

    fn stalled_texts(&self) -> usize {
        let stalled = self.conversations.values().filter(|conversation| conversation.is_stalled());
        stalled.map(Conversation::open_texts).sum()
    }

    /// Private texts that are not acknowledged.
    pub(super) fn open_texts(&self) -> usize {
        self.conversations.values().map(Conversation::open_texts).sum()
    }

    /// What the state folder remembers.
    pub(super) fn recall_keys(&mut self, noted: Vec<KnownKey>) {
        self.keys.recall(noted);
    }

    /// The key of the user with whom a link is open.
    fn key_of(&self, user: &str) -> Option<DeviceKey> {
        self.conversations.get(user).map(Conversation::key)
    }

    pub(super) fn talks_with(&self, user: &str) -> bool {
        self.conversations.contains_key(user)
    }

    /// Whether a private link is open or being made.
    pub(super) fn are_alive(&self) -> bool {
        !self.conversations.is_empty() || !self.meetings.is_empty()
    }

    fn has_room(&self) -> bool {
        self.conversations.len() + self.meetings.len() + self.drafts.len() < LINKS
    }

    /// The server is lost: requests may be withdrawn without this client hearing of it.
    pub(super) fn doubt_requests(&mut self) {
        self.requests.iter_mut().for_each(Request::doubt);
        self.declined = 0;
    }

    /// Whether somebody was asked about a request.
    pub(super) fn asks_person(&self) -> bool {
        !self.requests.is_empty()
    }

    /// The server has ended the session, and with it all requests.
    pub(super) fn forget_requests(&mut self) {
        self.requests.clear();
    }

    /// A departed user is back, still without a link.
    pub(super) fn welcome_back(&mut self, user: &str) {
        self.departed.remove(user);
    }

    /// The next timeout of a link or an introduction.
    pub(super) fn due(&self) -> Option<Time> {
        let links = self.links.values().filter_map(PeerLink::due);
        let dials = self.meetings.values().filter_map(|meeting| meeting.dial_due(&self.budget));
        let relays = self.meetings.values().filter_map(Meeting::relay_due);
        let ends = self.meetings.values().map(Meeting::until);
        let stalls = self.conversations.values().filter_map(Conversation::stalls_at);
        links.chain(dials).chain(relays).chain(ends).chain(stalls).chain(self.mapping.due()).min()
    }

    /// Says goodbye on all open links and closes all links.
    pub(super) fn say_farewell(&self, farewell: PeerFarewell, outbox: &mut Outbox) {
        for conversation in self.conversations.values() {
            for link in conversation.links() {
                outbox.send_peer(link, &PeerLine::Close(farewell));
            }
        }
        for (link, known) in &self.links {
            if known.stranger().is_some() { outbox.reset_peer(*link) } else { outbox.close_peer(*link) }
        }
    }
}

impl ClientState {
    /// How much of what others bring is kept: links, relays, introductions under way, requests, dials under way, and texts
    /// that wait for an acknowledgement.
    #[cfg(feature = "sim")]
    pub(crate) fn sizes(&self) -> [usize; 6] {
        let Peers { links, relays, meetings, requests, dialling, .. } = &self.peers;
        let texts = self.peers.open_texts();
        [links.len(), relays.len(), meetings.len(), requests.len(), dialling.len(), texts]
    }

    /// The session ends, and all private links with it.
    pub(super) fn close_private_links(&mut self, farewell: PeerFarewell) {
        self.peers.say_farewell(farewell, &mut self.outbox);
        self.peers.links.clear();
        while let Some((user, conversation)) = self.peers.conversations.pop_first() {
            self.end_conversation(user, conversation, PrivateEnd::from(farewell));
        }
        while let Some((_, meeting)) = self.peers.meetings.pop_first() {
            self.fail_meeting(meeting);
        }
        self.refuse_drafts();
        self.peers.requests.clear();
        self.peers.departed.clear();
        self.peers.declined = 0;
        self.peers.relays.clear();
    }

    /// Fails commands that were not sent because the server is lost.
    pub(super) fn refuse_drafts(&mut self) {
        for draft in core::mem::take(&mut self.peers.drafts) {
            self.result(draft.into_command(), Err(Code::NotConnected));
        }
    }

    /// Handles the timeouts of links and introductions.
    pub(super) fn pass_peer_deadlines(&mut self) {
        if self.peers.due().is_none_or(|due| due > self.now) {
            return;
        }
        let now = self.now;
        self.peers.conversations.values_mut().for_each(|conversation| conversation.stall_when_due(now));
        let late = |link: &PeerLink| link.due().is_some_and(|due| due <= now);
        let links: Vec<_> =
            self.peers.links.iter().filter(|(_, link)| late(link)).map(|(link, _)| *link).collect();
        for link in links {
            if self.peers.links.get(&link).is_some_and(PeerLink::is_continuing) {
                self.break_link(link);
            } else {
                self.drop_link(link);
            }
        }
        self.abandon_meetings_that_are_over();
        self.dial_when_due();
        self.punch_when_due();
        self.open_relays_when_due();
    }

    /// Also before a connection or a line of a client is handled: a client that stood still does not use an id that the
    /// server may have forgotten.
    pub(super) fn abandon_meetings_that_are_over(&mut self) {
        let now = self.now;
        let over = self.peers.meetings.iter().filter(|(_, meeting)| meeting.until() <= now);
        let users: Vec<_> = over.map(|(user, _)| user.clone()).collect();
        users.iter().for_each(|user| self.abandon_meeting(user));
    }

    /// Whether this client has requested or accepted a link with that user, so that they may be introduced.
    fn expects(&self, user: &str) -> bool {
        self.lasting_session().is_some_and(|session| session.asks_for_private(user))
    }

    fn local_private(line: u64, verb: Verb, user: &str) -> AskedBy {
        AskedBy::local(line, verb, Some(user))
    }

    fn show_closed(&mut self, user: String, reason: PrivateEnd) {
        self.outbox.show(View::PrivateClosed { user, reason });
    }
}

impl From<PeerFarewell> for PrivateEnd {
    fn from(farewell: PeerFarewell) -> PrivateEnd {
        match farewell {
            PeerFarewell::Stopped => PrivateEnd::Stopped,
            PeerFarewell::LoggedOut => PrivateEnd::LoggedOut,
            PeerFarewell::TimedOut => PrivateEnd::TimedOut,
        }
    }
}
