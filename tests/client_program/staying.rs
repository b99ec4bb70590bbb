//! A person at a terminal who stays while the server goes and comes.

use support::{Connection, FakeServer, TOKEN};

use super::logged_in;

/// The server answers the client's `resume`.
fn resumed(server: &FakeServer, answer: &str) -> Connection {
    let mut connection = server.accept();
    connection.expect(&format!("resume hans {TOKEN}"));
    connection.say(answer);
    connection
}

#[test]
fn a_restart_of_the_server_ends_nobody_and_loses_no_draft() {
    let server = FakeServer::start();
    let (mut terminal, mut connection) = logged_in(&server);
    terminal.types("message luke half");
    terminal.shows(&["> message luke half"]);
    connection.say("bye server_shutdown");
    drop(connection);
    terminal.shows(&["Connection lost. Reconnecting", "offline> message luke half"]);
    terminal.types(" a line\r");
    terminal.shows(&["offline> message luke half a line", "offline, 1 queued>"]);
    terminal.types("whoelse\rmessage yoda dr");
    terminal.shows(&["offline, 2 queued> message yoda dr"]);
    let mut connection = resumed(&server, &format!("resumed hans unread 0 login 1 token {TOKEN}"));
    connection.expect("#1 message luke half a line");
    connection.expect("#2 whoelse");
    connection.say("ok #1 message luke stored\nok #2 whoelse 0");
    terminal.shows(&[
        "Connected again",
        "Your message to luke has been stored: half a line",
        "Nobody else",
        "> message yoda dr",
    ]);
    terminal.types("aft\r");
    connection.expect("#3 message yoda draft");
    connection.say("ok #3 message yoda delivered");
    terminal.types("logout\r");
    connection.expect_logout();
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn a_session_that_is_over_asks_for_the_password_and_keeps_the_draft() {
    let server = FakeServer::start();
    let (mut terminal, mut connection) = logged_in(&server);
    terminal.types("message luke one\r");
    connection.expect("#1 message luke one");
    drop(connection);
    terminal.wait("the prompt", |rows| rows.last().is_some_and(|row| row == "offline>"));
    terminal.types("message luke two\rmessage luke th");
    drop(resumed(&server, "refused stale"));
    terminal.wait("the password is asked for", |rows| rows.last().is_some_and(|row| row == "Password:"));
    terminal.wait("what was sent is named", |rows| {
        let text = rows.join(" ");
        text.contains("not known: message luke") && text.contains("message luke one")
    });
    terminal.types("fal");
    terminal.types("con\r");
    let mut connection = server.accept();
    connection.expect("login hans falcon");
    connection.say(&format!("welcome hans unread 0 login 2 token {TOKEN}"));
    connection.expect("#1 message luke two");
    connection.say("ok #1 message luke delivered");
    terminal.shows(&["Welcome, hans!", "> message luke th"]);
    terminal.types("ree\r");
    connection.expect("#2 message luke three");
    terminal.types("\x03");
    let (code, _, written) = terminal.end();
    assert_eq!(code, 130);
    assert!(!written.contains("falcon"), "the password was shown");
}

#[test]
fn whoever_goes_while_the_server_is_away_is_told_what_was_not_sent() {
    let server = FakeServer::start();
    let (mut terminal, connection) = logged_in(&server);
    drop(connection);
    terminal.wait("the prompt", |rows| rows.last().is_some_and(|row| row == "offline>"));
    terminal.types("ping luke\r");
    terminal.shows(&["offline, 1 queued>"]);
    terminal.types("\x03");
    let (code, rows, written) = terminal.end();
    assert_eq!(code, 130);
    assert!(rows.iter().any(|row| row.ends_with("(ping luke)")), "{rows:#?} {written:?}");
}
