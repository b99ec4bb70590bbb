//! The data folder: makes it private, locks it against a second server, opens the database in it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::failure::{OpenError, Trouble};
use super::files::{create_private, sync_folder};
use super::place::Place;
use super::{schema, wal};
use crate::shell::folder_lock::{FolderLock, LOCK};
use crate::shell::own_files::{open_own, refuse_link};
use crate::time::Time;

/// Offset of the read version in the header of a database, and its value for a database without a write-ahead
/// log (<https://www.sqlite.org/fileformat2.html>, 1.3.3).
const READ_VERSION: usize = 19;
const WITHOUT_LOG: u8 = 1;

/// An open database, and the lock on its folder.
#[derive(Debug)]
pub(crate) struct Database {
    /// Declared before the lock, so it is closed before the lock is released.
    pub(crate) connection: Connection,
    pub(crate) place: Place,
    pub(crate) lock: Option<FolderLock>,
}

/// Creates a database in memory.
pub(crate) fn in_memory(started: Time) -> Result<Database, OpenError> {
    let place = Place::Memory;
    let open = || -> Result<Connection, Trouble> {
        let mut connection = Connection::open_in_memory()?;
        schema::create(&mut connection, started)?;
        schema::tune(&connection)?;
        Ok(connection)
    };
    let connection = open().map_err(|trouble| place.trouble(trouble))?;
    Ok(Database { connection, place, lock: None })
}

/// Opens the database in `folder`. Creates both, with `started` as the last write, if they are missing.
pub(crate) fn open(folder: &Path, started: Time) -> Result<Database, OpenError> {
    make_private(folder).map_err(|source| unusable(folder, source))?;
    let lock = lock(folder)?;
    let place = Place::Folder(folder.to_path_buf());
    let file = place.file();
    refuse_links(&file)?;
    if examine(&file)? {
        settle_log(&log_of(&file))?;
        fs::set_permissions(&file, Permissions::from_mode(0o600))
            .map_err(|source| unusable(&file, source))?;
    } else {
        create(folder, &place, started)?;
    }
    let connection = schema::open(&place)?;
    Ok(Database { connection, place, lock: Some(lock) })
}

/// Refuses symbolic links for a database and the files beside it.
fn refuse_links(file: &Path) -> Result<(), OpenError> {
    for end in ["", "-wal", "-shm"] {
        let path = beside(file, end);
        refuse_link(&path).map_err(|source| unusable(&path, source))?;
    }
    Ok(())
}

/// Opens the database of a data folder for reading. A server may be running.
pub(crate) fn open_to_read(file: &Path) -> Result<Connection, OpenError> {
    refuse_links(file)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if !examine(file)? {
        let source = io::ErrorKind::NotFound.into();
        return Err(OpenError::Unusable { path: file.to_path_buf(), source });
    }
    let database = |source| OpenError::Database { file: file.to_path_buf(), source };
    let connection = Connection::open_with_flags(file, flags).map_err(database)?;
    connection.busy_timeout(Duration::from_secs(10)).map_err(database)?;
    schema::recognise(&connection, file)?;
    Ok(connection)
}

/// Creates the folder with mode 0700. An existing one that is not empty keeps its mode, since it may be a
/// home folder or `/tmp`; the files in it are 0600 in any case.
fn make_private(folder: &Path) -> io::Result<()> {
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !folder.exists() {
        fs::create_dir_all(parent)?;
        DirBuilder::new().mode(0o700).create(folder)?;
        sync_folder(parent)?;
    }
    if fs::read_dir(folder)?.next().is_none() {
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    if fs::metadata(folder)?.permissions().mode() & 0o077 != 0 {
        tracing::warn!("{} can be entered by others; chmod 700 it", folder.display());
    }
    Ok(())
}

fn lock(folder: &Path) -> Result<FolderLock, OpenError> {
    match FolderLock::take(folder) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(OpenError::InUse(folder.to_path_buf())),
        Err(error) => Err(unusable(&folder.join(LOCK), error)),
    }
}

/// Checks that a server could open the lock file. Neither creates it nor takes the lock.
pub(crate) fn look_at_lock(folder: &Path) -> Result<(), OpenError> {
    let path = folder.join(LOCK);
    match open_own(OpenOptions::new().write(true), &path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(&path, error)),
        _ => Ok(()),
    }
}

/// Creates a database under a temporary name and renames it. So a file of its own name is never empty, and an
/// empty one is recognized as damaged.
fn create(folder: &Path, place: &Place, started: Time) -> Result<(), OpenError> {
    let file = place.file();
    let new = folder.join("hobnob.db.new");
    let make = || -> io::Result<()> {
        for leftover in [new.clone(), folder.join("hobnob.db.new-journal")] {
            match fs::remove_file(leftover) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        create_private(&new).map(drop)
    };
    make().map_err(|source| unusable(&new, source))?;
    let fill = || -> Result<(), Trouble> {
        let mut connection = Connection::open(&new)?;
        schema::create(&mut connection, started)?;
        Ok(connection.close().map_err(|(_, error)| error)?)
    };
    fill().map_err(|trouble| place.trouble(trouble))?;
    fs::rename(&new, &file).and_then(|()| sync_folder(folder)).map_err(|source| unusable(&file, source))
}

/// Examines a database and its log before SQLite opens them, because SQLite would silently drop a damaged
/// part of the log. Returns whether there is a database.
fn examine(file: &Path) -> Result<bool, OpenError> {
    let log = log_of(file);
    let damaged = |why: &str| OpenError::Damaged { file: file.to_path_buf(), why: why.to_owned() };
    match fs::metadata(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(file, error)),
        Err(_) if log.exists() => return Err(damaged("the file is gone, but its log is there")),
        Err(_) => return Ok(false),
        Ok(metadata) if metadata.len() == 0 => return Err(damaged("the file is empty")),
        Ok(_) => {}
    }
    refuse_foreign_log(file, &log)?;
    match wal::damage(&log).map_err(|source| unusable(&log, source))? {
        Some(why) => Err(damaged(&why)),
        None => Ok(true),
    }
}

/// Syncs the log. A killed server may have written transactions without syncing them; they are valid from now
/// on and must be durable before the next one, because a torn transaction with another after it counts as
/// damage.
fn settle_log(log: &Path) -> Result<(), OpenError> {
    match File::open(log).and_then(|file| file.sync_data()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(log, error)),
        _ => Ok(()),
    }
}

/// Refuses a backup that lies beside the log of another database. The header of a backup says that it has no
/// log.
fn refuse_foreign_log(file: &Path, log: &Path) -> Result<(), OpenError> {
    let is_copy = || -> io::Result<bool> {
        let mut header = [0; READ_VERSION + 1];
        File::open(file)?.read_exact(&mut header)?;
        Ok(header[READ_VERSION] == WITHOUT_LOG)
    };
    match is_copy() {
        Ok(true) if log.exists() => {
            Err(OpenError::ForeignLog { file: file.to_path_buf(), log: log.to_path_buf() })
        }
        // A file shorter than the header is reported when it is opened.
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Err(source) => Err(unusable(file, source)),
    }
}

/// The write-ahead log beside a database.
fn log_of(file: &Path) -> PathBuf {
    beside(file, "-wal")
}

/// The file whose name ends so after that of the database.
fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn unusable(path: &Path, source: io::Error) -> OpenError {
    OpenError::Unusable { path: path.to_path_buf(), source }
}
