//! The model of a store: it commits at once, holds, or refuses, as a transcript says.

use std::collections::BTreeMap;

use hobnob::record::{Change, Fact, Mail, MailSummary, Record, RecordNumber, Suspect};
use hobnob::time::Time;
use hobnob::words::{MessageId, Name};

/// How a store treats the records that it is given.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    Holds,
    Commits,
    Refuses,
}

/// Its answer to records.
pub(crate) enum Verdict {
    Committed(RecordNumber),
    Refused(RecordNumber),
}

pub(crate) struct Store {
    pub(crate) mood: Mood,
    pending: Vec<(RecordNumber, u64, Record)>,
    durable: Vec<Record>,
    epoch: u64,
}

impl Store {
    pub(crate) fn new() -> Store {
        Store { mood: Mood::Commits, pending: Vec::new(), durable: Vec::new(), epoch: 0 }
    }

    pub(crate) fn take(&mut self, number: RecordNumber, epoch: u64, record: &Record) {
        self.pending.push((number, epoch, record.clone()));
    }

    /// Treats the records it has by its mood.
    pub(crate) fn work(&mut self) -> Option<Verdict> {
        self.pending.retain(|(_, epoch, _)| *epoch >= self.epoch);
        let from = self.pending.first()?.0;
        match self.mood {
            Mood::Holds => None,
            Mood::Commits => self.sync(),
            Mood::Refuses => {
                self.epoch = self.pending.last()?.1 + 1;
                self.pending.clear();
                Some(Verdict::Refused(from))
            }
        }
    }

    /// Makes the records durable that it has, in any mood.
    pub(crate) fn sync(&mut self) -> Option<Verdict> {
        let upto = self.pending.last()?.0;
        self.durable.extend(self.pending.drain(..).map(|(_, _, record)| record));
        Some(Verdict::Committed(upto))
    }

    /// Loses what is not durable.
    pub(crate) fn crash(&mut self) {
        self.pending.clear();
        self.epoch = 0;
    }

    /// The mailbox of a user after all records given so far, in order of ids.
    pub(crate) fn mail_of(&self, user: &Name, from: Option<&Name>, after: MessageId) -> Vec<Mail> {
        let mut mail: Vec<Mail> = Vec::new();
        for record in self.durable.iter().chain(self.pending.iter().map(|(_, _, record)| record)) {
            if matches!(record, Record::Change(Change::AccountRemoved { name }) if name == user) {
                mail.clear();
            }
            if let Record::MailStored { to, mail: stored } = record
                && to == user
            {
                mail.push(stored.clone());
            }
            if let Record::Fact(
                Fact::MailRemoved { user: owner, ids } | Fact::MailExpired { user: owner, ids, .. },
            ) = record
                && owner == user
            {
                mail.retain(|m| !ids.contains(&m.id));
            }
        }
        mail.retain(|m| m.id > after && from.is_none_or(|from| *from == m.from));
        mail.sort_by_key(|m| m.id);
        mail
    }

    /// Count and bytes of a user's mail, for each sender.
    pub(crate) fn mail_summary(&self, to: &Name) -> Vec<MailSummary> {
        let mut senders: BTreeMap<Name, (u32, u64, Time)> = BTreeMap::new();
        for stored in self.mail_of(to, None, MessageId::default()) {
            let entry = senders.entry(stored.from.clone()).or_insert((0, 0, stored.sent_at));
            entry.0 += 1;
            entry.1 += stored.text.len() as u64;
            entry.2 = entry.2.min(stored.sent_at);
        }
        let summary =
            |(from, (count, bytes, oldest))| MailSummary { to: to.clone(), from, count, bytes, oldest };
        senders.into_iter().map(summary).collect()
    }

    /// The records that a restart reads back, mail excepted.
    pub(crate) fn remembered(&self) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        for record in &self.durable {
            if let Record::Change(Change::AccountRemoved { name }) = record {
                records.retain(|record| !goes_with(record, name));
            } else if !matches!(record, Record::MailStored { .. } | Record::Fact(Fact::MailRemoved { .. })) {
                records.push(record.clone());
            }
        }
        records
    }
}

/// Whether a record is forgotten with an account.
fn goes_with(record: &Record, gone: &Name) -> bool {
    let suspect = Suspect::Account(gone.clone());
    matches!(record, Record::Fact(Fact::Failures { suspect: of, .. }) if *of == suspect)
        || matches!(record, Record::Fact(Fact::SessionBegan { user, .. }) | Record::Fact(Fact::SessionEnded { user, .. }) if user == gone)
        || matches!(record, Record::Change(Change::Blocked { by, user }) | Record::Change(Change::Unblocked { by, user }) if by == gone || user == gone)
}
