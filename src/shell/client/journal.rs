//! The journal of a state folder: which messages were shown and which commands are open, a short line each.
//!
//! | line | meaning |
//! |---|---|
//! | `showing FROM ID ORIGIN` | this message is about to be shown (`-`: no origin) |
//! | `shown COUNT` | the oldest COUNT of those about to be shown were shown |
//! | `open NUMBER` | the result of this command is open |
//! | `settled NUMBER` | it is known |
//! | `run` | a client took the folder; what was about to be shown before it is doubtful |
//! | `closed` | a session ended in good order: no result is open |
//!
//! Lines are only ever appended. An incomplete last line was never relied on and is cut off.

use std::collections::{BTreeSet, HashMap};
use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::mem;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::client::{Mark, Recall};
use crate::shell::own_files::open_own;
use crate::words::Name;

/// Marks remembered for each sender, as many as the core keeps.
const MARKS_PER_SENDER: usize = 8_192;
/// Marks remembered in all.
const MARKS: usize = 65_536;

/// Sizes in bytes beyond which a journal is rewritten with what is worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// When it is opened.
    pub at_open: u64,
    /// While it is in use.
    pub in_use: u64,
}

impl Sizes {
    /// 1 MiB when it is opened, 16 MiB while it is in use.
    pub const USUAL: Sizes = Sizes { at_open: 1 << 20, in_use: 16 << 20 };
}

/// An open journal. Notes are gathered and written together by [`Journal::write`].
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    size: u64,
    sizes: Sizes,
    pending: String,
}

impl Journal {
    /// Opens or makes the journal, reads it, and notes that a new run begins.
    ///
    /// # Errors
    /// It cannot be made, read or written.
    pub fn open(path: &Path, sizes: Sizes) -> io::Result<(Journal, Recall)> {
        let mut file = append_to(path)?;
        let (mut ledger, whole) = Ledger::read(BufReader::new(&mut file))?;
        if whole < file.metadata()?.len() {
            file.set_len(whole)?;
        }
        ledger.begin_run();
        let mut journal = Journal { path: path.into(), file, size: whole, sizes, pending: String::new() };
        if journal.size > sizes.at_open {
            journal.replace_with(&mut ledger)?;
        } else {
            journal.pending.push_str("run\n");
            journal.write()?;
        }
        Ok((journal, ledger.recall()))
    }

    /// A message is about to be shown.
    pub fn note_showing(&mut self, mark: &Mark) {
        let _ = writeln!(self.pending, "{}", Showing(mark));
    }

    /// The oldest `count` of the messages about to be shown were shown.
    pub fn note_shown(&mut self, count: usize) {
        let _ = writeln!(self.pending, "shown {count}");
    }

    /// The result of a command is open.
    pub fn note_open(&mut self, number: u64) {
        let _ = writeln!(self.pending, "open {number}");
    }

    /// The result of a command is known.
    pub fn note_settled(&mut self, number: u64) {
        let _ = writeln!(self.pending, "settled {number}");
    }

    /// The session has ended normally.
    pub fn note_closed(&mut self) {
        self.pending.push_str("closed\n");
    }

    /// Writes all notes since the last call, in one write.
    ///
    /// # Errors
    /// There is no room, or the disk fails.
    pub fn write(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.file.write_all(self.pending.as_bytes())?;
        self.size += self.pending.len() as u64;
        self.pending.clear();
        if self.size > self.sizes.in_use {
            let all = open_own(File::options().read(true), &self.path)?;
            let (mut ledger, _) = Ledger::read(BufReader::new(all))?;
            self.replace_with(&mut ledger)?;
        }
        Ok(())
    }

    /// Writes a journal of what is worth remembering, and replaces the old one with it.
    fn replace_with(&mut self, ledger: &mut Ledger) -> io::Result<()> {
        ledger.trim();
        let fresh = self.path.with_extension("new");
        let _ = fs::remove_file(&fresh);
        let mut out = BufWriter::new(append_to(&fresh)?);
        ledger.write(&mut out)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        let size = file.metadata()?.len();
        fs::rename(&fresh, &self.path)?;
        (self.file, self.size) = (file, size);
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    open_own(File::options().read(true).append(true).create(true).mode(0o600), path)
}

/// The line of a message that is about to be shown.
struct Showing<'a>(&'a Mark);

