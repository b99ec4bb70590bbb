//! What the server does when it is honest: sessions, requests, introductions.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::lies::Evil;
use super::relays::Relay;
use super::world::{USERS, World};
use crate::wire::{ClientLine, Command, Contact, Endpoint};
use crate::words::{DeviceKey, LinkId, Token};

/// Introductions that it remembers.
const TOLD: usize = 24;
/// Answers that it remembers for each session.
const ANSWERS: usize = 256;
/// A client says no longer line.
const LINE_BYTES: usize = 64 << 10;

/// The server, which keeps nothing on a disk.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) sessions: BTreeMap<&'static str, Session>,
    /// Connections: whose they are, and what has come of a line.
    pub(super) callers: BTreeMap<LinkId, (&'static str, Vec<u8>)>,
    pub(super) requests: Vec<Request>,
    /// Who was introduced to whom.
    pub(super) introduced: BTreeSet<[&'static str; 2]>,
    pub(super) told: Vec<Side>,
    pub(super) relays: BTreeMap<(&'static str, u64), Relay>,
    pub(super) logins: u64,
    pub(super) evil: Evil,
}

#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) login: u64,
    pub(super) token: String,
    pub(super) link: Option<LinkId>,
    /// Relays so far.
    pub(super) relays: u64,
    answered: BTreeMap<u64, String>,
}

/// Somebody asks for a private link.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    pub(super) number: u64,
    pub(super) contact: Contact,
}

/// What one of two is told.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub(super) reader: &'static str,
    pub(super) other: String,
    pub(super) is_requester: bool,
    pub(super) id: Token,
    pub(super) key: Option<DeviceKey>,
    pub(super) addresses: Vec<SocketAddr>,
}

pub(super) fn known(name: &str) -> Option<&'static str> {
    USERS.into_iter().find(|user| *user == name)
}

/// In the order in which pairs are kept.
pub(super) fn pair(one: &'static str, other: &'static str) -> [&'static str; 2] {
    if one < other { [one, other] } else { [other, one] }
}

impl World {
    /// Somebody has connected.
    pub(super) fn greet(&mut self, link: LinkId, user: &'static str) {
        self.server.callers.insert(link, (user, Vec::new()));
        let greeting = self.greeting();
        self.server_says(link, &greeting);
    }

    pub(super) fn server_says(&mut self, link: LinkId, line: &str) {
        self.write(link, 1, format!("{line}\n").as_bytes());
        self.pump(link, 1);
    }

    /// Says something to a user who has a connection.
    pub(super) fn say(&mut self, user: &str, line: &str) {
        if let Some(link) = self.server.sessions.get(user).and_then(|session| session.link) {
            self.server_says(link, line);
        }
    }

    pub(super) fn is_here(&self, user: &str) -> bool {
        self.server.sessions.get(user).is_some_and(|session| session.link.is_some())
    }

    pub(super) fn server_reads(&mut self, link: LinkId, bytes: &[u8]) {
        let Some((_, kept)) = self.server.callers.get_mut(&link) else { return };
        kept.extend_from_slice(bytes);
        if kept.len() > LINE_BYTES {
            kept.clear();
        }
        while let Some((user, kept)) = self.server.callers.get_mut(&link)
            && let Some(end) = kept.iter().position(|byte| *byte == b'\n')
        {
            let (user, line) = (*user, kept.drain(..=end).collect::<Vec<u8>>());
            self.server_hears(link, user, &line[..end]);
        }
    }

    pub(super) fn server_loses(&mut self, link: LinkId) {
        let Some((user, _)) = self.server.callers.remove(&link) else { return };
        if self.server.sessions.get(user).is_some_and(|session| session.link == Some(link)) {
            if let Some(session) = self.server.sessions.get_mut(user) {
                session.link = None;
            }
            self.server.requests.retain(|request| request.to != user && request.from != user);
            self.relays_end(user);
        }
    }

    fn server_hears(&mut self, link: LinkId, user: &'static str, line: &[u8]) {
        match ClientLine::parse(line) {
            Ok(ClientLine::Login { .. }) => self.log_in(link, user),
            Ok(ClientLine::Resume { token, .. }) => self.resume(link, user, &token.to_string()),
            Ok(ClientLine::Relay(line)) => self.hears_of_relay(user, line),
            Ok(ClientLine::Request { number: Some(number), command }) => {
                self.is_asked(user, number, &command);
            }
            Ok(
                ClientLine::Hello { .. }
                | ClientLine::Register { .. }
                | ClientLine::Device { .. }
                | ClientLine::Invite { .. }
                | ClientLine::Takeover
                | ClientLine::Alive
                | ClientLine::Acknowledge { .. }
                | ClientLine::Active { .. }
                | ClientLine::Request { number: None, .. }
                | ClientLine::Marked { .. },
            )
            | Err(_) => {}
        }
    }

    fn log_in(&mut self, link: LinkId, user: &'static str) {
        self.relays_end(user);
        self.server.logins += 1;
        let login = self.server.logins;
        let token = format!("{login:032x}");
        self.server_says(link, &format!("welcome {user} unread 0 login {login} token {token}"));
        let session = Session { login, token, link: Some(link), ..Session::default() };
        if let Some(before) = self.server.sessions.insert(user, session).and_then(|before| before.link) {
            self.close_end(before, 1);
        }
        self.server.requests.retain(|request| request.to != user && request.from != user);
    }

