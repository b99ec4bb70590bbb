//! The schema and its migrations, and the settings of a connection.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::failure::{OpenError, Trouble, one_line};
use super::place::Place;
use crate::time::Time;

/// Application id in the header of the file: `Hobn`.
const APPLICATION_ID: i32 = 0x486f_626e;

/// `MIGRATIONS[n]` migrates from version n to n+1. A released migration is never changed; new ones are
/// appended.
const MIGRATIONS: &[&str] =
    &[VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5, VERSION_6, VERSION_7, VERSION_8, VERSION_9];

/// Half of SQLite's default. A commit of a single message writes three pages, so this halves the bytes; under
/// load a batch fills its pages, and the size makes no difference.
const PAGE_BYTES: u32 = 2_048;

/// The version that this program writes.
pub(crate) const NEWEST: u32 = MIGRATIONS.len() as u32;

/// Times are microseconds since the epoch. Logins, command numbers and times are unsigned 64-bit integers,
/// stored as signed ones with the same bits. Small tables with a key of several columns are WITHOUT ROWID, so
/// that a change writes one tree only.
const VERSION_1: &str = "
CREATE TABLE server (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    boot INTEGER NOT NULL,
    secret BLOB NOT NULL CHECK (length(secret) = 32),
    last_written INTEGER NOT NULL
) STRICT;

CREATE TABLE names (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- Failed logins of accounts.
CREATE TABLE failures (
    user INTEGER PRIMARY KEY REFERENCES names,
    count INTEGER NOT NULL,
    locked_until INTEGER,
    since_login INTEGER NOT NULL
) STRICT;

-- Failed logins of names without an account, the last one tried with the highest turn.
CREATE TABLE strangers (
    turn INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 16),
    count INTEGER NOT NULL,
    locked_until INTEGER,
    since_login INTEGER NOT NULL
) STRICT;

-- The last session of each user. resumed: when last, if ever; ended is null while it stands.
CREATE TABLE sessions (
    user INTEGER PRIMARY KEY REFERENCES names,
    login INTEGER NOT NULL,
    token BLOB CHECK (length(token) = 16),
    began INTEGER NOT NULL,
    resumed INTEGER,
    ended INTEGER,
    resumable INTEGER
) STRICT;

CREATE TABLE blocks (
    blocker INTEGER NOT NULL REFERENCES names,
    blocked INTEGER NOT NULL REFERENCES names,
    PRIMARY KEY (blocker, blocked)
) STRICT, WITHOUT ROWID;

