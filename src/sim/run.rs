//! Runs: a scenario is played, checked after every step, healed, and must come to rest.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::cast::USERS;
use super::check::Check;
pub use super::check::Violation;
use super::client_host::{Process, SEATS};
use super::coverage::{Coverage, Watcher};
use super::disk::{Disk, Notes};
use super::evil;
pub use super::reference::tally::Tally;
use super::scenario::Step;
use super::tape::Tape;
pub use super::tape::Viewer;
pub use super::world::Plan;
use super::world::World;
use crate::client::Settings;
use crate::time::Time;
use crate::words::Password;

/// How long the healed world has between two looks at who is missing: longer than a lock that a password tried
/// too early extends.
const ROUND_MICROS: u64 = 70_000_000;
/// A login, or the lifting of a block, is done within this.
const LOGIN_MICROS: u64 = 1_000_000;
/// Looks at who is missing: at least, and at most, for what waits for its price.
const LEAST_ROUNDS: usize = 4;
const ROUNDS: usize = 40;
/// Happenings between two checks while nothing is typed.
const HAPPENINGS: u32 = 5_000;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Events that changed something or had an effect.
    pub events: u64,
    /// Differs when two runs do.
    pub digest: u64,
    /// Rare states it came to.
    pub coverage: Coverage,
    /// What was judged.
    pub tally: Tally,
    /// The rule that broke, and at which step (the number of steps: while healing).
    pub broken: Option<(usize, Violation)>,
}

/// Plays a scenario to its end, or to the first broken rule.
#[must_use]
pub fn play(steps: &[Step], plan: Plan) -> Report {
    play_and(steps, plan, None)
}

/// Plays a scenario and tells what is seen, line by line.
#[must_use]
pub fn narrate(steps: &[Step], plan: Plan) -> (Report, Vec<String>) {
    let mut story = Vec::new();
    let report = play_and(steps, plan, Some(&mut story));
    (report, story)
}

/// Plays a scenario with a real store, and real journals of the clients.
#[must_use]
pub fn play_on(disk: Box<dyn Disk>, notes: Box<dyn Notes>, steps: &[Step], plan: Plan) -> Report {
    let mut world = World::new(plan);
    world.host.store.take_along(disk);
    world.folders.take_along(notes);
    play_in(world, steps, None)
}

/// Plays a scenario, and then shows what each of its servers was told and wanted.
pub fn show(steps: &[Step], plan: Plan, viewer: &mut dyn Viewer) {
    let mut world = World::new(plan);
    world.host.tape = Some(Tape::of_all_lives());
    steps.iter().for_each(|step| world.step(*step));
    if let Some(tape) = &world.host.tape {
        tape.show(viewer);
    }
}

fn play_and(steps: &[Step], plan: Plan, story: Option<&mut Vec<String>>) -> Report {
    if plan.evil {
        return evil::run::play(steps, story);
    }
    play_in(World::new(plan), steps, story)
}

fn play_in(world: World, steps: &[Step], story: Option<&mut Vec<String>>) -> Report {
    let mut run = Run { world, check: Check::default(), watcher: Watcher::default(), story };
    let mut broken = None;
    for (index, step) in steps.iter().enumerate() {
        run.title(*step);
        run.world.step(*step);
        if let Err(violation) = run.look() {
            broken = Some((index, violation));
            break;
        }
    }
    if broken.is_none() && !steps.is_empty() {
        let end = run.heal().and_then(|()| run.start_store_again());
        broken = end.err().map(|violation| (steps.len(), violation));
    }
    if let (None, Some(tape)) = (&broken, &run.world.host.tape)
        && let Some(difference) = tape.differs_in_crumbs(run.world.trace().digest())
    {
        broken = Some((steps.len(), run.violation("same bytes in other chunks, same effects", difference)));
    }
    let tally = run.check.tally();
    let Run { world, watcher, .. } = run;
    Report {
        events: world.events(),
        digest: world.trace().digest(),
        coverage: watcher.coverage,
        tally,
        broken,
    }
}

/// Plays a scenario; if `twice`, then again with other keys for the hash maps, which must not show.
#[must_use]
pub fn examine(steps: &[Step], plan: Plan, twice: bool) -> Report {
    let mut report = play(steps, plan);
    if twice && report.broken.is_none() {
        let other = play(steps, Plan { hash_seed: !plan.hash_seed, taped: false, ..plan });
        report.events += other.events;
        report.tally.add(&other.tally);
        if other.digest != report.digest {
            let detail = String::from("with other keys for the hash maps");
            let violation = Violation { rule: "equal runs have equal traces", at: Time::ZERO, detail };
            report.broken = Some((steps.len(), violation));
        }
    }
    report
}

struct Run<'a> {
    world: World,
    check: Check,
    watcher: Watcher,
    story: Option<&'a mut Vec<String>>,
}

