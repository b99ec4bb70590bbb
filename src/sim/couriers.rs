//! Steps of couriers: clients of scripts that carry messages beside whatever session their user has.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::hand::Manner;
use super::scenario::{Kind, Step};
use super::steps::HAPPENINGS;
use super::world::World;
use crate::time::Time;

/// What couriers say; the last ones they may not.
const SAID: &[Kind] = &[
    Kind::Message,
    Kind::Message,
    Kind::Message,
    Kind::GroupMessage,
    Kind::Broadcast,
    Kind::Ping,
    Kind::Whoelse,
    Kind::Block,
    Kind::Offline,
];

/// Messages with ids that are remembered, over all users.
const MARKED_KEPT: usize = 24;

impl World {
    /// Couriers of one user come, say something, and go, or stay until they are closed.
    pub(super) fn send_couriers(&mut self, step: Step) {
        let user = self.user(step.argument);
        let seconds = self.draw.chance(500);
        for _ in 0..self.draw.between(1, 7) {
            let Some(hand) = self.open_anywhere(Manner::Courier) else { return };
            let line = self.courier_line(user);
            self.hand_writes(hand, line.as_bytes());
            if self.draw.chance(700) {
                let micros = self.draw.between(20_000, 150_000);
                self.pass_couriers(micros);
            }
            self.say_as_courier(hand, user, step);
            self.end_as_courier(hand);
            if self.draw.chance(40) {
                // An id that was made up is forgotten after ten minutes, one that was given after a day.
                let seconds = if self.draw.chance(700) { 601 } else { 86_401 };
                self.pass_couriers(seconds * 1_000_000);
            }
            if self.draw.chance(60) {
                self.change_accounts(Step { argument: step.argument.wrapping_mul(4), ..step });
            }
            if seconds {
                let micros = self.draw.below(6_000_000);
                self.pass_couriers(micros);
            }
        }
    }

    fn pass_couriers(&mut self, micros: u64) {
        self.pass(Time(self.now.0 + micros), HAPPENINGS);
    }

    /// A login, by the password or by a token: the newest, an old one, one of another kind, or one that is made up.
    fn courier_line(&mut self, user: &str) -> String {
        let own = |(of, _): &&(crate::words::Name, crate::words::Token)| of.as_str() == user;
        let choice = self.draw.below(10);
        let token = match choice {
            0..=3 => self.passes.iter().rfind(own).map(|(_, token)| *token),
            4 => self.passes.iter().find(own).map(|(_, token)| *token),
            5 => self.passes.last().map(|(_, token)| *token),
            _ => None,
        };
        match token {
            Some(token) => format!("resume {user} {token}\n"),
            None if choice == 6 => format!("resume {user} {:032x}\n", self.draw.number()),
            None => self.guess_line(user, 930),
        }
    }

    fn say_as_courier(&mut self, hand: usize, user: &str, step: Step) {
        for _ in 0..self.draw.below(6) {
            let kind = SAID[usize::try_from(self.draw.below(SAID.len() as u64)).unwrap_or(0)];
            let argument = u16::try_from(self.draw.below(1 << 16)).unwrap_or(0);
            let line = self.command(Step { kind, argument, ..step }).unwrap_or_default();
            let line = if self.draw.chance(500) { self.marked_line(user, line) } else { line };
            if self.draw.chance(800) {
                self.hand_commands(hand, line.as_bytes());
            } else {
                self.hand_writes(hand, format!("{line}\n").as_bytes());
            }
            if self.draw.chance(200) {
                let micros = self.draw.below(3_000_000);
                self.pass_couriers(micros);
            }
        }
        if self.draw.chance(60) {
            self.hand_writes(hand, b"hello 1 courier\nresume\ntakeover\n\xff\nactive\nalive\n");
        }
    }

    /// A message with an id: a new one, or one of the last that the user's couriers have said, or other words under
    /// its id.
    fn marked_line(&mut self, user: &str, line: String) -> String {
        let of_user: Vec<usize> = (0..self.marked.len()).filter(|at| self.marked[*at].0 == user).collect();
        // The oldest may be over.
        let oldest = self.draw.chance(400);
        let picked = if oldest { 0 } else { self.draw.below(of_user.len().max(1) as u64) };
        let known = of_user.get(usize::try_from(picked).unwrap_or(0)).map(|at| self.marked[*at].1.clone());
        match (known, self.draw.below(10)) {
            (Some(known), 0..=5) => known,
            (Some(known), 6) => {
                let mut words = known.splitn(3, ' ');
                let (kind, id) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                format!("{kind} {id} {line}")
            }
            _ => {
                let kind = if self.draw.chance(650) { "given" } else { "random" };
                let marked = format!("{kind} {:032x} {line}", self.draw.number());
                self.marked.push((user.into(), marked.clone()));
                if self.marked.len() > MARKED_KEPT {
                    // Those that are long ago stay among the last ones.
                    let dropped = self.draw.between(MARKED_KEPT as u64 / 2, MARKED_KEPT as u64);
                    self.marked.remove(usize::try_from(dropped).unwrap_or(0));
                }
                marked
            }
        }
    }

    fn end_as_courier(&mut self, hand: usize) {
        match self.draw.below(10) {
            0..=3 => self.hand_commands(hand, b"logout"),
            4 => self.hand_writes(hand, b"logout\nping yoda\n"),
            5..=6 => self.end_hand(hand),
            7 => self.close_hand(hand),
            _ => {}
        }
    }
}
