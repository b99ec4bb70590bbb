//! Steps by hand: what people with raw connections do.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::cast::{USERS, password_of};
use super::client_host::SEATS_USED;
use super::hand::{Hand, Manner};
use super::scenario::{Kind, Step};
use super::steps::HAPPENINGS;
use super::world::World;
use crate::server::settings::HeldOnBlock;
use crate::time::Time;
use crate::words::Name;

/// Names that nobody may have, and some that look like others.
const ODD_NAMES: &[&str] = &[
    "#hans",
    "group",
    "a\u{200b}b",
    "abcdefghijklmnopqrstuvwxyz0123456",
    "h\u{430}ns",
    "y\u{43e}da",
    "lu\u{43a}e",
    "1uke",
];
/// Where somebody may say that they listen.
const ENDPOINTS: &[&str] =
    &["10.0.0.7:5000", "80", "192.168.1.2:6000", "[fd00::1]:7000", "127.0.0.1:1023", "5001"];
/// Commands that are asked by hand.
const COMMANDS: &[Kind] = &[
    Kind::Message,
    Kind::Broadcast,
    Kind::Whoelse,
    Kind::Since,
    Kind::Block,
    Kind::Unblock,
    Kind::Offline,
    Kind::Ping,
    Kind::Away,
    Kind::Back,
    Kind::CreateGroup,
    Kind::GroupMessage,
    Kind::GroupList,
    Kind::AddToGroup,
    Kind::RemoveFromGroup,
    Kind::LeaveGroup,
    Kind::DeleteGroup,
    Kind::DeleteGroup,
    Kind::StartPrivate,
    Kind::Accept,
    Kind::Decline,
    Kind::Order,
    Kind::Help,
    Kind::Help,
    Kind::Help,
    Kind::Help,
    Kind::Help,
    Kind::Help,
];

impl World {
    /// The raw connection a step means, if there is an open one.
    fn hand_of(&self, actor: u8) -> Option<usize> {
        let recent = self.hands.len().saturating_sub(12);
        let stand_ins: Vec<usize> = self.seats.iter().filter_map(|seat| seat.hand).collect();
        let talks = |hand: &Hand| hand.open && !hand.ended;
        let usable = |index: &usize| talks(&self.hands[*index]) && !stand_ins.contains(index);
        let open: Vec<usize> = (recent..self.hands.len()).filter(usable).collect();
        (!open.is_empty()).then(|| open[usize::from(actor) % open.len()])
    }

    /// Steps about raw connections.
    pub(super) fn take_hand(&mut self, step: Step) -> bool {
        match step.kind {
            Kind::RawOpen => {
                let manner = match (step.argument % 3, step.salt % 4) {
                    (0, 0) => Manner::Acknowledging,
                    (0, _) => Manner::Resuming,
                    (_, _) => Manner::Plain,
                };
                self.open_hand(step.actor, manner);
            }
            Kind::RawGuesses => self.guess(step),
            Kind::RawLogin | Kind::RawRegister => {
                let hand = self.hand_of(step.actor).or_else(|| self.open_hand(step.actor, Manner::Plain));
                if let Some(hand) = hand {
                    let line = self.login_line(step);
                    self.hand_writes(hand, line.as_bytes());
                }
            }
            Kind::RawCommand => {
                if let Some(hand) = self.hand_of(step.actor) {
                    let kinds =
                        [Kind::Message, Kind::Broadcast, Kind::Block, Kind::Whoelse, Kind::GroupMessage];
                    let kinds =
                        [kinds, [Kind::Message, Kind::Ping, Kind::Since, Kind::StartPrivate, Kind::Logout]];
                    let kind = kinds.as_flattened()[usize::try_from(step.salt % 10).unwrap_or(0)];
                    let line = self.command(Step { kind, ..step }).unwrap_or_default();
                    self.hand_commands(hand, line.as_bytes());
                }
            }
            Kind::RawResume => {
                if step.salt.is_multiple_of(3) {
                    self.ask_before_resuming(step);
                }
                self.resume_by_hand(step.argument, step.salt.is_multiple_of(4));
            }
            Kind::RawBytes => self.send_any_bytes(step),
            Kind::RawClose => {
                if step.salt.is_multiple_of(7) {
                    self.wait_in_the_lane(step);
                } else if let Some(hand) = self.hand_of(step.actor) {
                    self.close_hand(hand);
                }
            }
            Kind::Stranger => self.stranger_comes(step),
            Kind::MeetByHand => self.meet_by_hand(step),
            Kind::StreamEnd => self.ask_and_end(step),
            Kind::RawAsk => self.ask_by_hand(step),
            Kind::Held => self.hold_mail(step),
            Kind::Days => self.keep_for_days(step),
            Kind::Press => self.press(step),
            Kind::Door => self.at_the_door(step),
            Kind::Relay => self.relay(step),
            Kind::OddName => self.try_odd_name(step),
            Kind::Flood => self.flood(step),
            Kind::MadeUpNames => self.guess_made_up(step),
            Kind::Crowd => self.crowd(step),
            Kind::RawReuse => self.use_number_twice(step),
            _ => return false,
        }
        true
    }

