//! The journals of the clients' state folders in the simulated world: files, as the client keeps them.
//!
//! They are rewritten at sizes that the world reaches, and a client that is killed may leave half a line.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hobnob::client::Recall;
use hobnob::shell::client::journal::{Journal, Sizes};
use hobnob::sim::disk::{Note, Notes};
use hobnob::words::Name;
use tempfile::TempDir;

use super::sqlite::folder;

const SIZES: Sizes = Sizes { at_open: 2_000, in_use: 4_000 };
/// What a client that is killed may have written of its next note.
const TORN: &[&str] = &["", "s", "showing hans", "showing hans 1.1 ", "shown 99", "open 4", "run", "closed"];

/// How often what happened.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    opened: AtomicU64,
    rewritten: AtomicU64,
    torn: AtomicU64,
}

impl Tally {
    pub(crate) fn assert_everything_happened(&self) {
        let all = [&self.opened, &self.rewritten, &self.torn];
        assert!(all.iter().all(|count| count.load(Ordering::Relaxed) > 0), "{self}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        write!(
            f,
            "{} journals opened, rewritten {} times, {} with half a line at the end",
            count(&self.opened),
            count(&self.rewritten),
            count(&self.torn)
        )
    }
}

/// The journals of a world, by home and user.
#[derive(Debug)]
pub(crate) struct Journals {
    folder: TempDir,
    open: BTreeMap<(u8, Name), Journal>,
    killed: usize,
    tally: Arc<Tally>,
}

impl Journals {
    pub(crate) fn new(tally: Arc<Tally>) -> Journals {
        Journals { folder: folder(), open: BTreeMap::new(), killed: 0, tally }
    }

    fn path(&self, (home, user): &(u8, Name)) -> PathBuf {
        self.folder.path().join(format!("{home}-{user}"))
    }

    fn size(&self, key: &(u8, Name)) -> u64 {
        fs::metadata(self.path(key)).map_or(0, |file| file.len())
    }
}

impl Notes for Journals {
    fn open(&mut self, key: &(u8, Name)) -> Result<Recall, String> {
        let before = self.size(key);
        let (journal, recall) = Journal::open(&self.path(key), SIZES).map_err(|error| error.to_string())?;
        self.open.insert(key.clone(), journal);
        self.tally.opened.fetch_add(1, Ordering::Relaxed);
        self.tally.rewritten.fetch_add(u64::from(before > SIZES.at_open), Ordering::Relaxed);
        Ok(recall)
    }

    fn note(&mut self, key: &(u8, Name), notes: &[Note<'_>]) -> Result<(), String> {
        let before = self.size(key);
        let journal = self.open.get_mut(key).ok_or("the journal is closed")?;
        for note in notes {
            match note {
                Note::Showing(mark) => journal.note_showing(mark),
                Note::Shown(count) => journal.note_shown(*count),
                Note::Open(number) => journal.note_open(*number),
                Note::Settled(number) => journal.note_settled(*number),
                Note::Closed => journal.note_closed(),
            }
        }
        journal.write().map_err(|error| error.to_string())?;
        self.tally.rewritten.fetch_add(u64::from(self.size(key) < before), Ordering::Relaxed);
        Ok(())
    }

    fn close(&mut self, key: &(u8, Name), killed: bool) {
        self.open.remove(key);
        if killed {
            self.killed += 1;
            let torn = TORN[self.killed % TORN.len()];
            let file = fs::File::options().append(true).open(self.path(key));
            if file.and_then(|mut file| file.write_all(torn.as_bytes())).is_ok() {
                self.tally.torn.fetch_add(u64::from(!torn.is_empty()), Ordering::Relaxed);
            }
        }
    }
}
