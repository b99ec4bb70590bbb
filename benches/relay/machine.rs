//! Resources of the machine: cores, files, CPU time, memory.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The two cores a run uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    /// For the program that is measured.
    pub(crate) server: usize,
    /// For the load.
    pub(crate) load: usize,
}

impl Cores {
    /// The first two that this process may use.
    pub(crate) fn pick() -> Result<Cores> {
        let status = fs::read_to_string("/proc/self/status")?;
        let allowed = field(&status, "Cpus_allowed_list:").context("no list of cores")?;
        let mut cores = allowed.split(',').filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.trim().parse::<usize>().ok()?..=last.trim().parse().ok()?)
        });
        let mut cores = cores.by_ref().flatten();
        match (cores.next(), cores.next()) {
            (Some(server), Some(load)) => Ok(Cores { server, load }),
            (Some(_) | None, _) => bail!("two cores are needed: one for the server, one for the load"),
        }
    }
}

/// Binds this thread, and those it will start, to a core.
pub(crate) fn stay_on(core: usize) -> Result<()> {
    let id = std::process::id().to_string();
    let done = Command::new("taskset")
        .args(["-cp", &core.to_string(), &id])
        .stdout(Stdio::null())
        .status()
        .context("taskset (util-linux) is needed")?;
    if done.success() { Ok(()) } else { bail!("taskset could not bind the load to core {core}") }
}

/// Ten thousand connections are as many files, on both sides.
pub(crate) fn raise_file_limit(wanted: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let maximum = limit.maximum.map(|maximum| maximum.max(wanted));
    let raised = Rlimit { current: maximum, maximum };
    let as_far_as_allowed = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).or_else(|_| setrlimit(Resource::Nofile, as_far_as_allowed))?;
    match getrlimit(Resource::Nofile).current {
        Some(current) if current < wanted => bail!("{wanted} open files are needed, {current} are allowed"),
        Some(_) | None => Ok(()),
    }
}

/// CPU time that all threads of a process have used.
pub(crate) fn cpu_time(process: u32) -> Result<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let Ok(stat) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        let first = stat.split(' ').next().and_then(|number| number.parse::<u64>().ok());
        nanos += first.context("no schedstat")?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Memory of a process that no other shares, in KiB.
pub(crate) fn memory_kib(process: u32) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let pss = field(&rollup, "Pss:").and_then(|value| value.split(' ').next()?.parse().ok());
    pss.context("no Pss in smaps_rollup")
}

/// How busy the machine is without this run.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<&str>>().join(" ")
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}
