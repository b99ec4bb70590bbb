//! The client in a terminal, and the screen as a person sees it.

use std::io::{Read as _, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use vt100::Parser;

use crate::PATIENCE;

const ROWS: u16 = 24;
pub(crate) const COLUMNS: u16 = 60;

/// A terminal with the client in it.
pub(crate) struct Terminal {
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    seen: Arc<Seen>,
    _master: Box<dyn MasterPty + Send>,
}

/// What has come to the screen so far.
struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    parser: Parser,
    /// Everything that was written.
    bytes: Vec<u8>,
    ended: bool,
}

impl Terminal {
    pub(crate) fn start(state: &Path, port: u16, options: &[&str]) -> Terminal {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_hobnob"));
        command.args(["--plaintext", &port.to_string()]);
        command.args(options);
        Terminal::spawn(state, command)
    }

    pub(crate) fn spawn(state: &Path, mut command: CommandBuilder) -> Terminal {
        let size = PtySize { rows: ROWS, cols: COLUMNS, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        command.env("TERM", "xterm-256color");
        command.env("XDG_STATE_HOME", state);
        command.env("HOME", state);
        let child = pair.slave.spawn_command(command).expect("the program runs");
        drop(pair.slave);
        let keys = pair.master.take_writer().expect("a keyboard");
        let mut output = pair.master.try_clone_reader().expect("a screen");
        let rows = NonZero::new(ROWS).expect("not zero");
        let columns = NonZero::new(COLUMNS).expect("not zero");
        let state = State { parser: Parser::new(rows, columns, 0), bytes: Vec::new(), ended: false };
        let seen = Arc::new(Seen { state: Mutex::new(state), changed: Condvar::new() });
        let writing = Arc::clone(&seen);
        thread::spawn(move || {
            let mut chunk = [0; 4_096];
            loop {
                let count = output.read(&mut chunk).unwrap_or(0);
                let mut state = writing.state.lock().expect("not poisoned");
                state.parser.process(&chunk[..count]);
                state.bytes.extend_from_slice(&chunk[..count]);
                state.ended = count == 0;
                writing.changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Terminal { keys, child, seen, _master: pair.master }
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("a program reads");
    }

    /// Waits until the rows that are not empty fulfil a condition.
    pub(crate) fn wait(&self, what: &str, condition: impl Fn(&[String]) -> bool) {
        let started = Instant::now();
        let mut state = self.seen.state.lock().expect("not poisoned");
        loop {
            let rows = rows(&state.parser);
            if condition(&rows) {
                return;
            }
            let left = PATIENCE.saturating_sub(started.elapsed());
            assert!(!left.is_zero() && !state.ended, "{what} is not on the screen:\n{}", rows.join("\n"));
            state = self.seen.changed.wait_timeout(state, left).expect("not poisoned").0;
        }
    }

    /// Waits until the last rows are these.
    pub(crate) fn shows(&self, last: &[&str]) {
        self.wait(&last.join("\n"), |rows| {
            rows.ends_with(&last.iter().map(|&row| row.to_owned()).collect::<Vec<_>>())
        });
    }

    /// Waits for the end: the exit code, the rows and everything written.
    pub(crate) fn end(mut self) -> (u32, Vec<String>, String) {
        let mut state = self.seen.state.lock().expect("not poisoned");
        let started = Instant::now();
        while !state.ended {
            let left = PATIENCE.saturating_sub(started.elapsed());
            assert!(!left.is_zero(), "the program does not end:\n{}", rows(&state.parser).join("\n"));
            state = self.seen.changed.wait_timeout(state, left).expect("not poisoned").0;
        }
        let code = self.child.wait().expect("a status").exit_code();
        (code, rows(&state.parser), String::from_utf8_lossy(&state.bytes).into_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// The rows of the screen down to the last that is not empty, without blanks at their ends.
fn rows(parser: &Parser) -> Vec<String> {
    let mut rows: Vec<String> =
        parser.screen().rows(0, COLUMNS).map(|row| row.trim_end().to_owned()).collect();
    while rows.last().is_some_and(String::is_empty) {
        rows.pop();
    }
    rows
}
