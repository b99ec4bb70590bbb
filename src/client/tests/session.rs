//! Presence, groups, notices, and the ways a session ends.

use super::script::Script;
use crate::client::{Event, Settings, Signal};

fn retrying() -> Settings {
    Settings { retry_login: true, ..Settings::default() }
}

#[test]
fn presence_groups_and_notices_are_shown() {
    let mut script = Script::session();
    script.server(
        "online luke
         offline luke
         members rebels luke hans
         members rebels chewie
         changed rebels luke
         changed rebels luke
         members empire vader
         members rebels yoda
         changed rebels yoda
         notice failed_logins 2",
    );
    script.does(
        "show luke came
         show luke went
         show group rebels by luke: chewie hans luke
         show group rebels by luke:
         show group rebels by yoda: yoda
         show notice FailedLogins { count: 2 }",
    );
}

#[test]
fn a_typed_logout_gets_its_result_and_then_bye() {
    let mut script = Script::session();
    script.types("logout").does(
        "note 1 open
         send #1 logout",
    );
    script.server("ok #1 logout\nbye logout").does(
        "show result 1 logout: ok
         note 1 settled
         show bye logout
         hang up
         close state
         exit Done",
    );
}

#[test]
fn a_logout_waits_until_what_came_before_it_is_shown_and_acknowledges_that() {
    let mut script = Script::session();
    script.server("message 3.1 yoda 5 2.9 live hello").and();
    script.types("logout").does("");
    script.server("message 3.2 yoda 5 2.10 live late").does("deliver direct 3.2 yoda: late");
    script.happens(Event::Delivered { upto: 1 }).does(
        "send ack 3.1 -
         note 1 open
         send #1 logout",
    );
}

#[test]
fn messages_before_the_last_result_are_acknowledged_before_the_logout() {
    let mut script = Script::session();
    script.types("offline").happens(Event::EndOfInput).and();
    script.server(
        "message 3.1 yoda 5 2.9 stored one
         message 3.2 yoda 5 2.10 stored two
         ok #1 offline 2",
    );
    script.does(
        "deliver direct 3.1 yoda stored: one
         deliver direct 3.2 yoda stored: two
         show result 1 offline: Offline { messages: 2 }
         note 1 settled",
    );
    script.shown().does("send ack 3.2 1 / #2 logout");
}

#[test]
fn a_typed_logout_waits_for_results_on_their_way_but_not_long() {
    let mut script = Script::session();
    script.types("message yoda hi").types("logout").types("whoelse").does(
        "note 1 open
         send #1 message yoda hi",
    );
    script.server("ok #1 message yoda stored").does(
        "show result 1 message: to yoda stored
         note 1 settled
         send ack - 1
         note 2 open
         send #2 logout",
    );
    let mut script = Script::session();
    script.types("message yoda hi").types("logout").and();
    script.after_ms(4_999).does("");
    script.after_ms(1).does(
        "note 2 open
         send #2 logout",
    );
    script.server("bye logout").does(
        "show result 2 logout: ok
         note 2 settled
         show result 1 message: outcome_unknown (yoda)
         note 1 settled
         show bye logout
         hang up
         close state
         exit Done",
    );
}

#[test]
fn the_end_of_input_logs_out_after_the_last_result() {
    let mut script = Script::session();
    script.types("message yoda hi").happens(Event::EndOfInput).and();
    script.after_ms(60_000).does("");
    script.server("ok #1 message yoda stored").and();
    script.server("ok #2 logout\nbye logout").does(
        "show bye logout
         hang up
         close state
         exit Done",
    );
}

#[test]
fn messages_after_a_logout_are_shown_and_acknowledged_until_it_is_answered() {
    let mut script = Script::session();
    script.happens(Event::EndOfInput).does("send #1 logout");
    script.server("message 3.1 yoda 5 2.9 stored one").does("deliver direct 3.1 yoda stored: one");
    script.shown().after_ms(10).does("send ack 3.1 -");
    script.server("message 3.2 yoda 5 2.10 stored two").and().shown().after_ms(10).does("send ack 3.2 -");
    script.server("ok #1 logout\nbye logout").does(
        "show bye logout
         hang up
         close state
         exit Done",
    );
}

