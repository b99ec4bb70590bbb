//! The figures, part by part. Figures to be compared are measured in turns, because the machine drifts.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use super::Bench;
use super::broadcast::Audience;
use super::members::Members;
use super::pairs::{Pairs, Run, histogram};
use super::program::Program;
use super::stored::{Pace, Storers, bare_commits, bare_syncs, run_stored};
use super::table::{Row, Table, Target, median};
use super::{million, recorded, resume, tls};

/// Pairs at a time.
pub(super) const PAIRS: usize = 50;
/// Messages of a pair under way when they come in batches.
pub(super) const BATCH: u64 = 64;
/// Receivers of a broadcast.
const RECEIVERS: usize = 1_000;
/// Senders whose recipients are offline.
const STORERS: u8 = 100;
/// Between two messages at 5,000 a second.
const GAP: Duration = Duration::from_micros(200);

/// A name for the command line, what it is, and how it is measured.
pub(crate) type Part = (&'static str, &'static str, fn(&Bench, &mut Table) -> Result<()>);

pub(crate) const PARTS: &[Part] = &[
    ("yardstick", "the bare relay held against a plain copy", yardstick),
    ("single", "one at a time, 50 pairs, without and beside idle sessions", single),
    ("prices", "one at a time, 50 pairs, with prices as they are by default and lifted", prices),
    ("recorded", "one at a time and batched, 50 pairs, with a recording and without", recorded::measure),
    ("batched", "50 pairs, 64 under way each", batched),
    ("broadcast", "to 1,000 receivers", broadcast),
    ("latency", "at 5,000 messages a second", latency),
    ("stored", "100 senders, recipients offline", stored),
    ("beside", "one at a time beside 100 senders who store", beside),
    ("idle", "memory and CPU of idle sessions", idle),
    ("resume", "sessions resumed by token", resumed),
    ("tls", "with TLS, beside a bare TLS relay", tls::measure),
    ("million", "1,000,000 messages through one pair, each checked", a_million),
];

pub(super) fn rate(runs: &[Run]) -> f64 {
    median(runs.iter().map(Run::thousands_a_second).collect())
}

pub(super) fn cpu(runs: &[Run]) -> f64 {
    median(runs.iter().map(Run::cpu_a_million).collect())
}

/// One pair, so that the copy's threads need not take turns.
fn yardstick(bench: &Bench, table: &mut Table) -> Result<()> {
    let (bare, copy) = (Program::bare(bench)?, Program::copy(bench)?);
    let mut over_relay = Pairs::of_yardstick(&bare, 1)?;
    let mut over_copy = Pairs::of_yardstick(&copy, 1)?;
    for (name, under_way) in [("one at a time", 1), ("many at a time", 16 * BATCH)] {
        let (mut relayed, mut copied) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds {
            relayed.push(over_relay.run(&bare, under_way, bench.length)?);
            copied.push(over_copy.run(&copy, under_way, bench.length)?);
        }
        let name = format!("bare itself, one pair, {name}, beside a plain copy");
        table.add(Row::ratio(name, "k/s", rate(&relayed), rate(&copied), Target::AtLeast(0.8, 0.9)));
    }
    Ok(())
}

fn single(bench: &Bench, table: &mut Table) -> Result<()> {
    let idle = bench.idle;
    let bare = Program::bare(bench)?;
    let (server, crowded) = (Program::server(bench, 2 * PAIRS)?, Program::server(bench, 2 * PAIRS + idle)?);
    let mut over_bare = Pairs::of_yardstick(&bare, PAIRS)?;
    let mut alone = Pairs::of_server(&server, PAIRS, 0)?;
    let mut crowd = Members::log_in(&crowded, 2 * PAIRS..2 * PAIRS + idle)?;
    let mut amid = Pairs::of_server(&crowded, PAIRS, 0)?;
    crowd.settle()?;
    let (mut bares, mut alones, mut amids) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        bares.push(over_bare.run(&bare, 1, bench.length)?);
        alones.push(alone.run(&server, 1, bench.length)?);
        amids.push(amid.run(&crowded, 1, bench.length)?);
    }
    let target = Target::AtLeast(0.75, 0.9);
    table.add(Row::ratio("one at a time, beside bare", "k/s", rate(&alones), rate(&bares), target));
    let target = Target::AtMost(1.6, 1.6);
    table.add(Row::ratio("  CPU, beside bare", "s/M", cpu(&alones), cpu(&bares), target));
    let name = format!("one at a time with {idle} idle, beside our own without");
    // The aim is meant for 10,000.
    let target = Target::AtLeast(0.9, 0.95);
    table.add(Row::ratio(name, "k/s", rate(&amids), rate(&alones), target));
    Ok(())
}

