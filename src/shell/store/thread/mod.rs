//! The one thread that works on the database.

mod checkpoint;
mod failed;
mod queue;
mod writer;

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_channel::Sender;

pub(crate) use self::failed::Failed;
pub use self::queue::Answer;
pub(crate) use self::queue::{Inbox, Task};
pub use self::writer::AddAccount;
pub(crate) use self::writer::{Outlets, Writer};
use super::disk::OpenError;
use crate::shell::platform::Stopwatch;

/// After a batch of fewer tasks than `SMALL_BATCH`, so that the next one grows. Whoever waits for each of their changes
/// before the next would otherwise have a transaction for each: four of them took half of a core.
const SMALL_BATCH_PAUSE: Duration = Duration::from_millis(2);
const SMALL_BATCH: usize = 64;

/// Starts the thread. It ends when the inbox is closed and empty, or after a failure.
pub(crate) fn spawn(writer: Writer, inbox: Arc<Inbox>) -> Result<Thread, OpenError> {
    let last_word = LastWord(writer.answers().clone());
    spawn_body(move || {
        let _last_word = last_word;
        run(writer, &inbox)
    })
}

/// Starts a thread that does this.
pub(crate) fn spawn_body(
    body: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Result<Thread, OpenError> {
    let (alive, ended) = mpsc::channel();
    let body = move || {
        let _alive: mpsc::Sender<Never> = alive;
        body()
    };
    let handle = thread::Builder::new().name("store".to_owned()).spawn(body).map_err(OpenError::System)?;
    Ok(Thread { handle, ended })
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Thread {
    handle: JoinHandle<Result<(), Failed>>,
    /// Nothing is sent; closed when the thread ends.
    ended: mpsc::Receiver<Never>,
}

#[derive(Debug)]
enum Never {}

impl Thread {
    /// Waits until the thread ends.
    pub(crate) fn join(self) -> Result<(), Failed> {
        self.handle.join().unwrap_or_else(|_| Err(Failed::by_panic()))
    }

    /// Waits until the thread ends, for at most `patience`; `None` if it still runs then.
    pub(crate) fn join_within(self, patience: Duration) -> Option<Result<(), Failed>> {
        match self.ended.recv_timeout(patience) {
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(self.join()),
            Ok(never) => match never {},
        }
    }
}

/// Reports a panic of the thread, so that nobody waits for a store that is gone.
struct LastWord(Sender<Answer>);

impl Drop for LastWord {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.0.send_blocking(Answer::Failed(Failed::by_panic().0));
        }
    }
}

/// Writes all that comes until the inbox is closed and empty, or a write fails.
pub(crate) fn run(mut writer: Writer, inbox: &Inbox) -> Result<(), Failed> {
    let mut ended = Ok(());
    while ended.is_ok() {
        let Some((tasks, now)) = inbox.take() else { break };
        let watch = Stopwatch::start();
        ended = writer.take_batch(&tasks, now);
        if tasks.iter().any(Task::is_record) {
            inbox.note_batch(watch.elapsed());
        }
        if tasks.len() < SMALL_BATCH && ended.is_ok() {
            inbox.gather(SMALL_BATCH_PAUSE);
        }
    }
    if ended.is_ok() {
        inbox.set_emptied();
    }
    ended.and_then(|()| writer.settle()).inspect_err(|failed| {
        // The file is not touched: the log holds everything that was confirmed, and the next start reads it.
        tracing::error!("{}", failed.0);
        let _ = writer.answers().send_blocking(Answer::Failed(failed.0.clone()));
    })
}
