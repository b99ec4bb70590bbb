//! Writers of words, numbers and ids that the encoders are made of.

use alloc::vec::Vec;
use core::fmt::{self, Display, Write};

use super::client_line::{Capabilities, Words};
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

    /// The words of the capabilities that are there.
    #[inline]
    pub(super) fn capabilities(self, capabilities: Capabilities) -> Line<'o> {
        let Capabilities { acknowledge, resume } = capabilities;
        let line = if acknowledge { self.field("ack") } else { self };
        if resume { line.field("resume") } else { line }
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

/// The number of a command, in front of it.
#[inline]
pub(super) fn push_command_number(out: &mut Vec<u8>, number: u64) {
    out.push(b'#');
    push_decimal(out, number);
    out.push(b' ');
}

/// Two digits for each number below 100. Formatting through `core::fmt` costs several times as much,
/// and a delivery has six numbers.
const PAIRS: &[u8; 200] = b"\
    0001020304050607080910111213141516171819\
    2021222324252627282930313233343536373839\
    4041424344454647484950515253545556575859\
    6061626364656667686970717273747576777879\
    8081828384858687888990919293949596979899";

#[inline]
fn push_decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    while number >= 10 {
        let pair = (number % 100) as usize * 2;
        number /= 100;
        start -= 2;
        digits[start..start + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    // One digit is left, unless the last pair was all.
    if number > 0 || start == digits.len() {
        start -= 1;
        digits[start] = b'0' + number as u8;
    }
    out.extend_from_slice(&digits[start..]);
}

struct Buffer<'o>(&'o mut Vec<u8>);

impl fmt::Write for Buffer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
