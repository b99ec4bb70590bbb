//! Messages: shown once, acknowledged when shown.

use super::script::{Script, mark};
use crate::client::{Event, Recall, Settings};
use alloc::format;
use alloc::vec;

#[test]
fn a_message_is_acknowledged_within_ten_milliseconds_of_being_shown() {
    let mut script = Script::session();
    script.server("message 3.1 yoda 5 2.9 live hello  you").does("deliver direct 3.1 yoda: hello  you");
    script.after_ms(100).does("");
    script.shown().does("");
    script.after_ms(9).does("");
    script.after_ms(1).does("send ack 3.1 -");
    script.after_ms(100).does("");
}

#[test]
fn acknowledgements_are_cumulative_and_batched_with_answers() {
    let mut script = Script::session();
    script.types("whoelse").and();
    script.server(
        "message 3.1 yoda 5 2.9 live one
         group-message 3.2 rebels luke 5 - stored two
         ok #1 whoelse 0",
    );
    script.does(
        "deliver direct 3.1 yoda: one
         deliver group rebels 3.2 luke stored: two
         show result 1 whoelse: users
         note 1 settled",
    );
    script.shown().after_ms(10).does("send ack 3.2 1");
}

#[test]
fn sixty_four_messages_are_acknowledged_at_once() {
    let mut script = Script::session();
    for number in 1..=64 {
        script.server(&format!("message 3.{number} yoda 5 2.{number} live hi"));
    }
    script.and().shown().does("send ack 3.64 -");
}

#[test]
fn a_repeat_is_acknowledged_but_not_shown_again() {
    let mut script = Script::session();
    script.server("message 3.1 yoda 5 2.9 live hello").shown().after_ms(10).and();
    script.server("message 3.1 yoda 5 2.9 stored hello").does("");
    script.after_ms(10).does("send ack 3.1 -");
    // The server lost its own note of it and stored it again.
    script.server("message 4.1 yoda 5 2.9 stored hello").does("");
    script.after_ms(10).does("send ack 4.1 -");
}

#[test]
fn messages_of_an_earlier_run_are_known_and_doubtful_ones_marked() {
    let mut script = Script::greeted(Settings::default());
    script.types("hans").server("ask password").types("falcon").server("welcome hans unread 3 login 7").and();
    let recall = Recall {
        shown: vec![mark("yoda", "3.1", Some((2, 9)))],
        doubtful: vec![mark("yoda", "3.2", Some((2, 10))), mark("luke", "3.3", Some((1, 1)))],
        ..Recall::default()
    };
    script.happens(Event::StateOpened(recall)).and();
    script.server(
        "message 3.1 yoda 5 2.9 stored one
         message 3.2 yoda 5 2.10 stored two
         message 3.9 luke 5 1.1 stored three
         message 3.4 yoda 5 2.11 stored four",
    );
    script.does(
        "deliver direct 3.2 yoda stored again: two
         deliver direct 3.9 luke stored again: three
         deliver direct 3.4 yoda stored: four",
    );
    script.shown().after_ms(10).does("send ack 3.4 -");
}

#[test]
fn broadcasts_are_shown_once_and_not_acknowledged() {
    let mut script = Script::session();
    script.server("broadcast 3.1 yoda 5 2.9 live hello\nbroadcast 3.1 yoda 5 2.9 live hello");
    script.server("broadcast 3.2 yoda 5 - live nc\nbroadcast 3.3 yoda 5 - live nc");
    script.after_ms(10).does(
        "show broadcast b3.1 yoda: hello
         show broadcast b3.2 yoda: nc
         show broadcast b3.3 yoda: nc",
    );
}

#[test]
fn after_the_output_is_closed_nothing_is_acknowledged() {
    let mut script = Script::session();
    script.server("message 3.1 yoda 5 2.9 live hello").shown().and();
    script.happens(Event::OutputClosed).does(
        "send logout
         hang up
         exit Failed",
    );
    script.after_ms(100).server("bye logout").does("");
}

#[test]
fn a_message_from_a_name_that_cannot_be_is_no_message() {
    let mut script = Script::session();
    script.server("message 3.1 group 5 2.9 live hello").after_ms(10).does("");
}
