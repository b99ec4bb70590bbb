//! No room, and worse.

use crate::record::{Change, Fact};
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::words::Credential;

/// A store that may grow to so many pages.
fn small(data: &Path, pages: u32) -> Rig {
    Rig::with(options(Some(data)), |db| db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())))
        .unwrap()
}

fn big(number: u64) -> Record {
    mail_to("hans", number, "yoda", &"x".repeat(20_000))
}

fn ids(rig: &mut Rig) -> Vec<u64> {
    rig.page("hans", None, id(0, 0), 1_000).0.iter().map(|mail| mail.id.number).collect()
}

#[test]
fn a_full_disk_refuses_the_batch_whole_and_the_store_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = small(folder.path(), 120);
    rig.store([mail_to("hans", 1, "yoda", "kept"), big(2), big(3)]);

    // One batch: a block, a new user and a removal go down with the mail that does not fit.
    let first = rig.persist(Record::Change(Change::Blocked { by: name("hans"), user: name("newcomer") }));
    rig.persist(Record::Fact(Fact::MailRemoved { user: name("hans"), ids: vec![id(1, 1), id(1, 3)] }));
    for number in 10..30 {
        rig.persist(big(number));
    }
    rig.handle.load(Ticket(77), name("hans"), None, id(0, 0), 9);
    rig.handle.wake(START);
    assert_eq!(rig.next(), Answer::Refused { from: first });
    let Answer::Mail { mail, .. } = rig.next() else { panic!("the page comes all the same") };
    assert_eq!(mail.len(), 3);

    // Handed over before the core knew: dropped without a word, small as it is.
    rig.persist(mail_to("hans", 40, "yoda", "dropped"));
    rig.handle.wake(START);
    assert_eq!(ids(&mut rig), [1, 2, 3]);

    // The next epoch is tried: too big again, then small enough, then with room made.
    rig.epoch = 1;
    let second = rig.persist(mail_to("hans", 50, "newcomer", "refused with the others"));
    for number in 51..70 {
        rig.persist(big(number));
    }
    rig.handle.wake(START);
    assert_eq!(rig.next(), Answer::Refused { from: second });
    rig.epoch = 2;
    rig.store([mail_to("hans", 70, "newcomer", "fits")]);
    rig.store([Record::Fact(Fact::MailRemoved { user: name("hans"), ids: vec![id(1, 2), id(1, 3)] })]);
    rig.store([big(71)]);
    assert_eq!(ids(&mut rig), [1, 70, 71]);

    rig.handle.close().unwrap();
    let mut rig = Rig::open(folder.path());
    assert_eq!(ids(&mut rig), [1, 70, 71]);
    assert!(rig.recovery.records.is_empty(), "no block of the refused batch: {:?}", rig.recovery.records);
    rig.handle.close().unwrap();
    let report = super::super::check(folder.path()).unwrap();
    assert!(report.is_sound(), "{report}");
}

#[test]
fn a_refused_ring_of_settled_commands_is_taken_up_where_it_was() {
    use crate::record::Outcome;
    let folder = tempfile::tempdir().unwrap();
    let mut rig = small(folder.path(), 120);
    let settled = |number| Record::Settled {
        user: name("hans"),
        origin: Origin { login: LoginNumber(1), number },
        outcome: Outcome::Done,
        words: None,
    };
    let at = START;
    rig.store([Record::Fact(Fact::SessionBegan {
        user: name("hans"),
        login: LoginNumber(1),
        token: None,
        at,
    })]);
    rig.store([settled(1), settled(2)]);
    let from = rig.persist(settled(3));
    for number in 10..30 {
        rig.persist(big(number));
    }
    rig.handle.wake(START);
    assert_eq!(rig.next(), Answer::Refused { from });
    rig.epoch = 1;
    rig.store([settled(4)]);
    rig.handle.close().unwrap();
    let rig = Rig::open(folder.path());
    assert_eq!(rig.recovery.records[1..], [settled(1), settled(2), settled(4)]);
}

#[test]
fn a_folder_that_turns_read_only_refuses_and_still_reads() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.store([mail_to("hans", 1, "yoda", "kept")]);
    rig.handle.close().unwrap();
    let mut rig =
        Rig::with(options(Some(folder.path())), |db| db.pragma_update(None, "query_only", true)).unwrap();
    for epoch in 0..3 {
        rig.epoch = epoch;
        let from = rig.persist(mail_to("hans", 2, "yoda", "refused"));
        rig.handle.wake(START);
        assert_eq!(rig.next(), Answer::Refused { from });
    }
    assert_eq!(ids(&mut rig), [1]);
}

#[test]
fn any_other_failure_ends_the_store_with_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig =
        Rig::with(options(Some(folder.path())), |db| db.execute_batch("DROP TABLE blocks")).unwrap();
    rig.store([mail_to("hans", 1, "yoda", "kept")]);
    rig.persist(mail_to("hans", 2, "yoda", "lost with its batch"));
    rig.persist(Record::Change(Change::Blocked { by: name("hans"), user: name("yoda") }));
    rig.handle.wake(START);
    let Answer::Failed(line) = rig.next() else { panic!("it failed") };
    assert!(line.contains("hobnob.db") && line.contains("blocks"), "{line}");
    // What comes later goes nowhere, and nobody waits.
    rig.persist(mail_to("hans", 3, "yoda", "too late"));
    rig.handle.wake(START);
    assert_eq!(rig.handle.close(), Err(CloseError::Failed(line)));
    assert!(rig.answers.recv_blocking().is_err(), "no answer after the last one");
    let db = rusqlite::Connection::open(folder.path().join("hobnob.db")).unwrap();
    let mails: i64 = db.query_row("SELECT count(*) FROM mail", [], |row| row.get(0)).unwrap();
    assert_eq!(mails, 1);
}