impl fmt::Display for Showing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Showing(Mark { from, id, origin }) = self;
        match origin {
            Some(origin) => write!(f, "showing {from} {id} {origin}"),
            None => write!(f, "showing {from} {id} -"),
        }
    }
}

/// The state that the lines of a journal describe.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Ledger {
    shown: Vec<Mark>,
    doubtful: Vec<Mark>,
    /// About to be shown in the current run.
    showing: Vec<Mark>,
    open: BTreeSet<u64>,
    /// Whether `open` is from an earlier run; the first note of the current one replaces it.
    open_is_old: bool,
}

impl Ledger {
    /// Reads a journal up to its last complete line, and tells how many bytes that is. A line that cannot be parsed is
    /// skipped.
    fn read(mut journal: impl BufRead) -> io::Result<(Ledger, u64)> {
        let (mut ledger, mut whole) = (Ledger::default(), 0);
        let mut line = Vec::new();
        loop {
            line.clear();
            journal.read_until(b'\n', &mut line)?;
            let Some(complete) = line.strip_suffix(b"\n") else { return Ok((ledger, whole)) };
            whole += line.len() as u64;
            if let Ok(line) = str::from_utf8(complete) {
                ledger.take(line);
            }
        }
    }

    fn take(&mut self, line: &str) {
        let mut words = line.split(' ');
        let Some(word) = words.next() else { return };
        match word {
            "run" => return self.begin_run(),
            "closed" => return self.open.clear(),
            "showing" | "shown" | "open" | "settled" => {}
            _ => return,
        }
        if mem::take(&mut self.open_is_old) {
            self.open.clear();
        }
        let number = || line.split(' ').nth(1).and_then(|word| word.parse::<u64>().ok());
        match word {
            "showing" => self.showing.extend(read_mark(words)),
            "shown" => self.take_shown(number()),
            "open" => self.open.extend(number()),
            _ => {
                number().map(|number| self.open.remove(&number));
            }
        }
    }

    fn take_shown(&mut self, count: Option<u64>) {
        let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        for mark in self.showing.drain(..count.min(self.showing.len())) {
            self.doubtful.retain(|doubtful| *doubtful != mark);
            self.shown.push(mark);
        }
        // A large journal has many more than are kept. What goes now would go at the end as well.
        if self.shown.len() > MARKS / 2 * 3 {
            trim(&mut self.shown);
        }
    }

    fn begin_run(&mut self) {
        for mark in mem::take(&mut self.showing) {
            if !self.doubtful.contains(&mark) {
                self.doubtful.push(mark);
            }
        }
        self.open_is_old = true;
    }

    /// Forgets the oldest marks beyond the limits for each sender and in all.
    fn trim(&mut self) {
        trim(&mut self.shown);
        trim(&mut self.doubtful);
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        self.shown.iter().try_for_each(|mark| writeln!(out, "{}", Showing(mark)))?;
        writeln!(out, "shown {}", self.shown.len())?;
        self.doubtful.iter().try_for_each(|mark| writeln!(out, "{}", Showing(mark)))?;
        let (old, present) =
            if self.open_is_old { (Some(&self.open), None) } else { (None, Some(&self.open)) };
        write_open(out, old)?;
        writeln!(out, "run")?;
        self.showing.iter().try_for_each(|mark| writeln!(out, "{}", Showing(mark)))?;
        write_open(out, present)
    }

    fn recall(mut self) -> Recall {
        self.trim();
        let unsettled = u32::try_from(self.open.len()).unwrap_or(u32::MAX);
        Recall { shown: self.shown, doubtful: self.doubtful, unsettled, ..Recall::default() }
    }
}

fn write_open(out: &mut impl Write, numbers: Option<&BTreeSet<u64>>) -> io::Result<()> {
    numbers.into_iter().flatten().try_for_each(|number| writeln!(out, "open {number}"))
}

fn read_mark<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Mark> {
    let from = Name::new(words.next()?).ok()?;
    let id = words.next()?.parse().ok()?;
    let origin = match words.next()? {
        "-" => None,
        origin => Some(origin.parse().ok()?),
    };
    words.next().is_none().then_some(Mark { from, id, origin })
}

