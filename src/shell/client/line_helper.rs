//! Callbacks of the line editor: completions, whether the line is shown, and when it is left unfinished.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::sync::Arc;

use rustyline::completion::Completer;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Cmd, ConditionalEventHandler, Context, Event, EventContext, Helper, RepeatCount};
use unicode_width::UnicodeWidthStr as _;

use super::completion::Roster;
use super::gate::Gate;
use super::keys::Keys;
use crate::words::LINE_BREAK;

/// A line that is not finished, and where the cursor stands in it, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) text: String,
    pub(super) at: usize,
}

impl Draft {
    fn new(text: &str, at: usize) -> Draft {
        Draft { text: text.to_owned(), at }
    }

    /// What is before the cursor, and what is behind it.
    pub(super) fn parts(&self) -> (&str, &str) {
        self.text.split_at_checked(self.at).unwrap_or((&self.text, ""))
    }
}

/// Why the editor left a line unfinished.
#[derive(Debug)]
pub(super) enum Left {
    /// Something else is asked. The line is not on the screen any more.
    Outdated(Draft),
    /// Several lines were pasted. On the screen is still what was there before.
    Pasted {
        /// Before.
        before: Draft,
        /// All lines.
        text: String,
    },
}

/// What an editor that leaves a line unwinds with.
pub(super) struct Leaves;

/// Helps the editor while a line is typed.
pub(super) struct LineHelper {
    /// The question that the line answers.
    asked: u64,
    /// Whether the line is hidden.
    hidden: bool,
    /// Nothing of the line was drawn yet.
    fresh: Cell<bool>,
    /// A key was pressed since the line was last drawn.
    keyed: Cell<bool>,
    drawn: RefCell<Draft>,
    left: RefCell<Option<Left>>,
    gate: Arc<Gate>,
    roster: Roster,
    keys: Keys,
}

impl LineHelper {
    /// A helper that shows lines.
    pub(super) fn new(gate: Arc<Gate>, roster: Roster, keys: Keys) -> LineHelper {
        LineHelper {
            asked: 0,
            hidden: false,
            fresh: Cell::new(true),
            keyed: Cell::new(false),
            drawn: RefCell::default(),
            left: RefCell::default(),
            gate,
            roster,
            keys,
        }
    }

    /// A line begins.
    pub(super) fn begin(&mut self, asked: u64, hidden: bool) {
        (self.asked, self.hidden) = (asked, hidden);
        self.fresh.set(true);
        self.keyed.set(false);
        self.drawn.take();
        self.left.take();
    }

    /// Why the line was left.
    pub(super) fn left(&mut self) -> Option<Left> {
        self.left.take()
    }

    /// The editor cannot be told to stop: this unwinds it as an error would, and it restores the terminal.
    fn leave(&self, left: Left) -> ! {
        *self.left.borrow_mut() = Some(left);
        self.gate.leave();
        resume_unwind(Box::new(Leaves))
    }

    fn is_outdated(&self) -> bool {
        self.gate.is_outdated(self.asked)
    }
}

impl Completer for LineHelper {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..at).unwrap_or_default();
        Ok(if self.hidden { (at, Vec::new()) } else { self.roster.complete(typed) })
    }
}

/// Gives no hints. The editor asks for one before it draws a line that has changed, once it has taken over the
/// terminal.
impl Hinter for LineHelper {
    type Hint = String;

    fn hint(&self, line: &str, at: usize, _: &Context<'_>) -> Option<String> {
        if self.fresh.replace(false) && self.is_outdated() {
            self.leave(Left::Outdated(Draft::new(line, at)));
        }
        // Only what is pasted has line feeds.
        if !self.hidden && line.contains('\n') {
            self.leave(Left::Pasted { before: self.drawn.take(), text: line.to_owned() });
        }
        self.drawn.replace(Draft::new(line, at));
        self.gate.begin();
        None
    }
}

/// Accepts every line. The editor asks when a line is finished, and restores the terminal afterwards.
impl Validator for LineHelper {
    fn validate(&self, _: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        self.keys.press();
        self.gate.leave();
        Ok(ValidationResult::Valid(None))
    }
}

impl Highlighter for LineHelper {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        self.gate.draw();
        Cow::Borrowed(prompt)
    }

    /// Without a key before it, the line is drawn because some output was shown above it. Nothing of it is on the
    /// screen then, so that this is the moment to leave it.
    fn highlight<'l>(&self, line: &'l str, at: usize) -> Cow<'l, str> {
        if !self.keyed.replace(false) && self.is_outdated() {
            self.leave(Left::Outdated(Draft::new(line, at)));
        }
        match line {
            _ if self.hidden => Cow::Owned(" ".repeat(line.width())),
            _ if line.contains(LINE_BREAK) => Cow::Owned(line.replace(LINE_BREAK, "\u{21b5}")),
            _ => Cow::Borrowed(line),
        }
    }

    fn highlight_char(&self, line: &str, at: usize, kind: CmdKind) -> bool {
        self.keys.press();
        self.keyed.set(true);
        self.drawn.replace(Draft::new(line, at));
        self.hidden && kind != CmdKind::MoveCursor
    }
}

impl Helper for LineHelper {}

/// Ctrl-C: clears a line that has something in it, and ends the program otherwise, or at a prompt.
pub(super) struct Interruption(pub(super) Arc<Gate>);

impl ConditionalEventHandler for Interruption {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        let clears = self.0.reads_command() && !context.line().is_empty();
        Some(if clears { Cmd::Kill(rustyline::Movement::WholeBuffer) } else { Cmd::Interrupt })
    }
}

/// `y` or `n` to a question that is asked by this program itself: no Enter is needed.
pub(super) struct Answering(pub(super) Arc<Gate>);

impl ConditionalEventHandler for Answering {
    fn handle(&self, event: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        let yes = event.get(0)? == &rustyline::KeyEvent::from('y');
        let answers = context.line().is_empty() && self.0.answer(yes);
        answers.then_some(Cmd::AcceptLine)
    }
}
