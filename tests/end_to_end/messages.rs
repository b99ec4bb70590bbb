//! Direct messages: delivered, stored, refused.

use serde_json::json;
use support::Server;

#[test]
fn a_message_to_someone_online_is_delivered() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    let result = hans.ok("message yoda secret text one");
    assert_eq!(
        result,
        json!({"type": "result", "line": 3, "command": "message", "ok": true, "to": "yoda", "status": "delivered"})
    );
    let message = yoda.message("secret text one");
    assert_eq!((&message["from"], &message["kind"]), (&json!("hans"), &json!("direct")));
    assert_eq!((&message["stored"], message.get("group")), (&json!(false), None));
}

#[test]
fn a_message_to_someone_offline_waits() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    for number in 0..5 {
        assert_eq!(hans.ok(&format!("message yoda secret text {number}"))["status"], "stored");
    }
    hans.ok("message luke for luke");
    let mut yoda = server.client(&[]);
    yoda.answer("yoda");
    yoda.answer(support::password("yoda"));
    assert_eq!(yoda.wait_for("login")["unread"], 5);
    let mut ids = Vec::new();
    for number in 0..5 {
        let message = yoda.wait_for("message");
        assert_eq!(message["text"], format!("secret text {number}"));
        assert_eq!(message["stored"], true);
        ids.push(message["id"].clone());
    }
    ids.dedup();
    assert_eq!(ids.len(), 5);
    hans.ok("message yoda new");
    assert_eq!(yoda.wait_for("message")["text"], "new");
    yoda.log_out();
    let mut again = server.user("yoda");
    again.has_not("a message twice", |object| object["type"] == "message");
    assert_eq!(again.ok("offline")["messages"], 0);
}

#[test]
fn every_error_has_its_code() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    for (line, code) in [
        ("message nobody hi", "unknown_user"),
        ("message hans hi", "self"),
        ("message", "usage"),
        ("message yoda", "usage"),
        ("message yoda ", "usage"),
        ("Message yoda hi", "unknown_command"),
        ("message  Yoda hi", "unknown_user"),
        ("message yo* hi", "unknown_user"),
        ("message yod hi", "unknown_user"),
        ("message yoda2 hi", "unknown_user"),
        ("message ha hi", "unknown_user"),
    ] {
        assert_eq!(hans.fails(line), code, "{line}");
    }
    let line = hans.say_bytes(b"message yoda \xff\xfe");
    assert_eq!(hans.result_of(line)["error"], "usage");
    hans.log_out();
}

#[test]
fn a_text_is_kept_byte_for_byte() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    for text in [
        " two  inner   and trailing  ",
        "  ",
        "#1 message x y",
        "\u{1b}[2J\u{7}\t\u{0}",
        "日本語 \u{1f980} e\u{301}",
        "\"quoted\" \\ {}",
        "a\rb",
        "login hans falcon",
        "/quit",
        "%s%n $(x) `y`",
    ] {
        hans.ok(&format!("  message   yoda {text}"));
        assert_eq!(yoda.wait_for("message")["text"], text);
    }
    hans.write(b"");
    let line = hans.say_bytes(b"message yoda with a return\r");
    hans.result_of(line);
    assert_eq!(yoda.wait_for("message")["text"], "with a return", "one CR before LF is dropped");
    let line = hans.say_bytes(b"message yoda with two\r\r");
    hans.result_of(line);
    assert_eq!(yoda.wait_for("message")["text"], "with two\r");
}

#[test]
fn two_thousand_messages_without_pause_are_each_their_own() {
    const COUNT: usize = 2_000;
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    hans.say_all((0..COUNT).map(|number| format!("message yoda number {number}")));
    for number in 0..COUNT {
        assert_eq!(yoda.wait_for("message")["text"], format!("number {number}"));
    }
    let (code, rest) = hans.end();
    assert_eq!(code, 0);
    let delivered = rest.iter().filter(|object| object["status"] == "delivered").count();
    assert_eq!(delivered, COUNT);
}

#[test]
fn a_thousand_stored_messages_come_all_in_order_and_once() {
    const COUNT: usize = 1_000;
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    hans.say_all((0..COUNT).map(|number| format!("message yoda number {number}")));
    let (_, rest) = hans.end();
    assert_eq!(rest.iter().filter(|object| object["status"] == "stored").count(), COUNT);
    let mut yoda = server.user("yoda");
    for number in 0..COUNT {
        assert_eq!(yoda.wait_for("message")["text"], format!("number {number}"));
    }
    yoda.has_not("more", |object| object["text"] == "number 1000");
    assert_eq!(yoda.count(|object| object["type"] == "message"), COUNT);
}

#[test]
fn manual_delivery_tells_a_count_and_offline_shows() {
    let server = Server::start(&["offline_delivery=manual"]);
    let mut hans = server.user("hans");
    hans.ok("message yoda one");
    hans.ok("message yoda two");
    let mut yoda = server.client(&[]);
    yoda.answer("yoda");
    yoda.answer(support::password("yoda"));
    assert_eq!(yoda.wait_for("login")["unread"], 2);
    assert_eq!(hans.ok("message yoda live")["status"], "delivered");
    assert_eq!(yoda.wait_for("message")["text"], "live");
    yoda.has_not("a stored message", |object| object["text"] == "one");
    let line = yoda.say("offline");
    assert_eq!(yoda.wait_for("message")["text"], "one");
    assert_eq!(yoda.wait_for("message")["text"], "two");
    assert_eq!(yoda.result_of(line)["messages"], 2);
    assert_eq!(yoda.ok("offline")["messages"], 0);
    yoda.log_out();
    assert_eq!(server.user("yoda").ok("offline")["messages"], 0);
}

#[test]
fn with_delivery_off_nothing_is_stored() {
    let server = Server::start(&["offline_delivery=off"]);
    let mut hans = server.user("hans");
    assert_eq!(hans.fails("message yoda hi"), "offline");
    let mut yoda = server.user("yoda");
    yoda.has_not("a message", |object| object["type"] == "message");
    assert_eq!(hans.ok("message yoda hi")["status"], "delivered");
    assert_eq!(yoda.ok("offline")["messages"], 0);
}

#[test]
fn a_text_keeps_its_line_breaks_on_its_way_and_on_the_disk() {
    let mut server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    hans.ok("message yoda one\u{2028}two");
    yoda.message("one\ntwo");
    yoda.log_out();
    hans.ok("message yoda \u{2028}");
    hans.log_out();
    server.restart();
    assert_eq!(server.user("yoda").wait_for("message")["text"], "\n");
}

#[test]
fn stored_mail_survives_a_restart_and_a_kill() {
    let mut server = Server::start(&[]);
    let mut hans = server.user("hans");
    hans.ok("message yoda before");
    hans.log_out();
    server.restart();
    let mut hans = server.user("hans");
    hans.ok("message yoda after");
    server.kill();
    drop(hans);
    server.start_again();
    let mut yoda = server.user("yoda");
    assert_eq!(yoda.wait_for("message")["text"], "before");
    assert_eq!(yoda.wait_for("message")["text"], "after");
    yoda.has_not("one twice", |_| false);
    assert_eq!(yoda.count(|object| object["type"] == "message"), 2);
}

#[test]
fn ephemeral_keeps_nothing() {
    let mut server = Server::start_with(support::Place::samples(), &["--ephemeral"]);
    let mut hans = server.user("hans");
    hans.ok("message yoda hi");
    hans.ok("block luke");
    hans.log_out();
    server.restart();
    server.user("yoda").has_not("a message", |object| object["type"] == "message");
    server.user("hans").ok("block luke");
}
