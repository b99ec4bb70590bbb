//! What goes in comes out, after a close and an open.

use std::path::Path;

use super::model::Model;
use super::*;
use crate::record::{AfterEnd, Change, Digest, Fact, Maker, Outcome, Restraint, Suspect, WordsDigest};
use crate::wire::{Code, Status};

fn reopened(data: &Path, rig: Rig) -> Rig {
    rig.handle.close().unwrap();
    Rig::open(data)
}

fn began(user: &str, login: u64, at: u64) -> Record {
    let token = Some(Digest([login as u8; 16]));
    Record::Fact(Fact::SessionBegan { user: name(user), login: LoginNumber(login), token, at: Time(at) })
}

fn settled(user: &str, login: u64, number: u64, outcome: Outcome) -> Record {
    let origin = Origin { login: LoginNumber(login), number };
    Record::Settled { user: name(user), origin, outcome, words: None }
}

/// As [`settled`], of a command with a digest.
fn settled_of(user: &str, login: u64, number: u64, outcome: Outcome, words: u64) -> Record {
    let origin = Origin { login: LoginNumber(login), number };
    Record::Settled { user: name(user), origin, outcome, words: Some(WordsDigest(words)) }
}

/// One of each kind, with values at the ends of their ranges.
fn one_of_each() -> Vec<Record> {
    let group = |group: &str, members: &[&str]| {
        Record::Change(Change::GroupSet {
            group: name(group),
            members: members.iter().map(|member| name(member)).collect(),
            maker: Some(Maker { name: name("hans"), left_at: members.first().map(|_| Time(u64::MAX)) }),
        })
    };
    let odd = Mail {
        id: id(u32::MAX - 1, 9),
        from: name("yoda"),
        group: Some(name("jedi")),
        origin: Some(Origin { login: LoginNumber(u64::MAX), number: u64::MAX }),
        sent_at: Time(7),
        text: "a\0b \u{1F600}  ".parse().unwrap(),
    };
    vec![
        failures(Suspect::Account(name("hans")), 2, None),
        failures(Suspect::Account(name("vader")), 3, Some(Time::MAX)),
        failures(Suspect::Unknown(Digest([9; 16])), 1, Some(Time(5))),
        failures(Suspect::Account(name("luke")), 2, None),
        failures(Suspect::Account(name("luke")), 0, None),
        began("hans", 1, 10),
        Record::Fact(Fact::SessionEnded { user: name("hans"), after: AfterEnd::Nothing, at: Time(20) }),
        began("yoda", 4, 30),
        Record::Fact(Fact::SessionEnded { user: name("yoda"), after: AfterEnd::Resume, at: Time(40) }),
        began("yoda", 4, 50),
        Record::Fact(Fact::SessionBegan {
            user: name("luke"),
            login: LoginNumber(u64::MAX),
            token: None,
            at: Time(60),
        }),
        settled("yoda", 4, u64::MAX, Outcome::Message(Status::Stored)),
        settled_of("yoda", 4, 3, Outcome::Done, u64::MAX),
        settled_of("yoda", 4, 5, Outcome::Done, 0),
        settled("yoda", 4, 2, Outcome::Broadcast { recipients: 5, withheld: true }),
        settled("hans", 1, 1, Outcome::Failed(Code::MailboxFull)),
        mail_to("hans", 1, "yoda", "one"),
        mail_to("hans", 2, "luke", "two"),
        mail_to("hans", 3, "yoda", "three"),
        Record::MailStored { to: name("luke"), mail: odd },
        mail_to("vader", 1, "luke", "father?"),
        mail_to("vader", 2, "luke", "no"),
        Record::Fact(Fact::MailExpired {
            user: name("vader"),
            ids: vec![id(1, 2), id(1, 98)],
            untold: u32::MAX,
        }),
        Record::Fact(Fact::MailExpired { user: name("luke"), ids: vec![], untold: 1 }),
        Record::Fact(Fact::MailExpired { user: name("luke"), ids: vec![], untold: 0 }),
        Record::Fact(Fact::MailRemoved { user: name("hans"), ids: vec![id(1, 1), id(1, 99)] }),
        Record::Fact(Fact::MailRemoved { user: name("vader"), ids: vec![id(1, 1)] }),
        Record::Change(Change::Blocked { by: name("hans"), user: name("vader") }),
        Record::Change(Change::Blocked { by: name("yoda"), user: name("vader") }),
        Record::Change(Change::Unblocked { by: name("yoda"), user: name("vader") }),
        group("jedi", &["yoda", "luke"]),
        group("jedi", &["luke", "yoda", "hans"]),
        group("sith", &["vader"]),
        Record::Change(Change::GroupRemoved { group: name("sith") }),
        restrained("vader", Restraint::Disabled, Some(Time::MAX)),
        restrained("hans", Restraint::Muted, Some(Time(60))),
        restrained("hans", Restraint::Muted, Some(Time(70))),
        restrained("luke", Restraint::Banned, Some(Time(80))),
        restrained("luke", Restraint::Banned, None),
    ]
}

