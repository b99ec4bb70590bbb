//! The socket of a private link that the server relays: what is written goes to the core, which sends it to the server,
//! and what is read is what the core was brought.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::shell::platform::Socket;

/// What the core has to be told of a relay.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Relayed {
    /// To the other client; nothing: no more follows.
    Leaving(Vec<u8>),
    /// So many bytes were read.
    Taken(usize),
}

/// What has come, and was not read.
#[derive(Debug, Default)]
struct Come {
    bytes: RefCell<VecDeque<u8>>,
    is_over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// Hands over what has come.
#[derive(Debug)]
pub(super) struct Feed(Rc<Come>);

/// The end of a relay.
pub(super) struct RelaySocket<T: Fn(Relayed) + 'static> {
    come: Rc<Come>,
    tell: T,
    has_ended: Cell<bool>,
}

impl Feed {
    /// Bytes have come.
    pub(super) fn bring(&self, bytes: &[u8]) {
        self.0.bytes.borrow_mut().extend(bytes);
        self.wake();
    }

    /// Nothing more comes.
    pub(super) fn end(&self) {
        self.0.is_over.set(true);
        self.wake();
    }

    fn wake(&self) {
        let waker = self.0.waker.borrow_mut().take();
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<T: Fn(Relayed) + 'static> RelaySocket<T> {
    /// A relay and its feed; `tell` reaches the core.
    pub(super) fn new(tell: T) -> (RelaySocket<T>, Feed) {
        let come = Rc::<Come>::default();
        let feed = Feed(Rc::clone(&come));
        (RelaySocket { come, tell, has_ended: Cell::new(false) }, feed)
    }

    fn end(&self) {
        if !self.has_ended.replace(true) {
            (self.tell)(Relayed::Leaving(Vec::new()));
        }
    }
}

impl<T: Fn(Relayed) + 'static> Drop for RelaySocket<T> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<T: Fn(Relayed) + 'static> Socket for RelaySocket<T> {
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.come.bytes.borrow().is_empty() || self.come.is_over.get() {
            return Poll::Ready(Ok(()));
        }
        *self.come.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = io::Read::read(&mut *self.come.bytes.borrow_mut(), bytes)?;
        match count {
            0 if bytes.is_empty() || self.come.is_over.get() => {}
            0 => return Err(ErrorKind::WouldBlock.into()),
            count => (self.tell)(Relayed::Taken(count)),
        }
        Ok(count)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.has_ended.get() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if !bytes.is_empty() {
            (self.tell)(Relayed::Leaving(bytes.to_vec()));
        }
        Ok(bytes.len())
    }

    fn peek(&self) -> io::Result<bool> {
        match (self.come.bytes.borrow().is_empty(), self.come.is_over.get()) {
            (false, _) => Ok(true),
            (true, true) => Ok(false),
            (true, false) => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn reset_when_dropped(&self) -> io::Result<()> {
        Ok(())
    }

    fn shut_down_write(&self) -> io::Result<()> {
        self.end();
        Ok(())
    }

    fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(None)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Err(ErrorKind::AddrNotAvailable.into())
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::platform;
    use futures_lite::future::{block_on, poll_once};

    #[test]
    fn what_is_brought_is_read_and_told_and_the_end_comes_after_it() -> io::Result<()> {
        let told = Rc::new(RefCell::new(Vec::new()));
        let (socket, feed) = RelaySocket::new({
            let told = Rc::clone(&told);
            move |relayed| told.borrow_mut().push(relayed)
        });
        let mut room = [0; 4];
        assert!(block_on(poll_once(platform::read(&socket, &mut room))).is_none());
        feed.bring(b"hello");
        feed.end();
        assert_eq!(block_on(platform::read(&socket, &mut room))?, 4);
        assert_eq!(block_on(platform::read(&socket, &mut room))?, 1);
        assert_eq!(block_on(platform::read(&socket, &mut room))?, 0);
        socket.write(b"hi")?;
        socket.shut_down_write()?;
        assert!(socket.write(b"late").is_err());
        drop(socket);
        let expected = [
            Relayed::Taken(4),
            Relayed::Taken(1),
            Relayed::Leaving(b"hi".to_vec()),
            Relayed::Leaving(Vec::new()),
        ];
        assert_eq!(*told.borrow(), expected);
        Ok(())
    }
}
