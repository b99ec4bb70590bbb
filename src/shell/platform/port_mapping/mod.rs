//! Asks the router to pass a port on to this machine: by PCP or NAT-PMP, or else by UPnP.
//!
//! Only a router of the local network is spoken to, and what it answers is as doubtful as all that comes from outside: it
//! is bounded in size and time, none of its text is shown, and no address that it names is called. Nothing is mapped
//! for ever: what nobody renews or gives back ends with its lease.
//!
//! The functions wait for answers; they belong to a thread that has nothing else to do.

mod exchange;
mod igd;
mod network;
mod pcp;

use std::net::SocketAddr;

use network::Network;

use crate::client::Mapped;

/// How long a router passes a port on without being asked again.
const LEASE_SECS: u32 = 1_200;

/// What a router has been asked for, as long as it may be given back.
#[derive(Debug)]
pub struct Mapping(Means);

#[derive(Debug)]
enum Means {
    Pcp(pcp::Mapping),
    Igd(Box<igd::Mapping>),
}

/// Asks the router for a mapping to `inside`, an address of this machine, or to go on with the one it has given.
pub(super) fn ask(inside: SocketAddr, known: Option<Mapping>) -> Option<(Mapped, Mapping)> {
    let SocketAddr::V4(inside) = inside else { return None };
    match known {
        Some(Mapping(Means::Pcp(known))) => by_pcp(known.renew()),
        Some(Mapping(Means::Igd(known))) => by_igd(known.renew()),
        None => {
            let network = Network::of(*inside.ip())?;
            let answer = network.router.and_then(|router| pcp::Mapping::ask(inside, router));
            by_pcp(answer).or_else(|| by_igd(igd::Mapping::ask(inside, &network)))
        }
    }
}

/// Tells the router that the mapping is not needed any more.
pub(super) fn give_back(mapping: Mapping) {
    match mapping.0 {
        Means::Pcp(mapping) => mapping.end(),
        Means::Igd(mapping) => mapping.end(),
    }
}

fn by_pcp(answer: Option<(Mapped, pcp::Mapping)>) -> Option<(Mapped, Mapping)> {
    answer.map(|(mapped, mapping)| (mapped, Mapping(Means::Pcp(mapping))))
}

fn by_igd(answer: Option<(Mapped, igd::Mapping)>) -> Option<(Mapped, Mapping)> {
    answer.map(|(mapped, mapping)| (mapped, Mapping(Means::Igd(Box::new(mapping)))))
}
