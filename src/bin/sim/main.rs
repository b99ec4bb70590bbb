//! Plays the simulated world from a terminal: `hobnob-sim run --seeds 0..1000`, `hobnob-sim replay FILE`.

#[cfg(feature = "planted")]
mod exam;

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use hobnob::sim::coverage::{Coverage, Rare};
use hobnob::sim::minimise::{minimise, shrink};
use hobnob::sim::run::{Plan, Report, Tally, examine, narrate, play};
use hobnob::sim::scenario::Step;
use hobnob::sim::{scenario, twin};

const USAGE: &str = "\
hobnob-sim run    [--seeds A..[B]] [--events N] [--length N] [--jobs J] [--server-only] [--evil] [--rare] [--shares N]
hobnob-sim small  SEED [--length N] [--server-only] [--evil] [--story N]
hobnob-sim replay FILE [--server-only] [--evil] [--story N]
hobnob-sim twin   [--seeds A..B] [--length N]
hobnob-sim exam   [--only NAME] [--seconds N] [--jobs J] [--hints FILE] [--write FILE]

run     plays the scenarios of the seeds, until there were N events if asked; --rare: all rare states must be seen,
        --evil: the server is evil, and does what the scenario says to three clients,
        --shares: each kind of answer must have been judged so often, and all are counted
small   makes the failing scenario of a seed small and prints it as a file
replay  plays a scenario file; --story: and tells the last N lines of what was seen
twin    compares what a blocked user sees with what he would see were the blocker offline
exam    looks for every planted bug (needs the feature `planted`), each for N seconds, and writes the table of them;
        --hints: first where an earlier table found it";

/// Runs spent on making a failure small.
const RUNS: u32 = 2_000;

/// What the command line says.
struct Options {
    command: String,
    subject: Option<String>,
    seeds: Range<u64>,
    length: usize,
    jobs: usize,
    events: u64,
    story: usize,
    seconds: u64,
    /// A table of an earlier exam.
    hints: Option<String>,
    write: Option<String>,
    rare: bool,
    /// Every kind of answer must be judged so often.
    shares: Option<u64>,
    plan: Plan,
}

impl Options {
    /// Some seeds are recorded, to be told again in other chunks.
    fn plan_of(&self, seed: u64) -> Plan {
        Plan { taped: seed.is_multiple_of(16), ..self.plan }
    }

    fn steps_of(&self, seed: u64) -> Vec<Step> {
        let from_seed = if self.plan.evil { scenario::of_evil } else { scenario::from_seed };
        from_seed(seed, self.length)
    }
}

fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match options.command.as_str() {
        "run" => run(&options),
        "small" => small(&options),
        "replay" => replay(&options),
        "twin" => twins(&options),
        "exam" => take_exam(&options),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn options(mut words: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options {
        command: words.next()?,
        subject: None,
        seeds: 0..1_000,
        length: 1_000,
        jobs: 1,
        events: u64::MAX,
        story: 0,
        seconds: 60,
        hints: None,
        write: None,
        rare: false,
        shares: None,
        plan: Plan::default(),
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seeds" => {
                let range = words.next()?;
                let (from, upto) = range.split_once("..")?;
                let upto = if upto.is_empty() { u64::MAX } else { upto.parse().ok()? };
                options.seeds = from.parse().ok()?..upto;
            }
            "--length" => options.length = words.next()?.parse().ok()?,
            "--jobs" => options.jobs = words.next()?.parse().ok()?,
            "--events" => options.events = words.next()?.parse().ok()?,
            "--story" => options.story = words.next()?.parse().ok()?,
            "--seconds" => options.seconds = words.next()?.parse().ok()?,
            "--hints" => options.hints = Some(words.next()?),
            "--write" => options.write = Some(words.next()?),
            "--only" => options.subject = Some(words.next()?),
            "--server-only" => options.plan.server_only = true,
            "--evil" => options.plan.evil = true,
            "--rare" => options.rare = true,
            "--shares" => options.shares = Some(words.next()?.parse().ok()?),
            _ if options.subject.is_none() && !word.starts_with('-') => options.subject = Some(word),
            _ => return None,
        }
    }
    Some(options)
}

