//! Private links: asking, consenting, and introducing the two clients to each other.
//!
//! No address leaves before the answer, and none of a user who has blocked the asker.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::{blocks, presence, relays};
use crate::planted::{self, Planted};
use crate::record::Outcome;
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::answers::{self, Asker, another, asker_link, fail};
use crate::server::deadlines::Deadline;
use crate::server::effect::Report;
use crate::server::session;
use crate::time::Time;
use crate::wire::{Answer, Code, Contact, Endpoint, Role, ServerLine};
use crate::words::Name;

/// Open requests of one user.
const REQUESTS_A_USER: usize = 16;
/// Requests that a user may begin within a minute: to the same name, and in all.
const REQUESTS_A_MINUTE_TO_ONE: usize = 3;
const REQUESTS_A_MINUTE: usize = 20;
const MINUTE: Duration = Duration::from_secs(60);
/// What an introduction costs the one who asks for it.
const INTRODUCTION_UNITS: u64 = 20;
/// Ports below this belong to others' services; no client listens there.
const LOWEST_PORT: u16 = 1024;
/// Addresses of one client that the other is told to try.
const ADDRESSES: usize = 4;

/// A request for a private link that has no answer yet.
#[derive(Debug, Clone)]
struct Request {
    asker: Asker,
    contact: Contact,
    serial: u64,
    expires: Time,
}

/// The open requests, found from either side.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests {
    by_asker: BTreeMap<(UserId, UserId), Request>,
    by_asked: BTreeSet<(UserId, UserId)>,
    /// When each user began requests within the last minute, and to whom.
    begun: BTreeMap<UserId, Vec<(Time, Name)>>,
}

impl Requests {
    fn get(&self, from: UserId, to: UserId) -> Option<&Request> {
        self.by_asker.get(&(from, to))
    }

    fn insert(&mut self, from: UserId, to: UserId, request: Request) {
        self.by_asker.insert((from, to), request);
        self.by_asked.insert((to, from));
    }

    fn remove(&mut self, from: UserId, to: UserId) -> Option<Request> {
        self.by_asked.remove(&(to, from));
        self.by_asker.remove(&(from, to))
    }

    /// Open requests of a user.
    fn open_of(&self, user: UserId) -> usize {
        self.by_asker.range((user, UserId(0))..=(user, UserId(u32::MAX))).count()
    }

    /// Whether a user has begun as many requests within the last minute as they may.
    fn are_too_many(&mut self, from: UserId, to: &Name, now: Time) -> bool {
        let Some(begun) = self.begun.get_mut(&from) else { return false };
        begun.retain(|(at, _)| *at + MINUTE > now);
        let to_one = begun.iter().filter(|(_, name)| name == to).count();
        begun.len() >= REQUESTS_A_MINUTE || to_one >= REQUESTS_A_MINUTE_TO_ONE
    }

    /// The pairs of asker and asked in which the user is either.
    fn concerning(&self, user: UserId) -> Vec<(UserId, UserId)> {
        let all = (user, UserId(0))..=(user, UserId(u32::MAX));
        let asked = self.by_asker.range(all.clone()).map(|(pair, _)| *pair);
        asked.chain(self.by_asked.range(all).map(|(to, from)| (*from, *to))).collect()
    }
}

