//! Runs in the world of an evil server: it is played, judged after every step, becomes honest, and then any two get a link.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::{BuildHasher as _, Hash as _, Hasher as _};

use foldhash::fast::{FixedState, FoldHasher};

use super::check::Check;
use super::story::tell;
use super::trace::Seen;
use super::watch::Watcher;
use super::world::{USERS, World};
use crate::client::{AcceptPrivate, Settings};
use crate::sim::check::Violation;
use crate::sim::coverage::{Coverage, Rare};
use crate::sim::link::Chunking;
use crate::sim::run::{Report, Tally};
use crate::sim::scenario::Step;
use crate::time::Time;

/// What was under way is over by then.
const REST_MICROS: u64 = 70_000_000;
/// A login is done, and a question was asked.
const SOON_MICROS: u64 = 1_000_000;
/// Two who agreed have a link, or know that they have none.
const MEETING_MICROS: u64 = 16_000_000;
/// Two may have to accept each other's keys first.
const ATTEMPTS: u32 = 4;
const AGAIN: &str = "two clients of an honest server get a link";

struct Run<'a> {
    world: World,
    check: Check,
    watcher: Watcher,
    digest: u64,
    story: Option<&'a mut Vec<String>>,
}

/// Plays a scenario to its end, or to the first broken rule.
pub(in crate::sim) fn play(steps: &[Step], story: Option<&mut Vec<String>>) -> Report {
    let (check, watcher) = (Check::default(), Watcher::default());
    let mut run = Run { world: World::new(), check, watcher, digest: 0, story };
    let mut broken = None;
    for (index, step) in steps.iter().enumerate() {
        if let Some(story) = &mut run.story {
            story.push(format!("--- {} ---", crate::sim::reading::reading(*step)));
        }
        run.world.step(*step);
        if let Err(violation) = run.look() {
            broken = Some((index, violation));
            break;
        }
    }
    if broken.is_none() && !steps.is_empty() {
        broken = run.end().err().map(|violation| (steps.len(), violation));
    }
    let coverage: Coverage = run.watcher.coverage;
    Report { events: run.world.events, digest: run.digest, coverage, tally: Tally::default(), broken }
}

impl Run<'_> {
    /// Judges what was seen since the last look.
    fn look(&mut self) -> Result<(), Violation> {
        let seen = core::mem::take(&mut self.world.seen);
        if let Some(story) = &mut self.story {
            story.extend(seen.iter().filter_map(|(at, seen)| {
                let seconds = at.0 as f64 / 1e6 - 1_717_200_000.0;
                Some(format!("{seconds:12.6} {}", tell(seen)?))
            }));
        }
        let hashing = FixedState::with_seed(0);
        let mut hasher: FoldHasher<'_> = hashing.build_hasher();
        hasher.write_u64(self.digest);
        for (at, seen) in &seen {
            (at.0, core::mem::discriminant(seen)).hash(&mut hasher);
            if let Seen::Wrote { bytes, .. } | Seen::Read { bytes, .. } = seen {
                hasher.write(bytes);
            }
        }
        self.digest = hasher.finish();
        self.watcher.watch(&seen);
        self.check.read(&seen)
    }

    fn pass(&mut self, micros: u64) -> Result<(), Violation> {
        let until = Time(self.world.now.0 + micros);
        while !self.world.pass(until, 2_000) {
            self.look()?;
        }
        self.look()
    }

    /// The server is honest from now on, and nothing else goes wrong.
    fn end(&mut self) -> Result<(), Violation> {
        self.world.end_faults();
        self.pass(REST_MICROS)?;
        for [one, other] in [[0, 1], [1, 2], [2, 0]] {
            self.meet(one, other)?;
        }
        Ok(())
    }

    /// Two get a link and talk.
    fn meet(&mut self, one: usize, other: usize) -> Result<(), Violation> {
        for attempt in 0..ATTEMPTS {
            self.world.come_back(one);
            self.world.come_back(other);
            self.pass(SOON_MICROS)?;
            for (seat, user) in [(one, USERS[other]), (other, USERS[one])] {
                for line in ["path USER auto", "stopprivate USER", "trust USER", "decline USER"] {
                    self.world.enter(seat, &line.replace("USER", user));
                }
                self.pass(SOON_MICROS)?;
            }
            let (asks, accepts) = if attempt % 2 == 0 { (one, other) } else { (other, one) };
            self.world.enter(asks, &format!("startprivate {}", USERS[accepts]));
            self.pass(SOON_MICROS)?;
            self.world.enter(accepts, &format!("accept {}", USERS[asks]));
            self.pass(MEETING_MICROS)?;
            if self.world.talk(one, other) && self.world.talk(other, one) {
                return self.talk_honestly(one, other);
            }
        }
        let detail = format!("{} and {}", USERS[one], USERS[other]);
        Err(Violation { rule: AGAIN, at: self.world.now, detail })
    }

    fn talk_honestly(&mut self, one: usize, other: usize) -> Result<(), Violation> {
        let before = self.check.texts_shown();
        self.world.say_private(one, USERS[other]);
        self.world.say_private(other, USERS[one]);
        self.pass(SOON_MICROS)?;
        let shown = self.check.texts_shown() - before;
        if shown == 2 {
            self.world.did(Rare::LinkAgain);
            return self.look();
        }
        let detail = format!("{} and {}: {shown} texts", USERS[one], USERS[other]);
        Err(Violation { rule: AGAIN, at: self.world.now, detail })
    }
}

impl World {
    fn end_faults(&mut self) {
        self.see(Seen::Healed);
        self.repent();
        self.latency_micros = 200;
        self.lose_dials_until = Time::ZERO;
        self.chunking = Chunking::Whole;
        let links: Vec<_> = self.links.keys().copied().collect();
        links.into_iter().for_each(|link| self.heal(link));
        for seat in 0..USERS.len() {
            self.freeze(seat, false);
            self.seats[seat].closed = false;
        }
        // An honest one takes the place of an evil one.
        self.crash(true);
    }

    /// Whoever is not there, or lets nobody ask, starts again.
    fn come_back(&mut self, seat: usize) {
        let stays = |process: &super::processes::Process| {
            process.is_in && process.can_be_asked && process.link.is_some()
        };
        if !self.seats[seat].process.as_ref().is_some_and(stays) {
            self.kill(seat, true);
            let accept_private = AcceptPrivate::Ask;
            self.start(seat, Settings { accept_private, ..Settings::default() });
        }
    }

    fn talk(&self, seat: usize, with: usize) -> bool {
        let process = self.seats[seat].process.as_ref();
        process.is_some_and(|process| process.talks_with.iter().any(|user| user == USERS[with]))
    }
}
