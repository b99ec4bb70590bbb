//! TCP options of both programs: no delay, and detection of dead peers.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// What the kernel takes of a connection before it can send it. Otherwise it takes megabytes, and says for a third of
/// them that there is no progress: a slow reader would seem to have stalled.
const UNSENT_BYTES: u32 = 64 * 1024;
/// Connections that may wait to be accepted; the kernel caps it by `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A socket on an address, for [`listen`].
///
/// # Errors
/// An I/O error, usually that the port is taken.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Otherwise connections in TIME_WAIT would keep a restarted server from its port.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The same, on a port that other sockets of this user may have as well.
///
/// # Errors
/// An I/O error, usually that the port is taken.
pub(super) fn bind_shared(address: SocketAddr) -> io::Result<TcpListener> {
    Ok(sharing(address)?.into())
}

/// Begins to connect from this port, or 0 for a free one, that other sockets of this user may have as well. The socket
/// does not block: it is connected, or has an error, once it can be written to.
///
/// # Errors
/// The I/O error, also that there is such a connection.
pub(super) fn begin_shared(to: SocketAddr, port: u16) -> io::Result<TcpStream> {
    let any = match to {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
    };
    let socket = sharing(any)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(socket.into()),
    }
}

fn sharing(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // The port may be shared with sockets of IPv4, and is not to be theirs.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Listens without blocking, also where the socket listens already. On Linux, accepted connections inherit the options
/// of the listener, which saves five system calls for each.
///
/// # Errors
/// The I/O error.
pub(super) fn listen(socket: &TcpListener, dead_link_secs: u64) -> io::Result<()> {
    let socket = SockRef::from(socket);
    tune(&socket, dead_link_secs)?;
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)
}

/// Disables delay, bounds what the kernel takes and has not sent, and makes a connection fail when its peer is silent
/// for `dead_link_secs`, with unacknowledged bytes (user timeout) or without (keepalive). 0: never.
///
/// # Errors
/// The I/O error.
pub(super) fn tune(socket: &SockRef<'_>, dead_link_secs: u64) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    let Some(probes) = Probes::within(dead_link_secs) else {
        socket.set_keepalive(false)?;
        return socket.set_tcp_user_timeout(None);
    };
    let keepalive = TcpKeepalive::new().with_time(probes.idle).with_interval(probes.interval).with_retries(2);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(probes.user_timeout))
}

/// Times of keepalive probes. For 15 s: probes after 4 and 9 s of silence, failure after 14 s (the kernel
/// checks the user timeout only when a probe is due).
#[derive(Debug, PartialEq, Eq)]
struct Probes {
    idle: Duration,
    interval: Duration,
    user_timeout: Duration,
}

impl Probes {
    fn within(dead_link_secs: u64) -> Option<Probes> {
        // The limit of the kernel.
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
        let listener = bind((Ipv4Addr::LOCALHOST, 0).into())?;
        listen(&listener, 15)?;
        listener.set_nonblocking(false)?;
        let _client = TcpStream::connect(listener.local_addr()?)?;
        let (accepted, _) = listener.accept()?;
        let accepted = SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay()?);
        assert_eq!(accepted.tcp_notsent_lowat()?, UNSENT_BYTES);
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
        let first = bind((Ipv4Addr::LOCALHOST, 0).into())?;
        listen(&first, 15)?;
        let second = bind(first.local_addr()?);
        assert_eq!(second.map_err(|error| error.kind()).err(), Some(io::ErrorKind::AddrInUse));
        Ok(())
    }
}
