//! Senders whose recipients are offline: every message goes to disk before its sender hears of it.

use std::collections::VecDeque;
use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use rusqlite::Connection as Database;

use super::Bench;
use super::connection::{Connection, Poller, count_lines, last_line, scratch};
use super::members::Members;
use super::pairs::{Run, TEXT_BYTES, leading_number, nanos};
use super::program::{Program, user};

/// Messages under way at the end of a run must be answered within this.
const PATIENCE: Duration = Duration::from_secs(20);
/// At most so many messages of a sender are not answered.
const ANSWERS_KEPT: u64 = 64;

/// A sender whose receiver is offline.
struct Storer {
    connection: Connection,
    line: Vec<u8>,
    sent: u64,
    answered: u64,
    answered_told: u64,
    /// When the messages under way were sent.
    departures: VecDeque<Instant>,
}

/// All such senders, and how long each answer took.
pub(crate) struct Storers {
    list: Vec<Storer>,
    times: Histogram<u64>,
    pace: Pace,
    joined: bool,
}

/// When the next message is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// When an earlier one is answered; so many are under way for each sender.
    Answered(u64),
    /// At fixed times, one sender after the other.
    Every { gap: Duration, due: Instant, turn: usize },
}

impl Storers {
    /// Users `first` and following write to as many after them, who have never logged in.
    pub(crate) fn log_in(server: &Program, count: usize, first: usize) -> Result<Storers> {
        let members = Members::log_in(server, first..first + count)?;
        let storer = |(n, connection)| {
            let name = user(first + count + n);
            let line = format!("message {name} {}\n", "t".repeat(TEXT_BYTES)).into_bytes();
            let departures = VecDeque::new();
            Storer { connection, line, sent: 0, answered: 0, answered_told: 0, departures }
        };
        let connections = members.list.into_iter().map(|member| member.connection);
        let list = connections.enumerate().map(storer).collect();
        let times = super::pairs::histogram()?;
        Ok(Storers { list, times, pace: Pace::Answered(1), joined: false })
    }

    pub(crate) fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// How long answers took; forgets it.
    pub(crate) fn take_times(&mut self) -> Histogram<u64> {
        let times = self.times.clone();
        self.times.clear();
        times
    }

    /// Lets a poller watch them, with tokens from `base`, and begins.
    pub(crate) fn join(&mut self, poller: &Poller, base: u64) -> Result<()> {
        if !std::mem::replace(&mut self.joined, true) {
            for (n, storer) in self.list.iter().enumerate() {
                poller.add(&storer.connection, base + n as u64)?;
            }
        }
        if let Pace::Answered(under_way) = self.pace {
            let now = Instant::now();
            self.list.iter_mut().try_for_each(|storer| storer.send(under_way, now))?;
        }
        if let Pace::Every { due, .. } = &mut self.pace {
            *due = Instant::now();
        }
        Ok(())
    }

    /// Sends what is due by the clock.
    pub(crate) fn send_due(&mut self, now: Instant) -> Result<()> {
        if let Pace::Every { gap, due, turn } = &mut self.pace {
            while *due <= now {
                self.list[*turn].send(1, *due)?;
                *turn = (*turn + 1) % self.list.len();
                *due += *gap;
            }
        }
        Ok(())
    }

    /// Reads a sender's answers and says how many they are.
    pub(crate) fn answered(&mut self, n: u64, now: Instant, scratch: &mut [u8]) -> Result<u64> {
        let storer = self.list.get_mut(usize::try_from(n)?).context("a storer")?;
        storer.take_answers(now, scratch, &mut self.times)
    }

    /// Sends as many as were answered, if that is the pace.
    pub(crate) fn go_on(&mut self, n: u64, count: u64, now: Instant) -> Result<()> {
        match self.pace {
            Pace::Answered(_) => self.list.get_mut(usize::try_from(n)?).context("a storer")?.send(count, now),
            Pace::Every { .. } => Ok(()),
        }
    }

    pub(crate) fn is_under_way(&self) -> bool {
        self.list.iter().any(|storer| storer.answered < storer.sent)
    }

