//! The effects of one event, on their way out.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::record::{Record, RecordNumber};
use crate::server::acts::Reached;
use crate::server::effect::{Effect, Report};
use crate::time::Time;
use crate::words::{Credential, LinkId, MessageId, Name, Password, Ticket};

/// Beyond this an emptied arena gives its memory back.
const ARENA_KEPT_BYTES: usize = 1 << 20;
/// Beyond this an emptied list of effects gives its memory back: about as much.
const ITEMS_KEPT: usize = 32 << 10;

/// Collects the effects of one event. Lines are written once into the arena; a fan-out shares them.
#[derive(Clone, Default)]
pub(in crate::server) struct Outbox {
    arena: Vec<u8>,
    items: Vec<Item>,
    taken: usize,
    /// Whether the items were offered. What a recovery left is still to be.
    offered: bool,
}

#[derive(Debug, Clone)]
enum Item {
    Send { link: LinkId, start: usize, end: usize },
    Close(LinkId),
    Pause(LinkId),
    Resume(LinkId),
    Slow(Box<Slow>),
    ScheduleTimeout(Time),
}

/// Effects that are rare or do slow work; boxed so that `Send` stays small.
#[derive(Debug, Clone)]
pub(in crate::server) enum Slow {
    Verify { ticket: Ticket, credential: Option<Credential>, password: Password },
    Hash { ticket: Ticket, password: Password },
    Persist { number: RecordNumber, epoch: u64, record: Record },
    LoadMail { ticket: Ticket, user: Name, from: Option<Name>, after: MessageId, limit: u32 },
    Acted { ticket: Ticket, outcome: Reached },
    Order { ticket: Ticket, user: Name, words: Box<str> },
    Report(Report),
}

/// Bytes of the arena that were written together.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct Written {
    start: usize,
    end: usize,
}

impl Written {
    pub(in crate::server) const fn len(self) -> usize {
        self.end - self.start
    }
}

impl Outbox {
    /// Forgets the effects of the event before, which must have been taken.
    pub(in crate::server) fn begin(&mut self) {
        if !self.offered {
            return;
        }
        assert!(self.taken == self.items.len(), "effects of the event before were not carried out");
        self.offered = false;
        self.items.clear();
        self.arena.clear();
        self.taken = 0;
        self.arena.shrink_to(ARENA_KEPT_BYTES);
        self.items.shrink_to(ITEMS_KEPT);
    }

    /// Writes bytes that one or more links will be sent.
    pub(in crate::server) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Written {
        let start = self.arena.len();
        write(&mut self.arena);
        Written { start, end: self.arena.len() }
    }

    pub(in crate::server) fn send(&mut self, link: LinkId, written: Written) {
        if let Some(Item::Send { link: last, end, .. }) = self.items.last_mut()
            && *last == link
            && *end == written.start
        {
            *end = written.end;
            return;
        }
        self.items.push(Item::Send { link, start: written.start, end: written.end });
    }

    pub(in crate::server) fn close(&mut self, link: LinkId) {
        self.items.push(Item::Close(link));
    }

    pub(in crate::server) fn pause(&mut self, link: LinkId) {
        self.items.push(Item::Pause(link));
    }

    pub(in crate::server) fn resume(&mut self, link: LinkId) {
        self.items.push(Item::Resume(link));
    }

    pub(in crate::server) fn slow(&mut self, slow: Slow) {
        self.items.push(Item::Slow(Box::new(slow)));
    }

    pub(in crate::server) fn report(&mut self, report: Report) {
        self.slow(Slow::Report(report));
    }

    pub(in crate::server) fn schedule_timeout(&mut self, at: Time) {
        self.items.push(Item::ScheduleTimeout(at));
    }

    pub(in crate::server) fn effects(&mut self) -> Effects<'_> {
        self.offered = true;
        Effects { arena: &self.arena, items: &self.items, taken: &mut self.taken }
    }
}

/// The effects of one event, in order. All must be taken before the next event.
#[must_use = "effects that are not carried out are lost"]
pub struct Effects<'a> {
    arena: &'a [u8],
    items: &'a [Item],
    taken: &'a mut usize,
}

impl<'a> Iterator for Effects<'a> {
    type Item = Effect<'a>;

    fn next(&mut self) -> Option<Effect<'a>> {
        let item = self.items.get(*self.taken)?;
        *self.taken += 1;
        Some(match item {
            Item::Send { link, start, end } => {
                let Some(bytes) = self.arena.get(*start..*end) else {
                    unreachable!("lines are in the arena")
                };
                Effect::Send { link: *link, bytes }
            }
            Item::Close(link) => Effect::Close { link: *link },
            Item::Pause(link) => Effect::Pause { link: *link },
            Item::Resume(link) => Effect::Resume { link: *link },
            Item::Slow(slow) => slow.as_effect(),
            Item::ScheduleTimeout(at) => Effect::ScheduleTimeout { at: *at },
        })
    }
}

impl Slow {
    fn as_effect(&self) -> Effect<'_> {
        match self {
            Slow::Verify { ticket, credential, password } => {
                Effect::Verify { ticket: *ticket, credential: credential.as_ref(), password }
            }
            Slow::Hash { ticket, password } => Effect::Hash { ticket: *ticket, password },
            Slow::Persist { number, epoch, record } => {
                Effect::Persist { number: *number, epoch: *epoch, record }
            }
            Slow::LoadMail { ticket, user, from, after, limit } => {
                Effect::LoadMail { ticket: *ticket, user, from: from.as_ref(), after: *after, limit: *limit }
            }
            Slow::Acted { ticket, outcome } => Effect::Acted { ticket: *ticket, outcome: *outcome },
            Slow::Order { ticket, user, words } => Effect::Order { ticket: *ticket, user, words },
            Slow::Report(report) => Effect::Report(report),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_large_event_is_given_back() {
        let mut outbox = Outbox::default();
        for _ in 0..4 * ITEMS_KEPT {
            let written = outbox.write(|out| out.extend_from_slice(&[b'x'; 64]));
            outbox.send(LinkId(1), written);
            outbox.close(LinkId(1));
        }
        assert!(outbox.effects().count() > ITEMS_KEPT);
        outbox.begin();
        assert!(outbox.arena.capacity() <= ARENA_KEPT_BYTES);
        assert!(outbox.items.capacity() <= ITEMS_KEPT);
    }
}
