//! The host of the server and its store: turns of the store, and what it has to tell.

use alloc::string::ToString;

use super::store::{Told as StoreTold, Turn};
use super::trace::{Seen, Told};
use super::world::{Happening, World};
use crate::server::Event;

impl World {
    /// The credentials file has the accounts that were registered.
    pub(super) fn merge_registered_accounts(&mut self) {
        for (name, credential) in self.host.store.take_accounts() {
            if !self.host.accounts.iter().any(|(known, _)| *known == name) {
                self.host.accounts.push((name, credential.reveal().to_string()));
            }
        }
    }

    /// Lets the store finish before a stop, as the shell does, for a bounded number of turns.
    pub(super) fn finish_store(&mut self) {
        if core::mem::take(&mut self.host.store.held) || self.host.store.full {
            return;
        }
        for _ in 0..1_000 {
            match self.host.store.turn(self.host.clock(self.now), &mut self.draw) {
                Turn::Rest | Turn::Died => return,
                Turn::Onward => {}
                Turn::Tell(told) => self.tell_of_store(told),
            }
        }
    }

    /// A turn of the store is due if it has something to do.
    pub(super) fn wake_store(&mut self) {
        if !self.host.turn_is_due && self.host.store.is_busy() {
            self.host.turn_is_due = true;
            let micros = self.draw.below(self.weather.store_micros + 1);
            self.after(micros, Happening::StoreTurn { life: self.host.life });
        }
    }

    pub(super) fn turn_store(&mut self, life: u32) {
        if life != self.host.life || !self.host.is_up() {
            return;
        }
        self.host.turn_is_due = false;
        match self.host.store.turn(self.host.clock(self.now), &mut self.draw) {
            Turn::Rest => {}
            Turn::Onward => self.see_store(),
            Turn::Tell(told) => self.tell_of_store(told),
            Turn::Died => {
                let back = self.draw.between(1_000, 5_000_000);
                self.crash_server(back);
            }
        }
        self.wake_store();
    }

    fn see_store(&mut self) {
        let seen = match self.host.store.just_synced() {
            Some(upto) => Seen::Synced { upto },
            None => Seen::Appended,
        };
        self.trace.add(self.now, seen);
    }

    fn tell_of_store(&mut self, told: StoreTold) {
        match told {
            StoreTold::Committed(upto) => {
                // A new account is in the file before it counts; a name that is there by then stays as it is.
                self.merge_registered_accounts();
                self.tell_server(Event::Committed { upto }, Told::Committed { upto });
                self.compare_with_store();
            }
            StoreTold::Refused(from) => {
                self.tell_server(Event::StoreRefused { from }, Told::StoreRefused { from });
            }
            StoreTold::Loaded { ticket, mail, more } => {
                let count = u32::try_from(mail.len()).unwrap_or(u32::MAX);
                self.tell_server(
                    Event::MailLoaded { ticket, mail, more },
                    Told::MailLoaded { ticket, count },
                );
            }
        }
    }

    /// What the server remembers must be what it would read if it started now.
    fn compare_with_store(&mut self) {
        let Some(stored) = self.host.store.recovery() else { return };
        let differs = self.host.state.as_ref().and_then(|state| state.differs_from(stored));
        if let Some(what) = differs {
            self.trace.add(self.now, Seen::Differs { what });
        }
    }
}
