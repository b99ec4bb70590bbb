//! Parsers of words, numbers and ids that the grammars are made of. They see whole lines only.
//!
//! People type more than one space between words without meaning anything by it; programs do not. So there
//! are two ways to take a word: [`argument`] skips a run of spaces before it, [`field`] exactly one.

use core::net::{IpAddr, SocketAddr};

use nom::combinator::{map_opt, rest, verify};
use nom::sequence::preceded;
use nom::{IResult, Parser};

use super::parts::Words;
use crate::time::Time;
use crate::words::{DeviceKey, LoginNumber, MessageId, Origin, Secret, Text, Token};

/// A line from a server or a peer that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garbled;

pub(super) type Parsed<'a, T> = IResult<&'a str, T, ()>;

/// The line as text; `None` if it is not UTF-8 or holds a line feed.
#[inline]
pub(super) fn one_line(line: &[u8]) -> Option<&str> {
    match memchr::memchr(b'\n', line) {
        Some(_) => None,
        None => core::str::from_utf8(line).ok(),
    }
}

/// The parsed value, if nothing but spaces follows it.
#[inline]
pub(super) fn but_for_spaces<T>(parsed: Parsed<'_, T>) -> Option<T> {
    match parsed {
        Ok((left, value)) if left.bytes().all(|byte| byte == b' ') => Some(value),
        Ok(_) | Err(_) => None,
    }
}

/// The parsed value, if nothing follows it.
#[inline]
pub(super) fn to_the_end<T>(parsed: Parsed<'_, T>) -> Option<T> {
    match parsed {
        Ok(("", value)) => Some(value),
        Ok(_) | Err(_) => None,
    }
}

/// Everything up to a space or the end, at least one byte. Words are short: looking at each byte
/// beats a search made for long stretches.
#[inline]
pub(super) fn word(input: &str) -> Parsed<'_, &str> {
    match input.split_at(input.bytes().position(|byte| byte == b' ').unwrap_or(input.len())) {
        ("", _) => Err(nom::Err::Error(())),
        (word, after) => Ok((after, word)),
    }
}

/// Spaces, if there are any.
#[inline]
pub(super) fn spaces(input: &str) -> Parsed<'_, &str> {
    let (spaces, after) = input.split_at(input.bytes().position(|byte| byte != b' ').unwrap_or(input.len()));
    Ok((after, spaces))
}

/// One space.
#[inline]
pub(super) fn space(input: &str) -> Parsed<'_, &str> {
    match input.split_at_checked(1) {
        Some((" ", after)) => Ok((after, " ")),
        Some(_) | None => Err(nom::Err::Error(())),
    }
}

/// A word after one or more spaces.
#[inline]
pub(super) fn argument(input: &str) -> Parsed<'_, &str> {
    preceded((space, spaces), word).parse(input)
}

/// A word after exactly one space.
#[inline]
pub(super) fn field(input: &str) -> Parsed<'_, &str> {
    preceded(space, word).parse(input)
}

/// A text after exactly one space: the rest of the line, byte for byte.
#[inline]
pub(super) fn text(input: &str) -> Parsed<'_, Text<'_>> {
    map_opt(preceded(space, rest), Text::of_line).parse(input)
}

/// A password after exactly one space: the rest of the line, byte for byte.
#[inline]
pub(super) fn secret(input: &str) -> Parsed<'_, Secret<'_>> {
    preceded(space, verify(rest, |secret: &str| !secret.is_empty())).map(Secret).parse(input)
}

/// Any number of words, exactly one space before each: the rest of the line.
#[inline]
pub(super) fn fields(input: &str) -> Parsed<'_, Words<'_>> {
    let bytes = input.as_bytes();
    let single = bytes.windows(2).all(|pair| pair != b"  ") && bytes.last() != Some(&b' ');
    let apart = bytes.first().is_none_or(|first| *first == b' ');
    map_opt(verify(rest, |_: &str| single && apart), Words::new).parse(input)
}

