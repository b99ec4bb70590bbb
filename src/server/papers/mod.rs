//! Records on their way to the store, and what waits for them.
//!
//! A firm record takes effect in memory at once, its command is answered when it is durable, and
//! undone if the store refuses it. A soft record is never undone: if the store cannot take it, the
//! newest of its kind is kept and written later.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use super::ServerState;
use super::accounts::UserId;
use super::blocks::BlockChange;
use super::commands::Asker;
use super::deadlines::Deadline;
use super::delivery::Tell;
use super::effect::Report;
use super::groups::GroupChange;
use super::outbox::Slow;
use super::presence::Notice;
use crate::planted::{self, Planted};
use crate::record::{Change, Fact, Record, RecordNumber, Suspect};
use crate::wire::Code;
use crate::words::{Credential, LinkId, MessageId, Name};

/// How long to wait before soft records that were refused are tried again.
const REWRITE_AFTER: Duration = Duration::from_secs(1);

/// Records handed out and not yet known to be durable.
#[derive(Debug, Clone, Default)]
pub(super) struct Journal {
    last: RecordNumber,
    /// All up to this one are durable or refused.
    settled: RecordNumber,
    epoch: u64,
    pending: VecDeque<Pending>,
    /// How many of them change whether the first blocks the second.
    block_changes: BTreeMap<(UserId, UserId), u32>,
    /// Who came or went while such a change was on its way, by the record of that.
    notices: BTreeMap<RecordNumber, Vec<Notice>>,
    /// How many of them change a group.
    group_changes: BTreeMap<Name, u32>,
    /// Links with held output.
    holding: BTreeSet<LinkId>,
    /// Where a place was kept for the answer that a record brings.
    places: BTreeMap<RecordNumber, LinkId>,
    /// Soft records that the store refused: the newest of each key, in the order in which they came.
    unsaved: BTreeMap<SoftKey, (u64, Record)>,
    /// Mail whose receiver acknowledged it before its record was durable: if the record is refused,
    /// it is counted off no second time.
    removed_early: BTreeSet<RecordNumber>,
    refusing: bool,
    /// Whether a time is set at which the unsaved are tried again.
    rewrite_is_set: bool,
}

#[derive(Debug, Clone)]
struct Pending {
    number: RecordNumber,
    undo: Undo,
    then: Then,
}

/// How to take a record back.
#[derive(Debug, Clone)]
enum Undo {
    /// A soft record: it stays and is written later.
    Later(Record),
    /// The record changed nothing in memory.
    Nothing,
    Account {
        user: UserId,
        credential: Credential,
    },
    Mail {
        to: UserId,
        from: Name,
        bytes: u64,
    },
    Block {
        by: UserId,
        user: UserId,
        stood: bool,
    },
    Group {
        group: Name,
        before: Option<Vec<UserId>>,
    },
}

/// What to do once a record is durable, or refused.
#[derive(Debug, Clone)]
pub(super) enum Then {
    Nothing,
    /// Tell the sender of a message: `stored` or, if the store refused it, this.
    Mail {
        to: UserId,
        tell: Tell,
        refused: Code,
    },
    /// Answer `block` or `unblock`.
    Block(BlockChange),
    /// Answer a group command, and tell the members.
    Group {
        asker: Asker,
        change: GroupChange,
    },
    /// Let the owner of a new account in.
    Registered {
        link: LinkId,
        user: UserId,
    },
}

/// What a record came to.
pub(super) type Settlement = Result<(), Code>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum SoftKey {
    Removed(Name),
    Failures(Suspect),
    Began(Name),
    Ended(Name),
    Mail(Name),
}

impl Journal {
    /// All records up to this one are durable, or will never be.
    pub(super) const fn settled(&self) -> RecordNumber {
        self.settled
    }

    pub(super) fn hold(&mut self, link: LinkId) {
        self.holding.insert(link);
    }

    pub(super) fn hold_no_more(&mut self, link: LinkId) {
        self.holding.remove(&link);
    }

    /// Mail that this record stored is counted off.
    pub(super) fn note_removed(&mut self, record: RecordNumber) {
        if record > self.settled {
            self.removed_early.insert(record);
        }
    }

    pub(super) fn keep_place(&mut self, record: RecordNumber, link: LinkId) {
        self.places.insert(record, link);
    }

    /// Whether a block, or its end, is on its way to the disk.
    pub(super) fn changes_block(&self, by: UserId, user: UserId) -> bool {
        self.block_changes.contains_key(&(by, user))
    }

