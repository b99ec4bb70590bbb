//! A client in a terminal, and the screen as a person sees it.

use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use vt100::Parser;

use crate::place::program_path;
use crate::{Place, Watched};

/// Rows and columns that long lines fit in.
const LARGE: (u16, u16) = (40, 100);

/// Rows and columns that long lines do not fit in.
pub(crate) const SMALL: (u16, u16) = (24, 60);

/// A terminal with the client in it.
pub struct Terminal {
    keys: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Watched<Screen>>,
    master: Option<Box<dyn MasterPty + Send>>,
}

/// The output on a screen so far.
pub struct Screen {
    parser: Parser,
    bytes: Vec<u8>,
    ended: bool,
}

impl Screen {
    /// The rows down to the last that is not empty, without blanks at their ends.
    #[must_use]
    pub fn rows(&self) -> Vec<String> {
        let screen = self.parser.screen();
        let (_, columns) = screen.size();
        let mut rows: Vec<String> =
            screen.rows(0, columns.get()).map(|row| row.trim_end().to_owned()).collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }
}

impl Terminal {
    /// A client of the server on this port in a large terminal, with a new state folder.
    #[must_use]
    pub fn start(place: &Place, port: u16, options: &[&str], environment: &[(&str, &str)]) -> Terminal {
        Terminal::sized(place, port, LARGE, options, environment)
    }

    /// The same in a terminal of so many rows and columns.
    #[must_use]
    pub fn sized(
        place: &Place,
        port: u16,
        size: (u16, u16),
        options: &[&str],
        environment: &[(&str, &str)],
    ) -> Terminal {
        let (port, state) = (port.to_string(), place.fresh_state());
        let state = ["--state", state.to_str().expect("UTF-8")];
        Terminal::run(place, size, &[place.plaintext(), &[&port], options, &state].concat(), environment)
    }

    /// The rows of the screen.
    #[must_use]
    pub fn rows(&self) -> Vec<String> {
        self.screen.lock().rows()
    }

    /// The client with these words on its command line.
    pub(crate) fn run(
        place: &Place,
        size: (u16, u16),
        words: &[&str],
        environment: &[(&str, &str)],
    ) -> Terminal {
        let mut command = CommandBuilder::new(program_path("hobnob"));
        command.args(words);
        Terminal::spawn(place, size, command, environment)
    }

    /// A script for `sh` in a small terminal, in which `$CLIENT` is the client, `$SERVER` the server.
    #[must_use]
    pub fn script(place: &Place, script: &str) -> Terminal {
        let mut command = CommandBuilder::new("/bin/sh");
        command.args(["-c", script]);
        command.env("CLIENT", program_path("hobnob"));
        command.env("SERVER", program_path("hobnob-server"));
        Terminal::spawn(place, SMALL, command, &[])
    }

    fn spawn(
        place: &Place,
        (rows, columns): (u16, u16),
        mut command: CommandBuilder,
        environment: &[(&str, &str)],
    ) -> Terminal {
        command.cwd(place.folder());
        command.env("TERM", "xterm-256color");
        command.env("TZ", "UTC");
        command.env_remove("NO_COLOR");
        // Settings of the server, and what the tests themselves are told.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"HOBNOB_"))
        {
            command.env_remove(name);
        }
        place.surroundings().iter().for_each(|(name, value)| command.env(name, value));
        environment.iter().for_each(|(name, value)| command.env(name, value));
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let child = pair.slave.spawn_command(command).expect("the program runs");
        drop(pair.slave);
        let keys = Some(pair.master.take_writer().expect("a keyboard"));
        let output = pair.master.try_clone_reader().expect("a screen");
        let size = [rows, columns].map(|count| NonZero::new(count).expect("not zero"));
        let parser = Parser::new(size[0], size[1], 0);
        let screen = Arc::new(Watched::new(Screen { parser, bytes: Vec::new(), ended: false }));
        watch(output, Arc::clone(&screen));
        Terminal { keys, child, screen, master: Some(pair.master) }
    }

    /// The process of the program.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.process_id().expect("a process")
    }

    /// Presses keys.
    pub fn types(&mut self, keys: &str) {
        let keyboard = self.keys.as_mut().expect("an open terminal");
        keyboard.write_all(keys.as_bytes()).and_then(|()| keyboard.flush()).expect("a program reads");
    }

    /// Logs in at the prompts.
    pub fn log_in(&mut self, name: &str, password: &str) {
        self.sees("Username:");
        self.types(&format!("{name}\r"));
        self.sees("Password:");
        self.types(&format!("{password}\r"));
        self.sees(&format!("Welcome, {name}!"));
    }

    /// Waits until a row is this, blanks at its end not counted.
    pub fn sees(&self, wanted: &str) {
        self.wait(wanted, |rows| rows.iter().any(|row| row == wanted.trim_end()));
    }

    /// Waits until a row is this message behind its time.
    pub fn sees_message(&self, wanted: &str) {
        self.wait(wanted, |rows| rows.iter().any(|row| without_time(row) == Some(wanted)));
    }

    /// Waits until the last row is this.
    pub fn sees_last(&self, wanted: &str) {
        self.shows(&[wanted.trim_end()]);
    }

    /// Waits until the last rows are these.
    pub fn shows(&self, last: &[&str]) {
        self.wait(&last.join("\n"), |rows| {
            rows.len() >= last.len() && rows[rows.len() - last.len()..].iter().eq(last)
        });
    }

    /// Waits until the rows fulfil a condition.
    pub fn wait(&self, what: &str, condition: impl Fn(&[String]) -> bool) {
        let found = self.screen.wait(|screen| {
            let is_there = condition(&screen.rows());
            (is_there || screen.ended).then_some(is_there)
        });
        let rows = self.screen.lock().rows().join("\n");
        assert!(found == Some(true), "{what:?} is not on the screen:\n{rows}");
    }

    /// Waits for the end: the exit code, the rows and everything written.
    #[must_use]
    pub fn end(mut self) -> (u32, Vec<String>, String) {
        let ended = self.screen.wait(|screen| screen.ended.then_some(()));
        let screen = self.screen.lock();
        let rows = screen.rows();
        assert!(ended.is_some(), "the program does not end:\n{}", rows.join("\n"));
        let code = self.child.wait().expect("a status").exit_code();
        (code, rows, String::from_utf8_lossy(&screen.bytes).into_owned())
    }

    /// Closes the window.
    pub fn close(&mut self) {
        self.keys = None;
        self.master = None;
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// What follows a time like `14:02`.
fn without_time(row: &str) -> Option<&str> {
    let (time, rest) = row.split_once(' ')?;
    let (hour, minute) = time.split_once(':')?;
    let is_number = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(hour) && is_number(minute)).then_some(rest)
}

fn watch(mut output: Box<dyn Read + Send>, screen: Arc<Watched<Screen>>) {
    thread::spawn(move || {
        let mut chunk = [0; 4_096];
        loop {
            let count = output.read(&mut chunk).unwrap_or(0);
            screen.change(|screen| {
                screen.parser.process(&chunk[..count]);
                screen.bytes.extend_from_slice(&chunk[..count]);
                screen.ended = count == 0;
            });
            if count == 0 {
                return;
            }
        }
    });
}
