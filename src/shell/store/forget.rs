//! Forgets users: all that is kept about them, what they have written to others that was not shown yet, and their
//! names. No byte of it is left in the files.
//!
//! A running server has mailboxes and sessions in memory, so it is done where none runs: at a start, or by the
//! operator's command. What is to be done is noted in the data folder first, as a file `forget.NUMBER` with a name.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use super::disk::{self, DATABASE, Database, OpenError, Place, Trouble, schema, sync_folder};
use super::is_there;
use crate::shell::own_files::open_own;
use crate::shell::replace_file::replace_file;
use crate::time::Time;
use crate::words::Name;

/// The begin of the names of notes.
const NOTE: &str = "forget.";

/// Time for other programs to end their reading.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 10 });

/// Why somebody is not forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// The database cannot be opened or written.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A note cannot be read or written.
    #[error("cannot use {}: {source}", .path.display())]
    Note {
        /// The note, or the data folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another program reads the database, and so keeps what was removed.
    #[error("another program reads {}, perhaps a backup", .0.display())]
    Read(PathBuf),
}

/// Whether the name of a user is in the database.
///
/// # Errors
/// It cannot be read.
pub fn knows(data: &Path, user: &Name) -> Result<bool, OpenError> {
    let file = data.join(DATABASE);
    let connection = disk::open_to_read(&file)?;
    let sql = if schema::recognise(&connection, &file)? < schema::NEWEST {
        "SELECT 1 FROM names WHERE name = ?1"
    } else {
        "SELECT 1 FROM names WHERE name = ?1 UNION SELECT 1 FROM invites WHERE name = ?1"
    };
    let found = connection.query_row(sql, [user.as_str()], |_| Ok(())).optional();
    let found = found.map_err(|error| Place::Folder(data.to_path_buf()).trouble(error.into()))?;
    Ok(found.is_some())
}

/// Notes durably that a user is to be forgotten. The note is its server's, whoever writes it.
///
/// # Errors
/// An I/O error.
pub fn note(data: &Path, user: &Name) -> Result<PathBuf, ForgetError> {
    let number = getrandom::u64().map_err(|error| OpenError::System(io::Error::other(error.to_string())))?;
    let path = data.join(format!("{NOTE}{number:016x}"));
    let write = || -> io::Result<()> {
        replace_file(&path, user.as_str().as_bytes())?;
        let (folder, file) = (fs::metadata(data)?, fs::metadata(&path)?);
        use std::os::unix::fs::{MetadataExt as _, chown};
        if folder.uid() != file.uid() {
            chown(&path, Some(folder.uid()), Some(folder.gid()))?;
        }
        Ok(())
    };
    write().map_err(|source| ForgetError::Note { path: path.clone(), source })?;
    Ok(path)
}

/// Forgets everybody who is noted, but for names that have an account again. The notes are removed, and it says how many
/// names there were.
///
/// # Errors
/// [`ForgetError`], also if a server uses the folder; the notes are kept then.
pub fn forget_noted(data: &Path, has_account: impl Fn(&Name) -> bool) -> Result<usize, ForgetError> {
    let notes = notes(data)?;
    let mut names: Vec<&Name> =
        notes.iter().map(|(_, name)| name).filter(|name| !has_account(name)).collect();
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() && is_there(data) {
        let Database { mut connection, place, lock } = disk::open(data, Time::ZERO)?;
        let busy = erase(&mut connection, &names).map_err(|trouble| place.trouble(trouble))?;
        connection.close().map_err(|(_, error)| place.trouble(error.into()))?;
        drop(lock);
        if busy {
            return Err(ForgetError::Read(place.file()));
        }
    }
    // It may be done twice: without its lock another program that waits for it may do it again.
    for (path, _) in &notes {
        remove(path).map_err(|source| ForgetError::Note { path: path.clone(), source })?;
    }
    if !notes.is_empty() {
        sync_folder(data).map_err(|source| ForgetError::Note { path: data.to_path_buf(), source })?;
    }
    Ok(names.len())
}

