//! Checks a database and summarizes its content.

use std::fmt;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::disk::{self, DATABASE, OpenError, Place, Trouble, one_line, schema};
use super::tables::{outcome, recovery};
use crate::words::{Name, Text};

/// Most problems that are listed; a damaged file can have thousands.
const PROBLEMS_SHOWN: usize = 20;

/// An error that prevents the check.
pub type CheckError = OpenError;

/// The result of a check. `Display` is for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Version of its tables.
    pub schema: u32,
    /// Boot number of the last start.
    pub boot: u32,
    /// Users whose mailbox is not empty.
    pub users_with_mail: u64,
    /// Messages waiting.
    pub mails: u64,
    /// Bytes of their texts.
    pub bytes: u64,
    /// Blocks, each of one user by another.
    pub blocks: u64,
    /// Groups.
    pub groups: u64,
    /// Users with a remembered session.
    pub sessions: u64,
    /// The first twenty problems; empty if the database is sound.
    pub problems: Vec<String>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "schema version  {}", self.schema)?;
        writeln!(f, "boot number     {}", self.boot)?;
        writeln!(
            f,
            "stored mail     {} messages, {} bytes, for {} users",
            self.mails, self.bytes, self.users_with_mail
        )?;
        writeln!(f, "blocks          {}", self.blocks)?;
        writeln!(f, "groups          {}", self.groups)?;
        writeln!(f, "users seen      {}", self.sessions)?;
        for problem in &self.problems {
            writeln!(f, "PROBLEM         {problem}")?;
        }
        f.write_str(if self.is_sound() {
            "sound"
        } else {
            "NOT SOUND: put a backup into an empty data folder"
        })
    }
}

/// Checks the database of a data folder: everything that a start of the server checks, with the same
/// functions, and also references and rules between rows. Changes nothing and can be run beside a server.
///
/// # Errors
/// [`OpenError`] if it cannot be read at all; problems in its content are in the report.
pub fn check(data: &Path) -> Result<CheckReport, CheckError> {
    let file = data.join(DATABASE);
    let connection = disk::open_to_read(&file)?;
    disk::look_at_lock(data)?;
    let schema = schema::recognise(&connection, &file)?;
    match report(connection, schema) {
        Ok(report) => Ok(report),
        Err(trouble) => Err(Place::Folder(data.to_path_buf()).trouble(trouble)),
    }
}

fn report(mut db: Connection, schema: u32) -> Result<CheckReport, Trouble> {
    // One transaction, to see one state.
    let db = db.transaction()?;
    let mut report = CheckReport { schema, ..CheckReport::default() };
    check_pages(&db, &mut report.problems)?;
    if report.is_sound() {
        report.problems.extend(schema::odd_table(&db, schema)?);
    }
    if !report.is_sound() {
        // Counting on damaged pages or without a table would fail with a less helpful error.
        return Ok(report);
    }
    let boot = db.query_row("SELECT boot FROM server", [], |row| row.get(0)).optional()?;
    report.boot = boot.unwrap_or(0);
    count(&db, &mut report)?;
    check_references(&db, &mut report.problems)?;
    check_rules(&db, &mut report.problems)?;
    check_words(&db, &mut report.problems)?;
    check_start(&db, &mut report)?;
    report.problems.truncate(PROBLEMS_SHOWN);
    Ok(report)
}

fn check_pages(db: &Connection, problems: &mut Vec<String>) -> Result<(), Trouble> {
    let mut statement = db.prepare(&format!("PRAGMA integrity_check({PROBLEMS_SHOWN})"))?;
    for line in statement.query_map([], |row| row.get::<_, String>(0))? {
        let line = line?;
        if line != "ok" {
            problems.push(one_line(&line));
        }
    }
    Ok(())
}

fn check_references(db: &Connection, problems: &mut Vec<String>) -> Result<(), Trouble> {
    let mut statement = db.prepare("SELECT \"table\", count(*) FROM pragma_foreign_key_check GROUP BY 1")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    for row in rows {
        let (table, count) = row?;
        problems.push(format!("{count} rows of {table} refer to what is not there"));
    }
    Ok(())
}

