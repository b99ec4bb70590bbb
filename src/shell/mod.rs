//! Sockets, store and terminal around the core.

pub mod store;
