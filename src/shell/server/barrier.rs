//! Waits until the reactor has reported every socket that is ready.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;

use async_io::Async;

/// A socket that is always readable. epoll queues sockets in the order in which they become ready or are
/// registered, and the reactor wakes tasks in that order. So when this socket, registered last, is reported,
/// the task of every socket that was ready before has been woken.
pub(super) struct Barrier {
    always_ready: Async<UnixStream>,
    _other_end: UnixStream,
}

impl Barrier {
    pub(super) fn new() -> io::Result<Barrier> {
        let (always_ready, mut other_end) = UnixStream::pair()?;
        other_end.write_all(b".")?;
        Ok(Barrier { always_ready: Async::new(always_ready)?, _other_end: other_end })
    }

    /// Returns when the task of every socket that is ready now has been woken.
    pub(super) async fn passed(&self) {
        // An error of the reactor shows on every other socket as well.
        let _ = self.always_ready.readable().await;
    }
}
