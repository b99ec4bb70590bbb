//! Writes records as rows.

use rusqlite::{Connection, Error, OptionalExtension, Result, ffi, params};

use super::after_end;
use super::index::Entry;
use super::known::Known;
use super::outcome;
use crate::record::{
    AfterEnd, Announcement, Change, DeviceStanding, Digest, Fact, Invite, Mail, Maker, Outcome, Record,
    Restraint, Suspect, WordsDigest,
};
use crate::time::Time;
use crate::words::{AddressRange, MessageId, Name, Origin};

/// Most names without an account whose failures are kept. The core has the same limit.
const STRANGERS_KEPT: i64 = 10_000;

/// Number of writes of such names after which the oldest beyond the limit are removed.
const STRANGERS_SWEEP: u32 = 1_000;

/// For how long it is remembered what became of a message with a given id.
const SENDS_KEPT_SECS: u64 = 86_400;

/// Applies records within the current transaction.
pub(crate) struct Rows {
    pub(crate) db: Connection,
    pub(crate) known: Known,
    /// The latest time in a record.
    latest: Time,
    strangers_written: u32,
}

impl Rows {
    pub(crate) fn new(db: Connection, known: Known) -> Rows {
        Rows { db, known, latest: Time::ZERO, strangers_written: 0 }
    }

    /// Applies a record. Accounts are not in the database.
    pub(crate) fn apply(&mut self, record: &Record) -> Result<()> {
        match record {
            Record::Change(Change::AccountAdded { .. }) => Ok(()),
            Record::Change(Change::AccountRemoved { name }) => self.remove_account(name),
            Record::Fact(Fact::Failures {
                suspect: Suspect::Account(name),
                count,
                locked_until,
                since_login,
            }) => self.set_failures(name, *count, *locked_until, *since_login),
            Record::Fact(Fact::Failures {
                suspect: Suspect::Unknown(digest),
                count,
                locked_until,
                since_login,
            }) => self.set_stranger(&digest.0, *count, *locked_until, *since_login),
            Record::Fact(Fact::Device { user, device, standing }) => {
                self.set_device(user, *device, *standing)
            }
            Record::Fact(Fact::Courier { user, token, until }) => self.set_courier(user, *token, *until),
            Record::Fact(Fact::SessionBegan { user, login, token, at }) => {
                self.begin_session(user, login.0, token.map(|digest| digest.0), *at)
            }
            Record::Fact(Fact::SessionEnded { user, after, at }) => self.end_session(user, *after, *at),
            Record::MailStored { to, mail } => self.store_mail(to, mail),
            Record::Fact(Fact::MailRemoved { user, ids }) => self.remove_mail(user, ids),
            Record::Fact(Fact::MailExpired { user, ids, untold }) => {
                self.remove_mail(user, ids)?;
                self.set_expired(user, *untold)
            }
            Record::Fact(Fact::SessionForgotten { user }) => self.forget_session(user),
            Record::Change(Change::Blocked { by, user }) => self.block(by, user),
            Record::Change(Change::Unblocked { by, user }) => self.unblock(by, user),
            Record::Change(Change::GroupSet { group, members, maker }) => {
                self.set_group(group, members, maker.as_ref())
            }
            Record::Change(Change::GroupRemoved { group }) => self.remove_group(group),
            Record::Change(Change::Restrained { user, how, until }) => self.restrain(user, *how, *until),
            Record::Change(Change::RangeBanned { range, until }) => self.ban_range(*range, *until),
            Record::Change(Change::InviteMade { code, invite }) => self.add_invite(*code, invite),
            Record::Change(Change::InviteRevoked { code }) => {
                self.run("DELETE FROM invites WHERE digest = ?1", [code.0])
            }
            Record::Change(Change::Announced { announcement }) => self.announce(announcement),
            Record::Change(Change::AnnouncementWithdrawn { number }) => {
                self.run("DELETE FROM announcements WHERE number = ?1", [number])
            }
            Record::Fact(Fact::Heard { user, upto }) => self.note_heard(user, *upto),
            Record::Fact(Fact::InviteUsed { code, left }) => {
                self.run("UPDATE invites SET uses = ?2 WHERE digest = ?1", params![code.0, left])
            }
            Record::Settled { user, origin, outcome, words } => self.settle(user, *origin, *outcome, *words),
            Record::Sent { user, number, outcome, words, until } => {
                self.note_sent(user, *number, *outcome, *words, *until)
            }
        }
    }

