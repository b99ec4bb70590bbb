//! A server whose lines the test says itself.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::{PATIENCE, TOKEN};

pub(crate) struct FakeServer {
    pub(crate) port: u16,
    accepted: Receiver<TcpStream>,
}

impl FakeServer {
    pub(crate) fn start() -> FakeServer {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, accepted) = channel();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        FakeServer { port, accepted }
    }

    /// The next connection, not greeted.
    pub(crate) fn accept_silently(&self) -> Connection {
        let stream = self.accepted.recv_timeout(PATIENCE).expect("a client connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let lines = BufReader::new(stream.try_clone().expect("a second handle"));
        Connection { stream, lines }
    }

    /// The next connection, greeted.
    pub(crate) fn accept(&self) -> Connection {
        let mut connection = self.accept_silently();
        connection.say("hobnob 1 ack resume");
        connection.expect("hello 1 ack resume");
        connection
    }

    /// The next connection, logged in with the password `falcon`.
    pub(crate) fn log_in(&self, user: &str) -> Connection {
        let mut connection = self.accept();
        connection.log_in(user);
        connection
    }
}

/// A connection to the client.
pub(crate) struct Connection {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Connection {
    /// Logs the client in with the password `falcon`.
    pub(crate) fn log_in(&mut self, user: &str) {
        self.expect(&format!("login {user}"));
        self.say("ask password");
        self.expect(&format!("login {user} falcon"));
        self.say(&format!("welcome {user} unread 0 login 1 token {TOKEN}"));
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.send(format!("{line}\n").as_bytes());
    }

    /// Whether the connection still takes a line.
    pub(crate) fn try_say(&mut self, line: &str) -> bool {
        self.stream.write_all(format!("{line}\n").as_bytes()).is_ok()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the client takes it");
    }

    /// The next line; none at the end.
    pub(crate) fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        let count = self.lines.read_line(&mut line).expect("a line in time");
        (count > 0).then(|| line.trim_end_matches('\n').to_owned())
    }

    /// The next line but acknowledgements.
    pub(crate) fn hear_command(&mut self) -> Option<String> {
        loop {
            let line = self.hear()?;
            if !line.starts_with("ack ") {
                return Some(line);
            }
        }
    }

    pub(crate) fn expect(&mut self, line: &str) {
        assert_eq!(self.hear_command().as_deref(), Some(line));
    }

    /// Reads until the client acknowledges a message.
    pub(crate) fn expect_shown(&mut self, id: &str) {
        while let Some(line) = self.hear() {
            if line.starts_with(&format!("ack {id} ")) {
                return;
            }
        }
        panic!("{id} was not acknowledged");
    }

    /// Answers the logout that the client says next.
    pub(crate) fn expect_logout(mut self) {
        let line = self.hear_command().expect("a logout");
        let number = line.strip_suffix(" logout").expect("a logout");
        self.say(&format!("ok {number} logout\nbye logout"));
        while self.hear().is_some() {}
    }

    /// All lines up to the end of the connection; a reset is an end, too.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        let lines = std::iter::from_fn(|| {
            let mut line = String::new();
            let count = self.lines.read_line(&mut line).unwrap_or(0);
            (count > 0).then(|| line.trim_end_matches('\n').to_owned())
        });
        lines.collect()
    }
}
