//! Which client can connect to which, and at which address: networks, routers and firewalls.
//!
//! Machines of one network reach each other at their own addresses. A router translates all addresses of its
//! network to its one outside; from outside it passes on what is mapped, and from inside only if it does so for
//! its own outside address too. A firewall lets nothing in. Answers to those who dialled always come back; and who
//! dials the very address and port that is dialling them comes through both routers.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The network that the server is in.
const OFFICE: u8 = 0;
/// The two networks with a router. They use the same addresses inside.
const HOMES: [u8; 2] = [1, 2];
/// The networks of machines that have none to share are numbered from here.
const ALONE: u8 = 10;
/// The machine that the server runs on; others are numbered by their seats from 1.
const OF_SERVER: u8 = 0;

/// Own addresses of a machine, at most.
const OWN: usize = 5;
/// Ports of one client: one for each own address.
const PORTS: u32 = 6;
const LOWEST_PORT: u16 = 5_000;
/// By how much a port outside is higher than the one inside, where the user has mapped it.
const OUTSIDE: u16 = 20_000;
/// The same, where a router has chosen the port outside.
const SHIFT: u16 = 25_000;
/// The same, where the client has asked the router to pass a port on.
const ASKED: u16 = 30_000;

/// Kinds of places.
pub(super) const PLACES: u16 = 18;
/// Those that nobody reaches from outside without being called from there.
pub(super) const CLOSED: [u16; 5] = [5, 7, 10, 15, 16];

/// Where a client runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    machine: u8,
    network: u8,
    /// Where it listens, in the order in which it declares that.
    own: [Option<IpAddr>; OWN],
    /// The address that the server sees.
    seen_at: IpAddr,
    /// Nothing comes in.
    firewall: bool,
    router: Option<Router>,
}

/// What a router does for those outside, or at its outside address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Router {
    maps: Maps,
    nat: Nat,
    /// Whether those inside reach each other at the outside address.
    hairpin: bool,
    /// A port outside that it passes on because a client has asked for that, and where to.
    passes: Option<(u16, u16)>,
}

/// What a router makes of being asked to pass a port on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Favour {
    /// What it says: an address and a port outside.
    pub(crate) says: Option<SocketAddr>,
    /// It passes on what it says.
    pub(crate) keeps: bool,
    pub(crate) after_micros: u64,
}

/// How a router translates connections from inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Nat {
    /// A port inside has the same one outside.
    SamePort,
    /// It has another one outside, whoever is called.
    OtherPort,
    /// The same, and whoever calls that one comes in.
    Cone,
    /// Each connection has another one.
    Symmetric,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Maps {
    Nothing,
    /// Each port to itself.
    SamePort,
    /// One port to another, which the user says with `--private-advertise`.
    Advertised,
}

/// What comes of dialling an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// Nothing comes back.
    Nothing,
    /// There is a machine, and nobody listens.
    Refused,
    Connected,
}

impl Favour {
    /// The port that a client declares: it knows that those outside do not reach an address of a provider's network.
    pub(crate) fn to_declare(self) -> Option<u16> {
        let of_provider = |ip: IpAddr| matches!(ip, IpAddr::V4(ip) if ip.octets()[0] == 100);
        self.says.filter(|outside| !of_provider(outside.ip())).map(|outside| outside.port())
    }
}

impl Place {
    /// The place of a seat: one of [`PLACES`] kinds.
    pub(crate) fn new(seat: usize, choice: u16) -> Place {
        let number = u8::try_from(seat).unwrap_or(0);
        let machine = number + 1;
        let office: IpAddr = Ipv4Addr::new(10, 0, 0, number).into();
        let home: IpAddr = Ipv4Addr::new(192, 168, 1, number).into();
        let public: IpAddr = Ipv4Addr::new(203, 0, 113, number).into();
        let six = |network| -> IpAddr {
            Ipv6Addr::new(0x2001, 0xdb8, network, 0, 0, 0, 0, u16::from(machine)).into()
        };
        let tunnel: IpAddr = Ipv4Addr::new(172, 16, number, 1).into();
        let local: IpAddr = Ipv4Addr::new(169, 254, 1, number).into();
        let alone = ALONE + number;
        let at = |network, own: &[IpAddr]| Place::at(machine, network, own);
        match choice % PLACES {
            0 => Place::at(OF_SERVER, OFFICE, &[Ipv4Addr::LOCALHOST.into()]),
            1 => at(OFFICE, &[office]),
            2 => at(OFFICE, &[office]).behind_firewall(),
            3 => at(OFFICE, &[tunnel, office]).seen_at(office),
            4 => at(alone, &[public]),
            5 => at(alone, &[public]).behind_firewall(),
            6 => at(alone, &[public, six(9)]),
            7 => at(HOMES[0], &[home]).behind(Maps::Nothing, Nat::SamePort, true),
            8 => at(HOMES[0], &[home]).behind(Maps::SamePort, Nat::SamePort, true),
            9 => at(HOMES[1], &[home]).behind(Maps::Advertised, Nat::OtherPort, false),
            10 => at(HOMES[1], &[home]).behind(Maps::Nothing, Nat::OtherPort, false),
            11 => at(alone, &[six(7)]),
            12 => at(alone, &[public]).seen_at(Ipv4Addr::new(203, 0, 113, number).to_ipv6_mapped().into()),
            13 => Place::at(OF_SERVER, OFFICE, &[Ipv6Addr::LOCALHOST.into()]),
            15 => at(alone, &[home]).behind(Maps::Nothing, Nat::Cone, false),
            16 => at(alone, &[home]).behind(Maps::Nothing, Nat::Symmetric, false),
            17 => at(alone, &[six(8)]).behind_firewall(),
            // The address that is good comes last of four, or of five, of which four are told.
            _ if number.is_multiple_of(2) => at(alone, &[local, tunnel, home, public]).seen_at(public),
            _ => at(alone, &[local, tunnel, home, office, public]).seen_at(public),
        }
    }