    /// Keeps word for a viewer until it is known what the last change of the subject's block came to.
    pub(super) fn keep_notice(&mut self, notice: Notice) {
        let pair = (notice.subject, notice.viewer);
        let changes =
            |pending: &&Pending| matches!(pending.undo, Undo::Block { by, user, .. } if (by, user) == pair);
        if let Some(change) = self.pending.iter().rev().find(changes) {
            self.notices.entry(change.number).or_default().push(notice);
        }
    }

    pub(super) fn take_notices(&mut self, change: RecordNumber) -> Vec<Notice> {
        self.notices.remove(&change).unwrap_or_default()
    }

    /// Whether a change of a group is on its way to the disk.
    pub(super) fn changes_group(&self, group: &Name) -> bool {
        self.group_changes.contains_key(group)
    }

    fn count_change(&mut self, undo: &Undo) {
        match undo {
            Undo::Block { by, user, .. } => *self.block_changes.entry((*by, *user)).or_default() += 1,
            Undo::Group { group, .. } => *self.group_changes.entry(group.clone()).or_default() += 1,
            Undo::Later(_) | Undo::Nothing | Undo::Account { .. } | Undo::Mail { .. } => {}
        }
    }

    fn count_off_change(&mut self, undo: &Undo) {
        match undo {
            Undo::Block { by, user, .. } => count_off(&mut self.block_changes, &(*by, *user)),
            Undo::Group { group, .. } => count_off(&mut self.group_changes, group),
            Undo::Later(_) | Undo::Nothing | Undo::Account { .. } | Undo::Mail { .. } => {}
        }
    }

    pub(super) fn take_place(&mut self, record: RecordNumber) -> Option<LinkId> {
        self.places.remove(&record)
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.pending.is_empty() && self.holding.is_empty() && self.unsaved.is_empty()
    }

    /// Whether a message was shown and its removal could not be written yet.
    pub(super) fn is_unsaved_removal(&self, user: &Name, id: MessageId) -> bool {
        if self.unsaved.is_empty() {
            return false;
        }
        match self.unsaved.get(&SoftKey::Mail(user.clone())) {
            Some((_, Record::Fact(Fact::MailRemoved { ids, .. }))) => ids.contains(&id),
            _ => false,
        }
    }

    /// Whether an account was removed, which could not be written yet: the store has its mail still.
    pub(super) fn is_unsaved_emptying(&self, user: &Name) -> bool {
        !self.unsaved.is_empty() && self.unsaved.contains_key(&SoftKey::Removed(user.clone()))
    }

    /// What is unsaved and must be written before a record, in order: all about the account whose state
    /// it sets, and about accounts that it builds on if they are still to be removed. Behind it, their
    /// removal would take it along.
    fn take_unsaved_before(&mut self, record: &Record) -> Vec<Record> {
        if self.unsaved.is_empty() {
            return Vec::new();
        }
        let is_removed = |name: &&&Name| self.unsaved.contains_key(&SoftKey::Removed((**name).clone()));
        let built_on = built_on_by(record);
        let names: Vec<&Name> =
            subject_of(record).into_iter().chain(built_on.iter().filter(is_removed).copied()).collect();
        names.into_iter().flat_map(|name| self.take_unsaved_about(name)).collect()
    }

    /// What is unsaved about a name, in order.
    fn take_unsaved_about(&mut self, name: &Name) -> Vec<Record> {
        let name = name.clone();
        let keys = [
            SoftKey::Removed(name.clone()),
            SoftKey::Failures(Suspect::Account(name.clone())),
            SoftKey::Began(name.clone()),
            SoftKey::Ended(name.clone()),
            SoftKey::Mail(name),
        ];
        let mut found: Vec<(u64, Record)> = keys.iter().filter_map(|key| self.unsaved.remove(key)).collect();
        found.sort_unstable_by_key(|(number, _)| *number);
        found.into_iter().map(|(_, record)| record).collect()
    }

