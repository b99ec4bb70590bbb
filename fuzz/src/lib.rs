//! What must hold for any bytes whatever. The fuzzer looks for bytes that break it; the tests of the
//! main package replay what it found and a small hand-made corpus through the same functions.

#[cfg(feature = "shell")]
mod terminal;

use hobnob::wire::{ClientLine, Frame, Framer, Misuse, PeerLine, ServerLine};

/// The line limit of the protocol.
const LINE_BYTES: usize = 4096;

/// The lines of a stream do not depend on how it is cut, and are those of a cutter that sees it whole.
/// The first byte chooses the pieces.
pub fn framing(input: &[u8]) {
    let Some((&choice, stream)) = input.split_first() else { return };
    for limit in [LINE_BYTES, 8, 0] {
        let expected = cut_whole(stream, limit);
        assert_eq!(cut_in_pieces(stream, limit, |_| stream.len()), expected, "whole, limit {limit}");
        assert_eq!(cut_in_pieces(stream, limit, |_| 1), expected, "bytes, limit {limit}");
        let uneven = |piece: usize| 1 + (usize::from(choice) + piece * 7) % 61;
        assert_eq!(cut_in_pieces(stream, limit, uneven), expected, "pieces by {choice}, limit {limit}");
    }
}

/// A line of a client that is understood is written so that it is understood alike; one that is not
/// is named by a word short enough to send back.
pub fn client_line(input: &[u8]) {
    for line in each_line(input) {
        match ClientLine::parse(&line) {
            Ok(parsed) => {
                let again = written(|out| parsed.encode(out));
                assert_eq!(ClientLine::parse(&again), Ok(parsed));
            }
            Err(Misuse { command, .. }) => {
                assert!(command.chars().count() <= 32, "{command:?}");
                assert!(!command.contains('\n') && !command.starts_with(' '), "{command:?}");
            }
        }
    }
}

/// A line of a server that is understood has no second spelling, but for words that it may add later.
pub fn server_line(input: &[u8]) {
    for line in each_line(input) {
        let Ok(parsed) = ServerLine::parse(&line) else { continue };
        let again = written(|out| parsed.encode(out));
        if !matches!(parsed, ServerLine::Greeting { .. }) {
            assert_eq!(again.escape_ascii().to_string(), line.escape_ascii().to_string());
        }
        assert_eq!(ServerLine::parse(&again), Ok(parsed));
    }
}

/// A line of a peer that is understood has no second spelling.
pub fn peer_line(input: &[u8]) {
    for line in each_line(input) {
        let Ok(parsed) = PeerLine::parse(&line) else { continue };
        let again = written(|out| parsed.encode(out));
        assert_eq!(again.escape_ascii().to_string(), line.escape_ascii().to_string());
    }
}

/// A text of others in each place where a client shows one changes nothing on a terminal but the cells of its own
/// lines. The first byte chooses the width.
#[cfg(feature = "shell")]
pub fn terminal(input: &[u8]) {
    terminal::everywhere(input);
}

/// The input as one line, even with line feeds in it, and each of the lines that it holds.
fn each_line(input: &[u8]) -> Vec<Vec<u8>> {
    let lines = input.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
    core::iter::once(input.to_vec()).chain(lines).collect()
}

/// What a reader's framer makes of what a writer wrote: it must be one line.
pub fn written(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes);
    assert_eq!(bytes.pop(), Some(b'\n'));
    assert!(!bytes.contains(&b'\n'), "{}", bytes.escape_ascii());
    bytes.strip_suffix(b"\r").unwrap_or(&bytes).to_vec()
}

/// What a framer found: the lines, `None` for one that was too long, and at the end how many bytes of
/// an unfinished one it has skipped.
#[derive(Debug, PartialEq, Eq)]
pub struct Cut {
    lines: Vec<Option<Vec<u8>>>,
    skipped: usize,
}

/// The plainest way to cut a stream.
pub fn cut_whole(stream: &[u8], limit: usize) -> Cut {
    let mut lines: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').collect();
    let unfinished = lines.pop().unwrap_or_default();
    let bare = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).to_vec();
    Cut {
        lines: lines.into_iter().map(bare).map(|line| (line.len() <= limit).then_some(line)).collect(),
        skipped: if bare(unfinished).len() > limit { unfinished.len() } else { 0 },
    }
}

/// The same through a [`Framer`]; `size` says how long the n-th piece is, at least 1.
pub fn cut_in_pieces(stream: &[u8], limit: usize, size: impl Fn(usize) -> usize) -> Cut {
    let mut framer = Framer::default();
    let mut lines = Vec::new();
    let mut left = stream;
    let mut piece = 0;
    while !left.is_empty() {
        let (mut chunk, behind) = left.split_at(size(piece).clamp(1, left.len()));
        while let Some(frame) = framer.next(&mut chunk, limit) {
            lines.push(match frame {
                Frame::Line(line) => Some(line.to_vec()),
                Frame::TooLong { .. } => None,
            });
        }
        left = behind;
        piece += 1;
    }
    Cut { lines, skipped: framer.skipped() }
}
