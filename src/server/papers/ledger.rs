//! What a user's numbered commands came to, so that a repeat is answered and not done again.

use alloc::collections::VecDeque;

use crate::planted::{self, Planted};
use crate::record::{Outcome, WordsDigest};
#[cfg(feature = "sim")]
use crate::wire::Status;

/// Commands remembered a user. A client keeps fewer unsettled at a time.
const REMEMBERED: usize = 512;

/// The commands of one login that its client may still repeat, in order of their numbers.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Ledger {
    entries: VecDeque<Entry>,
    /// The client has the answers to all numbers below this one.
    unanswered_from: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    number: u64,
    /// Of the command's words; `None`: from a folder of an earlier version.
    words: Option<WordsDigest>,
    outcome: Option<Outcome>,
}

/// What is known of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Standing {
    /// Never seen: do it.
    New,
    /// Under way: its answer will come.
    Open,
    /// Done.
    Settled(Outcome),
    /// The number is that of a command with other words.
    Taken,
}

impl Ledger {
    pub(in crate::server) fn standing(&self, number: u64, words: Option<WordsDigest>) -> Standing {
        let Some(entry) = self.position(number).ok().and_then(|at| self.entries.get(at)) else {
            // A line may have waited while the answer to the same one, said before, came and was acknowledged.
            return if number < self.unanswered_from { Standing::Taken } else { Standing::New };
        };
        if entry.words.is_some() && entry.words != words && !planted::is(Planted::WordsIgnored) {
            return Standing::Taken;
        }
        entry.outcome.map_or(Standing::Open, Standing::Settled)
    }

    /// Whether a command of this number is remembered.
    pub(in crate::server) fn knows(&self, number: u64) -> bool {
        self.position(number).is_ok()
    }

    /// Notes that a command is under way.
    pub(in crate::server) fn open(&mut self, number: u64, words: Option<WordsDigest>) {
        self.set(Entry { number, words, outcome: None });
    }

    pub(in crate::server) fn settle(&mut self, number: u64, outcome: Outcome, words: Option<WordsDigest>) {
        self.set(Entry { number, words, outcome: Some(outcome) });
    }

    /// What differs from the ledger of a server that has recovered: it knows what became durable, of those
    /// commands whose answers the client does not have yet.
    #[cfg(feature = "sim")]
    pub(in crate::server) fn differs_from(&self, recovered: &Ledger) -> Option<alloc::string::String> {
        let first = self.entries.front().map_or(u64::MAX, |entry| entry.number);
        // A change that was so already is done without a record.
        let durable = |entry: &&Entry| {
            matches!(entry.outcome, Some(Outcome::Message(Status::Stored) | Outcome::StoredUntil(_)))
        };
        let lost = self.entries.iter().filter(durable).find(|entry| {
            !recovered.position(entry.number).is_ok_and(|at| recovered.entries.get(at) == Some(entry))
        });
        let unknown =
            recovered.entries.iter().filter(|entry| entry.number >= first).find(|entry| {
                self.position(entry.number).is_ok_and(|at| self.entries.get(at) != Some(entry))
            });
        lost.or(unknown).map(|entry| alloc::format!("command {} comes to {:?}", entry.number, entry.outcome))
    }

    /// The client has these answers and repeats none of these commands.
    pub(in crate::server) fn answered(&mut self, upto: u64) {
        self.unanswered_from = self.unanswered_from.max(upto.saturating_add(1));
        while self.entries.front().is_some_and(|entry| entry.number <= upto && entry.outcome.is_some()) {
            self.entries.pop_front();
        }
        if self.entries.is_empty() && self.entries.capacity() > 64 {
            self.entries = VecDeque::new();
        }
    }

    pub(in crate::server) fn clear(&mut self) {
        *self = Ledger::default();
    }

