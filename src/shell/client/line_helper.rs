//! Callbacks of the line editor: completions, and whether the line is shown.

use std::borrow::Cow;
use std::sync::Arc;

use rustyline::completion::Completer;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};
use unicode_width::UnicodeWidthStr as _;

use super::completion::Roster;
use super::gate::Gate;

/// Helps the editor while a line is typed.
pub(super) struct LineHelper {
    /// Whether the line is hidden.
    pub(super) hidden: bool,
    gate: Arc<Gate>,
    roster: Roster,
}

impl LineHelper {
    /// A helper that shows lines.
    pub(super) fn new(gate: Arc<Gate>, roster: Roster) -> LineHelper {
        LineHelper { hidden: false, gate, roster }
    }
}

impl Completer for LineHelper {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..at).unwrap_or_default();
        Ok(if self.hidden { (at, Vec::new()) } else { self.roster.complete(typed) })
    }
}

/// Gives no hints. The editor asks for one before it draws a line, once it has taken over the terminal.
impl Hinter for LineHelper {
    type Hint = String;

    fn hint(&self, _: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.gate.begin();
        None
    }
}

/// Accepts every line. The editor asks when a line is finished, and restores the terminal afterwards.
impl Validator for LineHelper {
    fn validate(&self, _: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        self.gate.leave();
        Ok(ValidationResult::Valid(None))
    }
}

impl Highlighter for LineHelper {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        self.gate.draw();
        Cow::Borrowed(prompt)
    }

    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if self.hidden { Cow::Owned(" ".repeat(line.width())) } else { Cow::Borrowed(line) }
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.hidden && kind != CmdKind::MoveCursor
    }
}

impl Helper for LineHelper {}
