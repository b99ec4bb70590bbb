//! A connection that talks in lines, from an address of its choice.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hobnob::shell::tunnel::dialler::Dialler;
use hobnob::shell::tunnel::{Received, Tunnel};
use socket2::{Domain, Socket, Type};

use super::wire::Wire;

/// A connection or a line that takes longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The first line of a client that acknowledges and resumes.
pub(crate) const HELLO: &str = "hello 1 ack resume";

/// Every account's.
pub(crate) const PASSWORD: &str = "falcon";

/// The address of a house in a street: one that counts as not of this machine where the network namespace was
/// made, else one of the loopback.
pub(crate) fn host(street: u8, house: u8) -> Ipv4Addr {
    let first = if has_addresses() { 10 } else { 127 };
    Ipv4Addr::new(first, 77, street, house)
}

/// Whether addresses that are not of the loopback can be used.
pub(crate) fn has_addresses() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| UdpSocket::bind(("10.77.0.1", 0)).is_ok())
}

/// A TCP connection from an address, with small lines sent at once.
pub(crate) fn connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

/// Where a server is, and how it is spoken to.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    address: SocketAddr,
    dialler: Dialler,
}

impl Door {
    /// With TLS, as a client that has just started.
    pub(crate) fn encrypted(address: SocketAddr) -> io::Result<Door> {
        let dialler = Dialler::to_any_key("localhost").map_err(io::Error::other)?;
        Ok(Door { address, dialler })
    }

    /// The same, for a client that has just started: it takes up no session of TLS.
    pub(crate) fn fresh(&self) -> io::Result<Door> {
        match self.dialler {
            Dialler::Plain => Ok(self.address.into()),
            Dialler::Tls { .. } => Door::encrypted(self.address),
        }
    }
}

/// Without TLS.
impl From<SocketAddr> for Door {
    fn from(address: SocketAddr) -> Door {
        Door { address, dialler: Dialler::Plain }
    }
}

/// Plain bytes over a socket that waits.
#[derive(Debug)]
struct Line {
    wire: Wire,
    tunnel: Tunnel,
}

impl Line {
    fn open(stream: TcpStream, dialler: &Dialler) -> io::Result<Line> {
        let mut line = Line { wire: Wire(stream), tunnel: dialler.tunnel()? };
        let mut scratch = [0; 4 * 1024];
        while !line.tunnel.is_open() {
            line.flush()?;
            match line.tunnel.read(&line.wire, &mut scratch)? {
                Received::Bytes(_) => {}
                Received::End | Received::Cut => return Err(ErrorKind::UnexpectedEof.into()),
            }
        }
        line.flush()?;
        Ok(line)
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tunnel.read(&self.wire, buffer)? {
                // Something about the tunnel itself.
                Received::Bytes(bytes) if bytes.is_empty() => {}
                Received::Bytes(bytes) => {
                    for (to, byte) in buffer.iter_mut().zip(&*bytes) {
                        *to = *byte;
                    }
                    return Ok(bytes.len());
                }
                Received::End | Received::Cut => return Ok(0),
            }
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.tunnel.write(bytes, &self.wire)?;
        if written.all || written.taken > 0 { Ok(written.taken) } else { Err(ErrorKind::TimedOut.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.tunnel.write(&[], &self.wire)?;
        if written.all { Ok(()) } else { Err(ErrorKind::TimedOut.into()) }
    }
}

/// A connection to the server; one line at a time.
#[derive(Debug)]
pub(crate) struct Talk {
    stream: BufReader<Line>,
}

impl Talk {
    /// Connects and takes the greeting.
    pub(crate) fn open(from: Ipv4Addr, to: impl Into<Door>) -> io::Result<Talk> {
        let Door { address, dialler } = to.into();
        let stream = connect(from, address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut talk = Talk { stream: BufReader::new(Line::open(stream, &dialler)?) };
        talk.until(&["hobnob "])?;
        Ok(talk)
    }

    /// Connects and logs in; waits while the last session of the name ends or the server is busy.
    pub(crate) fn log_in(from: Ipv4Addr, to: impl Into<Door>, name: &str) -> io::Result<(Talk, String)> {
        let (to, began) = (to.into(), Instant::now());
        loop {
            let mut talk = Talk::open(from, to.clone())?;
            talk.say(&format!("{HELLO}\nlogin {name} {PASSWORD}"))?;
            let answer = talk.until(&["welcome ", "refused "])?;
            if answer.starts_with("welcome ") {
                return Ok((talk, answer));
            }
            let passes = answer == "refused busy" || answer == "refused already_online";
            if !passes || began.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("{name} heard: {answer}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Says a line, or lines with line feeds between them.
    pub(crate) fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes())
    }

    /// The next line, without its end.
    pub(crate) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches('\n').to_owned())
    }

    /// Skips to a line with one of these beginnings.
    pub(crate) fn until(&mut self, beginnings: &[&str]) -> io::Result<String> {
        loop {
            let line = self.line()?;
            if beginnings.iter().any(|beginning| line.starts_with(beginning)) {
                return Ok(line);
            }
        }
    }

    /// Says a line and skips to its `ok` or `error`.
    pub(crate) fn ask(&mut self, line: &str) -> io::Result<String> {
        self.say(line)?;
        self.until(&["ok ", "error "])
    }

    /// Logs out and waits for the end of the connection.
    pub(crate) fn log_out(mut self) -> io::Result<()> {
        self.say("logout")?;
        self.until(&["bye "]).map(|_| ())
    }

    /// The connection itself.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream.get_ref().wire.0
    }

    /// Closes it with a reset.
    pub(crate) fn reset(self) -> io::Result<()> {
        Socket::from(self.into_stream()).set_linger(Some(Duration::ZERO))
    }

    /// The connection alone, without TLS; what was read and not looked at is lost.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream.into_inner().wire.0
    }
}

/// The token in a `welcome`.
pub(crate) fn token(welcome: &str) -> io::Result<&str> {
    welcome.rsplit_once(" token ").map(|(_, token)| token).ok_or_else(|| io::Error::other("no token"))
}

/// Whether a read has ended because its time was over.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
