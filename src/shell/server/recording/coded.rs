//! How values are written into a recording, and read again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::record::{Digest, RecordNumber, WordsDigest};
use crate::time::Time;
use crate::words::{
    AddressRange, Credential, LinkId, LoginNumber, MessageId, Name, Origin, SharedText, Text, Ticket, Token,
};

/// Takes what is written.
#[derive(Default)]
pub(super) struct Encoder {
    pub(super) bytes: Vec<u8>,
    /// Whether digests and credentials are left out: they depend on the folder's secret.
    pub(super) leaves_out: bool,
}

/// What is left to read.
#[derive(Clone)]
pub(super) struct Decoder<'a> {
    pub(super) rest: &'a [u8],
}

impl Encoder {
    pub(super) fn number(&mut self, mut number: u64) {
        while let high @ 1.. = number >> 7 {
            self.bytes.push(low_bits(number) | 0x80);
            number = high;
        }
        self.bytes.push(low_bits(number));
    }

    /// A number that is small whether it is above or below 0.
    pub(super) fn difference(&mut self, now: u64, before: u64) {
        let difference = now.wrapping_sub(before).cast_signed();
        self.number(((difference << 1) ^ (difference >> 63)).cast_unsigned());
    }

    pub(super) fn block(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes how long what follows the byte at `start` is, in the place of that byte.
    pub(super) fn put_length(&mut self, start: usize) {
        let end = self.bytes.len();
        let length = end - start - 1;
        if length < 0x80 {
            self.bytes[start] = low_bits(length as u64);
            return;
        }
        self.number(length as u64);
        let count = self.bytes.len() - end;
        let mut digits = [0; 10];
        digits[..count].copy_from_slice(&self.bytes[end..]);
        self.bytes.copy_within(start + 1..end, start + count);
        self.bytes[start..start + count].copy_from_slice(&digits[..count]);
        self.bytes.truncate(end + count - 1);
    }
}

fn low_bits(number: u64) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

impl<'a> Decoder<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..10 {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn difference(&mut self, before: u64) -> Option<u64> {
        let number = self.number()?;
        let difference = (number >> 1).cast_signed() ^ -((number & 1).cast_signed());
        Some(before.wrapping_add(difference.cast_unsigned()))
    }

    pub(super) fn block(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.number()?).ok()?;
        self.bytes(count)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.block()?).ok()
    }
}

/// Can be written and read.
pub(super) trait Coded: Sized {
    fn put(&self, out: &mut Encoder);
    fn get(from: &mut Decoder<'_>) -> Option<Self>;
}

macro_rules! numbers {
    ($($number:ty),*) => { $(
        impl Coded for $number {
            fn put(&self, out: &mut Encoder) {
                out.number(*self as u64);
            }

            fn get(from: &mut Decoder<'_>) -> Option<Self> {
                <$number>::try_from(from.number()?).ok()
            }
        }
    )* };
}

macro_rules! wrapped {
    ($($wrapper:ident),*) => { $(
        impl Coded for $wrapper {
            fn put(&self, out: &mut Encoder) {
                self.0.put(out);
            }

            fn get(from: &mut Decoder<'_>) -> Option<Self> {
                Some($wrapper(Coded::get(from)?))
            }
        }
    )* };
}

numbers!(u16, u32, u64, usize);
wrapped!(Time, LinkId, Ticket, LoginNumber, RecordNumber, Token);

impl Coded for bool {
    fn put(&self, out: &mut Encoder) {
        out.bytes.push(u8::from(*self));
    }

