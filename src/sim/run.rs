//! Runs: a scenario is played, checked after every step, healed, and must come to rest.

use alloc::vec::Vec;

use super::scenario::{self, Step};
pub use super::world::Plan;
use super::world::World;
use crate::time::Time;

/// Plays.
pub fn play(steps: &[Step], plan: Plan) -> u64 {
    let mut world = World::new(plan);
    for step in steps {
        world.step(*step);
        world.forget();
    }
    world.heal();
    world.pass(Time(world.now().0 + 60_000_000), 100_000);
    world.events()
}

/// Seed.
pub fn seed(seed: u64, length: usize) -> u64 {
    let steps: Vec<Step> = scenario::from_seed(seed, length);
    play(&steps, Plan { hash_seed: 1, server_only: false })
}
