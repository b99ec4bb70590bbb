//! What a process has in its memory.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};

/// Bytes of the pieces of a secret that are searched for: what is freed is overwritten in part.
const PIECE: usize = 12;
/// Bytes read at once.
const WINDOW: usize = 1 << 20;

/// The places in the memory of a process where a piece of a secret is, as `PIECE in MAPPING`; `None` if this test may
/// not read the memory of the process.
#[must_use]
pub fn pieces_in_memory(id: u32, secret: &str) -> Option<Vec<String>> {
    let maps = fs::read_to_string(format!("/proc/{id}/maps")).ok()?;
    let mut memory = File::open(format!("/proc/{id}/mem")).ok()?;
    let pieces: Vec<&[u8]> = secret.as_bytes().chunks_exact(PIECE).collect();
    let mut found = Vec::new();
    let mut read = 0;
    for line in maps.lines() {
        let Some((from, to)) = range(line) else { continue };
        let mut at = from;
        while at < to {
            // A piece may lie across the border of two windows.
            let length = (to - at).min((WINDOW + PIECE) as u64) as usize;
            let mut window = vec![0; length];
            let whole = memory.seek(SeekFrom::Start(at)).and_then(|_| memory.read_exact(&mut window));
            if whole.is_err() {
                break;
            }
            read += length;
            for place in window.windows(PIECE).filter(|place| pieces.contains(place)) {
                found.push(format!("{} in {line}", String::from_utf8_lossy(place)));
            }
            at += WINDOW as u64;
        }
    }
    (read > 0).then_some(found)
}

/// The addresses of a mapping that can be read and written.
fn range(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    let (from, to) = range.split_once('-')?;
    let address = |digits| u64::from_str_radix(digits, 16).ok();
    rest.starts_with("rw").then_some((address(from)?, address(to)?))
}
