//! Points in time, as the core knows them: numbers handed in from outside.
//!
//! There is no `now()` here on purpose. Whoever drives a state machine says what time it is.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]
#![forbid(unsafe_code)]

use core::ops::{Add, Sub};
use core::time::Duration;

/// Microseconds since the Unix epoch (UTC). The driver takes wall time once, at start, and adds
/// monotonic time to it, so a `Time` never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

impl Time {
    /// The epoch itself; earlier than anything that happens.
    pub const ZERO: Time = Time(0);
    /// Later than anything that happens.
    pub const MAX: Time = Time(u64::MAX);

    /// Time passed since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds until `later`, rounded up; zero if it has passed.
    #[must_use]
    pub const fn seconds_until(self, later: Time) -> u64 {
        later.0.saturating_sub(self.0).div_ceil(1_000_000)
    }

    /// This time less `seconds`, or the epoch if that would be before it.
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
