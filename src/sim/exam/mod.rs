//! The simulator's exam: bugs are planted in the cores one at a time, and each must be found. Its table, a row a bug, says
//! where each was found, so that the next exam looks there first.

#[cfg(any(test, feature = "planted"))]
mod order;
#[cfg(feature = "planted")]
mod search;

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

#[cfg(feature = "planted")]
pub use self::search::{Attempt, SMALL, look_for};

/// How a planted bug was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// By which rule.
    pub rule: String,
    /// Where.
    pub place: Place,
    /// Events played until then.
    pub events: u64,
    /// Steps of the scenario made small.
    pub steps: usize,
}

/// The scenario of a seed, in the world that plays it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which world.
    pub world: World,
    /// Which seed.
    pub seed: u64,
}

/// The worlds that look for bugs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// That of a good server, with its clients or alone.
    Good,
    /// The same twice: a blocked user sees what they would see were the blocker offline.
    Twins,
    /// That of an evil server.
    Evil,
}

impl World {
    /// What a rule ends in that was broken there.
    const fn mark(self) -> &'static str {
        match self {
            World::Good => "",
            World::Twins => " (twins)",
            World::Evil => " (evil server)",
        }
    }

    /// A rule as it is in the table, and where it was broken.
    fn of(said: &str) -> (World, &str) {
        let marked = [World::Twins, World::Evil]
            .into_iter()
            .find_map(|world| Some((world, said.strip_suffix(world.mark())?)));
        marked.unwrap_or(if said == TWINS { (World::Twins, said) } else { (World::Good, said) })
    }

    /// What is said after a rule, if it does not tell the world itself.
    fn mark_after(self, rule: &str) -> &'static str {
        if rule == TWINS { "" } else { self.mark() }
    }
}

/// The rule of twins, which are in no other world.
const TWINS: &str = "twin runs are equal";

/// What the table says of a bug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub bug: String,
    /// What is wrong with it planted; any text of one line.
    pub description: String,
    /// What has come of the search.
    pub outcome: Outcome,
}

/// What has come of the search for a bug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was found, within so many tenths of a second.
    Found(Found, u64),
    /// It was not found in so many tenths of a second.
    NotFound(u64),
    /// The search has ended without an answer.
    NoAnswer,
}

impl Row {
    /// Where the bug was found.
    #[must_use]
    pub const fn place(&self) -> Option<Place> {
        match &self.outcome {
            Outcome::Found(found, _) => Some(found.place),
            Outcome::NotFound(_) | Outcome::NoAnswer => None,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "| {}:{}{} | ",
            self.bug,
            if self.description.is_empty() { "" } else { " " },
            self.description
        )?;
        match &self.outcome {
            Outcome::Found(Found { rule, place: Place { world, seed }, events, steps }, tenths) => {
                let mark = world.mark_after(rule);
                write!(f, "{rule}{mark} | {seed} | {events} | {steps} | {}.{} |", tenths / 10, tenths % 10)
            }
            Outcome::NotFound(tenths) => write!(f, "{NOT_FOUND} | | | | {}.{} |", tenths / 10, tenths % 10),
            Outcome::NoAnswer => write!(f, "{NO_ANSWER} | | | | |"),
        }
    }
}

const NOT_FOUND: &str = "NOT FOUND";
const NO_ANSWER: &str = "NO ANSWER";

/// A line that is no row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRow;

impl FromStr for Row {
    type Err = NoRow;