/// A command's number as the server repeats it, if there is one: `#42` after exactly one space.
#[inline]
pub(super) fn answered_number(input: &str) -> Parsed<'_, Option<u64>> {
    if input.as_bytes().starts_with(b" #") {
        map_opt(field, command_number).map(Some).parse(input)
    } else {
        Ok((input, None))
    }
}

/// `#42`
#[inline]
pub(super) fn command_number(word: &str) -> Option<u64> {
    word.strip_prefix('#').and_then(decimal)
}

/// `#42` before a command.
pub(super) fn numbered(line: &str) -> Parsed<'_, u64> {
    preceded(spaces, map_opt(word, command_number)).parse(line)
}

/// The word `group` after one or more spaces.
pub(super) fn keyword_group(rest: &str) -> Parsed<'_, &str> {
    verify(argument, |word: &str| word == "group").parse(rest)
}

/// Digits without sign or leading zero; `None` if the number is too large.
#[inline]
pub(super) fn decimal(word: &str) -> Option<u64> {
    let canonical = |digits: &[u8]| !matches!(digits, [] | [b'0', _, ..]);
    let add = |number: u64, byte: &u8| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(u64::from(digit)) }
    };
    canonical(word.as_bytes()).then(|| word.as_bytes().iter().try_fold(0, add))?
}

/// [`decimal`] that fits 32 bits.
#[inline]
pub(super) fn small_decimal(word: &str) -> Option<u32> {
    decimal(word).and_then(|number| u32::try_from(number).ok())
}

/// Any digits, however many and with whatever leading zeros; saturating.
#[inline]
pub(super) fn saturating_decimal(word: &str) -> Option<u64> {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let add = |number: u64, byte: u8| number.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
    digits.then(|| word.bytes().fold(0, add))
}

/// Microseconds since the epoch.
#[inline]
pub(super) fn time(word: &str) -> Option<Time> {
    decimal(word).map(Time)
}

/// `BOOT.NUMBER`
#[inline]
pub(super) fn message_id(word: &str) -> Option<MessageId> {
    let (boot, number) = at_the_dot(word)?;
    Some(MessageId { boot: small_decimal(boot)?, number: decimal(number)? })
}

/// `LOGIN.NUMBER`
#[inline]
pub(super) fn origin(word: &str) -> Option<Origin> {
    let (login, number) = at_the_dot(word)?;
    Some(Origin { login: LoginNumber(decimal(login)?), number: decimal(number)? })
}

/// The parts before and after the first dot.
#[inline]
fn at_the_dot(word: &str) -> Option<(&str, &str)> {
    let (before, after) = word.split_at_checked(word.bytes().position(|byte| byte == b'.')?)?;
    Some((before, after.strip_prefix('.')?))
}

/// `10.0.0.2:5123` or `[::1]:5123`. A zone is meaningful on one machine only, so there is none.
pub(super) fn address(word: &str) -> Option<SocketAddr> {
    let (host, port) = word.rsplit_once(':')?;
    let ip = match host.strip_prefix('[') {
        Some(host) => IpAddr::V6(host.strip_suffix(']')?.parse().ok()?),
        None => IpAddr::V4(host.parse().ok()?),
    };
    Some(SocketAddr::new(ip, port_number(port)?))
}

/// [`decimal`] that fits 16 bits.
pub(super) fn port_number(word: &str) -> Option<u16> {
    decimal(word).and_then(|number| u16::try_from(number).ok())
}

/// 32 hexadecimal digits.
#[inline]
pub(super) fn token(word: &str) -> Option<Token> {
    word.parse().ok()
}

/// `ed25519:` and 43 characters of base64.
pub(super) fn device_key(word: &str) -> Option<DeviceKey> {
    word.parse().ok()
}

/// `-` for nothing, otherwise the word as `read` reads it.
#[inline]
pub(super) fn or_dash<T>(read: impl Fn(&str) -> Option<T>) -> impl Fn(&str) -> Option<Option<T>> {
    move |word| if word == "-" { Some(None) } else { read(word).map(Some) }
}
