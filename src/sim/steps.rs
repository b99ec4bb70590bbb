//! Taking steps: what each kind does to the world.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::cast::{GROUPS, USERS, password_of, text};
use super::client_host::SEATS_USED;
use super::draw::Draw;
use super::hand::Manner;
use super::scenario::{Kind, Step};
use super::server_host::{HASHED, password_in};
use super::world::World;
use crate::client::{AcceptPrivate, Log, Settings, Signal, Way};
use crate::server::Renewal;
use crate::time::Time;
use crate::words::{Credential, Name, Password};

/// Happenings a step may bring about before the next one is taken.
pub(super) const HAPPENINGS: u32 = 20_000;

impl World {
    /// Takes a step and lets a little time pass.
    pub(crate) fn step(&mut self, step: Step) {
        let kind = step.kind as u64;
        self.draw = Draw::new(u64::from(step.salt) << 8 | kind);
        let _ = self.draw.number();
        match step.kind {
            Kind::Setting | Kind::Limit => return self.choose_setting(step),
            Kind::Place => return self.move_seat(step),
            _ => {}
        }
        if self.trace.digest() == 0 {
            self.start_server();
        }
        let _ =
            self.take_input(step) || self.take_session(step) || self.take_hand(step) || self.take_fault(step);
        let micros = self.micros_of(step);
        let until = Time(self.now.0.saturating_add(micros));
        self.pass(until, HAPPENINGS);
        if step.kind == Kind::WaitDeadline && step.salt.is_multiple_of(3) {
            self.try_at_once(step);
        }
    }

    /// A password for the name guessed last, in the very instant.
    fn try_at_once(&mut self, step: Step) {
        let Some(hand) = self.open_hand(7, Manner::Plain) else { return };
        if let Some(link) = self.links.get_mut(&self.hands[hand].link) {
            link.latency_micros = 0;
        }
        let user = self.guessed;
        let right = step.salt.is_multiple_of(2);
        let guess = if right { self.right_password(user) } else { self.typed("late") };
        self.hand_writes(hand, format!("login {user} {guess}\n").as_bytes());
        self.pass(self.now, HAPPENINGS);
    }

    /// The time of a step that is not taken passes all the same, and its text is used up.
    pub(super) fn let_pass(&mut self, step: Step) {
        if self.trace.digest() == 0 {
            self.start_server();
        }
        self.last_text += u32::from(step.kind == Kind::Message);
    }

    /// How long a step takes.
    fn micros_of(&mut self, step: Step) -> u64 {
        let amount = u64::from(step.argument);
        match step.kind {
            _ if self.plan.calm => 0,
            Kind::WaitMillis => (amount % 1_000) * 1_000,
            Kind::WaitSeconds => (amount % 60) * 1_000_000,
            Kind::WaitMinutes => (amount % 60) * 60_000_000,
            Kind::WaitHours => (amount % 24) * 3_600_000_000,
            Kind::WaitDeadline => self.micros_to_deadline(amount),
            _ if self.draw.chance(700) => self.draw.below(2_000),
            _ => self.draw.below(60_000),
        }
    }

    /// To the next instant of interest, or a tick beside it.
    fn micros_to_deadline(&mut self, choice: u64) -> u64 {
        let now = self.now;
        self.instants.retain(|instant| *instant >= now);
        // The last of several failures at about the same time is the one that locks.
        let first = self.instants.iter().min().copied().unwrap_or(now);
        let near = |instant: &&Time| instant.since(first).as_secs() < 2;
        let lock = self.instants.iter().filter(near).max().copied();
        let goal =
            if choice.is_multiple_of(2) { lock.or(self.host.wakes_at) } else { self.host.wakes_at.or(lock) };
        let Some(goal) = goal.filter(|goal| goal.since(now).as_secs() < 7_200) else { return 0 };
        let micros = goal.0.saturating_sub(now.0);
        match choice / 2 % 4 {
            0 | 1 => micros,
            2 => micros.saturating_sub(1),
            _ => micros + 1,
        }
    }

