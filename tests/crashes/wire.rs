//! A connection typed by hand: for what needs no client of ours.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::PATIENCE;
use crate::place::PASSWORD;

pub(crate) struct Wire(BufReader<TcpStream>);

impl Wire {
    /// Connects and reads the greeting.
    pub(crate) fn connect(port: u16) -> Wire {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        let mut wire = Wire(BufReader::new(stream));
        assert!(wire.line().starts_with("hobnob 1"));
        wire
    }

    /// Logged in; stored mail may follow.
    pub(crate) fn log_in(port: u16, name: &str) -> Wire {
        let mut wire = Wire::connect(port);
        let answer = wire.ask(&format!("login {name} {PASSWORD}"));
        assert!(answer.starts_with("welcome "), "{name}: {answer}");
        wire
    }

    pub(crate) fn say(&mut self, lines: &str) {
        self.0.get_mut().write_all(lines.as_bytes()).expect("written");
    }

    /// Whether it could be said.
    pub(crate) fn try_say(&mut self, lines: &str) -> bool {
        self.0.get_mut().write_all(lines.as_bytes()).is_ok()
    }

    /// The next whole line; nothing when the server is gone.
    pub(crate) fn try_line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).ok()?;
        line.strip_suffix('\n').map(str::to_owned)
    }

    /// The next line, without its end; empty when the server is gone.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        line.trim_end_matches('\n').to_owned()
    }

    /// The first answer to one line on a connection of its own; nothing if the server is gone or goes.
    pub(crate) fn try_ask(port: u16, line: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(format!("{line}\n").as_bytes()).ok()?;
        // The first line is the greeting.
        let answer = BufReader::new(stream).lines().nth(1)?.ok()?;
        Some(answer)
    }

    /// Says a line and reads until its answer comes: notices of others are skipped.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.say(&format!("{line}\n"));
        self.answer()
    }

    /// The next line that is no notice.
    pub(crate) fn answer(&mut self) -> String {
        loop {
            let line = self.line();
            let word = line.split(' ').next().unwrap_or("");
            if !["online", "offline", "message", "group-message", "broadcast", "changed", "ask", "members"]
                .contains(&word)
            {
                return line;
            }
        }
    }
}
