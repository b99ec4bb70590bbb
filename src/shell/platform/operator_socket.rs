//! A Unix socket in a folder, by which whoever may open it speaks with the program.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use async_io::Async;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use rustix::fs::{Mode, fchmod};
use rustix::net::sockopt::socket_peercred;
use socket2::{Domain, SockAddr, Socket, Type};

/// The longest line that is read.
const LINE_BYTES: u64 = 4_096;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 16;

/// Takes connections of operators.
#[derive(Debug)]
pub struct OperatorPort(Async<UnixListener>);

/// One operator's connection.
#[derive(Debug)]
pub struct OperatorLink {
    stream: Async<UnixStream>,
    /// The user that opened it, as the system numbers them.
    pub uid: u32,
}

/// An operator's end of such a connection, which waits.
#[derive(Debug)]
pub struct OperatorCaller(UnixStream);

impl OperatorCaller {
    /// Connects to the socket of a server.
    ///
    /// # Errors
    /// `NotFound` or `ConnectionRefused` where none serves it; another I/O error.
    pub fn connect(path: &Path) -> io::Result<OperatorCaller> {
        UnixStream::connect(path).map(OperatorCaller)
    }

    /// A read that lasts longer fails with `WouldBlock`.
    ///
    /// # Errors
    /// The I/O error.
    pub fn wait_at_most(&self, limit: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(limit))
    }
}

impl Read for OperatorCaller {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Write for OperatorCaller {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl OperatorPort {
    /// Makes the socket, which only its owner may open, in the place of one that an earlier process has left.
    ///
    /// # Errors
    /// The I/O error; the path of a socket has at most 107 bytes.
    pub fn make(path: &Path) -> io::Result<OperatorPort> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // The file takes the mode of the socket: at no time others may open it.
        fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        socket.bind(&SockAddr::unix(path)?)?;
        socket.listen(BACKLOG)?;
        Async::new(UnixListener::from(socket)).map(OperatorPort)
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// The I/O error.
    pub async fn accept(&self) -> io::Result<OperatorLink> {
        let (stream, _) = self.0.accept().await?;
        let uid = socket_peercred(&stream)?.uid.as_raw();
        Ok(OperatorLink { stream, uid })
    }
}

impl OperatorLink {
    /// Reads a line, without its end.
    ///
    /// # Errors
    /// The I/O error; the stream ends before the line does; the line is too long, or no text.
    pub async fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            self.stream.read_exact(&mut byte).await?;
            if byte == *b"\n" {
                return String::from_utf8(line).map_err(|_| ErrorKind::InvalidData.into());
            }
            if line.len() as u64 >= LINE_BYTES {
                return Err(ErrorKind::InvalidData.into());
            }
            line.extend(byte);
        }
    }

    /// Writes a line.
    ///
    /// # Errors
    /// The I/O error.
    pub async fn write_line(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(line.as_bytes()).await?;
        self.stream.write_all(b"\n").await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn only_the_owner_may_open_it_and_one_that_is_left_is_replaced() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("ctl.sock");
        drop(OperatorPort::make(&path)?);
        let port = OperatorPort::make(&path)?;
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        let mut client = UnixStream::connect(&path)?;
        client.write_all(b"status\n")?;
        let mut link = async_io::block_on(port.accept())?;
        assert_eq!(link.uid, rustix::process::getuid().as_raw());
        assert_eq!(async_io::block_on(link.read_line())?, "status");
        async_io::block_on(link.write_line("fine"))?;
        assert_eq!(BufReader::new(client).lines().next().transpose()?.as_deref(), Some("fine"));
        Ok(())
    }

    #[test]
    fn an_endless_line_is_not_read_to_its_end() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let port = OperatorPort::make(&folder.path().join("ctl.sock"))?;
        let mut client = UnixStream::connect(folder.path().join("ctl.sock"))?;
        client.write_all(&[b'x'; 5_000])?;
        let mut link = async_io::block_on(port.accept())?;
        let error = async_io::block_on(link.read_line()).expect_err("too long");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        Ok(())
    }
}
