//! Makes a failing scenario small by deleting steps.

use alloc::vec::Vec;

use super::run::{Plan, Report, play};
use super::scenario::Step;

/// A small scenario that breaks the same rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Small {
    /// Its steps.
    pub steps: Vec<Step>,
    /// What it comes to.
    pub report: Report,
    /// Runs it took.
    pub runs: u32,
}

/// Makes a scenario that breaks a rule small, as long as the same rule stays broken and in at most so
/// many runs. `None` if it breaks no rule.
#[must_use]
pub fn minimise(steps: &[Step], plan: Plan, most_runs: u32) -> Option<Small> {
    let report = play(steps, plan);
    let (last, violation) = report.broken?;
    let rule = violation.rule;
    let mut runs = 2;
    let mut small = steps.to_vec();
    small.truncate(last + 1);
    shrink(&mut small, |fewer| {
        if runs >= most_runs {
            return None;
        }
        runs += 1;
        let (last, violation) = play(fewer, plan).broken?;
        (violation.rule == rule).then_some(last + 1)
    });
    let report = play(&small, plan);
    Some(Small { steps: small, report, runs })
}

/// Deletes steps, first in large parts and then one by one, until none can be spared. `fails` says
/// whether fewer steps fail as well, and how many of them are enough for it.
pub fn shrink(steps: &mut Vec<Step>, mut fails: impl FnMut(&[Step]) -> Option<usize>) {
    let mut part = (steps.len() / 2).max(1);
    loop {
        let before = steps.len();
        delete_parts(steps, part, &mut fails);
        if part > 1 {
            part /= 2;
        } else if steps.len() == before {
            return;
        }
    }
}

/// Tries to do without each part of so many steps, from the end on.
fn delete_parts(steps: &mut Vec<Step>, part: usize, fails: &mut impl FnMut(&[Step]) -> Option<usize>) {
    let mut end = steps.len();
    while end > 0 {
        let start = end.saturating_sub(part);
        let mut fewer = steps.clone();
        fewer.drain(start..end);
        if let Some(enough) = fails(&fewer) {
            fewer.truncate(enough);
            *steps = fewer;
        }
        end = start.min(steps.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::scenario;

    #[test]
    fn only_the_steps_that_matter_are_left() {
        let mut steps = scenario::from_seed(5, 300);
        let (one, other) = (steps[40], steps[200]);
        shrink(&mut steps, |fewer| {
            let enough = fewer.iter().rposition(|step| *step == other)?;
            fewer[..enough].contains(&one).then_some(enough + 1)
        });
        assert_eq!(steps, [one, other]);
    }

    #[test]
    fn what_breaks_no_rule_is_not_made_small() {
        assert_eq!(minimise(&scenario::from_seed(5, 30), Plan::default(), 10), None);
    }
}