/// Who is noted.
///
/// # Errors
/// [`ForgetError::Note`]; a note cannot be read.
pub fn noted(data: &Path) -> Result<Vec<Name>, ForgetError> {
    Ok(notes(data)?.into_iter().map(|(_, name)| name).collect())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The notes in a data folder. One that is gone by now was of another program that has done it.
fn notes(data: &Path) -> Result<Vec<(PathBuf, Name)>, ForgetError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| ForgetError::Note { path, source }
    };
    let mut notes = Vec::new();
    let entries = match fs::read_dir(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(notes),
        entries => entries.map_err(failed(data))?,
    };
    for entry in entries {
        let path = entry.map_err(failed(data))?.path();
        let number = path.file_name().and_then(OsStr::to_str).and_then(|name| name.strip_prefix(NOTE));
        if !number
            .is_some_and(|number| number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            continue;
        }
        let mut text = String::new();
        let read = open_own(fs::OpenOptions::new().read(true), &path)
            .and_then(|mut file| io::Read::read_to_string(&mut file, &mut text));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read.map_err(failed(&path))?,
        };
        let name = Name::new(&text).map_err(|_| failed(&path)(io::ErrorKind::InvalidData.into()))?;
        notes.push((path, name));
    }
    Ok(notes)
}

/// Removes all rows of these users, and then whatever the files hold of rows that are gone. Returns whether another
/// program keeps it from that.
fn erase(db: &mut Connection, users: &[&Name]) -> Result<bool, Trouble> {
    db.busy_timeout(PATIENCE)?;
    // What is removed is overwritten, and not only marked as free.
    db.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    db.pragma_update(None, "temp_store", "DEFAULT")?;
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for user in users {
        erase_rows(&transaction, user)?;
    }
    transaction.commit()?;
    // Rows that were removed before, as mail that was shown, are still in free pages: a new file has none.
    if is_busy(db)? {
        return Ok(true);
    }
    db.execute_batch("VACUUM")?;
    let busy = is_busy(db)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, busy)?;
    Ok(busy)
}

/// Moves the log into the database and empties it; whether somebody who reads is in the way.
fn is_busy(db: &Connection) -> Result<bool, Trouble> {
    Ok(db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?)
}

/// Removes what refers to a user, in any table: rows, or the reference where a row may be without; and the name.
fn erase_rows(db: &Transaction<'_>, user: &Name) -> Result<(), Trouble> {
    db.execute("DELETE FROM invites WHERE name = ?1", [user.as_str()])?;
    let sql = "SELECT id FROM names WHERE name = ?1";
    let id: Option<i64> = db.query_row(sql, [user.as_str()], |row| row.get(0)).optional()?;
    let Some(id) = id else { return Ok(()) };
    let references = "SELECT t.name, f.\"from\", c.\"notnull\" OR c.pk > 0 FROM sqlite_schema AS t
         JOIN pragma_foreign_key_list(t.name) AS f ON f.\"table\" = 'names'
         JOIN pragma_table_info(t.name) AS c ON c.name = f.\"from\" WHERE t.type = 'table'";
    let mut statement = db.prepare(references)?;
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for reference in found.collect::<rusqlite::Result<Vec<(String, String, bool)>>>()? {
        let (table, column, needed) = reference;
        // The names are those of the schema, which was compared with the one of this program.
        let sql = if needed {
            format!("DELETE FROM \"{table}\" WHERE \"{column}\" = ?1")
        } else {
            format!("UPDATE \"{table}\" SET \"{column}\" = NULL WHERE \"{column}\" = ?1")
        };
        db.execute(&sql, [id])?;
    }
    db.execute("UPDATE groups SET maker_left = NULL WHERE maker IS NULL", [])?;
    db.execute("DELETE FROM groups WHERE id NOT IN (SELECT group_id FROM members)", [])?;
    db.execute("DELETE FROM names WHERE id = ?1", [id])?;
    Ok(())
}