    /// Completes the transaction: sweeps settled commands and writes the time of the last write, which is
    /// `now` or the latest time in a record. Returns that time.
    pub(crate) fn finish(&mut self, now: Time) -> Result<Time> {
        self.known.commands.sweep(&self.db)?;
        let written = now.max(self.latest);
        self.db.prepare_cached("UPDATE server SET last_written = ?1")?.execute([written.0.cast_signed()])?;
        Ok(written)
    }

    /// Keeps the changes of the transaction: it was committed.
    pub(crate) fn committed(&mut self) {
        self.known.committed();
    }

    /// Drops the changes of the transaction: it was rolled back.
    pub(crate) fn rolled_back(&mut self) {
        self.known.rolled_back();
    }

    /// The end of time is no time of a write: it marks a login that nobody was told of.
    fn note_time(&mut self, at: Time) {
        if at != Time::MAX {
            self.latest = self.latest.max(at);
        }
    }

    fn set_failures(
        &mut self,
        name: &Name,
        count: u32,
        locked_until: Option<Time>,
        since_login: u32,
    ) -> Result<()> {
        if count == 0 && since_login == 0 && locked_until.is_none() {
            let Some(user) = self.known.names.known(name) else { return Ok(()) };
            return self.run("DELETE FROM failures WHERE user = ?1", [user]);
        }
        let user = self.known.names.number(&self.db, name)?;
        self.run(
            "INSERT OR REPLACE INTO failures (user, count, locked_until, since_login)
             VALUES (?1, ?2, ?3, ?4)",
            params![user, count, locked_until.map(signed), since_login],
        )
    }

    fn set_stranger(
        &mut self,
        digest: &[u8; 16],
        count: u32,
        locked_until: Option<Time>,
        since_login: u32,
    ) -> Result<()> {
        // Deleted even if it only changes, so that the new row gets the highest turn.
        self.run("DELETE FROM strangers WHERE digest = ?1", [digest])?;
        if count == 0 && since_login == 0 && locked_until.is_none() {
            return Ok(());
        }
        self.run(
            "INSERT INTO strangers (digest, count, locked_until, since_login) VALUES (?1, ?2, ?3, ?4)",
            params![digest, count, locked_until.map(signed), since_login],
        )?;
        self.strangers_written += 1;
        if self.strangers_written >= STRANGERS_SWEEP {
            self.strangers_written = 0;
            forget_strangers(&self.db)?;
        }
        Ok(())
    }

    fn set_device(&mut self, name: &Name, device: Digest, standing: Option<DeviceStanding>) -> Result<()> {
        let Some(DeviceStanding { login, count, locked_until }) = standing else {
            let Some(user) = self.known.names.known(name) else { return Ok(()) };
            let sql = "DELETE FROM devices WHERE user = ?1 AND digest = ?2";
            return self.run(sql, params![user, device.0]);
        };
        let user = self.known.names.number(&self.db, name)?;
        self.run(
            "INSERT OR REPLACE INTO devices (user, digest, login, count, locked_until)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![user, device.0, login.0.cast_signed(), count, locked_until.map(signed)],
        )
    }

