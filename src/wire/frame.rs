//! Cuts a stream of bytes, in any chunking, into lines.

use core::fmt;

use crate::planted::{self, Planted};
use crate::words::wiped::WipedBytes;

/// A result of framing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole line, without its line feed and without one carriage return before it.
    Line(&'a [u8]),
    /// A line longer than the limit; it was skipped up to and with its line feed.
    TooLong {
        /// How long it was, without its line feed.
        bytes: usize,
    },
}

/// Prints the length of a line, not its content: it may hold a password.
impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Frame::Line(line) => write!(f, "Line({} bytes)", line.len()),
            Frame::TooLong { bytes } => write!(f, "TooLong({bytes} bytes)"),
        }
    }
}

/// Keeps the beginning of a line whose end has not come yet, and overwrites it when it was handed out: it may hold a
/// password. Holds no memory between lines.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Framer {
    /// The unfinished line, or the line handed out last.
    kept: WipedBytes,
    progress: Progress,
}

/// Prints how much is kept, not its content: it may be a password.
impl fmt::Debug for Framer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Framer({} bytes, {:?})", self.kept.len(), self.progress)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Progress {
    /// The kept bytes are the beginning of a line.
    #[default]
    Unfinished,
    /// The kept bytes were a whole line; the next call frees them.
    HandedOut,
    /// The line is too long: nothing is kept, and this many of its bytes have arrived.
    Overlong(usize),
}

impl Framer {
    /// The next line of the stream, taking bytes from the front of `chunk`; `None` when the chunk is
    /// used up (its unfinished end is kept for the next chunk). A line within one chunk is not copied.
    /// `limit` is the longest line in bytes, its end not counted; `usize::MAX` is none.
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
        if planted::is(Planted::SplitCharacter)
            && !self.kept.is_empty()
            && let Some((0x80..=0xbf, rest)) = chunk.split_first()
        {
            *chunk = rest;
        }
        if self.progress == Progress::HandedOut {
            *self = Framer::default();
        }
        let found = memchr::memchr(b'\n', chunk).and_then(|end| chunk.split_at_checked(end));
        let Some((last, [_line_feed, rest @ ..])) = found else {
            self.keep(chunk, limit);
            *chunk = &[];
            return None;
        };
        *chunk = rest;
        if self.progress == Progress::Unfinished && self.kept.is_empty() {
            return Some(measured(last, limit));
        }
        // One byte more than the limit may come, if it is a carriage return.
        let length = self.skipped().saturating_add(self.kept.len()).saturating_add(last.len());
        if self.progress != Progress::Unfinished || length > limit.saturating_add(1) {
            *self = Framer::default();
            return Some(Frame::TooLong { bytes: length });
        }
        self.kept.extend_from_slice(last);
        self.progress = Progress::HandedOut;
        Some(measured(&self.kept, limit))
    }

    /// Whether everything that has arrived was handed out.
    #[must_use]
    pub const fn is_between_lines(&self) -> bool {
        match self.progress {
            Progress::Unfinished => self.kept.is_empty(),
            Progress::HandedOut => true,
            Progress::Overlong(_) => false,
        }
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
        // A carriage return just past the limit may turn out to belong to the line's end.
        let fits = length <= limit || (length - 1 == limit && piece.ends_with(b"\r"));
        if fits && self.progress == Progress::Unfinished {
            self.kept.extend_from_slice(piece);
        } else {
            *self = Framer { kept: WipedBytes::new(), progress: Progress::Overlong(length) };
        }
    }
}

