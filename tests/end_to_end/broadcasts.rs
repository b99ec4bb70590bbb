//! Broadcasts: to everybody online, never stored.

use serde_json::json;
use support::Server;

#[test]
fn everybody_online_gets_it_and_nobody_later() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda, mut luke) = (server.user("hans"), server.user("yoda"), server.user("luke"));
    let result = hans.ok("broadcast secret text for all");
    assert_eq!(
        result,
        json!({
            "type": "result", "line": 3, "command": "broadcast", "ok": true, "recipients": 2, "withheld": false
        })
    );
    for user in [&mut yoda, &mut luke] {
        let message = user.message("secret text for all");
        assert_eq!(
            (&message["kind"], &message["from"], &message["stored"]),
            (&json!("broadcast"), &json!("hans"), &json!(false))
        );
    }
    hans.has_not("his own broadcast", |object| object["type"] == "message");
    server.user("vader").has_not("an old broadcast", |object| object["type"] == "message");
    assert_eq!(hans.fails("broadcast"), "usage");
    assert_eq!(hans.fails("broadcast "), "usage");
}

#[test]
fn alone_it_goes_to_nobody() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let result = hans.ok("broadcast hello");
    assert_eq!((&result["recipients"], &result["withheld"]), (&json!(0), &json!(false)));
}

#[test]
fn only_an_online_blocker_is_reported() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let mut yoda = server.user("yoda");
    yoda.ok("block hans");
    assert_eq!(hans.ok("broadcast one")["withheld"], true);
    yoda.log_out();
    let result = hans.ok("broadcast two");
    assert_eq!((&result["withheld"], &result["recipients"]), (&json!(false), &json!(0)));
}

#[test]
fn reports_may_name_or_hide_the_blockers() {
    let server = Server::start(&["broadcast_report=names"]);
    let (mut hans, mut yoda, mut luke) = (server.user("hans"), server.user("yoda"), server.user("luke"));
    yoda.ok("block hans");
    luke.ok("block hans");
    let result = hans.ok("broadcast one");
    assert_eq!((&result["withheld"], &result["withheld_users"]), (&json!(true), &json!(["luke", "yoda"])));
    let server = Server::start(&["broadcast_report=none"]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    yoda.ok("block hans");
    let result = hans.ok("broadcast one");
    assert_eq!((&result["withheld"], result.get("withheld_users")), (&json!(false), None));
}

#[test]
fn a_slow_reader_keeps_the_connection_and_hears_what_was_dropped() {
    let server = Server::start(&["output_stall_secs=1", "rate_burst=0"]);
    let (mut yoda, mut luke) = (server.wire_user("yoda"), server.wire_user("luke"));
    rustix::net::sockopt::set_socket_recv_buffer_size(yoda.stream(), 32_768).expect("a small buffer");
    let broadcast = format!("broadcast {}", "x".repeat(4_000));
    yoda.expect("online luke");
    while luke.ask(&broadcast) != "ok broadcast 0 complete" {}
    // Less than a megabyte a second, and without a pause.
    let missed = loop {
        let line = yoda.line();
        if !line.starts_with("broadcast ") {
            break line;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    assert_eq!(missed, "notice missed 1");
    assert_eq!(yoda.ask("ping luke"), "ok ping luke online");
}
