//! How an errand waits for a lost server, and how it ends.

use core::mem;
use core::time::Duration;

use super::{Action, Errand, Reason, Step};
use crate::client::effect::Exit;
use crate::wire::{Code, Framer, Refusal};

/// The pause before a server that was lost is dialled again.
const AWAY_PAUSE: Duration = Duration::from_millis(250);

impl Errand {
    /// The server is gone: what was sent may have been carried out, and is said again when it is back.
    pub(super) fn lost(&mut self) {
        match self.step {
            Step::Dialling | Step::Silent(_) | Step::Entering | Step::Busy(_) if !self.was_in => {
                self.fail(Reason::NoAnswer, Exit::ServerLost);
            }
            Step::Dialling | Step::Silent(_) | Step::Entering | Step::Busy(_) | Step::Carrying => {
                self.framer = Framer::default();
                self.step = Step::Away(self.now + AWAY_PAUSE);
            }
            Step::Away(_) | Step::Over => {}
        }
    }

    pub(super) fn give_up(&mut self) {
        for number in mem::take(&mut self.open).into_keys() {
            self.tell(number, Err(Code::OutcomeUnknown));
        }
        for (number, _) in mem::take(&mut self.waiting) {
            self.tell(number, Err(Code::NotConnected));
        }
        self.end();
    }

    pub(super) fn fail(&mut self, reason: Reason, exit: Exit) {
        self.actions.push(Action::Explain(reason));
        if self.was_in {
            return self.give_up();
        }
        self.actions.push(Action::Exit(exit));
        self.step = Step::Over;
    }

    pub(super) fn end(&mut self) {
        self.actions.push(Action::Exit(self.ending.exit()));
        self.step = Step::Over;
    }

    /// What is due now, and when something is next.
    pub(super) fn look_at_the_clock(&mut self) {
        match self.step {
            Step::Busy(at) if at <= self.now && self.now < self.until => self.enter(),
            Step::Away(at) if at <= self.now && self.now < self.until => {
                self.step = Step::Dialling;
                self.actions.push(Action::Dial);
            }
            _ if self.was_in && self.until <= self.now => self.give_up_late(),
            Step::Silent(until) if until <= self.now => self.fail(Reason::NoAnswer, Exit::ServerLost),
            Step::Busy(_) if self.until <= self.now => {
                self.fail(Reason::Refused(Refusal::Busy), Exit::NotKnown);
            }
            Step::Dialling | Step::Silent(_) | Step::Entering if self.until <= self.now => {
                self.fail(Reason::NoAnswer, Exit::ServerLost);
            }
            Step::Dialling
            | Step::Silent(_)
            | Step::Entering
            | Step::Busy(_)
            | Step::Carrying
            | Step::Away(_)
            | Step::Over => {}
        }
        let own = match self.step {
            Step::Silent(at) | Step::Busy(at) | Step::Away(at) => at,
            Step::Dialling | Step::Entering | Step::Carrying => self.until,
            Step::Over => return,
        };
        let at = own.min(self.until).max(self.now + Duration::from_micros(1));
        self.actions.push(Action::WakeAt(at));
    }

    /// It has taken too long.
    pub(super) fn give_up_late(&mut self) {
        self.ending.is_late = true;
        self.give_up();
    }
}
