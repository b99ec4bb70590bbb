//! A question to one machine by UDP, said again until there is an answer to it.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

/// Pauses until it is said again, and at last given up: less than two seconds.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_millis(1_000)];
/// The longest answer that is read; longer ones are cut off.
const ANSWER_BYTES: usize = 1_100;

/// A socket that hears one machine only.
#[derive(Debug)]
pub(super) struct Exchange(UdpSocket);

impl Exchange {
    pub(super) fn new(own: Ipv4Addr, other: SocketAddrV4) -> io::Result<Exchange> {
        let socket = UdpSocket::bind((own, 0))?;
        socket.connect(other)?;
        Ok(Exchange(socket))
    }

    /// The first answer of which `read` makes something.
    ///
    /// # Errors
    /// The I/O error, also that nobody listens there; [`ErrorKind::TimedOut`] if there is no answer.
    pub(super) fn ask<T>(&self, question: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> io::Result<T> {
        let mut answer = [0; ANSWER_BYTES];
        for pause in PAUSES {
            self.0.send(question)?;
            let until = Instant::now() + pause;
            while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            {
                self.0.set_read_timeout(Some(left))?;
                match self.0.recv(&mut answer) {
                    Ok(count) => {
                        if let Some(found) = answer.get(..count).and_then(&read) {
                            return Ok(found);
                        }
                    }
                    Err(error) if is_pause(&error) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Err(ErrorKind::TimedOut.into())
    }

    /// Says something without waiting for an answer.
    pub(super) fn say(&self, words: &[u8]) {
        // It need not arrive.
        let _ = self.0.send(words);
    }
}

/// Whether an error says only that nothing has come yet.
pub(super) fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
