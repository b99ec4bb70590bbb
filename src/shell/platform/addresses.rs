//! The addresses that the machine has.

use std::future::pending;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::future::or;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// The groups of the kernel's messages about IPv4 and IPv6 addresses (`RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR`).
const ADDRESSES: u32 = 0x10 | 0x100;

/// The same about routes (`RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_ROUTE`).
const ROUTES: u32 = 0x40 | 0x400;

/// For so long an address may be missing. One that is removed and put back, as by a DHCP client that renews its lease,
/// is there again after milliseconds, and the connection goes on. After a longer absence the pauses between TCP's
/// attempts have grown to a second, so that a new connection is faster than the old one. The wait delays nothing: it is
/// over as soon as there is another way to the peer, and before that no new connection could be made.
const GRACE: Duration = Duration::from_secs(1);

/// Completes when the machine has lost an address for good, from which it reached a peer; never if the system does not
/// tell.
pub(super) async fn lost(own: IpAddr, peer: SocketAddr) {
    if own.is_loopback() {
        return pending().await;
    }
    let Ok(changes) = watch(ADDRESSES) else { return pending().await };
    loop {
        while has(own) {
            if changes.read_with(take).await.is_err() {
                return pending().await;
            }
        }
        if is_lost_for_good(own, peer).await {
            return;
        }
    }
}

/// Whether an address that is missing does not come back in time.
async fn is_lost_for_good(own: IpAddr, peer: SocketAddr) -> bool {
    let mut grace = Timer::after(GRACE);
    let changes = watch(ADDRESSES | ROUTES);
    let mut is_over = false;
    loop {
        if let Some(lost) = judge(Way::to(peer, own), is_over) {
            return lost;
        }
        let changed = async {
            match &changes {
                // Where the system does not tell, the machine is looked at when the grace is over.
                Ok(changes) if changes.read_with(take).await.is_ok() => false,
                Ok(_) | Err(_) => pending().await,
            }
        };
        let over = async {
            (&mut grace).await;
            true
        };
        is_over = or(over, changed).await;
    }
}

/// What the machine has for a connection whose address was missing a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Its address, again.
    Same,
    /// Another address, from which it would reach the peer.
    Other,
    /// None at all: a new connection would reach nobody.
    None,
}

impl Way {
    fn to(peer: SocketAddr, own: IpAddr) -> Way {
        match has(own) {
            true => Way::Same,
            false if reaches(peer) => Way::Other,
            false => Way::None,
        }
    }
}

/// Whether a connection has lost its address for good; `None`: that is not known before something changes, or the grace
/// is over.
const fn judge(way: Way, grace_is_over: bool) -> Option<bool> {
    match way {
        Way::Same => Some(false),
        Way::Other => Some(true),
        Way::None if grace_is_over => Some(true),
        Way::None => None,
    }
}

/// Whether the machine has a route to a peer, and an address to reach it from. Nothing is sent.
fn reaches(peer: SocketAddr) -> bool {
    let any: IpAddr =
        if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(peer)).is_ok()
}

/// Whether the machine has an address: only then a socket can have it.
fn has(address: IpAddr) -> bool {
    let bound = UdpSocket::bind((address, 0));
    bound.map_err(|error| error.kind()).err() != Some(ErrorKind::AddrNotAvailable)
}

/// What the kernel says from now on, to these groups.
fn watch(groups: u32) -> io::Result<Async<OwnedFd>> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    // The protocol is NETLINK_ROUTE, which is 0.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Async::new_nonblocking(socket)
}

/// Takes one message, whatever it says: what is true now is looked up. Some may have been dropped.
fn take(socket: &OwnedFd) -> io::Result<()> {
    match recv(socket, &mut [0; 4096], RecvFlags::empty()) {
        Ok(_) | Err(rustix::io::Errno::NOBUFS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};

    #[test]
    fn an_address_is_had_or_not() {
        assert!(has("127.0.0.1".parse().expect("loopback")));
        assert!(!has("192.0.2.77".parse().expect("an address of no machine")));
        assert!(reaches("127.0.0.1:9".parse().expect("loopback")));
    }

    #[test]
    fn an_address_that_the_machine_does_not_have_is_lost_at_once_where_the_peer_is_reached_from_another() {
        let none = "192.0.2.77".parse().expect("an address of no machine");
        let [loopback, own] = ["127.0.0.1:9", "[::1]:9"].map(|peer| peer.parse().expect("an address"));
        block_on(lost(none, loopback));
        assert!(block_on(poll_once(lost(SocketAddr::ip(&loopback), own))).is_none());
    }

    #[test]
    fn an_address_that_is_missing_is_waited_for_while_there_is_no_other_way() {
        assert_eq!(judge(Way::None, false), None);
        assert_eq!(judge(Way::None, true), Some(true));
        for grace_is_over in [false, true] {
            assert_eq!(judge(Way::Same, grace_is_over), Some(false), "it came back");
            assert_eq!(judge(Way::Other, grace_is_over), Some(true), "a new connection can be made");
        }
    }
}
