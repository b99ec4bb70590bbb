//! What is kept for so many days only: stored mail, and when somebody was here last.

use alloc::format;
use alloc::string::String;

use super::hand::Manner;
use super::scenario::Step;
use super::steps::HAPPENINGS;
use super::world::World;
use crate::time::Time;

const DAY_MICROS: u64 = 86_400_000_000;
/// Messages of one sender: few, or more than a page.
const TEXTS: [usize; 6] = [1, 1, 2, 3, 2, 60];

impl World {
    /// Somebody writes to a user who is away for days, as long as the operator lets it be kept or longer.
    pub(super) fn keep_for_days(&mut self, step: Step) {
        let absent = self.away(step.argument);
        let [to, first, second, ..] = *absent.as_slice() else { return };
        self.set_days(step.salt);
        for (from, more) in [(first, 0), (second, 1)] {
            let count = TEXTS[small(step.salt / 8 + more, TEXTS.len())];
            let texts: String = (0..count).map(|_| format!("message {to} {}\n", self.new_text())).collect();
            self.visit(from, &texts);
            self.pass_millis(1_500);
        }
        if step.salt.is_multiple_of(5) {
            self.visit(to, &format!("block {first}\n"));
        }
        let days = u64::from(self.host.settings.mailbox_days.max(self.host.settings.history_days));
        self.come_and_go(step, to, first, days);
    }

    fn set_days(&mut self, salt: u32) {
        let days = [(1, 1), (1, 0), (0, 1), (2, 1), (1, 2), (30, 30), (1, 1), (0, 0)];
        let settings = &mut self.host.settings;
        (settings.mailbox_days, settings.history_days) = days[small(salt, days.len())];
        self.reload_server();
    }

    /// Days pass, and at their end those who were away come back, a little too early, in time or late.
    fn come_and_go(&mut self, step: Step, to: &str, other: &str, days: u64) {
        let until = Time(self.now.0 + (days * DAY_MICROS).saturating_sub(4_000_000));
        self.pass(until, HAPPENINGS);
        match step.salt / 48 % 6 {
            0 => self.read_nothing(to),
            1 => self.set_days(step.salt / 7),
            2 => self.host.store.full = true,
            3 => self.restart_server(2_000_000),
            _ => self.pass_millis(3_000),
        }
        if let Some(hand) = self.open_hand(3, Manner::Keeping) {
            let late = [5_000, 90_000, 700][small(step.salt / 288, 3)];
            self.pass_millis(late);
            let login = format!("login {other} {}\n", self.right_password(other));
            self.hand_writes(hand, login.as_bytes());
            self.hand_commands(hand, format!("seen {to}").as_bytes());
            let line = format!("message {to} {}", self.new_text());
            self.hand_commands(hand, line.as_bytes());
            self.hand_commands(hand, b"whoelsesince 99999999");
        }
        self.visit(to, &format!("seen {other}\n"));
        self.host.store.full = false;
        self.pass_millis(100);
        self.visit(to, "whoelsesince 200000\n");
    }

    /// Somebody comes in and takes nothing of what is sent to them, over the end of its time.
    fn read_nothing(&mut self, user: &str) {
        let Some(hand) = self.come_in(user, Manner::Acknowledging) else { return };
        self.pass_millis(40);
        if let Some(link) = self.links.get_mut(&self.hands[hand].link) {
            link.ends[0].reading = false;
        }
        self.pass_millis(6_000);
        self.close_hand(hand);
        self.pass_millis(61_000);
    }
}

fn small(choice: u32, bound: usize) -> usize {
    usize::try_from(choice).unwrap_or(0) % bound
}
