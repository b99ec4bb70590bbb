//! A running server.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Stdio};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::place::signal;
use super::{Client, PATIENCE, Place, Terminal, USERS, Wire, password};

/// A server, killed with the test. Its log may hold no password and no text.
pub(crate) struct Server {
    pub(crate) place: Rc<Place>,
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) port: u16,
    options: Vec<String>,
}

impl Server {
    /// A server with the sample accounts and these settings.
    pub(crate) fn start(settings: &[&str]) -> Server {
        Server::start_in(Place::new(), settings)
    }

    pub(crate) fn start_in(place: Place, settings: &[&str]) -> Server {
        let options = settings.iter().flat_map(|setting| ["--set".to_owned(), (*setting).to_owned()]);
        Server::launch(Rc::new(place), options.collect())
    }

    /// A server with these options.
    pub(crate) fn start_with(place: Place, options: &[&str]) -> Server {
        Server::launch(Rc::new(place), options.iter().map(|option| (*option).to_owned()).collect())
    }

    fn launch(place: Rc<Place>, options: Vec<String>) -> Server {
        let (child, stdout, port) = Server::spawn(&place, "0", &options);
        Server { place, child, stdout, port, options }
    }

    fn spawn(place: &Place, port: &str, options: &[String]) -> (Child, BufReader<ChildStdout>, u16) {
        let log = File::options().create(true).append(true).open(place.path("server.log")).expect("a log");
        let mut command = place.server_command();
        // Positional arguments among the options come first.
        let positional = options.first().filter(|option| !option.starts_with('-'));
        if positional.is_none() {
            command.arg(port);
        }
        command.args(options).args(["--plaintext", "-d", "-v"]);
        command.args(["--set", "argon2_kib=64", "--set", "argon2_passes=1"]);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the program runs");
        let mut stdout = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let port = line.trim_end().strip_prefix("listening on 127.0.0.1:").and_then(|port| port.parse().ok());
        let Some(port) = port else { panic!("{line:?} {}", place.read("server.log")) };
        (child, stdout, port)
    }

    /// Starts it again on the same port, once it has ended.
    pub(crate) fn start_again(&mut self) {
        let port = self.port.to_string();
        (self.child, self.stdout, self.port) = Server::spawn(&self.place, &port, &self.options);
    }

    pub(crate) fn restart(&mut self) {
        assert_eq!(self.stop().0, Some(0));
        self.start_again();
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a kill");
        self.child.wait().expect("its end");
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: Signal) {
        signal(self.child.id(), name);
    }

    /// Sends SIGTERM; returns the exit code and how long it took. It says nothing more on stdout.
    pub(crate) fn stop(&mut self) -> (Option<i32>, Duration) {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits for the end.
    pub(crate) fn ended(&mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        assert_eq!(rest, "", "stdout");
        let status = self.child.wait().expect("its end");
        (status.code(), began.elapsed())
    }

    pub(crate) fn log(&self) -> String {
        self.place.read("server.log")
    }

    /// Waits until the log has so many of this; a log tells nobody that it grew.
    pub(crate) fn logs(&self, part: &str, count: usize) {
        let began = Instant::now();
        while self.log().matches(part).count() < count {
            assert!(began.elapsed() < PATIENCE, "{part:?} is not in the log:\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Has the files read again, and waits until they are.
    pub(crate) fn reload(&self) {
        let read = "read again";
        let count = self.log().matches(read).count();
        self.signal(Signal::HUP);
        self.logs(read, count + 1);
    }

    /// A client in JSON mode that has not logged in.
    pub(crate) fn client(&self, options: &[&str]) -> Client {
        Client::start(&self.place, self.port, &[&["--json"], options].concat())
    }

    /// A client in plain mode on a pipe.
    pub(crate) fn plain(&self, options: &[&str]) -> Client {
        Client::start(&self.place, self.port, options)
    }

    pub(crate) fn terminal(&self, options: &[&str]) -> Terminal {
        self.terminal_in(options, &[])
    }

    pub(crate) fn terminal_in(&self, options: &[&str], environment: &[(&str, &str)]) -> Terminal {
        Terminal::start(&self.place, self.port, options, environment)
    }

    /// A sample account, logged in.
    pub(crate) fn user(&self, name: &str) -> Client {
        self.user_with(name, &[])
    }

    pub(crate) fn user_with(&self, name: &str, options: &[&str]) -> Client {
        let mut client = self.client(options);
        client.log_in(name, password(name));
        client
    }

    pub(crate) fn wire(&self) -> Wire {
        Wire::connect(self.port)
    }

    /// A sample account on a bare connection.
    pub(crate) fn wire_user(&self, name: &str) -> Wire {
        let mut wire = self.wire();
        wire.log_in(name, password(name));
        wire
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !thread::panicking() {
            let log = self.log();
            let secret = USERS.iter().map(|(_, password)| *password).find(|password| log.contains(password));
            assert_eq!(secret, None, "a password in the log:\n{log}");
            assert!(!log.contains("secret text"), "a text in the log:\n{log}");
            assert!(!log.contains("a defect") && !log.contains("panicked"), "{log}");
        } else {
            eprintln!("server.log:\n{}", self.log());
        }
    }
}