    fn get(from: &mut Decoder<'_>) -> Option<bool> {
        match from.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<const N: usize> Coded for [u8; N] {
    fn put(&self, out: &mut Encoder) {
        out.bytes.extend_from_slice(self);
    }

    fn get(from: &mut Decoder<'_>) -> Option<[u8; N]> {
        from.array()
    }
}

impl<T: Coded> Coded for Option<T> {
    fn put(&self, out: &mut Encoder) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn get(from: &mut Decoder<'_>) -> Option<Option<T>> {
        Some(if bool::get(from)? { Some(T::get(from)?) } else { None })
    }
}

impl<T: Coded> Coded for Vec<T> {
    fn put(&self, out: &mut Encoder) {
        out.number(self.len() as u64);
        for value in self {
            value.put(out);
        }
    }

    fn get(from: &mut Decoder<'_>) -> Option<Vec<T>> {
        // Each takes a byte at least: a number that is wrong takes no memory.
        let count = usize::try_from(from.number()?).ok().filter(|count| *count <= from.rest.len())?;
        (0..count).map(|_| T::get(from)).collect()
    }
}

impl Coded for Box<[Name]> {
    fn put(&self, out: &mut Encoder) {
        self.to_vec().put(out);
    }

    fn get(from: &mut Decoder<'_>) -> Option<Box<[Name]>> {
        Vec::get(from).map(Vec::into_boxed_slice)
    }
}

impl<T: Coded> Coded for Box<T> {
    fn put(&self, out: &mut Encoder) {
        T::put(self, out);
    }

    fn get(from: &mut Decoder<'_>) -> Option<Box<T>> {
        T::get(from).map(Box::new)
    }
}

impl<A: Coded, B: Coded> Coded for (A, B) {
    fn put(&self, out: &mut Encoder) {
        self.0.put(out);
        self.1.put(out);
    }

    fn get(from: &mut Decoder<'_>) -> Option<(A, B)> {
        Some((A::get(from)?, B::get(from)?))
    }
}

macro_rules! texts {
    ($($text:ty),*) => { $(
        impl Coded for $text {
            fn put(&self, out: &mut Encoder) {
                out.block(self.as_bytes());
            }

            fn get(from: &mut Decoder<'_>) -> Option<Self> {
                from.text().map(Into::into)
            }
        }
    )* };
}

texts!(String, Box<str>);

impl Coded for SharedText {
    fn put(&self, out: &mut Encoder) {
        out.block(self.as_str().as_bytes());
    }

    fn get(from: &mut Decoder<'_>) -> Option<SharedText> {
        Text::new(from.text()?).map(Into::into)
    }
}

impl Coded for Name {
    fn put(&self, out: &mut Encoder) {
        out.block(self.as_str().as_bytes());
    }

    fn get(from: &mut Decoder<'_>) -> Option<Name> {
        Name::new(from.text()?).ok()
    }
}

impl Coded for AddressRange {
    fn put(&self, out: &mut Encoder) {
        self.to_string().put(out);
    }

    fn get(from: &mut Decoder<'_>) -> Option<AddressRange> {
        from.text()?.parse().ok()
    }
}

impl Coded for SocketAddr {
    fn put(&self, out: &mut Encoder) {
        match self.ip() {
            IpAddr::V4(ip) => out.block(&ip.octets()),
            IpAddr::V6(ip) => out.block(&ip.octets()),
        }
        self.port().put(out);
    }

    fn get(from: &mut Decoder<'_>) -> Option<SocketAddr> {
        let octets = from.block()?;
        let ip = match (<[u8; 4]>::try_from(octets), <[u8; 16]>::try_from(octets)) {
            (Ok(four), _) => Ipv4Addr::from(four).into(),
            (_, Ok(sixteen)) => Ipv6Addr::from(sixteen).into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, u16::get(from)?))
    }
}

impl Coded for MessageId {
    fn put(&self, out: &mut Encoder) {
        (self.boot, self.number).put(out);
    }

    fn get(from: &mut Decoder<'_>) -> Option<MessageId> {
        Some(MessageId { boot: Coded::get(from)?, number: Coded::get(from)? })
    }
}

impl Coded for Origin {
    fn put(&self, out: &mut Encoder) {
        (self.login, self.number).put(out);
    }

    fn get(from: &mut Decoder<'_>) -> Option<Origin> {
        Some(Origin { login: Coded::get(from)?, number: Coded::get(from)? })
    }
}

impl Coded for Digest {
    fn put(&self, out: &mut Encoder) {
        if !out.leaves_out {
            self.0.put(out);
        }
    }

    fn get(from: &mut Decoder<'_>) -> Option<Digest> {
        from.array().map(Digest)
    }
}

impl Coded for WordsDigest {
    fn put(&self, out: &mut Encoder) {
        if !out.leaves_out {
            self.0.to_le_bytes().put(out);
        }
    }

    fn get(from: &mut Decoder<'_>) -> Option<WordsDigest> {
        from.array().map(|bytes| WordsDigest(u64::from_le_bytes(bytes)))
    }
}

impl Coded for Credential {
    fn put(&self, out: &mut Encoder) {
        if !out.leaves_out {
            out.block(self.reveal().as_bytes());
        }
    }

    fn get(from: &mut Decoder<'_>) -> Option<Credential> {
        from.text().map(Credential::new)
    }
}
