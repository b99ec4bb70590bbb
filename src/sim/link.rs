//! Model links: two ends, a pipe each way with latency, a window, silence and loss.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::draw::Draw;
use super::trace::ProcessId;
use crate::time::Time;

/// Who holds an end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    Server,
    Process(ProcessId),
    /// A person at a raw connection, by index.
    Hand(usize),
}

/// A link. End 0 dialled, end 1 was dialled.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) ends: [End; 2],
    pub(crate) latency_micros: u64,
    /// Bytes a pipe takes before the receiver has read them.
    pub(crate) window: usize,
    /// Counts silences, so that a late death of an old one is known.
    silence: u32,
}

/// One end and the pipe that leads away from it.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) holder: Holder,
    /// Its holder has neither closed it nor been told that it is closed.
    pub(crate) open: bool,
    /// Its holder reads.
    pub(crate) reading: bool,
    /// Written by the holder, not taken by the network yet.
    pub(crate) waiting: Vec<u8>,
    /// Bytes taken by the network over the whole life.
    pub(crate) flushed: u64,
    /// Close once all that waits has left.
    pub(crate) closing: bool,
    flight: VecDeque<Flight>,
    kernel: usize,
    last_arrival: Time,
    /// It broke: what is written from now on is lost, as what was written before.
    dead: bool,
    /// Its end comes as a reset, not as the end of a stream.
    pub(crate) resets: bool,
    /// Nothing of this pipe arrives.
    pub(crate) silent: bool,
    /// Arrived and not read by the other end.
    arrived: Vec<u8>,
    read: usize,
    finished: bool,
}

#[derive(Debug)]
struct Flight {
    at: Time,
    bytes: Vec<u8>,
    last: bool,
}

impl End {
    fn new(holder: Holder) -> End {
        End {
            holder,
            open: true,
            reading: true,
            waiting: Vec::new(),
            flushed: 0,
            closing: false,
            flight: VecDeque::new(),
            kernel: 0,
            last_arrival: Time::ZERO,
            dead: false,
            resets: false,
            silent: false,
            arrived: Vec::new(),
            read: 0,
            finished: false,
        }
    }

    /// Loses what has not left the holder yet, and at a hard death what is on the way as well.
    pub(crate) fn die(&mut self, hard: bool) {
        self.waiting.clear();
        self.dead = true;
        self.resets |= hard;
        if hard {
            self.flight.clear();
        }
    }
}

/// What the reader of an end finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    Bytes(Vec<u8>),
    /// The other end says no more. Found once.
    TheEnd,
    /// The link is no more.
    Reset,
}

impl Link {
    pub(crate) fn new(dialler: Holder, dialled: Holder, latency_micros: u64) -> Link {
        Link { ends: [End::new(dialler), End::new(dialled)], latency_micros, window: 65_536, silence: 0 }
    }

    /// Which end the server holds, if any.
    pub(crate) fn is_of_server(&self) -> bool {
        self.ends[1].holder == Holder::Server
    }

    /// Queues bytes at an end, if its holder has it.
    pub(crate) fn write(&mut self, end: usize, bytes: &[u8]) {
        if self.ends[end].open {
            self.ends[end].waiting.extend_from_slice(bytes);
        }
    }

    /// An end is closed by its holder, once all that waits has left.
    pub(crate) const fn close(&mut self, end: usize) {
        self.ends[end].open = false;
        self.ends[end].closing = true;
    }

    /// The holder of an end, if it has it, learns that the link is gone.
    pub(crate) fn lose(&mut self, end: usize) -> Option<Holder> {
        let end = &mut self.ends[end];
        core::mem::take(&mut end.open).then(|| {
            end.waiting.clear();
            end.closing = true;
            end.holder
        })
    }

    /// It breaks.
    pub(crate) fn cut(&mut self, hard: bool) {
        for end in &mut self.ends {
            end.die(hard);
            end.resets = true;
        }
    }

    /// Nothing of the given ends arrives any more. Returns which silence that is.
    pub(crate) fn fall_silent(&mut self, ends: [bool; 2]) -> u32 {
        self.silence += 1;
        for (end, silent) in self.ends.iter_mut().zip(ends) {
            end.silent |= silent;
        }
        self.silence
    }

    /// It speaks again; whether it was silent.
    pub(crate) fn heal(&mut self) -> bool {
        self.silence += 1;
        let was_silent = self.ends.iter().any(|end| end.silent);
        self.ends.iter_mut().for_each(|end| end.silent = false);
        was_silent
    }

    /// Whether it is silent, and was not healed since.
    pub(crate) fn has_been_silent_since(&self, silence: u32) -> bool {
        self.silence == silence && self.ends.iter().any(|end| end.silent)
    }

    /// Moves what waits at an end into the network as far as the window allows, and says when it
    /// will arrive. `flushed` has risen if something moved.
    pub(crate) fn pump(&mut self, end: usize, now: Time) -> Option<Time> {
        let arrival = Time(now.0 + self.latency_micros);
        let window = self.window;
        let end = &mut self.ends[end];
        let room = window.saturating_sub(end.kernel);
        let taken = room.min(end.waiting.len());
        let at = arrival.max(end.last_arrival);
        let mut moved = false;
        if taken > 0 {
            // `split_off` would leave each small flight the capacity of all that waited.
            let bytes: Vec<u8> = end.waiting.drain(..taken).collect();
            end.flushed += taken as u64;
            if !end.dead {
                end.kernel += taken;
                end.flight.push_back(Flight { at, bytes, last: false });
            }
            moved = true;
        }
        if end.closing && end.waiting.is_empty() {
            end.closing = false;
            end.flight.push_back(Flight { at, bytes: Vec::new(), last: true });
            moved = true;
        }
        end.last_arrival = at;
        moved.then_some(at)
    }

