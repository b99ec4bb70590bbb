//! Lines that wait on one link.

use crate::wire::Frame;
use crate::words::wiped::WipedBytes;

/// Lines of a link that wait to be obeyed, in order, one behind the other in one piece of memory: four bytes a line
/// beside its own. They may hold passwords, and are overwritten once they are obeyed. Owns no memory while it is empty.
#[derive(Clone, Default)]
pub(super) struct Backlog {
    /// Each line behind its length; [`TOO_LONG`] stands for one beyond the limit.
    bytes: WipedBytes,
    /// Where the first line is.
    front: usize,
    lines: usize,
    /// Bytes of the lines that wait, their ends included.
    weight: usize,
}

/// A line that waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Held<'a> {
    Line(&'a [u8]),
    /// A line beyond the limit.
    TooLong,
}

/// In place of a length. Lines are shorter: a link whose lines have no limit is cut off by what may wait on it.
const TOO_LONG: u32 = u32::MAX;
const LENGTH_BYTES: usize = size_of::<u32>();

/// The first line of a backlog, taken out while it is obeyed, with those behind it. Nothing comes meanwhile, and the next
/// line is not asked for.
pub(super) struct Lent {
    bytes: WipedBytes,
    at: usize,
}

impl Backlog {
    pub(super) const fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// Bytes of the lines that wait, their ends included.
    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    pub(super) fn push(&mut self, frame: Frame<'_>) {
        let (length, line) = match frame {
            Frame::Line(line) => (u32::try_from(line.len()).unwrap_or(TOO_LONG), line),
            Frame::TooLong { .. } => (TOO_LONG, &[][..]),
        };
        if self.front > self.bytes.len() / 2 {
            self.bytes.remove_front(self.front);
            self.front = 0;
        }
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(line);
        self.lines += 1;
        self.weight += line.len() + 1;
    }

    /// The next line that will be obeyed.
    pub(super) fn front(&self) -> Option<Held<'_>> {
        (self.lines > 0).then(|| read_at(&self.bytes, self.front))
    }

    /// Takes the next line out. Those behind it still count as waiting here.
    pub(super) fn lend(&mut self) -> Option<Lent> {
        let weight = match self.front()? {
            Held::Line(line) => line.len() + 1,
            Held::TooLong => 1,
        };
        self.lines -= 1;
        self.weight -= weight;
        Some(Lent { bytes: core::mem::take(&mut self.bytes), at: core::mem::take(&mut self.front) })
    }

    /// The line was obeyed: takes back those behind it, unless they were dropped meanwhile.
    pub(super) fn take_back(&mut self, lent: Lent) {
        assert!(self.bytes.is_empty(), "nothing comes while a line is obeyed");
        if self.lines == 0 {
            return;
        }
        let length = match lent.line() {
            Held::Line(line) => line.len(),
            Held::TooLong => 0,
        };
        let Lent { mut bytes, at } = lent;
        self.front = at + LENGTH_BYTES + length;
        bytes.wipe(at..self.front);
        self.bytes = bytes;
    }

    /// Drops all lines.
    pub(super) fn clear(&mut self) {
        *self = Backlog::default();
    }
}

impl Lent {
    pub(super) fn line(&self) -> Held<'_> {
        read_at(&self.bytes, self.at)
    }
}

fn read_at(bytes: &[u8], at: usize) -> Held<'_> {
    let Some((length, rest)) = bytes.get(at..).and_then(<[u8]>::split_first_chunk) else {
        unreachable!("a line stands behind its length")
    };
    match u32::from_le_bytes(*length) {
        TOO_LONG => Held::TooLong,
        length => Held::Line(rest.get(..length as usize).unwrap_or_default()),
    }
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
            for line in [&b"message yoda hi"[..], b"", &[b'x'; 300]] {
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
