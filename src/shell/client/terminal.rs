//! The terminal: a thread that edits lines, and output that does not disturb a half-typed line.
//!
//! While a line is edited, output goes through the editor, which redraws the line below it; otherwise it is
//! written directly. The gate decides which, so that the two do not mix.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{ColorMode, Config, Editor, ExternalPrinter};
use zeroize::Zeroizing;

use super::completion::Roster;
use super::gate::{Gate, Stage};
use super::line_helper::LineHelper;
use super::news::News;
use super::screen::Sheet;
use crate::client::Signal;

/// Lines of history.
const HISTORY: usize = 1_000;
/// Moves up and, by its line feed, down again: shows nothing.
const NOTHING: &str = "\x1b[A\n";
/// Go left, clear below, end bracketed paste, show the cursor.
const CLEAN: &[u8] = b"\r\x1b[J\x1b[?2004l\x1b[?25h";

/// A request to the line editor.
#[derive(Debug)]
pub(super) enum Ask {
    /// A line.
    Line {
        /// The prompt.
        prompt: &'static str,
        /// Whether it is neither shown nor remembered.
        hidden: bool,
        /// The history file; `None` if the line is not a command.
        history: Option<PathBuf>,
    },
    /// Show everything that was handed to the editor; input is dropped meanwhile.
    Drain,
}

/// A terminal in use. Dropping it leaves it as it was found.
pub(super) struct Terminal {
    asks: Sender<Ask>,
    roster: Roster,
    /// Its modes at the start.
    modes: Termios,
    /// What to do at the end with typed input that was not read.
    unread: OptionalActions,
}

impl Terminal {
    /// Takes over the terminal: input is not echoed unless it was requested. Also returns the printer for it.
    pub(super) fn open(news: async_channel::Sender<News>) -> io::Result<(Terminal, Printer)> {
        let modes = tcgetattr(io::stdin())?;
        let gate = Arc::new(Gate::new());
        let roster = Roster::default();
        let mut editor = Editor::with_config(config()?).map_err(io::Error::other)?;
        editor.set_helper(Some(LineHelper::new(Arc::clone(&gate), roster.clone())));
        // A terminal that cannot move its cursor has no editor; output is written directly.
        let editing = editor.create_external_printer().ok();
        let editing = editing.map(|printer| Box::new(printer) as Box<dyn ExternalPrinter + Send>);
        let (asks, asked) = mpsc::channel();
        let printer = Printer { gate: Arc::clone(&gate), editing, asks: asks.clone(), handed: false };
        let dumb = printer.editing.is_none();
        let typist = Typist { editor, dumb, history: None, gate, news };
        thread::Builder::new().name("terminal".into()).spawn(move || typist.run(&asked))?;
        quieten(&modes)?;
        Ok((Terminal { asks, roster, modes, unread: OptionalActions::Drain }, printer))
    }

    /// The names that completion offers.
    pub(super) fn roster(&self) -> Roster {
        self.roster.clone()
    }

    /// Typed input that was not read is dropped at the end, not left to the next program.
    pub(super) fn discard_typed(&mut self) {
        self.unread = OptionalActions::Flush;
    }

    /// Asks for a line.
    pub(super) fn ask(&self, ask: Ask) {
        // The thread runs as long as the program.
        let _ = self.asks.send(ask);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to restore.
        let _ = io::stdout().write_all(CLEAN).and_then(|()| io::stdout().flush());
        let _ = tcsetattr(io::stdin(), self.unread, &self.modes);
    }
}

fn config() -> io::Result<Config> {
    let config =
        Config::builder().max_history_size(HISTORY).and_then(|config| config.history_ignore_dups(true));
    Ok(config.map_err(io::Error::other)?.auto_add_history(false).color_mode(ColorMode::Forced).build())
}

/// Turns off echo and line buffering between lines.
fn quieten(modes: &Termios) -> io::Result<()> {
    let mut quiet = modes.clone();
    quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
    quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
    quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
    Ok(tcsetattr(io::stdin(), OptionalActions::Drain, &quiet)?)
}

/// Writes sheets to the terminal.
pub(super) struct Printer {
    gate: Arc<Gate>,
    /// Writes through the editor; `None`: there is none.
    editing: Option<Box<dyn ExternalPrinter + Send>>,
    /// Requests to the editor.
    asks: Sender<Ask>,
    /// Whether anything was handed to the editor. It may not show it before it edits again.
    handed: bool,
}

