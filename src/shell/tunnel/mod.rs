//! What lies between a socket and the lines that are said on it: nothing, or TLS 1.3.
//!
//! A [`Tunnel`] reads and writes plain bytes on a socket, without waiting; whoever has it need not know which kind it is.
//! It owns memory only for bytes that are on their way, beside what rustls keeps.

pub mod acceptor;
pub mod between_clients;
pub mod dialler;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::sync::Arc;

use ::aws_lc_rs::digest::{SHA256, digest};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::ParsedCertificate;
use rustls_pki_types::CertificateDer;

use super::platform::Socket;
use super::wiping_allocator::with_secrets;
use crate::words::Fingerprint;
use crate::words::wiped::{WipedBytes, wipe};

/// Plain bytes that are sealed at a time: one record.
const RECORD: usize = 16 * 1024;
/// Bytes of a handshake that are read before the work for them is done.
const STEP: usize = 4 * 1024;
/// Bytes that a caller may send before its handshake is done; the usual ones send two thousand.
const HANDSHAKE_BYTES: usize = 32 * 1024;

/// A way for plain bytes over a socket.
pub struct Tunnel(Option<Box<Tls>>);

/// The TLS of one connection.
struct Tls {
    session: rustls::Connection,
    /// Sealed bytes that the socket has not taken.
    pending: Vec<u8>,
    /// Plain bytes in them.
    sealed: usize,
    /// Bytes that came before the handshake was done.
    came: usize,
    /// Where its records end in what comes.
    records: Records,
    ended: bool,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// Plain bytes. None, if what came was about the tunnel itself.
    Bytes(WipedBytes),
    /// The other side has said that it says no more; it may still listen.
    End,
    /// The stream is cut off: over, without that word. Without TLS that cannot be told from an end.
    Cut,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Plain bytes that were taken, the first ones.
    pub taken: usize,
    /// Plain bytes, of these and of earlier ones, of which all has left.
    pub left: usize,
    /// Whether anything has left.
    pub moved: bool,
    /// Whether nothing waits any more.
    pub all: bool,
}

impl Tunnel {
    /// Bytes as they are.
    #[must_use]
    pub const fn plain() -> Tunnel {
        Tunnel(None)
    }

    fn tls(session: rustls::Connection) -> Tunnel {
        let records = Records::default();
        Tunnel(Some(Box::new(Tls {
            session,
            pending: Vec::new(),
            sealed: 0,
            came: 0,
            records,
            ended: false,
        })))
    }

