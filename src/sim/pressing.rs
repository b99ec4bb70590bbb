//! Steps by hand that reach what one user may cause: turns, prices, records under way, output, shares, requests.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::cast::{USERS, password_of};
use super::hand::Manner;
use super::scenario::{Kind, Step};
use super::steps::HAPPENINGS;
use super::world::{Happening, World};
use crate::time::Time;
use crate::words::Name;

/// Accounts that exist only while somebody asks for very many private links.
const GUESTS: usize = 19;
/// What a text is filled up with: with it, a line is almost as long as it may be.
const FILLING: usize = 3_900;
/// What a connection takes from the server before it is read.
const NARROW: usize = 5_000;
/// The time after which a request for a private link counts no more.
const MINUTE_MICROS: u64 = 60_000_000;

const MANNERS: [Manner; 3] = [Manner::Plain, Manner::Acknowledging, Manner::Resuming];

fn manner(choice: u32) -> Manner {
    MANNERS[usize::try_from(choice % 3).unwrap_or(0)]
}

impl World {
    /// Somebody by hand reaches a limit on what one user may cause.
    pub(super) fn press(&mut self, step: Step) {
        match step.salt % 8 {
            0 | 1 => self.press_turns(step),
            3 if step.salt.is_multiple_of(3) => self.press_groups(step),
            2 | 3 => self.press_output(step),
            4 if step.salt.is_multiple_of(5) => self.press_idle(step),
            4 => self.press_debt(step),
            5 => self.press_disk(step),
            6 => self.press_requests(step),
            _ => self.press_shares(step),
        }
    }

