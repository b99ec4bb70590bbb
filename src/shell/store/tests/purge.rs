//! A removed account: one record takes everything that was its own.

use super::super::{ForgetError, check, forget_noted, knows, note};
use super::*;
use crate::record::{AfterEnd, Change, Fact, Invite, MailSummary, Maker, Outcome, Restraint};

fn block(by: &str, user: &str) -> Record {
    Record::Change(Change::Blocked { by: name(by), user: name(user) })
}

fn group(group: &str, members: &[&str]) -> Record {
    made_by(Some("hans"), group, members)
}

fn made_by(maker: Option<&str>, group: &str, members: &[&str]) -> Record {
    let members = members.iter().map(|member| name(member)).collect();
    let maker = maker.map(|maker| Maker { name: name(maker), left_at: None });
    Record::Change(Change::GroupSet { group: name(group), members, maker })
}

/// Something of `user` in every table.
fn life_of(user: &str) -> Vec<Record> {
    let login = LoginNumber(1);
    let suspect = Suspect::Account(name(user));
    let origin = Origin { login, number: 1 };
    vec![
        Record::Fact(Fact::Failures { suspect, count: 2, locked_until: Some(Time(9)), since_login: 2 }),
        Record::Fact(Fact::SessionBegan { user: name(user), login, token: None, at: Time(1) }),
        Record::Settled { user: name(user), origin, outcome: Outcome::Done, words: None },
        Record::Fact(Fact::SessionEnded { user: name(user), after: AfterEnd::Resume, at: Time(2) }),
    ]
}

fn removed(user: &str) -> Record {
    Record::Change(Change::AccountRemoved { name: name(user) })
}

#[test]
fn one_record_takes_an_account_and_leaves_what_it_sent() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.store(life_of("hans").into_iter().chain(life_of("luke")));
    rig.store([
        block("hans", "luke"),
        block("vader", "hans"),
        block("vader", "luke"),
        group("alone", &["hans"]),
        group("crew", &["hans", "luke", "vader"]),
        group("sith", &["vader", "hans"]),
        mail_to("hans", 1, "luke", "goes"),
        mail_to("hans", 2, "vader", "goes too"),
        mail_to("luke", 1, "hans", "stays"),
        mail_to("luke", 2, "vader", "of another"),
    ]);
    rig.store([removed("hans")]);
    assert_eq!(rig.page("hans", None, id(0, 0), 9), (Vec::new(), false));
    rig.handle.close().unwrap();

    let mut rig = Rig::open(folder.path());
    let expected = [life_of("luke"), vec![block("vader", "luke")]].concat();
    let groups = [made_by(None, "crew", &["luke", "vader"]), made_by(None, "sith", &["vader"])];
    assert_eq!(rig.recovery.records, [expected, groups.to_vec()].concat());
    let summary = |from: &str, number, text| {
        let self::Mail { sent_at: oldest, .. } = self::mail(number, from, text);
        MailSummary { to: name("luke"), from: name(from), count: 1, bytes: text.len() as u64, oldest }
    };
    let mut mail = rig.recovery.mail.clone();
    mail.sort_by(|a, b| a.from.cmp(&b.from));
    assert_eq!(mail, [summary("hans", 1, "stays"), summary("vader", 2, "of another")]);
    assert_eq!(rig.page("luke", Some("hans"), id(0, 0), 9).0, [self::mail(1, "hans", "stays")]);
    rig.handle.close().unwrap();
    let report = check(folder.path()).unwrap();
    assert!(report.is_sound(), "{report}");
}

