//! Cuts a stream of bytes, in any chunking, into lines.

use alloc::vec::Vec;

/// What the framer found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole line, without its line feed and without one carriage return before it.
    Line(&'a [u8]),
    /// A line longer than the limit; it was skipped up to and with its line feed.
    TooLong,
}

/// Keeps the beginning of a line whose end has not come yet. Holds no memory between lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Framer {
    /// The unfinished line, or the line handed out last.
    kept: Vec<u8>,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Progress {
    /// What is kept waits for the rest of its line.
    #[default]
    Unfinished,
    /// What is kept was a whole line; the next call frees it.
    HandedOut,
    /// The line is too long: nothing is kept, so many of its bytes have come.
    Overlong(usize),
}

impl Framer {
    /// The next line of the stream, taking bytes from the front of `chunk`; `None` when the chunk is
    /// used up (its unfinished end is kept for the next chunk). A line within one chunk is not copied.
    /// `limit` is the longest line in bytes, its end not counted.
    ///
    /// ```
    /// use hobnob::wire::{Frame, Framer};
    ///
    /// let mut framer = Framer::default();
    /// let mut chunk: &[u8] = b"whoelse\r\nmessage yo";
    /// assert_eq!(framer.next(&mut chunk, 4096), Some(Frame::Line(b"whoelse")));
    /// assert_eq!(framer.next(&mut chunk, 4096), None);
    /// let mut chunk: &[u8] = b"da hi\n";
    /// assert_eq!(framer.next(&mut chunk, 4096), Some(Frame::Line(b"message yoda hi")));
    /// ```
    pub fn next<'f, 'c: 'f>(&'f mut self, chunk: &mut &'c [u8], limit: usize) -> Option<Frame<'f>> {
        if self.progress == Progress::HandedOut {
            *self = Framer::default();
        }
        let Some(end) = memchr::memchr(b'\n', chunk) else {
            self.keep(chunk, limit);
            *chunk = &[];
            return None;
        };
        let last = &chunk[..end];
        *chunk = &chunk[end + 1..];
        if self.progress == Progress::Unfinished && self.kept.is_empty() {
            return Some(measured(last, limit));
        }
        // One byte more than the limit may come, if it is a carriage return.
        let length = self.kept.len().saturating_add(last.len());
        if self.progress != Progress::Unfinished || length > limit.saturating_add(1) {
            *self = Framer::default();
            return Some(Frame::TooLong);
        }
        self.kept.extend_from_slice(last);
        self.progress = Progress::HandedOut;
        Some(measured(&self.kept, limit))
    }

    /// Bytes of an unfinished overlong line that were dropped so far.
    #[must_use]
    pub const fn skipped(&self) -> usize {
        match self.progress {
            Progress::Unfinished | Progress::HandedOut => 0,
            Progress::Overlong(bytes) => bytes,
        }
    }

    /// Keeps a piece without a line feed, or only counts it if the line is too long by now.
    fn keep(&mut self, piece: &[u8], limit: usize) {
        if piece.is_empty() {
            return;
        }
        let length = self.skipped().saturating_add(self.kept.len()).saturating_add(piece.len());
        // A carriage return just behind the limit may turn out to belong to the line's end.
        let fits = length <= limit || (length - 1 == limit && piece.ends_with(b"\r"));
        if fits && self.progress == Progress::Unfinished {
            self.kept.extend_from_slice(piece);
        } else {
            *self = Framer { kept: Vec::new(), progress: Progress::Overlong(length) };
        }
    }
}

/// A line whose line feed is cut off, without its carriage return and held against the limit.
fn measured(line: &[u8], limit: usize) -> Frame<'_> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() <= limit { Frame::Line(line) } else { Frame::TooLong }
}
