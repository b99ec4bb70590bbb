//! State folders: which messages clients have shown, and which commands are open.
//!
//! Real journals may go along with the model of them; what each recalls must be the same.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::client_host::Process;
use super::disk::{Note, Notes};
use super::trace::{ProcessId, Seen};
use super::world::World;
use crate::client::{Event, KnownKey, Mark, Recall};
use crate::words::{Name, Token};

/// Marks a folder remembers.
const MARKS_KEPT: usize = 4_096;

/// Whose folder: its home, and the user.
type Key = (u8, Name);

/// All state folders.
#[derive(Debug, Default)]
pub(super) struct Folders {
    all: BTreeMap<Key, Folder>,
    real: Option<Box<dyn Notes>>,
    difference: Option<String>,
}

/// The state folder of a user at a home. It outlives clients.
#[derive(Debug, Default)]
struct Folder {
    owner: Option<ProcessId>,
    shown: VecDeque<Mark>,
    /// About to be shown, or shown and not noted, by the owner.
    showing: VecDeque<Mark>,
    /// The same, left behind by owners that died.
    doubtful: Vec<Mark>,
    open: BTreeSet<u64>,
    cookie: Option<Token>,
    keys: Vec<KnownKey>,
    /// `open` is of an earlier owner; the first note of the present one takes its place.
    open_is_old: bool,
}

impl Folder {
    fn recall(&self) -> Recall {
        Recall {
            shown: self.shown.iter().cloned().collect(),
            doubtful: self.doubtful.clone(),
            unsettled: u32::try_from(self.open.len()).unwrap_or(u32::MAX),
            keys: self.keys.clone(),
            ..Recall::default()
        }
    }

    fn take(&mut self, note: Note<'_>) {
        if note == Note::Closed {
            return self.open.clear();
        }
        if core::mem::take(&mut self.open_is_old) {
            self.open.clear();
        }
        match note {
            Note::Showing(mark) => self.showing.push_back(mark.clone()),
            Note::Shown(count) => {
                self.doubtful.retain(|mark| !self.showing.range(..count).any(|shown| shown == mark));
                self.shown.extend(self.showing.drain(..count));
                let excess = self.shown.len().saturating_sub(MARKS_KEPT);
                self.shown.drain(..excess);
            }
            Note::Open(number) => drop(self.open.insert(number)),
            Note::Settled(number) => drop(self.open.remove(&number)),
            Note::Closed => {}
        }
    }

    /// The owner is gone.
    fn leave(&mut self) {
        self.owner = None;
        self.doubtful.extend(self.showing.drain(..));
    }
}

impl Folders {
    /// Real journals go along from now on.
    pub(super) fn take_along(&mut self, real: Box<dyn Notes>) {
        self.real = Some(real);
    }

    /// What a real journal did otherwise, if one did.
    pub(super) const fn take_difference(&mut self) -> Option<String> {
        self.difference.take()
    }

    /// `None`: another client has it.
    fn open(&mut self, key: &Key, owner: ProcessId) -> Option<Recall> {
        let folder = self.all.entry(key.clone()).or_default();
        if folder.owner.is_some_and(|known| known != owner) {
            return None;
        }
        folder.owner = Some(owner);
        folder.open_is_old = true;
        let recall = folder.recall();
        self.compare(key, &recall);
        Some(recall)
    }

    fn compare(&mut self, key: &Key, recall: &Recall) {
        let Some(real) = &mut self.real else { return };
        let what = match real.open(key) {
            Err(error) => error,
            Ok(found) if recalls_the_same(&found, recall) => return,
            Ok(found) => format!("{key:?}: {found:?}, not {recall:?}"),
        };
        self.difference.get_or_insert(what);
    }

    pub(super) fn note(&mut self, key: &Key, note: Note<'_>) {
        if let Some(folder) = self.all.get_mut(key) {
            folder.take(note);
        }
        if let Some(Err(error)) = self.real.as_mut().map(|real| real.note(key, &[note])) {
            self.difference.get_or_insert(format!("{key:?}: {note:?}: {error}"));
        }
    }

