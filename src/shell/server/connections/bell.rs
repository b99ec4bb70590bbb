//! A wake-up signal between two tasks of one thread.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Remembers one ring. At most one task waits at a time.
#[derive(Default)]
pub(super) struct Bell {
    rung: Cell<bool>,
    waiting: Cell<Option<Waker>>,
}

impl Bell {
    /// Wakes the task that waits, or lets the next `heard` return at once.
    pub(super) fn ring(&self) {
        self.rung.set(true);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// Waits for a ring. One that came earlier counts, once.
    pub(super) async fn heard(&self) {
        poll_fn(|context| {
            if self.rung.replace(false) {
                return Poll::Ready(());
            }
            let waker = self.waiting.take().filter(|waker| waker.will_wake(context.waker()));
            self.waiting.set(Some(waker.unwrap_or_else(|| context.waker().clone())));
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, or, poll_once};

    #[test]
    fn a_ring_is_heard_once_also_if_it_came_before() {
        let bell = Bell::default();
        bell.ring();
        bell.ring();
        assert_eq!(block_on(poll_once(bell.heard())), Some(()));
        assert_eq!(block_on(poll_once(bell.heard())), None);
    }

    #[test]
    fn it_wakes_the_one_who_waits() {
        let bell = Bell::default();
        let ringing = async {
            futures_lite::future::yield_now().await;
            bell.ring();
            std::future::pending::<()>().await;
        };
        block_on(or(bell.heard(), ringing));
    }
}
