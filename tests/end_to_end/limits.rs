//! Limits of lines and names; bad bytes.

use serde_json::json;
use support::{Place, Server};

#[test]
fn a_line_of_4096_bytes_goes_and_one_more_is_too_long() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    let longest = "x".repeat(4_096 - "message yoda ".len());
    assert_eq!(hans.ok(&format!("message yoda {longest}"))["status"], "delivered");
    assert_eq!(yoda.wait_for("message")["text"], longest);
    let line = hans.say_bytes(format!("message yoda {longest}\r").as_bytes());
    assert_eq!(hans.result_of(line)["ok"], true, "the line end does not count");
    let too_long = hans.ask(&format!("message yoda {longest}y"));
    assert_eq!((&too_long["error"], &too_long["command"]), (&json!("too_long"), &json!("message")));
    assert_eq!(hans.fails(&"z".repeat(100_000)), "too_long");
    hans.ok("whoelse");
    hans.ok("create group g yoda");
    let filling = "x".repeat(4_096 - "message group g ".len());
    assert_eq!(hans.ok(&format!("message group g {filling}"))["delivered"], 1);
    assert_eq!(yoda.message(&filling)["group"], "g");
    let wide = "é".repeat(2_041);
    assert_eq!(hans.ok(&format!("message yoda {wide}"))["ok"], true, "bytes count, not characters");
    assert_eq!(hans.fails(&format!("message yoda {wide}ab")), "too_long");
    hans.log_out();
}

#[test]
fn names_have_1_to_32_characters() {
    let longest = "n".repeat(32);
    let wide = "名".repeat(32);
    let server = Server::start_in(Place::with(&format!("{longest} pw1\n{wide} pw2\nhans x\n")), &[]);
    let (mut first, mut second) = (server.client(&[]), server.client(&[]));
    first.log_in(&longest, "pw1");
    second.log_in(&wide, "pw2");
    first.ok(&format!("message {wide} hello"));
    second.message("hello");
    assert_eq!(first.fails(&format!("message {longest}n hi")), "unknown_user");
    let group = "g".repeat(32);
    first.ok(&format!("create group {group} {wide}"));
    assert_eq!(first.fails(&format!("create group {group}g {wide}")), "bad_name");
    for name in ["a\u{200b}b", "tab\there", "del\u{7f}", "\u{202e}x", "\u{85}"] {
        assert_eq!(first.fails(&format!("create group {name} hans")), "bad_name", "{name:?}");
    }
    // A group whose name differs in case only would be taken for it (R47).
    first.ok("create group Crew hans");
    assert_eq!(first.fails("create group crew hans"), "bad_name");
}

#[test]
fn bad_bytes_cost_one_result_and_no_session() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    for bytes in [
        &b"\xff\xfe\xfd"[..],
        b"message yoda \xc3",
        b"message \xff hi",
        b"\x80whoelse",
        b"block \xed\xa0\x80",
    ] {
        let line = hans.say_bytes(bytes);
        assert_eq!(hans.result_of(line)["error"], "usage", "{bytes:?}");
    }
    assert_eq!(hans.fails("\u{0}\u{1}\u{1b}[31m"), "unknown_command");
    hans.log_out();
    let mut client = server.client(&[]);
    client.write(b"\xff\xfe\nhans\n");
    assert_eq!(client.wait_for("login")["error"], "bad_name");
    client.answer(support::password("hans"));
    assert_eq!(client.wait_for("login")["ok"], true);
}

#[test]
fn an_endless_name_or_password_is_refused_and_the_next_one_taken() {
    let server = Server::start(&[]);
    let mut client = server.client(&[]);
    client.answer(&"x".repeat(20_000));
    assert_eq!(client.wait_for("login")["error"], "bad_name");
    client.answer("hans");
    client.answer(&"x".repeat(20_000));
    let refused = client.wait_for("login");
    assert_eq!((&refused["error"], &refused["attempts_left"]), (&"invalid_credentials".into(), &3.into()));
    client.answer(support::password("hans"));
    client.wait("a login", |object| object["ok"] == true && object["user"] == "hans");
}

#[test]
fn the_server_survives_garbage_before_and_after_login() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let mut stranger = server.wire();
    stranger.send(b"\0\xff\xff\r\n\n \n");
    stranger.say("whoelse");
    let mut answers = vec![stranger.line(), stranger.line()];
    stranger.say(&"x".repeat(5_000));
    answers.push(stranger.line());
    assert_eq!(answers, ["error usage", "ask username", "error too_long"]);
    let mut endless = server.wire();
    endless.send(&vec![b'x'; 200_000]);
    let rest = endless.rest();
    assert!(rest.lines().count() <= 1, "{rest}");
    let mut yoda = server.wire_user("yoda");
    yoda.say(&"y".repeat(5_000));
    yoda.expect("error too_long");
    yoda.send(b"message hans \xff\n");
    yoda.expect("error usage message");
    yoda.say("message hans still here");
    hans.message("still here");
    yoda.expect("ok message hans delivered");
}

#[test]
fn the_length_of_lines_can_be_set() {
    let server = Server::start(&["line_bytes=100"]);
    let mut wire = server.wire_user("hans");
    wire.say(&format!("message yoda {}", "x".repeat(700)));
    wire.expect("error too_long");
    wire.say("whoelse");
    wire.expect("ok whoelse 0");
}