fn trim(marks: &mut Vec<Mark>) {
    let mut of_sender: HashMap<&Name, usize> = HashMap::new();
    let mut kept = 0;
    let mut newest_first: Vec<bool> = Vec::with_capacity(marks.len());
    for mark in marks.iter().rev() {
        let count = of_sender.entry(&mark.from).or_default();
        *count += 1;
        let keeps = *count <= MARKS_PER_SENDER && kept < MARKS;
        kept += usize::from(keeps);
        newest_first.push(keeps);
    }
    let mut keeps = newest_first.into_iter().rev();
    marks.retain(|_| keeps.next().unwrap_or(true));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{LoginNumber, MessageId, Origin};
    use proptest::prelude::*;

    fn mark(from: &str, number: u64) -> Mark {
        let origin = (!number.is_multiple_of(3)).then_some(Origin { login: LoginNumber(2), number });
        Mark { from: Name::new(from).expect("a name"), id: MessageId { boot: 1, number }, origin }
    }

    #[test]
    fn reading_a_large_journal_keeps_little_more_than_is_worth_keeping() {
        let marks: Vec<Mark> =
            (0..3 * MARKS as u64).map(|number| mark(&format!("u{}", number % 9), number)).collect();
        let mut text = String::new();
        for batch in marks.chunks(512) {
            batch.iter().for_each(|mark| text += &format!("{}\n", Showing(mark)));
            let _ = writeln!(text, "shown {}", batch.len());
        }
        let mut ledger = Ledger::read(text.as_bytes()).expect("in memory").0;
        assert!(ledger.shown.len() <= MARKS / 2 * 3 + 512, "{}", ledger.shown.len());
        ledger.trim();
        let mut at_once = marks;
        trim(&mut at_once);
        assert!(ledger.shown == at_once, "the same are kept as if all were looked at together");
    }

    fn show(journal: &mut Journal, marks: &[Mark]) {
        marks.iter().for_each(|mark| journal.note_showing(mark));
        journal.write().expect("room on the disk");
    }

    fn shown(journal: &mut Journal, count: usize) {
        journal.note_shown(count);
        journal.write().expect("room on the disk");
    }

    #[test]
    fn a_client_that_dies_between_showing_and_shown_leaves_a_doubtful_mark() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let (mut journal, recall) = Journal::open(&path, Sizes::USUAL).expect("opens");
        assert_eq!(recall, Recall::default());
        show(&mut journal, &[mark("hans", 1), mark("yoda", 2)]);
        shown(&mut journal, 2);
        show(&mut journal, &[mark("hans", 3)]);
        drop(journal);

        let (mut journal, recall) = Journal::open(&path, Sizes::USUAL).expect("opens");
        assert_eq!(recall.shown, [mark("hans", 1), mark("yoda", 2)]);
        assert_eq!(recall.doubtful, [mark("hans", 3)]);

        // What a later run shows does not settle the doubt about another message …
        show(&mut journal, &[mark("luke", 4)]);
        shown(&mut journal, 1);
        drop(journal);
        let (mut journal, recall) = Journal::open(&path, Sizes::USUAL).expect("opens");
        assert_eq!(recall.doubtful, [mark("hans", 3)]);
        // … showing the same one again does.
        show(&mut journal, &[mark("hans", 3)]);
        shown(&mut journal, 1);
        drop(journal);
        let (_, recall) = Journal::open(&path, Sizes::USUAL).expect("opens");
        assert_eq!(recall.doubtful, []);
        assert_eq!(recall.shown.len(), 4);
    }

    #[test]
    fn results_stay_open_until_settled_closed_or_told_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let (mut journal, _) = Journal::open(&path, Sizes::USUAL).expect("opens");
        (1..=3).for_each(|number| journal.note_open(number));
        journal.note_settled(2);
        journal.write().expect("room on the disk");
        assert_eq!(Journal::open(&path, Sizes::USUAL).expect("opens").1.unsettled, 2);
        // The run above noted nothing, so the word of it may not have reached anybody.
        let (mut journal, recall) = Journal::open(&path, Sizes::USUAL).expect("opens");
        assert_eq!(recall.unsettled, 2);
        journal.note_open(1);
        journal.write().expect("room on the disk");
        let (mut journal, recall) = Journal::open(&path, Sizes::USUAL).expect("opens");
        assert_eq!(recall.unsettled, 1);
        journal.note_closed();
        journal.write().expect("room on the disk");
        assert_eq!(Journal::open(&path, Sizes::USUAL).expect("opens").1.unsettled, 0);
    }

    #[test]
    fn a_torn_last_line_is_cut_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        fs::write(&path, "run\nshowing hans 1.1 -\nshowing yoda 1.2 -\nshown 2").expect("writes");
        let (mut journal, recall) = Journal::open(&path, Sizes::USUAL).expect("opens");
        assert_eq!((recall.shown.len(), recall.doubtful.len()), (0, 2));
        show(&mut journal, &[mark("luke", 1)]);
        shown(&mut journal, 1);
        drop(journal);
        let (_, recall) = Journal::open(&path, Sizes::USUAL).expect("opens");
        assert_eq!(recall.shown, [mark("luke", 1)]);
    }

    #[test]
    fn bad_lines_are_skipped() {
        let text =
            b"run\nwhat\n\xff\xfe\nshowing\nshowing a b\nshowing a 1.1 x\nshown many\nopen\nsettled 7\n\nopen 4\nope";
        let (ledger, whole) = Ledger::read(text.as_slice()).expect("in memory");
        assert_eq!(whole, text.len() as u64 - 3);
        assert_eq!(ledger, Ledger { open: BTreeSet::from([4]), ..Ledger::default() });
    }

    #[test]
    fn a_large_journal_is_rewritten_with_what_is_worth_keeping() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let mut text = String::from("run\n");
        for number in 1..=40_000 {
            text += &format!("{}\nshown 1\n", Showing(&mark("hans", number)));
        }
        let _ = writeln!(text, "{}", Showing(&mark("yoda", 1)));
        text.push_str("open 9\n");
        assert!(text.len() as u64 > Sizes::USUAL.at_open);
        fs::write(&path, &text).expect("writes");
        let (journal, recall) = Journal::open(&path, Sizes::USUAL).expect("opens");
        assert_eq!(recall.shown.len(), MARKS_PER_SENDER);
        assert_eq!(recall.shown.last(), Some(&mark("hans", 40_000)));
        assert_eq!((recall.doubtful.as_slice(), recall.unsettled), (&[mark("yoda", 1)][..], 1));
        drop(journal);
        assert!(fs::metadata(&path).expect("is there").len() < Sizes::USUAL.at_open / 2);
        let (_, again) = Journal::open(&path, Sizes::USUAL).expect("opens");
        assert_eq!(again, recall);
    }

    fn any_line() -> impl Strategy<Value = String> {
        prop_oneof![
            (0..3u8, 1..9u64).prop_map(|(from, number)| {
                Showing(&mark(["hans", "yoda", "luke"][usize::from(from)], number)).to_string()
            }),
            (0..4u8).prop_map(|count| format!("shown {count}")),
            (1..5u8).prop_map(|number| format!("open {number}")),
            (1..5u8).prop_map(|number| format!("settled {number}")),
            Just("run".to_owned()),
            Just("closed".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn a_rewritten_journal_means_the_same(lines in prop::collection::vec(any_line(), 0..40)) {
            let mut ledger = Ledger::read((lines.join("\n") + "\n").as_bytes()).expect("in memory").0;
            let mut text = Vec::new();
            ledger.write(&mut text).expect("in memory");
            let (again, _) = Ledger::read(text.as_slice()).expect("in memory");
            // Doubts are the same ones; a mark shown again and again counts once in the end.
            prop_assert_eq!(&again.showing, &ledger.showing);
            prop_assert_eq!(&again.open, &ledger.open);
            prop_assert_eq!(&again.doubtful, &ledger.doubtful);
            prop_assert_eq!(&again.shown, &ledger.shown);
            ledger.begin_run();
            let mut next = again;
            next.begin_run();
            prop_assert_eq!(next.recall(), ledger.recall());
        }
    }
}
