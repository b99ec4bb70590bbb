//! Private links: asking for them, meeting the other client, talking.
//!
//! The server only introduces: it names the other, an id that is used once, and addresses. Each side
//! dials all addresses of the other and lets the other in; a caller says the id and both names, the
//! called side checks them. On one of the links that come of it the requester settles; the rest is
//! closed.

mod asking;
mod conversation;
mod meeting;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use asking::{Draft, Listening, Request};
use conversation::Conversation;
use meeting::{Meeting, PeerLink};

use super::outbox::Outbox;
use super::outstanding::AskedBy;
use super::verb::Verb;
use super::view::{PrivateEnd, View};
use super::{ClientState, Phase};
use crate::time::Time;
use crate::wire::{Code, PeerFarewell, PeerLine};
use crate::words::LinkId;

/// Private links at once, those being made among them.
const LINKS: usize = 256;

/// Everything about private links.
#[derive(Default)]
pub(super) struct Peers {
    listening: Listening,
    /// Commands that wait until it is known where this client listens.
    drafts: Vec<Draft>,
    /// Who asks for a private link, oldest first.
    requests: VecDeque<Request>,
    /// Introductions that are acted on, by user.
    meetings: BTreeMap<String, Meeting>,
    /// Dials that have not come to anything yet, of each address; some may be of introductions that are
    /// over.
    dialling: BTreeMap<SocketAddr, usize>,
    /// Every connection with another client, standing or not.
    links: BTreeMap<LinkId, PeerLink>,
    /// Links that stand, by user.
    conversations: BTreeMap<String, Conversation>,
    /// Users whose link ended because they went, not because somebody wished it.
    departed: BTreeSet<String>,
    /// Counts the private messages that came.
    shown: u64,
}

impl Peers {
    /// Lines whose result depends on another client.
    pub(super) fn open_results(&self) -> usize {
        let met = self.meetings.values().filter(|meeting| meeting.awaits_result()).count();
        self.drafts.len() + met + self.open_texts()
    }

    /// Private texts that are not acknowledged.
    pub(super) fn open_texts(&self) -> usize {
        self.conversations.values().map(Conversation::open_texts).sum()
    }

    pub(super) fn talks_with(&self, user: &str) -> bool {
        self.conversations.contains_key(user)
    }

    /// Whether a private link stands or is being made.
    pub(super) fn are_alive(&self) -> bool {
        !self.conversations.is_empty() || !self.meetings.is_empty()
    }

    fn has_room(&self) -> bool {
        self.conversations.len() + self.meetings.len() + self.drafts.len() < LINKS
    }

    /// The server is lost: who asked may have been told so, and nobody tells this client.
    pub(super) fn doubt_requests(&mut self) {
        self.requests.iter_mut().for_each(Request::doubt);
    }

    /// Who has gone is there again; without a link all the same.
    pub(super) fn welcome_back(&mut self, user: &str) {
        self.departed.remove(user);
    }

    /// When the patience with some link or introduction ends.
    pub(super) fn due(&self) -> Option<Time> {
        let links = self.links.values().filter_map(PeerLink::due);
        links.chain(self.meetings.values().map(Meeting::until)).min()
    }

    /// Tells all whom a private link stands with that it ends.
    pub(super) fn say_farewell(&self, farewell: PeerFarewell, outbox: &mut Outbox) {
        for conversation in self.conversations.values() {
            outbox.send_peer(conversation.link(), &PeerLine::Close(farewell));
        }
        self.links.keys().for_each(|link| outbox.close_peer(*link));
    }
}

impl ClientState {
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
    }

    /// Commands that were never said because the server is lost.
    pub(super) fn refuse_drafts(&mut self) {
        for draft in core::mem::take(&mut self.peers.drafts) {
            self.result(draft.into_command(), Err(Code::NotConnected));
        }
    }

    /// What is due with other clients.
    pub(super) fn pass_peer_deadlines(&mut self) {
        if self.peers.due().is_none_or(|due| due > self.now) {
            return;
        }
        let now = self.now;
        let late = |link: &PeerLink| link.due().is_some_and(|due| due <= now);
        let links: Vec<_> =
            self.peers.links.iter().filter(|(_, link)| late(link)).map(|(link, _)| *link).collect();
        links.into_iter().for_each(|link| self.drop_link(link));
        let over = |meeting: &Meeting| meeting.until() <= now;
        let meetings = self.peers.meetings.iter().filter(|(_, meeting)| over(meeting));
        let users: Vec<_> = meetings.map(|(user, _)| user.clone()).collect();
        users.iter().for_each(|user| self.abandon_meeting(user));
    }

    /// Whether this client has asked for a link with that user, or agreed to one, so that it may be
    /// introduced to him.
    fn expects(&self, user: &str) -> bool {
        match &self.phase {
            Phase::Session(session) => session.asks_for_private(user),
            Phase::Entry(_) | Phase::Over => false,
        }
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
