//! What is kept of what was said, and what is asked of it.

use alloc::vec::Vec;

use super::script::Script;
use crate::client::view::MessageKind;
use crate::client::{Event, Log, Logged, Settings};
use crate::time::Time;

fn logging(log: Log) -> Script {
    Script::session_with(Settings { log, ..Settings::default() })
}

fn found(line: u64) -> Event<'static> {
    let (with, from) = ("yoda".into(), "yoda".into());
    let one = Logged { kind: MessageKind::Direct, with, from, text: "hi".into(), sent_at: Time(1) };
    Event::LookedUp { line, found: Some(Vec::from([one])) }
}

#[test]
fn what_is_shown_and_what_was_taken_is_kept() {
    let mut script = logging(Log::AllButPrivate);
    script.server("group-message 3.1 jedi yoda 5 2.9 live hello").does(
        "log group jedi yoda: hello
         deliver group jedi 3.1 yoda: hello",
    );
    script.types("message yoda  hi ").types("message luke hi").types("broadcast all").and();
    script.server("ok #1 message yoda stored").does(
        "log direct yoda hans:  hi 
         show result 1 message: to yoda stored
         note 1 settled",
    );
    script.server("error #2 blocked message").does(
        "show result 2 message: blocked (luke)
         note 2 settled",
    );
    script.server("ok #3 broadcast 1 complete");
    assert_eq!(script.all("log"), ["log broadcast  hans: all"]);
}

#[test]
fn nothing_is_kept_that_was_not_asked_for() {
    let mut script = logging(Log::Off);
    script.server("message 3.1 yoda 5 2.9 live hello").does("deliver direct 3.1 yoda: hello");
    script.types("history").types("search hello").does(
        "show result 1 history: no_log
         send active
         show result 2 search: no_log",
    );
}

#[test]
fn what_is_typed_after_a_question_waits_for_its_answer() {
    let mut script = logging(Log::All);
    script.types("history yoda").and();
    script.types("whoelse").happens(Event::EndOfInput).does("");
    script.happens(found(9)).does("");
    script.happens(found(1)).does(
        "show result 1 history: messages direct yoda yoda: hi
         note 1 open
         send #1 whoelse",
    );
    script.happens(found(1)).does("");
}

#[test]
fn the_end_of_a_session_answers_an_open_question_once() {
    let mut script = logging(Log::All);
    script.types("search hi").and();
    script.server("bye timeout").does(
        "show result 1 search: not_connected
         show bye timeout
         hang up
         close state
         exit TimedOut",
    );
    script.happens(found(1)).does("");
}
