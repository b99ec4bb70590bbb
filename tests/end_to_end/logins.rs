//! Logging in: prompts, refusals, options that answer prompts, and how the program ends.

use std::net::TcpListener;

use serde_json::{Value, json};
use support::{Place, Server, password};

fn types(objects: &[Value]) -> Vec<&str> {
    objects.iter().filter_map(|object| object["type"].as_str()).collect()
}

#[test]
fn a_session_from_the_first_object_to_the_last() {
    let server = Server::start(&[]);
    let mut hans = server.client(&[]);
    assert_eq!(hans.next(), Some(json!({"type": "connection", "state": "connected"})));
    assert_eq!(hans.next(), Some(json!({"type": "prompt", "ask": "username"})));
    hans.answer("hans");
    assert_eq!(hans.next(), Some(json!({"type": "prompt", "ask": "password"})));
    hans.answer(password("hans"));
    assert_eq!(hans.next(), Some(json!({"type": "login", "ok": true, "user": "hans", "unread": 0})));
    hans.say("whoelse");
    assert_eq!(
        hans.next(),
        Some(json!({"type": "result", "line": 3, "command": "whoelse", "ok": true, "users": [], "away": {}}))
    );
    hans.say("logout");
    assert_eq!(hans.next(), Some(json!({"type": "result", "line": 4, "command": "logout", "ok": true})));
    assert_eq!(hans.next(), Some(json!({"type": "bye", "reason": "logout"})));
    assert_eq!(hans.next(), None);
    assert_eq!(hans.end().0, 0);
}

#[test]
fn the_end_of_input_is_a_logout() {
    let server = Server::start(&[]);
    let hans = server.user("hans");
    let (code, rest) = hans.end();
    assert_eq!((code, rest), (0, vec![json!({"type": "bye", "reason": "logout"})]));
}

#[test]
fn a_whole_session_from_one_write_has_one_result_a_line() {
    let server = Server::start(&[]);
    let mut hans = server.client(&[]);
    hans.write(format!("hans\n{}\n\n   \nmessage yoda hi\nwhoelse\nnonsense", password("hans")).as_bytes());
    hans.end_input();
    assert_eq!(hans.ended(), 0);
    let mut objects = Vec::new();
    while let Some(object) = hans.next() {
        objects.push(object);
    }
    let results: Vec<(&Value, &Value)> = objects
        .iter()
        .filter(|object| object["type"] == "result")
        .map(|o| (&o["line"], &o["command"]))
        .collect();
    let mut sorted: Vec<u64> = results.iter().filter_map(|(line, _)| line.as_u64()).collect();
    sorted.sort_unstable();
    assert_eq!(sorted, [5, 6, 7], "blank lines count but give nothing: {objects:?}");
    assert!(results.contains(&(&json!(7), &json!("nonsense"))), "a last line without its end counts");
    assert_eq!(types(&objects).last(), Some(&"bye"));
}

#[test]
fn a_wrong_password_is_asked_for_again_and_only_that() {
    let server = Server::start(&[]);
    let mut hans = server.client(&[]);
    for line in ["hans", "wrong", "Falcon", password("hans")] {
        hans.answer(line);
    }
    let asked: Vec<Value> = std::iter::from_fn(|| hans.next()).take(8).collect();
    assert_eq!(
        asked,
        [
            json!({"type": "connection", "state": "connected"}),
            json!({"type": "prompt", "ask": "username"}),
            json!({"type": "prompt", "ask": "password"}),
            json!({"type": "login", "ok": false, "error": "invalid_credentials", "attempts_left": 2}),
            json!({"type": "prompt", "ask": "password"}),
            json!({"type": "login", "ok": false, "error": "invalid_credentials", "attempts_left": 1}),
            json!({"type": "prompt", "ask": "password"}),
            json!({"type": "login", "ok": true, "user": "hans", "unread": 0}),
        ]
    );
    let notice = hans.wait_for("notice");
    assert!(notice["text"].as_str().is_some_and(|text| text.starts_with("2 failed logins")), "{notice}");
    hans.log_out();
}

#[test]
fn blank_lines_answer_no_prompt() {
    let server = Server::start(&[]);
    let mut hans = server.client(&[]);
    for line in ["", "  ", "hans", "", " ", password("hans")] {
        hans.answer(line);
    }
    assert_eq!(hans.wait_for("login")["ok"], true);
    let result = hans.ok("whoelse");
    assert_eq!(result["line"], 7);
    assert_eq!(hans.count(|object| object["type"] == "prompt"), 2);
}

#[test]
fn a_password_is_everything_behind_the_first_space() {
    let server = Server::start(&[]);
    server.user("yoda").log_out();
    let mut yoda = server.client(&[]);
    yoda.answer("yoda");
    yoda.answer(password("yoda").trim_end());
    assert_eq!(yoda.wait_for("login")["ok"], false, "trailing spaces count");
}

#[test]
fn the_third_failure_ends_the_program_with_4() {
    let server = Server::start(&[]);
    let mut hans = server.client(&[]);
    for line in ["hans", "a", "b", "c", "whoelse"] {
        hans.answer(line);
    }
    let (code, rest) = hans.end();
    assert_eq!(code, 4);
    let last = rest.last().expect("objects");
    assert_eq!((&last["type"], &last["error"]), (&json!("login"), &json!("locked_out")), "{last}");
    let seconds = last["retry_after"].as_u64().expect("seconds");
    assert!((1..=60).contains(&seconds), "{last}");
    assert_eq!(types(&rest).iter().filter(|kind| **kind == "login").count(), 3);
    assert!(!types(&rest).contains(&"bye"), "no session began");
}

