//! Timers of the model system.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hobnob::time::Time;

use super::Model;

/// A timer of the virtual clock.
#[derive(Debug)]
pub(crate) struct ModelTimer {
    pub(super) model: Model,
    pub(super) at: Option<Time>,
    pub(super) set: Option<(Time, u64)>,
}

impl Future for ModelTimer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        let this = &mut *self;
        let mut kernel = this.model.kernel.borrow_mut();
        let before = this.set.take().and_then(|key| kernel.timers.remove(&key));
        if at <= kernel.now {
            drop(kernel);
            drop(before);
            self.at = None;
            return Poll::Ready(());
        }
        kernel.serial += 1;
        let key = (at, kernel.serial);
        kernel.timers.insert(key, (this.model.process, context.waker().clone()));
        this.set = Some(key);
        drop(kernel);
        drop(before);
        Poll::Pending
    }
}

impl Drop for ModelTimer {
    fn drop(&mut self) {
        let key = self.set.take();
        let waker = key.and_then(|key| self.model.kernel().timers.remove(&key));
        drop(waker);
    }
}
