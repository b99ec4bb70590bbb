//! The input: a pipe, or a terminal with its prompts.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::thread;

use super::echo::Echo;
use super::lines::Lines;
use super::news::News;
use super::terminal::{Ask, Terminal};
use crate::client::view::{Question, View};

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
    Terminal { terminal: Terminal, expects: Expects },
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
        Keyboard::new(Source::Terminal { terminal, expects: Expects::Nothing }, limit)
    }

    fn new(source: Source, limit: usize) -> Keyboard {
        Keyboard { source, lines: Lines::new(limit), asked: false, end: End::Open }
    }

    /// The views tell the meaning of the next line, and so whether it is echoed. Returns a prompt to show if a
    /// line is being typed already.
    pub(super) fn heed(&mut self, view: &View) -> Option<&'static str> {
        let next = match view {
            View::Prompt { ask, again } => Expects::Answer(*ask, *again),
            View::LoggedIn { .. } => Expects::Command,
            View::Bye(_) => Expects::Nothing,
            View::Connection(_)
            | View::LoginRefused(_)
            | View::Result { .. }
            | View::Message(_)
            | View::Presence { .. }
            | View::PrivateRequest { .. }
            | View::PrivateOpened { .. }
            | View::PrivateClosed { .. }
            | View::Group { .. }
            | View::Notice(_) => return None,
        };
        match (&mut self.source, next) {
            (Source::Pipe { echo, .. }, next) => {
                if let Some(echo) = echo {
                    echo.show(!is_hidden(next));
                }
                None
            }
            (Source::Terminal { expects, .. }, Expects::Answer(ask, again)) if self.asked => {
                *expects = next;
                Some(prompt(ask, again))
            }
            (Source::Terminal { expects, .. }, next) => {
                *expects = next;
                None
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

    /// Requests more input, unless that is pending. `history` is the file of the command history.
    pub(super) fn ask(&mut self, history: Option<&Path>) {
        if self.asked || self.end != End::Open {
            return;
        }
        self.asked = match &mut self.source {
            Source::Pipe { asks, .. } => asks.send(()).is_ok(),
            Source::Terminal { terminal, expects } => match *expects {
                Expects::Nothing => false,
                Expects::Answer(ask, again) => {
                    *expects = Expects::Nothing;
                    let hidden = is_hidden(Expects::Answer(ask, again));
                    terminal.ask(Ask::Line { prompt: prompt(ask, again), hidden, history: None });
                    true
                }
                Expects::Command => {
                    let history = history.map(Path::to_path_buf);
                    terminal.ask(Ask::Line { prompt: COMMAND, hidden: false, history });
                    true
                }
            },
        };
    }

    /// Bytes have arrived from a pipe.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.asked = false;
        self.lines.push(bytes);
    }

    /// A line was typed; pasted lines may arrive as one.
    pub(super) fn typed(&mut self, line: &str) {
        // It answers a prompt that arrived while it was typed.
        if let Source::Terminal { expects: expects @ Expects::Answer(..), .. } = &mut self.source {
            *expects = Expects::Nothing;
        }
        self.read(line.as_bytes());
        self.lines.push(b"\n");
    }

    /// The input is at its end.
    pub(super) fn end(&mut self) {
        self.asked = false;
        self.lines.end();
        self.end = End::Reached;
    }

    /// Drops typed input that was not read. It may be a password, and must not run as a command in the user's
    /// shell after the program.
    pub(super) fn discard_typed(&mut self) {
        match &mut self.source {
            Source::Terminal { terminal, .. } => terminal.discard_typed(),
            Source::Pipe { .. } => {}
        }
    }

    /// Whether the input is a terminal.
    pub(super) const fn is_terminal(&self) -> bool {
        matches!(self.source, Source::Terminal { .. })
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
