//! At a terminal: what is said of a text that was not delivered at once.

use super::script::Script;
use crate::client::{Event, Settings};
use alloc::string::String;
use alloc::vec::Vec;

fn at_terminal() -> Script {
    Script::session_with(Settings { terminal: true, ..Settings::default() })
}

/// What the result of a message is when it comes so late.
fn result_after(script: &mut Script, line: &str, millis: u64, answer: &str) -> Vec<String> {
    script.types(line).after_ms(millis).and();
    script.server(answer).all("show result")
}

#[test]
fn what_is_delivered_within_a_second_needs_no_word() {
    let mut script = at_terminal();
    let results =
        result_after(&mut script, "message luke are you there?", 1_000, "ok #1 message luke delivered");
    assert_eq!(results, ["show result 1 message: to luke delivered"]);
    let results =
        result_after(&mut script, "message luke are you there?", 1_001, "ok #2 message luke delivered");
    assert_eq!(results, ["show result 2 message: to luke delivered [are you there?]"]);
    let results = result_after(&mut script, "message luke and now", 1, "ok #3 message luke stored");
    assert_eq!(results, ["show result 3 message: to luke stored [and now]"]);
    script.types("to luke").and();
    let results = result_after(&mut script, "the plain line", 1, "ok #4 message luke stored");
    assert_eq!(results, ["show result 5 message: to luke stored [the plain line]"]);
    script.types("/to").and();
    let results =
        result_after(&mut script, "message group jedi hi", 1, "ok #5 message group jedi 1 1 0 complete");
    assert!(results.concat().contains("words: Some(\"hi\")"), "{results:?}");
    let results =
        result_after(&mut script, "message group jedi hi", 1, "ok #6 message group jedi 1 0 0 complete");
    assert!(results.concat().contains("words: None"), "{results:?}");
}

#[test]
fn the_time_without_a_server_counts() {
    let mut script = at_terminal();
    script.happens(Event::Disconnected).types("message luke hi").after_ms(3_000).and();
    script.happens(Event::Connected).server("hobnob 1 ack resume").and();
    script.server("resumed hans unread 0 login 7").server("ok #1 message luke delivered");
    assert_eq!(script.all("show result"), ["show result 1 message: to luke delivered [hi]"]);
}

#[test]
fn on_a_pipe_nothing_is_said_of_it() {
    let mut script = Script::session();
    let results = result_after(&mut script, "message luke hi", 5_000, "ok #1 message luke stored");
    assert_eq!(results, ["show result 1 message: to luke stored"]);
}
