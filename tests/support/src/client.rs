//! A client on pipes.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::watched::{Said, listen};
use crate::{PATIENCE, Place, USERS, Watched, contract, signal};

/// A running client, killed with the test.
#[derive(Debug)]
pub struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    output: Arc<Watched<Shown>>,
    reader: Option<JoinHandle<()>>,
    diagnostics: Arc<Watched<Said>>,
    /// How much of the diagnostics was asked for.
    diagnosed: usize,
    /// Things shown that were looked at.
    looked_at: usize,
    /// Those of them that were not asked for yet.
    waiting: VecDeque<Value>,
    json: bool,
    /// How many lines were typed.
    typed: u64,
    /// Which of them were commands.
    commands: Vec<u64>,
}

/// The output of a client so far.
#[derive(Debug, Default)]
pub struct Shown {
    /// Objects, or in plain mode strings.
    pub values: Vec<Value>,
    /// How many of them are results.
    pub results: usize,
    /// A last line without its end: its writer was killed, and nobody reads it.
    pub torn: String,
    /// Whether there will be no more.
    pub ended: bool,
}

impl Shown {
    /// The result of a line.
    #[must_use]
    pub fn result(&self, line: usize) -> Option<&Value> {
        self.values.iter().find(|object| object["type"] == "result" && object["line"] == line)
    }

    /// How the first login went.
    #[must_use]
    pub fn login(&self) -> Option<&Value> {
        self.values.iter().find(|object| object["type"] == "login")
    }
}

impl Client {
    /// A client of the server on this port, with a new state folder unless the options name one.
    #[must_use]
    pub fn start(place: &Place, port: u16, options: &[&str]) -> Client {
        let mut command = place.client_command();
        command.args(place.plaintext()).arg(port.to_string()).args(options);
        if !options.contains(&"--state") {
            command.arg("--state").arg(place.fresh_state());
        }
        Client::spawn(command, options.contains(&"--json"))
    }

    /// Runs this command line.
    #[must_use]
    pub fn spawn(mut command: Command, json: bool) -> Client {
        let mut child = command.stdout(Stdio::piped()).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let output = child.as_mut().ok().and_then(|child| child.stdout.take()).expect("the program runs");
        Client::over(child.expect("the program runs"), output, json)
    }

    /// Runs this command line, its output already connected to what is read here.
    #[must_use]
    pub fn spawn_into(mut command: Command, output: impl Read + Send + 'static, json: bool) -> Client {
        let child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Client::over(child.expect("the program runs"), output, json)
    }