    fn keep_unsaved(&mut self, number: RecordNumber, record: Record) {
        let (key, record) = match record {
            Record::Change(Change::AccountRemoved { ref name }) => (SoftKey::Removed(name.clone()), record),
            // A made-up name that is forgotten: what the store may still hold of it harms nobody, and
            // there is no end of such names.
            Record::Fact(Fact::Failures { suspect: suspect @ Suspect::Unknown(_), count: 0, .. }) => {
                self.unsaved.remove(&SoftKey::Failures(suspect));
                return;
            }
            Record::Fact(Fact::Failures { ref suspect, .. }) => (SoftKey::Failures(suspect.clone()), record),
            Record::Fact(Fact::SessionBegan { ref user, .. }) => (SoftKey::Began(user.clone()), record),
            Record::Fact(Fact::SessionEnded { ref user, .. }) => (SoftKey::Ended(user.clone()), record),
            Record::Fact(Fact::MailRemoved { user, mut ids }) => {
                let key = SoftKey::Mail(user.clone());
                if let Some((_, Record::Fact(Fact::MailRemoved { ids: before, .. }))) =
                    self.unsaved.remove(&key)
                {
                    ids.extend(before);
                }
                (key, Record::Fact(Fact::MailRemoved { user, ids }))
            }
            Record::Change(Change::AccountAdded { .. })
            | Record::MailStored { .. }
            | Record::Change(Change::Blocked { .. })
            | Record::Change(Change::Unblocked { .. })
            | Record::Change(Change::GroupSet { .. })
            | Record::Change(Change::GroupRemoved { .. })
            | Record::Settled { .. } => return,
        };
        self.unsaved.insert(key, (number.0, record));
    }
}

impl ServerState {
    /// Makes a change that its command answers for.
    pub(super) fn persist_firm(&mut self, record: Record, then: Then) -> RecordNumber {
        let undo = self.undo_of(&record);
        self.apply(&record);
        self.hand_out(record, undo, then)
    }

    /// Makes a change that stays made whatever the store says.
    pub(super) fn persist_soft(&mut self, record: Record) -> RecordNumber {
        self.apply(&record);
        let undo = Undo::Later(record.clone());
        self.hand_out(record, undo, Then::Nothing)
    }

    /// Writes along what only a restart will read.
    pub(super) fn persist_note(&mut self, record: Record) {
        self.hand_out(record, Undo::Nothing, Then::Nothing);
    }

    /// Hands out a record that changes nothing here, for the answer that waits for it: as durable as what it
    /// says is, or refused with it.
    pub(super) fn persist_answer(&mut self, record: Record, then: Then) -> RecordNumber {
        self.hand_out(record, Undo::Nothing, then)
    }

    fn hand_out(&mut self, record: Record, undo: Undo, then: Then) -> RecordNumber {
        for unsaved in self.journal.take_unsaved_before(&record) {
            self.number_record(unsaved.clone(), Undo::Later(unsaved), Then::Nothing);
        }
        if let Record::Fact(Fact::Failures { suspect, .. }) = &record {
            // The whole new value: an older one of a made-up name must not be written over it.
            self.journal.unsaved.remove(&SoftKey::Failures(suspect.clone()));
        }
        self.number_record(record, undo, then)
    }

    fn number_record(&mut self, record: Record, undo: Undo, then: Then) -> RecordNumber {
        self.journal.last.0 += 1;
        let number = self.journal.last;
        self.journal.count_change(&undo);
        if let Record::Fact(Fact::MailRemoved { user, ids }) = &record {
            self.note_gone(user, ids);
        } else if let Record::Change(Change::AccountRemoved { name }) = &record {
            self.note_all_gone(name);
        }
        self.journal.pending.push_back(Pending { number, undo, then });
        self.outbox.slow(Slow::Persist { number, epoch: self.journal.epoch, record });
        number
    }

    fn undo_of(&self, record: &Record) -> Undo {
        let id = |name: &Name| self.accounts.find(name.as_str());
        match record {
            Record::MailStored { to, mail } => id(to).map_or(Undo::Nothing, |to| Undo::Mail {
                to,
                from: mail.from.clone(),
                bytes: mail.text.len() as u64,
            }),
            Record::Change(Change::Blocked { by, user }) | Record::Change(Change::Unblocked { by, user }) => {
                match (id(by), id(user)) {
                    (Some(by), Some(user)) => {
                        Undo::Block { by, user, stood: self.accounts[by].has_blocked(user) }
                    }
                    _ => Undo::Nothing,
                }
            }
            Record::Change(Change::GroupSet { group, .. })
            | Record::Change(Change::GroupRemoved { group }) => Undo::Group {
                group: group.clone(),
                before: self.groups.get(group).map(|group| group.members.clone()),
            },
            Record::Change(Change::AccountAdded { name, credential }) => {
                id(name).map_or(Undo::Nothing, |user| Undo::Account { user, credential: credential.clone() })
            }
            Record::Change(Change::AccountRemoved { .. })
            | Record::Fact(Fact::Failures { .. })
            | Record::Fact(Fact::SessionBegan { .. })
            | Record::Fact(Fact::SessionEnded { .. })
            | Record::Fact(Fact::MailRemoved { .. })
            | Record::Settled { .. } => Undo::Nothing,
        }
    }

