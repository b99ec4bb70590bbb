//! The parts of the world that need std: the two shells (see `shells`), and the simulated world on the real store.
//!
//! For the second the tables of SQLite take the place of the model of a disk. Server, clients, links and faults are
//! those of `hobnob-sim`, and the reference model judges as ever. The model of the store goes along: each answer, each
//! page, and what each start recovers must be the same. So do the journals of the clients' state folders.
//! `HOBNOB_WORLD_EVENTS` says how many events are played.

mod notes;
mod shells;
mod sqlite;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use hobnob::sim::minimise::shrink;
use hobnob::sim::run::{Plan, Report, play_on};
use hobnob::sim::scenario::{self, Step};

use self::notes::Journals;
use self::sqlite::{Sqlite, Tally, Template};

/// What is played unless it is said otherwise; `.ci/run` plays a million.
const EVENTS: u64 = 200_000;
const LENGTH: usize = 400;
/// Runs that may be spent on making a failure small.
const SMALLER: u32 = 400;

/// How often what happened in the stores and in the journals.
#[derive(Default)]
struct Tallies {
    store: Arc<Tally>,
    notes: Arc<notes::Tally>,
}

fn play(template: &Template, tally: &Tallies, steps: &[Step], plan: Plan) -> Report {
    let store = Sqlite::new(template, Arc::clone(&tally.store));
    play_on(Box::new(store), Box::new(Journals::new(Arc::clone(&tally.notes))), steps, plan)
}

/// Plays one seed, now and then twice, which must make no difference; how many events it had.
fn play_seed(template: &Template, tally: &Tallies, seed: u64) -> u64 {
    let steps = scenario::from_seed(seed, LENGTH);
    let plan = Plan { server_only: seed % 2 == 1, ..Plan::default() };
    let report = play(template, tally, &steps, plan);
    if let Some((_, violation)) = &report.broken {
        let small = make_small(template, tally, steps, plan);
        panic!("seed {seed}, {plan:?}: {violation:?}\n{}", scenario::print(&small));
    }
    if seed % 16 < 2 {
        let again = play(template, tally, &steps, Plan { hash_seed: !plan.hash_seed, ..plan });
        assert_eq!(again.digest, report.digest, "seed {seed}: equal runs have equal traces");
        return report.events + again.events;
    }
    report.events
}

/// The steps that are needed to break a rule.
fn make_small(template: &Template, tally: &Tallies, mut steps: Vec<Step>, plan: Plan) -> Vec<Step> {
    let mut runs = 0;
    shrink(&mut steps, |fewer| {
        runs += 1;
        let (last, _) = (runs <= SMALLER).then(|| play(template, tally, fewer, plan))?.broken?;
        Some((last + 1).min(fewer.len()))
    });
    steps
}

#[test]
fn bugs_of_the_past_stay_fixed_on_the_real_store() {
    let (template, tally) = (Template::new(), Tallies::default());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        // Those of an evil server have a folder, and no store.
        if path.is_dir() {
            continue;
        }
        let steps = scenario::parse(&fs::read_to_string(&path).expect("UTF-8")).expect("steps");
        for server_only in [false, true] {
            let report = play(&template, &tally, &steps, Plan { server_only, ..Plan::default() });
            assert!(report.broken.is_none(), "{}: {:?}", path.display(), report.broken);
        }
    }
}

#[test]
fn every_rule_holds_on_the_real_store() {
    let target = std::env::var("HOBNOB_WORLD_EVENTS")
        .map_or(EVENTS, |events| events.parse().expect("HOBNOB_WORLD_EVENTS is a number"));
    let (template, tally) = (Template::new(), Tallies::default());
    let (begun, seeds, events) = (Instant::now(), AtomicU64::new(0), AtomicU64::new(0));
    let play_on_and_on = || {
        while events.load(Ordering::Relaxed) < target {
            let seed = seeds.fetch_add(1, Ordering::Relaxed);
            events.fetch_add(play_seed(&template, &tally, seed), Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(play_on_and_on);
        }
    });
    let (events, seconds) = (events.into_inner(), begun.elapsed().as_secs_f64());
    // In the log of each run, also where the output of tests that pass is not shown.
    let Tallies { store, notes } = &tally;
    let line = format!("world: {events} events on the real store in {seconds:.0} s: {store}; {notes}\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    assert!(events >= target);
    store.assert_everything_happened();
    notes.assert_everything_happened();
}
