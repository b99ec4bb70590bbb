//! Requests for private links, own and others', and their answers.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::super::outstanding::AskedBy;
use super::super::settings::{AcceptPrivate, Way};
use super::super::verb::{Named, Verb};
use super::super::view::View;
use super::ClientState;
use super::rejoining::Search;
use crate::planted::{self, Planted};
use crate::wire::{ClientLine, Code, Command, CommandKind, Contact, Endpoint, MAX_ENDPOINTS};
use crate::words::Name;

/// Requests that may be open; further ones are declined.
const REQUESTS: usize = 64;

/// Requests that are declined without a number and not answered; further ones wait at the server until they expire.
const UNNUMBERED: usize = 64;

/// Whether others can connect to this client.
#[derive(Default)]
pub(super) enum Listening {
    #[default]
    No,
    Asked,
    At(Vec<Endpoint>),
}

/// A command that waits until it is known where this client listens.
pub(super) struct Draft {
    line: Option<u64>,
    user: String,
    kind: Kind,
}

/// Another user's request for a private link.
pub(super) struct Request {
    from: String,
    /// The server was lost since, so the request may no longer be open; if it arrives again, it is a new one.
    doubtful: bool,
    /// The person was asked. At a terminal one is asked at a time.
    asked: bool,
}

impl Request {
    pub(super) fn doubt(&mut self) {
        self.doubtful = true;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    StartPrivate,
    Accept,
}

impl Kind {
    fn command(self, user: &str, contact: Contact) -> Command<'_> {
        match self {
            Kind::StartPrivate => Command::StartPrivate { user, contact },
            Kind::Accept => Command::Accept { user, contact },
        }
    }
}

impl Draft {
    /// The data that its result needs.
    pub(super) fn into_command(self) -> AskedBy {
        AskedBy::new(self.line, &self.kind.command(&self.user, Contact::default()))
    }
}

impl ClientState {
    /// `startprivate USER`
    pub(in super::super) fn ask_private(&mut self, line: u64, user: &str) {
        let refusal = if self.is_oneself(user) {
            Some(Code::Oneself)
        } else if self.peers.talks_with(user) || self.is_meeting(user) {
            Some(Code::AlreadyPrivate)
        } else if self.session().is_some_and(|session| session.is_cut_off()) {
            Some(Code::NotConnected)
        } else if !self.peers.has_room() {
            Some(Code::Limit)
        } else {
            None
        };
        match refusal {
            Some(code) => {
                self.result(
                    Self::local_private(line, Verb::Server(CommandKind::StartPrivate), user),
                    Err(code),
                );
                self.note_activity(true);
            }
            None => self.ask_with_address(Draft {
                line: Some(line),
                user: user.to_owned(),
                kind: Kind::StartPrivate,
            }),
        }
    }

    /// Whether a link with that user is being requested or made.
    fn is_meeting(&self, user: &str) -> bool {
        self.peers.meetings.contains_key(user) || self.is_asking(user)
    }

    /// Whether the server has not answered yet.
    fn is_asking(&self, user: &str) -> bool {
        self.expects(user) || self.peers.drafts.iter().any(|draft| draft.user == user)
    }

    /// Asks by itself for a direct link with somebody whom this client talks with over a relay.
    pub(super) fn ask_to_meet(&mut self, user: &str) {
        if !self.is_meeting(user) {
            self.search(user, Kind::StartPrivate);
        }
    }

    /// Looks for a direct link, for the conversation with a user.
    fn search(&mut self, user: &str, kind: Kind) {
        let Some(conversation) = self.peers.conversations.get_mut(user) else { return };
        let id = conversation.id;
        if kind == Kind::Accept {
            // What was expected has come: whatever else this user asks for is asked about.
            conversation.search = Search::No;
        }
        if self.peers.has_room() && self.has_room_for_commands() {
            self.ask_with_address(Draft { line: None, user: user.to_owned(), kind });
            self.peers.searches.insert(user.to_owned(), id);
        } else if kind == Kind::Accept {
            self.turn_away(user);
        }
    }

    /// A command is about a conversation that begins. While a request of this client is on its way, what comes of it is still
    /// for what that was made for.
    fn forget_search(&mut self, user: &str) {
        if !self.is_asking(user) {
            self.peers.searches.remove(user);
        }
    }

    fn ask_with_address(&mut self, draft: Draft) {
        self.peers.departed.remove(&draft.user);
        self.forget_search(&draft.user);
        if self.way_to(&draft.user) == Way::Relay && !planted::is(Planted::ClientShowsAddress) {
            return self.send_draft(&draft);
        }
        if matches!(self.peers.listening, Listening::No) {
            self.outbox.listen();
            self.peers.listening = Listening::Asked;
        }
        if matches!(self.peers.listening, Listening::Asked) {
            self.peers.drafts.push(draft);
        } else {
            self.send_draft(&draft);
        }
    }

    /// What the other is told of this client.
    fn contact(&self, user: &str) -> Contact {
        let is_hidden = self.way_to(user) == Way::Relay && !planted::is(Planted::ClientShowsAddress);
        let mut endpoints = if is_hidden { Vec::new() } else { self.peers.listening.endpoints() };
        if !endpoints.is_empty() && !planted::is(Planted::ClientHidesMapping) {
            endpoints.extend(self.peers.mapping.endpoint());
            endpoints.truncate(MAX_ENDPOINTS);
        }
        Contact { key: self.settings.device_key, endpoints }
    }

    fn send_draft(&mut self, draft: &Draft) {
        let command = draft.kind.command(&draft.user, self.contact(&draft.user));
        self.request(draft.line, command);
    }

