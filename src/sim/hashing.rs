//! The hashing threads of the server's machine.

use super::trace::Told;
use super::world::{Happening, World};
use crate::server::{Event, Verdict};
use crate::time::Time;
use crate::words::{Credential, Ticket};

/// The answer to a `Verify` or a `Hash`.
#[derive(Debug)]
pub(super) enum ServerAnswer {
    Verified(Ticket, Verdict),
    Hashed(Ticket, Option<Credential>),
}

impl World {
    pub(super) fn hash(&mut self, answer: ServerAnswer) {
        let busy = self.now < self.weather.hash_busy_until;
        let answer = match answer {
            ServerAnswer::Verified(ticket, _) if busy => ServerAnswer::Verified(ticket, Verdict::Overloaded),
            ServerAnswer::Hashed(ticket, _) if busy => ServerAnswer::Hashed(ticket, None),
            ServerAnswer::Verified(..) | ServerAnswer::Hashed(..) => answer,
        };
        let micros = self.draw.below(self.weather.hash_micros + 1);
        self.after(micros, Happening::Hashing { life: self.host.life, answer });
    }

    pub(super) fn answer_hashing(&mut self, life: u32, answer: ServerAnswer) {
        if life != self.host.life || !self.host.is_up() {
            return;
        }
        match answer {
            ServerAnswer::Verified(ticket, verdict) => {
                if verdict == Verdict::Wrong {
                    let lock = self.host.settings.block_duration_secs * 1_000_000;
                    self.instants.push(Time(self.now.0 + lock));
                }
                let told = Told::Verified { ticket, verdict: verdict.into() };
                self.tell_server(Event::Verified { ticket, verdict }, told);
            }
            ServerAnswer::Hashed(ticket, credential) => {
                let told = Told::Hashed { ticket, done: credential.is_some() };
                self.tell_server(Event::Hashed { ticket, credential }, told);
            }
        }
    }
}