    /// Two who were away want the same changed, without a number, and the store is slow; one of them goes.
    fn wait_in_the_lane(&mut self, step: Step) {
        let absent = self.away(step.argument);
        let [one, other, ..] = absent[..] else { return };
        let hands = [one, other].map(|user| self.come_in(user, Manner::Plain));
        self.pass_millis(100);
        self.weather.store_micros = 3_000_000;
        let line = self.command(Step { kind: Kind::CreateGroup, ..step }).unwrap_or_default() + "\n";
        for hand in hands.into_iter().flatten() {
            self.hand_writes(hand, line.as_bytes());
            self.pass_millis(10);
        }
        if let [_, Some(second)] = hands {
            self.close_hand(second);
        }
    }

    /// Somebody asks for a change and for more after it, and says no more: with a login before it, or on a
    /// raw connection that stands.
    fn ask_and_end(&mut self, step: Step) {
        let standing = self.hand_of(step.actor).filter(|_| !step.salt.is_multiple_of(3));
        let Some(hand) = standing.or_else(|| self.open_hand(step.actor, Manner::Plain)) else { return };
        if standing.is_none() {
            let user = self.user(step.argument / 16);
            let login = format!("login {user} {}\n", self.right_password(user));
            self.hand_writes(hand, login.as_bytes());
        }
        let changes = [Kind::Block, Kind::Unblock, Kind::CreateGroup, Kind::LeaveGroup];
        let change = changes[usize::try_from(step.salt / 3 % 4).unwrap_or(0)];
        for kind in [change, Kind::Ping, Kind::Message] {
            let line = self.command(Step { kind, ..step }).unwrap_or_default();
            self.hand_commands(hand, line.as_bytes());
        }
        self.end_hand(hand);
    }

    /// Any command, with a number or without; now and then with addresses of all kinds, or an acknowledgement of
    /// what was never sent.
    fn ask_by_hand(&mut self, step: Step) {
        let Some(hand) = self.hand_of(step.actor) else { return };
        if step.salt.is_multiple_of(23) {
            return self.acknowledge_anything(hand, step);
        }
        let kind = COMMANDS[usize::try_from(step.salt / 64).unwrap_or(0) % COMMANDS.len()];
        let mut line = self.command(Step { kind, ..step }).unwrap_or_default();
        if matches!(kind, Kind::StartPrivate | Kind::Accept) {
            let places = usize::try_from(step.salt % 64).unwrap_or(0) % (ENDPOINTS.len() + 1);
            if step.salt.is_multiple_of(7) {
                line += " ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
            }
            line.extend(ENDPOINTS[..places].iter().map(|endpoint| format!(" {endpoint}")));
        }
        if step.salt.is_multiple_of(5) {
            self.hand_writes(hand, (line + "\n").as_bytes());
        } else {
            self.hand_commands(hand, line.as_bytes());
        }
        if kind == Kind::StartPrivate && step.salt.is_multiple_of(3) {
            let line = self.command(Step { kind: Kind::Block, ..step }).unwrap_or_default();
            self.hand_commands(hand, line.as_bytes());
        }
    }

