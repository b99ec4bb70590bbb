//! Support for the tests of the two programs.
//!
//! * [`Place`]: a folder with accounts, settings and state, in which programs run.
//! * [`Server`]: the real server in a place; it starts, stops, is killed, and starts again.
//! * [`Client`]: the real client on a pipe, in JSON or in words.
//! * [`Terminal`]: the real client on a pseudo-terminal, and its screen.
//! * [`Wire`]: a bare connection, typed by hand.
//! * [`FakeServer`]: a server whose lines the test says itself.
//! * [`Cable`]: a connection that can be cut.
//!
//! Nothing here sleeps and hopes: every wait is for an event and has one generous cap, [`PATIENCE`]. A
//! process that is still there when its owner is dropped is killed.

mod cable;
mod client;
mod contract;
mod fake_server;
mod memory;
mod place;
mod server;
mod terminal;
mod watched;
mod wire;

use std::time::Duration;

pub use cable::Cable;
pub use client::{Client, Shown, exit_code};
pub use fake_server::{Connection, FakeServer, TOKEN};
pub use memory::pieces_in_memory;
pub use place::{Place, free_port, signal};
pub use server::{Ended, Server};
pub use terminal::{Screen, Terminal};
pub use watched::Watched;
pub use wire::Wire;

/// Longer than anything here takes, however busy the machine; what takes so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The sample accounts.
pub const USERS: [(&str, &str); 5] = [
    ("hans", "falcon-of-hans"),
    ("yoda", "wise@!man  of yoda "),
    ("luke", "light==saber"),
    ("vader", "sithlord**"),
    ("r2d2", "*&^$%#!"),
];

/// The password of a sample account.
#[must_use]
pub fn password(user: &str) -> &'static str {
    USERS.iter().find(|(name, _)| *name == user).expect("a sample account").1
}

/// Whether a `ServerHello` with X25519MLKEM768 is among the bytes that were said on the way: a key share (extension 51)
/// of group 0x11ec, with 1,088 bytes of ML-KEM and 32 of X25519.
#[must_use]
pub fn agrees_on_hybrid_keys(heard: &[u8]) -> bool {
    let key_share = [0, 51, 4, 0x64, 0x11, 0xec, 4, 0x60];
    heard.windows(key_share.len()).any(|part| part == key_share)
}

/// The password of every account of [`Place::of`].
pub const PASSWORD: &str = "falcon";

/// A hash of [`PASSWORD`] that costs next to no work.
pub const HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$rw3axlR1xiFa03+xpssxaA$ygiw2yNnog7/YMDUeADXAnXZZWr4tkJ0RXsVegS4TC0";
