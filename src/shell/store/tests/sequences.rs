//! Any records, in any batches, some of them refused, over any starts: what a start reads is what a model
//! says.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::check;
use super::damage::as_after_a_crash;
use super::model::Model;
use super::*;
use crate::record::{AfterEnd, Announcement, Change, Fact, Invite, Maker, Outcome, Restraint, WordsDigest};
use crate::words::AddressRange;

const USERS: [&str; 3] = ["hans", "Hans", "luke"];

fn after_end() -> impl Strategy<Value = AfterEnd> {
    prop_oneof![Just(AfterEnd::Nothing), Just(AfterEnd::Resume), Just(AfterEnd::Held)]
}

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
            let text = text.parse().unwrap();
            let mail = Mail { id: id(1, 0), from, group: None, origin: None, sent_at: START, text };
            Record::MailStored { to, mail }
        }),
        4 => (user(), proptest::collection::vec((1..60_u64).prop_map(|n| id(1, n)), 0..9))
            .prop_map(|(user, ids)| Record::Fact(Fact::MailRemoved { user, ids })),
        4 => (user(), 1..4_u64, any::<bool>(), time()).prop_map(|(user, login, token, at)| {
            let token = token.then_some(Digest([7; 16]));
            Record::Fact(Fact::SessionBegan { user, login: LoginNumber(login), token, at })
        }),
        2 => (user(), proptest::collection::vec((1..60_u64).prop_map(|n| id(1, n)), 0..9), 0..4_u32)
            .prop_map(|(user, ids, untold)| Record::Fact(Fact::MailExpired { user, ids, untold })),
        1 => user().prop_map(|user| Record::Fact(Fact::SessionForgotten { user })),
        2 => (user(), after_end(), time())
            .prop_map(|(user, after, at)| Record::Fact(Fact::SessionEnded { user, after, at })),
        8 => (user(), 1..4_u64, any::<u64>(), any::<Option<u64>>()).prop_map(|(user, login, number, words)| {
            let origin = Origin { login: LoginNumber(login), number };
            Record::Settled { user, origin, outcome: Outcome::Done, words: words.map(WordsDigest) }
        }),
        2 => pair().prop_map(|(by, user)| Record::Change(Change::Blocked { by, user })),
        2 => pair().prop_map(|(by, user)| Record::Change(Change::Unblocked { by, user })),
        2 => (user(), Just(USERS.map(name).to_vec()).prop_shuffle(), 1..4_usize)
            .prop_map(|(group, members, count)| Record::Change(Change::GroupSet { group, members: members[..count].to_vec(), maker: None })),
        1 => (user(), user(), proptest::option::of(time())).prop_map(|(group, name, left_at)| {
            let members = vec![super::name("luke")];
            Record::Change(Change::GroupSet { group, members, maker: Some(Maker { name, left_at }) })
        }),
        1 => user().prop_map(|group| Record::Change(Change::GroupRemoved { group })),
        2 => (user(), proptest::sample::select(Restraint::ALL), proptest::option::of(time()))
            .prop_map(|(user, how, until)| Record::Change(Change::Restrained { user, how, until })),
        1 => (0_u8..4, proptest::option::of(user()), 0_u32..3, time()).prop_map(|(code, name, left, until)| {
            let invite = Invite { number: code.into(), name, left, until };
            Record::Change(Change::InviteMade { code: Digest([code; 16]), invite })
        }),
        1 => (0_u8..3, proptest::sample::select(vec![8_u8, 24, 32]), proptest::option::of(time())).prop_map(
            |(net, bits, until)| {
                let range = AddressRange::new([net, 0, 2, 1].into(), bits).unwrap();
                Record::Change(Change::RangeBanned { range, until })
            }
        ),
        1 => (0_u32..4, time(), "[a-z]{1,3}").prop_map(|(number, at, text)| {
            let announcement = Announcement { number, at, text: text.parse().unwrap() };
            Record::Change(Change::Announced { announcement })
        }),
        1 => (0_u32..4).prop_map(|number| Record::Change(Change::AnnouncementWithdrawn { number })),
        1 => (user(), 0_u32..4).prop_map(|(user, upto)| Record::Fact(Fact::Heard { user, upto })),
        1 => (0_u8..4).prop_map(|code| Record::Change(Change::InviteRevoked { code: Digest([code; 16]) })),
        1 => (0_u8..4, 0_u32..3).prop_map(|(code, left)| {
            Record::Fact(Fact::InviteUsed { code: Digest([code; 16]), left })
        }),
        2 => (user(), 0..3_u32, proptest::option::of(time()))
            .prop_map(|(user, count, locked)| failures(Suspect::Account(user), count, locked)),
        1 => (0..3_u8, 0..3_u32, proptest::option::of(time()))
            .prop_map(|(of, count, locked)| failures(Suspect::Unknown(Digest([of; 16])), count, locked)),
        1 => user().prop_map(|name| Record::Change(Change::AccountRemoved { name })),
    ]
}

