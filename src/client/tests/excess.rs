//! What a server can make a client keep and send.

use super::private::listening;
use super::script::{Script, TOKEN};
use crate::client::{AcceptPrivate, Event, Settings};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A `users` or `members` line of a thousand names, which take 96 bytes each.
fn names(beginning: &str) -> String {
    let names: Vec<String> = (0..1_000).map(|number| format!("u{number:07}")).collect();
    format!("{beginning} {}", names.join(" "))
}

/// How many such lines fit.
const LINES: usize = (24 << 20) / 96_000;

#[test]
fn lists_of_all_commands_together_are_bounded() {
    let mut script = Script::session();
    for _ in 0..100 {
        script.types("whoelse");
    }
    script.and();
    for line in 0..LINES {
        script.server(&names(&format!("users #{}", line % 100 + 1)));
    }
    script.does("");
    script.server(&names("users #7")).does(
        "show result 7 whoelse: outcome_unknown
         note 7 settled
         show notice Excess
         hang up
         show connection reconnecting",
    );
    // Nothing of them is kept: the others come again.
    script.after_ms(100).happens(Event::Connected).server("hobnob 1").and();
    script.server(&format!("resumed hans unread 0 login 7 token {TOKEN}"));
    assert_eq!((script.count("send #1 "), script.all("send #1 ")[0].contains("#7 ")), (1, false));
    script.and();
    for _ in 0..LINES {
        script.server(&names("users #1"));
    }
    script.does("");
}

#[test]
fn the_members_of_a_changed_group_are_bounded() {
    let mut script = Script::session();
    for _ in 1..LINES {
        script.server(&names("members rebels"));
    }
    script.does("");
    script.server(&names("members rebels")).does("show notice Excess\nhang up\nshow connection reconnecting");
}

#[test]
fn what_others_are_away_for_is_bounded() {
    let mut script = Script::session();
    script.types("whoelse").and();
    // As many bytes as the server's lines may have, with a name that costs as much as any.
    let line = format!("away #1 luke {}", "x".repeat(32_000));
    let mut said = 0;
    while script.server(&line).count("hang up") == 0 {
        said += 1;
        assert!(said < 2_000, "it keeps all");
    }
    assert!(said > 200, "{said} lines of 32 KB");
}

#[test]
fn what_an_order_comes_to_is_shown_and_bounded() {
    let mut script = Script::session();
    script.types("op status").server("order #1 up for a day\norder #1  twice\nok #1 op");
    assert_eq!(script.all("show result"), ["show result 1 op: ordered: up for a day /  twice"]);
    script.types("op sessions").and();
    let line = format!("order #2 {}", "x".repeat(32_000));
    let mut said = 0;
    while script.server(&line).count("hang up") == 0 {
        said += 1;
        assert!(said < 2_000, "it keeps all");
    }
    assert!(said > 200, "{said} lines of 32 KB");
}

#[test]
fn one_line_that_does_not_fit_is_not_kept() {
    let mut script = Script::session();
    script.types("whoelse").and();
    let line = "a ".repeat(500_000);
    script.server(&format!("users #1 {}", line.trim_end()));
    assert_eq!((script.count("show notice Excess"), script.count("hang up")), (1, 1));
}

#[test]
fn a_request_of_nobody_is_not_kept() {
    let mut script = Script::session();
    script.server(&format!("request {}", "x".repeat(33))).server("request #1").does("");
    script.server(&format!("request {}", "x".repeat(32)));
    assert_eq!(script.count("show request of x"), 1);
}

#[test]
fn commands_of_the_client_itself_leave_room_to_recognise_repeats() {
    for accept_private in [AcceptPrivate::Never, AcceptPrivate::Auto] {
        let mut script = Script::session_with(Settings { accept_private, ..Settings::default() });
        listening(script.types("message luke hi").types("startprivate yoda")).and();
        for number in 3..600 {
            script.server(&format!("request u{number}\nok #{number} decline u{number}"));
        }
        assert_eq!((script.count("send #512 "), script.count("send #513 ")), (1, 0));
        // Of 87 further requests so many are declined without a number; the others wait at the server.
        assert_eq!(script.count("send decline u"), 64);
        script.server("error no_request decline\nrequest u600\nrequest u601").and();
        script.server("ok decline u1\nrequest u602").does("send decline u602");
    }
}
