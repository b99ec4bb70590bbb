//! A bounded simulation: seeds, arbitrary steps, and the scenarios of bugs that were found before.
//! `just sim` plays more. `HOBNOB_SIM_EVENTS` says how many events the seeds have at least.
#![cfg(feature = "sim")]

use std::fs;
use std::path::Path;

use hobnob::planted::Planted;
use hobnob::sim::run::{Plan, Report, examine};
use hobnob::sim::scenario::{self, Step};
use hobnob::sim::{targets, twin};
use proptest::prelude::*;

const SEEDS: u64 = 40;
/// What the seeds have at least unless it is said otherwise.
const EVENTS: u64 = 20_000;
const LENGTH: usize = 400;
const EVIL_SEEDS: u64 = 60;
const EVIL_LENGTH: usize = 200;

fn assert_holds(what: &str, steps: &[Step], report: &Report) {
    assert!(report.broken.is_none(), "{what}: {:?}\n{}", report.broken, scenario::print(steps));
}

#[test]
fn every_rule_holds_in_the_whole_world_and_for_the_server_alone() {
    let least = std::env::var("HOBNOB_SIM_EVENTS")
        .map_or(EVENTS, |events| events.parse().expect("HOBNOB_SIM_EVENTS is a number"));
    let (mut seed, mut events) = (0, 0);
    while seed < SEEDS || events < least && seed < least {
        let steps = scenario::from_seed(seed, LENGTH);
        for server_only in [false, true] {
            let plan = Plan { server_only, ..Plan::default() };
            let report = examine(&steps, plan, seed % 8 == 0);
            assert_holds(&format!("seed {seed}, server only: {server_only}"), &steps, &report);
            events += report.events;
        }
        seed += 1;
    }
    assert!(events >= least, "only {events} events changed anything");
}

#[test]
fn every_rule_holds_whatever_an_evil_server_says() {
    for seed in 0..EVIL_SEEDS {
        let steps = scenario::of_evil(seed, EVIL_LENGTH);
        let report = examine(&steps, Plan { evil: true, ..Plan::default() }, seed % 8 == 0);
        assert_holds(&format!("seed {seed}, evil server"), &steps, &report);
    }
}

#[test]
fn a_blocked_user_sees_what_he_would_see_of_one_who_is_offline() {
    for seed in 0..SEEDS {
        assert!(twin::compare(seed, LENGTH).is_ok(), "seed {seed}: {:?}", twin::compare(seed, LENGTH));
    }
}

#[test]
fn bugs_of_the_past_stay_fixed() {
    for (name, steps) in kept("tests/scenarios") {
        for server_only in [false, true] {
            let report = examine(&steps, Plan { server_only, taped: true, ..Plan::default() }, true);
            assert_holds(&name, &steps, &report);
        }
    }
    for (name, steps) in kept("tests/scenarios/evil") {
        let report = examine(&steps, Plan { evil: true, ..Plan::default() }, true);
        assert_holds(&name, &steps, &report);
    }
}

/// The scenarios of a folder, with their names.
fn kept(folder: &str) -> Vec<(String, Vec<Step>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let paths = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    let files = paths.filter(|path| path.is_file()).map(|path| {
        let text = fs::read_to_string(&path).expect("UTF-8");
        let steps = scenario::parse(&text).unwrap_or_else(|bad| panic!("{}: {bad:?}", path.display()));
        (path.display().to_string(), steps)
    });
    files.collect()
}

/// `just exam` makes the page; every bug that can be planted is on it, found.
#[test]
fn the_page_of_the_exam_tells_how_each_planted_bug_was_found() {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/exam.md")).expect("a page");
    assert!(!page.contains("NOT FOUND"));
    for bug in Planted::ALL {
        let row = format!("\n| {}: {} | ", bug.name(), bug.description());
        assert!(page.contains(&row), "{row}");
    }
    assert_eq!(page.matches("\n| ").count(), Planted::ALL.len() + 1, "rows of bugs that are no more");
}

#[test]
fn a_scenario_reads_back_what_it_prints() {
    let steps = scenario::from_seed(7, 200);
    assert_eq!(scenario::parse(&scenario::print(&steps)).expect("its own print"), steps);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_rule_holds_for_arbitrary_steps(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        targets::whole_world(&bytes);
        targets::server_core(&bytes);
        targets::client_core(&bytes);
        targets::evil_server(&bytes);
    }
}
