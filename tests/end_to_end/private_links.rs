//! Private links between two clients.

use serde_json::{Value, json};
use support::{Client, Server};

/// Two clients with a link that the first has asked for.
fn linked(server: &Server) -> (Client, Client) {
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    link(&mut hans, &mut yoda);
    (hans, yoda)
}

fn link(asker: &mut Client, other: &mut Client) {
    let line = asker.say("startprivate yoda");
    assert_eq!(other.wait_for("private_request")["from"], "hans");
    other.ok("accept hans");
    assert_eq!(asker.result_of(line)["ok"], true);
}

fn opened(client: &Client) -> usize {
    client.count(|object| object["type"] == "private_opened")
}

fn not_private(client: &mut Client, line: &str) {
    assert_eq!(client.fails(line), "not_private", "{line}");
}

#[test]
fn a_link_from_the_request_to_its_end() {
    let server = Server::start(&[]);
    // On a busy machine the relay may be faster.
    let direct = |user: &str| server.user_with(user, &["--path", "direct"]);
    let (mut hans, mut yoda) = (direct("hans"), direct("yoda"));
    let start = hans.say("startprivate yoda");
    assert_eq!(yoda.wait_for("private_request"), json!({"type": "private_request", "from": "hans"}));
    let accept = yoda.ok("accept hans");
    assert_eq!(accept["user"], "hans");
    assert_eq!(
        hans.result_of(start),
        json!({
            "type": "result", "line": start, "command": "startprivate", "ok": true, "user": "yoda", "path": "direct",
        })
    );
    assert_eq!((opened(&hans), opened(&yoda)), (1, 1), "both are told before any result");
    assert_eq!(
        hans.ok("private yoda  secret text one "),
        json!({"type": "result", "line": 4, "command": "private", "ok": true, "to": "yoda", "status": "delivered"})
    );
    let message = yoda.message(" secret text one ");
    assert_eq!(
        (&message["kind"], &message["from"], &message["stored"]),
        (&json!("private"), &json!("hans"), &json!(false))
    );
    yoda.ok("private hans secret text two");
    hans.message("secret text two");
    hans.ok("message yoda in between");
    yoda.message("in between");
    assert_eq!(hans.ok("stopprivate yoda")["user"], "yoda");
    for (client, other) in [(&mut hans, "yoda"), (&mut yoda, "hans")] {
        let closed = client.wait_for("private_closed");
        assert_eq!(closed, json!({"type": "private_closed", "user": other, "reason": "stopped"}));
        not_private(client, &format!("private {other} too late"));
        not_private(client, &format!("stopprivate {other}"));
    }
    link(&mut hans, &mut yoda);
    yoda.ok("private hans once more");
    hans.message("once more");
    hans.log_out();
    assert_eq!(yoda.wait_for("private_closed")["reason"], "logged_out");
}

#[test]
fn every_error_of_private_commands() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    for (line, code) in [
        ("startprivate nobody", "unknown_user"),
        ("startprivate hans", "self"),
        ("startprivate luke", "offline"),
        ("private yoda hi", "not_private"),
        ("stopprivate yoda", "not_private"),
        ("accept yoda", "no_request"),
        ("decline yoda", "no_request"),
        ("y", "unknown_command"),
        ("n", "unknown_command"),
    ] {
        assert_eq!(hans.fails(line), code, "{line}");
    }
    link(&mut hans, &mut yoda);
    assert_eq!(hans.fails("startprivate yoda"), "already_private");
    assert_eq!(yoda.fails("startprivate hans"), "already_private");
}

#[test]
fn a_declined_request_lets_nothing_through() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    let line = hans.say("startprivate yoda");
    yoda.wait_for("private_request");
    assert_eq!(yoda.ok("decline hans")["user"], "hans");
    assert_eq!(hans.result_of(line)["error"], "declined");
    not_private(&mut hans, "private yoda hi");
    not_private(&mut yoda, "private hans hi");
    assert_eq!(yoda.fails("accept hans"), "no_request");
    assert_eq!((opened(&hans), opened(&yoda)), (0, 0));
    link(&mut hans, &mut yoda);
}

#[test]
fn a_second_request_while_the_first_waits() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    let first = hans.say("startprivate yoda");
    yoda.wait_for("private_request");
    assert_eq!(hans.fails("startprivate yoda"), "already_private");
    yoda.ok("accept hans");
    assert_eq!(hans.result_of(first)["ok"], true);
}