    pub(super) fn committed(&mut self, upto: RecordNumber) {
        while self.journal.pending.front().is_some_and(|pending| pending.number <= upto) {
            let Some(pending) = self.journal.pending.pop_front() else { break };
            self.journal.count_off_change(&pending.undo);
            self.journal.settled = self.journal.settled.max(pending.number);
            self.settle_record(pending.number, pending.then, Ok(()));
        }
        if self.journal.refusing {
            self.journal.refusing = false;
            self.outbox.report(Report::StorageBack);
        }
        self.journal.removed_early = self.journal.removed_early.split_off(&RecordNumber(upto.0 + 1));
        self.release_all_held();
    }

    /// The store gave up this record and all later ones: firm ones are undone, the last first.
    pub(super) fn store_refused(&mut self, from: RecordNumber) {
        let kept = self.journal.pending.partition_point(|pending| pending.number < from);
        let refused = self.journal.pending.split_off(kept);
        self.journal.epoch += 1;
        self.journal.refusing = true;
        self.outbox.report(Report::StorageRefused { records: refused.len() as u64 });
        let mut removed: BTreeSet<&Name> = BTreeSet::new();
        for pending in refused.iter().rev() {
            self.journal.count_off_change(&pending.undo);
            if let Undo::Later(Record::Change(Change::AccountRemoved { name })) = &pending.undo {
                removed.insert(name);
            }
            if !self.journal.removed_early.contains(&pending.number) {
                self.undo(&pending.undo, &removed);
            }
        }
        for pending in refused {
            self.journal.settled = self.journal.settled.max(pending.number);
            if let Undo::Later(record) = pending.undo {
                self.journal.keep_unsaved(pending.number, record);
            }
            let confirmed = planted::is(Planted::ConfirmRefused);
            let settlement = if confirmed { Ok(()) } else { Err(Code::StorageUnavailable) };
            self.settle_record(pending.number, pending.then, settlement);
        }
        self.journal.removed_early.clear();
        if !self.journal.unsaved.is_empty() && !self.journal.rewrite_is_set {
            self.journal.rewrite_is_set = true;
            self.deadlines.add(self.now + REWRITE_AFTER, Deadline::Rewrite);
        }
        self.release_all_held();
    }

    /// Takes a change back, but for what the removal of these accounts did after it. Who has lost his account
    /// meanwhile comes back neither as blocked nor as a member, also if his session still stands.
    fn undo(&mut self, undo: &Undo, removed: &BTreeSet<&Name>) {
        let stays = |server: &ServerState, user: UserId| {
            server.accounts.is_in_use(user) && !removed.contains(server.accounts.name(user))
        };
        match undo {
            Undo::Later(_) | Undo::Nothing => {}
            // With another line it is in the file by now, by the operator's hand, and stays.
            Undo::Account { user, credential } => {
                if self.accounts[*user].credential.as_ref() == Some(credential) {
                    self.accounts.retract(*user);
                }
            }
            Undo::Mail { to, from, bytes } => {
                if let Some(from) = self.sender_of(*to, from) {
                    self.uncount_mail(*to, from, 1, *bytes);
                }
            }
            Undo::Block { .. } if planted::is(Planted::RefusedBlockStays) => {}
            Undo::Block { by, user, stood } => {
                if stays(self, *by) && stays(self, *user) {
                    self.set_block(*by, *user, *stood);
                }
            }
            Undo::Group { group, before } => {
                let mut members = before.clone();
                if let Some(members) = &mut members {
                    members.retain(|&user| stays(self, user));
                }
                self.set_group(group, members);
            }
        }
    }

    fn settle_record(&mut self, number: RecordNumber, then: Then, settlement: Settlement) {
        match then {
            Then::Nothing => {}
            Then::Mail { to, tell, refused } => {
                self.mail_settled(number, to, &tell, settlement.map_err(|_| refused));
            }
            Then::Block(change) => self.block_settled(number, &change, settlement),
            Then::Group { asker, change } => self.group_settled(number, &asker, change, settlement),
            Then::Registered { link, user } => self.registered(link, user, settlement),
        }
    }

    fn release_all_held(&mut self) {
        let holding: Vec<LinkId> = self.journal.holding.iter().copied().collect();
        for link in holding {
            self.release_held(link);
        }
    }

