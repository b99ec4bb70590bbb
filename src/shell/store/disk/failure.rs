//! Errors of the store, and which of them only mean that the disk is full.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::ffi;

use super::files::create_private;

/// An error of opening the store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server uses the folder.
    #[error("{} is in use by another server", .0.display())]
    InUse(PathBuf),
    /// The file is damaged. It is not touched.
    #[error("{} is damaged: {why}; put a backup into an empty data folder, or move this one away to start with an empty one", .file.display())]
    Damaged {
        /// The database.
        file: PathBuf,
        /// What was found.
        why: String,
    },
    /// A backup was put beside the log of the database that it replaces. SQLite would apply the log to the
    /// backup, although it belongs to another file.
    #[error(
        "{} is a copy beside the log of another database; move {} away, and its -shm with it",
        .file.display(), .log.display()
    )]
    ForeignLog {
        /// The database.
        file: PathBuf,
        /// The log.
        log: PathBuf,
    },
    /// A database of another program.
    #[error("{} is not a Hobnob database", .0.display())]
    Foreign(PathBuf),
    /// Written by a newer version of this program.
    #[error("{} has schema version {found}, this program knows versions up to {known}: use a newer one", .file.display())]
    Newer {
        /// The database.
        file: PathBuf,
        /// Its version.
        found: u32,
        /// The newest known here.
        known: u32,
    },
    /// The folder or a file in it cannot be created, read or written.
    #[error("cannot use {}: {source}", .path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be read or written.
    #[error("cannot use {}: {}", .file.display(), plain(.source))]
    Database {
        /// The database.
        file: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// No random bytes or no thread.
    #[error("cannot start the store: {0}")]
    System(io::Error),
}

/// An error of a step within the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("{}", plain(.0))]
    Sqlite(#[from] rusqlite::Error),
    /// A row that no version of this program has written.
    #[error("unreadable {0}")]
    Unreadable(&'static str),
    #[error("no random bytes: {0}")]
    NoRandomness(String),
}

/// An error of SQLite in one line, without the statement.
pub(crate) fn plain(error: &rusqlite::Error) -> String {
    if let rusqlite::Error::SqlInputError { msg, .. } = error {
        return one_line(msg);
    }
    if let rusqlite::Error::IntegralValueOutOfRange(_, number) = error {
        return format!("a row holds the number {number}, which no server writes there");
    }
    if holds_odd_value(error) {
        return "a row holds a value that no server writes there".to_owned();
    }
    one_line(&error.to_string())
}

/// Joins the several lines in which SQLite reports damage.
pub(crate) fn one_line(text: &str) -> String {
    text.replace("***", "").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn holds_odd_value(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
    )
}

impl Trouble {
    /// Whether the file itself is damaged.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Trouble::Sqlite(error) => {
                let broken = [ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase];
                holds_odd_value(error) || error.sqlite_error_code().is_some_and(|code| broken.contains(&code))
            }
            Trouble::NoRandomness(_) => false,
            Trouble::Unreadable(_) => true,
        }
    }
}

/// How the writer reacts to an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Nothing was written, and a later attempt may succeed: refuse the batch and go on.
    NoRoom,
    /// Stop.
    Fatal,
}

/// Classifies an error of the database in `folder`.
pub(crate) fn judge(trouble: &Trouble, folder: Option<&Path>) -> Severity {
    let Trouble::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) = trouble else {
        return Severity::Fatal;
    };
    match failure.extended_code {
        // The file was moved or deleted: nobody will find what is written to it now.
        ffi::SQLITE_READONLY_DBMOVED => Severity::Fatal,
        // The shared-memory index grows after the transaction was written to the log and synced, so the
        // transaction may be found there.
        ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_IOERR_SHMMAP => Severity::Fatal,
        // SQLite uses these for every failed write except ENOSPC, among them an exceeded quota or file size
        // limit and a mount that turned read-only. A write to the folder tells which.
        ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_TRUNCATE | ffi::SQLITE_IOERR_SHMOPEN => {
            if folder.is_some_and(has_no_room) { Severity::NoRoom } else { Severity::Fatal }
        }
        code => match code & 0xff {
            // Busy: another program has locked the file. Nothing was written.
            ffi::SQLITE_FULL | ffi::SQLITE_READONLY | ffi::SQLITE_CANTOPEN | ffi::SQLITE_BUSY => {
                Severity::NoRoom
            }
            _ => Severity::Fatal,
        },
    }
}