    /// Whether plain bytes can be exchanged: before, there is a handshake to be done.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.as_ref().is_none_or(|tls| !tls.session.is_handshaking())
    }

    /// Sealed bytes that wait for the socket.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.0.as_ref().map_or(0, |tls| tls.pending.len())
    }

    /// What the end of the socket's stream means, if nothing is unread.
    #[must_use]
    pub fn at_end(&self) -> Received {
        if self.0.as_ref().is_none_or(|tls| tls.ended) { Received::End } else { Received::Cut }
    }

    /// The key of the other side, of which it has proved that it has it; once the tunnel is open.
    #[must_use]
    pub fn peer_key(&self) -> Option<Fingerprint> {
        let session = &self.0.as_ref()?.session;
        fingerprint(session.peer_certificates()?.first()?)
    }

    /// Reads once, into a buffer that is overwritten afterwards.
    ///
    /// # Errors
    /// The I/O error; [`ErrorKind::InvalidData`] with a [`Fault`] if it is no TLS.
    pub fn read(&mut self, socket: &impl Socket, buffer: &mut [u8]) -> io::Result<Received> {
        if self.0.as_ref().is_some_and(|tls| tls.ended) {
            return Ok(Received::End);
        }
        let count = socket.read(buffer)?;
        let read = buffer.get_mut(..count).unwrap_or_default();
        let Some(tls) = &mut self.0 else {
            let bytes = WipedBytes::from(&*read);
            wipe(read);
            return Ok(if count == 0 { Received::End } else { Received::Bytes(bytes) });
        };
        if count == 0 {
            return Ok(Received::Cut);
        }
        let mut plain = WipedBytes::new();
        with_secrets(|| tls.unseal(read, &mut plain))?;
        Ok(if tls.ended && plain.is_empty() { Received::End } else { Received::Bytes(plain) })
    }

    /// Reads some of a handshake, without the work for it; `false` at the end of the stream.
    ///
    /// # Errors
    /// The I/O error; [`ErrorKind::InvalidData`] if too much has come.
    pub fn gather(&mut self, socket: &impl Socket, buffer: &mut [u8]) -> io::Result<bool> {
        let length = buffer.len().min(STEP);
        let count = socket.read(buffer.get_mut(..length).unwrap_or_default())?;
        let Some(tls) = &mut self.0 else { return Ok(count > 0) };
        tls.came += count;
        if tls.came > HANDSHAKE_BYTES {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut rest = buffer.get(..count).unwrap_or_default();
        tls.records.follow(rest);
        while !rest.is_empty() && tls.session.read_tls(&mut rest)? > 0 {}
        Ok(count > 0)
    }

    /// Does the work for what was gathered.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn shake(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), |tls| with_secrets(|| tls.process().map(drop)))
    }

    /// The plain bytes that came with the end of the handshake.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn first_bytes(&mut self) -> io::Result<WipedBytes> {
        let mut plain = WipedBytes::new();
        if let Some(tls) = &mut self.0 {
            with_secrets(|| tls.open(&mut plain).map(|()| tls.forget_plain(usize::MAX)))?;
        }
        Ok(plain)
    }

    /// Writes plain bytes, and what the tunnel itself has to say; before it is open, only that.
    ///
    /// # Errors
    /// The I/O error. That the socket is full is none.
    pub fn write(&mut self, plain: &[u8], socket: &impl Socket) -> io::Result<Written> {
        match &mut self.0 {
            None => write_plain(plain, socket),
            Some(tls) => tls.write(plain, socket),
        }
    }

    /// Says that no more bytes will come, after those that were taken.
    pub fn end(&mut self) {
        if let Some(tls) = &mut self.0 {
            tls.session.send_close_notify();
        }
    }
}

/// Its kind; no bytes.
impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Tunnel(TLS)" } else { "Tunnel(plain)" })
    }
}

fn write_plain(plain: &[u8], socket: &impl Socket) -> io::Result<Written> {
    let mut left = 0;
    while left < plain.len() {
        match write_some(socket, plain.get(left..).unwrap_or_default())? {
            0 => break,
            count => left += count,
        }
    }
    Ok(Written { taken: left, left, moved: left > 0, all: left == plain.len() })
}

/// Writes once; 0 if the socket is full.
fn write_some(socket: &impl Socket, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match socket.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            done => return done,
        }
    }
}

impl Tls {
    fn write(&mut self, plain: &[u8], socket: &impl Socket) -> io::Result<Written> {
        let mut written = Written { taken: 0, left: 0, moved: false, all: false };
        loop {
            while self.session.wants_write() {
                let pending = &mut self.pending;
                self.session.write_tls(&mut Sealed { socket, pending, moved: &mut written.moved })?;
            }
            if !self.flush(socket, &mut written.moved)? {
                break;
            }
            written.left += std::mem::take(&mut self.sealed);
            let rest = plain.get(written.taken..).unwrap_or_default();
            if rest.is_empty() || self.session.is_handshaking() {
                written.all = rest.is_empty();
                break;
            }
            let record = rest.get(..RECORD).unwrap_or(rest);
            self.sealed = self.session.writer().write(record)?;
            written.taken += self.sealed;
        }
        Ok(written)
    }

    /// Writes what is sealed; whether all of it was taken. Then its memory is given back.
    fn flush(&mut self, socket: &impl Socket, moved: &mut bool) -> io::Result<bool> {
        let mut left = 0;
        while left < self.pending.len() {
            match write_some(socket, self.pending.get(left..).unwrap_or_default())? {
                0 => break,
                count => left += count,
            }
        }
        *moved |= left > 0;
        let all = left == self.pending.len();
        if all {
            self.pending = Vec::new();
        } else {
            self.pending.drain(..left);
        }
        Ok(all)
    }

