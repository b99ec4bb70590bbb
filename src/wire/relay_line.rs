//! What clients and the server say to each other about relays (R60): private links that run through the server.
//!
//! The bytes of a relay are those of the connection that two clients would have otherwise: encrypted, but for the first
//! line of a call. The server passes them on as they are, in base64.

use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64Unpadded, Encoding as _};
use nom::Parser;
use nom::combinator::{map, map_opt};

use super::emit::Line;
use super::parse::{Parsed, decimal};

/// Bytes of one frame at most.
pub const FRAME_BYTES: usize = 3_072;

/// Bytes of a relay that may be under way in one direction: sent, and not taken by the other client.
pub const RELAY_WINDOW_BYTES: usize = 16_384;

/// The longest typed line with which a server offers relays: a frame fits into it.
pub const RELAY_LINE_BYTES: usize = 4_096;

/// Some bytes of a relay, as base64 without padding: 1 to [`FRAME_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed<'a>(&'a str);

impl<'a> Sealed<'a> {
    /// Reads base64; `None` if it is none, or not in its one spelling, or of too many bytes.
    #[must_use]
    pub fn new(word: &'a str) -> Option<Sealed<'a>> {
        let sealed = Sealed(word);
        let length = sealed.len();
        let mut room = [0; FRAME_BYTES];
        let is_read = (1..=FRAME_BYTES).contains(&length)
            && Base64Unpadded::decode(word, &mut room).is_ok_and(|bytes| bytes.len() == length);
        is_read.then_some(sealed)
    }

    /// How many bytes they are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.len() / 4 * 3 + self.0.len() % 4 * 3 / 4
    }

    /// Whether there are none: never.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// As they are written.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        Base64Unpadded::decode_vec(self.0).unwrap_or_default()
    }
}

/// Bytes as they are written in a frame.
#[must_use]
pub fn seal(bytes: &[u8]) -> String {
    Base64Unpadded::encode_string(bytes)
}

/// What a client says of relays. Relays are numbered by the server, for each session from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayLine<'a> {
    /// `relay open USER`: a relay with USER is to begin.
    Open {
        /// The other user.
        user: &'a str,
    },
    /// `relay data NUMBER BASE64`
    Data {
        /// Which relay.
        number: u64,
        /// For the other client.
        sealed: Sealed<'a>,
    },
    /// `relay took NUMBER COUNT`: the client has dealt with so many further bytes.
    Took {
        /// Which relay.
        number: u64,
        /// How many.
        count: u64,
    },
    /// `relay close NUMBER`
    Close {
        /// Which relay.
        number: u64,
    },
}

/// What the server says of relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relayed<'a> {
    /// `relay opened NUMBER USER`: a relay with USER has begun.
    Opened {
        /// Which relay.
        number: u64,
        /// The other user.
        user: &'a str,
    },
    /// `relay refused USER`: there can be none now.
    Refused {
        /// The other user.
        user: &'a str,
    },
    /// `relay unknown USER`: the two were not introduced in their sessions, and there will be none.
    Unknown {
        /// The other user.
        user: &'a str,
    },
    /// `relay data NUMBER BASE64`
    Data {
        /// Which relay.
        number: u64,
        /// Of the other client.
        sealed: Sealed<'a>,
    },
    /// `relay took NUMBER COUNT`: the other client has dealt with so many further bytes.
    Took {
        /// Which relay.
        number: u64,
        /// How many.
        count: u64,
    },
    /// `relay closed NUMBER`: it is over, and this is the last line about it.
    Closed {
        /// Which relay.
        number: u64,
    },
}

impl RelayLine<'_> {
    /// Appends the line with its line feed.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let line = Line::begin(out, "relay");
        match *self {
            RelayLine::Open { user } => line.field("open").field(user),
            RelayLine::Data { number, sealed } => line.field("data").number(number).field(sealed.as_str()),
            RelayLine::Took { number, count } => line.field("took").number(number).number(count),
            RelayLine::Close { number } => line.field("close").number(number),
        }
        .end();
    }
}

impl Relayed<'_> {
    /// Appends the line with its line feed.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let line = Line::begin(out, "relay");
        match *self {
            Relayed::Opened { number, user } => line.field("opened").number(number).field(user),
            Relayed::Refused { user } => line.field("refused").field(user),
            Relayed::Unknown { user } => line.field("unknown").field(user),
            Relayed::Data { number, sealed } => line.field("data").number(number).field(sealed.as_str()),
            Relayed::Took { number, count } => line.field("took").number(number).number(count),
            Relayed::Closed { number } => line.field("closed").number(number),
        }
        .end();
    }
}

