//! Bugs of other messengers that must not happen here and are in no other file.

use rustix::process::Signal;
use serde_json::json;
use support::{Cable, Client, Server, password};

fn over(cable: &Cable, server: &Server, name: &str) -> Client {
    let mut client = Client::start(&server.place, cable.port, &["--json"]);
    client.log_in(name, password(name));
    client
}

#[test]
fn a_cut_cable_loses_and_doubles_nothing() {
    const ROUNDS: usize = 5;
    const EACH: usize = 100;
    let server = Server::start(&[]);
    let (left, right) = (Cable::to(server.port), Cable::to(server.port));
    let (mut hans, mut yoda) = (over(&left, &server, "hans"), over(&right, &server, "yoda"));
    for round in 0..ROUNDS {
        let numbers = round * EACH..(round + 1) * EACH;
        hans.say_all(numbers.map(|number| format!("message yoda number {number}")));
        yoda.message(&format!("number {}", round * EACH + EACH / 2));
        if round % 2 == 0 { left.cut() } else { right.cut() }
    }
    let (code, rest) = hans.end();
    assert_eq!(code, 0);
    let good = rest.iter().filter(|object| object["type"] == "result" && object["ok"] == true).count();
    assert_eq!(good, ROUNDS * EACH);
    yoda.message(&format!("number {}", ROUNDS * EACH - 1));
    let all = yoda.shown("message");
    let texts: Vec<&str> = all.iter().filter_map(|object| object["text"].as_str()).collect();
    let wanted: Vec<String> = (0..ROUNDS * EACH).map(|number| format!("number {number}")).collect();
    assert_eq!(texts, wanted);
}

#[test]
fn a_half_open_session_is_taken_over_at_once() {
    let server = Server::start(&[]);
    let cable = Cable::to(server.port);
    let mut hans = over(&cable, &server, "hans");
    cable.cut_half();
    hans.wait("the server", |object| object["state"] == "resumed");
    hans.ok("message yoda at once");
    hans.log_out();
}

#[test]
fn presence_alternates_over_a_cut() {
    let server = Server::start(&["presence_burst=0"]);
    let cable = Cable::to(server.port);
    let mut luke = server.user("luke");
    let mut hans = over(&cable, &server, "hans");
    for _ in 0..3 {
        luke.presence("hans", true);
        cable.cut();
        luke.presence("hans", false);
        hans.wait("the server", |object| object["state"] == "resumed");
    }
    hans.log_out();
    luke.presence("hans", true);
    luke.presence("hans", false);
    let all = luke.shown("presence");
    let states: Vec<bool> = all.iter().filter_map(|object| object["online"].as_bool()).collect();
    assert!(states.iter().enumerate().all(|(at, online)| *online == (at % 2 == 0)), "{states:?}");
}

#[test]
fn a_replaced_session_ends_once_on_one_state_folder() {
    let server = Server::start(&["duplicate_login=replace", "presence_burst=0"]);
    let state = server.place.fresh_state();
    let state = state.to_str().expect("UTF-8");
    let mut luke = server.user("luke");
    let mut old = server.user_with("hans", &["--state", state]);
    for _ in 0..5 {
        let new = server.user_with("hans", &["--state", state]);
        assert_eq!(old.wait_for("bye")["reason"], "replaced");
        assert_eq!(old.ended(), 1);
        old = new;
    }
    old.log_out();
    for _ in 0..6 {
        luke.presence("hans", true);
        luke.presence("hans", false);
    }
    luke.ok("whoelse");
    assert_eq!(luke.shown("presence").len(), 12);
}

#[test]
fn failures_of_other_names_in_between_reset_nothing() {
    let server = Server::start(&[]);
    let fails = |name: &str, password: &str| {
        let mut client = server.client(&[]);
        client.answer(name);
        client.answer(password);
        client.wait_for("login")["error"].clone()
    };
    assert_eq!(fails("hans", "a"), "invalid_credentials");
    assert_eq!(fails("luke", "a"), "invalid_credentials");
    assert_eq!(fails("hans", "b"), "invalid_credentials");
    assert_eq!(fails("nobody", "b"), "invalid_credentials");
    assert_eq!(fails("hans", "c"), "locked_out");
}

