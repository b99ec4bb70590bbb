//! The simulator's exam: bugs are planted in the cores one at a time, and each must be found.

use alloc::string::String;

use super::minimise::minimise;
use super::run::{Plan, examine};
use super::scenario;
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
    /// Steps of the scenario made small; 0 if it was not made small.
    pub steps: usize,
}

/// Scenarios are so long in the exam.
pub const LENGTH: usize = 500;
/// Runs spent on making a failure small.
const RUNS: u32 = 800;

/// Looks for a planted bug, seed by seed, as long as `go_on` says so. One at a time in a process: what is
/// planted is planted everywhere.
pub fn look_for(bug: Planted, first_seed: u64, mut go_on: impl FnMut() -> bool) -> Option<Found> {
    plant(Some(bug));
    let mut events = 0;
    let mut seed = first_seed;
    let mut found = None;
    while found.is_none() && go_on() {
        // Every other seed looks at the server alone, which is faster.
        let plan = Plan { server_only: seed % 2 == 1, taped: seed % 4 < 2, ..Plan::default() };
        let steps = scenario::from_seed(seed, LENGTH);
        let report = examine(&steps, plan, seed % 4 == 0);
        events += report.events;
        if let Some((_, violation)) = report.broken
            && passes_without(bug, &steps, plan, seed % 4 == 0)
        {
            let small = minimise(&steps, plan, RUNS);
            let steps = small.map_or(0, |small| small.steps.len());
            found = Some(Found { rule: violation.rule.into(), seed, events, steps });
        } else if seed % 4 == 1 && twin::compare(seed, LENGTH).is_err() {
            found = Some(Found { rule: "twin runs are equal".into(), seed, events, steps: 0 });
        }
        seed += 1;
    }
    plant(None);
    found
}

/// Whether a scenario breaks no rule without the bug: only then it is the bug that was found.
fn passes_without(bug: Planted, steps: &[scenario::Step], plan: Plan, twice: bool) -> bool {
    plant(None);
    let passes = examine(steps, plan, twice).broken.is_none();
    plant(Some(bug));
    passes
}