/// A line without its line feed: drops its carriage return and checks the limit.
fn measured(line: &[u8], limit: usize) -> Frame<'_> {
    let bytes = line.len();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() <= limit { Frame::Line(line) } else { Frame::TooLong { bytes } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// All frames of one chunk, as text; `None` for a line that is too long.
    fn frames(framer: &mut Framer, mut chunk: &[u8], limit: usize) -> Vec<Option<Vec<u8>>> {
        let mut frames = Vec::new();
        while let Some(frame) = framer.next(&mut chunk, limit) {
            frames.push(match frame {
                Frame::Line(line) => Some(line.to_vec()),
                Frame::TooLong { .. } => None,
            });
        }
        assert!(chunk.is_empty());
        frames
    }

    fn line(text: &str) -> Option<Vec<u8>> {
        Some(text.as_bytes().to_vec())
    }

    /// R1
    #[test]
    fn one_carriage_return_belongs_to_the_end() {
        let mut framer = Framer::default();
        let found = frames(&mut framer, b"a\r\nb\n\r\n\nc\r\r\nd\re\n", 4);
        assert_eq!(found, [line("a"), line("b"), line(""), line(""), line("c\r"), line("d\re")]);
        assert_eq!(frames(&mut framer, b"f\r", 1), []);
        assert_eq!(frames(&mut framer, b"\n", 1), [line("f")]);
    }

    /// R2
    #[test]
    fn a_line_at_the_limit_passes_and_one_past_it_does_not() {
        for (stream, expected) in [
            (&b"1234\nok\n"[..], [line("1234"), line("ok")]),
            (b"1234\r\nok\n", [line("1234"), line("ok")]),
            (b"12345\nok\n", [None, line("ok")]),
            (b"12345\r\nok\n", [None, line("ok")]),
            (b"1234\r\r\nok\n", [None, line("ok")]),
            (b"123456789012345678901234567890\nok\n", [None, line("ok")]),
        ] {
            assert_eq!(frames(&mut Framer::default(), stream, 4), expected, "{}", stream.escape_ascii());
            let mut framer = Framer::default();
            let singly: Vec<_> = stream.chunks(1).flat_map(|byte| frames(&mut framer, byte, 4)).collect();
            assert_eq!(singly, expected, "{} byte by byte", stream.escape_ascii());
        }
    }

    /// R2
    #[test]
    fn an_overlong_line_is_counted_and_not_kept() {
        let mut framer = Framer::default();
        assert_eq!(frames(&mut framer, b"1234", 4), []);
        assert_eq!(framer.skipped(), 0);
        assert_eq!(frames(&mut framer, b"5", 4), []);
        assert_eq!((framer.skipped(), framer.kept.capacity()), (5, 0));
        for _ in 0..1000 {
            assert_eq!(frames(&mut framer, &[b'x'; 1000], 4), []);
        }
        assert_eq!((framer.skipped(), framer.kept.capacity()), (1_000_005, 0));
        assert_eq!(frames(&mut framer, b"\nnext\n", 4), [None, line("next")]);
        assert_eq!(framer.skipped(), 0);
    }

    #[test]
    fn nothing_is_kept_between_lines() {
        let mut framer = Framer::default();
        assert_eq!(frames(&mut framer, b"whole\nbegun", 99), [line("whole")]);
        assert!(framer.kept.capacity() >= 5);
        assert_eq!(frames(&mut framer, b" and ended\n", 99), [line("begun and ended")]);
        assert_eq!(framer.kept.capacity(), 0);
        assert_eq!(framer, Framer::default());
    }

    #[test]
    fn a_line_within_a_chunk_is_not_copied() {
        let bytes = *b"first\nsecond\n";
        let (mut framer, mut chunk) = (Framer::default(), &bytes[..]);
        for expected in [&bytes[..5], &bytes[6..12]] {
            let Some(Frame::Line(line)) = framer.next(&mut chunk, 99) else { panic!("a line") };
            assert_eq!(line.as_ptr_range(), expected.as_ptr_range());
        }
    }

    /// A limit may become smaller while a line is on its way.
    #[test]
    fn a_smaller_limit_holds_at_once() {
        let mut framer = Framer::default();
        assert_eq!(frames(&mut framer, b"1234567", 9), []);
        assert_eq!(frames(&mut framer, b"8\nok\n", 4), [None, line("ok")]);
        assert_eq!(frames(&mut framer, b"1234567", usize::MAX), []);
        assert_eq!(frames(&mut framer, b"8", 4), []);
        assert_eq!(frames(&mut framer, b"\nok\n", 4), [None, line("ok")]);
    }

    #[test]
    fn the_content_of_a_line_is_not_printed() {
        assert_eq!(alloc::format!("{:?}", Frame::Line(b"login hans topsecret")), "Line(20 bytes)");
    }
}
