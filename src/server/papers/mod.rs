//! Records on their way to the store, what waits for them, and what has come of commands.
//!
//! Records are numbered as they are handed out, and the store settles them in that order: each is durable or
//! refused. A change is applied when it is durable, and not before. A fact is applied when it is decided; one
//! that the store refuses is written later.

mod facts;
pub(super) mod lane;
mod ledger;
mod secrets;
mod sends;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use self::facts::Facts;
use self::lane::{Lane, WishId};
pub(super) use self::ledger::{Ledger, Standing};
pub(super) use self::secrets::Secrets;
pub(super) use self::sends::{SendKey, Sends, Taken};
use super::accounts::UserId;
use super::answers::{Asker, Tell};
use super::out::{Output, Slow};
use crate::planted::{self, Planted};
use crate::record::{Fact, Outcome, Record, RecordNumber};
use crate::wire::Code;
use crate::words::{LinkId, MessageId, Name};

/// Facts of one account that may be on their way to the store; with more, nobody comes in under its name.
const FACTS_OF_ONE: u32 = 16;

/// Records on their way, facts to be written again, and changes that wait for their turn.
#[derive(Debug, Clone, Default)]
pub(super) struct Papers {
    last: RecordNumber,
    /// All up to this one are durable or refused.
    settled: RecordNumber,
    /// Counts refusals: the store drops what was handed out under an earlier one.
    epoch: u64,
    under_way: VecDeque<UnderWay>,
    /// What these take in the queue of the store.
    bytes_under_way: u64,
    /// Links whose next word waits for a record.
    waiting: BTreeMap<RecordNumber, Vec<LinkId>>,
    facts: Facts,
    /// How many facts of each account are on their way.
    facts_under_way: BTreeMap<Name, u32>,
    /// The store refused the last records that it settled.
    refusing: bool,
    pub(super) lane: Lane,
}

/// A record that was handed out and is not settled.
#[derive(Debug, Clone)]
pub(super) struct UnderWay {
    pub(super) number: RecordNumber,
    pub(super) record: Record,
    pub(super) then: Then,
}

/// What is due once a record is settled, beside applying it.
#[derive(Debug, Clone)]
pub(super) enum Then {
    Nothing,
    /// The wish has come true, or was refused. Its change is the record before, or this one.
    Wish(WishId),
    /// A message is stored, or was refused: its sender hears so.
    Mail(Stored),
    /// A group message is answered: it is settled for every member.
    GroupMessage {
        asker: Asker,
        group: Name,
        outcome: Outcome,
    },
    /// What became of a message with a given id is known (R61).
    Sent {
        asker: Asker,
        outcome: Outcome,
    },
    /// A sender who is blocked silently hears `stored`.
    Pretended {
        to: UserId,
        tell: Tell,
        outcome: Outcome,
    },
}

/// A message on its way into a mailbox.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) from: UserId,
    pub(super) to: UserId,
    pub(super) id: MessageId,
    /// Of its text.
    pub(super) bytes: u64,
    pub(super) tell: Tell,
    /// What the sender hears if the store takes it.
    pub(super) outcome: Outcome,
    /// What the sender hears if the store refuses it.
    pub(super) refused: Code,
}

/// What a record counts in the queue of the store beside its text.
const RECORD_BYTES: u64 = 256;

fn bytes_of(record: &Record) -> u64 {
    match record {
        Record::MailStored { mail, .. } => RECORD_BYTES + mail.text.len() as u64,
        Record::Fact(_) | Record::Change(_) | Record::Settled { .. } | Record::Sent { .. } => RECORD_BYTES,
    }
}

impl Papers {
    /// Whether a record is durable, or refused and never to be.
    pub(super) fn is_settled(&self, number: RecordNumber) -> bool {
        number <= self.settled
    }

    /// All records up to this one are durable or refused.
    pub(super) const fn settled(&self) -> RecordNumber {
        self.settled
    }

    /// What the records on their way take in the queue of the store.
    pub(super) const fn bytes_under_way(&self) -> u64 {
        self.bytes_under_way
    }

    /// How many are on their way to the disk.
    pub(super) fn records_under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Whether nothing is on its way, waits, or is still to be written.
    pub(super) fn is_quiet(&self) -> bool {
        self.under_way.is_empty() && self.facts.is_empty() && self.lane.is_empty()
    }

    /// Hands a change or a message to the store, after the facts of every account that it names which are
    /// still to be written.
    pub(super) fn persist(&mut self, out: &mut Output, record: Record, then: Then) -> RecordNumber {
        for fact in self.facts.take_about(&record) {
            self.hand_out(out, Record::Fact(fact), Then::Nothing);
        }
        self.hand_out(out, record, then)
    }