pub(in crate::server) fn start(server: &mut ServerState, asker: &Asker, user: &str, contact: Contact) {
    let to = match partner(server, asker, user) {
        Ok(to) => to,
        Err(code) => return fail(server, asker, code),
    };
    if let Some(request) = server.people.requests.get(asker.user, to) {
        // A repeat of the same command after a lost link is no second request.
        if request.asker.number.is_none() || request.asker.number != asker.number {
            fail(server, asker, Code::AlreadyPrivate);
        }
        return;
    }
    let crossed = if planted::is(Planted::CrossingIsNoConsent) { None } else { take(server, to, asker.user) };
    if let Some(request) = crossed {
        // Both want it: that is consent.
        session::charge(server, asker.user, INTRODUCTION_UNITS);
        introduce(server, &request, asker, &contact);
        let name = server.accounts.name(to).clone();
        let answer = Answer::StartPrivate { user: name.as_str() };
        return answers::answer(server, asker, Outcome::Done, answer);
    }
    let name = server.accounts.name(to).clone();
    let requests = &mut server.people.requests;
    let shared =
        planted::is(Planted::RequestPlacesShared) && requests.concerning(to).len() >= REQUESTS_A_USER;
    let many =
        requests.are_too_many(asker.user, &name, server.now) && !planted::is(Planted::RequestsUnlimited);
    if requests.open_of(asker.user) >= REQUESTS_A_USER || many || shared {
        let user = server.accounts.name(asker.user).clone();
        server.out.report(Report::CommandFailed { user, code: Code::RateLimited });
        return fail(server, asker, Code::RateLimited);
    }
    requests.begun.entry(asker.user).or_default().push((server.now, name));
    session::charge(server, asker.user, INTRODUCTION_UNITS);
    ask(server, asker, to, contact);
}

/// An account is purged.
pub(in crate::server) fn forget(server: &mut ServerState, user: UserId) {
    server.people.requests.begun.remove(&user);
}

fn partner(server: &mut ServerState, asker: &Asker, user: &str) -> Result<UserId, Code> {
    let to = another(server, asker, user)?;
    presence::reveal(server, asker.user);
    if !blocks::may_reach(server, asker.user, to) && !planted::is(Planted::BlockSkippedInPrivate) {
        return Err(Code::Blocked);
    }
    let session = server.accounts[to].session.as_ref();
    let held = session.is_some_and(|session| session.held) && !planted::is(Planted::HeldIsOffline);
    let away = session.is_some() && planted::is(Planted::GraceIsAsked);
    if server.accounts[to].link().is_some() || held || away { Ok(to) } else { Err(Code::Offline) }
}

fn ask(server: &mut ServerState, asker: &Asker, to: UserId, contact: Contact) {
    let serial = server.next_serial();
    let patience = match server.settings.private_request_secs {
        0 => Duration::MAX,
        seconds if planted::is(Planted::RequestExpiresEarly) => Duration::from_secs(seconds / 2),
        seconds if planted::is(Planted::RequestExpiresLate) => Duration::from_secs(seconds * 2),
        seconds => Duration::from_secs(seconds),
    };
    let expires = server.now + patience;
    server.deadlines.add(expires, Deadline::PrivateRequest(asker.user, to, serial));
    let request = Request { asker: *asker, contact, serial, expires };
    server.people.requests.insert(asker.user, to, request);
    if let Some(link) = server.accounts[to].link() {
        let from = server.accounts.name(asker.user).as_str();
        server.out.send(link, &ServerLine::Request { from });
    }
}

fn take(server: &mut ServerState, from: UserId, to: UserId) -> Option<Request> {
    let request = server.people.requests.remove(from, to)?;
    server.deadlines.remove(request.expires, Deadline::PrivateRequest(from, to, request.serial));
    Some(request)
}

pub(in crate::server) fn accept(server: &mut ServerState, asker: &Asker, user: &str, contact: &Contact) {
    let from = match another(server, asker, user) {
        Ok(from) => from,
        Err(code) => return fail(server, asker, code),
    };
    let Some(request) = take(server, from, asker.user) else { return fail(server, asker, Code::NoRequest) };
    presence::reveal(server, asker.user);
    if !blocks::may_reach(server, from, asker.user) {
        // The asker has blocked the accepter since (`block_mutual`): a block of the accepter ends the request.
        fail(server, &request.asker, Code::Declined);
        return fail(server, asker, Code::NoRequest);
    }
    introduce(server, &request, asker, contact);
    let name = server.accounts.name(from).clone();
    answers::answer(server, asker, Outcome::Done, Answer::Accept { user: name.as_str() });
}

