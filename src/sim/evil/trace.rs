//! What was seen in the world of an evil server: all that its checks know.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::client::view::View;
use crate::client::{Exit, Way};
use crate::sim::coverage::Rare;
use crate::sim::trace::ProcessId;
use crate::words::{DeviceKey, LinkId};

/// One thing that was seen.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    /// A client program started. Its state folder is that of its user.
    Started { process: ProcessId, user: &'static str, key: DeviceKey, path: Way },
    /// A user has another state folder from now on, which knows nobody's key.
    Forgot { user: &'static str },
    /// It is gone.
    Gone { process: ProcessId, exit: Option<Exit> },
    /// A line was typed at it.
    Typed { process: ProcessId, line: u64, text: String },
    /// It is told something, perhaps of a link. What follows, up to the next of these, is what it does then.
    Told { process: ProcessId, link: Option<LinkId> },
    /// What it is about to be told has come from the server.
    Read { process: ProcessId, bytes: Vec<u8> },
    /// It has come from the other side of a link.
    Heard { process: ProcessId, link: LinkId, bytes: Vec<u8> },
    /// It showed something.
    Showed { process: ProcessId, view: Box<View> },
    /// It wrote to the server.
    Wrote { process: ProcessId, bytes: Vec<u8> },
    /// It wrote on a link.
    Said { process: ProcessId, link: LinkId, bytes: Vec<u8> },
    /// It dialled; `punches`: from the port where it listens.
    Dialled { process: ProcessId, address: SocketAddr, punches: bool },
    /// It took a relay.
    Relayed { process: ProcessId },
    /// Somebody has proved to it on a link that they have a key.
    Proved { process: ProcessId, link: LinkId, key: DeviceKey },
    /// It has left a link.
    Left { process: ProcessId, link: LinkId },
    /// How many things of each kind it keeps.
    Keeps { process: ProcessId, sizes: Sizes },
    /// The server did something evil, or something happened that nobody else could tell.
    Did(Rare),
    /// The server is honest from now on.
    Healed,
}

/// Links, relays, introductions under way, requests, dials under way, texts that wait.
pub(super) type Sizes = [usize; 6];
