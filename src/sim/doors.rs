//! Steps by hand at the server's door: devices, lanes of passwords, strangers, second logins, registrations.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::cast::{USERS, any_address};
use super::hand::Manner;
use super::scenario::Step;
use super::steps::HAPPENINGS;
use super::world::World;
use crate::server::settings::{DuplicateLogin, Registration};
use crate::time::Time;

/// Where the same people come from again and again.
const HOMES: u64 = 6;
/// Names that only ever register.
const RECRUITS: u64 = 24;

impl World {
    /// Somebody by hand does what the server's door is made for, or against.
    pub(super) fn at_the_door(&mut self, step: Step) {
        match step.salt % 14 {
            0 | 1 => self.come_as_device(step),
            2 => self.guess_as_device(step),
            3 | 4 => self.guess_from_everywhere(step),
            5 | 6 => self.connect_in_numbers(step),
            7 => self.guess_many_names(step),
            8..=10 => self.log_in_twice(step),
            11 => self.register_many(step),
            _ => self.send_couriers(step),
        }
    }

    fn small(&mut self, bound: u64) -> usize {
        usize::try_from(self.draw.below(bound)).unwrap_or(0)
    }

    fn pass_micros(&mut self, micros: u64) {
        self.pass(Time(self.now.0 + micros), HAPPENINGS);
    }

    /// A connection from one of a few places, or from anywhere.
    pub(super) fn open_anywhere(&mut self, manner: Manner) -> Option<usize> {
        let homes = if self.draw.chance(700) { HOMES } else { 1 << 16 };
        let place = self.draw.below(homes);
        let hand = self.open_hand_at(any_address(self.hands.len(), place), manner)?;
        if self.draw.chance(500)
            && let Some(link) = self.links.get_mut(&self.hands[hand].link)
        {
            link.latency_micros = 0;
        }
        Some(hand)
    }

    /// A line that shows a cookie: the user's own, an older one, somebody else's, or one that is made up.
    fn cookie_line(&mut self, user: &str) -> String {
        let own: Vec<usize> =
            (0..self.cookies.len()).filter(|at| self.cookies[*at].0.as_str() == user).collect();
        let choice = self.draw.below(10);
        let at = match choice {
            0..=6 => own.last().copied(),
            7 => own.first().copied(),
            8 if !self.cookies.is_empty() => {
                let bound = self.cookies.len() as u64;
                Some(self.small(bound))
            }
            _ => None,
        };
        match at {
            Some(at) => format!("device {}\n", self.cookies[at].1),
            None if choice == 9 => format!("device {:032x}\n", self.draw.number()),
            None => String::new(),
        }
    }

    pub(super) fn guess_line(&mut self, user: &str, right_per_mille: u64) -> String {
        let right = self.draw.chance(right_per_mille);
        let password = if right { self.right_password(user) } else { self.typed("guess") };
        format!("login {user} {password}\n")
    }

    /// Somebody comes in, as a device that was in before or as a new one, and may leave at once.
    fn come_as_device(&mut self, step: Step) {
        let user = match self.away(step.argument).first() {
            Some(user) if !step.salt.is_multiple_of(5) => *user,
            _ => self.user(step.argument),
        };
        let times = 1 + if (step.salt / 12).is_multiple_of(4) { self.small(11) } else { 0 };
        for _ in 0..times {
            let manner = if self.draw.chance(800) { Manner::Keeping } else { Manner::Plain };
            let Some(hand) = self.open_anywhere(manner) else { return };
            let mut lines =
                if times > 1 && self.draw.chance(800) { String::new() } else { self.cookie_line(user) };
            if self.draw.chance(100) {
                lines += &self.cookie_line(user);
            }
            lines += &self.guess_line(user, 900);
            self.hand_writes(hand, lines.as_bytes());
            let micros = self.draw.between(50_000, 150_000);
            self.pass_micros(micros);
            if times > 1 || self.draw.chance(600) {
                self.hand_commands(hand, b"logout");
                self.pass_micros(10_000);
            }
        }
    }

    /// A device guesses, beside others without a cookie.
    fn guess_as_device(&mut self, step: Step) {
        let user = match self.cookies.get(usize::from(step.argument) % self.cookies.len().max(1)) {
            Some((user, _)) => user.clone(),
            None => return self.come_as_device(step),
        };
        let user = user.as_str();
        if let Some(known) = USERS.iter().find(|known| **known == user) {
            self.guessed = known;
        }
        for _ in 0..self.draw.between(1, 5) {
            let Some(hand) = self.open_anywhere(Manner::Plain) else { return };
            let mut lines = if self.draw.chance(700) { self.cookie_line(user) } else { String::new() };
            if self.draw.chance(300) {
                lines = String::from("hello 1 device\n") + &lines;
            }
            for _ in 0..self.draw.between(1, 4) {
                lines += &self.guess_line(user, 150);
            }
            self.hand_writes(hand, lines.as_bytes());
            if self.draw.chance(500) {
                let micros = self.draw.below(60_000);
                self.pass_micros(micros);
            }
        }
    }

