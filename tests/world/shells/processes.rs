//! The processes of the world: a server, clients, and persons at a bare connection.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use hobnob::client::{AcceptPrivate, MapPort, Settings as Options};
use hobnob::shell::client::played as client_shell;
use hobnob::shell::platform::Platform;
use hobnob::shell::server::played as server_shell;
use hobnob::shell::server::settings::Settings;
use hobnob::shell::store;
use hobnob::shell::store::unthreaded::Stepped;
use hobnob::time::Time;
use hobnob::words::{Credential, Name, Password};

use super::chance::Chance;
use super::kernel::{Kernel, Model};
use super::{HOST, PASSWORD, PORT};

/// A server that runs.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    pub(crate) model: Model,
    pub(crate) shell: server_shell::Played<Model>,
    pub(crate) store: Stepped,
    /// When the store writes what is queued.
    pub(crate) writes_at: Option<Time>,
    /// When it was asked to stop.
    pub(crate) stopping: Option<Time>,
}

impl ServerProcess {
    pub(crate) fn start(
        model: Model,
        data: &Path,
        settings: Settings,
        users: &[&str],
        mut chance: Chance,
    ) -> ServerProcess {
        let account = |name: &&str| (Name::new(name).expect("a name"), Credential::new(PASSWORD));
        let (answers, answered) = async_channel::unbounded();
        let options = store::Options {
            data: Some(data.to_path_buf()),
            credentials: "credentials.txt".into(),
            answers,
            started: model.now(),
            add_account: Box::new(|_, _| Ok(())),
        };
        let (handle, stepped, recovery) = Stepped::open(options).expect("a store");
        let listener =
            model.listen(format!("{HOST}:{PORT}").parse().expect("an address"), 15).expect("a port");
        let shell = server_shell::Played::start(server_shell::Start {
            platform: model.clone(),
            listener,
            settings,
            accounts: users.iter().map(account).collect(),
            store: (handle, recovery),
            answered,
            seed: chance.number(),
            hash_takes: Box::new(move || chance.micros(0, 50_000)),
        });
        ServerProcess { model, shell, store: stepped, writes_at: None, stopping: None }
    }
}

/// A client that runs, its input and its output.
#[derive(Debug)]
pub(crate) struct ClientProcess {
    pub(crate) model: Model,
    pub(crate) shell: client_shell::Played<Model>,
    pub(crate) user: String,
    input: VecDeque<u8>,
    pub(crate) input_ended: bool,
    asked: bool,
    /// How long its output takes for what it gets at once.
    pub(crate) output_takes: Duration,
    /// Its reader reads nothing until then.
    pub(crate) output_blocked: Time,
    pub(crate) output_closed: bool,
    pub(crate) output_failed: bool,
    pub(crate) prints_until: Option<Time>,
}

impl ClientProcess {
    pub(crate) fn start(model: Model, user: &str, state: &Path, seed: u64) -> ClientProcess {
        let settings = Options {
            user: Some(user.to_owned()),
            password: Some(Password::new(PASSWORD)),
            accept_private: AcceptPrivate::Auto,
            map_port: MapPort::Auto,
            ..Options::default()
        };
        let shell = client_shell::Played::start(client_shell::Start {
            platform: model.clone(),
            server: (HOST.to_owned(), PORT),
            state: state.to_path_buf(),
            settings,
            seed,
        });
        ClientProcess {
            model,
            shell,
            user: user.to_owned(),
            input: VecDeque::new(),
            input_ended: false,
            asked: false,
            output_takes: Duration::ZERO,
            output_blocked: Time::ZERO,
            output_closed: false,
            output_failed: false,
            prints_until: None,
        }
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        if !self.input_ended {
            self.input.extend(line.bytes().chain([b'\n']));
        }
    }

    /// Reads and writes for it; returns whether there was anything to do.
    pub(crate) fn tend(&mut self, kernel: &mut Kernel) -> bool {
        let read = self.feed(kernel);
        let begun = self.begin_output(kernel);
        let done = self.finish_output(kernel);
        read || begun || done
    }

    fn feed(&mut self, kernel: &mut Kernel) -> bool {
        self.asked |= self.shell.asks_for_input();
        if !self.asked || (self.input.is_empty() && !self.input_ended) {
            return false;
        }
        self.asked = false;
        if self.input.is_empty() {
            self.shell.end_input();
            return true;
        }
        let all = self.input.len();
        let count = if kernel.chance.one_in(3) { kernel.chance.size(1, all) } else { all };
        let bytes: Vec<u8> = self.input.drain(..count).collect();
        kernel.judge.client_reads(self.model.process, &bytes);
        self.shell.read(bytes);
        true
    }

    fn begin_output(&mut self, kernel: &mut Kernel) -> bool {
        if self.prints_until.is_some() || self.output_failed {
            return false;
        }
        let Some(bytes) = self.shell.next_output() else { return false };
        kernel.judge.prints(self.model.process, &bytes);
        self.prints_until = Some((kernel.now + self.output_takes).max(self.output_blocked));
        true
    }

