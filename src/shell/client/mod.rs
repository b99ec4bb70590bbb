//! The client's shell: one task that owns the state, one a connection, and threads for what may
//! block: the screen and the keyboard.
//!
//! Nothing is decided here. Bytes are sent and output is shown only after the notes about them are in the state
//! folder.

mod advice;
mod alarm;
mod completion;
mod config;
mod config_keys;
mod device;
mod door;
mod echo;
mod errand_options;
mod gate;
mod hands;
mod join_options;
pub mod journal;
mod json;
mod keyboard;
mod keys;
mod known_keys;
mod line_helper;
mod lines;
mod links;
mod log;
mod mistaken;
mod news;
mod options;
mod passwords;
mod peer_links;
mod people;
mod pins;
mod plain;
#[doc(hidden)]
pub mod played;
mod program;
mod reach;
mod relay;
mod rows;
#[cfg(test)]
mod samples;
mod screen;
mod send;
mod server_address;
#[doc(hidden)]
pub mod shown;
mod stamps;
mod standard_output;
mod start;
mod state_folder;
mod state_loop;
mod tasks;
mod terminal;
mod trusting;
mod typist;
mod watch_options;
mod wording;

pub use config::ConfigError;
pub use config_keys::is_variable;
pub use options::{Options, UsageError};
pub use start::run;
pub use tasks::print;
