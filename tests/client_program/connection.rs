//! Lost connections, closed outputs, dead clients, crowded folders.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::json;
use support::{Client, Connection, FakeServer, TOKEN, exit_code, signal};

/// The client's command line, so that a test can say where its output goes.
fn command(server: &FakeServer) -> Command {
    let mut command = server.place.client_command();
    command.args(["--plaintext", "--json", &server.port.to_string()]).stdin(Stdio::piped());
    command
}

fn logged_in(server: &FakeServer) -> (Client, Connection) {
    let mut program = server.client(&["--json"]);
    program.answer("hans");
    program.answer("falcon");
    let connection = server.log_in("hans");
    assert_eq!(program.skip_to("login")["ok"], true);
    (program, connection)
}

#[test]
fn a_lost_connection_is_made_again_and_commands_are_repeated() {
    let server = FakeServer::start();
    let (mut program, mut connection) = logged_in(&server);
    program.say("message yoda one");
    connection.expect("#1 message yoda one");
    drop(connection);
    assert_eq!(program.object(), json!({"type": "connection", "state": "reconnecting"}));
    let mut connection = server.accept();
    connection.expect(&format!("resume hans {TOKEN}"));
    connection.say(&format!("resumed hans unread 0 login 1 token {TOKEN}"));
    assert_eq!(program.object(), json!({"type": "connection", "state": "resumed"}));
    connection.expect("#1 message yoda one");
    connection.say("ok #1 message yoda stored");
    assert_eq!(program.object()["status"], "stored");
}

#[test]
fn without_reconnection_a_lost_connection_is_exit_3() {
    let server = FakeServer::start();
    let mut program = server.client(&["--json", "--reconnect", "0"]);
    program.answer("hans");
    program.answer("falcon");
    drop(server.log_in("hans"));
    assert_eq!(program.skip_to("bye"), json!({"type": "bye", "reason": "connection_lost"}));
    assert_eq!(program.ended(), 3);
}

#[test]
fn a_server_that_is_lost_before_the_login_is_exit_3_and_one_line() {
    let lost = "was lost before the login";
    let strange = "does not answer as a Hobnob server of this version";
    for (said, code, words) in [
        ("", 3, lost),
        ("hobnob 1 ack resume\n", 3, lost),
        ("hobnob 1 ack resume\nbye server_shutdown\n", 3, lost),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", 3, strange),
        ("hobnob 2 ack\n", 3, lost),
        ("hobnob 1 ack resume\nbye version\n", 1, "does not want this version of the protocol"),
    ] {
        for mode in [&[][..], &["--json"]] {
            let server = FakeServer::start();
            let mut program = server.client(mode);
            let mut connection = server.accept_silently();
            connection.send(said.as_bytes());
            drop(connection);
            let line = program.diagnostic();
            assert!(line.starts_with("hobnob: ") && line.ends_with(words), "{said:?}: {line}");
            assert!(line.contains(&format!("127.0.0.1:{} ", server.port)), "{line}");
            assert_eq!(program.ended(), code, "{said}");
        }
    }
}

#[test]
fn messages_are_not_shown_again_by_the_next_client() {
    let server = FakeServer::start();
    let (mut program, mut connection) = logged_in(&server);
    connection.say("message 1.1 yoda 1700000000000000 9.1 live one");
    assert_eq!(program.object()["text"], "one");
    connection.expect_shown("1.1");
    program.kill();
    let (mut program, mut connection) = logged_in(&server);
    connection.say("message 1.1 yoda 1700000000000000 9.1 stored one");
    connection.say("message 1.2 yoda 1700000000000000 9.2 stored two");
    assert_eq!(program.object()["text"], "two");
    connection.expect_shown("1.2");
}

#[test]
fn commands_without_a_result_are_told_of_by_the_next_client() {
    let server = FakeServer::start();
    let (mut program, mut connection) = logged_in(&server);
    program.say("message yoda one");
    connection.expect("#1 message yoda one");
    program.kill();
    let (mut program, _connection) = logged_in(&server);
    let text = "The outcome of 1 earlier command is not known; it is not repeated";
    assert_eq!(program.skip_to("notice"), json!({"type": "notice", "text": text}));
}