#[test]
fn the_end_of_input_at_a_prompt_is_0_or_after_a_refusal_4() {
    let server = Server::start(&[]);
    assert_eq!(server.client(&[]).end().0, 0);
    let mut asked = server.client(&[]);
    asked.answer("hans");
    asked.wait("password", |object| object["ask"] == "password");
    assert_eq!(asked.end().0, 0);
    let mut refused = server.client(&[]);
    refused.answer("hans");
    refused.answer("wrong");
    assert_eq!(refused.end().0, 4);
    let mut bad_name = server.client(&[]);
    bad_name.answer("#hans");
    assert_eq!(bad_name.end().0, 4);
}

#[test]
fn what_is_no_name_costs_no_try() {
    let server = Server::start(&[]);
    let mut hans = server.client(&[]);
    let long = "x".repeat(33);
    for name in ["two words", "#hans", "group", &long, "a\u{200b}b", "tab\tbed"] {
        hans.answer(name);
        let login = hans.wait_for("login");
        assert_eq!(login, json!({"type": "login", "ok": false, "error": "bad_name"}), "{name}");
    }
    hans.log_in("hans", password("hans"));
    assert_eq!(hans.end().0, 0);
}

#[test]
fn options_answer_the_first_prompts() {
    let place = Place::samples();
    place.write("pw", format!("{}\r\nsecond line\n", password("hans")));
    let file = place.path("pw").to_str().expect("UTF-8").to_owned();
    let server = Server::start_in(place, &[]);
    let mut hans = server.client(&["--user", "hans", "--password-file", &file]);
    assert_eq!(hans.next().expect("an object")["type"], "connection");
    assert_eq!(hans.next().expect("an object")["type"], "login");
    assert_eq!(hans.ok("whoelse")["line"], 1);
    hans.log_out();
    let mut named = server.client(&["--user", "hans"]);
    assert_eq!(named.wait_for("prompt")["ask"], "password");
    named.answer(password("hans"));
    assert_eq!(named.wait_for("login")["ok"], true);
}

#[test]
fn a_wrong_password_in_the_file_ends_the_program() {
    let place = Place::samples();
    place.write("pw", "wrong\n");
    let file = place.path("pw").to_str().expect("UTF-8").to_owned();
    let server = Server::start_in(place, &[]);
    let mut hans = server.client(&["--user", "hans", "--password-file", &file]);
    hans.answer(password("hans"));
    assert_eq!(hans.wait_for("login")["attempts_left"], 2);
    assert_eq!(hans.end().0, 4);
}

#[test]
fn a_second_login_is_denied_and_the_first_undisturbed() {
    let server = Server::start(&[]);
    let mut first = server.user("hans");
    let mut second = server.client(&[]);
    second.answer("hans");
    second.answer("wrong");
    assert_eq!(second.wait_for("login")["error"], "invalid_credentials");
    second.answer(password("hans"));
    assert_eq!(second.wait_for("login"), json!({"type": "login", "ok": false, "error": "already_online"}));
    second.wait("the next prompt", |object| object["ask"] == "username");
    second.wait("the next prompt", |object| object["ask"] == "username");
    second.answer("luke");
    second.answer(password("luke"));
    assert_eq!(second.wait_for("login")["user"], "luke");
    first.presence("luke", true);
    first.ok("message luke hi");
    let mut third = server.client(&[]);
    third.answer("hans");
    third.answer(password("hans"));
    assert_eq!(third.end().0, 4, "already online, no further input");
}

#[test]
fn a_second_login_may_replace_the_first() {
    let server = Server::start(&["duplicate_login=replace"]);
    let mut luke = server.user("luke");
    let mut first = server.user("hans");
    luke.presence("hans", true);
    let mut second = server.user("hans");
    assert_eq!(first.wait_for("bye")["reason"], "replaced");
    assert_eq!(first.ended(), 1);
    luke.ok("message hans are you there");
    second.message("are you there");
    assert_eq!(luke.users("whoelse"), ["hans"]);
}

#[test]
fn a_server_that_is_not_there_is_3() {
    let place = Place::samples();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let output = place.run_client(&["--plaintext", "--json", &port.to_string()]);
    assert_eq!(output.status.code(), Some(3));
    assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_login_must_be_done_in_time() {
    let server = Server::start(&["login_secs=1"]);
    let mut client = server.client(&[]);
    client.answer("hans");
    assert_eq!(client.wait_for("bye")["reason"], "timeout");
    assert_eq!(client.ended(), 5);
    let mut wire = server.wire();
    assert_eq!(wire.rest(), "bye timeout\n");
}

#[test]
fn retry_login_goes_back_to_the_prompt() {
    let server = Server::start(&["block_duration=60"]);
    let mut client = server.client(&["--retry-login"]);
    client.log_in("hans", password("hans"));
    client.ok("logout");
    assert_eq!(client.wait_for("bye")["reason"], "logout");
    assert_eq!(client.wait_for("prompt")["ask"], "username");
    for line in ["luke", "a", "b", "c"] {
        client.answer(line);
    }
    client.wait("a lockout", |object| object["error"] == "locked_out");
    client.wait("a prompt", |object| object["ask"] == "username");
    client.log_in("vader", password("vader"));
    client.ok("whoelse");
    assert_eq!(client.end().0, 0);
}
