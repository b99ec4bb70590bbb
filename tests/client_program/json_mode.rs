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

/// A file with this password in it.
fn password_file(password: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(password.as_bytes()).expect("written");
    file
}

#[test]
fn a_password_that_is_too_long_to_be_sent_is_a_refused_login_and_costs_no_try() {
    let server = FakeServer::start();
    let mut program = server.client(&["--json", "--user", "hans"]);
    let mut connection = server.accept();
    connection.expect("login hans");
    connection.say("ask password");
    assert_eq!(program.skip_to("prompt")["ask"], "password");
    program.answer(&"x".repeat(4_097));
    let refused =
        |left| json!({"type": "login", "ok": false, "error": "invalid_credentials", "attempts_left": left});
    assert_eq!(program.object(), refused(3));
    assert_eq!(program.object(), json!({"type": "prompt", "ask": "password"}));
    program.answer("wrong");
    connection.expect("login hans wrong");
    connection.say("refused invalid_credentials 2");
    assert_eq!(program.object(), refused(2));
    assert_eq!(program.object(), json!({"type": "prompt", "ask": "password"}));
    program.answer(&"x".repeat(100_000));
    assert_eq!(program.object(), refused(2));
    assert_eq!(program.object(), json!({"type": "prompt", "ask": "password"}));
    program.answer(&"x".repeat(4_096));
    connection.expect(&format!("login hans {}", "x".repeat(4_096)));
    connection.say("error too_long");
    assert_eq!(program.object(), refused(2), "what the server cannot read is refused as well");
    assert_eq!(program.object(), json!({"type": "prompt", "ask": "password"}));
    program.end_input();
    assert_eq!(program.end(), (4, vec![]));
}

#[test]
fn a_new_password_that_is_too_long_to_be_sent_is_a_refused_login() {
    let server = FakeServer::start();
    let mut program = server.client(&["--json", "--user", "leia"]);
    let mut connection = server.accept();
    connection.expect("login leia");
    connection.say("ask new_password");
    assert_eq!(program.skip_to("prompt")["ask"], "new_password");
    for bad in ["x".repeat(4_097).into_bytes(), b"\xff".to_vec()] {
        program.write(&bad);
        program.answer("");
        let refused =
            json!({"type": "login", "ok": false, "error": "invalid_credentials", "attempts_left": 3});
        assert_eq!(program.object(), refused);
        assert_eq!(program.object(), json!({"type": "prompt", "ask": "new_password"}));
    }
    program.answer("alderaan");
    connection.expect("register leia alderaan");
}

#[test]
fn a_refused_password_file_ends_the_program_and_takes_nothing_more_from_a_pipe() {
    for refusal in [
        "invalid_credentials 2",
        "invalid_credentials 0",
        "locked_out 60",
        "already_online",
        "bad_name",
        "name_taken",
    ] {
        let server = FakeServer::start();
        let file = password_file("wrong\n");
        let path = file.path().to_str().expect("UTF-8");
        let options = ["--json", "--retry-login", "--user", "hans", "--password-file", path];
        let mut program = server.client(&options);
        program.answer("falcon\nluke\nlightsaber\nwhoelse");
        let mut connection = server.accept();
        connection.expect("login hans");
        connection.say("ask password");
        connection.expect("login hans wrong");
        connection.say(&format!("refused {refusal}"));
        assert_eq!(program.skip_to("login")["ok"], false, "{refusal}");
        assert_eq!(connection.hear(), None, "{refusal}: nothing more is said");
        assert_eq!(program.end(), (4, vec![]), "{refusal}");
    }
}

#[test]
fn a_password_file_without_a_name_takes_the_name_and_no_more_from_a_pipe() {
    let server = FakeServer::start();
    let file = password_file("wrong\n");
    let path = file.path().to_str().expect("UTF-8");
    let mut program = server.client(&["--json", "--password-file", path]);
    program.answer("\nhans\nfalcon");
    let mut connection = server.accept();
    connection.expect("login hans");
    connection.say("ask password");
    connection.expect("login hans wrong");
    connection.say("refused invalid_credentials 2");
    assert_eq!(program.skip_to("login")["attempts_left"], 2);
    assert_eq!(connection.hear(), None, "nothing more is said");
    assert_eq!(program.end(), (4, vec![]));

    let mut program = server.client(&["--json", "--password-file", path]);
    let _connection = server.accept();
    program.answer("no name\nhans");
    assert_eq!(program.skip_to("login")["error"], "bad_name");
    assert_eq!(program.end(), (4, vec![]));
}

