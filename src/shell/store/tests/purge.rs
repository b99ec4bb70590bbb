//! A removed account: one record takes everything that was its own.

use super::super::check;
use super::*;
use crate::record::{AfterEnd, Change, Fact, MailSummary, Maker, Outcome};

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
    let summary = |from: &str, bytes| MailSummary { to: name("luke"), from: name(from), count: 1, bytes };
    let mut mail = rig.recovery.mail.clone();
    mail.sort_by(|a, b| a.from.cmp(&b.from));
    assert_eq!(mail, [summary("hans", 5), summary("vader", 10)]);
    assert_eq!(rig.page("luke", Some("hans"), id(0, 0), 9).0, [self::mail(1, "hans", "stays")]);
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
