//! A folder for one server and its clients.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::USERS;

/// A folder with a credentials file; programs run in it.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    clients: AtomicU32,
}

impl Place {
    /// With the sample accounts.
    pub(crate) fn new() -> Place {
        let lines: Vec<String> =
            USERS.iter().map(|(name, password)| format!("{name} {password}\n")).collect();
        Place::with(&lines.concat())
    }

    /// With these credentials.
    pub(crate) fn with(credentials: &str) -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place { folder, clients: AtomicU32::new(0) };
        place.write("credentials.txt", credentials);
        place
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("written");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).expect("a mode");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("text")
    }

    /// A state folder that no other client has.
    pub(crate) fn fresh_state(&self) -> PathBuf {
        self.path(&format!("state-{}", self.clients.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) fn server_command(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_hobnob-server"))
    }

    pub(crate) fn client_command(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_hobnob"))
    }

    /// A program with nothing of the tester's own surroundings.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).stdin(Stdio::null()).env_clear();
        command.env("HOME", self.folder.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// Runs the server's program to its end.
    pub(crate) fn run_server(&self, words: &[&str]) -> Output {
        self.server_command().args(words).output().expect("the program runs")
    }

    /// Runs the client's program to its end, without input.
    pub(crate) fn run_client(&self, words: &[&str]) -> Output {
        self.client_command().args(words).output().expect("the program runs")
    }
}

/// Sends a signal to a process by its id.
pub(crate) fn signal(id: u32, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_raw(i32::try_from(id).expect("a process")).expect("a process");
    rustix::process::kill_process(id, signal).expect("a signal");
}
