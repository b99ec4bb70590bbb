//! The search for a planted bug.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use super::super::minimise::{minimise, shrink};
use super::super::run::{Plan, examine};
use super::super::scenario::{self, Step};
use super::super::twin;
use super::order::Order;
use super::{Found, Place, TWINS, World};
use crate::planted::{Planted, plant, was_met};

/// Scenarios are so long in the exam.
const LENGTH: usize = 500;
/// Those of an evil server, of which more is in a step.
const EVIL_LENGTH: usize = 200;
/// Runs spent on making a failure small.
const RUNS: u32 = 800;

/// A failure of so many steps is small enough.
pub const SMALL: usize = 30;

/// The rule that a failed assertion breaks.
const ASSERTIONS: &str = "no assertion fails";

/// Does something, and says whether it came to its end; if not, an assertion has failed.
pub type Attempt = fn(&mut dyn FnMut()) -> bool;

/// Looks for a planted bug, first where it was found before and then seed by seed, as long as `go_on` says so. One at a
/// time in a process: what is planted is planted everywhere. An assertion of the core that fails has found it as well.
pub fn look_for(
    bug: Planted,
    first_seed: u64,
    hint: Option<Place>,
    mut go_on: impl FnMut() -> bool,
    attempt: Attempt,
) -> Option<Found> {
    let mut search = Search { bug, attempt, events: 0, order: Order::after(hint), best: None };
    if let Some(hint) = hint
        && go_on()
    {
        search.look_at(hint);
    }
    for seed in first_seed.. {
        // Where a failure hides others it cannot be made small: another seed may show them apart.
        if search.best.as_ref().is_some_and(|found| found.steps <= SMALL) || !go_on() {
            break;
        }
        for place in search.order.places(seed) {
            if search.look_at(place) {
                break;
            }
        }
    }
    plant(None);
    search.best
}

/// How far the search for a bug has come.
struct Search {
    bug: Planted,
    attempt: Attempt,
    events: u64,
    order: Order,
    /// Of all that was found, what is smallest.
    best: Option<Found>,
}

impl Search {
    /// Looks at a place; whether the bug was found there.
    fn look_at(&mut self, place: Place) -> bool {
        plant(Some(self.bug));
        // What was met before, was met in another place.
        let _ = was_met();
        let mut found = None;
        let attempt = self.attempt;
        if !attempt(&mut || found = self.play(place)) {
            plant(Some(self.bug));
            let steps = self.assertion_made_small(place);
            found = Some(Found { rule: ASSERTIONS.to_string(), place, events: self.events, steps });
        }
        if was_met() {
            self.order.met_at(place);
        }
        let is_found = found.is_some();
        let is_better = |found: &Found| self.best.as_ref().is_none_or(|best| found.steps < best.steps);
        self.best = found.filter(is_better).or_else(|| self.best.take());
        is_found
    }

    fn play(&mut self, place: Place) -> Option<Found> {
        if place.world == World::Twins {
            let steps = twins_made_small(place.seed)?;
            return Some(Found { rule: TWINS.to_string(), place, events: self.events, steps });
        }
        let (plan, steps, twice) = (plan_of(place), steps_of(place), is_played_twice(place));
        let report = examine(&steps, plan, twice);
        self.events += report.events;
        let (_, violation) = report.broken?;
        if !passes_without(self.bug, &steps, plan, twice) {
            return None;
        }
        let steps = minimise(&steps, plan, RUNS).map_or(LENGTH, |small| small.steps.len());
        Some(Found { rule: violation.rule.to_string(), place, events: self.events, steps })
    }

    /// How few steps of a place, at which an assertion fails, break a rule or an assertion.
    fn assertion_made_small(&self, place: Place) -> usize {
        let plan = plan_of(place);
        let fails = |steps: &[Step]| {
            let mut broken = false;
            let ended = (self.attempt)(&mut || {
                broken = match place.world {
                    World::Twins => twin::compare_steps(steps).is_err(),
                    World::Good | World::Evil => examine(steps, plan, false).broken.is_some(),
                };
            });
            !ended || broken
        };
        let (mut steps, mut runs) = (steps_of(place), 0);
        shrink(&mut steps, |fewer| {
            runs += 1;
            (runs < RUNS && fails(fewer)).then_some(fewer.len())
        });
        steps.len()
    }
}

/// Every other seed looks at the server alone, which is faster; every fourth compares chunks as well.
fn plan_of(Place { world, seed }: Place) -> Plan {
    match world {
        World::Good | World::Twins => {
            Plan { server_only: seed % 2 == 1, taped: seed % 4 < 2, ..Plan::default() }
        }
        World::Evil => EVIL,
    }
}

/// The world of an evil server, in which a scenario takes little time: there are several for each seed.
const EVIL: Plan = Plan { hash_seed: 1, server_only: false, calm: false, taped: false, evil: true };

fn is_played_twice(Place { world, seed }: Place) -> bool {
    world == World::Good && seed.is_multiple_of(4)
}

fn steps_of(Place { world, seed }: Place) -> Vec<Step> {
    match world {
        World::Good => scenario::from_seed(seed, LENGTH),
        World::Twins => twin::steps(seed, LENGTH),
        World::Evil => scenario::of_evil(seed, EVIL_LENGTH),
    }
}

/// Whether a scenario breaks no rule without the bug: only then it is the bug that was found.
fn passes_without(bug: Planted, steps: &[Step], plan: Plan, twice: bool) -> bool {
    plant(None);
    let passes = examine(steps, plan, twice).broken.is_none();
    plant(Some(bug));
    passes
}

/// How few steps make the twins of a seed differ, if they do.
fn twins_made_small(seed: u64) -> Option<usize> {
    let mut steps = twin::steps(seed, LENGTH);
    twin::compare_steps(&steps).err()?;
    shrink(&mut steps, |fewer| twin::compare_steps(fewer).err().map(|_| fewer.len()));
    Some(steps.len())
}