    pub(super) fn user(&self, index: u16) -> &'static str {
        USERS[usize::from(index) % USERS.len()]
    }

    fn group(&self, index: u16) -> &'static str {
        GROUPS[usize::from(index) % GROUPS.len()]
    }

    /// A text that nobody has sent before.
    pub(super) fn new_text(&mut self) -> String {
        self.last_text += 1;
        let salt = self.draw.number();
        text(self.last_text, salt)
    }

    /// Steps that type a line at a client.
    fn take_input(&mut self, step: Step) -> bool {
        let seat = usize::from(step.actor) % SEATS_USED;
        if step.kind == Kind::Nonsense {
            let line = self.nonsense(step.argument);
            self.enter(seat, &line);
            return true;
        }
        if step.kind == Kind::Away && step.salt.is_multiple_of(8) && !self.plan.calm {
            self.leave_keyboard(step);
            return true;
        }
        let unnamed = self.host.settings.operators.is_empty() || step.salt % 16 == 15;
        if step.kind == Kind::Order && unnamed {
            self.name_operators(step);
        }
        if step.kind == Kind::StartPrivate && step.salt.is_multiple_of(3) {
            self.arm(seat, step.salt / 3);
        }
        let times = if step.kind == Kind::Burst { self.draw.between(3, 40) } else { 1 };
        for _ in 0..times {
            let Some(line) = self.command(step) else { return false };
            self.enter(seat, line.as_bytes());
        }
        true
    }

    /// Types a line at a client, or lets its stand-in send it.
    pub(super) fn enter(&mut self, seat: usize, line: &[u8]) {
        if !self.plan.server_only {
            self.type_line(seat, line);
        } else if let Some(hand) = self.seats[seat].hand {
            self.hand_commands(hand, line);
        }
    }

    /// The command a step types, if it types one.
    pub(super) fn command(&mut self, step: Step) -> Option<String> {
        let user = self.user(step.argument);
        let group = self.group(step.argument);
        let member = USERS[usize::try_from(step.salt % 10).unwrap_or(0)];
        let line = match step.kind {
            Kind::Message | Kind::Burst => format!("message {user} {}", self.new_text()),
            Kind::Broadcast => format!("broadcast {}", self.new_text()),
            Kind::GroupMessage => format!("message group {group} {}", self.new_text()),
            Kind::Private => format!("private {user} {}", self.new_text()),
            Kind::Whoelse => String::from("whoelse"),
            Kind::Since => self.since(step.argument),
            Kind::Block => format!("block {user}"),
            Kind::Unblock => format!("unblock {user}"),
            Kind::Offline => String::from("offline"),
            Kind::Ping => format!("ping {user}"),
            Kind::Seen => format!("seen {user}"),
            Kind::Away => away(step.salt),
            Kind::Back => String::from("back"),
            Kind::CreateGroup => {
                let others: Vec<&str> =
                    (0..6).filter(|bit| step.salt >> bit & 1 == 1).map(|bit| USERS[bit]).collect();
                format!("create group {group} {}", others.join(" "))
            }
            Kind::GroupList => String::from("grouplist"),
            Kind::AddToGroup => format!("add group {group} {member}"),
            Kind::RemoveFromGroup => format!("remove group {group} {member}"),
            Kind::LeaveGroup => format!("leave group {group}"),
            Kind::DeleteGroup => format!("delete group {group}"),
            Kind::StartPrivate if step.salt % 8 == 5 => format!("trust {user}"),
            Kind::StartPrivate => format!("startprivate {user}"),
            Kind::Accept => format!("accept {user}"),
            Kind::Decline => format!("decline {user}"),
            Kind::StopPrivate if step.salt % 4 == 1 => format!("trust {user}"),
            Kind::StopPrivate if step.salt % 4 == 2 => format!("verify {user} yes"),
            Kind::StopPrivate if step.salt % 8 == 3 => {
                let way = ["", " direct", " auto", " relay", " auto"];
                format!("path {user}{}", way[usize::try_from(step.salt / 8 % 5).unwrap_or(0)])
            }
            Kind::StopPrivate => format!("stopprivate {user}"),
            Kind::Help => {
                let lines = ["help", "help message", "help", "help block"];
                String::from(lines[usize::try_from(step.salt / 8 % 4).unwrap_or(0)])
            }
            Kind::Logout => String::from("logout"),
            Kind::Order => self.order(step),
            _ => return None,
        };
        Some(line)
    }

    fn since(&mut self, choice: u16) -> String {
        match choice % 6 {
            0 => String::from("wholasthr"),
            1 => String::from("whoelsesince 0"),
            2 => String::from("whoelsesince 99999999999999999999999999"),
            3 => String::from("whoelsesince -1"),
            _ => format!("whoelsesince {}", self.draw.below(200)),
        }
    }

    fn nonsense(&mut self, choice: u16) -> Vec<u8> {
        match choice % 12 {
            0 => Vec::new(),
            1 => b"   ".to_vec(),
            2 => b"message yoda \xff\xfe".to_vec(),
            3 => [b"message yoda ".as_slice(), &b"x".repeat(4_200)].concat(),
            4 => [b"message yoda ".as_slice(), &b"y".repeat(5_000)].concat(),
            5 => b"message yoda".to_vec(),
            6 => b"Message yoda hi".to_vec(),
            7 => b"block".to_vec(),
            8 => b"  whoelse".to_vec(),
            9 => b"logout now".to_vec(),
            10 => b"create group".to_vec(),
            _ => format!("nonsense{} \u{1b}[31m", self.draw.below(9)).into_bytes(),
        }
    }

    /// Steps about a client program.
    fn take_session(&mut self, step: Step) -> bool {
        let seat = usize::from(step.actor) % SEATS_USED;
        match step.kind {
            Kind::Start => self.start_at(seat, step),
            Kind::Answer => self.answer(seat, step),
            Kind::EndInput => self.end_input(seat),
            Kind::Interrupt => self.interrupt(seat, step),
            Kind::Introduce => self.introduce(step),
            Kind::LookUp => self.look_up_at(step),
            Kind::Operator => self.operate(step),
            Kind::Invite => self.invite(step),
            Kind::Kill if step.argument.is_multiple_of(3) => {
                if let Some(process) = &mut self.seats[seat].process {
                    process.doomed = true;
                }
            }
            Kind::Kill => self.kill_client(seat, step.argument.is_multiple_of(2)),
            Kind::Freeze => {
                self.freeze(seat, true);
                let micros = self.draw.below(40_000_000);
                self.after(micros, super::world::Happening::Thaw { seat });
            }
            Kind::Thaw => self.freeze(seat, false),
            Kind::CloseOutput => self.close_output(seat),
            Kind::SlowDisplay => {
                let micros = [0, 50_000, 1_000_000, 4_000_000][usize::from(step.argument) % 4];
                if let Some(process) = &mut self.seats[seat].process {
                    process.display_micros = micros;
                }
            }
            _ => return false,
        }
        true
    }

    pub(super) fn interrupt(&mut self, seat: usize, step: Step) {
        let all = [Signal::Interrupt, Signal::Terminate, Signal::HangUp];
        let signal = all[usize::from(step.argument) % all.len()];
        if let Some(process) = &self.seats[seat].process {
            let id = process.id;
            self.disturb(id);
        }
        self.tell_at(seat, crate::client::Event::Interrupted(signal));
    }

    fn tell_at(&mut self, seat: usize, event: crate::client::Event<'_>) {
        if let Some(process) = self.seats[seat].process.as_ref().filter(|process| !process.frozen) {
            let id = process.id;
            self.tell_client(id, event);
        }
    }

    pub(super) fn start_at(&mut self, seat: usize, step: Step) {
        let own = u16::try_from(seat % super::cast::ACCOUNTS).unwrap_or(0);
        let user = self.user(if step.salt.is_multiple_of(5) { step.argument } else { own });
        let password = self.right_password(user);
        if self.plan.server_only {
            return self.start_stand_in(seat, user, &password);
        }
        if self.seats[seat].process.is_some() {
            return;
        }
        let wrong = self.draw.chance(60);
        let asked = self.draw.chance(120);
        let typed = if wrong { self.typed("wrong") } else { password };
        let accepts = [AcceptPrivate::Ask, AcceptPrivate::Auto, AcceptPrivate::Auto, AcceptPrivate::Never];
        let settings = Settings {
            user: (!asked).then(|| String::from(user)),
            password: (!asked).then(|| Password::new(&typed)),
            accept_private: accepts[usize::try_from(step.salt / 5 % 4).unwrap_or(0)],
            reconnect_secs: [None, None, None, Some(5), Some(0)]
                [usize::try_from(step.salt / 20 % 5).unwrap_or(0)],
            retry_login: self.draw.chance(150),
            terminal: self.draw.chance(300),
            strict: (step.salt / 100).is_multiple_of(3),
            path: [Way::Auto, Way::Auto, Way::Auto, Way::Auto, Way::Relay, Way::Direct]
                [usize::try_from(step.salt / 300 % 6).unwrap_or(0)],
            log: if step.salt % 7 < 4 { Log::All } else { Log::Off },
            ..Settings::default()
        };
        self.start_client(seat, settings);
        if asked {
            self.type_line(seat, user.as_bytes());
            self.type_line(seat, typed.as_bytes());
        }
    }

    fn start_stand_in(&mut self, seat: usize, user: &str, password: &str) {
        let alive = self.seats[seat].hand.is_some_and(|hand| self.hands[hand].open);
        if alive {
            return;
        }
        let hand = self.open_hand(3, Manner::Resuming);
        self.seats[seat].hand = hand;
        if let Some(hand) = hand {
            self.hand_writes(hand, format!("login {user} {password}\n").as_bytes());
        }
    }

    /// The password that the credentials file has for a user, or what a made-up one would use.
    pub(super) fn right_password(&mut self, user: &str) -> String {
        let known = self.host.accounts.iter().find(|(name, _)| name.as_str() == user);
        let secret = known.map_or_else(|| password_of(user, 0), |(_, secret)| secret.clone());
        self.typed(password_in(&secret))
    }

    fn answer(&mut self, seat: usize, step: Step) {
        let user = self.user(step.argument / 8);
        let line = match step.argument % 8 {
            0 | 1 => String::from(user),
            2 | 3 => self.right_password(user),
            4 => self.typed("wrong again"),
            5 => String::new(),
            6 => String::from("#bad name"),
            _ => self.typed("a new password"),
        };
        // A text that became a password is not said again as a text.
        let is_command = line.split(' ').any(|word| super::check::number_of(word).is_some());
        if !self.plan.server_only && !is_command {
            self.type_line(seat, line.as_bytes());
        }
    }

    /// Reads files again, with accounts added, removed or given another password.
    pub(super) fn change_accounts(&mut self, step: Step) {
        let user = self.user(step.argument / 4);
        let Ok(name) = Name::new(user) else { return };
        let known = self.host.accounts.iter().position(|(known, _)| *known == name);
        match (step.argument % 4, known) {
            (0, Some(index)) if self.host.accounts.len() > 2 => {
                self.host.accounts.remove(index);
            }
            (1, Some(index)) => {
                self.last_text += 1;
                let version = u16::try_from(self.last_text % 60_000).unwrap_or(0);
                self.host.accounts[index].1 = password_of(user, version);
            }
            (_, None) => self.host.accounts.push((name, password_of(user, 0))),
            (_, Some(index)) => return self.hash_anew(index, step),
        }
        self.reload_server();
    }

    /// The line of an account gets a hash, or one that renews it: the operator reads the files again, or it was the
    /// server that did it.
    fn hash_anew(&mut self, index: usize, step: Step) {
        let Some((name, secret)) = self.host.accounts.get(index).cloned() else { return };
        let before = Credential::new(&secret);
        let password = password_in(&secret);
        let hash = match before.key_id() {
            None => format!("{HASHED}{password}"),
            Some(id) => format!("$argon2id$m={},keyid={id}${password}", step.salt % 1_000),
        };
        let after = Credential::new(&hash);
        let renews = before.is_hash() && (step.salt / 1_000).is_multiple_of(2);
        self.host.accounts[index].1 = hash;
        if renews {
            if let Some(hand) = self.open_anywhere(Manner::Keeping) {
                // Somebody logs in meanwhile.
                let line = format!("login {name} {}\n", self.typed(password));
                self.hand_writes(hand, line.as_bytes());
                let micros = self.draw.below(1_000);
                self.pass(Time(self.now.0 + micros), HAPPENINGS);
            }
            self.renew_hash(Renewal { name, before, after });
        } else {
            self.reload_server();
        }
    }
}

/// What somebody is away for: a few words, or as many bytes as may be, and now and then one more.
fn away(salt: u32) -> String {
    match salt % 16 {
        0 => format!("away {}", "x".repeat(256)),
        1 => format!("away {}", "x".repeat(257)),
        2 => String::from("away"),
        choice => format!("away  at lunch {choice}"),
    }
}
