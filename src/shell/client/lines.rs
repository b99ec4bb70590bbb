//! Cuts what is read from a pipe into lines, counted from 1.

use crate::words::wiped::WipedBytes;

/// The input so far.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Bytes that were read. Those of lines that were cut are overwritten at the next call.
    rest: WipedBytes,
    /// Where the rest begins in it.
    at: usize,
    /// How far it was searched for a line feed.
    searched: usize,
    /// Number of lines cut.
    count: u64,
    ended: bool,
    /// Longest line; of a longer one only this much and one byte more is kept.
    limit: usize,
}

impl Lines {
    /// Of a line longer than `limit` at most one byte beyond it is kept.
    pub(super) fn new(limit: usize) -> Lines {
        Lines { limit, ..Lines::default() }
    }

    /// The same, where lines were read before.
    pub(super) fn counting_from(self, count: u64) -> Lines {
        Lines { count, ..self }
    }

    /// Adds bytes that were read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.remove_cut();
        // An endless line takes no memory: its beginning is enough to call it too long.
        if memchr::memchr(b'\n', &self.rest).is_none() {
            self.rest.truncate(self.limit + 2);
            self.searched = self.searched.min(self.rest.len());
        }
        self.rest.extend_from_slice(bytes);
    }

    /// The input has ended.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether the input has ended and is cut completely.
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.at == self.rest.len()
    }

    /// The next line and its number, without its line feed and one carriage return before it. The
    /// last line needs no line feed.
    pub(super) fn next(&mut self) -> Option<(u64, &[u8])> {
        let start = self.at;
        let Some(end) = self.line_end() else {
            self.remove_cut();
            return None;
        };
        self.count += 1;
        let line = &self.rest[start..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Some((self.count, &line[..line.len().min(self.limit + 1)]))
    }

    /// Removes the lines that were cut.
    fn remove_cut(&mut self) {
        self.rest.remove_front(self.at);
        self.searched -= self.at;
        self.at = 0;
    }

    /// Advances past the next line; returns its end.
    fn line_end(&mut self) -> Option<usize> {
        match memchr::memchr(b'\n', &self.rest[self.searched..]) {
            Some(length) => {
                let end = self.searched + length;
                self.at = end + 1;
                self.searched = self.at;
                Some(end)
            }
            None if self.ended && self.at < self.rest.len() => {
                self.at = self.rest.len();
                self.searched = self.at;
                Some(self.at)
            }
            None => {
                self.searched = self.rest.len();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(lines: &mut Lines) -> Vec<(u64, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some((number, line)) = lines.next() {
            all.push((number, line.to_vec()));
        }
        all
    }

    #[test]
    fn lines_are_counted_and_lose_their_end_only() {
        let mut lines = Lines::new(100);
        lines.push(b"hans\r\n\n falcon \r\r\nmess");
        assert_eq!(cut(&mut lines), [(1, b"hans".to_vec()), (2, vec![]), (3, b" falcon \r".to_vec())]);
        lines.push(b"age");
        assert_eq!(cut(&mut lines), []);
        assert!(!lines.is_over());
        lines.end();
        assert!(!lines.is_over());
        assert_eq!(cut(&mut lines), [(4, b"message".to_vec())]);
        assert!(lines.is_over());
    }

    #[test]
    fn an_endless_line_takes_no_memory_and_is_too_long() {
        let mut lines = Lines::new(10);
        for _ in 0..1_000 {
            lines.push(&[b'x'; 1_000]);
            assert_eq!(lines.next(), None);
        }
        assert!(lines.rest.len() < 3_000);
        lines.push(b"\nnext\n");
        assert_eq!(cut(&mut lines), [(1, vec![b'x'; 11]), (2, b"next".to_vec())]);
    }

    #[test]
    fn a_line_at_the_limit_is_whole_with_either_end() {
        for end in ["\n", "\r\n"] {
            let mut lines = Lines::new(4);
            for byte in b"1234" {
                lines.push(&[*byte]);
            }
            lines.push(end.as_bytes());
            assert_eq!(cut(&mut lines), [(1, b"1234".to_vec())]);
        }
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            text in prop::collection::vec(prop::sample::select(b"ab\r\n".to_vec()), 0..60),
            cuts in prop::collection::vec(0..60usize, 0..6),
        ) {
            let mut whole = Lines::new(8);
            whole.push(&text);
            whole.end();
            let mut parts = Lines::new(8);
            let mut found = Vec::new();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            for pair in cuts.windows(2) {
                parts.push(&text[pair[0]..pair[1]]);
                found.extend(cut(&mut parts));
            }
            parts.end();
            found.extend(cut(&mut parts));
            prop_assert_eq!(found, cut(&mut whole));
        }
    }
}
