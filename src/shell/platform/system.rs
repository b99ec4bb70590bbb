//! The platform of the programs: the operating system.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::IntoRawFd as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::Async;
use listenfd::ListenFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{Resource, getrlimit};
use socket2::SockRef;

use super::addresses;
use super::memory;
use super::wall_clock::WallClock;
use super::{Arrival, Listener, LocalPort, Platform, Socket, sockets};
use crate::client;
use crate::time::Time;

/// The operating system.
#[derive(Debug, Clone, Copy)]
pub struct System {
    clock: WallClock,
}

impl System {
    /// The system, with this clock.
    #[must_use]
    pub const fn new(clock: WallClock) -> System {
        System { clock }
    }
}

impl Platform for System {
    type Socket = TcpConnection;
    type Listener = TcpPort;
    type Timer = Timer;
    #[cfg(feature = "port-mapping")]
    type Mapping = super::port_mapping::Mapping;
    #[cfg(not(feature = "port-mapping"))]
    type Mapping = std::convert::Infallible;

    fn now(&self) -> Time {
        self.clock.now()
    }

    async fn lose_address(&self, own: IpAddr, peer: SocketAddr) {
        addresses::lost(own, peer).await;
    }

    fn give_back_memory(&self) {
        memory::give_back();
    }

    fn timer(&self, at: Time) -> Timer {
        Timer(self.clock.instant(at).map_or_else(async_io::Timer::never, async_io::Timer::at))
    }

    fn after(&self, duration: Duration) -> Timer {
        Timer(async_io::Timer::after(duration))
    }

    fn never(&self) -> Timer {
        Timer(async_io::Timer::never())
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        getrandom::fill(bytes).map_err(|error| io::Error::other(error.to_string()))
    }

    fn most_files(&self) -> usize {
        let limit = getrlimit(Resource::Nofile).current;
        limit.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        async_net::resolve((host, port)).await
    }

    async fn connect(
        &self,
        to: SocketAddr,
        from: LocalPort,
        dead_link_secs: u64,
    ) -> io::Result<TcpConnection> {
        let socket = match from {
            LocalPort::Any => Async::<TcpStream>::connect(to).await?,
            LocalPort::Fresh => connect_shared(to, 0).await?,
            LocalPort::Shared(port) => connect_shared(to, port).await?,
        };
        sockets::tune(&SockRef::from(&socket), dead_link_secs)?;
        Ok(TcpConnection(socket))
    }

    fn listen_shared(&self, on: SocketAddr, dead_link_secs: u64) -> io::Result<TcpPort> {
        let socket = sockets::bind_shared(on)?;
        sockets::listen(&socket, dead_link_secs)?;
        Ok(TcpPort(Async::new_nonblocking(socket)?))
    }

    fn listen(&self, on: SocketAddr, dead_link_secs: u64) -> io::Result<TcpPort> {
        TcpPort::of(sockets::bind(on)?, dead_link_secs)
    }

    #[cfg(feature = "port-mapping")]
    async fn map_port(
        &self,
        inside: SocketAddr,
        known: Option<Self::Mapping>,
    ) -> Option<(client::Mapped, Self::Mapping)> {
        smol::unblock(move || super::port_mapping::ask(inside, known)).await
    }

    #[cfg(feature = "port-mapping")]
    async fn unmap_port(&self, mapping: Self::Mapping) {
        smol::unblock(move || super::port_mapping::give_back(mapping)).await;
    }

    #[cfg(not(feature = "port-mapping"))]
    async fn map_port(
        &self,
        _: SocketAddr,
        _: Option<Self::Mapping>,
    ) -> Option<(client::Mapped, Self::Mapping)> {
        None
    }

    #[cfg(not(feature = "port-mapping"))]
    async fn unmap_port(&self, mapping: Self::Mapping) {
        match mapping {}
    }

    fn unread(&self, sockets: &[&TcpConnection]) -> io::Result<Vec<bool>> {
        let asked = sockets.iter().map(|socket| PollFd::new(&socket.0, PollFlags::IN));
        let mut asked: Vec<PollFd<'_>> = asked.collect();
        poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        Ok(asked.iter().map(|socket| !socket.revents().is_empty()).collect())
    }
}

