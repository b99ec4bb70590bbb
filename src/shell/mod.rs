//! Sockets, store and terminal around the core.

pub mod client;
pub mod core_dumps;
pub mod credentials;
pub mod folder_lock;
mod heap;
pub mod own_files;
pub mod pages;
pub mod platform;
pub mod replace_file;
pub mod server;
pub mod store;
pub mod tunnel;
pub mod visible;
pub mod wiping_allocator;
