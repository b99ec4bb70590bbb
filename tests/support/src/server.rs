//! A running server.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread;

use rustix::process::Signal;

use crate::client::exit_status;
use crate::watched::{Said, listen};
use crate::{Client, Place, Terminal, USERS, Watched, Wire, free_port, password, signal};

/// Hashing that costs next to no work.
const CHEAP: [&str; 4] = ["--set", "argon2_kib=8", "--set", "argon2_passes=1"];

/// Options for a full log, which is searched for secrets.
const TALKATIVE: [&str; 2] = ["-d", "-v"];

/// A server, killed with the test. Its log may hold no password and no text.
#[derive(Debug)]
pub struct Server {
    /// Where it runs.
    pub place: Place,
    /// Where it listens.
    pub address: SocketAddr,
    /// The port of that.
    pub port: u16,
    /// What it is known by; empty without TLS.
    pub fingerprint: String,
    child: Child,
    stdout: BufReader<ChildStdout>,
    options: Vec<OsString>,
    log: Arc<Watched<Said>>,
    /// How much of the log there was when this run of it began.
    began: usize,
    /// How much of the log [`Server::log_line`] has read.
    read: usize,
}

/// How a server ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// The log of this run.
    pub log: String,
}

impl Server {
    /// A server with the sample accounts and these settings.
    #[must_use]
    pub fn start(settings: &[&str]) -> Server {
        Server::start_in(Place::samples(), settings)
    }

    /// The same in another place.
    #[must_use]
    pub fn start_in(place: Place, settings: &[&str]) -> Server {
        Server::start_with(settings.iter().fold(place, |place, setting| place.set(setting)), &[])
    }

    /// A server with these options. If the first ones are positional, the port is among them.
    #[must_use]
    pub fn start_with(place: Place, options: &[&str]) -> Server {
        place.serve_with(&[options, &TALKATIVE].concat())
    }

    fn launch(place: Place, port: &str, wrapper: &[String], options: Vec<OsString>) -> Result<Server, Ended> {
        let mut command = command(&place, port, wrapper, &options);
        let child = command.stderr(Stdio::piped()).spawn().expect("the program runs");
        Server::watch(place, child, options, Arc::default())
    }

    fn watch(
        place: Place,
        mut child: Child,
        options: Vec<OsString>,
        log: Arc<Watched<Said>>,
    ) -> Result<Server, Ended> {
        let mut stdout = BufReader::new(child.stdout.take().expect("its output"));
        let began = log.lock().text.len();
        if let Some(stderr) = child.stderr.take() {
            listen(stderr, &log);
        }
        let mut first = String::new();
        stdout.read_line(&mut first).expect("a line");
        let mut second = String::new();
        if place.plaintext().is_empty() {
            stdout.read_line(&mut second).expect("a line");
        }
        let fingerprint = second.strip_prefix("fingerprint ").unwrap_or_default().trim_end().to_owned();
        let address = first.strip_prefix("listening on ").and_then(|line| line.trim_end().parse().ok());
        let is_serving = address.is_some();
        let address = address.unwrap_or_else(|| SocketAddr::from(([0; 4], 0)));
        let port = address.port();
        let mut server =
            Server { place, address, port, fingerprint, child, stdout, options, log, began, read: began };
        if is_serving { Ok(server) } else { Err(server.ended()) }
    }

    /// Starts it again on the same port, once it has ended.
    pub fn start_again(&mut self) {
        let mut command = command(&self.place, &self.port.to_string(), &[], &self.options);
        let child = command.stderr(Stdio::piped()).spawn().expect("the program runs");
        let (place, options, log) = (self.place.clone(), self.options.clone(), Arc::clone(&self.log));
        *self = Server::watch(place, child, options, log).expect("the server starts again");
    }

    /// Stops it and starts it again.
    pub fn restart(&mut self) {
        assert_eq!(self.stop().code, Some(0));
        self.start_again();
    }

    /// SIGUSR1: it starts again in the same process and on the same port. Waits until it does.
    pub fn start_anew(&mut self) {
        self.signal(Signal::USR1);
        self.listens_again();
    }

    /// Waits until it has started again in the same process and on the same port.
    pub fn listens_again(&mut self) {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line");
        assert_eq!(line, format!("listening on {}\n", self.address));
    }

    /// SIGKILL, and its end.
    pub fn kill(&mut self) -> Ended {
        self.child.kill().expect("a kill");
        self.ended()
    }

    /// SIGTERM, and its end.
    pub fn stop(&mut self) -> Ended {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits for its end. It says nothing more on its standard output.
    pub fn ended(&mut self) -> Ended {
        let status = exit_status(&mut self.child);
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        assert_eq!(rest, "", "standard output");
        // A wrapper may hold its log a little longer.
        let ended = self.log.wait(|log| (log.open == 0).then_some(()));
        assert!(ended.is_some(), "the log is still open");
        let log = self.log.lock().text[self.began..].to_owned();
        Ended { code: status.code(), signal: status.signal(), log }
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a status").is_none()
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, name: Signal) {
        signal(self.child.id(), name);
    }

    /// The most memory that it has had at a time, in bytes.
    #[must_use]
    pub fn most_memory(&self) -> u64 {
        self.memory_by("VmHWM:")
    }

    /// The memory that it has now, in bytes.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory_by("VmRSS:")
    }

