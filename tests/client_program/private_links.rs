//! Two real clients that are introduced to each other and talk without the server.

use serde_json::{Value, json};
use support::{Client, Connection, FakeServer, Place};

struct Pair {
    hans: Client,
    luke: Client,
    of_hans: Connection,
    of_luke: Connection,
    _place: Place,
}

/// Two clients, introduced: hans has asked, luke has accepted.
fn introduced() -> Pair {
    let server = FakeServer::start();
    let start = |user: &str| {
        let mut program = server.client(&["--json", "--user", user]);
        program.answer("falcon");
        let connection = server.log_in(user);
        assert_eq!(program.skip_to("login")["ok"], true);
        (program, connection)
    };
    let (mut hans, mut of_hans) = start("hans");
    let (mut luke, mut of_luke) = start("luke");
    hans.say("startprivate luke");
    let asked = of_hans.hear_command().expect("a command");
    let (key_of_hans, port_of_hans) = contact(&asked, "#1 startprivate luke ");
    of_luke.say("request hans");
    assert_eq!(luke.object(), json!({"type": "private_request", "from": "hans"}));
    luke.say("accept hans");
    let accepted = of_luke.hear_command().expect("a command");
    let (key_of_luke, port_of_luke) = contact(&accepted, "#1 accept hans ");
    let id = "0123456789abcdef0123456789abcdef";
    of_luke.say(&format!(
        "introduce hans accepter {id} {key_of_hans} 127.0.0.1:{port_of_hans}\nok #1 accept hans"
    ));
    of_hans.say(&format!(
        "introduce luke requester {id} {key_of_luke} 127.0.0.1:{port_of_luke}\nok #1 startprivate luke"
    ));
    Pair { hans, luke, of_hans, of_luke, _place: server.place }
}

/// What a client declares: its key, and the port of its first endpoint.
pub(crate) fn contact(line: &str, command: &str) -> (String, u16) {
    let said = line.strip_prefix(command).unwrap_or_else(|| panic!("{line}"));
    let mut words = said.split(' ');
    let key = words.next().filter(|key| key.starts_with("ed25519:"));
    let port = words.next().and_then(|first| first.rsplit(':').next()).and_then(|port| port.parse().ok());
    key.map(str::to_owned).zip(port).unwrap_or_else(|| panic!("{line}"))
}

fn opened(user: &str) -> Value {
    json!({"type": "private_opened", "user": user, "path": "direct"})
}

#[test]
fn texts_go_both_ways_and_survive_the_server() {
    let Pair { mut hans, mut luke, of_hans, of_luke, _place } = introduced();
    assert_eq!(hans.object(), opened("luke"));
    assert_eq!(luke.object(), opened("hans"));
    let result = hans.object();
    assert_eq!((&result["command"], &result["path"]), (&json!("startprivate"), &json!("direct")));
    assert_eq!(luke.object()["command"], "accept");
    hans.say("private luke  hey  dude ");
    let message = luke.object();
    assert_eq!(
        (&message["kind"], &message["from"], &message["text"]),
        (&json!("private"), &json!("hans"), &json!(" hey  dude "))
    );
    assert_eq!(hans.object()["status"], "delivered");
    // The server dies, the link lives.
    drop((of_hans, of_luke));
    assert_eq!(hans.skip_to("connection")["state"], "reconnecting");
    luke.say("private hans still here");
    assert_eq!(hans.skip_to("message")["text"], "still here");
    assert_eq!(luke.skip_to("result")["status"], "delivered");
    hans.say("stopprivate luke");
    let closed = |user: &str| json!({"type": "private_closed", "user": user, "reason": "stopped"});
    assert_eq!(luke.skip_to("private_closed"), closed("hans"));
    assert_eq!(hans.skip_to("private_closed"), closed("luke"));
}

#[test]
fn the_death_of_one_side_is_told_once() {
    let Pair { mut hans, mut luke, of_hans: _of_hans, of_luke: _of_luke, _place } = introduced();
    assert_eq!(hans.object(), opened("luke"));
    assert_eq!(luke.object(), opened("hans"));
    hans.kill();
    assert_eq!(
        luke.skip_to("private_closed"),
        json!({"type": "private_closed", "user": "hans", "reason": "lost"})
    );
    luke.say("private hans hello?");
    let result = luke.skip_to("result");
    assert_eq!((&result["ok"], &result["command"]), (&json!(false), &json!("private")));
}
