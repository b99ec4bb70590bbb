//! Memory, files and CPU time of a process, from `/proc`.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

use super::machine;

/// Between two looks at the open files.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Memory of a process that is in use, in KiB.
pub(crate) fn resident_kib(process: u32) -> Result<u64> {
    status(process, "VmRSS:")
}

/// A figure of `/proc/PID/status`.
pub(crate) fn status(process: u32, name: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)).context("no such figure")?;
    Ok(value.trim().trim_end_matches(" kB").parse()?)
}

/// The files that a process has open.
pub(crate) fn open_files(process: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{process}/fd"))?.count())
}

/// The most that a process has used during some time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) cpu_secs: f64,
    /// In KiB.
    pub(crate) peak_kib: u64,
    pub(crate) files: usize,
}

/// Watches a process.
#[derive(Debug)]
pub(crate) struct Gauge {
    process: u32,
    cpu: Duration,
    done: Arc<AtomicBool>,
    looker: JoinHandle<usize>,
}

impl Gauge {
    pub(crate) fn start(process: u32) -> Result<Gauge> {
        // The peak of memory begins again.
        fs::write(format!("/proc/{process}/clear_refs"), "5")?;
        let done = Arc::new(AtomicBool::new(false));
        let looker = {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                let mut most = 0;
                while !done.load(Ordering::Relaxed) {
                    most = most.max(open_files(process).unwrap_or(0));
                    thread::sleep(LOOK_EVERY);
                }
                most
            })
        };
        Ok(Gauge { process, cpu: machine::cpu_time(process)?, done, looker })
    }

    pub(crate) fn finish(self) -> Result<Usage> {
        self.done.store(true, Ordering::Relaxed);
        let files = self.looker.join().map_err(|_| anyhow::anyhow!("the gauge broke"))?;
        let cpu_secs = (machine::cpu_time(self.process)?.saturating_sub(self.cpu)).as_secs_f64();
        Ok(Usage { cpu_secs, peak_kib: status(self.process, "VmHWM:")?, files })
    }
}
