//! The words that lines are made of.
//!
//! Lines borrow from the bytes they are read from. Generated words have nothing to borrow from, so they
//! are leaked: a few hundred bytes for each case of a test.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hobnob::time::Time;
use hobnob::wire::{Capabilities, Endpoint, Words};
use hobnob::words::{LoginNumber, MessageId, Origin, Secret, Text, Token};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn leaked(text: String) -> &'static str {
    text.leak()
}

/// Anything between two spaces.
pub fn word() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => "[a-z][a-z0-9]{0,8}",
        2 => "[^ \n]{1,40}",
        1 => "[^ \n]{0,3}[\r\0\t\u{1b}\u{202e}\u{200b}\u{feff}]",
        1 => select(vec!["-", "#", "#1", "#01", "group", "message", "ok", "withheld", "invalid", "NAME"])
            .prop_map(str::to_owned),
    ]
    .prop_map(leaked)
}

/// Names of users and groups: no `#` in front, and not `group`.
pub fn name() -> impl Strategy<Value = &'static str> {
    word().prop_filter("no name", |word| !word.starts_with('#') && *word != "group")
}

/// Any rest of a line but none.
fn rest() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => "[ -~]{1,60}",
        2 => "[^\n]{1,200}",
        1 => "[^\n]{0,5}[ \r\0\u{7}\u{1b}\u{2028}\u{202e}\u{e0001}]{1,3}",
        1 => "[a ]{4090,4096}",
    ]
    .prop_map(leaked)
}

pub fn text() -> impl Strategy<Value = Text<'static>> {
    rest().prop_filter_map("no text", Text::new)
}

pub fn secret() -> impl Strategy<Value = Secret<'static>> {
    rest().prop_map(Secret)
}

/// Names with runs of spaces between them.
pub fn names(count: std::ops::Range<usize>) -> impl Strategy<Value = Words<'static>> {
    vec((name(), 1_usize..4), count).prop_filter_map("no words", |names| {
        let line: String = names.iter().map(|(name, spaces)| " ".repeat(*spaces) + name).collect();
        Words::new(leaked(line))
    })
}

/// Numbers of every length.
pub fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(u64::MAX),
        0_u64..200,
        (0_u32..20).prop_map(|power| 10_u64.pow(power)),
        (0_u32..20).prop_map(|power| 10_u64.pow(power) - 1),
        any::<u64>(),
    ]
}

pub fn small_number() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(u32::MAX), 0_u32..200, any::<u32>()]
}

pub fn time() -> impl Strategy<Value = Time> {
    number().prop_map(Time)
}

pub fn message_id() -> impl Strategy<Value = MessageId> {
    (small_number(), number()).prop_map(|(boot, number)| MessageId { boot, number })
}

pub fn origin() -> impl Strategy<Value = Option<Origin>> {
    option::of((number(), number()).prop_map(|(login, number)| Origin { login: LoginNumber(login), number }))
}

pub fn token() -> impl Strategy<Value = Token> {
    any::<[u8; 16]>().prop_map(Token)
}

pub fn capabilities() -> impl Strategy<Value = Capabilities> {
    any::<[bool; 8]>().prop_map(|[acknowledge, resume, device, alive, courier, away, relay, until]| {
        Capabilities { acknowledge, resume, device, alive, courier, away, relay, until }
    })
}

/// Without a zone: a line has none.
pub fn address() -> impl Strategy<Value = SocketAddr> {
    let v4 = any::<(u32, u16)>().prop_map(|(ip, port)| (Ipv4Addr::from_bits(ip), port).into());
    let v6 = any::<(u128, u16)>().prop_map(|(ip, port)| (Ipv6Addr::from_bits(ip), port).into());
    let mapped =
        any::<(u32, u16)>().prop_map(|(ip, port)| (Ipv4Addr::from_bits(ip).to_ipv6_mapped(), port).into());
    prop_oneof![v4, v6, mapped]
}

pub fn endpoint() -> impl Strategy<Value = Endpoint> {
    prop_oneof![any::<u16>().prop_map(Endpoint::Port), address().prop_map(Endpoint::Address)]
}
