//! A script that watches: what its program has not taken is not acknowledged, and it comes back by itself.

use super::script::{Script, TOKEN};
use crate::client::{Event, Settings, Watch};
use crate::words::Password;
use alloc::format;

fn watching(watch: Watch) -> Script {
    let (user, password) = (Some("hans".into()), Some(Password::new("falcon")));
    let mut script = Script::session_with(Settings { watch, user, password, ..Settings::default() });
    script.and();
    script
}

#[test]
fn what_a_program_has_taken_is_acknowledged_and_is_activity() {
    let mut script = watching(Watch::Runs);
    script.server("message 3.1 yoda 5 2.9 live one\nmessage 3.2 yoda 5 2.10 live two").and();
    script.happens(Event::Delivered { upto: 1 }).does("send active");
    script.happens(Event::ProgramFailed).does(
        "send ack 3.1 - / logout
         hang up
         exit Refused",
    );
}

#[test]
fn what_is_printed_is_no_activity() {
    let mut script = watching(Watch::Prints);
    script.server("message 3.1 yoda 5 2.9 live one").and();
    script.happens(Event::Delivered { upto: 1 }).does("");
    script.after_ms(10).does("send ack 3.1 -");
}

#[test]
fn it_logs_in_again_after_a_timeout_and_ends_when_that_is_refused() {
    let mut script = watching(Watch::Prints);
    script.server("bye timeout").and();
    script.after_ms(1).happens(Event::Connected).server("hobnob 1 ack resume").does(
        "show connection connected
         send hello 1 ack resume device alive away relay until / login hans falcon",
    );
    script.server(&format!("welcome hans unread 0 login 8 token {TOKEN}")).does("show login hans unread 0");
    script.server("bye timeout").and();
    script.happens(Event::Connected).server("hobnob 1 ack resume").and();
    script.server("refused invalid_credentials 2");
    assert_eq!(script.all("exit"), ["exit LoginRefused"]);
}
