//! What passes between the task of the state and the thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::record::{Change, Mail, Record, RecordNumber};
use crate::shell::store::tables::pages::Request;
use crate::time::Time;
use crate::words::Ticket;

/// One thing to do.
#[derive(Debug)]
pub(crate) enum Task {
    Persist { number: RecordNumber, epoch: u64, record: Record },
    Load(Request),
}

/// What the store reports, in the order of what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// All records up to this one that were not refused are durable.
    Committed {
        /// The last one.
        upto: RecordNumber,
    },
    /// This record and all later ones of its epoch or an earlier one are not and will not be stored.
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
        /// Whether more waits behind it.
        more: bool,
    },
    /// The store has stopped for good, and why. The last answer; the server must end. Who closes the
    /// store hears it as well.
    Failed(String),
}

/// What waits for the thread.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// The thread has taken all there was and is done with it.
    emptied: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    tasks: Vec<Task>,
    /// When the last of them was handed over.
    now: Time,
    closed: bool,
}

impl Inbox {
    /// Adds tasks, all at once: the thread never sees a part of them.
    pub(crate) fn put(&self, tasks: &mut Vec<Task>, now: Time) {
        let mut waiting = self.lock();
        waiting.now = now;
        if !waiting.tasks.is_empty() {
            // The thread was woken for those, or is at work and will look before it sleeps.
            waiting.tasks.append(tasks);
            return;
        }
        std::mem::swap(&mut waiting.tasks, tasks);
        drop(waiting);
        self.changed.notify_one();
    }

    /// No more will come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits for tasks and takes all there are, with the time; `None` when closed and empty.
    pub(super) fn take(&self) -> Option<(Vec<Task>, Time)> {
        let mut waiting = self.lock();
        while waiting.tasks.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        Some((std::mem::take(&mut waiting.tasks), waiting.now))
    }

    /// All that came before it was closed is durable or answered for.
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
    pub(super) fn is_account(&self) -> bool {
        matches!(self, Task::Persist { record: Record::Change(Change::AccountAdded { .. }), .. })
    }
}
