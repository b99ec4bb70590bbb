//! Typed lines and their results.

use super::private::listening;
use super::script::Script;
use crate::client::Settings;
use alloc::format;

#[test]
fn commands_are_numbered_noted_and_answered_in_any_order() {
    let mut script = Script::session();
    script.types("message yoda hi").types("ping luke").does(
        "note 1 open
         send #1 message yoda hi
         note 2 open
         send #2 ping luke",
    );
    script.server("ok #2 ping luke offline").does(
        "show result 2 ping: Ping { user: \"luke\", status: Offline }
         note 2 settled",
    );
    script.server("ok #1 message yoda delivered").does(
        "show result 1 message: to yoda delivered
         note 1 settled",
    );
}

#[test]
fn lists_come_in_parts_and_are_sorted() {
    let mut script = Script::session();
    script.types("whoelse").types("grouplist").types("create group rebels luke").and();
    script.server(
        "users #1 vader
         users #1 luke yoda
         away #1 yoda at lunch
         ok #1 whoelse 3
         members #2 rebels luke hans
         members #2 rebels chewie
         members #2 empire vader
         ok #2 grouplist 2
         members #3 rebels luke hans
         ok #3 create group rebels",
    );
    script.does(
        "show result 1 whoelse: users luke vader yoda, yoda away at lunch
         note 1 settled
         show result 2 grouplist: groups empire: vader, rebels: chewie hans luke
         note 2 settled
         show result 3 create group: group rebels: hans luke
         note 3 settled",
    );
}

#[test]
fn a_broadcast_says_who_was_left_out_if_the_server_does() {
    let mut script = Script::session();
    script.types("broadcast hi").and().server("users #1 yoda\nok #1 broadcast 2 withheld").does(
        "show result 1 broadcast: Broadcast { recipients: 2, withheld: true, withheld_users: [\"yoda\"] }
         note 1 settled",
    );
}

#[test]
fn errors_name_what_they_are_about() {
    let mut script = Script::session();
    script.types("message nobody hi").types("add group rebels luke").types("whoelse").and();
    script.server(
        "error #1 unknown_user message
         error #2 not_owner add group
         error #3 storage_unavailable whoelse",
    );
    script.does(
        "show result 1 message: unknown_user (nobody)
         note 1 settled
         show result 2 add group: not_owner (rebels)
         note 2 settled
         show result 3 whoelse: storage_unavailable
         note 3 settled",
    );
}

#[test]
fn the_client_answers_what_is_no_command_and_tells_the_server_once_a_second() {
    let mut script = Script::session();
    script.types("dance").types("message yoda").types("message yoda ").does(
        "show result 1 dance: unknown_command
         send active invalid
         show result 2 message: usage
         show result 3 message: usage",
    );
    script.after_ms(999).does("");
    script.after_ms(1).does("send active invalid");
    script.after_ms(1_000).does("");
}

#[test]
fn a_line_may_have_4096_bytes() {
    let mut script = Script::session();
    let text = "x".repeat(4_096 - "message yoda ".len());
    script.types(&format!("message yoda {text}"));
    assert_eq!(script.count("send #1 message yoda xxx"), 1);
    script.and().types(&format!("message yoda {text}x")).does(
        "show result 2 message: too_long
         send active invalid",
    );
    script.types_bytes(b"message yoda \xc3").does("show result 3 message: usage");
}

#[test]
fn blank_lines_give_nothing_but_count() {
    let mut script = Script::session();
    script.types("").types("  ").types("  whoelse").does(
        "note 1 open
         send #1 whoelse",
    );
    script.server("ok #1 whoelse 0").does(
        "show result 3 whoelse: users
         note 1 settled",
    );
}

#[test]
fn a_text_is_kept_byte_for_byte() {
    let mut script = Script::session();
    script.types("  message   yoda   two  spaces ");
    assert_eq!(script.count("send #1 message yoda   two  spaces "), 1);
    script.types("broadcast  ");
    assert_eq!(script.count("send #2 broadcast  "), 1);
}

#[test]
fn help_is_given_by_the_client_and_counts_as_activity() {
    let mut script = Script::session();
    script.types("help").types("help create group").types("help dance").does(
        "show result 1 help: help of 24 lines
         send active
         show result 2 help: help of 1 lines
         show result 3 help: unknown_command (dance)",
    );
}

#[test]
fn at_most_256_commands_are_open_and_the_input_waits_after_256_more() {
    let mut script = Script::session();
    for _ in 0..511 {
        script.types("whoelse");
    }
    assert!(script.wants_input());
    assert_eq!(script.count("note"), 256);
    script.and().types("whoelse");
    assert!(!script.wants_input());
    script.server("ok #7 whoelse 0").does(
        "show result 7 whoelse: users
         note 7 settled
         note 257 open
         send #257 whoelse",
    );
    assert!(script.wants_input());
}

#[test]
fn the_input_waits_when_511_more_were_begun_since_the_oldest_open_command() {
    let mut script = Script::session();
    script.types("message yoda hi");
    for number in 2..=512 {
        script.types("message luke hi").server(&format!("ok #{number} message luke delivered"));
    }
    script.and().types("message luke hi");
    assert_eq!(script.count("send #"), 0);
    script.server("ok #1 message yoda stored");
    assert_eq!(script.count("send #513 message luke hi"), 1);
}

#[test]
fn a_private_request_keeps_nothing_waiting_that_was_typed_after_it() {
    let mut script = Script::session();
    listening(script.types("startprivate luke"));
    assert_eq!(script.count("send #1 startprivate luke"), 1);
    for number in 2..=600 {
        script.types("message luke hi").server(&format!("ok #{number} message luke delivered"));
    }
    script.and().types("message luke hi");
    assert_eq!(script.count("send #601 "), 1);
}

#[test]
fn answers_to_nothing_are_ignored() {
    let mut script = Script::session();
    script.types("whoelse").and();
    script.server(
        "ok #9 whoelse 0
         ok whoelse 0
         error #9 usage whoelse
         error usage whoelse
         users #9 luke
         users luke
         what is this
         hobnob 1
         ask password
         refused stale
         resumed hans unread 0 login 7",
    );
    script.server("ok #1 whoelse 0").does(
        "show result 1 whoelse: users
         note 1 settled",
    );
    script.server("ok #1 whoelse 0").does("");
}

#[test]
fn a_server_with_a_shorter_limit_settles_the_longest_line() {
    let mut script = Script::session();
    script.types("whoelse").types("message yoda something long").types("ping luke").and();
    script.server("error too_long").does(
        "show result 2 message: too_long (yoda)
         note 2 settled",
    );
}

#[test]
fn without_a_link_there_is_nothing_to_verify_and_a_way_to_choose() {
    let mut script = Script::session();
    script.types("verify yoda").types("path yoda auto").types("path yoda direct").types("path yoda relay");
    script.types("path hans auto").does(
        "show result 1 verify: not_private (yoda)
         send active
         show result 2 path: yoda auto closed
         show result 3 path: yoda direct closed
         show result 4 path: yoda relay closed
         show result 5 path: self (hans)",
    );
}

#[test]
fn a_small_limit_holds_for_all_lines() {
    let mut script = Script::session_with(Settings { line_bytes: 7, ..Settings::default() });
    script.types("whoelse").types(" whoelse").does(
        "note 1 open
         send #1 whoelse
         show result 2 whoelse: too_long
         send active invalid",
    );
}
