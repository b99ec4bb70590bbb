//! Relays by hand: two people who are introduced to each other and say all there is to say about them, right and wrong.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::cast::USERS;
use super::client_host::SEATS_USED;
use super::hand::Manner;
use super::scenario::Step;
use super::steps::HAPPENINGS;
use super::world::World;
use crate::time::Time;
use crate::wire::relay_line::seal;

/// Lines of one step.
const LINES: u64 = 40;

impl World {
    /// Steps about relays: an evil server, or two people by hand.
    pub(super) fn relay(&mut self, step: Step) {
        if step.salt.is_multiple_of(2) {
            return self.relay_of_clients(step);
        }
        let away = self.who_is_away();
        let place = usize::from(step.argument);
        let next = |by: usize| away.get((place + by) % away.len().max(1)).copied();
        let (Some(one), Some(other), Some(third)) = (next(0), next(1), next(2)) else { return };
        if one == other {
            return;
        }
        let manner = if step.salt / 2 % 2 == 1 { Manner::Relaying } else { Manner::RelayingNothing };
        let hands = [(one, Manner::Relaying), (other, manner)].map(|(user, manner)| {
            let hand = self.open_hand(3, manner)?;
            let login = format!("login {user} {}\n", self.right_password(user));
            self.hand_writes(hand, login.as_bytes());
            Some(hand)
        });
        let [Some(first), Some(second)] = hands else { return };
        self.pass(Time(self.now.0 + 200_000), HAPPENINGS);
        if !step.salt.is_multiple_of(7) {
            self.hand_commands(first, format!("startprivate {other}").as_bytes());
            self.pass(Time(self.now.0 + 5_000), HAPPENINGS);
            self.hand_commands(second, format!("accept {one}").as_bytes());
            self.pass(Time(self.now.0 + 5_000), HAPPENINGS);
        }
        let mut beside = None;
        if (step.salt / 8).is_multiple_of(3) {
            beside = self.relay_beside(one, third, first);
        }
        let relays = [1_000, 20_000, 65_536, 0][usize::try_from(step.salt / 32 % 4).unwrap_or(0)];
        if (step.salt / 128).is_multiple_of(2) {
            self.host.settings.relay_bytes_per_s = relays;
            self.host.settings.relay_links_per_user = 1 + step.salt / 256 % 2;
            self.reload_server();
        }
        self.hand_writes(first, format!("relay open {other}\n").as_bytes());
        let large = self.draw.chance(300);
        for _ in 0..self.draw.between(3, LINES) {
            // Large ones go one way, and so fill the window.
            let to_second = self.draw.chance(if large { 900 } else { 500 });
            let (hand, other) = if to_second { (first, other) } else { (second, one) };
            let line = self.line_about_relay(other, large);
            self.hand_writes(hand, line.as_bytes());
            if self.draw.chance(300) {
                let micros = self.draw.below(30_000);
                self.pass(Time(self.now.0 + micros), HAPPENINGS);
            }
        }
        match step.salt / 16 % 6 {
            0 => self.hand_commands(first, format!("block {other}").as_bytes()),
            1 => self.close_hand(second),
            2 => self.hand_commands(second, b"logout"),
            3 => self.end_hand(first),
            _ => {}
        }
        if !step.salt.is_multiple_of(5) {
            self.pass(Time(self.now.0 + 50_000), HAPPENINGS);
            [Some(first), Some(second), beside].into_iter().flatten().for_each(|hand| self.close_hand(hand));
        }
    }