    fn at(machine: u8, network: u8, addresses: &[IpAddr]) -> Place {
        let mut own = [None; OWN];
        own.iter_mut().zip(addresses).for_each(|(place, address)| *place = Some(*address));
        let seen_at = addresses.first().copied().unwrap_or(Ipv4Addr::LOCALHOST.into());
        Place { machine, network, own, seen_at, firewall: false, router: None }
    }

    const fn seen_at(self, seen_at: IpAddr) -> Place {
        Place { seen_at, ..self }
    }

    const fn behind_firewall(self) -> Place {
        Place { firewall: true, ..self }
    }

    fn behind(self, maps: Maps, nat: Nat, hairpin: bool) -> Place {
        let outside = Ipv4Addr::new(198, 51, 100, self.network).into();
        Place { router: Some(Router { maps, nat, hairpin, passes: None }), ..self }.seen_at(outside)
    }

    /// The address that the server sees.
    pub(crate) const fn observed(&self) -> IpAddr {
        self.seen_at
    }

    pub(crate) const fn has_firewall(&self) -> bool {
        self.firewall
    }

    pub(crate) const fn has_router(&self) -> bool {
        self.router.is_some()
    }

    /// Whether another place is in the same network.
    pub(crate) const fn is_near(&self, other: &Place) -> bool {
        self.network == other.network
    }

    /// Where a client here listens; no two clients share a port.
    pub(crate) fn listeners(&self, client: u32) -> Vec<SocketAddr> {
        let first = LOWEST_PORT + u16::try_from(client % 5_000 * PORTS).unwrap_or(0);
        (first..).zip(self.own.iter().flatten()).map(|(port, ip)| SocketAddr::new(*ip, port)).collect()
    }

    /// The address that a client here was told to declare beside those that it listens at.
    pub(crate) fn advertised(&self, client: u32) -> Option<SocketAddr> {
        self.router.filter(|router| router.maps == Maps::Advertised)?;
        let inside = self.listeners(client).first()?.port();
        Some(SocketAddr::new(self.seen_at, inside + OUTSIDE))
    }

    /// What the router does for a client here that asks it: some do as they say, soon or late, some say what is of no use
    /// to others, or not true, and most say nothing. It depends on the client, so that scenarios stay what they are.
    pub(crate) fn favour(&self, client: u32) -> Option<Favour> {
        let none = Favour { says: None, keeps: false, after_micros: 300 };
        let Some(inside) = self.router.and(self.listeners(client).first().copied()) else {
            return Some(none);
        };
        let outside = SocketAddr::new(self.seen_at, inside.port() + ASKED);
        match client % 8 {
            0 => Some(Favour { says: Some(outside), keeps: true, after_micros: 5_000 }),
            1 => Some(Favour { says: Some(outside), keeps: true, after_micros: 1_000_000 }),
            2 => {
                let elsewhere = SocketAddr::new(Ipv4Addr::new(203, 0, 113, 250).into(), outside.port() + 3);
                Some(Favour { says: Some(elsewhere), after_micros: 5_000, ..none })
            }
            3 => {
                let inner = SocketAddr::new(Ipv4Addr::new(100, 64, 0, 9).into(), outside.port());
                Some(Favour { says: Some(inner), after_micros: 5_000, ..none })
            }
            4 => Some(none),
            _ => None,
        }
    }

