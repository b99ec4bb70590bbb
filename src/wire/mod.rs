//! The line protocol: framing, the grammars of both directions and of peers, and their encoders.
//!
//! Every type here reads back what it writes: `parse(encode(x)) == x`. `PROTOCOL.md` has the ABNF.

pub mod client_line;
pub mod code;
pub mod command;
mod emit;
pub mod frame;
mod parse;
pub mod peer_line;
pub mod server_line;

pub use client_line::{Capabilities, ClientLine, Command, Endpoint, MAX_ENDPOINTS, Words};
pub use code::{Code, Farewell, Freshness, PeerFarewell, PingStatus, Prompt, Refusal, Role, Status};
pub use command::CommandKind;
pub use frame::{Frame, Framer};
pub use peer_line::PeerLine;
pub use server_line::{Admission, Answer, Delivery, Notice, ServerLine};

/// The version of the protocol that this code speaks.
pub const VERSION: u32 = 1;

/// What a line may be longer than the longest line typed: room for what programs put around a text.
pub const LINE_ROOM: usize = 512;

/// A line that cannot be obeyed. The command it would have been is named so that its sender knows
/// which of his lines is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misuse<'a> {
    /// The number, if one could be read.
    pub number: Option<u64>,
    /// The command's name, or the first word of the line, cut to 32 characters; empty if there is none.
    pub command: &'a str,
    /// [`Code::UnknownCommand`] or [`Code::Usage`].
    pub code: Code,
}

/// A line of a server or a peer that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garbled;
