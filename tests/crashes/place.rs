//! A server's folder, and the server in it: started, killed, started again on the same port.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};

use crate::PATIENCE;

/// The password of everybody.
pub(crate) const PASSWORD: &str = "falcon";

/// Made of [`PASSWORD`] with next to no work.
const HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$rw3axlR1xiFa03+xpssxaA$ygiw2yNnog7/YMDUeADXAnXZZWr4tkJ0RXsVegS4TC0";

/// Where a server lives.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    data: PathBuf,
    state: PathBuf,
    settings: Vec<String>,
}

impl Place {
    /// With accounts of these names.
    pub(crate) fn new<N: AsRef<str>>(names: &[N]) -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let state = folder.path().join("state");
        let place = Place { folder, data, state, settings: Vec::new() };
        let line = |name: &N| format!("{} {HASH}\n", name.as_ref());
        place.write("credentials.txt", &names.iter().map(line).collect::<String>());
        place.write("password", &format!("{PASSWORD}\n"));
        place
    }

    /// With a setting changed.
    pub(crate) fn set(mut self, setting: &str) -> Place {
        self.settings.push(setting.to_owned());
        self
    }

    /// With the data somewhere else.
    pub(crate) fn keep_in(mut self, data: &Path) -> Place {
        self.data = data.to_path_buf();
        self
    }

    /// With the state folders of clients somewhere else.
    pub(crate) fn keep_state_in(mut self, state: &Path) -> Place {
        self.state = state.to_path_buf();
        self
    }

    /// The state folder of a user's clients.
    pub(crate) fn state_of(&self, user: &str) -> PathBuf {
        self.state.join(user)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).expect("written");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).expect("a mode");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.data.join("hobnob.db")
    }

    /// Looks into the database beside the server.
    pub(crate) fn look(&self) -> Connection {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(self.database(), flags).expect("a database");
        connection.busy_timeout(Duration::from_secs(10)).expect("a timeout");
        connection
    }

    /// Waits until no mail is in the database.
    pub(crate) fn wait_for_empty_mailboxes(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let count = "SELECT count(*) FROM mail";
            let waiting: i64 = self.look().query_row(count, [], |row| row.get(0)).expect("a count");
            if waiting == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{waiting} messages are not taken");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The texts of all stored mail, in order of ids.
    pub(crate) fn stored_texts(&self) -> Vec<String> {
        let database = self.look();
        let mut statement = database.prepare("SELECT text FROM mail ORDER BY boot, number").expect("a query");
        let texts = statement.query_map([], |row| row.get(0)).expect("rows");
        texts.map(|text| text.expect("a text")).collect()
    }

    /// The credentials file.
    pub(crate) fn accounts(&self) -> String {
        fs::read_to_string(self.path("credentials.txt")).expect("a file")
    }

    fn arguments(&self, port: u16) -> Vec<String> {
        let mut arguments = vec![port.to_string(), "600".into(), "0".into(), "--plaintext".into()];
        arguments.extend(["--data".into(), self.data.display().to_string()]);
        arguments.extend(["--credentials".into(), self.path("credentials.txt").display().to_string()]);
        for setting in
            ["argon2_kib=8", "argon2_passes=1"].into_iter().chain(self.settings.iter().map(|s| &**s))
        {
            arguments.extend(["--set".into(), setting.into()]);
        }
        arguments
    }

    /// The server's command line, behind `wrapper` if that is not empty.
    fn command(&self, port: u16, wrapper: &[String]) -> Command {
        let mut words: Vec<&OsStr> = wrapper.iter().map(OsStr::new).collect();
        words.push(OsStr::new(env!("CARGO_BIN_EXE_hobnob-server")));
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(self.arguments(port)).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        forget_settings(&mut command);
        command
    }

    /// A server on a free port.
    pub(crate) fn serve(&self) -> Server {
        self.serve_on(free_port(), &[]).expect("the server starts")
    }

    /// A server on this port, behind a wrapper; an error is what it said before it ended.
    pub(crate) fn serve_on(&self, port: u16, wrapper: &[String]) -> Result<Server, Ended> {
        let mut child = self.command(port, wrapper).spawn().expect("the program runs");
        let mut stdout = BufReader::new(child.stdout.take().expect("its output"));
        let stderr = child.stderr.take().expect("its log");
        let mut first = String::new();
        stdout.read_line(&mut first).expect("a line");
        let port = first.trim_end().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let mut server = Server { child, port: 0, stdout, stderr };
        match port {
            Some(port) => {
                server.port = port;
                Ok(server)
            }
            None => Err(server.end()),
        }
    }

    /// `hobnob-server check` on the data.
    pub(crate) fn check(&self) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hobnob-server"));
        command.current_dir(self.folder.path()).arg("check").arg("--data").arg(&self.data);
        forget_settings(&mut command);
        command.output().expect("the program runs")
    }
}

/// A port that no connection goes out from: one of those could hold it while the server is down, be it
/// that of a client that tries to reach it.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() % 10_000;
    loop {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + ((first + step) % 12_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The variables of the tests would be settings to the server.
fn forget_settings(command: &mut Command) {
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("HOBNOB_") {
            command.env_remove(variable);
        }
    }
}

/// A running server; it is killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    stdout: BufReader<ChildStdout>,
    stderr: ChildStderr,
}

/// How a server ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) log: String,
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it has had at a time, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("its status");
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a figure");
        most.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a status").is_none()
    }

    /// SIGKILL, and its end.
    pub(crate) fn kill(mut self) -> Ended {
        self.child.kill().expect("killed");
        self.end()
    }

    /// SIGTERM, and its end.
    pub(crate) fn stop(mut self) -> Ended {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("a signal");
        self.end()
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> Ended {
        let (mut rest, mut log) = (String::new(), String::new());
        self.stdout.read_to_string(&mut rest).expect("text");
        self.stderr.read_to_string(&mut log).expect("text");
        let status = self.child.wait().expect("its end");
        Ended { code: status.code(), signal: status.signal(), log }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
