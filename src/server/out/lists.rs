//! Lists of any length, cut into lines and pieces.

use alloc::string::String;
use alloc::vec::Vec;

/// Words of a list in one line, in bytes.
const LINE_BYTES: usize = 3_800;
/// A list up to this size leaves at once; a longer one in pieces of it.
pub(super) const PIECE_BYTES: usize = 32 * 1024;
/// A list that did not leave at once.
#[derive(Debug, Clone)]
pub(super) struct List {
    lines: Vec<u8>,
    next: usize,
}

impl List {
    pub(super) const fn new(lines: Vec<u8>) -> List {
        List { lines, next: 0 }
    }

    /// The next whole lines, as many as a piece holds, but at least one.
    pub(super) fn piece(&mut self) -> &[u8] {
        let rest = self.lines.get(self.next..).unwrap_or_default();
        let (full, beyond) = rest.split_at(PIECE_BYTES.min(rest.len()));
        let length = match memchr::memrchr(b'\n', full) {
            Some(at) => at + 1,
            None => memchr::memchr(b'\n', beyond).map_or(rest.len(), |at| full.len() + at + 1),
        };
        self.next += length;
        rest.get(..length).unwrap_or_default()
    }

    pub(super) fn is_sent(&self) -> bool {
        self.next >= self.lines.len()
    }
}

/// Joins words to lines that fit on the wire.
pub(in crate::server) fn word_lines(words: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= LINE_BYTES => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(String::from(*word)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn words_share_lines_and_none_is_too_long() {
        let words: Vec<String> = (0..2_000).map(|n| alloc::format!("user{n}")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let lines = word_lines(&words);
        assert!(lines.len() < 10 && lines.iter().all(|line| line.len() <= LINE_BYTES));
        let back: Vec<&str> = lines.iter().flat_map(|line| line.split(' ')).collect();
        assert_eq!(back, words);
        assert!(word_lines(&[]).is_empty());
    }

    #[test]
    fn pieces_end_at_line_ends_and_add_up() {
        let lines: Vec<u8> = (0..9_000).flat_map(|n| alloc::format!("line {n}\n").into_bytes()).collect();
        let mut list = List { lines: lines.clone(), next: 0 };
        let mut sent = vec![];
        while !list.is_sent() {
            let piece = list.piece();
            assert!(piece.len() <= PIECE_BYTES && piece.ends_with(b"\n"));
            sent.extend_from_slice(piece);
        }
        assert_eq!(sent, lines);
    }

    #[test]
    fn a_line_that_is_longer_than_a_piece_is_one() {
        let long = [b'x'].repeat(PIECE_BYTES + 9);
        let mut list = List::new([&long[..], b"\nyoda\n"].concat());
        assert_eq!(list.piece().len(), long.len() + 1);
        assert_eq!(list.piece(), b"yoda\n");
        assert!(list.is_sent());
    }
}
