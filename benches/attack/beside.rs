//! Honest users without an attacker and beside one, in turns on the same server.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::Suite;
use super::apart::Apart;
use super::attacker::{Attacker, Facts};
use super::gauge::{Gauge, Usage, resident_kib};
use super::honest::{Latencies, Pair, Visited, Visitor};
use super::machine::Cores;
use super::stage::Stage;
use super::table::Outcome;
use super::talk::host;

/// From one login of an honest user to the next.
const VISIT_EVERY: Duration = Duration::from_millis(250);
/// From the end of an attack to the next control.
const SETTLE: Duration = Duration::from_millis(500);
/// Memory that is not worth a word: an allocator's noise.
const NOISE_KIB: u64 = 1_024;

/// Which attack, and who is beside it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attack<'a> {
    pub(crate) name: &'a str,
    pub(crate) words: &'a [&'a str],
    /// How many attackers of this kind; the number of each is its first word.
    pub(crate) attackers: u8,
    /// Whether honest users log in meanwhile, from addresses that were in before.
    pub(crate) logins: bool,
    /// Whether others log in meanwhile, each time from an address that was not.
    pub(crate) newcomers: bool,
    /// How long one run of it takes in the full suite.
    pub(crate) secs: u64,
    /// Whether the server is busy with it all the time: it has a core for itself, with the attack and without.
    pub(crate) fills_core: bool,
}

impl<'a> Attack<'a> {
    pub(crate) fn new(name: &'a str) -> Attack<'a> {
        Attack { name, words: &[], attackers: 1, logins: false, newcomers: false, secs: 4, fills_core: false }
    }
}

/// The figures of all runs.
#[derive(Debug)]
pub(crate) struct Beside {
    controls: Vec<Latencies>,
    attacked: Vec<Latencies>,
    pub(crate) control_logins: Logins,
    pub(crate) logins: Logins,
    /// Of the last run.
    pub(crate) facts: Vec<Facts>,
    pub(crate) usage: Usage,
    control_cpu: f64,
    pub(crate) control_files: usize,
    before_kib: u64,
    after_kib: u64,
}

/// Logins of honest users: what kind, and how long they took.
pub(crate) type Logins = Vec<(&'static str, Visited)>;

impl Beside {
    /// Runs the pair alone and beside the attack, three times in turns.
    pub(crate) fn run(suite: &Suite, stage: &Stage, attack: Attack<'_>) -> Result<Beside> {
        let _apart = attack.fills_core.then(|| Apart::begin(stage.process())).transpose()?;
        let mut pair = Pair::open(stage)?;
        let (control, length) = suite.lengths(attack.secs);
        pair.run(control / 2)?;
        let mut beside = Beside {
            controls: Vec::new(),
            attacked: Vec::new(),
            control_logins: Logins::new(),
            logins: Logins::new(),
            facts: Vec::new(),
            usage: Usage::default(),
            control_cpu: 0.0,
            control_files: 0,
            before_kib: 0,
            after_kib: 0,
        };
        for round in 0..suite.rounds() {
            let gauge = Gauge::start(stage.process())?;
            let visitors = Visitors::start(stage, attack)?;
            beside.controls.push(talk(&mut pair, attack, control)?);
            visitors.finish(&mut beside.control_logins)?;
            let usage = gauge.finish()?;
            beside.control_cpu = usage.cpu_secs / control.as_secs_f64();
            if round == 0 {
                beside.before_kib = resident_kib(stage.process())?;
                beside.control_files = usage.files;
            }
            beside.attack(stage, &mut pair, attack, length)?;
            if beside.cut().is_some() {
                break;
            }
            // What the attack has left is no part of the next control.
            thread::sleep(SETTLE);
        }
        thread::sleep(suite.rest());
        beside.after_kib = resident_kib(stage.process())?;
        Ok(beside)
    }

    fn attack(&mut self, stage: &Stage, pair: &mut Pair, attack: Attack<'_>, length: Duration) -> Result<()> {
        let gauge = Gauge::start(stage.process())?;
        let visitors = Visitors::start(stage, attack)?;
        let mut attackers = Vec::new();
        for number in 0..attack.attackers {
            let number = number.to_string();
            let words: Vec<&str> =
                std::iter::once(number.as_str()).chain(attack.words.iter().copied()).collect();
            attackers.push(Attacker::start(attack.name, stage.address, length, &words)?);
        }
        self.attacked.push(talk(pair, attack, length)?);
        self.facts = attackers.into_iter().map(Attacker::finish).collect::<Result<_>>()?;
        visitors.finish(&mut self.logins)?;
        let usage = gauge.finish()?;
        self.usage = Usage {
            cpu_secs: usage.cpu_secs / length.as_secs_f64(),
            peak_kib: self.usage.peak_kib.max(usage.peak_kib),
            files: self.usage.files.max(usage.files),
        };
        Ok(())
    }

    /// A figure of all attackers of the last run together.
    pub(crate) fn fact(&self, name: &str) -> u64 {
        self.facts.iter().filter_map(|facts| facts.get(name)).sum()
    }

    fn cut(&self) -> Option<&str> {
        self.attacked.iter().find_map(|latencies| latencies.cut.as_deref())
    }

    /// The honest pair kept its links.
    pub(crate) fn judge_links<'o>(&self, outcome: &'o mut Outcome) -> &'o mut Outcome {
        let told: u64 = self.attacked.iter().map(Latencies::count).sum();
        let cut = self.cut();
        let seen = cut.map_or_else(|| format!("talked on, {told} messages"), str::to_owned);
        outcome.check("honest pair", seen, "talks on", cut.is_none())
    }

