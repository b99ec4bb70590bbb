//! Pairs of a sender and a receiver: the load of most figures, the same for ours and for the yardsticks.

use std::collections::VecDeque;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;

use super::connection::{Connection, Poller, count_lines, last_line, scratch};
use super::members::Members;
use super::program::{Program, user};
use super::stored::Storers;

/// Bytes of a message's text; the yardsticks' messages have as many in all.
pub(crate) const TEXT_BYTES: usize = 48;
/// An acknowledgement waits for so many messages, or for so long.
const ACKNOWLEDGE_AFTER: u64 = 64;
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_millis(10);
/// Messages under way at the end of a run must arrive within this.
const PATIENCE: Duration = Duration::from_secs(20);
/// So long without a line, and nothing is under way any more.
const QUIET: Duration = Duration::from_millis(100);

/// The figures of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) deliveries: u64,
    pub(crate) secs: f64,
    pub(crate) cpu_secs: f64,
}

impl Run {
    /// Thousands of deliveries a second.
    pub(crate) fn thousands_a_second(&self) -> f64 {
        self.deliveries as f64 / self.secs / 1e3
    }

    /// CPU seconds of the server for a million deliveries.
    pub(crate) fn cpu_a_million(&self) -> f64 {
        self.cpu_secs / self.deliveries.max(1) as f64 * 1e6
    }
}

/// One sender, one receiver.
struct Pair {
    sender: Connection,
    receiver: Connection,
    /// A message as the sender writes it, but for its number.
    line: Vec<u8>,
    sent: u64,
    received: u64,
    /// In front of the number in the ids of messages.
    boot: u64,
    /// The last message that the receiver has acknowledged.
    acknowledged: u64,
    /// Answers that the sender has, and those it has acknowledged.
    answered: u64,
    answered_told: u64,
    /// When the messages under way were sent, if that is asked for.
    departures: VecDeque<Instant>,
}

/// The program under load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speech {
    /// A yardstick: lines that are not parsed.
    Bytes,
    /// The server: commands, deliveries, acknowledgements, answers.
    Commands,
}

/// All pairs, driven by one thread.
pub(crate) struct Pairs {
    list: Vec<Pair>,
    speech: Speech,
    poller: Poller,
    scratch: Box<[u8]>,
    /// Acknowledgements that are due: when, whose, and from which message on.
    due: VecDeque<(Instant, usize, u64)>,
}

/// Tokens of pair `n` are `2 n` (sender) and `2 n + 1` (receiver); larger ones belong to the storers.
const STORERS: u64 = 1 << 32;

impl Pairs {
    /// Pairs of users `first` and following, the senders first.
    pub(crate) fn of_server(server: &Program, count: usize, first: usize) -> Result<Pairs> {
        let members = Members::log_in(server, first..first + 2 * count)?;
        let mut senders: Vec<Connection> = members.list.into_iter().map(|member| member.connection).collect();
        let receivers = senders.split_off(count);
        let line = |n: usize| {
            let name = user(first + count + n);
            format!("message {name} {}\n", "t".repeat(TEXT_BYTES)).into_bytes()
        };
        Pairs::new(senders, receivers, line, Speech::Commands)
    }

    /// Pairs over a yardstick.
    pub(crate) fn of_yardstick(program: &Program, count: usize) -> Result<Pairs> {
        let (mut senders, mut receivers) = (Vec::new(), Vec::new());
        for n in 0..count {
            receivers.push(introduce(program, &format!("sink {n}\n"))?);
            senders.push(introduce(program, &format!("source {n}\n"))?);
        }
        let line = |_| format!("{}\n", "t".repeat(TEXT_BYTES - 1)).into_bytes();
        Pairs::new(senders, receivers, line, Speech::Bytes)
    }

    fn new(
        senders: Vec<Connection>,
        receivers: Vec<Connection>,
        line: impl Fn(usize) -> Vec<u8>,
        speech: Speech,
    ) -> Result<Pairs> {
        let poller = Poller::new()?;
        let mut list = Vec::new();
        for (n, (sender, receiver)) in senders.into_iter().zip(receivers).enumerate() {
            poller.add(&sender, 2 * n as u64)?;
            poller.add(&receiver, 2 * n as u64 + 1)?;
            list.push(Pair {
                sender,
                receiver,
                line: line(n),
                sent: 0,
                received: 0,
                boot: 0,
                acknowledged: 0,
                answered: 0,
                answered_told: 0,
                departures: VecDeque::new(),
            });
        }
        Ok(Pairs { list, speech, poller, scratch: scratch(), due: VecDeque::new() })
    }

    /// Keeps so many messages of each pair under way for a time; the first tenth is not counted.
    pub(crate) fn run(&mut self, program: &Program, under_way: u64, length: Duration) -> Result<Run> {
        self.run_beside(program, under_way, length, None, None)
    }

