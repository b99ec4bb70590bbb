//! Private links that stand: talking, ending, outliving the server.

use super::private::{introduction, listening};
use super::script::Script;
use crate::client::{Event, Settings, Signal};
use alloc::format;
use core::time::Duration;

/// Hans has a link with Yoda, on link 1.
pub(super) fn talking() -> Script {
    talking_with(Settings::default())
}

pub(super) fn talking_with(settings: Settings) -> Script {
    let mut script = Script::session_with(settings);
    listening(script.types("startprivate yoda"));
    script.server(&introduction("yoda", "requester")).server("ok #1 startprivate yoda");
    script.peer_dialled(1, "192.0.2.2:6000").peer(1, "ready\nopened").after_ms(1_000).and();
    script
}

#[test]
fn texts_flow_both_ways_and_are_acknowledged_when_shown() {
    let mut script = talking();
    script.types("private yoda hi").types("private yoda  there").does(
        "send on 1: text 1 1001000000 hi
         send active
         send on 1: text 2 1001000000  there",
    );
    script.peer(1, "text 1 5 hey").does("deliver private p7.1 yoda: hey");
    script.peer(1, "text 2 5 hey\ntext 3 5 you").does(
        "deliver private p7.2 yoda: hey
         deliver private p7.3 yoda: you",
    );
    script.shown().does("send on 1: ack 3");
    script.peer(1, "ack 2").does(
        "show result 2 private: to yoda delivered
         show result 3 private: to yoda delivered",
    );
    script.after_ms(1_000).does("send active");
}

#[test]
fn private_without_a_link_says_why() {
    let mut script = Script::session();
    script.types("private yoda hi").types("private hans hi").types("stopprivate yoda").does(
        "show result 1 private: not_private (yoda)
         send active
         show result 2 private: self (hans)
         show result 3 stopprivate: not_private (yoda)",
    );
    for (end, code) in
        [("close stopped", "not_private"), ("close logged_out", "offline"), ("close timed_out", "offline")]
    {
        let mut script = talking();
        script.peer(1, end).and().types("private yoda hi");
        assert_eq!(script.count(&format!("show result 2 private: {code} (yoda)")), 1, "{end}");
    }
}

#[test]
fn asking_again_forgets_that_the_other_had_gone() {
    let mut script = talking();
    script.peer(1, "close logged_out").types("startprivate yoda").and();
    script.types("private yoda hi");
    assert_eq!(script.count("show result 3 private: not_private (yoda)"), 1);
}

#[test]
fn stopprivate_ends_the_link_for_both() {
    let mut script = talking();
    script.types("private yoda hi").and();
    script.types("stopprivate yoda").does(
        "send on 1: close stopped
         close 1
         show closed yoda stopped
         show result 2 private: outcome_unknown (yoda)
         show result 3 stopprivate: ok yoda",
    );
    script.peer_gone(1).does("");
    let mut script = talking();
    script.peer(1, "close stopped").does(
        "close 1
         show closed yoda stopped",
    );
    script.peer_gone(1).does("");
}

#[test]
fn a_user_who_has_logged_in_again_is_not_offline() {
    for end in ["close logged_out", "close timed_out"] {
        let mut script = talking();
        script.peer(1, end).server("offline yoda\nonline luke").types("private yoda hi");
        assert_eq!(script.count("show result 2 private: offline (yoda)"), 1);
        script.server("online yoda").types("private yoda hi");
        assert_eq!(script.count("show result 3 private: not_private (yoda)"), 1);
    }
}

#[test]
fn a_link_that_breaks_is_lost_once() {
    let mut script = talking();
    script.types("private yoda hi").and();
    script.peer_gone(1).does(
        "show closed yoda lost
         show result 2 private: outcome_unknown (yoda)",
    );
    script.peer_gone(1).peer(1, "text 1 5 ghost").does("");
}

