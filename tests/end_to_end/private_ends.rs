//! How private links end: with a client, with the server, with time.

use rustix::process::Signal;
use support::{Client, Server};

use crate::timeouts::{Typist, play};

fn linked(server: &Server, options: &[&str]) -> (Client, Client) {
    let mut hans = server.user_with("hans", options);
    let mut yoda = server.user_with("yoda", &[&["--accept-private", "auto"], options].concat());
    hans.ok("startprivate yoda");
    hans.ok("private yoda it stands");
    yoda.message("it stands");
    (hans, yoda)
}

#[test]
fn a_killed_peer_is_lost_once_and_then_offline() {
    let server = Server::start(&[]);
    let (mut hans, yoda) = linked(&server, &[]);
    yoda.kill();
    assert_eq!(hans.wait_for("private_closed")["reason"], "lost");
    hans.presence("yoda", false);
    assert_eq!(hans.fails("private yoda are you there"), "offline");
    assert_eq!(hans.count(|object| object["type"] == "private_closed"), 1);
    let mut yoda = server.user("yoda");
    hans.ok("message yoda welcome back");
    yoda.message("welcome back");
    hans.log_out();
}

#[test]
fn an_interrupted_peer_has_logged_out() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = linked(&server, &[]);
    yoda.signal(Signal::INT);
    assert_eq!(yoda.ended(), 130);
    let reason = hans.wait_for("private_closed")["reason"].clone();
    assert_eq!(reason, "logged_out");
    assert_eq!(hans.fails("private yoda are you there"), "offline");
}

#[test]
fn a_peer_that_times_out_ends_the_link() {
    play(&["timeout=2"], |server| {
        let mut hans = Typist::enter(server, "hans", &[]);
        let mut yoda = server.user_with("yoda", &["--accept-private", "auto"]);
        hans.types("startprivate yoda")?;
        hans.types("private yoda it stands")?;
        yoda.message("it stands");
        // Hans stays active by commands; yoda does nothing.
        while hans.client.count(|object| object["type"] == "private_closed") == 0 {
            hans.types("whoelse")?;
        }
        assert_eq!(hans.client.wait_for("private_closed")["reason"], "timed_out");
        assert_eq!(yoda.wait_for("private_closed")["reason"], "timed_out");
        assert_eq!(yoda.wait_for("bye")["reason"], "timeout");
        assert_eq!(yoda.ended(), 5);
        hans.types("whoelse")
    });
}

#[test]
fn a_link_outlives_the_server() {
    let mut server = Server::start(&[]);
    let (mut hans, mut yoda) = linked(&server, &["--reconnect", "1"]);
    server.kill();
    hans.wait("the loss", |object| object["state"] == "reconnecting");
    yoda.wait("the loss", |object| object["state"] == "reconnecting");
    hans.ok("private yoda without a server");
    yoda.message("without a server");
    assert_eq!(hans.fails("message yoda hi"), "not_connected", "once the time for it is over");
    yoda.ok("private hans and back");
    hans.message("and back");
    assert_eq!(hans.fails("whoelse"), "not_connected");
    hans.ok("stopprivate yoda");
    let (code, rest) = hans.end();
    assert_eq!(code, 3);
    assert_eq!(rest.last().expect("an object")["reason"], "connection_lost");
    assert_eq!(yoda.end().0, 3);
}

#[test]
fn a_link_goes_on_when_the_server_is_back() {
    let mut server = Server::start(&[]);
    let (mut hans, mut yoda) = linked(&server, &[]);
    server.kill();
    hans.wait("the loss", |object| object["state"] == "reconnecting");
    hans.ok("private yoda without a server");
    server.start_again();
    hans.wait("the server", |object| object["state"] == "resumed");
    yoda.wait("the server", |object| object["state"] == "resumed");
    hans.ok("message yoda through the server");
    yoda.message("through the server");
    hans.ok("private yoda on the link");
    yoda.message("on the link");
    assert_eq!(hans.count(|object| object["type"] == "private_closed"), 0);
}

#[test]
fn an_announced_stop_of_the_server_ends_both() {
    let mut server = Server::start(&[]);
    let (hans, yoda) = linked(&server, &[]);
    assert_eq!(server.stop().code, Some(0));
    for mut client in [hans, yoda] {
        assert_eq!(client.wait_for("bye")["reason"], "server_shutdown");
        assert_eq!(client.ended(), 3);
    }
}