#[test]
fn a_busy_server_is_asked_again_before_a_password_file_counts_as_refused() {
    let server = FakeServer::start();
    let file = password_file("falcon\n");
    let path = file.path().to_str().expect("UTF-8");
    let options = ["--json", "--user", "hans", "--password-file", path];
    let mut program = server.client(&options);
    let mut connection = server.accept();
    connection.expect("login hans");
    connection.say("ask password");
    connection.expect("login hans falcon");
    connection.say("refused busy");
    connection.expect("login hans falcon");
    connection.welcome("hans");
    assert_eq!(program.skip_to("login")["ok"], true);
    program.answer("y\nn");
    for (line, command) in [(1, "y"), (2, "n")] {
        let result = program.object();
        let of_line = (result["line"].as_u64(), &result["command"], &result["error"]);
        assert_eq!(of_line, (Some(line), &json!(command), &json!("unknown_command")));
    }
}

#[test]
fn y_and_n_are_no_commands_on_a_pipe() {
    let server = FakeServer::start();
    let (mut program, mut connection) = logged_in(&server, &[]);
    connection.say("request luke");
    assert_eq!(program.object(), json!({"type": "private_request", "from": "luke"}));
    program.answer("y\nn\ndecline luke");
    for (line, command) in [(3, "y"), (4, "n")] {
        let result = program.object();
        let of_line = (result["line"].as_u64(), &result["command"], &result["error"]);
        assert_eq!(of_line, (Some(line), &json!(command), &json!("unknown_command")));
    }
    assert_eq!(connection.hear_command().as_deref(), Some("active invalid"));
    connection.expect("#1 decline luke");
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

#[test]
fn with_strict_a_result_that_is_not_ok_is_exit_code_7() {
    let server = FakeServer::start();
    for (lines, strict, code) in [
        (&["ping yoda"][..], true, 0),
        (&["ping vader", "ping yoda"], true, 7),
        (&["ping vader"], false, 0),
        (&["dance"], true, 7),
    ] {
        let options = if strict { &["--strict"][..] } else { &[] };
        let (mut program, mut connection) = logged_in(&server, options);
        for (number, line) in (1..).zip(lines) {
            program.say(line);
            if *line == "dance" {
                connection.expect("active invalid");
                continue;
            }
            connection.expect(&format!("#{number} {line}"));
            let answer =
                if line.ends_with("yoda") { "ok #N ping yoda online" } else { "error #N unknown_user ping" };
            connection.say(&answer.replace('N', &number.to_string()));
        }
        program.end_input();
        connection.expect_logout();
        assert_eq!(program.end().0, code, "{lines:?}");
    }
}

#[test]
fn with_strict_a_lost_server_is_still_exit_code_3() {
    let server = FakeServer::start();
    let (mut program, mut connection) = logged_in(&server, &["--strict", "--reconnect", "0"]);
    program.say("ping vader");
    connection.expect("#1 ping vader");
    connection.say("error #1 unknown_user ping");
    assert_eq!(program.skip_to("result")["ok"], false);
    drop(connection);
    assert_eq!(program.skip_to("bye")["reason"], "connection_lost");
    assert_eq!(program.end().0, 3);
}

#[test]
fn a_line_break_of_a_text_is_u2028_on_a_pipe_and_a_line_feed_in_json() {
    let server = FakeServer::start();
    let (mut program, mut connection) = logged_in(&server, &[]);
    program.say("message yoda one\u{2028}two");
    connection.expect("#1 message yoda one\u{2028}two");
    connection.say("message 1.1 yoda 1700000000000000 9.1 live three\u{2028}four\u{2029}");
    assert_eq!(program.skip_to("message")["text"], "three\nfour\u{2029}");
}