/// What follows the word `relay` in a line of a client, where `word` reads the next one.
pub(super) fn relay_line<'a>(
    word: impl Fn(&'a str) -> Parsed<'a, &'a str>,
    rest: &'a str,
) -> Parsed<'a, RelayLine<'a>> {
    let (rest, verb) = word(rest)?;
    let number = || map_opt(&word, decimal);
    match verb {
        "open" => map(&word, |user| RelayLine::Open { user }).parse(rest),
        "data" => map((number(), map_opt(&word, Sealed::new)), |(number, sealed)| RelayLine::Data {
            number,
            sealed,
        })
        .parse(rest),
        "took" => map((number(), number()), |(number, count)| RelayLine::Took { number, count }).parse(rest),
        "close" => map(number(), |number| RelayLine::Close { number }).parse(rest),
        _ => Err(nom::Err::Error(())),
    }
}

/// What follows the word `relay` in a line of the server.
pub(super) fn relayed<'a>(
    word: impl Fn(&'a str) -> Parsed<'a, &'a str>,
    rest: &'a str,
) -> Parsed<'a, Relayed<'a>> {
    let (rest, verb) = word(rest)?;
    let number = || map_opt(&word, decimal);
    match verb {
        "opened" => map((number(), &word), |(number, user)| Relayed::Opened { number, user }).parse(rest),
        "refused" => map(&word, |user| Relayed::Refused { user }).parse(rest),
        "unknown" => map(&word, |user| Relayed::Unknown { user }).parse(rest),
        "data" => {
            map((number(), map_opt(&word, Sealed::new)), |(number, sealed)| Relayed::Data { number, sealed })
                .parse(rest)
        }
        "took" => map((number(), number()), |(number, count)| Relayed::Took { number, count }).parse(rest),
        "closed" => map(number(), |number| Relayed::Closed { number }).parse(rest),
        _ => Err(nom::Err::Error(())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ClientLine, ServerLine};
    use alloc::format;

    #[test]
    fn frames_have_one_spelling_and_a_bound() {
        for length in [1, 2, 3, 4, 83, FRAME_BYTES] {
            let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let word = seal(&bytes);
            let sealed = Sealed::new(&word).unwrap();
            assert_eq!((sealed.len(), sealed.bytes()), (length, bytes));
        }
        let (long, other) = (seal(&[0; FRAME_BYTES + 1]), "AB");
        for word in ["", "A", "AA=", "AA==", "A A", "_-8", "AA\n", &long, other] {
            assert_eq!(Sealed::new(word), None, "{word:?}");
        }
    }

    #[test]
    fn lines_are_read_and_written() {
        let sealed = Sealed::new("aGk").unwrap();
        for (line, expected) in [
            ("relay open yoda", RelayLine::Open { user: "yoda" }),
            ("relay data 7 aGk", RelayLine::Data { number: 7, sealed }),
            ("relay took 7 16384", RelayLine::Took { number: 7, count: 16_384 }),
            ("relay close 7", RelayLine::Close { number: 7 }),
        ] {
            assert_eq!(ClientLine::parse(line.as_bytes()), Ok(ClientLine::Relay(expected)), "{line}");
            let mut out = Vec::new();
            ClientLine::Relay(expected).encode(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{line}\n"));
        }
        for (line, expected) in [
            ("relay opened 1 yoda", Relayed::Opened { number: 1, user: "yoda" }),
            ("relay refused yoda", Relayed::Refused { user: "yoda" }),
            ("relay unknown yoda", Relayed::Unknown { user: "yoda" }),
            ("relay data 1 aGk", Relayed::Data { number: 1, sealed }),
            ("relay took 1 2", Relayed::Took { number: 1, count: 2 }),
            ("relay closed 1", Relayed::Closed { number: 1 }),
        ] {
            assert_eq!(ServerLine::parse(line.as_bytes()), Ok(ServerLine::Relay(expected)), "{line}");
            let mut out = Vec::new();
            ServerLine::Relay(expected).encode(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{line}\n"));
        }
        for line in
            ["relay", "relay open", "relay data 1", "relay data 1 A", "relay took 1 -", "relay stop 1"]
        {
            assert!(ClientLine::parse(line.as_bytes()).is_err(), "{line}");
            assert!(ServerLine::parse(line.as_bytes()).is_err(), "{line}");
        }
    }
}
