//! A copy of the database, also while a server works on it.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::failure::OpenError;
use super::folder::{DATABASE, create_private, sync_folder};
use super::schema;

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The copy.
    pub to: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Messages waiting in it.
    pub mails: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { to, bytes, mails } = self;
        write!(f, "{}: {bytes} bytes, {mails} stored messages", to.display())
    }
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database to copy cannot be opened.
    #[error(transparent)]
    Source(#[from] OpenError),
    /// There is something at the target; it is left alone.
    #[error("{} exists; a backup overwrites nothing", .0.display())]
    Exists(PathBuf),
    /// The copy cannot be made.
    #[error("cannot write {}: {source}", .to.display())]
    Target {
        /// The copy.
        to: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Copying failed.
    #[error("cannot copy to {}: {source}", .to.display())]
    Copy {
        /// The copy.
        to: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// Copies the database of a data folder to the new file `to`: the state of one moment, durable when
/// this returns. To go back to it, put it into a data folder as `hobnob.db`.
///
/// # Errors
/// [`BackupError`]; then there is no file at `to` but one that was there before.
pub fn backup(data: &Path, to: &Path) -> Result<Summary, BackupError> {
    let source = schema::open_to_read(&data.join(DATABASE))?;
    let target = |source| BackupError::Target { to: to.to_path_buf(), source };
    match create_private(to) {
        Ok(file) => drop(file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(BackupError::Exists(to.to_path_buf()));
        }
        Err(error) => return Err(target(error)),
    }
    let copied = copy(&source, to)
        .map_err(|source| BackupError::Copy { to: to.to_path_buf(), source })
        .and_then(|mails| make_durable(to).map(|bytes| (mails, bytes)).map_err(target));
    match copied {
        Ok((mails, bytes)) => Ok(Summary { to: to.to_path_buf(), bytes, mails }),
        Err(error) => {
            let _ = fs::remove_file(to);
            Err(error)
        }
    }
}

fn copy(source: &Connection, to: &Path) -> rusqlite::Result<u64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(to, flags)?;
    // All pages in one step, so in one read transaction: in several, each commit of the server would
    // begin the copy anew. The log lets the server write all the while.
    if Backup::new(source, &mut target)?.step(-1)? != StepResult::Done {
        return Err(locked());
    }
    // The copy is to be a single file, readable from a medium that cannot be written.
    target.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    let mails =
        target.query_row("SELECT count(*) FROM mail", [], |row| row.get(0).map(i64::cast_unsigned))?;
    target.close().map_err(|(_, error)| error)?;
    Ok(mails)
}

/// Another program has locked the database for itself alone.
fn locked() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None)
}

fn make_durable(to: &Path) -> io::Result<u64> {
    let file = File::open(to)?;
    file.sync_all()?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_folder(folder)?;
    Ok(file.metadata()?.len())
}
