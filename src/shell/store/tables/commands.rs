//! Outcomes of the last commands of each user, so that a repeat after a restart is not executed again.
//!
//! Rows are only appended, so a batch touches few pages. Rows that are not needed any more are swept: for
//! each row added, two are examined.

use std::collections::HashMap;

use rusqlite::{Connection, Result, params};

use super::outcome;
use crate::record::{Outcome, WordsDigest};
use crate::words::Origin;

/// Commands remembered for each user.
pub(crate) const KEPT: i64 = 512;

/// Rows examined for each one added. More than 1, so that the table stays within a small multiple of the rows
/// that are needed.
const SWEPT_PER_ROW: i64 = 2;

/// The progress of a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The login number of the last session; commands of earlier ones will not be repeated.
    pub(crate) login: u64,
    /// How many commands were settled.
    pub(crate) turn: i64,
}

impl Progress {
    /// Whether a command may still be repeated. Its login can be later than the last known one, because the
    /// record of a session may be written after those of its commands.
    pub(crate) fn needs(&self, turn: i64, login: u64) -> bool {
        turn > self.turn - KEPT && login >= self.login
    }
}

/// The table of settled commands.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    users: HashMap<i64, Progress>,
    /// Changes of the current transaction in `users`, each with the value before.
    undo: Vec<(i64, Option<Progress>)>,
    /// Rows added by the current transaction.
    added: i64,
    /// Rows up to this one were examined in the current round.
    swept: i64,
}

impl Commands {
    /// Starts from what recovery has read.
    pub(crate) fn new(users: HashMap<i64, Progress>) -> Commands {
        Commands { users, ..Commands::default() }
    }

    /// Notes a new session; commands of earlier logins are not needed any more.
    pub(crate) fn log_in(&mut self, user: i64, login: u64) {
        let progress = self.progress(user);
        self.set(user, Some(Progress { login, ..progress }));
    }

    /// Adds the outcome of a command.
    pub(crate) fn settle(
        &mut self,
        db: &Connection,
        user: i64,
        origin: Origin,
        result: Outcome,
        words: Option<WordsDigest>,
    ) -> Result<()> {
        let progress = self.progress(user);
        let turn = progress.turn + 1;
        self.set(user, Some(Progress { turn, ..progress }));
        self.added += 1;
        let (login, command) = (origin.login.0.cast_signed(), origin.number.cast_signed());
        let words = words.map(|words| words.0.cast_signed());
        db.prepare_cached(
            "INSERT INTO settled (user, turn, login, command, outcome, words) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![user, turn, login, command, outcome::print(result), words])?;
        Ok(())
    }

    /// Forgets a user.
    pub(crate) fn remove(&mut self, db: &Connection, user: i64) -> Result<()> {
        self.set(user, None);
        db.prepare_cached("DELETE FROM settled WHERE user = ?1")?.execute([user])?;
        Ok(())
    }

    /// Examines the next rows and removes those that are not needed any more.
    pub(crate) fn sweep(&mut self, db: &Connection) -> Result<()> {
        let looked_at = self.added * SWEPT_PER_ROW;
        if looked_at == 0 {
            return Ok(());
        }
        let mut stale: Vec<(i64, i64)> = Vec::new();
        let mut statement = db
            .prepare_cached("SELECT id, user, turn, login FROM settled WHERE id > ?1 ORDER BY id LIMIT ?2")?;
        let mut rows = statement.query([self.swept, looked_at])?;
        let mut seen = 0;
        while let Some(row) = rows.next()? {
            seen += 1;
            self.swept = row.get(0)?;
            if self.progress(row.get(1)?).needs(row.get(2)?, row.get::<_, i64>(3)?.cast_unsigned()) {
                continue;
            }
            match stale.last_mut() {
                Some((_, last)) if *last + 1 == self.swept => *last += 1,
                _ => stale.push((self.swept, self.swept)),
            }
        }
        if seen < looked_at {
            self.swept = 0;
        }
        let mut delete = db.prepare_cached("DELETE FROM settled WHERE id BETWEEN ?1 AND ?2")?;
        for (first, last) in stale {
            delete.execute([first, last])?;
        }
        Ok(())
    }

    /// Keeps the changes of the transaction: it was committed.
    pub(crate) fn committed(&mut self) {
        self.undo.clear();
        self.added = 0;
    }

    /// Drops the changes of the transaction: it was rolled back.
    pub(crate) fn rolled_back(&mut self) {
        while let Some((user, before)) = self.undo.pop() {
            match before {
                Some(progress) => self.users.insert(user, progress),
                None => self.users.remove(&user),
            };
        }
        self.added = 0;
        self.swept = 0;
    }

    fn progress(&self, user: i64) -> Progress {
        self.users.get(&user).copied().unwrap_or_default()
    }

    fn set(&mut self, user: i64, progress: Option<Progress>) {
        let before = match progress {
            Some(progress) => self.users.insert(user, progress),
            None => self.users.remove(&user),
        };
        self.undo.push((user, before));
    }
}
