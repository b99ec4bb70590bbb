//! Facts that the store refused: they hold, and are written when it is possible again.
//!
//! There are at most eight for each account, one for each of its devices and of its couriers' tokens, one for each name in
//! the table of R50, and one for each invite; the ids of removed mail add up, and there are no more of them than of
//! messages in the store.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::planted::{self, Planted};
use crate::record::{Change, Digest, Fact, Record, RecordNumber, Suspect};
use crate::words::Name;

/// The newest fact of each kind and account.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    kept: BTreeMap<FactKey, (RecordNumber, Fact)>,
}

/// What a fact replaces the one before of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum FactKey {
    Failures(Suspect),
    Began(Name),
    Ended(Name),
    Mail(Name),
    Expired(Name),
    Past(Name),
    Device(Name, Digest),
    Courier(Name, Digest),
    Invite(Digest),
    Heard(Name),
}

impl FactKey {
    fn of(fact: &Fact) -> FactKey {
        match fact {
            Fact::Failures { suspect, .. } => FactKey::Failures(suspect.clone()),
            Fact::SessionBegan { user, .. } => FactKey::Began(user.clone()),
            Fact::SessionEnded { user, .. } => FactKey::Ended(user.clone()),
            Fact::MailRemoved { user, .. } => FactKey::Mail(user.clone()),
            Fact::MailExpired { user, .. } => FactKey::Expired(user.clone()),
            Fact::SessionForgotten { user } => FactKey::Past(user.clone()),
            Fact::Device { user, device, .. } => FactKey::Device(user.clone(), *device),
            Fact::Courier { user, token, .. } => FactKey::Courier(user.clone(), *token),
            Fact::InviteUsed { code, .. } => FactKey::Invite(*code),
            Fact::Heard { user, .. } => FactKey::Heard(user.clone()),
        }
    }
}

impl Facts {
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(super) fn keep(&mut self, number: RecordNumber, fact: Fact) {
        let key = FactKey::of(&fact);
        // There is no end of made-up names, of cookies and of couriers' tokens. One that is forgotten harms nobody if the store still
        // knows it: a start forgets what is too much.
        if matches!(
            fact,
            Fact::Failures { suspect: Suspect::Unknown(_), count: 0, .. }
                | Fact::Device { standing: None, .. }
                | Fact::Courier { until: None, .. }
        ) {
            self.kept.remove(&key);
            return;
        }
        let before = self.kept.remove(&key);
        let fact = match (fact, before) {
            (Fact::MailRemoved { user, mut ids }, Some((_, Fact::MailRemoved { ids: before, .. }))) => {
                ids.extend(before);
                Fact::MailRemoved { user, ids }
            }
            (
                Fact::MailExpired { user, mut ids, untold },
                Some((_, Fact::MailExpired { ids: before, .. })),
            ) => {
                ids.extend(before);
                Fact::MailExpired { user, ids, untold }
            }
            (_, Some((_, before))) if planted::is(Planted::OlderFactWins) => before,
            (fact, _) => fact,
        };
        self.kept.insert(key, (number, fact));
    }

    /// A newer fact is handed out: an older one of failures must not be written over it.
    pub(super) fn replace(&mut self, newer: &Fact) {
        if matches!(
            newer,
            Fact::Failures { .. } | Fact::Device { .. } | Fact::Courier { .. } | Fact::InviteUsed { .. }
        ) {
            self.kept.remove(&FactKey::of(newer));
        }
    }

    fn keys_of(&self, name: &Name) -> Vec<FactKey> {
        let all = |key: fn(Name, Digest) -> FactKey| {
            let [first, last] = [u8::MIN, u8::MAX].map(|byte| key(name.clone(), Digest([byte; 16])));
            self.kept.range(first..=last).map(|(key, _)| key.clone())
        };
        [
            FactKey::Failures(Suspect::Account(name.clone())),
            FactKey::Began(name.clone()),
            FactKey::Ended(name.clone()),
            FactKey::Mail(name.clone()),
            FactKey::Heard(name.clone()),
            FactKey::Expired(name.clone()),
            FactKey::Past(name.clone()),
        ]
        .into_iter()
        .chain(all(FactKey::Device))
        .chain(all(FactKey::Courier))
        .collect()
    }

    /// Takes the facts of every account that a record names, in the order in which they were decided.
    pub(super) fn take_about(&mut self, record: &Record) -> Vec<Fact> {
        if self.kept.is_empty() {
            return Vec::new();
        }
        let keys: Vec<FactKey> = named_by(record).into_iter().flat_map(|name| self.keys_of(name)).collect();
        let taken = keys.into_iter().filter_map(|key| self.kept.remove(&key)).collect();
        in_order(taken)
    }

    pub(super) fn take_all(&mut self) -> Vec<Fact> {
        in_order(core::mem::take(&mut self.kept).into_values().collect())
    }

