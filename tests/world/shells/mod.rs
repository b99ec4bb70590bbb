//! The shells of both programs in a simulated world: the loops that the programs run, on model sockets, a model of
//! standard input and output, and a virtual clock.
//!
//! A server, three clients and some people with `nc` are played from a seed. Connections are slow, short of buffers,
//! reset, silent or cut; processes stand still, are killed or stopped; screens are slow or closed. `judge` compares
//! what the cores are told and want with what was on the sockets, on the screens and in the state folders.
//! `HOBNOB_SHELL_SEEDS` says how many seeds are played, and `HOBNOB_SHELL_SEED` plays one.

// The rules look at some events and effects among many.
#![allow(clippy::wildcard_enum_match_arm)]

mod chance;
mod connection;
mod judge;
mod kernel;
mod processes;
mod strangers;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use self::judge::Tally;
use self::world::World;
use crate::sqlite::Template;

/// Where the server listens.
const HOST: &str = "127.0.0.1";
const PORT: u16 = 4_000;
/// Of every account.
const PASSWORD: &str = "falcon";
/// Seeds played unless it is said otherwise.
const SEEDS: u64 = 40;
/// Things that happen in one world.
const STEPS: usize = 60;

/// Plays one seed; what happened, and the rule that broke.
fn play(template: &Template, seed: u64) -> (Tally, Option<String>) {
    let mut world = World::new(template, seed);
    for _ in 0..STEPS {
        world.step();
        if let Some(broken) = world.broken() {
            return (world.tally(), Some(broken));
        }
    }
    world.heal();
    (world.tally(), world.broken())
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn every_rule_holds_for_the_shells() {
    let template = Template::new();
    if let Some(seed) = number("HOBNOB_SHELL_SEED") {
        let (tally, broken) = play(&template, seed);
        assert_eq!(broken, None, "seed {seed}: {tally}");
        return;
    }
    let seeds = number("HOBNOB_SHELL_SEEDS").unwrap_or(SEEDS);
    let (begun, next, total) = (Instant::now(), AtomicU64::new(0), Mutex::new(Tally::default()));
    let play_on_and_on = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return;
            }
            let (tally, broken) = play(&template, seed);
            assert_eq!(broken, None, "seed {seed}");
            total.lock().expect("nobody panics with it").add(&tally);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(play_on_and_on);
        }
    });
    let total = total.into_inner().expect("nobody panics with it");
    // In the log of each run, also where the output of tests that pass is not shown.
    let line = format!("shells: {seeds} seeds in {:.0} s: {total}\n", begun.elapsed().as_secs_f64());
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    assert!(total.has_everything(), "{total}");
}
