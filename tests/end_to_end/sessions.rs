//! A client's own state: folders, several clients, what a dead one leaves.

use support::{Client, Server, password};

fn user_in(server: &Server, name: &str, state: &str) -> Client {
    server.user_with(name, &["--state", state])
}

#[test]
fn several_users_share_a_state_folder() {
    let server = Server::start(&[]);
    let state = server.place.fresh_state();
    let state = state.to_str().expect("UTF-8");
    let (mut hans, mut yoda) = (user_in(&server, "hans", state), user_in(&server, "yoda", state));
    hans.ok("message yoda hi");
    yoda.message("hi");
}

#[test]
fn a_message_is_shown_once_per_state_folder() {
    let server = Server::start(&[]);
    let state = server.place.fresh_state();
    let state = state.to_str().expect("UTF-8");
    let mut hans = server.user("hans");
    for round in 0..3 {
        let mut yoda = user_in(&server, "yoda", state);
        let text = format!("round {round}");
        assert_eq!(hans.ok(&format!("message yoda {text}"))["status"], "delivered");
        yoda.message(&text);
        yoda.kill();
    }
    let mut yoda = user_in(&server, "yoda", state);
    yoda.has_not("an old message", |object| object["type"] == "message" && object.get("again").is_none());
}

#[test]
fn what_a_dead_client_left_unsettled_is_said_and_not_repeated() {
    let mut server = Server::start(&[]);
    let state = server.place.fresh_state();
    let state = state.to_str().expect("UTF-8");
    let mut hans = user_in(&server, "hans", state);
    let yoda = server.user("yoda");
    hans.presence("yoda", true);
    yoda.signal(rustix::process::Signal::STOP);
    // Yoda's client is frozen, so this one has no result yet when the client dies.
    hans.say("message yoda unsettled");
    hans.say("whoelse");
    hans.wait("an answer behind it", |object| object["command"] == "whoelse");
    hans.kill();
    server.kill();
    yoda.kill();
    server.start_again();
    let mut hans = user_in(&server, "hans", state);
    let notice = hans.wait_for("notice");
    assert!(notice["text"].as_str().is_some_and(|text| text.contains("1 earlier command")), "{notice}");
    hans.log_out();
}

#[test]
fn ids_are_unique_for_the_receiver() {
    let mut server = Server::start(&[]);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
        hans.ok("create group crew yoda");
        for command in ["message yoda x", "broadcast x", "message group crew x"] {
            hans.ok(command);
            ids.push(yoda.wait_for("message")["id"].clone());
        }
        hans.ok("delete group crew");
        hans.log_out();
        yoda.log_out();
        server.restart();
    }
    let count = ids.len();
    ids.sort_by_key(ToString::to_string);
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn a_notice_tells_of_failed_logins() {
    let server = Server::start(&[]);
    let mut guesser = server.client(&[]);
    guesser.answer("hans");
    guesser.answer("guess");
    guesser.wait_for("login");
    assert_eq!(guesser.end().0, 4);
    let mut hans = server.client(&[]);
    hans.answer("hans");
    hans.answer(password("hans"));
    let notice = hans.wait_for("notice");
    assert!(notice["text"].as_str().is_some_and(|text| text.contains("failed login")), "{notice}");
    hans.log_out();
    server.user("hans").has_not("the same notice again", |object| object["type"] == "notice");
}
