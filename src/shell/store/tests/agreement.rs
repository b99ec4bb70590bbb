//! `check` and the server are of one mind about a folder.

use crate::record::{Change, Fact};
use std::fs;

use super::super::check;
use super::*;

/// A store that was closed, with something in every table.
fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    let failures =
        |suspect| Record::Fact(Fact::Failures { suspect, count: 1, locked_until: None, since_login: 1 });
    let origin = Origin { login: LoginNumber(1), number: 1 };
    rig.store([
        Record::Fact(Fact::SessionBegan {
            user: name("luke"),
            login: LoginNumber(1),
            token: None,
            at: START,
        }),
        mail_to("hans", 1, "yoda", "hi"),
        Record::Change(Change::Blocked { by: name("hans"), user: name("vader") }),
        Record::Change(Change::GroupSet { group: name("jedi"), members: vec![name("luke")], maker: None }),
        Record::Settled { user: name("luke"), origin, outcome: crate::record::Outcome::Done, words: None },
        failures(Suspect::Account(name("luke"))),
        failures(Suspect::Unknown(Digest([7; 16]))),
    ]);
    rig.handle.close().unwrap();
    folder
}

/// What `check` and the server say to a folder, if they do not take it.
fn refusals(folder: &Path) -> [Option<String>; 2] {
    let checked = match check(folder) {
        Ok(report) if report.is_sound() => None,
        Ok(report) => Some(report.problems.join("; ")),
        Err(error) => Some(error.to_string()),
    };
    [checked, Rig::try_open(folder).err().map(|error| error.to_string())]
}

fn spoilt_by_sql(sql: &str) -> tempfile::TempDir {
    let folder = filled();
    let db = rusqlite::Connection::open(folder.path().join("hobnob.db")).unwrap();
    db.pragma_update(None, "foreign_keys", false).unwrap();
    db.execute_batch(sql).unwrap();
    folder
}

fn both_refuse(folder: &Path, what: &str) {
    let refusals = refusals(folder);
    let [Some(checked), Some(started)] = &refusals else { panic!("{what}: {refusals:?}") };
    for line in [checked, started] {
        assert!(!line.contains('\n') && line.len() < 300, "{what}: {line}");
        assert!(!line.contains("SELECT") && !line.contains("CREATE TABLE"), "{what}: {line}");
    }
}

#[test]
fn a_sound_folder_is_taken_by_both() {
    assert_eq!(refusals(filled().path()), [None, None]);
    // What others add is theirs.
    let added = spoilt_by_sql("CREATE TABLE notes (text TEXT); CREATE INDEX senders ON mail (sender)");
    assert_eq!(refusals(added.path()), [None, None]);
}

#[test]
fn tables_that_are_missing_or_changed_are_named_by_both() {
    let tables = [
        "server",
        "names",
        "failures",
        "strangers",
        "sessions",
        "blocks",
        "groups",
        "members",
        "settled",
        "mail",
    ];
    for table in tables {
        for (sql, why) in [
            (format!("DROP TABLE \"{table}\""), "is missing"),
            (format!("ALTER TABLE \"{table}\" ADD COLUMN more TEXT"), "was changed by another program"),
        ] {
            let folder = spoilt_by_sql(&sql);
            both_refuse(folder.path(), &sql);
            for refusal in refusals(folder.path()).into_iter().flatten() {
                assert!(refusal.contains(&format!("the table {table} {why}")), "{refusal}");
            }
        }
    }
}

#[test]
fn rows_and_versions_that_a_server_does_not_write_are_refused_by_both() {
    for sql in [
        "PRAGMA user_version = 0",
        "PRAGMA user_version = -1",
        "PRAGMA user_version = 99",
        "PRAGMA application_id = 5",
        "DELETE FROM server",
        "UPDATE server SET boot = -5",
        "UPDATE failures SET count = -1",
        "UPDATE strangers SET since_login = 5000000000",
        "UPDATE names SET name = name || ' '",
        "UPDATE settled SET outcome = 'odd'",
        "INSERT INTO mail SELECT 9, receiver, boot, number, 2, NULL, 1, 1, 1, 'x' FROM mail",
    ] {
        both_refuse(spoilt_by_sql(sql).path(), sql);
    }
}

#[test]
fn files_that_are_not_as_they_should_be_are_refused_by_both() {
    let lock = filled();
    fs::remove_file(lock.path().join("lock")).unwrap();
    fs::create_dir(lock.path().join("lock")).unwrap();
    both_refuse(lock.path(), "the lock is a folder");
    let empty = filled();
    fs::write(empty.path().join("hobnob.db"), "").unwrap();
    both_refuse(empty.path(), "an empty file");
    assert!(refusals(empty.path()).iter().flatten().all(|line| line.contains("the file is empty")));
    let gone = filled();
    fs::rename(gone.path().join("hobnob.db"), gone.path().join("hobnob.db-wal")).unwrap();
    both_refuse(gone.path(), "only a log");
    let folder = filled();
    fs::remove_file(folder.path().join("hobnob.db")).unwrap();
    fs::create_dir(folder.path().join("hobnob.db")).unwrap();
    both_refuse(folder.path(), "the database is a folder");
}
