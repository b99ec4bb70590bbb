//! The server is lost, and found again or not.

use super::script::{Script, TOKEN};
use crate::client::view::ServerKey;
use crate::client::{Event, Settings};
use crate::words::Fingerprint;
use alloc::format;
use core::time::Duration;

const NEXT_TOKEN: &str = "ffffffffffffffffffffffffffffffff";

fn resumed(token: &str) -> alloc::string::String {
    format!("resumed hans unread 0 login 7 token {token}")
}

/// A session whose connection is lost and made again up to the greeting.
fn greeted_again(script: &mut Script) -> &mut Script {
    script.happens(Event::Disconnected).after_ms(100).happens(Event::Connected).server("hobnob 1 ack resume")
}

#[test]
fn a_lost_session_is_resumed_and_its_commands_are_repeated_in_order() {
    let mut script = Script::session();
    script.types("message yoda one").types("whoelse").server("users #2 luke").and();
    script.happens(Event::Disconnected).does("show connection reconnecting");
    script.types("message yoda two").does("");
    script.after_ms(100).does("dial");
    script.happens(Event::Connected).does("");
    script
        .server("hobnob 1 ack resume")
        .does(&format!("send hello 1 ack resume device alive away relay until / resume hans {TOKEN}"));
    script.server(&resumed(NEXT_TOKEN)).does(
        "show connection resumed
         send #1 message yoda one / #2 whoelse
         note 3 open
         send #3 message yoda two",
    );
    script.server("users #2 luke\nok #2 whoelse 1").does(
        "show result 2 whoelse: users luke
         note 2 settled",
    );
    // The next loss uses the new token.
    greeted_again(&mut script).does(&format!(
        "show connection reconnecting
         dial
         send hello 1 ack resume device alive away relay until / resume hans {NEXT_TOKEN}"
    ));
}

#[test]
fn pauses_grow_until_the_patience_ends() {
    let mut script = Script::session();
    script.types("ping yoda").happens(Event::Disconnected).types("ping luke").and();
    let mut dials = 0;
    while script.count("exit") == 0 {
        dials += script.count("dial");
        if script.count("dial") > 0 {
            script.and().happens(Event::Disconnected);
        }
        script.after_ms(50);
        assert!(dials < 30, "pauses do not grow");
    }
    assert!((13..25).contains(&dials), "{dials} dials in a minute");
    script.does(
        "show result 1 ping: outcome_unknown (yoda)
         note 1 settled
         show result 2 ping: not_connected (luke)
         show bye connection_lost
         close state
         exit ServerLost",
    );
}

#[test]
fn a_session_that_is_over_for_the_server_ends() {
    for refusal in ["refused stale", "refused locked_out 9", "error unknown_command resume"] {
        let mut script = Script::session();
        script.types("ping yoda");
        greeted_again(&mut script).and().server(refusal).does(
            "hang up
             show result 1 ping: outcome_unknown (yoda)
             note 1 settled
             show bye connection_lost
             close state
             exit ServerLost",
        );
    }
}

#[test]
fn another_login_is_not_the_session_and_nothing_is_repeated_in_it() {
    for other in ["resumed hans unread 0 login 8", "resumed yoda unread 0 login 7"] {
        let mut script = Script::session();
        script.types("message yoda hi");
        greeted_again(&mut script).and().server(other).does(
            "hang up
             show result 1 message: outcome_unknown (yoda)
             note 1 settled
             show bye connection_lost
             close state
             exit ServerLost",
        );
    }
}

#[test]
fn a_server_that_still_sees_the_old_link_is_asked_again() {
    for delay in ["refused already_online", "refused busy", "bye timeout"] {
        let mut script = Script::session();
        greeted_again(&mut script).and().server(delay).does("hang up");
        script.after_ms(200).does("dial");
    }
}

#[test]
fn a_server_that_does_not_greet_or_answer_is_dialled_again() {
    let mut script = Script::session();
    script.happens(Event::Disconnected).after_ms(100).happens(Event::Connected).and();
    script.after(Duration::from_millis(10_200)).does("hang up\ndial");
    script.happens(Event::Connected).server("hobnob 1").and();
    script.after(Duration::from_millis(10_400)).does("hang up\ndial");
}

#[test]
fn without_reconnect_a_lost_server_is_the_end() {
    let mut script = Script::session_with(Settings { reconnect_secs: Some(0), ..Settings::default() });
    script.happens(Event::Disconnected).does(
        "show bye connection_lost
         close state
         exit ServerLost",
    );
}

#[test]
fn messages_that_were_not_acknowledged_come_again_and_are_not_shown_again() {
    let mut script = Script::session();
    script.server("message 3.1 yoda 5 2.9 live hello").shown().and();
    greeted_again(&mut script).server(&resumed(NEXT_TOKEN)).and().after_ms(100).does("");
    script.server("message 3.1 yoda 5 2.9 stored hello").does("");
    script.after_ms(10).does("send ack 3.1 -");
}

