//! Cuts a stream of bytes, in any chunking, into lines.

use alloc::vec::Vec;

/// What the framer found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole line, without its line feed and without one carriage return before it.
    Line(&'a [u8]),
    /// A line longer than the limit; its rest is skipped to the next line feed.
    TooLong,
}

/// Keeps the beginning of a line whose end has not come yet. Holds no memory between lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Framer {
    partial: Vec<u8>,
    /// Bytes of an overlong line dropped so far; `None` while the line is within the limit.
    skipped: Option<usize>,
}

impl Framer {
    /// The next line of the stream, taking bytes from the front of `chunk`; `None` when the chunk is
    /// used up (its unfinished end is kept for the next chunk). A line within one chunk is not copied.
    /// `limit` is the longest line in bytes, its end not counted.
    pub fn next<'a>(&'a mut self, chunk: &mut &'a [u8], limit: usize) -> Option<Frame<'a>> {
        let _ = (chunk, limit);
        None
    }

    /// Bytes of an unfinished overlong line that were dropped so far.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped.unwrap_or(0)
    }
}
