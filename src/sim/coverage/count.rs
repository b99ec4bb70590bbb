//! How often each rare state was seen.

use alloc::vec::Vec;

use super::Rare;

/// How often each rare state was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    counts: Vec<u64>,
}

impl Default for Coverage {
    fn default() -> Coverage {
        Coverage { counts: alloc::vec![0; Rare::ALL.len()] }
    }
}

impl Coverage {
    /// How often a state was seen.
    #[must_use]
    pub fn count(&self, rare: Rare) -> u64 {
        self.counts.get(rare as usize).copied().unwrap_or(0)
    }

    /// Adds what another run has seen.
    pub fn add(&mut self, other: &Coverage) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// States that were never seen, of those under an evil server or of the others.
    pub fn missing(&self, evil: bool) -> impl Iterator<Item = Rare> {
        Rare::ALL.iter().copied().filter(move |rare| rare.is_evil() == evil && self.count(*rare) == 0)
    }

    pub(in crate::sim) fn saw(&mut self, rare: Rare) {
        if let Some(count) = self.counts.get_mut(rare as usize) {
            *count += 1;
        }
    }
}
