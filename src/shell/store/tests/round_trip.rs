//! What goes in comes out, after a close and an open.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::model::Model;
use super::*;
use crate::record::{Change, Digest, Fact, Outcome, Suspect, WordsDigest};
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

fn failures(suspect: Suspect, count: u32, locked_until: Option<Time>) -> Record {
    Record::Fact(Fact::Failures { suspect, count, locked_until, since_login: count })
}

/// One of each kind, with values at the ends of their ranges.
fn one_of_each() -> Vec<Record> {
    let group = |group: &str, members: &[&str]| {
        Record::Change(Change::GroupSet {
            group: name(group),
            members: members.iter().map(|member| name(member)).collect(),
        })
    };
    let odd = Mail {
        id: id(u32::MAX - 1, 9),
        from: name("yoda"),
        group: Some(name("jedi")),
        origin: Some(Origin { login: LoginNumber(u64::MAX), number: u64::MAX }),
        sent_at: Time(7),
        text: Arc::from("a\0b \u{1F600}  "),
    };
    vec![
        failures(Suspect::Account(name("hans")), 2, None),
        failures(Suspect::Account(name("vader")), 3, Some(Time::MAX)),
        failures(Suspect::Unknown(Digest([9; 16])), 1, Some(Time(5))),
        failures(Suspect::Account(name("luke")), 2, None),
        failures(Suspect::Account(name("luke")), 0, None),
        began("hans", 1, 10),
        Record::Fact(Fact::SessionEnded { user: name("hans"), resumable: false, at: Time(20) }),
        began("yoda", 4, 30),
        Record::Fact(Fact::SessionEnded { user: name("yoda"), resumable: true, at: Time(40) }),
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
        Record::Fact(Fact::MailRemoved { user: name("hans"), ids: vec![id(1, 1), id(1, 99)] }),
        Record::Fact(Fact::MailRemoved { user: name("vader"), ids: vec![id(1, 1)] }),
        Record::Change(Change::Blocked { by: name("hans"), user: name("vader") }),
        Record::Change(Change::Blocked { by: name("yoda"), user: name("vader") }),
        Record::Change(Change::Unblocked { by: name("yoda"), user: name("vader") }),
        group("jedi", &["yoda", "luke"]),
        group("jedi", &["luke", "yoda", "hans"]),
        group("sith", &["vader"]),
        Record::Change(Change::GroupRemoved { group: name("sith") }),
    ]
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
    rig.store([Record::Fact(Fact::SessionEnded { user: name("hans"), resumable: true, at: late })]);
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

const USERS: [&str; 4] = ["hans", "Hans", "luke", "vader"];

/// Any record over a few users; message ids and logins are put right by `count_up`.
fn any_record() -> impl Strategy<Value = Record> {
    let user = || (0..USERS.len()).prop_map(|index| name(USERS[index]));
    let pair = || {
        let apart = 1..USERS.len();
        (0..USERS.len(), apart).prop_map(|(a, by)| (name(USERS[a]), name(USERS[(a + by) % USERS.len()])))
    };
    let time = || (0..1_000_u64).prop_map(Time);
    prop_oneof![
        6 => (user(), user(), ".{1,40}").prop_map(|(to, from, text)| {
            let text = Arc::from(text);
            let mail = Mail { id: id(1, 0), from, group: None, origin: None, sent_at: START, text };
            Record::MailStored { to, mail }
        }),
        4 => (user(), proptest::collection::vec((1..60_u64).prop_map(|n| id(1, n)), 0..9))
            .prop_map(|(user, ids)| Record::Fact(Fact::MailRemoved { user, ids })),
        2 => (user(), 1..4_u64, any::<bool>(), time()).prop_map(|(user, login, token, at)| {
            let token = token.then_some(Digest([7; 16]));
            Record::Fact(Fact::SessionBegan { user, login: LoginNumber(login), token, at })
        }),
        2 => (user(), any::<bool>(), time())
            .prop_map(|(user, resumable, at)| Record::Fact(Fact::SessionEnded { user, resumable, at })),
        2 => (user(), 1..4_u64, any::<u64>(), any::<Option<u64>>()).prop_map(|(user, login, number, words)| {
            let origin = Origin { login: LoginNumber(login), number };
            Record::Settled { user, origin, outcome: Outcome::Done, words: words.map(WordsDigest) }
        }),
        2 => pair().prop_map(|(by, user)| Record::Change(Change::Blocked { by, user })),
        2 => pair().prop_map(|(by, user)| Record::Change(Change::Unblocked { by, user })),
        2 => (user(), Just(USERS.map(name).to_vec()).prop_shuffle(), 1..4_usize)
            .prop_map(|(group, members, count)| Record::Change(Change::GroupSet { group, members: members[..count].to_vec() })),
        1 => user().prop_map(|group| Record::Change(Change::GroupRemoved { group })),
        2 => (user(), 0..3_u32, proptest::option::of(time()))
            .prop_map(|(user, count, locked)| failures(Suspect::Account(user), count, locked)),
        1 => (0..3_u8, 0..3_u32, proptest::option::of(time()))
            .prop_map(|(of, count, locked)| failures(Suspect::Unknown(Digest([of; 16])), count, locked)),
        1 => user().prop_map(|name| Record::Change(Change::AccountRemoved { name })),
    ]
}

/// Makes ids unique and logins rise: a session begins anew or is resumed, and a command is of its user's
/// login or settled late, of the one before.
fn count_up(record: &mut Record, number: &mut u64, logins: &mut BTreeMap<Name, u64>) {
    if let Record::MailStored { mail, .. } = record {
        *number += 1;
        mail.id.number = *number;
    }
    if let Record::Fact(Fact::SessionBegan { user, login, .. }) = record {
        let current = logins.entry(user.clone()).or_default();
        *current += u64::from(*current == 0 || login.0 % 2 == 0);
        login.0 = *current;
    }
    if let Record::Settled { user, origin, .. } = record {
        let current = logins.get(user).copied().unwrap_or(0);
        origin.login.0 = current.saturating_sub(u64::from(origin.login.0 == 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any records in any batches, over several starts, leave what the model says.
    #[test]
    fn any_records_in_any_batches_over_any_starts(
        runs in proptest::collection::vec(
            proptest::collection::vec(proptest::collection::vec(any_record(), 1..12), 1..6), 1..4)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut model = Model::default();
        let mut rig = Rig::open(folder.path());
        let (mut number, mut logins) = (0, BTreeMap::new());
        for run in runs {
            for mut batch in run {
                for record in &mut batch {
                    count_up(record, &mut number, &mut logins);
                    model.apply(record);
                }
                rig.store(batch);
            }
            rig = reopened(folder.path(), rig);
            model.expect(&mut rig);
        }
        rig.handle.close().unwrap();
        let report = super::super::check(folder.path()).unwrap();
        prop_assert!(report.is_sound(), "{report}");
    }
}

/// Pages of a store in which [`boulder`] has no place, and all else in a test of records has.
const PAGES: u32 = 150;

fn boulder() -> Record {
    mail_to("hans", 1_000_000, "newcomer", &"x".repeat(400_000))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// A batch that is refused leaves nothing in the store, nor in what the store remembers of its tables.
    #[test]
    fn any_records_between_batches_that_are_refused(
        batches in proptest::collection::vec(
            (proptest::collection::vec(any_record(), 1..12), proptest::option::of(0..12_usize)), 1..12)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut rig = Rig::with(options(Some(folder.path())), |db| {
            db.pragma_update_and_check(None, "max_page_count", PAGES, |_| Ok(()))
        }).unwrap();
        let mut model = Model::default();
        let (mut number, mut logins) = (0, BTreeMap::new());
        for (mut batch, refused) in batches {
            batch.iter_mut().for_each(|record| count_up(record, &mut number, &mut logins));
            let Some(at) = refused else {
                batch.iter().for_each(|record| model.apply(record));
                rig.store(batch);
                continue;
            };
            batch.insert(at.min(batch.len()), boulder());
            let numbers: Vec<_> = batch.into_iter().map(|record| rig.persist(record)).collect();
            rig.handle.wake(START);
            prop_assert_eq!(rig.next(), Answer::Refused { from: numbers[0] });
            rig.epoch += 1;
            model.expect_mail(&mut rig);
        }
        model.expect(&mut reopened(folder.path(), rig));
        let report = super::super::check(folder.path()).unwrap();
        prop_assert!(report.is_sound(), "{report}");
    }
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
