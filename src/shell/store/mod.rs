//! The durable store: one SQLite file, one thread that writes it.
//!
//! The state task queues records and requests for mail in the order in which the core made them. The thread
//! writes everything that is queued in one transaction, so batches grow with the load, and answers through a
//! channel. A record that `Committed` covers is on disk.
//!
//! * If the disk is full or the folder read-only, the batch is refused as a whole. Nothing of it remains, and
//!   the next batch is tried.
//! * Any other failed write and every failed sync ends the store. After a failed sync the kernel may have
//!   dropped the pages and report success the next time, so a retry proves nothing.
//! * Accounts are kept in the credentials file. Mail is read page by page; memory holds only an index of it.
//!
//! `--ephemeral` uses the same store with a database in memory, so it behaves the same.

mod backup;
mod check;
mod disk;
mod export;
mod forget;
mod tables;
mod thread;
#[doc(hidden)]
pub mod unthreaded;

#[cfg(test)]
mod tests;

pub use backup::{BackupError, Summary, backup};
pub use check::{CheckError, CheckReport, check};
pub use disk::OpenError;
pub use export::{ExportError, export};
pub use forget::{ForgetError, forget_noted, knows, note, noted};
pub use thread::{AddAccount, Answer};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_channel::Sender;

use self::tables::pages::Request;
use self::tables::recovery::{self, Remembered};
use self::thread::{Failed, Inbox, Outlets, Task, Thread, Writer};
use crate::record::{Record, RecordNumber, Recovery};
use crate::server::times::Times;
use crate::time::Time;
use crate::words::{MessageId, Name, Ticket};

/// Options of [`open`].
pub struct Options {
    /// The data folder, created if it is missing; `None` for a database in memory.
    pub data: Option<PathBuf>,
    /// Path of the credentials file, for messages.
    pub credentials: PathBuf,
    /// Receives the answers. Must be unbounded, or read while [`Handle::close`] waits; the core bounds the
    /// number of requests under way. Closed when the store's thread ends.
    pub answers: Sender<Answer>,
    /// The current time. If [`Recovery::last_written`] is later, the caller continues from there.
    pub started: Time,
    /// Adds an account durably.
    pub add_account: AddAccount,
}

/// Handle of the state task. Dropping it [`close`](Handle::close)s the store.
#[derive(Debug)]
pub struct Handle {
    queued: Vec<Task>,
    /// Time of the last `wake`.
    now: Time,
    inbox: Arc<Inbox>,
    /// `None` after it was joined or abandoned.
    thread: Option<Thread>,
}

/// An error of closing the store. `Display` is the line for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// It has failed, now or earlier. Not everything that was queued is durable.
    #[error("{0}")]
    Failed(String),
    /// It is still writing, or blocked by the disk.
    #[error(
        "the store did not finish in time: what had been confirmed is on the disk, what was under way may not be"
    )]
    Hangs,
}

/// Opens the store and recovers its content. The new boot number is durable when this returns.
///
/// # Errors
/// [`OpenError`], with a message for the operator.
pub fn open(options: Options) -> Result<(Handle, Recovery), OpenError> {
    open_adjusted(options, |_| Ok(()))
}

/// Whether there is anything of a store in a folder. What cannot be looked at is there: its reader says why.
pub(crate) fn is_there(folder: &Path) -> bool {
    let missing = |end: &str| {
        let found = std::fs::symlink_metadata(folder.join(format!("{}{end}", disk::DATABASE)));
        found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    };
    !["", "-wal"].into_iter().all(missing)
}

/// Bytes of the database in a data folder, and of its log; `None` for a file that is not there.
pub(crate) fn sizes(folder: &Path) -> [Option<u64>; 2] {
    let size = |file: String| std::fs::metadata(folder.join(file)).ok().map(|found| found.len());
    [size(disk::DATABASE.to_owned()), size(format!("{}-wal", disk::DATABASE))]
}

/// [`open`], then `adjust`s the connection: tests simulate a full disk this way.
fn open_adjusted(
    options: Options,
    adjust: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<()>,
) -> Result<(Handle, Recovery), OpenError> {
    let Options { data, credentials, answers, started, add_account } = options;
    let outlets = Outlets { answers, credentials, add_account };
    let (writer, recovery) = open_writer(data.as_deref(), started, outlets, adjust)?;
    let now = started.max(recovery.last_written);
    let inbox = Arc::new(Inbox::default());
    let thread = thread::spawn(writer, Arc::clone(&inbox))?;
    Ok((Handle { queued: Vec::new(), now, inbox, thread: Some(thread) }, recovery))
}

/// Opens the database for the one that writes it, and recovers its content.
fn open_writer(
    data: Option<&Path>,
    started: Time,
    outlets: Outlets,
    adjust: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<()>,
) -> Result<(Writer, Recovery), OpenError> {
    let mut database = match data {
        Some(folder) => disk::open(folder, started)?,
        None => disk::in_memory(started)?,
    };
    let Remembered { recovery, known } = recovery::boot(&mut database.connection, started)
        .map_err(|trouble| database.place.trouble(trouble))?;
    adjust(&database.connection).map_err(|error| database.place.trouble(error.into()))?;
    let last_written = started.max(recovery.last_written);
    Ok((Writer::new(database, known, last_written, outlets), recovery))
}

impl Handle {
    /// Queues a record. Records queued between two calls of [`wake`](Self::wake) are stored together or not
    /// at all.
    pub fn persist(&mut self, number: RecordNumber, epoch: u64, record: Record) {
        self.queued.push(Task::Persist { number, epoch, record });
    }

    /// Queues a request for at most `limit` messages of `user` (only those of `from`, if given) with ids
    /// above `after`, as of after all records queued so far.
    pub fn load(&mut self, ticket: Ticket, user: Name, from: Option<Name>, after: MessageId, limit: u32) {
        self.queued.push(Task::Load(Request { ticket, user, from, after, limit }));
    }

    /// Passes everything queued since the last call to the thread at once. `now` becomes the time of the last
    /// write.
    pub fn wake(&mut self, now: Time) {
        self.now = now;
        self.hand_over();
    }

    fn hand_over(&mut self) {
        if !self.queued.is_empty() {
            self.inbox.put(&mut self.queued, self.now);
        }
    }

    /// How long the batches of records have taken, from their begin until they were durable or refused.
    #[must_use]
    pub fn batch_times(&self) -> Times {
        self.inbox.batch_times()
    }

    /// Waits until everything queued is durable or refused and the file is closed and unlocked.
    ///
    /// # Errors
    /// [`CloseError::Failed`].
    pub fn close(mut self) -> Result<(), CloseError> {
        self.end().map_err(|Failed(line)| CloseError::Failed(line))
    }

    /// [`close`](Self::close) with a time limit, because a disk can block forever. After the limit the thread
    /// is abandoned, and the caller is expected to end the process.
    ///
    /// # Errors
    /// [`CloseError`]. It is not an error if everything was written and only the log was still to be moved.
    pub fn close_within(mut self, patience: Duration) -> Result<(), CloseError> {
        self.hand_over();
        self.inbox.close();
        match self.thread.take().and_then(|thread| thread.join_within(patience)) {
            Some(ended) => ended.map_err(|Failed(line)| CloseError::Failed(line)),
            None if self.inbox.is_emptied() => Ok(()),
            None => Err(CloseError::Hangs),
        }
    }

    fn end(&mut self) -> Result<(), Failed> {
        self.hand_over();
        self.inbox.close();
        self.thread.take().map_or(Ok(()), Thread::join)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // A failure was reported by `Answer::Failed` already.
        let _ = self.end();
    }
}
