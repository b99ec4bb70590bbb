//! A peer that stands still does not stop the keyboard.

use super::talking::talking;
use alloc::format;

/// Texts that a peer may have open which acknowledges none (see the table of limits).
const MOST: u64 = 64;
/// Lines that may wait for their results at a time.
const WINDOW: u64 = 256;

#[test]
fn lines_do_not_wait_for_the_texts_of_a_peer_that_stands_still() {
    let mut script = talking();
    for number in 1..=WINDOW {
        script.types(&format!("private yoda {number}"));
    }
    script.after_ms(4_999).and().types("message luke hi");
    assert_eq!(script.count("send #"), 0, "the window is full, and they may only be slow");
    assert_eq!(script.after_ms(1).count("send #2 message luke hi"), 1);
}

#[test]
fn a_peer_that_stands_still_takes_so_many_texts_and_more_when_it_goes_on() {
    let mut script = talking();
    for number in 1..=MOST {
        script.types(&format!("private yoda {number}"));
    }
    script.after_ms(4_999).and().types("private yoda more");
    assert_eq!(script.count("send on 1: text 65"), 1, "not stalled yet");
    script.after_ms(1).and().types("private yoda too much");
    assert_eq!(script.count("show result 67 private: limit (yoda)"), 1);
    script.peer(1, "ack 1").and().types("private yoda again");
    assert_eq!(script.count("send on 1: text 66"), 1);
    script.and().peer(1, "ack 66");
    assert_eq!(script.count("show result"), 65);
}
