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

/// Deletes steps from a scenario that breaks a rule, first in large parts and then one by one, as long
/// as the same rule stays broken and for at most so many runs. `None` if it breaks no rule.
#[must_use]
pub fn minimise(steps: &[Step], plan: Plan, most_runs: u32) -> Option<Small> {
    let report = play(steps, plan);
    let (last, violation) = report.broken.clone()?;
    let rule = violation.rule;
    let mut steps = steps.to_vec();
    steps.truncate(last + 1);
    let mut small = Small { steps, report, runs: 1 };
    let mut part = (small.steps.len() / 2).max(1);
    loop {
        let before = small.steps.len();
        small.delete_parts(part, plan, rule, most_runs);
        if small.runs >= most_runs {
            return Some(small);
        }
        if part > 1 {
            part = (part / 2).max(1);
        } else if small.steps.len() == before {
            return Some(small);
        }
    }
}

impl Small {
    /// Tries to do without each part of so many steps, from the end on.
    fn delete_parts(&mut self, part: usize, plan: Plan, rule: &str, most_runs: u32) {
        let mut end = self.steps.len();
        while end > 0 && self.runs < most_runs {
            let start = end.saturating_sub(part);
            let mut fewer = self.steps.clone();
            fewer.drain(start..end.min(self.steps.len()));
            let report = play(&fewer, plan);
            self.runs += 1;
            let same = report.broken.as_ref().is_some_and(|(_, violation)| violation.rule == rule);
            if same {
                if let Some((last, _)) = report.broken {
                    fewer.truncate(last + 1);
                }
                self.steps = fewer;
                self.report = play(&self.steps, plan);
            }
            end = start.min(self.steps.len());
        }
    }
}
