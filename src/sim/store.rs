//! The model store: a queue of records of which a prefix is durable, and what a crash leaves of it.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::draw::Draw;
use crate::record::{
    Change, Fact, Mail, MailSummary, Outcome, Record, RecordNumber, Recovery, Suspect, WordsDigest,
};
use crate::time::Time;
use crate::words::{Credential, LoginNumber, MessageId, Name, Origin, Ticket};

/// Something the store has been asked, in order.
#[derive(Debug, Clone)]
enum Entry {
    Persist(RecordNumber, u64, Record),
    Load(LoadMail),
}

/// A request for stored mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoadMail {
    pub(crate) ticket: Ticket,
    pub(crate) user: Name,
    pub(crate) from: Option<Name>,
    pub(crate) after: MessageId,
    pub(crate) limit: u32,
}

/// Where the batch under way is. A crash leaves of it: nothing or all, nothing or all, all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Appended(usize),
    Synced(RecordNumber),
}

/// What the store tells the server after one of its turns.
#[derive(Debug)]
pub(crate) enum Told {
    Committed(RecordNumber),
    Refused(RecordNumber),
    Loaded { ticket: Ticket, mail: Vec<Mail>, more: bool },
}

/// What a turn of the store came to.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Nothing to do, or not allowed to.
    Rest,
    /// A step was made; another turn is due.
    Onward,
    /// The server is to be told something; another turn is due.
    Tell(Told),
    /// The sync failed: the process ends.
    Died,
}

/// The store with its queue, and what is durable.
#[derive(Debug)]
pub(crate) struct Store {
    queue: VecDeque<Entry>,
    /// Numbers of the last records of calls.
    ends: BTreeSet<RecordNumber>,
    phase: Phase,
    refused_epoch: Option<u64>,
    durable: Durable,
    /// The disk is full.
    pub(crate) full: bool,
    /// No batch is begun.
    pub(crate) held: bool,
    /// The next sync fails.
    pub(crate) sync_fails: bool,
}

impl Store {
    pub(crate) fn new(secret: [u8; 32]) -> Store {
        Store {
            queue: VecDeque::new(),
            ends: BTreeSet::new(),
            phase: Phase::Idle,
            refused_epoch: None,
            durable: Durable { secret, ..Durable::default() },
            full: false,
            held: false,
            sync_fails: false,
        }
    }

    /// What survived, for a new life of the server.
    pub(crate) fn recover(&mut self) -> Recovery {
        self.durable.boot += 1;
        self.durable.last = RecordNumber(0);
        self.durable.recovery()
    }

    /// What a server would read if it started now.
    pub(crate) fn recovery(&self) -> Recovery {
        self.durable.recovery()
    }

    pub(crate) fn persist(&mut self, number: RecordNumber, epoch: u64, record: &Record) {
        if self.refused_epoch.is_none_or(|refused| epoch > refused) {
            self.queue.push_back(Entry::Persist(number, epoch, record.clone()));
        }
    }

    pub(crate) fn load(&mut self, load: LoadMail) {
        self.queue.push_back(Entry::Load(load));
    }

    /// Whether a turn would find something to do.
    pub(crate) fn is_busy(&self) -> bool {
        self.phase != Phase::Idle || (!self.held && !self.queue.is_empty())
    }

    /// The last record that is durable.
    pub(crate) fn last_durable(&self) -> RecordNumber {
        self.durable.last
    }

    /// What the last turn synced, if it did.
    pub(crate) const fn just_synced(&self) -> Option<RecordNumber> {
        match self.phase {
            Phase::Synced(upto) => Some(upto),
            Phase::Idle | Phase::Appended(_) => None,
        }
    }