CREATE TABLE groups (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- The first member owns the group; places need not be without gaps.
CREATE TABLE members (
    group_id INTEGER NOT NULL REFERENCES groups,
    place INTEGER NOT NULL,
    user INTEGER NOT NULL REFERENCES names,
    PRIMARY KEY (group_id, place)
) STRICT, WITHOUT ROWID;

-- What the last commands of each user came to; turn counts them for each user.
CREATE TABLE settled (
    id INTEGER PRIMARY KEY,
    user INTEGER NOT NULL REFERENCES names,
    turn INTEGER NOT NULL,
    login INTEGER NOT NULL,
    command INTEGER NOT NULL,
    outcome TEXT NOT NULL
) STRICT;

-- In the order in which it came; what belongs to a mailbox is found through the index in memory.
CREATE TABLE mail (
    id INTEGER PRIMARY KEY,
    receiver INTEGER NOT NULL REFERENCES names,
    boot INTEGER NOT NULL,
    number INTEGER NOT NULL,
    sender INTEGER NOT NULL REFERENCES names,
    group_name TEXT,
    login INTEGER,
    command INTEGER,
    sent_at INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
";

/// Adds a keyed digest of each settled command, which tells a repeat from another command under the same
/// number. Null for commands settled by version 1.
const VERSION_2: &str = "ALTER TABLE settled ADD COLUMN words INTEGER;";

/// Adds the devices that an account was in from: the lowest login number was in longest ago. And whom each group
/// counts for: the owner, where it is not known.
const VERSION_3: &str = "
CREATE TABLE devices (
    user INTEGER NOT NULL REFERENCES names,
    digest BLOB NOT NULL CHECK (length(digest) = 16),
    login INTEGER NOT NULL,
    count INTEGER NOT NULL,
    locked_until INTEGER,
    PRIMARY KEY (user, digest)
) STRICT, WITHOUT ROWID;

ALTER TABLE groups ADD COLUMN maker INTEGER REFERENCES names;
ALTER TABLE groups ADD COLUMN maker_left INTEGER;
UPDATE groups SET maker = (SELECT user FROM members WHERE group_id = groups.id ORDER BY place LIMIT 1);
";

/// Adds the tokens of couriers, and until when they are good.
const VERSION_4: &str = "
CREATE TABLE couriers (
    user INTEGER NOT NULL REFERENCES names,
    digest BLOB NOT NULL CHECK (length(digest) = 16),
    until INTEGER NOT NULL,
    PRIMARY KEY (user, digest)
) STRICT, WITHOUT ROWID;
";

/// Adds what became of messages with given ids, and until when that is remembered.
const VERSION_5: &str = "
CREATE TABLE sends (
    user INTEGER NOT NULL REFERENCES names,
    until INTEGER NOT NULL,
    number INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    words INTEGER NOT NULL,
    PRIMARY KEY (user, until, number)
) STRICT, WITHOUT ROWID;
";

/// Adds what operators keep users from, and until when; without end is the end of time.
const VERSION_6: &str = "
CREATE TABLE restraints (
    user INTEGER NOT NULL REFERENCES names,
    how TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (user, how)
) STRICT, WITHOUT ROWID;
";

/// Adds invites: for how many accounts each is still good, and until when. And addresses from which operators let
/// nobody in, until when.
const VERSION_7: &str = "
CREATE TABLE invites (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 16),
    number INTEGER NOT NULL,
    name TEXT,
    uses INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ranges (
    addresses TEXT PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Adds what operators have said to all, and who has heard how much of it.
const VERSION_8: &str = "
CREATE TABLE announcements (
    number INTEGER PRIMARY KEY,
    said_at INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE TABLE heard (
    user INTEGER PRIMARY KEY REFERENCES names,
    upto INTEGER NOT NULL
) STRICT;
";

/// Adds how many messages of each user were removed because their time was over, since the user was last told.
const VERSION_9: &str = "
CREATE TABLE expired (
    user INTEGER PRIMARY KEY REFERENCES names,
    count INTEGER NOT NULL
) STRICT;
";

/// Opens the database for a server: checks that it is undamaged and of a known version, and migrates it.
pub(crate) fn open(place: &Place) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let file = place.file();
    let in_place = |trouble| place.trouble(trouble);
    let mut connection = Connection::open_with_flags(&file, flags).map_err(|error| in_place(error.into()))?;
    // Another program may hold a lock. After this time the batch is refused (`failure::judge`).
    connection.busy_timeout(Duration::from_secs(2)).map_err(|error| in_place(error.into()))?;
    let version = recognise(&connection, &file)?;
    tune(&connection).map_err(in_place)?;
    if let Some(why) = first_damage(&connection, version).map_err(in_place)? {
        return Err(OpenError::Damaged { file, why });
    }
    migrate(&mut connection, NEWEST).map_err(in_place)?;
    Ok(connection)
}

/// Checks that the file is a Hobnob database of a known version, before anything in it is changed. Returns
/// its version.
pub(crate) fn recognise(db: &Connection, file: &Path) -> Result<u32, OpenError> {
    let read = || -> Result<(i32, i32), Trouble> {
        let id = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let version = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((id, version))
    };
    let place = || Place::Folder(file.parent().unwrap_or(Path::new("")).to_path_buf());
    let (id, found) = read().map_err(|trouble| place().trouble(trouble))?;
    if id != APPLICATION_ID {
        return Err(OpenError::Foreign(file.to_path_buf()));
    }
    match u32::try_from(found) {
        Ok(found @ 1..=NEWEST) => Ok(found),
        Ok(found) if found > NEWEST => {
            Err(OpenError::Newer { file: file.to_path_buf(), found, known: NEWEST })
        }
        // No crash leaves this: tables and version are written in one transaction.
        _ => Err(OpenError::Damaged {
            file: file.to_path_buf(),
            why: format!("its schema version is {found}"),
        }),
    }
}

/// Fills an empty database: creates the tables and the one row of `server`.
pub(crate) fn create(db: &mut Connection, started: Time) -> Result<(), Trouble> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| Trouble::NoRandomness(error.to_string()))?;
    db.pragma_update(None, "page_size", PAGE_BYTES)?;
    migrate(db, NEWEST)?;
    db.execute(
        "INSERT INTO server (one, boot, secret, last_written) VALUES (1, 0, ?1, ?2)",
        params![secret, started.0.cast_signed()],
    )?;
    Ok(())
}

/// Migrates a database, each step in a transaction of its own.
fn migrate(db: &mut Connection, to: u32) -> Result<(), Trouble> {
    let from: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (step, version) in MIGRATIONS.iter().zip(1..=to).skip(from as usize) {
        let transaction = db.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Finds a table of this version that is missing or was altered. Tables added by other programs are ignored.
pub(crate) fn odd_table(db: &Connection, version: u32) -> Result<Option<String>, Trouble> {
    let mut model = Connection::open_in_memory()?;
    migrate(&mut model, version)?;
    let mut wanted = model.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
    let mut found = db.prepare("SELECT sql FROM sqlite_schema WHERE name = ?1")?;
    let mut rows = wanted.query([])?;
    while let Some(row) = rows.next()? {
        let (name, sql): (String, String) = (row.get(0)?, row.get(1)?);
        match found.query_row([&name], |row| row.get::<_, String>(0)).optional()? {
            Some(same) if same == sql => {}
            Some(_) => return Ok(Some(format!("the table {name} was changed by another program"))),
            None => return Ok(Some(format!("the table {name} is missing"))),
        }
    }
    Ok(None)
}

/// Applies the settings of the writer's connection. Only the journal mode outlasts it.
pub(crate) fn tune(db: &Connection) -> Result<(), Trouble> {
    // A database in memory stays in mode `memory`.
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // Syncs the log at every commit, and flushes the cache of the disk where that is a separate call.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "fullfsync", true)?;
    db.pragma_update(None, "checkpoint_fullfsync", true)?;
    // SQLite ignores errors of its automatic checkpoints. The writer runs its own and sees a failed sync.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // References are checked by `check` instead of for each row.
    db.pragma_update(None, "foreign_keys", false)?;
    db.pragma_update(None, "cell_size_check", true)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cache_size", -16_384)?;
    // Otherwise a statement is compiled again when another value is bound to its LIMIT or range.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Finds damage by a quick check of the whole file. Runs before a migration, which would fail with a less
/// helpful error, or succeed, on a table that is missing or altered.
fn first_damage(db: &Connection, version: u32) -> Result<Option<String>, Trouble> {
    let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Ok(Some(one_line(&found)));
    }
    odd_table(db, version)
}
