//! Sockets of the load: many in one thread, bytes in whole lines.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hobnob::shell::platform::Socket as SocketOfTunnel;
use hobnob::shell::tunnel::{Received, Tunnel};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use socket2::{Domain, Socket, Type};

use super::program::Program;

/// Room for one read and the line it may begin in the middle of.
pub(crate) const SCRATCH_BYTES: usize = 256 * 1024;

/// Client addresses in use, so that closed connections do not use up the ports of one.
const SOURCES: u8 = 64;
static NEXT_SOURCE: AtomicU8 = AtomicU8::new(0);

/// Waits for connections to have something to read.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Poller> {
        Ok(Poller { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, events: Vec::with_capacity(1024) })
    }

    pub(crate) fn add(&self, connection: &Connection, token: u64) -> io::Result<()> {
        self.add_stream(&connection.stream.0, token)
    }

    pub(crate) fn add_stream(&self, stream: impl std::os::fd::AsFd, token: u64) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token);
        Ok(epoll::add(&self.epoll, stream, data, epoll::EventFlags::IN)?)
    }

    pub(crate) fn remove(&self, connection: &Connection) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, &connection.stream.0)?)
    }

    /// The tokens of those that have something; none after `timeout`.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<impl Iterator<Item = u64>> {
        self.events.clear();
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(self.events.iter().map(|event| event.data.u64())),
            Err(error) => Err(error.into()),
        }
    }
}

/// A connection of the load.
pub(crate) struct Connection {
    stream: Wire,
    /// With TLS.
    tunnel: Option<Tunnel>,
    /// The beginning of a line whose end has not come.
    unfinished: Vec<u8>,
    /// Bytes to be written with the next [`flush`](Connection::flush).
    pub(crate) out: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(program: &Program) -> io::Result<Connection> {
        let mut connection = Connection::plain(program.address)?;
        if let Some(dialler) = &program.dialler {
            let mut tunnel = dialler.tunnel()?;
            shake_hands(&mut tunnel, &connection.stream)?;
            connection.tunnel = Some(tunnel);
        }
        Ok(connection)
    }

    fn plain(to: SocketAddr) -> io::Result<Connection> {
        let source = Ipv4Addr::new(127, 0, 0, 1 + NEXT_SOURCE.fetch_add(1, Ordering::Relaxed) % SOURCES);
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
        socket.connect(&to.into())?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Connection { stream: Wire(socket.into()), tunnel: None, unfinished: Vec::new(), out: Vec::new() })
    }

    /// Writes the buffer. So little is under way that it always fits in the end.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Some(tunnel) = &mut self.tunnel {
            write_all(tunnel, &self.stream, &self.out)?;
            self.out.clear();
            return Ok(());
        }
        let mut rest = self.out.as_slice();
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        Ok(())
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.extend_from_slice(bytes);
        self.flush()
    }

    /// One read: the lines that are whole now, each with its line feed.
    pub(crate) fn read<'s>(&mut self, scratch: &'s mut [u8]) -> io::Result<&'s [u8]> {
        let begun = self.unfinished.len();
        scratch[..begun].copy_from_slice(&self.unfinished);
        let read = match &mut self.tunnel {
            None => self.stream.read(&mut scratch[begun..]),
            Some(tunnel) => match tunnel.read(&self.stream, &mut scratch[begun..]) {
                Ok(Received::Bytes(bytes)) if bytes.is_empty() => Err(ErrorKind::WouldBlock.into()),
                Ok(Received::Bytes(bytes)) => {
                    scratch[begun..begun + bytes.len()].copy_from_slice(&bytes);
                    Ok(bytes.len())
                }
                Ok(Received::End | Received::Cut) => Ok(0),
                Err(error) => Err(error),
            },
        };
        let count = match read {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        let filled: &'s [u8] = &scratch[..begun + count];
        let whole = memchr::memrchr(b'\n', filled).map_or(0, |end| end + 1);
        self.unfinished.clear();
        self.unfinished.extend_from_slice(&filled[whole..]);
        Ok(&filled[..whole])
    }
}

/// Does a handshake, while nothing else is to be done.
pub(crate) fn shake_hands(tunnel: &mut Tunnel, wire: &Wire) -> io::Result<()> {
    let mut scratch = [0; 4 * 1024];
    write_all(tunnel, wire, &[])?;
    while !tunnel.is_open() {
        match tunnel.read(wire, &mut scratch) {
            Ok(Received::Bytes(_)) => write_all(tunnel, wire, &[])?,
            Ok(Received::End | Received::Cut) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes all of some bytes.
pub(crate) fn write_all(tunnel: &mut Tunnel, wire: &Wire, mut bytes: &[u8]) -> io::Result<()> {
    loop {
        let written = tunnel.write(bytes, wire)?;
        if written.all {
            return Ok(());
        }
        bytes = &bytes[written.taken..];
        std::thread::yield_now();
    }
}

/// A socket for a tunnel that nobody waits on.
pub(crate) struct Wire(pub(crate) TcpStream);

impl SocketOfTunnel for Wire {
    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(bytes)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    fn peek(&self) -> io::Result<bool> {
        self.0.peek(&mut [0]).map(|count| count > 0)
    }

    fn reset_when_dropped(&self) -> io::Result<()> {
        Ok(())
    }

    fn shut_down_write(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.take_error()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }
}

/// A buffer that all reads of a loop share.
pub(crate) fn scratch() -> Box<[u8]> {
    vec![0; SCRATCH_BYTES].into()
}

pub(crate) fn count_lines(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

/// The last of some lines, without its line feed.
pub(crate) fn last_line(lines: &[u8]) -> &[u8] {
    let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
    memchr::memrchr(b'\n', lines).map_or(lines, |before| &lines[before + 1..])
}