impl Printer {
    /// Writes a sheet.
    pub(super) fn write(&mut self, sheet: Sheet) -> io::Result<()> {
        let last = sheet.is_last();
        let text = sheet.into_text();
        if !text.is_empty() {
            self.print(&text)?;
        }
        if last && self.handed { self.settle() } else { Ok(()) }
    }

    fn print(&mut self, text: &str) -> io::Result<()> {
        let gate = Arc::clone(&self.gate);
        let stage = gate.wait(|stage| stage == Stage::Leaving || (stage == Stage::Idle && self.handed));
        match &mut self.editing {
            Some(editing) if *stage == Stage::Editing => {
                drop(stage);
                self.handed = true;
                editing.print(text.to_owned()).map_err(io::Error::other)
            }
            Some(_) | None => {
                let mut output = io::stdout().lock();
                output.write_all(text.as_bytes()).and_then(|()| output.flush())
            }
        }
    }

    /// Waits until everything handed to the editor is shown, and the editor has stopped.
    fn settle(&mut self) -> io::Result<()> {
        // Between lines the editor shows nothing.
        let _ = self.asks.send(Ask::Drain);
        // The editor holds one text at a time: when it has room for this, it has taken all before,
        // and shows it before it draws again.
        self.print(NOTHING)?;
        self.gate.set(Stage::Closing);
        if let Some(mut editing) = self.editing.take() {
            // Wakes it if it has drawn already. It may have no room for this any more.
            let waker = move || drop(editing.print(NOTHING.to_owned()));
            thread::Builder::new().name("waker".into()).spawn(waker)?;
        }
        drop(self.gate.wait(|stage| stage != Stage::Still));
        Ok(())
    }
}

/// The thread that reads lines.
struct Typist {
    editor: Editor<LineHelper, DefaultHistory>,
    /// The terminal cannot move its cursor.
    dumb: bool,
    /// The history file that is loaded.
    history: Option<PathBuf>,
    gate: Arc<Gate>,
    news: async_channel::Sender<News>,
}

impl Typist {
    fn run(mut self, asked: &Receiver<Ask>) {
        while let Ok(ask) = asked.recv() {
            let typed = match ask {
                Ask::Line { prompt, hidden: true, .. } => self.read_hidden(prompt),
                Ask::Line { prompt, hidden: false, history } => self.read_shown(prompt, history.as_deref()),
                Ask::Drain => return self.drain(),
            };
            let news = match typed {
                Ok(line) => News::Line(Zeroizing::new(line)),
                Err(ReadlineError::Interrupted) => News::Signal(Signal::Interrupt),
                Err(ReadlineError::Eof) => News::EndOfInput,
                Err(ReadlineError::Io(_) | ReadlineError::Errno(_) | ReadlineError::Signal(_) | _) => {
                    News::Signal(Signal::HangUp)
                }
            };
            if self.news.send_blocking(news).is_err() {
                return;
            }
        }
    }

    fn read_shown(&mut self, prompt: &str, history: Option<&Path>) -> rustyline::Result<String> {
        self.load(history);
        let line = self.read(prompt)?;
        if let Some(path) = history
            && self.editor.add_history_entry(line.as_str())?
        {
            // A history that cannot be kept is no reason to stop.
            let _ = self.editor.append_history(path);
        }
        Ok(line)
    }

    /// Each user has their own history.
    fn load(&mut self, history: Option<&Path>) {
        if self.history.as_deref() != history {
            let _ = self.editor.clear_history();
            self.history = history.map(Path::to_path_buf);
            if let Some(path) = history {
                let _ = self.editor.load_history(path);
            }
        }
    }

    fn read_hidden(&mut self, prompt: &str) -> rustyline::Result<String> {
        if self.dumb {
            return Ok(rpassword::prompt_password(prompt)?);
        }
        self.load(None);
        self.hide(true);
        let cursor = self.editor.set_cursor_visibility(false)?;
        let line = self.read(prompt);
        drop(cursor);
        self.hide(false);
        line
    }

    fn hide(&mut self, hidden: bool) {
        if let Some(helper) = self.editor.helper_mut() {
            helper.hidden = hidden;
        }
    }

    fn read(&mut self, prompt: &str) -> rustyline::Result<String> {
        let line = self.editor.readline(prompt);
        self.gate.set(Stage::Idle);
        line
    }

    /// Reads, because the editor shows texts only while it reads.
    fn drain(mut self) {
        self.hide(true);
        while self.read("").is_ok() {}
    }
}
