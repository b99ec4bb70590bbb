//! Writers of words, numbers and ids that the encoders are made of.

use alloc::vec::Vec;
use core::fmt::{self, Display, Write};
use core::net::SocketAddr;

use super::parts::{Capabilities, Words};
use crate::words::{MessageId, Origin};

/// A line being written at the end of a buffer.
pub(super) struct Line<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Line<'o> {
    /// Begins a line with its first word.
    #[inline]
    pub(super) fn begin(out: &'o mut Vec<u8>, word: &str) -> Line<'o> {
        out.extend_from_slice(word.as_bytes());
        Line { out }
    }

    /// One space and a word.
    #[inline]
    pub(super) fn field(self, word: &str) -> Line<'o> {
        debug_assert!(!word.is_empty() && !word.contains([' ', '\n']), "{word:?} is no word");
        self.rest(word)
    }

    /// One space and whatever follows to the end of the line.
    #[inline]
    pub(super) fn rest(self, text: &str) -> Line<'o> {
        self.out.push(b' ');
        self.out.extend_from_slice(text.as_bytes());
        self
    }

    /// One space before each word.
    #[inline]
    pub(super) fn fields(self, words: Words<'_>) -> Line<'o> {
        words.iter().fold(self, Line::field)
    }

    /// One space and a number.
    #[inline]
    pub(super) fn number(self, number: u64) -> Line<'o> {
        self.out.push(b' ');
        push_decimal(self.out, number);
        self
    }

    /// One space and the number of the command that is answered, if it had one.
    #[inline]
    pub(super) fn answering(self, number: Option<u64>) -> Line<'o> {
        if let Some(number) = number {
            self.out.extend_from_slice(b" #");
            push_decimal(self.out, number);
        }
        self
    }

    /// One space and a message's id.
    #[inline]
    pub(super) fn message_id(self, id: MessageId) -> Line<'o> {
        self.pair(u64::from(id.boot), id.number)
    }

    /// One space and the command a message came from, or `-`.
    #[inline]
    pub(super) fn origin(self, origin: Option<Origin>) -> Line<'o> {
        match origin {
            Some(origin) => self.pair(origin.login.0, origin.number),
            None => self.field("-"),
        }
    }

    /// One space and something that is written rarely.
    #[inline]
    pub(super) fn shown(self, value: impl Display) -> Line<'o> {
        self.out.push(b' ');
        // Writing into memory cannot fail.
        let _ = write!(Buffer(self.out), "{value}");
        self
    }

    /// One space and an address, without the zone that one machine may know it by.
    pub(super) fn address(self, address: SocketAddr) -> Line<'o> {
        self.shown(SocketAddr::new(address.ip(), address.port()))
    }

    /// The words of the capabilities that are there.
    #[inline]
    pub(super) fn capabilities(self, capabilities: Capabilities) -> Line<'o> {
        let Capabilities { acknowledge, resume, device, alive, courier, away, relay, until } = capabilities;
        let first = [(acknowledge, "ack"), (resume, "resume"), (device, "device")];
        let later =
            [(alive, "alive"), (courier, "courier"), (away, "away"), (relay, "relay"), (until, "until")];
        (first.into_iter().chain(later))
            .filter(|(is_there, _)| *is_there)
            .fold(self, |line, (_, word)| line.field(word))
    }

    /// Ends the line. The reader drops one carriage return before a line feed, so a line that ends
    /// in one gets another.
    #[inline]
    pub(super) fn end(self) {
        if self.out.last() == Some(&b'\r') {
            self.out.push(b'\r');
        }
        self.out.push(b'\n');
    }

    #[inline]
    fn pair(self, left: u64, right: u64) -> Line<'o> {
        self.out.push(b' ');
        push_decimal(self.out, left);
        self.out.push(b'.');
        push_decimal(self.out, right);
        self
    }
}

/// The number of a command, before it.
#[inline]
pub(super) fn push_command_number(out: &mut Vec<u8>, number: u64) {
    out.push(b'#');
    push_decimal(out, number);
    out.push(b' ');
}

const EIGHT_DIGITS: u64 = 100_000_000;
/// The digit zero, eight times.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// Formatting through `core::fmt` costs ten times as much, and a delivery has six numbers.
#[inline]
fn push_decimal(out: &mut Vec<u8>, number: u64) {
    if let digit @ 0..10 = number {
        return out.push(digit as u8 | b'0');
    }
    if number < EIGHT_DIGITS {
        return push_leading(out, number);
    }
    let (front, last) = (number / EIGHT_DIGITS, number % EIGHT_DIGITS);
    if front < EIGHT_DIGITS {
        push_leading(out, front);
    } else {
        push_leading(out, front / EIGHT_DIGITS);
        out.extend_from_slice(&(eight_digits(front % EIGHT_DIGITS) | ZEROS).to_le_bytes());
    }
    out.extend_from_slice(&(eight_digits(last) | ZEROS).to_le_bytes());
}

/// A number of at most eight digits, without leading zeros.
#[inline]
fn push_leading(out: &mut Vec<u8>, number: u64) {
    let digits = eight_digits(number);
    // Zero itself has one digit.
    let zeros = (digits.trailing_zeros() / 8).min(7);
    let spelt = (digits | ZEROS) >> (8 * zeros);
    // All eight bytes are always copied and the surplus is cut off: that needs no call.
    out.extend_from_slice(&spelt.to_le_bytes());
    out.truncate(out.len() - zeros as usize);
}

/// The digits of a number below 10^8, one in each byte, the first in the lowest. Splits all parts at
/// once: four digits and four, then twos, then ones. A division by 100 or 10 is a multiplication and
/// a shift, exact for numbers so small.
#[inline]
const fn eight_digits(number: u64) -> u64 {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let high = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = high | ((fours - 100 * high) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - 10 * tens) << 8)
}

struct Buffer<'o>(&'o mut Vec<u8>);

impl fmt::Write for Buffer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use core::net::{Ipv6Addr, SocketAddrV6};

    fn spelt(number: u64) -> String {
        let mut out = b"#".to_vec();
        push_decimal(&mut out, number);
        String::from_utf8(out).expect("digits")
    }

    #[test]
    fn numbers_are_spelt_like_anywhere_else() {
        let powers = (0..20).map(|power| 10_u64.pow(power));
        let edges = powers.flat_map(|power| [power - 1, power, power + 1, power.saturating_mul(9)]);
        for number in edges.chain(0..20_000).chain([u64::MAX, u64::MAX - 1]) {
            assert_eq!(spelt(number), ["#", &number.to_string()].concat());
        }
        let mut number = 1_u64;
        for _ in 0..20_000 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = number >> (number % 64);
            assert_eq!(spelt(number), ["#", &number.to_string()].concat());
        }
    }

    /// A reader refuses a zone, and with it the whole line.
    #[test]
    fn addresses_are_written_without_their_zone() {
        let mut out = Vec::new();
        let scoped = SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), 5123, 7, 2);
        Line::begin(&mut out, "accept").address(SocketAddr::V6(scoped)).end();
        assert_eq!(out, b"accept [fe80::1]:5123\n");
    }

    #[test]
    fn eight_digits_are_right_for_every_part() {
        for part in 0..10_000 {
            for number in [part, part * 10_000, part * 10_000 + 9_999 - part] {
                let spelt = (eight_digits(number) | ZEROS).to_le_bytes();
                assert_eq!(String::from_utf8_lossy(&spelt), alloc::format!("{number:08}"));
            }
        }
    }
}