impl Run<'_> {
    const fn violation(&self, rule: &'static str, detail: String) -> Violation {
        Violation { rule, at: self.world.now(), detail }
    }

    fn title(&mut self, step: Step) {
        if let Some(story) = &mut self.story {
            story.push(alloc::format!("--- {} ---", super::reading::reading(step)));
        }
    }

    fn look(&mut self) -> Result<(), Violation> {
        if let Some(story) = &mut self.story {
            let trace = self.world.trace();
            story.extend(trace.entries().iter().filter_map(|(at, seen)| {
                let words = super::story::tell(seen, trace)?;
                let seconds = at.0 as f64 / 1e6 - 1_717_200_000.0;
                Some(alloc::format!("{seconds:12.6} {words}"))
            }));
        }
        self.watcher.watch(self.world.trace());
        let verdict = self.check.read(self.world.trace());
        self.world.forget();
        self.store_agrees().and(verdict)
    }

    /// What a real store does is what the model does.
    fn store_agrees(&mut self) -> Result<(), Violation> {
        if let Some(what) = self.world.folders.take_difference() {
            return Err(self.violation("a real journal recalls what the model does", what));
        }
        match self.world.host.store.take_difference() {
            Some(what) => Err(self.violation("the real store does what the model does", what)),
            None => Ok(()),
        }
    }

    /// What was written is read once more.
    fn start_store_again(&mut self) -> Result<(), Violation> {
        let now = self.world.host.clock(self.world.now());
        self.world.host.store.close(now);
        self.world.host.store.recover(now);
        self.world.folders.look_again();
        self.store_agrees()
    }

    fn pass(&mut self, micros: u64) -> Result<(), Violation> {
        let until = Time(self.world.now().0 + micros);
        while !self.world.pass(until, HAPPENINGS) {
            self.look()?;
        }
        self.look()
    }

    /// All faults end, and nothing else happens: what is to go on goes on by itself. Then everybody comes back,
    /// as often as they are logged out, until all has arrived and come to rest.
    fn heal(&mut self) -> Result<(), Violation> {
        self.world.end_faults();
        self.pass(ROUND_MICROS)?;
        self.world.leave_by_hand();
        let mut rest = Ok(());
        for round in 0..ROUNDS {
            self.world.lift_all_restraints();
            if !self.world.plan.server_only {
                self.world.bring_everybody_back(round % LEAST_ROUNDS >= LEAST_ROUNDS / 2);
                self.pass(LOGIN_MICROS)?;
                self.world.lift_all_blocks();
                self.pass(LOGIN_MICROS)?;
                self.world.ask_for_mail();
                self.world.decline_requests();
            }
            self.pass(ROUND_MICROS)?;
            rest = self.check.end(self.world.now());
            if round + 1 >= LEAST_ROUNDS && rest.is_ok() {
                break;
            }
        }
        rest?;
        if self.world.plan.server_only { Ok(()) } else { self.rests() }
    }

    /// Only idle deadlines are left: nothing more is said, but to those who are idle for too long.
    fn rests(&mut self) -> Result<(), Violation> {
        let before = self.world.events();
        let until = Time(self.world.now().0 + ROUND_MICROS);
        self.world.pass(until, HAPPENINGS);
        let said = self.world.trace().entries().iter().any(|(_, seen)| seen.is_said());
        self.look()?;
        if said && !self.world.logs_out_the_idle() {
            let detail = alloc::format!("{} events", self.world.events() - before);
            return Err(self.violation("only idle deadlines remain", detail));
        }
        Ok(())
    }
}

impl World {
    /// Every account without a client gets one; clients that are not logged in end, and so do, when it
    /// is `enough`, those that go on without the server.
    fn bring_everybody_back(&mut self, enough: bool) {
        self.merge_registered_accounts();
        let mut accounts = self.host.accounts.clone();
        // There is no seat for a crowd. Whoever has mail may be one whose name was typed for something else.
        accounts.retain(|(name, _)| USERS.contains(&name.as_str()) || self.host.store.has_mail(name));
        for seat in 0..SEATS {
            let idle = |process: &Process| process.user.is_none() || (enough && process.link.is_none());
            if self.seats[seat].process.as_ref().is_some_and(idle) {
                self.end_input(seat);
            }
        }
        for (name, _) in accounts {
            let here = self.seats.iter().any(|seat| {
                seat.process.as_ref().is_some_and(|process| process.user.as_ref() == Some(&name))
            });
            let free = self.seats.iter().position(|seat| seat.process.is_none());
            if let (false, Some(seat)) = (here, free) {
                let password = Password::new(&self.right_password(name.as_str()));
                let user = Some(String::from(name.as_str()));
                self.start_client(seat, Settings { user, password: Some(password), ..Settings::default() });
            }
        }
    }

    /// All lift their blocks, so that what was held back arrives.
    fn lift_all_blocks(&mut self) {
        let blocks: Vec<_> = self.host.store.blocks().cloned().collect();
        for seat in 0..SEATS {
            let Some(user) = self.seats[seat].process.as_ref().and_then(|process| process.user.clone())
            else {
                continue;
            };
            for (_, blocked) in blocks.iter().filter(|(by, _)| *by == user) {
                self.enter(seat, alloc::format!("unblock {blocked}").as_bytes());
            }
        }
    }

    /// All who are logged in ask for their mail.
    fn ask_for_mail(&mut self) {
        for seat in 0..SEATS {
            if self.seats[seat].process.as_ref().is_some_and(|process| process.user.is_some()) {
                self.enter(seat, b"offline");
            }
        }
    }

    /// All who were asked for private links decline: a request may have no end by itself.
    fn decline_requests(&mut self) {
        for seat in 0..SEATS {
            let process = self.seats[seat].process.as_mut().filter(|process| process.user.is_some());
            let asked_by = process.map(|process| core::mem::take(&mut process.asked_by)).unwrap_or_default();
            for user in asked_by {
                self.enter(seat, alloc::format!("decline {user}").as_bytes());
            }
        }
    }
}