    pub(super) fn rewrite_unsaved(&mut self) {
        self.journal.rewrite_is_set = false;
        let mut unsaved: Vec<(u64, Record)> =
            core::mem::take(&mut self.journal.unsaved).into_values().collect();
        unsaved.sort_unstable_by_key(|(number, _)| *number);
        for (_, record) in unsaved {
            let undo = Undo::Later(record.clone());
            self.number_record(record, undo, Then::Nothing);
        }
    }
}

fn count_off<K: Ord>(changes: &mut BTreeMap<K, u32>, key: &K) {
    if let Some(count) = changes.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            changes.remove(key);
        }
    }
}

/// The account whose own state a record sets.
fn subject_of(record: &Record) -> Option<&Name> {
    match record {
        Record::Change(Change::AccountAdded { name, .. })
        | Record::Change(Change::AccountRemoved { name })
        | Record::Fact(Fact::Failures { suspect: Suspect::Account(name), .. })
        | Record::Fact(Fact::SessionBegan { user: name, .. })
        | Record::Fact(Fact::SessionEnded { user: name, .. }) => Some(name),
        Record::Fact(Fact::Failures { suspect: Suspect::Unknown(_), .. })
        | Record::MailStored { .. }
        | Record::Fact(Fact::MailRemoved { .. })
        | Record::Change(Change::Blocked { .. })
        | Record::Change(Change::Unblocked { .. })
        | Record::Change(Change::GroupSet { .. })
        | Record::Change(Change::GroupRemoved { .. })
        | Record::Settled { .. } => None,
    }
}

/// Other accounts whose removal would change what a record has made.
fn built_on_by(record: &Record) -> Vec<&Name> {
    match record {
        Record::MailStored { to, .. } => alloc::vec![to],
        Record::Change(Change::Blocked { by, user }) => alloc::vec![by, user],
        Record::Change(Change::GroupSet { members, .. }) => members.iter().collect(),
        Record::Settled { user, .. } => alloc::vec![user],
        Record::Change(Change::AccountAdded { .. })
        | Record::Change(Change::AccountRemoved { .. })
        | Record::Fact(Fact::Failures { .. })
        | Record::Fact(Fact::SessionBegan { .. })
        | Record::Fact(Fact::SessionEnded { .. })
        | Record::Fact(Fact::MailRemoved { .. })
        | Record::Change(Change::Unblocked { .. })
        | Record::Change(Change::GroupRemoved { .. }) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    use crate::record::Digest;

    #[test]
    fn a_removal_that_is_unsaved_is_written_before_what_is_built_on_the_account() {
        let name = |name: &str| Name::new(name).unwrap();
        let (hans, luke) = (name("hans"), name("luke"));
        let removed = |user: &Name| Record::Change(Change::AccountRemoved { name: user.clone() });
        let builders = [
            Record::Change(Change::Blocked { by: luke.clone(), user: hans.clone() }),
            Record::Change(Change::Blocked { by: hans.clone(), user: luke.clone() }),
            Record::Change(Change::GroupSet {
                group: name("crew"),
                members: vec![luke.clone(), hans.clone()],
            }),
            Record::Change(Change::AccountRemoved { name: hans.clone() }),
        ];
        for record in builders {
            let mut journal = Journal::default();
            journal.keep_unsaved(RecordNumber(1), removed(&hans));
            journal.keep_unsaved(RecordNumber(2), removed(&name("yoda")));
            assert_eq!(journal.take_unsaved_before(&record), [removed(&hans)], "{record:?}");
            assert_eq!(journal.take_unsaved_before(&record), []);
        }
    }

    #[test]
    fn of_a_made_up_name_that_is_forgotten_nothing_stays_unsaved() {
        let failures = |count| {
            let suspect = Suspect::Unknown(Digest([1; 16]));
            Record::Fact(Fact::Failures { suspect, count, locked_until: None, since_login: count })
        };
        let mut journal = Journal::default();
        // Refused together: it was forgotten while its failures were being written.
        journal.keep_unsaved(RecordNumber(1), failures(2));
        journal.keep_unsaved(RecordNumber(2), failures(0));
        assert!(journal.unsaved.is_empty());
    }

    #[test]
    fn what_is_unsaved_about_an_account_that_stays_is_not_written_with_each_message_to_it() {
        let hans = Name::new("hans").unwrap();
        let mut journal = Journal::default();
        journal.keep_unsaved(
            RecordNumber(1),
            Record::Fact(Fact::MailRemoved { user: hans.clone(), ids: vec![] }),
        );
        let block = Record::Change(Change::Blocked { by: hans.clone(), user: hans });
        assert_eq!(journal.take_unsaved_before(&block), []);
    }
}