    fn set_courier(&mut self, name: &Name, token: Digest, until: Option<Time>) -> Result<()> {
        let Some(until) = until else {
            let Some(user) = self.known.names.known(name) else { return Ok(()) };
            return self.run("DELETE FROM couriers WHERE user = ?1 AND digest = ?2", params![user, token.0]);
        };
        let user = self.known.names.number(&self.db, name)?;
        let sql = "INSERT OR REPLACE INTO couriers (user, digest, until) VALUES (?1, ?2, ?3)";
        self.run(sql, params![user, token.0, signed(until)])
    }

    fn begin_session(&mut self, name: &Name, login: u64, token: Option<[u8; 16]>, at: Time) -> Result<()> {
        self.note_time(at);
        let user = self.known.names.number(&self.db, name)?;
        self.run(
            "INSERT INTO sessions (user, login, token, began) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (user) DO UPDATE SET
                 began = iif(login = excluded.login, began, excluded.began),
                 resumed = iif(login = excluded.login, excluded.began, NULL),
                 login = excluded.login, token = excluded.token, ended = NULL, resumable = NULL",
            params![user, login.cast_signed(), token, signed(at)],
        )?;
        self.known.commands.log_in(user, login);
        Ok(())
    }

    fn end_session(&mut self, name: &Name, after: AfterEnd, at: Time) -> Result<()> {
        self.note_time(at);
        let Some(user) = self.known.names.known(name) else { return Ok(()) };
        self.run(
            "UPDATE sessions SET ended = ?2, resumable = ?3 WHERE user = ?1",
            params![user, signed(at), after_end::number(after)],
        )
    }

    /// Its number stays, and what may resume it.
    fn forget_session(&mut self, name: &Name) -> Result<()> {
        let Some(user) = self.known.names.known(name) else { return Ok(()) };
        self.run(
            "UPDATE sessions SET began = ?2, resumed = NULL, ended = 0
             WHERE user = ?1 AND ended IS NOT NULL",
            params![user, signed(Time::MAX)],
        )
    }

