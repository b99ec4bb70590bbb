//! Real clients, what was typed to them, and everything they print.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Client, PATIENCE, Place, Shown};

/// The purpose of a line that was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Typed {
    /// A message to a user.
    Message { to: String, text: String },
    /// A message to a group of so many others.
    Group { others: usize, text: String },
    /// A message to all online: each sees it at most once.
    Broadcast { text: String },
    /// Killed before the end of the line: nobody ever sees it.
    Torn { text: String },
    /// Anything else.
    Command(String),
}

/// One run of a client.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) user: String,
    /// Whether it was killed.
    pub(crate) killed: bool,
    /// Lines typed, from line 1.
    pub(crate) typed: Vec<Typed>,
    /// Objects printed.
    pub(crate) objects: Vec<Value>,
}

/// Output that is not read before the other end of `wait` is dropped.
struct Later<R> {
    wait: Receiver<()>,
    output: R,
}

impl<R: Read> Read for Later<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let _ = self.wait.recv();
        self.output.read(buffer)
    }
}

/// A running client; it is killed when dropped.
pub(crate) struct Person {
    client: Client,
    user: String,
    typed: Vec<Typed>,
}

impl Person {
    /// Starts `hobnob` as this user, with the user's own state folder.
    pub(crate) fn start(place: &Place, port: u16, user: &str) -> Person {
        Person::new(Client::spawn(Person::command_line(place, port, user, &[]), true), user)
    }

    /// The same under a wrapper; the output is a named pipe, which the wrapper may know by its path.
    pub(crate) fn start_behind(
        wrapper: &[String],
        output: &Path,
        place: &Place,
        port: u16,
        user: &str,
    ) -> Person {
        let made = Command::new("mkfifo").arg(output).status().expect("mkfifo runs");
        assert!(made.success());
        // Opens before there is a writer; after that, reads block.
        let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let stdout = File::options().read(true).custom_flags(nonblock).open(output).expect("a pipe");
        let near = File::options().write(true).open(output).expect("a pipe");
        rustix::fs::fcntl_setfl(&stdout, rustix::fs::OFlags::empty()).expect("flags");
        let mut command = Person::command_line(place, port, user, wrapper);
        command.stdout(Stdio::from(near));
        Person::new(Client::spawn_into(command, stdout, true), user)
    }

    /// Starts it and reads nothing of its output until the sender is dropped.
    pub(crate) fn start_unread(place: &Place, port: u16, user: &str) -> (Person, Sender<()>) {
        let (go, wait) = mpsc::channel();
        let command = Person::command_line(place, port, user, &[]);
        let client = Client::spawn_through(command, true, |output| Later { wait, output });
        (Person::new(client, user), go)
    }

    fn command_line(place: &Place, port: u16, user: &str, wrapper: &[String]) -> Command {
        let mut command = place.client_command_behind(wrapper);
        command.args([&port.to_string(), "--plaintext", "--json", "--user", user]);
        command.arg("--password-file").arg(place.path("password"));
        command.arg("--state").arg(place.state_of(user));
        command
    }

    fn new(client: Client, user: &str) -> Person {
        Person { client, user: user.to_owned(), typed: Vec::new() }
    }

    /// Starts and is logged in.
    pub(crate) fn enter(place: &Place, port: u16, user: &str) -> Person {
        let person = Person::start(place, port, user);
        assert!(person.is_in(), "{user} does not get in: {:?}", person.client.output().lock().values);
        person
    }

