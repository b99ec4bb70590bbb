//! The simulator's exam: bugs are planted in the cores one at a time, and each must be found.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::minimise::{minimise, shrink};
use super::run::{Plan, examine};
use super::scenario::{self, Step};
use super::twin;
use crate::planted::{Planted, plant, was_met};

/// How a planted bug was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// By which rule.
    pub rule: String,
    /// In the scenario of which seed.
    pub seed: u64,
    /// Events played until then.
    pub events: u64,
    /// Steps of the scenario made small.
    pub steps: usize,
}

/// Scenarios are so long in the exam.
pub const LENGTH: usize = 500;
/// Those of an evil server, of which more is in a step.
const EVIL_LENGTH: usize = 200;
/// So many of them for each other one, if they come to the code of the bug.
const EVIL_SEEDS: u64 = 4;
/// By then they have come to it, or do not: the server's code is none of theirs.
const PROBED: u64 = 30;
/// Runs spent on making a failure small.
const RUNS: u32 = 800;

/// A failure of so many steps is small enough.
pub const SMALL: usize = 30;

/// Does something, and says whether it came to its end; if not, an assertion has failed.
pub type Attempt = fn(&mut dyn FnMut()) -> bool;

/// Where a bug was found before: the search begins there.
#[derive(Debug, Clone, Copy)]
pub struct Hint {
    seed: u64,
    is_in_evil: bool,
}

/// What the rule of a bug ends in that was found in the world of an evil server.
const IN_EVIL: &str = " (evil server)";

impl Hint {
    /// By the rule and the seed of [`Found`].
    #[must_use]
    pub fn of(rule: &str, seed: u64) -> Hint {
        let is_in_evil = rule.ends_with(IN_EVIL);
        Hint { seed: if is_in_evil { seed / EVIL_SEEDS } else { seed }, is_in_evil }
    }
}

/// Looks for a planted bug, seed by seed, as long as `go_on` says so. One at a time in a process: what is
/// planted is planted everywhere. An assertion of the core that fails has found it as well.
pub fn look_for(
    bug: Planted,
    first_seed: u64,
    hint: Option<Hint>,
    mut go_on: impl FnMut() -> bool,
    attempt: Attempt,
) -> Option<Found> {
    let is_in_evil = hint.is_some_and(|hint| hint.is_in_evil);
    let (mut search, mut best) = (Search { events: 0, is_in_evil }, None::<Found>);
    for seed in hint.map(|hint| hint.seed).into_iter().chain(first_seed..) {
        // Where a failure hides others it cannot be made small: another seed may show them apart.
        if best.as_ref().is_some_and(|found| found.steps <= SMALL) || !go_on() {
            break;
        }
        let mut found = None;
        plant(Some(bug));
        if !attempt(&mut || found = look_at(bug, seed, &mut search)) {
            plant(Some(bug));
            let steps = assertion_made_small(seed, &search, attempt);
            let events = search.events;
            found = Some(Found { rule: "no assertion fails".into(), seed, events, steps });
        }
        if let Some(found) = found
            && best.as_ref().is_none_or(|best| found.steps < best.steps)
        {
            best = Some(found);
        }
    }
    plant(None);
    best
}

/// How far the search for a bug has come.
struct Search {
    events: u64,
    /// The world of an evil server comes to the code of the bug.
    is_in_evil: bool,
}

/// How few steps of a seed break a rule or an assertion.
fn assertion_made_small(seed: u64, search: &Search, attempt: Attempt) -> usize {
    let fails = |steps: &[Step], plan: Plan| {
        let mut broken = false;
        !attempt(&mut || broken = examine(steps, plan, false).broken.is_some()) || broken
    };
    let evil = search.evil_seeds(seed).map(|seed| (EVIL, steps_of(EVIL, seed)));
    let played = [(plan_of(seed), steps_of(plan_of(seed), seed))].into_iter().chain(evil);
    let failed = played.into_iter().find(|(plan, steps)| fails(steps, *plan));
    let Some((plan, mut steps)) = failed else { return LENGTH };
    let mut runs = 0;
    shrink(&mut steps, |fewer| {
        runs += 1;
        (runs < RUNS && fails(fewer, plan)).then_some(fewer.len())
    });
    steps.len()
}

/// Every other seed looks at the server alone, which is faster; every fourth compares twins as well.
fn plan_of(seed: u64) -> Plan {
    Plan { server_only: seed % 2 == 1, taped: seed % 4 < 2, ..Plan::default() }
}

/// The world of an evil server, in which a scenario takes little time: there are several for each seed.
const EVIL: Plan = Plan { hash_seed: 1, server_only: false, calm: false, taped: false, evil: true };

impl Search {
    fn evil_seeds(&self, seed: u64) -> impl Iterator<Item = u64> + use<> {
        let count = match (self.is_in_evil, seed < PROBED) {
            (true, _) => EVIL_SEEDS,
            (false, true) => 1,
            (false, false) => 0,
        };
        (0..count).map(move |of_it| seed * EVIL_SEEDS + of_it)
    }
}

fn steps_of(plan: Plan, seed: u64) -> Vec<Step> {
    if plan.evil { scenario::of_evil(seed, EVIL_LENGTH) } else { scenario::from_seed(seed, LENGTH) }
}

fn look_at(bug: Planted, seed: u64, search: &mut Search) -> Option<Found> {
    let mut found = look_in(bug, plan_of(seed), seed, search);
    for seed in search.evil_seeds(seed) {
        let _ = was_met();
        found = found.or_else(|| look_in(bug, EVIL, seed, search));
        search.is_in_evil |= was_met();
    }
    found.or_else(|| {
        let steps = (seed % 4 == 1).then(|| twins_made_small(seed)).flatten()?;
        Some(Found { rule: "twin runs are equal".into(), seed, events: search.events, steps })
    })
}

fn look_in(bug: Planted, plan: Plan, seed: u64, search: &mut Search) -> Option<Found> {
    let twice = seed.is_multiple_of(4) && !plan.evil;
    let steps = steps_of(plan, seed);
    let report = examine(&steps, plan, twice);
    search.events += report.events;
    let (_, violation) = report.broken?;
    if !passes_without(bug, &steps, plan, twice) {
        return None;
    }
    let steps = minimise(&steps, plan, RUNS).map_or(LENGTH, |small| small.steps.len());
    let world = if plan.evil { IN_EVIL } else { "" };
    Some(Found { rule: format!("{}{world}", violation.rule), seed, events: search.events, steps })
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