fn restrained(user: &str, how: Restraint, until: Option<Time>) -> Record {
    Record::Change(Change::Restrained { user: name(user), how, until })
}

#[test]
fn every_kind_of_record_survives_a_close_and_an_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    assert_eq!(rig.recovery.boot, 1);
    assert!(rig.recovery.records.is_empty() && rig.recovery.mail.is_empty());
    let records = one_of_each();
    rig.store(records.clone());
    Model::of(&records).expect(&mut reopened(folder.path(), rig));
}

#[test]
fn an_account_that_is_removed_leaves_only_what_it_sent() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    let mut records = one_of_each();
    for user in ["yoda", "luke", "hans"] {
        records.push(Record::Change(Change::AccountRemoved { name: name(user) }));
    }
    records.push(mail_to("r2d2", 1, "yoda", "still here"));
    rig.store(records.clone());
    let mut rig = reopened(folder.path(), rig);
    Model::of(&records).expect(&mut rig);
    assert_eq!(rig.page("r2d2", Some("yoda"), id(0, 0), 9).0.len(), 1);
    assert_eq!(rig.page("hans", None, id(0, 0), 9).0.len(), 0);
}

#[test]
fn boot_numbers_rise_and_secret_and_time_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    let secret = rig.recovery.secret;
    assert_ne!(secret, [0; 32]);
    assert_eq!(rig.recovery.last_written, START);
    let late = Time(START.0 + 3_600_000_000);
    rig.store([Record::Fact(Fact::SessionEnded { user: name("hans"), after: AfterEnd::Resume, at: late })]);
    for boot in 2..5 {
        rig = reopened(folder.path(), rig);
        assert_eq!(rig.recovery.boot, boot);
        assert_eq!(rig.recovery.secret, secret);
        assert_eq!(rig.recovery.last_written, late, "a start is no writing");
    }
    // Another write now, with a clock an hour behind, does not take the time back.
    rig.store([began("hans", 2, 1)]);
    assert!(reopened(folder.path(), rig).recovery.last_written >= late);
}

#[test]
fn a_login_that_nobody_was_told_of_does_not_put_the_time_forward() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.store([began("hans", 1, Time::MAX.0)]);
    let rig = reopened(folder.path(), rig);
    assert_eq!(rig.recovery.last_written, START);
    assert_eq!(rig.recovery.records, [began("hans", 1, Time::MAX.0)]);
}

#[test]
fn of_settled_commands_the_last_512_of_the_last_login_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    let mut records = vec![began("hans", 1, 1)];
    records.extend((0..700).map(|number| settled("hans", 1, number * 3, Outcome::Done)));
    rig.store(records.clone());
    let mut rig = reopened(folder.path(), rig);
    Model::of(&records).expect(&mut rig);
    // The ring goes on where it was, over a start.
    let more: Vec<Record> = (0..20).map(|number| settled("hans", 1, number, Outcome::Done)).collect();
    rig.store(more.clone());
    records.extend(more);
    let mut rig = reopened(folder.path(), rig);
    Model::of(&records).expect(&mut rig);
    // A new login has no use for the commands of the old one.
    let more = [began("hans", 2, 2), settled("hans", 2, 1, Outcome::Done)];
    rig.store(more.clone());
    records.extend(more);
    Model::of(&records).expect(&mut reopened(folder.path(), rig));
}

