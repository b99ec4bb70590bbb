//! What operators do.

use alloc::boxed::Box;

use super::scenario::Step;
use super::trace::{Seen, Told};
use super::world::World;
use crate::server::{Act, Event};
use crate::words::{Name, Ticket};

impl World {
    /// An operator does something about a user, or somebody who is none, or all.
    pub(super) fn operate(&mut self, step: Step) {
        let name = if step.salt.is_multiple_of(13) { "nobody-1" } else { self.user(step.actor.into()) };
        let Ok(user) = Name::new(name) else { return };
        let says = |world: &mut World| Box::<str>::from(world.new_text());
        let act = match step.argument % 6 {
            0 | 1 => {
                let reason = step.salt.is_multiple_of(2).then(|| says(self));
                Act::Kick { user, reason }
            }
            2 => Act::Announce(says(self)),
            _ => {
                if step.salt.is_multiple_of(3) {
                    self.guess_in_vain(name);
                }
                Act::Unlock(user)
            }
        };
        self.acts(act);
    }

    fn acts(&mut self, act: Act) {
        if !self.host.is_up() {
            return;
        }
        self.host.acts += 1;
        let ticket = Ticket(self.host.acts);
        self.trace.add(self.now, Seen::OperatorWants { ticket, act: act.clone() });
        self.tell_server(Event::Operator { ticket, act: Box::new(act) }, Told::Operator { ticket });
    }
}
