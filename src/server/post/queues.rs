//! Live messages that wait for stored ones of the same sender to the same receiver, so that their order is
//! kept.

use alloc::collections::{BTreeMap, VecDeque};

use super::messages::Letter;
use crate::server::accounts::UserId;
use crate::server::answers::Tell;

/// By receiver and sender, where anything is on its way to the disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Queues {
    pairs: BTreeMap<(UserId, UserId), Queue>,
}

#[derive(Debug, Clone, Default)]
struct Queue {
    /// Messages on their way into the mailbox.
    storing: u32,
    waiting: VecDeque<(Letter, Tell)>,
}

impl Queues {
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// A message is on its way into the mailbox.
    pub(super) fn begin(&mut self, from: UserId, to: UserId) {
        self.pairs.entry((to, from)).or_default().storing += 1;
    }

    /// A message is stored, or refused.
    pub(super) fn end(&mut self, from: UserId, to: UserId) {
        let Some(queue) = self.pairs.get_mut(&(to, from)) else { unreachable!("what ends has begun") };
        assert!(queue.storing > 0, "a message is stored or refused once");
        queue.storing -= 1;
        self.drop_if_empty(from, to);
    }

    /// Whether a live message has to wait.
    pub(super) fn is_storing(&self, from: UserId, to: UserId) -> bool {
        self.pairs.contains_key(&(to, from))
    }

    /// How many messages wait.
    pub(super) fn waiting(&self, from: UserId, to: UserId) -> usize {
        self.pairs.get(&(to, from)).map_or(0, |queue| queue.waiting.len())
    }

    pub(super) fn wait(&mut self, to: UserId, letter: Letter, tell: Tell) {
        let Some(queue) = self.pairs.get_mut(&(to, letter.from)) else {
            unreachable!("a message waits for one that is being stored")
        };
        queue.waiting.push_back((letter, tell));
    }

    /// The messages that wait for nothing any more.
    pub(super) fn take_free(&mut self, from: UserId, to: UserId) -> VecDeque<(Letter, Tell)> {
        let queue = self.pairs.get_mut(&(to, from)).filter(|queue| queue.storing == 0);
        let free = queue.map(|queue| core::mem::take(&mut queue.waiting)).unwrap_or_default();
        // Before they are posted: one that has to be stored makes those after it wait again.
        self.drop_if_empty(from, to);
        free
    }

    /// All messages that wait, whatever they wait for.
    pub(super) fn take_waiting(&mut self, from: UserId, to: UserId) -> VecDeque<(Letter, Tell)> {
        let queue = self.pairs.get_mut(&(to, from));
        queue.map(|queue| core::mem::take(&mut queue.waiting)).unwrap_or_default()
    }

    /// Senders with messages that wait for one receiver.
    pub(super) fn senders_to(&self, to: UserId) -> alloc::vec::Vec<UserId> {
        let all = (to, UserId(0))..=(to, UserId(u32::MAX));
        self.pairs.range(all).map(|((_, from), _)| *from).collect()
    }

    fn drop_if_empty(&mut self, from: UserId, to: UserId) {
        if self.pairs.get(&(to, from)).is_some_and(|queue| queue.storing == 0 && queue.waiting.is_empty()) {
            self.pairs.remove(&(to, from));
        }
    }
}
