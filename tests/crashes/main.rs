//! The two real programs, killed: the server at random instants under load and at each of its storage
//! calls, clients in the middle of a line and of a delivery, disks that fill up or fail. An auditor
//! compares what the clients printed with the database, and counts messages that were lost, doubled or out
//! of order.
//!
//! Tests that need more than the system permits (traces of system calls, a mounted file system) are named on
//! a line `skipped: …`.
//!
//! | variable | meaning |
//! |---|---|
//! | `HOBNOB_KILLS` | how often the server is killed under load (12) |
//! | `HOBNOB_SEED` | the seed of that run, as it printed it |
//! | `HOBNOB_CALLS` | how many of the storage calls are tried, evenly spread: a number, or `all` |

mod audit;
mod database;
mod disk;
mod dying_clients;
mod each_call;
mod first_use;
mod full_disk;
mod many;
mod moments;
mod order;
mod people;
mod random;
mod shelf;
mod storm;
mod strace;
mod user;

use std::io::Write;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Held alone by a test that measures time, shared by the others.
static MACHINE: RwLock<()> = RwLock::new(());

fn share_the_machine() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

fn have_the_machine() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

/// Prints a line that is shown even if the test passes.
fn report(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
