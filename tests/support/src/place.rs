//! A folder for one server and its clients.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Write as _};
use std::net::{TcpListener, UdpSocket};

use rustix::process::{Pid, Signal, kill_process};

use crate::{HASH, PASSWORD, USERS};

/// A folder with a credentials file, in which programs run. Copies share the folder, and the last of them
/// removes it.
#[derive(Debug, Clone)]
pub struct Place {
    folder: Arc<tempfile::TempDir>,
    /// The data folder of the server, if it is not the default.
    data: Option<PathBuf>,
    /// The state folders of clients.
    states: PathBuf,
    settings: Vec<String>,
    encrypted: bool,
    clients: Arc<AtomicU32>,
}

impl Place {
    /// With the sample accounts, their passwords in plain.
    #[must_use]
    pub fn samples() -> Place {
        let lines: Vec<String> =
            USERS.iter().map(|(name, password)| format!("{name} {password}\n")).collect();
        Place::with(&lines.concat())
    }

    /// With these credentials.
    #[must_use]
    pub fn with(credentials: &str) -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        let states = folder.path().join("state");
        let clients = Arc::new(AtomicU32::new(0));
        let place = Place {
            folder: Arc::new(folder),
            data: None,
            states,
            settings: Vec::new(),
            encrypted: false,
            clients,
        };
        place.write("credentials.txt", credentials);
        place
    }

    /// With accounts of these names, each with [`PASSWORD`], which the file `password` holds too. A lock
    /// lasts ten minutes, and nobody is logged out for being idle.
    #[must_use]
    pub fn of<N: AsRef<str>>(names: &[N]) -> Place {
        let line = |name: &N| format!("{} {HASH}\n", name.as_ref());
        let place = Place::with(&names.iter().map(line).collect::<String>());
        place.write("password", format!("{PASSWORD}\n"));
        // An absolute path, so that a trace of system calls knows it in each of them.
        let data = place.path("data");
        let place = place.keep_in(&data).set("block_duration=600").set("timeout=0");
        // What the hash costs.
        place.set("argon2_kib=8").set("argon2_passes=1")
    }

    /// With a setting for every server here.
    #[must_use]
    pub fn set(mut self, setting: &str) -> Place {
        self.settings.push(setting.to_owned());
        self
    }

    /// With TLS between every server and client here.
    #[must_use]
    pub fn encrypted(mut self) -> Place {
        self.encrypted = true;
        self
    }

    /// With the data somewhere else.
    #[must_use]
    pub fn keep_in(mut self, data: &Path) -> Place {
        self.data = Some(data.to_path_buf());
        self
    }

    /// With the state folders of clients somewhere else.
    #[must_use]
    pub fn keep_state_in(mut self, states: &Path) -> Place {
        self.states = states.to_path_buf();
        self
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data folder of the server.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| self.path("hobnob-data"))
    }

    /// Where clients keep their state if they are not told.
    #[must_use]
    pub fn states(&self) -> &Path {
        &self.states
    }

    /// The state folder of a user's clients.
    #[must_use]
    pub fn state_of(&self, user: &str) -> PathBuf {
        self.states.join(user)
    }

    /// A state folder that no other client has.
    #[must_use]
    pub fn fresh_state(&self) -> PathBuf {
        self.state_of(&format!("fresh-{}", self.clients.fetch_add(1, Ordering::Relaxed)))
    }

    /// Writes a file that only its owner may read.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("written");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).expect("a mode");
    }

    /// Reads a file.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("text")
    }

    /// The server's program.
    #[must_use]
    pub fn server_command(&self) -> Command {
        self.server_command_behind(&[])
    }

    /// The server's program under a wrapper, such as strace.
    #[must_use]
    pub fn server_command_behind(&self, wrapper: &[String]) -> Command {
        self.command("hobnob-server", wrapper)
    }

    /// The client's program.
    #[must_use]
    pub fn client_command(&self) -> Command {
        self.client_command_behind(&[])
    }

    /// The client's program under a wrapper, such as strace.
    #[must_use]
    pub fn client_command_behind(&self, wrapper: &[String]) -> Command {
        self.command("hobnob", wrapper)
    }

    /// What both programs are told about encryption.
    pub(crate) fn plaintext(&self) -> &'static [&'static str] {
        if self.encrypted { &[] } else { &["--plaintext"] }
    }

    /// Settings and data folder for the server's command line.
    pub(crate) fn server_options(&self) -> Vec<OsString> {
        let settings = self.settings.iter().flat_map(|setting| ["--set".into(), setting.into()]);
        let data = self.data.iter().flat_map(|data| ["--data".into(), data.into()]);
        settings.chain(data).collect()
    }

    /// Nothing of the tester's own surroundings reaches the program.
    fn command(&self, program: &str, wrapper: &[String]) -> Command {
        let path = program_path(program);
        let mut words = wrapper.iter().map(OsStr::new).chain([path.as_os_str()]);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).current_dir(self.folder()).stdin(Stdio::null()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.surroundings());
        command
    }

    /// Environment variables that keep a program to this place.
    pub(crate) fn surroundings(&self) -> [(&'static str, &Path); 3] {
        [("HOME", self.folder()), ("XDG_STATE_HOME", &self.states), ("XDG_CONFIG_HOME", self.folder())]
    }

    /// Runs the server's program to its end.
    #[must_use]
    pub fn run_server(&self, words: &[&str]) -> Output {
        self.server_command().args(words).output().expect("the program runs")
    }

    /// Runs the server's program to its end, with this input.
    #[must_use]
    pub fn run_server_with_input(&self, words: &[&str], input: &str) -> Output {
        let mut command = self.server_command();
        let command = command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let mut stdin = child.stdin.take().expect("its input");
        // A program that refuses its arguments does not read.
        match stdin.write_all(input.as_bytes()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written.expect("written"),
        }
        drop(stdin);
        child.wait_with_output().expect("its end")
    }

    /// Runs the client's program to its end, without input.
    #[must_use]
    pub fn run_client(&self, words: &[&str]) -> Output {
        self.client_command().args(words).output().expect("the program runs")
    }
}

/// Where cargo has built a program of this package: it says so, or it is one folder above the test.
pub(crate) fn program_path(name: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(format!("CARGO_BIN_EXE_{name}")) {
        return path.into();
    }
    let test = std::env::current_exe().expect("a test");
    let folder = test.parent().and_then(Path::parent).expect("a build folder");
    let path = folder.join(name);
    assert!(path.is_file(), "{} is not built; run `cargo build` first", path.display());
    path
}

/// A free port below those that outgoing connections take. Such a connection, even that of a client that
/// tries to reach the server, could hold the port while the server is down. No test of another process gets the
/// port until this one ends: the UDP port of the same number, which nothing here uses, is bound as a lock.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    static LOCKS: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    let first = std::process::id() % 10_000;
    loop {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + ((first + step) % 12_000) as u16;
        if let Ok(lock) = UdpSocket::bind(("127.0.0.1", port))
            && TcpListener::bind(("127.0.0.1", port)).is_ok()
        {
            LOCKS.lock().expect("nobody panics with it").push(lock);
            return port;
        }
    }
}

/// Sends a signal to a process by its id.
pub fn signal(id: u32, signal: Signal) {
    let id = Pid::from_raw(id.cast_signed()).expect("a process");
    kill_process(id, signal).expect("a signal");
}
