//! Answers come in the order of what was asked.

use rusqlite::StatementStatus;

use super::super::disk;
use super::super::tables::pages::{self, MESSAGE, Request};
use super::super::tables::recovery;
use super::*;

#[test]
fn one_batch_is_committed_with_one_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    for number in 1..=100 {
        rig.persist(mail_to("hans", number, "yoda", "hi"));
    }
    assert!(rig.answers.is_empty(), "nothing happens before the store is woken");
    rig.handle.wake(START);
    assert_eq!(rig.next(), Answer::Committed { upto: RecordNumber(100) });
    rig.handle.close().unwrap();
    assert!(rig.answers.is_empty());
}

#[test]
fn commits_rise_and_end_with_the_last_record() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    for number in 1..=200 {
        rig.persist(mail_to("hans", number, "yoda", "hi"));
        rig.handle.wake(START);
    }
    let mut last = RecordNumber(0);
    while last < RecordNumber(200) {
        let Answer::Committed { upto } = rig.next() else { panic!("only commits") };
        assert!(upto > last, "{upto:?} after {last:?}");
        last = upto;
    }
}

#[test]
fn a_page_holds_what_was_stored_before_it_was_asked_for_and_nothing_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.persist(mail_to("hans", 1, "yoda", "before"));
    rig.handle.load(Ticket(5), name("hans"), None, id(0, 0), 10);
    rig.persist(mail_to("hans", 2, "yoda", "after"));
    rig.handle.load(Ticket(6), name("hans"), None, id(0, 0), 1);
    rig.handle.wake(START);
    // Each page comes between the commits of what was before and after it.
    assert_eq!(rig.next(), Answer::Committed { upto: RecordNumber(1) });
    let first = mail(1, "yoda", "before");
    assert_eq!(rig.next(), Answer::Mail { ticket: Ticket(5), mail: vec![first.clone()], more: false });
    assert_eq!(rig.next(), Answer::Committed { upto: RecordNumber(2) });
    assert_eq!(rig.next(), Answer::Mail { ticket: Ticket(6), mail: vec![first], more: true });
}

#[test]
fn pages_go_by_sender_start_and_limit() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.store((1..=20).map(|n| mail_to("hans", n, if n % 2 == 0 { "luke" } else { "yoda" }, "x")));
    let numbers =
        |(mail, more): (Vec<Mail>, bool)| (mail.iter().map(|mail| mail.id.number).collect::<Vec<_>>(), more);
    assert_eq!(numbers(rig.page("hans", None, id(1, 18), 5)), (vec![19, 20], false));
    assert_eq!(numbers(rig.page("hans", None, id(0, u64::MAX), 2)), (vec![1, 2], true));
    assert_eq!(numbers(rig.page("hans", Some("luke"), id(1, 3), 3)), (vec![4, 6, 8], true));
    assert_eq!(numbers(rig.page("hans", Some("yoda"), id(1, 15), 2)), (vec![17, 19], false));
    assert_eq!(numbers(rig.page("hans", None, id(1, u64::MAX), 5)), (vec![], false));
    assert_eq!(numbers(rig.page("hans", None, id(1, 1), 0)), (vec![], true));
    assert_eq!(numbers(rig.page("hans", Some("nobody"), id(0, 0), 5)), (vec![], false));
    assert_eq!(numbers(rig.page("nobody", None, id(0, 0), 5)), (vec![], false));
}

#[test]
fn closing_stores_what_was_queued_even_without_a_wake() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.persist(mail_to("hans", 1, "yoda", "last words"));
    rig.handle.close().unwrap();
    assert_eq!(rig.answers.try_recv(), Ok(Answer::Committed { upto: RecordNumber(1) }));
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("-wal")), "the log is moved: {names:?}");
    assert_eq!(Rig::open(folder.path()).recovery.mail.len(), 1);
}

#[test]
fn mail_is_found_by_its_row_and_never_by_scanning() {
    let folder = tempfile::tempdir().unwrap();
    let _rig = Rig::open(folder.path());
    let db = rusqlite::Connection::open(folder.path().join("hobnob.db")).unwrap();
    let plan: Vec<String> = db
        .prepare(&format!("EXPLAIN QUERY PLAN {MESSAGE}"))
        .unwrap()
        .query_map([1], |row| row.get(3))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(plan, ["SEARCH mail USING INTEGER PRIMARY KEY (rowid=?)"]);
}

#[test]
fn a_page_of_one_sender_reads_no_message_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    let sender = |number| if number == 7_000 { "yoda".to_owned() } else { format!("user{}", number % 100) };
    rig.store((1..=10_000).map(|number| mail_to("hans", number, &sender(number), "x")));
    rig.handle.close().unwrap();
    let mut database = disk::open(folder.path(), START).unwrap();
    let known = recovery::boot(&mut database.connection, START).unwrap().known;
    let read = |from: &str, limit| {
        let (user, from, after) = (name("hans"), Some(name(from)), id(0, 0));
        let request = Request { ticket: Ticket(1), user, from, after, limit };
        let page = pages::read(&database.connection, &known, &request).unwrap();
        let message = database.connection.prepare_cached(MESSAGE).unwrap();
        let runs = message.reset_status(StatementStatus::Run);
        (page.mail.len(), page.more, runs)
    };
    assert_eq!(read("yoda", 48), (1, false, 1));
    assert_eq!(read("user7", 48), (48, true, 48));
}

#[test]
fn the_bundled_sqlite_has_no_wal_reset_bug() {
    assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
}