#[test]
fn answered_commands_are_reported_again_after_a_loss() {
    let mut script = Script::session();
    script.types("whoelse").server("ok #1 whoelse 0").after_ms(10).and();
    greeted_again(&mut script).server(&resumed(NEXT_TOKEN)).and();
    script.after_ms(10).does("send ack - 1");
}

#[test]
fn a_loss_while_the_state_folder_opens_is_seen_to_afterwards() {
    let mut script = Script::greeted(Settings::default());
    script.types("hans").server("ask password").types("falcon");
    script.server(&format!("welcome hans unread 0 login 7 token {TOKEN}")).happens(Event::Disconnected).and();
    script.happens(Event::StateOpened(crate::client::Recall::default())).does(
        "show login hans unread 0
         show connection reconnecting",
    );
}

#[test]
fn a_farewell_while_the_state_folder_opens_is_the_end() {
    for (farewell, exit) in
        [("replaced", "Failed"), ("timeout", "TimedOut"), ("server_shutdown", "ServerLost")]
    {
        let mut script = Script::greeted(Settings::default());
        script.types("hans").server("ask password").types("falcon");
        script.server(&format!("welcome hans unread 0 login 7 token {TOKEN}\nonline luke\nbye {farewell}"));
        script.happens(Event::Disconnected).and();
        script.happens(Event::StateOpened(crate::client::Recall::default())).does(&format!(
            "show login hans unread 0
             show bye {farewell}
             close state
             exit {exit}"
        ));
    }
}

#[test]
fn a_logout_that_waits_for_a_lost_server_has_no_connection() {
    let mut script = Script::session();
    script.happens(Event::Disconnected).types("logout").and();
    while script.count("exit") == 0 {
        script.after_ms(1_000);
    }
    script.does(
        "dial
         show result 1 logout: not_connected
         show bye connection_lost
         hang up
         close state
         exit ServerLost",
    );
}

#[test]
fn a_logout_typed_meanwhile_lets_the_server_answer_first() {
    let mut script = Script::session();
    script.types("message yoda hi").happens(Event::Disconnected).types("logout").after_ms(6_000).and();
    script.happens(Event::Connected).server("hobnob 1").server(&resumed(NEXT_TOKEN)).and();
    script.after_ms(4_999).does("");
    script.server("ok #1 message yoda delivered").does(
        "show result 1 message: to yoda delivered
         note 1 settled
         send ack - 1
         note 2 open
         send #2 logout",
    );
}

#[test]
fn a_session_ends_if_another_server_answers_in_place_of_its_own() {
    let mut script = Script::session();
    script.types("ping yoda").happens(Event::Disconnected).after_ms(100).and();
    script.happens(Event::Distrusted).does(
        "show result 1 ping: outcome_unknown (yoda)
         note 1 settled
         show bye connection_lost
         close state
         exit Distrusted",
    );
}

#[test]
fn before_a_login_nothing_is_said_to_another_server() {
    let mut script = Script::new(Settings::default());
    script.happens(Event::Started).does("dial");
    script.happens(Event::Distrusted).does("exit Distrusted");
}

#[test]
fn a_machine_that_has_changed_its_network_is_back_without_a_pause() {
    let mut script = Script::session();
    script.happens(Event::Stranded).does("show connection reconnecting\ndial");
    // What keeps it from its server now is not known.
    script.happens(Event::Disconnected).after_ms(99).does("");
    script.after_ms(101).does("dial");
}

#[test]
fn a_server_whose_key_cannot_be_kept_is_no_server_that_is_lost() {
    let mut script = Script::new(Settings::default());
    script.happens(Event::Started).does("dial");
    script.happens(Event::Unpinned).does("exit Failed");
    let mut script = Script::session();
    script.happens(Event::Disconnected).does("show connection reconnecting");
    script.after_ms(100).does("dial");
    script.happens(Event::Unpinned).does("");
    script.after_ms(200).does("dial");
}

/// The key is of the connection that is being made, and of none before or after.
#[test]
fn the_key_is_shown_with_its_connection() {
    let key = |number| ServerKey { fingerprint: Fingerprint([number; 32]), first_use: number == 1 };
    let mut script = Script::new(Settings::default());
    script.happens(Event::ServerKey(key(9))).happens(Event::Started).and();
    script.happens(Event::ServerKey(key(1))).happens(Event::Connected);
    script.does(&format!("show connection connected by {} first", key(1).fingerprint));
    script.happens(Event::ServerKey(key(2))).happens(Event::Disconnected).does("exit ServerLost");
    let mut script = Script::session();
    script.happens(Event::Disconnected).does("show connection reconnecting");
    script.after_ms(100).happens(Event::ServerKey(key(3))).happens(Event::Connected).and();
    script.server("hobnob 1 ack resume").and().server(&resumed(TOKEN));
    script.does(&format!("show connection resumed by {}", key(3).fingerprint));
}
