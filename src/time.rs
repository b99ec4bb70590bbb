//! Points in time. They are handed in by the driver: there is no `now()` here.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]
#![forbid(unsafe_code)]

use core::ops::{Add, Sub};
use core::time::Duration;

/// Microseconds since 1970-01-01 UTC. The driver adds monotonic time to the wall time of its start, so that a
/// `Time` never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

impl Time {
    /// Before anything that happens.
    pub const ZERO: Time = Time(0);
    /// After anything that happens.
    pub const MAX: Time = Time(u64::MAX);

    /// The time from `earlier` to this; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds until `later`, rounded up; zero if it has passed.
    #[must_use]
    pub const fn seconds_until(self, later: Time) -> u64 {
        later.0.saturating_sub(self.0).div_ceil(1_000_000)
    }

    /// This time minus `seconds`; at least [`Time::ZERO`].
    #[must_use]
    pub const fn minus_seconds(self, seconds: u64) -> Time {
        Time(self.0.saturating_sub(seconds.saturating_mul(1_000_000)))
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    /// Saturates at [`Time::MAX`].
    fn add(self, duration: Duration) -> Time {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(micros))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    /// Saturates at [`Time::ZERO`].
    fn sub(self, duration: Duration) -> Time {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Time(self.0.saturating_sub(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remaining_seconds_round_up_and_never_go_below_zero() {
        assert_eq!(Time(0).seconds_until(Time(1)), 1);
        assert_eq!(Time(0).seconds_until(Time(2_000_000)), 2);
        assert_eq!(Time(5).seconds_until(Time(5)), 0);
        assert_eq!(Time(6).seconds_until(Time(5)), 0);
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Time::MAX + Duration::from_secs(1), Time::MAX);
        assert_eq!(Time(3) - Duration::from_secs(1), Time::ZERO);
        assert_eq!(Time(3).minus_seconds(u64::MAX), Time::ZERO);
        assert_eq!(Time(3).since(Time(9)), Duration::ZERO);
    }
}
