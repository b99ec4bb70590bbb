//! The line protocol: framing, the grammars of both directions and of peers, and their encoders.
//!
//! Every type here reads back what it writes: `parse(encode(x)) == x`. `PROTOCOL.md` has the ABNF.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

pub mod client_line;
pub mod code;
pub mod command;
mod emit;
pub mod frame;
mod parse;
pub mod parts;
pub mod peer_line;
pub mod relay_line;
pub mod server_line;

pub use client_line::{ClientLine, Command, Contact, Endpoint, MAX_ENDPOINTS, Misuse};
pub use code::{Code, Farewell, Freshness, PeerFarewell, PingStatus, Prompt, Refusal, Role, Status};
pub use command::CommandKind;
pub use frame::{Frame, Framer};
pub use parse::Garbled;
pub use parts::{Capabilities, IdKind, MessageMark, Words};
pub use peer_line::{CALL_BYTES, PeerLine};
pub use relay_line::{FRAME_BYTES, RELAY_LINE_BYTES, RELAY_WINDOW_BYTES, RelayLine, Relayed, Sealed};
pub use server_line::{Admission, Answer, Delivery, Notice, Presence, Remark, ServerLine};

/// The version of the protocol that this code speaks.
pub const VERSION: u32 = 1;

/// How much longer than the longest typed line a line may be: room for what programs add around a text.
pub const LINE_ROOM: usize = 512;