    /// Users with an account and without a client, from a place on.
    pub(super) fn away(&self, place: u16) -> Vec<&'static str> {
        let online = |name: &str| {
            let user = |seat: &super::client_host::Seat| {
                seat.process.as_ref().and_then(|process| process.user.clone())
            };
            self.seats.iter().filter_map(user).any(|user| user.as_str() == name)
        };
        let away = |name: &&str| {
            self.host.accounts.iter().any(|(known, _)| known.as_str() == *name) && !online(name)
        };
        let mut away: Vec<&str> = USERS.iter().copied().filter(away).collect();
        let place = usize::from(place) % away.len().max(1);
        away.rotate_left(place);
        away
    }

    /// A raw connection without delay, whose user logs in.
    pub(super) fn come_in(&mut self, user: &str, manner: Manner) -> Option<usize> {
        let hand = self.open_hand(3, manner)?;
        if let Some(link) = self.links.get_mut(&self.hands[hand].link) {
            link.latency_micros = 0;
        }
        let login = format!("login {user} {}\n", self.right_password(user));
        self.hand_writes(hand, login.as_bytes());
        Some(hand)
    }

    pub(super) fn pass_millis(&mut self, millis: u64) {
        self.pass(Time(self.now.0 + millis * 1_000), HAPPENINGS);
    }

    fn long_text(&mut self) -> String {
        format!("{} {}", self.new_text(), "x".repeat(FILLING))
    }

    /// A few say very much at the same moment, each in one piece.
    fn press_turns(&mut self, step: Step) {
        let count = usize::try_from(step.salt / 8 % 3).unwrap_or(0) + 1;
        let users: Vec<&str> = self.away(step.argument).into_iter().take(count).collect();
        let hands: Vec<usize> =
            users.into_iter().filter_map(|user| self.come_in(user, manner(step.salt / 24))).collect();
        self.pass_millis(100);
        for hand in hands {
            let mut lines = String::new();
            for place in 0..self.draw.between(30, 150) {
                lines += &self.line_of_many(Step { argument: step.argument ^ (place as u16), ..step });
            }
            if self.draw.chance(150) {
                lines += "logout\nwhoelse\n";
            }
            self.hand_writes(hand, lines.as_bytes());
            if self.draw.chance(100) {
                self.end_hand(hand);
            }
        }
    }

    /// Two have made a group each, which is all they may make. One is added to that of the other, leaves their own to
    /// a third, and makes one more.
    fn press_groups(&mut self, step: Step) {
        let [one, other, ..] = self.away(step.argument)[..] else { return };
        let own = [(one, "rebels"), (other, "sith")];
        self.host.settings.groups_per_user = 1;
        self.reload_server();
        let mut hands = Vec::new();
        for (user, group) in own {
            let Some(hand) = self.come_in(user, manner(step.salt / 24)) else { return };
            self.pass_millis(100);
            self.hand_commands(hand, format!("create group {group} {user}").as_bytes());
            hands.push(hand);
        }
        self.pass_millis(100);
        for (hand, group, user) in [(hands[0], own[0].1, other), (hands[1], own[1].1, one)] {
            self.hand_commands(hand, format!("add group {group} {user}").as_bytes());
        }
        self.pass_millis(100);
        self.hand_commands(hands[0], format!("leave group {}", own[0].1).as_bytes());
        self.pass_millis(100);
        self.hand_commands(hands[0], format!("create group jedi {other}").as_bytes());
    }

    fn line_of_many(&mut self, step: Step) -> String {
        const KINDS: [Kind; 8] = [
            Kind::Message,
            Kind::Ping,
            Kind::Whoelse,
            Kind::Message,
            Kind::GroupList,
            Kind::Since,
            Kind::CreateGroup,
            Kind::Block,
        ];
        const OTHERS: [&str; 6] =
            ["\n", "active\n", "ack - 0\n", "nonsense\n", "active invalid\n", "hello 1\n"];
        match self.draw.below(8) {
            0 => String::from(OTHERS[usize::try_from(self.draw.below(6)).unwrap_or(0)]),
            1 => {
                let rare = usize::try_from(self.draw.below(40)).unwrap_or(0);
                let kind = KINDS.get(rare).copied().unwrap_or(Kind::Ping);
                self.command(Step { kind, ..step }).unwrap_or_default() + "\n"
            }
            place => {
                let kind = KINDS[usize::try_from(place % 6).unwrap_or(0)];
                self.command(Step { kind, ..step }).unwrap_or_default() + "\n"
            }
        }
    }

    /// Somebody comes back with debts, and only shows that they are there; or a change ends their turn.
    fn press_debt(&mut self, step: Step) {
        let away = self.away(step.argument);
        let [user, other, ..] = away.as_slice() else { return };
        if step.salt.is_multiple_of(3) {
            let settings = &mut self.host.settings;
            (settings.rate_burst, settings.rate_per_s, settings.timeout_secs) = (64, 20, 10);
            self.reload_server();
        }
        let Some(first) = self.come_in(user, manner(step.salt / 24)) else { return };
        self.pass_millis(100);
        let count = usize::try_from(self.draw.between(56, 70)).unwrap_or(0);
        let change = ["block", "unblock"][usize::try_from(step.salt / 72 % 2).unwrap_or(0)];
        let lines = "nonsense\n".repeat(count) + &format!("{change} {other}\n");
        self.hand_writes(first, lines.as_bytes());
        if step.salt.is_multiple_of(2) {
            return;
        }
        self.pass_millis(1);
        self.close_hand(first);
        self.pass_millis(100);
        let login = format!("login {user} {}\n", self.right_password(user));
        if let Some(second) = self.open_hand(3, Manner::Plain) {
            let said = ["active\n", "ack - 0\n", "active invalid\nwhoelse\n"];
            let said = said[usize::try_from(step.salt / 144 % 3).unwrap_or(0)];
            self.hand_writes(second, (login + said).as_bytes());
            self.pass_millis(15_000);
        }
    }

    /// A turn ends with lines that are no activity, just before their user has been idle for too long.
    fn press_idle(&mut self, step: Step) {
        let Some(user) = self.away(step.argument).first().copied() else { return };
        self.host.settings.timeout_secs = 10;
        self.reload_server();
        let Some(hand) = self.come_in(user, manner(step.salt / 24)) else { return };
        self.pass_millis(500);
        let micros = self.draw.below(100);
        if let Some(at) = self.host.wakes_at {
            self.pass(Time(at.0.saturating_sub(micros)), HAPPENINGS);
        }
        let count = usize::try_from(self.draw.between(61, 65)).unwrap_or(0);
        self.hand_writes(hand, "nonsense\n".repeat(count).as_bytes());
        self.pass_millis(15_000);
    }

    /// Somebody does not read while others say long things, come, go and change groups; then they read again.
    fn press_output(&mut self, step: Step) {
        let away = self.away(step.argument);
        let [reader, writer, third, ..] = away.as_slice() else { return };
        let Some(slow) = self.come_in(reader, manner(step.salt / 8)) else { return };
        let Some(fast) = self.come_in(writer, manner(step.salt / 24)) else { return };
        self.pass_millis(100);
        self.read_by_hand(slow, false, NARROW);
        let mut lines = format!("create group sith {reader}\n");
        for _ in 0..self.draw.between(10, 24) {
            lines += &format!("broadcast {}\n", self.long_text());
        }
        for _ in 0..self.draw.below(6) {
            lines +=
                &format!("message {reader} {}\nmessage group sith {}\n", self.new_text(), self.new_text());
        }
        lines += &format!("leave group sith\ncreate group sith {reader}\nbroadcast {}\n", self.new_text());
        self.hand_writes(fast, lines.as_bytes());
        let greeting = format!("message {reader} {}\n", self.long_text());
        self.visit(third, &greeting);
        self.hand_writes(slow, b"whoelse\n");
        let millis = self.draw.below(if step.salt.is_multiple_of(5) { 4_000 } else { 1_500 });
        self.pass_millis(millis);
        let window = if step.salt.is_multiple_of(3) { 65_536 } else { NARROW };
        self.read_by_hand(slow, true, window);
        self.pass_millis(10);
        let more = format!("broadcast {}\n", self.new_text());
        self.hand_writes(fast, more.as_bytes());
    }

    /// Whether somebody reads what comes, and how much the network takes before.
    fn read_by_hand(&mut self, hand: usize, reads: bool, window: usize) {
        let id = self.hands[hand].link;
        let Some(link) = self.links.get_mut(&id) else { return };
        (link.ends[0].reading, link.window) = (reads, window);
        if reads {
            self.after(0, Happening::Arrive { link: id, end: 0 });
        }
    }

    /// Somebody writes to one who is away, while the disk hangs.
    fn press_disk(&mut self, step: Step) {
        let away = self.away(step.argument);
        let [to, from, ..] = away.as_slice() else { return };
        let Some(hand) = self.come_in(from, manner(step.salt / 8)) else { return };
        self.pass_millis(100);
        self.host.store.held = true;
        let mut lines = String::new();
        for _ in 0..[3, 70, 140][usize::try_from(step.salt / 24 % 3).unwrap_or(0)] {
            lines += &format!("message {to} {}\n", self.new_text());
        }
        lines += "ping yoda\nwhoelse\n";
        self.hand_writes(hand, lines.as_bytes());
        let millis = self.draw.below(300);
        self.pass_millis(millis);
        self.host.store.held = false;
        self.wake_store();
    }

    /// Somebody stores more than one sender may.
    fn press_shares(&mut self, step: Step) {
        let away = self.away(step.argument);
        let [from, receivers @ ..] = away.as_slice() else { return };
        let in_all = (step.salt / 8).is_multiple_of(3);
        let receivers = &receivers[..receivers.len().min(if in_all { 3 } else { 1 })];
        let Some(hand) = self.come_in(from, manner(step.salt / 24)) else { return };
        self.pass_millis(100);
        (self.host.settings.mailbox_share, self.host.settings.total_share) = (64, 1_000);
        self.reload_server();
        for _ in 0..if in_all { 92 } else { 136 } {
            for to in receivers {
                let line = format!("message {to} {}", self.long_text());
                self.hand_commands(hand, line.as_bytes());
            }
        }
        self.pass_millis(5_000);
    }

    /// Very many who are there only for it ask for private links.
    fn press_requests(&mut self, step: Step) {
        let guests: Vec<String> = (0..GUESTS).map(|place| format!("guest{place}")).collect();
        for guest in &guests {
            let Ok(name) = Name::new(guest) else { return };
            if !self.host.accounts.iter().any(|(known, _)| *known == name) {
                self.host.accounts.push((name, password_of(guest, 0)));
            }
        }
        self.reload_server();
        let hands: Vec<usize> =
            guests.iter().filter_map(|guest| self.come_in(guest, Manner::Plain)).collect();
        self.pass_millis(500);
        if let [first, second, others @ ..] = hands.as_slice() {
            match step.salt / 8 % 3 {
                0 => self.ask_everybody(*first, &hands),
                1 => self.ask_somebody(*first, others),
                _ => self.ask_again_and_again([*first, *second], step.salt / 24),
            }
        }
        hands.iter().for_each(|hand| self.close_hand(*hand));
        self.pass_millis(50);
        self.host.accounts.retain(|(name, _)| !guests.iter().any(|guest| guest == name.as_str()));
        self.reload_server();
    }

    /// One asks all others at once, hears no from all, and asks on.
    fn ask_everybody(&mut self, first: usize, hands: &[usize]) {
        let all: String = (1..GUESTS).map(|place| format!("startprivate guest{place}\n")).collect();
        self.hand_writes(first, all.as_bytes());
        self.pass_millis(1);
        for hand in hands.iter().skip(1) {
            self.hand_writes(*hand, b"decline guest0\n");
        }
        self.pass_millis(1);
        self.hand_writes(first, all.as_bytes());
        self.pass_millis(1);
    }

    /// All others ask one.
    fn ask_somebody(&mut self, first: usize, others: &[usize]) {
        for hand in others {
            self.hand_writes(*hand, b"startprivate guest0 5000\n");
        }
        self.pass_millis(1);
        self.hand_writes(
            first,
            b"startprivate guest1\naccept guest2 6000\ndecline guest3\nstartprivate guest4\n",
        );
        self.pass_millis(1);
    }

    /// One asks another again and again, also at the moment at which the first time is a minute ago.
    fn ask_again_and_again(&mut self, hands: [usize; 2], choice: u32) {
        let [first, second] = hands;
        let began = self.now;
        for round in 0..5 {
            self.hand_writes(first, b"startprivate guest1\n");
            self.pass_millis(1);
            let crossing = round == 0 && choice.is_multiple_of(2);
            let answer = if crossing { "startprivate guest0\n" } else { "decline guest0\n" };
            self.hand_writes(second, answer.as_bytes());
            self.pass_millis(1);
        }
        let late = u64::from(choice % 3);
        self.pass(Time((began.0 + MINUTE_MICROS + late).saturating_sub(1)), HAPPENINGS);
        self.hand_writes(first, b"startprivate guest1\n");
        self.pass_millis(1);
    }
}
