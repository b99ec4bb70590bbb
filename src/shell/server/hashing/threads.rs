//! The pool of hashing threads. The core sees to it that no more is asked of them than they do at a time.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::{Cost, Costs, HashFailed, Hasher, costs_other_than};
use crate::server::{Renewal, Verdict};
use crate::words::{Credential, Name, Password, Ticket};

/// The result of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hashing {
    /// The answer to [`Pool::verify`].
    Verified(Ticket, Verdict),
    /// The same, for a right password whose hash costs something else than it should: that hash, and a new one.
    Renewed(Ticket, Credential, Credential),
    /// The answer to [`Pool::hash`].
    Hashed(Ticket, Option<Credential>),
}

/// How many passwords are hashed at a time: one fewer than there are cores, but at least one.
pub(crate) fn threads() -> u32 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores.saturating_sub(1).max(1)).unwrap_or(u32::MAX)
}

/// Hashing threads.
pub(crate) struct Pool {
    jobs: async_channel::Sender<Job>,
    /// Of the hashes of the file: what most of them cost is done for names without an account and for plain
    /// passwords.
    costs: RefCell<Costs>,
}

/// A password that waits for its work.
pub(crate) struct Job {
    ticket: Ticket,
    password: Password,
    cost: Cost,
    task: Task,
}

enum Task {
    /// Compares, and renews the hash if it does not cost this.
    Verify(Option<Credential>, Cost),
    Hash,
}

impl Pool {
    /// Starts the threads. They pass each result to `answer` and end when the pool is dropped.
    pub(crate) fn start(answer: impl Fn(Hashing) + Clone + Send + 'static) -> std::io::Result<Pool> {
        let (jobs, waiting) = async_channel::unbounded::<Job>();
        for n in 0..threads() {
            let (waiting, answer) = (waiting.clone(), answer.clone());
            thread::Builder::new().name(format!("hashing-{n}")).spawn(move || {
                let mut hasher = Hasher::default();
                while let Ok(job) = waiting.recv_blocking() {
                    answer(job.run(&mut hasher));
                }
            })?;
        }
        Ok(Pool { jobs, costs: RefCell::default() })
    }

    /// A pool without threads: whoever has the jobs does them.
    pub(crate) fn unthreaded() -> (Pool, async_channel::Receiver<Job>) {
        let (jobs, waiting) = async_channel::unbounded();
        (Pool { jobs, costs: RefCell::default() }, waiting)
    }

    /// Looks at what the hashes of these accounts cost, which are all.
    pub(crate) fn learn_costs(&self, accounts: &[(Name, Credential)]) {
        self.costs.replace(Costs::of(accounts));
    }

    /// Some of them were renewed.
    pub(crate) fn learn_renewals(&self, renewals: &[Renewal]) {
        let mut costs = self.costs.borrow_mut();
        for Renewal { before, after, .. } in renewals {
            costs.replace(before, after);
        }
    }

    /// Hands out a verification. `Some`: the threads are gone.
    #[must_use]
    pub(crate) fn verify(
        &self,
        ticket: Ticket,
        credential: Option<&Credential>,
        password: &Password,
        cost: Cost,
    ) -> Option<Hashing> {
        let usual = self.costs.borrow().of_most().unwrap_or(cost);
        self.submit(Job::new(ticket, password, usual, Task::Verify(credential.cloned(), cost)))
    }

    /// Hands out a hash. `Some`: the threads are gone.
    #[must_use]
    pub(crate) fn hash(&self, ticket: Ticket, password: &Password, cost: Cost) -> Option<Hashing> {
        self.submit(Job::new(ticket, password, cost, Task::Hash))
    }

    fn submit(&self, job: Job) -> Option<Hashing> {
        self.jobs.try_send(job).err().map(|refused| refused.into_inner().overloaded())
    }
}

impl Job {
    fn new(ticket: Ticket, password: &Password, cost: Cost, task: Task) -> Job {
        Job { ticket, password: password.clone(), cost, task }
    }

    #[cfg(test)]
    pub(super) fn cost(&self) -> Cost {
        self.cost
    }

    /// Does the work.
    pub(crate) fn run(self, hasher: &mut Hasher) -> Hashing {
        // A panic must not end the thread; the client is asked to try again.
        let outcome = catch_unwind(AssertUnwindSafe(|| match &self.task {
            Task::Verify(credential, wanted) => hasher
                .verify(credential.as_ref(), self.password.reveal(), self.cost)
                .map(|verdict| self.verified(verdict, credential.as_ref(), *wanted, hasher)),
            Task::Hash => hasher
                .hash(self.password.reveal(), self.cost)
                .map(|credential| Hashing::Hashed(self.ticket, Some(credential))),
        }));
        match outcome {
            Ok(Ok(answer)) => answer,
            Ok(Err(HashFailed)) | Err(_) => self.overloaded(),
        }
    }

    fn verified(
        &self,
        verdict: Verdict,
        credential: Option<&Credential>,
        wanted: Cost,
        hasher: &mut Hasher,
    ) -> Hashing {
        let old = credential.filter(|hash| verdict == Verdict::Right && costs_other_than(hash, wanted));
        // Without memory for it the hash is renewed another time.
        match old.and_then(|old| Some((old, hasher.renew(old, self.password.reveal(), wanted).ok()?))) {
            Some((old, new)) => Hashing::Renewed(self.ticket, old.clone(), new),
            None => Hashing::Verified(self.ticket, verdict),
        }
    }

    fn overloaded(&self) -> Hashing {
        match self.task {
            Task::Verify(..) => Hashing::Verified(self.ticket, Verdict::Overloaded),
            Task::Hash => Hashing::Hashed(self.ticket, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const CHEAP: Cost = Cost { kib: 8, passes: 1 };

    #[test]
    fn every_thread_answers_and_a_pool_without_threads_says_so() {
        let (answers, answered) = mpsc::channel();
        let pool = Pool::start(move |answer| drop(answers.send(answer))).expect("threads");
        let (password, credential) = (Password::new("falcon"), Credential::new("falcon"));
        for n in 0..u64::from(threads()) {
            assert_eq!(pool.verify(Ticket(n), Some(&credential), &password, CHEAP), None);
        }
        for _ in 0..threads() {
            assert!(matches!(answered.recv(), Ok(Hashing::Verified(_, Verdict::Right))));
        }
        assert_eq!(pool.hash(Ticket(90), &password, CHEAP), None);
        assert!(matches!(answered.recv(), Ok(Hashing::Hashed(Ticket(90), Some(_)))));
        let (pool, jobs) = Pool::unthreaded();
        drop(jobs);
        assert_eq!(pool.hash(Ticket(92), &password, CHEAP), Some(Hashing::Hashed(Ticket(92), None)));
        let refused = pool.verify(Ticket(93), None, &password, CHEAP);
        assert_eq!(refused, Some(Hashing::Verified(Ticket(93), Verdict::Overloaded)));
    }
}
