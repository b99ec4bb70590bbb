//! The one timer: rings when the core asked to be called.

use std::time::Duration;

use async_io::Timer;

use crate::shell::wall_clock::WallClock;
use crate::time::Time;

/// Rings once for each time it is set to. Setting it to a later time does not touch the underlying timer,
/// which fires at the old time and is then set again. So a deadline that every message postpones costs
/// nothing.
pub(super) struct Alarm {
    clock: WallClock,
    wanted: Option<Time>,
    /// A time that was set, has come, and was not taken yet. Setting another does not postpone it.
    due: Option<Time>,
    armed: Option<Time>,
    timer: Timer,
}

impl Alarm {
    pub(super) fn new(clock: WallClock) -> Alarm {
        Alarm { clock, wanted: None, due: None, armed: None, timer: Timer::never() }
    }

    /// Sets the time to ring. Replaces the one before unless that has come already.
    pub(super) fn set(&mut self, at: Time) {
        self.note_due();
        self.wanted = Some(at);
    }

    /// How long ago the time has come. Returned once for each time that was set.
    pub(super) fn take_due(&mut self) -> Option<Duration> {
        self.note_due();
        let due = self.due.take()?;
        Some(self.clock.now().since(due))
    }

    /// Waits until [`take_due`](Self::take_due) would return something. Cancel safe.
    pub(super) async fn rings(&mut self) {
        while self.due.is_none() && !self.has_come() {
            if let Some(wanted) = self.wanted
                && self.armed.is_none_or(|armed| wanted < armed)
            {
                self.armed = Some(wanted);
                self.timer = timer(self.clock, wanted);
            }
            (&mut self.timer).await;
            self.armed = None;
        }
    }

    fn note_due(&mut self) {
        if self.has_come() {
            self.due = self.due.or(self.wanted);
            self.wanted = None;
        }
    }

    fn has_come(&self) -> bool {
        self.wanted.is_some_and(|wanted| wanted <= self.clock.now())
    }
}

/// Waits until a time, forever if there is none.
pub(super) async fn until(clock: WallClock, deadline: Option<Time>) {
    match deadline {
        Some(deadline) => drop(timer(clock, deadline).await),
        None => std::future::pending().await,
    }
}

/// A timer that never fires if the system cannot express the time.
fn timer(clock: WallClock, at: Time) -> Timer {
    clock.instant(at).map_or_else(Timer::never, Timer::at)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn after(clock: WallClock, millis: u64) -> Time {
        clock.now() + Duration::from_millis(millis)
    }

    #[test]
    fn it_rings_once_at_the_time_set_last() {
        let clock = WallClock::starting_after(Time::ZERO);
        let mut alarm = Alarm::new(clock);
        alarm.set(after(clock, 20));
        assert!(!ring_within(&mut alarm, Duration::from_millis(1)), "too early");
        assert_eq!(alarm.take_due(), None);
        let later = after(clock, 60);
        alarm.set(later);
        assert!(ring_within(&mut alarm, Duration::from_secs(60)));
        assert!(clock.now() >= later, "the time before does not count");
        assert!(alarm.take_due().is_some());
        assert_eq!(alarm.take_due(), None);
        assert!(!ring_within(&mut alarm, Duration::from_millis(50)), "it rang already");
        alarm.set(Time::MAX);
        assert!(!ring_within(&mut alarm, Duration::from_millis(1)));
        alarm.set(after(clock, 1));
        assert!(ring_within(&mut alarm, Duration::from_secs(60)), "an earlier time counts at once");
    }

    #[test]
    fn a_time_that_has_come_is_not_put_off() {
        let clock = WallClock::starting_after(Time::ZERO);
        let mut alarm = Alarm::new(clock);
        // Each event under load asks for a moment later than now.
        let first = clock.now();
        for _ in 0..3 {
            alarm.set(clock.now());
        }
        let later = after(clock, 50);
        alarm.set(later);
        assert!(ring_within(&mut alarm, Duration::from_secs(60)));
        assert!(clock.now() < later);
        let late = alarm.take_due();
        assert!(late.is_some_and(|late| late <= clock.now().since(first)), "{late:?}");
        assert_eq!(alarm.take_due(), None, "the later time is still to come");
        assert!(ring_within(&mut alarm, Duration::from_secs(60)));
        assert!(clock.now() >= later && alarm.take_due().is_some());
    }
}