    /// An acknowledgement of what may never have been sent, often while a message is under way.
    fn acknowledge_anything(&mut self, hand: usize, step: Step) {
        let leaves = (step.salt / 1024).is_multiple_of(2);
        if let Some(link) = self.links.get_mut(&self.hands[hand].link).filter(|_| leaves) {
            link.ends[0].reading = false;
        }
        if let Some(user) = self.user_of_hand(hand) {
            let line = format!("message {user} {}", self.new_text());
            self.enter(usize::from(step.argument) % SEATS_USED, line.as_bytes());
            self.pass(Time(self.now.0 + 3_000), HAPPENINGS);
        }
        let boot = step.argument % 4;
        self.hand_writes(hand, format!("ack {boot}.{} -\n", step.salt / 23 % 40).as_bytes());
        if leaves {
            // What was under way has to come again.
            self.pass_millis(10);
            self.close_hand(hand);
        }
    }

    /// On the connection that is about to be left, something is asked without a number.
    fn ask_before_resuming(&mut self, step: Step) {
        let Some(hand) = self.hand_with_token(step.argument) else { return };
        for kind in [Kind::StartPrivate, Kind::CreateGroup] {
            let argument = step.argument / 16;
            let line = self.command(Step { kind, argument, ..step }).unwrap_or_default();
            self.hand_writes(hand, (line + "\n").as_bytes());
        }
        let micros = self.draw.below(2_000);
        self.pass(Time(self.now.0 + micros), HAPPENINGS);
    }

    /// A name that is none, or looks like one that exists.
    fn try_odd_name(&mut self, step: Step) {
        let hand = self.hand_of(step.actor).or_else(|| self.open_hand(step.actor, Manner::Plain));
        let Some(hand) = hand else { return };
        let name = ODD_NAMES[usize::from(step.argument) % ODD_NAMES.len()];
        let verb = if step.salt.is_multiple_of(2) { "login" } else { "register" };
        let line = format!("{verb} {name} {}\n", self.typed("a new password"));
        self.hand_writes(hand, line.as_bytes());
    }

    /// Somebody writes to a user who is away, and a third one does; the user blocks the first, goes, is written
    /// to again, and comes back.
    fn hold_mail(&mut self, step: Step) {
        let away = self.away(step.argument);
        let [to, first, second, ..] = *away.as_slice() else { return };
        let others = [first, second];
        if step.salt.is_multiple_of(3) {
            // What is held counts: with it the mailbox is full.
            self.host.settings.mailbox_messages = 3;
            self.reload_server();
        }
        let held = [HeldOnBlock::Hold, HeldOnBlock::Drop, HeldOnBlock::Deliver];
        if let Some(held) = held.get(usize::try_from(step.salt / 3 % 6).unwrap_or(0)) {
            self.host.settings.held_on_block = *held;
            self.reload_server();
        }
        for from in others {
            let texts: Vec<String> = (0..2).map(|_| format!("message {to} {}\n", self.new_text())).collect();
            self.visit(from, &texts.concat());
        }
        self.visit(to, &format!("block {}\n", others[0]));
        let more = format!("message {to} {}\n", self.new_text());
        self.visit(others[1], &more);
        self.visit(to, "ping yoda\n");
    }

    /// Somebody logs in by hand, says something and logs out.
    pub(super) fn visit(&mut self, user: &str, lines: &str) {
        let Some(hand) = self.open_hand(3, Manner::Plain) else { return };
        let all = format!("login {user} {}\n{lines}logout\n", self.right_password(user));
        self.hand_writes(hand, all.as_bytes());
        self.pass(Time(self.now.0 + 100_000), HAPPENINGS);
    }

