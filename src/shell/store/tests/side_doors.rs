//! Backup and check, beside a running server.

use crate::record::{Change, Fact};
use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::super::{BackupError, backup, check};
use super::*;

#[test]
fn a_backup_beside_a_busy_server_is_the_state_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let copies = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.store([mail_to("hans", 1, "yoda", "first")]);
    for round in 0..5_u64 {
        // Each batch takes one message away and brings two: in a consistent copy with the batches
        // up to n there are n + 1, and the newest has number 2n + 1.
        for number in 1..=40 {
            let n = round * 40 + number;
            rig.persist(mail_to("hans", 2 * n, "yoda", &"x".repeat(500)));
            rig.persist(mail_to("hans", 2 * n + 1, "yoda", &"x".repeat(500)));
            rig.persist(Record::Fact(Fact::MailRemoved { user: name("hans"), ids: vec![id(1, n)] }));
            rig.handle.wake(START);
        }
        let copy = copies.path().join(format!("{round}")).join("hobnob.db");
        fs::create_dir(copy.parent().unwrap()).unwrap();
        let summary = backup(folder.path(), &copy).unwrap();
        assert_eq!(summary.bytes, fs::metadata(&copy).unwrap().len());
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(copy.parent().unwrap()).unwrap().count(), 1, "one file, no log");
        let report = check(copy.parent().unwrap()).unwrap();
        assert!(report.is_sound(), "{report}");
        let mut restored = Rig::open(copy.parent().unwrap());
        let (mail, _) = restored.page("hans", None, id(0, 0), u32::MAX);
        assert_eq!(summary.mails, mail.len() as u64);
        let newest = mail.last().unwrap().id.number;
        let numbers: Vec<u64> = mail.iter().map(|mail| mail.id.number).collect();
        let n = (newest - 1) / 2;
        assert_eq!(numbers, (n + 1..=newest).collect::<Vec<_>>(), "whole batches only");
    }
}

#[test]
fn a_backup_beside_the_log_of_another_database_is_not_mixed_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.store([mail_to("hans", 1, "yoda", "in the backup")]);
    let copy = folder.path().join("copy");
    backup(folder.path(), &copy).unwrap();
    rig.store([mail_to("hans", 2, "yoda", "only in the log")]);
    // A crash leaves its log; then somebody puts the backup into its place.
    let restored = tempfile::tempdir().unwrap();
    let [file, log] = ["hobnob.db", "hobnob.db-wal"].map(|name| restored.path().join(name));
    fs::copy(&copy, &file).unwrap();
    fs::copy(folder.path().join("hobnob.db-wal"), &log).unwrap();
    let refusals = [
        Rig::try_open(restored.path()).err().unwrap().to_string(),
        check(restored.path()).unwrap_err().to_string(),
        backup(restored.path(), &restored.path().join("copy")).unwrap_err().to_string(),
    ];
    for refusal in refusals {
        assert!(refusal.contains("hobnob.db is a copy beside the log of another database"), "{refusal}");
        assert!(refusal.contains("move") && refusal.contains("hobnob.db-wal away"), "{refusal}");
    }
    fs::remove_file(log).unwrap();
    let mut rig = Rig::try_open(restored.path()).unwrap();
    assert_eq!(rig.page("hans", None, id(0, 0), u32::MAX).0.len(), 1);
    // Once it is a server's own, its log belongs to it.
    rig.store([mail_to("hans", 3, "yoda", "later")]);
    assert!(check(restored.path()).unwrap().is_sound());
}

