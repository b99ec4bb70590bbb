//! Requests for private links, and introductions (R33 to R35).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::answers::Asker;
use super::prices::INTRODUCTION;
use super::reader::{endpoint, is_device_key};
use super::told::TOKEN;
use super::{Server, Timer, User, later};
use crate::record::Outcome;
use crate::time::Time;
use crate::wire::Code;
use crate::words::LinkId;

/// Requests of a user that may be open, and that may be begun within a minute: with one other, and in all (R33).
const REQUESTS: usize = 16;
const TO_ONE: usize = 3;
const IN_ALL: usize = 20;
const MINUTE_SECS: u64 = 60;
/// Addresses that a client is told to try (R35).
const ADDRESSES: usize = 4;
const LOWEST_PORT: u16 = 1_024;

/// A request that has no answer yet.
#[derive(Debug)]
pub(super) struct Request {
    asker: Asker,
    /// Its key, if it has shown one, and where it listens.
    contact: Vec<String>,
    serial: u64,
    expires: Time,
}

impl Server {
    pub(super) fn start_private(&mut self, asker: &Asker, name: &str, contact: &[String]) {
        let to = match self.partner(asker, name) {
            Ok(to) => to,
            Err(code) => return self.fail(asker, code),
        };
        if let Some(request) = self.requests.get(&(asker.user, to)) {
            if request.asker.number.is_none() || request.asker.number != asker.number {
                self.fail(asker, Code::AlreadyPrivate);
            }
            return;
        }
        if let Some(request) = self.take_request(to, asker.user) {
            self.charge(asker.user, INTRODUCTION);
            self.introduce(&request, asker, contact);
            return self.answer(asker, Outcome::Done, &format!("startprivate {name}"));
        }
        if !self.may_request(asker.user, to) {
            return self.fail(asker, Code::RateLimited);
        }
        self.charge(asker.user, INTRODUCTION);
        let begun = (self.now, self.name(to).clone());
        self.at_mut(asker.user).begun_requests.push(begun);
        let serial = self.next_serial();
        let expires = match self.settings.private_request_secs {
            0 => Time::MAX,
            seconds => later(self.now, seconds),
        };
        self.set(expires, Timer::Request(asker.user, to, serial));
        let request = Request { asker: asker.clone(), contact: contact.to_vec(), serial, expires };
        self.requests.insert((asker.user, to), request);
        if let Some(link) = self.at(to).link() {
            let line = format!("request {}", self.name(asker.user));
            self.send(link, &line);
        }
    }

    /// R33: whether a user may begin a request.
    fn may_request(&mut self, user: User, to: User) -> bool {
        let open = self.requests.keys().filter(|(from, _)| *from == user).count();
        let (now, to) = (self.now, self.name(to).clone());
        let begun = &mut self.at_mut(user).begun_requests;
        begun.retain(|(at, _)| later(*at, MINUTE_SECS) > now);
        let to_one = begun.iter().filter(|(_, name)| *name == to).count();
        open < REQUESTS && to_one < TO_ONE && begun.len() < IN_ALL
    }

    fn partner(&mut self, asker: &Asker, name: &str) -> Result<User, Code> {
        let to = self.another(asker, name)?;
        self.will_be_heard_of(asker.user);
        if !self.may_reach(asker.user, to) {
            return Err(Code::Blocked);
        }
        let is_held = self.session(to).is_some_and(|session| session.held);
        if self.at(to).link().is_some() || is_held { Ok(to) } else { Err(Code::Offline) }
    }

    /// Pairs of asker and asked in which the user is either: first those that the user asked.
    fn requests_concerning(&self, user: User) -> Vec<(User, User)> {
        let own = self.requests.keys().filter(|(from, _)| *from == user);
        own.chain(self.requests.keys().filter(|(_, to)| *to == user)).copied().collect()
    }

    fn take_request(&mut self, from: User, to: User) -> Option<Request> {
        let request = self.requests.remove(&(from, to))?;
        self.timers.remove(&(request.expires, Timer::Request(from, to, request.serial)));
        Some(request)
    }

    pub(super) fn accept(&mut self, asker: &Asker, name: &str, contact: &[String]) {
        let from = match self.another(asker, name) {
            Ok(from) => from,
            Err(code) => return self.fail(asker, code),
        };
        let Some(request) = self.take_request(from, asker.user) else {
            return self.fail(asker, Code::NoRequest);
        };
        self.will_be_heard_of(asker.user);
        if self.may_reach(from, asker.user) {
            self.introduce(&request, asker, contact);
            self.answer(asker, Outcome::Done, &format!("accept {name}"));
        } else {
            self.fail(&request.asker, Code::Declined);
            self.fail(asker, Code::NoRequest);
        }
    }

