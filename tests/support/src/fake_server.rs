//! A server whose lines the test writes.

use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::terminal::SMALL;
use crate::{Client, PATIENCE, Place, Terminal, Wire};

/// The token in its `welcome`.
pub const TOKEN: &str = "00112233445566778899aabbccddeeff";

/// A port that clients connect to, and the place in which those clients keep their state.
#[derive(Debug)]
pub struct FakeServer {
    /// Of its clients.
    pub place: Place,
    /// On 127.0.0.1.
    pub port: u16,
    accepted: Receiver<TcpStream>,
}

impl FakeServer {
    /// Listens.
    #[must_use]
    pub fn start() -> FakeServer {
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
        FakeServer { place: Place::with(""), port, accepted }
    }

    /// A client of this server on a pipe. All of them share their state folder.
    #[must_use]
    pub fn client(&self, options: &[&str]) -> Client {
        let mut command = self.place.client_command();
        command.args(["--plaintext", &self.port.to_string()]).args(options);
        Client::spawn(command, options.contains(&"--json"))
    }

    /// A client of this server in a small terminal.
    #[must_use]
    pub fn terminal(&self, options: &[&str]) -> Terminal {
        self.terminal_in(options, &[])
    }

    /// The same, with variables of its environment.
    #[must_use]
    pub fn terminal_in(&self, options: &[&str], environment: &[(&str, &str)]) -> Terminal {
        self.terminal_of(SMALL, options, environment)
    }

    /// The same, of so many rows and columns.
    #[must_use]
    pub fn terminal_of(&self, size: (u16, u16), options: &[&str], environment: &[(&str, &str)]) -> Terminal {
        let port = self.port.to_string();
        Terminal::run(&self.place, size, &[&["--plaintext", &port], options].concat(), environment)
    }

    /// The next connection, not greeted.
    #[must_use]
    pub fn accept_silently(&self) -> Connection {
        let stream = self.accepted.recv_timeout(PATIENCE).expect("a client connects");
        Connection { wire: Wire::over(stream) }
    }

    /// The next connection, greeted.
    #[must_use]
    pub fn accept(&self) -> Connection {
        let mut connection = self.accept_silently();
        connection.say("hobnob 1 ack resume");
        connection.expect("hello 1 ack resume device alive away relay until");
        connection
    }

    /// The next connection, logged in with the password `falcon`.
    #[must_use]
    pub fn log_in(&self, user: &str) -> Connection {
        let mut connection = self.accept();
        connection.log_in(user);
        connection
    }
}

/// A connection to the client.
#[derive(Debug)]
pub struct Connection {
    wire: Wire,
}

impl Connection {
    /// Logs the client in with the password `falcon`.
    pub fn log_in(&mut self, user: &str) {
        self.expect(&format!("login {user}"));
        self.say("ask password");
        self.expect(&format!("login {user} falcon"));
        self.welcome(user);
    }

    /// Says that the user is in.
    pub fn welcome(&mut self, user: &str) {
        self.say(&format!("welcome {user} unread 0 login 1 token {TOKEN}"));
    }

    /// Says a line.
    pub fn say(&mut self, line: &str) {
        self.wire.say(line);
    }

    /// Says a line; false if the connection does not take it any more.
    pub fn try_say(&mut self, line: &str) -> bool {
        self.wire.try_send(format!("{line}\n").as_bytes())
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.wire.send(bytes);
    }

    /// The next line; `None` at the end.
    pub fn hear(&mut self) -> Option<String> {
        self.wire.next_line()
    }

    /// The next line that is no acknowledgement.
    pub fn hear_command(&mut self) -> Option<String> {
        loop {
            let line = self.hear()?;
            if !line.starts_with("ack ") {
                return Some(line);
            }
        }
    }

    /// The next line that is no acknowledgement is this.
    pub fn expect(&mut self, line: &str) {
        assert_eq!(self.hear_command().as_deref(), Some(line));
    }

    /// Reads until the client acknowledges a message.
    pub fn expect_shown(&mut self, id: &str) {
        while let Some(line) = self.hear() {
            if line.starts_with(&format!("ack {id} ")) {
                return;
            }
        }
        panic!("{id} was not acknowledged");
    }

    /// Answers the logout that the client says next.
    pub fn expect_logout(mut self) {
        let line = self.hear_command().expect("a logout");
        let number = line.strip_suffix(" logout").expect("a logout");
        self.say(&format!("ok {number} logout\nbye logout"));
        while self.hear().is_some() {}
    }

    /// All lines up to the end of the connection; a reset is an end, too.
    pub fn rest(&mut self) -> Vec<String> {
        self.wire.rest().lines().map(str::to_owned).collect()
    }
}
