//! Output: the effects of each event, and what each link has been sent.
//!
//! Nothing waits in here but the rest of long lists. What may not be said yet is not written yet.

mod lists;
mod outbox;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

pub(in crate::server) use self::lists::word_lines;
use self::lists::{List, PIECE_BYTES};
pub use self::outbox::Effects;
use self::outbox::Outbox;
pub(in crate::server) use self::outbox::{Slow, Written};
use super::acts::Reached;
use super::effect::Report;
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::wire::{Notice, ServerLine};
use crate::words::{LinkId, Name, Ticket};

/// The output side of all links.
#[derive(Clone)]
pub(in crate::server) struct Output {
    outbox: Outbox,
    links: HashMap<LinkId, LinkOutput, FixedState>,
}

/// The output side of one link.
#[derive(Debug, Clone, Default)]
struct LinkOutput {
    /// Bytes handed out so far, and how many of them have left for the network.
    sent: u64,
    flushed: u64,
    /// Lists that leave in pieces, as the output drains.
    lists: VecDeque<List>,
    /// Lines that others caused, dropped because too much had not left.
    missed: u32,
}

/// While more than this has not left on a link, nothing that others cause is written to it.
const WINDOW_BYTES: u64 = 64 * 1024;
/// While no more than this has not left, what can wait is written.
const CLEAR_BYTES: u64 = 4 * 1024;
/// What others may have written to a link that has not left: the window, and a page of stored mail that was asked
/// for within it.
pub const OTHERS_BYTES: usize = 320 * 1024;
/// Once no more than this has not left, the user hears what they missed.
const REOPENS_AT_BYTES: u64 = WINDOW_BYTES / 2;

impl LinkOutput {
    const fn in_flight(&self) -> u64 {
        self.sent.saturating_sub(self.flushed)
    }
}

impl Output {
    pub(in crate::server) fn new(seed: u64) -> Output {
        Output { outbox: Outbox::default(), links: HashMap::with_hasher(FixedState::with_seed(seed)) }
    }

    /// Forgets the effects of the event before.
    ///
    /// # Panics
    /// If some of them were not taken.
    pub(in crate::server) fn begin(&mut self) {
        self.outbox.begin();
    }

