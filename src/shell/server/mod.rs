//! The server's shell: one thread, one task that owns the state, one task a connection.
//!
//! The shell decides nothing. Input is passed to the core in the chunks in which it was read, and the output of
//! a batch of events is written once per connection.

mod alarm;
pub mod commands;
mod connections;
mod control;
pub mod ctl;
mod hands;
pub mod hashing;
mod inbox;
mod invitations;
pub mod inviting;
pub mod log;
mod metrics;
mod nonces;
mod operator;
mod orders;
#[doc(hidden)]
pub mod played;
mod rates;
pub mod recording;
mod renewals;
mod report;
mod restart;
mod service_manager;
mod setup;
mod shortages;
mod start;
mod state_loop;
mod steering;
pub mod top;

pub use setup::{config, identity, reload, settings};
pub use start::{Failure, run};
