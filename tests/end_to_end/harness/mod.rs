//! Servers, clients, terminals and bare connections, driven by what they print.

mod cable;
mod client;
mod contract;
mod place;
mod server;
mod terminal;
mod wire;

use std::time::Duration;

pub(crate) use cable::Cable;
pub(crate) use client::Client;
pub(crate) use place::Place;
pub(crate) use server::Server;
pub(crate) use terminal::Terminal;
pub(crate) use wire::Wire;

/// Longer than anything here takes, however busy the machine; what waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The sample accounts.
pub(crate) const USERS: [(&str, &str); 5] = [
    ("hans", "falcon-of-hans"),
    ("yoda", "wise@!man  of yoda "),
    ("luke", "light==saber"),
    ("vader", "sithlord**"),
    ("r2d2", "*&^$%#!"),
];

/// The password of a sample account.
pub(crate) fn password(user: &str) -> &'static str {
    USERS.iter().find(|(name, _)| *name == user).expect("a sample account").1
}
