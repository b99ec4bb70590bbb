//! The one timer: rings when the core wants to be called, and seldom otherwise.

use std::time::Instant;

use async_io::Timer;

use crate::shell::wall_clock::WallClock;
use crate::time::Time;

/// Rings once for each time it was set to. Setting it to a later time does not touch the timer
/// underneath: that fires at the old time, is set anew, and nobody is told. So a deadline that is
/// pushed back with every message costs nothing.
pub(super) struct Alarm {
    clock: WallClock,
    wanted: Option<Instant>,
    armed: Option<Instant>,
    timer: Timer,
}

impl Alarm {
    pub(super) fn new(clock: WallClock) -> Alarm {
        Alarm { clock, wanted: None, armed: None, timer: Timer::never() }
    }

    /// Rings at this time, and not at the one before.
    pub(super) fn set(&mut self, at: Time) {
        self.wanted = self.clock.instant(at);
    }

    /// Waits until it rings. May be dropped and called again.
    pub(super) async fn rings(&mut self) {
        loop {
            match self.wanted {
                Some(wanted) if self.armed.is_none_or(|armed| wanted < armed) => {
                    self.armed = Some(wanted);
                    self.timer.set_at(wanted);
                }
                Some(_) | None => {}
            }
            (&mut self.timer).await;
            self.armed = None;
            if self.wanted.is_some_and(|wanted| wanted <= Instant::now()) {
                self.wanted = None;
                return;
            }
        }
    }
}

/// Waits until an instant; for ever if there is none.
pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => drop(Timer::after(deadline.saturating_duration_since(Instant::now())).await),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use futures_lite::future::or;

    fn ring_within(alarm: &mut Alarm, limit: Duration) -> bool {
        let rung = async {
            alarm.rings().await;
            true
        };
        let late = async {
            Timer::after(limit).await;
            false
        };
        async_io::block_on(or(rung, late))
    }

    #[test]
    fn it_rings_once_at_the_time_set_last() {
        let clock = WallClock::starting_after(Time::ZERO);
        let mut alarm = Alarm::new(clock);
        alarm.set(clock.now() + Duration::from_millis(20));
        assert!(!ring_within(&mut alarm, Duration::from_millis(1)), "too early");
        let later = clock.now() + Duration::from_millis(60);
        alarm.set(later);
        assert!(ring_within(&mut alarm, Duration::from_secs(60)));
        assert!(clock.now() >= later, "the time before does not count");
        assert!(!ring_within(&mut alarm, Duration::from_millis(50)), "it rang already");
        alarm.set(Time::MAX);
        assert!(!ring_within(&mut alarm, Duration::from_millis(1)));
        alarm.set(clock.now() + Duration::from_millis(1));
        assert!(ring_within(&mut alarm, Duration::from_secs(60)), "an earlier time counts at once");
    }
}