    /// Runs this command line; its output passes through `through` before it is read.
    #[must_use]
    pub fn spawn_through<R: Read + Send + 'static>(
        mut command: Command,
        json: bool,
        through: impl FnOnce(std::process::ChildStdout) -> R,
    ) -> Client {
        let command = command.stdout(Stdio::piped()).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let output = through(child.stdout.take().expect("its output"));
        Client::over(child, output, json)
    }

    fn over(mut child: Child, output: impl Read + Send + 'static, json: bool) -> Client {
        let shown: Arc<Watched<Shown>> = Arc::default();
        let reader = {
            let shown = Arc::clone(&shown);
            Some(thread::spawn(move || read(output, json, &shown)))
        };
        let diagnostics = Arc::default();
        listen(child.stderr.take().expect("its diagnostics"), &diagnostics);
        Client {
            stdin: child.stdin.take(),
            child,
            output: shown,
            reader,
            diagnostics,
            diagnosed: 0,
            looked_at: 0,
            waiting: VecDeque::new(),
            json,
            typed: 0,
            commands: Vec::new(),
        }
    }

    /// Types a line that is no command: the answer to a prompt, or a blank line.
    pub fn answer(&mut self, line: &str) {
        self.typed += 1;
        self.write(format!("{line}\n").as_bytes());
    }

    /// Types a command; returns the number of its line.
    pub fn say(&mut self, line: &str) -> u64 {
        self.say_bytes(line.as_bytes())
    }

    /// Types a command that need not be UTF-8.
    pub fn say_bytes(&mut self, line: &[u8]) -> u64 {
        self.typed += 1;
        self.commands.push(self.typed);
        self.write(&[line, b"\n"].concat());
        self.typed
    }

    /// Types many commands at once.
    pub fn say_all(&mut self, lines: impl Iterator<Item = String>) {
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
    pub fn write(&mut self, bytes: &[u8]) {
        assert!(self.try_write(bytes), "the program does not read:\n{}", self.diagnostics());
    }

    /// Writes bytes; false if the program is gone or its input was ended.
    pub fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.stdin.as_mut().is_some_and(|stdin| stdin.write_all(bytes).is_ok())
    }

    /// Ends its input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Logs in at the prompts.
    pub fn log_in(&mut self, name: &str, password: &str) {
        self.waiting.clear();
        self.answer(name);
        self.answer(password);
        let login = self.wait_for("login");
        assert_eq!((&login["ok"], &login["user"]), (&Value::from(true), &Value::from(name)), "{login}");
        self.waiting.clear();
    }

    /// The next thing shown: an object, or in plain mode a string. `None` at the end.
    #[expect(clippy::should_implement_trait, reason = "what it waits for may not come, and then it panics")]
    pub fn next(&mut self) -> Option<Value> {
        self.waiting.pop_front().or_else(|| self.read())
    }

    /// The next object, which must come.
    pub fn object(&mut self) -> Value {
        self.next().unwrap_or_else(|| panic!("it ended:\n{}\n{}", self.history(), self.diagnostics()))
    }

    fn read(&mut self) -> Option<Value> {
        let at = self.looked_at;
        let found = self.output.wait(|shown| match shown.values.get(at) {
            Some(value) => Some(Some(value.clone())),
            None => shown.ended.then_some(None),
        });
        let Some(found) = found else {
            panic!("nothing came in time; so far:\n{}\n{}", self.history(), self.diagnostics())
        };
        found.map(|value| self.take(value))
    }

    fn take(&mut self, value: Value) -> Value {
        self.looked_at += 1;
        if self.json {
            assert!(value.is_object(), "{value} is no object");
            contract::check(&value);
        }
        value
    }

    /// All that was looked at, a line each.
    #[must_use]
    pub fn history(&self) -> String {
        self.output.lock().values[..self.looked_at].iter().map(|value| format!("{value}\n")).collect()
    }

    /// Waits for the first thing like this; what came before it stays to be asked for.
    pub fn wait(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
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
    pub fn wait_for(&mut self, kind: &str) -> Value {
        self.wait(kind, |object| object["type"] == kind)
    }

    /// Skips to the next object of a type.
    pub fn skip_to(&mut self, kind: &str) -> Value {
        loop {
            let object = self.object();
            if object["type"] == kind {
                return object;
            }
        }
    }

    /// Waits for a text to be shown as a message; returns the message.
    pub fn message(&mut self, text: &str) -> Value {
        self.wait(text, |object| object["type"] == "message" && object["text"] == text)
    }

    /// Waits until a user comes or goes.
    pub fn presence(&mut self, user: &str, online: bool) {
        let is_it = |object: &Value| {
            object["type"] == "presence" && object["user"] == user && object["online"] == online
        };
        self.wait(&format!("presence of {user}: {online}"), is_it);
    }

    /// Waits for the result of a line.
    pub fn result_of(&mut self, line: u64) -> Value {
        self.wait(&format!("the result of line {line}"), |object| {
            object["type"] == "result" && object["line"] == line
        })
    }

    /// Types a command and waits for its result.
    pub fn ask(&mut self, line: &str) -> Value {
        let line = self.say(line);
        self.result_of(line)
    }

    /// Types a command that succeeds.
    pub fn ok(&mut self, line: &str) -> Value {
        let result = self.ask(line);
        assert_eq!(result["ok"], true, "{line}: {result}\n{}", self.history());
        result
    }

    /// Types a command that fails; returns the code.
    pub fn fails(&mut self, line: &str) -> String {
        let result = self.ask(line);
        assert_eq!(result["ok"], false, "{line}: {result}");
        result["error"].as_str().expect("a code").to_owned()
    }

    /// Types a command that lists users.
    pub fn users(&mut self, line: &str) -> Vec<String> {
        let result = self.ok(line);
        let users = result["users"].as_array().expect("users").iter();
        users.map(|user| user.as_str().expect("a name").to_owned()).collect()
    }

    /// Asserts that nothing like this has come, once what was on its way is here: the answer to
    /// another command comes after it.
    pub fn has_not(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) {
        self.ok("whoelse");
        assert_eq!(self.count(is_it), 0, "{what}:\n{}", self.history());
    }

    /// Whether `bye` has come by now; waits for nothing.
    pub fn is_over(&mut self) -> bool {
        loop {
            let next = self.output.lock().values.get(self.looked_at).cloned();
            let Some(value) = next else { return self.count(|object| object["type"] == "bye") > 0 };
            let value = self.take(value);
            self.waiting.push_back(value);
        }
    }

    /// All objects of a type that were looked at up to now.
    #[must_use]
    pub fn shown(&self, kind: &str) -> Vec<Value> {
        let shown = self.output.lock();
        shown.values[..self.looked_at].iter().filter(|object| object["type"] == kind).cloned().collect()
    }

    /// How many things like this were looked at up to now.
    pub fn count(&self, is_it: impl Fn(&Value) -> bool) -> usize {
        self.output.lock().values[..self.looked_at].iter().filter(|value| is_it(value)).count()
    }

    /// All its output.
    #[must_use]
    pub fn output(&self) -> &Watched<Shown> {
        &self.output
    }

    /// The next line in plain mode.
    pub fn line(&mut self) -> String {
        self.object().as_str().expect("plain mode").to_owned()
    }

    /// In plain mode, waits until a line is shown.
    pub fn shows(&mut self, line: &str) {
        self.wait(line, |shown| shown == line);
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

    /// SIGKILL, and its end.
    pub fn kill(mut self) {
        self.die();
    }

    /// SIGKILL, and its end; its output may not have been read yet.
    pub fn die(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        self.child.wait().expect("its end");
    }

    /// Its standard error so far.
    #[must_use]
    pub fn diagnostics(&self) -> String {
        self.diagnostics.lock().text.clone()
    }

    /// The next line of that.
    pub fn diagnostic(&mut self) -> String {
        let found = self.diagnostics.wait(|said| said.line(self.diagnosed, |_| true));
        let (line, next) = found.expect("a diagnostic in time");
        self.diagnosed = next;
        line
    }

    /// Types `logout` and expects that it goes well.
    pub fn log_out(mut self) {
        self.ok("logout");
        assert_eq!(self.end().0, 0);
    }

    /// Ends its input and waits for its end: the exit code and all that was not asked for. Every command
    /// must have had exactly one result, and `bye` is last.
    pub fn end(mut self) -> (i32, Vec<Value>) {
        self.stdin = None;
        let code = self.ended();
        if self.json {
            self.audit();
        }
        (code, Vec::from(std::mem::take(&mut self.waiting)))
    }

    /// Waits for the end of a program that was told to end; its input stays open.
    pub fn ended(&mut self) -> i32 {
        while let Some(value) = self.read() {
            self.waiting.push_back(value);
        }
        assert_eq!(self.output.lock().torn, "", "a line without its end");
        self.code()
    }

    /// Waits for the end of a program whose output nobody reads.
    pub fn code(&mut self) -> i32 {
        exit_code(&mut self.child)
    }

    /// Waits until all that a dead program has shown is read.
    pub fn finish_reading(&mut self) {
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            reader.join().expect("a reader");
        }
    }

    fn audit(&self) {
        let results = self.shown("result");
        let mut lines: Vec<u64> = results.iter().filter_map(|object| object["line"].as_u64()).collect();
        lines.sort_unstable();
        assert_eq!(lines, self.commands, "one result for each command:\n{}", self.history());
        let logins = self.count(|object| object["type"] == "login" && object["ok"] == true);
        let byes = self.count(|object| object["type"] == "bye");
        assert_eq!(logins, byes, "one bye for each session:\n{}", self.history());
        if byes == 1 && self.count(|object| object["type"] == "prompt") < 3 {
            let last = self.output.lock().values.last().map(|last| last["type"].clone());
            assert_eq!(last, Some(Value::from("bye")));
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

/// Waits for the end of a process. It has no event to wait for, so it is looked at now and then.
pub fn exit_code(child: &mut Child) -> i32 {
    exit_status(child).code().unwrap_or(-1)
}

/// The same, with the signal that ended it.
pub(crate) fn exit_status(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match child.try_wait().expect("a status") {
            Some(status) => return status,
            None => assert!(Instant::now() < deadline, "the program does not end"),
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Reads lines to the end of a stream. A line that is no JSON stays a string, which the test rejects.
fn read(stream: impl Read, json: bool, shown: &Watched<Shown>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).is_ok_and(|length| length > 0) && line.ends_with('\n') {
        let text = line.trim_end_matches('\n');
        let parsed = if json { serde_json::from_str(text).ok() } else { None };
        let value = parsed.unwrap_or_else(|| Value::from(text));
        line.clear();
        shown.change(|shown| {
            shown.results += usize::from(value["type"] == "result");
            shown.values.push(value);
        });
    }
    shown.change(|shown| {
        shown.torn = line;
        shown.ended = true;
    });
}
