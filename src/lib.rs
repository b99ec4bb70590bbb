//! Hobnob, an instant messenger for people who live in a terminal: its pure core, and the shell around it.
#![cfg_attr(not(feature = "shell"), no_std)]

extern crate alloc;

pub mod client;
#[doc(hidden)]
pub mod planted;
pub mod record;
pub mod server;
#[cfg(feature = "shell")]
#[doc(hidden)]
pub mod shell;
#[cfg(feature = "sim")]
pub mod sim;
pub mod time;
pub mod wire;
pub mod words;
