//! A connection that talks in lines, from an address of its choice.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

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

/// A connection to the server; one line at a time.
#[derive(Debug)]
pub(crate) struct Talk {
    stream: BufReader<TcpStream>,
}

impl Talk {
    /// Connects and takes the greeting.
    pub(crate) fn open(from: Ipv4Addr, to: SocketAddr) -> io::Result<Talk> {
        let stream = connect(from, to)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut talk = Talk { stream: BufReader::new(stream) };
        talk.until(&["hobnob "])?;
        Ok(talk)
    }

    /// Connects and logs in; waits while the last session of the name ends or the server is busy.
    pub(crate) fn log_in(from: Ipv4Addr, to: SocketAddr, name: &str) -> io::Result<(Talk, String)> {
        let began = Instant::now();
        loop {
            let mut talk = Talk::open(from, to)?;
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
        self.stream.get_ref()
    }

    /// Closes it with a reset.
    pub(crate) fn reset(self) -> io::Result<()> {
        Socket::from(self.stream.into_inner()).set_linger(Some(Duration::ZERO))
    }

    /// The connection alone; what was read and not looked at is lost.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream.into_inner()
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
