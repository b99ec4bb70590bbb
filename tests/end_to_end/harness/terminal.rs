//! A client in a terminal, and the screen as a person sees it.

use std::io::{Read as _, Write};
use std::num::NonZero;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use vt100::Parser;

use super::{PATIENCE, Place};

const ROWS: u16 = 40;
const COLUMNS: u16 = 100;

/// A terminal with the client in it.
pub(crate) struct Terminal {
    keys: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    seen: Arc<Seen>,
    master: Option<Box<dyn MasterPty + Send>>,
}

struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    parser: Parser,
    bytes: Vec<u8>,
    ended: bool,
}

impl Terminal {
    pub(crate) fn start(
        place: &Place,
        port: u16,
        options: &[&str],
        environment: &[(&str, &str)],
    ) -> Terminal {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_hobnob"));
        command.args(["--plaintext", &port.to_string()]);
        command.args(options);
        command.arg("--state");
        command.arg(place.fresh_state());
        command.cwd(place.folder());
        command.env("TERM", "xterm-256color");
        command.env("HOME", place.folder());
        command.env_remove("NO_COLOR");
        environment.iter().for_each(|(name, value)| command.env(name, value));
        let size = PtySize { rows: ROWS, cols: COLUMNS, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let child = pair.slave.spawn_command(command).expect("the program runs");
        drop(pair.slave);
        let keys = Some(pair.master.take_writer().expect("a keyboard"));
        let output = pair.master.try_clone_reader().expect("a screen");
        let rows = NonZero::new(ROWS).expect("not zero");
        let columns = NonZero::new(COLUMNS).expect("not zero");
        let state = State { parser: Parser::new(rows, columns, 0), bytes: Vec::new(), ended: false };
        let seen = Arc::new(Seen { state: Mutex::new(state), changed: Condvar::new() });
        watch(output, Arc::clone(&seen));
        Terminal { keys, child, seen, master: Some(pair.master) }
    }

    pub(crate) fn types(&mut self, keys: &str) {
        let keyboard = self.keys.as_mut().expect("an open terminal");
        keyboard.write_all(keys.as_bytes()).and_then(|()| keyboard.flush()).expect("a program reads");
    }

    pub(crate) fn log_in(&mut self, name: &str, password: &str) {
        self.sees("Username:");
        self.types(&format!("{name}\r"));
        self.sees("Password:");
        self.types(&format!("{password}\r"));
        self.sees(&format!("Welcome, {name}!"));
    }

    /// Waits until a row is this, blanks at its end not counted.
    pub(crate) fn sees(&self, wanted: &str) {
        self.wait(wanted, |rows| rows.iter().any(|row| row == wanted.trim_end()));
    }

    /// Waits until the last row is this.
    pub(crate) fn sees_last(&self, wanted: &str) {
        self.wait(wanted, |rows| rows.last().is_some_and(|row| row == wanted.trim_end()));
    }

    fn wait(&self, what: &str, condition: impl Fn(&[String]) -> bool) {
        let began = Instant::now();
        let mut state = self.seen.state.lock().expect("not poisoned");
        loop {
            let rows = rows(&state.parser);
            if condition(&rows) {
                return;
            }
            let left = PATIENCE.saturating_sub(began.elapsed());
            assert!(!left.is_zero() && !state.ended, "{what:?} is not on the screen:\n{}", rows.join("\n"));
            state = self.seen.changed.wait_timeout(state, left).expect("not poisoned").0;
        }
    }

    /// Waits for the end: the exit code and everything written.
    pub(crate) fn end(mut self) -> (u32, String) {
        let began = Instant::now();
        let mut state = self.seen.state.lock().expect("not poisoned");
        while !state.ended {
            let left = PATIENCE.saturating_sub(began.elapsed());
            assert!(!left.is_zero(), "the program does not end:\n{}", rows(&state.parser).join("\n"));
            state = self.seen.changed.wait_timeout(state, left).expect("not poisoned").0;
        }
        let code = self.child.wait().expect("a status").exit_code();
        (code, String::from_utf8_lossy(&state.bytes).into_owned())
    }

    /// Closes the window.
    pub(crate) fn close(&mut self) {
        self.keys = None;
        self.master = None;
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn watch(mut output: Box<dyn std::io::Read + Send>, seen: Arc<Seen>) {
    thread::spawn(move || {
        let mut chunk = [0; 4_096];
        loop {
            let count = output.read(&mut chunk).unwrap_or(0);
            let mut state = seen.state.lock().expect("not poisoned");
            state.parser.process(&chunk[..count]);
            state.bytes.extend_from_slice(&chunk[..count]);
            state.ended = count == 0;
            seen.changed.notify_all();
            if count == 0 {
                return;
            }
        }
    });
}

/// The rows down to the last that is not empty, without blanks at their ends.
fn rows(parser: &Parser) -> Vec<String> {
    let mut rows: Vec<String> =
        parser.screen().rows(0, COLUMNS).map(|row| row.trim_end().to_owned()).collect();
    while rows.last().is_some_and(String::is_empty) {
        rows.pop();
    }
    rows
}
