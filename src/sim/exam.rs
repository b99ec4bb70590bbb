//! The simulator's exam: bugs are planted in the cores one at a time, and each must be found.

use alloc::string::String;

use super::minimise::{minimise, shrink};
use super::run::{Plan, examine};
use super::scenario::{self, Step};
use super::twin;
use crate::planted::{Planted, plant};

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
/// Runs spent on making a failure small.
const RUNS: u32 = 800;

/// A failure of so many steps is small enough.
pub const SMALL: usize = 30;

/// Does something, and says whether it came to its end; if not, an assertion has failed.
pub type Attempt = fn(&mut dyn FnMut()) -> bool;

/// Looks for a planted bug, seed by seed, as long as `go_on` says so. One at a time in a process: what is
/// planted is planted everywhere. An assertion of the core that fails has found it as well.
pub fn look_for(
    bug: Planted,
    first_seed: u64,
    mut go_on: impl FnMut() -> bool,
    attempt: Attempt,
) -> Option<Found> {
    let (mut events, mut seed, mut best) = (0, first_seed, None::<Found>);
    // Where a failure hides others it cannot be made small: another seed may show them apart.
    while best.as_ref().is_none_or(|found| found.steps > SMALL) && go_on() {
        let mut found = None;
        plant(Some(bug));
        if !attempt(&mut || found = look_at(bug, seed, &mut events)) {
            plant(Some(bug));
            let steps = assertion_made_small(seed, attempt);
            found = Some(Found { rule: "no assertion fails".into(), seed, events, steps });
        }
        if let Some(found) = found
            && best.as_ref().is_none_or(|best| found.steps < best.steps)
        {
            best = Some(found);
        }
        seed += 1;
    }
    plant(None);
    best
}

/// How few steps of a seed break a rule or an assertion.
fn assertion_made_small(seed: u64, attempt: Attempt) -> usize {
    let mut steps = scenario::from_seed(seed, LENGTH);
    let mut runs = 0;
    shrink(&mut steps, |fewer| {
        runs += 1;
        let mut broken = false;
        let whole = attempt(&mut || broken = examine(fewer, plan_of(seed), false).broken.is_some());
        (runs < RUNS && (broken || !whole)).then_some(fewer.len())
    });
    steps.len()
}

fn plan_of(seed: u64) -> Plan {
    Plan { server_only: seed % 2 == 1, taped: seed % 4 < 2, ..Plan::default() }
}

/// Every other seed looks at the server alone, which is faster; every fourth compares twins as well.
fn look_at(bug: Planted, seed: u64, events: &mut u64) -> Option<Found> {
    let plan = plan_of(seed);
    let twice = seed.is_multiple_of(4);
    let steps = scenario::from_seed(seed, LENGTH);
    let report = examine(&steps, plan, twice);
    *events += report.events;
    if let Some((_, violation)) = report.broken
        && passes_without(bug, &steps, plan, twice)
    {
        let steps = minimise(&steps, plan, RUNS).map_or(LENGTH, |small| small.steps.len());
        return Some(Found { rule: violation.rule.into(), seed, events: *events, steps });
    }
    let steps = (seed % 4 == 1).then(|| twins_made_small(seed)).flatten()?;
    Some(Found { rule: "twin runs are equal".into(), seed, events: *events, steps })
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
