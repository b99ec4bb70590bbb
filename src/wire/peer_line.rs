//! Lines between two clients on a private link.
//!
//! The caller (whoever connected) speaks first: `hobnob-private VERSION ID FROM TO`. The other side
//! checks id and names and says `ready`. The requester of the introduction then says `nominate` on
//! the one link it chooses, the accepter answers `opened`, and texts may flow both ways.

use alloc::vec::Vec;

use nom::Parser;
use nom::combinator::{map, map_opt, success};

use super::code::PeerFarewell;
use super::emit::Line;
use super::parse::{
    Garbled, Parsed, decimal, field, one_line, small_decimal, text, time, to_the_end, token, word,
};
use crate::time::Time;
use crate::words::{Text, Token};

/// One line between two clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerLine<'a> {
    /// `hobnob-private VERSION ID FROM TO`: the caller's first line.
    Call {
        /// Protocol version.
        version: u32,
        /// The id of the introduction.
        id: Token,
        /// The caller's user.
        from: &'a str,
        /// The user who is called.
        to: &'a str,
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    #[test]
    fn lines_are_read_and_written() {
        let text = PeerLine::Text { number: 1, sent_at: Time(5), text: Text::new(" hey  dude ").unwrap() };
        let call = PeerLine::Call { version: 1, id: Token([0x1f; 16]), from: "hans", to: "luke" };
        for (line, expected) in [
            ("hobnob-private 1 1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f hans luke", call),
            ("ready", PeerLine::Ready),
            ("nominate", PeerLine::Nominate),
            ("opened", PeerLine::Opened),
            ("text 1 5  hey  dude ", text),
            ("ack 18446744073709551615", PeerLine::Acknowledge { number: u64::MAX }),
            ("close logged_out", PeerLine::Close(PeerFarewell::LoggedOut)),
        ] {
            assert_eq!(PeerLine::parse(line.as_bytes()), Ok(expected), "{line:?}");
            let mut out = Vec::new();
            expected.encode(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{line}\n"));
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
            "close",
            "close lost",
            "hobnob 1 ack resume",
            "hobnob-private 1 1f hans luke",
            "hobnob-private 1 1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f hans",
            "hobnob-private 1 1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f hans luke yoda",
            "hobnob-private 1 1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f hans  luke",
            "GET / HTTP/1.1",
        ] {
            assert_eq!(PeerLine::parse(line.as_bytes()), Err(Garbled), "{line:?}");
        }
        assert_eq!(PeerLine::parse(b"text 1 5 \xff"), Err(Garbled));
    }
}
