//! Sockets, store and terminal around the core.

pub mod client;
pub mod core_dumps;
pub mod credentials;
pub mod folder_lock;
pub mod replace_file;
pub mod server;
pub mod sockets;
pub mod store;
pub mod visible;
pub mod wall_clock;
