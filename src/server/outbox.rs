//! Effects on their way out, and output that waits for its record.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::effect::{Effect, Report};
use crate::record::{Record, RecordNumber};
use crate::time::Time;
use crate::words::{Credential, LinkId, MessageId, Name, Password, Ticket};

/// Beyond this an emptied arena gives its memory back.
const ARENA_KEPT_BYTES: usize = 1 << 20;

/// Collects the effects of one event. Lines are written once into the arena; a fan-out shares them.
#[derive(Clone, Default)]
pub(super) struct Outbox {
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
pub(super) enum Slow {
    Verify { ticket: Ticket, credential: Option<Credential>, password: Password },
    Hash { ticket: Ticket, password: Password },
    Persist { number: RecordNumber, epoch: u64, record: Record },
    LoadMail { ticket: Ticket, user: Name, from: Option<Name>, after: MessageId, limit: u32 },
    Report(Report),
}

/// Bytes of the arena that were written together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    start: usize,
    end: usize,
}

impl Written {
    pub(super) const fn len(self) -> usize {
        self.end - self.start
    }
}

impl Outbox {
    /// Forgets the effects of the event before, which must have been taken.
    pub(super) fn begin(&mut self) {
        if !self.offered {
            return;
        }
        assert!(self.taken == self.items.len(), "effects of the event before were not carried out");
        self.offered = false;
        self.items.clear();
        self.arena.clear();
        self.taken = 0;
        if self.arena.capacity() > ARENA_KEPT_BYTES {
            self.arena.shrink_to(ARENA_KEPT_BYTES);
        }
    }

    /// Writes bytes that one or more links will be sent.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Written {
        let start = self.arena.len();
        write(&mut self.arena);
        Written { start, end: self.arena.len() }
    }

    pub(super) fn bytes(&self, written: Written) -> &[u8] {
        &self.arena[written.start..written.end]
    }

    pub(super) fn send(&mut self, link: LinkId, written: Written) {
        if let Some(Item::Send { link: last, end, .. }) = self.items.last_mut()
            && *last == link
            && *end == written.start
        {
            *end = written.end;
            return;
        }
        self.items.push(Item::Send { link, start: written.start, end: written.end });
    }

    pub(super) fn close(&mut self, link: LinkId) {
        self.items.push(Item::Close(link));
    }

    pub(super) fn pause(&mut self, link: LinkId) {
        self.items.push(Item::Pause(link));
    }

    pub(super) fn resume(&mut self, link: LinkId) {
        self.items.push(Item::Resume(link));
    }

    pub(super) fn slow(&mut self, slow: Slow) {
        self.items.push(Item::Slow(Box::new(slow)));
    }

    pub(super) fn report(&mut self, report: Report) {
        self.slow(Slow::Report(report));
    }

    pub(super) fn schedule_timeout(&mut self, at: Time) {
        self.items.push(Item::ScheduleTimeout(at));
    }

    pub(super) fn effects(&mut self) -> Effects<'_> {
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
            Item::Send { link, start, end } => Effect::Send { link: *link, bytes: &self.arena[*start..*end] },
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
            Slow::Report(report) => Effect::Report(report),
        }
    }
}

/// Output of one link that waits: for the record that it reveals, or behind output that does.
#[derive(Clone, Default)]
pub(super) struct HeldOutput {
    queue: VecDeque<Held>,
}

#[derive(Clone)]
enum Held {
    /// Lines that may leave once the record is durable or refused.
    Lines { after: RecordNumber, bytes: Vec<u8> },
    /// The place of an answer that is not known before its record is durable or refused.
    Answer { record: RecordNumber },
    /// Nothing comes after this: the link closes.
    Close,
}

/// What a link may do next with its held output.
pub(super) enum Release {
    Lines(Vec<u8>),
    Close,
}

impl HeldOutput {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn push_lines(&mut self, after: RecordNumber, lines: &[u8]) {
        if let Some(Held::Lines { after: last, bytes }) = self.queue.back_mut() {
            *last = after.max(*last);
            bytes.extend_from_slice(lines);
        } else {
            self.queue.push_back(Held::Lines { after, bytes: lines.to_vec() });
        }
    }

    pub(super) fn reserve_answer(&mut self, record: RecordNumber) {
        self.queue.push_back(Held::Answer { record });
    }

    pub(super) fn push_close(&mut self) {
        self.queue.push_back(Held::Close);
    }

    /// Puts the answer in the place that was kept for it; says whether there was one.
    pub(super) fn fill_answer(&mut self, record: RecordNumber, lines: &[u8]) -> bool {
        let place =
            self.queue.iter_mut().find(|held| matches!(held, Held::Answer { record: r } if *r == record));
        match place {
            Some(held) => {
                *held = Held::Lines { after: RecordNumber(0), bytes: lines.to_vec() };
                true
            }
            None => false,
        }
    }

    /// The next output that waits for nothing beyond `settled`.
    pub(super) fn release(&mut self, settled: RecordNumber) -> Option<Release> {
        match self.queue.front()? {
            Held::Lines { after, .. } if *after > settled => None,
            Held::Answer { .. } => None,
            Held::Lines { .. } | Held::Close => match self.queue.pop_front()? {
                Held::Lines { bytes, .. } => {
                    if self.queue.is_empty() {
                        self.queue = VecDeque::new();
                    }
                    Some(Release::Lines(bytes))
                }
                Held::Answer { .. } => None,
                Held::Close => Some(Release::Close),
            },
        }
    }
}
