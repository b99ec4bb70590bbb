//! Recovery: reads the database as records that rebuild the state of the core.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, Row};

use super::after_end;
use super::commands::{Commands, Progress};
use super::index::{Entry, Index};
use super::known::Known;
use super::names::Names;
use super::{outcome, rows};
use crate::record::{
    Announcement, Change, DeviceStanding, Digest, Fact, Invite, MailSummary, Maker, Record, Recovery,
    Restraint, Suspect, WordsDigest,
};
use crate::shell::store::disk::Trouble;
use crate::time::Time;
use crate::words::{LoginNumber, MessageId, Name, Origin, Text};

/// The content of a database, for the core and for the writer.
pub(crate) struct Remembered {
    pub(crate) recovery: Recovery,
    pub(crate) known: Known,
}

/// Counts this start durably and reads everything except the texts of mail.
pub(crate) fn boot(db: &mut Connection, started: Time) -> Result<Remembered, Trouble> {
    count_start(db, started)?;
    recover(db)
}

/// Raises the boot number above the last one and to at least the second of this start, so that a server that
/// lost its folder, or keeps none, does not reuse ids that clients have seen. `last_written` is kept:
/// sessions open at a crash ended then, and only the core records their end.
fn count_start(db: &mut Connection, started: Time) -> Result<(), Trouble> {
    let transaction = db.transaction()?;
    // Without the row, boot numbers would start from 1 again and ids would be reused.
    // A clock that is off by a century is ignored; otherwise no higher numbers would be left.
    let second = u32::try_from(started.0 / 1_000_000).unwrap_or(0);
    if transaction.execute("UPDATE server SET boot = max(boot + 1, ?1) WHERE boot >= 0", [second])? != 1 {
        return Err(Trouble::Unreadable("server row"));
    }
    rows::forget_strangers(&transaction)?;
    transaction.commit()?;
    Ok(())
}

