//! Lines between two clients on a private link.
//!
//! The caller (whoever connected) speaks first: `hobnob-private 2 NONCE PROOF`, in the clear. The other side checks the
//! proof, and both encrypt what follows. The called side says `ready`. The requester of the introduction then says
//! `nominate` on the one link it chooses, the accepter answers `opened`, and texts may flow both ways. A conversation
//! moves to another link by `continue` and `continued`.

use alloc::vec::Vec;

use nom::Parser;
use nom::combinator::{map, map_opt, success, verify};

use super::code::PeerFarewell;
use super::emit::Line;
use super::parse::{Garbled, Parsed, decimal, field, one_line, text, time, to_the_end, token, word};
use crate::time::Time;
use crate::words::{Text, Token};

/// Of private links. Version 1 was not encrypted.
const CALL_VERSION: u64 = 2;

/// Bytes of a call, its line feed included. What follows them is encrypted.
pub const CALL_BYTES: usize = 83;

/// One line between two clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerLine<'a> {
    /// `hobnob-private 2 NONCE PROOF`: the caller's first line, of [`CALL_BYTES`].
    Call {
        /// Another one in each call.
        nonce: Token,
        /// That the caller knows the introduction.
        proof: Token,
    },
    /// `ready`: the called side knows the introduction.
    Ready,
    /// `nominate`: the requester chooses this link.
    Nominate,
    /// `opened`: the accepter agrees; the link is open.
    Opened,
    /// `text NUMBER SENT_AT TEXT`
    Text {
        /// Counts the texts of this direction of the link from 1.
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
    /// `continue ID ARRIVED`: the requester moves a conversation to this link.
    Continue {
        /// Of the introduction that the conversation began with.
        id: Token,
        /// Number of the last text that the requester has received.
        arrived: u64,
    },
    /// `continued ARRIVED`: the accepter agrees; the conversation goes on here.
    Continued {
        /// Number of the last text that the accepter has received.
        arrived: u64,
    },
    /// `meet`: the two look for a direct link again.
    Meet,
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
            PeerLine::Call { nonce, proof } => {
                Line::begin(out, "hobnob-private").number(CALL_VERSION).shown(nonce).shown(proof).end();
            }
            PeerLine::Ready => Line::begin(out, "ready").end(),
            PeerLine::Nominate => Line::begin(out, "nominate").end(),
            PeerLine::Opened => Line::begin(out, "opened").end(),
            PeerLine::Text { number, sent_at, text } => {
                Line::begin(out, "text").number(number).number(sent_at.0).rest(text.as_str()).end();
            }
            PeerLine::Acknowledge { number } => Line::begin(out, "ack").number(number).end(),
            PeerLine::Continue { id, arrived } => {
                Line::begin(out, "continue").shown(id).number(arrived).end();
            }
            PeerLine::Continued { arrived } => Line::begin(out, "continued").number(arrived).end(),
            PeerLine::Meet => Line::begin(out, "meet").end(),
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
        "meet" => success(PeerLine::Meet).parse(rest),
        "continue" => {
            map((map_opt(field, token), number), |(id, arrived)| PeerLine::Continue { id, arrived })
                .parse(rest)
        }
        "continued" => number.parse(rest).map(|(rest, arrived)| (rest, PeerLine::Continued { arrived })),
        "close" => map(map_opt(field, PeerFarewell::from_word), PeerLine::Close).parse(rest),
        "hobnob-private" => map(
            (
                verify(number, |version| *version == CALL_VERSION),
                map_opt(field, token),
                map_opt(field, token),
            ),
            |(_, nonce, proof)| PeerLine::Call { nonce, proof },
        )
        .parse(rest),
        _ => Err(nom::Err::Error(())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    #[test]
    fn lines_are_read_and_written() {
        let text = PeerLine::Text { number: 1, sent_at: Time(5), text: Text::new(" hey  dude ").unwrap() };
        let call = PeerLine::Call { nonce: Token([0x1f; 16]), proof: Token([0x2e; 16]) };
        for (line, expected) in [
            ("hobnob-private 2 1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f 2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e", call),
            ("ready", PeerLine::Ready),
            ("nominate", PeerLine::Nominate),
            ("opened", PeerLine::Opened),
            ("text 1 5  hey  dude ", text),
            ("ack 18446744073709551615", PeerLine::Acknowledge { number: u64::MAX }),
            (
                "continue 1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f 7",
                PeerLine::Continue { id: Token([0x1f; 16]), arrived: 7 },
            ),
            ("continued 0", PeerLine::Continued { arrived: 0 }),
            ("meet", PeerLine::Meet),
            ("close logged_out", PeerLine::Close(PeerFarewell::LoggedOut)),
        ] {
            assert_eq!(PeerLine::parse(line.as_bytes()), Ok(expected), "{line:?}");
            let mut out = Vec::new();
            expected.encode(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{line}\n"));
            let is_call = matches!(expected, PeerLine::Call { .. });
            assert!(!is_call || line.len() + 1 == CALL_BYTES);
        }
    }

    /// R8
    #[test]
    fn other_spellings_are_garbled() {
        for line in [
            "",
            "ready ",
            " ready",
            "READY",
            "ready now",
            "text 1 5",
            "text 1 5 ",
            "text 01 5 hi",
            "text 1 -5 hi",
            "text hi",
            "ack",
            "ack -",
            "ack 1 2",
            "continue 1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f",
            "continue 1f 7",
            "continue 7",
            "continued",
            "meet now",
            "continued 1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f 7",
            "close",
            "close lost",
            "hobnob 1 ack resume",
            "hobnob-private 2 1f 2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e",
            "hobnob-private 2 1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f",
            "hobnob-private 1 1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f hans luke",
            "hobnob-private 1 1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f 2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e",
            "hobnob-private 2 1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f 2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e luke",
            "hobnob-private 2 1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f  2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e",
            "GET / HTTP/1.1",
        ] {
            assert_eq!(PeerLine::parse(line.as_bytes()), Err(Garbled), "{line:?}");
        }
        assert_eq!(PeerLine::parse(b"text 1 5 \xff"), Err(Garbled));
    }
}
