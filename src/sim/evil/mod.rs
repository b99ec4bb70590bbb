//! A world whose server is evil: it says to each client what it likes, and sits between them.
//!
//! Real client cores talk to it and to each other. Steps choose what it does: it passes on what it should not, tells other
//! keys, addresses, parts and ids, relays falsely, plays the other client with keys of its own, says again what it has
//! recorded, and calls clients itself. It cannot sign with the key of another, nor read or write in sessions that are
//! not its own. Nothing may be shown that the other person has not typed, in order, once, and nothing of it may come to
//! the server. In the end it is honest, and any two clients get a private link.

mod check;
mod impostors;
mod lies;
mod peers;
mod processes;
mod relays;
pub(super) mod run;
mod seal;
mod server;
mod shell;
mod steps;
mod story;
mod trace;
mod watch;
mod world;

pub(super) use steps::from_seed;