    fn close(&mut self, key: &Key, settled: bool) {
        if settled {
            self.note(key, Note::Closed);
        }
        self.all.get_mut(key).into_iter().for_each(Folder::leave);
        if let Some(real) = &mut self.real {
            real.close(key, !settled);
        }
    }

    /// Opens all folders that nobody has, once more.
    pub(super) fn look_again(&mut self) {
        let free = self.all.iter().filter(|(_, folder)| folder.owner.is_none());
        let recalls: Vec<(Key, Recall)> = free.map(|(key, folder)| (key.clone(), folder.recall())).collect();
        for (key, recall) in recalls {
            self.compare(&key, &recall);
        }
    }
}

/// What is beyond the model's memory is not compared. Doubts are the same whatever their order.
fn recalls_the_same(found: &Recall, expected: &Recall) -> bool {
    let doubts = |recall: &Recall| recall.doubtful.iter().cloned().collect::<BTreeSet<_>>();
    let shown = expected.shown.len() >= MARKS_KEPT || found.shown == expected.shown;
    shown && doubts(found) == doubts(expected) && found.unsettled == expected.unsettled
}

impl World {
    pub(super) fn open_folder(&mut self, id: ProcessId, user: Name) {
        let Some(seat) = self.seat_of(id) else { return };
        let key = (self.seats[seat].home, user);
        let Some(recall) = self.folders.open(&key, id) else {
            return self.tell_client(id, Event::StateRefused);
        };
        if let Some(process) = self.process(id) {
            process.folder = Some(key);
        }
        self.trace.add(self.now, Seen::Folder { process: id, open: true });
        self.tell_client(id, Event::StateOpened(recall));
    }

    /// Looks for the cookie of a user, as a client does before it has the folder.
    pub(super) fn find_cookie(&mut self, id: ProcessId, user: Name) {
        let Some(seat) = self.seat_of(id) else { return };
        let key = (self.seats[seat].home, user);
        let cookie = self.folders.all.get(&key).and_then(|folder| folder.cookie);
        self.tell_client(id, Event::CookieFound { cookie });
    }

    pub(super) fn keep_cookie(&mut self, process: &Process, cookie: Token) {
        if let Some(folder) = process.folder.as_ref().and_then(|key| self.folders.all.get_mut(key)) {
            folder.cookie = Some(cookie);
        }
    }

    pub(super) fn keep_key(&mut self, process: &Process, known: &KnownKey) {
        if let Some(folder) = process.folder.as_ref().and_then(|key| self.folders.all.get_mut(key)) {
            folder.keys.push(known.clone());
        }
    }

    pub(super) fn close_folder(&mut self, process: &mut Process, settled: bool) {
        let Some(key) = process.folder.take() else { return };
        self.trace.add(self.now, Seen::Folder { process: process.id, open: false });
        self.folders.close(&key, settled);
    }

    /// Notes something in the folder of a client, if it has one.
    pub(super) fn note_in_folder(&mut self, process: &Process, note: Note<'_>) {
        if let Some(key) = &process.folder {
            self.folders.note(key, note);
        }
    }

    /// Notes as shown what is shown.
    pub(super) fn note(&mut self, process: &mut Process) {
        process.noting_is_due = false;
        process.unnoted = 0;
        self.trace.add(self.now, Seen::Noted { process: process.id });
        if process.output_closed {
            // What could not be printed is not noted as shown.
            return;
        }
        let Some(key) = &process.folder else { return };
        let waiting = process.display.iter().filter(|item| item.is_noted()).count();
        let showing = self.folders.all.get(key).map_or(0, |folder| folder.showing.len());
        let shown = showing.saturating_sub(waiting);
        if shown > 0 {
            self.folders.note(key, Note::Shown(shown));
        }
    }
}