    fn unseal(&mut self, mut sealed: &[u8], plain: &mut WipedBytes) -> io::Result<()> {
        // The most that rustls has had in its buffer.
        let most = self.records.unfinished() + sealed.len();
        self.records.follow(sealed);
        while !sealed.is_empty() && !self.ended {
            if self.session.read_tls(&mut sealed)? == 0 {
                break;
            }
            self.open(plain)?;
        }
        if !plain.is_empty() {
            self.forget_plain(most);
        }
        Ok(())
    }

    /// Does the work for what was read; returns how many plain bytes there are.
    fn process(&mut self) -> io::Result<usize> {
        let state = self.session.process_new_packets().map_err(|error| Fault(error).into_io())?;
        self.ended |= state.peer_has_closed();
        Ok(state.plaintext_bytes_to_read())
    }

    /// Appends the plain bytes of what was read.
    fn open(&mut self, plain: &mut WipedBytes) -> io::Result<()> {
        let count = self.process()?;
        if count == 0 {
            return Ok(());
        }
        let mut read = Ok(());
        plain.write_with(count, |bytes| {
            let start = bytes.len();
            bytes.resize(start + count, 0);
            read = self.session.reader().read_exact(bytes.get_mut(start..).unwrap_or_default());
        });
        read
    }

    /// Overwrites what rustls leaves of plain bytes in its buffer, up to the next read: there may be a password in them. It
    /// opens records where they lie, so that they are within as many bytes as it has had there.
    fn forget_plain(&mut self, most: usize) {
        // It reads nothing.
        let _ = self.session.read_tls(&mut Overwriter { most });
    }
}

/// Takes sealed bytes: the socket gets what it takes, and the rest waits.
struct Sealed<'a, S> {
    socket: &'a S,
    pending: &'a mut Vec<u8>,
    moved: &'a mut bool,
}

impl<S: Socket> io::Write for Sealed<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = if self.pending.is_empty() { write_some(self.socket, bytes)? } else { 0 };
        *self.moved |= sent > 0;
        self.pending.extend_from_slice(bytes.get(sent..).unwrap_or_default());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Overwrites the beginning of the buffer that it is to read into, and reads nothing.
struct Overwriter {
    most: usize,
}

impl io::Read for Overwriter {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.most.min(buffer.len());
        wipe(buffer.get_mut(..most).unwrap_or_default());
        Err(ErrorKind::WouldBlock.into())
    }
}

/// Where the records in what comes end.
#[derive(Debug, Default)]
struct Records {
    /// Bytes of a record that has not come whole.
    came: usize,
    /// What its header says so far of how many follow it.
    length: usize,
}

impl Records {
    /// Bytes of a record's header: its kind, its version and, in two bytes, how many follow.
    const HEADER: usize = 5;

    /// Bytes of a record that has not come whole.
    const fn unfinished(&self) -> usize {
        self.came
    }

    fn follow(&mut self, mut bytes: &[u8]) {
        while let Some((&first, behind)) = bytes.split_first() {
            if self.came < Records::HEADER {
                if self.came + 2 >= Records::HEADER {
                    self.length = self.length << 8 | usize::from(first);
                }
                self.came += 1;
                bytes = behind;
            } else {
                let more = bytes.len().min(Records::HEADER + self.length - self.came);
                self.came += more;
                bytes = bytes.get(more..).unwrap_or_default();
            }
            if self.came == Records::HEADER + self.length {
                *self = Records::default();
            }
        }
    }
}

/// Why TLS failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fault(rustls::Error);

impl Fault {
    fn into_io(self) -> io::Error {
        io::Error::new(ErrorKind::InvalidData, self)
    }
}

/// Whether an error is one of TLS, and not of the connection below it.
#[must_use]
pub fn is_fault(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Fault>())
}

/// What a key is known by, if the certificate can be read.
#[must_use]
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Option<Fingerprint> {
    let key = ParsedCertificate::try_from(certificate).ok()?.subject_public_key_info();
    digest(&SHA256, key.as_ref()).as_ref().try_into().ok().map(Fingerprint)
}

/// The algorithms: those of TLS 1.3, and keys that are agreed on in a way that stays secret if quantum computers come.
fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::kx_group::{SECP256R1, X25519, X25519MLKEM768};
    let kx_groups = vec![X25519MLKEM768, X25519, SECP256R1];
    Arc::new(CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() })
}