    /// The same, with the time of each message, beside senders whose messages are stored.
    pub(crate) fn run_beside(
        &mut self,
        program: &Program,
        under_way: u64,
        length: Duration,
        mut times: Option<&mut Histogram<u64>>,
        mut storers: Option<&mut Storers>,
    ) -> Result<Run> {
        let began = Instant::now();
        let mut counted: Option<(Instant, Duration, u64)> = None;
        let mut tokens = Vec::new();
        if let Some(storers) = storers.as_deref_mut() {
            storers.join(&self.poller, STORERS)?;
        }
        for pair in &mut self.list {
            pair.send(self.speech, under_way, times.is_some())?;
        }
        loop {
            tokens.clear();
            tokens.extend(self.poller.wait(Some(Duration::from_millis(1)))?);
            let now = Instant::now();
            for &token in &tokens {
                if token >= STORERS {
                    let storers = storers.as_deref_mut().context("a storer's token")?;
                    let count = storers.answered(token - STORERS, now, &mut self.scratch)?;
                    storers.go_on(token - STORERS, count, now)?;
                } else if self.readable(token, now, times.as_deref_mut())? {
                    let pair = &mut self.list[usize::try_from(token / 2)?];
                    let room = under_way - (pair.sent - pair.received);
                    pair.send(self.speech, room, times.is_some())?;
                }
            }
            self.acknowledge_due(now)?;
            if let Some(storers) = storers.as_deref_mut() {
                storers.send_due(now)?;
            }
            match counted {
                None if now >= began + length / 10 => {
                    counted = Some((now, program.cpu_time()?, self.received()));
                    if let Some(times) = times.as_deref_mut() {
                        times.clear();
                    }
                }
                Some((since, cpu, before)) if now >= since + length => {
                    let cpu_secs = (program.cpu_time()? - cpu).as_secs_f64();
                    let deliveries = self.received() - before;
                    self.finish(storers)?;
                    return Ok(Run { deliveries, secs: (now - since).as_secs_f64(), cpu_secs });
                }
                None | Some(_) => {}
            }
        }
    }

    /// Sends one message every so often, of one pair after the other, whatever has come of those
    /// before; takes the time from when each was due.
    pub(crate) fn run_paced(
        &mut self,
        program: &Program,
        every: Duration,
        length: Duration,
        times: &mut Histogram<u64>,
    ) -> Result<Run> {
        let (began, cpu) = (Instant::now(), program.cpu_time()?);
        let before = self.received();
        let mut due = began;
        let mut tokens = Vec::new();
        let mut turn = (0..self.list.len()).cycle();
        while began.elapsed() < length {
            // Waiting here would add the load's own wake-up to every message.
            tokens.clear();
            tokens.extend(self.poller.wait(Some(Duration::ZERO))?);
            let now = Instant::now();
            for &token in &tokens {
                self.readable(token, now, Some(times))?;
            }
            self.acknowledge_due(now)?;
            while due <= now {
                let pair = &mut self.list[turn.next().context("a pair")?];
                pair.departures.push_back(due);
                pair.send(self.speech, 1, false)?;
                due += every;
            }
        }
        let secs = began.elapsed().as_secs_f64();
        let cpu_secs = (program.cpu_time()? - cpu).as_secs_f64();
        let deliveries = self.received() - before;
        self.finish(None)?;
        Ok(Run { deliveries, secs, cpu_secs })
    }

    /// Reads what a connection has; whether messages have come.
    fn readable(&mut self, token: u64, now: Instant, times: Option<&mut Histogram<u64>>) -> Result<bool> {
        let index = usize::try_from(token / 2)?;
        let pair = &mut self.list[index];
        if token.is_multiple_of(2) {
            let lines = pair.sender.read(&mut self.scratch)?;
            pair.take_answers(lines)?;
            return Ok(false);
        }
        let lines = pair.receiver.read(&mut self.scratch)?;
        let count = match self.speech {
            Speech::Bytes => (lines.len() / TEXT_BYTES) as u64,
            Speech::Commands => count_lines(lines),
        };
        if count == 0 {
            return Ok(false);
        }
        if self.speech == Speech::Commands {
            if pair.received == pair.acknowledged {
                self.due.push_back((now + ACKNOWLEDGE_WITHIN, index, pair.received));
            }
            pair.received += count;
            pair.check_last(lines)?;
            if pair.received - pair.acknowledged >= ACKNOWLEDGE_AFTER {
                pair.acknowledge()?;
            }
        } else {
            pair.received += count;
        }
        if let Some(times) = times {
            for departure in pair.departures.drain(..usize::try_from(count)?) {
                times.record(nanos(now.saturating_duration_since(departure)))?;
            }
        }
        Ok(true)
    }

