//! Secrets in memory and in core files.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Row;
use crate::client::{Client, client_program};
use crate::stage::{Plan, Stage, server_program};
use crate::table::Outcome;

pub(crate) const PASSWORD: Row = Row {
    name: "password-memory",
    attack: "reads the memory of server and client 1 s after a login by password",
    addresses: false,
    secs: 30,
    run: |suite| {
        // Nothing else looks like it.
        let password = format!("Wm7-{:08x}-kestrel-{:08x}", std::process::id(), !std::process::id());
        let plan = Plan { secret: Some(password.clone()), ..Plan::of([]).with_real_hashing() };
        let stage = Stage::open(&suite.folder, &plan)?;
        let state = stage.folder().join("state");
        let client = Client::start_with(stage.address, "secret", &password, &state, &[])?.logged_in()?;
        thread::sleep(Duration::from_secs(1));
        let mut outcome = Outcome::default();
        for (what, process) in [("server", stage.process()), ("client", client.process())] {
            let copies = copies_in_memory(process, password.as_bytes())?;
            outcome.check(&format!("copies in the {what}"), copies, 0, copies == 0);
        }
        // These bytes are certainly there: the search works.
        let seen = copies_in_memory(stage.process(), b"argon2id")?;
        outcome.check("the server's memory was read", seen > 0, true, seen > 0);
        let seen = copies_in_memory(client.process(), b"secret")?;
        outcome.check("the client's memory was read", seen > 0, true, seen > 0);
        Ok(outcome)
    },
};

/// How often some bytes are in the memory that a process can read and write.
fn copies_in_memory(process: u32, bytes: &[u8]) -> Result<usize> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    let memory = File::open(format!("/proc/{process}/mem")).context("memory that may be read")?;
    let mut copies = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        let Some((from, to)) = range.split_once('-').filter(|_| rights.starts_with("rw")) else { continue };
        let (from, to) = (u64::from_str_radix(from, 16)?, u64::from_str_radix(to, 16)?);
        let mut region = vec![0; usize::try_from(to - from)?];
        if memory.read_exact_at(&mut region, from).is_ok() {
            copies += memchr::memmem::find_iter(&region, bytes).count();
        }
    }
    Ok(copies)
}

pub(crate) const CORES: Row = Row {
    name: "core-files",
    attack: "looks for core files of server and client, and reads their memory as another process of the same user",
    addresses: false,
    secs: 30,
    run: |suite| {
        let stage = Stage::open(&suite.folder, &Plan::of([]))?;
        let state = stage.folder().join("state");
        let client = Client::start(stage.address, "victim", &state, &[])?.logged_in()?;
        let mut outcome = Outcome::default();
        for (what, process) in [("server", stage.process()), ("client", client.process())] {
            let limits = fs::read_to_string(format!("/proc/{process}/limits"))?;
            let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
            let size = line.split_whitespace().nth(4).unwrap_or_default();
            outcome.check(&format!("largest core file of the {what}, bytes"), size, 0, size == "0");
        }
        let other = dumpable(OsStr::new("sleep"), &["10"])?;
        outcome.check("another program of the user", other, "readable", other == "readable");
        let credentials = stage.folder().join("credentials.txt");
        let data = stage.folder().join("data2");
        let words = ["0", "--plaintext", "--credentials", text(&credentials)?, "--data", text(&data)?];
        let server = dumpable(&server_program(), &words)?;
        outcome.check("memory of the server", server, "not readable", server == "not readable");
        let (state, to) = (stage.folder().join("state2"), stage.address.to_string());
        let words = ["--plaintext", "--user", "h1", "--state", text(&state)?, &to];
        let client = dumpable(&client_program(), &words)?;
        outcome.check("memory of the client", client, "not readable", client == "not readable");
        Ok(outcome)
    },
};

fn text(path: &std::path::Path) -> Result<&str> {
    path.to_str().context("UTF-8")
}

/// Runs a program without privileges, and reads its environment as another process without privileges: the
/// kernel allows that for programs that may be dumped.
fn dumpable(program: &OsStr, words: &[&str]) -> Result<&'static str> {
    let mut child = without_privileges(program).args(words).stdin(Stdio::piped()).spawn()?;
    // It has said by then that it is not dumpable.
    thread::sleep(Duration::from_millis(500));
    let read = without_privileges(OsStr::new("cat")).arg(format!("/proc/{}/environ", child.id())).status();
    let _ = child.kill();
    let _ = child.wait();
    Ok(if read?.success() { "readable" } else { "not readable" })
}

fn without_privileges(program: &OsStr) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all"]).arg(program);
    command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
    command
}
