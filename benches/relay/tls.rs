//! The figures with TLS on every connection.

use anyhow::Result;

use super::Bench;
use super::members::Members;
use super::pairs::Pairs;
use super::parts::{BATCH, PAIRS, cpu, rate};
use super::program::Program;
use super::table::{Row, Table, Target};

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
    memory(bench, table)
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
