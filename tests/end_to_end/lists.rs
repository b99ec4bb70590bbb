//! Lists of users online now and before, presence, ping, help.

use std::time::Instant;

use serde_json::{Value, json};
use support::{PATIENCE, Server};

#[test]
fn whoelse_is_sorted_and_without_oneself() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    assert!(hans.users("whoelse").is_empty());
    let _others = ["yoda", "luke", "vader", "r2d2"].map(|name| server.user(name));
    assert_eq!(hans.users("whoelse"), ["luke", "r2d2", "vader", "yoda"]);
    assert_eq!(hans.fails("whoelse now"), "usage");
}

#[test]
fn whoelse_may_include_oneself() {
    let server = Server::start(&["whoelse_include_self=true"]);
    let mut hans = server.user("hans");
    assert_eq!(hans.users("whoelse"), ["hans"]);
}

#[test]
fn whoelsesince_knows_the_present_and_the_gone() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    server.user("yoda").log_out();
    let _luke = server.user("luke");
    hans.presence("yoda", false);
    for line in [
        "whoelsesince 1000",
        "whoelsesince 3600",
        "wholasthr",
        "wholasthtr",
        "whoelsesince 99999999999999999999999",
    ] {
        assert_eq!(hans.users(line), ["luke", "yoda"], "{line}");
    }
    assert_eq!(hans.users("whoelsesince 0"), ["luke"], "online now overlaps any period");
    server.user("yoda").log_out();
    assert_eq!(hans.users("whoelsesince 1000"), ["luke", "yoda"], "each once");
    for line in [
        "whoelsesince",
        "whoelsesince -1",
        "whoelsesince 1.5",
        "whoelsesince x",
        "whoelsesince 1 2",
        "whoelsesince +1",
    ] {
        assert_eq!(hans.fails(line), "usage", "{line}");
    }
    assert_eq!(hans.fails("wholasthr 3"), "usage");
    hans.log_out();
}

#[test]
fn the_gone_leave_the_period() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let gone = Instant::now();
    server.user("yoda").log_out();
    hans.presence("yoda", false);
    while !hans.users("whoelsesince 1").is_empty() {
        assert!(gone.elapsed() < PATIENCE, "still in the period");
    }
    assert!(gone.elapsed().as_millis() >= 990, "too early: {:?}", gone.elapsed());
    assert_eq!(hans.users("whoelsesince 100"), ["yoda"]);
}

#[test]
fn history_may_count_logins_only() {
    let server = Server::start(&["history_mode=login"]);
    let mut hans = server.user("hans");
    let _yoda = server.user("yoda");
    assert_eq!(hans.users("whoelsesince 100"), ["yoda"]);
    let began = Instant::now();
    while !hans.users("whoelsesince 1").is_empty() {
        assert!(began.elapsed() < PATIENCE, "still in the period");
    }
    assert_eq!(hans.users("whoelse"), ["yoda"]);
}

#[test]
fn history_survives_a_restart() {
    let mut server = Server::start(&[]);
    server.user("yoda").log_out();
    let luke = server.user("luke");
    server.user("vader").log_out();
    server.kill();
    drop(luke);
    server.start_again();
    let mut hans = server.user("hans");
    assert_eq!(hans.users("whoelsesince 1000"), ["luke", "vader", "yoda"]);
    assert!(hans.users("whoelse").is_empty());
}

#[test]
fn presence_is_told_to_everyone_else_once() {
    let server = Server::start(&[]);
    let (mut hans, mut luke) = (server.user("hans"), server.user("luke"));
    for _ in 0..3 {
        let mut yoda = server.user("yoda");
        hans.presence("yoda", true);
        yoda.has_not("his own or an old presence", |object| object["type"] == "presence");
        yoda.log_out();
        hans.presence("yoda", false);
        luke.presence("yoda", true);
        luke.presence("yoda", false);
    }
    hans.ok("whoelse");
    assert_eq!(hans.count(|object| object["user"] == "yoda"), 6);
}

#[test]
fn ping_tells_the_state() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    assert_eq!(
        hans.ok("ping yoda"),
        json!({
            "type": "result", "line": 3, "command": "ping", "ok": true, "user": "yoda", "status": "offline"
        })
    );
    let mut yoda = server.user("yoda");
    assert_eq!(hans.ok("ping yoda")["status"], "online");
    for (line, code) in
        [("ping hans", "self"), ("ping nobody", "unknown_user"), ("ping", "usage"), ("ping a b", "usage")]
    {
        assert_eq!(hans.fails(line), code, "{line}");
    }
    yoda.ok("block hans");
    assert_eq!(hans.ok("ping yoda")["status"], "blocked");
    yoda.log_out();
    assert_eq!(hans.ok("ping yoda")["status"], "blocked", "his state shows nowhere");
}

