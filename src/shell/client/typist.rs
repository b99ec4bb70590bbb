//! The thread that reads lines with an editor.

use std::io::{self, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use rustix::termios::tcgetwinsize;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{ColorMode, Config, Editor, EventHandler, KeyEvent};
use unicode_width::UnicodeWidthStr as _;
use zeroize::Zeroizing;

use super::gate::{Gate, Reading, Stage};
use super::line_helper::{Answering, Draft, Interruption, Leaves, Left, LineHelper};
use super::news::News;
use super::terminal::{Ask, Kind, Question};
use crate::client::Signal;
use crate::words::LINE_BREAK;

/// Lines of history.
const HISTORY: usize = 1_000;

pub(super) fn config() -> io::Result<Config> {
    let config =
        Config::builder().max_history_size(HISTORY).and_then(|config| config.history_ignore_dups(true));
    Ok(config.map_err(io::Error::other)?.auto_add_history(false).color_mode(ColorMode::Forced).build())
}

/// The thread that reads lines.
pub(super) struct Typist {
    editor: Editor<LineHelper, DefaultHistory>,
    /// The history file that is loaded.
    history: Option<PathBuf>,
    /// What was typed of a command.
    draft: Draft,
    gate: Arc<Gate>,
    news: async_channel::Sender<News>,
}

/// How the reading of a line has ended.
enum Read {
    Line(String),
    Left(Left),
}

impl Typist {
    pub(super) fn new(
        mut editor: Editor<LineHelper, DefaultHistory>,
        gate: Arc<Gate>,
        news: async_channel::Sender<News>,
    ) -> Typist {
        let interruption = Interruption(Arc::clone(&gate));
        editor.bind_sequence(KeyEvent::ctrl('C'), EventHandler::Conditional(Box::new(interruption)));
        for key in ['y', 'n'] {
            let answering = Answering(Arc::clone(&gate));
            editor.bind_sequence(KeyEvent::from(key), EventHandler::Conditional(Box::new(answering)));
        }
        Typist { editor, history: None, draft: Draft::default(), gate, news }
    }

    pub(super) fn run(mut self, asked: &Receiver<Ask>) {
        while let Ok(ask) = asked.recv() {
            let question = match ask {
                Ask::Line(question) => question,
                Ask::Drain => return self.drain(),
            };
            if self.gate.is_outdated(question.id) {
                continue;
            }
            let news = match self.answer(&question) {
                Ok(Some(text)) => {
                    let command = matches!(question.kind, Kind::Command { .. });
                    News::Line { question: question.id, command, text }
                }
                Ok(None) => continue,
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

    /// What is typed as an answer; `None` if the question became outdated.
    fn answer(&mut self, question: &Question) -> rustyline::Result<Option<Zeroizing<String>>> {
        match &question.kind {
            Kind::Command { history, addressee } => {
                self.read_command(question, history.as_deref(), addressee.as_deref())
            }
            Kind::Answer { hidden } => {
                self.load(None);
                self.gate.read(Reading::Answer);
                let cursor = if *hidden { self.editor.set_cursor_visibility(false)? } else { None };
                let read = self.read(question.id, &question.prompt, *hidden, &Draft::default());
                drop(cursor);
                Ok(match read? {
                    Read::Line(line) => Some(only_line(line)),
                    Read::Left(Left::Pasted { text, .. }) => Some(only_line(text)),
                    Read::Left(Left::Outdated(_)) => None,
                })
            }
        }
    }

    fn read_command(
        &mut self,
        question: &Question,
        history: Option<&Path>,
        addressee: Option<&str>,
    ) -> rustyline::Result<Option<Zeroizing<String>>> {
        self.load(history);
        loop {
            let draft = std::mem::take(&mut self.draft);
            self.gate.read(Reading::Command);
            match self.read(question.id, &question.prompt, false, &draft)? {
                Read::Line(line) => return self.keep(history, line).map(Some),
                Read::Left(Left::Outdated(draft)) => {
                    self.draft = draft;
                    return Ok(None);
                }
                Read::Left(Left::Pasted { before, text }) => {
                    wipe_line(&question.prompt, &before)?;
                    let text = text.strip_suffix('\n').unwrap_or(&text);
                    let pasted = Pasted::new(&before, text, addressee);
                    if !text.contains('\n') {
                        self.draft = Draft { text: text.to_owned(), at: text.len() };
                    } else if self.confirms(question.id, &pasted.question())? {
                        return self.keep(history, pasted.line()).map(Some);
                    } else {
                        self.draft = before;
                    }
                    if self.gate.is_outdated(question.id) {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Asks something. What makes the question outdated counts as a no.
    fn confirms(&mut self, id: u64, asked: &str) -> rustyline::Result<bool> {
        loop {
            self.gate.read(Reading::YesOrNo(None));
            let read = self.read(id, asked, false, &Draft::default());
            let answered = self.gate.read(Reading::Command);
            match (read?, answered) {
                (Read::Left(Left::Outdated(_)), _) => return Ok(false),
                (_, Reading::YesOrNo(Some(yes))) => return Ok(yes),
                (Read::Line(_) | Read::Left(Left::Pasted { .. }), _) => {}
            }
        }
    }

    /// Remembers commands, but for private texts.
    fn keep(&mut self, history: Option<&Path>, text: String) -> rustyline::Result<Zeroizing<String>> {
        let text = Zeroizing::new(text);
        for line in text.lines().filter(|line| history.is_some() && !is_private(line)) {
            self.editor.add_history_entry(line)?;
        }
        if let Some(path) = history {
            // A history that cannot be kept is no reason to stop.
            let _ = self.editor.append_history(path);
        }
        Ok(text)
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

    fn read(&mut self, id: u64, prompt: &str, hidden: bool, draft: &Draft) -> rustyline::Result<Read> {
        if let Some(helper) = self.editor.helper_mut() {
            helper.begin(id, hidden);
        }
        // An editor that has left a line has nothing half done: its terminal is restored by its guard, and the line
        // begins anew.
        let editor = AssertUnwindSafe(&mut self.editor);
        let read = panic::catch_unwind(move || {
            let AssertUnwindSafe(editor) = { editor };
            editor.readline_with_initial(prompt, draft.parts())
        });
        self.gate.set(Stage::Idle);
        match read {
            Ok(line) => line.map(Read::Line),
            Err(cause) => match self.editor.helper_mut().and_then(LineHelper::left) {
                Some(left) if cause.is::<Leaves>() => Ok(Read::Left(left)),
                Some(_) | None => panic::resume_unwind(cause),
            },
        }
    }

    /// Reads, because the editor shows texts only while it reads.
    fn drain(mut self) {
        while self.read(u64::MAX, "", true, &Draft::default()).is_ok() {}
    }
}

/// Several lines that were pasted, and what becomes of them.
enum Pasted<'a> {
    /// One message to whoever is addressed.
    Message { text: &'a str, to: &'a str, begun: bool },
    /// A command each.
    Commands(&'a str),
}

impl<'a> Pasted<'a> {
    /// Behind the beginning of a command the lines are commands, whoever is addressed.
    fn new(before: &Draft, text: &'a str, addressee: Option<&'a str>) -> Pasted<'a> {
        let typed = before.parts().0.trim_start();
        let command = typed.starts_with('/') && !typed.starts_with("//");
        match addressee.filter(|_| !command) {
            Some(to) => Pasted::Message { text, to, begun: !typed.is_empty() },
            None => Pasted::Commands(text),
        }
    }

    fn question(&self) -> String {
        match self {
            Pasted::Message { text, to, .. } => {
                format!("{} lines to {to} as one message? y/n ", text.split('\n').count())
            }
            Pasted::Commands(text) => {
                let count = text.lines().filter(|line| !line.trim().is_empty()).count();
                format!("run {count} lines as commands? y/n ")
            }
        }
    }

    /// What is as good as typed. A slash that was pasted begins no command.
    fn line(&self) -> String {
        match self {
            Pasted::Message { text, begun, .. } => {
                let slash = if text.trim_start().starts_with('/') && !begun { "/" } else { "" };
                format!(
                    "{slash}{}",
                    text.replace("\r\n", "\n").replace('\n', LINE_BREAK.encode_utf8(&mut [0; 4]))
                )
            }
            Pasted::Commands(text) => (*text).to_owned(),
        }
    }
}

/// The first line of what was typed or pasted at a prompt: what comes after it was not asked for.
fn only_line(text: String) -> Zeroizing<String> {
    let text = Zeroizing::new(text);
    Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())
}

/// Whether a line may be for another client's eyes only.
fn is_private(line: &str) -> bool {
    let line = line.trim_start();
    let word = line.strip_prefix('/').unwrap_or(line).split(' ').next();
    matches!(word, Some("private" | "reply"))
}

/// Removes a line from the screen whose cursor is where the editor has left it.
fn wipe_line(prompt: &str, line: &Draft) -> io::Result<()> {
    let columns = tcgetwinsize(io::stdout()).map_or(80, |size| usize::from(size.ws_col.max(1)));
    let rows = (prompt.width() + line.parts().0.width()) / columns;
    let mut output = io::stdout().lock();
    if rows > 0 {
        write!(output, "\x1b[{rows}A")?;
    }
    output.write_all(b"\r\x1b[J").and_then(|()| output.flush())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_a_prompt_only_the_first_line_counts() {
        for (typed, line) in
            [("falcon", "falcon"), ("falcon\n", "falcon"), ("falcon\nwhoelse", "falcon"), ("", "")]
        {
            assert_eq!(*only_line(typed.into()), *line);
        }
    }

    #[test]
    fn private_texts_are_recognised_as_they_are_typed() {
        assert!(is_private("private luke hi") && is_private("  private luke") && is_private("/reply hi"));
        assert!(!is_private("privates") && !is_private("message private hi") && !is_private(""));
    }
}
