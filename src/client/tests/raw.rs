//! `/raw`: the lines of the protocol, without secrets.

use super::script::{Script, TOKEN};
use crate::client::{Event, Settings};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

fn at_terminal() -> Script {
    Script::session_with(Settings { terminal: true, ..Settings::default() })
}

#[test]
fn lines_are_shown_until_raw_is_said_again() {
    let mut script = at_terminal();
    script.types("/raw").does("show notice Raw { on: true }\nshow wire -> active\nsend active");
    script
        .types("message luke \u{1b}[2J hi")
        .does("note 1 open\nshow wire -> #1 message luke \u{1b}[2J hi\nsend #1 message luke \u{1b}[2J hi");
    script
        .server("broadcast 3.1 luke 5 2.1 live lunch?")
        .does("show wire <- broadcast 3.1 luke 5 2.1 live lunch?\nshow broadcast b3.1 luke: lunch?");
    script
        .types("to luke")
        .and()
        .after_ms(2_000)
        .and()
        .types("/raw")
        .does("show notice Raw { on: false }\nsend active");
    script.server("online yoda").does("show yoda came");
    script.types("/raw twice").does("show result 5 raw: usage");
}

#[test]
fn nothing_that_proves_who_somebody_is_is_shown() {
    let mut script = at_terminal();
    script.types("raw").and();
    script.server(&format!("device {TOKEN}"));
    script.server(&format!("introduce luke requester {TOKEN}"));
    script.server(&format!("of-a-later-version {TOKEN}"));
    script.happens(Event::Disconnected).after_ms(5_000).happens(Event::Connected);
    script.server("hobnob 1 ack resume");
    script.server(&format!("resumed hans unread 0 login 7 token {TOKEN}"));
    let wires: Vec<String> = script.wires();
    for line in [
        "<- device …",
        "<- introduce luke requester …",
        "<- of-a-later-version …",
        "-> resume hans …",
        "<- resumed hans unread 0 login 7 token …",
    ] {
        assert!(
            wires.iter().any(|wire| wire.starts_with(&format!("show wire {line}"))),
            "{line} in {wires:#?}"
        );
    }
    assert!(!wires.iter().any(|wire| wire.contains(TOKEN)), "{wires:#?}");
}

#[test]
fn the_password_of_another_login_is_not_shown() {
    let mut script = at_terminal();
    script.types("raw").and();
    script.happens(Event::Disconnected).after_ms(5_000).happens(Event::Connected);
    script.server("hobnob 1 ack resume");
    script.server("refused stale").after_ms(100).types("falcon");
    script.happens(Event::Connected).server("hobnob 1 ack resume").server("ask password");
    let wires = script.wires();
    assert!(wires.iter().any(|wire| wire == "show wire -> login hans …"), "{wires:#?}");
    assert!(!wires.iter().any(|wire| wire.contains("falcon")), "{wires:#?}");
}

#[test]
fn on_a_pipe_raw_is_no_command() {
    let mut script = Script::session();
    script.types("raw").does("show result 1 raw: unknown_command\nsend active invalid");
}