    fn store_mail(&mut self, to: &Name, mail: &Mail) -> Result<()> {
        self.note_time(mail.sent_at);
        let receiver = self.known.names.number(&self.db, to)?;
        let sender = self.known.names.number(&self.db, &mail.from)?;
        let group = mail.group.as_ref().map(Name::as_str);
        let login = mail.origin.map(|origin| origin.login.0.cast_signed());
        let command = mail.origin.map(|origin| origin.number.cast_signed());
        let (boot, number) = id_columns(mail.id);
        self.run(
            "INSERT INTO mail (receiver, boot, number, sender, group_name, login, command, sent_at, text)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                receiver,
                boot,
                number,
                sender,
                group,
                login,
                command,
                signed(mail.sent_at),
                mail.text.as_str()
            ],
        )?;
        let sender = u32::try_from(sender).map_err(|error| Error::ToSqlConversionFailure(error.into()))?;
        let entry = Entry::new(mail.id, self.db.last_insert_rowid(), sender);
        if self.known.index.add(receiver, entry) { Ok(()) } else { Err(twice(mail.id)) }
    }

    fn remove_mail(&mut self, name: &Name, ids: &[MessageId]) -> Result<()> {
        let Some(receiver) = self.known.names.known(name) else { return Ok(()) };
        let rows = self.known.index.remove(receiver, ids);
        self.delete_mail(rows)
    }

    fn set_expired(&mut self, name: &Name, untold: u32) -> Result<()> {
        if untold == 0 {
            let Some(user) = self.known.names.known(name) else { return Ok(()) };
            return self.run("DELETE FROM expired WHERE user = ?1", [user]);
        }
        let user = self.known.names.number(&self.db, name)?;
        self.run("INSERT OR REPLACE INTO expired (user, count) VALUES (?1, ?2)", params![user, untold])
    }

    fn delete_mail(&self, mut rows: Vec<i64>) -> Result<()> {
        let mut statement = self.db.prepare_cached("DELETE FROM mail WHERE id BETWEEN ?1 AND ?2")?;
        rows.sort_unstable();
        for run in rows.chunk_by(|a, b| a + 1 == *b) {
            let deleted = statement.execute([run[0], run[run.len() - 1]])?;
            if deleted != run.len() {
                return Err(Error::StatementChangedRows(deleted));
            }
        }
        Ok(())
    }

    fn block(&mut self, by: &Name, user: &Name) -> Result<()> {
        let blocker = self.known.names.number(&self.db, by)?;
        let blocked = self.known.names.number(&self.db, user)?;
        self.run("INSERT OR IGNORE INTO blocks (blocker, blocked) VALUES (?1, ?2)", [blocker, blocked])
    }

    fn unblock(&mut self, by: &Name, user: &Name) -> Result<()> {
        let (Some(blocker), Some(blocked)) = (self.known.names.known(by), self.known.names.known(user))
        else {
            return Ok(());
        };
        self.run("DELETE FROM blocks WHERE blocker = ?1 AND blocked = ?2", [blocker, blocked])
    }

    fn restrain(&mut self, user: &Name, how: Restraint, until: Option<Time>) -> Result<()> {
        let user = self.known.names.number(&self.db, user)?;
        match until {
            None => {
                self.run("DELETE FROM restraints WHERE user = ?1 AND how = ?2", params![user, how.as_str()])
            }
            Some(until) => self.run(
                "INSERT OR REPLACE INTO restraints (user, how, until) VALUES (?1, ?2, ?3)",
                params![user, how.as_str(), signed(until)],
            ),
        }
    }

    fn ban_range(&mut self, range: AddressRange, until: Option<Time>) -> Result<()> {
        let range = range.to_string();
        match until {
            None => self.run("DELETE FROM ranges WHERE addresses = ?1", [range]),
            Some(until) => self.run(
                "INSERT OR REPLACE INTO ranges (addresses, until) VALUES (?1, ?2)",
                params![range, signed(until)],
            ),
        }
    }

    fn announce(&mut self, announcement: &Announcement) -> Result<()> {
        let Announcement { number, at, text } = announcement;
        self.run(
            "INSERT OR REPLACE INTO announcements (number, said_at, text) VALUES (?1, ?2, ?3)",
            params![number, signed(*at), text.as_str()],
        )
    }

    fn note_heard(&mut self, user: &Name, upto: u32) -> Result<()> {
        let user = self.known.names.number(&self.db, user)?;
        self.run("INSERT OR REPLACE INTO heard (user, upto) VALUES (?1, ?2)", params![user, upto])
    }

    fn add_invite(&mut self, code: Digest, invite: &Invite) -> Result<()> {
        let Invite { number, name, left, until } = invite;
        self.run(
            "INSERT OR REPLACE INTO invites (digest, number, name, uses, until) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![code.0, number, name.as_ref().map(Name::as_str), left, signed(*until)],
        )
    }

    fn set_group(&mut self, group: &Name, members: &[Name], maker: Option<&Maker>) -> Result<()> {
        let id = match self.group(group)? {
            Some(id) => {
                self.run("DELETE FROM members WHERE group_id = ?1", [id])?;
                id
            }
            None => {
                self.run("INSERT INTO groups (name) VALUES (?1)", [group.as_str()])?;
                self.db.last_insert_rowid()
            }
        };
        for (place, member) in (0_i64..).zip(members) {
            let user = self.known.names.number(&self.db, member)?;
            self.run("INSERT INTO members (group_id, place, user) VALUES (?1, ?2, ?3)", [id, place, user])?;
        }
        let left_at = maker.and_then(|maker| maker.left_at).map(signed);
        let maker = maker.map(|maker| self.known.names.number(&self.db, &maker.name)).transpose()?;
        self.run("UPDATE groups SET maker = ?2, maker_left = ?3 WHERE id = ?1", params![id, maker, left_at])
    }

    fn remove_group(&mut self, group: &Name) -> Result<()> {
        let Some(id) = self.group(group)? else { return Ok(()) };
        self.run("DELETE FROM members WHERE group_id = ?1", [id])?;
        self.run("DELETE FROM groups WHERE id = ?1", [id])
    }

    fn group(&self, group: &Name) -> Result<Option<i64>> {
        self.db
            .prepare_cached("SELECT id FROM groups WHERE name = ?1")?
            .query_row([group.as_str()], |row| row.get(0))
            .optional()
    }

    fn settle(
        &mut self,
        name: &Name,
        origin: Origin,
        outcome: Outcome,
        words: Option<WordsDigest>,
    ) -> Result<()> {
        let user = self.known.names.number(&self.db, name)?;
        self.known.commands.settle(&self.db, user, origin, outcome, words)
    }

    /// Those of the user whose time is over by then go.
    fn note_sent(
        &mut self,
        name: &Name,
        number: u64,
        outcome: Outcome,
        words: WordsDigest,
        until: Time,
    ) -> Result<()> {
        let user = self.known.names.number(&self.db, name)?;
        let now = signed(until.minus_seconds(SENDS_KEPT_SECS));
        self.run("DELETE FROM sends WHERE user = ?1 AND until <= ?2", [user, now])?;
        let outcome = outcome::print(outcome);
        self.run(
            "INSERT OR REPLACE INTO sends (user, until, number, outcome, words) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![user, signed(until), number.cast_signed(), outcome, words.0.cast_signed()],
        )
    }

    /// Removes everything of an account: its mail, blocks in both directions, memberships, failures, session
    /// and settled commands, and groups without another member. Mail that it sent stays with its receivers.
    fn remove_account(&mut self, name: &Name) -> Result<()> {
        let Some(user) = self.known.names.known(name) else { return Ok(()) };
        self.known.commands.remove(&self.db, user)?;
        let rows = self.known.index.remove_all(user);
        self.delete_mail(rows)?;
        for sql in [
            "DELETE FROM blocks WHERE blocker = ?1 OR blocked = ?1",
            "DELETE FROM members WHERE user = ?1",
            "UPDATE groups SET maker = NULL, maker_left = NULL WHERE maker = ?1",
            "DELETE FROM failures WHERE user = ?1",
            "DELETE FROM devices WHERE user = ?1",
            "DELETE FROM couriers WHERE user = ?1",
            "DELETE FROM sends WHERE user = ?1",
            "DELETE FROM restraints WHERE user = ?1",
            "DELETE FROM heard WHERE user = ?1",
            "DELETE FROM expired WHERE user = ?1",
            "DELETE FROM sessions WHERE user = ?1",
        ] {
            self.run(sql, [user])?;
        }
        self.run("DELETE FROM groups WHERE id NOT IN (SELECT group_id FROM members)", [])
    }

    fn run(&self, sql: &str, values: impl rusqlite::Params) -> Result<()> {
        self.db.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }
}

/// Removes the failures of names without an account beyond the limit, those tried longest ago.
pub(crate) fn forget_strangers(db: &Connection) -> Result<()> {
    db.prepare_cached(
        "DELETE FROM strangers
         WHERE turn <= (SELECT turn FROM strangers ORDER BY turn DESC LIMIT 1 OFFSET ?1)",
    )?
    .execute([STRANGERS_KEPT])?;
    Ok(())
}

/// An id as columns. Running numbers never come near the end of the type.
fn id_columns(id: MessageId) -> (i64, i64) {
    (i64::from(id.boot), i64::try_from(id.number).unwrap_or(i64::MAX))
}

/// The error for a duplicate id, as a unique index would report it.
fn twice(id: MessageId) -> Error {
    let code = ffi::Error::new(ffi::SQLITE_CONSTRAINT_UNIQUE);
    Error::SqliteFailure(code, Some(format!("message {id} of one mailbox comes twice")))
}

fn signed(time: Time) -> i64 {
    time.0.cast_signed()
}
