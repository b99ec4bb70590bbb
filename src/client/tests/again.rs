//! At a terminal: the server goes, and the client stays.

use super::script::{Script, TOKEN};
use crate::client::{Event, Recall, Settings, Signal};
use alloc::format;
use alloc::string::String;
use core::time::Duration;

/// Hans at a terminal, who has typed his password.
fn at_terminal() -> Script {
    let mut script = Script::greeted(Settings { terminal: true, ..Settings::default() });
    script.types("hans").server("ask password").types("falcon");
    script.server(&format!("welcome hans unread 0 login 7 token {TOKEN}"));
    script.happens(Event::StateOpened(Recall::default())).and();
    script
}

/// The server is there again, and does not know the session any more.
fn refused_again(script: &mut Script) -> &mut Script {
    script.after_ms(100).happens(Event::Connected).server("hobnob 1 ack resume").and();
    script.server("refused stale")
}

#[test]
fn a_server_that_stops_is_a_loss_like_any_other() {
    let mut script = at_terminal();
    script.server("bye server_shutdown").does(
        "hang up
         show connection reconnecting
         show offline, 0 queued",
    );
    script.types("message yoda one").does("show offline, 1 queued");
    script.types("whoelse").does("show offline, 2 queued");
    script.after(Duration::from_secs(10_000)).and();
    script.happens(Event::Disconnected).and().after(Duration::from_secs(6)).does("dial");
    script.happens(Event::Connected).server("hobnob 1 ack resume").and();
    script.server(&format!("resumed hans unread 0 login 7 token {TOKEN}")).does(
        "show connection resumed
         note 1 open
         send #1 message yoda one
         note 2 open
         send #2 whoelse",
    );
}

#[test]
fn in_a_new_login_goes_what_was_never_sent_and_nothing_else() {
    let mut script = at_terminal();
    script.types("whoelse").server("ok #1 whoelse 0").types("message yoda one").happens(Event::Disconnected);
    script.types("message yoda two").types("block luke").and();
    refused_again(&mut script).does(
        "hang up
         show result 4 message: outcome_unknown (yoda) [message yoda one]
         note 2 settled
         show notice LogInAgain
         show prompt password",
    );
    script.types("falcon").does("dial");
    script.happens(Event::Connected).server("hobnob 1 ack resume").does(
        "show connection connected
         send hello 1 ack resume device alive away relay until / login hans falcon",
    );
    script.server(&format!("welcome hans unread 2 login 8 token {TOKEN}")).does(
        "show login hans unread 2
         note 1 open
         send #1 message yoda two
         note 2 open
         send #2 block luke",
    );
    script.server("error #1 unknown_user message").does(
        "show result 5 message: unknown_user (yoda) [message yoda two]
         note 1 settled",
    );
    script.types("ping luke").does("note 3 open\nsend #3 ping luke");
}

#[test]
fn the_password_of_the_options_is_used_again_until_it_is_refused() {
    let mut script = Script::session_with(Settings { terminal: true, ..Settings::default() });
    script.happens(Event::Disconnected);
    refused_again(&mut script).does("hang up\nshow notice LogInAgain\ndial");
    script.happens(Event::Connected).server("hobnob 1 ack resume").and();
    script.server("refused invalid_credentials 2").does("show refused invalid 2\nshow prompt password");
    script.types("millennium").does("send login hans millennium");
    script.server("refused locked_out 60").does("show refused locked 60\nhang up\nshow prompt password");
    script.types("falcon").does("dial");
}

#[test]
fn whoever_is_logged_in_elsewhere_may_take_over_or_not() {
    let mut script = at_terminal();
    script.happens(Event::Disconnected);
    refused_again(&mut script).and();
    script.types("falcon").happens(Event::Connected).server("hobnob 1 ack resume device alive away").and();
    script.happens(Event::CookieFound { cookie: None }).and();
    script.server("refused already_online").does("show refused already online\nshow prompt takeover");
    script.types("n").does("show prompt password");
    script.types("falcon").does("send login hans falcon");
    script.server("refused already_online").and().types("y").does("send takeover");
}

#[test]
fn a_connection_lost_during_a_login_is_made_again() {
    let mut script = at_terminal();
    script.happens(Event::Disconnected);
    refused_again(&mut script).and();
    script.types("falcon").happens(Event::Disconnected).does("dial\nshow connection reconnecting");
    script.after_ms(100).does("dial");
    script.happens(Event::Connected).server("hobnob 1 ack resume").and();
    script.server("bye server_shutdown").does("hang up\nshow connection reconnecting");
    script.after_ms(200).does("dial");
    // The first login of all is like it, once the server has been there.
    let mut first = Script::greeted(Settings { terminal: true, ..Settings::default() });
    first.types("hans").and().happens(Event::Disconnected).does("show connection reconnecting");
    first.after_ms(100).happens(Event::Connected).and().server("hobnob 1 ack resume");
    first
        .does("send hello 1 ack resume device alive away relay until / login hans")
        .server("ask password")
        .and();
    first.happens(Event::Disconnected).does("");
    first.types("falcon").does("dial");
}

