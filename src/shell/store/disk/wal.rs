//! Detects damage in the write-ahead log of a database.
//!
//! SQLite reads a log up to the first invalid frame and takes the rest for a tail torn by a crash, even if it
//! had been confirmed and was damaged later. The writer syncs each transaction before it writes the next, so
//! a crash tears at most the last one: if a transaction follows an invalid one, the invalid one had been
//! complete (<https://www.sqlite.org/fileformat2.html>, 4).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// Magic number; the last bit means that checksums are computed over big-endian words.
const MAGIC: u32 = 0x377f_0682;
const PAGE_BYTES: std::ops::RangeInclusive<usize> = 512..=65_536;

/// Attempts: while a server writes, a frame can look invalid once, but not again.
const LOOKS: usize = 10;

type Sum = (u32, u32);
type Salts = [u8; 8];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Damage {
    /// There are frames after an invalid header.
    Header([u8; HEADER]),
    /// A confirmed frame, counted from 1, in the log with these salts.
    Frame(u64, Salts),
}

/// Finds damage in a log that had been written completely. A missing log is not damaged.
pub(crate) fn damage(log: &Path) -> io::Result<Option<String>> {
    let mut before = None;
    for _ in 0..LOOKS {
        let found = match File::open(log) {
            Ok(file) => look(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match &found {
            None => return Ok(None),
            Some(damage) if found == before => return Ok(Some(damage.describe())),
            Some(_) => before = found,
        }
    }
    Ok(None)
}

impl Damage {
    fn describe(&self) -> String {
        match self {
            Damage::Header(_) => "the beginning of its log is broken".to_owned(),
            Damage::Frame(number, _) => {
                format!("its log is broken at page {number}, and more was confirmed behind that")
            }
        }
    }
}

fn look(file: File) -> io::Result<Option<Damage>> {
    let mut file = BufReader::with_capacity(1 << 16, file);
    let mut bytes = [0; HEADER];
    if !fill(&mut file, &mut bytes)? {
        return Ok(None);
    }
    let Some(header) = Header::parse(&bytes) else {
        // The header is synced before anything is written after it.
        return Ok(holds_something(&mut file)?.then_some(Damage::Header(bytes)));
    };
    let found = header.walk(&mut file)?;
    // A log that was restarted meanwhile has another header; its content is in the database.
    let mut now = [0; HEADER];
    file.rewind()?;
    let same = fill(&mut file, &mut now)? && now == bytes;
    Ok(found.filter(|_| same).map(|number| Damage::Frame(number, header.salts)))
}

struct Header {
    page_bytes: usize,
    big_endian: bool,
    /// They change whenever the log is restarted; frames with other salts are older.
    salts: Salts,
    sum: Sum,
}

/// State of the search after an invalid frame.
struct Behind {
    /// The first invalid frame.
    broken: u64,
    /// The checksum in this frame and the one that it should have; the next frame continues one of them.
    sums: [Sum; 2],
    /// Transactions that end in an unbroken chain of frames up to this one. Remains of one crash contain at
    /// most one end, and do not chain with remains of another crash.
    commits: u32,
}

impl Header {
    fn parse(bytes: &[u8; HEADER]) -> Option<Header> {
        let magic = word(bytes, 0);
        let page_bytes = word(bytes, 8) as usize;
        let big_endian = magic & 1 == 1;
        let sum = add((0, 0), big_endian, &bytes[..24]);
        let good = magic & !1 == MAGIC
            && PAGE_BYTES.contains(&page_bytes)
            && page_bytes.is_power_of_two()
            && sum == sum_at(bytes, 24);
        good.then(|| Header { page_bytes, big_endian, salts: salts_at(bytes, 16), sum })
    }

    /// The first invalid frame, if a later transaction proves that it was confirmed.
    fn walk(&self, frames: &mut impl Read) -> io::Result<Option<u64>> {
        let mut frame = vec![0; FRAME_HEADER + self.page_bytes];
        let (mut number, mut sum) = (0, self.sum);
        let mut behind: Option<Behind> = None;
        while fill(frames, &mut frame)? {
            number += 1;
            match &mut behind {
                None if self.continues(&frame, sum) => sum = sum_at(&frame, 16),
                None => behind = Some(self.first_broken(number, &frame, sum)),
                Some(behind) => {
                    if self.proves(behind, &frame) {
                        return Ok(Some(behind.broken));
                    }
                }
            }
        }
        Ok(None)
    }

    fn first_broken(&self, broken: u64, frame: &[u8], before: Sum) -> Behind {
        let sums = [sum_at(frame, 16), self.sum_of(frame, before)];
        // After a crash, the first sector of a frame may be left from an older commit. The checksum, if it is
        // new, shows that this frame is not a commit.
        let commits = is_commit(frame) && self.commit_by_sum(frame, before) != 0;
        Behind { broken, sums, commits: u32::from(commits) }
    }

    /// The value of the field that `is_commit` reads, computed from page and checksum.
    fn commit_by_sum(&self, frame: &[u8], before: Sum) -> u32 {
        let (first, second) = take_off(sum_at(frame, 16), self.big_endian, &frame[FRAME_HEADER..]);
        second.wrapping_sub(first).wrapping_sub(before.1)
    }

    /// Adds a frame; returns whether it proves that the invalid one was confirmed.
    fn proves(&self, behind: &mut Behind, frame: &[u8]) -> bool {
        let chained = behind.sums.iter().any(|before| self.continues(frame, *before));
        let stored = sum_at(frame, 16);
        behind.commits = if chained { behind.commits + u32::from(is_commit(frame)) } else { 0 };
        behind.sums = if chained { [stored; 2] } else { [stored, self.sum_of(frame, behind.sums[0])] };
        chained && behind.commits >= 2
    }

    /// Whether a frame continues one with this checksum.
    fn continues(&self, frame: &[u8], before: Sum) -> bool {
        word(frame, 0) != 0
            && salts_at(frame, 8) == self.salts
            && self.sum_of(frame, before) == sum_at(frame, 16)
    }

    fn sum_of(&self, frame: &[u8], before: Sum) -> Sum {
        let sum = add(before, self.big_endian, &frame[..8]);
        add(sum, self.big_endian, &frame[FRAME_HEADER..])
    }
}

/// Whether a frame ends a transaction: only such frames hold the size of the database.
fn is_commit(frame: &[u8]) -> bool {
    word(frame, 4) != 0
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(four(bytes, at))
}

fn sum_at(bytes: &[u8], at: usize) -> Sum {
    (word(bytes, at), word(bytes, at + 4))
}

fn salts_at(bytes: &[u8], at: usize) -> Salts {
    let mut salts = [0; 8];
    salts.copy_from_slice(&bytes[at..at + 8]);
    salts
}

fn four(bytes: &[u8], at: usize) -> [u8; 4] {
    [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]
}

fn add(sum: Sum, big_endian: bool, bytes: &[u8]) -> Sum {
    let read = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    bytes.chunks_exact(8).fold(sum, |(first, second), words| {
        let first = first.wrapping_add(read(four(words, 0))).wrapping_add(second);
        (first, second.wrapping_add(read(four(words, 4))).wrapping_add(first))
    })
}

/// The inverse of `add`: the sum before `bytes` were added.
fn take_off(sum: Sum, big_endian: bool, bytes: &[u8]) -> Sum {
    let read = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    bytes.chunks_exact(8).rfold(sum, |(first, second), words| {
        let second = second.wrapping_sub(read(four(words, 4))).wrapping_sub(first);
        (first.wrapping_sub(read(four(words, 0))).wrapping_sub(second), second)
    })
}

/// Fills the buffer; returns whether there were enough bytes.
fn fill(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn holds_something(rest: &mut impl Read) -> io::Result<bool> {
    let mut chunk = [0; 4096];
    loop {
        match rest.read(&mut chunk)? {
            0 => return Ok(false),
            count if chunk[..count].iter().any(|byte| *byte != 0) => return Ok(true),
            _ => {}
        }
    }
}