/// Two servers with prices lifted show what difference is noise.
fn prices(bench: &Bench, table: &mut Table) -> Result<()> {
    let priced = Program::server_with_prices(bench, 2 * PAIRS)?;
    let (lifted, again) = (Program::server(bench, 2 * PAIRS)?, Program::server(bench, 2 * PAIRS)?);
    let mut servers = Vec::new();
    for server in [&priced, &lifted, &again] {
        servers.push((server, Pairs::of_server(server, PAIRS, 0)?, Vec::new()));
    }
    for round in 0..2 * bench.rounds {
        // Nobody is always the first.
        for turn in 0..servers.len() {
            let at = (round + turn) % servers.len();
            let (server, pairs, runs) = &mut servers[at];
            runs.push(pairs.run(server, 1, bench.length)?);
        }
    }
    let [priced, lifted, again] = [0, 1, 2].map(|at| &servers[at].2);
    let name = "one at a time with default prices, beside lifted";
    table.add(Row::ratio(name, "k/s", rate(priced), rate(lifted), Target::AtLeast(0.9, 0.95)));
    table.add(Row::ratio("  CPU", "s/M", cpu(priced), cpu(lifted), Target::AtMost(1.1, 1.05)));
    let name = "the same lifted twice: noise";
    table.add(Row::ratio(name, "k/s", rate(again), rate(lifted), Target::None));
    table.add(Row::ratio("  CPU", "s/M", cpu(again), cpu(lifted), Target::None));
    Ok(())
}

fn batched(bench: &Bench, table: &mut Table) -> Result<()> {
    let (bare, server) = (Program::bare(bench)?, Program::server(bench, 2 * PAIRS)?);
    let mut over_bare = Pairs::of_yardstick(&bare, PAIRS)?;
    let mut ours = Pairs::of_server(&server, PAIRS, 0)?;
    let (mut bares, mut runs) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        bares.push(over_bare.run(&bare, BATCH, bench.length)?);
        runs.push(ours.run(&server, BATCH, bench.length)?);
    }
    let target = Target::AtLeast(0.12, 0.25);
    table.add(Row::ratio("batched, beside bare", "k/s", rate(&runs), rate(&bares), target));
    table.add(Row::alone("  CPU", "s/M", cpu(&runs), Target::AtMost(1.0, 0.5)).beside(cpu(&bares)));
    Ok(())
}

fn broadcast(bench: &Bench, table: &mut Table) -> Result<()> {
    let (bare, server) = (Program::bare(bench)?, Program::server(bench, RECEIVERS + 1)?);
    let mut over_bare = Audience::of_yardstick(&bare, RECEIVERS)?;
    let mut ours = Audience::of_server(&server, RECEIVERS)?;
    let (mut bares, mut runs) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        bares.push(over_bare.run(&bare, bench.length)?);
        runs.push(ours.run(&server, bench.length)?);
    }
    // The best of the others, Redis, reached 0.52.
    let target = Target::AtLeast(0.52, 0.75);
    table.add(Row::ratio("broadcast to 1,000, beside bare", "k/s", rate(&runs), rate(&bares), target));
    table.add(Row::alone("  CPU", "s/M", cpu(&runs), Target::None).beside(cpu(&bares)));
    Ok(())
}

fn latency(bench: &Bench, table: &mut Table) -> Result<()> {
    let (bare, server) = (Program::bare(bench)?, Program::server(bench, 2 * PAIRS)?);
    let mut over_bare = Pairs::of_yardstick(&bare, PAIRS)?;
    let mut ours = Pairs::of_server(&server, PAIRS, 0)?;
    let (mut bare_quantiles, mut quantiles) = (Quantiles::default(), Quantiles::default());
    for _ in 0..bench.rounds {
        let mut times = histogram()?;
        over_bare.run_paced(&bare, GAP, bench.length, &mut times)?;
        bare_quantiles.add(&times);
        let mut times = histogram()?;
        ours.run_paced(&server, GAP, bench.length, &mut times)?;
        quantiles.add(&times);
    }
    let (p50, p99) = quantiles.middle();
    let (bare_p50, bare_p99) = bare_quantiles.middle();
    table.add(Row::ratio(
        "latency at 5,000/s, p50, beside bare",
        "µs",
        p50,
        bare_p50,
        Target::AtMost(1.5, 1.2),
    ));
    table.add(Row::ratio("  p99, beside bare", "µs", p99, bare_p99, Target::AtMost(2.0, 1.3)));
    Ok(())
}

fn stored(bench: &Bench, table: &mut Table) -> Result<()> {
    let syncs = bare_syncs(bench)?;
    table.add(Row::alone("bare loop of writes of 4 KiB and fdatasync", "k/s", syncs / 1e3, Target::None));
    for (under_way, target, patience) in [
        (1, Target::None, Target::None),
        (8, Target::AtLeast(50.0, 150.0), Target::AtMost(15.0, 15.0)),
        (32, Target::None, Target::None),
    ] {
        let (mut bares, mut runs, mut p99s) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..bench.rounds {
            bares.push(bare_commits(bench, u32::from(STORERS) * under_way)? / 1e3);
            let (run, times) = run_stored(bench, STORERS.into(), under_way.into())?;
            runs.push(run);
            p99s.push(times.value_at_quantile(0.99) as f64 / 1e6);
        }
        let name = format!("stored, 100 senders, {under_way} under way each, beside SQLite");
        table.add(Row::alone(name, "k/s", rate(&runs), target).beside(median(bares)));
        table.add(Row::alone("  confirmation p99", "ms", median(p99s), patience));
        table.add(Row::alone("  CPU", "s/M", cpu(&runs), Target::None));
    }
    Ok(())
}

