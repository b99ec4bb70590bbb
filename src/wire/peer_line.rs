//! Lines between two clients on a private link.
//!
//! The caller (whoever connected) speaks first: `hobnob-private VERSION ID FROM TO`. The other side
//! checks id and names and says `ready`. The requester of the introduction then says `nominate` on
//! the one link it chooses, the accepter answers `opened`, and texts may flow both ways.

use alloc::vec::Vec;

use super::Garbled;
use super::code::PeerFarewell;
use crate::time::Time;
use crate::words::{Text, Token};

/// One line between two clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerLine<'a> {
    /// `hobnob-private VERSION ID FROM TO`: the caller's first line.
    Call {
        /// Protocol version.
        version: u32,
        /// Of the introduction.
        id: Token,
        /// The caller's user.
        from: &'a str,
        /// The user called.
        to: &'a str,
    },
    /// `ready`: the called side knows the introduction.
    Ready,
    /// `nominate`: the requester chooses this link.
    Nominate,
    /// `opened`: the accepter agrees; the link stands.
    Opened,
    /// `text NUMBER SENT_AT TEXT`
    Text {
        /// Running number on this private conversation and direction, from 1.
        number: u64,
        /// The sender's clock.
        sent_at: Time,
        /// Text.
        text: Text<'a>,
    },
    /// `ack NUMBER`: all texts up to this one are shown.
    Acknowledge {
        /// The last one.
        number: u64,
    },
    /// `close stopped|logged_out|timed_out`: the last line.
    Close(PeerFarewell),
}

impl<'a> PeerLine<'a> {
    /// Reads one line (without its line feed).
    ///
    /// # Errors
    /// [`Garbled`] if it is none that this version knows.
    pub fn parse(line: &'a [u8]) -> Result<PeerLine<'a>, Garbled> {
        let _ = line;
        Err(Garbled)
    }

    /// Appends the line with its line feed.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let _ = out;
    }
}