    /// The bytes that it has read up to now: of files, sockets and pipes.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        let counts = fs::read_to_string(format!("/proc/{}/io", self.id())).expect("its counts");
        let count = counts.lines().find_map(|line| line.strip_prefix("rchar: ")).expect("a count");
        count.parse().expect("a number")
    }

    fn memory_by(&self, figure: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("its status");
        let size = status.lines().find_map(|line| line.strip_prefix(figure)).expect("a figure");
        size.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Its log, earlier runs included.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().text.clone()
    }

    /// Reads the log on to a line with this in it.
    pub fn log_line(&mut self, part: &str) -> String {
        let found = self.log.wait(|log| match log.line(self.read, |line| line.contains(part)) {
            Some(found) => Some(Some(found)),
            None => (log.open == 0).then_some(None),
        });
        let Some(Some((line, next))) = found else { panic!("no {part:?} in the log:\n{}", self.log()) };
        self.read = next;
        line
    }

    /// Waits until the log has so many of this.
    pub fn logs(&self, part: &str, count: usize) {
        let found = self.log.wait(|log| (log.text.matches(part).count() >= count).then_some(()));
        assert!(found.is_some(), "{part:?} is not in the log {count} times:\n{}", self.log());
    }

    /// Has the files read again, and waits until they are.
    pub fn reload(&self) {
        let read = "read again";
        let count = self.log().matches(read).count();
        self.signal(Signal::HUP);
        self.logs(read, count + 1);
    }

    /// A client in JSON that has not logged in.
    #[must_use]
    pub fn client(&self, options: &[&str]) -> Client {
        Client::start(&self.place, self.port, &[&["--json"], options].concat())
    }

    /// A client in words on a pipe.
    #[must_use]
    pub fn plain(&self, options: &[&str]) -> Client {
        Client::start(&self.place, self.port, options)
    }

    /// A client in a terminal.
    #[must_use]
    pub fn terminal(&self, options: &[&str]) -> Terminal {
        self.terminal_in(options, &[])
    }

    /// A client in a terminal, with these environment variables.
    #[must_use]
    pub fn terminal_in(&self, options: &[&str], environment: &[(&str, &str)]) -> Terminal {
        Terminal::start(&self.place, self.port, options, environment)
    }

    /// A sample account, logged in.
    #[must_use]
    pub fn user(&self, name: &str) -> Client {
        self.user_with(name, &[])
    }

    /// A sample account, logged in by a client with these options.
    #[must_use]
    pub fn user_with(&self, name: &str, options: &[&str]) -> Client {
        let mut client = self.client(options);
        client.log_in(name, password(name));
        client
    }

    /// A bare connection.
    #[must_use]
    pub fn wire(&self) -> Wire {
        Wire::connect(self.port)
    }

    /// A sample account on a bare connection.
    #[must_use]
    pub fn wire_user(&self, name: &str) -> Wire {
        let mut wire = self.wire();
        wire.log_in(name, password(name));
        wire
    }
}

impl Place {
    /// A server on a port that stays free for it, with a terse log.
    #[must_use]
    pub fn serve(&self) -> Server {
        self.serve_on(free_port(), &[]).expect("the server starts")
    }

    /// A server on this port, under a wrapper such as strace unless that is empty; or how it ended instead
    /// of serving.
    ///
    /// # Errors
    /// The server ended before it served.
    pub fn serve_on(&self, port: u16, wrapper: &[String]) -> Result<Server, Ended> {
        Server::launch(self.clone(), &port.to_string(), wrapper, Vec::new())
    }

    /// A server with these options. If the first ones are positional, the port is among them.
    #[must_use]
    pub fn serve_with(&self, options: &[&str]) -> Server {
        let options = options.iter().map(OsString::from).collect();
        let started = Server::launch(self.clone(), "0", &[], options);
        started.unwrap_or_else(|ended| panic!("the server does not start: {ended:?}"))
    }

    /// A server with these options that writes its log elsewhere.
    #[must_use]
    pub fn serve_with_log(&self, options: &[&str], log: Stdio) -> Server {
        let options: Vec<OsString> = options.iter().map(OsString::from).collect();
        let child = command(self, "0", &[], &options).stderr(log).spawn().expect("the program runs");
        Server::watch(self.clone(), child, options, Arc::default()).expect("the server starts")
    }
}

/// The server's command line.
fn command(place: &Place, port: &str, wrapper: &[String], options: &[OsString]) -> Command {
    let mut command = place.server_command_behind(wrapper);
    if options.first().is_none_or(|first| first.to_string_lossy().starts_with('-')) {
        command.arg(port);
    }
    // Of a setting given twice the later one holds, so those of the test come last.
    command.args(place.plaintext()).args(CHEAP).args(place.server_options()).args(options);
    command.stdout(Stdio::piped());
    command
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.log();
        if thread::panicking() {
            eprintln!("the server's log:\n{log}");
            return;
        }
        let secret = USERS.iter().map(|(_, password)| *password).find(|password| log.contains(password));
        assert_eq!(secret, None, "a password in the log:\n{log}");
        assert!(!log.contains("secret text"), "a text in the log:\n{log}");
        assert!(!log.contains("a defect") && !log.contains("panicked"), "{log}");
    }
}