#[test]
fn a_request_expires() {
    let server = Server::start(&["private_request_secs=1"]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    let line = hans.say("startprivate yoda");
    yoda.wait_for("private_request");
    assert_eq!(hans.result_of(line)["error"], "no_answer");
    assert_eq!(yoda.fails("accept hans"), "no_request");
}

#[test]
fn answers_may_be_given_by_themselves() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let mut yoda = server.user_with("yoda", &["--accept-private", "auto"]);
    let mut luke = server.user_with("luke", &["--accept-private", "never"]);
    assert_eq!(hans.ok("startprivate yoda")["user"], "yoda");
    assert_eq!(hans.fails("startprivate luke"), "declined");
    hans.ok("private yoda hi");
    yoda.message("hi");
    yoda.has_not("a question", |object| object["type"] == "private_request");
    luke.has_not("a question", |object| object["type"] == "private_request");
}

#[test]
fn requests_that_cross_are_consent() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    let (of_hans, of_yoda) = (hans.say("startprivate yoda"), yoda.say("startprivate hans"));
    assert_eq!(hans.result_of(of_hans)["ok"], true);
    assert_eq!(yoda.result_of(of_yoda)["ok"], true);
    hans.ok("private yoda one link");
    yoda.message("one link");
    yoda.ok("private hans both ways");
    hans.message("both ways");
    assert_eq!((opened(&hans), opened(&yoda)), (1, 1));
}

#[test]
fn several_links_at_once() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let mut others =
        ["yoda", "luke", "vader"].map(|name| server.user_with(name, &["--accept-private", "auto"]));
    for name in ["yoda", "luke", "vader"] {
        hans.ok(&format!("startprivate {name}"));
    }
    for (other, name) in others.iter_mut().zip(["yoda", "luke", "vader"]) {
        hans.ok(&format!("private {name} for {name}"));
        other.message(&format!("for {name}"));
        other.ok("private hans back");
        hans.message("back");
    }
    hans.ok("stopprivate luke");
    not_private(&mut hans, "private luke hi");
    hans.ok("private vader still here");
}

#[test]
fn a_block_after_the_start_leaves_the_link() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = linked(&server);
    yoda.ok("block hans");
    hans.ok("private yoda still linked");
    yoda.message("still linked");
    yoda.ok("stopprivate hans");
    hans.wait_for("private_closed");
    assert_eq!(hans.fails("startprivate yoda"), "blocked");
    let line = yoda.say("startprivate hans");
    hans.wait_for("private_request");
    hans.ok("accept yoda");
    assert_eq!(yoda.result_of(line)["ok"], true, "a blocker may start one with the one he blocks");
}

#[test]
fn a_block_may_end_the_link() {
    let server = Server::start(&["block_ends_private=true"]);
    let (mut hans, mut yoda) = linked(&server);
    yoda.ok("block hans");
    hans.wait_for("private_closed");
    yoda.wait_for("private_closed");
    assert_eq!(hans.fails("private yoda hi"), "not_private");
}

#[test]
fn a_blocked_user_is_not_even_asked_about() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    yoda.ok("block hans");
    assert_eq!(hans.fails("startprivate yoda"), "blocked");
    yoda.has_not("a request", |object| object["type"] == "private_request");
}

#[test]
fn a_thousand_private_texts_come_each_and_in_order() {
    const COUNT: usize = 1_000;
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = linked(&server);
    hans.say_all((0..COUNT).map(|number| format!("private yoda number {number}")));
    for number in 0..COUNT {
        assert_eq!(yoda.wait_for("message")["text"], format!("number {number}"));
    }
    let (code, rest) = hans.end();
    assert_eq!(code, 0);
    assert_eq!(rest.iter().filter(|object| object["status"] == "delivered").count(), COUNT);
}

#[test]
fn the_end_of_input_waits_for_a_link() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    let line = hans.say("startprivate yoda");
    hans.end_input();
    yoda.wait_for("private_request");
    yoda.ok("accept hans");
    let (code, rest) = hans.end();
    assert_eq!(code, 0);
    let results: Vec<&Value> = rest.iter().filter(|object| object["type"] == "result").collect();
    assert_eq!((results.len(), &results[0]["line"], &results[0]["ok"]), (1, &json!(line), &json!(true)));
}
