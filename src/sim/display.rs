//! What clients show.

use alloc::boxed::Box;
use alloc::string::String;

use super::client_host::Process;
use super::trace::{ProcessId, Seen};
use super::world::{Happening, News, World};
use crate::client::Event;
use crate::client::view::{Notice, Question, View};
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

/// Whether what is typed from now on answers something else.
fn interrupts(view: &View) -> bool {
    matches!(view, View::Prompt { .. } | View::Notice(Notice::LogInAgain))
}

impl World {
    /// Shows something now, or after what is already waiting for a slow display.
    pub(super) fn display(&mut self, process: &mut Process, item: Item) {
        // A line belongs to the prompt at which it was typed, so nobody types before they see it.
        let interrupts = matches!(&item, Item::Show(view) if interrupts(view));
        if interrupts {
            self.show_all(process);
        }
        if interrupts || (process.display.is_empty() && process.display_micros == 0) {
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
                self.heed(process, &view);
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

    /// What somebody who sees it knows then, and does.
    fn heed(&mut self, process: &mut Process, view: &View) {
        match view {
            View::LoggedIn { user, .. } => {
                process.user = Name::new(user).ok();
                process.returning = None;
            }
            View::Bye(_) => {
                (process.user, process.returning) = (None, None);
                process.asked_by.clear();
            }
            View::Notice(Notice::LogInAgain) => {
                process.returning = process.user.take();
                process.asked_by.clear();
            }
            View::Prompt { ask, .. } if process.returning.is_some() => {
                let micros = self.draw.below(3_000_000);
                let news = News::Asked { ask: *ask };
                self.after(micros, Happening::Client { process: process.id, news });
            }
            View::PrivateRequest { from } => process.asked_by.push(from.clone()),
            _ => {}
        }
    }

    /// Somebody in the middle of their session answers a prompt; most know their password.
    pub(super) fn answer_again(&mut self, id: ProcessId, ask: Question) {
        let Some(seat) = self.seat_of(id) else { return };
        let Some(user) = self.process(id).and_then(|process| process.returning.clone()) else { return };
        let right = self.draw.chance(800);
        let line = match (ask, right) {
            (Question::Takeover, true) => String::from("y"),
            (Question::Takeover, false) => String::from("n"),
            (Question::Username | Question::Password | Question::NewPassword, true) => {
                self.right_password(user.as_str())
            }
            (Question::Username | Question::Password | Question::NewPassword, false) => {
                self.typed("forgotten")
            }
        };
        self.type_line(seat, line.as_bytes());
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