    fn finish_output(&mut self, kernel: &mut Kernel) -> bool {
        if self.prints_until.take_if(|until| *until <= kernel.now).is_none() {
            return false;
        }
        if self.output_closed {
            self.output_failed = true;
            self.shell.printed(&Err(ErrorKind::BrokenPipe.into()));
        } else {
            kernel.judge.printed(self.model.process);
            self.shell.printed(&Ok(()));
        }
        true
    }
}

/// Somebody with `nc`.
#[derive(Debug)]
pub(crate) struct Person {
    connection: usize,
    /// What is still to be typed.
    typed: VecDeque<u8>,
    /// Whether the end of input comes with the last line.
    ends: bool,
    /// Commands among them: each has one answer.
    commands: usize,
    /// Reads nothing until then.
    pub(crate) deaf_until: Time,
    /// Hangs up then, whatever is unread.
    pub(crate) leaves_at: Option<Time>,
    heard: Vec<u8>,
    pub(crate) is_gone: bool,
}

impl Person {
    pub(crate) fn connect(
        model: &Model,
        kernel: &mut Kernel,
        lines: &[String],
        ends: bool,
    ) -> Option<Person> {
        let server = format!("{HOST}:{PORT}").parse().expect("an address");
        let connection = kernel.connect(model.process, server).ok()?;
        let typed = lines.iter().flat_map(|line| line.bytes().chain([b'\n'])).collect();
        Some(Person {
            connection,
            typed,
            ends,
            // All but the login.
            commands: lines.len() - 1,
            deaf_until: Time::ZERO,
            leaves_at: None,
            heard: Vec::new(),
            is_gone: false,
        })
    }

    pub(crate) fn note_fault(&self, kernel: &mut Kernel, fault: &'static str) {
        kernel.connections[self.connection].note_fault(fault);
    }

    /// When it does something by itself.
    pub(crate) fn next_time(&self, now: Time) -> Option<Time> {
        let deaf = Some(self.deaf_until).filter(|until| *until > now);
        [deaf, self.leaves_at].into_iter().flatten().min()
    }

    /// Types and reads; returns whether there was anything to do.
    pub(crate) fn tend(&mut self, kernel: &mut Kernel) -> bool {
        if self.is_gone {
            return false;
        }
        let typed = self.type_on(kernel);
        let read = self.now_reads(kernel.now) && self.read_on(kernel);
        if self.leaves_at.is_some_and(|at| at <= kernel.now) && !self.is_gone {
            self.note_fault(kernel, "somebody left");
            self.leave(kernel);
        }
        typed || read
    }

    fn now_reads(&self, now: Time) -> bool {
        self.deaf_until <= now
    }

    fn type_on(&mut self, kernel: &mut Kernel) -> bool {
        let Kernel { connections, chance, now, .. } = kernel;
        let connection = &mut connections[self.connection];
        if self.typed.is_empty() || !connection.is_writable(0) {
            return false;
        }
        let bytes = self.typed.make_contiguous();
        match connection.write(0, bytes, *now, chance) {
            Ok(count) => drop(self.typed.drain(..count)),
            Err(_) => self.typed.clear(),
        }
        if self.typed.is_empty() && self.ends {
            let _ = connection.shut_down(0, *now, chance);
        }
        true
    }

    fn read_on(&mut self, kernel: &mut Kernel) -> bool {
        let mut bytes = [0; 1_000];
        let Kernel { connections, chance, now, .. } = kernel;
        match connections[self.connection].read(0, &mut bytes, *now, chance) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Ok(count @ 1..) => self.heard.extend_from_slice(&bytes[..count]),
            Ok(0) => {
                self.judge(kernel);
                self.leave(kernel);
            }
            Err(_) => {
                let fault = kernel.connections[self.connection].fault;
                // A slow reader is cut.
                let is_cut = kernel.judge.sent_by_server(self.connection).is_none();
                if fault.is_none() && !is_cut {
                    kernel.judge.fail("nobody is reset without a fault", &self.words());
                }
                self.leave(kernel);
            }
        }
        true
    }

    fn words(&self) -> String {
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    /// The server has closed: each command has its answer.
    fn judge(&self, kernel: &mut Kernel) {
        let connection = &kernel.connections[self.connection];
        if connection.fault.is_some() || !self.ends {
            return;
        }
        let sent = kernel.judge.sent_by_server(self.connection);
        let Some(sent) = sent else { return };
        let written = &connection.ends[1].log;
        if written.len() < sent.len() {
            // The last output has left the server for as long as it waits; `judge` has seen to that.
            return;
        }
        let all = sent == self.heard;
        let text = self.words();
        let answers =
            text.lines().filter(|line| line.starts_with("ok ") || line.starts_with("error ")).count();
        if !all {
            kernel.judge.fail("all answers arrive", &text);
        }
        let goes_on = text.contains("\nwelcome ") && !text.contains("\nbye server_shutdown\n");
        if goes_on && answers < self.commands {
            let detail = format!("{answers} of {}: {text}", self.commands);
            kernel.judge.fail("all commands before the end of input are answered", &detail);
        }
    }

    fn leave(&mut self, kernel: &mut Kernel) {
        self.is_gone = true;
        self.leaves_at = None;
        kernel.close(self.connection, 0);
    }
}