#[test]
fn a_message_that_comes_twice_ends_the_store() {
    let mut rig = Rig::with(options(None), |_| Ok(())).unwrap();
    rig.store([mail_to("hans", 1, "yoda", "kept"), mail_to("luke", 1, "yoda", "an id of his own")]);
    rig.persist(mail_to("hans", 1, "luke", "the same id"));
    rig.handle.wake(START);
    let Answer::Failed(line) = rig.next() else { panic!("it failed") };
    assert!(line.contains("message 1.1"), "{line}");
}

fn account(name: &str) -> Record {
    Record::Change(Change::AccountAdded {
        name: super::name(name),
        credential: Credential::new("$argon2id$x"),
    })
}

/// A store whose credentials file takes names that do not begin with `x`; those it took.
fn with_accounts(data: Option<&Path>, error: i32) -> (Rig, Arc<Mutex<Vec<String>>>) {
    let (mut options, answers) = options(data);
    let added = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&added);
    options.add_account = Box::new(move |name, credential| {
        assert_eq!(credential.reveal(), "$argon2id$x");
        if name.as_str().starts_with('x') {
            return Err(io::Error::from_raw_os_error(error));
        }
        list.lock().unwrap().push(name.to_string());
        Ok(())
    });
    (Rig::with((options, answers), |_| Ok(())).unwrap(), added)
}

#[test]
fn accounts_go_to_the_credentials_file_in_their_turn() {
    for ephemeral in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (mut rig, added) = with_accounts((!ephemeral).then_some(folder.path()), 28);
        rig.persist(account("anna"));
        rig.persist(mail_to("anna", 1, "yoda", "welcome"));
        rig.persist(account("bob"));
        rig.handle.wake(START);
        for upto in 1..=3 {
            assert_eq!(rig.next(), Answer::Committed { upto: RecordNumber(upto) });
        }
        assert_eq!(*added.lock().unwrap(), ["anna", "bob"]);
    }
}

#[test]
fn a_full_credentials_file_refuses_the_account_and_what_follows() {
    let folder = tempfile::tempdir().unwrap();
    let (mut rig, added) = with_accounts(Some(folder.path()), 28);
    rig.persist(mail_to("hans", 1, "yoda", "before"));
    let from = rig.persist(account("xaver"));
    rig.persist(mail_to("hans", 2, "yoda", "behind"));
    rig.persist(account("late"));
    rig.handle.wake(START);
    assert_eq!(rig.next(), Answer::Committed { upto: RecordNumber(1) });
    assert_eq!(rig.next(), Answer::Refused { from });
    rig.epoch = 1;
    rig.store([account("anna")]);
    assert_eq!(*added.lock().unwrap(), ["anna"]);
    assert_eq!(ids(&mut rig), [1]);
}

#[test]
fn a_credentials_file_that_fails_to_sync_ends_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (mut rig, _) = with_accounts(Some(folder.path()), 5);
    rig.persist(account("xaver"));
    rig.handle.wake(START);
    let Answer::Failed(line) = rig.next() else { panic!("it failed") };
    assert!(line.contains("credentials.txt"), "{line}");
}

#[test]
fn a_panic_of_the_thread_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (mut options, answers) = options(Some(folder.path()));
    options.add_account = Box::new(|_, _| panic!("on purpose"));
    let mut rig = Rig::with((options, answers), |_| Ok(())).unwrap();
    rig.persist(account("anna"));
    rig.handle.wake(START);
    let Answer::Failed(line) = rig.next() else { panic!("it failed") };
    assert!(line.contains("panicked"), "{line}");
    assert_eq!(rig.handle.close(), Err(CloseError::Failed(line)));
}

/// A store whose credentials file is written when the sender says so.
fn with_slow_accounts() -> (Rig, std::sync::mpsc::Sender<()>) {
    let (mut options, answers) = options(None);
    let (go, gate) = std::sync::mpsc::channel();
    options.add_account = Box::new(move |_, _| gate.recv().map_err(io::Error::other));
    (Rig::with((options, answers), |_| Ok(())).unwrap(), go)
}

#[test]
fn a_store_that_hangs_is_left_to_itself() {
    let (mut rig, go) = with_slow_accounts();
    rig.store([mail_to("hans", 1, "yoda", "confirmed")]);
    rig.persist(account("anna"));
    rig.handle.wake(START);
    assert_eq!(rig.handle.close_within(Duration::from_millis(20)), Err(CloseError::Hangs));
    // It goes on by itself, and its answers tell.
    go.send(()).unwrap();
    assert_eq!(rig.answers.recv_blocking(), Ok(Answer::Committed { upto: RecordNumber(2) }));
    assert!(rig.answers.recv_blocking().is_err(), "it has ended");
}

#[test]
fn a_store_that_is_only_slow_is_waited_for() {
    let (mut rig, go) = with_slow_accounts();
    rig.persist(account("anna"));
    rig.handle.wake(START);
    let slow = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        go.send(())
    });
    assert_eq!(rig.handle.close_within(Duration::from_secs(60)), Ok(()));
    slow.join().unwrap().unwrap();
}
