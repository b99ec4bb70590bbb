//! What a recording costs.

use anyhow::Result;

use super::Bench;
use super::pairs::Pairs;
use super::parts::{BATCH, PAIRS, cpu, rate};
use super::program::Program;
use super::table::{Row, Table, Target};

/// With a recording and without, in turns. Two servers without show what difference is noise. All threads of a server
/// have one core, so that the thread that writes the recording takes from the others.
pub(super) fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    for (name, under_way) in [("one at a time", 1), ("batched", BATCH)] {
        let recorded = Program::server_that_records(bench, 2 * PAIRS)?;
        let (plain, again) = (Program::server(bench, 2 * PAIRS)?, Program::server(bench, 2 * PAIRS)?);
        let mut servers = Vec::new();
        for server in [&recorded, &plain, &again] {
            servers.push((server, Pairs::of_server(server, PAIRS, 0)?, Vec::new()));
        }
        for round in 0..2 * bench.rounds {
            // Nobody is always the first.
            for turn in 0..servers.len() {
                let at = (round + turn) % servers.len();
                let (server, pairs, runs) = &mut servers[at];
                runs.push(pairs.run(server, under_way, bench.length)?);
            }
        }
        let [recorded, plain, again] = [0, 1, 2].map(|at| &servers[at].2);
        let row = format!("{name} with a recording, beside without");
        table.add(Row::ratio(row, "k/s", rate(recorded), rate(plain), Target::AtLeast(0.9, 0.95)));
        table.add(Row::ratio("  CPU", "s/M", cpu(recorded), cpu(plain), Target::None));
        table.add(Row::ratio("the same without twice: noise", "k/s", rate(again), rate(plain), Target::None));
    }
    Ok(())
}