    /// Somebody logs in by hand and says very much at once: beyond what may be under way, remembered or stored.
    fn flood(&mut self, step: Step) {
        let manner = [Manner::Plain, Manner::Acknowledging, Manner::Resuming];
        let manner = manner[usize::try_from(step.salt % 3).unwrap_or(0)];
        let Some(hand) = self.open_hand(step.actor, manner) else { return };
        let user = self.user(step.argument / 16);
        let login = format!("login {user} {}\n", self.right_password(user));
        self.hand_writes(hand, login.as_bytes());
        let count = [20, 60, 200, 600, 2_500][usize::try_from(step.salt / 3 % 5).unwrap_or(0)];
        if count >= 600 && step.salt.is_multiple_of(2) {
            // With prices the flood waits, and the bounds behind it are not reached.
            (self.host.settings.rate_burst, self.host.settings.unsettled_max) = (0, 0);
            self.reload_server();
        }
        let kind = if step.salt.is_multiple_of(7) { Kind::GroupMessage } else { Kind::Message };
        for _ in 0..count {
            let line = self.command(Step { kind, ..step }).unwrap_or_default();
            self.hand_commands(hand, line.as_bytes());
        }
    }

    /// A number for two commands, or for one that is said again.
    fn use_number_twice(&mut self, step: Step) {
        let talks = |hand: &Hand| hand.open && !hand.ended && hand.acknowledges;
        let recent = self.hands.len().saturating_sub(12);
        let open: Vec<usize> =
            (recent..self.hands.len()).filter(|index| talks(&self.hands[*index])).collect();
        if open.is_empty() {
            return;
        }
        let hand = open[usize::from(step.actor) % open.len()];
        let kinds = [Kind::Block, Kind::Message, Kind::Unblock, Kind::GroupMessage];
        let kind = |salt: u32| kinds[usize::try_from(salt % 4).unwrap_or(0)];
        let first = self.command(Step { kind: kind(step.salt), ..step }).unwrap_or_default();
        let other = Step { kind: kind(step.salt / 4), argument: step.argument / 16, ..step };
        let second = if step.salt.is_multiple_of(5) { None } else { self.command(other) };
        self.hand_reuses(hand, first.as_bytes(), second.as_ref().unwrap_or(&first).as_bytes());
    }

    fn login_line(&mut self, step: Step) -> String {
        let user = self.user(step.argument);
        if step.kind == Kind::RawRegister {
            return format!("register {user} {}\n", self.typed("a new password"));
        }
        match step.salt % 4 {
            0 => format!("login {user} {}\n", self.right_password(user)),
            1 => format!("login {user}\nlogin {user} {}\n", self.typed("wrong")),
            _ => format!("login {user} {}\n", self.typed("wrong")),
        }
    }

    /// Several connections at once, each with a few guesses; one of them may be right.
    fn guess(&mut self, step: Step) {
        let user = self.user(step.argument);
        self.guessed = user;
        for index in 0..self.draw.between(2, 8) {
            let Some(hand) = self.open_hand(7, Manner::Plain) else { return };
            let right = self.draw.chance(150);
            let guess = if right { self.right_password(user) } else { self.typed("guess") };
            let mut lines = format!("login {user} {guess}\n");
            if index == 0 && self.draw.chance(300) {
                lines.extend((0..5).map(|_| format!("login {user} {}\n", self.typed("guess"))));
            }
            self.hand_writes(hand, lines.as_bytes());
        }
        if self.draw.chance(60) {
            // The account goes while its passwords are compared.
            let micros = self.draw.below(1_000);
            self.pass(Time(self.now.0 + micros), HAPPENINGS);
            let place = USERS.iter().position(|known| *known == user).unwrap_or_default();
            let argument = u16::try_from(place * 4).unwrap_or_default();
            self.change_accounts(Step { argument, ..step });
        }
    }