    /// The client listens, or cannot: without an address the link can still be made from this side.
    pub(in super::super) fn on_listening(&mut self, addresses: &[SocketAddr]) {
        let mut endpoints: Vec<_> = addresses.iter().copied().map(declared).collect();
        if endpoints.is_empty() {
            self.peers.listening = Listening::No;
        } else {
            if planted::is(Planted::ClientDeclaresFirstOnly) {
                endpoints.truncate(1);
            }
            if !planted::is(Planted::ClientAdvertisesNothing) {
                endpoints.extend(self.settings.private_advertise.map(Endpoint::Address));
            }
            endpoints.dedup();
            endpoints.truncate(MAX_ENDPOINTS);
            self.peers.listening = Listening::At(endpoints);
        }
        for draft in core::mem::take(&mut self.peers.drafts) {
            self.send_draft(&draft);
        }
    }

    /// USER requests a private link.
    pub(in super::super) fn on_private_request(&mut self, from: &str) {
        let known = self.peers.requests.iter().any(|request| request.from == from && !request.doubtful);
        // This client has requested the same link: it has agreed. Nobody has what is no name.
        if known || self.is_asking(from) || Name::new(from).is_err() {
            return;
        }
        self.forget_request(from);
        if self.peers.is_sought(from, self.now) {
            return self.search(from, Kind::Accept);
        }
        let is_friend = self.peers.departed.contains(from) && planted::is(Planted::FriendsAreNotAskedAbout);
        match if is_friend { AcceptPrivate::Auto } else { self.settings.accept_private } {
            AcceptPrivate::Auto if self.peers.has_room() && self.has_room_for_commands() => {
                self.ask_with_address(Draft { line: None, user: from.to_owned(), kind: Kind::Accept })
            }
            AcceptPrivate::Ask
                if self.peers.requests.len() < REQUESTS || planted::is(Planted::ClientKeepsAllRequests) =>
            {
                let request = Request { from: from.to_owned(), doubtful: false, asked: false };
                self.peers.requests.push_back(request);
                self.ask_person();
            }
            AcceptPrivate::Never | AcceptPrivate::Auto | AcceptPrivate::Ask => {
                self.turn_away(from);
            }
        }
    }

    /// Declines a request that nobody was asked about. Where typed lines would have to wait for answers, it has
    /// no number: then it counts for nothing among the commands that the server remembers, and is not repeated.
    fn turn_away(&mut self, from: &str) {
        let decline = Command::Decline { user: from };
        if self.has_room_for_commands() {
            self.request(None, decline);
        } else if self.peers.declined < UNNUMBERED {
            self.peers.declined += 1;
            self.outbox.send(&ClientLine::Request { number: None, command: decline });
        }
    }

    /// The server has answered a command without a number.
    pub(in super::super) fn on_unnumbered_answer(&mut self) {
        self.peers.declined = self.peers.declined.saturating_sub(1);
    }

    /// The request of USER is no longer open.
    pub(in super::super) fn on_withdrawn(&mut self, from: &str) {
        let was_asked = self.peers.requests.iter().any(|request| request.from == from && request.asked);
        if self.forget_request(from) && was_asked && self.settings.terminal {
            self.outbox.show(View::RequestOver { from: from.to_owned() });
        }
        self.ask_person();
    }

    /// Asks about requests: about all of them, or, at a terminal, about the next one if no question is open.
    fn ask_person(&mut self) {
        let one_at_a_time = self.settings.terminal;
        for request in self.peers.requests.iter_mut().filter(|request| !request.doubtful) {
            if !request.asked {
                request.asked = true;
                self.outbox.show(View::PrivateRequest { from: request.from.clone() });
            }
            if one_at_a_time {
                return;
            }
        }
    }

    /// Removes a request; returns whether there was one.
    pub(super) fn forget_request(&mut self, from: &str) -> bool {
        let place = self.peers.requests.iter().position(|request| request.from == from);
        place.and_then(|place| self.peers.requests.remove(place)).is_some()
    }

    /// `accept USER` or `decline USER`. If there is no such request, the server answers with the error: it may
    /// have one that has not come yet.
    pub(in super::super) fn reply(&mut self, line: Option<u64>, user: &str, yes: bool) {
        self.forget_request(user);
        self.answer_request(line, user, yes);
        self.ask_person();
    }

    fn answer_request(&mut self, line: Option<u64>, user: &str, yes: bool) {
        if !yes {
            self.request(line, Command::Decline { user });
        } else if self.peers.has_room() {
            self.ask_with_address(Draft { line, user: user.to_owned(), kind: Kind::Accept });
        } else {
            self.forget_search(user);
            self.request(line, Command::Accept { user, contact: self.contact(user) });
        }
    }

    /// `y` or `n`: answers the oldest request, first of those that are certainly open.
    pub(in super::super) fn reply_to_oldest(&mut self, line: u64, yes: bool) {
        let requests = &self.peers.requests;
        let oldest = requests.iter().find(|request| !request.doubtful).or(requests.front());
        if let Some(user) = oldest.map(|request| request.from.clone()) {
            self.reply(Some(line), &user, yes);
        } else {
            let failure = self.failure(line, Code::NoRequest, None);
            let command = Named::Word(if yes { "y" } else { "n" }.to_owned());
            self.outbox.show(View::Result { line, command, outcome: Err(failure) });
            self.note_activity(false);
        }
    }
}

impl Listening {
    fn endpoints(&self) -> Vec<Endpoint> {
        match self {
            Listening::At(endpoints) => endpoints.clone(),
            Listening::No | Listening::Asked => Vec::new(),
        }
    }
}

/// How an address is declared to the server. A wildcard address declares only its port: the server sees the
/// address of the client.
fn declared(address: SocketAddr) -> Endpoint {
    if address.ip().is_unspecified() { Endpoint::Port(address.port()) } else { Endpoint::Address(address) }
}