    /// Passwords for many names from many addresses while hashing takes its time; known ones and devices among
    /// them, and some who hang up.
    fn guess_from_everywhere(&mut self, step: Step) {
        let few = self.draw.chance(250);
        let settings = &mut self.host.settings;
        settings.unauthenticated_max = if few { 8 } else { settings.unauthenticated_max.max(40) };
        settings.hashing_threads = 1 + step.salt / 12 % 3;
        settings.hash_queue = [1, 3, 8, 32, 0][usize::try_from(step.salt / 36 % 5).unwrap_or(0)];
        self.reload_server();
        let before = core::mem::replace(&mut self.weather.hash_micros, 400_000);
        let mut hands = Vec::new();
        for _ in 0..self.draw.between(4, 24) {
            let Some(hand) = self.open_anywhere(Manner::Plain) else { break };
            let place = self.draw.number().to_le_bytes()[0];
            let user = if self.draw.chance(500) { self.user(step.argument) } else { self.user(place.into()) };
            let mut lines = if self.draw.chance(200) { self.cookie_line(user) } else { String::new() };
            lines += &self.guess_line(user, 300);
            if self.draw.chance(200) {
                lines += &self.guess_line(user, 300);
            }
            self.hand_writes(hand, lines.as_bytes());
            hands.push(hand);
            let micros = self.draw.below(3_000);
            self.pass_micros(micros);
            match self.draw.below(20) {
                0 => self.close_hand(hand),
                1..=3 => self.end_hand(hand),
                _ => {}
            }
        }
        let micros = self.draw.below(4_000_000);
        self.pass_micros(micros);
        self.weather.hash_micros = before;
        if step.salt.is_multiple_of(2) {
            hands.into_iter().for_each(|hand| self.close_hand(hand));
        }
    }

    /// Connections beyond what may be, some of them from where people come from: some say nothing, some something, some
    /// begin to log in.
    fn connect_in_numbers(&mut self, step: Step) {
        let (most, own) =
            [(4, 3), (10, 0), (24, 16), (40, 20), (8, 2)][usize::try_from(step.salt / 12 % 5).unwrap_or(0)];
        let settings = &mut self.host.settings;
        (settings.unauthenticated_max, settings.unauthenticated_per_address) = (most, own);
        self.reload_server();
        let homes = self.draw.between(1, 5);
        let begin_per_mille = [100, 500, 990][usize::try_from(step.salt / 60 % 3).unwrap_or(0)];
        let mut hands = Vec::new();
        for _ in 0..self.draw.between(3, 60) {
            let place = if self.draw.chance(200) {
                self.draw.below(HOMES)
            } else {
                self.draw.below(homes) + u64::from(step.argument)
            };
            let Some(hand) = self.open_hand_at(any_address(self.hands.len(), place), Manner::Plain) else {
                break;
            };
            hands.push(hand);
            let user = self.user(step.argument);
            if self.draw.chance(begin_per_mille) {
                self.hand_writes(hand, format!("login {user}\n").as_bytes());
            } else if self.draw.chance(500) {
                self.hand_writes(hand, b"hello 1\n");
            }
            let micros = self.draw.below(500);
            self.pass_micros(micros);
        }
        self.host.settings.unauthenticated_max = 128;
        if step.salt.is_multiple_of(3) {
            hands.into_iter().for_each(|hand| self.close_hand(hand));
        }
    }

    /// More names than there are places are guessed at, and some of them until they are locked.
    fn guess_many_names(&mut self, step: Step) {
        let settings = &mut self.host.settings;
        settings.name_places = [2, 20, 33][usize::try_from(step.salt / 12 % 3).unwrap_or(0)];
        settings.failures_per_address = 0;
        settings.unauthenticated_max = settings.unauthenticated_max.max(40);
        settings.block_duration_secs = settings.block_duration_secs.max(5);
        settings.lock_attempts = settings.lock_attempts.max(2);
        self.reload_server();
        let before = core::mem::replace(&mut self.weather.hash_micros, 2_000);
        let names = u64::from(self.host.settings.name_places) * 2;
        for _ in 0..self.draw.between(3, 12) {
            let Some(hand) = self.open_anywhere(Manner::Plain) else { break };
            let mut lines = String::new();
            for _ in 0..self.draw.between(1, 8) {
                let name = match self.draw.below(names) {
                    place if self.draw.chance(200) => String::from(self.user(place as u16)),
                    place => format!("nobody-{place}"),
                };
                for _ in 0..[1, 1, 2, 4][self.small(4)] {
                    lines += &format!("login {name} {}\n", self.typed("guess"));
                }
            }
            self.hand_writes(hand, lines.as_bytes());
            let micros = self.draw.below(20_000);
            self.pass_micros(micros);
        }
        self.pass_micros(200_000);
        self.weather.hash_micros = before;
    }

    /// Several wrong passwords for a name, often from a device that was in before.
    pub(super) fn guess_in_vain(&mut self, name: &'static str) {
        let Some(hand) = self.open_anywhere(Manner::Keeping) else { return };
        let mut lines = self.cookie_line(name);
        for _ in 0..self.draw.between(1, 4) {
            lines += &format!("login {name} {}\n", self.typed("guess"));
        }
        self.hand_writes(hand, lines.as_bytes());
        self.pass_micros(500_000);
    }