fn beside(bench: &Bench, table: &mut Table) -> Result<()> {
    let server = Program::server(bench, 2 * PAIRS + 2 * usize::from(STORERS))?;
    let mut pairs = Pairs::of_server(&server, PAIRS, 0)?;
    let mut storers = Storers::log_in(&server, STORERS.into(), 2 * PAIRS)?;
    pairs.settle()?;
    let mut alone = (Vec::new(), Quantiles::default());
    // 5,000 a second in all, as much as a busy evening; then as fast as the disk takes it.
    let paces = [Pace::Every { gap: GAP, due: Instant::now(), turn: 0 }, Pace::Answered(1)];
    let mut with = paces.map(|pace| (pace, Vec::new(), Quantiles::default(), Vec::new()));
    for _ in 0..bench.rounds {
        let mut times = histogram()?;
        alone.0.push(pairs.run_beside(&server, 1, bench.length, Some(&mut times), None)?);
        alone.1.add(&times);
        for (pace, runs, quantiles, stored) in &mut with {
            let mut times = histogram()?;
            storers.set_pace(*pace);
            storers.take_times();
            runs.push(pairs.run_beside(&server, 1, bench.length, Some(&mut times), Some(&mut storers))?);
            quantiles.add(&times);
            stored.push(storers.take_times().len() as f64 / bench.length.as_secs_f64() / 1.1e3);
        }
    }
    let (_, p99) = alone.1.middle();
    let [(_, runs, paced, _), (_, flat_out, quantiles, stored)] = with;
    let target = Target::AtLeast(0.7, 0.9);
    let name = "one at a time beside 5,000 stored/s, and without";
    table.add(Row::ratio(name, "k/s", rate(&runs), rate(&alone.0), target));
    table.add(Row::ratio("  p99, and without", "µs", paced.middle().1, p99, Target::AtMost(3.0, 1.5)));
    let name = format!("one at a time beside {:.0}k stored/s (flat out)", median(stored));
    table.add(Row::ratio(name, "k/s", rate(&flat_out), rate(&alone.0), Target::None));
    table.add(Row::ratio("  p99, and without", "µs", quantiles.middle().1, p99, Target::None));
    Ok(())
}

fn idle(bench: &Bench, table: &mut Table) -> Result<()> {
    let sessions = bench.idle_memory;
    let server = Program::server(bench, sessions)?;
    let empty = server.memory_kib()?;
    let began = Instant::now();
    let mut members = Members::log_in(&server, 0..sessions)?;
    let login_rate = sessions as f64 / began.elapsed().as_secs_f64();
    let grown = server.memory_kib()?.saturating_sub(empty);
    let name = format!("memory an idle session, of {sessions}");
    table.add(Row::alone(name, "KiB", grown as f64 / sessions as f64, Target::AtMost(3.0, 2.0)));
    let (began, cpu) = (Instant::now(), server.cpu_time()?);
    std::thread::sleep(bench.length * 4);
    let used = (server.cpu_time()? - cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    members.settle()?;
    let name = format!("CPU of {sessions} idle sessions, of a core");
    table.add(Row::alone(name, "%", used * 100.0, Target::AtMost(0.1, 0.01)));
    table.add(Row::alone("  their logins, everybody told of each", "/s", login_rate, Target::None));
    Ok(())
}

fn resumed(bench: &Bench, table: &mut Table) -> Result<()> {
    let mut runs = Vec::new();
    for _ in 0..bench.rounds {
        let server = Program::server(bench, RECEIVERS)?;
        runs.push(resume::run(&server, RECEIVERS, bench.length)?);
    }
    let target = Target::AtLeast(10.0, 25.0);
    table.add(Row::alone("sessions resumed by token, 64 at once", "k/s", rate(&runs), target));
    table.add(Row::alone("  CPU", "s/M", cpu(&runs), Target::None));
    Ok(())
}

fn a_million(bench: &Bench, table: &mut Table) -> Result<()> {
    let server = Program::server(bench, 2)?;
    let took = million::run(&server).context("a million messages through one pair")?;
    let rate = million::MESSAGES as f64 / took.as_secs_f64() / 1e3;
    let name = "1,000,000 through one pair, all there, in order, own text";
    table.add(Row::alone(name, "k/s", rate, Target::AtLeast(0.0, 0.0)));
    Ok(())
}

/// The middle of the quantiles of several runs, in microseconds.
#[derive(Default)]
struct Quantiles {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Quantiles {
    fn add(&mut self, times: &Histogram<u64>) {
        self.p50.push(times.value_at_quantile(0.5) as f64 / 1e3);
        self.p99.push(times.value_at_quantile(0.99) as f64 / 1e3);
    }

    fn middle(&self) -> (f64, f64) {
        (median(self.p50.clone()), median(self.p99.clone()))
    }
}