/// What all runs came to.
#[derive(Default)]
struct Total {
    passed: u64,
    failed: BTreeMap<String, Vec<u64>>,
    events: u64,
    cpu_nanos: u64,
    coverage: Coverage,
    tally: Tally,
    /// Steps by kind.
    steps: BTreeMap<&'static str, u64>,
}

impl Total {
    fn add(&mut self, seed: u64, steps: &[Step], report: &Report) {
        for step in steps {
            *self.steps.entry(step.kind.as_str()).or_default() += 1;
        }
        self.events += report.events;
        self.coverage.add(&report.coverage);
        self.tally.add(&report.tally);
        match &report.broken {
            None => self.passed += 1,
            Some((step, violation)) => {
                println!("seed {seed}, step {step}: {}: {}", violation.rule, violation.detail);
                self.failed.entry(violation.rule.to_owned()).or_default().push(seed);
            }
        }
    }
}

fn run(options: &Options) -> ExitCode {
    let start = Instant::now();
    let next = AtomicU64::new(options.seeds.start);
    let total = Mutex::new(Total::default());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| work(options, &next, &total));
        }
    });
    let Ok(total) = total.into_inner() else { return ExitCode::FAILURE };
    let failed: usize = total.failed.values().map(Vec::len).sum();
    let per_minute = total.events as f64 * 60e3 / total.cpu_nanos.max(1) as f64;
    println!(
        "{} events of seeds {}..{} in {:.1} s, {per_minute:.1} million a minute and core",
        total.events,
        options.seeds.start,
        options.seeds.start + total.passed + failed as u64,
        start.elapsed().as_secs_f64()
    );
    for (rule, seeds) in &total.failed {
        println!("{rule}: {} seeds, such as {:?}", seeds.len(), &seeds[..seeds.len().min(5)]);
    }
    let missing = options.rare && !tell_rare(&total.coverage, options.plan.evil);
    let thin = options.shares.is_some_and(|least| {
        tell_mix(&total.steps);
        !tell_shares(&total.tally, least)
    });
    println!("{} passed, {failed} failed", total.passed);
    if failed > 0 || missing || thin { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn work(options: &Options, next: &AtomicU64, total: &Mutex<Total>) {
    let before = cpu_nanos();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let enough = total.lock().is_ok_and(|total| total.events >= options.events);
        if seed >= options.seeds.end || enough {
            break;
        }
        let steps = options.steps_of(seed);
        let play = || examine(&steps, options.plan_of(seed), seed % 16 == 1);
        let Ok(report) = std::panic::catch_unwind(play) else {
            println!("seed {seed} panicked");
            if let Ok(mut total) = total.lock() {
                total.failed.entry("no assertion fails".to_owned()).or_default().push(seed);
            }
            continue;
        };
        if let Ok(mut total) = total.lock() {
            total.add(seed, &steps, &report);
        }
    }
    if let Ok(mut total) = total.lock() {
        total.cpu_nanos += cpu_nanos() - before;
    }
}

/// Processor time of this thread where the system tells it, else time since the start.
fn cpu_nanos() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_cpu = stat.and_then(|stat| stat.split(' ').next()?.parse().ok());
    let wall = || START.get_or_init(Instant::now).elapsed().as_nanos();
    on_cpu.unwrap_or_else(|| u64::try_from(wall()).unwrap_or(u64::MAX))
}

/// Steps of each kind in 10,000, when answers were first counted.
const MIX_BEFORE: &str = include_str!("mix_before.txt");

/// Prints the mix of commands and faults, beside what it was when answers were first counted.
fn tell_mix(steps: &BTreeMap<&'static str, u64>) {
    let all: u64 = steps.values().sum::<u64>().max(1);
    let before: BTreeMap<&str, &str> = MIX_BEFORE.lines().filter_map(|line| line.split_once(' ')).collect();
    println!("steps in 10,000, and before");
    for (kind, count) in steps {
        println!("{:8} {:>8}  {kind}", count * 10_000 / all, before.get(kind).unwrap_or(&"-"));
    }
}

