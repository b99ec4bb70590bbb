//! Whether two stores would start the same server.
//!
//! Each may write down the same state in its own way: in another order, with both beginnings of a session that
//! was resumed, with counters that are at zero.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;

use crate::record::{
    AfterEnd, Change, DeviceStanding, Digest, Fact, Maker, Outcome, Record, Recovery, Suspect, WordsDigest,
};
use crate::time::Time;
use crate::words::{LoginNumber, Name};

/// Commands of each user that a store has to remember.
const COMMANDS: usize = 512;

/// What differs; `None`: nothing.
pub(super) fn difference(real: &Recovery, model: &Recovery) -> Option<String> {
    let (found, wanted) = (Meaning::of(real), Meaning::of(model));
    differs("boot", &real.boot, &model.boot)
        .or_else(|| differs("last written", &real.last_written, &model.last_written))
        .or_else(|| differs("failures", &found.failures, &wanted.failures))
        .or_else(|| differs("devices", &found.devices, &wanted.devices))
        .or_else(|| differs("couriers", &found.couriers, &wanted.couriers))
        .or_else(|| differs("sends", &found.sends, &wanted.sends))
        .or_else(|| differs("sessions", &found.sessions, &wanted.sessions))
        .or_else(|| differs("commands", &found.settled, &wanted.settled))
        .or_else(|| differs("blocks", &found.blocks, &wanted.blocks))
        .or_else(|| differs("groups", &found.groups, &wanted.groups))
        .or_else(|| differs("acts of operators", &found.operators, &wanted.operators))
        .or_else(|| differs("messages not told of", &found.untold, &wanted.untold))
        .or_else(|| differs("mail", &mail(real), &mail(model)))
        .or_else(|| (real.secret != model.secret).then(|| String::from("the secret is another")))
}

fn differs<T: PartialEq + Debug>(what: &str, real: &T, model: &T) -> Option<String> {
    (real != model).then(|| format!("{what}: {real:?} is read, not {model:?}"))
}

/// How much of whose mail waits for whom, and since when.
fn mail(recovery: &Recovery) -> BTreeMap<(Name, Name), (u32, u64, Time)> {
    let summaries = recovery.mail.iter();
    summaries.map(|sum| ((sum.to.clone(), sum.from.clone()), (sum.count, sum.bytes, sum.oldest))).collect()
}

/// A session with its number, its token, when it was last begun, and how it ended.
type Session = (LoginNumber, Option<Digest>, Time, Option<(AfterEnd, Time)>);

/// A command's number, and what it came to.
type Settled = (u64, Outcome, Option<WordsDigest>);

#[derive(Default)]
struct Meaning {
    failures: BTreeMap<Suspect, (u32, Option<Time>, u32)>,
    devices: BTreeMap<(Name, Digest), DeviceStanding>,
    couriers: BTreeMap<(Name, Digest), Time>,
    sends: BTreeMap<(Name, u64), (Outcome, WordsDigest, Time)>,
    sessions: BTreeMap<Name, Session>,
    /// Of the last login of each user.
    settled: BTreeMap<Name, Vec<Settled>>,
    untold: BTreeMap<Name, u32>,
    blocks: BTreeSet<(Name, Name)>,
    groups: BTreeMap<Name, (Vec<Name>, Option<Maker>)>,
    /// What operators have done, and who has heard what they have said.
    operators: BTreeSet<String>,
}

impl Meaning {
    fn of(recovery: &Recovery) -> Meaning {
        let mut meaning = Meaning::default();
        recovery.records.iter().for_each(|record| meaning.take(record));
        let settled = recovery.records.iter().filter_map(|record| match record {
            Record::Settled { user, origin, outcome, words } => {
                let is_last = meaning.sessions.get(user).is_some_and(|session| session.0 == origin.login);
                is_last.then_some((user, (origin.number, *outcome, *words)))
            }
            _ => None,
        });
        for (user, command) in settled {
            meaning.settled.entry(user.clone()).or_default().push(command);
        }
        for commands in meaning.settled.values_mut() {
            commands.sort_by_key(|(number, ..)| *number);
            commands.drain(..commands.len().saturating_sub(COMMANDS));
        }
        meaning
    }

    fn take(&mut self, record: &Record) {
        match record {
            Record::Fact(Fact::Failures { suspect, count, locked_until, since_login })
                if (*count, *locked_until, *since_login) != (0, None, 0) =>
            {
                self.failures.insert(suspect.clone(), (*count, *locked_until, *since_login));
            }
            Record::Fact(Fact::Device { user, device, standing: Some(standing) }) => {
                self.devices.insert((user.clone(), *device), *standing);
            }
            Record::Fact(Fact::Courier { user, token, until: Some(until) }) => {
                self.couriers.insert((user.clone(), *token), *until);
            }
            Record::Fact(Fact::SessionBegan { user, login, token, at }) => {
                self.sessions.insert(user.clone(), (*login, *token, *at, None));
            }
            Record::Fact(Fact::SessionEnded { user, after, at }) => {
                if let Some(session) = self.sessions.get_mut(user) {
                    session.3 = Some((*after, *at));
                }
            }
            Record::Fact(Fact::MailExpired { user, untold, .. }) => {
                self.untold.insert(user.clone(), *untold);
            }
            Record::Change(Change::Blocked { by, user }) => {
                self.blocks.insert((by.clone(), user.clone()));
            }
            Record::Change(Change::GroupSet { group, members, maker }) => {
                self.groups.insert(group.clone(), (members.clone(), maker.clone()));
            }
            Record::Change(
                Change::Restrained { .. }
                | Change::RangeBanned { .. }
                | Change::InviteMade { .. }
                | Change::Announced { .. },
            )
            | Record::Fact(Fact::Heard { .. }) => drop(self.operators.insert(format!("{record:?}"))),
            Record::Sent { user, number, outcome, words, until } => {
                self.sends.insert((user.clone(), *number), (*outcome, *words, *until));
            }
            _ => {}
        }
    }
}