    /// A second login of a user: the first client answers, is silent, moves, leaves, or cannot be asked.
    fn log_in_twice(&mut self, step: Step) {
        if !(step.salt / 12).is_multiple_of(4) {
            self.host.settings.duplicate_login = DuplicateLogin::Deny;
            self.reload_server();
        }
        let Some(user) = self.away(step.argument).first().copied() else { return };
        let manner = if self.draw.chance(850) { Manner::Keeping } else { Manner::Resuming };
        let Some(first) = self.open_anywhere(manner) else { return };
        self.hands[first].silent = self.draw.chance(600);
        let lines = self.cookie_line(user) + &self.guess_line(user, 1_000);
        self.hand_writes(first, lines.as_bytes());
        self.pass_micros(100_000);
        let is_full = step.salt / 48 % 12 == 9;
        if is_full {
            self.fill_input(first);
        }
        let reads = is_full || self.draw.chance(700);
        if let Some(link) = self.links.get_mut(&self.hands[first].link) {
            link.ends[0].reading = reads;
            link.window = if reads { link.window } else { 1 };
        }
        let Some(second) = self.open_anywhere(Manner::Keeping) else { return };
        let lines = self.cookie_line(user) + &self.guess_line(user, 950);
        self.hand_writes(second, lines.as_bytes());
        let micros = self.draw.between(40_000, 90_000);
        self.pass_micros(micros);
        self.meanwhile(step, user, [first, second]);
        let micros = self.draw.below(20_000_000);
        self.pass_micros(micros);
        if self.draw.chance(600) {
            self.hand_writes(second, b"takeover\n");
            self.pass_micros(1_000);
        }
        let guess = self.guess_line(user, 900);
        self.hand_writes(second, (guess + "takeover\ntakeover\n").as_bytes());
        self.pass_micros(100_000);
    }

    /// A client says so much behind a change that waits for the disk that it is not read any more.
    fn fill_input(&mut self, hand: usize) {
        self.host.store.held = true;
        let long = "x".repeat(3_000);
        let lines: String = (0..23).map(|_| format!("ping {long}\n")).collect();
        self.hand_writes(hand, (String::from("block yoda\n") + &lines).as_bytes());
        self.pass_micros(10_000);
    }

    /// What happens while the first client is asked whether it is there.
    fn meanwhile(&mut self, step: Step, user: &'static str, hands: [usize; 2]) {
        let [first, second] = hands;
        match step.salt / 48 % 12 {
            0 => self.hand_writes(first, b"alive\n"),
            1 => self.hand_writes(first, b"w"),
            2 => self.hand_commands(first, b"logout"),
            3 => self.close_hand(first),
            4 => self.close_hand(second),
            5 => {
                let tokens = self.tokens.iter().rposition(|kept| kept.is_of(first));
                if let Some(place) = tokens.and_then(|place| u16::try_from(place).ok()) {
                    self.resume_by_hand(place, false);
                }
            }
            6 => {
                let guess = self.guess_line(user, 800);
                if let Some(third) = self.open_anywhere(Manner::Plain) {
                    self.hand_writes(third, (guess + "takeover\n").as_bytes());
                }
            }
            7 => self.change_accounts(Step { argument: step.argument / 4 * 4 + 1, ..step }),
            8 => {
                self.host.settings.timeout_secs = 3;
                self.reload_server();
            }
            9 => {
                self.host.store.held = false;
                self.wake_store();
            }
            _ => {}
        }
    }

    /// An address registers accounts, more than it may in an hour.
    fn register_many(&mut self, step: Step) {
        let settings = &mut self.host.settings;
        settings.registration = Registration::Open;
        settings.registrations_per_address = [5, 1, 2, 3][usize::try_from(step.salt / 12 % 4).unwrap_or(0)];
        self.reload_server();
        for _ in 0..self.draw.between(2, 9) {
            if self.draw.chance(150) {
                self.host.settings.registrations_per_address = [5, 0, 2, 70][self.small(4)];
                self.reload_server();
            }
            let Some(hand) = self.open_anywhere(Manner::Keeping) else { return };
            let name = format!("recruit{}", self.draw.below(RECRUITS));
            let line = format!("register {name} {}\n", self.typed("a new password"));
            self.hand_writes(hand, line.as_bytes());
            let micros = self.draw.below(50_000);
            self.pass_micros(micros);
            if self.draw.chance(700) {
                self.hand_commands(hand, b"logout");
            }
        }
        if step.salt.is_multiple_of(3) {
            self.dismiss_recruits();
        }
    }

    /// The accounts of those who only registered are removed.
    pub(super) fn dismiss_recruits(&mut self) {
        self.merge_registered_accounts();
        let before = self.host.accounts.len();
        self.host.accounts.retain(|(name, _)| !name.as_str().starts_with("recruit"));
        if self.host.accounts.len() < before {
            self.reload_server();
        }
    }
}
