//! The database file: its folder, its lock, its version, damage, and errors.

mod failure;
mod files;
mod folder;
mod place;
pub(crate) mod schema;
mod wal;

pub use failure::OpenError;
pub(crate) use failure::{Severity, Trouble, judge, judge_account, one_line, plain};
pub(crate) use files::{create_private, sync_folder};
pub(crate) use folder::{Database, in_memory, look_at_lock, open, open_to_read};
pub(crate) use place::{DATABASE, Place};
