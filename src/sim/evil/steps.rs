//! What a step does in the world of an evil server, and which scenario a seed has.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::server::Session;
use super::world::{USERS, World};
use crate::client::{AcceptPrivate, Settings, Way};
use crate::sim::draw::Draw;
use crate::sim::scenario::{Kind, Step, drawn, fill};
use crate::time::Time;
use crate::words::LinkId;

/// Happenings between two looks at most.
const HAPPENINGS: u32 = 20_000;

/// Every private text has it, and nothing else.
pub(super) const SECRET: &str = "between us two";

/// How often each kind is drawn, and whether a server that relays falsely, and is honest otherwise, takes it.
const WEIGHTS: &[(Kind, u64, bool)] = &[
    (Kind::Start, 30, true),
    (Kind::Introduce, 60, true),
    (Kind::StartPrivate, 30, true),
    (Kind::Accept, 30, true),
    (Kind::Decline, 4, true),
    (Kind::Private, 90, true),
    (Kind::StopPrivate, 24, true),
    (Kind::Logout, 4, true),
    (Kind::Kill, 6, true),
    (Kind::Freeze, 6, true),
    (Kind::Thaw, 8, true),
    (Kind::Cut, 14, true),
    (Kind::Silence, 6, true),
    (Kind::Heal, 6, true),
    (Kind::Latency, 8, true),
    (Kind::RefuseDials, 8, true),
    (Kind::Crash, 4, true),
    (Kind::WaitMillis, 60, true),
    (Kind::WaitSeconds, 40, true),
    (Kind::WaitMinutes, 5, true),
    (Kind::Tamper, 50, true),
    (Kind::Scheme, 40, false),
    (Kind::Relaying, 12, false),
    (Kind::Lie, 24, false),
    (Kind::Unasked, 24, false),
    (Kind::Impostor, 30, false),
    (Kind::Replay, 20, false),
    (Kind::Strip, 16, false),
    (Kind::Manner, 12, false),
    (Kind::Repent, 12, true),
];

/// The scenario of a seed. In most of them some pairs know each other's keys before anything evil is done.
pub(in crate::sim) fn from_seed(seed: u64, length: usize) -> Vec<Step> {
    let mut draw = Draw::new(seed ^ 0x0e71_15ed);
    let mut steps = Vec::with_capacity(length);
    let only_relays = draw.chance(250);
    if draw.chance(600) {
        for seat in 0..3 {
            steps.push(Step { actor: seat, argument: 1, ..drawn(Kind::Introduce, &mut draw) });
        }
    }
    let missing = draw.between(0, 500);
    let mut bounds = Vec::with_capacity(WEIGHTS.len());
    let mut total = 0;
    for &(kind, weight, of_relay) in WEIGHTS {
        let factor = [1, 1, 2, 5][usize::try_from(draw.below(4)).unwrap_or(0)];
        let spared = matches!(kind, Kind::Introduce | Kind::Private | Kind::WaitMillis);
        if (of_relay || !only_relays) && (spared || !draw.chance(missing)) {
            total += weight * factor;
            bounds.push((total, kind));
        }
    }
    fill(&mut steps, length, &bounds, Kind::Private, &mut draw);
    steps
}

impl World {
    /// Takes a step; one that has no meaning here lets time pass.
    pub(super) fn step(&mut self, step: Step) {
        self.draw = Draw::new(u64::from(step.salt) << 8 | step.kind as u64);
        let _ = self.draw.number();
        let _ = self.take_evil(step) || self.take_client(step) || self.take_fault(step);
        let micros = match step.kind {
            Kind::WaitMillis => u64::from(step.argument % 1_000) * 1_000,
            Kind::WaitSeconds => u64::from(step.argument % 20) * 1_000_000,
            Kind::WaitMinutes => u64::from(step.argument % 3 + 1) * 60_000_000,
            _ if self.draw.chance(700) => self.draw.below(2_000),
            _ => self.draw.below(60_000),
        };
        self.pass_micros(micros);
    }

