//! The real store as a disk of the simulated world.
//!
//! It is the code that the store's thread runs for each batch, called by the world, on a database in a folder:
//! in memory where the system has `/dev/shm`. All settings of the connection are those of the server. A disk
//! without room is SQLite's `max_page_count`, or a connection that may only read; a crash drops the connection,
//! often with a transaction that was interrupted or whose commit failed.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hobnob::record::Recovery;
use hobnob::shell::store::Answer;
use hobnob::shell::store::unthreaded::Unthreaded;
use hobnob::sim::disk::{Disk, Fault, Task, Told, Written};
use hobnob::time::Time;
use hobnob::words::{Credential, Name};
use rusqlite::Connection;
use tempfile::TempDir;

const DATABASE: &str = "hobnob.db";
/// The limit of a database that may grow.
const PAGES: u32 = 1_000_000;
/// The secret of every folder, so that equal runs have equal digests.
const SECRET: [u8; 32] = [7; 32];

/// A folder in memory, where the system has one.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder")
}

/// Moments of a batch that is to be interrupted: somewhere, at the end of a commit, interrupted there.
const ELSEWHERE: u8 = 0;
const COMMITTED: u8 = 1;
const CUT_OFF: u8 = 2;

/// How often what happened.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    starts: AtomicU64,
    batches: AtomicU64,
    pages: AtomicU64,
    refusals: AtomicU64,
    failures: AtomicU64,
    open_transactions: AtomicU64,
    /// Failures at a commit that was durable all the same.
    kept: AtomicU64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        write!(
            f,
            "{} starts, {} batches, {} pages of mail, {} refusals, {} failures, \
             of which {} left a transaction open and {} were of a commit that is durable",
            count(&self.starts),
            count(&self.batches),
            count(&self.pages),
            count(&self.refusals),
            count(&self.failures),
            count(&self.open_transactions),
            count(&self.kept),
        )
    }
}

impl Tally {
    pub(crate) fn assert_everything_happened(&self) {
        let all = [
            &self.starts,
            &self.batches,
            &self.pages,
            &self.refusals,
            &self.failures,
            &self.open_transactions,
        ];
        assert!(all.iter().all(|count| count.load(Ordering::Relaxed) > 0), "{self}");
    }
}

/// Each such write needs pages that a full disk does not have: SQLite refuses it in the middle of its batch.
fn spill(db: &Connection, when: &str) -> rusqlite::Result<()> {
    db.execute_batch(&format!(
        "CREATE TEMP TRIGGER spill AFTER {when} BEGIN INSERT INTO main.ballast VALUES (zeroblob(400000)); END"
    ))
}

fn count(what: &AtomicU64) {
    what.fetch_add(1, Ordering::Relaxed);
}

/// An empty database, made once and copied for each world.
pub(crate) struct Template(TempDir);

impl Template {
    pub(crate) fn new() -> Template {
        let folder = folder();
        let (store, _) = Unthreaded::open(folder.path(), Time(0), Box::new(|_, _| Ok(()))).expect("a store");
        store.connection().execute_batch("CREATE TABLE ballast (bytes)").expect("a table");
        store.connection().execute("UPDATE server SET secret = ?1, boot = 0", [SECRET]).expect("a row");
        store.close().expect("a database");
        Template(folder)
    }

    /// Makes it the database of a data folder.
    pub(crate) fn copy_to(&self, folder: &Path) {
        fs::copy(self.0.path().join(DATABASE), folder.join(DATABASE)).expect("a copy");
    }
}

/// The credentials file of a world.
#[derive(Debug, Default)]
struct Accounts {
    added: Mutex<Vec<(Name, Credential)>>,
    is_full: AtomicBool,
}

impl Accounts {
    fn add(&self, name: &Name, credential: &Credential) -> io::Result<()> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        added.push((name.clone(), credential.clone()));
        Ok(())
    }
}

/// The data folder of a world, and the store while a server runs.
#[derive(Debug)]
pub(crate) struct Sqlite {
    folder: TempDir,
    store: Option<Unthreaded>,
    accounts: Arc<Accounts>,
    moment: Arc<AtomicU8>,
    is_full: bool,
    /// Counts how often the disk was full.
    full: u32,
    tally: Arc<Tally>,
}

impl Sqlite {
    pub(crate) fn new(template: &Template, tally: Arc<Tally>) -> Sqlite {
        let folder = folder();
        template.copy_to(folder.path());
        Sqlite {
            folder,
            store: None,
            accounts: Arc::default(),
            moment: Arc::default(),
            is_full: false,
            full: 0,
            tally,
        }
    }

