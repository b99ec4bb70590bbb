//! Private links: asking, consenting, and introducing the two clients to each other.
//!
//! No address leaves before the answer, and none of somebody who has blocked the asker.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::ServerState;
use super::accounts::UserId;
use super::commands::Asker;
use super::deadlines::Deadline;
use super::effect::Report;
use crate::planted::{self, Planted};
use crate::record::Outcome;
use crate::time::Time;
use crate::wire::{Answer, Code, Endpoint, Role, ServerLine};

/// Open requests of one user, and at one user.
const REQUESTS_A_USER: usize = 16;
/// Ports below this belong to others' services; no client listens there.
const LOWEST_PORT: u16 = 1024;

/// Addresses of one client that the other is told to try.
const ADDRESSES: usize = 4;

/// A request for a private link that has no answer yet.
#[derive(Debug, Clone)]
pub(super) struct PrivateRequest {
    asker: Asker,
    endpoints: Vec<Endpoint>,
    serial: u64,
    expires: Time,
}

/// The open requests, found from either side.
#[derive(Debug, Clone, Default)]
pub(super) struct PrivateRequests {
    by_asker: BTreeMap<(UserId, UserId), PrivateRequest>,
    by_asked: BTreeSet<(UserId, UserId)>,
}

impl PrivateRequests {
    fn get(&self, from: UserId, to: UserId) -> Option<&PrivateRequest> {
        self.by_asker.get(&(from, to))
    }

    fn insert(&mut self, from: UserId, to: UserId, request: PrivateRequest) {
        self.by_asker.insert((from, to), request);
        self.by_asked.insert((to, from));
    }

    fn remove(&mut self, from: UserId, to: UserId) -> Option<PrivateRequest> {
        self.by_asked.remove(&(to, from));
        self.by_asker.remove(&(from, to))
    }

    /// Who asks and who is asked, where the user is either.
    fn concerning(&self, user: UserId) -> Vec<(UserId, UserId)> {
        let all = (user, UserId(0))..=(user, UserId(u32::MAX));
        let asked = self.by_asker.range(all.clone()).map(|(pair, _)| *pair);
        asked.chain(self.by_asked.range(all).map(|(to, from)| (*from, *to))).collect()
    }
}

impl ServerState {
    pub(super) fn start_private(&mut self, asker: Asker, user: &str, endpoints: Vec<Endpoint>) {
        let to = match self.private_partner(&asker, user) {
            Ok(to) => to,
            Err(code) => return self.fail(&asker, None, code, "startprivate"),
        };
        if let Some(request) = self.private_requests.get(asker.user, to) {
            // A repeat of the same command after a lost link is no second request.
            if request.asker.number.is_none() || request.asker.number != asker.number {
                self.fail(&asker, None, Code::AlreadyPrivate, "startprivate");
            }
            return;
        }
        if let Some(request) = self.take_private_request(to, asker.user) {
            // Both want it: that is consent.
            self.introduce(&request, &asker, &endpoints);
            let name = self.accounts.name(to).clone();
            return self.answer(&asker, None, Outcome::Done, Answer::StartPrivate { user: name.as_str() });
        }
        let busy = |user: UserId| self.private_requests.concerning(user).len() >= REQUESTS_A_USER;
        if busy(asker.user) || busy(to) {
            let user = self.accounts.name(asker.user).clone();
            self.outbox.report(Report::CommandFailed { user, code: Code::RateLimited });
            return self.fail(&asker, None, Code::RateLimited, "startprivate");
        }
        self.ask_for_private(asker, to, endpoints);
    }

    fn private_partner(&self, asker: &Asker, user: &str) -> Result<UserId, Code> {
        let to = self.another(asker, user)?;
        if self.reach(asker.user, to).is_shut() && !planted::is(Planted::BlockSkippedInPrivate) {
            return Err(Code::Blocked);
        }
        let here = self.accounts[to].session.as_ref().is_some_and(|session| session.link.is_some());
        if here { Ok(to) } else { Err(Code::Offline) }
    }

