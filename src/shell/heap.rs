//! Memory that was freed goes back to the system.
//!
//! The allocator of glibc keeps what the busiest moment took: after four users had blocked and unblocked somebody as
//! fast as they could, 1.5 MiB beside 0.4 in use, and all of it came back with `malloc_trim`. Others give it back
//! themselves.

use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use smol::LocalExecutor;

use super::platform::Platform;

/// Freed memory is given back once there was no work for this long. That is looked at once in this time, so it happens
/// between one and two of these times after the last work.
const REST: Duration = Duration::from_secs(4);
/// After so many of these times it is given back although work goes on.
const MOST_RESTS: u32 = 15;

/// Told of each turn of work.
#[derive(Debug)]
pub(crate) struct Heap(Sender<()>);

impl Heap {
    /// Gives freed memory back some time after work, while the executor runs.
    pub(crate) fn keep_small<P: Platform>(platform: &P, executor: &LocalExecutor<'static>) -> Heap {
        let (worked, work) = bounded(1);
        executor.spawn(give_back_after(work, platform.clone())).detach();
        Heap(worked)
    }

    /// Something was done, and memory perhaps freed.
    pub(crate) fn note_work(&self) {
        // Full while it is known already.
        let _ = self.0.try_send(());
    }
}

async fn give_back_after<P: Platform>(work: Receiver<()>, platform: P) {
    while work.recv().await.is_ok() {
        for _ in 0..MOST_RESTS {
            platform.after(REST).await;
            if work.try_recv().is_err() {
                break;
            }
        }
        platform.give_back_memory();
    }
}