    /// The router does what it was asked for, or does it no more.
    pub(crate) fn is_favoured(&mut self, client: u32, favour: Option<Favour>) {
        let inside = self.listeners(client).first().map(SocketAddr::port);
        let kept = favour.filter(|favour| favour.keeps).and_then(|favour| favour.says);
        if let Some(router) = &mut self.router {
            router.passes = kept.map(|outside| outside.port()).zip(inside);
        }
    }

    /// The address of a client here at the server, to which its connection has one of the ports where it listens.
    pub(crate) fn seen_by_server(&self, client: u32) -> SocketAddr {
        let port = self.shared(client).map_or(LOWEST_PORT, |shared| shared.port());
        SocketAddr::new(self.seen_at, self.router.map_or(port, |router| router.nat.outside(port)))
    }

    /// Where a client here listens with the port of its connection to the server.
    fn shared(&self, client: u32) -> Option<SocketAddr> {
        let listeners = self.listeners(client);
        let used = listeners.iter().find(|listener| listener.ip() == self.seen_at.to_canonical());
        used.or(listeners.first()).copied()
    }

    /// At which address one elsewhere sees what a client here says from its shared port, if that does not depend on
    /// whom it calls. Who calls it there from where it calls them comes through.
    pub(crate) fn shows_itself(&self, client: u32, other: &Place) -> Option<SocketAddr> {
        let shared = self.shared(client)?;
        let neighbours = self.network == other.network;
        if neighbours && (!shared.ip().is_loopback() || self.machine == other.machine) {
            return Some(shared).filter(|shared| other.speaks(shared.ip()));
        }
        let outside = self.seen_by_server(client);
        let outside = SocketAddr::new(outside.ip().to_canonical(), outside.port());
        let goes = !neighbours && !is_inside(outside.ip()) && !outside.ip().is_loopback();
        let fixed = self.router.is_none_or(|router| router.nat != Nat::Symmetric);
        (goes && fixed && other.speaks(outside.ip())).then_some(outside)
    }

    /// What comes of dialling `to` from here, if it leads to the machine of `other`, where a client listens at
    /// `listening`.
    pub(crate) fn dials(&self, to: SocketAddr, other: &Place, listening: &[SocketAddr]) -> Answer {
        let Some(inside) = self.way_to(to, other) else { return Answer::Nothing };
        if other.firewall && self.machine != other.machine {
            Answer::Nothing
        } else if listening.contains(&inside) {
            Answer::Connected
        } else {
            Answer::Refused
        }
    }

    /// The address at which a connection to `to` arrives at a machine, if it does.
    fn way_to(&self, to: SocketAddr, other: &Place) -> Option<SocketAddr> {
        if !self.speaks(to.ip()) {
            return None;
        }
        let near = self.network == other.network;
        if other.own.contains(&Some(to.ip())) {
            let reached = match to.ip() {
                ip if ip.is_loopback() => self.machine == other.machine,
                ip => !is_inside(ip) || near && is_shared(ip, other),
            };
            return reached.then_some(to);
        }
        let router = other.router.filter(|_| other.seen_at == to.ip())?;
        let port = match router.maps {
            _ if router.passes.is_some_and(|(outside, _)| outside == to.port()) => router.passes?.1,
            Maps::Nothing if router.nat == Nat::Cone => to.port().checked_sub(SHIFT)?,
            Maps::Nothing => return None,
            Maps::SamePort => to.port(),
            Maps::Advertised => to.port().checked_sub(OUTSIDE)?,
        };
        let inside = SocketAddr::new(other.own[0]?, port);
        (!near || router.hairpin).then_some(inside)
    }

    fn speaks(&self, ip: IpAddr) -> bool {
        let outside = self.network == OFFICE || self.router.is_some();
        let own = self.own.iter().flatten().any(|own| own.is_ipv4() == ip.is_ipv4());
        own || outside && ip.is_ipv4()
    }
}

impl Nat {
    /// The port outside of what a client says to the server.
    fn outside(self, port: u16) -> u16 {
        match self {
            Nat::SamePort => port,
            Nat::OtherPort | Nat::Cone | Nat::Symmetric => port + SHIFT,
        }
    }
}

/// Whether an address means something within one network only.
fn is_inside(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
        IpAddr::V6(_) => false,
    }
}

