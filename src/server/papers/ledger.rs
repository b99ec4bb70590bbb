//! What a user's numbered commands came to, so that a repeat is answered and not done again.

use alloc::collections::VecDeque;

use crate::record::Outcome;

/// Commands remembered a user. A client keeps fewer unsettled at a time.
pub(super) const REMEMBERED: usize = 512;

/// The commands of one login that its client may still repeat, in order of their numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    entries: VecDeque<(u64, Option<Outcome>)>,
}

/// What is known of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Never seen: do it.
    New,
    /// Under way: its answer will come.
    Open,
    /// Done.
    Settled(Outcome),
}

impl Ledger {
    pub(super) fn standing(&self, number: u64) -> Standing {
        match self.position(number) {
            Ok(at) => self.entries[at].1.map_or(Standing::Open, Standing::Settled),
            Err(_) => Standing::New,
        }
    }

    /// Notes that a command is under way.
    pub(super) fn open(&mut self, number: u64) {
        self.set(number, None);
    }

    pub(super) fn settle(&mut self, number: u64, outcome: Outcome) {
        self.set(number, Some(outcome));
    }

    /// The client has these answers and repeats none of these commands.
    pub(super) fn answered(&mut self, upto: u64) {
        while self.entries.front().is_some_and(|(number, outcome)| *number <= upto && outcome.is_some()) {
            self.entries.pop_front();
        }
        if self.entries.is_empty() && self.entries.capacity() > 64 {
            self.entries = VecDeque::new();
        }
    }

    pub(super) fn clear(&mut self) {
        self.entries = VecDeque::new();
    }

    fn set(&mut self, number: u64, outcome: Option<Outcome>) {
        match self.position(number) {
            Ok(at) => self.entries[at].1 = outcome,
            Err(at) => {
                self.entries.insert(at, (number, outcome));
                if self.entries.len() > REMEMBERED {
                    self.entries.pop_front();
                }
            }
        }
    }

    fn position(&self, number: u64) -> Result<usize, usize> {
        let (Some((first, _)), Some((last, _))) = (self.entries.front(), self.entries.back()) else {
            return Err(0);
        };
        if number > *last {
            return Err(self.entries.len());
        }
        // Numbers rise by one, so nearly always a command stands as far behind the first as its number says.
        let expected = usize::try_from(number.saturating_sub(*first)).unwrap_or(usize::MAX);
        match self.entries.get(expected) {
            Some((there, _)) if *there == number => Ok(expected),
            Some(_) | None => self.entries.binary_search_by_key(&number, |(n, _)| *n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Status;

    const DELIVERED: Outcome = Outcome::Message(Status::Delivered);

    #[test]
    fn a_command_is_new_then_open_then_settled() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.standing(7), Standing::New);
        ledger.open(7);
        assert_eq!(ledger.standing(7), Standing::Open);
        ledger.settle(7, DELIVERED);
        assert_eq!(ledger.standing(7), Standing::Settled(DELIVERED));
    }

    #[test]
    fn what_the_client_has_is_forgotten_but_not_what_is_open() {
        let mut ledger = Ledger::default();
        for number in 1..=4 {
            ledger.open(number);
        }
        ledger.settle(1, DELIVERED);
        ledger.settle(3, DELIVERED);
        ledger.answered(4);
        assert_eq!(ledger.standing(1), Standing::New);
        assert_eq!(ledger.standing(2), Standing::Open);
        assert_eq!(ledger.standing(3), Standing::Settled(DELIVERED));
    }

    #[test]
    fn numbers_may_have_gaps_and_come_out_of_order() {
        let mut ledger = Ledger::default();
        for number in [10, 12, 40, 11, 7, 41] {
            assert_eq!(ledger.standing(number), Standing::New);
            ledger.open(number);
        }
        for number in [7, 10, 11, 12, 40, 41] {
            assert_eq!(ledger.standing(number), Standing::Open);
            ledger.settle(number, DELIVERED);
            assert_eq!(ledger.standing(number), Standing::Settled(DELIVERED));
        }
        for number in [0, 6, 8, 13, 39, 42, u64::MAX] {
            assert_eq!(ledger.standing(number), Standing::New);
        }
    }

    #[test]
    fn the_ledger_is_bounded_and_keeps_the_newest() {
        let mut ledger = Ledger::default();
        for number in 1..=REMEMBERED as u64 + 1 {
            ledger.settle(number, DELIVERED);
        }
        assert_eq!(ledger.standing(1), Standing::New);
        assert_eq!(ledger.standing(2), Standing::Settled(DELIVERED));
    }
}