#[test]
fn a_peer_that_breaks_the_rules_is_cut() {
    for nonsense in ["text 2 5 gap", "ack 1", "ready", "what", &"x".repeat(5_000)] {
        let mut script = talking();
        script.peer(1, nonsense).does(
            "close 1
             show closed yoda lost",
        );
    }
}

#[test]
fn the_end_of_a_session_ends_its_links() {
    let ends = [
        ("bye logout", "logged_out", "Done"),
        ("bye timeout", "timed_out", "TimedOut"),
        ("bye server_shutdown", "logged_out", "ServerLost"),
    ];
    for (bye, reason, exit) in ends {
        let mut script = talking();
        script.server(bye).does(&format!(
            "send on 1: close {reason}
             close 1
             show closed yoda {reason}
             show {bye}
             hang up
             close state
             exit {exit}"
        ));
    }
    let mut script = talking();
    script.happens(Event::Interrupted(Signal::Interrupt));
    assert_eq!(script.count("send on 1: close logged_out"), 1);
}

#[test]
fn a_link_outlives_the_server() {
    let mut script = talking_with(Settings { reconnect_secs: Some(2), ..Settings::default() });
    script.types("ping luke").happens(Event::Disconnected).and();
    script.types("private yoda hi").does("send on 1: text 1 1001000000 hi");
    script.after_ms(2_000).happens(Event::Disconnected).and();
    script.types("ping luke").does("show result 4 ping: not_connected (luke)");
    script.peer(1, "ack 1\ntext 1 5 hey").does(
        "show result 3 private: to yoda delivered
         deliver private p7.1 yoda: hey",
    );
    script.shown().does("send on 1: ack 1");
    script.after(Duration::from_secs(3_600));
    assert!(script.count("dial") > 0, "it tries for ever");
    script.and().peer(1, "close logged_out").does(
        "close 1
         show closed yoda logged_out
         show bye connection_lost
         hang up
         close state
         exit ServerLost",
    );
}

#[test]
fn without_the_server_the_end_waits_for_texts_all_the_same() {
    let alone = Settings { reconnect_secs: Some(0), ..Settings::default() };
    let mut script = talking_with(alone.clone());
    script.happens(Event::Disconnected).types("private yoda hi").and();
    script.happens(Event::EndOfInput).after(Duration::from_secs(60)).does("");
    script.peer(1, "ack 1").does(
        "show result 2 private: to yoda delivered
         send on 1: close logged_out
         close 1
         show closed yoda logged_out
         show bye connection_lost
         close state
         exit ServerLost",
    );
    // Who types it does not wait long.
    let mut script = talking_with(alone);
    script.happens(Event::Disconnected).types("private yoda hi").types("logout").and();
    script.after_ms(4_999).does("");
    script.after_ms(1);
    assert_eq!(script.count("show result 2 private: outcome_unknown (yoda)"), 1);
    assert_eq!(script.count("show result 3 logout: not_connected"), 1);
    assert_eq!(script.count("exit ServerLost"), 1);
}

#[test]
fn a_server_that_comes_back_late_is_taken_up_again() {
    let mut script = talking_with(Settings { reconnect_secs: Some(2), ..Settings::default() });
    script.types("ping luke").happens(Event::Disconnected).after_ms(5_000).happens(Event::Connected);
    script.server("hobnob 1\nresumed hans unread 0 login 7").and();
    script.types("ping luke").does(
        "note 3 open
         send #3 ping luke",
    );
}

#[test]
fn a_session_that_the_server_has_forgotten_lives_as_long_as_its_link() {
    let mut script = talking();
    script.happens(Event::Disconnected).after_ms(100).happens(Event::Connected).and();
    script.server("hobnob 1").and().server("refused stale").does("hang up");
    script.after_ms(60_000).types("whoelse").types("logout").does(
        "show result 2 whoelse: not_connected
         send on 1: close logged_out
         close 1
         show closed yoda logged_out
         show result 3 logout: not_connected
         show bye connection_lost
         close state
         exit ServerLost",
    );
}