    /// Takes what has arrived at an end and is to be read now: one chunk, whole or a drawn part.
    pub(crate) fn read(&mut self, end: usize, now: Time, chunking: Chunking, draw: &mut Draw) -> Found {
        if !self.ends[end].reading {
            return Found::Nothing;
        }
        let pipe = &mut self.ends[1 - end];
        while !pipe.silent && pipe.flight.front().is_some_and(|flight| flight.at <= now) {
            let Some(flight) = pipe.flight.pop_front() else { break };
            pipe.finished |= flight.last;
            if pipe.arrived.is_empty() {
                pipe.arrived = flight.bytes;
            } else {
                pipe.arrived.extend_from_slice(&flight.bytes);
            }
        }
        if pipe.arrived.is_empty() {
            let finished = core::mem::take(&mut pipe.finished);
            return match (finished, pipe.resets) {
                (true, true) => Found::Reset,
                (true, false) => Found::TheEnd,
                (false, _) => Found::Nothing,
            };
        }
        let left = pipe.arrived.len() - pipe.read;
        let part = chunking.part(left, draw);
        let chunk = if part == pipe.arrived.len() {
            core::mem::take(&mut pipe.arrived)
        } else {
            let chunk = pipe.arrived[pipe.read..pipe.read + part].to_vec();
            pipe.read += part;
            if pipe.read == pipe.arrived.len() {
                pipe.arrived = Vec::new();
                pipe.read = 0;
            }
            chunk
        };
        pipe.kernel -= chunk.len();
        Found::Bytes(chunk)
    }

    /// Whether more could be read at once.
    pub(crate) fn has_more(&self, end: usize, now: Time) -> bool {
        let pipe = &self.ends[1 - end];
        let due = !pipe.silent && pipe.flight.front().is_some_and(|flight| flight.at <= now);
        self.ends[end].reading && (!pipe.arrived.is_empty() || pipe.finished || due)
    }

    /// Whether nobody holds it any more and nothing is on its way.
    pub(crate) fn is_over(&self) -> bool {
        self.ends.iter().enumerate().all(|(index, end)| {
            let unread = !end.flight.is_empty() || !end.waiting.is_empty() || end.closing;
            !end.open && (!unread || !self.ends[1 - index].open)
        })
    }
}

/// How the bytes of a link are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunking {
    /// As they arrive.
    Whole,
    /// Sometimes at a drawn place.
    Sometimes,
    /// Into few bytes at a time.
    Crumbs,
}

impl Chunking {
    fn part(self, length: usize, draw: &mut Draw) -> usize {
        let cut = match self {
            Chunking::Whole => false,
            Chunking::Sometimes => draw.chance(120),
            Chunking::Crumbs => true,
        };
        let most = if self == Chunking::Crumbs { length.min(48) } else { length };
        if cut { usize::try_from(draw.between(1, most as u64)).unwrap_or(length) } else { length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link::new(Holder::Hand(0), Holder::Server, 10)
    }

    #[test]
    fn bytes_arrive_after_the_latency_in_order_and_then_the_end() {
        let (mut link, mut draw) = (link(), Draw::new(1));
        link.ends[0].waiting.extend_from_slice(b"one");
        link.ends[0].closing = true;
        assert_eq!(link.pump(0, Time(5)), Some(Time(15)));
        assert_eq!(link.read(1, Time(14), Chunking::Whole, &mut draw), Found::Nothing);
        assert_eq!(link.read(1, Time(15), Chunking::Whole, &mut draw), Found::Bytes(b"one".to_vec()));
        assert_eq!(link.read(1, Time(15), Chunking::Whole, &mut draw), Found::TheEnd);
    }

    #[test]
    fn a_full_window_keeps_the_rest_waiting_until_something_is_read() {
        let (mut link, mut draw) = (link(), Draw::new(1));
        link.window = 2;
        link.ends[0].waiting.extend_from_slice(b"abc");
        link.pump(0, Time(0));
        assert_eq!((link.ends[0].waiting.as_slice(), link.ends[0].flushed), (&b"c"[..], 2));
        assert_eq!(link.read(1, Time(10), Chunking::Whole, &mut draw), Found::Bytes(b"ab".to_vec()));
        link.pump(0, Time(10));
        assert_eq!(link.read(1, Time(20), Chunking::Whole, &mut draw), Found::Bytes(b"c".to_vec()));
    }

    #[test]
    fn crumbs_add_up_to_the_whole() {
        let (mut link, mut draw) = (link(), Draw::new(3));
        link.ends[0].waiting.extend_from_slice(&[7; 300]);
        link.pump(0, Time(0));
        let mut all = 0;
        while let Found::Bytes(bytes) = link.read(1, Time(10), Chunking::Crumbs, &mut draw) {
            assert!(bytes.len() <= 48);
            all += bytes.len();
        }
        assert_eq!(all, 300);
        assert_eq!(link.ends[0].kernel, 0);
    }
}
