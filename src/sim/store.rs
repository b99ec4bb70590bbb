//! The store of the world: a queue of records of which a prefix is durable, and what a crash leaves of it.
//!
//! It is a model; a real store may go along with it, and then that one answers.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use super::disk::{Disk, Fault, Task};
pub(crate) use super::disk::{LoadMail, Told};
use super::draw::Draw;
pub(super) use super::durable::Durable;
use super::real::{Batch, Real, is_account};
use crate::record::{Record, RecordNumber, Recovery};
use crate::time::Time;
use crate::words::{Credential, Name};

/// Where the batch under way is. A crash leaves of it: nothing or all, nothing or all, all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Appended(usize),
    Synced(RecordNumber),
    /// A real store has done its batch, and made records up to this one durable if it did any.
    Answering(Option<RecordNumber>),
}

/// Suspects beyond which the memory is not compared with the store after each commit.
const MUCH: usize = 500;

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
    queue: VecDeque<Task>,
    /// Numbers of the last records of calls.
    ends: BTreeSet<RecordNumber>,
    phase: Phase,
    refused_epoch: Option<u64>,
    durable: Durable,
    real: Option<Real>,
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
            durable: Durable::new(secret),
            real: None,
            full: false,
            held: false,
            sync_fails: false,
        }
    }

    /// Lets a real store go along, before the first start.
    pub(crate) fn take_along(&mut self, disk: Box<dyn Disk>) {
        self.real = Some(Real::new(disk));
    }

    /// What a real store did that the model did not, if it was not taken before.
    pub(crate) fn take_difference(&mut self) -> Option<String> {
        self.real.as_mut().and_then(Real::take_difference)
    }

    /// What survived, for a new life of the server.
    pub(crate) fn recover(&mut self, now: Time) -> Recovery {
        match &mut self.real {
            Some(real) => real.open(&mut self.durable, now),
            None => {
                self.durable.begin_life();
                self.durable.recovery()
            }
        }
    }

    /// What a server would read if it started now; `None` while the server has not been told of all of it, or if it
    /// is very much.
    pub(crate) fn recovery(&mut self) -> Option<Recovery> {
        if self.durable.failures() > MUCH {
            return None;
        }
        if let Some(real) = &mut self.real {
            if !real.answers.is_empty() {
                return None;
            }
            real.look(&self.durable);
        }
        Some(self.durable.recovery())
    }

    pub(crate) fn persist(&mut self, number: RecordNumber, epoch: u64, record: &Record) {
        // A real store drops by itself what comes too late.
        if self.real.is_some() || self.refused_epoch.is_none_or(|refused| epoch > refused) {
            self.queue.push_back(Task::Persist { number, epoch, record: record.clone() });
        }
    }

    pub(crate) fn load(&mut self, load: LoadMail) {
        self.queue.push_back(Task::Load(load));
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
            Phase::Answering(upto) => upto,
            Phase::Idle | Phase::Appended(_) => None,
        }
    }

    /// The members of all groups.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&Name, &Vec<Name>)> {
        self.durable.groups.iter().map(|(group, (members, _))| (group, members))
    }

    /// Whether stored mail waits for a user, as far as durable.
    pub(crate) fn has_mail(&self, user: &Name) -> bool {
        self.durable.has_mail(user)
    }

    /// Which users block which, as far as durable.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &(Name, Name)> {
        self.durable.blocks.iter()
    }

    /// One turn: begin a batch, sync it, or confirm it.
    pub(crate) fn turn(&mut self, now: Time, draw: &mut Draw) -> Turn {
        match self.phase {
            Phase::Idle => self.begin(draw),
            Phase::Appended(tasks) if self.real.is_some() => self.write_really(tasks, now, draw),
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
            Phase::Answering(_) => self.answer(),
        }
    }

    fn begin(&mut self, draw: &mut Draw) -> Turn {
        if self.held {
            return Turn::Rest;
        }
        match self.queue.front() {
            None => Turn::Rest,
            // A real store takes what it finds, and decides itself what has room.
            Some(_) if self.real.is_some() => self.begin_batch(self.queue.len(), draw),
            Some(Task::Load(_)) => {
                let Some(Task::Load(load)) = self.queue.pop_front() else { return Turn::Rest };
                let (mail, more) = self.durable.page(&load);
                Turn::Tell(Told::Loaded { ticket: load.ticket, mail, more })
            }
            Some(&Task::Persist { number, epoch, .. }) if self.full => Turn::Tell(self.refuse(number, epoch)),
            Some(Task::Persist { .. }) => {
                let is_record = |task: &&Task| matches!(task, Task::Persist { .. });
                let ready = self.queue.iter().take_while(is_record).count();
                self.begin_batch(ready, draw)
            }
        }
    }

    fn begin_batch(&mut self, ready: usize, draw: &mut Draw) -> Turn {
        let part = draw.chance(150);
        let batch = if part { draw.between(1, ready as u64) } else { ready as u64 };
        let batch = usize::try_from(batch).unwrap_or(ready);
        self.phase = Phase::Appended(self.whole_calls(batch).min(ready));
        Turn::Onward
    }

    /// The records of one call come to the store together: no batch ends between them.
    fn whole_calls(&self, batch: usize) -> usize {
        let ends = |task: &Task| matches!(task, Task::Persist { number, .. } if self.ends.contains(number));
        let rest = self.queue.iter().skip(batch.saturating_sub(1)).position(ends).unwrap_or(0);
        batch + rest
    }

    /// A call of the server has handed out its last record.
    pub(crate) fn end_call(&mut self) {
        let number = |task: &Task| match task {
            Task::Persist { number, .. } => Some(*number),
            Task::Load(_) => None,
        };
        self.ends.extend(self.queue.iter().rev().find_map(number));
    }

    /// Gives up all queued records up to the newest epoch among them.
    fn refuse(&mut self, from: RecordNumber, epoch: u64) -> Told {
        let persisted = |task: &Task| match task {
            Task::Persist { epoch, .. } => Some(*epoch),
            Task::Load(_) => None,
        };
        let newest = self.queue.iter().filter_map(persisted).max().unwrap_or(epoch);
        self.queue.retain(|task| matches!(task, Task::Load(_)));
        self.ends.clear();
        self.refused_epoch = Some(newest);
        Told::Refused(from)
    }

    fn sync(&mut self, records: usize, now: Time) -> RecordNumber {
        for _ in 0..records {
            if let Some(Task::Persist { number, record, .. }) = self.queue.pop_front() {
                self.ends.remove(&number);
                if !is_account(&record) {
                    self.durable.note_written(now);
                }
                self.durable.apply(number, record);
            }
        }
        self.durable.last
    }

    /// A real store does its batch, or fails at it.
    fn write_really(&mut self, tasks: usize, now: Time, draw: &mut Draw) -> Turn {
        let fails = core::mem::take(&mut self.sync_fails);
        let fault = (fails && draw.chance(700)).then(|| Fault::drawn(draw, tasks));
        match self.hand_over(tasks, now, fault) {
            Batch::Done(upto) if !fails => {
                self.phase = Phase::Answering(upto);
                if upto.is_some() { Turn::Onward } else { self.answer() }
            }
            Batch::Done(_) | Batch::Failed => Turn::Died,
        }
    }

    fn hand_over(&mut self, tasks: usize, now: Time, fault: Option<Fault>) -> Batch {
        self.phase = Phase::Idle;
        let batch: Vec<Task> = self.queue.drain(..tasks.min(self.queue.len())).collect();
        for task in &batch {
            if let Task::Persist { number, .. } = task {
                self.ends.remove(number);
            }
        }
        match &mut self.real {
            Some(real) if !batch.is_empty() => real.write(batch, &mut self.durable, now, self.full, fault),
            Some(_) | None => Batch::Done(None),
        }
    }

    fn answer(&mut self) -> Turn {
        self.phase = Phase::Idle;
        let Some(real) = &mut self.real else { return Turn::Rest };
        let Some(told) = real.answers.pop_front() else { return Turn::Rest };
        if !real.answers.is_empty() {
            self.phase = Phase::Answering(None);
        }
        Turn::Tell(told)
    }

    /// The server process is gone. Of a batch that was written but not synced all survives, or nothing.
    pub(crate) fn crash(&mut self, now: Time, draw: &mut Draw) {
        if let Phase::Appended(tasks) = self.phase {
            let survives = draw.chance(500);
            if self.real.is_some() {
                let fault = (!survives).then(|| Fault::drawn(draw, tasks));
                self.hand_over(tasks, now, fault);
            } else if survives {
                self.sync(tasks, now);
            }
        }
        if let Some(real) = &mut self.real {
            real.kill();
        }
        self.forget();
    }

    /// The server process stops in good order: all that was handed out is written.
    pub(crate) fn close(&mut self, now: Time) {
        if self.real.is_some() {
            self.hand_over(self.queue.len(), now, None);
        } else {
            self.queue.retain(|task| matches!(task, Task::Persist { .. }));
            let all = if self.full { 0 } else { self.queue.len() };
            self.sync(all, now);
        }
        if let Some(real) = &mut self.real {
            real.close();
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.phase = Phase::Idle;
        self.queue.clear();
        self.ends.clear();
        self.refused_epoch = None;
        self.sync_fails = false;
    }

    /// Accounts made by registration and not yet taken into the credentials file.
    pub(crate) fn take_accounts(&mut self) -> Vec<(Name, Credential)> {
        if let Some(real) = &mut self.real {
            real.check_accounts(&self.durable.accounts);
        }
        core::mem::take(&mut self.durable.accounts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Change;

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
        assert_eq!(store.recover(Time(5)).records.len(), 1);
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
