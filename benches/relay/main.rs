//! Drives the real server over loopback, beside a bare relay of bytes in the same run, and prints
//! each figure with what it must be.
//!
//! ```text
//! cargo bench --bench relay                    everything
//! cargo bench --bench relay -- quick           everything, short: under a minute
//! cargo bench --bench relay -- batched latency some parts
//! ```
//!
//! The measured program runs on one core, the load on another. The machine drifts, so ours and its
//! yardstick take turns, the median of the rounds is shown, and only ratios mean much.

mod broadcast;
mod connection;
mod machine;
mod members;
mod million;
mod pairs;
mod parts;
mod program;
mod recorded;
mod resume;
mod stored;
mod table;
mod tls;
mod wire;
mod yardstick;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use hobnob::shell::tunnel::acceptor::Acceptor;

use self::machine::Cores;
use self::parts::{PARTS, Part};
use self::table::Table;

/// Connections of the largest part, and some more.
const FILES: u64 = 12_000;

/// How long and how much.
pub(crate) struct Bench {
    pub(crate) cores: Cores,
    /// Where folders for one run are made; on a real disk.
    pub(crate) folder: PathBuf,
    pub(crate) rounds: usize,
    /// Of a round.
    pub(crate) length: Duration,
    /// Idle sessions beside live ones.
    pub(crate) idle: usize,
    /// Idle sessions of which the memory is taken.
    pub(crate) idle_memory: usize,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("bare-relay") => return yardstick::relay(&Acceptor::Plain),
        Some("bare-tls-relay") => return yardstick::relay(&yardstick::acceptor()?),
        Some("bare-tls-echo") => return yardstick::echo(&yardstick::acceptor()?),
        Some("plain-copy") => return yardstick::copy(),
        Some(_) | None => {}
    }
    let quick = arguments.iter().any(|word| word == "quick");
    let parts = chosen(arguments.iter().filter(|word| *word != "quick"))?;
    let bench = Bench {
        cores: Cores::pick()?,
        folder: env!("CARGO_TARGET_TMPDIR").into(),
        rounds: if quick { 3 } else { 5 },
        length: Duration::from_millis(if quick { 400 } else { 2000 }),
        idle: if quick { 2_000 } else { 5_000 },
        idle_memory: if quick { 3_000 } else { 10_000 },
    };
    machine::raise_file_limit(FILES)?;
    machine::stay_on(bench.cores.load)?;
    introduce(&bench);
    let began = Instant::now();
    let mut table = Table::default();
    for (name, about, part) in parts {
        println!("\n{name}: {about}");
        part(&bench, &mut table)?;
    }
    println!("\n{}", table.show());
    println!(
        "{:.0} s; load of the machine at the end: {}",
        began.elapsed().as_secs_f64(),
        machine::load_average()
    );
    Ok(())
}

/// The parts that are named; all if none is.
fn chosen<'a>(names: impl Iterator<Item = &'a String>) -> Result<Vec<&'static Part>> {
    let mut parts = Vec::new();
    for name in names {
        let Some(part) = PARTS.iter().find(|(known, ..)| known == name) else {
            let known: Vec<&str> = PARTS.iter().map(|(known, ..)| *known).collect();
            bail!("no part is called {name}; there are: quick {}", known.join(" "));
        };
        parts.push(part);
    }
    Ok(if parts.is_empty() { PARTS.iter().collect() } else { parts })
}

fn introduce(bench: &Bench) {
    println!(
        "Server on core {}, load on core {}; no TLS but where it is named; messages of 48 bytes.",
        bench.cores.server, bench.cores.load
    );
    println!("Settings lifted for the load: {}", program::LIFTED.join(" "));
    println!(
        "{} rounds of {:.1} s; load of the machine now: {}",
        bench.rounds,
        bench.length.as_secs_f64(),
        machine::load_average()
    );
    println!("bare: a relay that copies bytes between the same sockets without looking at them.");
    println!("s/M: CPU seconds of the server for a million deliveries.");
}