/// Something that happens to a store.
#[derive(Debug, Clone)]
enum Step {
    /// Records are stored in one batch.
    Store(Vec<Record>),
    /// A batch has no place: a message that is too large comes with it, behind so many of its records.
    Refuse(Vec<Record>, usize),
    /// The server stops and starts.
    Restart,
    /// The server is killed and starts.
    Crash,
}

/// Pages of a store in which [`boulder`] has no place, and all else has.
const PAGES: u32 = 200;

fn boulder() -> Record {
    mail_to("hans", 1_000_000, "newcomer", &"x".repeat(500_000))
}

fn any_step() -> impl Strategy<Value = Step> {
    let batch = || proptest::collection::vec(any_record(), 1..12);
    prop_oneof![
        6 => batch().prop_map(Step::Store),
        3 => (batch(), 0..12_usize).prop_map(|(records, at)| Step::Refuse(records, at)),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
    ]
}

/// An open store, the folder that it is in, and what it must hold.
struct Trial {
    folder: tempfile::TempDir,
    /// `None` only while it restarts.
    rig: Option<Rig>,
    model: Model,
    number: u64,
    logins: BTreeMap<Name, u64>,
}

fn small(folder: &Path) -> Rig {
    Rig::with(options(Some(folder)), |db| {
        db.pragma_update_and_check(None, "max_page_count", PAGES, |_| Ok(()))
    })
    .unwrap()
}

impl Trial {
    fn begin() -> Trial {
        let folder = tempfile::tempdir().unwrap();
        let rig = Some(small(folder.path()));
        Trial { folder, rig, model: Model::default(), number: 0, logins: BTreeMap::new() }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Store(mut batch) => {
                batch.iter_mut().for_each(|record| self.count_up(record));
                batch.iter().for_each(|record| self.model.apply(record));
                self.rig.as_mut().unwrap().store(batch);
            }
            Step::Refuse(mut batch, at) => {
                let logins = self.logins.clone();
                batch.iter_mut().for_each(|record| self.count_up(record));
                batch.insert(at.min(batch.len()), boulder());
                let rig = self.rig.as_mut().unwrap();
                let numbers: Vec<_> = batch.into_iter().map(|record| rig.persist(record)).collect();
                rig.handle.wake(START);
                assert_eq!(rig.next(), Answer::Refused { from: numbers[0] });
                rig.epoch += 1;
                self.model.expect_mail(rig);
                self.logins = logins;
            }
            Step::Restart => {
                self.rig.take().unwrap().handle.close().unwrap();
                let report = check(self.folder.path()).unwrap();
                assert!(report.is_sound(), "{report}");
                self.start();
            }
            Step::Crash => {
                self.folder = as_after_a_crash(self.folder.path());
                self.start();
            }
        }
    }

    /// Opens the folder and holds what is read against the model.
    fn start(&mut self) {
        self.model.expect(self.rig.insert(small(self.folder.path())));
    }

    /// Makes ids unique and logins rise: a session begins, or is resumed, and a command is of its user's
    /// login or settled late, of the one before.
    fn count_up(&mut self, record: &mut Record) {
        if let Record::MailStored { mail, .. } = record {
            self.number += 1;
            mail.id.number = self.number;
        }
        if let Record::Fact(Fact::SessionBegan { user, login, .. }) = record {
            let current = self.logins.entry(user.clone()).or_default();
            *current += u64::from(*current == 0 || login.0 % 2 == 0);
            login.0 = *current;
        }
        if let Record::Settled { user, origin, .. } = record {
            let current = self.logins.get(user).copied().unwrap_or(0);
            origin.login.0 = current.saturating_sub(u64::from(origin.login.0 == 1));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_start_reads_is_what_was_confirmed(steps in proptest::collection::vec(any_step(), 1..32)) {
        let mut trial = Trial::begin();
        steps.into_iter().for_each(|step| trial.take(step));
        trial.take(Step::Crash);
        trial.take(Step::Restart);
    }
}