/// Classifies an error of the credentials file: lack of space or permission, or a refusal before anything was
/// written, are not fatal.
pub(crate) fn judge_account(error: &io::Error) -> Severity {
    let no_room = matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotFound
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
    );
    if no_room { Severity::NoRoom } else { Severity::Fatal }
}

/// Tries to write two pages to a new file in the folder, at the offset where its longest file ends, since
/// there may be a limit of file sizes. They are not synced: the error of a sync would not tell anything here.
fn has_no_room(folder: &Path) -> bool {
    let path = folder.join("room");
    let _ = std::fs::remove_file(&path);
    let longest = longest_file(folder);
    let written = create_private(&path).and_then(|mut file| {
        use io::{Seek, SeekFrom, Write};
        file.seek(SeekFrom::Start(longest))?;
        file.write_all(&[0; 8192])
    });
    let _ = std::fs::remove_file(&path);
    written.is_err_and(|error| judge_account(&error) == Severity::NoRoom)
}

fn longest_file(folder: &Path) -> u64 {
    let length = |entry: io::Result<std::fs::DirEntry>| entry.and_then(|entry| entry.metadata()).ok();
    let lengths = std::fs::read_dir(folder).into_iter().flatten().filter_map(length);
    lengths.map(|file| file.len()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(extended: i32) -> Trouble {
        rusqlite::Error::SqliteFailure(ffi::Error::new(extended), None).into()
    }

    #[test]
    fn a_full_disk_and_a_read_only_folder_are_lack_of_room() {
        let codes = [
            ffi::SQLITE_FULL,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_READONLY_DIRECTORY,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_BUSY,
        ];
        for code in codes {
            assert_eq!(judge(&sqlite(code), None), Severity::NoRoom, "{code}");
        }
    }

    #[test]
    fn what_may_have_been_written_is_fatal_whatever_the_folder_says() {
        let codes = [
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_DIR_FSYNC,
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_READONLY_DBMOVED,
            ffi::SQLITE_CONSTRAINT,
            // The transaction is in the log by then.
            ffi::SQLITE_IOERR_SHMSIZE,
            ffi::SQLITE_IOERR_SHMMAP,
        ];
        for code in codes {
            for folder in [None, Some(Path::new("/dev/null/no"))] {
                assert_eq!(judge(&sqlite(code), folder), Severity::Fatal, "{code}");
            }
        }
        assert_eq!(judge(&Trouble::Unreadable("name"), None), Severity::Fatal);
    }

    #[test]
    fn a_failed_write_is_lack_of_room_only_if_the_folder_takes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let write = sqlite(ffi::SQLITE_IOERR_WRITE);
        assert_eq!(judge(&write, Some(folder.path())), Severity::Fatal);
        assert_eq!(judge(&write, Some(&folder.path().join("gone"))), Severity::NoRoom);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the probe leaves nothing");
    }

    #[test]
    fn the_credentials_file_is_judged_by_kind() {
        assert_eq!(judge_account(&io::Error::from_raw_os_error(28)), Severity::NoRoom);
        assert_eq!(judge_account(&io::Error::from_raw_os_error(122)), Severity::NoRoom);
        assert_eq!(judge_account(&io::Error::from_raw_os_error(30)), Severity::NoRoom);
        assert_eq!(judge_account(&io::ErrorKind::ResourceBusy.into()), Severity::NoRoom);
        assert_eq!(judge_account(&io::Error::from_raw_os_error(5)), Severity::Fatal);
    }
}
