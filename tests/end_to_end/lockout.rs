//! Three failures in a row lock a name, everywhere.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Client, PATIENCE, Server, password};

use crate::timeouts::play;

/// Tries passwords for a name on a new connection; returns the answers.
fn tries(server: &Server, name: &str, passwords: &[&str]) -> Vec<Value> {
    let mut client = server.client(&[]);
    client.answer(name);
    passwords.iter().for_each(|password| client.answer(password));
    answers(client)
}

fn answers(client: Client) -> Vec<Value> {
    let (_, rest) = client.end();
    rest.into_iter().filter(|object| object["type"] == "login").collect()
}

fn left(answer: &Value) -> Option<u64> {
    answer["attempts_left"].as_u64()
}

#[test]
fn failures_are_counted_over_connections() {
    let server = Server::start(&[]);
    assert_eq!(left(&tries(&server, "hans", &["a"])[0]), Some(2));
    assert_eq!(left(&tries(&server, "luke", &["a"])[0]), Some(2), "another name has its own count");
    assert_eq!(left(&tries(&server, "hans", &["b"])[0]), Some(1));
    assert_eq!(tries(&server, "hans", &["c"])[0]["error"], "locked_out");
    let right = tries(&server, "hans", &[password("hans")]);
    assert_eq!(right[0]["error"], "locked_out", "right or not");
    assert!(right[0]["retry_after"].as_u64().is_some_and(|seconds| (1..=60).contains(&seconds)));
    assert_eq!(tries(&server, "luke", &[password("luke")])[0]["ok"], true);
}

#[test]
fn a_lock_ends_by_itself_and_attempts_do_not_extend_it() {
    let server = Server::start(&["block_duration=2"]);
    let began = Instant::now();
    tries(&server, "hans", &["a", "b", "c"]);
    // One attempt after another until the lock is over: each is refused, and none extends it.
    while tries(&server, "hans", &[password("hans")])[0]["ok"] == false {
        assert!(began.elapsed() < PATIENCE, "the lock does not end");
    }
    assert!(began.elapsed().as_millis() >= 2_000, "the lock was too short: {:?}", began.elapsed());
    let fresh = tries(&server, "hans", &["a"]);
    assert_eq!(left(&fresh[0]), Some(2), "and the count begins anew");
}

#[test]
fn attempts_may_extend_the_lock() {
    const LOCK: Duration = Duration::from_secs(4);
    play(&["block_duration=4", "lock_extend=true"], |server| {
        let mut last = Instant::now();
        tries(server, "hans", &["a", "b", "c"]);
        let began = Instant::now();
        while began.elapsed() < LOCK + LOCK / 8 {
            let tried_at = Instant::now();
            let answer = &tries(server, "hans", &["x"])[0];
            if last.elapsed() >= LOCK {
                // So late that the lock may be over.
                return None;
            }
            assert_eq!(answer["error"], "locked_out", "{answer}");
            last = tried_at;
        }
        Some(())
    });
}

#[test]
fn success_resets_the_count() {
    let server = Server::start(&[]);
    let results = tries(&server, "hans", &["a", "b", password("hans")]);
    assert_eq!(results[2]["ok"], true);
    assert_eq!(left(&tries(&server, "hans", &["a"])[0]), Some(2));
    let hans = server.user("hans");
    assert_eq!(left(&tries(&server, "hans", &["a"])[0]), Some(2));
    let denied = tries(&server, "hans", &["b", password("hans")]);
    assert_eq!((left(&denied[0]), &denied[1]["error"]), (Some(1), &json!("already_online")));
    assert_eq!(left(&tries(&server, "hans", &["a"])[0]), Some(2), "right but denied resets it, too");
    hans.log_out();
}

#[test]
fn a_lock_does_not_touch_a_running_session() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    assert_eq!(tries(&server, "hans", &["a", "b", "c"])[2]["error"], "locked_out");
    hans.ok("message yoda still here");
    hans.log_out();
    assert_eq!(tries(&server, "hans", &[password("hans")])[0]["error"], "locked_out");
}