    fn acknowledge_due(&mut self, now: Instant) -> Result<()> {
        while let Some(&(due, index, since)) = self.due.front()
            && due <= now
        {
            self.due.pop_front();
            let pair = &mut self.list[index];
            // Else it was acknowledged because there were enough.
            if pair.acknowledged == since {
                pair.acknowledge()?;
            }
        }
        Ok(())
    }

    /// Waits until nothing comes that is no message, such as who came online.
    pub(crate) fn settle(&mut self) -> Result<()> {
        loop {
            let tokens: Vec<u64> = self.poller.wait(Some(QUIET))?.collect();
            if tokens.is_empty() {
                return Ok(());
            }
            for token in tokens {
                let pair = &mut self.list[usize::try_from(token / 2)?];
                let connection = if token % 2 == 0 { &mut pair.sender } else { &mut pair.receiver };
                connection.read(&mut self.scratch)?;
            }
        }
    }

    fn received(&self) -> u64 {
        self.list.iter().map(|pair| pair.received).sum()
    }

    /// Waits for messages under way, so that the next run starts without any.
    fn finish(&mut self, mut storers: Option<&mut Storers>) -> Result<()> {
        let began = Instant::now();
        let mut tokens = Vec::new();
        while self.list.iter().any(|pair| pair.is_under_way(self.speech))
            || storers.as_deref().is_some_and(Storers::is_under_way)
        {
            ensure!(began.elapsed() < PATIENCE, "messages or answers were lost");
            tokens.clear();
            tokens.extend(self.poller.wait(Some(Duration::from_millis(1)))?);
            let now = Instant::now();
            for &token in &tokens {
                if token < STORERS {
                    self.readable(token, now, None)?;
                } else if let Some(storers) = storers.as_deref_mut() {
                    storers.answered(token - STORERS, now, &mut self.scratch)?;
                }
            }
            self.acknowledge_due(now)?;
        }
        self.list.iter_mut().for_each(|pair| pair.departures.clear());
        Ok(())
    }
}

impl Pair {
    fn send(&mut self, speech: Speech, count: u64, timed: bool) -> Result<()> {
        for _ in 0..count {
            self.sent += 1;
            if speech == Speech::Commands {
                write!(self.sender.out, "#{} ", self.sent)?;
            }
            self.sender.out.extend_from_slice(&self.line);
        }
        if timed {
            let now = Instant::now();
            self.departures.extend((0..count).map(|_| now));
        }
        Ok(self.sender.flush()?)
    }

    /// The receiver's ids count its messages, so the last one says whether all have come.
    fn check_last(&mut self, lines: &[u8]) -> Result<()> {
        let line = last_line(lines);
        let id = line.strip_prefix(b"message ").and_then(leading_id);
        let Some((boot, _)) = id.filter(|(_, number)| *number == self.received) else {
            bail!("message {} was: {}", self.received, String::from_utf8_lossy(line));
        };
        self.boot = boot;
        Ok(())
    }

    fn acknowledge(&mut self) -> Result<()> {
        self.acknowledged = self.received;
        writeln!(self.receiver.out, "ack {}.{} -", self.boot, self.received)?;
        Ok(self.receiver.flush()?)
    }

    fn take_answers(&mut self, lines: &[u8]) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.answered += count_lines(lines);
        let line = last_line(lines);
        let number = line.strip_prefix(b"ok #").and_then(leading_number);
        if number != Some(self.answered) || !line.ends_with(b" delivered") {
            bail!("answer {} was: {}", self.answered, String::from_utf8_lossy(line));
        }
        if self.answered - self.answered_told >= ACKNOWLEDGE_AFTER {
            self.answered_told = self.answered;
            // Leaves with the next message.
            writeln!(self.sender.out, "ack - {}", self.answered)?;
        }
        Ok(())
    }

    fn is_under_way(&self, speech: Speech) -> bool {
        self.received < self.sent || (speech == Speech::Commands && self.answered < self.sent)
    }
}

/// The number that some bytes begin with.
pub(crate) fn leading_number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
    let (number, count) =
        digits.fold((0, 0), |(number, count), digit| (number * 10 + u64::from(digit - b'0'), count + 1));
    (count > 0).then_some(number)
}

/// Boot and number of the message's id that some bytes begin with.
fn leading_id(bytes: &[u8]) -> Option<(u64, u64)> {
    let dot = memchr::memchr(b'.', bytes)?;
    Some((leading_number(bytes)?, leading_number(&bytes[dot + 1..])?))
}

/// A histogram of nanoseconds, up to a minute.
pub(crate) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}

pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// A connection to a yardstick that has said what it is.
pub(crate) fn introduce(program: &Program, line: &str) -> Result<Connection> {
    let mut connection = Connection::open(program)?;
    connection.send(line.as_bytes())?;
    let mut scratch = [0; 64];
    while connection.read(&mut scratch)? != b"ok\n" {
        std::thread::yield_now();
    }
    Ok(connection)
}
