//! The input: a pipe, or a terminal with its prompts.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::thread;

use zeroize::Zeroizing;

use super::echo::Echo;
use super::lines::Lines;
use super::news::News;
use super::terminal::{self, Kind, Terminal};
use crate::client::view::{Connection, Contact, Notice, Question, View};
use crate::shell::visible::visible;

/// Bytes read from a pipe at once.
const CHUNK: usize = 64 * 1024;
/// The prompt for a command at a terminal.
const COMMAND: &str = "> ";

/// The input of the program.
pub(super) struct Keyboard {
    source: Source,
    lines: Lines,
    /// Whether more input was requested and has not arrived.
    asked: bool,
    end: End,
}

enum Source {
    Pipe { asks: Sender<()>, echo: Option<Echo> },
    Terminal(Person),
}

/// Somebody at a terminal. A line answers the question at which it was typed, and no other.
struct Person {
    terminal: Terminal,
    expects: Expects,
    /// Whom typed texts are for.
    addressee: Option<String>,
    /// What the last question was for.
    asked_for: Expects,
    /// The questions so far.
    questions: u64,
    /// Commands that were finished when something else was asked.
    held: Vec<Zeroizing<String>>,
}

/// The meaning of the next line typed at a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    /// Not known yet; no line is requested.
    Nothing,
    /// The answer to a prompt, for the second time or not.
    Answer(Question, bool),
    /// A command.
    Command,
    /// A command while the server is lost, and how many wait for it.
    Offline(usize),
}

impl Expects {
    const fn is_command(self) -> bool {
        match self {
            Expects::Command | Expects::Offline(_) => true,
            Expects::Nothing | Expects::Answer(..) => false,
        }
    }

    fn prompt(self, addressee: Option<&str>) -> String {
        let to = addressee.unwrap_or_default();
        let colon = if to.is_empty() { "" } else { ": " };
        match self {
            Expects::Nothing => String::new(),
            Expects::Answer(ask, again) => prompt(ask, again).into(),
            Expects::Command => format!("{to}{COMMAND}"),
            Expects::Offline(0) => format!("offline{colon}{to}{COMMAND}"),
            Expects::Offline(queued) => format!("offline, {queued} queued{colon}{to}{COMMAND}"),
        }
    }
}

/// Whether the input has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Reached,
    Told,
}

/// The next piece of input.
#[derive(PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// A line, with its number.
    Line(u64, &'a [u8]),
    /// The end; once.
    End,
    /// Nothing at the moment.
    Nothing,
}

/// Prints the length of a line, not its content: it may be a password.
impl std::fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Next::Line(line, text) => write!(f, "Line({line}, {} bytes)", text.len()),
            Next::End => write!(f, "End"),
            Next::Nothing => write!(f, "Nothing"),
        }
    }
}

impl Keyboard {
    /// A pipe or file, read by a thread of its own, and only when asked.
    pub(super) fn pipe(news: async_channel::Sender<News>, limit: usize) -> io::Result<Keyboard> {
        let (asks, asked) = mpsc::channel();
        thread::Builder::new().name("input".into()).spawn(move || {
            while asked.recv().is_ok() {
                if news.send_blocking(read()).is_err() {
                    return;
                }
            }
        })?;
        Ok(Keyboard::new(Source::Pipe { asks, echo: Echo::of_input() }, limit))
    }

    /// Input that somebody else reads when asked.
    pub(super) fn asking(asks: Sender<()>, limit: usize) -> Keyboard {
        Keyboard::new(Source::Pipe { asks, echo: None }, limit)
    }

    /// A person at a terminal.
    pub(super) fn terminal(terminal: Terminal, limit: usize) -> Keyboard {
        let (expects, asked_for) = (Expects::Nothing, Expects::Nothing);
        let person = Person { terminal, expects, addressee: None, asked_for, questions: 0, held: Vec::new() };
        Keyboard::new(Source::Terminal(person), limit)
    }

    fn new(source: Source, limit: usize) -> Keyboard {
        Keyboard { source, lines: Lines::new(limit), asked: false, end: End::Open }
    }

    /// The same, where so many lines of the input were read before.
    pub(super) fn after_lines(self, count: u64) -> Keyboard {
        Keyboard { lines: self.lines.counting_from(count), ..self }
    }

    /// The views tell the meaning of the next line, and so whether it is echoed.
    pub(super) fn heed(&mut self, view: &View) {
        if let (View::Addressee { to }, Source::Terminal(person)) = (view, &mut self.source) {
            person.addressee = to.as_deref().map(|to| visible(to).to_string());
        }
        let next = match view {
            View::Prompt { ask, again } => Expects::Answer(*ask, *again),
            View::LoggedIn { .. } | View::Connection(Contact { state: Connection::Resumed, .. }) => {
                Expects::Command
            }
            View::Offline { queued } => Expects::Offline(*queued),
            View::Bye(_) | View::Notice(Notice::LogInAgain) => Expects::Nothing,
            View::Connection(Contact { state: Connection::Connected | Connection::Reconnecting, .. })
            | View::Wire { .. }
            | View::Addressee { .. }
            | View::LoginRefused(_)
            | View::Result { .. }
            | View::Before { .. }
            | View::Message(_)
            | View::Presence { .. }
            | View::PrivateRequest { .. }
            | View::RequestOver { .. }
            | View::PrivateOpened { .. }
            | View::PrivateClosed { .. }
            | View::Group { .. }
            | View::Announcement { .. }
            | View::Notice(_) => return,
        };
        match &mut self.source {
            Source::Pipe { echo, .. } => {
                if let Some(echo) = echo {
                    echo.show(!is_hidden(next));
                }
            }
            Source::Terminal(person) => {
                person.expects = next;
                if next.is_command() {
                    for line in person.held.drain(..) {
                        self.lines.push(line.as_bytes());
                        self.lines.push(b"\n");
                    }
                }
            }
        }
    }