    /// The account is purged: nothing of it is to be written any more.
    pub(super) fn forget(&mut self, name: &Name) {
        for key in self.keys_of(name) {
            self.kept.remove(&key);
        }
    }
}

/// The account that a fact is about; `None`: it is about a made-up name, or an invite.
pub(super) const fn account_of(fact: &Fact) -> Option<&Name> {
    match fact {
        Fact::SessionBegan { user, .. }
        | Fact::SessionEnded { user, .. }
        | Fact::Heard { user, .. }
        | Fact::MailRemoved { user, .. }
        | Fact::MailExpired { user, .. }
        | Fact::SessionForgotten { user }
        | Fact::Device { user, .. }
        | Fact::Courier { user, .. } => Some(user),
        Fact::Failures { suspect: Suspect::Account(name), .. } => Some(name),
        Fact::Failures { suspect: Suspect::Unknown(_), .. } | Fact::InviteUsed { .. } => None,
    }
}

fn in_order(mut facts: Vec<(RecordNumber, Fact)>) -> Vec<Fact> {
    facts.sort_unstable_by_key(|(number, _)| *number);
    facts.into_iter().map(|(_, fact)| fact).collect()
}

/// The accounts that a record names.
fn named_by(record: &Record) -> Vec<&Name> {
    match record {
        Record::Fact(fact) => account_of(fact).into_iter().collect(),
        Record::Settled { user, .. } | Record::Sent { user, .. } => Vec::from([user]),
        Record::MailStored { to, mail } => Vec::from([to, &mail.from]),
        Record::Change(change) => match change {
            Change::AccountAdded { name, .. } | Change::AccountRemoved { name } => Vec::from([name]),
            Change::Blocked { by, user } | Change::Unblocked { by, user } => Vec::from([by, user]),
            Change::GroupSet { members, maker, .. } => {
                members.iter().chain(maker.as_ref().map(|maker| &maker.name)).collect()
            }
            Change::Restrained { user, .. } => Vec::from([user]),
            Change::GroupRemoved { .. }
            | Change::InviteMade { .. }
            | Change::InviteRevoked { .. }
            | Change::Announced { .. }
            | Change::AnnouncementWithdrawn { .. }
            | Change::RangeBanned { .. } => Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    use crate::record::{AfterEnd, Digest};
    use crate::time::Time;
    use crate::words::MessageId;

    fn name(name: &str) -> Name {
        Name::new(name).unwrap()
    }

    fn ended(user: &Name, second: u64) -> Fact {
        Fact::SessionEnded { user: user.clone(), after: AfterEnd::Resume, at: Time(second * 1_000_000) }
    }

    fn removed(user: &Name, number: u64) -> Fact {
        Fact::MailRemoved { user: user.clone(), ids: vec![MessageId { boot: 1, number }] }
    }

    #[test]
    fn the_facts_of_every_account_that_a_change_names_go_before_it() {
        let (hans, luke, yoda) = (name("hans"), name("luke"), name("yoda"));
        let changes = [
            Change::Blocked { by: luke.clone(), user: hans.clone() },
            Change::Unblocked { by: hans.clone(), user: luke.clone() },
            Change::GroupSet { group: name("crew"), members: vec![luke, hans.clone()], maker: None },
            Change::AccountRemoved { name: hans.clone() },
        ];
        for change in changes {
            let mut facts = Facts::default();
            facts.keep(RecordNumber(2), ended(&hans, 1));
            facts.keep(RecordNumber(1), removed(&hans, 1));
            facts.keep(RecordNumber(3), ended(&yoda, 1));
            let record = Record::Change(change);
            assert_eq!(facts.take_about(&record), [removed(&hans, 1), ended(&hans, 1)], "{record:?}");
            assert_eq!(facts.take_about(&record), []);
        }
    }

    #[test]
    fn a_later_fact_replaces_an_earlier_one_but_removed_mail_adds_up() {
        let hans = name("hans");
        let mut facts = Facts::default();
        for number in 1..=2 {
            facts.keep(RecordNumber(number), ended(&hans, number));
            facts.keep(RecordNumber(number + 2), removed(&hans, number));
        }
        let both = vec![MessageId { boot: 1, number: 2 }, MessageId { boot: 1, number: 1 }];
        assert_eq!(facts.take_all(), [ended(&hans, 2), Fact::MailRemoved { user: hans, ids: both }]);
    }

    #[test]
    fn nothing_is_kept_of_a_made_up_name_that_is_forgotten() {
        let failures = |count| {
            let suspect = Suspect::Unknown(Digest([1; 16]));
            Fact::Failures { suspect, count, locked_until: None, since_login: count }
        };
        let mut facts = Facts::default();
        facts.keep(RecordNumber(1), failures(2));
        facts.keep(RecordNumber(2), failures(0));
        assert!(facts.is_empty());
    }
}