#[test]
fn a_backup_overwrites_nothing_and_leaves_nothing_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.store([mail_to("hans", 1, "yoda", "hi")]);
    let copy = folder.path().join("copy");
    fs::write(&copy, "precious").unwrap();
    let refused = backup(folder.path(), &copy).unwrap_err();
    assert!(matches!(refused, BackupError::Exists(_)), "{refused}");
    assert_eq!(fs::read(&copy).unwrap(), b"precious");
    let nowhere = backup(folder.path(), &folder.path().join("no/copy")).unwrap_err();
    assert!(matches!(nowhere, BackupError::Target { .. }), "{nowhere}");
    let nothing = tempfile::tempdir().unwrap();
    let target = nothing.path().join("copy");
    let missing = backup(nothing.path(), &target).unwrap_err();
    assert!(matches!(missing, BackupError::Source(_)), "{missing}");
    assert!(!target.exists() && !nothing.path().join("hobnob.db").exists());
}

#[test]
fn check_counts_beside_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.store([
        mail_to("hans", 1, "yoda", "four"),
        mail_to("hans", 2, "luke", "seven77"),
        mail_to("luke", 1, "yoda", "x"),
        Record::Change(Change::Blocked { by: name("hans"), user: name("vader") }),
        Record::Change(Change::GroupSet { group: name("jedi"), members: vec![name("luke")], maker: None }),
        Record::Fact(Fact::SessionBegan {
            user: name("luke"),
            login: LoginNumber(1),
            token: None,
            at: START,
        }),
    ]);
    let report = check(folder.path()).unwrap();
    assert!(report.is_sound());
    assert_eq!((report.users_with_mail, report.mails, report.bytes), (2, 3, 12));
    assert_eq!((report.blocks, report.groups, report.sessions), (1, 1, 1));
    assert_eq!((report.schema, report.boot), (9, 1));
    let shown = report.to_string();
    assert!(shown.contains("3 messages, 12 bytes, for 2 users") && shown.ends_with("sound"), "{shown}");
    rig.store([mail_to("hans", 3, "luke", "the server goes on")]);
    rig.handle.close().unwrap();
    assert_eq!(check(folder.path()).unwrap().mails, 4, "and without a server");
}

#[test]
fn check_finds_what_does_not_hold() {
    let faults = [
        ("DELETE FROM members", "without members"),
        ("UPDATE settled SET outcome = 'odd'", "unreadable outcomes"),
        ("UPDATE names SET name = name || ' '", "unreadable names"),
        ("DELETE FROM names", "refer to what is not there"),
        ("UPDATE mail SET boot = 77", "start that has not been"),
        (
            "INSERT INTO mail SELECT 9, receiver, boot, number, 2, NULL, 1, 1, 1, 'x' FROM mail",
            "id of another",
        ),
        ("UPDATE mail SET login = NULL", "half an origin"),
        ("UPDATE mail SET text = ''", "unreadable texts"),
        ("UPDATE mail SET text = 'a' || char(10) || 'b'", "unreadable texts"),
        ("INSERT INTO blocks VALUES (1, 1)", "block themselves"),
        ("DELETE FROM server", "server row"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    let origin = Origin { login: LoginNumber(1), number: 1 };
    rig.store([
        Record::Fact(Fact::SessionBegan {
            user: name("luke"),
            login: LoginNumber(1),
            token: None,
            at: START,
        }),
        mail_to("hans", 1, "yoda", "hi"),
        Record::Change(Change::GroupSet { group: name("jedi"), members: vec![name("luke")], maker: None }),
        Record::Settled { user: name("luke"), origin, outcome: crate::record::Outcome::Done, words: None },
    ]);
    rig.handle.close().unwrap();
    for (sql, problem) in faults {
        let copy = tempfile::tempdir().unwrap();
        fs::copy(folder.path().join("hobnob.db"), copy.path().join("hobnob.db")).unwrap();
        let db = rusqlite::Connection::open(copy.path().join("hobnob.db")).unwrap();
        db.pragma_update(None, "foreign_keys", false).unwrap();
        db.execute(sql, []).unwrap();
        let report = check(copy.path()).unwrap();
        assert!(report.problems.iter().any(|found| found.contains(problem)), "{sql}: {report}");
        assert!(report.to_string().contains("NOT SOUND"));
    }
}