    pub(super) fn pass_micros(&mut self, micros: u64) {
        let until = Time(self.now.0 + micros);
        self.pass(until, HAPPENINGS);
    }

    fn take_evil(&mut self, step: Step) -> bool {
        match step.kind {
            Kind::Tamper => self.server.evil.tampers(step),
            Kind::Scheme => self.server.evil.schemes(step),
            Kind::Relaying => self.server.evil.relays_otherwise(step),
            Kind::Strip => self.server.evil.strips(step),
            Kind::Manner => self.server.evil.manner = step.salt,
            Kind::Lie => self.lies(step),
            Kind::Unasked => self.says_unasked(step),
            Kind::Impostor => self.impostor_comes(step),
            Kind::Replay => self.replay(step),
            Kind::Repent => self.repent(),
            _ => return false,
        }
        true
    }

    fn take_client(&mut self, step: Step) -> bool {
        let seat = usize::from(step.actor) % USERS.len();
        let other = other_of(seat, step.argument);
        let name = if step.argument % 32 == 31 { super::lies::NOBODY } else { USERS[other] };
        let line = match step.kind {
            Kind::Start => {
                self.start_at(seat, step);
                return true;
            }
            Kind::Introduce => {
                self.agree(seat, other, step);
                return true;
            }
            Kind::StartPrivate if step.salt % 16 == 3 => {
                for count in 0..6 {
                    self.enter(seat, &format!("startprivate {}{count}", super::lies::NOBODY));
                }
                return true;
            }
            Kind::StartPrivate => format!("startprivate {name}"),
            Kind::Accept => {
                let asked_by = self.seats[seat].process.as_ref().and_then(|process| process.asked_by.last());
                format!("accept {}", asked_by.cloned().unwrap_or_else(|| name.to_string()))
            }
            Kind::Decline => format!("decline {name}"),
            Kind::Private => {
                for _ in 0..=step.salt % 3 {
                    self.say_private(seat, name);
                }
                return true;
            }
            Kind::StopPrivate => match step.salt % 8 {
                0 | 1 => format!("stopprivate {name}"),
                2 => format!("trust {name}"),
                3..=5 => format!("verify {name}"),
                _ => {
                    let way =
                        ["", " direct", " auto", " relay"][usize::try_from(step.salt / 8 % 4).unwrap_or(0)];
                    format!("path {name}{way}")
                }
            },
            Kind::Logout => String::from("logout"),
            _ => return false,
        };
        self.enter(seat, &line);
        true
    }

    /// A text that nobody has typed before.
    pub(super) fn say_private(&mut self, seat: usize, name: &str) {
        self.last_text += 1;
        let line = format!("private {name} t{} {SECRET}", self.last_text);
        self.enter(seat, &line);
    }

    fn start_at(&mut self, seat: usize, step: Step) {
        if self.seats[seat].process.is_some() {
            return;
        }
        if step.salt.is_multiple_of(16) {
            self.seats[seat].keys.clear();
            self.see(super::trace::Seen::Forgot { user: self.seats[seat].user });
        }
        self.seats[seat].closed = (step.salt / 16).is_multiple_of(3);
        let accepts = [AcceptPrivate::Auto, AcceptPrivate::Ask, AcceptPrivate::Ask, AcceptPrivate::Never];
        let ways = [Way::Auto, Way::Auto, Way::Auto, Way::Auto, Way::Relay, Way::Direct];
        let settings = Settings {
            accept_private: accepts[usize::try_from(step.salt / 64 % 4).unwrap_or(0)],
            path: ways[usize::try_from(step.salt / 256 % 6).unwrap_or(0)],
            reconnect_secs: [None, None, Some(5)][usize::try_from(step.salt / 2_048 % 3).unwrap_or(0)],
            ..Settings::default()
        };
        self.start(seat, settings);
    }

