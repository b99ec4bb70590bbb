//! The one timer: rings when the core asked to be called.

use std::time::Duration;

use crate::shell::platform::{Platform, System};
use crate::time::Time;

/// Rings once for each time it is set to. Setting it to a later time does not touch the underlying timer,
/// which fires at the old time and is then set again. So a deadline that every message postpones costs
/// nothing.
pub(super) struct Alarm<P: Platform = System> {
    platform: P,
    wanted: Option<Time>,
    /// A time that was set, has come, and was not taken yet. Setting another does not postpone it.
    due: Option<Time>,
    armed: Option<Time>,
    timer: P::Timer,
}

impl<P: Platform> Alarm<P> {
    pub(super) fn new(platform: P) -> Alarm<P> {
        Alarm { timer: platform.never(), platform, wanted: None, due: None, armed: None }
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
        Some(self.platform.now().since(due))
    }

    /// Waits until [`take_due`](Self::take_due) would return something. Cancel safe.
    pub(super) async fn rings(&mut self) {
        while self.due.is_none() && !self.has_come() {
            if let Some(wanted) = self.wanted
                && self.armed.is_none_or(|armed| wanted < armed)
            {
                self.armed = Some(wanted);
                self.timer = self.platform.timer(wanted);
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
        self.wanted.is_some_and(|wanted| wanted <= self.platform.now())
    }
}

/// Waits until a time, forever if there is none.
pub(super) async fn until(platform: &impl Platform, deadline: Option<Time>) {
    match deadline {
        Some(deadline) => platform.timer(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::shell::platform::WallClock;
    use async_io::block_on;
    use futures_lite::future::poll_once;

    /// Longer than a test takes, however busy the machine.
    const LONG: Duration = Duration::from_secs(3_600);

    /// Whether it rings without waiting.
    fn has_rung(alarm: &mut Alarm) -> bool {
        block_on(poll_once(alarm.rings())).is_some()
    }

    #[test]
    fn it_rings_once_at_the_time_set_last() {
        let clock = WallClock::starting_after(Time::ZERO);
        let mut alarm = Alarm::new(System::new(clock));
        alarm.set(clock.now() + LONG);
        assert!(!has_rung(&mut alarm), "too early");
        assert_eq!(alarm.take_due(), None);
        let soon = clock.now() + Duration::from_millis(1);
        alarm.set(soon);
        block_on(alarm.rings());
        assert!(clock.now() >= soon, "an earlier time counts at once");
        assert!(alarm.take_due().is_some());
        assert_eq!(alarm.take_due(), None);
        assert!(!has_rung(&mut alarm), "it rang already");
        alarm.set(Time::MAX);
        assert!(!has_rung(&mut alarm));
    }

    #[test]
    fn a_timer_that_fires_at_the_time_before_is_set_to_the_last() {
        let clock = WallClock::starting_after(Time::ZERO);
        let mut alarm = Alarm::new(System::new(clock));
        let (before, last) = (clock.now() + LONG, clock.now() + 2 * LONG);
        alarm.set(before);
        assert!(!has_rung(&mut alarm));
        alarm.set(last);
        assert!(!has_rung(&mut alarm));
        assert_eq!(alarm.armed, Some(before), "a later time leaves the timer alone");
        // The time before has come.
        alarm.timer = alarm.platform.after(Duration::ZERO);
        assert!(!has_rung(&mut alarm), "the time before does not count");
        assert_eq!((alarm.armed, alarm.take_due()), (Some(last), None));
    }

    #[test]
    fn a_time_that_has_come_is_not_put_off() {
        let clock = WallClock::starting_after(Time::ZERO);
        let mut alarm = Alarm::new(System::new(clock));
        // Each event under load asks for a moment later than now.
        let first = clock.now();
        for _ in 0..3 {
            alarm.set(clock.now());
        }
        let later = clock.now() + LONG;
        alarm.set(later);
        assert!(has_rung(&mut alarm), "at the first time, which has come");
        let late = alarm.take_due();
        assert!(late.is_some_and(|late| late <= clock.now().since(first)), "{late:?}");
        assert_eq!(alarm.take_due(), None, "the later time is still to come");
        assert!(!has_rung(&mut alarm));
        assert_eq!((alarm.wanted, alarm.armed), (Some(later), Some(later)), "and is waited for");
    }
}
