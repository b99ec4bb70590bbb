//! `--json`: prompts, logins, commands, endings.

use std::io::Write as _;

use rustix::process::Signal;
use serde_json::json;
use support::{Client, Connection, FakeServer};

/// A client that is logged in as hans, and the server's end.
fn logged_in(server: &FakeServer, options: &[&str]) -> (Client, Connection) {
    let mut words = vec!["--json"];
    words.extend(options);
    let mut program = server.client(&words);
    program.answer("hans");
    program.answer("falcon");
    let connection = server.log_in("hans");
    assert_eq!(program.skip_to("login"), json!({"type": "login", "ok": true, "user": "hans", "unread": 0}));
    (program, connection)
}

#[test]
fn a_session_from_prompt_to_bye() {
    let server = FakeServer::start();
    let mut program = server.client(&["--json"]);
    let mut connection = server.accept();
    assert_eq!(program.object(), json!({"type": "connection", "state": "connected"}));
    assert_eq!(program.object(), json!({"type": "prompt", "ask": "username"}));
    program.answer("hans");
    connection.expect("login hans");
    connection.say("ask password");
    assert_eq!(program.object(), json!({"type": "prompt", "ask": "password"}));
    program.answer("wrong");
    connection.expect("login hans wrong");
    connection.say("refused invalid_credentials 2");
    let refused = json!({"type": "login", "ok": false, "error": "invalid_credentials", "attempts_left": 2});
    assert_eq!(program.object(), refused);
    assert_eq!(program.object(), json!({"type": "prompt", "ask": "password"}));
    program.answer("falcon");
    connection.expect("login hans falcon");
    connection.say(&format!("welcome hans unread 1 login 4 token {}", support::TOKEN));
    assert_eq!(program.object(), json!({"type": "login", "ok": true, "user": "hans", "unread": 1}));
    connection.say("message 2.1 yoda 1700000000123456 3.1 stored patience");
    assert_eq!(
        program.object(),
        json!({"type": "message", "kind": "direct", "from": "yoda", "text": "patience",
               "sent_at": "2023-11-14T22:13:20.123Z", "stored": true, "id": "2.1"})
    );
    connection.expect_shown("2.1");
    program.answer("");
    program.say("message yoda  hi ");
    connection.expect("#1 message yoda  hi ");
    connection.say("ok #1 message yoda delivered");
    let result = json!({"type": "result", "line": 5, "command": "message", "ok": true, "to": "yoda", "status": "delivered"});
    assert_eq!(program.object(), result);
    program.say("logout");
    connection.expect_logout();
    assert_eq!(program.object(), json!({"type": "result", "line": 6, "command": "logout", "ok": true}));
    assert_eq!(program.object(), json!({"type": "bye", "reason": "logout"}));
    assert_eq!(program.end(), (0, vec![]));
}

#[test]
fn options_answer_the_first_prompts() {
    let server = FakeServer::start();
    let mut password = tempfile::NamedTempFile::new().expect("a file");
    password.write_all(b"falcon\nnot this").expect("written");
    let file = password.path().to_str().expect("UTF-8").to_owned();
    let mut program = server.client(&["--json", "--user", "hans", "--password-file", &file]);
    let connection = server.log_in("hans");
    assert_eq!(program.object()["type"], "connection");
    assert_eq!(program.object()["type"], "login");
    program.end_input();
    connection.expect_logout();
    assert_eq!(program.object(), json!({"type": "bye", "reason": "logout"}));
    assert_eq!(program.end().0, 0);
}

#[test]
fn the_end_of_input_after_a_refusal_is_exit_4() {
    let server = FakeServer::start();
    let mut program = server.client(&["--json"]);
    program.answer("hans");
    program.answer("wrong");
    program.end_input();
    let mut connection = server.accept();
    connection.expect("login hans");
    connection.say("ask password");
    connection.expect("login hans wrong");
    connection.say("refused already_online");
    assert_eq!(program.end().0, 4);
}

#[test]
fn the_server_ends_sessions_in_its_ways() {
    for (reason, code) in [("server_shutdown", 3), ("timeout", 5), ("replaced", 1)] {
        let server = FakeServer::start();
        let (mut program, mut connection) = logged_in(&server, &[]);
        connection.say(&format!("bye {reason}"));
        assert_eq!(program.object(), json!({"type": "bye", "reason": reason}));
        assert_eq!((program.ended(), program.next()), (code, None));
    }
}

#[test]
fn signals_log_out_and_have_their_exit_codes() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let server = FakeServer::start();
        let (mut program, mut connection) = logged_in(&server, &[]);
        program.signal(signal);
        assert_eq!(program.object(), json!({"type": "bye", "reason": "logout"}));
        assert_eq!(program.ended(), code);
        assert!(connection.rest().iter().any(|line| line.ends_with("logout")));
    }
}

#[test]
fn lines_that_cannot_be_taken_get_a_result_and_the_session_goes_on() {
    let server = FakeServer::start();
    let (mut program, mut connection) = logged_in(&server, &[]);
    program.say(&format!("message yoda {}", "x".repeat(5_000)));
    program.say_bytes(b"message yoda \xff\xfe");
    program.say_bytes(&[b'x'; 300_000]);
    program.say("whoelse now");
    program.say("message yoda ok");
    let mut results = Vec::new();
    for _ in 0..4 {
        let object = program.object();
        results.push((object["line"].as_u64(), object["command"].clone(), object["error"].clone()));
    }
    assert_eq!(results[0], (Some(3), json!("message"), json!("too_long")));
    assert_eq!(results[1], (Some(4), json!("message"), json!("usage")));
    assert_eq!((results[2].0, &results[2].2), (Some(5), &json!("too_long")));
    assert_eq!(results[3], (Some(6), json!("whoelse"), json!("usage")));
    loop {
        let line = connection.hear_command().expect("a command");
        if !line.starts_with("active") {
            assert_eq!(line, "#1 message yoda ok");
            break;
        }
    }
}

#[test]
fn a_burst_arrives_whole_in_order_and_is_acknowledged() {
    let server = FakeServer::start();
    let (mut program, mut connection) = logged_in(&server, &[]);
    let burst: String =
        (1..=5_000).map(|n| format!("message 1.{n} yoda 1700000000000000 9.{n} live text {n}\n")).collect();
    connection.send(burst.as_bytes());
    for number in 1..=5_000 {
        assert_eq!(program.object()["text"], format!("text {number}"));
    }
    connection.expect_shown("1.5000");
}
