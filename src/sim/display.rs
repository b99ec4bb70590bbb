//! What clients show.

use alloc::boxed::Box;

use super::client_host::Process;
use super::trace::{ProcessId, Seen};
use super::world::{Happening, News, World};
use crate::client::Event;
use crate::client::view::View;
use crate::words::Name;

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