#[test]
fn a_command_may_be_settled_before_the_record_of_its_session_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.store([began("hans", 1, 1), settled("hans", 2, 1, Outcome::Done)]);
    let mut rig = reopened(folder.path(), rig);
    assert_eq!(rig.recovery.records, [began("hans", 1, 1)]);
    rig.store([began("hans", 2, 2)]);
    let rig = reopened(folder.path(), rig);
    assert_eq!(rig.recovery.records, [began("hans", 2, 2), settled("hans", 2, 1, Outcome::Done)]);
}

#[test]
fn commands_that_nobody_needs_any_more_are_swept_out_of_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.store(["hans", "yoda", "luke"].map(|user| began(user, 1, 1)));
    for batch in 0..100 {
        rig.store(
            (0..200).map(|n| settled(["hans", "yoda"][n % 2], 1, batch * 200 + n as u64, Outcome::Done)),
        );
        rig.store([settled("luke", 1, batch, Outcome::Done)]);
    }
    rig.handle.close().unwrap();
    let db = rusqlite::Connection::open(folder.path().join("hobnob.db")).unwrap();
    let rows: i64 = db.query_row("SELECT count(*) FROM settled", [], |row| row.get(0)).unwrap();
    // 512 each of the two busy users and 100 of the third are needed.
    assert!((1_124..=3 * 1_124).contains(&rows), "{rows} rows");
    let rig = Rig::open(folder.path());
    assert_eq!(rig.recovery.records.len(), 3 + 1_124);
}

#[test]
fn made_up_names_are_bounded_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    let stranger = |n: u32| {
        let mut digest = [0; 16];
        digest[..4].copy_from_slice(&n.to_be_bytes());
        Suspect::Unknown(Digest(digest))
    };
    rig.store((0..12_500).map(|n| failures(stranger(n), 1, None)));
    rig.store([failures(stranger(2_600), 2, None)]);
    let rig = reopened(folder.path(), rig);
    let kept: Vec<&Record> = rig.recovery.records.iter().collect();
    assert_eq!(kept.len(), 10_000);
    assert_eq!(kept[0], &failures(stranger(2_500), 1, None), "the oldest first");
    assert_eq!(kept[9_999], &failures(stranger(2_600), 2, None), "tried again, so the newest");
}

#[test]
fn a_memory_store_keeps_nothing_and_is_a_store_all_the_same() {
    let records = one_of_each();
    let mut rig = Rig::with(options(None), |_| Ok(())).unwrap();
    assert_eq!(rig.recovery.boot, 1);
    rig.store(records);
    let (mail, more) = rig.page("hans", None, id(0, 0), 9);
    assert_eq!((mail.len(), more), (2, false));
    rig.handle.close().unwrap();
    let rig = Rig::with(options(None), |_| Ok(())).unwrap();
    assert!(rig.recovery.records.is_empty() && rig.recovery.mail.is_empty());
}

#[test]
fn a_clock_that_is_off_by_a_century_leaves_numbers_for_later_starts() {
    let folder = tempfile::tempdir().unwrap();
    for boot in 1..4 {
        let (mut options, answers) = options(Some(folder.path()));
        options.started = Time((u64::from(u32::MAX) + 7) * 1_000_000);
        let rig = Rig::with((options, answers), |_| Ok(())).unwrap();
        assert_eq!(rig.recovery.boot, boot);
    }
}

#[test]
fn a_fresh_folder_counts_its_boots_from_the_second_of_the_start() {
    let (mut options, _answers) = options(None);
    options.started = Time(5_000_000_000);
    let (handle, recovery) = crate::shell::store::open(options).unwrap();
    assert_eq!(recovery.boot, 5_000, "ids of a server that lost its folder must not come again");
    handle.close().unwrap();
}