/// Reads everything except the texts of mail.
pub(crate) fn recover(db: &Connection) -> Result<Remembered, Trouble> {
    let names = Names::read(db)?;
    let mut recovery = Recovery::default();
    let sql = "SELECT boot, secret, last_written FROM server";
    let server = db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let (boot, secret, last_written): (u32, [u8; 32], i64) = server;
    recovery.boot = boot;
    recovery.secret = secret;
    recovery.last_written = Time(last_written.cast_unsigned());
    let records = &mut recovery.records;
    read_failures(db, &names, records)?;
    read_devices(db, &names, records)?;
    read_couriers(db, &names, records)?;
    read_sends(db, &names, records)?;
    let commands = read_sessions(db, &names, records)?;
    read_blocks(db, &names, records)?;
    read_groups(db, &names, records)?;
    read_restraints(db, &names, records)?;
    read_expired(db, &names, records)?;
    read_invites(db, records)?;
    read_ranges(db, records)?;
    read_announcements(db, &names, records)?;
    let index;
    (recovery.mail, index) = walk_mail(db, &names)?;
    Ok(Remembered { recovery, known: Known { names, commands, index } })
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

fn read_devices(db: &Connection, names: &Names, records: &mut Vec<Record>) -> Result<(), Trouble> {
    each(db, "SELECT user, digest, login, count, locked_until FROM devices ORDER BY user, digest", |row| {
        let locked_until: Option<i64> = row.get(4)?;
        let standing = DeviceStanding {
            login: LoginNumber(row.get::<_, i64>(2)?.cast_unsigned()),
            count: row.get(3)?,
            locked_until: locked_until.map(|time| Time(time.cast_unsigned())),
        };
        let user = names.name(row.get(0)?)?.clone();
        records.push(Record::Fact(Fact::Device {
            user,
            device: Digest(row.get(1)?),
            standing: Some(standing),
        }));
        Ok(())
    })
}

fn read_couriers(db: &Connection, names: &Names, records: &mut Vec<Record>) -> Result<(), Trouble> {
    each(db, "SELECT user, digest, until FROM couriers ORDER BY user, digest", |row| {
        let user = names.name(row.get(0)?)?.clone();
        let until = Some(Time(row.get::<_, i64>(2)?.cast_unsigned()));
        records.push(Record::Fact(Fact::Courier { user, token: Digest(row.get(1)?), until }));
        Ok(())
    })
}

fn read_sends(db: &Connection, names: &Names, records: &mut Vec<Record>) -> Result<(), Trouble> {
    each(db, "SELECT user, until, number, outcome, words FROM sends ORDER BY user, until, number", |row| {
        let text = row.get_ref(3)?.as_str().map_err(|_| Trouble::Unreadable("outcome"))?;
        records.push(Record::Sent {
            user: names.name(row.get(0)?)?.clone(),
            number: row.get::<_, i64>(2)?.cast_unsigned(),
            outcome: outcome::parse(text).ok_or(Trouble::Unreadable("outcome"))?,
            words: WordsDigest(row.get::<_, i64>(4)?.cast_unsigned()),
            until: Time(row.get::<_, i64>(1)?.cast_unsigned()),
        });
        Ok(())
    })
}

fn failures(row: &Row<'_>, suspect: Suspect) -> Result<Record, Trouble> {
    let locked_until: Option<i64> = row.get(1)?;
    Ok(Record::Fact(Fact::Failures {
        suspect,
        count: row.get(0)?,
        locked_until: locked_until.map(|time| Time(time.cast_unsigned())),
        since_login: row.get(2)?,
    }))
}

/// Reads, for each user in order: the session began, was resumed, settled commands, ended.
fn read_sessions(db: &Connection, names: &Names, records: &mut Vec<Record>) -> Result<Commands, Trouble> {
    let progress = read_progress(db)?;
    let mut settled = read_settled(db, names, &progress)?;
    let sql = "SELECT user, login, token, began, resumed, ended, resumable FROM sessions ORDER BY user";
    each(db, sql, |row| {
        let id = row.get(0)?;
        let user = names.name(id)?;
        let token: Option<[u8; 16]> = row.get(2)?;
        let time = |column| -> rusqlite::Result<Option<Time>> {
            let time: Option<i64> = row.get(column)?;
            Ok(time.map(|time| Time(time.cast_unsigned())))
        };
        // A resumed session gives two records, so that the core knows both times.
        for at in [time(3)?, time(4)?].into_iter().flatten() {
            records.push(Record::Fact(Fact::SessionBegan {
                user: user.clone(),
                login: LoginNumber(row.get::<_, i64>(1)?.cast_unsigned()),
                token: token.map(Digest),
                at,
            }));
        }
        records.extend(settled.remove(&id).into_iter().flatten());
        if let Some(at) = time(5)? {
            let number = row.get::<_, Option<u8>>(6)?.unwrap_or(0);
            let after = after_end::parse(number).ok_or(Trouble::Unreadable("end of a session"))?;
            records.push(Record::Fact(Fact::SessionEnded { user: user.clone(), after, at }));
        }
        Ok(())
    })?;
    Ok(Commands::new(progress))
}

fn read_progress(db: &Connection) -> Result<HashMap<i64, Progress>, Trouble> {
    let mut users: HashMap<i64, Progress> = HashMap::new();
    each(db, "SELECT user, login FROM sessions", |row| {
        users.entry(row.get(0)?).or_default().login = row.get::<_, i64>(1)?.cast_unsigned();
        Ok(())
    })?;
    each(db, "SELECT user, turn FROM settled", |row| {
        let progress = users.entry(row.get(0)?).or_default();
        progress.turn = progress.turn.max(row.get(1)?);
        Ok(())
    })?;
    Ok(users)
}

/// Reads the commands of each user's last login, in the order in which they were settled.
fn read_settled(
    db: &Connection,
    names: &Names,
    progress: &HashMap<i64, Progress>,
) -> Result<HashMap<i64, Vec<Record>>, Trouble> {
    let mut settled: HashMap<i64, Vec<Record>> = HashMap::new();
    each(db, "SELECT user, turn, login, command, outcome, words FROM settled ORDER BY id", |row| {
        let (user, turn) = (row.get(0)?, row.get(1)?);
        let login = row.get::<_, i64>(2)?.cast_unsigned();
        let is_needed = |of: &Progress| of.login == login && of.needs(turn, login);
        if !progress.get(&user).is_some_and(is_needed) {
            return Ok(());
        }
        let text = row.get_ref(4)?.as_str().map_err(|_| Trouble::Unreadable("outcome"))?;
        let number = row.get::<_, i64>(3)?.cast_unsigned();
        let words: Option<i64> = row.get(5)?;
        settled.entry(user).or_default().push(Record::Settled {
            user: names.name(user)?.clone(),
            origin: Origin { login: LoginNumber(login), number },
            outcome: outcome::parse(text).ok_or(Trouble::Unreadable("outcome"))?,
            words: words.map(|words| WordsDigest(words.cast_unsigned())),
        });
        Ok(())
    })?;
    Ok(settled)
}

fn read_blocks(db: &Connection, names: &Names, records: &mut Vec<Record>) -> Result<(), Trouble> {
    each(db, "SELECT blocker, blocked FROM blocks ORDER BY blocker, blocked", |row| {
        let (by, user) = (names.name(row.get(0)?)?.clone(), names.name(row.get(1)?)?.clone());
        records.push(Record::Change(Change::Blocked { by, user }));
        Ok(())
    })
}

fn read_restraints(db: &Connection, names: &Names, records: &mut Vec<Record>) -> Result<(), Trouble> {
    each(db, "SELECT user, how, until FROM restraints ORDER BY user, how", |row| {
        let user = names.name(row.get(0)?)?.clone();
        let how = row.get_ref(1)?.as_str().ok().and_then(Restraint::from_word);
        let how = how.ok_or(Trouble::Unreadable("restraint"))?;
        let until = Some(Time(row.get::<_, i64>(2)?.cast_unsigned()));
        records.push(Record::Change(Change::Restrained { user, how, until }));
        Ok(())
    })
}

fn read_announcements(db: &Connection, names: &Names, records: &mut Vec<Record>) -> Result<(), Trouble> {
    each(db, "SELECT number, said_at, text FROM announcements ORDER BY number", |row| {
        let text = row.get_ref(2)?.as_str().ok().and_then(Text::new);
        let text = text.ok_or(Trouble::Unreadable("text of an announcement"))?;
        let at = Time(row.get::<_, i64>(1)?.cast_unsigned());
        let announcement = Announcement { number: row.get(0)?, at, text: text.into() };
        records.push(Record::Change(Change::Announced { announcement }));
        Ok(())
    })?;
    each(db, "SELECT user, upto FROM heard ORDER BY user", |row| {
        let user = names.name(row.get(0)?)?.clone();
        records.push(Record::Fact(Fact::Heard { user, upto: row.get(1)? }));
        Ok(())
    })
}

fn read_expired(db: &Connection, names: &Names, records: &mut Vec<Record>) -> Result<(), Trouble> {
    each(db, "SELECT user, count FROM expired ORDER BY user", |row| {
        let user = names.name(row.get(0)?)?.clone();
        records.push(Record::Fact(Fact::MailExpired { user, ids: Vec::new(), untold: row.get(1)? }));
        Ok(())
    })
}

fn read_invites(db: &Connection, records: &mut Vec<Record>) -> Result<(), Trouble> {
    each(db, "SELECT digest, number, name, uses, until FROM invites ORDER BY number", |row| {
        let name: Option<String> = row.get(2)?;
        let name = name.map(|name| Name::new(&name)).transpose();
        let invite = Invite {
            number: row.get(1)?,
            name: name.map_err(|_| Trouble::Unreadable("name of an invite"))?,
            left: row.get(3)?,
            until: Time(row.get::<_, i64>(4)?.cast_unsigned()),
        };
        records.push(Record::Change(Change::InviteMade { code: Digest(row.get(0)?), invite }));
        Ok(())
    })
}

fn read_ranges(db: &Connection, records: &mut Vec<Record>) -> Result<(), Trouble> {
    each(db, "SELECT addresses, until FROM ranges ORDER BY addresses", |row| {
        let range = row.get_ref(0)?.as_str().ok().and_then(|range| range.parse().ok());
        let range = range.ok_or(Trouble::Unreadable("range of addresses"))?;
        let until = Some(Time(row.get::<_, i64>(1)?.cast_unsigned()));
        records.push(Record::Change(Change::RangeBanned { range, until }));
        Ok(())
    })
}

fn read_groups(db: &Connection, names: &Names, records: &mut Vec<Record>) -> Result<(), Trouble> {
    let mut groups: BTreeMap<Name, (Vec<Name>, Option<Maker>)> = BTreeMap::new();
    let sql = "SELECT name, user, maker, maker_left FROM members JOIN groups ON id = group_id
        ORDER BY group_id, place";
    each(db, sql, |row| {
        let group = row.get_ref(0)?.as_str().map_err(|_| Trouble::Unreadable("name of a group"))?;
        let group = Name::new(group).map_err(|_| Trouble::Unreadable("name of a group"))?;
        let left_at: Option<i64> = row.get(3)?;
        let left_at = left_at.map(|time| Time(time.cast_unsigned()));
        let maker: Option<i64> = row.get(2)?;
        let maker = maker.map(|maker| names.name(maker)).transpose()?;
        let maker = maker.map(|name| Maker { name: name.clone(), left_at });
        groups.entry(group).or_insert_with(|| (Vec::new(), maker)).0.push(names.name(row.get(1)?)?.clone());
        Ok(())
    })?;
    let set = |(group, (members, maker))| Record::Change(Change::GroupSet { group, members, maker });
    records.extend(groups.into_iter().map(set));
    Ok(())
}

/// Counts and indexes the mail in one scan that reads no texts. Counters in the database would double the
/// cost of storing a message.
fn walk_mail(db: &Connection, names: &Names) -> Result<(Vec<MailSummary>, Index), Trouble> {
    let mut counted: BTreeMap<(i64, i64), (u32, u64, Time)> = BTreeMap::new();
    let mut index = Index::default();
    each(db, "SELECT id, receiver, boot, number, sender, octet_length(text), sent_at FROM mail", |row| {
        let receiver = row.get(1)?;
        let id = MessageId { boot: row.get(2)?, number: row.get::<_, i64>(3)?.cast_unsigned() };
        let sender: u32 = row.get(4)?;
        if !index.read(receiver, Entry::new(id, row.get(0)?, sender)) {
            return Err(Trouble::Unreadable("mail: an id comes twice"));
        }
        let none = (0, 0, Time::MAX);
        let (count, bytes, oldest) = counted.entry((receiver, i64::from(sender))).or_insert(none);
        *count += 1;
        *bytes += u64::from(row.get::<_, u32>(5)?);
        *oldest = (*oldest).min(Time(row.get::<_, i64>(6)?.cast_unsigned()));
        Ok(())
    })?;
    let summary = |((to, from), (count, bytes, oldest))| {
        Ok(MailSummary { to: names.name(to)?.clone(), from: names.name(from)?.clone(), count, bytes, oldest })
    };
    Ok((counted.into_iter().map(summary).collect::<Result<_, Trouble>>()?, index))
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