    fn resume(&mut self, link: LinkId, user: &'static str, token: &str) {
        if self.lies_to_who_resumes(link, user) {
            return;
        }
        let known = self.server.sessions.get_mut(user).filter(|session| session.token == token);
        let Some(session) = known else { return self.server_says(link, "refused stale") };
        let (before, login) = (session.link.replace(link), session.login);
        if let Some(before) = before {
            self.relays_end(user);
            self.close_end(before, 1);
        }
        self.server_says(link, &format!("resumed {user} unread 0 login {login}"));
    }

    /// Answers a command, and remembers the answer.
    pub(super) fn answer(&mut self, user: &'static str, number: u64, line: String) {
        self.say(user, &line);
        if let Some(session) = self.server.sessions.get_mut(user) {
            session.answered.insert(number, line);
            if session.answered.len() > ANSWERS {
                session.answered.pop_first();
            }
        }
    }

    fn is_asked(&mut self, user: &'static str, number: u64, command: &Command<'_>) {
        let answered = self.server.sessions.get(user).and_then(|session| session.answered.get(&number));
        if let Some(line) = answered.cloned() {
            return self.say(user, &line);
        }
        match command {
            Command::StartPrivate { user: to, contact } => self.asks(user, to, number, contact.clone()),
            Command::Accept { user: from, contact } => self.accepts(user, from, number, contact.clone()),
            Command::Decline { user: from } => {
                let asked = self.request(from, user);
                let Some(asked) = asked else {
                    return self.answer(user, number, format!("error #{number} no_request decline"));
                };
                self.answer(
                    asked.from,
                    asked.number,
                    format!("error #{} declined startprivate", asked.number),
                );
                self.answer(user, number, format!("ok #{number} decline {from}"));
            }
            Command::Logout => {
                self.answer(user, number, format!("ok #{number} logout"));
                self.say(user, "bye logout");
                if let Some(link) = self.server.sessions.remove(user).and_then(|session| session.link) {
                    self.server_loses(link);
                    self.close_end(link, 1);
                }
            }
            _ => self.answer(user, number, format!("error #{number} usage unknown")),
        }
    }

    fn request(&mut self, from: &str, to: &str) -> Option<Request> {
        let place = self.server.requests.iter().position(|asked| asked.from == from && asked.to == to)?;
        Some(self.server.requests.remove(place))
    }

    fn asks(&mut self, from: &'static str, to: &str, number: u64, contact: Contact) {
        if self.answers_by_itself(from, to, number, &contact) {
            return;
        }
        let Some(to) = known(to) else {
            return self.answer(from, number, format!("error #{number} unknown_user startprivate"));
        };
        // Two who ask each other have both said yes.
        if let Some(asked) = self.request(to, from) {
            let (yes, no) = (asked.number, number);
            self.introduce([to, from], [asked.contact, contact]);
            self.answer(to, yes, format!("ok #{yes} startprivate {from}"));
            self.answer(from, no, format!("ok #{no} startprivate {to}"));
        } else if self.is_here(to) {
            let known = self.server.requests.iter().any(|asked| asked.from == from && asked.to == to);
            if !known {
                self.say(to, &format!("request {from}"));
                self.server.requests.push(Request { from, to, number, contact });
            }
        } else {
            self.answer(from, number, format!("error #{number} offline startprivate"));
        }
    }

    fn accepts(&mut self, user: &'static str, from: &str, number: u64, contact: Contact) {
        if self.answers_acceptance(user, from, number, &contact) {
            return;
        }
        let Some(asked) = self.request(from, user) else {
            return self.answer(user, number, format!("error #{number} no_request accept"));
        };
        self.introduce([asked.from, user], [asked.contact, contact]);
        self.answer(asked.from, asked.number, format!("ok #{} startprivate {user}", asked.number));
        self.answer(user, number, format!("ok #{number} accept {from}"));
    }

    /// Tells two who agree of each other, truly or not. The first has asked.
    fn introduce(&mut self, users: [&'static str; 2], contacts: [Contact; 2]) {
        let id = self.new_id();
        let [of_requester, of_accepter] = &contacts;
        let mut sides = [
            self.side(users, true, id, of_accepter),
            self.side([users[1], users[0]], false, id, of_requester),
        ];
        self.server.introduced.insert(pair(users[0], users[1]));
        self.distort(&mut sides);
        for side in sides {
            self.tell_of(side);
        }
    }

    pub(super) fn new_id(&mut self) -> Token {
        let fresh = u128::from(self.fresh());
        Token((fresh << 64 | u128::from(self.draw.number())).to_be_bytes())
    }

    pub(super) fn side(
        &self,
        [reader, other]: [&'static str; 2],
        is_requester: bool,
        id: Token,
        contact: &Contact,
    ) -> Side {
        let seat = self.seats.iter().find(|seat| seat.user == other);
        let at = |endpoint: &Endpoint| match endpoint {
            Endpoint::Address(address) => Some(*address),
            Endpoint::Port(port) => seat.map(|seat| SocketAddr::new(seat.address, *port)),
        };
        let addresses = contact.endpoints.iter().filter_map(at).take(4).collect();
        Side { reader, other: other.to_string(), is_requester, id, key: contact.key, addresses }
    }

    pub(super) fn tell_of(&mut self, side: Side) {
        let Side { reader, other, is_requester, id, key, addresses } = &side;
        let role = if *is_requester { "requester" } else { "accepter" };
        let mut line = format!("introduce {other} {role} {id}");
        if let Some(key) = key {
            line += &format!(" {key}");
        }
        for address in addresses {
            line += &format!(" {address}");
        }
        let reader = *reader;
        if self.server.told.len() >= TOLD {
            self.server.told.remove(0);
        }
        self.server.told.push(side);
        self.say(reader, &line);
    }
}
