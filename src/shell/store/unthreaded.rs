//! The store without its thread: its owner has each batch written. The simulated world plays with it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_channel::Receiver;
use rusqlite::Connection;

use super::tables::pages::Request;
use super::tables::recovery;
use super::thread::{self, AddAccount, Answer, Inbox, Outlets, Task, Writer};
use super::{Handle, OpenError, Options, open_writer};
use crate::record::{Record, RecordNumber, Recovery};
use crate::time::Time;
use crate::words::{MessageId, Name, Ticket};

/// An open store. Dropping it leaves the folder as a process does that is killed.
pub struct Unthreaded {
    writer: Writer,
    answers: Receiver<Answer>,
    queued: Vec<Task>,
}

impl fmt::Debug for Unthreaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unthreaded").field("queued", &self.queued.len()).finish_non_exhaustive()
    }
}

impl Unthreaded {
    /// Opens a data folder and recovers its content, as [`open`](super::open) does.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        folder: &Path,
        started: Time,
        add_account: AddAccount,
    ) -> Result<(Unthreaded, Recovery), OpenError> {
        let (sender, answers) = async_channel::unbounded();
        let outlets = Outlets { answers: sender, credentials: PathBuf::from("credentials.txt"), add_account };
        let (writer, recovery) = open_writer(Some(folder), started, outlets, |_| Ok(()))?;
        Ok((Unthreaded { writer, answers, queued: Vec::new() }, recovery))
    }

    /// The connection, to let it fail.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.writer.rows.db
    }

    /// Queues a record, as [`Handle::persist`](super::Handle::persist) does.
    pub fn persist(&mut self, number: RecordNumber, epoch: u64, record: Record) {
        self.queued.push(Task::Persist { number, epoch, record });
    }

    /// Queues a request for mail, as [`Handle::load`](super::Handle::load) does.
    pub fn load(&mut self, ticket: Ticket, user: Name, from: Option<Name>, after: MessageId, limit: u32) {
        self.queued.push(Task::Load(Request { ticket, user, from, after, limit }));
    }

    /// Does all that is queued, as the thread does it; what it answers. If the store fails, the last answer is
    /// [`Answer::Failed`], and the store is only to be dropped.
    pub fn write(&mut self, now: Time) -> Vec<Answer> {
        let tasks = std::mem::take(&mut self.queued);
        let ended = self.writer.take_batch(&tasks, now);
        let mut answers = Vec::new();
        while let Ok(answer) = self.answers.try_recv() {
            answers.push(answer);
        }
        answers.extend(ended.err().map(|failed| Answer::Failed(failed.0)));
        answers
    }

    /// What a start would read now.
    ///
    /// # Errors
    /// What was wrong, in words.
    pub fn recovery(&self) -> Result<Recovery, String> {
        recovery::recover(self.connection())
            .map(|remembered| remembered.recovery)
            .map_err(|trouble| trouble.to_string())
    }

    /// Closes the store in good order.
    ///
    /// # Errors
    /// What was wrong, in words.
    pub fn close(self) -> Result<(), String> {
        self.writer.settle().map_err(|failed| failed.0)
    }
}

/// The other end of a [`Handle`]: what is queued through the one is written when this is told to. The thread of the
/// handle has nothing to do until it is closed, and then finishes as ever.
pub struct Stepped {
    writer: Arc<Mutex<Option<Writer>>>,
    inbox: Arc<Inbox>,
}

impl fmt::Debug for Stepped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stepped").field("waits", &self.has_waiting()).finish_non_exhaustive()
    }
}

impl Stepped {
    /// Opens the store and recovers its content, as [`open`](super::open) does.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(options: Options) -> Result<(Handle, Stepped, Recovery), OpenError> {
        let Options { data, credentials, answers, started, add_account } = options;
        let outlets = Outlets { answers, credentials, add_account };
        let (writer, recovery) = open_writer(data.as_deref(), started, outlets, |_| Ok(()))?;
        let (writer, inbox) = (Arc::new(Mutex::new(Some(writer))), Arc::new(Inbox::default()));
        let (left, closing) = (Arc::clone(&writer), Arc::clone(&inbox));
        let thread = thread::spawn_body(move || {
            closing.wait_for_close();
            let writer = lock(&left).take();
            writer.map_or(Ok(()), |writer| thread::run(writer, &closing))
        })?;
        let now = started.max(recovery.last_written);
        let handle = Handle { queued: Vec::new(), now, inbox: Arc::clone(&inbox), thread: Some(thread) };
        Ok((handle, Stepped { writer, inbox }, recovery))
    }

    /// Whether anything is to be written.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        self.inbox.has_waiting()
    }

    /// Does all that is queued, as the thread does it.
    ///
    /// # Errors
    /// What was wrong, in words. The store is only to be dropped then.
    pub fn write(&self) -> Result<(), String> {
        let Some((tasks, now)) = self.inbox.take_waiting() else { return Ok(()) };
        match lock(&self.writer).as_mut() {
            Some(writer) => writer.take_batch(&tasks, now).map_err(|failed| failed.0),
            None => Err("it is closed".to_owned()),
        }
    }

    /// Leaves the folder as a process does that is killed: nothing that is queued is written any more.
    pub fn kill(&self) {
        drop(lock(&self.writer).take());
    }
}

fn lock(writer: &Mutex<Option<Writer>>) -> MutexGuard<'_, Option<Writer>> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}
