//! Sockets, store and terminal around the core.
