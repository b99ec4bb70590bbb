//! The one thread that writes: batches, refusals, checkpoints.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_channel::Sender;
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::failure::{OpenError, Severity, Trouble, judge, judge_account};
use super::folder::{Database, Place};
use super::pages::{self, Page};
use super::rows::Rows;
use super::{AddAccount, Answer, Known, Options};
use crate::record::{Change, Record, RecordNumber};
use crate::time::Time;
use crate::words::{Credential, MessageId, Name, Ticket};

/// Pages of 2 KiB in the log after which they are moved to the database. Nothing is committed meanwhile, so
/// they are few: under load 500 take some 3 ms, 8,000 some 30. A log that is soon written over from its
/// beginning also syncs faster than one that grows. Pages written often are still moved once for many times.
const CHECKPOINT_FRAMES: i64 = 500;

/// One thing to do.
#[derive(Debug)]
pub(super) enum Task {
    Persist { number: RecordNumber, epoch: u64, record: Record },
    Load(Request),
}

/// A page of mail that is wanted.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) ticket: Ticket,
    pub(super) user: Name,
    pub(super) from: Option<Name>,
    pub(super) after: MessageId,
    pub(super) limit: u32,
}

/// What waits for the thread.
#[derive(Debug, Default)]
pub(super) struct Inbox {
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
    pub(super) fn put(&self, tasks: &mut Vec<Task>, now: Time) {
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
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits for tasks and takes all there are, with the time; `None` when closed and empty.
    fn take(&self) -> Option<(Vec<Task>, Time)> {
        let mut waiting = self.lock();
        while waiting.tasks.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        Some((std::mem::take(&mut waiting.tasks), waiting.now))
    }

    /// Whether all that came before it was closed is durable or answered for.
    pub(super) fn is_emptied(&self) -> bool {
        self.emptied.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread. It ends when the inbox is closed and empty, or after a failure.
pub(super) fn spawn(
    database: Database,
    known: Known,
    last_written: Time,
    inbox: Arc<Inbox>,
    options: Options,
) -> Result<Thread, OpenError> {
    let (alive, ended) = mpsc::channel();
    let body = move || {
        let _alive: mpsc::Sender<Never> = alive;
        let _last_word = LastWord(options.answers.clone());
        run(&database, known, last_written, &inbox, options)
    };
    let handle = thread::Builder::new().name("store".to_owned()).spawn(body).map_err(OpenError::System)?;
    Ok(Thread { handle, ended })
}

/// The running thread.
#[derive(Debug)]
pub(super) struct Thread {
    handle: JoinHandle<Result<(), Failed>>,
    /// Nothing is sent; it closes as the thread ends.
    ended: mpsc::Receiver<Never>,
}

#[derive(Debug)]
enum Never {}

impl Thread {
    /// Waits for its end.
    pub(super) fn join(self) -> Result<(), Failed> {
        self.handle.join().unwrap_or_else(|_| Err(Failed::by_panic()))
    }

    /// Waits for its end, but no longer than this; `None` if it still runs, and may for ever.
    pub(super) fn join_within(self, patience: Duration) -> Option<Result<(), Failed>> {
        match self.ended.recv_timeout(patience) {
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(self.join()),
            Ok(never) => match never {},
        }
    }
}

/// Says so if the thread panics: nobody may wait for a store that is gone.
struct LastWord(Sender<Answer>);

impl Drop for LastWord {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.0.send_blocking(Answer::Failed(Failed::by_panic().0));
        }
    }
}

fn run(
    database: &Database,
    known: Known,
    last_written: Time,
    inbox: &Inbox,
    options: Options,
) -> Result<(), Failed> {
    let answers = options.answers.clone();
    let mut writer = Writer {
        db: &database.connection,
        place: &database.place,
        rows: Rows::new(&database.connection, known),
        last_written,
        answers: options.answers,
        add_account: options.add_account,
        credentials: options.credentials,
        refused: None,
        refusing: false,
        checkpoint_at: CHECKPOINT_FRAMES,
    };
    let mut ended = Ok(());
    while ended.is_ok() {
        let Some((tasks, now)) = inbox.take() else { break };
        writer.last_written = writer.last_written.max(now);
        ended = writer.take_batch(&tasks);
    }
    drop(writer);
    inbox.emptied.store(ended.is_ok(), Ordering::Release);
    ended.and_then(|()| settle_file(database)).inspect_err(|failed| {
        // The file is left as it is: its log holds what was confirmed, and the next start reads it.
        tracing::error!("{}", failed.0);
        let _ = answers.send_blocking(Answer::Failed(failed.0.clone()));
    })
}

/// Moves the whole log into the database and lets SQLite remove it.
fn settle_file(database: &Database) -> Result<(), Failed> {
    if database.place.folder().is_none() {
        return Ok(());
    }
    let file = database.place.file();
    match checkpoint(&database.connection, "TRUNCATE") {
        Ok(log) if log.busy => Ok(()),
        Ok(_) => database
            .connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
            .map(drop)
            .map_err(|error| Failed::new(&file, &error.into())),
        Err(trouble) if judge(&trouble, database.place.folder()) == Severity::NoRoom => {
            tracing::warn!("{} keeps its log: {trouble}", file.display());
            Ok(())
        }
        Err(trouble) => Err(Failed::new(&file, &trouble)),
    }
}

/// The end of the store, with the line for the operator.
#[derive(Debug)]
pub(super) struct Failed(pub(super) String);

impl Failed {
    pub(super) fn by_panic() -> Failed {
        Failed("the store's thread panicked".to_owned())
    }

