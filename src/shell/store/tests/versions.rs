//! Data folders of earlier versions.

use std::fs;

use super::super::{backup, check};
use super::model::Model;
use super::*;
use crate::record::{
    AfterEnd, Announcement, Change, DeviceStanding, Fact, Invite, Maker, Outcome, Restraint, WordsDigest,
};
use crate::wire::{Code, Status};

/// The data folder that version 1 left, with some SQL on top.
fn version_1(more: &str) -> tempfile::TempDir {
    folder_of(&[include_str!("version_1.sql"), more])
}

/// A data folder that was made so.
fn folder_of(sql: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let db = rusqlite::Connection::open(folder.path().join("hobnob.db")).unwrap();
    for sql in sql {
        db.execute_batch(sql).unwrap();
    }
    folder
}

fn version_of(folder: &Path) -> u32 {
    let db = rusqlite::Connection::open(folder.join("hobnob.db")).unwrap();
    db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn settled(user: &str, login: u64, number: u64, outcome: Outcome, words: Option<u64>) -> Record {
    let origin = Origin { login: LoginNumber(login), number };
    Record::Settled { user: name(user), origin, outcome, words: words.map(WordsDigest) }
}

/// What is in `version_1.sql`.
fn kept() -> Vec<Record> {
    let failures = |suspect, count, locked_until| {
        Record::Fact(Fact::Failures { suspect, count, locked_until, since_login: count })
    };
    let began = |user: &str, login, token: Option<u8>, at| {
        let token = token.map(|byte| Digest([byte; 16]));
        Record::Fact(Fact::SessionBegan { user: name(user), login: LoginNumber(login), token, at: Time(at) })
    };
    let to_group = Mail {
        id: id(1, 9),
        from: name("yoda"),
        group: Some(name("jedi")),
        origin: Some(Origin { login: LoginNumber(u64::MAX), number: u64::MAX }),
        sent_at: Time(7),
        text: "a text".parse().unwrap(),
    };
    let members = vec![name("luke"), name("yoda"), name("hans")];
    vec![
        failures(Suspect::Account(name("hans")), 2, None),
        failures(Suspect::Account(name("vader")), 3, Some(Time::MAX)),
        failures(Suspect::Unknown(Digest([9; 16])), 1, Some(Time(5))),
        began("hans", 1, Some(1), 10),
        settled("hans", 1, 1, Outcome::Failed(Code::MailboxFull), None),
        Record::Fact(Fact::SessionEnded { user: name("hans"), after: AfterEnd::Nothing, at: Time(20) }),
        began("luke", u64::MAX, None, 60),
        began("yoda", 4, Some(4), 30),
        began("yoda", 4, Some(4), 50),
        settled("yoda", 4, u64::MAX, Outcome::Message(Status::Stored), None),
        settled("yoda", 4, 2, Outcome::Broadcast { recipients: 5, withheld: true }, None),
        Record::Change(Change::Blocked { by: name("hans"), user: name("vader") }),
        Record::Change(Change::GroupSet {
            group: name("jedi"),
            // It counts for the owner.
            maker: members.first().map(|owner| Maker { name: owner.clone(), left_at: None }),
            members,
        }),
        mail_to("hans", 2, "luke", "two"),
        mail_to("hans", 3, "yoda", "three"),
        Record::MailStored { to: name("luke"), mail: to_group },
    ]
}

#[test]
fn a_folder_of_version_1_keeps_everything_and_takes_digests_from_now_on() {
    let folder = version_1("");
    let mut records = kept();
    let mut rig = Rig::open(folder.path());
    Model::of(&records).expect(&mut rig);
    assert_eq!((rig.recovery.boot, rig.recovery.secret), (2, [0x5a; 32]));
    let later = settled("yoda", 4, 6, Outcome::Done, Some(u64::MAX - 1));
    rig.store([later.clone()]);
    records.push(later);
    rig.handle.close().unwrap();
    let report = check(folder.path()).unwrap();
    assert!(report.is_sound() && report.schema == 9, "{report}");
    Model::of(&records).expect(&mut Rig::open(folder.path()));
}

#[test]
fn a_folder_of_version_3_keeps_everything_and_takes_tokens_of_couriers() {
    let folder = folder_of(&[include_str!("version_3.sql")]);
    let mut records = kept();
    records.retain(|record| !matches!(record, Record::Settled { origin: Origin { number: 2, .. }, .. }));
    let standing = DeviceStanding { login: LoginNumber(7), count: 1, locked_until: None };
    records.push(Record::Fact(Fact::Device {
        user: name("hans"),
        device: Digest([13; 16]),
        standing: Some(standing),
    }));
    records.push(settled("yoda", 4, 2, Outcome::Broadcast { recipients: 5, withheld: true }, Some(77)));
    let mut rig = Rig::open(folder.path());
    Model::of(&records).expect(&mut rig);
    let courier = |user: &str, token, until| {
        Record::Fact(Fact::Courier { user: name(user), token: Digest([token; 16]), until })
    };
    let given = [("hans", 1, Some(Time(5))), ("hans", 2, Some(Time(u64::MAX))), ("luke", 1, Some(Time(7)))];
    let all = given.into_iter().chain([("hans", 1, None), ("vader", 1, None)]);
    for record in all.map(|(user, token, until)| courier(user, token, until)) {
        rig.store([record.clone()]);
        records.push(record);
    }
    let removed = Record::Change(Change::AccountRemoved { name: name("luke") });
    rig.store([removed.clone()]);
    records.push(removed);
    rig.handle.close().unwrap();
    let report = check(folder.path()).unwrap();
    assert!(report.is_sound() && report.schema == 9, "{report}");
    Model::of(&records).expect(&mut Rig::open(folder.path()));
}

/// What is in `version_4.sql`.
fn kept_by_version_4() -> Vec<Record> {
    let mut records = kept();
    records.retain(|record| !matches!(record, Record::Settled { origin: Origin { number: 2, .. }, .. }));
    let standing = DeviceStanding { login: LoginNumber(7), count: 1, locked_until: None };
    let (device, token) = (Digest([13; 16]), Digest([12; 16]));
    records.push(Record::Fact(Fact::Device { user: name("hans"), device, standing: Some(standing) }));
    records.push(settled("yoda", 4, 2, Outcome::Broadcast { recipients: 5, withheld: true }, Some(77)));
    records.push(Record::Fact(Fact::Courier { user: name("hans"), token, until: Some(Time(99)) }));
    records
}

#[test]
fn a_folder_of_version_4_keeps_everything_and_takes_given_ids() {
    let folder = folder_of(&[include_str!("version_4.sql")]);
    let mut records = kept_by_version_4();
    let mut rig = Rig::open(folder.path());
    Model::of(&records).expect(&mut rig);
    let day = 86_400_000_000;
    let sent = |user: &str, number, outcome, at| {
        let (words, until) = (WordsDigest(u64::MAX - at), Time(at + day));
        Record::Sent { user: name(user), number, outcome, words, until }
    };
    let group = Outcome::Group { delivered: 1, stored: 2, refused: 0, withheld: true };
    let new = [
        sent("hans", 1, Outcome::Message(Status::Delivered), 5),
        sent("hans", u64::MAX, group, 6),
        sent("luke", 1, Outcome::Failed(Code::UnknownUser), 7),
        // The day of the first is over by then, and that of the second is not.
        sent("hans", 2, Outcome::Broadcast { recipients: 3, withheld: false }, 5 + day),
        sent("vader", 3, Outcome::Message(Status::Stored), 8),
        Record::Change(Change::AccountRemoved { name: name("luke") }),
    ];
    for record in new {
        rig.store([record.clone()]);
        records.push(record);
    }
    rig.handle.close().unwrap();
    let report = check(folder.path()).unwrap();
    assert!(report.is_sound() && report.schema == 9, "{report}");
    let mut rig = Rig::open(folder.path());
    Model::of(&records).expect(&mut rig);
    let left = rig.recovery.records.iter().filter(|record| matches!(record, Record::Sent { .. }));
    assert_eq!(left.count(), 3);
}

#[test]
fn a_folder_of_version_5_keeps_everything_and_takes_restraints() {
    let folder = folder_of(&[include_str!("version_4.sql"), include_str!("version_5.sql")]);
    let mut records = kept_by_version_4();
    records.push(Record::Sent {
        user: name("hans"),
        number: 7,
        outcome: Outcome::Done,
        words: WordsDigest(5),
        until: Time(86_400_000_009),
    });
    let mut rig = Rig::open(folder.path());
    Model::of(&records).expect(&mut rig);
    let restrained = |user: &str, how, until| {
        Record::Change(Change::Restrained { user: name(user), how, until: Some(Time(until)) })
    };
    let new = [restrained("hans", Restraint::Muted, 5), restrained("vader", Restraint::Disabled, u64::MAX)];
    for record in new {
        rig.store([record.clone()]);
        records.push(record);
    }
    rig.handle.close().unwrap();
    assert!(check(folder.path()).unwrap().is_sound());
    Model::of(&records).expect(&mut Rig::open(folder.path()));
}

#[test]
fn a_folder_of_version_6_keeps_everything_and_takes_invites() {
    let folder = folder_of(&[
        include_str!("version_4.sql"),
        include_str!("version_5.sql"),
        include_str!("version_6.sql"),
    ]);
    let mut records = kept_by_version_4();
    let (words, until) = (WordsDigest(5), Time(86_400_000_009));
    let outcome = Outcome::Done;
    records.push(Record::Sent { user: name("hans"), number: 7, outcome, words, until });
    let (how, until) = (Restraint::Muted, Some(Time(5)));
    records.push(Record::Change(Change::Restrained { user: name("hans"), how, until }));
    let mut rig = Rig::open(folder.path());
    Model::of(&records).expect(&mut rig);
    let new = [
        invited(1, None, 1),
        invited(2, Some("rey"), 1_000),
        invited(3, None, 3),
        Record::Fact(Fact::InviteUsed { code: Digest([2; 16]), left: 999 }),
        Record::Change(Change::InviteRevoked { code: Digest([3; 16]) }),
        Record::Fact(Fact::InviteUsed { code: Digest([3; 16]), left: 2 }),
    ];
    for record in new {
        rig.store([record.clone()]);
        records.push(record);
    }
    rig.handle.close().unwrap();
    let report = check(folder.path()).unwrap();
    assert!(report.is_sound() && report.schema == 9, "{report}");
    Model::of(&records).expect(&mut Rig::open(folder.path()));
}

#[test]
fn a_folder_of_version_7_keeps_everything_and_takes_announcements() {
    let folder = folder_of(&[
        include_str!("version_4.sql"),
        include_str!("version_5.sql"),
        include_str!("version_6.sql"),
        include_str!("version_7.sql"),
    ]);
    let mut records = kept_by_version_4();
    let (words, until) = (WordsDigest(5), Time(86_400_000_009));
    records.push(Record::Sent { user: name("hans"), number: 7, outcome: Outcome::Done, words, until });
    let (how, until) = (Restraint::Muted, Some(Time(5)));
    records.push(Record::Change(Change::Restrained { user: name("hans"), how, until }));
    records.push(invited(1, Some("rey"), 3));
    let range = "192.0.2.0/24".parse().unwrap();
    records.push(Record::Change(Change::RangeBanned { range, until: Some(Time(9)) }));
    let mut rig = Rig::open(folder.path());
    Model::of(&records).expect(&mut rig);
    let said = |number, text: &str| {
        let announcement = Announcement { number, at: Time(40), text: text.parse().unwrap() };
        Record::Change(Change::Announced { announcement })
    };
    let new = [
        said(1, "at\u{2028}five"),
        said(2, "no"),
        Record::Change(Change::AnnouncementWithdrawn { number: 2 }),
        Record::Fact(Fact::Heard { user: name("hans"), upto: 1 }),
        Record::Fact(Fact::Heard { user: name("hans"), upto: 2 }),
    ];
    for record in new {
        rig.store([record.clone()]);
        records.push(record);
    }
    rig.handle.close().unwrap();
    let report = check(folder.path()).unwrap();
    assert!(report.is_sound() && report.schema == 9, "{report}");
    Model::of(&records).expect(&mut Rig::open(folder.path()));
}

#[test]
fn a_folder_of_version_8_keeps_everything_and_counts_what_has_expired() {
    let folder = folder_of(&[
        include_str!("version_4.sql"),
        include_str!("version_5.sql"),
        include_str!("version_6.sql"),
        include_str!("version_7.sql"),
        include_str!("version_8.sql"),
    ]);
    let mut records = kept_by_version_4();
    let (words, until) = (WordsDigest(5), Time(86_400_000_009));
    records.push(Record::Sent { user: name("hans"), number: 7, outcome: Outcome::Done, words, until });
    let (how, until) = (Restraint::Muted, Some(Time(5)));
    records.push(Record::Change(Change::Restrained { user: name("hans"), how, until }));
    records.push(invited(1, Some("rey"), 3));
    let range = "192.0.2.0/24".parse().unwrap();
    records.push(Record::Change(Change::RangeBanned { range, until: Some(Time(9)) }));
    let announcement = Announcement { number: 1, at: Time(40), text: "at five".parse().unwrap() };
    records.push(Record::Change(Change::Announced { announcement }));
    records.push(Record::Fact(Fact::Heard { user: name("hans"), upto: 1 }));
    let mut rig = Rig::open(folder.path());
    Model::of(&records).expect(&mut rig);
    let expired = |user: &str, numbers: &[u64], untold| {
        let ids = numbers.iter().map(|number| id(1, *number)).collect();
        Record::Fact(Fact::MailExpired { user: name(user), ids, untold })
    };
    let new = [
        expired("hans", &[2], 1),
        expired("luke", &[9], 1),
        expired("luke", &[], 0),
        settled("yoda", 4, 6, Outcome::StoredUntil(Time(77)), Some(7)),
        Record::Fact(Fact::SessionForgotten { user: name("hans") }),
        Record::Fact(Fact::SessionForgotten { user: name("yoda") }),
    ];
    for record in new {
        rig.store([record.clone()]);
        records.push(record);
    }
    rig.handle.close().unwrap();
    let report = check(folder.path()).unwrap();
    assert!(report.is_sound() && report.schema == 9, "{report}");
    Model::of(&records).expect(&mut Rig::open(folder.path()));
}

fn invited(number: u8, only: Option<&str>, left: u32) -> Record {
    let invite = Invite { number: number.into(), name: only.map(name), left, until: Time::MAX };
    Record::Change(Change::InviteMade { code: Digest([number; 16]), invite })
}

#[test]
fn check_and_backup_take_a_folder_of_version_1_as_it_is() {
    let folder = version_1("");
    let report = check(folder.path()).unwrap();
    assert!(report.is_sound(), "{report}");
    assert_eq!((report.schema, report.boot, report.mails, report.blocks), (1, 1, 3, 1));
    let copy = tempfile::tempdir().unwrap();
    backup(folder.path(), &copy.path().join("hobnob.db")).unwrap();
    assert_eq!([folder.path(), copy.path()].map(version_of), [1, 1], "nothing is changed in either");
    Model::of(&kept()).expect(&mut Rig::open(copy.path()));
}

#[test]
fn a_backup_holds_the_digests() {
    let folder = version_1("");
    let mut records = kept();
    let later = settled("yoda", 4, 6, Outcome::Done, Some(7));
    records.push(later.clone());
    let mut rig = Rig::open(folder.path());
    rig.store([later]);
    let copy = tempfile::tempdir().unwrap();
    backup(folder.path(), &copy.path().join("hobnob.db")).unwrap();
    Model::of(&records).expect(&mut Rig::open(copy.path()));
}

#[test]
fn a_damaged_folder_of_version_1_is_refused_before_it_is_migrated() {
    for (sql, why) in [
        ("DROP TABLE settled", "the table settled is missing"),
        ("ALTER TABLE settled ADD COLUMN words INTEGER", "the table settled was changed by another program"),
        ("DROP TABLE blocks", "the table blocks is missing"),
    ] {
        let folder = version_1(sql);
        let before = fs::read(folder.path().join("hobnob.db")).unwrap();
        let refused = Rig::try_open(folder.path()).err().unwrap().to_string();
        assert!(refused.contains("damaged") && refused.contains(why), "{sql}: {refused}");
        assert_eq!(version_of(folder.path()), 1);
        assert!(fs::read(folder.path().join("hobnob.db")).unwrap()[100..] == before[100..], "{sql}: changed");
        let report = check(folder.path()).unwrap();
        assert!(report.problems.iter().any(|problem| problem.contains(why)), "{sql}: {report}");
    }
}