    fn set(&mut self, entry: Entry) {
        match self.position(entry.number) {
            Ok(at) => {
                if let Some(known) = self.entries.get_mut(at) {
                    *known = entry;
                }
            }
            Err(at) => {
                if at == self.entries.len() {
                    self.entries.push_back(entry);
                } else {
                    self.entries.insert(at, entry);
                }
                if self.entries.len() > REMEMBERED {
                    self.entries.pop_front();
                }
            }
        }
    }

    fn position(&self, number: u64) -> Result<usize, usize> {
        let (Some(first), Some(last)) = (self.entries.front(), self.entries.back()) else {
            return Err(0);
        };
        if number > last.number {
            return Err(self.entries.len());
        }
        // Numbers rise by one, so a command is nearly always as far from the first as its number says.
        let expected = usize::try_from(number.saturating_sub(first.number)).unwrap_or(usize::MAX);
        match self.entries.get(expected) {
            Some(entry) if entry.number == number => Ok(expected),
            Some(_) | None => self.entries.binary_search_by_key(&number, |entry| entry.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Status;

    const DELIVERED: Outcome = Outcome::Message(Status::Delivered);
    const WORDS: Option<WordsDigest> = Some(WordsDigest(7));

    #[test]
    fn a_command_is_new_then_open_then_settled() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.standing(7, WORDS), Standing::New);
        ledger.open(7, WORDS);
        assert_eq!(ledger.standing(7, WORDS), Standing::Open);
        ledger.settle(7, DELIVERED, WORDS);
        assert_eq!(ledger.standing(7, WORDS), Standing::Settled(DELIVERED));
    }

    #[test]
    fn what_the_client_has_is_forgotten_but_not_what_is_open() {
        let mut ledger = Ledger::default();
        for number in 1..=4 {
            ledger.open(number, WORDS);
        }
        ledger.settle(1, DELIVERED, WORDS);
        ledger.settle(3, DELIVERED, WORDS);
        ledger.answered(4);
        assert_eq!(ledger.standing(1, WORDS), Standing::Taken, "its line may have waited until now");
        assert_eq!(ledger.standing(2, WORDS), Standing::Open);
        assert_eq!(ledger.standing(3, WORDS), Standing::Settled(DELIVERED));
    }

    #[test]
    fn numbers_may_have_gaps_and_come_out_of_order() {
        let mut ledger = Ledger::default();
        for number in [10, 12, 40, 11, 7, 41] {
            assert_eq!(ledger.standing(number, WORDS), Standing::New);
            ledger.open(number, WORDS);
        }
        for number in [7, 10, 11, 12, 40, 41] {
            assert_eq!(ledger.standing(number, WORDS), Standing::Open);
            ledger.settle(number, DELIVERED, WORDS);
            assert_eq!(ledger.standing(number, WORDS), Standing::Settled(DELIVERED));
        }
        for number in [0, 6, 8, 13, 39, 42, u64::MAX] {
            assert_eq!(ledger.standing(number, WORDS), Standing::New);
        }
    }

    #[test]
    fn the_ledger_is_bounded_and_keeps_the_newest() {
        let mut ledger = Ledger::default();
        for number in 1..=REMEMBERED as u64 + 1 {
            ledger.settle(number, DELIVERED, WORDS);
        }
        assert_eq!(ledger.standing(1, WORDS), Standing::New);
        assert_eq!(ledger.standing(2, WORDS), Standing::Settled(DELIVERED));
    }

    #[test]
    fn a_number_is_taken_for_other_words_but_an_old_entry_fits_any() {
        let mut ledger = Ledger::default();
        let other = Some(WordsDigest(8));
        ledger.open(1, WORDS);
        assert_eq!(ledger.standing(1, other), Standing::Taken);
        ledger.settle(1, DELIVERED, WORDS);
        assert_eq!(ledger.standing(1, other), Standing::Taken);
        ledger.settle(2, DELIVERED, None);
        assert_eq!(ledger.standing(2, other), Standing::Settled(DELIVERED));
    }
}
