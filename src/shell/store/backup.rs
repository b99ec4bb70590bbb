//! Backup of the database, even while a server uses it.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::disk::{self, DATABASE, OpenError, create_private, plain, sync_folder};

/// Summary of a backup.
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

/// An error of a backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database to copy cannot be opened.
    #[error(transparent)]
    Source(#[from] OpenError),
    /// The target exists; it is not overwritten.
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
    #[error("cannot copy to {}: {}", .to.display(), plain(.source))]
    Copy {
        /// The copy.
        to: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// Copies the database of a data folder to the new file `to`, as of one moment and durably. To restore it,
/// put it into an empty data folder as `hobnob.db`. A file of that name is always complete, even if the
/// program is killed.
///
/// # Errors
/// [`BackupError`]; no file is created then.
pub fn backup(data: &Path, to: &Path) -> Result<Summary, BackupError> {
    let source = disk::open_to_read(&data.join(DATABASE))?;
    if fs::symlink_metadata(to).is_ok() {
        return Err(BackupError::Exists(to.to_path_buf()));
    }
    // No other running process uses this name.
    let part = with_suffix(to, &format!(".{}.part", std::process::id()));
    let made = make(&source, &part, to);
    if made.is_err() {
        remove(&part);
    }
    made
}

fn make(source: &Connection, part: &Path, to: &Path) -> Result<Summary, BackupError> {
    let target = |source| BackupError::Target { to: to.to_path_buf(), source };
    remove(part);
    create_private(part).map_err(target)?;
    let mails = copy(source, part).map_err(|source| BackupError::Copy { to: to.to_path_buf(), source })?;
    let bytes = File::open(part)
        .and_then(|file| file.sync_all().and_then(|()| file.metadata()))
        .map_err(target)?
        .len();
    match name(part, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(BackupError::Exists(to.to_path_buf()))
        }
        named => named.map(|()| Summary { to: to.to_path_buf(), bytes, mails }).map_err(target),
    }
}

/// Renames a complete copy durably, unless the name is taken.
fn name(part: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, part, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system supports this flag.
        Err(Errno::INVAL | Errno::NOSYS) => {
            create_private(to)?;
            fs::rename(part, to)?;
        }
        renamed => renamed?,
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_folder(folder)
}

/// Removes an incomplete copy.
fn remove(part: &Path) {
    let _ = fs::remove_file(part);
    let _ = fs::remove_file(with_suffix(part, "-journal"));
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn copy(source: &Connection, to: &Path) -> rusqlite::Result<u64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(to, flags)?;
    // All pages in one step, hence one read transaction: between several steps, a commit of the server would
    // restart the copy. In WAL mode the server can write meanwhile.
    if Backup::new(source, &mut target)?.step(-1)? != StepResult::Done {
        return Err(locked());
    }
    // Makes the copy a single file that can be read from a read-only medium.
    target.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    let mails =
        target.query_row("SELECT count(*) FROM mail", [], |row| row.get(0).map(i64::cast_unsigned))?;
    target.close().map_err(|(_, error)| error)?;
    Ok(mails)
}

/// The error for a database that another program has locked exclusively.
fn locked() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None)
}
