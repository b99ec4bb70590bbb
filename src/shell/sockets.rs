//! TCP as both programs want it: no delay, and a dead peer that shows in time.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// Connections that may wait to be accepted; the kernel caps it by `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Listens on an address, without blocking. The options of the listener are those of every
/// connection it accepts: Linux hands them down, which saves five calls a connection.
///
/// # Errors
/// What the system says, above all that the port is taken.
pub fn listen(address: SocketAddr, dead_link_secs: u64) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted server finds its port free although old connections linger in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    tune(SockRef::from(&socket), dead_link_secs)?;
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Sends without delay, and lets a connection fail within `dead_link_secs` of the last sign of
/// life of its peer, whether bytes are under way (user timeout) or not (keepalive). 0: never.
///
/// # Errors
/// What the system says.
pub fn tune(socket: SockRef<'_>, dead_link_secs: u64) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    let Some(probes) = Probes::within(dead_link_secs) else {
        socket.set_keepalive(false)?;
        return socket.set_tcp_user_timeout(None);
    };
    let keepalive = TcpKeepalive::new().with_time(probes.idle).with_interval(probes.interval).with_retries(2);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(probes.user_timeout))
}

/// When a silent peer is asked, and when it is given up. With 15 s: asked after 4 and 9 s of
/// silence, given up after 14 (the kernel looks at the user timeout only when a probe is due).
#[derive(Debug, PartialEq, Eq)]
struct Probes {
    idle: Duration,
    interval: Duration,
    user_timeout: Duration,
}

impl Probes {
    fn within(dead_link_secs: u64) -> Option<Probes> {
        // The kernel takes at most 32,767 s.
        let secs = dead_link_secs.min(32_767);
        let interval = (secs / 3).max(1);
        let idle = secs.saturating_sub(2 * interval + 1).max(1);
        let user_timeout = Duration::from_millis((secs * 1000).saturating_sub(1500).max(500));
        (secs > 0).then_some(Probes {
            idle: Duration::from_secs(idle),
            interval: Duration::from_secs(interval),
            user_timeout,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpStream};

    #[test]
    fn accepted_connections_inherit_what_the_listener_has() -> io::Result<()> {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), 15)?;
        listener.set_nonblocking(false)?;
        let _client = TcpStream::connect(listener.local_addr()?)?;
        let (accepted, _) = listener.accept()?;
        let accepted = SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay()?);
        assert!(accepted.keepalive()?);
        assert_eq!(accepted.tcp_keepalive_time()?, Duration::from_secs(4));
        assert_eq!(accepted.tcp_keepalive_interval()?, Duration::from_secs(5));
        assert_eq!(accepted.tcp_user_timeout()?, Some(Duration::from_millis(13_500)));
        Ok(())
    }

    #[test]
    fn the_last_probe_is_due_before_the_time_is_over() {
        assert_eq!(Probes::within(0), None);
        for secs in [4, 5, 6, 15, 16, 17, 60] {
            let Some(probes) = Probes::within(secs) else { panic!("{secs} s") };
            let last = probes.idle + 2 * probes.interval;
            assert!(last < Duration::from_secs(secs), "{secs} s: {probes:?}");
            assert!(probes.user_timeout <= last, "{secs} s: {probes:?}");
        }
    }

    #[test]
    fn a_port_is_taken_once() -> io::Result<()> {
        let first = listen((Ipv4Addr::LOCALHOST, 0).into(), 15)?;
        let second = listen(first.local_addr()?, 15);
        assert_eq!(second.map_err(|error| error.kind()).err(), Some(io::ErrorKind::AddrInUse));
        Ok(())
    }
}