async fn connect_shared(to: SocketAddr, port: u16) -> io::Result<Async<TcpStream>> {
    let socket = Async::new_nonblocking(sockets::begin_shared(to, port)?)?;
    socket.writable().await?;
    match socket.get_ref().take_error()? {
        Some(error) => Err(error),
        None => Ok(socket),
    }
}

/// A timer of the system.
#[derive(Debug)]
pub struct Timer(async_io::Timer);

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context).map(drop)
    }
}

/// A connection of the system.
#[derive(Debug)]
pub struct TcpConnection(Async<TcpStream>);

impl TryFrom<TcpStream> for TcpConnection {
    type Error = io::Error;

    fn try_from(socket: TcpStream) -> io::Result<TcpConnection> {
        Async::new(socket).map(TcpConnection)
    }
}

impl Socket for TcpConnection {
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_readable(context)
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_writable(context)
    }

    // By system calls of its own: those of the C library could be cancelled, and pay for that.
    fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.0.get_ref(), bytes, RecvFlags::empty())?.0)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(self.0.get_ref(), bytes, SendFlags::NOSIGNAL)?)
    }

    fn peek(&self) -> io::Result<bool> {
        self.0.get_ref().peek(&mut [0]).map(|count| count > 0)
    }

    fn reset_when_dropped(&self) -> io::Result<()> {
        SockRef::from(&self.0).set_linger(Some(Duration::ZERO))
    }

    fn shut_down_write(&self) -> io::Result<()> {
        self.0.get_ref().shutdown(Shutdown::Write)
    }

    fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.get_ref().take_error()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().peer_addr()
    }
}

/// A connection that the reactor does not know of yet.
#[derive(Debug)]
pub struct TcpArrival(TcpStream);

impl Arrival for TcpArrival {
    type Socket = TcpConnection;

    fn take_on(self) -> io::Result<TcpConnection> {
        self.0.try_into()
    }

    fn turn_away(self) {
        // If this fails, it is closed without a reset.
        let _ = SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }
}

/// A listening socket of the system.
#[derive(Debug)]
pub struct TcpPort(Async<TcpListener>);

impl TcpPort {
    /// The listening socket that the service manager has opened (`LISTEN_FDS`), if it has. To be called once, before
    /// there are threads. Connections fail when their peers are silent for `dead_link_secs` (0: never).
    ///
    /// # Errors
    /// What was given is not one TCP socket; the I/O error.
    pub fn given(dead_link_secs: u64) -> io::Result<Option<TcpPort>> {
        let mut given = ListenFd::from_env();
        if given.len() > 1 {
            let sockets = given.len();
            return Err(io::Error::other(format!(
                "the service manager gives {sockets} sockets; one is wanted"
            )));
        }
        let socket = if given.len() == 0 { None } else { given.take_tcp_listener(0)? };
        socket.map(|socket| TcpPort::of(socket, dead_link_secs)).transpose()
    }

    fn of(listener: TcpListener, dead_link_secs: u64) -> io::Result<TcpPort> {
        sockets::listen(&listener, dead_link_secs)?;
        Ok(TcpPort(Async::new_nonblocking(listener)?))
    }
}

impl Listener for TcpPort {
    type Socket = TcpConnection;
    type Arrival = TcpArrival;

    fn hand_on(&self) -> io::Result<i32> {
        // Unlike all other files of this process, the copy is not closed by `exec`.
        Ok(rustix::io::dup(&self.0)?.into_raw_fd())
    }

    async fn accept(&self) -> io::Result<(TcpArrival, SocketAddr)> {
        let (socket, from) = self.0.read_with(TcpListener::accept).await?;
        Ok((TcpArrival(socket), from))
    }

    fn set_backlog(&self, connections: i32) -> io::Result<()> {
        SockRef::from(&self.0).listen(connections)
    }

    fn set_dead_link_secs(&self, secs: u64) -> io::Result<()> {
        sockets::tune(&SockRef::from(&self.0), secs)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn who_is_turned_away_reads_a_reset() -> io::Result<()> {
        let system = System::new(WallClock::starting_after(Time::ZERO));
        let listener = system.listen((Ipv4Addr::LOCALHOST, 0).into(), 15)?;
        let mut client = TcpStream::connect(listener.local_addr()?)?;
        let (arrival, from) = async_io::block_on(listener.accept())?;
        assert_eq!(from, client.local_addr()?);
        arrival.turn_away();
        assert_eq!(client.read(&mut [0]).map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionReset));
        Ok(())
    }
}