    /// Starts again until it is logged in: the server may just have died, or not know yet that the client
    /// before has.
    pub(crate) fn enter_at_last(place: &Place, port: u16, user: &str) -> Person {
        let deadline = Instant::now() + PATIENCE / 2;
        let mut last = Vec::new();
        while Instant::now() < deadline {
            let person = Person::start(place, port, user);
            if person.is_in() {
                return person;
            }
            last = person.kill().objects;
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{user} does not get in: {last:?}");
    }

    /// Waits until it is logged in, or cannot be.
    pub(crate) fn is_in(&self) -> bool {
        self.until("a login", |printed| match printed.login() {
            Some(login) => Some(login["ok"] == true),
            None => printed.ended.then_some(false),
        })
    }

    /// Types a line; returns its number.
    pub(crate) fn say(&mut self, line: &str, typed: Typed) -> usize {
        self.typed.push(typed);
        self.write(&format!("{line}\n"));
        self.typed.len()
    }

    pub(crate) fn command(&mut self, line: &str) -> usize {
        self.say(line, Typed::Command(line.to_owned()))
    }

    pub(crate) fn message(&mut self, to: &str, text: &str) -> usize {
        let typed = Typed::Message { to: to.to_owned(), text: text.to_owned() };
        self.say(&format!("message {to} {text}"), typed)
    }

    /// Types a part of a line.
    pub(crate) fn stutter(&mut self, part: &str, text: &str) {
        self.typed.push(Typed::Torn { text: text.to_owned() });
        self.write(part);
    }

    /// A client that has ended reads nothing.
    fn write(&mut self, text: &str) {
        self.client.try_write(text.as_bytes());
    }

    /// Types a line and waits for its result.
    pub(crate) fn ask(&mut self, line: &str) -> Value {
        let number = self.command(line);
        self.result(number)
    }

    /// Waits for the result of a line.
    pub(crate) fn result(&self, line: usize) -> Value {
        let what = format!("the result of {:?}", self.typed[line - 1]);
        self.until(&what, |printed| {
            assert!(!printed.ended || printed.result(line).is_some(), "{} ended before {what}", self.user);
            printed.result(line).cloned()
        })
    }

    /// Waits for the result of a line, or until the connection is lost.
    pub(crate) fn result_or_loss(&self, line: usize) -> Option<Value> {
        let is_lost = |object: &Value| object["state"] == "reconnecting";
        self.until("a result or the loss of the server", |printed| match printed.result(line) {
            Some(result) => Some(Some(result.clone())),
            None => printed.values.iter().any(is_lost).then_some(None),
        })
    }

    /// Waits until at most `open` lines have no result; false if it has ended before.
    pub(crate) fn settle(&self, open: usize) -> bool {
        let typed = self.typed.len();
        self.until("results", |printed| {
            if printed.results + open >= typed { Some(true) } else { printed.ended.then_some(false) }
        })
    }

    /// Waits until a message with this text is shown.
    pub(crate) fn sees(&self, text: &str) {
        self.until(text, |printed| {
            let shown = |object: &Value| object["type"] == "message" && object["text"] == text;
            printed.values.iter().any(shown).then_some(())
        });
    }

    /// Waits until `look` finds something in what was printed.
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut(&Shown) -> Option<T>) -> T {
        let found = self.client.output().wait(&mut look);
        found.unwrap_or_else(|| {
            let printed = self.client.output().lock();
            let last = printed.values.iter().rev().take(8).collect::<Vec<_>>();
            panic!("{} waited in vain for {what}; the last lines: {last:#?}", self.user)
        })
    }

    /// Waits for its end by itself; its exit code, and its life, in which lines may have no result.
    pub(crate) fn end(mut self) -> (i32, Life) {
        self.until("the end", |printed| printed.ended.then_some(()));
        (self.client.code(), self.finish(true))
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.client.output().lock().ended
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) -> Life {
        self.client.die();
        self.finish(true)
    }

    /// SIGKILL; only then its output is read.
    pub(crate) fn kill_before(mut self, reading: Sender<()>) -> Life {
        self.client.die();
        drop(reading);
        self.finish(true)
    }

    /// Ends its input and waits for its end.
    pub(crate) fn leave(mut self) -> Life {
        self.client.end_input();
        self.until("the end", |printed| printed.ended.then_some(()));
        self.finish(false)
    }

    fn finish(mut self, killed: bool) -> Life {
        self.client.finish_reading();
        let objects = std::mem::take(&mut self.client.output().lock().values);
        assert!(objects.iter().all(Value::is_object), "nothing but objects: {objects:#?}");
        Life { user: self.user, killed, typed: self.typed, objects }
    }
}