#[test]
fn a_lock_and_a_count_survive_a_restart() {
    let mut server = Server::start(&[]);
    tries(&server, "hans", &["a", "b", "c"]);
    tries(&server, "luke", &["a", "b"]);
    tries(&server, "nobody", &["a", "b"]);
    server.restart();
    assert_eq!(tries(&server, "hans", &[password("hans")])[0]["error"], "locked_out");
    assert_eq!(tries(&server, "luke", &["c"])[0]["error"], "locked_out");
    assert_eq!(tries(&server, "nobody", &["c"])[0]["error"], "locked_out", "or the restart would tell");
    server.kill();
    server.start_again();
    assert_eq!(tries(&server, "hans", &[password("hans")])[0]["error"], "locked_out");
}

#[test]
fn a_name_without_an_account_looks_like_any_other() {
    let server = Server::start(&[]);
    let replies = |name: &str| {
        let mut client = server.client(&[]);
        for line in [name, "a", "b", "c"] {
            client.answer(line);
        }
        let (code, mut rest) = client.end();
        rest.iter_mut().filter(|o| o["error"] == "locked_out").for_each(|o| o["retry_after"] = json!(0));
        (code, rest)
    };
    assert_eq!(replies("hans"), replies("nobody"));
    assert_eq!(tries(&server, "nobody", &["x"])[0]["error"], "locked_out");
    assert_eq!(
        tries(&server, "Hans", &[password("hans")])[0]["error"],
        "invalid_credentials",
        "case matters"
    );
}

#[test]
fn locked_names_are_still_asked_for_the_password() {
    let server = Server::start(&[]);
    tries(&server, "hans", &["a", "b", "c"]);
    let mut hans = server.client(&[]);
    hans.answer("hans");
    hans.wait("a prompt", |object| object["ask"] == "password");
    hans.answer(password("hans"));
    let (code, rest) = hans.end();
    assert_eq!((code, &rest.last().expect("an object")["error"]), (4, &json!("locked_out")));
}

#[test]
fn without_a_duration_there_are_three_tries_and_no_lock() {
    let server = Server::start(&["block_duration=0"]);
    let mut hans = server.client(&[]);
    for line in ["hans", "a", "b", "c", password("hans")] {
        hans.answer(line);
    }
    let (code, rest) = hans.end();
    let logins: Vec<&Value> = rest.iter().filter(|object| object["type"] == "login").collect();
    assert_eq!((code, logins.len(), left(logins[2])), (4, 3, Some(0)));
    assert_eq!(logins[2]["error"], "invalid_credentials");
    server.user("hans").log_out();
}

#[test]
fn the_number_of_tries_can_be_set() {
    let server = Server::start(&["lock_attempts=1"]);
    assert_eq!(tries(&server, "hans", &["a"])[0]["error"], "locked_out");
    let server = Server::start(&["lock_attempts=5"]);
    let answers = tries(&server, "hans", &["a", "b", "c", "d", "e"]);
    assert_eq!(left(&answers[0]), Some(4));
    assert_eq!(answers[4]["error"], "locked_out");
}

#[test]
fn parallel_guesses_do_not_outrun_the_count() {
    let server = Server::start(&[]);
    let mut wires: Vec<_> = (0..20).map(|_| server.wire()).collect();
    for (number, wire) in wires.iter_mut().enumerate() {
        wire.say(&format!("login hans guess{number}"));
    }
    let answers: Vec<String> = wires.iter_mut().map(|wire| wire.skip_to("refused ")).collect();
    let tried = answers.iter().filter(|answer| answer.contains("invalid_credentials")).count();
    assert_eq!(tried, 2, "{answers:?}");
    assert!(server.log().matches("guess").count() == 0);
}
