//! A model TCP connection: bounded buffers, packets with latency, half-close, reset, silence.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::task::Waker;
use std::time::Duration;

use hobnob::time::Time;

use super::chance::Chance;

/// Largest packet, in bytes.
const PACKET: usize = 1_460;

/// A connection. End 0 dialled, end 1 was dialled.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) ends: [End; 2],
    latency: Duration,
    /// Bytes that one end sends before the other has read them.
    window: usize,
    /// Bytes that the system keeps of what an end has written and not sent.
    buffer: usize,
    /// Reads and writes take less than they could.
    short: bool,
    /// Nothing arrives before this time.
    silent_until: Time,
    /// Something was done to it: its ends may lose what they have sent.
    pub(crate) fault: Option<&'static str>,
}

/// One end, and the bytes that leave it. Positions count from the beginning of the connection.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) process: usize,
    pub(crate) address: SocketAddr,
    /// Its process has the socket.
    pub(crate) is_held: bool,
    /// All bytes ever written.
    pub(crate) log: Vec<u8>,
    sent: usize,
    pub(crate) arrived: usize,
    /// Read by the other end.
    pub(crate) read: usize,
    /// Its process writes no more.
    pub(crate) is_shut: bool,
    is_end_sent: bool,
    pub(crate) is_end_arrived: bool,
    /// The connection is broken at this end.
    pub(crate) is_broken: bool,
    error: Option<ErrorKind>,
    /// Closing it resets the connection.
    pub(crate) resets: bool,
    flight: VecDeque<(Time, Packet)>,
    last_arrival: Time,
    /// When it last wrote something, or had nothing that could not be written.
    pub(crate) wrote_at: Time,
    pub(crate) reading: Interest,
    pub(crate) writing: Interest,
}

/// What a task waits for.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    pub(crate) waker: Option<Waker>,
    pub(crate) is_ready: bool,
}

#[derive(Debug, Clone, Copy)]
enum Packet {
    Upto(usize),
    End,
    Reset,
}

impl End {
    fn new(process: usize, address: SocketAddr, now: Time) -> End {
        End {
            process,
            address,
            is_held: true,
            log: Vec::new(),
            sent: 0,
            arrived: 0,
            read: 0,
            is_shut: false,
            is_end_sent: false,
            is_end_arrived: false,
            is_broken: false,
            error: None,
            resets: false,
            flight: VecDeque::new(),
            last_arrival: now,
            wrote_at: now,
            reading: Interest::default(),
            writing: Interest::default(),
        }
    }

    /// Bytes that arrived at the other end and were not read.
    pub(crate) const fn unread(&self) -> usize {
        self.arrived - self.read
    }

