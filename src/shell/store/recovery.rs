//! What a start finds: the database as records that rebuild the state of the core.

use std::collections::{BTreeMap, HashMap};
use std::io;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::failure::{OpenError, Trouble};
use super::folder::Database;
use super::names::Names;
use super::{outcome, rows};
use crate::record::{Digest, MailSummary, Record, Recovery, Suspect};
use crate::time::Time;
use crate::words::{LoginNumber, Name, Origin};

/// Counts this start durably and reads everything that is remembered but the mail itself.
pub(super) fn boot(database: &mut Database, started: Time) -> Result<Recovery, OpenError> {
    let place = database.place.clone();
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| OpenError::System(io::Error::other(error.to_string())))?;
    count_start(&mut database.connection, &secret, started)
        .and_then(|()| recover(&database.connection))
        .map_err(|trouble| place.trouble(trouble))
}

/// Raises the boot number; on the first start, keeps the secret. `last_written` stays: sessions that
/// stood at a crash ended then, and they are not ended in the store before the core has said so.
fn count_start(db: &mut Connection, secret: &[u8; 32], started: Time) -> Result<(), Trouble> {
    let transaction = db.transaction()?;
    transaction.execute(
        "INSERT INTO server (one, boot, secret, last_written) VALUES (1, 1, ?1, ?2)
         ON CONFLICT DO UPDATE SET boot = boot + 1",
        params![secret, started.0.cast_signed()],
    )?;
    rows::forget_strangers(&transaction)?;
    // Names of accounts that are gone, once nothing speaks of them any more.
    transaction.execute(
        "DELETE FROM names WHERE id NOT IN (
             SELECT receiver FROM mailboxes UNION SELECT sender FROM mailboxes
             UNION SELECT user FROM sessions UNION SELECT user FROM settled
             UNION SELECT user FROM failures UNION SELECT user FROM members
             UNION SELECT blocker FROM blocks UNION SELECT blocked FROM blocks)",
        [],
    )?;
    transaction.commit()?;
    Ok(())
}