#[test]
fn help_explains() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let all = hans.ok("help")["text"].as_str().expect("text").to_owned();
    for command in [
        "message",
        "broadcast",
        "whoelse",
        "whoelsesince",
        "wholasthr",
        "block",
        "unblock",
        "offline",
        "ping",
        "create group",
        "message group",
        "grouplist",
        "add group",
        "remove group",
        "leave group",
        "delete group",
        "startprivate",
        "accept",
        "decline",
        "private",
        "stopprivate",
        "help",
        "logout",
    ] {
        assert!(all.contains(command), "{command}");
        assert!(hans.ok(&format!("help {command}"))["text"].as_str().expect("text").contains(command));
    }
    assert_eq!(hans.fails("help dance"), "unknown_command");
}

#[test]
fn every_command_without_arguments_gives_one_result_and_the_session_goes_on() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    for command in [
        "message",
        "broadcast",
        "whoelsesince",
        "block",
        "unblock",
        "ping",
        "create",
        "create group",
        "message group",
        "add group",
        "remove group",
        "leave group",
        "delete group",
        "startprivate",
        "accept",
        "decline",
        "private",
        "stopprivate",
        "add",
        "remove",
        "leave",
        "delete",
        "create group g",
        "message group g",
        "add group g",
        "remove group g",
        "startprivate a b",
        "verify",
        "path",
        "private yoda",
        "logout now",
    ] {
        let result = hans.ask(command);
        assert_eq!(
            (&result["ok"], &result["error"]),
            (&json!(false), &json!("usage")),
            "{command}: {result}"
        );
    }
    for command in
        ["nonsense", "MESSAGE yoda x", "/help", "#1 whoelse", "login hans x", "ack 1 1", "\u{1f980}"]
    {
        assert_eq!(hans.fails(command), "unknown_command", "{command}");
    }
    hans.log_out();
}

#[test]
fn seen_tells_when_a_user_was_last_here() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let seen = |who: &mut support::Client| {
        let result = who.ok("seen luke");
        (result["online"].clone(), result["at"].clone())
    };
    assert_eq!(seen(&mut hans), (json!(false), Value::Null));
    let luke = server.user("luke");
    hans.presence("luke", true);
    assert_eq!(seen(&mut hans), (json!(true), Value::Null));
    luke.log_out();
    hans.presence("luke", false);
    let (online, at) = seen(&mut hans);
    let at = at.as_str().expect("a time").to_owned();
    assert!(online == json!(false) && at.len() == "2026-11-20T14:02:33.123Z".len(), "{at}");
    assert_eq!(hans.fails("seen hans"), "self");
    assert_eq!(hans.fails("seen nobody"), "unknown_user");
    // A blocker looks like one never seen.
    let mut luke = server.user("luke");
    luke.ok("block hans");
    luke.log_out();
    assert_eq!(seen(&mut hans), (json!(false), Value::Null));
}

#[test]
fn away_is_told_to_those_who_write_and_those_who_ask() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let mut luke = server.user("luke");
    hans.presence("luke", true);
    assert_eq!(hans.ok("whoelse")["away"], json!({}));
    luke.ok("away at lunch");
    let told = hans.ok("message luke hi");
    assert_eq!((&told["status"], &told["away"]), (&json!("delivered"), &json!("at lunch")));
    assert_eq!(hans.ok("whoelse")["away"], json!({ "luke": "at lunch" }));
    assert_eq!(hans.ok("wholasthr").get("away"), None);
    // Who has blocked whom: neither hears of the other.
    hans.ok("block luke");
    assert_eq!(hans.ok("whoelse")["away"], json!({}));
    assert_eq!(hans.ok("message luke hi").get("away"), None);
    hans.ok("unblock luke");
    assert_eq!(luke.fails(&format!("away {}", "x".repeat(257))), "too_long");
    assert_eq!(luke.fails("away"), "usage");
    assert_eq!(hans.ok("whoelse")["away"], json!({ "luke": "at lunch" }));
    luke.ok("back");
    assert_eq!(hans.ok("message luke hi").get("away"), None);
    luke.ok("away for good");
    luke.log_out();
    hans.presence("luke", false);
    let _luke = server.user("luke");
    hans.presence("luke", true);
    assert_eq!(hans.ok("whoelse")["away"], json!({}));
}