    /// Many connections guess at names that nobody has, each at others: now and then more than are remembered,
    /// and then at the first ones again.
    fn guess_made_up(&mut self, step: Step) {
        let each = if step.salt % 128 == 7 { 32 } else { 2 };
        if each > 2 {
            self.host.settings.name_places = 200;
        }
        let settings = &mut self.host.settings;
        settings.unauthenticated_max = 128;
        settings.lock_attempts = settings.lock_attempts.max(2);
        settings.block_duration_secs = settings.block_duration_secs.max(5);
        self.reload_server();
        let hash_micros = core::mem::take(&mut self.weather.hash_micros);
        for link in 0..33 {
            let Some(hand) = self.open_hand(7, Manner::Plain) else { break };
            let names = (0..each).map(|name| format!("login nobody-{}-{name} guess\n", link % 32));
            let lines: String = names.collect();
            self.hand_writes(hand, lines.as_bytes());
            if link >= 31 {
                self.pass(Time(self.now.0 + 3_000_000), 20 * HAPPENINGS);
            }
        }
        self.weather.hash_micros = hash_micros;
    }

    /// Users with long names come and go, and somebody asks who was there.
    fn crowd(&mut self, step: Step) {
        let count = if step.salt % 12 == 7 { 130 } else { 2 };
        let names: Vec<String> = (0..count).map(|one| format!("{one:0>32}")).collect();
        for name in names.iter().filter_map(|name| Name::new(name).ok()) {
            if !self.host.accounts.iter().any(|(known, _)| *known == name) {
                let password = password_of(name.as_str(), 0);
                self.host.accounts.push((name, password));
            }
        }
        self.reload_server();
        // Each from their own address, so that their passwords do not wait for each other.
        for (address, name) in (0..).zip(&names) {
            if let Some(hand) = self.open_hand(address, Manner::Plain) {
                let lines = format!("login {name} {}\nlogout\n", self.right_password(name));
                self.hand_writes(hand, lines.as_bytes());
            }
            self.pass(Time(self.now.0 + 5_000), HAPPENINGS);
        }
        let user = self.user(step.argument);
        self.visit(user, "whoelsesince 99999\n");
        if count > 2 {
            // Somebody asks for that list faster than they read it.
            self.pass_millis(50);
            self.flood_with_lists(Step { argument: 1, ..step });
        }
    }

    fn send_any_bytes(&mut self, step: Step) {
        if step.argument / 4 % 4 == 3 {
            return self.flood_with_lists(step);
        }
        let Some(hand) = self.hand_of(step.actor) else { return };
        let length = self.draw.below([8, 80, 6_000, 80_000][usize::from(step.argument) % 4]);
        let bytes: Vec<u8> = match step.argument / 4 % 4 {
            0 => (0..length).map(|_| self.draw.number().to_le_bytes()[0]).collect(),
            1 => b"#1 message\xff "
                .iter()
                .copied()
                .cycle()
                .take(usize::try_from(length).unwrap_or(0))
                .collect(),
            _ => b"#x whoelse\n#2 \nhello 9\nack 1\nresume a b\nactive\n".to_vec(),
        };
        self.hand_writes(hand, &bytes);
    }

    /// Somebody who came in by hand asks for lists, far faster than they read them, and may want to go
    /// behind them. If nobody has come in, somebody does.
    fn flood_with_lists(&mut self, step: Step) {
        let is_in = |hand: &Hand| hand.open && !hand.ended && hand.welcomed;
        let is_in = |index: &usize| is_in(&self.hands[*index]);
        let Some(hand) = (0..self.hands.len()).rev().take(200).find(is_in) else {
            let user = self.user(step.argument / 16);
            let login = format!("login {user} {}\n", self.right_password(user));
            if let Some(hand) = self.open_hand(7, Manner::Plain) {
                self.hand_writes(hand, login.as_bytes());
            }
            return;
        };
        let list = ["whoelse\n", "whoelsesince 99999\n", "grouplist\n"][usize::from(step.argument) % 3];
        let mut lines = list.repeat(usize::try_from(self.draw.between(800, 1_200)).unwrap_or(0));
        if self.draw.chance(300) {
            lines.push_str("logout\n");
        }
        self.hand_writes(hand, lines.as_bytes());
        // Little by little, so that what may be under way is filled to about its end again and again.
        let window = usize::try_from(self.draw.between(40, 400)).unwrap_or(0);
        if let Some(link) = self.links.get_mut(&self.hands[hand].link) {
            (link.window, link.latency_micros) = (window, 0);
        }
    }
}
