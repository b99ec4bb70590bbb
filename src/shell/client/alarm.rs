//! The timer of the state.

use futures_lite::future::yield_now;

use crate::shell::platform::Platform;

/// Rings once at the time that was set last.
pub(super) struct Alarm<P: Platform> {
    timer: P::Timer,
    /// The time has come, and the core has not been told.
    is_due: bool,
}

impl<P: Platform> Alarm<P> {
    /// An alarm that never rings.
    pub(super) fn new(platform: &P) -> Alarm<P> {
        Alarm { timer: platform.never(), is_due: false }
    }

    /// Rings at the time of this timer, and not before.
    pub(super) fn set(&mut self, timer: P::Timer) {
        *self = Alarm { timer, is_due: false };
    }

    /// Waits for the time; then other tasks have their turn, so that what has come in time is not too late. May be
    /// dropped and called again.
    pub(super) async fn ring(&mut self) {
        if !self.is_due {
            (&mut self.timer).await;
            self.is_due = true;
            yield_now().await;
        }
    }

    /// The core is told.
    pub(super) fn reset(&mut self) {
        self.is_due = false;
    }
}
