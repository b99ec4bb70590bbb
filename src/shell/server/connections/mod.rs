//! Connections: accepted, found by their ids, read and written.

mod accept;
mod bell;
mod connection;
mod files;
mod handshakes;
mod links;
mod newcomers;
mod share;

pub(crate) use accept::Accepting;
pub(crate) use connection::{Connection, Shared, Written};
pub(crate) use files::Bounds;
pub(crate) use handshakes::{Caller, Handshakes, Turn};
pub(crate) use links::Links;
pub(crate) use newcomers::Newcomers;
pub(crate) use share::Share;
