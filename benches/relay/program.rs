//! The programs that are measured, each in a separate process on the server's core.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Seek};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hobnob::shell::tunnel::dialler::Dialler;
use tempfile::TempDir;

use super::Bench;
use super::machine;

/// Limits that a load from one machine would run into, and costs that are not the point here.
pub(crate) const LIFTED: &[&str] = &[
    "timeout=0",
    "rate_burst=0",
    "rate_per_s=0",
    "mailbox_messages=0",
    "mailbox_bytes=0",
    "mailbox_per_sender=0",
    "mailbox_total_bytes=0",
    "unauthenticated_max=0",
    "unauthenticated_per_address=0",
    "hash_queue=0",
    "argon2_kib=8",
    "argon2_passes=1",
];

/// Those of them that are prices of what users do.
const PRICES: &str = "rate_";

/// Every account's.
pub(crate) const PASSWORD: &str = "falcon";

/// The name of the n-th account; all are of one length.
pub(crate) fn user(n: usize) -> String {
    format!("u{n:05}")
}

/// A running server or yardstick; ends when dropped, before its folder goes.
pub(crate) struct Program {
    child: Running,
    pub(crate) address: SocketAddr,
    /// How it is spoken to; `None`: without TLS.
    pub(crate) dialler: Option<Dialler>,
    _folder: Option<TempDir>,
}

impl Program {
    /// The real server, with so many accounts.
    pub(crate) fn server(bench: &Bench, accounts: usize) -> Result<Program> {
        Program::server_with(bench, accounts, &["--plaintext"], |_| true)
    }

    /// The same with prices as they are by default.
    pub(crate) fn server_with_prices(bench: &Bench, accounts: usize) -> Result<Program> {
        let lifted = |setting: &str| !setting.starts_with(PRICES);
        Program::server_with(bench, accounts, &["--plaintext"], lifted)
    }

    /// The same with TLS.
    pub(crate) fn tls_server(bench: &Bench, accounts: usize) -> Result<Program> {
        Program::server_with(bench, accounts, &[], |_| true)?.with_tls()
    }

    /// The same with a recording.
    pub(crate) fn server_that_records(bench: &Bench, accounts: usize) -> Result<Program> {
        let folder = tempfile::Builder::new().prefix("bench").tempdir_in(&bench.folder)?;
        let file = folder.path().join("recording");
        let file = file.to_str().context("a path in UTF-8")?.to_owned();
        Program::server_in(folder, bench, accounts, &["--plaintext", "--record", &file], |_| true)
    }

    fn server_with(
        bench: &Bench,
        accounts: usize,
        words: &[&str],
        lifts: impl Fn(&str) -> bool,
    ) -> Result<Program> {
        let folder = tempfile::Builder::new().prefix("bench").tempdir_in(&bench.folder)?;
        Program::server_in(folder, bench, accounts, words, lifts)
    }

    fn server_in(
        folder: TempDir,
        bench: &Bench,
        accounts: usize,
        words: &[&str],
        lifts: impl Fn(&str) -> bool,
    ) -> Result<Program> {
        let credentials = folder.path().join("credentials.txt");
        write_accounts(&credentials, accounts)?;
        let mut command = on_core(bench.cores.server, Path::new(env!("CARGO_BIN_EXE_hobnob-server")));
        command.arg("0").args(words).arg("--credentials").arg(&credentials);
        command.arg("--data").arg(folder.path().join("state"));
        let lifted = LIFTED.iter().copied().filter(|setting| lifts(setting));
        command.args(lifted.flat_map(|setting| ["--set", setting]));
        Program::start(command, Some(folder))
    }

    /// The bare relay.
    pub(crate) fn bare(bench: &Bench) -> Result<Program> {
        Program::yardstick(bench, "bare-relay")
    }

    /// The bare relay, over TLS.
    pub(crate) fn bare_tls(bench: &Bench) -> Result<Program> {
        Program::yardstick(bench, "bare-tls-relay")?.with_tls()
    }

    /// Whoever says what it hears, over TLS.
    pub(crate) fn bare_tls_echo(bench: &Bench) -> Result<Program> {
        Program::yardstick(bench, "bare-tls-echo")?.with_tls()
    }

    fn with_tls(self) -> Result<Program> {
        Ok(Program { dialler: Some(Dialler::to_any_key("localhost")?), ..self })
    }

    /// The plain copy.
    pub(crate) fn copy(bench: &Bench) -> Result<Program> {
        Program::yardstick(bench, "plain-copy")
    }

    fn yardstick(bench: &Bench, which: &str) -> Result<Program> {
        let mut command = on_core(bench.cores.server, &std::env::current_exe()?);
        command.arg(which);
        Program::start(command, None)
    }

    fn start(mut command: Command, folder: Option<TempDir>) -> Result<Program> {
        // Warnings about plain passwords would drown the figures.
        let log = tempfile::tempfile()?;
        command.stderr(log.try_clone()?);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let Some(address) = line.trim().strip_prefix("listening on ") else {
            let mut said = String::new();
            (&log).rewind()?;
            (&log).read_to_string(&mut said)?;
            bail!("the program did not start: {said}");
        };
        let address = address.parse()?;
        Ok(Program { child: Running(child), address, dialler: None, _folder: folder })
    }

    /// CPU time used so far.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        machine::cpu_time(self.child.0.id())
    }

    /// Memory in use, in KiB.
    pub(crate) fn memory_kib(&self) -> Result<u64> {
        machine::memory_kib(self.child.0.id())
    }
}

/// A process, killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn on_core(core: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

fn write_accounts(path: &Path, count: usize) -> Result<()> {
    let mut lines = String::new();
    for n in 0..count {
        writeln!(lines, "{} {PASSWORD}", user(n))?;
    }
    fs::write(path, lines)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(())
}
