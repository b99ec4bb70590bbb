//! People who leave their keyboards, and others who ask for them.

use alloc::format;

use super::hand::Manner;
use super::scenario::{Kind, Step};
use super::world::World;

/// The setting that shows in `whoelse` who has blocked the asker.
const SHOW_BLOCKERS: (u8, u16) = (9, 0);

impl World {
    /// One is away, perhaps blocks the other or is blocked, and comes back on another connection; the other asks.
    pub(super) fn leave_keyboard(&mut self, step: Step) {
        if (step.salt / 8).is_multiple_of(2) {
            let (actor, argument) = SHOW_BLOCKERS;
            self.choose_setting(Step { kind: Kind::Setting, actor, argument, ..step });
        }
        let absent = self.away(step.argument);
        let [one, other, ..] = absent[..] else { return };
        let (Some(first), Some(second)) =
            (self.come_in(one, Manner::Resuming), self.come_in(other, Manner::Resuming))
        else {
            return;
        };
        self.pass_millis(100);
        self.hand_commands(first, b"away at lunch");
        let (by, user) = if (step.salt / 16).is_multiple_of(2) { (first, other) } else { (second, one) };
        if (step.salt / 32).is_multiple_of(3) {
            self.hand_commands(by, format!("block {user}").as_bytes());
        }
        self.pass_millis(100);
        self.ask_for(second, one);
        let token = self.tokens.iter().rposition(|kept| kept.is_for(one));
        if let Some(token) = token.and_then(|token| u16::try_from(token).ok()) {
            self.resume_by_hand(token, false);
            self.pass_millis(100);
        }
        self.ask_for(second, one);
    }

    fn ask_for(&mut self, hand: usize, user: &str) {
        self.hand_commands(hand, b"whoelse");
        let line = format!("message {user} {}", self.new_text());
        self.hand_commands(hand, line.as_bytes());
        self.pass_millis(100);
    }
}
