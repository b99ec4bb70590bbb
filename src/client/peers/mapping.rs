//! The port of the router that leads to the one where this client listens.
//!
//! A router that speaks UPnP, NAT-PMP or PCP passes a port on if a client inside asks it to. That makes a direct way to
//! clients whose router has another port outside for each connection, which nobody outside can know. It is asked for when
//! a session begins, renewed while it lasts and given back at its end, so that it is there before somebody is to be met:
//! nothing waits for it. Callers there find the listening port, which is open only while somebody is expected (R36).

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use super::ClientState;
use crate::client::settings::{MapPort, Way};
use crate::client::{Mapped, Phase};
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::wire::Endpoint;

/// A mapping is renewed at half of its lease, but not more often or more seldom than this.
const RENEWAL: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(60 * 60)];

/// No client listens at ports below this, and the server tells none (R35).
const LOWEST_PORT: u16 = 1_024;

/// The mapping of this session.
#[derive(Default)]
pub(super) struct Mapping {
    /// Numbers the attempts, so that a late answer is recognised.
    attempt: u64,
    stage: Stage,
}

#[derive(Default)]
enum Stage {
    /// There is no session, or nothing is to be mapped for it.
    #[default]
    No,
    /// The router was asked.
    Asked,
    /// It maps nothing, or nothing of use. It is asked again on the next connection to the server.
    Refused,
    /// It passes this port on.
    At { port: u16, renew: Time },
    /// The same, and it was asked again.
    Renewing { port: u16 },
}

impl Mapping {
    /// When it is to be renewed.
    pub(super) fn due(&self) -> Option<Time> {
        match self.stage {
            Stage::At { renew, .. } => Some(renew),
            Stage::No | Stage::Asked | Stage::Refused | Stage::Renewing { .. } => None,
        }
    }

    /// What is declared of it. The server knows the address outside better: the router may stand behind another one.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        match self.stage {
            Stage::At { port, .. } | Stage::Renewing { port } => Some(Endpoint::Port(port)),
            Stage::No | Stage::Asked | Stage::Refused => None,
        }
    }

    /// The number of a new attempt.
    fn begin(&mut self, stage: Stage) -> u64 {
        self.attempt += 1;
        self.stage = stage;
        self.attempt
    }
}

impl ClientState {
    /// Asks for a mapping, renews it, or gives it back, as the session goes.
    pub(in super::super) fn keep_mapping(&mut self) {
        let wanted = self.wants_mapping();
        match self.peers.mapping.stage {
            Stage::No if wanted => self.ask_router(Stage::Asked),
            Stage::At { port, renew } if wanted && renew <= self.now => {
                self.ask_router(Stage::Renewing { port });
            }
            Stage::Asked | Stage::Refused | Stage::At { .. } | Stage::Renewing { .. } if !wanted => {
                self.peers.mapping.stage = Stage::No;
                // A router may cut what has come by the mapping. Without renewal it ends soon enough.
                if !self.peers.are_alive() {
                    self.outbox.unmap_port();
                }
            }
            Stage::No | Stage::Asked | Stage::Refused | Stage::At { .. } | Stage::Renewing { .. } => {}
        }
    }

    /// One whose links are relayed listens for nobody, and one who declares an address has mapped it by other means.
    fn wants_mapping(&self) -> bool {
        let settings = &self.settings;
        let meets = settings.device_key.is_some() && settings.path != Way::Relay;
        let asks = settings.map_port == MapPort::Auto && settings.private_advertise.is_none();
        meets && asks && matches!(&self.phase, Phase::Session(session) if session.is_online())
    }

    fn ask_router(&mut self, stage: Stage) {
        let attempt = self.peers.mapping.begin(stage);
        self.outbox.map_port(attempt);
    }

    /// The router has answered, or nobody has.
    pub(in super::super) fn on_port_mapped(&mut self, attempt: u64, mapped: Option<Mapped>) {
        let is_awaited = matches!(self.peers.mapping.stage, Stage::Asked | Stage::Renewing { .. });
        if attempt != self.peers.mapping.attempt || !is_awaited {
            return;
        }
        self.peers.mapping.stage = match mapped {
            Some(mapped) if is_of_use(mapped.outside) || planted::is(Planted::ClientTrustsRouter) => {
                let [least, most] = RENEWAL;
                let half = Duration::from_secs(mapped.lease_secs / 2).clamp(least, most);
                Stage::At { port: mapped.outside.port(), renew: self.now + half }
            }
            Some(_) => {
                self.outbox.unmap_port();
                Stage::Refused
            }
            None => Stage::Refused,
        };
    }
}

/// Whether a client can profit from a mapping by its router: it has one, and the server is beyond it.
#[must_use]
pub fn is_behind_router(own: IpAddr, server: IpAddr) -> bool {
    let (IpAddr::V4(own), IpAddr::V4(server)) = (own.to_canonical(), server.to_canonical()) else {
        return false;
    };
    own.is_private() && !is_inside(server)
}

/// Whether others may reach an address: if not, there is another router between it and them.
fn is_of_use(outside: SocketAddr) -> bool {
    match outside.ip().to_canonical() {
        IpAddr::V4(ip) => outside.port() >= LOWEST_PORT && !is_inside(ip),
        IpAddr::V6(_) => false,
    }
}

/// Whether an address means something within one network only, that of a provider included (RFC 6598), or nothing.
fn is_inside(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    let of_provider = first == 100 && second & 0xc0 == 64;
    let here = ip.is_private() || ip.is_loopback() || ip.is_link_local() || of_provider;
    here || first == 0 || ip.is_multicast() || ip.is_broadcast()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_a_client_behind_a_router_whose_server_is_beyond_it_has_use_for_a_mapping() {
        for (own, server) in [("192.168.1.2", "192.0.2.2"), ("::ffff:10.0.0.7", "::ffff:192.0.2.2")] {
            assert!(is_behind_router(ip(own), ip(server)), "{own} {server}");
        }
        for (own, server) in [
            ("127.0.0.1", "127.0.0.1"),
            ("192.168.1.2", "192.168.1.9"),
            ("10.0.0.7", "100.64.0.1"),
            ("203.0.113.7", "192.0.2.2"),
            ("169.254.0.7", "192.0.2.2"),
            ("2001:db8::7", "2001:db8::2"),
            ("192.168.1.2", "2001:db8::2"),
        ] {
            assert!(!is_behind_router(ip(own), ip(server)), "{own} {server}");
        }
    }

    #[test]
    fn an_address_inside_or_a_low_port_is_of_no_use() {
        for good in ["198.51.100.7:1024", "100.63.0.1:5000", "100.128.0.1:5000"] {
            assert!(is_of_use(good.parse().unwrap()), "{good}");
        }
        for bad in [
            "198.51.100.7:1023",
            "10.0.0.1:5000",
            "192.168.0.7:5000",
            "100.64.0.1:5000",
            "100.127.255.255:5000",
            "127.0.0.1:5000",
            "169.254.0.1:5000",
            "0.0.0.0:5000",
            "224.0.0.1:5000",
            "255.255.255.255:5000",
            "[2001:db8::1]:5000",
        ] {
            assert!(!is_of_use(bad.parse().unwrap()), "{bad}");
        }
    }
}
