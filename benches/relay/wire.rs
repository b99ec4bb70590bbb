//! A socket under a tunnel, in a loop that does not wait on it.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::task::{Context, Poll};

use hobnob::shell::platform::Socket;

/// A socket for a tunnel that nobody waits on.
#[derive(Debug)]
pub(crate) struct Wire(pub(crate) TcpStream);

impl Socket for Wire {
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