    /// Hands a fact to the store: the older ones of the same account that are still to be written go first.
    pub(super) fn persist_fact(&mut self, out: &mut Output, fact: Fact) -> RecordNumber {
        if planted::is(Planted::LockNotStored) && matches!(fact, Fact::Failures { .. }) {
            return RecordNumber(0);
        }
        self.facts.replace(&fact);
        self.persist(out, Record::Fact(fact), Then::Nothing)
    }

    fn hand_out(&mut self, out: &mut Output, record: Record, then: Then) -> RecordNumber {
        self.last.0 += 1;
        let number = self.last;
        if let Record::Fact(fact) = &record
            && let Some(name) = facts::account_of(fact)
        {
            *self.facts_under_way.entry(name.clone()).or_default() += 1;
        }
        self.bytes_under_way += bytes_of(&record);
        out.slow(Slow::Persist { number, epoch: self.epoch, record: record.clone() });
        self.under_way.push_back(UnderWay { number, record, then });
        number
    }

    /// The next record of those up to a number that is settled now.
    pub(super) fn settle_next(&mut self, upto: RecordNumber) -> Option<UnderWay> {
        if self.under_way.front()?.number > upto {
            return None;
        }
        let settled = self.under_way.pop_front()?;
        assert!(settled.number > self.settled, "records are settled once, in order");
        self.settled = settled.number;
        self.bytes_under_way -= bytes_of(&settled.record);
        if let Record::Fact(fact) = &settled.record
            && let Some(name) = facts::account_of(fact)
        {
            self.count_off_fact(name);
        }
        Some(settled)
    }

    fn count_off_fact(&mut self, name: &Name) {
        let Some(count) = self.facts_under_way.get_mut(name) else { unreachable!("a fact is counted once") };
        *count -= 1;
        if *count == 0 {
            self.facts_under_way.remove(name);
        }
    }

    /// Whether the store is so far behind with an account that no session of it may begin: coming and going
    /// would fill its queue.
    pub(super) fn is_behind_with(&self, name: &Name) -> bool {
        self.facts_under_way.get(name).is_some_and(|count| *count >= FACTS_OF_ONE)
    }

    /// The store gives up records from this one on; how many they are. Facts among them are kept, all of them
    /// now: whatever comes of the refusal may name their accounts.
    pub(super) fn refuse(&mut self, from: RecordNumber) -> u64 {
        let kept = self.under_way.partition_point(|under_way| under_way.number < from);
        assert!(kept == 0, "what comes before a refusal was settled before it");
        self.epoch += 1;
        let again = core::mem::replace(&mut self.refusing, true);
        for UnderWay { number, record, .. } in &self.under_way {
            if let Record::Fact(fact) = record
                && !planted::is(Planted::FactForgotten)
                && !(again && planted::is(Planted::FactForgottenLater))
            {
                self.facts.keep(*number, fact.clone());
            }
        }
        self.under_way.len() as u64
    }

    /// The last record handed out.
    pub(super) const fn last(&self) -> RecordNumber {
        self.last
    }

    /// The store has written again; whether it had refused to before.
    pub(super) const fn note_written(&mut self) -> bool {
        core::mem::replace(&mut self.refusing, false)
    }

    /// Whether facts wait to be written again.
    pub(super) fn keeps_facts(&self) -> bool {
        !self.facts.is_empty()
    }

    /// Hands out all facts that are still to be written.
    pub(super) fn write_kept_facts(&mut self, out: &mut Output) {
        for fact in self.facts.take_all() {
            self.hand_out(out, Record::Fact(fact), Then::Nothing);
        }
    }

    /// Whether a fact is on its way to the store, or is to be written again.
    #[cfg(feature = "sim")]
    pub(super) fn has_facts_under_way(&self) -> bool {
        let facts = |under_way: &UnderWay| matches!(under_way.record, Record::Fact(_));
        !self.facts.is_empty() || self.under_way.iter().any(facts)
    }

    /// Lets a link wait for a record.
    pub(super) fn wait_for(&mut self, number: RecordNumber, link: LinkId) {
        assert!(number > self.settled && number <= self.last, "a link waits for a record under way");
        self.waiting.entry(number).or_default().push(link);
    }

    /// Links that waited for this record.
    pub(super) fn take_waiting(&mut self, number: RecordNumber) -> Vec<LinkId> {
        self.waiting.remove(&number).unwrap_or_default()
    }

    /// The account is purged: nothing of it is to be written any more.
    pub(super) fn forget_facts_of(&mut self, name: &Name) {
        self.facts.forget(name);
    }
}
