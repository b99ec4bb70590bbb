//! Real clients, and everything they print.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::PATIENCE;
use crate::place::Place;

/// What a line that was typed is for.
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
    /// What was typed, from line 1.
    pub(crate) typed: Vec<Typed>,
    /// What it printed.
    pub(crate) objects: Vec<Value>,
}

/// What a client has printed so far.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    pub(crate) objects: Vec<Value>,
    pub(crate) results: usize,
    pub(crate) ended: bool,
}

impl Printed {
    /// The result of a line.
    pub(crate) fn result(&self, line: usize) -> Option<&Value> {
        self.objects.iter().find(|object| object["type"] == "result" && object["line"] == line)
    }

    pub(crate) fn login(&self) -> Option<&Value> {
        self.objects.iter().find(|object| object["type"] == "login")
    }
}

#[derive(Debug, Default)]
struct Screen {
    printed: Mutex<Printed>,
    changed: Condvar,
}

impl Screen {
    fn lock(&self) -> MutexGuard<'_, Printed> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A last line without its end was cut by a kill; nobody has read it.
    fn read(&self, stdout: impl Read) {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        while stdout.read_line(&mut line).is_ok_and(|length| length > 0) && line.ends_with('\n') {
            let object: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            line.clear();
            let mut printed = self.lock();
            printed.results += usize::from(object["type"] == "result");
            printed.objects.push(object);
            drop(printed);
            self.changed.notify_all();
        }
        self.lock().ended = true;
        self.changed.notify_all();
    }
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
    child: Child,
    stdin: Option<ChildStdin>,
    screen: Arc<Screen>,
    reader: Option<JoinHandle<()>>,
    user: String,
    typed: Vec<Typed>,
}

impl Person {
    /// Starts `hobnob` as this user, with the user's own state folder.
    pub(crate) fn start(place: &Place, port: u16, user: &str) -> Person {
        let mut command = Person::command_line(place, port, user, &[]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the client runs");
        let stdout = child.stdout.take().expect("its output");
        Person::new(child, stdout, user)
    }

    /// The same behind a wrapper, its output being a named pipe that the wrapper may know by its path.
    pub(crate) fn start_behind(
        wrapper: &[String],
        output: &Path,
        place: &Place,
        port: u16,
        user: &str,
    ) -> Person {
        let made = Command::new("mkfifo").arg(output).status().expect("mkfifo runs");
        assert!(made.success());
        // Only so does it open before anybody writes; after that, reading waits.
        let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let stdout = File::options().read(true).custom_flags(nonblock).open(output).expect("a pipe");
        let near = File::options().write(true).open(output).expect("a pipe");
        rustix::fs::fcntl_setfl(&stdout, rustix::fs::OFlags::empty()).expect("flags");
        let child = Person::command_line(place, port, user, wrapper).stdout(near).spawn();
        Person::new(child.expect("the client runs"), stdout, user)
    }

    /// Starts it and reads nothing of its output until the sender is dropped.
    pub(crate) fn start_unread(place: &Place, port: u16, user: &str) -> (Person, Sender<()>) {
        let (go, wait) = mpsc::channel();
        let mut command = Person::command_line(place, port, user, &[]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the client runs");
        let stdout = Later { wait, output: child.stdout.take().expect("its output") };
        (Person::new(child, stdout, user), go)
    }

    fn command_line(place: &Place, port: u16, user: &str, wrapper: &[String]) -> Command {
        let program = env!("CARGO_BIN_EXE_hobnob");
        let mut words: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        words.push(program);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args([&port.to_string(), "--plaintext", "--json", "--user", user]);
        command.arg("--password-file").arg(place.path("password"));
        command.arg("--state").arg(place.state_of(user));
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        command
    }

    fn new(mut child: Child, stdout: impl Read + Send + 'static, user: &str) -> Person {
        let stdin = child.stdin.take();
        let screen = Arc::new(Screen::default());
        let reading = Arc::clone(&screen);
        let reader = Some(std::thread::spawn(move || reading.read(stdout)));
        Person { child, stdin, screen, reader, user: user.to_owned(), typed: Vec::new() }
    }

    /// Starts until it is in.
    pub(crate) fn enter(place: &Place, port: u16, user: &str) -> Person {
        let person = Person::start(place, port, user);
        assert!(person.is_in(), "{user} does not get in: {:?}", person.screen.lock().objects);
        person
    }

    /// Starts again and again until it is in: the server may have just died, or not know yet that the one
    /// before is dead.
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

    /// One who has gone hears nothing.
    fn write(&mut self, text: &str) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(text.as_bytes());
        }
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

    pub(crate) fn has_result(&self, line: usize) -> bool {
        self.screen.lock().result(line).is_some()
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
            printed.objects.iter().any(shown).then_some(())
        });
    }

    /// Waits until `look` finds something in what was printed.
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut(&Printed) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut printed = self.screen.lock();
        loop {
            if let Some(found) = look(&printed) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let last = printed.objects.iter().rev().take(8).collect::<Vec<_>>();
                panic!("{} waited in vain for {what}; the last lines: {last:#?}", self.user);
            }
            printed =
                self.screen.changed.wait_timeout(printed, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for its end by itself; its exit code, and its life, in which lines may have no result.
    pub(crate) fn end(mut self) -> (Option<i32>, Life) {
        self.until("the end", |printed| printed.ended.then_some(()));
        let status = self.child.wait().expect("its end");
        (status.code(), self.finish(true))
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.screen.lock().ended
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) -> Life {
        let _ = self.child.kill();
        self.finish(true)
    }

    /// SIGKILL, and then what it had printed is read.
    pub(crate) fn kill_before(mut self, reading: Sender<()>) -> Life {
        let _ = self.child.kill();
        let _ = self.child.wait();
        drop(reading);
        self.finish(true)
    }

    /// Closes its input and waits for its end.
    pub(crate) fn leave(mut self) -> Life {
        self.stdin = None;
        self.until("the end", |printed| printed.ended.then_some(()));
        self.finish(false)
    }

    fn finish(&mut self, killed: bool) -> Life {
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            reader.join().expect("nothing but objects");
        }
        let objects = std::mem::take(&mut self.screen.lock().objects);
        let typed = std::mem::take(&mut self.typed);
        Life { user: self.user.clone(), killed, typed, objects }
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
