//! Verdicts: on each figure, on each row, and the page that shows them.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};

/// One figure beside its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) what: String,
    /// Without an attacker, where that can be measured.
    pub(crate) control: String,
    pub(crate) seen: String,
    pub(crate) limit: String,
    pub(crate) holds: bool,
}

/// All figures of a row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) checks: Vec<Check>,
}

impl Outcome {
    /// Adds a figure that has no control.
    pub(crate) fn check(
        &mut self,
        what: &str,
        seen: impl ToString,
        limit: impl ToString,
        holds: bool,
    ) -> &mut Outcome {
        self.beside(what, String::new(), seen, limit, holds)
    }

    /// Adds a figure beside the same without an attacker.
    pub(crate) fn beside(
        &mut self,
        what: &str,
        control: impl ToString,
        seen: impl ToString,
        limit: impl ToString,
        holds: bool,
    ) -> &mut Outcome {
        let (control, seen, limit) = (control.to_string(), seen.to_string(), limit.to_string());
        self.checks.push(Check { what: what.to_owned(), control, seen, limit, holds });
        self
    }

    /// A row that could not be finished.
    pub(crate) fn broken(why: &str) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.check("the row", why, "finished", false);
        outcome
    }

    pub(crate) fn holds(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.holds)
    }
}

impl Check {
    /// One line of words between tabs, for the process that gathers the rows.
    pub(crate) fn to_line(&self) -> String {
        let words = [&self.what, &self.control, &self.seen, &self.limit, &self.holds.to_string()];
        words.map(|word| word.replace(['\t', '\n'], " ")).join("\t")
    }

    pub(crate) fn from_line(line: &str) -> Result<Check> {
        let words: [&str; 5] =
            line.split('\t').collect::<Vec<&str>>().try_into().ok().context("five words")?;
        let [what, control, seen, limit, holds] = words.map(str::to_owned);
        Ok(Check { what, control, seen, limit, holds: holds == "true" })
    }

    /// For people.
    pub(crate) fn show(&self) -> String {
        let control = if self.control.is_empty() { String::new() } else { format!("{} -> ", self.control) };
        let mark = if self.holds { " " } else { "!" };
        format!("  {mark} {}: {control}{}   (to reach: {})", self.what, self.seen, self.limit)
    }
}

/// How a row ended.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    Ran(Outcome),
    Skipped(String),
}

impl Verdict {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Verdict::Ran(outcome) if outcome.holds() => "holds",
            Verdict::Ran(_) => "FAILS",
            Verdict::Skipped(_) => "skipped",
        }
    }
}

/// A row with its verdict, for the pages.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) attack: &'static str,
    pub(crate) verdict: Verdict,
}

/// One line a row: name, verdict and what does not hold.
pub(crate) fn plain(lines: &[Line]) -> String {
    let mut page = String::new();
    for Line { name, attack, verdict } in lines {
        let why = match verdict {
            Verdict::Ran(outcome) => failures(outcome),
            Verdict::Skipped(why) => why.clone(),
        };
        let _ = writeln!(
            page,
            "{name:<20} {:<8} {}",
            verdict.word(),
            if why.is_empty() { attack } else { why.as_str() }
        );
    }
    page
}

fn failures(outcome: &Outcome) -> String {
    let failed = outcome.checks.iter().filter(|check| !check.holds);
    failed
        .map(|check| format!("{}: {} (to reach: {})", check.what, check.seen, check.limit))
        .collect::<Vec<_>>()
        .join("; ")
}

/// The beginning of the page.
const HEAD: &str = "# Attacks

Each row is an attack on the real programs, from outside, beside honest users: two who talk one message at a
time, and where it matters people who log in by password and by token. `just attack` runs all, `just attack NAME`
one, `just attack --quick NAME` one short run of it, `just attack --write docs/attacks.md` makes this page. The
rows are in `benches/attack/rows/`, a few lines each.

* Everything runs in a separate network namespace, so that addresses count. The attacker is a separate process
  on one core and yields to honest users there. Where an attack fills both cores the server has the other for itself,
  and neither core falls asleep, also without the attack.
* The control is the same honest users on the same server, in turns with the attack. p50, p99 and worst are of the
  time from sending a message to `delivered`; p50 and p99 are the medians of the runs. p99 may double, or be 2 ms
  more, whatever is larger; p50 may be half as much again.
* RSS is the server's: its peak, and what is left 10 s after the attack (3 s in a short run).
* Passwords cost next to nothing where hashing is not what is attacked. Other settings have their defaults, but
  for limits that would end an attack on another limit before it shows anything.
";

/// The page `docs/attacks.md`; `how` says in which way it was made.
pub(crate) fn page(lines: &[Line], how: &str) -> String {
    let held = lines.iter().filter(|line| line.verdict.word() == "holds").count();
    format!("{HEAD}\n{how}\n\n{held} of {} hold.\n\n{}", lines.len(), markdown(lines))
}

/// The table of the page.
fn markdown(lines: &[Line]) -> String {
    let mut page = String::from(
        "| attack | what the attacker does | without it | under it | to reach | verdict |\n|---|---|---|---|---|---|\n",
    );
    for Line { name, attack, verdict } in lines {
        let (control, seen, limit) = match verdict {
            Verdict::Ran(outcome) => {
                let column = |of: fn(&Check) -> &str| {
                    let cells = outcome.checks.iter().filter(|check| !["", "shown"].contains(&of(check)));
                    let cells = cells.map(|check| format!("{}: {}", check.what, of(check)));
                    cells.collect::<Vec<_>>().join("<br>").replace('|', "\\|")
                };
                (column(|check| &check.control), column(|check| &check.seen), column(|check| &check.limit))
            }
            Verdict::Skipped(why) => (String::new(), why.clone(), String::new()),
        };
        let _ = writeln!(page, "| `{name}` | {attack} | {control} | {seen} | {limit} | {} |", verdict.word());
    }
    page
}