#[test]
fn the_server_stops_with_deaf_frozen_and_silent_clients() {
    let mut server = Server::start(&[]);
    let frozen = server.user("hans");
    let _silent = server.wire();
    let _deaf = server.wire_user("yoda");
    let mut luke = server.user("luke");
    frozen.signal(Signal::STOP);
    luke.say_all((0..200).map(|number| format!("message yoda {number} {}", "x".repeat(3_000))));
    luke.ok("whoelse");
    assert_eq!(server.stop().code, Some(0), "it waits for none of them");
    frozen.signal(Signal::CONT);
    let mut frozen = frozen;
    assert_eq!(frozen.wait_for("bye")["reason"], "server_shutdown");
    assert_eq!(frozen.ended(), 3);
}

#[test]
fn the_end_of_input_waits_for_every_result() {
    let server = Server::start(&["private_request_secs=1"]);
    let (mut hans, yoda) = (server.user("hans"), server.user("yoda"));
    hans.presence("yoda", true);
    yoda.signal(Signal::STOP);
    hans.say("message yoda slow");
    hans.say("startprivate yoda");
    hans.say("whoelse");
    let (code, rest) = hans.end();
    assert_eq!(code, 0);
    let of =
        |command: &str| rest.iter().find(|object| object["command"] == command).cloned().unwrap_or_default();
    assert_eq!(
        (&of("message")["status"], &of("startprivate")["error"]),
        (&json!("stored"), &json!("no_answer"))
    );
    yoda.signal(Signal::CONT);
}

#[test]
fn a_request_is_answered_by_asking_back_and_ends_with_its_sender() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    let line = hans.say("startprivate yoda");
    yoda.wait_for("private_request");
    assert_eq!(yoda.ok("startprivate hans")["user"], "hans");
    assert_eq!(hans.result_of(line)["ok"], true);
    let mut luke = server.user("luke");
    luke.say("startprivate yoda");
    yoda.wait("luke's request", |object| object["from"] == "luke" && object["type"] == "private_request");
    luke.say("logout");
    assert_eq!(luke.end().0, 0);
    yoda.presence("luke", false);
    assert_eq!(yoda.fails("accept luke"), "no_request");
}

#[test]
fn introductions_are_limited_and_nothing_else_is() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let mut yoda = server.user_with("yoda", &["--accept-private", "never"]);
    let mut codes = Vec::new();
    for _ in 0..200 {
        codes.push(hans.fails("startprivate yoda"));
    }
    codes.dedup();
    assert!(codes.iter().all(|code| code == "declined" || code == "rate_limited"), "{codes:?}");
    hans.ok("message yoda not limited");
    yoda.message("not limited");
}

#[test]
fn an_identical_text_is_another_message() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    hans.say_all((0..50).map(|_| "message yoda same".to_owned()));
    for _ in 0..50 {
        yoda.message("same");
    }
    hans.log_out();
    yoda.log_out();
    let mut hans = server.user("hans");
    hans.say_all((0..50).map(|_| "message yoda same".to_owned()));
    assert_eq!(hans.end().0, 0);
    let mut yoda = server.user("yoda");
    for _ in 0..50 {
        yoda.message("same");
    }
}

#[test]
fn files_that_name_no_user_are_refused() {
    for (content, line) in [
        ("hans a\ngroup b\n", "2"),
        ("hans a\n\nhans b\n", "3"),
        ("hans\n", "1"),
        ("hans a\n yoda b\n", "2"),
        ("hans a\nyoda \n", "2"),
        (&format!("hans a\n{} b\n", "n".repeat(33)), "2"),
        ("a\u{200b}b c\n", "1"),
    ] {
        let place = support::Place::with(content);
        let output = place.run_server(&["0", "--plaintext"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{content:?}: {stderr}");
        assert!(stderr.contains(&format!("credentials.txt:{line}")), "{content:?}: {stderr}");
    }
}
