//! The durable store: one SQLite file, one thread that writes it.
//!
//! The state task hands over records and requests for mail in the order in which the core made them;
//! the thread takes all that is waiting as one transaction, so batches form by load, and answers
//! through a channel. What can be told from `Committed` is on the disk.
//!
//! * A full disk or a folder that cannot be written refuses the batch as a whole; nothing of it
//!   remains, and the next batch is tried afresh.
//! * Any other failed write, and every failed sync, ends the store: after a failed sync the system
//!   may have thrown the pages away and report success the next time, so trying again proves nothing.
//! * Accounts live in the credentials file. Mail is read in pages and never wholly in memory; an index in
//!   memory says where each message lies.
//!
//! `--ephemeral` is the same store on a database in memory, so it cannot behave differently.

mod backup;
mod check;
mod disk;
mod tables;
mod thread;

#[cfg(test)]
mod tests;

pub use backup::{BackupError, Summary, backup};
pub use check::{CheckError, CheckReport, check};
pub use disk::OpenError;
pub use thread::{AddAccount, Answer};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_channel::Sender;

use self::tables::{pages::Request, recovery};
use self::thread::{Failed, Inbox, Outlets, Task, Thread};
use crate::record::{Record, RecordNumber, Recovery};
use crate::time::Time;
use crate::words::{MessageId, Name, Ticket};

/// What a store is opened with.
pub struct Options {
    /// The data folder, made if it is missing; `None` keeps everything in memory only.
    pub data: Option<PathBuf>,
    /// The credentials file, to name it when `add_account` fails.
    pub credentials: PathBuf,
    /// Where answers go. Unbounded, or read while [`Handle::close`] waits; the core bounds what is
    /// under way. Closed when the store's thread has ended.
    pub answers: Sender<Answer>,
    /// Now. If [`Recovery::last_written`] is later, the caller goes on from there instead.
    pub started: Time,
    /// Adds an account durably.
    pub add_account: AddAccount,
}

/// The state task's end of the store. Dropping it is [`close`](Handle::close).
#[derive(Debug)]
pub struct Handle {
    queued: Vec<Task>,
    /// When something was handed over last.
    now: Time,
    inbox: Arc<Inbox>,
    /// `None` once it has ended, or is left to itself.
    thread: Option<Thread>,
}

/// Why a store was not closed well. `Display` is the line for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// It has failed, now or at any time before. Not everything that was queued is durable.
    #[error("{0}")]
    Failed(String),
    /// It still works on what was queued, or waits for the disk.
    #[error(
        "the store did not finish in time: what had been confirmed is on the disk, what was under way may not be"
    )]
    Hangs,
}

/// Opens the store and reads what is remembered. The boot number has grown durably when this returns.
///
/// # Errors
/// [`OpenError`], each with a text for the operator.
pub fn open(options: Options) -> Result<(Handle, Recovery), OpenError> {
    open_adjusted(options, |_| Ok(()))
}

/// [`open`], with a last word on the connection: tests make a full disk with it.
fn open_adjusted(
    options: Options,
    adjust: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<()>,
) -> Result<(Handle, Recovery), OpenError> {
    let Options { data, credentials, answers, started, add_account } = options;
    let mut database = match &data {
        Some(folder) => disk::open(folder, started)?,
        None => disk::in_memory(started)?,
    };
    let remembered = recovery::boot(&mut database.connection, started)
        .map_err(|trouble| database.place.trouble(trouble))?;
    adjust(&database.connection).map_err(|error| database.place.trouble(error.into()))?;
    let recovery = remembered.recovery;
    let now = started.max(recovery.last_written);
    let inbox = Arc::new(Inbox::default());
    let outlets = Outlets { answers, credentials, add_account };
    let thread = thread::spawn(database, remembered.known, now, Arc::clone(&inbox), outlets)?;
    Ok((Handle { queued: Vec::new(), now, inbox, thread: Some(thread) }, recovery))
}

impl Handle {
    /// Queues a record. Records handed over by one [`wake`](Self::wake) are stored together or not at all.
    pub fn persist(&mut self, number: RecordNumber, epoch: u64, record: Record) {
        self.queued.push(Task::Persist { number, epoch, record });
    }

    /// Queues the reading of at most `limit` messages of `user` (from `from` only, if given) with ids
    /// above `after`, as they are behind all records queued before.
    pub fn load(&mut self, ticket: Ticket, user: Name, from: Option<Name>, after: MessageId, limit: u32) {
        self.queued.push(Task::Load(Request { ticket, user, from, after, limit }));
    }

    /// Hands over everything queued since the last call, in one go. It is `now`: what is written then counts as
    /// written at that time.
    pub fn wake(&mut self, now: Time) {
        self.now = now;
        self.hand_over();
    }

    fn hand_over(&mut self) {
        if !self.queued.is_empty() {
            self.inbox.put(&mut self.queued, self.now);
        }
    }

    /// Waits until all that was queued is durable or answered for, and the file is whole and unlocked.
    ///
    /// # Errors
    /// [`CloseError::Failed`].
    pub fn close(mut self) -> Result<(), CloseError> {
        self.end().map_err(|Failed(line)| CloseError::Failed(line))
    }

    /// [`close`](Self::close), but waits no longer than this: a disk may take for ever. The thread is left to
    /// itself then, and the caller is expected to end the process.
    ///
    /// # Errors
    /// [`CloseError`]. A store that has written everything and was only about to tidy up its file is closed well
    /// enough.
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
        // A failure has been answered with `Failed`; whoever still wants to hear of one closes the store.
        let _ = self.end();
    }
}
