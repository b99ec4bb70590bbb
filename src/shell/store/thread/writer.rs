//! Writes batches and decides about refusals and checkpoints.

use std::io;
use std::path::PathBuf;

use async_channel::Sender;

use super::checkpoint::{checkpoint, settle_file};
use super::failed::Failed;
use super::queue::{Answer, Task};
use crate::record::{Change, Record, RecordNumber};
use crate::shell::folder_lock::FolderLock;
use crate::shell::store::disk::{Database, Place, Severity, Trouble, judge, judge_account};
use crate::shell::store::tables::pages::{self, Page, Request};
use crate::shell::store::tables::{Known, Rows};
use crate::time::Time;
use crate::words::{Credential, Name, Ticket};

/// Adds an account to the credentials file, durably. After an error nothing was added.
pub type AddAccount = Box<dyn Fn(&Name, &Credential) -> io::Result<()> + Send>;

/// What the thread uses apart from the database.
pub(crate) struct Outlets {
    pub(crate) answers: Sender<Answer>,
    /// Path of the credentials file, for messages.
    pub(crate) credentials: PathBuf,
    pub(crate) add_account: AddAccount,
}

/// Pages of 2 KiB in the log that trigger a checkpoint. Commits wait for it, so the number is small: under
/// load 500 pages take 3 ms, 8,000 take 30. A log that is overwritten from its start also syncs faster than
/// one that grows. It is still large enough that a page written often is moved once for many writes.
const CHECKPOINT_FRAMES: i64 = 500;

/// The range of records of a batch that are to be written.
#[derive(Clone, Copy)]
struct Span {
    first: RecordNumber,
    last: RecordNumber,
    epoch: u64,
}

/// Has the open database. Dropping it closes the database, without moving the log.
pub(crate) struct Writer {
    /// Declared before the lock, so that the database is closed before the lock is released.
    pub(crate) rows: Rows,
    _lock: Option<FolderLock>,
    place: Place,
    /// Time of the last write: of a batch, or of a record in it if that is later.
    last_written: Time,
    outlets: Outlets,
    /// Records of this epoch or an earlier one are dropped.
    refused: Option<u64>,
    /// Whether the last batch was refused, to log only the first refusal.
    refusing: bool,
    checkpoint_at: i64,
}

impl Writer {
    pub(crate) fn new(database: Database, known: Known, last_written: Time, outlets: Outlets) -> Writer {
        let Database { connection, place, lock } = database;
        Writer {
            rows: Rows::new(connection, known),
            _lock: lock,
            place,
            last_written,
            outlets,
            refused: None,
            refusing: false,
            checkpoint_at: CHECKPOINT_FRAMES,
        }
    }