    fn from_str(line: &str) -> Result<Row, NoRow> {
        let cells = line.strip_prefix("| ").and_then(|line| line.strip_suffix('|')).ok_or(NoRow)?;
        // The description may hold anything, so that the cells are counted from the end.
        let mut cells = cells.rsplitn(6, '|').map(str::trim);
        let mut cell = || cells.next().ok_or(NoRow);
        let [seconds, steps, events, seed, rule, bug] =
            [cell()?, cell()?, cell()?, cell()?, cell()?, cell()?];
        let (bug, description) = bug.split_once(':').filter(|(bug, _)| is_name(bug)).ok_or(NoRow)?;
        let outcome = match (rule, [seed, events, steps]) {
            (NOT_FOUND, ["", "", ""]) => Outcome::NotFound(tenths(seconds)?),
            (NO_ANSWER, ["", "", ""]) if seconds.is_empty() => Outcome::NoAnswer,
            (rule, [seed, events, steps]) => {
                let (world, rule) = World::of(rule);
                let place = Place { world, seed: number(seed)? };
                let steps = steps.parse().map_err(|_| NoRow)?;
                let found = Found { rule: rule.to_owned(), place, events: number(events)?, steps };
                Outcome::Found(found, tenths(seconds)?)
            }
        };
        Ok(Row { bug: bug.to_owned(), description: description.trim_start().to_owned(), outcome })
    }
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn number(cell: &str) -> Result<u64, NoRow> {
    cell.parse().map_err(|_| NoRow)
}

fn tenths(cell: &str) -> Result<u64, NoRow> {
    let (seconds, tenth) = cell.split_once('.').filter(|(_, tenth)| tenth.len() == 1).ok_or(NoRow)?;
    number(seconds)?.checked_mul(10).and_then(|tenths| tenths.checked_add(number(tenth).ok()?)).ok_or(NoRow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    /// The table of the last exam.
    const TABLE: &str = include_str!("../../../docs/exam.md");

    #[test]
    fn every_row_of_the_table_is_read_and_printed_as_it_is() {
        let rows: alloc::vec::Vec<&str> =
            TABLE.lines().skip_while(|line| !line.starts_with("|---")).skip(1).collect();
        assert!(rows.len() > 300, "{} rows", rows.len());
        for line in rows {
            let row: Row = line.parse().unwrap_or_else(|NoRow| panic!("no row: {line}"));
            assert_eq!(row.to_string(), line);
            assert!(row.place().is_some(), "{line}");
        }
    }

    #[test]
    fn a_row_tells_the_world_and_the_seed() {
        let place = |line: &str| line.parse::<Row>().map(|row| row.place());
        let at = |world, seed| Ok(Some(Place { world, seed }));
        assert_eq!(
            place("| A: An `x | y: z` bug. | delivered means shown | 12 | 7 | 3 | 0.1 |"),
            at(World::Good, 12)
        );
        assert_eq!(place("| A: B. | twin runs are equal | 5 | 7 | 3 | 0.1 |"), at(World::Twins, 5));
        assert_eq!(
            place("| A: B. | a conversation is with one key (evil server) | 81 | 7 | 3 | 0.1 |"),
            at(World::Evil, 81)
        );
        for world in [World::Good, World::Twins, World::Evil] {
            let line = alloc::format!("| A: B. | no assertion fails{} | 4 | 7 | 3 | 12.0 |", world.mark());
            assert_eq!(place(&line), at(world, 4));
            assert_eq!(line.parse::<Row>().map(|row| row.to_string()), Ok(line));
        }
    }

    #[test]
    fn a_row_without_a_find_has_no_place() {
        for line in ["| A: B. | NOT FOUND | | | | 60.3 |", "| A: | NO ANSWER | | | | |"] {
            let row: Row = line.parse().unwrap_or_else(|NoRow| panic!("no row: {line}"));
            assert_eq!((row.to_string().as_str(), row.place()), (line, None));
        }
    }

    #[test]
    fn another_line_is_no_row() {
        for line in [
            "",
            "| planted bug | found by | seed | events | steps | seconds |",
            "|---|---|---|---|---|---|",
            "| A: B. | delivered means shown | 12 | 7 | 3 |",
            "| A: B. | delivered means shown | twelve | 7 | 3 | 0.1 |",
            "| A: B. | delivered means shown | 12 | 7 | 3 | 0.1",
            "| A: B. | delivered means shown | 12 | 7 | 3 | 0.15 |",
            "| A: B. | NOT FOUND | 12 | | | 0.1 |",
            "| A B: C. | delivered means shown | 12 | 7 | 3 | 0.1 |",
        ] {
            assert_eq!(line.parse::<Row>(), Err(NoRow), "{line}");
        }
    }
}
