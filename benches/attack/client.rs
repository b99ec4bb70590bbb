//! The real client on pipes, as JSON.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::talk::{PASSWORD, PATIENCE};

/// The client's program: the one that was built with this, or the one that `ATTACKED_CLIENT` names.
pub(crate) fn client_program() -> OsString {
    std::env::var_os("ATTACKED_CLIENT").unwrap_or_else(|| env!("CARGO_BIN_EXE_hobnob").into())
}

/// A running client; ends when dropped.
#[derive(Debug)]
pub(crate) struct Client {
    child: Child,
    stdin: ChildStdin,
    objects: Receiver<Value>,
    line: u64,
}

impl Client {
    /// Starts one and answers its prompt for the password with that of all accounts.
    pub(crate) fn start(to: SocketAddr, user: &str, state: &Path, options: &[&str]) -> Result<Client> {
        Client::start_with(to, user, PASSWORD, state, options)
    }

    /// The same with another password.
    pub(crate) fn start_with(
        to: SocketAddr,
        user: &str,
        password: &str,
        state: &Path,
        options: &[&str],
    ) -> Result<Client> {
        let mut command = Command::new(client_program());
        command.args(["--plaintext", "--json", "--user", user, &to.to_string()]).args(options);
        command.arg("--state").arg(state).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("the client's program does not run")?;
        let stdin = child.stdin.take().context("no stdin")?;
        let stdout = child.stdout.take().context("no stdout")?;
        let (sender, objects) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Presence may come by the million.
                if line.contains("\"presence\"") {
                    continue;
                }
                let Ok(object) = serde_json::from_str(&line) else { return };
                if sender.send(object).is_err() {
                    return;
                }
            }
        });
        let mut client = Client { child, stdin, objects, line: 0 };
        client.say(password)?;
        Ok(client)
    }

    /// Types a line; returns its number.
    pub(crate) fn say(&mut self, line: &str) -> Result<u64> {
        self.line += 1;
        writeln!(self.stdin, "{line}")?;
        Ok(self.line)
    }

    /// Skips to an object like this.
    pub(crate) fn wait_for(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.objects.recv_timeout(left) {
                Ok(object) if wanted(&object) => return Ok(object),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => bail!("the client did not say it in 10 s"),
                Err(RecvTimeoutError::Disconnected) => bail!("the client has ended"),
            }
        }
    }

    /// Skips to an object of a type.
    pub(crate) fn wait(&mut self, kind: &str) -> Result<Value> {
        self.wait_for(|object| object["type"] == kind)
    }

    /// Types a command and skips to its result.
    pub(crate) fn ask(&mut self, line: &str) -> Result<Value> {
        let line = self.say(line)?;
        self.wait_for(|object| object["type"] == "result" && object["line"] == line)
    }

    /// Waits until it is logged in.
    pub(crate) fn logged_in(mut self) -> Result<Client> {
        let login = self.wait("login")?;
        if login["ok"] == true { Ok(self) } else { bail!("the client's login failed: {login}") }
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Takes what has come and waits for nothing.
    pub(crate) fn skip(&mut self) {
        let until = Instant::now() + Duration::from_millis(1);
        while self.objects.try_recv().is_ok() && Instant::now() < until {}
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
