//! A client on pipes.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::place::signal;
use super::{PATIENCE, Place, USERS, contract};

/// A running client, killed with the test.
pub(crate) struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    output: Receiver<String>,
    diagnostics: PathBuf,
    /// Lines that came and were not asked for yet.
    waiting: VecDeque<Value>,
    /// All that came.
    shown: Vec<Value>,
    json: bool,
    /// How many lines were typed.
    typed: u64,
    /// Which of them were commands.
    commands: Vec<u64>,
}

impl Client {
    pub(crate) fn start(place: &Place, port: u16, options: &[&str]) -> Client {
        let mut command = place.client_command();
        command.args(["--plaintext", &port.to_string()]).args(options);
        if !options.contains(&"--state") {
            command.arg("--state").arg(place.fresh_state());
        }
        Client::spawn(place, command, options.contains(&"--json"))
    }

    pub(crate) fn spawn(place: &Place, mut command: Command, json: bool) -> Client {
        let diagnostics = place.fresh_state().with_extension("log");
        let log = File::create(&diagnostics).expect("a log");
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("the program runs");
        let (sender, output) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("its output"));
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        let (waiting, shown, commands) = (VecDeque::new(), Vec::new(), Vec::new());
        Client { child, stdin, output, diagnostics, waiting, shown, json, typed: 0, commands }
    }

    /// Types a line that is no command: the answer to a prompt, or a blank line.
    pub(crate) fn answer(&mut self, line: &str) {
        self.typed += 1;
        self.write(format!("{line}\n").as_bytes());
    }

    /// Types a command; returns the number of its line.
    pub(crate) fn say(&mut self, line: &str) -> u64 {
        self.say_bytes(line.as_bytes())
    }

    pub(crate) fn say_bytes(&mut self, line: &[u8]) -> u64 {
        self.typed += 1;
        self.commands.push(self.typed);
        self.write(&[line, b"\n"].concat());
        self.typed
    }

    /// Types many commands at once.
    pub(crate) fn say_all(&mut self, lines: impl Iterator<Item = String>) {
        let mut text = String::new();
        for line in lines {
            self.typed += 1;
            self.commands.push(self.typed);
            text.push_str(&line);
            text.push('\n');
        }
        self.write(text.as_bytes());
    }

    /// Writes bytes that end no line.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().expect("input is open").write_all(bytes).expect("the program reads");
    }

    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    pub(crate) fn log_in(&mut self, name: &str, password: &str) {
        self.waiting.clear();
        self.answer(name);
        self.answer(password);
        let login = self.wait_for("login");
        assert_eq!((&login["ok"], &login["user"]), (&Value::from(true), &Value::from(name)), "{login}");
        self.waiting.clear();
    }

    /// The next thing shown: an object, or in plain mode a string. `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Value> {
        self.waiting.pop_front().or_else(|| self.read())
    }

    fn read(&mut self) -> Option<Value> {
        let line = match self.output.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("nothing came in time; so far:\n{}\n{}", self.history(), self.diagnostics())
            }
        };
        Some(self.take(line))
    }

    fn take(&mut self, line: String) -> Value {
        let value = if self.json {
            let object = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line} is no object"));
            contract::check(&object);
            object
        } else {
            Value::from(line)
        };
        self.shown.push(value.clone());
        value
    }

    fn history(&self) -> String {
        self.shown.iter().map(|value| format!("{value}\n")).collect()
    }

    /// Waits for the first thing like this; what came before it stays to be asked for.
    pub(crate) fn wait(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.waiting.iter().position(&is_it) {
            return self.waiting.remove(at).expect("found");
        }
        loop {
            let Some(value) = self.read() else {
                panic!("it ended before {what}:\n{}\n{}", self.history(), self.diagnostics())
            };
            if is_it(&value) {
                return value;
            }
            self.waiting.push_back(value);
        }
    }

    /// Waits for an object of a type.
    pub(crate) fn wait_for(&mut self, kind: &str) -> Value {
        self.wait(kind, |object| object["type"] == kind)
    }

    /// Waits for a text to be shown as a message; returns the message.
    pub(crate) fn message(&mut self, text: &str) -> Value {
        self.wait(text, |object| object["type"] == "message" && object["text"] == text)
    }

    pub(crate) fn presence(&mut self, user: &str, online: bool) {
        let is_it = |object: &Value| {
            object["type"] == "presence" && object["user"] == user && object["online"] == online
        };
        self.wait(&format!("presence of {user}: {online}"), is_it);
    }

    pub(crate) fn result_of(&mut self, line: u64) -> Value {
        self.wait(&format!("the result of line {line}"), |object| {
            object["type"] == "result" && object["line"] == line
        })
    }

    /// Types a command and waits for its result.
    pub(crate) fn ask(&mut self, line: &str) -> Value {
        let line = self.say(line);
        self.result_of(line)
    }

    /// Types a command that succeeds.
    pub(crate) fn ok(&mut self, line: &str) -> Value {
        let result = self.ask(line);
        assert_eq!(result["ok"], true, "{line}: {result}\n{}", self.history());
        result
    }

    /// Types a command that fails; returns the code.
    pub(crate) fn fails(&mut self, line: &str) -> String {
        let result = self.ask(line);
        assert_eq!(result["ok"], false, "{line}: {result}");
        result["error"].as_str().expect("a code").to_owned()
    }

    /// Types a command that lists users.
    pub(crate) fn users(&mut self, line: &str) -> Vec<String> {
        let result = self.ok(line);
        let users = result["users"].as_array().expect("users").iter();
        users.map(|user| user.as_str().expect("a name").to_owned()).collect()
    }

    /// Asserts that nothing like this has come, once what was on its way is here: the answer to
    /// another command comes after it.
    pub(crate) fn has_not(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) {
        self.ok("whoelse");
        assert!(!self.shown.iter().any(is_it), "{what}:\n{}", self.history());
    }

    /// Whether `bye` has come by now; waits for nothing.
    pub(crate) fn is_over(&mut self) -> bool {
        while let Ok(line) = self.output.try_recv() {
            let value = self.take(line);
            self.waiting.push_back(value);
        }
        self.count(|object| object["type"] == "bye") > 0
    }

    /// All objects of a type that were shown up to now.
    pub(crate) fn shown(&self, kind: &str) -> Vec<Value> {
        self.shown.iter().filter(|object| object["type"] == kind).cloned().collect()
    }

    /// How many things like this were shown up to now.
    pub(crate) fn count(&self, is_it: impl Fn(&Value) -> bool) -> usize {
        self.shown.iter().filter(|value| is_it(value)).count()
    }

    /// The next line in plain mode.
    pub(crate) fn line(&mut self) -> String {
        let line = self.next().unwrap_or_else(|| panic!("it ended:\n{}", self.history()));
        line.as_str().expect("plain mode").to_owned()
    }

    /// In plain mode, waits until a line is shown.
    pub(crate) fn shows(&mut self, line: &str) {
        self.wait(line, |shown| shown == line);
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: Signal) {
        signal(self.child.id(), name);
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a kill");
        self.child.wait().expect("its end");
    }

    pub(crate) fn diagnostics(&self) -> String {
        fs::read_to_string(&self.diagnostics).expect("text")
    }

    /// Types `logout` and expects that it went well.
    pub(crate) fn log_out(mut self) {
        self.ok("logout");
        assert_eq!(self.end().0, 0);
    }

    /// Closes the input and waits for the end: the exit code and all that was not asked for.
    /// Every command must have had exactly one result, and `bye` is last.
    pub(crate) fn end(mut self) -> (i32, Vec<Value>) {
        self.stdin = None;
        let code = self.ended();
        if self.json {
            self.audit();
        }
        (code, Vec::from(std::mem::take(&mut self.waiting)))
    }

    /// Waits for the end of a program that was told to end; the input stays open.
    pub(crate) fn ended(&mut self) -> i32 {
        while let Some(value) = self.read() {
            self.waiting.push_back(value);
        }
        let began = Instant::now();
        loop {
            match self.child.try_wait().expect("a status") {
                Some(status) => return status.code().unwrap_or(-1),
                None if began.elapsed() > PATIENCE => panic!("the program does not end"),
                None => thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    fn audit(&self) {
        let results = self.shown.iter().filter(|object| object["type"] == "result");
        let mut lines: Vec<u64> = results.filter_map(|object| object["line"].as_u64()).collect();
        lines.sort_unstable();
        assert_eq!(lines, self.commands, "one result for each command:\n{}", self.history());
        let logins = self.count(|object| object["type"] == "login" && object["ok"] == true);
        let byes = self.count(|object| object["type"] == "bye");
        assert_eq!(logins, byes, "one bye for each session:\n{}", self.history());
        if byes == 1 && self.count(|object| object["type"] == "prompt") < 3 {
            assert_eq!(self.shown.last().map(|last| &last["type"]), Some(&Value::from("bye")));
        }
        let diagnostics = self.diagnostics();
        let secret = USERS.iter().find(|(_, password)| diagnostics.contains(password));
        assert!(secret.is_none() && !diagnostics.contains("secret text"), "a secret in:\n{diagnostics}");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
