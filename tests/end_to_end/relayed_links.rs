//! Private links that run through the server.

use std::time::Instant;

use serde_json::json;
use support::{Client, PATIENCE, Server};

/// A link of two, the first of whom asks for it; the path that both are told.
fn linked(hans: &mut Client, yoda: &mut Client) -> String {
    let line = hans.say("startprivate yoda");
    assert_eq!(yoda.wait_for("private_request")["from"], "hans");
    yoda.ok("accept hans");
    let result = hans.result_of(line);
    assert_eq!(result["ok"], true, "{result}");
    let path = hans.wait_for("private_opened")["path"].clone();
    assert_eq!((&yoda.wait_for("private_opened")["path"], &result["path"]), (&path, &path));
    path.as_str().expect("a word").to_owned()
}

fn both_ways(hans: &mut Client, yoda: &mut Client) {
    assert_eq!(hans.ok("private yoda  hey  dude ")["status"], "delivered");
    assert_eq!(yoda.message(" hey  dude ")["kind"], "private");
    yoda.ok("private hans hello");
    assert_eq!(hans.message("hello")["from"], "yoda");
}

fn on(server: &Server, hans: &[&str], yoda: &[&str]) -> (Client, Client) {
    (server.user_with("hans", hans), server.user_with("yoda", yoda))
}

/// R60
#[test]
fn one_who_hides_their_address_is_reached_through_the_server() {
    for (asks, accepts) in [("relay", "auto"), ("auto", "relay")] {
        let server = Server::start(&[]);
        let (mut hans, mut yoda) = on(&server, &["--path", asks], &["--path", accepts]);
        assert_eq!(linked(&mut hans, &mut yoda), "relayed");
        both_ways(&mut hans, &mut yoda);
        let long = "x".repeat(3_900);
        for number in 0..40 {
            hans.ok(&format!("private yoda {number} {long}"));
            yoda.message(&format!("{number} {long}"));
        }
        hans.ok("stopprivate yoda");
        let closed = |other: &str| json!({"type": "private_closed", "user": other, "reason": "stopped"});
        assert_eq!(hans.wait_for("private_closed"), closed("yoda"));
        assert_eq!(yoda.wait_for("private_closed"), closed("hans"));
        assert_eq!(linked(&mut hans, &mut yoda), "relayed", "and again");
        both_ways(&mut hans, &mut yoda);
        yoda.ok("logout");
        let closed = json!({"type": "private_closed", "user": "yoda", "reason": "logged_out"});
        assert_eq!(hans.wait_for("private_closed"), closed);
        hans.ok("logout");
    }
}

#[test]
fn one_who_wants_direct_links_only_has_none_with_one_who_hides() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = on(&server, &["--path", "direct"], &["--path", "relay"]);
    let line = hans.say("startprivate yoda");
    yoda.wait_for("private_request");
    let accept = yoda.say("accept hans");
    assert_eq!(yoda.result_of(accept)["error"], "unreachable");
    assert_eq!(hans.result_of(line)["error"], "unreachable");
}

#[test]
fn the_way_is_told_and_chosen() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = on(&server, &[], &[]);
    let path = hans.ok("path yoda");
    assert_eq!((&path["user"], &path["way"], &path["path"]), (&json!("yoda"), &json!("auto"), &json!(null)));
    assert_eq!(hans.ok("path yoda relay")["way"], "relay");
    assert_eq!(linked(&mut hans, &mut yoda), "relayed");
    assert_eq!(hans.ok("path yoda")["path"], "relayed");
    both_ways(&mut hans, &mut yoda);
    hans.ok("stopprivate yoda");
    assert_eq!(hans.ok("path yoda auto")["way"], "auto");
    yoda.wait_for("private_closed");
    linked(&mut hans, &mut yoda);
    for (client, other) in [(&mut hans, "yoda"), (&mut yoda, "hans")] {
        // On a busy machine it may begin on the relay, and moves.
        let began = Instant::now();
        while client.ok(&format!("path {other}"))["path"] != "direct" {
            assert!(began.elapsed() < PATIENCE);
        }
    }
    assert_eq!(hans.fails("path hans"), "self");
    assert_eq!(hans.fails("path yoda sideways"), "usage");
}

#[test]
fn a_block_ends_what_is_relayed_and_a_lost_server_too() {
    let mut server = Server::start(&[]);
    let (mut hans, mut yoda) = on(&server, &["--path", "relay"], &[]);
    assert_eq!(linked(&mut hans, &mut yoda), "relayed");
    yoda.ok("block hans");
    for (client, other) in [(&mut hans, "yoda"), (&mut yoda, "hans")] {
        let closed = client.wait_for("private_closed");
        assert_eq!(closed, json!({"type": "private_closed", "user": other, "reason": "lost"}));
    }
    yoda.ok("unblock hans");
    assert_eq!(linked(&mut hans, &mut yoda), "relayed");
    server.kill();
    assert_eq!(hans.wait_for("private_closed")["reason"], "lost");
    assert_eq!(yoda.wait_for("private_closed")["reason"], "lost");
}
