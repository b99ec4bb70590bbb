//! Attacks the real programs from outside, beside honest users, and holds each figure against what it must be.
//!
//! ```text
//! cargo bench --bench attack                    every attack
//! cargo bench --bench attack -- --quick blocks  one of them, one short run
//! cargo bench --bench attack -- --list          their names
//! cargo bench --bench attack -- --write docs/attacks.md
//! ATTACKED_SERVER=PATH ATTACKED_CLIENT=PATH cargo bench --bench attack   other builds of the programs
//! ```
//!
//! Everything runs in a separate network namespace with the addresses 10.77.0.0/16, because connections from
//! the loopback are exempt from some limits; where none can be made the rows that need one are skipped. Each row
//! is a process with a time limit. The attacker is a further process on one core and yields to honest users
//! there. Where an attack fills both cores the server has the other for itself, and neither core falls asleep, also in
//! the control. The control runs with the same honest users on the same server, in turns with the attack.

mod apart;
mod attacker;
mod beside;
mod client;
mod crowd;
mod gauge;
mod honest;
#[path = "../relay/machine.rs"]
#[expect(dead_code, reason = "the benchmark of the relay uses the rest")]
mod machine;
mod namespace;
mod rows;
mod stage;
mod table;
mod talk;
#[path = "../relay/wire.rs"]
mod wire;

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use self::rows::{ROWS, Row};
use self::table::{Check, Line, Outcome, Verdict};

/// The time limit of all rows together. A row for which no time is left fails.
const SUITE: Duration = Duration::from_secs(12 * 60);

/// Files of a row with a crowd, and some more.
const FILES: u64 = 12_000;

/// How long and where.
#[derive(Debug)]
pub(crate) struct Suite {
    /// Where folders of one row are made.
    pub(crate) folder: PathBuf,
    pub(crate) quick: bool,
}

impl Suite {
    /// Of the control and of one run of an attack that takes so many seconds.
    pub(crate) fn lengths(&self, secs: u64) -> (Duration, Duration) {
        if self.quick {
            (Duration::from_secs(1), Duration::from_secs(secs.min(2)))
        } else {
            (Duration::from_secs(2), Duration::from_secs(secs))
        }
    }

    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }

    /// From the attack's end to the last look at the memory.
    pub(crate) fn rest(&self) -> Duration {
        Duration::from_secs(if self.quick { 3 } else { 10 })
    }
}

fn main() -> Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.first().map(String::as_str) {
        Some("--attacker") => attacker::run(&words[1..]).map(|()| ExitCode::SUCCESS),
        Some("--awake") => apart::keep_awake(),
        Some("--row") => row(&words[1..]).map(|()| ExitCode::SUCCESS),
        Some("--inside") => suite(&words[1..]),
        Some("--list") => {
            ROWS.iter().for_each(|row| println!("{:<20} {}", row.name, row.attack));
            Ok(ExitCode::SUCCESS)
        }
        Some(_) | None => {
            chosen(&words)?;
            Ok(namespace::enter(&words))
        }
    }
}

/// The rows that are named; all if none is.
fn chosen(words: &[String]) -> Result<Vec<&'static Row>> {
    let mut rows = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => continue,
            "--write" => {
                words.next().context("--write takes a file")?;
                continue;
            }
            _ => {}
        }
        let Some(row) = ROWS.iter().find(|row| row.name == word) else {
            bail!("no attack is called {word}; --list shows them");
        };
        rows.push(row);
    }
    Ok(if rows.is_empty() { ROWS.iter().collect() } else { rows })
}

/// The process that runs one row after the other.
fn suite(words: &[String]) -> Result<ExitCode> {
    let has = |option: &str| words.iter().any(|word| word == option);
    let folder = tempfile::Builder::new().prefix("attacks").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let load = machine::load_average();
    println!("load of the machine now: {load}");
    let began = Instant::now();
    let mut lines = Vec::new();
    for row in chosen(words)? {
        println!("\n{}: {}", row.name, row.attack);
        let verdict = if row.addresses && !talk::has_addresses() {
            Verdict::Skipped("skipped: no network namespace with addresses could be made".to_owned())
        } else {
            Verdict::Ran(
                judged(row, folder.path(), has("--quick"), began + SUITE)
                    .unwrap_or_else(|error| Outcome::broken(&format!("{error:#}"))),
            )
        };
        if let Verdict::Ran(outcome) = &verdict {
            outcome.checks.iter().for_each(|check| println!("{}", check.show()));
        }
        println!("  {}", verdict.word());
        lines.push(Line { name: row.name, attack: row.attack, verdict });
    }
    println!("\n{}", table::plain(&lines));
    let how = format!(
        "Made in {:.0} s by {} of each attack; load of the machine before {load}, at the end {}.",
        began.elapsed().as_secs_f64(),
        if has("--quick") { "one short run" } else { "three runs" },
        machine::load_average()
    );
    if let Some(at) = words.iter().position(|word| word == "--write") {
        let path = words.get(at + 1).context("--write takes a file")?;
        std::fs::write(path, table::page(&lines, &how))?;
    }
    println!("{how}");
    let failed = lines.iter().filter(|line| line.verdict.word() == "FAILS").count();
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a row in a process, which is killed with all that it has started when its time is over.
fn judged(row: &Row, folder: &Path, quick: bool, last: Instant) -> Result<Outcome> {
    let began = Instant::now();
    let end = last.min(began + Duration::from_secs(row.secs));
    if end <= began {
        bail!("it did not run: the {} s of the suite were over", SUITE.as_secs());
    }
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--row", row.name]).arg(folder).arg(if quick { "quick" } else { "full" });
    let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).process_group(0).spawn()?;
    let group = Pid::from_raw(child.id().cast_signed()).context("a process")?;
    let mut stdout = child.stdout.take().context("no stdout")?;
    let reader = std::thread::spawn(move || {
        let mut said = String::new();
        stdout.read_to_string(&mut said).map(|_| said)
    });
    let mut in_time = true;
    while child.try_wait()?.is_none() {
        if Instant::now() > end {
            in_time = false;
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // Its children may still be there, also if it has ended.
    let _ = kill_process_group(group, Signal::KILL);
    let status = child.wait()?;
    if !in_time {
        return Ok(Outcome::broken(&format!("took longer than {} s", (end - began).as_secs())));
    }
    let said = reader.join().ok().context("the reader broke")??;
    let checks = said.lines().map(Check::from_line).collect::<Result<Vec<Check>>>()?;
    if !status.success() && checks.is_empty() {
        bail!("the row ended with {status}");
    }
    Ok(Outcome { checks })
}

/// The process of one row.
fn row(words: &[String]) -> Result<()> {
    let [name, folder, length] = words else { bail!("a row, a folder, a length") };
    let row = ROWS.iter().find(|row| row.name == name).context("no such row")?;
    machine::raise_file_limit(FILES)?;
    let suite = Suite { folder: folder.into(), quick: length == "quick" };
    let outcome = (row.run)(&suite).unwrap_or_else(|error| Outcome::broken(&format!("{error:#}")));
    outcome.checks.iter().for_each(|check| println!("{}", check.to_line()));
    Ok(())
}