    pub(super) fn decline(&mut self, asker: &Asker, name: &str) {
        let from = match self.another(asker, name) {
            Ok(from) => from,
            Err(code) => return self.fail(asker, code),
        };
        let Some(request) = self.take_request(from, asker.user) else {
            return self.fail(asker, Code::NoRequest);
        };
        self.will_be_heard_of(asker.user);
        self.fail(&request.asker, Code::Declined);
        self.answer(asker, Outcome::Done, &format!("decline {name}"));
    }

    /// Each learns who the other is, its key if both have shown one, and where the other may be.
    fn introduce(&mut self, request: &Request, accepter: &Asker, contact: &[String]) {
        let (Some(first), Some(second)) = (self.seen_at(&request.asker), self.seen_at(accepter)) else {
            return self.fail(&request.asker, Code::Offline);
        };
        let sides = [
            (&request.asker, accepter, "requester", (&request.contact[..], contact)),
            (accepter, &request.asker, "accepter", (contact, &request.contact[..])),
        ];
        for (reader, other, role, (mine, theirs)) in sides {
            let (seen_at, reader_at) = if role == "requester" { (second, first) } else { (first, second) };
            let addresses = addresses(seen_at, reader_at, theirs);
            if let Some(link) = self.asker_link(reader) {
                let mut line = format!("introduce {} {role} {TOKEN}", self.name(other.user));
                if let (Some(_), Some(key)) = (key_of(mine), key_of(theirs)) {
                    line = line + " " + key;
                }
                for address in addresses {
                    line = line + " " + &address.to_string();
                }
                self.send(link, &line);
            }
        }
        self.introduced(request.asker.user, accepter.user);
        let answer = format!("startprivate {}", self.name(accepter.user));
        self.answer(&request.asker, Outcome::Done, &answer);
    }

    fn seen_at(&self, asker: &Asker) -> Option<SocketAddr> {
        let link = self.asker_link(asker)?;
        let session = self.session(asker.user).filter(|session| session.link == Some(link));
        session.map(|session| SocketAddr::new(session.from.ip().to_canonical(), session.from.port()))
    }

    pub(super) fn request_expired(&mut self, from: User, to: User, serial: u64) {
        if self.requests.get(&(from, to)).is_some_and(|request| request.serial == serial) {
            self.end_request(from, to, Code::NoAnswer);
        }
    }

    pub(super) fn withdraw_all(&mut self, user: User) {
        for (from, to) in self.requests_concerning(user) {
            self.end_request(from, to, Code::Offline);
        }
    }

    /// What was asked without a number is answered on the old link only.
    pub(super) fn withdraw_unnumbered(&mut self, user: User) {
        for (from, to) in self.requests_concerning(user) {
            let unnumbered =
                self.requests.get(&(from, to)).is_some_and(|request| request.asker.number.is_none());
            if from == user && unnumbered {
                self.end_request(from, to, Code::Offline);
            }
        }
    }

    /// A session goes on with another connection: what waits for its user's answer is told again (R17).
    pub(super) fn tell_requests_again(&mut self, user: User, link: LinkId) {
        let from: Vec<User> =
            self.requests.keys().filter(|(_, to)| *to == user).map(|(from, _)| *from).collect();
        for from in from {
            let line = format!("request {}", self.name(from));
            self.send(link, &line);
        }
    }

    pub(super) fn end_request(&mut self, from: User, to: User, code: Code) {
        let Some(request) = self.take_request(from, to) else { return };
        self.fail(&request.asker, code);
        if let Some(link) = self.at(to).link() {
            let line = format!("withdrawn {}", self.name(from));
            self.send(link, &line);
        }
    }
}

/// The key that a client has shown.
fn key_of(contact: &[String]) -> Option<&str> {
    contact.first().map(String::as_str).filter(|word| is_device_key(word))
}

/// Where a client may be reached by one who is seen at `reader` (ruling 30), and last where the server sees it (R35).
fn addresses(seen: SocketAddr, reader: SocketAddr, endpoints: &[String]) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    let (seen_at, reader) = (seen.ip(), reader.ip());
    let declared: Vec<_> = endpoints.iter().filter_map(|word| endpoint(word)).collect();
    let last = if declared.is_empty() { None } else { Some((None, seen.port())) };
    for (ip, port) in declared.into_iter().chain(last) {
        let ip = match ip.map(|ip| ip.to_canonical()) {
            Some(ip) if seen_at == reader && is_near(ip, seen_at) => ip,
            _ => seen_at,
        };
        let address = SocketAddr::new(ip, port);
        if port >= LOWEST_PORT && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.truncate(ADDRESSES);
    addresses
}

/// Whether an address is a private one; loopback only where the server sees the client there as well.
fn is_near(ip: IpAddr, seen_at: IpAddr) -> bool {
    let private = match ip {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    };
    private || ip.is_loopback() && seen_at.is_loopback()
}
