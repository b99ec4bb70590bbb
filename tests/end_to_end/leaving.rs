//! Logging out: what was announced is shown first, and nothing is shown twice.

use support::{Client, Server, password};

/// Messages that wait for yoda: more than are under way at once.
const WAITING: usize = 3_000;

/// Logs yoda in; returns `unread` of that login.
fn enter(server: &Server) -> (Client, usize) {
    let mut yoda = server.client(&[]);
    yoda.answer("yoda");
    yoda.answer(password("yoda"));
    let unread = yoda.wait_for("login")["unread"].as_u64().expect("a count");
    (yoda, usize::try_from(unread).expect("a count"))
}

#[test]
fn the_end_of_the_input_waits_for_the_mail_that_was_announced() {
    let server = Server::start(&["mailbox_per_sender=0"]);
    let mut hans = server.user("hans");
    hans.say_all((0..WAITING).map(|number| format!("message yoda number {number}")));
    hans.log_out();
    let mut yoda = server.client(&[]);
    yoda.answer("yoda");
    yoda.answer(password("yoda"));
    yoda.end_input();
    assert_eq!(yoda.wait_for("login")["unread"], WAITING);
    for number in 0..WAITING {
        yoda.message(&format!("number {number}"));
    }
    assert_eq!(yoda.wait_for("bye")["reason"], "logout");
    assert_eq!(yoda.end().0, 0);
    assert_eq!(enter(&server).1, 0);
}

#[test]
fn what_a_command_has_shown_before_the_end_of_the_input_is_not_announced_again() {
    let server = Server::start(&["offline_delivery=manual"]);
    let mut hans = server.user("hans");
    hans.say_all((0..100).map(|number| format!("message yoda number {number}")));
    hans.log_out();
    let (mut yoda, unread) = enter(&server);
    let line = yoda.say("offline");
    yoda.end_input();
    assert_eq!((unread, yoda.result_of(line)["messages"].as_u64()), (100, Some(100)));
    assert_eq!(yoda.end().0, 0);
    assert_eq!(enter(&server).1, 0);
}