    /// Which users block which, as far as durable.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &(Name, Name)> {
        self.durable.blocks.iter()
    }

    /// One turn: begin a batch, sync it, or confirm it.
    pub(crate) fn turn(&mut self, now: Time, draw: &mut Draw) -> Turn {
        match self.phase {
            Phase::Idle => self.begin(draw),
            Phase::Appended(records) => {
                if core::mem::take(&mut self.sync_fails) {
                    return Turn::Died;
                }
                let upto = self.sync(records, now);
                self.phase = Phase::Synced(upto);
                Turn::Onward
            }
            Phase::Synced(upto) => {
                self.phase = Phase::Idle;
                Turn::Tell(Told::Committed(upto))
            }
        }
    }

    fn begin(&mut self, draw: &mut Draw) -> Turn {
        if self.held {
            return Turn::Rest;
        }
        match self.queue.front() {
            None => Turn::Rest,
            Some(Entry::Load(_)) => {
                let Some(Entry::Load(load)) = self.queue.pop_front() else { return Turn::Rest };
                let (mail, more) = self.durable.page(&load);
                Turn::Tell(Told::Loaded { ticket: load.ticket, mail, more })
            }
            Some(&Entry::Persist(number, epoch, _)) if self.full => Turn::Tell(self.refuse(number, epoch)),
            Some(Entry::Persist(..)) => {
                let ready = self.queue.iter().take_while(|entry| matches!(entry, Entry::Persist(..))).count();
                let part = draw.chance(150);
                let batch = if part { draw.between(1, ready as u64) } else { ready as u64 };
                let batch = usize::try_from(batch).unwrap_or(ready);
                self.phase = Phase::Appended(self.whole_calls(batch).min(ready));
                Turn::Onward
            }
        }
    }

    /// The records of one call come to the store together: no batch ends between them.
    fn whole_calls(&self, batch: usize) -> usize {
        let ends = |entry: &Entry| matches!(entry, Entry::Persist(number, ..) if self.ends.contains(number));
        let rest = self.queue.iter().skip(batch.saturating_sub(1)).position(ends).unwrap_or(0);
        batch + rest
    }

    /// A call of the server has handed out its last record.
    pub(crate) fn end_call(&mut self) {
        if let Some(Entry::Persist(number, ..)) =
            self.queue.iter().rev().find(|entry| matches!(entry, Entry::Persist(..)))
        {
            self.ends.insert(*number);
        }
    }

    /// Gives up all queued records up to the newest epoch among them.
    fn refuse(&mut self, from: RecordNumber, epoch: u64) -> Told {
        let persisted = |entry: &Entry| match entry {
            Entry::Persist(_, epoch, _) => Some(*epoch),
            Entry::Load(_) => None,
        };
        let newest = self.queue.iter().filter_map(persisted).max().unwrap_or(epoch);
        self.queue.retain(|entry| matches!(entry, Entry::Load(_)));
        self.ends.clear();
        self.refused_epoch = Some(newest);
        Told::Refused(from)
    }

    fn sync(&mut self, records: usize, now: Time) -> RecordNumber {
        for _ in 0..records {
            if let Some(Entry::Persist(number, _, record)) = self.queue.pop_front() {
                self.ends.remove(&number);
                self.durable.apply(number, record);
            }
        }
        self.durable.last_written = now;
        self.durable.last
    }

    /// The server process is gone. Of a batch that was written but not synced all survives, or nothing.
    pub(crate) fn crash(&mut self, now: Time, draw: &mut Draw) {
        if let Phase::Appended(records) = self.phase
            && draw.chance(500)
        {
            self.sync(records, now);
        }
        self.phase = Phase::Idle;
        self.queue.clear();
        self.ends.clear();
        self.refused_epoch = None;
        self.sync_fails = false;
    }

    /// The server process stops in good order: all that was handed out is written.
    pub(crate) fn close(&mut self, now: Time) {
        self.queue.retain(|entry| matches!(entry, Entry::Persist(..)));
        let all = if self.full { 0 } else { self.queue.len() };
        self.sync(all, now);
        self.queue.clear();
        self.ends.clear();
        self.phase = Phase::Idle;
        self.refused_epoch = None;
        self.sync_fails = false;
    }

    /// Accounts made by registration and not yet taken into the credentials file.
    pub(crate) fn take_accounts(&mut self) -> Vec<(Name, Credential)> {
        core::mem::take(&mut self.durable.accounts)
    }
}

