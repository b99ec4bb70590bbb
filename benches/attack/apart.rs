//! The server on one core and whoever speaks with it on the other, both awake.

use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::machine::Cores;

/// Without an attack the system puts the server on the core of the pair, or lets its own fall asleep between two messages.
/// Neither is there beside an attack that fills both cores, and either changes the time of a message: on one machine it was
/// 0.04 ms on one core, 0.22 ms with a core that slept, and 0.12 ms with two that were kept awake. So both the control and
/// the attack have the latter.
#[derive(Debug)]
pub(crate) struct Apart {
    /// One on each core, which yields to all others.
    awake: Vec<Child>,
}

impl Apart {
    /// Keeps the main thread of the server, a process, on its core until this is dropped, and both cores from sleeping.
    pub(crate) fn begin(server: u32) -> Result<Apart> {
        let cores = Cores::pick()?;
        let status = Command::new("taskset")
            .args(["-cp", &cores.server.to_string(), &server.to_string()])
            .stdout(Stdio::null())
            .status()
            .context("taskset (util-linux) is needed")?;
        ensure!(status.success(), "taskset could not bind the server to core {}", cores.server);
        let mut apart = Apart { awake: Vec::new() };
        for core in [cores.server, cores.load] {
            let mut spinner = Command::new("chrt");
            spinner.args(["--idle", "0", "taskset", "-c", &core.to_string()]);
            spinner.arg(std::env::current_exe()?).arg("--awake").stdin(Stdio::null());
            apart.awake.push(spinner.spawn().context("chrt (util-linux) is needed")?);
        }
        Ok(apart)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        for child in &mut self.awake {
            // It may be gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The process on a core.
pub(crate) fn keep_awake() -> ! {
    loop {
        std::hint::spin_loop();
    }
}
