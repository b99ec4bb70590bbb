//! One sender, many receivers, many messages under way.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::connection::{Connection, Poller, count_lines, last_line, scratch};
use super::members::Members;
use super::pairs::{Run, TEXT_BYTES, introduce, leading_number};
use super::program::Program;

/// Broadcasts under way: sent, and not yet received by as many as there are receivers.
const UNDER_WAY: u64 = 64;
/// Messages under way at the end of a run must arrive within this.
const PATIENCE: Duration = Duration::from_secs(20);

/// A sender and its receivers.
pub(crate) struct Audience {
    sender: Connection,
    receivers: Vec<Connection>,
    /// A message as the sender writes it; numbered if it is a command.
    line: Vec<u8>,
    numbered: bool,
    sent: u64,
    answered: u64,
    received: u64,
    poller: Poller,
    scratch: Box<[u8]>,
}

impl Audience {
    pub(crate) fn of_server(server: &Program, receivers: usize) -> Result<Audience> {
        let mut members = Members::log_in(server, 0..receivers + 1)?;
        let sender = members.list.pop().context("a sender")?.connection;
        let receivers = members.list.into_iter().map(|member| member.connection).collect();
        let line = format!("broadcast {}\n", "t".repeat(TEXT_BYTES)).into_bytes();
        Audience::new(sender, receivers, line, true)
    }

    pub(crate) fn of_yardstick(program: &Program, receivers: usize) -> Result<Audience> {
        let receivers = (0..receivers).map(|_| introduce(program, "sink 0\n")).collect::<Result<_>>()?;
        let sender = introduce(program, "source 0\n")?;
        Audience::new(sender, receivers, format!("{}\n", "t".repeat(TEXT_BYTES - 1)).into_bytes(), false)
    }

    fn new(
        sender: Connection,
        receivers: Vec<Connection>,
        line: Vec<u8>,
        numbered: bool,
    ) -> Result<Audience> {
        let poller = Poller::new()?;
        for (n, receiver) in receivers.iter().enumerate() {
            poller.add(receiver, n as u64)?;
        }
        poller.add(&sender, receivers.len() as u64)?;
        let scratch = scratch();
        Ok(Audience { sender, receivers, line, numbered, sent: 0, answered: 0, received: 0, poller, scratch })
    }

    pub(crate) fn run(&mut self, program: &Program, length: Duration) -> Result<Run> {
        let began = Instant::now();
        let mut counted: Option<(Instant, Duration, u64)> = None;
        loop {
            let shown = self.received / self.receivers.len() as u64;
            self.send(UNDER_WAY - (self.sent - shown))?;
            self.read()?;
            let now = Instant::now();
            match counted {
                None if now >= began + length / 10 => {
                    counted = Some((now, program.cpu_time()?, self.received));
                }
                Some((since, cpu, before)) if now >= since + length => {
                    let cpu_secs = (program.cpu_time()? - cpu).as_secs_f64();
                    let deliveries = self.received - before;
                    self.finish()?;
                    return Ok(Run { deliveries, secs: (now - since).as_secs_f64(), cpu_secs });
                }
                None | Some(_) => {}
            }
        }
    }

    fn send(&mut self, count: u64) -> Result<()> {
        for _ in 0..count {
            self.sent += 1;
            if self.numbered {
                write!(self.sender.out, "#{} ", self.sent)?;
            }
            self.sender.out.extend_from_slice(&self.line);
        }
        Ok(self.sender.flush()?)
    }

    fn read(&mut self) -> Result<()> {
        for token in self.poller.wait(Some(Duration::from_millis(1)))? {
            let Some(receiver) = self.receivers.get_mut(usize::try_from(token)?) else {
                let lines = self.sender.read(&mut self.scratch)?;
                self.answered += count_lines(lines);
                let number = last_line(lines).strip_prefix(b"ok #").and_then(leading_number);
                ensure!(lines.is_empty() || number == Some(self.answered), "an answer is missing");
                continue;
            };
            let lines = receiver.read(&mut self.scratch)?;
            self.received +=
                if self.numbered { count_lines(lines) } else { (lines.len() / TEXT_BYTES) as u64 };
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let began = Instant::now();
        let all = self.receivers.len() as u64;
        while self.received < self.sent * all || (self.numbered && self.answered < self.sent) {
            ensure!(began.elapsed() < PATIENCE, "messages or answers were lost");
            self.read()?;
        }
        ensure!(self.received == self.sent * all, "more came than was sent");
        Ok(())
    }
}