/// What is durable, by key.
#[derive(Debug, Default)]
pub(super) struct Durable {
    boot: u32,
    secret: [u8; 32],
    last_written: Time,
    last: RecordNumber,
    applied: u64,
    accounts: Vec<(Name, Credential)>,
    failures: BTreeMap<Suspect, Record>,
    sessions: BTreeMap<Name, Session>,
    settled: BTreeMap<(Name, Origin), (Outcome, Option<WordsDigest>)>,
    blocks: BTreeSet<(Name, Name)>,
    groups: BTreeMap<Name, Vec<Name>>,
    mail: BTreeMap<Name, BTreeMap<MessageId, Mail>>,
}

#[derive(Debug, Default)]
struct Session {
    login: LoginNumber,
    /// With their places in the order of all records of all lives.
    began: Option<(u64, Record)>,
    ended: Option<(u64, Record)>,
}

impl Durable {
    pub(super) fn apply(&mut self, number: RecordNumber, record: Record) {
        self.last = number;
        self.applied += 1;
        let place = self.applied;
        match record {
            Record::Change(Change::AccountAdded { name, credential }) => {
                self.accounts.push((name, credential))
            }
            Record::Change(Change::AccountRemoved { name }) => self.forget(&name),
            Record::Fact(Fact::Failures { ref suspect, .. }) => {
                self.failures.insert(suspect.clone(), record);
            }
            Record::Fact(Fact::SessionBegan { ref user, login, .. }) => {
                let session = self.sessions.entry(user.clone()).or_default();
                if session.login != login {
                    self.settled.retain(|(of, origin), _| of != user || origin.login >= login);
                }
                *session = Session { login, began: Some((place, record)), ended: session.ended.take() };
            }
            Record::Fact(Fact::SessionEnded { ref user, .. }) => {
                let user = user.clone();
                self.sessions.entry(user).or_default().ended = Some((place, record));
            }
            Record::MailStored { to, mail } => {
                self.mail.entry(to).or_default().insert(mail.id, mail);
            }
            Record::Fact(Fact::MailRemoved { user, ids }) => {
                let mailbox = self.mail.entry(user).or_default();
                mailbox.retain(|id, _| !ids.contains(id));
            }
            Record::Change(Change::Blocked { by, user }) => {
                self.blocks.insert((by, user));
            }
            Record::Change(Change::Unblocked { by, user }) => {
                self.blocks.remove(&(by, user));
            }
            Record::Change(Change::GroupSet { group, members }) => {
                self.groups.insert(group, members);
            }
            Record::Change(Change::GroupRemoved { group }) => {
                self.groups.remove(&group);
            }
            Record::Settled { user, origin, outcome, words } => {
                self.settled.insert((user, origin), (outcome, words));
            }
        }
    }

    fn forget(&mut self, name: &Name) {
        self.failures.remove(&Suspect::Account(name.clone()));
        self.sessions.remove(name);
        self.settled.retain(|(of, _), _| of != name);
        self.blocks.retain(|(by, user)| by != name && user != name);
        self.mail.remove(name);
        for members in self.groups.values_mut() {
            members.retain(|member| member != name);
        }
        self.groups.retain(|_, members| !members.is_empty());
    }

    pub(super) fn page(&self, load: &LoadMail) -> (Vec<Mail>, bool) {
        let Some(mailbox) = self.mail.get(&load.user) else { return (Vec::new(), false) };
        let later = (core::ops::Bound::Excluded(load.after), core::ops::Bound::Unbounded);
        let wanted = |mail: &&Mail| load.from.as_ref().is_none_or(|from| *from == mail.from);
        let mut waiting = mailbox.range(later).map(|(_, mail)| mail).filter(wanted).cloned();
        let page = waiting.by_ref().take(load.limit as usize).collect();
        (page, waiting.next().is_some())
    }