    pub(in crate::server) fn effects(&mut self) -> Effects<'_> {
        self.outbox.effects()
    }

    pub(in crate::server) fn open(&mut self, link: LinkId) {
        let known = self.links.insert(link, LinkOutput::default());
        assert!(known.is_none(), "a link is opened once");
    }

    /// Closes a link after what was sent on it.
    pub(in crate::server) fn close(&mut self, link: LinkId) {
        if self.links.remove(&link).is_some() {
            self.outbox.close(link);
        }
    }

    /// Closes a link that was never opened.
    pub(in crate::server) fn turn_away(&mut self, link: LinkId) {
        self.outbox.close(link);
    }

    /// The link is gone.
    pub(in crate::server) fn forget(&mut self, link: LinkId) {
        self.links.remove(&link);
    }

    pub(in crate::server) fn pause(&mut self, link: LinkId) {
        self.outbox.pause(link);
    }

    pub(in crate::server) fn resume(&mut self, link: LinkId) {
        self.outbox.resume(link);
    }

    pub(in crate::server) fn slow(&mut self, slow: Slow) {
        self.outbox.slow(slow);
    }

    pub(in crate::server) fn report(&mut self, report: Report) {
        self.outbox.report(report);
    }

    pub(in crate::server) fn acted(&mut self, ticket: Ticket, outcome: Reached) {
        self.outbox.slow(Slow::Acted { ticket, outcome });
    }

    pub(in crate::server) fn order(&mut self, ticket: Ticket, user: Name, words: &str) {
        self.outbox.slow(Slow::Order { ticket, user, words: words.into() });
    }

    pub(in crate::server) fn schedule_timeout(&mut self, at: Time) {
        self.outbox.schedule_timeout(at);
    }

    /// Writes lines once, for one or more links to be sent.
    pub(in crate::server) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Written {
        self.outbox.write(write)
    }

    pub(in crate::server) fn write_line(&mut self, line: &ServerLine<'_>) -> Written {
        self.outbox.write(|out| line.encode(out))
    }

    pub(in crate::server) fn send(&mut self, link: LinkId, line: &ServerLine<'_>) {
        let written = self.write_line(line);
        self.queue(link, written);
    }

    /// Sends what was written on a link; the place of its last byte in the output of the link.
    pub(in crate::server) fn queue(&mut self, link: LinkId, written: Written) -> u64 {
        let Some(output) = self.links.get_mut(&link) else { return 0 };
        output.sent += written.len() as u64;
        self.outbox.send(link, written);
        output.sent
    }

    /// Whether a link takes what others cause: most of what it was sent has left.
    pub(in crate::server) fn takes(&self, link: LinkId) -> bool {
        let in_flight = self.links.get(&link).map_or(0, LinkOutput::in_flight);
        in_flight <= WINDOW_BYTES || planted::is(Planted::WindowIgnored)
    }

    /// Whether a link has next to nothing to write: what can wait goes then.
    pub(in crate::server) fn is_clear(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|output| output.in_flight() <= CLEAR_BYTES)
    }

    /// Sends a notice that others caused, if the link takes it; else it is dropped and counted.
    pub(in crate::server) fn offer(&mut self, link: LinkId, written: Written) -> bool {
        let takes = self.takes(link);
        let Some(output) = self.links.get_mut(&link) else { return false };
        if takes && output.missed == 0 {
            self.queue(link, written);
            return true;
        }
        output.missed = output.missed.saturating_add(1);
        false
    }

    /// Says what was missed, once most of what came before has left.
    fn tell_missed(&mut self, link: LinkId) {
        let Some(output) = self.links.get_mut(&link) else { return };
        if output.missed > 0 && output.in_flight() <= REOPENS_AT_BYTES {
            let count = core::mem::take(&mut output.missed);
            if !planted::is(Planted::MissedNotTold) {
                self.send(link, &ServerLine::Notice(Notice::Missed { count }));
            }
        }
    }

    /// Sends the lines of a list: at once if it is short and the output drains, else in pieces.
    pub(in crate::server) fn list(&mut self, link: LinkId, lines: Vec<u8>) {
        let Some(output) = self.links.get_mut(&link) else { return };
        // Users who ask for lists faster than they read them have to wait for them, however short.
        let drains = output.lists.is_empty() && output.in_flight() <= PIECE_BYTES as u64;
        if lines.len() <= PIECE_BYTES && drains {
            let written = self.outbox.write(|out| out.extend_from_slice(&lines));
            self.queue(link, written);
        } else {
            output.lists.push_back(List::new(lines));
            self.continue_lists(link);
        }
    }

    /// Bytes have left for the network; the total that has.
    pub(in crate::server) fn flushed(&mut self, link: LinkId, upto: u64) -> u64 {
        let Some(output) = self.links.get_mut(&link) else { return 0 };
        output.flushed = output.flushed.max(upto.min(output.sent));
        let flushed = output.flushed;
        self.tell_missed(link);
        self.continue_lists(link);
        flushed
    }

    /// Sends the next pieces while most of those before have left.
    fn continue_lists(&mut self, link: LinkId) {
        while let Some(output) = self.links.get_mut(&link)
            && output.in_flight() <= PIECE_BYTES as u64
            && let Some(list) = output.lists.front_mut()
        {
            let piece = list.piece();
            let written = self.outbox.write(|out| out.extend_from_slice(piece));
            if list.is_sent() {
                output.lists.pop_front();
            }
            self.queue(link, written);
        }
    }

    /// Lists on a link that have not left whole.
    pub(in crate::server) fn lists_waiting(&self, link: LinkId) -> usize {
        self.links.get(&link).map_or(0, |output| output.lists.len())
    }
}