#[test]
fn a_link_lost_after_a_logout_is_a_logout() {
    let mut script = Script::session();
    script.types("logout").and().happens(Event::Disconnected).does(
        "show result 1 logout: ok
         note 1 settled
         show bye logout
         close state
         exit Done",
    );
}

#[test]
fn the_server_may_end_the_session() {
    for (farewell, exit) in
        [("timeout", "TimedOut"), ("server_shutdown", "ServerLost"), ("replaced", "Failed")]
    {
        let mut script = Script::session();
        script.types("ping yoda").and();
        script.server(&alloc::format!("bye {farewell}")).does(&alloc::format!(
            "show result 1 ping: outcome_unknown (yoda)
             note 1 settled
             show bye {farewell}
             hang up
             close state
             exit {exit}"
        ));
        script.types("whoelse").server("online luke").happens(Event::Tick).does("");
    }
}

#[test]
fn lines_that_still_wait_at_the_end_get_a_result() {
    let mut script = Script::session();
    for _ in 0..257 {
        script.types("whoelse");
    }
    script.types("").types("dance").types("private yoda hi").and();
    script.server("bye server_shutdown");
    assert_eq!(script.count("show result 257 whoelse: not_connected"), 1);
    assert_eq!(script.count("show result 259 dance: unknown_command"), 1);
    assert_eq!(script.count("show result 260 private: not_connected"), 1);
    assert_eq!(script.count("show result"), 259);
}

#[test]
fn with_retry_login_logout_and_timeout_lead_back_to_the_prompt() {
    for farewell in ["logout", "timeout"] {
        let mut script = Script::session_with(retrying());
        script.server(&alloc::format!("bye {farewell}")).does(&alloc::format!(
            "show bye {farewell}
             hang up
             close state
             show prompt username"
        ));
        script.types("yoda").does("dial");
    }
    let mut script = Script::session_with(retrying());
    script.types("logout").types("yoda").and();
    script.server("ok #1 logout\nbye logout").does(
        "show result 1 logout: ok
         note 1 settled
         show bye logout
         hang up
         close state
         show prompt username
         dial",
    );
}

#[test]
fn the_next_session_counts_its_commands_from_one_again() {
    let mut script = Script::session_with(retrying());
    script.types("whoelse").server("ok #1 whoelse 0\nbye logout").types("yoda").happens(Event::Connected);
    script.server("hobnob 1\nask password").types("x").server("welcome yoda unread 0 login 1");
    script.happens(Event::StateOpened(crate::client::Recall::default())).and();
    script.types("whoelse").does(
        "note 1 open
         send #1 whoelse",
    );
    script.server("ok #1 whoelse 0").and().after_ms(10).does("send ack - 1");
}

#[test]
fn with_retry_login_the_end_of_input_still_ends() {
    let mut script = Script::session_with(retrying());
    script.happens(Event::EndOfInput).does("send #1 logout");
    script.server("ok #1 logout\nbye logout").does(
        "show bye logout
         hang up
         close state
         exit Done",
    );
}

#[test]
fn a_signal_logs_out() {
    let mut script = Script::session();
    script.server("message 3.1 yoda 5 2.9 live hello").shown().types("ping yoda").and();
    script.happens(Event::Interrupted(Signal::Interrupt)).does(
        "send ack 3.1 - / logout
         show result 1 ping: outcome_unknown (yoda)
         note 1 settled
         show bye logout
         hang up
         close state
         exit interrupted",
    );
}

#[test]
fn the_seconds_before_a_timeout_are_told() {
    let mut script = Script::session();
    script.server("notice idle 60").does("show notice Idle { seconds: 60 }");
    script.server("notice something 60").does("");
}