    fn ask_for_private(&mut self, asker: Asker, to: UserId, endpoints: Vec<Endpoint>) {
        let serial = self.next_serial();
        let patience = match self.settings.private_request_secs {
            0 => Duration::MAX,
            seconds => Duration::from_secs(seconds),
        };
        let expires = self.now + patience;
        self.deadlines.add(expires, Deadline::PrivateRequest(asker.user, to, serial));
        self.private_requests.insert(asker.user, to, PrivateRequest { asker, endpoints, serial, expires });
        let from = self.accounts.name(asker.user).clone();
        if let Some(link) = self.accounts[to].session.as_ref().and_then(|session| session.link) {
            self.send(link, &ServerLine::Request { from: from.as_str() });
        }
    }

    fn take_private_request(&mut self, from: UserId, to: UserId) -> Option<PrivateRequest> {
        let request = self.private_requests.remove(from, to)?;
        self.deadlines.remove(request.expires, Deadline::PrivateRequest(from, to, request.serial));
        Some(request)
    }

    pub(super) fn accept_private(&mut self, asker: Asker, user: &str, endpoints: Vec<Endpoint>) {
        let from = match self.another(&asker, user) {
            Ok(from) => from,
            Err(code) => return self.fail(&asker, None, code, "accept"),
        };
        match self.take_private_request(from, asker.user) {
            None => self.fail(&asker, None, Code::NoRequest, "accept"),
            // He has blocked the accepter since (`block_mutual`): a block of the accepter ends the request.
            Some(request) if self.reach(from, asker.user).is_shut() => {
                self.fail(&request.asker, None, Code::Declined, "startprivate");
                self.fail(&asker, None, Code::NoRequest, "accept");
            }
            Some(request) => {
                self.introduce(&request, &asker, &endpoints);
                let name = self.accounts.name(from).clone();
                self.answer(&asker, None, Outcome::Done, Answer::Accept { user: name.as_str() });
            }
        }
    }

    pub(super) fn decline_private(&mut self, asker: Asker, user: &str) {
        let from = match self.another(&asker, user) {
            Ok(from) => from,
            Err(code) => return self.fail(&asker, None, code, "decline"),
        };
        match self.take_private_request(from, asker.user) {
            None => self.fail(&asker, None, Code::NoRequest, "decline"),
            Some(request) => {
                if planted::is(Planted::DeclineIntroduces) {
                    return self.introduce(&request, &asker, &[]);
                }
                self.fail(&request.asker, None, Code::Declined, "startprivate");
                let name = self.accounts.name(from).clone();
                self.answer(&asker, None, Outcome::Done, Answer::Decline { user: name.as_str() });
            }
        }
    }

    /// Tells each of two clients who the other is, where it may be, and the secret they share.
    fn introduce(&mut self, request: &PrivateRequest, accepter: &Asker, endpoints: &[Endpoint]) {
        let id = self.secrets.token();
        let (first, second) = (self.observed(&request.asker), self.observed(accepter));
        let (Some(first), Some(second)) = (first, second) else { return };
        let sides = [
            (request.asker, *accepter, Role::Requester, addresses(second, first, endpoints)),
            (*accepter, request.asker, Role::Accepter, addresses(first, second, &request.endpoints)),
        ];
        for (reader, other, role, addresses) in sides {
            let user = self.accounts.name(other.user).clone();
            if let Some(link) = self.asker_link(&reader) {
                self.send(link, &ServerLine::Introduce { user: user.as_str(), role, id, addresses });
            }
        }
        let to = accepter.user;
        let name = self.accounts.name(to).clone();
        self.answer(&request.asker, None, Outcome::Done, Answer::StartPrivate { user: name.as_str() });
    }

    fn observed(&self, asker: &Asker) -> Option<IpAddr> {
        let link = self.asker_link(asker)?;
        self.links.get(&link).map(|link| link.from.ip().to_canonical())
    }

    pub(super) fn private_request_expired(&mut self, from: UserId, to: UserId, serial: u64) {
        if self.private_requests.get(from, to).is_some_and(|request| request.serial == serial) {
            if planted::is(Planted::ExpiryNotAnswered) {
                self.private_requests.remove(from, to);
                return;
            }
            self.end_private_request(from, to, Code::NoAnswer);
        }
    }

