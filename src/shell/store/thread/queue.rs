//! The queue to the thread, and its answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::record::{Change, Mail, Record, RecordNumber};
use crate::server::times::Times;
use crate::shell::store::tables::pages::Request;
use crate::time::Time;
use crate::words::Ticket;

/// A task of the thread.
#[derive(Debug)]
pub(crate) enum Task {
    Persist { number: RecordNumber, epoch: u64, record: Record },
    Load(Request),
}

/// An answer of the store. Answers come in the order of the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// All records up to this one are durable, except those that were refused.
    Committed {
        /// The last one.
        upto: RecordNumber,
    },
    /// This record and all later ones of its epoch, or of an earlier one, are not stored and will not be.
    Refused {
        /// The first one.
        from: RecordNumber,
    },
    /// A page of mail.
    Mail {
        /// Of the request.
        ticket: Ticket,
        /// In order of ids.
        mail: Vec<Mail>,
        /// Whether there is more after it.
        more: bool,
    },
    /// The store has failed, for this reason. The last answer; the server must end.
    Failed(String),
}

/// Tasks that wait for the thread.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// The thread has finished all tasks.
    emptied: AtomicBool,
    /// How long the batches of records took, from their begin until they were durable or refused.
    batches: Mutex<Times>,
}

#[derive(Debug, Default)]
struct Waiting {
    tasks: Vec<Task>,
    /// One of them is a request for mail.
    has_load: bool,
    /// When the last of them was added.
    now: Time,
    closed: bool,
}

impl Waiting {
    /// All tasks, if there are any.
    fn take(&mut self) -> Option<(Vec<Task>, Time)> {
        self.has_load = false;
        (!self.tasks.is_empty()).then(|| (std::mem::take(&mut self.tasks), self.now))
    }
}

impl Inbox {
    /// Adds tasks atomically: the thread takes all of them at once.
    pub(crate) fn put(&self, tasks: &mut Vec<Task>, now: Time) {
        let has_load = tasks.iter().any(Task::is_load);
        let mut waiting = self.lock();
        waiting.now = now;
        // Otherwise the thread was woken already, or is busy and looks again before it sleeps.
        let wakes = waiting.tasks.is_empty() || has_load && !waiting.has_load;
        waiting.has_load |= has_load;
        waiting.tasks.append(tasks);
        drop(waiting);
        if wakes {
            self.changed.notify_one();
        }
    }

    /// Ends the thread after the tasks that wait.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits for tasks and takes all of them, with the time; `None` when closed and empty.
    pub(super) fn take(&self) -> Option<(Vec<Task>, Time)> {
        let mut waiting = self.lock();
        while waiting.tasks.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.take()
    }

    /// Lets records gather for so long; shorter if mail is asked for, or when closed.
    pub(super) fn gather(&self, pause: Duration) {
        let is_in_no_hurry = |waiting: &mut Waiting| !waiting.closed && !waiting.has_load;
        drop(self.changed.wait_timeout_while(self.lock(), pause, is_in_no_hurry));
    }

    /// Takes the tasks that wait, with the time, if there are any.
    pub(crate) fn take_waiting(&self) -> Option<(Vec<Task>, Time)> {
        self.lock().take()
    }

    /// Whether tasks wait.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.lock().tasks.is_empty()
    }

    /// A batch of records took so long.
    pub(super) fn note_batch(&self, took: Duration) {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).note(took);
    }

    /// How long the batches of records took.
    pub(crate) fn batch_times(&self) -> Times {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for [`close`](Self::close).
    pub(crate) fn wait_for_close(&self) {
        let mut waiting = self.lock();
        while !waiting.closed {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// To be called when all tasks before the close are durable or refused.
    pub(super) fn set_emptied(&self) {
        self.emptied.store(true, Ordering::Release);
    }

    /// Whether [`set_emptied`](Self::set_emptied) was called.
    pub(crate) fn is_emptied(&self) -> bool {
        self.emptied.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    fn is_load(&self) -> bool {
        matches!(self, Task::Load(_))
    }

    pub(super) fn is_record(&self) -> bool {
        matches!(self, Task::Persist { .. })
    }

    pub(super) fn is_account(&self) -> bool {
        matches!(self, Task::Persist { record: Record::Change(Change::AccountAdded { .. }), .. })
    }
}
