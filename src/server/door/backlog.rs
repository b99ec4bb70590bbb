//! Lines that wait on one link.

use crate::wire::Frame;
use crate::words::wiped::WipedBytes;

/// Lines of a link that wait to be obeyed, in order, one behind the other in one piece of memory. They may hold
/// passwords, and are overwritten once they are obeyed. Owns no memory while it is empty.
#[derive(Clone, Default)]
pub(super) struct Backlog {
    /// Each line with its line feed. Nobody has to wait for an empty line: one stands for a line beyond the limit.
    bytes: WipedBytes,
    /// Where the first line is, and its line feed; both 0 while there is none.
    front: usize,
    front_end: usize,
    /// Bytes of the lines that wait, also while they are lent.
    weight: usize,
}

/// The first memory of a backlog: a link that has to wait has seldom only one line to be held.
const FIRST_BYTES: usize = 1024;

/// A line that waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Held<'a> {
    Line(&'a [u8]),
    /// A line beyond the limit.
    TooLong,
}

/// The first line of a backlog, taken out while it is obeyed, with those behind it. Nothing comes meanwhile, and the next
/// line is not asked for.
pub(super) struct Lent {
    bytes: WipedBytes,
    at: usize,
    end: usize,
}

impl Backlog {
    pub(super) const fn is_empty(&self) -> bool {
        self.weight == 0
    }

    /// Bytes of the lines that wait, their ends included.
    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    /// Adds a line that is not empty.
    pub(super) fn push(&mut self, frame: Frame<'_>) {
        let line = match frame {
            Frame::Line(line) => line,
            Frame::TooLong { .. } => &[],
        };
        if self.front > self.bytes.len() / 2 {
            self.bytes.remove_front(self.front);
            self.front_end -= self.front;
            self.front = 0;
        }
        if self.is_empty() {
            self.front_end = line.len();
        }
        let room = if self.bytes.is_empty() { FIRST_BYTES } else { 0 };
        self.bytes.write_with(room.max(line.len() + 1), |bytes| {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
        });
        self.weight += line.len() + 1;
    }

    /// The next line that will be obeyed.
    pub(super) fn front(&self) -> Option<Held<'_>> {
        (self.weight > 0).then(|| held(line_at(&self.bytes, self.front, self.front_end)))
    }

    /// Takes the next line out. Those behind it still count as waiting here.
    pub(super) fn lend(&mut self) -> Option<Lent> {
        if self.is_empty() {
            return None;
        }
        let Backlog { bytes, front: at, front_end: end, weight } = core::mem::take(self);
        self.weight = weight - (end - at + 1);
        Some(Lent { bytes, at, end })
    }

    /// The line was obeyed: takes back those behind it, unless they were dropped meanwhile.
    pub(super) fn take_back(&mut self, lent: Lent) {
        assert!(self.bytes.is_empty(), "nothing comes while a line is obeyed");
        if self.is_empty() {
            return;
        }
        let Lent { mut bytes, at, end } = lent;
        self.front = end + 1;
        bytes.wipe(at..self.front);
        self.front_end = self.front + length_of_first(bytes.get(self.front..).unwrap_or_default());
        self.bytes = bytes;
    }

    /// Drops all lines.
    pub(super) fn clear(&mut self) {
        *self = Backlog::default();
    }
}

impl Lent {
    pub(super) fn line(&self) -> Held<'_> {
        held(line_at(&self.bytes, self.at, self.end))
    }
}

const fn held(line: &[u8]) -> Held<'_> {
    match line {
        [] => Held::TooLong,
        line => Held::Line(line),
    }
}

/// The line between these places.
fn line_at(bytes: &[u8], at: usize, end: usize) -> &[u8] {
    bytes.get(at..end).unwrap_or_else(|| unreachable!("a line stands before its line feed"))
}

/// The length of the first line, without its line feed.
fn length_of_first(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes).unwrap_or_else(|| unreachable!("a line stands before its line feed"))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// Obeys the first line: what it was.
    fn next(backlog: &mut Backlog) -> Option<Vec<u8>> {
        let lent = backlog.lend()?;
        let line = match lent.line() {
            Held::Line(line) => line.to_vec(),
            Held::TooLong => b"too long".to_vec(),
        };
        backlog.take_back(lent);
        Some(line)
    }

    #[test]
    fn lines_come_out_as_they_went_in_also_while_more_come() {
        let mut backlog = Backlog::default();
        let mut expected = Vec::new();
        for round in 0..50_usize {
            for line in [&b"message yoda hi"[..], b" a", &[b'x'; 300]] {
                backlog.push(Frame::Line(line));
                expected.push(line.to_vec());
            }
            backlog.push(Frame::TooLong { bytes: 70_000 });
            expected.push(b"too long".to_vec());
            for line in expected.drain(..round % 5).collect::<Vec<_>>() {
                assert_eq!(next(&mut backlog), Some(line));
            }
            let weight = |line: &Vec<u8>| if line == b"too long" { 1 } else { line.len() + 1 };
            assert_eq!(backlog.weight(), expected.iter().map(weight).sum::<usize>());
            assert_eq!(
                backlog.weight(),
                backlog.bytes.len() - backlog.front,
                "what counts is what is stored"
            );
        }
        for line in expected {
            assert_eq!(next(&mut backlog), Some(line));
        }
        assert!(backlog.is_empty() && backlog.front().is_none() && next(&mut backlog).is_none());
        assert_eq!((backlog.weight(), backlog.bytes.capacity()), (0, 0), "an empty one owns no memory");
    }

    #[test]
    fn what_was_obeyed_is_overwritten_and_what_was_dropped_does_not_come_back() {
        let mut backlog = Backlog::default();
        backlog.push(Frame::Line(b"login yoda falcon"));
        backlog.push(Frame::Line(b"whoelse"));
        assert_eq!(next(&mut backlog).as_deref(), Some(&b"login yoda falcon"[..]));
        assert!(!backlog.bytes.windows(6).any(|bytes| bytes == b"falcon"));
        let lent = backlog.lend().expect("a line waits");
        backlog.clear();
        backlog.take_back(lent);
        assert!(backlog.is_empty() && backlog.bytes.is_empty());
    }
}