pub(in crate::server) fn decline(server: &mut ServerState, asker: &Asker, user: &str) {
    let from = match another(server, asker, user) {
        Ok(from) => from,
        Err(code) => return fail(server, asker, code),
    };
    match take(server, from, asker.user) {
        None => fail(server, asker, Code::NoRequest),
        Some(request) => {
            presence::reveal(server, asker.user);
            if planted::is(Planted::DeclineIntroduces) {
                return introduce(server, &request, asker, &Contact::default());
            }
            fail(server, &request.asker, Code::Declined);
            let name = server.accounts.name(from).clone();
            answers::answer(server, asker, Outcome::Done, Answer::Decline { user: name.as_str() });
        }
    }
}

/// Tells each of two clients who the other is, where it may be, its key, and the secret they share.
fn introduce(server: &mut ServerState, request: &Request, accepter: &Asker, contact: &Contact) {
    let id = server.secrets.token();
    let (first, second) = (observed(server, &request.asker), observed(server, accepter));
    let (Some(first), Some(second)) = (first, second) else {
        // The command of one came on a link that is not theirs any more.
        return fail(server, &request.asker, Code::Offline);
    };
    let told = if planted::is(Planted::OwnAddressTold) { first } else { second };
    let sides = [
        (request.asker, *accepter, Role::Requester, addresses(told, first.ip(), &contact.endpoints)),
        (*accepter, request.asker, Role::Accepter, addresses(first, second.ip(), &request.contact.endpoints)),
    ];
    // A client that has shown no key knows of none.
    let keys = request.contact.key.zip(contact.key);
    for (reader, other, role, addresses) in sides {
        if let Some(link) = asker_link(server, &reader) {
            let user = server.accounts.name(other.user).as_str();
            let key = keys.map(|(requester, accepter)| match role {
                Role::Requester if planted::is(Planted::OwnKeyTold) => requester,
                Role::Requester => accepter,
                Role::Accepter => requester,
            });
            server.out.send(link, &ServerLine::Introduce { user, role, id, key, addresses });
        }
    }
    relays::introduced(server, request.asker.user, accepter.user);
    let name = server.accounts.name(accepter.user).clone();
    let answer = Answer::StartPrivate { user: name.as_str() };
    answers::answer(server, &request.asker, Outcome::Done, answer);
}

fn observed(server: &ServerState, asker: &Asker) -> Option<SocketAddr> {
    let link = asker_link(server, asker)?;
    let session = server.accounts[asker.user].session.as_ref();
    session
        .filter(|session| session.link == Some(link))
        .map(|session| SocketAddr::new(session.from.ip().to_canonical(), session.from.port()))
}

/// Requests that have no answer in time.
pub(in crate::server) fn expired(server: &mut ServerState, from: UserId, to: UserId, serial: u64) {
    if server.people.requests.get(from, to).is_some_and(|request| request.serial == serial) {
        if planted::is(Planted::ExpiryNotAnswered) {
            server.people.requests.remove(from, to);
            return;
        }
        end(server, from, to, Code::NoAnswer);
    }
}

/// A block ends the request of the user who is blocked, as if it had been declined.
pub(super) fn end_blocked(server: &mut ServerState, from: UserId, to: UserId) {
    end(server, from, to, Code::Declined);
}

/// A user is not there any more: their requests are withdrawn, and those to them have failed.
pub(in crate::server) fn withdraw_all(server: &mut ServerState, user: UserId) {
    for (from, to) in server.people.requests.concerning(user) {
        end(server, from, to, Code::Offline);
    }
}

/// A user goes on over another link: the requests to them that wait for an answer are told again.
pub(in crate::server) fn tell_again(server: &mut ServerState, user: UserId) {
    let Some(link) = server.accounts[user].link() else { return };
    for (from, _) in server.people.requests.concerning(user).into_iter().filter(|(_, to)| *to == user) {
        let from = server.accounts.name(from).as_str();
        server.out.send(link, &ServerLine::Request { from });
    }
}

/// A user goes on over another link: what they asked for without a number is answered on the old one only.
pub(in crate::server) fn withdraw_unnumbered(server: &mut ServerState, user: UserId) {
    for (from, to) in server.people.requests.concerning(user) {
        let request = server.people.requests.get(from, to);
        if from == user && request.is_some_and(|request| request.asker.number.is_none()) {
            end(server, from, to, Code::Offline);
        }
    }
}