    /// The next line, or the end.
    pub(super) fn next(&mut self) -> Next<'_> {
        if self.end == End::Reached && self.lines.is_over() {
            self.end = End::Told;
            return Next::End;
        }
        self.lines.next().map_or(Next::Nothing, |(number, line)| Next::Line(number, line))
    }

    /// Requests more input, unless that is pending. `history` is the file of the command history. Returns whether a
    /// line is being typed at an older question.
    pub(super) fn ask(&mut self, history: Option<&Path>) -> bool {
        if self.end != End::Open {
            return false;
        }
        match &mut self.source {
            Source::Pipe { asks, .. } => {
                self.asked = self.asked || asks.send(()).is_ok();
                false
            }
            Source::Terminal(person) => {
                let turns = self.asked;
                let asks = if turns { person.has_changed() } else { person.expects != Expects::Nothing };
                if asks {
                    person.ask(history);
                    self.asked = true;
                }
                turns && asks
            }
        }
    }

    /// Bytes have arrived from a pipe.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.asked = false;
        self.lines.push(bytes);
    }

    /// A line was typed, or several were pasted.
    pub(super) fn typed(&mut self, question: u64, command: bool, text: &str) {
        let Source::Terminal(person) = &mut self.source else { return };
        let newest = question == person.questions;
        if newest {
            self.asked = false;
        }
        if command {
            if !person.expects.is_command() {
                return person.held.push(Zeroizing::new(text.to_owned()));
            }
        } else if newest && person.expects == person.asked_for {
            person.expects = Expects::Nothing;
        } else {
            // The prompt that it answers is gone.
            return;
        }
        self.lines.push(text.as_bytes());
        self.lines.push(b"\n");
    }

    /// The input is at its end.
    pub(super) fn end(&mut self) {
        self.asked = false;
        self.lines.end();
        self.end = End::Reached;
    }

    /// Nothing more is asked.
    pub(super) fn close(&self) {
        if let Source::Terminal(person) = &self.source {
            person.terminal.close();
        }
    }

    /// Whether the input is a terminal.
    pub(super) const fn is_terminal(&self) -> bool {
        matches!(self.source, Source::Terminal(_))
    }
}

impl Person {
    /// Whether what is being typed is no longer expected, or has another prompt. Without an editor the prompt of a
    /// command is not shown.
    fn has_changed(&self) -> bool {
        let both_commands = self.asked_for.is_command() && self.expects.is_command();
        let same = self.expects == self.asked_for || (both_commands && self.terminal.is_plain());
        self.expects != Expects::Nothing && !same
    }

    fn ask(&mut self, history: Option<&Path>) {
        self.questions += 1;
        self.asked_for = self.expects;
        let kind = if self.expects.is_command() {
            Kind::Command { history: history.map(Path::to_path_buf), addressee: self.addressee.clone() }
        } else {
            Kind::Answer { hidden: is_hidden(self.expects) }
        };
        let question = terminal::Question {
            id: self.questions,
            prompt: self.expects.prompt(self.addressee.as_deref()),
            kind,
        };
        self.terminal.ask(question);
    }
}

/// Whether a line is not echoed while it is typed.
fn is_hidden(line: Expects) -> bool {
    matches!(line, Expects::Answer(Question::Password | Question::NewPassword, _))
}

/// The prompt for a person.
const fn prompt(ask: Question, again: bool) -> &'static str {
    match (ask, again) {
        (Question::Username, _) => "Username: ",
        (Question::Password, _) => "Password: ",
        (Question::NewPassword, false) => "This is a new user. Enter a password: ",
        (Question::NewPassword, true) => "Enter the password again: ",
        (Question::Takeover, _) => "Take it over? y/n: ",
    }
}

fn read() -> News {
    let mut chunk = vec![0; CHUNK];
    loop {
        match io::stdin().read(&mut chunk) {
            Ok(0) => return News::EndOfInput,
            Ok(count) => {
                chunk.truncate(count);
                return News::Read(chunk.into());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return News::EndOfInput,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyboard() -> (Keyboard, mpsc::Receiver<()>) {
        let (asks, asked) = mpsc::channel();
        (Keyboard::asking(asks, 100), asked)
    }

    #[test]
    fn nothing_is_read_unasked_and_only_once() {
        let (mut keyboard, asked) = keyboard();
        assert!(asked.try_recv().is_err());
        keyboard.ask(None);
        keyboard.ask(None);
        assert_eq!(asked.try_iter().count(), 1);
        keyboard.read(b"hans\nfal");
        assert_eq!(keyboard.next(), Next::Line(1, b"hans"));
        assert_eq!(keyboard.next(), Next::Nothing);
        keyboard.ask(None);
        assert_eq!(asked.try_iter().count(), 1);
    }

    #[test]
    fn the_end_is_told_once_and_after_the_last_line() {
        let (mut keyboard, asked) = keyboard();
        keyboard.read(b"logout");
        keyboard.end();
        assert_eq!(keyboard.next(), Next::Line(1, b"logout"));
        assert_eq!(keyboard.next(), Next::End);
        assert_eq!(keyboard.next(), Next::Nothing);
        keyboard.ask(None);
        assert!(asked.try_recv().is_err());
    }

    #[test]
    fn typed_lines_are_not_printed() {
        assert_eq!(format!("{:?}", Next::Line(2, b"topsecret")), "Line(2, 9 bytes)");
    }
}
