//! The client by example: what happens, and what it does about it.

mod addressing;
mod again;
mod attention;
mod commands;
mod delivery;
mod devices;
mod dials;
mod door;
mod excess;
mod frozen;
mod joining;
mod keys;
mod log;
mod login;
mod moving;
mod private;
mod properties;
mod punches;
mod raw;
mod reconnect;
mod relays;
mod script;
mod session;
mod talking;
mod unanswered;
mod watch;