    /// Handles all tasks. An account is written by itself, after the records before it: a transaction cannot
    /// span two files, and this way a refusal leaves nothing in either.
    pub(crate) fn take_batch(&mut self, tasks: &[Task], now: Time) -> Result<(), Failed> {
        self.last_written = self.last_written.max(now);
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

    /// Moves the log into the database, before it is closed in good order.
    pub(crate) fn settle(&self) -> Result<(), Failed> {
        settle_file(&self.rows.db, &self.place)
    }

    /// Where the answers go.
    pub(super) const fn answers(&self) -> &Sender<Answer> {
        &self.outlets.answers
    }

    /// Writes records in one transaction, if there are any, and answers requests for mail.
    fn write(&mut self, tasks: &[Task]) -> Result<(), Failed> {
        let Some(span) = self.span(tasks) else {
            let pages = self.read_pages(tasks).map_err(|trouble| self.failed(&trouble))?;
            self.send_pages(pages);
            return Ok(());
        };
        match self.transact(tasks) {
            Ok(pages) => {
                self.refusing = false;
                self.answer_in_order(pages, span.last);
                self.checkpoint_if_due()
            }
            Err(trouble) if judge(&trouble, self.place.folder()) == Severity::NoRoom => {
                self.roll_back().map_err(|trouble| self.failed(&trouble))?;
                let is_news = !self.refusing;
                self.refuse(span.first, span.epoch, &format!("{}: {trouble}", self.place.file().display()));
                let pages = self.read_pages(tasks).map_err(|trouble| self.failed(&trouble))?;
                self.send_pages(pages);
                if is_news {
                    // A checkpoint frees the log, if the database need not grow for it.
                    self.checkpoint_at = 0;
                    self.checkpoint_if_due()?;
                }
                Ok(())
            }
            Err(trouble) => Err(self.failed(&trouble)),
        }
    }

    /// Says what is durable, and hands out each page between the records before and after it: a page that was
    /// asked for before a message was removed is not taken for a later one.
    fn answer_in_order(&self, pages: Vec<(Option<RecordNumber>, Ticket, Page)>, last: RecordNumber) {
        let mut told = None;
        let mut tell = |upto: Option<RecordNumber>| {
            if upto > told {
                told = upto;
                upto.into_iter().for_each(|upto| self.answer(Answer::Committed { upto }));
            }
        };
        for (before, ticket, page) in pages {
            tell(before);
            self.send_pages(Vec::from([(ticket, page)]));
        }
        tell(Some(last));
    }

    /// Writes what is live, and reads the pages, each with the last record before it.
    fn transact(&mut self, tasks: &[Task]) -> Result<Vec<(Option<RecordNumber>, Ticket, Page)>, Trouble> {
        let (mut pages, mut before) = (Vec::new(), None);
        self.rows.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for task in tasks {
            match task {
                Task::Persist { number, epoch, record } if self.is_live(*epoch) => {
                    self.rows.apply(record)?;
                    before = Some(*number);
                }
                Task::Persist { .. } => {}
                Task::Load(request) => {
                    let (ticket, page) = self.read_page(request)?;
                    pages.push((before, ticket, page));
                }
            }
        }
        let written = self.rows.finish(self.last_written)?;
        self.rows.db.prepare_cached("COMMIT")?.execute([])?;
        self.last_written = written;
        self.rows.committed();
        Ok(pages)
    }

    fn roll_back(&mut self) -> Result<(), Trouble> {
        self.rows.rolled_back();
        // SQLite may have rolled back by itself when the disk was full.
        if !self.rows.db.is_autocommit() {
            self.rows.db.execute_batch("ROLLBACK")?;
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
        match (self.outlets.add_account)(name, credential) {
            Ok(()) => {
                self.answer(Answer::Committed { upto: number });
                Ok(())
            }
            Err(error) => self.account_refused(number, epoch, &error),
        }
    }

    fn account_refused(&mut self, number: RecordNumber, epoch: u64, error: &io::Error) -> Result<(), Failed> {
        let file = self.outlets.credentials.display();
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

    /// Refuses a record and all later ones of its epoch, because they may depend on it.
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

    /// Reads the requested pages without writing anything.
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
        Ok((request.ticket, pages::read(&self.rows.db, &self.rows.known, request)?))
    }

    fn send_pages(&self, pages: Vec<(Ticket, Page)>) {
        for (ticket, Page { mail, more }) in pages {
            self.answer(Answer::Mail { ticket, mail, more });
        }
    }

    /// Sends an answer. Ignored if the server does not listen any more.
    fn answer(&self, answer: Answer) {
        let _ = self.outlets.answers.send_blocking(answer);
    }

    /// Runs a checkpoint if the log is long. While another program reads, a part of the log remains; the next
    /// attempt is made when the log has grown by the same amount.
    fn checkpoint_if_due(&mut self) -> Result<(), Failed> {
        let Some(folder) = self.place.folder() else { return Ok(()) };
        let length = checkpoint(&self.rows.db, "NOOP").map_err(|trouble| self.failed(&trouble))?.frames;
        if length < self.checkpoint_at {
            return Ok(());
        }
        self.checkpoint_at = match checkpoint(&self.rows.db, "PASSIVE") {
            Ok(log) if log.moved >= log.frames => CHECKPOINT_FRAMES,
            Ok(log) => log.frames + CHECKPOINT_FRAMES,
            // The database cannot grow. The log holds everything and is read at the next start.
            Err(trouble) if judge(&trouble, Some(folder)) == Severity::NoRoom => length + CHECKPOINT_FRAMES,
            Err(trouble) => return Err(self.failed(&trouble)),
        };
        Ok(())
    }

    fn failed(&self, trouble: &Trouble) -> Failed {
        Failed::new(&self.place.file(), trouble)
    }
}