fn count(db: &Connection, report: &mut CheckReport) -> Result<(), Trouble> {
    let number = |sql: &str| db.query_row(sql, [], |row| row.get(0).map(i64::cast_unsigned));
    report.users_with_mail = number("SELECT count(DISTINCT receiver) FROM mail")?;
    report.mails = number("SELECT count(*) FROM mail")?;
    report.bytes = number("SELECT coalesce(sum(octet_length(text)), 0) FROM mail")?;
    report.blocks = number("SELECT count(*) FROM blocks")?;
    report.groups = number("SELECT count(*) FROM groups")?;
    report.sessions = number("SELECT count(*) FROM sessions")?;
    Ok(())
}

/// Counts rows that break a rule of the program.
fn check_rules(db: &Connection, problems: &mut Vec<String>) -> Result<(), Trouble> {
    let rules = [
        ("missing server row:", "SELECT count(*) <> 1 FROM server"),
        (
            "messages with an id of a start that has not been:",
            "SELECT count(*) FROM mail WHERE boot > (SELECT boot FROM server) OR boot < 1 OR number < 1",
        ),
        (
            "messages with the id of another:",
            "SELECT count(*) FROM (SELECT 1 FROM mail GROUP BY receiver, boot, number HAVING count(*) > 1)",
        ),
        (
            "messages with half an origin:",
            "SELECT count(*) FROM mail WHERE (login IS NULL) <> (command IS NULL)",
        ),
        (
            "groups without members:",
            "SELECT count(*) FROM groups WHERE id NOT IN (SELECT group_id FROM members)",
        ),
        (
            "members that are in a group twice:",
            "SELECT count(*) FROM (SELECT 1 FROM members GROUP BY group_id, user HAVING count(*) > 1)",
        ),
        ("users who block themselves:", "SELECT count(*) FROM blocks WHERE blocker = blocked"),
        (
            "sessions that ended without saying how:",
            "SELECT count(*) FROM sessions WHERE (ended IS NULL) <> (resumable IS NULL)",
        ),
    ];
    for (rule, sql) in rules {
        let broken: i64 = db.query_row(sql, [], |row| row.get(0)).optional()?.unwrap_or(0);
        if broken > 0 {
            problems.push(format!("{rule} {broken}"));
        }
    }
    Ok(())
}

/// Finds what would keep a server from starting although no rule is broken.
fn check_start(db: &Connection, report: &mut CheckReport) -> Result<(), Trouble> {
    // An older database would have to be migrated first.
    if !report.is_sound() || report.schema < schema::NEWEST {
        return Ok(());
    }
    match recovery::recover(db) {
        Err(trouble) if trouble.is_damage() => report.problems.push(trouble.to_string()),
        read => drop(read?),
    }
    Ok(())
}

/// Finds names, texts and outcomes that the program cannot parse.
fn check_words(db: &Connection, problems: &mut Vec<String>) -> Result<(), Trouble> {
    let sql = "SELECT name FROM names UNION SELECT name FROM groups
         UNION SELECT group_name FROM mail WHERE group_name IS NOT NULL";
    count_unreadable(db, sql, "names", |text| Name::new(text).is_ok(), problems)?;
    count_unreadable(db, "SELECT text FROM mail", "texts", |text| Text::new(text).is_some(), problems)?;
    let sql = "SELECT DISTINCT outcome FROM settled";
    count_unreadable(db, sql, "outcomes of commands", |text| outcome::parse(text).is_some(), problems)
}

fn count_unreadable(
    db: &Connection,
    sql: &str,
    what: &str,
    is_readable: impl Fn(&str) -> bool,
    problems: &mut Vec<String>,
) -> Result<(), Trouble> {
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut unreadable = 0;
    while let Some(row) = rows.next()? {
        if !row.get_ref(0)?.as_str().is_ok_and(&is_readable) {
            unreadable += 1;
        }
    }
    if unreadable > 0 {
        problems.push(format!("{unreadable} unreadable {what}"));
    }
    Ok(())
}
