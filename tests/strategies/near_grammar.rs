//! Bytes that are nearly a line, which arbitrary bytes hardly ever are.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Every word with a meaning in one of the grammars, and the shapes of the others.
const VOCABULARY: &[&[u8]] = &[
    b"hello",
    b"login",
    b"register",
    b"resume",
    b"ack",
    b"active",
    b"invalid",
    b"message",
    b"group",
    b"broadcast",
    b"whoelse",
    b"whoelsesince",
    b"wholasthr",
    b"wholasthtr",
    b"block",
    b"unblock",
    b"offline",
    b"ping",
    b"seen",
    b"away",
    b"back",
    b"create",
    b"grouplist",
    b"add",
    b"remove",
    b"leave",
    b"delete",
    b"startprivate",
    b"accept",
    b"decline",
    b"help",
    b"logout",
    b"hobnob",
    b"ask",
    b"username",
    b"welcome",
    b"resumed",
    b"unread",
    b"token",
    b"refused",
    b"invalid_credentials",
    b"locked_out",
    b"stale",
    b"ok",
    b"error",
    b"usage",
    b"complete",
    b"withheld",
    b"delivered",
    b"stored",
    b"live",
    b"group-message",
    b"online",
    b"users",
    b"members",
    b"changed",
    b"request",
    b"withdrawn",
    b"introduce",
    b"requester",
    b"notice",
    b"failed_logins",
    b"missed",
    b"idle",
    b"bye",
    b"timeout",
    b"hobnob-private",
    b"ready",
    b"nominate",
    b"opened",
    b"text",
    b"close",
    b"stopped",
    b"yoda",
    b"-",
    b"#",
    b"#7",
    b"#07",
    b"#18446744073709551616",
    b"0",
    b"1",
    b"01",
    b"-1",
    b"1.5",
    b"+1",
    b"3.14",
    b"03.1",
    b"4294967296.1",
    b"18446744073709551615",
    b"99999999999999999999999",
    b"00112233445566778899aabbccddeeff",
    b"00112233445566778899AABBCCDDEEFF",
    b"5123",
    b"65536",
    b"127.0.0.1:4000",
    b"[::1]:4000",
    b"127.0.0.1:04000",
    b"[::1%1]:4000",
    b"[0::1]:4000",
    b"[fe80::1%2]:80",
    b"\xe2\x80\xae",
    b"\0",
    b"\r",
    b"\t",
    b"\n",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x8d\xb5",
];

/// Words of the grammars in any order, with the wrong number of spaces here and there.
pub fn words() -> impl Strategy<Value = Vec<u8>> {
    let spaces = prop_oneof![8 => Just(1_usize), 1 => Just(0), 1 => 2_usize..4];
    let sentence = vec((select(VOCABULARY), spaces), 0..8);
    (prop_oneof![4 => Just(0_usize), 1 => 1_usize..3], sentence).prop_map(|(leading, sentence)| {
        let mut line = b" ".repeat(leading);
        for (index, (word, spaces)) in sentence.iter().enumerate() {
            line.extend_from_slice(word);
            // Most lines end with a word.
            let last = index + 1 == sentence.len();
            line.extend(b" ".repeat(if last { spaces.saturating_sub(1) } else { *spaces }));
        }
        line
    })
}

/// A good line with one byte changed, added or taken away.
pub fn damaged(good: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![select(b" #-.0a\r\n\0\xff".as_slice()), any::<u8>()];
    (good, any::<Index>(), 0_usize..2, prop_oneof![Just(None), byte.prop_map(Some)]).prop_map(
        |(mut line, at, removed, added)| {
            let at = at.index(line.len() + 1);
            let end = (at + removed).min(line.len());
            line.splice(at..end, added);
            line
        },
    )
}