    /// Two clients agree on a link that is relayed and talk, and the server may be evil, or be lost when it is open.
    fn relay_of_clients(&mut self, step: Step) {
        let user_at = |seat: usize| {
            let process = self.seats[seat].process.as_ref().filter(|process| !process.frozen)?;
            Some((seat, process.user.clone()?))
        };
        let online: Vec<_> = (0..SEATS_USED).filter_map(user_at).collect();
        let place = usize::from(step.argument);
        let next = |by: usize| online.get((place + by) % online.len().max(1)).cloned();
        let (Some((first, one)), Some((second, other))) = (next(0), next(1)) else { return };
        if one == other {
            return;
        }
        if !(step.salt / 2).is_multiple_of(8) {
            self.type_line(first, format!("path {other} relay").as_bytes());
        }
        self.type_line(first, format!("startprivate {other}").as_bytes());
        self.pass(Time(self.now.0 + 20_000), HAPPENINGS);
        self.type_line(second, format!("accept {one}").as_bytes());
        if (step.salt / 16).is_multiple_of(2) {
            self.turn_evil(step.salt / 32);
        } else if step.salt / 32 % 4 == 3 {
            let seat = if (step.salt / 128).is_multiple_of(2) { first } else { second };
            let link = self.seats[seat].process.as_ref().and_then(|process| process.link);
            self.cut_when_opened(link);
        }
        self.pass(Time(self.now.0 + 50_000), HAPPENINGS);
        for _ in 0..self.draw.between(1, 12) {
            let (seat, to) = if self.draw.chance(500) { (first, &other) } else { (second, &one) };
            let line = format!("private {to} {}", self.new_text());
            self.type_line(seat, line.as_bytes());
            if self.draw.chance(300) {
                let micros = self.draw.below(30_000);
                self.pass(Time(self.now.0 + micros), HAPPENINGS);
            }
        }
        self.type_line(first, format!("path {other} auto").as_bytes());
    }

    /// Users whom no client and no raw connection has logged in, as far as can be seen.
    fn who_is_away(&self) -> Vec<&'static str> {
        let online = self.seats.iter().filter_map(|seat| seat.process.as_ref()?.user.as_ref());
        let online: Vec<&str> = online.map(|user| user.as_str()).collect();
        let is_account = |name: &str| self.host.accounts.iter().any(|(known, _)| known.as_str() == name);
        USERS.iter().copied().filter(|name| !online.contains(name) && is_account(name)).collect()
    }

    /// One of them has a relay with a third.
    fn relay_beside(&mut self, one: &str, third: &str, first: usize) -> Option<usize> {
        let hand = (third != one).then(|| self.open_hand(3, Manner::Relaying)).flatten()?;
        let login = format!("login {third} {}\n", self.right_password(third));
        self.hand_writes(hand, login.as_bytes());
        self.pass(Time(self.now.0 + 200_000), HAPPENINGS);
        self.hand_commands(first, format!("startprivate {third}").as_bytes());
        self.pass(Time(self.now.0 + 5_000), HAPPENINGS);
        self.hand_commands(hand, format!("accept {one}").as_bytes());
        self.pass(Time(self.now.0 + 5_000), HAPPENINGS);
        self.hand_writes(first, format!("relay open {third}\n").as_bytes());
        Some(hand)
    }

    /// A line about a relay with a user, most of them good.
    fn line_about_relay(&mut self, other: &str, large: bool) -> String {
        let number = if large { 1 } else { self.draw.between(1, 3) };
        match self.draw.below(24) {
            0 => format!("relay open {other}\n"),
            1 => format!("relay open {}\n", USERS[usize::try_from(self.draw.below(6)).unwrap_or(0)]),
            2 => format!("relay close {number}\n"),
            3 => format!("relay took {number} {}\n", self.draw.below(4_000)),
            4 => String::from("relay took 1 0\n"),
            5 => String::from("relay data 1 aGl\n"),
            6 => String::from("relay what\n"),
            7 => format!("relay took {number} 99999999999999999999\n"),
            8 => String::from("whoelse\n"),
            _ => {
                let most = if large || self.draw.chance(300) { 3_072 } else { 60 };
                let least = if large { most } else { 1 };
                let bytes = vec![0x5a; usize::try_from(self.draw.between(least, most)).unwrap_or(1)];
                format!("relay data {number} {}\n", seal(&bytes))
            }
        }
    }
}
