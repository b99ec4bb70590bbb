//! The pool of hashing threads and its bounded queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::{Cost, HashFailed, Hasher};
use crate::server::Verdict;
use crate::words::{Credential, Password, Ticket};

/// The result of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hashing {
    /// The answer to [`Pool::verify`].
    Verified(Ticket, Verdict),
    /// The answer to [`Pool::hash`].
    Hashed(Ticket, Option<Credential>),
}

/// Hashing threads, one fewer than there are cores, with a bounded queue.
pub(crate) struct Pool {
    jobs: async_channel::Sender<Job>,
}

/// A password that waits for its work.
pub(crate) struct Job {
    ticket: Ticket,
    password: Password,
    cost: Cost,
    task: Task,
}

enum Task {
    Verify(Option<Credential>),
    Hash,
}

impl Pool {
    /// Starts the threads. They pass each result to `answer` and end when the pool is dropped.
    pub(crate) fn start(answer: impl Fn(Hashing) + Clone + Send + 'static) -> std::io::Result<Pool> {
        let (jobs, waiting) = async_channel::unbounded::<Job>();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for n in 0..cores.saturating_sub(1).max(1) {
            let (waiting, answer) = (waiting.clone(), answer.clone());
            thread::Builder::new().name(format!("hashing-{n}")).spawn(move || {
                let mut hasher = Hasher::default();
                while let Ok(job) = waiting.recv_blocking() {
                    answer(job.run(&mut hasher));
                }
            })?;
        }
        Ok(Pool { jobs })
    }

    /// A pool without threads: whoever has the jobs does them.
    pub(crate) fn unthreaded() -> (Pool, async_channel::Receiver<Job>) {
        let (jobs, waiting) = async_channel::unbounded();
        (Pool { jobs }, waiting)
    }

    /// Queues a verification. If `queue` jobs wait already, returns the refusal at once.
    #[must_use]
    pub(crate) fn verify(
        &self,
        ticket: Ticket,
        credential: Option<&Credential>,
        password: &Password,
        cost: Cost,
        queue: usize,
    ) -> Option<Hashing> {
        self.submit(Job::new(ticket, password, cost, Task::Verify(credential.cloned())), queue)
    }

    /// Queues a hash. If `queue` jobs wait already, returns the refusal at once.
    #[must_use]
    pub(crate) fn hash(
        &self,
        ticket: Ticket,
        password: &Password,
        cost: Cost,
        queue: usize,
    ) -> Option<Hashing> {
        self.submit(Job::new(ticket, password, cost, Task::Hash), queue)
    }

    /// `queue` 0: no limit.
    fn submit(&self, job: Job, queue: usize) -> Option<Hashing> {
        if queue != 0 && self.jobs.len() >= queue {
            return Some(job.overloaded());
        }
        self.jobs.try_send(job).err().map(|refused| refused.into_inner().overloaded())
    }
}

impl Job {
    fn new(ticket: Ticket, password: &Password, cost: Cost, task: Task) -> Job {
        Job { ticket, password: password.clone(), cost, task }
    }

    /// Does the work.
    pub(crate) fn run(self, hasher: &mut Hasher) -> Hashing {
        // A panic must not end the thread; the client is asked to try again.
        let outcome = catch_unwind(AssertUnwindSafe(|| match &self.task {
            Task::Verify(credential) => hasher
                .verify(credential.as_ref(), self.password.reveal(), self.cost)
                .map(|verdict| Hashing::Verified(self.ticket, verdict)),
            Task::Hash => hasher
                .hash(self.password.reveal(), self.cost)
                .map(|credential| Hashing::Hashed(self.ticket, Some(credential))),
        }));
        match outcome {
            Ok(Ok(answer)) => answer,
            Ok(Err(HashFailed)) | Err(_) => self.overloaded(),
        }
    }

    fn overloaded(&self) -> Hashing {
        match self.task {
            Task::Verify(_) => Hashing::Verified(self.ticket, Verdict::Overloaded),
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
    fn the_pool_answers_and_refuses_beyond_its_queue() {
        let (answers, answered) = mpsc::channel();
        let (go, gate) = async_channel::bounded::<()>(1);
        let pool = Pool::start(move |answer| {
            // Every thread stops at its first answer until the test lets it go on.
            let _ = answers.send(answer);
            let _ = gate.recv_blocking();
        })
        .expect("threads");
        let password = Password::new("falcon");
        let credential = Credential::new("falcon");
        let threads = thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1);
        for n in 0..threads as u64 {
            assert_eq!(pool.verify(Ticket(n), Some(&credential), &password, CHEAP, 2), None);
            assert!(matches!(answered.recv(), Ok(Hashing::Verified(_, Verdict::Right))));
        }
        assert_eq!(pool.hash(Ticket(90), &password, CHEAP, 2), None);
        assert_eq!(pool.hash(Ticket(91), &password, CHEAP, 2), None);
        assert_eq!(pool.hash(Ticket(92), &password, CHEAP, 2), Some(Hashing::Hashed(Ticket(92), None)));
        let busy = pool.verify(Ticket(93), None, &password, CHEAP, 2);
        assert_eq!(busy, Some(Hashing::Verified(Ticket(93), Verdict::Overloaded)));
        drop(go);
        let mut hashed = [answered.recv(), answered.recv()].map(|answer| match answer {
            Ok(Hashing::Hashed(ticket, Some(_))) => ticket.0,
            other => panic!("{other:?}"),
        });
        hashed.sort_unstable();
        assert_eq!(hashed, [90, 91]);
    }
}