    /// A block ends the request of the one who is blocked, as if it had been declined.
    pub(super) fn drop_private_request(&mut self, from: UserId, to: UserId) {
        self.end_private_request(from, to, Code::Declined);
    }

    /// A user is not there any more: requests of his are withdrawn, those to him have failed.
    pub(super) fn withdraw_private_requests(&mut self, user: UserId) {
        for (from, to) in self.private_requests.concerning(user) {
            self.end_private_request(from, to, Code::Offline);
        }
    }

    /// A user goes on over another link: what he asked for without a number is answered on the old one only.
    pub(super) fn withdraw_unnumbered_requests(&mut self, user: UserId) {
        for (from, to) in self.private_requests.concerning(user) {
            let request = self.private_requests.get(from, to);
            if from == user && request.is_some_and(|request| request.asker.number.is_none()) {
                self.end_private_request(from, to, Code::Offline);
            }
        }
    }

    /// `block_ends_private`: the blocker's client closes the link that may stand.
    pub(super) fn end_private_link(&mut self, asker: &Asker, user: UserId) {
        let name = self.accounts.name(user).clone();
        if let Some(link) = self.asker_link(asker) {
            self.send(link, &ServerLine::EndPrivate { user: name.as_str() });
        }
    }

    fn end_private_request(&mut self, from: UserId, to: UserId, code: Code) {
        let Some(request) = self.take_private_request(from, to) else { return };
        self.fail(&request.asker, None, code, "startprivate");
        let name = self.accounts.name(from).clone();
        if let Some(link) = self.accounts[to].session.as_ref().and_then(|session| session.link) {
            self.send(link, &ServerLine::Withdrawn { from: name.as_str() });
        }
    }
}

/// Where a client may be reached, for one who is seen at `reader`: at the address it is seen at and,
/// if both are seen at the same one, at the private addresses it named.
fn addresses(seen_at: IpAddr, reader: IpAddr, endpoints: &[Endpoint]) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for endpoint in endpoints {
        let (ip, port) = match endpoint {
            Endpoint::Port(port) => (seen_at, *port),
            Endpoint::Address(address) => {
                let ip = address.ip().to_canonical();
                let near = seen_at == reader && is_near(ip, seen_at);
                (if near { ip } else { seen_at }, address.port())
            }
        };
        let address = SocketAddr::new(ip, port);
        if port >= LOWEST_PORT && !addresses.contains(&address) {
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
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
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
        assert_eq!(addresses(ip("192.0.2.1"), ip("192.0.2.2"), &declared), [address("192.0.2.1:5000")]);
    }

    #[test]
    fn private_addresses_are_for_those_behind_the_same_one() {
        let declared = [Endpoint::Address(address("10.0.0.7:5000"))];
        assert_eq!(addresses(ip("192.0.2.1"), ip("192.0.2.1"), &declared), [address("10.0.0.7:5000")]);
        assert_eq!(addresses(ip("192.0.2.1"), ip("192.0.2.9"), &declared), [address("192.0.2.1:5000")]);
    }

    #[test]
    fn nobody_is_sent_to_his_own_machine_by_somebody_elsewhere() {
        let declared = [Endpoint::Address(address("127.0.0.1:5000"))];
        assert_eq!(addresses(ip("192.0.2.1"), ip("192.0.2.1"), &declared), [address("192.0.2.1:5000")]);
        let declared = [Endpoint::Address(address("[::1]:5000"))];
        assert_eq!(addresses(ip("127.0.0.1"), ip("127.0.0.1"), &declared), [address("[::1]:5000")]);
    }

    #[test]
    fn at_most_four_addresses_and_no_low_port_are_handed_out() {
        let declared: Vec<Endpoint> = (1023..=1027).map(Endpoint::Port).collect();
        let ports = |declared: &[Endpoint]| -> Vec<u16> {
            addresses(ip("192.0.2.1"), ip("192.0.2.2"), declared).iter().map(SocketAddr::port).collect()
        };
        assert_eq!(ports(&declared), [1024, 1025, 1026, 1027]);
        let declared: Vec<Endpoint> = (1024..=1028).map(Endpoint::Port).collect();
        assert_eq!(ports(&declared), [1024, 1025, 1026, 1027]);
    }
}
