//! The figures with TLS on every connection.

use anyhow::Result;

use super::Bench;
use super::members::Members;
use super::pairs::Pairs;
use super::parts::{BATCH, PAIRS, cpu, rate};
use super::program::Program;
use super::resume;
use super::table::{Row, Table, Target};

/// Users who come back.
const COMERS: usize = 1_000;

pub(super) fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let (bare, server) = (Program::bare_tls(bench)?, Program::tls_server(bench, 2 * PAIRS)?);
    let mut over_bare = Pairs::of_yardstick(&bare, PAIRS)?;
    let mut ours = Pairs::of_server(&server, PAIRS, 0)?;
    for (name, under_way, target) in
        [("one at a time", 1, Target::AtLeast(0.8, 0.9)), ("batched", BATCH, Target::AtLeast(0.25, 0.4))]
    {
        let (mut bares, mut runs) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds {
            bares.push(over_bare.run(&bare, under_way, bench.length)?);
            runs.push(ours.run(&server, under_way, bench.length)?);
        }
        let name = format!("TLS, {name}, beside bare with TLS");
        table.add(Row::ratio(name, "k/s", rate(&runs), rate(&bares), target));
        table.add(Row::alone("  CPU", "s/M", cpu(&runs), Target::None).beside(cpu(&bares)));
    }
    resumes(bench, table)?;
    memory(bench, table)
}

/// A connection, a handshake that takes up a session of TLS by ticket with a new exchange of keys, and a line with its
/// answer: a session resumed by token at ours, an echo at the yardstick. 64 at once; the connection before goes.
fn resumes(bench: &Bench, table: &mut Table) -> Result<()> {
    let bare = Program::bare_tls_echo(bench)?;
    let (mut bares, mut runs) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        bares.push(resume::run_yardstick(&bare, COMERS, bench.length)?);
        // All log in, so each round has its own server.
        let server = Program::tls_server(bench, COMERS)?;
        runs.push(resume::run(&server, COMERS, bench.length)?);
    }
    let target = Target::AtLeast(0.5, 0.7);
    table.add(Row::ratio(
        "TLS, resumes by token, 64 at once, beside bare",
        "k/s",
        rate(&runs),
        rate(&bares),
        target,
    ));
    // On one core the load is as busy with handshakes as the server.
    table.add(Row::alone("  CPU", "s/M", cpu(&runs), Target::None).beside(cpu(&bares)));
    Ok(())
}

fn memory(bench: &Bench, table: &mut Table) -> Result<()> {
    let sessions = bench.idle_memory;
    let server = Program::tls_server(bench, sessions)?;
    let empty = server.memory_kib()?;
    let mut members = Members::log_in(&server, 0..sessions)?;
    members.settle()?;
    let grown = server.memory_kib()?.saturating_sub(empty);
    let name = format!("TLS, memory an idle session, of {sessions}");
    table.add(Row::alone(name, "KiB", grown as f64 / sessions as f64, Target::AtMost(11.0, 9.5)));
    Ok(())
}