    fn new(file: &std::path::Path, trouble: &Trouble) -> Failed {
        Failed(format!("the store {} failed and has stopped: {trouble}", file.display()))
    }
}

/// The records of a batch that are to be written.
#[derive(Clone, Copy)]
struct Span {
    first: RecordNumber,
    last: RecordNumber,
    epoch: u64,
}

struct Writer<'c> {
    db: &'c Connection,
    place: &'c Place,
    rows: Rows<'c>,
    /// The latest time that is known here: of a batch, or named by a record.
    last_written: Time,
    answers: Sender<Answer>,
    add_account: AddAccount,
    credentials: PathBuf,
    /// Records of this epoch or an earlier one are dropped.
    refused: Option<u64>,
    /// Whether the last batch was refused; for the log.
    refusing: bool,
    checkpoint_at: i64,
}

impl Writer<'_> {
    /// Does all that is waiting. An account is made durable by itself, behind the records before it:
    /// two files cannot be written as one, and so a refusal leaves nothing in either.
    fn take_batch(&mut self, tasks: &[Task]) -> Result<(), Failed> {
        let mut rest = tasks;
        while !rest.is_empty() {
            let account = rest.iter().position(Task::is_account).unwrap_or(rest.len());
            let (plain, from_account) = rest.split_at(account);
            self.write(plain)?;
            rest = match from_account {
                [
                    Task::Persist {
                        number,
                        epoch,
                        record: Record::Change(Change::AccountAdded { name, credential }),
                    },
                    later @ ..,
                ] => {
                    self.add_account(*number, *epoch, name, credential)?;
                    later
                }
                other => other,
            };
        }
        Ok(())
    }

    /// One transaction, if there is anything to write, and the mail that was asked for.
    fn write(&mut self, tasks: &[Task]) -> Result<(), Failed> {
        let Some(span) = self.span(tasks) else {
            let pages = self.read_pages(tasks).map_err(|trouble| self.failed(&trouble))?;
            self.send_pages(pages);
            return Ok(());
        };
        match self.transact(tasks) {
            Ok(pages) => {
                self.refusing = false;
                self.answer(Answer::Committed { upto: span.last });
                self.send_pages(pages);
                self.checkpoint_if_due()
            }
            Err(trouble) if judge(&trouble, self.place.folder()) == Severity::NoRoom => {
                self.roll_back().map_err(|trouble| self.failed(&trouble))?;
                let is_news = !self.refusing;
                self.refuse(span.first, span.epoch, &format!("{}: {trouble}", self.place.file().display()));
                let pages = self.read_pages(tasks).map_err(|trouble| self.failed(&trouble))?;
                self.send_pages(pages);
                if is_news {
                    // An emptied log is room, if the database need not grow for it.
                    self.checkpoint_at = 0;
                    self.checkpoint_if_due()?;
                }
                Ok(())
            }
            Err(trouble) => Err(self.failed(&trouble)),
        }
    }

    fn transact(&mut self, tasks: &[Task]) -> Result<Vec<(Ticket, Page)>, Trouble> {
        let mut pages = Vec::new();
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for task in tasks {
            match task {
                Task::Persist { epoch, record, .. } if self.is_live(*epoch) => self.rows.apply(record)?,
                Task::Persist { .. } => {}
                Task::Load(request) => pages.push(self.read_page(request)?),
            }
        }
        let written = self.rows.finish(self.last_written)?;
        self.db.prepare_cached("COMMIT")?.execute([])?;
        self.last_written = written;
        self.rows.committed();
        Ok(pages)
    }

    fn roll_back(&mut self) -> Result<(), Trouble> {
        self.rows.rolled_back();
        // A full disk may have ended the transaction already.
        if !self.db.is_autocommit() {
            self.db.execute_batch("ROLLBACK")?;
        }
        Ok(())
    }

    fn add_account(
        &mut self,
        number: RecordNumber,
        epoch: u64,
        name: &Name,
        credential: &Credential,
    ) -> Result<(), Failed> {
        if !self.is_live(epoch) {
            return Ok(());
        }
        match (self.add_account)(name, credential) {
            Ok(()) => {
                self.answer(Answer::Committed { upto: number });
                Ok(())
            }
            Err(error) => self.account_refused(number, epoch, &error),
        }
    }

    fn account_refused(&mut self, number: RecordNumber, epoch: u64, error: &io::Error) -> Result<(), Failed> {
        let file = self.credentials.display();
        match judge_account(error) {
            Severity::NoRoom => {
                let why = format!("{file}: {error}");
                self.refuse(number, epoch, &why);
                Ok(())
            }
            Severity::Fatal => {
                Err(Failed(format!("writing {file} failed and the store has stopped: {error}")))
            }
        }
    }

    /// From here on nothing of this epoch is written: later records may build on those refused.
    fn refuse(&mut self, from: RecordNumber, epoch: u64, why: &str) {
        if !self.refusing {
            tracing::warn!("cannot store: {why}");
        }
        self.refusing = true;
        self.refused = Some(epoch);
        self.answer(Answer::Refused { from });
    }

    fn is_live(&self, epoch: u64) -> bool {
        self.refused.is_none_or(|refused| epoch > refused)
    }

    fn span(&self, tasks: &[Task]) -> Option<Span> {
        let mut span: Option<Span> = None;
        for task in tasks {
            if let Task::Persist { number, epoch, .. } = task
                && self.is_live(*epoch)
            {
                let first = span.map_or(*number, |span| span.first);
                let epoch = span.map_or(*epoch, |span| span.epoch.max(*epoch));
                span = Some(Span { first, last: *number, epoch });
            }
        }
        span
    }

    /// Reads what is asked for, with none of the records around it.
    fn read_pages(&self, tasks: &[Task]) -> Result<Vec<(Ticket, Page)>, Trouble> {
        tasks
            .iter()
            .filter_map(|task| match task {
                Task::Persist { .. } => None,
                Task::Load(request) => Some(self.read_page(request)),
            })
            .collect()
    }

    fn read_page(&self, request: &Request) -> Result<(Ticket, Page), Trouble> {
        Ok((request.ticket, pages::read(self.db, &self.rows.known, request)?))
    }

    fn send_pages(&self, pages: Vec<(Ticket, Page)>) {
        for (ticket, Page { mail, more }) in pages {
            self.answer(Answer::Mail { ticket, mail, more });
        }
    }

    /// A server that no longer listens has nothing to be told.
    fn answer(&self, answer: Answer) {
        let _ = self.answers.send_blocking(answer);
    }

    /// Moves the log into the database once it is long. While somebody reads (a backup, `check`), a part
    /// of it stays; then it is tried again when as much has been added.
    fn checkpoint_if_due(&mut self) -> Result<(), Failed> {
        let Some(folder) = self.place.folder() else { return Ok(()) };
        let length = checkpoint(self.db, "NOOP").map_err(|trouble| self.failed(&trouble))?.frames;
        if length < self.checkpoint_at {
            return Ok(());
        }
        self.checkpoint_at = match checkpoint(self.db, "PASSIVE") {
            Ok(log) if log.moved >= log.frames => CHECKPOINT_FRAMES,
            Ok(log) => log.frames + CHECKPOINT_FRAMES,
            // The database cannot grow. The log holds everything, and is read at the next start.
            Err(trouble) if judge(&trouble, Some(folder)) == Severity::NoRoom => length + CHECKPOINT_FRAMES,
            Err(trouble) => return Err(self.failed(&trouble)),
        };
        Ok(())
    }

    fn failed(&self, trouble: &Trouble) -> Failed {
        Failed::new(&self.place.file(), trouble)
    }
}

impl Task {
    fn is_account(&self) -> bool {
        matches!(self, Task::Persist { record: Record::Change(Change::AccountAdded { .. }), .. })
    }
}

/// What a checkpoint reports.
struct Log {
    /// Another program is in the way.
    busy: bool,
    /// Pages in the log.
    frames: i64,
    /// How many of them are in the database as well.
    moved: i64,
}

/// `NOOP` only looks; `PASSIVE` moves what nobody reads; `TRUNCATE` all, and empties the log.
fn checkpoint(db: &Connection, mode: &str) -> Result<Log, Trouble> {
    let mut statement = db.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    let log = statement
        .query_row([], |row| Ok(Log { busy: row.get(0)?, frames: row.get(1)?, moved: row.get(2)? }))?;
    Ok(log)
}