    /// Two are there, agree on a link, perhaps while their first dials are lost, and talk.
    pub(super) fn agree(&mut self, seat: usize, other: usize, step: Step) {
        for (seat, salt) in [(seat, step.salt), (other, step.salt / 7)] {
            // Most take whatever way works.
            let salt = if step.salt.is_multiple_of(5) {
                salt
            } else {
                salt / 2_048 * 2_048 + 64 + 16 * (salt % 3) + 1
            };
            self.start_at(seat, Step { salt, ..step });
        }
        self.pass_micros(20_000);
        let [one, two] = [USERS[seat], USERS[other]];
        if step.salt % 4 > 1 {
            let micros = 250_000 + u64::from(step.salt / 4 % 4) * 350_000;
            self.lose_dials_until = self.lose_dials_until.max(Time(self.now.0 + micros));
        }
        self.enter(seat, &format!("startprivate {two}"));
        self.pass_micros(20_000);
        self.enter(other, &format!("accept {one}"));
        let micros = [5_000, 40_000, 400_000, 700_000][usize::try_from(step.salt / 16 % 4).unwrap_or(0)];
        self.pass_micros(micros);
        for (from, to) in [(seat, two), (other, one), (seat, two)] {
            self.say_private(from, to);
            let micros = self.draw.below(1_000);
            self.pass_micros(micros);
        }
    }

    fn take_fault(&mut self, step: Step) -> bool {
        let seat = usize::from(step.actor) % USERS.len();
        match step.kind {
            Kind::Kill => self.kill(seat, step.salt.is_multiple_of(2)),
            Kind::Freeze => {
                self.freeze(seat, true);
                let micros = self.draw.below(20_000_000);
                self.after(micros, super::world::Happening::Thaw { seat });
            }
            Kind::Thaw => self.freeze(seat, false),
            Kind::Cut | Kind::Silence | Kind::Heal => {
                let Some(link) = self.a_link(step) else { return true };
                match step.kind {
                    Kind::Cut => self.cut(link, step.argument.is_multiple_of(2)),
                    Kind::Heal => self.heal(link),
                    _ => self.silence(link, [step.argument % 3 != 1, !step.argument.is_multiple_of(3)]),
                }
            }
            Kind::Latency => {
                self.latency_micros = [200, 0, 5_000, 60_000][usize::from(step.argument) % 4];
            }
            Kind::RefuseDials => {
                let micros = u64::from(step.argument % 6_000) * 1_000;
                self.lose_dials_until = Time(self.now.0 + micros);
            }
            Kind::Crash => self.crash(step.salt.is_multiple_of(2)),
            _ => return false,
        }
        true
    }

    /// A link of a client: to the server, or to others.
    fn a_link(&self, step: Step) -> Option<LinkId> {
        let process = self.seats[usize::from(step.actor) % USERS.len()].process.as_ref()?;
        let ends = process.ends();
        let place = usize::try_from(step.salt / 8).unwrap_or(0) % ends.len().max(1);
        ends.get(place).map(|(link, _)| *link)
    }

    /// The server loses all connections, and perhaps all that it knew.
    pub(super) fn crash(&mut self, forgets: bool) {
        let links: Vec<LinkId> = self.server.callers.keys().copied().collect();
        for link in links {
            self.server_loses(link);
            self.cut(link, false);
        }
        if forgets {
            self.server.sessions.values_mut().for_each(|session| *session = Session::default());
            self.server.introduced.clear();
        }
    }
}

/// One of the others.
fn other_of(seat: usize, choice: u16) -> usize {
    (seat + 1 + usize::from(choice) % (USERS.len() - 1)) % USERS.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_this_world_can_be_drawn() {
        for kind in Kind::ALL.iter().filter(|kind| kind.is_evil()) {
            assert!(WEIGHTS.iter().any(|(drawn, ..)| drawn == kind), "{kind}");
        }
        assert_eq!(from_seed(3, 100).len(), 100);
        assert_ne!(from_seed(3, 100), from_seed(4, 100));
    }
}
