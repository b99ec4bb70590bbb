//! The addresses that the machine has.

use std::future::pending;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::OwnedFd;

use async_io::Async;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// The groups of the kernel's messages about IPv4 and IPv6 addresses (`RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR`).
const ADDRESSES: u32 = 0x10 | 0x100;

/// Completes when the machine has lost an address; never if the system does not tell.
pub(super) async fn lost(address: IpAddr) {
    if address.is_loopback() {
        return pending().await;
    }
    let Ok(changes) = watch() else { return pending().await };
    while has(address) {
        if changes.read_with(take).await.is_err() {
            return pending().await;
        }
    }
}

/// Whether the machine has an address: only then a socket can have it.
fn has(address: IpAddr) -> bool {
    let bound = UdpSocket::bind((address, 0));
    bound.map_err(|error| error.kind()).err() != Some(ErrorKind::AddrNotAvailable)
}

/// What the kernel says about addresses from now on.
fn watch() -> io::Result<Async<OwnedFd>> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    // The protocol is NETLINK_ROUTE, which is 0.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, ADDRESSES))?;
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
    fn an_address_is_had_or_not_and_one_that_is_not_is_lost() {
        let none: IpAddr = "192.0.2.77".parse().expect("an address of no machine");
        assert!(has("127.0.0.1".parse().expect("loopback")) && !has(none));
        block_on(lost(none));
        assert!(block_on(poll_once(lost("127.0.0.1".parse().expect("loopback")))).is_none());
    }
}