    pub(super) const fn note_written(&mut self, now: Time) {
        self.last_written = now;
    }

    /// All stored mail, with its receivers.
    pub(super) fn all_mail(&self) -> impl Iterator<Item = (&Name, &Mail)> {
        self.mail.iter().flat_map(|(to, mailbox)| mailbox.values().map(move |mail| (to, mail)))
    }

    pub(super) fn recovery(&self) -> Recovery {
        let mut records = Vec::new();
        let blocked = |(by, user): &(Name, Name)| {
            Record::Change(Change::Blocked { by: by.clone(), user: user.clone() })
        };
        records.extend(self.blocks.iter().map(blocked));
        records.extend(self.groups.iter().map(|(group, members)| {
            Record::Change(Change::GroupSet { group: group.clone(), members: members.clone() })
        }));
        records.extend(self.failures.values().cloned());
        for session in self.sessions.values() {
            let mut both = [session.began.clone(), session.ended.clone()];
            both.sort_by_key(|record| record.as_ref().map(|(place, _)| *place));
            records.extend(both.into_iter().flatten().map(|(_, record)| record));
        }
        records.extend(self.settled.iter().map(|((user, origin), (outcome, words))| Record::Settled {
            user: user.clone(),
            origin: *origin,
            outcome: *outcome,
            words: *words,
        }));
        Recovery {
            boot: self.boot,
            secret: self.secret,
            last_written: self.last_written,
            records,
            mail: self.summaries(),
        }
    }

    fn summaries(&self) -> Vec<MailSummary> {
        let mut sums: BTreeMap<(&Name, &Name), (u32, u64)> = BTreeMap::new();
        for (to, mailbox) in &self.mail {
            for mail in mailbox.values() {
                let sum = sums.entry((to, &mail.from)).or_default();
                *sum = (sum.0 + 1, sum.1 + mail.text.len() as u64);
            }
        }
        let summary = |((to, from), (count, bytes)): ((&Name, &Name), (u32, u64))| MailSummary {
            to: to.clone(),
            from: from.clone(),
            count,
            bytes,
        };
        sums.into_iter().map(summary).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(number: u64) -> (RecordNumber, Record) {
        let name = |text: &str| Name::new(text).expect("a name");
        (RecordNumber(number), Record::Change(Change::Blocked { by: name("hans"), user: name("vader") }))
    }

    #[test]
    fn a_record_is_durable_after_the_sync_and_told_after_that() {
        let (mut store, mut draw) = (Store::new([0; 32]), Draw::new(1));
        let (number, record) = blocked(1);
        store.persist(number, 0, &record);
        assert!(matches!(store.turn(Time(1), &mut draw), Turn::Onward));
        assert_eq!(store.last_durable(), RecordNumber(0));
        assert!(matches!(store.turn(Time(2), &mut draw), Turn::Onward));
        assert_eq!(store.last_durable(), number);
        let told = store.turn(Time(3), &mut draw);
        assert!(matches!(told, Turn::Tell(Told::Committed(upto)) if upto == number));
        store.crash(Time(4), &mut draw);
        assert_eq!(store.recover().records.len(), 1);
    }

    #[test]
    fn a_full_store_refuses_all_that_waits_and_drops_the_rest_of_the_epoch() {
        let (mut store, mut draw) = (Store::new([0; 32]), Draw::new(1));
        store.full = true;
        for number in 1..=2 {
            let (number, record) = blocked(number);
            store.persist(number, 0, &record);
        }
        let told = store.turn(Time(1), &mut draw);
        assert!(matches!(told, Turn::Tell(Told::Refused(RecordNumber(1)))));
        store.full = false;
        let (number, record) = blocked(3);
        store.persist(number, 0, &record);
        assert!(!store.is_busy());
        store.persist(RecordNumber(4), 1, &record);
        assert!(store.is_busy());
    }
}