#[test]
fn a_server_that_was_never_there_is_the_end() {
    let mut script = Script::new(Settings { terminal: true, ..Settings::default() });
    script.happens(Event::Started).happens(Event::Disconnected).does("dial\nexit ServerLost");
}

#[test]
fn whoever_leaves_meanwhile_is_told_what_was_not_sent() {
    let mut script = at_terminal();
    script.types("ping yoda").happens(Event::Disconnected).types("message yoda hi").types("logout").and();
    script.after(Duration::from_secs(5));
    let results = [
        "show result 3 ping: outcome_unknown (yoda) [ping yoda]",
        "show result 4 message: not_connected (yoda) [message yoda hi]",
        "show result 5 logout: ok",
    ];
    assert_eq!(script.all("show result"), results);
    assert_eq!((script.count("show bye logout"), script.count("exit Done")), (1, 1));
    for (leaves, exit) in
        [(Event::EndOfInput, "exit Done"), (Event::Interrupted(Signal::Interrupt), "exit interrupted")]
    {
        let mut script = at_terminal();
        script.happens(Event::Disconnected).types("message yoda hi");
        refused_again(&mut script).and();
        script.happens(leaves);
        assert_eq!(
            script.all("show result"),
            ["show result 3 message: not_connected (yoda) [message yoda hi]"]
        );
        assert_eq!((script.count("show bye logout"), script.count(exit)), (1, 1));
    }
}

#[test]
fn who_is_kicked_at_the_new_login_is_told_once() {
    let mut script = at_terminal();
    script.happens(Event::Disconnected);
    refused_again(&mut script).types("falcon").happens(Event::Connected).server("hobnob 1 ack resume");
    script.and().server("bye kicked");
    assert_eq!(
        (script.count("show bye"), script.count("show bye kicked"), script.count("exit Failed")),
        (1, 1, 1)
    );
}

#[test]
fn the_end_of_input_does_not_wait_for_a_server_that_is_lost() {
    let mut script = Script::greeted(Settings { terminal: true, ..Settings::default() });
    script.types("hans").server("ask password").types("falcon").happens(Event::Disconnected).and();
    script.happens(Event::EndOfInput);
    assert_eq!(script.count("exit Done"), 1, "at a login");
    let mut script = at_terminal();
    script.happens(Event::EndOfInput).does("send #1 logout");
    let mut script = at_terminal();
    script.types("ping yoda").happens(Event::EndOfInput).and();
    script.happens(Event::Disconnected).and();
    assert_eq!(script.after(Duration::from_millis(4_900)).count("exit Done"), 0);
    assert_eq!(script.after(Duration::from_millis(200)).count("exit Done"), 1, "in a session");
}

#[test]
fn a_new_login_that_can_never_succeed_leaves_no_line_without_its_result() {
    let another_user = format!("welcome luke unread 0 login 8 token {TOKEN}");
    for (said, exit) in [
        (None, "exit Distrusted"),
        (Some(&*another_user), "exit Stranger"),
        (Some("bye version"), "exit VersionRefused"),
    ] {
        let mut script = at_terminal();
        script.happens(Event::Disconnected).types("message yoda hi");
        refused_again(&mut script).and().types("falcon").and();
        match said {
            Some(line) => script.happens(Event::Connected).server("hobnob 1 ack resume").and().server(line),
            None => script.happens(Event::Distrusted),
        };
        let result = "show result 3 message: not_connected (yoda) [message yoda hi]";
        assert_eq!(script.all("show result"), [result], "{exit}");
        assert_eq!((script.count("show bye connection_lost"), script.count(exit)), (1, 1), "{exit}");
    }
}

#[test]
fn lines_that_waited_for_room_are_commands_after_the_login_too() {
    let mut script = at_terminal();
    script.happens(Event::Disconnected);
    for _ in 0..260 {
        script.types("whoelse");
    }
    assert_eq!(script.all("show offline").last().map(String::as_str), Some("show offline, 260 queued"));
    refused_again(&mut script).and().types("falcon");
    script.happens(Event::Connected).server("hobnob 1 ack resume").and();
    script.server(&format!("welcome hans unread 0 login 8 token {TOKEN}"));
    assert_eq!(script.count("send"), 256);
    script.and().server("ok #1 whoelse 0");
    assert_eq!(script.all("send"), ["send #257 whoelse"]);
}

#[test]
fn a_private_link_goes_on_through_a_new_login() {
    let mut script = super::talking::talking_with(Settings { terminal: true, ..Settings::default() });
    script.happens(Event::Disconnected);
    refused_again(&mut script).and();
    script.peer(1, "text 1 5 still here").does("deliver private p7.1 yoda: still here");
}
