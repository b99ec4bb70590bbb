//! Lines between two clients on a private link.
//!
//! The caller (whoever connected) speaks first: `hobnob-private VERSION ID FROM TO`. The other side
//! checks id and names and says `ready`. The requester of the introduction then says `nominate` on
//! the one link it chooses, the accepter answers `opened`, and texts may flow both ways.

use alloc::vec::Vec;

use nom::Parser;
use nom::combinator::{map, map_opt, success};

use super::Garbled;
use super::code::PeerFarewell;
use super::emit::Line;
use super::parse::{Parsed, decimal, field, one_line, small_decimal, text, time, to_the_end, token, word};
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
        let line = one_line(line).ok_or(Garbled)?;
        to_the_end(peer_line(line)).ok_or(Garbled)
    }

    /// Appends the line with its line feed.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            PeerLine::Call { version, id, from, to } => {
                let line = Line::begin(out, "hobnob-private").number(u64::from(version));
                line.shown(id).field(from).field(to).end();
            }
            PeerLine::Ready => Line::begin(out, "ready").end(),
            PeerLine::Nominate => Line::begin(out, "nominate").end(),
            PeerLine::Opened => Line::begin(out, "opened").end(),
            PeerLine::Text { number, sent_at, text } => {
                Line::begin(out, "text").number(number).number(sent_at.0).rest(text.as_str()).end();
            }
            PeerLine::Acknowledge { number } => Line::begin(out, "ack").number(number).end(),
            PeerLine::Close(farewell) => Line::begin(out, "close").field(farewell.as_str()).end(),
        }
    }
}

fn peer_line(line: &str) -> Parsed<'_, PeerLine<'_>> {
    let (rest, first) = word(line)?;
    let mut number = map_opt(field, decimal);
    match first {
        "text" => map((number, map_opt(field, time), text), |(number, sent_at, text)| PeerLine::Text {
            number,
            sent_at,
            text,
        })
        .parse(rest),
        "ack" => number.parse(rest).map(|(rest, number)| (rest, PeerLine::Acknowledge { number })),
        "ready" => success(PeerLine::Ready).parse(rest),
        "nominate" => success(PeerLine::Nominate).parse(rest),
        "opened" => success(PeerLine::Opened).parse(rest),
        "close" => map(map_opt(field, PeerFarewell::from_word), PeerLine::Close).parse(rest),
        "hobnob-private" => map(
            (map_opt(field, small_decimal), map_opt(field, token), field, field),
            |(version, id, from, to)| PeerLine::Call { version, id, from, to },
        )
        .parse(rest),
        _ => Err(nom::Err::Error(())),
    }
}
