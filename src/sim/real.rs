//! A real store in lockstep with the model: what the one does, the other must do as well.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::agreement;
use super::disk::{Disk, Fault, LoadMail, Task, Told};
use super::draw::Draw;
use super::durable::Durable;
use crate::record::{Change, Record, RecordNumber, Recovery};
use crate::time::Time;
use crate::words::{Credential, MessageId, Name, Ticket};

/// Commits between two readings of the whole store while it runs.
const COMMITS: u32 = 16;

/// The real store, and what it has not told yet.
#[derive(Debug)]
pub(super) struct Real {
    disk: Box<dyn Disk>,
    pub(super) answers: VecDeque<Told>,
    /// Records of this epoch or an earlier one are dropped.
    refused: Option<u64>,
    /// It has failed, and is to be killed.
    failed: bool,
    commits: u32,
    /// What it did first that the model did not.
    difference: Option<String>,
}

/// What a batch came to.
#[derive(Debug)]
pub(super) enum Batch {
    /// The last record that it made durable, if it did any.
    Done(Option<RecordNumber>),
    Failed,
}

impl Fault {
    /// A fault for a batch of so many tasks.
    pub(super) fn drawn(draw: &mut Draw, tasks: usize) -> Fault {
        if draw.chance(300) {
            return Fault::Commit;
        }
        Fault::Interrupt(u32::try_from(draw.below(40 + 20 * tasks as u64)).unwrap_or(u32::MAX))
    }
}

impl Real {
    pub(super) fn new(disk: Box<dyn Disk>) -> Real {
        let answers = VecDeque::new();
        Real { disk, answers, refused: None, failed: false, commits: 0, difference: None }
    }

    pub(super) fn take_difference(&mut self) -> Option<String> {
        self.difference.take()
    }

    /// Starts both; what the real one recovers.
    pub(super) fn open(&mut self, model: &mut Durable, now: Time) -> Recovery {
        let before = model.boot;
        model.begin_life();
        match self.disk.open(now) {
            Ok(recovery) => {
                if recovery.boot <= before {
                    self.note(format!("start {} comes after start {before}", recovery.boot));
                }
                model.boot = recovery.boot;
                self.compare(&recovery, model);
                self.compare_mail(model, now);
                recovery
            }
            Err(why) => {
                self.note(format!("it does not start: {why}"));
                self.failed = true;
                model.recovery()
            }
        }
    }

    /// Lets both write a batch.
    pub(super) fn write(
        &mut self,
        tasks: Vec<Task>,
        model: &mut Durable,
        now: Time,
        full: bool,
        fault: Option<Fault>,
    ) -> Batch {
        if self.failed {
            return Batch::Failed;
        }
        let written = self.disk.write(&tasks, now, full, fault);
        self.failed = written.failed.is_some();
        if let (Some(why), None) = (&written.failed, fault) {
            self.note(format!("it failed without a fault: {why}"));
        }
        let mut follower = Follower::new(tasks);
        for told in &written.answers {
            if let Err(what) = follower.follow(told, model, &mut self.refused, now) {
                self.note(what);
            }
        }
        if written.is_kept {
            follower.keep(model, self.refused, now);
        }
        if let (false, Some(task)) = (self.failed, follower.unanswered(self.refused)) {
            self.note(format!("no answer to {task:?}"));
        }
        self.answers.extend(written.answers);
        if self.failed { Batch::Failed } else { Batch::Done(follower.durable) }
    }

    /// Now and then, whether a start would read what the model has.
    pub(super) fn look(&mut self, model: &Durable) {
        self.commits += 1;
        if self.commits.is_multiple_of(COMMITS) && !self.failed {
            match self.disk.recovery() {
                Ok(recovery) => self.compare(&recovery, model),
                Err(why) => self.note(format!("it cannot be read: {why}")),
            }
        }
    }

    pub(super) fn kill(&mut self) {
        self.disk.kill();
        self.forget();
    }