/// Reads the state. Changes nothing.
pub(super) fn recover(db: &Connection) -> Result<Recovery, Trouble> {
    let names = Names::read(db)?;
    let mut recovery = Recovery::default();
    let server = db
        .query_row("SELECT boot, secret, last_written FROM server", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let (boot, secret, last_written): (u32, [u8; 32], i64) =
        server.ok_or(Trouble::Unreadable("server row"))?;
    recovery.boot = boot;
    recovery.secret = secret;
    recovery.last_written = Time(last_written.cast_unsigned());
    let records = &mut recovery.records;
    read_failures(db, &names, records)?;
    read_sessions(db, &names, records)?;
    read_blocks(db, &names, records)?;
    read_groups(db, &names, records)?;
    recovery.mail = read_mailboxes(db, &names)?;
    Ok(recovery)
}

fn read_failures(db: &Connection, names: &Names, records: &mut Vec<Record>) -> Result<(), Trouble> {
    each(db, "SELECT count, locked_until, since_login, user FROM failures ORDER BY user", |row| {
        let suspect = Suspect::Account(names.name(row.get(3)?)?.clone());
        records.push(failures(row, suspect)?);
        Ok(())
    })?;
    each(db, "SELECT count, locked_until, since_login, digest FROM strangers ORDER BY turn", |row| {
        records.push(failures(row, Suspect::Unknown(Digest(row.get(3)?)))?);
        Ok(())
    })
}

fn failures(row: &Row<'_>, suspect: Suspect) -> Result<Record, Trouble> {
    let locked_until: Option<i64> = row.get(1)?;
    Ok(Record::Failures {
        suspect,
        count: row.get(0)?,
        locked_until: locked_until.map(|time| Time(time.cast_unsigned())),
        since_login: row.get(2)?,
    })
}

/// For each user in the order of life: the session began, was resumed, settled commands, ended.
fn read_sessions(db: &Connection, names: &Names, records: &mut Vec<Record>) -> Result<(), Trouble> {
    let mut settled = read_settled(db, names)?;
    let sql = "SELECT user, login, token, began, resumed, ended, resumable FROM sessions ORDER BY user";
    each(db, sql, |row| {
        let id = row.get(0)?;
        let user = names.name(id)?;
        let token: Option<[u8; 16]> = row.get(2)?;
        let time = |column| -> rusqlite::Result<Option<Time>> {
            let time: Option<i64> = row.get(column)?;
            Ok(time.map(|time| Time(time.cast_unsigned())))
        };
        // A resumed session is told twice, so that whoever applies it knows both times.
        for at in [time(3)?, time(4)?].into_iter().flatten() {
            records.push(Record::SessionBegan {
                user: user.clone(),
                login: LoginNumber(row.get::<_, i64>(1)?.cast_unsigned()),
                token: token.map(Digest),
                at,
            });
        }
        records.extend(settled.remove(&id).into_iter().flatten());
        if let Some(at) = time(5)? {
            let resumable = row.get::<_, Option<bool>>(6)?.unwrap_or(false);
            records.push(Record::SessionEnded { user: user.clone(), resumable, at });
        }
        Ok(())
    })
}

/// Commands of each user's last login, in the order in which they were settled.
fn read_settled(db: &Connection, names: &Names) -> Result<HashMap<i64, Vec<Record>>, Trouble> {
    let mut settled: HashMap<i64, Vec<Record>> = HashMap::new();
    let sql = "SELECT user, login, settled.command, settled.outcome
         FROM settled JOIN sessions USING (user, login) ORDER BY user, turn";
    each(db, sql, |row| {
        let user = row.get(0)?;
        let login = LoginNumber(row.get::<_, i64>(1)?.cast_unsigned());
        let number = row.get::<_, i64>(2)?.cast_unsigned();
        let text = row.get_ref(3)?.as_str().map_err(|_| Trouble::Unreadable("outcome"))?;
        settled.entry(user).or_default().push(Record::Settled {
            user: names.name(user)?.clone(),
            origin: Origin { login, number },
            outcome: outcome::parse(text).ok_or(Trouble::Unreadable("outcome"))?,
        });
        Ok(())
    })?;
    Ok(settled)
}

fn read_blocks(db: &Connection, names: &Names, records: &mut Vec<Record>) -> Result<(), Trouble> {
    each(db, "SELECT blocker, blocked FROM blocks ORDER BY blocker, blocked", |row| {
        let (by, user) = (names.name(row.get(0)?)?.clone(), names.name(row.get(1)?)?.clone());
        records.push(Record::Blocked { by, user });
        Ok(())
    })
}

fn read_groups(db: &Connection, names: &Names, records: &mut Vec<Record>) -> Result<(), Trouble> {
    let mut groups: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
    let sql = "SELECT name, user FROM members JOIN groups ON id = group_id ORDER BY group_id, place";
    each(db, sql, |row| {
        let group = row.get_ref(0)?.as_str().map_err(|_| Trouble::Unreadable("name of a group"))?;
        let group = Name::new(group).map_err(|_| Trouble::Unreadable("name of a group"))?;
        groups.entry(group).or_default().push(names.name(row.get(1)?)?.clone());
        Ok(())
    })?;
    records.extend(groups.into_iter().map(|(group, members)| Record::GroupSet { group, members }));
    Ok(())
}

fn read_mailboxes(db: &Connection, names: &Names) -> Result<Vec<MailSummary>, Trouble> {
    let mut summaries = Vec::new();
    let sql = "SELECT receiver, sender, messages, bytes FROM mailboxes ORDER BY receiver, sender";
    each(db, sql, |row| {
        summaries.push(MailSummary {
            to: names.name(row.get(0)?)?.clone(),
            from: names.name(row.get(1)?)?.clone(),
            count: row.get(2)?,
            bytes: row.get::<_, i64>(3)?.cast_unsigned(),
        });
        Ok(())
    })?;
    Ok(summaries)
}

/// Calls `take` with each row.
fn each(
    db: &Connection,
    sql: &str,
    mut take: impl FnMut(&Row<'_>) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}
