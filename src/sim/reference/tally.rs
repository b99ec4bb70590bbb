//! How much of what the server said was judged.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::reader::COMMANDS;

/// Lines that answer no command, by their first word.
const KINDS: &[&str] = &[
    "hobnob",
    "ask",
    "welcome",
    "resumed",
    "refused",
    "message",
    "group-message",
    "broadcast",
    "online",
    "offline",
    "request",
    "withdrawn",
    "endprivate",
    "users",
    "members",
    "changed",
    "introduce",
    "help",
    "notice",
    "bye",
    "device",
    "alive",
    "away",
    "invited",
    "order",
    "relay",
];

/// Lines that were judged. Each was the one line that the reference allowed: it keeps one state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// By command: `ok` and `error`, each with a number and without.
    answers: Vec<[u64; 4]>,
    others: Vec<u64>,
    /// Records, and questions to the store and the hashing threads.
    records: u64,
    asks: u64,
}

fn bump(counts: &mut Vec<u64>, place: usize) {
    if counts.len() <= place {
        counts.resize(place + 1, 0);
    }
    if let Some(count) = counts.get_mut(place) {
        *count += 1;
    }
}

impl Tally {
    pub(super) fn line(&mut self, line: &str) {
        let mut words = line.trim_end_matches(['\r', '\n']).splitn(3, ' ');
        let first = words.next().unwrap_or_default();
        if first != "ok" && first != "error" {
            let place = KINDS.iter().position(|kind| *kind == first).unwrap_or(KINDS.len());
            return bump(&mut self.others, place);
        }
        let rest = line.get(first.len() + 1..).unwrap_or_default().trim_end();
        let numbered = rest.starts_with('#');
        let rest = if numbered { rest.split_once(' ').map_or("", |(_, rest)| rest) } else { rest };
        let rest = if first == "error" { rest.split_once(' ').map_or("", |(_, rest)| rest) } else { rest };
        let of =
            |name: &str| rest.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
        // `message group` is longer than `message`, and means another command.
        let place = COMMANDS.iter().rposition(|row| of(row.name)).unwrap_or(COMMANDS.len());
        self.answers.resize(COMMANDS.len() + 1, [0; 4]);
        let column = usize::from(first == "error") * 2 + usize::from(!numbered);
        if let Some(count) = self.answers.get_mut(place).and_then(|counts| counts.get_mut(column)) {
            *count += 1;
        }
    }

    pub(super) const fn record(&mut self) {
        self.records += 1;
    }

    pub(super) const fn ask(&mut self) {
        self.asks += 1;
    }

    /// Adds what another run has judged.
    pub fn add(&mut self, other: &Tally) {
        self.answers.resize(COMMANDS.len() + 1, [0; 4]);
        for (counts, more) in self.answers.iter_mut().zip(&other.answers) {
            counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
        }
        self.others.resize(KINDS.len() + 1, 0);
        self.others.iter_mut().zip(&other.others).for_each(|(count, more)| *count += more);
        self.records += other.records;
        self.asks += other.asks;
    }

    /// The table of what was judged, a line each, and the commands and kinds of lines with fewer than `least`.
    #[must_use]
    pub fn table(&self, least: u64) -> (Vec<String>, Vec<String>) {
        let mut lines = Vec::new();
        let mut rare = Vec::new();
        lines.push(format!(
            "{:>10} {:>10} {:>10} {:>10}  answers judged",
            "ok", "ok, by nc", "error", "by nc"
        ));
        let names = COMMANDS.iter().map(|row| row.name).chain(["no command"]);
        for (name, [ok, ok_bare, error, error_bare]) in names.zip(&self.answers) {
            lines.push(format!("{ok:10} {ok_bare:10} {error:10} {error_bare:10}  {name}"));
            let all = ok + ok_bare + error + error_bare;
            rare.extend((all < least).then(|| format!("{all} answers to {name}")));
        }
        for (kind, count) in KINDS.iter().zip(&self.others) {
            lines.push(format!("{count:10} {:32}  lines {kind}", ""));
            rare.extend((*count < least).then(|| format!("{count} lines {kind}")));
        }
        lines.push(format!(
            "{:10} records, {} questions to the store and the hashing threads",
            self.records, self.asks
        ));
        lines.push(String::from("all of them exactly: the reference keeps one state, and none was given up"));
        (lines, rare)
    }
}
