//! A thousand random texts that try to steer the terminal of a person who is typing.

use std::collections::BTreeSet;

use super::logged_in;
use support::FakeServer;

const TEXTS: u64 = 1_000;
/// Given by `HOBNOB_HOSTILE_SEED`, it plays one run again.
const SEED: &str = "HOBNOB_HOSTILE_SEED";

/// Pieces of texts: what terminals obey, what they answer, what hides or reorders, and what looks like somebody else.
const PIECES: [&str; 36] = [
    "\x1b[2J",
    "\x1b[1;1H",
    "\x1b[5A",
    "\x1b[6n",
    "\x1b[c",
    "\x1b[3;5r",
    "\x1b[?1049h",
    "\x1b[?25l",
    "\x1b[31;7m",
    "\x1b]0;title\x07",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1bP$qm\x1b\\",
    "\x1b(0",
    "\x1b7",
    "\x1b8",
    "\x1bc",
    "\x1b",
    "\u{9b}5A",
    "\u{9d}2;x\u{9c}",
    "\u{85}",
    "\x05",
    "\x07",
    "\x08",
    "\x0e",
    "\r",
    "\t",
    "\x7f",
    "\u{2028}",
    "\u{202e}",
    "\u{200d}",
    "\u{301}",
    "名",
    "\u{1f980}",
    "yoda: ",
    " words ",
    "https://example.org/0123456789",
];

/// A small generator of numbers.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn text(&mut self) -> String {
        let count = 1 + self.roll(12);
        let mut text: String = (0..count).map(|_| PIECES[self.roll(PIECES.len())]).collect();
        text.push('.');
        text
    }
}

/// The sequences in what was written: of each the byte that ends it, or the one after ESC.
fn sequences(written: &str) -> BTreeSet<char> {
    let after = written.split('\x1b').skip(1).filter_map(|rest| match rest.strip_prefix('[') {
        Some(control) => control.chars().find(|c| ('@'..='~').contains(c)),
        None => rest.chars().next(),
    });
    after.collect()
}

#[test]
fn no_text_of_others_steers_the_terminal_of_one_who_is_typing() {
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("{SEED}={seed}");
    let mut dice = Dice(seed);
    let server = FakeServer::start();
    let (mut terminal, mut connection) = logged_in(&server);
    terminal.types("message luke half ");
    terminal.shows(&["> message luke half"]);
    for number in 1..=TEXTS {
        let text = dice.text();
        let delivery = format!("luke 1700000000000000 9.{number} live {text}");
        let line = match dice.roll(4) {
            0 => format!("message 1.{number} {delivery}"),
            1 => format!("group-message 1.{number} rebels {delivery}"),
            2 => format!("broadcast 1.{number} {delivery}"),
            _ => format!("notice operator {text}"),
        };
        connection.say(&line);
    }
    connection.say("online luke");
    terminal.shows(&["luke logged in", "> message luke half"]);
    terminal.types("typed\r");
    connection.expect("#1 message luke half typed");
    connection.say("ok #1 message luke delivered");
    terminal.types("logout\r");
    connection.expect_logout();
    let (code, _, written) = terminal.end();
    assert_eq!(code, 0);
    // Attributes, and how the line editor moves, clears, and has pasted text marked.
    let known = BTreeSet::from(['m', 'A', 'C', 'D', 'J', 'K', 'h', 'l', 'G', 'H', 'B']);
    assert!(sequences(&written).is_subset(&known), "{:?}", sequences(&written));
}
