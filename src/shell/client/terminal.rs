//! The terminal: a thread that reads lines, and output that does not disturb a half-typed one.
//!
//! While a line is edited, output goes through the editor, which redraws the line below it; otherwise it is
//! written directly. The gate decides which, so that the two do not mix. Without an editor the row decides.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;

use rustix::termios::{LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios};
use rustix::termios::{tcflush, tcgetattr, tcsetattr};
use rustyline::{Editor, ExternalPrinter};

use super::completion::Roster;
use super::gate::{Gate, Stage};
use super::keys::Keys;
use super::line_helper::LineHelper;
use super::news::News;
use super::plain::{PlainReader, Row};
use super::screen::Sheet;
use super::typist::{self, Typist};

/// Moves up and, by its line feed, down again: shows nothing.
const NOTHING: &str = "\x1b[A\n";
/// Go left, clear below, end bracketed paste, show the cursor.
const CLEAN: &[u8] = b"\r\x1b[J\x1b[?2004l\x1b[?25h";

/// A request to the thread that reads lines.
#[derive(Debug)]
pub(super) enum Ask {
    /// A line.
    Line(Question),
    /// Show everything that was handed to the editor; input is dropped meanwhile.
    Drain,
}

/// What a line is to answer.
#[derive(Debug)]
pub(super) struct Question {
    /// Rises: a question makes those before it outdated.
    pub(super) id: u64,
    /// The prompt.
    pub(super) prompt: String,
    /// What kind of line.
    pub(super) kind: Kind,
}

/// A kind of line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// An answer to a prompt.
    Answer {
        /// Whether it is neither shown nor remembered.
        hidden: bool,
    },
    /// A command; what was typed of one stays over other questions.
    Command {
        /// The history file.
        history: Option<PathBuf>,
        /// Whom texts are for.
        addressee: Option<String>,
    },
}

/// A terminal in use. Dropping it leaves it as it was found.
pub(super) struct Terminal {
    asks: Sender<Ask>,
    roster: Roster,
    way: Way,
    /// Its modes at the start.
    modes: Termios,
}

/// How a question reaches the thread that reads.
enum Way {
    Edited(Arc<Gate>),
    Plain(Arc<Row>),
}

impl Terminal {
    /// Takes over the terminal: input is not echoed unless it was requested. Also returns the printer for it.
    pub(super) fn open(plain: bool, news: async_channel::Sender<News>) -> io::Result<(Terminal, Printer)> {
        let modes = tcgetattr(io::stdin())?;
        let roster = Roster::default();
        let (asks, asked) = mpsc::channel();
        let mut editor = Editor::with_config(typist::config()?).map_err(io::Error::other)?;
        // A terminal that cannot move its cursor has no editor.
        let editing = if plain { None } else { editor.create_external_printer().ok() };
        let (way, printing) = match editing {
            Some(editing) => {
                let gate = Arc::new(Gate::new());
                editor.set_helper(Some(LineHelper::new(
                    Arc::clone(&gate),
                    roster.clone(),
                    Keys::new(news.clone()),
                )));
                let typist = Typist::new(editor, Arc::clone(&gate), news);
                thread::Builder::new().name("terminal".into()).spawn(move || typist.run(&asked))?;
                quieten(&modes)?;
                let editing = Some(Box::new(editing) as Box<dyn ExternalPrinter + Send>);
                (Way::Edited(Arc::clone(&gate)), Printing::Edited { gate, editing, handed: false })
            }
            None => {
                let row = Arc::new(Row::new(modes.local_modes.contains(LocalModes::ECHO))?);
                let reader = PlainReader::new(Arc::clone(&row), news);
                quieten(&modes)?;
                thread::Builder::new().name("terminal".into()).spawn(move || reader.run(&asked))?;
                (Way::Plain(Arc::clone(&row)), Printing::Plain(row))
            }
        };
        let printer = Printer { printing, asks: asks.clone() };
        Ok((Terminal { asks, roster, way, modes }, printer))
    }

    /// The names that completion offers.
    pub(super) fn roster(&self) -> Roster {
        self.roster.clone()
    }

