//! All that the store keeps about one user, as objects.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rusqlite::types::{ToSql, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde_json::{Map, Value};

use super::disk::{self, DATABASE, OpenError, Place, Trouble, schema};
use crate::words::{LINE_BREAK, Name};

/// An error of an export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its tables are those of an earlier version.
    #[error("{} has schema version {found}: start the server once, which brings it to {}", .folder.display(), schema::NEWEST)]
    Older {
        /// The data folder.
        folder: std::path::PathBuf,
        /// Its version.
        found: u32,
    },
}

/// What is kept, by kind, and where from; `?1` is the user. Digests of tokens, cookies and words are left out: they
/// tell nothing, and a token is found by its own. So is who has blocked the user, whom a block hides.
///
/// Columns that end in `_at` or `until` are times, those that begin with `is_` are true or false, and `members` is a
/// list.
const KINDS: &[(&str, &str)] = &[
    (
        "session",
        "SELECT login, began AS began_at, resumed AS resumed_at, nullif(ended, 0) AS ended_at FROM sessions
         WHERE user = ?1",
    ),
    ("device", "SELECT login, count AS failures, locked_until FROM devices WHERE user = ?1 ORDER BY login"),
    ("courier", "SELECT until FROM couriers WHERE user = ?1 ORDER BY until"),
    (
        "failures",
        "SELECT count AS failures, locked_until, since_login AS failures_since_login FROM failures
         WHERE user = ?1",
    ),
    ("heard", "SELECT upto FROM heard WHERE user = ?1"),
    ("expired", "SELECT count AS messages FROM expired WHERE user = ?1"),
    ("restraint", "SELECT how, until FROM restraints WHERE user = ?1 ORDER BY how"),
    (
        "block",
        "SELECT name AS blocked FROM blocks JOIN names ON id = blocked WHERE blocker = ?1 ORDER BY name",
    ),
    ("blocked_by", "SELECT count(*) AS users FROM blocks WHERE blocked = ?1 HAVING count(*) > 0"),
    (
        "group",
        "SELECT name AS \"group\", maker IS ?1 AS is_maker,
             (SELECT user FROM members WHERE group_id = groups.id ORDER BY place LIMIT 1) IS ?1 AS is_owner,
             (SELECT json_group_array(name) FROM
                 (SELECT names.name FROM members JOIN names ON names.id = user
                  WHERE group_id = groups.id AND ?1 IN (SELECT user FROM members WHERE group_id = groups.id)
                  ORDER BY place)) AS members
         FROM groups
         WHERE maker = ?1 OR ?1 IN (SELECT user FROM members WHERE group_id = groups.id) ORDER BY name",
    ),
    ("command", "SELECT login, command, outcome FROM settled WHERE user = ?1 ORDER BY turn"),
    ("sent", "SELECT outcome, until FROM sends WHERE user = ?1 ORDER BY until, number"),
    (
        "mail",
        "SELECT sender.name AS \"from\", receiver.name AS \"to\", group_name AS \"group\", sent_at, text
         FROM mail JOIN names AS sender ON sender.id = sender JOIN names AS receiver ON receiver.id = receiver
         WHERE ?1 IN (mail.sender, mail.receiver) ORDER BY mail.id",
    ),
];

/// Invites that are good for the name of the user only, whether or not it has an account; `?1` is the name.
const INVITES: (&str, &str) =
    ("invite", "SELECT number, uses, until FROM invites WHERE name = ?1 ORDER BY number");

/// Hands all that is kept about a user to `take`, as of one moment; `take` returns whether it wants more. Changes
/// nothing and can be run beside a server. With `mailbox_days` above 0 stored mail has `until`, when it is removed.
///
/// # Errors
/// [`ExportError`].
pub fn export(
    data: &Path,
    user: &Name,
    mailbox_days: u32,
    take: impl FnMut(Value) -> bool,
) -> Result<(), ExportError> {
    let file = data.join(DATABASE);
    let connection = disk::open_to_read(&file)?;
    let found = schema::recognise(&connection, &file)?;
    if found < schema::NEWEST {
        return Err(ExportError::Older { folder: data.to_path_buf(), found });
    }
    let in_place = |trouble| Place::Folder(data.to_path_buf()).trouble(trouble);
    Ok(read(connection, user, with_ends(mailbox_days, take)).map_err(in_place)?)
}

/// Stored mail says when it is removed.
fn with_ends(mailbox_days: u32, mut take: impl FnMut(Value) -> bool) -> impl FnMut(Value) -> bool {
    let time = SignedDuration::from_hours(24 * i64::from(mailbox_days));
    move |mut object| {
        let sent_at =
            object.get("sent_at").and_then(Value::as_str).and_then(|at| at.parse::<Timestamp>().ok());
        if let Some(until) = sent_at.filter(|_| mailbox_days > 0).and_then(|at| at.checked_add(time).ok())
            && let Some(fields) = object.as_object_mut()
        {
            fields.insert("until".to_owned(), until.to_string().into());
        }
        take(object)
    }
}

fn read(mut db: Connection, user: &Name, mut take: impl FnMut(Value) -> bool) -> Result<(), Trouble> {
    // One transaction, to see one state.
    let db = db.transaction()?;
    if !read_kind(&db, INVITES, user.as_str(), &mut take)? {
        return Ok(());
    }
    let sql = "SELECT id FROM names WHERE name = ?1";
    let id: Option<i64> = db.query_row(sql, [user.as_str()], |row| row.get(0)).optional()?;
    let Some(id) = id else { return Ok(()) };
    for kind in KINDS {
        if !read_kind(&db, *kind, id, &mut take)? {
            break;
        }
    }
    Ok(())
}

/// Hands on all of a kind; whether more is wanted.
fn read_kind(
    db: &Connection,
    (kind, sql): (&str, &str),
    user: impl ToSql,
    take: &mut impl FnMut(Value) -> bool,
) -> Result<bool, Trouble> {
    let mut statement = db.prepare(sql)?;
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut rows = statement.query([user])?;
    while let Some(row) = rows.next()? {
        if !take(object(kind, &columns, row)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn object(kind: &str, columns: &[String], row: &Row<'_>) -> Result<Value, Trouble> {
    let mut object = Map::from_iter([("kind".to_owned(), Value::from(kind))]);
    for (place, column) in columns.iter().enumerate() {
        let unreadable = || Trouble::Unreadable("value");
        let value = match row.get_ref(place)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) if column.starts_with("is_") => Value::from(number != 0),
            ValueRef::Integer(number) if column.ends_with("_at") || column.ends_with("until") => {
                moment(number)
            }
            ValueRef::Integer(number) => Value::from(number.cast_unsigned()),
            ValueRef::Text(text) => {
                let text = std::str::from_utf8(text).map_err(|_| unreadable())?;
                if column == "members" {
                    serde_json::from_str(text).map_err(|_| unreadable())?
                } else {
                    Value::from(text.replace(LINE_BREAK, "\n"))
                }
            }
            ValueRef::Real(_) | ValueRef::Blob(_) => return Err(unreadable()),
        };
        object.insert(column.clone(), value);
    }
    Ok(object.into())
}

/// RFC 3339; null for the end of time, which is never.
fn moment(micros: i64) -> Value {
    let at = if micros < 0 { None } else { Timestamp::from_microsecond(micros).ok() };
    at.map_or(Value::Null, |at| at.to_string().into())
}
