//! Plain text on pipes: data on standard output, no prompts, nothing that acts on a terminal.

use rustix::process::Signal;
use support::FakeServer;

#[test]
fn a_session_in_words() {
    let server = FakeServer::start();
    let mut program = server.client(&[]);
    let mut connection = server.accept();
    program.answer("hans");
    program.answer("wrong");
    program.answer("falcon");
    connection.expect("login hans");
    connection.say("ask password");
    connection.expect("login hans wrong");
    connection.say("refused invalid_credentials 2");
    assert_eq!(program.line(), "Invalid Password. Please try again");
    connection.expect("login hans falcon");
    connection.say(&format!("welcome hans unread 0 login 4 token {}", support::TOKEN));
    assert_eq!(program.line(), "Welcome, hans!");
    connection.say("online luke\nmessage 1.1 luke 1700000000000000 9.1 live Hey Dude\noffline luke");
    assert_eq!(program.line(), "luke logged in");
    assert_eq!(program.line(), "luke: Hey Dude");
    assert_eq!(program.line(), "luke logged out");
    program.say("whoelse");
    program.say("block hans");
    program.say("message luke bye");
    connection.expect("#1 whoelse");
    connection.expect("#2 block hans");
    connection.expect("#3 message luke bye");
    connection.say("users #1 vader yoda\nok #1 whoelse 2\nerror #2 self block\nok #3 message luke stored");
    assert_eq!(program.line(), "vader");
    assert_eq!(program.line(), "yoda");
    assert_eq!(program.line(), "Error. Cannot block self");
    assert_eq!(program.line(), "Your message to luke has been stored");
    program.end_input();
    connection.expect_logout();
    assert_eq!(program.end(), (0, vec![]));
}

#[test]
fn hostile_texts_are_shown_and_do_nothing() {
    let server = FakeServer::start();
    let mut program = server.client(&[]);
    program.answer("hans");
    program.answer("falcon");
    let mut connection = server.log_in("hans");
    assert_eq!(program.line(), "Welcome, hans!");
    connection
        .say("message 1.1 luke 1700000000000000 9.1 live \x1b[2J\x1b]0;x\x07\u{202e}\u{9b}1m\ryoda: hi");
    let line = program.line();
    assert_eq!(line, "luke: ^[[2J^[]0;x^G<U+202E><U+009B>1m^Myoda: hi");
}

#[test]
fn states_of_the_connection_are_diagnostics() {
    let server = FakeServer::start();
    let mut program = server.client(&[]);
    program.answer("hans");
    program.answer("falcon");
    let connection = server.log_in("hans");
    assert_eq!(program.line(), "Welcome, hans!");
    drop(connection);
    assert_eq!(program.diagnostic(), "Connection lost. Reconnecting");
    program.signal(Signal::TERM);
    assert_eq!((program.ended(), program.next()), (143, None));
}