    /// Stores as fast as answers come, for a time; the first tenth is not counted.
    fn run(&mut self, program: &Program, poller: &mut Poller, length: Duration) -> Result<Run> {
        let began = Instant::now();
        let mut scratch = scratch();
        let mut tokens = Vec::new();
        let mut counted: Option<(Instant, Duration)> = None;
        let mut deliveries = 0;
        self.join(poller, 0)?;
        loop {
            tokens.clear();
            tokens.extend(poller.wait(Some(Duration::from_millis(1)))?);
            let now = Instant::now();
            for &token in &tokens {
                let count = self.answered(token, now, &mut scratch)?;
                self.go_on(token, count, now)?;
                deliveries += count;
            }
            match counted {
                None if now >= began + length / 10 => {
                    counted = Some((now, program.cpu_time()?));
                    deliveries = 0;
                    self.times.clear();
                }
                Some((since, cpu)) if now >= since + length => {
                    let cpu_secs = (program.cpu_time()? - cpu).as_secs_f64();
                    self.finish(poller, &mut scratch)?;
                    return Ok(Run { deliveries, secs: (now - since).as_secs_f64(), cpu_secs });
                }
                None | Some(_) => {}
            }
        }
    }

    fn finish(&mut self, poller: &mut Poller, scratch: &mut [u8]) -> Result<()> {
        let began = Instant::now();
        while self.is_under_way() {
            ensure!(began.elapsed() < PATIENCE, "answers were lost");
            let tokens: Vec<u64> = poller.wait(Some(Duration::from_millis(1)))?.collect();
            for token in tokens {
                self.answered(token, Instant::now(), scratch)?;
            }
        }
        Ok(())
    }
}

impl Storer {
    fn send(&mut self, count: u64, departure: Instant) -> Result<()> {
        for _ in 0..count {
            self.sent += 1;
            write!(self.connection.out, "#{} ", self.sent)?;
            self.connection.out.extend_from_slice(&self.line);
            self.departures.push_back(departure);
        }
        Ok(self.connection.flush()?)
    }

    fn take_answers(&mut self, now: Instant, scratch: &mut [u8], times: &mut Histogram<u64>) -> Result<u64> {
        let lines = self.connection.read(scratch)?;
        let count = count_lines(lines);
        if count == 0 {
            return Ok(0);
        }
        self.answered += count;
        let line = last_line(lines);
        let number = line.strip_prefix(b"ok #").and_then(leading_number);
        ensure!(
            number == Some(self.answered) && line.ends_with(b" stored"),
            "answer {} was: {}",
            self.answered,
            String::from_utf8_lossy(line)
        );
        for departure in self.departures.drain(..usize::try_from(count)?) {
            times.record(nanos(now.saturating_duration_since(departure)))?;
        }
        if self.answered - self.answered_told >= ANSWERS_KEPT {
            self.answered_told = self.answered;
            writeln!(self.connection.out, "ack - {}", self.answered)?;
        }
        Ok(count)
    }
}

/// Durable messages a second and the time until each is confirmed.
pub(crate) fn run_stored(bench: &Bench, senders: usize, under_way: u64) -> Result<(Run, Histogram<u64>)> {
    let server = Program::server(bench, 2 * senders)?;
    let mut storers = Storers::log_in(&server, senders, 0)?;
    storers.set_pace(Pace::Answered(under_way));
    let run = storers.run(&server, &mut Poller::new()?, bench.length * 2)?;
    Ok((run, storers.take_times()))
}

/// Rows a second of a bare loop: so many inserts, one commit, again. As durable as the server's.
pub(crate) fn bare_commits(bench: &Bench, rows: u32) -> Result<f64> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let database = Database::open(folder.path().join("bare.db"))?;
    database.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
         CREATE TABLE mail (receiver INTEGER, id INTEGER, sender INTEGER, sent_at INTEGER, text TEXT,
             PRIMARY KEY (receiver, id)) STRICT, WITHOUT ROWID;",
    )?;
    let mut insert = database.prepare("INSERT INTO mail VALUES (?, ?, ?, ?, ?)")?;
    let text = "t".repeat(TEXT_BYTES);
    let began = Instant::now();
    let mut done: i64 = 0;
    while began.elapsed() < bench.length {
        database.execute_batch("BEGIN")?;
        for row in done..done + i64::from(rows) {
            insert.execute((row % 100, row, row % 100, row, &text))?;
        }
        database.execute_batch("COMMIT")?;
        done += i64::from(rows);
    }
    Ok(done as f64 / began.elapsed().as_secs_f64())
}

/// Syncs a second of a file that grows by one page each time.
pub(crate) fn bare_syncs(bench: &Bench) -> Result<f64> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let file = fs::File::create(folder.path().join("bare"))?;
    let began = Instant::now();
    let mut done: u64 = 0;
    while began.elapsed() < bench.length {
        file.write_all_at(&[7; 4096], done * 4096)?;
        file.sync_data()?;
        done += 1;
    }
    Ok(done as f64 / began.elapsed().as_secs_f64())
}