/// Prints how much of each kind was judged; false if it was less than `least` of one.
fn tell_shares(tally: &Tally, least: u64) -> bool {
    let (lines, rare) = tally.table(least);
    lines.iter().for_each(|line| println!("{line}"));
    if !rare.is_empty() {
        println!("fewer than {least}: {}", rare.join(", "));
    }
    rare.is_empty()
}

/// Prints the table of rare states, of an evil server or of the others; false if one was never seen.
fn tell_rare(coverage: &Coverage, evil: bool) -> bool {
    for &rare in Rare::ALL.iter().filter(|rare| rare.is_evil() == evil) {
        println!("{:10}  {rare}", coverage.count(rare));
    }
    let missing: Vec<&str> = coverage.missing(evil).map(Rare::as_str).collect();
    if !missing.is_empty() {
        println!("never seen: {}", missing.join(", "));
    }
    missing.is_empty()
}

fn small(options: &Options) -> ExitCode {
    let Some(seed) = options.subject.as_ref().and_then(|seed| seed.parse().ok()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let steps = options.steps_of(seed);
    let plan = options.plan_of(seed);
    if panics(&steps, plan) {
        return small_panic(steps, plan);
    }
    let Some(small) = minimise(&steps, plan, RUNS) else {
        println!("seed {seed} breaks no rule when it is played once");
        return ExitCode::SUCCESS;
    };
    if let Some((_, violation)) = &small.report.broken {
        println!("# {}: {}", violation.rule, violation.detail);
    }
    println!("# seed {seed}, {} steps, made small in {} runs", small.steps.len(), small.runs);
    print!("{}", scenario::print(&small.steps));
    tell_story(&small.steps, options);
    ExitCode::FAILURE
}

/// Whether an assertion of what is simulated fails.
fn panics(steps: &[scenario::Step], plan: Plan) -> bool {
    std::panic::catch_unwind(|| play(steps, plan)).is_err()
}

fn small_panic(mut steps: Vec<scenario::Step>, plan: Plan) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    shrink(&mut steps, |fewer| panics(fewer, plan).then_some(fewer.len()));
    let _ = std::panic::take_hook();
    println!("# an assertion fails in {} steps", steps.len());
    print!("{}", scenario::print(&steps));
    ExitCode::FAILURE
}

fn replay(options: &Options) -> ExitCode {
    let file = options.subject.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    let Some(file) = file else {
        eprintln!("a scenario file that can be read is needed");
        return ExitCode::from(2);
    };
    match scenario::parse(&file) {
        Ok(steps) => tell_story(&steps, options),
        Err(line) => {
            eprintln!("line {} is no step", line.0);
            ExitCode::from(2)
        }
    }
}

fn tell_story(steps: &[scenario::Step], options: &Options) -> ExitCode {
    let (report, story) = narrate(steps, options.plan);
    for line in &story[story.len().saturating_sub(options.story)..] {
        println!("{line}");
    }
    match report.broken {
        None => {
            println!("{} events, no rule is broken", report.events);
            ExitCode::SUCCESS
        }
        Some((step, violation)) => {
            println!("step {step}: {}: {}", violation.rule, violation.detail);
            ExitCode::FAILURE
        }
    }
}

fn twins(options: &Options) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for seed in options.seeds.clone() {
        match twin::compare(seed, options.length) {
            Ok(()) => passed += 1,
            Err(difference) => {
                failed += 1;
                println!("seed {seed}: blocked {:?}, offline {:?}", difference.blocked, difference.offline);
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[cfg(feature = "planted")]
fn take_exam(options: &Options) -> ExitCode {
    exam::take(options)
}

#[cfg(not(feature = "planted"))]
fn take_exam(_: &Options) -> ExitCode {
    eprintln!("the exam needs the feature `planted`");
    ExitCode::from(2)
}