    /// p50 at most half as much again.
    pub(crate) fn judge_median<'o>(&self, outcome: &'o mut Outcome) -> &'o mut Outcome {
        let (control, seen) = (median(&self.controls, 0.5), median(&self.attacked, 0.5));
        let holds = seen <= 1.5 * control;
        outcome.beside("p50", show_ms(control), show_ms(seen), format!("≤ {}", show_ms(1.5 * control)), holds)
    }

    /// p99 at most double, or 2 ms more; the median of the runs. The worst is shown beside it.
    pub(crate) fn judge_p99<'o>(&self, outcome: &'o mut Outcome) -> &'o mut Outcome {
        judge_p99(outcome, &self.controls, &self.attacked)
    }

    /// p99, for information.
    pub(crate) fn show_p99<'o>(&self, outcome: &'o mut Outcome) -> &'o mut Outcome {
        let (control, seen) = (median(&self.controls, 0.99), median(&self.attacked, 0.99));
        outcome.beside("p99", show_ms(control), show_ms(seen), "shown", true)
    }

    /// The peak at most so many MiB above, and all of it given back but a tenth.
    pub(crate) fn judge_memory<'o>(
        &self,
        outcome: &'o mut Outcome,
        more_mib: Option<u64>,
    ) -> &'o mut Outcome {
        let before = self.before_kib;
        if let Some(more) = more_mib {
            let limit = before + more * 1_024;
            let (peak, holds) = (self.usage.peak_kib, self.usage.peak_kib <= limit);
            outcome.beside("RSS, peak", show_kib(before), show_kib(peak), format!("+ {more} MiB"), holds);
        }
        judge_rest(outcome, "RSS", before, self.after_kib)
    }

    /// CPU and files, for information: they hold in any case.
    pub(crate) fn show_usage<'o>(&self, outcome: &'o mut Outcome) -> &'o mut Outcome {
        let show = |cores: f64| format!("{cores:.2} cores");
        outcome.beside("CPU", show(self.control_cpu), show(self.usage.cpu_secs), "shown", true);
        outcome.check("open files", self.usage.files, "shown", true)
    }

    /// Logins by password and by token within so many seconds.
    pub(crate) fn judge_logins<'o>(
        &self,
        outcome: &'o mut Outcome,
        secs: f64,
        share: f64,
    ) -> &'o mut Outcome {
        for ((what, control), (_, seen)) in self.control_logins.iter().zip(&self.logins) {
            let limit = format!("{:.0} % ≤ {secs} s", 100.0 * share);
            outcome.beside(what, control.show(secs), seen.show(secs), limit, seen.holds(secs, share));
        }
        outcome
    }
}

