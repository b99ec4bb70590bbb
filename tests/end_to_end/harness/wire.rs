//! A bare connection, as with `nc`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use super::PATIENCE;

pub(crate) struct Wire {
    stream: BufReader<TcpStream>,
}

impl Wire {
    /// Connects and takes the greeting.
    pub(crate) fn connect(port: u16) -> Wire {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut wire = Wire { stream: BufReader::new(stream) };
        assert_eq!(wire.line(), "hobnob 1 ack resume");
        wire
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.say_bytes(format!("{text}\n").as_bytes());
    }

    pub(crate) fn say_bytes(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("written");
    }

    /// The next line; empty at the end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line");
        line.strip_suffix('\n').unwrap_or_default().to_owned()
    }

    pub(crate) fn asks(&mut self, text: &str) -> String {
        self.say(text);
        self.line()
    }

    pub(crate) fn expect(&mut self, wanted: &str) {
        assert_eq!(self.line(), wanted);
    }

    /// Skips to a line that begins with this.
    pub(crate) fn skip_to(&mut self, beginning: &str) -> String {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the connection ended before {beginning:?}");
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    pub(crate) fn log_in(&mut self, name: &str, password: &str) -> String {
        let welcome = self.asks(&format!("login {name} {password}"));
        assert!(welcome.starts_with(&format!("welcome {name} unread ")), "{welcome}");
        welcome
    }

    /// Everything up to the end of the stream; a reset is an end, too.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
        String::from_utf8(rest).expect("UTF-8")
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }
}
