//! Checkpoints: moving the log into the database.

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::failed::Failed;
use crate::shell::store::disk::{Place, Severity, Trouble, judge};

/// Moves the whole log into the database, and lets SQLite remove it when the database is closed.
pub(super) fn settle_file(db: &Connection, place: &Place) -> Result<(), Failed> {
    if place.folder().is_none() {
        return Ok(());
    }
    let file = place.file();
    match checkpoint(db, "TRUNCATE") {
        Ok(log) if log.busy => Ok(()),
        Ok(_) => db
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
            .map(drop)
            .map_err(|error| Failed::new(&file, &error.into())),
        Err(trouble) if judge(&trouble, place.folder()) == Severity::NoRoom => {
            tracing::warn!("{} keeps its log: {trouble}", file.display());
            Ok(())
        }
        Err(trouble) => Err(Failed::new(&file, &trouble)),
    }
}

/// The result of a checkpoint.
pub(super) struct Log {
    /// Another program is in the way.
    busy: bool,
    /// Pages in the log.
    pub(super) frames: i64,
    /// Pages that are in the database as well.
    pub(super) moved: i64,
}

/// Runs a checkpoint. `NOOP` only reports, `PASSIVE` moves pages that nobody reads, `TRUNCATE` moves all and
/// empties the log.
pub(super) fn checkpoint(db: &Connection, mode: &str) -> Result<Log, Trouble> {
    let mut statement = db.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    let log = statement
        .query_row([], |row| Ok(Log { busy: row.get(0)?, frames: row.get(1)?, moved: row.get(2)? }))?;
    Ok(log)
}
