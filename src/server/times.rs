//! How long things take, in classes.

use core::time::Duration;

/// The upper bounds of the classes, in microseconds; what takes longer is in one class more.
const BOUNDS: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

/// How often something took how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times {
    classes: [u64; BOUNDS.len() + 1],
    sum_micros: u64,
}

impl Times {
    /// It took so long once more.
    pub fn note(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.classes.get_mut(class) {
            *count += 1;
        }
        self.sum_micros = self.sum_micros.saturating_add(micros);
    }

    /// How often it took no longer than a bound, for each bound in order; the last has none: how often it happened.
    pub fn upto(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS.into_iter().map(Duration::from_micros).map(Some).chain([None]);
        bounds.zip(&self.classes).scan(0, |count, (bound, class)| {
            *count += class;
            Some((bound, *count))
        })
    }

    /// How often it happened.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// How long it took in all.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn a_time_counts_in_its_class_and_in_all_above() {
        let mut times = Times::default();
        for micros in [0, 500, 501, 2_500, u64::from(u32::MAX)] {
            times.note(Duration::from_micros(micros));
        }
        let counts: Vec<u64> = times.upto().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5]);
        assert_eq!(times.upto().last(), Some((None, times.count())));
        assert_eq!(times.sum(), Duration::from_micros(3_501 + u64::from(u32::MAX)));
        times.note(Duration::MAX);
        assert_eq!((times.count(), times.sum()), (6, Duration::from_micros(u64::MAX)));
    }
}
