//! Blocks: one direction, on every path, until they are taken back.

use serde_json::json;
use support::Server;

#[test]
fn nothing_of_the_blocked_reaches_the_blocker() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda, mut luke) = (server.user("hans"), server.user("yoda"), server.user("luke"));
    luke.ok("create group crew hans yoda");
    assert_eq!(
        yoda.ok("block hans"),
        json!({"type": "result", "line": 3, "command": "block", "ok": true, "user": "hans"})
    );
    assert_eq!(hans.fails("message yoda direct"), "blocked");
    let broadcast = hans.ok("broadcast to all");
    assert_eq!((&broadcast["recipients"], &broadcast["withheld"]), (&json!(1), &json!(true)));
    let group = hans.ok("message group crew to the group");
    assert_eq!((&group["delivered"], &group["withheld"]), (&json!(1), &json!(true)));
    assert_eq!(hans.fails("startprivate yoda"), "blocked");
    assert_eq!(hans.ok("ping yoda")["status"], "blocked");
    assert_eq!(hans.users("whoelse"), ["luke"]);
    assert_eq!(hans.users("wholasthr"), ["luke"]);
    assert_eq!(luke.users("whoelse"), ["hans", "yoda"]);
    luke.message("to the group");
    yoda.has_not("a message of the blocked", |object| {
        object["from"] == "hans" || object["type"] == "private_request"
    });
    hans.has_not("a word about the block", |object| object["by"] == "yoda" || object["type"] == "notice");
}

#[test]
fn the_blocker_reaches_the_blocked() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    yoda.ok("block hans");
    assert_eq!(yoda.ok("message hans still me")["status"], "delivered");
    hans.message("still me");
    assert_eq!(yoda.ok("broadcast all of you")["recipients"], 1);
    assert_eq!(yoda.ok("ping hans")["status"], "online");
    assert_eq!(yoda.users("whoelse"), ["hans"]);
    hans.log_out();
    yoda.presence("hans", false);
}

#[test]
fn unblock_takes_it_back_at_once() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    yoda.ok("block hans");
    assert_eq!(hans.fails("message yoda refused"), "blocked");
    assert_eq!(yoda.ok("unblock hans")["user"], "hans");
    assert_eq!(hans.ok("message yoda again")["status"], "delivered");
    assert_eq!(hans.users("whoelse"), ["yoda"]);
    assert_eq!(hans.ok("ping yoda")["status"], "online");
    yoda.message("again");
    yoda.has_not("what was refused", |object| object["text"] == "refused");
}

#[test]
fn every_error_of_block_and_unblock() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    assert_eq!(hans.fails("unblock yoda"), "not_blocked");
    hans.ok("block yoda");
    for (line, code) in [
        ("block yoda", "already_blocked"),
        ("block hans", "self"),
        ("block nobody", "unknown_user"),
        ("block", "usage"),
        ("block yoda luke", "usage"),
        ("unblock hans", "self"),
        ("unblock nobody", "unknown_user"),
        ("unblock", "usage"),
    ] {
        assert_eq!(hans.fails(line), code, "{line}");
    }
    let server = Server::start(&["strict_block=false"]);
    let mut hans = server.user("hans");
    hans.ok("unblock yoda");
    hans.ok("block yoda");
    hans.ok("block yoda");
    assert_eq!(hans.fails("block hans"), "self");
}

#[test]
fn presence_is_hidden_from_the_blocked_only() {
    let server = Server::start(&[]);
    let (mut hans, mut luke) = (server.user("hans"), server.user("luke"));
    let mut yoda = server.user("yoda");
    hans.presence("yoda", true);
    luke.presence("yoda", true);
    yoda.ok("block hans");
    yoda.log_out();
    luke.presence("yoda", false);
    hans.has_not("the logout of a blocker", |object| object["user"] == "yoda" && object["online"] == false);
    let mut yoda = server.user("yoda");
    luke.presence("yoda", true);
    hans.ok("whoelse");
    assert_eq!(hans.count(|object| object["user"] == "yoda" && object["type"] == "presence"), 1);
    yoda.ok("unblock hans");
    yoda.log_out();
    hans.presence("yoda", false);
}

#[test]
fn blocks_survive_logout_and_restart() {
    let mut server = Server::start(&[]);
    let mut yoda = server.user("yoda");
    yoda.ok("block hans");
    yoda.log_out();
    let mut hans = server.user("hans");
    assert_eq!(hans.fails("message yoda hi"), "blocked");
    assert_eq!(hans.ok("ping yoda")["status"], "blocked");
    hans.log_out();
    server.restart();
    assert_eq!(server.user("hans").fails("message yoda hi"), "blocked");
    assert_eq!(server.user("yoda").fails("block hans"), "already_blocked");
}

#[test]
fn a_silent_block_accepts_and_discards() {
    let server = Server::start(&["block_notice=silent"]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    yoda.ok("block hans");
    assert_eq!(hans.ok("message yoda into the void")["status"], "stored");
    yoda.ok("unblock hans");
    hans.ok("message yoda after");
    yoda.message("after");
    yoda.has_not("what was discarded", |object| object["text"] == "into the void");
    yoda.log_out();
    server.user("yoda").has_not("what was discarded", |object| object["type"] == "message");
}

#[test]
fn a_mutual_block_stops_the_blocker_too() {
    let server = Server::start(&["block_mutual=true"]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    yoda.ok("block hans");
    assert_eq!(yoda.fails("message hans hi"), "blocked");
    assert_eq!(hans.fails("message yoda hi"), "blocked");
    assert_eq!(yoda.fails("startprivate hans"), "blocked");
    assert_eq!(yoda.ok("broadcast hi")["recipients"], 0);
    hans.has_not("a message of the blocker", |object| object["type"] == "message");
}

#[test]
fn pings_may_hide_a_block() {
    let server = Server::start(&["ping_reveals_block=false"]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    yoda.ok("block hans");
    assert_eq!(hans.ok("ping yoda")["status"], "offline");
    yoda.ok("unblock hans");
    assert_eq!(hans.ok("ping yoda")["status"], "online");
}

#[test]
fn blockers_may_show_in_lists() {
    let server = Server::start(&["hide_blockers_in_whoelse=false", "hide_blockers_in_history=false"]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    yoda.ok("block hans");
    assert_eq!(hans.users("whoelse"), ["yoda"]);
    assert_eq!(hans.users("whoelsesince 100"), ["yoda"]);
    let server = Server::start(&["hide_blockers_in_history=false"]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    yoda.ok("block hans");
    assert_eq!((hans.users("whoelse"), hans.users("wholasthr")), (vec![], vec!["yoda".to_owned()]));
}
