//! A bare connection, as with `nc`.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use crate::{PASSWORD, PATIENCE};

/// Lines that come without having been asked for, or before the answer.
const NOTICES: [&str; 8] =
    ["online", "offline", "message", "group-message", "broadcast", "changed", "ask", "members"];

/// One end of a connection that talks in lines.
#[derive(Debug)]
pub struct Wire {
    stream: BufReader<TcpStream>,
}

impl Wire {
    /// Connects to a server on this machine and takes the greeting.
    #[must_use]
    pub fn connect(port: u16) -> Wire {
        let mut wire = Wire::over(TcpStream::connect(("127.0.0.1", port)).expect("connected"));
        // A server with short lines relays nothing.
        let greeting = wire.line();
        assert_eq!(greeting.replace(" relay", ""), "hobnob 1 ack resume device alive courier away until");
        wire
    }

    /// Connects and logs in with [`PASSWORD`]; stored mail may follow.
    #[must_use]
    pub fn user(port: u16, name: &str) -> Wire {
        let mut wire = Wire::connect(port);
        wire.log_in(name, PASSWORD);
        wire
    }

    /// Over an open connection.
    #[must_use]
    pub fn over(stream: TcpStream) -> Wire {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Wire { stream: BufReader::new(stream) }
    }

    /// Says a line, or lines with line feeds between them.
    pub fn say(&mut self, line: &str) {
        self.send(format!("{line}\n").as_bytes());
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("written");
    }

    /// Sends bytes; false if the connection does not take them any more.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.get_mut().write_all(bytes).is_ok()
    }

    /// Ends the stream; the other end may still be read.
    pub fn end(&mut self) {
        self.stream.get_mut().shutdown(Shutdown::Write).expect("the end of the stream");
    }

    /// The next line; `None` at the end.
    pub fn next_line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.stream.read_line(&mut line).expect("a line in time");
        (length > 0).then(|| line.trim_end_matches('\n').to_owned())
    }

    /// The next whole line; `None` when the other end is gone, in whatever way.
    pub fn try_line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok()?;
        line.strip_suffix('\n').map(str::to_owned)
    }

    /// The next line; empty at the end.
    pub fn line(&mut self) -> String {
        self.next_line().unwrap_or_default()
    }

    /// The next line that is no notice.
    pub fn answer(&mut self) -> String {
        loop {
            let line = self.line();
            let word = line.split(' ').next().unwrap_or_default();
            if !NOTICES.contains(&word) {
                return line;
            }
        }
    }

    /// Says a line and takes the next one.
    pub fn asks(&mut self, line: &str) -> String {
        self.say(line);
        self.line()
    }

    /// Says a line and takes the next one that is no notice.
    pub fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.answer()
    }

    /// Says one line on a new connection; its answer, or `None` if the server is gone or goes.
    #[must_use]
    pub fn try_ask(port: u16, line: &str) -> Option<String> {
        let mut wire = Wire::over(TcpStream::connect(("127.0.0.1", port)).ok()?);
        if !wire.try_send(format!("{line}\n").as_bytes()) {
            return None;
        }
        let _greeting = wire.try_line()?;
        wire.try_line()
    }

    /// The next line is this.
    pub fn expect(&mut self, wanted: &str) {
        assert_eq!(self.line(), wanted);
    }

    /// Skips to a line that begins with this.
    pub fn skip_to(&mut self, beginning: &str) -> String {
        loop {
            let line = self.next_line();
            let line = line.unwrap_or_else(|| panic!("the connection ended before {beginning:?}"));
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    /// Logs in; returns the welcome.
    pub fn log_in(&mut self, name: &str, password: &str) -> String {
        let welcome = self.asks(&format!("login {name} {password}"));
        assert!(welcome.starts_with(&format!("welcome {name} unread ")), "{welcome}");
        welcome
    }

    /// Everything up to the end of the stream; a reset is an end, too.
    pub fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        }
        String::from_utf8(rest).expect("UTF-8")
    }

    /// The connection itself.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }
}
