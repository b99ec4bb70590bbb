//! The client on pipes.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::PATIENCE;

/// The program with nothing of the tester's own surroundings.
pub(crate) fn command(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hobnob"));
    command.env("XDG_STATE_HOME", state).env("HOME", state).env_remove("NO_COLOR");
    command
}

/// A running client.
pub(crate) struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    output: Receiver<String>,
    diagnostics: Receiver<String>,
}

impl Program {
    pub(crate) fn start(state: &Path, port: u16, options: &[&str]) -> Program {
        let mut command = command(state);
        command.args(["--plaintext", &port.to_string()]).args(options);
        Program::spawn(command)
    }

    pub(crate) fn spawn(mut command: Command) -> Program {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let output = lines(child.stdout.take().expect("its output"));
        let diagnostics = lines(child.stderr.take().expect("its diagnostics"));
        let stdin = child.stdin.take();
        Program { child, stdin, output, diagnostics }
    }

    /// Types lines.
    pub(crate) fn types(&mut self, text: &str) {
        self.types_bytes(text.as_bytes());
        self.types_bytes(b"\n");
    }

    pub(crate) fn types_bytes(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().expect("input is open").write_all(bytes).expect("the program reads");
    }

    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// The next line it shows.
    pub(crate) fn line(&self) -> String {
        self.output.recv_timeout(PATIENCE).expect("a line in time")
    }

    /// The next object it shows.
    pub(crate) fn object(&self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line} is an object"))
    }

    /// Skips to the next object of a type.
    pub(crate) fn object_of(&self, kind: &str) -> Value {
        loop {
            let object = self.object();
            if object["type"] == kind {
                return object;
            }
        }
    }

    pub(crate) fn diagnostic(&self) -> String {
        self.diagnostics.recv_timeout(PATIENCE).expect("a diagnostic in time")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for the end: the exit code and all lines not read.
    pub(crate) fn end(mut self) -> (i32, Vec<String>) {
        let code = wait(&mut self.child);
        (code, self.output.iter().collect())
    }

    /// Waits for the end of a program whose output nobody reads.
    pub(crate) fn code(mut self) -> i32 {
        wait(&mut self.child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a child; a child has no timeout of its own, so it is looked at now and then.
pub(crate) fn wait(child: &mut Child) -> i32 {
    let started = Instant::now();
    loop {
        match child.try_wait().expect("a status") {
            Some(status) => return status.code().unwrap_or(-1),
            None if started.elapsed() > PATIENCE => panic!("the program does not end"),
            None => thread::sleep(std::time::Duration::from_millis(5)),
        }
    }
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
