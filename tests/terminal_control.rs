//! A thousand random texts that try to steer a terminal, in each place where a client shows what others say. The
//! fuzzer's target `terminal` has the judge and tries more.

use proptest::prelude::*;

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests and the fuzzer")]
mod targets;

/// What terminals obey, and what hides or reorders text.
const PIECES: &[&str] = &[
    "\x1b[2J",
    "\x1b[1;1H",
    "\x1b[6n",
    "\x1b[3;5r",
    "\x1b[?1049h",
    "\x1b[31;7m",
    "\x1b]0;title\x07",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1bP$qm\x1b\\",
    "\x1b(0",
    "\x1b7",
    "\x1bc",
    "\x1b",
    "\u{9b}5A",
    "\u{9d}2;x\u{9c}",
    "\u{85}",
    "\x01",
    "\x02",
    "\x05",
    "\x07",
    "\x08",
    "\x0e",
    "\r",
    "\n",
    "\t",
    "\x7f",
    "\u{2028}",
    "\u{2029}",
    "\u{202e}",
    "\u{2066}",
    "\u{200d}",
    "\u{ad}",
    "\u{301}",
    "\u{fe0f}",
    "名",
    "\u{1f980}",
    "yoda: ",
    "    ",
    "x://",
    " https://example.org/0123456789yoda: hi",
];

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        any::<char>().prop_map(|c| c.to_string().into_bytes()),
        "[ -~]{0,12}".prop_map(String::into_bytes),
        any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(piece, 1..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_changes_more_of_a_screen_than_its_own_lines(text in hostile(), width: u8) {
        targets::terminal(&[&[width][..], &text].concat());
    }
}