    fn set_full(&mut self, full: bool) -> rusqlite::Result<()> {
        if self.is_full == full {
            return Ok(());
        }
        self.is_full = full;
        self.full += u32::from(full);
        self.accounts.is_full.store(full && self.full.is_multiple_of(2), Ordering::Relaxed);
        let Some(store) = &self.store else { return Ok(()) };
        let db = store.connection();
        let pages: u32 = db.pragma_query_value(None, "page_count", |row| row.get(0))?;
        let most = if full { pages } else { PAGES };
        db.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))?;
        db.pragma_update(None, "query_only", false)?;
        db.execute_batch("DROP TRIGGER IF EXISTS temp.spill")?;
        match self.full % 5 {
            _ if !full => Ok(()),
            // What fits into the pages that are there has room.
            0 => Ok(()),
            // The folder became read-only.
            1 => db.pragma_update(None, "query_only", true),
            2 => spill(db, "INSERT ON main.mail"),
            3 => spill(db, "INSERT ON main.settled"),
            // The last that each batch writes.
            _ => spill(db, "UPDATE ON main.server"),
        }
    }

    /// Lets the next batch fail.
    fn set_fault(&self, fault: Option<Fault>) -> rusqlite::Result<()> {
        let Some(store) = &self.store else { return Ok(()) };
        match fault {
            None => Ok(()),
            Some(Fault::Commit) => store.connection().commit_hook(Some(|| true)),
            Some(Fault::Interrupt(mut steps)) => {
                let (committing, moment) = (Arc::clone(&self.moment), Arc::clone(&self.moment));
                store.connection().commit_hook(Some(move || {
                    committing.store(COMMITTED, Ordering::Relaxed);
                    false
                }))?;
                let is_over = move || {
                    // The first step after a commit is the end of the statement that committed.
                    let is_commit = moment.load(Ordering::Relaxed) == COMMITTED;
                    steps = steps.saturating_sub(1);
                    let next = if is_commit && steps == 0 { CUT_OFF } else { ELSEWHERE };
                    if moment.load(Ordering::Relaxed) != CUT_OFF {
                        moment.store(next, Ordering::Relaxed);
                    }
                    steps == 0
                };
                store.connection().progress_handler(1, Some(is_over))
            }
        }
    }

    fn answered(&self, answers: Vec<Answer>) -> Written {
        let mut written = Written::default();
        for answer in answers {
            match answer {
                Answer::Committed { upto } => written.answers.push(Told::Committed(upto)),
                Answer::Refused { from } => {
                    count(&self.tally.refusals);
                    written.answers.push(Told::Refused(from));
                }
                Answer::Mail { ticket, mail, more } => {
                    count(&self.tally.pages);
                    written.answers.push(Told::Loaded { ticket, mail, more });
                }
                Answer::Failed(why) => {
                    count(&self.tally.failures);
                    if self.store.as_ref().is_some_and(|store| !store.connection().is_autocommit()) {
                        count(&self.tally.open_transactions);
                    }
                    written.is_kept = self.moment.load(Ordering::Relaxed) == CUT_OFF;
                    if written.is_kept {
                        count(&self.tally.kept);
                    }
                    written.failed = Some(why);
                }
            }
        }
        written
    }
}

impl Disk for Sqlite {
    fn open(&mut self, now: Time) -> Result<Recovery, String> {
        count(&self.tally.starts);
        let accounts = Arc::clone(&self.accounts);
        let add = move |name: &Name, credential: &Credential| accounts.add(name, credential);
        let opened = Unthreaded::open(self.folder.path(), now, Box::new(add));
        let (store, recovery) = opened.map_err(|error| error.to_string())?;
        self.store = Some(store);
        self.moment.store(ELSEWHERE, Ordering::Relaxed);
        self.is_full = false;
        Ok(recovery)
    }

    fn recovery(&mut self) -> Result<Recovery, String> {
        self.store.as_ref().ok_or("it is closed")?.recovery()
    }

    fn write(&mut self, tasks: &[Task], now: Time, full: bool, fault: Option<Fault>) -> Written {
        count(&self.tally.batches);
        if let Err(error) = self.set_full(full).and_then(|()| self.set_fault(fault)) {
            return Written { failed: Some(error.to_string()), ..Written::default() };
        }
        let Some(store) = &mut self.store else {
            return Written { failed: Some("it is closed".to_owned()), ..Written::default() };
        };
        for task in tasks.iter().cloned() {
            match task {
                Task::Persist { number, epoch, record } => store.persist(number, epoch, record),
                Task::Load(load) => store.load(load.ticket, load.user, load.from, load.after, load.limit),
            }
        }
        let answers = store.write(now);
        self.answered(answers)
    }

    fn kill(&mut self) {
        self.store = None;
    }

    fn close(&mut self) -> Result<(), String> {
        self.store.take().map_or(Ok(()), Unthreaded::close)
    }

    fn take_accounts(&mut self) -> Vec<(Name, Credential)> {
        std::mem::take(&mut *self.accounts.added.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
