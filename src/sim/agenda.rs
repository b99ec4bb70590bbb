//! What is going to happen, in its order.

use alloc::collections::BinaryHeap;
use core::cmp::{Ordering, Reverse};

use crate::time::Time;

/// What is going to happen in a world: by its time, and what has the same time in the order in which it was added.
#[derive(Debug)]
pub(crate) struct Agenda<H> {
    sequence: u64,
    queue: BinaryHeap<Reverse<Due<H>>>,
}

impl<H> Agenda<H> {
    pub(crate) fn new() -> Agenda<H> {
        Agenda { sequence: 0, queue: BinaryHeap::new() }
    }

    /// Adds something that happens at a time, after all that is to happen then already.
    pub(crate) fn add(&mut self, at: Time, what: H) {
        self.sequence += 1;
        self.queue.push(Reverse(Due { at, sequence: self.sequence, what }));
    }

    /// Whether something happens until then.
    pub(crate) fn is_due(&self, until: Time) -> bool {
        self.queue.peek().is_some_and(|Reverse(due)| due.at <= until)
    }

    /// Takes what happens next, if it does until then.
    pub(crate) fn take(&mut self, until: Time) -> Option<(Time, H)> {
        let Reverse(Due { at, what, .. }) = self.is_due(until).then(|| self.queue.pop()).flatten()?;
        Some((at, what))
    }
}

#[derive(Debug)]
struct Due<H> {
    at: Time,
    sequence: u64,
    what: H,
}

impl<H> PartialEq for Due<H> {
    fn eq(&self, other: &Due<H>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl<H> Eq for Due<H> {}
impl<H> PartialOrd for Due<H> {
    fn partial_cmp(&self, other: &Due<H>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<H> Ord for Due<H> {
    fn cmp(&self, other: &Due<H>) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_by_its_time_and_then_in_order() {
        let mut agenda = Agenda::new();
        for (at, what) in [(2, 'c'), (1, 'a'), (2, 'd'), (1, 'b'), (9, 'e')] {
            agenda.add(Time(at), what);
        }
        let taken: alloc::string::String =
            core::iter::from_fn(|| agenda.take(Time(2))).map(|(_, what)| what).collect();
        assert_eq!(taken, "abcd");
        assert!(!agenda.is_due(Time(8)) && agenda.is_due(Time(9)));
        assert_eq!(agenda.take(Time(9)), Some((Time(9), 'e')));
    }
}