    pub(super) fn close(&mut self) {
        if self.failed {
            return self.kill();
        }
        if let Err(why) = self.disk.close() {
            self.note(format!("it does not close: {why}"));
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.answers.clear();
        (self.refused, self.failed) = (None, false);
    }

    /// The accounts that were added; both must have the same.
    pub(super) fn check_accounts(&mut self, model: &[(Name, Credential)]) {
        let added = self.disk.take_accounts();
        if added != model {
            let names = |accounts: &[(Name, Credential)]| -> Vec<Name> {
                accounts.iter().map(|(name, _)| name.clone()).collect()
            };
            self.note(format!("accounts {:?}, not {:?}", names(&added), names(model)));
        }
    }

    /// Every mailbox, whole and by sender, in pages of two.
    fn compare_mail(&mut self, model: &mut Durable, now: Time) {
        let mut wanted: BTreeSet<(Name, Option<Name>)> = BTreeSet::new();
        for (to, mail) in model.all_mail() {
            wanted.insert((to.clone(), None));
            wanted.insert((to.clone(), Some(mail.from.clone())));
        }
        let (mut tasks, mut ticket) = (Vec::new(), 0);
        for (user, from) in wanted {
            let mut after = MessageId { boot: 0, number: 0 };
            loop {
                ticket += 1;
                let user = user.clone();
                let load = LoadMail { ticket: Ticket(ticket), user, from: from.clone(), after, limit: 2 };
                let (page, more) = model.page(&load);
                after = page.last().map_or(after, |mail| mail.id);
                tasks.push(Task::Load(load));
                if !more {
                    break;
                }
            }
        }
        if !tasks.is_empty() {
            self.write(tasks, model, now, false, None);
            self.answers.clear();
        }
    }

    fn compare(&mut self, recovery: &Recovery, model: &Durable) {
        if let Some(what) = agreement::difference(recovery, &model.recovery()) {
            self.note(what);
        }
    }

    fn note(&mut self, what: String) {
        self.difference.get_or_insert(what);
    }
}

/// Takes the model through a batch, by what the real store answers.
struct Follower {
    records: VecDeque<(RecordNumber, u64, Record)>,
    loads: Vec<LoadMail>,
    durable: Option<RecordNumber>,
}

impl Follower {
    fn new(tasks: Vec<Task>) -> Follower {
        let mut follower = Follower { records: VecDeque::new(), loads: Vec::new(), durable: None };
        for task in tasks {
            match task {
                Task::Persist { number, epoch, record } => {
                    follower.records.push_back((number, epoch, record));
                }
                Task::Load(load) => follower.loads.push(load),
            }
        }
        follower
    }

    fn follow(
        &mut self,
        told: &Told,
        model: &mut Durable,
        refused: &mut Option<u64>,
        now: Time,
    ) -> Result<(), String> {
        match told {
            Told::Committed(upto) => {
                let is_told = |_: &Record, number: RecordNumber| number <= *upto;
                let last = self.apply_while(is_told, model, *refused, now);
                self.durable = Some(*upto);
                if last == Some(*upto) { Ok(()) } else { Err(format!("{upto:?} is durable, not {last:?}")) }
            }
            Told::Refused(from) => {
                let first = self.first_live(*refused);
                let newest = self.records.iter().map(|(_, epoch, _)| *epoch).max();
                *refused = newest.max(*refused);
                if first == Some(*from) { Ok(()) } else { Err(format!("{from:?} is refused, not {first:?}")) }
            }
            Told::Loaded { ticket, mail, more } => {
                let asked = self.loads.iter().position(|load| load.ticket == *ticket);
                let Some(asked) = asked else { return Err(format!("{ticket:?} is answered twice")) };
                let load = self.loads.remove(asked);
                let (page, rest) = model.page(&load);
                if (mail, *more) != (&page, rest) {
                    return Err(format!("{load:?} reads {mail:?} {more}, not {page:?} {rest}"));
                }
                Ok(())
            }
        }
    }

    /// A transaction is durable that was not answered: all up to the next account.
    fn keep(&mut self, model: &mut Durable, refused: Option<u64>, now: Time) {
        self.apply_while(|record, _| !is_account(record), model, refused, now);
    }

    /// Applies the next records but those that come too late; the last of them.
    fn apply_while(
        &mut self,
        is_durable: impl Fn(&Record, RecordNumber) -> bool,
        model: &mut Durable,
        refused: Option<u64>,
        now: Time,
    ) -> Option<RecordNumber> {
        let mut last = None;
        while self.records.front().is_some_and(|(number, _, record)| is_durable(record, *number))
            && let Some((number, epoch, record)) = self.records.pop_front()
        {
            if refused.is_none_or(|refused| epoch > refused) {
                if !is_account(&record) {
                    model.note_written(now);
                }
                model.apply(number, record);
                last = Some(number);
            }
        }
        last
    }

    /// The first record that was not answered, but for those that come too late.
    fn first_live(&self, refused: Option<u64>) -> Option<RecordNumber> {
        let is_live = |epoch: u64| refused.is_none_or(|refused| epoch > refused);
        self.records.iter().find(|(_, epoch, _)| is_live(*epoch)).map(|(number, ..)| *number)
    }

    /// What the store should have answered.
    fn unanswered(&self, refused: Option<u64>) -> Option<String> {
        let record = self.first_live(refused).map(|number| format!("{number:?}"));
        record.or_else(|| self.loads.first().map(|load| format!("{load:?}")))
    }
}

/// Whether a record goes to the credentials file, and not into the tables.
pub(super) const fn is_account(record: &Record) -> bool {
    matches!(record, Record::Change(Change::AccountAdded { .. }))
}
