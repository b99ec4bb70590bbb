//! UPnP: routers are found by multicast, and asked by SOAP.
//!
//! igd-next does the asking. It would take the word of whoever answers the multicast for where the router is, so the
//! search is done here: what does not come from the router, or names another address, is dropped. igd-next
//! is given the answer that remains, as if it had searched, and calls no address but that one. It bounds what it reads
//! (1 MiB of XML, 64 levels), follows no redirection, and waits at most 10 s for each answer.

use std::env;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use igd_next::{AddPortError, Gateway, GatewayIpVersion, PortMappingProtocol, SearchOptions, search_gateway};

use super::LEASE_SECS;
use super::exchange::is_pause;
use super::network::Network;
use crate::client::Mapped;

/// Where routers hear searches.
const SEARCHED: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 1_900);
/// How long to wait for one that answers, and for what it says of itself.
const PATIENCE: Duration = Duration::from_secs(2);
/// What is searched for; routers of all versions answer to the first.
const TARGETS: [&str; 2] =
    ["urn:schemas-upnp-org:device:InternetGatewayDevice:1", "urn:schemas-upnp-org:service:WANIPConnection:1"];
/// Answers that are looked at.
const ANSWERS: usize = 32;
const ANSWER_BYTES: usize = 1_500;
/// What the router's owner reads about the mapping.
const DESCRIPTION: &str = "Hobnob";
/// Ports outside that are tried if others have the first.
const MORE_PORTS: [u16; 2] = [6_151, 11_003];

/// A mapping of a router that speaks UPnP.
#[derive(Debug)]
pub(super) struct Mapping {
    router: Gateway,
    inside: SocketAddrV4,
    /// The port outside.
    port: u16,
}

impl Mapping {
    /// Asks the router of a network for a mapping.
    pub(super) fn ask(inside: SocketAddrV4, network: &Network) -> Option<(Mapped, Mapping)> {
        if has_proxy(|name| env::var(name).ok()) {
            return None;
        }
        let answer = search(*inside.ip(), SEARCHED, |from| network.may_route(from)).ok()??;
        Mapping::ask_router(inside, answer)
    }

    fn ask_router(inside: SocketAddrV4, (router, answer): (Ipv4Addr, Vec<u8>)) -> Option<(Mapped, Mapping)> {
        let router = describe(router, &answer)?;
        Mapping { router, inside, port: inside.port() }.renew()
    }

    /// Asks for it again. No other address than the router's is called.
    pub(super) fn renew(mut self) -> Option<(Mapped, Mapping)> {
        let ip = self.router.get_external_ip().ok()?;
        let (inside, first) = (SocketAddr::V4(self.inside), self.port);
        for port in [0, MORE_PORTS[0], MORE_PORTS[1]].map(|step| further(first, step)) {
            match self.router.add_port(PortMappingProtocol::TCP, port, inside, LEASE_SECS, DESCRIPTION) {
                Ok(()) => {
                    self.port = port;
                    let outside = SocketAddr::new(ip, port);
                    return Some((Mapped { outside, lease_secs: LEASE_SECS.into() }, self));
                }
                Err(AddPortError::PortInUse) => {}
                // A mapping for ever would stay open if this program were killed.
                Err(_) => return None,
            }
        }
        None
    }

    /// Ends it.
    pub(super) fn end(self) {
        // It ends by itself if the router does not hear this.
        let _ = self.router.remove_port(PortMappingProtocol::TCP, self.port);
    }
}

/// A port above 1,024, some steps further.
fn further(port: u16, steps: u16) -> u16 {
    let (first, count) = (1_025_u32, u32::from(u16::MAX) - 1_025);
    let place = (u32::from(port).saturating_sub(first) + u32::from(steps)) % count;
    u16::try_from(first + place).unwrap_or(port)
}

/// Whether requests by HTTP would go to a proxy, which is no router of this network.
fn has_proxy(variable: impl Fn(&str) -> Option<String>) -> bool {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].into_iter().any(is_set)
}

/// Searches for a router; returns its address and its answer.
fn search(
    own: Ipv4Addr,
    to: SocketAddrV4,
    may_route: impl Fn(Ipv4Addr) -> bool,
) -> io::Result<Option<(Ipv4Addr, Vec<u8>)>> {
    let socket = UdpSocket::bind((own, 0))?;
    for target in TARGETS {
        let question = format!(
            "M-SEARCH * HTTP/1.1\r\nHost: {SEARCHED}\r\nST: {target}\r\nMan: \"ssdp:discover\"\r\nMX: 1\r\n\r\n"
        );
        socket.send_to(question.as_bytes(), to)?;
    }
    let until = Instant::now() + PATIENCE;
    let mut answer = [0; ANSWER_BYTES];
    for _ in 0..ANSWERS {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv_from(&mut answer) {
            Ok((count, SocketAddr::V4(from))) if may_route(*from.ip()) => {
                let answer = answer.get(..count).unwrap_or_default();
                return Ok(Some((*from.ip(), answer.to_vec())));
            }
            Ok(_) => {}
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// What a router that has answered a search can do. Only its own address is called.
fn describe(router: Ipv4Addr, answer: &[u8]) -> Option<Gateway> {
    let stage = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    stage.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut options = SearchOptions::default();
    options.bind_addr = (Ipv4Addr::LOCALHOST, 0).into();
    options.broadcast_address = stage.local_addr().ok()?;
    options.timeout = Some(PATIENCE);
    options.single_search_timeout = Some(PATIENCE);
    options.gateway_ip_version = GatewayIpVersion::V4;
    options.allowed_gateway_ips = vec![IpAddr::V4(router)];
    thread::scope(|scope| {
        scope.spawn(|| {
            if let Ok((_, searcher)) = stage.recv_from(&mut [0; ANSWER_BYTES]) {
                // Whoever does not hear it gives up.
                let _ = stage.send_to(answer, searcher);
            }
        });
        search_gateway(options).ok()
    })
}

#[cfg(test)]
mod tests;