#[test]
fn a_folder_in_use_is_refused_with_one_line() {
    let server = FakeServer::start();
    let (_first, _connection) = logged_in(&server);
    let mut second = server.client(&["--json"]);
    second.answer("hans");
    second.answer("falcon");
    let _connection = server.log_in("hans");
    assert!(second.diagnostic().starts_with("hobnob: another client of this user is running"));
    assert_eq!(second.ended(), 1);
}

#[test]
fn a_folder_that_cannot_be_used_is_refused_with_one_line() {
    let server = FakeServer::start();
    server.place.write("file", "");
    let file = server.place.path("file");
    let mut program = server.client(&["--json", "--state", file.to_str().expect("UTF-8")]);
    program.answer("hans");
    program.answer("falcon");
    let _connection = server.log_in("hans");
    assert!(program.diagnostic().starts_with("hobnob: cannot use the state folder"));
    assert_eq!(program.ended(), 1);
}

/// A client logged in as hans whose output the test holds.
fn with_output_held(server: &FakeServer) -> (Child, Connection) {
    let mut command = command(server);
    let command = command.args(["--user", "hans"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program runs");
    child.stdin.as_mut().expect("its input").write_all(b"falcon\n").expect("it reads");
    let connection = server.log_in("hans");
    (child, connection)
}

#[test]
fn a_closed_output_is_exit_1_and_nothing_more_counts_as_shown() {
    let server = FakeServer::start();
    let (mut child, mut connection) = with_output_held(&server);
    drop(child.stdout.take());
    // A program that another test is starting holds this pipe too, for a moment.
    let mut number = 0;
    while child.try_wait().expect("a status").is_none() && number < 1_000_000 {
        number += 1;
        if !connection.try_say(&format!("message 1.{number} yoda 1700000000000000 9.{number} live text")) {
            break;
        }
    }
    assert_eq!(exit_code(&mut child), 1);
    assert!(!connection.rest().iter().any(|line| line.starts_with(&format!("ack 1.{number} "))));
}

#[test]
fn an_output_that_takes_nothing_is_exit_1_and_one_line() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a full device");
    let read_only = std::fs::File::open("/dev/null").expect("a device");
    for (output, told) in
        [(full, "cannot write to standard output: "), (read_only, "standard output is closed")]
    {
        let server = FakeServer::start();
        let program = command(&server).stdout(output).stderr(Stdio::piped()).spawn();
        let ended = program.and_then(Child::wait_with_output).expect("its end");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!((ended.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.starts_with("hobnob: ") && said.contains(told), "{said}");
    }
}

#[test]
fn without_an_output_nothing_is_asked_of_the_server() {
    let server = FakeServer::start();
    let shell = ["sh", "-c", "exec \"$0\" \"$@\" >&-"].map(str::to_owned);
    let mut command = server.place.client_command_behind(&shell);
    command.args(["--plaintext", "--json", &server.port.to_string()]);
    let ended = command
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .and_then(Child::wait_with_output)
        .expect("its end");
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "hobnob: standard output is closed\n");
}

#[test]
fn an_output_that_is_thrown_away_is_one() {
    let server = FakeServer::start();
    // Opened for both, as by daemons, and by the runtime if it was closed.
    let nothing = std::fs::File::options().read(true).write(true).open("/dev/null").expect("a device");
    let mut child = command(&server).stdout(nothing).spawn().expect("the program runs");
    child.stdin.as_mut().expect("its input").write_all(b"hans\nfalcon\n").expect("it reads");
    let mut connection = server.log_in("hans");
    connection.say("message 1.1 yoda 1700000000000000 9.1 live one");
    connection.expect_shown("1.1");
    drop(child.stdin.take());
    connection.expect_logout();
    assert_eq!(exit_code(&mut child), 0);
}

#[test]
fn a_reader_who_stops_reading_does_not_stop_signals() {
    let server = FakeServer::start();
    let (mut child, mut connection) = with_output_held(&server);
    // More than a pipe holds; nobody reads it.
    let text = "x".repeat(2_000);
    for number in 1..=100 {
        connection.say(&format!("message 1.{number} yoda 1700000000000000 9.{number} live {text}"));
    }
    signal(child.id(), Signal::TERM);
    assert_eq!(exit_code(&mut child), 143);
    assert!(!connection.rest().iter().any(|line| line.starts_with("ack 1.100 ")));
}
