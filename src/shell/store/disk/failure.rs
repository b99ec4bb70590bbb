//! What can go wrong, and which of it is only a lack of room.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::ffi;

use super::files::create_private;

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A second server on one folder.
    #[error("{} is in use by another server", .0.display())]
    InUse(PathBuf),
    /// The file is not what this program wrote. It is left as it is.
    #[error("{} is damaged: {why}; put a backup into an empty data folder, or move this one away to begin anew", .file.display())]
    Damaged {
        /// The database.
        file: PathBuf,
        /// What was found.
        why: String,
    },
    /// A copy was put into the place of a database whose log is still there. SQLite would add what the log
    /// holds to the copy, although it belongs to another file.
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
    /// Some other program's database.
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
    /// The folder or a file in it cannot be made, read or written.
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
    /// The system gave no random bytes, or no thread.
    #[error("cannot start the store: {0}")]
    System(io::Error),
}

/// A step that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("{}", plain(.0))]
    Sqlite(#[from] rusqlite::Error),
    /// A row that no version of this program writes.
    #[error("unreadable {0}")]
    Unreadable(&'static str),
    #[error("no random bytes: {0}")]
    NoRandomness(String),
}

/// What SQLite says, in one line and without the statement that it says it of.
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

/// SQLite tells of damage in several lines.
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
    /// Whether the file itself is broken.
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

/// How the writer takes a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Nothing was written and room may come back: refuse the batch, go on.
    NoRoom,
    /// Stop.
    Fatal,
}

/// Judges a failure of the database in `folder`.
pub(crate) fn judge(trouble: &Trouble, folder: Option<&Path>) -> Severity {
    let Trouble::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) = trouble else {
        return Severity::Fatal;
    };
    match failure.extended_code {
        // The file was moved or deleted under us: what is written now nobody will find again.
        ffi::SQLITE_READONLY_DBMOVED => Severity::Fatal,
        // The shared index grows when the transaction is in the log, and has been synced: whoever reads the
        // log will find it.
        ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_IOERR_SHMMAP => Severity::Fatal,
        // SQLite calls every write that fails so, but for ENOSPC: a quota reached, a limit of file
        // lengths, and a mount that turned read-only are among them. The folder knows.
        ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_TRUNCATE | ffi::SQLITE_IOERR_SHMOPEN => {
            if folder.is_some_and(has_no_room) { Severity::NoRoom } else { Severity::Fatal }
        }
        code => match code & 0xff {
            // Busy: somebody works on the file with another program. Nothing was written.
            ffi::SQLITE_FULL | ffi::SQLITE_READONLY | ffi::SQLITE_CANTOPEN | ffi::SQLITE_BUSY => {
                Severity::NoRoom
            }
            _ => Severity::Fatal,
        },
    }
}

/// Whether the credentials file could not grow for want of room or permission, or the change was
/// turned down before anything was written.
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

/// Tries to write two pages into the folder, as far into a file as its longest one reaches: there may be
/// a limit of lengths. They are not synced: a failed sync proves nothing here.
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
