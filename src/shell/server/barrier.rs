//! Tells when everything that was ready to be read has been reported.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;

use async_io::Async;

/// A socket with a byte in it that nobody reads. The system queues ready sockets in the order in which they
/// became ready or were watched, and the reactor wakes tasks in that order. So when this one, watched last, is
/// reported, every task whose socket was ready before has been woken.
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

    /// Waits until all tasks are woken whose sockets are ready now.
    pub(super) async fn passed(&self) {
        // A reactor that fails reports nothing more to anybody.
        let _ = self.always_ready.readable().await;
    }
}
