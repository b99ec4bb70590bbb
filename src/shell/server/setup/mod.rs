//! How the server is set up: the settings and where they come from, and the accounts.

pub mod config;
pub mod identity;
pub mod reload;
pub mod settings;
