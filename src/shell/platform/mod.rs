//! What the loops of both programs need of the machine: a clock, timers, sockets and randomness.
//!
//! The programs run on [`System`]. The simulated world runs the same loops on a model of it.

mod addresses;
mod memory;
mod operator_socket;
#[cfg(feature = "port-mapping")]
mod port_mapping;
mod sockets;
mod system;
mod wall_clock;

use std::future::{Future, pending, poll_fn};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

pub use self::operator_socket::{OperatorCaller, OperatorLink, OperatorPort};
pub use self::system::{System, TcpArrival, TcpConnection, TcpPort, Timer};
pub use self::wall_clock::{Stopwatch, WallClock};
use crate::time::Time;
use crate::{client, server};

/// A clock with its timers, a network, and randomness.
pub trait Platform: Clone + 'static {
    /// A TCP connection.
    type Socket: Socket;
    /// A listening TCP socket.
    type Listener: Listener<Socket = Self::Socket>;
    /// Completes at a time.
    type Timer: Future<Output = ()> + Unpin;
    /// What a router was asked for, so that it can be asked to go on or to end.
    type Mapping: 'static;

    /// The current time. Never goes back.
    fn now(&self) -> Time;

    /// A timer for a time; for one that the system cannot express, a timer that never completes.
    fn timer(&self, at: Time) -> Self::Timer;

    /// A timer for a time from now.
    fn after(&self, duration: Duration) -> Self::Timer;

    /// A timer that never completes.
    fn never(&self) -> Self::Timer;

    /// Fills `bytes` with random ones.
    ///
    /// # Errors
    /// The system provides no randomness.
    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()>;

    /// How many files, and so connections, the process may have open.
    fn most_files(&self) -> usize;

    /// The addresses of a host.
    fn resolve(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>>;

    /// Connects to an address. The connection fails when its peer is silent for `dead_link_secs` (0: never).
    fn connect(
        &self,
        to: SocketAddr,
        from: LocalPort,
        dead_link_secs: u64,
    ) -> impl Future<Output = io::Result<Self::Socket>>;

    /// Listens on an address. Connections fail when their peers are silent for `dead_link_secs` (0: never).
    ///
    /// # Errors
    /// The I/O error, usually that the port is taken.
    fn listen(&self, on: SocketAddr, dead_link_secs: u64) -> io::Result<Self::Listener>;

    /// The same, on a port that connections from [`LocalPort::Shared`] or [`LocalPort::Fresh`] have or may have as well.
    ///
    /// # Errors
    /// The I/O error, usually that the port is taken.
    fn listen_shared(&self, on: SocketAddr, dead_link_secs: u64) -> io::Result<Self::Listener>;

    /// Asks the router to pass a port on to `inside`, an address of this machine, or to go on with what it was asked for
    /// before. `None`: there is no router, or it does not; that may take a while to be known.
    fn map_port(
        &self,
        inside: SocketAddr,
        known: Option<Self::Mapping>,
    ) -> impl Future<Output = Option<(client::Mapped, Self::Mapping)>>;

    /// Asks the router to pass on nothing there any more.
    fn unmap_port(&self, mapping: Self::Mapping) -> impl Future<Output = ()>;

    /// Which of the sockets have something to read, an end or an error, whether or not their tasks were woken.
    ///
    /// # Errors
    /// The I/O error.
    fn unread(&self, sockets: &[&Self::Socket]) -> io::Result<Vec<bool>>;

    /// Completes when the machine has lost an address, from which it reached a peer, and has another way to it or has
    /// waited in vain for the address to come back; never where the system does not tell. A connection that has the
    /// address on this side reaches nobody any more.
    fn lose_address(&self, _own: IpAddr, _peer: SocketAddr) -> impl Future<Output = ()> {
        pending()
    }

    /// Gives memory back to the system that was freed.
    fn give_back_memory(&self) {}

    /// Called before the server's core is told an event.
    fn server_is_told(&self, _: &server::Event<'_>) {}

    /// Called before an effect of the server's core is carried out.
    fn server_wants(&self, _: &server::Effect<'_>) {}

    /// Called when all effects of an event of the server's core are carried out.
    fn server_has_done(&self) {}

    /// Called before the client's core is told an event.
    fn client_is_told(&self, _: &client::Event<'_>) {}

    /// Called before an effect of the client's core is carried out.
    fn client_wants(&self, _: &client::Effect<'_>) {}
}

/// The port of this side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalPort {
    /// Any.
    Any,
    /// One that nobody has, and that further sockets of this program may share.
    Fresh,
    /// This one, which others of its sockets have.
    Shared(u16),
}

/// A TCP connection. Dropping it closes it, which resets it if there is unread input. Nothing blocks: what cannot
/// be done at once fails with [`ErrorKind::WouldBlock`].
pub trait Socket: 'static {
    /// Waits until a read is worth an attempt.
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Waits until a write is worth an attempt.
    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Reads some bytes; 0 at the end of the stream.
    ///
    /// # Errors
    /// The I/O error.
    fn read(&self, bytes: &mut [u8]) -> io::Result<usize>;

    /// Writes some bytes.
    ///
    /// # Errors
    /// The I/O error.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Whether there is something to read; `false` at the end of the stream.
    ///
    /// # Errors
    /// The I/O error; [`ErrorKind::WouldBlock`] if there is neither.
    fn peek(&self) -> io::Result<bool>;

    /// Makes dropping the socket reset the connection at once.
    ///
    /// # Errors
    /// The I/O error.
    fn reset_when_dropped(&self) -> io::Result<()>;

    /// Ends the stream to the peer.
    ///
    /// # Errors
    /// The I/O error.
    fn shut_down_write(&self) -> io::Result<()>;

    /// The error that broke the connection, once.
    ///
    /// # Errors
    /// The system does not say.
    fn take_error(&self) -> io::Result<Option<io::Error>>;

    /// The address of this side.
    ///
    /// # Errors
    /// The I/O error.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The address of the other side.
    ///
    /// # Errors
    /// The I/O error, also that there is none any more.
    fn peer_addr(&self) -> io::Result<SocketAddr>;
}

/// A connection that was accepted and is not watched for input yet. To turn it away in this state takes half as many
/// system calls as later. Dropping it closes it.
pub trait Arrival: 'static {
    /// A connection that was taken on.
    type Socket: Socket;

    /// Takes it on.
    ///
    /// # Errors
    /// The I/O error.
    fn take_on(self) -> io::Result<Self::Socket>;

    /// Resets it.
    fn turn_away(self);
}

/// A listening TCP socket. Dropping it closes the port.
pub trait Listener: 'static {
    /// A connection that was taken on.
    type Socket: Socket;
    /// One that was accepted and is not taken on yet.
    type Arrival: Arrival<Socket = Self::Socket>;

    /// Keeps the port open for the program that takes the place of this one in its process, and returns the number of the
    /// file under which it finds the socket.
    ///
    /// # Errors
    /// The I/O error.
    fn hand_on(&self) -> io::Result<i32>;

    /// The next connection, and where it comes from.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Arrival, SocketAddr)>>;

    /// Lets so many connections wait to be accepted; the system refuses or delays further ones.
    ///
    /// # Errors
    /// The I/O error.
    fn set_backlog(&self, connections: i32) -> io::Result<()>;

    /// Changes `dead_link_secs` for connections accepted from now on.
    ///
    /// # Errors
    /// The I/O error.
    fn set_dead_link_secs(&self, secs: u64) -> io::Result<()>;

    /// The address it listens on.
    ///
    /// # Errors
    /// The I/O error.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// Reads some bytes, waiting for them; 0 at the end of the stream.
///
/// # Errors
/// The I/O error.
pub async fn read(socket: &impl Socket, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.read(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll_fn(|context| socket.poll_readable(context)).await?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Writes all bytes, waiting until they are taken.
///
/// # Errors
/// The I/O error.
pub async fn write_all(socket: &impl Socket, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll_fn(|context| socket.poll_writable(context)).await?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