    fn check(&mut self) -> io::Result<()> {
        self.error.take().map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl Connection {
    pub(crate) fn new(
        dialler: (usize, SocketAddr),
        dialled: (usize, SocketAddr),
        now: Time,
        chance: &mut Chance,
    ) -> Connection {
        let sizes = if chance.one_in(4) { (1, 200) } else { (2_000, 60_000) };
        Connection {
            ends: [End::new(dialler.0, dialler.1, now), End::new(dialled.0, dialled.1, now)],
            latency: chance.micros(10, 20_000),
            window: chance.size(sizes.0.max(64), sizes.1),
            buffer: chance.size(sizes.0, sizes.1),
            short: chance.one_in(2),
            silent_until: now,
            fault: None,
        }
    }

    /// Nobody has it any more, and nothing is under way.
    pub(crate) fn is_over(&self) -> bool {
        self.ends.iter().all(|end| !end.is_held && end.flight.is_empty())
    }

    pub(crate) fn note_fault(&mut self, fault: &'static str) {
        self.fault.get_or_insert(fault);
    }

    pub(crate) fn is_readable(&self, end: usize) -> bool {
        let other = &self.ends[1 - end];
        self.ends[end].is_broken || other.unread() > 0 || other.is_end_arrived
    }

    pub(crate) fn is_writable(&self, end: usize) -> bool {
        let end = &self.ends[end];
        end.is_broken || end.is_shut || end.log.len() - end.sent < self.buffer
    }

    pub(crate) fn read(
        &mut self,
        end: usize,
        bytes: &mut [u8],
        now: Time,
        chance: &mut Chance,
    ) -> io::Result<usize> {
        let short = self.short && chance.one_in(3);
        let broken = self.ends[end].is_broken;
        let other = &mut self.ends[1 - end];
        let most = other.unread().min(bytes.len());
        if most == 0 {
            self.ends[end].check()?;
            let is_over = broken || self.ends[1 - end].is_end_arrived;
            return if is_over { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        let count = if short { chance.size(1, most) } else { most };
        bytes[..count].copy_from_slice(&other.log[other.read..other.read + count]);
        other.read += count;
        self.send(1 - end, now, chance);
        Ok(count)
    }

    pub(crate) fn peek(&mut self, end: usize) -> io::Result<bool> {
        if self.ends[1 - end].unread() > 0 {
            return Ok(true);
        }
        self.ends[end].check()?;
        let is_over = self.ends[end].is_broken || self.ends[1 - end].is_end_arrived;
        if is_over { Ok(false) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    pub(crate) fn write(
        &mut self,
        end: usize,
        bytes: &[u8],
        now: Time,
        chance: &mut Chance,
    ) -> io::Result<usize> {
        let short = self.short && chance.one_in(3);
        let room = self.buffer.saturating_sub(self.ends[end].log.len() - self.ends[end].sent);
        let from = &mut self.ends[end];
        from.check()?;
        if from.is_broken || from.is_shut {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let most = room.min(bytes.len());
        if most == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = if short { chance.size(1, most) } else { most };
        from.log.extend_from_slice(&bytes[..count]);
        from.wrote_at = now;
        self.send(end, now, chance);
        Ok(count)
    }

    pub(crate) fn take_error(&mut self, end: usize) -> Option<io::Error> {
        self.ends[end].error.take().map(io::Error::from)
    }

    pub(crate) fn shut_down(&mut self, end: usize, now: Time, chance: &mut Chance) -> io::Result<()> {
        if self.ends[end].is_broken {
            return Err(ErrorKind::NotConnected.into());
        }
        self.ends[end].is_shut = true;
        self.send(end, now, chance);
        Ok(())
    }

    /// Closes an end. If it is to, or with unread input, the connection is reset, and what was not sent is lost.
    pub(crate) fn close(&mut self, end: usize, now: Time, chance: &mut Chance) {
        self.ends[end].is_held = false;
        if self.ends[end].is_broken {
            return;
        }
        if self.ends[end].resets || self.ends[1 - end].unread() > 0 {
            self.reset(end, now);
        } else {
            self.ends[end].is_shut = true;
            self.send(end, now, chance);
        }
    }

    /// Breaks the connection from one end.
    pub(crate) fn reset(&mut self, end: usize, now: Time) {
        let at = (now + self.latency).max(self.ends[end].last_arrival);
        self.ends[end].is_broken = true;
        self.ends[end].flight.push_back((at, Packet::Reset));
    }

    /// Both ends find that the connection is broken.
    pub(crate) fn die(&mut self, how: ErrorKind) {
        for end in &mut self.ends {
            if !end.is_broken {
                end.is_broken = true;
                end.error = Some(how);
            }
            end.flight.clear();
        }
    }

    /// Nothing arrives for a while.
    pub(crate) fn silence(&mut self, until: Time) {
        self.silent_until = self.silent_until.max(until);
    }

    /// Sends what the window allows.
    fn send(&mut self, end: usize, now: Time, chance: &mut Chance) {
        let (latency, window) = (self.latency, self.window);
        let from = &mut self.ends[end];
        if from.is_broken {
            return;
        }
        while from.sent < from.log.len() && from.sent - from.read < window {
            let room = window - (from.sent - from.read);
            let most = PACKET.min(room).min(from.log.len() - from.sent);
            from.sent += if chance.one_in(8) { chance.size(1, most) } else { most };
            let at = (now + latency + chance.micros(0, 300)).max(from.last_arrival);
            from.last_arrival = at;
            from.flight.push_back((at, Packet::Upto(from.sent)));
        }
        if from.is_shut && from.sent == from.log.len() && !from.is_end_sent {
            from.is_end_sent = true;
            let at = (now + latency).max(from.last_arrival);
            from.last_arrival = at;
            from.flight.push_back((at, Packet::End));
        }
    }

    /// When something arrives next.
    pub(crate) fn next_arrival(&self) -> Option<Time> {
        let first = |end: &End| end.flight.front().map(|(at, _)| *at);
        let next = self.ends.iter().filter_map(first).min()?;
        Some(next.max(self.silent_until))
    }

    /// Lets arrive what is due.
    pub(crate) fn deliver(&mut self, now: Time, chance: &mut Chance) {
        if now < self.silent_until {
            return;
        }
        for end in 0..2 {
            while let Some((_, packet)) = self.ends[end].flight.pop_front_if(|(at, _)| *at <= now) {
                self.arrive(end, packet, now, chance);
            }
        }
    }

    fn arrive(&mut self, end: usize, packet: Packet, now: Time, chance: &mut Chance) {
        let there = 1 - end;
        match packet {
            Packet::Upto(upto) if self.ends[there].is_held && !self.ends[there].is_broken => {
                self.ends[end].arrived = upto;
            }
            Packet::Upto(_) => {
                if !self.ends[there].is_broken {
                    // Nobody will read it.
                    self.reset(there, now);
                }
            }
            Packet::End => self.ends[end].is_end_arrived = true,
            Packet::Reset => {
                let broken = &mut self.ends[there];
                if !broken.is_broken {
                    broken.is_broken = true;
                    broken.error = Some(ErrorKind::ConnectionReset);
                    if chance.one_in(2) {
                        self.ends[end].arrived = self.ends[end].read;
                    }
                }
            }
        }
    }
}