/// The pair talks for so long; beside a server that is busy all the time on the attackers' core, which yields. On the
/// server's it would take turns with the server, which users elsewhere do not: where the system had put it there, p99
/// beside 30,000 connections a second was 3 ms, not 1 ms.
fn talk(pair: &mut Pair, attack: Attack<'_>, length: Duration) -> Result<Latencies> {
    if !attack.fills_core {
        return pair.run(length);
    }
    let mut cores = CpuSet::new();
    cores.set(Cores::pick()?.load);
    thread::scope(|scope| {
        let talking = scope.spawn(|| {
            sched_setaffinity(None, &cores)?;
            pair.run(length)
        });
        talking.join().ok().context("the pair broke")?
    })
}

/// Those who log in meanwhile.
struct Visitors(Vec<(&'static str, Visitor)>);

impl Visitors {
    fn start(stage: &Stage, attack: Attack<'_>) -> Result<Visitors> {
        let times = (Duration::ZERO, VISIT_EVERY);
        let mut list = Vec::new();
        if attack.logins {
            list.push(("login by password", Visitor::by_password(stage, "v1", times, |_| host(1, 4))?));
            list.push(("login by token", Visitor::by_token(stage, "t1", times, |_| host(1, 3))?));
        }
        if attack.newcomers {
            let by_password = Visitor::by_password(stage, "v2", times, |_| newcomer(3))?;
            list.push(("login by password from a new address", by_password));
            let by_token = Visitor::by_token(stage, "v3", times, |_| newcomer(5))?;
            list.push(("login by token from a new address", by_token));
        }
        Ok(Visitors(list))
    }

    fn finish(self, logins: &mut Logins) -> Result<()> {
        for (at, (what, visitor)) in self.0.into_iter().enumerate() {
            let seen = visitor.finish()?;
            match logins.get_mut(at) {
                Some((_, all)) => all.seconds.extend(seen.seconds),
                None => logins.push((what, seen)),
            }
        }
        Ok(())
    }
}

/// An address of this street in which nobody was before, or not for 250 times.
fn newcomer(street: u8) -> Ipv4Addr {
    static LAST: AtomicU8 = AtomicU8::new(0);
    host(street, LAST.fetch_add(1, Ordering::Relaxed))
}

/// The memory some seconds after an attack, in KiB: at most a tenth more than before.
pub(crate) fn judge_rest<'o>(
    outcome: &'o mut Outcome,
    what: &str,
    before: u64,
    after: u64,
) -> &'o mut Outcome {
    let limit = (before + before / 10).max(before + NOISE_KIB);
    let what = format!("{what}, afterwards");
    outcome.beside(&what, show_kib(before), show_kib(after), "+ 10 % or 1 MiB", after <= limit)
}

/// p99 at most double, or 2 ms more; the median of the runs. The worst is shown beside it.
pub(crate) fn judge_p99<'o>(
    outcome: &'o mut Outcome,
    controls: &[Latencies],
    attacked: &[Latencies],
) -> &'o mut Outcome {
    let (control, seen) = (median(controls, 0.99), median(attacked, 0.99));
    let limit = (2.0 * control).max(control + 2.0);
    let worst = |runs: &[Latencies]| runs.iter().map(Latencies::worst).fold(0.0, f64::max);
    let show = |p99, runs| format!("{} (worst {})", show_ms(p99), show_ms(worst(runs)));
    let (without, under) = (show(control, controls), show(seen, attacked));
    outcome.beside("p99", without, under, format!("≤ {}", show_ms(limit)), seen <= limit)
}

/// The median over the runs of a quantile, in milliseconds.
fn median(runs: &[Latencies], quantile: f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(|run| run.quantile(quantile)).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::INFINITY)
}

pub(crate) fn show_ms(ms: f64) -> String {
    format!("{ms:.2} ms")
}

/// In MiB.
pub(crate) fn show_kib(kib: u64) -> String {
    format!("{}.{} MiB", kib / 1_024, kib % 1_024 * 10 / 1_024)
}
