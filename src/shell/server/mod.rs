//! The server's shell: one thread, one task that owns the state, one task a connection.
//!
//! Nothing is decided here. What passes to the state is a chunk of bytes, what comes back is
//! written once a connection for all that happened meanwhile.

mod accept;
mod alarm;
mod barrier;
mod bell;
pub mod commands;
pub mod config;
mod connection;
pub mod hashing;
mod hashing_threads;
mod inbox;
mod links;
mod nonces;
mod operator;
pub mod reload;
mod report;
pub mod settings;
mod start;
mod state_loop;

pub use start::{Failure, run};