fn end(server: &mut ServerState, from: UserId, to: UserId, code: Code) {
    let Some(request) = take(server, from, to) else { return };
    fail(server, &request.asker, code);
    if let Some(link) = server.accounts[to].link() {
        let from = server.accounts.name(from).as_str();
        server.out.send(link, &ServerLine::Withdrawn { from });
    }
}

/// Where a client may be reached, for one who is seen at `reader`: at the address it is seen at and,
/// if both are seen at the same one, at the private addresses it named. Its connection to the server may have the port
/// where it listens, and a router may have another one for it outside.
fn addresses(seen: SocketAddr, reader: IpAddr, endpoints: &[Endpoint]) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    let seen_at = seen.ip();
    let outside = (!endpoints.is_empty() && !planted::is(Planted::ObservedPortNotTold))
        .then_some(Endpoint::Port(seen.port()));
    for endpoint in endpoints.iter().chain(&outside) {
        let (ip, port) = match endpoint {
            Endpoint::Port(port) => (seen_at, *port),
            Endpoint::Address(address) => {
                let ip = address.ip().to_canonical();
                let near = seen_at == reader || planted::is(Planted::PrivateAddressToAll);
                let near = near && is_near(ip, seen_at);
                (if near { ip } else { seen_at }, address.port())
            }
        };
        let address = SocketAddr::new(ip, port);
        if (port >= LOWEST_PORT || planted::is(Planted::LowPortTold)) && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.truncate(ADDRESSES);
    addresses
}

/// Whether an address means a neighbour of one who is seen at another. Loopback means the reader's own
/// machine, so it is good only where the server sees them there as well.
fn is_near(ip: IpAddr, seen_at: IpAddr) -> bool {
    let private = match ip {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    };
    private || ip.is_loopback() && seen_at.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_cannot_point_others_at_a_third_party() {
        let declared = [Endpoint::Address(address("203.0.113.9:5000")), Endpoint::Port(22)];
        assert_eq!(
            addresses(address("192.0.2.1:40000"), ip("192.0.2.2"), &declared),
            [address("192.0.2.1:5000"), address("192.0.2.1:40000")]
        );
    }

    #[test]
    fn private_addresses_are_for_those_behind_the_same_one() {
        let declared = [Endpoint::Address(address("10.0.0.7:5000"))];
        assert_eq!(
            addresses(address("192.0.2.1:40000"), ip("192.0.2.1"), &declared),
            [address("10.0.0.7:5000"), address("192.0.2.1:40000")]
        );
        assert_eq!(
            addresses(address("192.0.2.1:40000"), ip("192.0.2.9"), &declared),
            [address("192.0.2.1:5000"), address("192.0.2.1:40000")]
        );
    }

    #[test]
    fn nobody_is_sent_to_their_own_machine_by_somebody_elsewhere() {
        let declared = [Endpoint::Address(address("127.0.0.1:5000"))];
        assert_eq!(
            addresses(address("192.0.2.1:40000"), ip("192.0.2.1"), &declared),
            [address("192.0.2.1:5000"), address("192.0.2.1:40000")]
        );
        let declared = [Endpoint::Address(address("[::1]:5000"))];
        assert_eq!(
            addresses(address("127.0.0.1:40000"), ip("127.0.0.1"), &declared),
            [address("[::1]:5000"), address("127.0.0.1:40000")]
        );
    }

    #[test]
    fn at_most_four_addresses_and_no_low_port_are_handed_out() {
        let declared: Vec<Endpoint> = (1023..=1027).map(Endpoint::Port).collect();
        let ports = |declared: &[Endpoint]| -> Vec<u16> {
            addresses(address("192.0.2.1:40000"), ip("192.0.2.2"), declared)
                .iter()
                .map(SocketAddr::port)
                .collect()
        };
        assert_eq!(ports(&declared), [1024, 1025, 1026, 1027]);
        let declared: Vec<Endpoint> = (1024..=1028).map(Endpoint::Port).collect();
        assert_eq!(ports(&declared), [1024, 1025, 1026, 1027]);
    }
}