    /// Whether there is no editor: a prompt cannot change while something is typed at it.
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self.way, Way::Plain(_))
    }

    /// Nothing more is asked. Once no line is edited, the editor takes what it was handed: whoever hands it something
    /// waits for that.
    pub(super) fn close(&self) {
        let _ = self.asks.send(Ask::Drain);
    }

    /// Asks for a line. Questions before it are outdated.
    pub(super) fn ask(&self, question: Question) {
        let id = question.id;
        match &self.way {
            Way::Edited(gate) => gate.ask(id),
            Way::Plain(row) => row.ask(id),
        }
        // The thread runs as long as the program.
        let _ = self.asks.send(Ask::Line(question));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to restore.
        if let Way::Edited(_) = self.way {
            let _ = io::stdout().write_all(CLEAN).and_then(|()| io::stdout().flush());
        }
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.modes);
        // What was typed and not read may be a password, and must not run as a command in the user's shell.
        let _ = tcflush(io::stdin(), QueueSelector::IFlush);
    }
}

/// Turns off echo and line buffering between lines. Without an editor Ctrl-C is a key as well.
fn quieten(modes: &Termios) -> io::Result<()> {
    let mut quiet = modes.clone();
    quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
    quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
    quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
    Ok(tcsetattr(io::stdin(), OptionalActions::Drain, &quiet)?)
}

/// Writes sheets to the terminal.
pub(super) struct Printer {
    printing: Printing,
    /// Requests to the thread that reads.
    asks: Sender<Ask>,
}

enum Printing {
    Edited {
        gate: Arc<Gate>,
        /// Writes through the editor, until the end.
        editing: Option<Box<dyn ExternalPrinter + Send>>,
        /// Whether anything was handed to the editor. It may not show it before it edits again.
        handed: bool,
    },
    Plain(Arc<Row>),
}

impl Printer {
    /// Writes a sheet.
    pub(super) fn write(&mut self, sheet: Sheet) -> io::Result<()> {
        let (last, turns) = (sheet.is_last(), sheet.turns());
        let text = sheet.into_text();
        if last && matches!(self.printing, Printing::Edited { handed: true, .. }) {
            // No question follows at which the editor would show what was handed to it.
            let _ = self.asks.send(Ask::Drain);
        }
        if !text.is_empty() {
            self.print(&text)?;
        }
        if turns {
            self.turn()?;
        }
        if last { self.settle() } else { Ok(()) }
    }

    fn print(&mut self, text: &str) -> io::Result<()> {
        match &mut self.printing {
            Printing::Plain(row) => row.print(text),
            Printing::Edited { gate, editing, handed } => {
                let gate = Arc::clone(gate);
                let not_yet = |stage| stage == Stage::Leaving || (stage == Stage::Idle && *handed);
                let stage = gate.wait(not_yet);
                match editing {
                    Some(editing) if *stage == Stage::Editing => {
                        drop(stage);
                        *handed = true;
                        editing.print(text.to_owned()).map_err(io::Error::other)
                    }
                    Some(_) | None => {
                        let mut output = io::stdout().lock();
                        output.write_all(text.as_bytes()).and_then(|()| output.flush())
                    }
                }
            }
        }
    }

    /// Makes the editor look whether its question is outdated: once, and once more if a key was pressed just before.
    fn turn(&mut self) -> io::Result<()> {
        let Printing::Edited { gate, .. } = &self.printing else { return Ok(()) };
        let gate = Arc::clone(gate);
        for _ in 0..2 {
            let stage = *gate.wait(|stage| stage == Stage::Leaving);
            if stage == Stage::Editing {
                self.print(NOTHING)?;
            }
        }
        Ok(())
    }

    /// Waits until everything handed to the editor is shown, and the editor has stopped.
    fn settle(&mut self) -> io::Result<()> {
        match &self.printing {
            Printing::Edited { gate, handed: true, .. } => {
                let gate = Arc::clone(gate);
                // Between lines the editor shows nothing.
                let _ = self.asks.send(Ask::Drain);
                // The editor holds one text at a time: when it has room for this, it has taken all before,
                // and shows it before it draws again.
                self.print(NOTHING)?;
                gate.set(Stage::Closing);
                if let Printing::Edited { editing, .. } = &mut self.printing
                    && let Some(mut editing) = editing.take()
                {
                    // Wakes it if it has drawn already. It may have no room for this any more.
                    let waker = move || drop(editing.print(NOTHING.to_owned()));
                    thread::Builder::new().name("waker".into()).spawn(waker)?;
                }
                drop(gate.wait(|stage| stage != Stage::Still));
                Ok(())
            }
            Printing::Edited { handed: false, .. } => Ok(()),
            Printing::Plain(row) => row.close(),
        }
    }
}
