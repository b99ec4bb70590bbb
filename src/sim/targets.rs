//! Fuzz targets as plain functions: any bytes are a scenario, and no rule may break.

use super::run::{Plan, play};
use super::scenario;

/// Steps of a scenario that is made of any bytes, at most.
const STEPS: usize = 400;

/// The whole world with real clients, and the server's core in it.
///
/// # Panics
/// If a rule is broken.
pub fn whole_world(bytes: &[u8]) {
    play_bytes(bytes, Plan::default());
}

/// The server's core alone, with simple stand-ins for the clients.
///
/// # Panics
/// If a rule is broken.
pub fn server_core(bytes: &[u8]) {
    play_bytes(bytes, Plan { server_only: true, ..Plan::default() });
}

/// The client's core: the same world, read in crumbs.
///
/// # Panics
/// If a rule is broken.
pub fn client_core(bytes: &[u8]) {
    let crumbs = [scenario::Kind::Latency as u8, 2, 1, 0, 0, 0, 0, 0];
    play_bytes(&[&crumbs[..], bytes].concat(), Plan::default());
}

/// Real clients and an evil server.
///
/// # Panics
/// If a rule is broken.
pub fn evil_server(bytes: &[u8]) {
    play_bytes(bytes, Plan { evil: true, ..Plan::default() });
}

fn play_bytes(bytes: &[u8], plan: Plan) {
    let mut steps = scenario::from_bytes(bytes, plan.evil);
    steps.truncate(STEPS);
    let report = play(&steps, plan);
    if let Some((step, violation)) = report.broken {
        panic!("{}: {} (step {step})\n{}", violation.rule, violation.detail, scenario::print(&steps));
    }
}
