//! Typed lines that wait for a prompt or until fewer commands are open.

use alloc::collections::VecDeque;

use crate::words::wiped::WipedBytes;

/// Lines that may wait; the shell stops reading while so many do.
const WAITING_LINES: usize = 256;

/// A line as it was typed. It may be a password, so it has no `Debug`.
pub(super) struct Typed {
    /// Counts the lines of the input from 1.
    pub(super) line: u64,
    /// Any bytes, without the line feed.
    pub(super) text: WipedBytes,
}

impl Typed {
    /// Whether it is nothing but white space: such a line is ignored.
    pub(super) fn is_blank(&self) -> bool {
        self.text.trim_ascii().is_empty()
    }
}

/// The lines in the order in which they were typed.
#[derive(Default)]
pub(super) struct Input {
    waiting: VecDeque<Typed>,
    /// Lines of a session that was interrupted by a prompt.
    aside: VecDeque<Typed>,
    ended: bool,
}

impl Input {
    pub(super) fn push(&mut self, line: u64, text: &[u8]) {
        self.waiting.push_back(Typed { line, text: text.into() });
    }

    /// Lines typed so far are commands: none of them answers a prompt.
    pub(super) fn set_aside(&mut self) {
        self.aside.append(&mut self.waiting);
    }

    /// The session goes on.
    pub(super) fn take_up(&mut self) {
        self.aside.append(&mut self.waiting);
        core::mem::swap(&mut self.aside, &mut self.waiting);
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// No more lines will come.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    pub(super) fn pop(&mut self) -> Option<Typed> {
        self.waiting.pop_front()
    }

    /// Whether the input has ended and all lines were taken.
    pub(super) fn is_exhausted(&self) -> bool {
        self.ended && self.waiting.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_LINES
    }
}
