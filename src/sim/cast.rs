//! Who plays: names, passwords, texts and addresses that every part of the world agrees on.

use alloc::format;
use alloc::string::String;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::words::{SharedText, Text};

/// Users; only the first [`ACCOUNTS`] have an account at the start.
pub(crate) const USERS: &[&str] =
    &["hans", "yoda", "luke", "vader", "r2d2", "Ωmega", "leia", "Hans", "zoé", "ha"];
/// Users with an account at the start.
pub(crate) const ACCOUNTS: usize = 6;
/// Groups.
pub(crate) const GROUPS: &[&str] = &["rebels", "sith", "équipe"];

/// The password of a user; it changes with its version.
pub(crate) fn password_of(user: &str, version: u16) -> String {
    format!("right {user} {version} *&^$%#!")
}

/// A password as it is typed for the so manieth time: no two attempts look the same in the trace.
pub(crate) fn typed(password: &str, time: u32) -> String {
    format!("{password} ~{time}")
}

/// The password that is meant by what was typed.
pub(crate) fn meant(typed: &str) -> &str {
    typed.rsplit_once(" ~").map_or(typed, |(password, _)| password)
}

/// What follows a text's own number: bytes that a careless program would lose or split.
const TAILS: &[&str] = &[
    "",
    " hi",
    "  two  spaces  ",
    " naïve ☃ 雪 🦀",
    " #7 ok error",
    "\u{1b}[2J\r",
    " a\u{301}\u{301} \u{202e}x",
    "\u{2028}yoda: t1\u{2028}\u{2028} end\u{2028}",
];

/// A text that a server takes: it has a byte, and no line feed.
pub(super) fn shared(text: &str) -> SharedText {
    let Some(text) = Text::new(text) else { unreachable!("the world says nothing else: {text:?}") };
    text.into()
}

/// A text that no other step sends: its number, and a tail.
pub(crate) fn text(number: u32, salt: u64) -> String {
    let tail = TAILS[usize::try_from(salt % TAILS.len() as u64).unwrap_or(0)];
    let lead = if salt % 37 == 5 { " " } else { "" };
    if salt % 97 == 11 {
        return format!("{lead}t{number}{tail} {}", "long ".repeat(usize::try_from(salt % 700).unwrap_or(0)));
    }
    format!("{lead}t{number}{tail}")
}

/// An address for a place: some of them in one network, some of one host, some on the server's own machine.
pub(crate) fn any_address(hand: usize, place: u64) -> SocketAddr {
    let [kind, low, high, _, _, _, _, _] = (place.wrapping_mul(0x9e37) >> 3).to_le_bytes();
    let near = 1 + low % 4;
    let address: IpAddr = match kind % 8 {
        0 | 1 => Ipv4Addr::new(10, 1, 0, near).into(),
        2 => Ipv4Addr::new(10, 1, high, low).into(),
        3 => Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, u16::from(low)).into(),
        4 => Ipv6Addr::new(0x2001, 0xdb8, 7, u16::from(near), 0, 0, 0, 1).into(),
        5 => Ipv4Addr::new(127, 0, 0, near).into(),
        6 => Ipv4Addr::new(10, 1, 0, near).to_ipv6_mapped().into(),
        _ => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(address, 20_000 + u16::try_from(hand % 20_000).unwrap_or(0))
}

/// Where a person with a raw connection comes from.
pub(crate) fn hand_address(hand: usize, choice: u8) -> SocketAddr {
    let port = 20_000 + u16::try_from(hand % 20_000).unwrap_or(0);
    let address: IpAddr = match choice % 8 {
        0 => Ipv4Addr::new(10, 0, 9, 1).into(),
        1 => Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, u16::from(choice)).into(),
        2 => Ipv6Addr::LOCALHOST.into(),
        _ => Ipv4Addr::LOCALHOST.into(),
    };
    SocketAddr::new(address, port)
}
