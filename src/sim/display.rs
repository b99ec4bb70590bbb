//! What clients show, and the state folders in which they note what was shown.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::client_host::Process;
use super::trace::{ProcessId, Seen};
use super::world::{Happening, News, World};
use crate::client::view::View;
use crate::client::{Event, Mark, Recall};
use crate::words::Name;

/// Marks a folder remembers.
const MARKS_KEPT: usize = 4_096;

/// The state folder of a user at a home. It outlives clients.
#[derive(Debug, Default)]
pub(super) struct Folder {
    owner: Option<ProcessId>,
    shown: VecDeque<Mark>,
    /// About to be shown, or shown and not noted, by the owner.
    showing: VecDeque<Mark>,
    /// The same, left behind by owners that died.
    doubtful: Vec<Mark>,
    open: BTreeSet<u64>,
}

impl Folder {
    /// A message is on its way to the display.
    pub(super) fn is_about_to_show(&mut self, mark: &Mark) {
        self.showing.push_back(mark.clone());
    }
}

/// Something to show, in order.
#[derive(Debug)]
pub(super) enum Item {
    Show(Box<View>),
    Deliver { sequence: u64, noted: bool, view: Box<View> },
}

impl Item {
    /// Whether the state folder is told when it is shown.
    pub(super) const fn is_noted(&self) -> bool {
        matches!(self, Item::Deliver { noted: true, .. })
    }
}

impl World {
    pub(super) fn open_folder(&mut self, id: ProcessId, user: Name) {
        let Some(seat) = self.seat_of(id) else { return };
        let key = (self.seats[seat].home, user);
        let folder = self.folders.entry(key.clone()).or_default();
        if folder.owner.is_some_and(|owner| owner != id) {
            return self.tell_client(id, Event::StateRefused);
        }
        folder.owner = Some(id);
        let recall = Recall {
            shown: folder.shown.iter().cloned().collect(),
            doubtful: folder.doubtful.clone(),
            unsettled: u32::try_from(core::mem::take(&mut folder.open).len()).unwrap_or(u32::MAX),
        };
        if let Some(process) = self.process(id) {
            process.folder = Some(key);
        }
        self.trace.add(self.now, Seen::Folder { process: id, open: true });
        self.tell_client(id, Event::StateOpened(recall));
    }

    pub(super) fn close_folder(&mut self, process: &mut Process, settled: bool) {
        let Some(folder) = process.folder.take().and_then(|key| self.folders.get_mut(&key)) else { return };
        self.trace.add(self.now, Seen::Folder { process: process.id, open: false });
        folder.owner = None;
        folder.doubtful.extend(folder.showing.drain(..));
        if settled {
            folder.open.clear();
        }
    }

    pub(super) fn note_open(&mut self, process: &Process, number: u64, open: bool) {
        let Some(folder) = process.folder.as_ref().and_then(|key| self.folders.get_mut(key)) else { return };
        if open {
            folder.open.insert(number);
        } else {
            folder.open.remove(&number);
        }
    }

    /// Shows something now, or after what is already waiting for a slow display.
    pub(super) fn display(&mut self, process: &mut Process, item: Item) {
        if process.display.is_empty() && process.display_micros == 0 {
            return self.show(process, item);
        }
        process.display.push_back(item);
        if !core::mem::replace(&mut process.display_is_due, true) {
            let micros = process.display_micros;
            self.after(micros, Happening::Client { process: process.id, news: News::Display });
        }
    }

    pub(super) fn display_queued(&mut self, id: ProcessId) {
        let Some(seat) = self.seat_of(id) else { return };
        let Some(mut process) = self.seats[seat].process.take() else { return };
        process.display_is_due = false;
        self.show_all(&mut process);
        self.seats[seat].process = Some(process);
    }

    pub(super) fn show(&mut self, process: &mut Process, item: Item) {
        let id = process.id;
        if process.output_closed {
            return;
        }
        match item {
            Item::Show(view) => {
                if let View::LoggedIn { user, .. } = &*view {
                    process.user = Name::new(user).ok();
                } else if let View::Bye(_) = &*view {
                    process.user = None;
                    process.asked_by.clear();
                } else if let View::PrivateRequest { from } = &*view {
                    process.asked_by.push(from.clone());
                }
                self.trace.add(self.now, Seen::Showed { process: id, view, delivered: false });
            }
            Item::Deliver { sequence, noted, view } => {
                self.trace.add(self.now, Seen::Showed { process: id, view, delivered: noted });
                process.unnoted += u32::from(noted);
                process.last_sequence = sequence;
                if core::mem::take(&mut process.doomed) {
                    let micros = self.draw.below(600);
                    self.after(micros, Happening::Kill { process: id, hard: sequence % 2 == 0 });
                }
                if !core::mem::replace(&mut process.noting_is_due, true) {
                    let most = if self.draw.chance(30) { 300_000 } else { 500 };
                    let micros = self.draw.below(most);
                    self.after(micros, Happening::Client { process: id, news: News::Noted });
                }
            }
        }
    }

    /// Notes as shown what is shown.
    pub(super) fn note(&mut self, process: &mut Process) {
        process.noting_is_due = false;
        process.unnoted = 0;
        self.trace.add(self.now, Seen::Noted { process: process.id });
        let Some(folder) = process.folder.as_ref().and_then(|key| self.folders.get_mut(key)) else { return };
        if process.output_closed {
            // What could not be printed is not noted as shown.
            return;
        }
        let waiting = process.display.iter().filter(|item| item.is_noted()).count();
        let noted = folder.showing.len().saturating_sub(waiting);
        folder.doubtful.retain(|mark| !folder.showing.range(..noted).any(|shown| shown == mark));
        folder.shown.extend(folder.showing.drain(..noted));
        let excess = folder.shown.len().saturating_sub(MARKS_KEPT);
        folder.shown.drain(..excess);
    }

    pub(super) fn note_shown(&mut self, id: ProcessId) {
        let Some(seat) = self.seat_of(id) else { return };
        let Some(mut process) = self.seats[seat].process.take() else { return };
        self.note(&mut process);
        let upto = process.last_sequence;
        self.seats[seat].process = Some(process);
        self.tell_client(id, Event::Delivered { upto });
    }

    pub(super) fn show_all(&mut self, process: &mut Process) {
        while let Some(item) = process.display.pop_front() {
            self.show(process, item);
        }
    }
}