/// Whether an own address of a machine is one of its network: not that of a tunnel, or of a cable to nobody.
fn is_shared(ip: IpAddr, place: &Place) -> bool {
    match ip {
        IpAddr::V4(ip) if ip.octets()[0] == 10 => place.network == OFFICE,
        IpAddr::V4(ip) if ip.octets()[0] == 192 => HOMES.contains(&place.network),
        IpAddr::V4(_) | IpAddr::V6(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a client at one place reaches one at another at some address: that of its network, the one
    /// declared for it, or the one that the server sees.
    fn reach(from: u16, to: u16) -> (bool, bool) {
        let (here, there) = (Place::new(2, from), Place::new(3, to));
        let listening = there.listeners(1);
        let is_good = |address: SocketAddr| here.dials(address, &there, &listening) == Answer::Connected;
        let seen_at =
            |listener: &SocketAddr| SocketAddr::new(there.observed().to_canonical(), listener.port());
        let outside = there.advertised(1).into_iter().chain(listening.iter().map(seen_at));
        (listening.iter().copied().any(is_good), outside.into_iter().any(is_good))
    }

    #[test]
    fn neighbours_reach_each_other_at_their_own_addresses() {
        for (from, to) in [(1, 1), (0, 1), (1, 3), (7, 7), (10, 9), (9, 10), (13, 13), (0, 0)] {
            assert!(reach(from, to).0, "{from} to {to}");
        }
    }

    #[test]
    fn others_need_a_public_address_or_a_mapped_port() {
        for to in [4, 6, 8, 9, 12] {
            assert!(reach(7, to).1, "7 to {to}");
        }
        for to in [0, 1, 2, 3, 5, 7, 10, 11, 13] {
            assert!(!reach(4, to).1, "4 to {to}");
        }
        assert!(reach(6, 11).0 && reach(11, 6).0 && !reach(11, 4).1);
    }

    #[test]
    fn a_router_leads_back_inside_only_if_it_is_made_for_that() {
        assert_eq!(reach(7, 8), (true, true));
        assert_eq!(reach(10, 9), (true, false));
    }

    #[test]
    fn a_firewall_lets_nothing_in_and_another_machine_is_not_this_one() {
        assert_eq!(reach(1, 2), (false, false));
        assert_eq!(reach(1, 0), (false, false));
        assert!(reach(2, 1).0);
        let (here, there) = (Place::new(2, 4), Place::new(4, 14));
        let listening = there.listeners(1);
        let good: Vec<usize> = (0..listening.len())
            .filter(|index| here.dials(listening[*index], &there, &listening) == Answer::Connected)
            .collect();
        assert_eq!(good, [3]);
        assert_eq!(here.dials(SocketAddr::new(there.observed(), 1), &there, &listening), Answer::Refused);
    }

    /// Whether two clients who call each other at the same time get through.
    fn meet(one: u16, other: u16) -> bool {
        let (here, there) = (Place::new(2, one), Place::new(3, other));
        here.shows_itself(1, &there).is_some() && there.shows_itself(2, &here).is_some()
    }

    #[test]
    fn those_who_call_each_other_come_through_unless_nobody_knows_from_where() {
        for (one, other) in [(5, 5), (5, 7), (7, 9), (10, 15), (2, 2), (17, 17), (17, 11), (10, 10)] {
            assert!(meet(one, other) && meet(other, one), "{one} and {other}");
        }
        for (one, other) in [(16, 5), (16, 16), (5, 17), (2, 5), (0, 13)] {
            assert!(!meet(one, other) && !meet(other, one), "{one} and {other}");
        }
        let (here, there) = (Place::new(2, 4), Place::new(3, 15));
        let outside = there.seen_by_server(1);
        assert_eq!(here.dials(outside, &there, &there.listeners(1)), Answer::Connected);
    }

    #[test]
    fn a_router_passes_on_what_it_was_asked_for() {
        let (here, mut there) = (Place::new(2, 4), Place::new(3, 16));
        let listening = there.listeners(8);
        let favour = there.favour(8);
        let outside = favour.and_then(|favour| favour.says).unwrap();
        assert_eq!(outside.ip(), there.observed());
        assert_eq!(here.dials(outside, &there, &listening), Answer::Nothing);
        there.is_favoured(8, favour);
        assert_eq!(here.dials(outside, &there, &listening), Answer::Connected);
        there.is_favoured(8, None);
        assert_eq!(here.dials(outside, &there, &listening), Answer::Nothing);
        for liar in [2, 3] {
            there.is_favoured(liar, there.favour(liar));
            let outside = SocketAddr::new(there.observed(), there.favour(liar).unwrap().says.unwrap().port());
            assert_eq!(here.dials(outside, &there, &there.listeners(liar)), Answer::Nothing);
        }
        assert_eq!(here.favour(8).and_then(|favour| favour.says), None);
        assert_eq!(there.favour(5), None);
    }

    #[test]
    fn no_two_clients_share_a_port() {
        let place = Place::new(1, 14);
        let mut ports: Vec<u16> =
            (0..1_000).flat_map(|client| place.listeners(client)).map(|address| address.port()).collect();
        let all = ports.len();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!((ports.len(), ports[0]), (all, LOWEST_PORT));
    }
}