/// Whether a file of the folder has this text.
fn has(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn who_is_forgotten_takes_what_they_have_sent_and_leaves_no_byte_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.store(life_of("hanssolo").into_iter().chain(life_of("luke")));
    let device = Digest([1; 16]);
    let standing =
        Some(crate::record::DeviceStanding { login: LoginNumber(1), count: 0, locked_until: None });
    let until = Some(Time(99));
    let invite = Invite { number: 1, name: Some(name("hanssolo")), left: 1, until: Time(99) };
    let for_all = Invite { number: 2, name: None, ..invite.clone() };
    let for_all = Record::Change(Change::InviteMade { code: Digest([2; 16]), invite: for_all });
    rig.store([
        Record::Fact(Fact::Device { user: name("hanssolo"), device, standing }),
        Record::Fact(Fact::Courier { user: name("hanssolo"), token: device, until }),
        Record::Change(Change::Restrained { user: name("hanssolo"), how: Restraint::Muted, until }),
        Record::Change(Change::InviteMade { code: device, invite }),
        for_all.clone(),
        block("hanssolo", "luke"),
        block("vader", "hanssolo"),
        block("vader", "luke"),
        made_by(Some("hanssolo"), "alone", &["hanssolo"]),
        made_by(Some("hanssolo"), "crew", &["luke", "vader"]),
        mail_to("hanssolo", 1, "luke", "goes"),
        mail_to("luke", 1, "hanssolo", "goes-as-well"),
        mail_to("luke", 2, "hanssolo", "was-shown"),
        mail_to("luke", 3, "vader", "of another"),
    ]);
    rig.store([Record::Fact(Fact::MailRemoved { user: name("luke"), ids: vec![id(1, 2)] })]);
    let note = note(folder.path(), &name("hanssolo")).unwrap();
    let in_use = forget_noted(folder.path(), |_| false);
    assert!(matches!(in_use, Err(ForgetError::Open(OpenError::InUse(_)))), "{in_use:?}");
    rig.handle.close().unwrap();
    assert!(knows(folder.path(), &name("hanssolo")).unwrap() && has(folder.path(), "was-shown"));

    // Another program reads the state before.
    let reader = rusqlite::Connection::open(folder.path().join("hobnob.db")).unwrap();
    let count = "SELECT count(*) FROM mail";
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(reader.query_row(count, [], |row| row.get(0)), Ok(3));
    assert!(matches!(forget_noted(folder.path(), |_| false), Err(ForgetError::Read(_))));
    assert!(note.exists());
    reader.close().unwrap();
    assert_eq!(forget_noted(folder.path(), |_| false).unwrap(), 1);
    assert!(!note.exists() && !knows(folder.path(), &name("hanssolo")).unwrap());
    for text in ["hanssolo", "goes", "was-shown"] {
        assert!(!has(folder.path(), text), "{text}");
    }

    let mut rig = Rig::open(folder.path());
    let expected =
        [life_of("luke"), vec![block("vader", "luke"), made_by(None, "crew", &["luke", "vader"]), for_all]];
    assert_eq!(rig.recovery.records, expected.concat());
    assert_eq!(rig.page("luke", None, id(0, 0), 9).0, [self::mail(3, "vader", "of another")]);
    rig.handle.close().unwrap();
    let report = check(folder.path()).unwrap();
    assert!(report.is_sound(), "{report}");
}

#[test]
fn a_new_account_of_a_removed_name_begins_with_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.store([life_of("hans"), vec![mail_to("hans", 1, "luke", "to the first"), removed("hans")]].concat());
    rig.store([mail_to("hans", 2, "luke", "to the second")]);
    rig.store(life_of("hans"));
    rig.handle.close().unwrap();
    let mut rig = Rig::open(folder.path());
    assert_eq!(rig.recovery.records, life_of("hans"));
    assert_eq!(rig.page("hans", None, id(0, 0), 9).0, [mail(2, "luke", "to the second")]);
}

#[test]
fn a_purge_that_is_refused_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let pages = 120;
    let mut rig = Rig::with(options(Some(folder.path())), |db| {
        db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
    })
    .unwrap();
    let before = [life_of("hans"), vec![group("alone", &["hans"])]].concat();
    rig.store(before.clone());
    rig.store([mail_to("hans", 1, "luke", "stays")]);
    let from = rig.persist(removed("hans"));
    rig.persist(mail_to("luke", 1, "hans", &"x".repeat(400_000)));
    rig.handle.wake(START);
    assert_eq!(rig.next(), Answer::Refused { from });
    assert_eq!(rig.page("hans", None, id(0, 0), 9).0.len(), 1);
    rig.handle.close().unwrap();
    let mut rig = Rig::open(folder.path());
    assert_eq!(rig.recovery.records, before);
    assert_eq!(rig.page("hans", None, id(0, 0), 9).0.len(), 1);
}
