//! A clock that never goes back: wall time at start plus monotonic time since.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::Time;

/// The clock of a program. Changes of the system's clock do not affect it.
#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    origin: Time,
    started: Instant,
}

impl WallClock {
    /// Starts at the system's wall time, or just after `earliest` if that is later. So everything written
    /// before a restart stays in the past, even if the system's clock was set back.
    #[must_use]
    pub fn starting_after(earliest: Time) -> WallClock {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let origin = (Time::ZERO + since_epoch).max(Time(earliest.0.saturating_add(1)));
        WallClock { origin, started: Instant::now() }
    }

    /// The same clock, set forward so that it is after `earliest`. For use before anybody has read it.
    #[must_use]
    pub fn set_after(self, earliest: Time) -> WallClock {
        let behind = Time(earliest.0.saturating_add(1)).since(self.now());
        WallClock { origin: self.origin + behind, ..self }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.origin + self.started.elapsed()
    }

    /// The monotonic instant of a time; `None` if the system cannot express it.
    #[must_use]
    pub fn instant(&self, at: Time) -> Option<Instant> {
        self.started.checked_add(at.since(self.origin))
    }
}

/// Measures how long something takes.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// From now on.
    #[must_use]
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// Until now.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_after_what_was_written_before() {
        let future = Time::ZERO + Duration::from_secs(1 << 40);
        let clock = WallClock::starting_after(future);
        assert!(clock.now() > future);
        assert!(clock.now() < future + Duration::from_secs(60));
    }

    #[test]
    fn it_is_set_forward_and_never_back() {
        let clock = WallClock::starting_after(Time::ZERO);
        let future = clock.now() + Duration::from_secs(3600);
        assert!(clock.set_after(future).now() > future);
        let now = clock.now();
        let same = clock.set_after(now - Duration::from_secs(3600));
        assert_eq!(same.origin, clock.origin);
    }

    #[test]
    fn instants_and_times_agree() {
        let clock = WallClock::starting_after(Time::ZERO);
        let (before, now, after) = (Instant::now(), clock.now(), Instant::now());
        let at = clock.instant(now).expect("an instant");
        // A time is in whole microseconds.
        assert!(before - Duration::from_micros(1) <= at && at <= after, "{before:?} {at:?} {after:?}");
        assert_eq!(clock.instant(now + Duration::from_secs(5)), Some(at + Duration::from_secs(5)));
        assert_eq!(clock.instant(Time::ZERO), Some(clock.started));
    }
}
