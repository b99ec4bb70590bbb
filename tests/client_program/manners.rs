//! How a terminal behaves to whoever types: keys, pastes, questions, and what is left behind.

use std::os::unix::fs::PermissionsExt as _;

use support::{FakeServer, Terminal};

use super::logged_in;

#[test]
fn several_pasted_lines_are_asked_about_before_they_run() {
    let server = FakeServer::start();
    let (mut terminal, mut connection) = logged_in(&server);
    terminal.types("mess");
    terminal.shows(&["> mess"]);
    terminal.types("\x1b[200~rm -r falcon\rlogout\rwhoelse\r\x1b[201~");
    terminal.shows(&["run 3 lines as commands? y/n"]);
    terminal.types("n");
    terminal.wait("the draft", |rows| rows.last().is_some_and(|row| row == "> mess"));
    terminal.types("\x03");
    terminal.wait("an empty line", |rows| rows.last().is_some_and(|row| row == ">"));
    terminal.types("\x1b[200~ping luke\nwhoelse\n\x1b[201~");
    terminal.shows(&["run 2 lines as commands? y/n"]);
    connection.say("online luke");
    terminal.shows(&["luke logged in", "run 2 lines as commands? y/n"]);
    terminal.types("y");
    connection.expect("#1 ping luke");
    connection.expect("#2 whoelse");
    connection.say("ok #1 ping luke online\nok #2 whoelse 0");
    terminal.sees("luke is online");
    // A single line is only put into the line.
    terminal.types("\x1b[200~ping yoda\n\x1b[201~");
    terminal.wait("the line", |rows| rows.last().is_some_and(|row| row == "> ping yoda"));
    terminal.types("\r");
    connection.expect("#3 ping yoda");
}

#[test]
fn one_failed_line_of_a_queue_is_named() {
    let server = FakeServer::start();
    let (mut terminal, mut connection) = logged_in(&server);
    terminal.types("message luke one\rmessage nobdy two\r");
    connection.expect("#1 message luke one");
    connection.expect("#2 message nobdy two");
    connection.say("error #2 unknown_user message\nok #1 message luke delivered");
    terminal.wait("the line by its text", |rows| {
        rows.concat().contains("Error. Invalid user: nobdy (message nobdy two)")
    });
}

#[test]
fn a_request_is_asked_about_one_at_a_time_and_said_to_be_over() {
    let server = FakeServer::start();
    let (mut terminal, mut connection) = logged_in(&server);
    connection.say("request luke\nrequest yoda");
    terminal.shows(&["luke would like to private message, enter y or n:", ">"]);
    connection.say("withdrawn luke");
    terminal.shows(&[
        "The request of luke to private message has expired",
        "yoda would like to private message, enter y or n:",
        ">",
    ]);
    terminal.types("n\r");
    connection.expect("#1 decline yoda");
    connection.say("ok #1 decline yoda");
    terminal.sees("Private messaging with yoda declined");
    terminal.types("y\r");
    terminal.sees("Error. No request is open that y or n could answer");
}

#[test]
fn whoever_is_addressed_gets_what_is_typed() {
    let server = FakeServer::start();
    let (mut terminal, mut connection) = logged_in(&server);
    connection.say("online luke");
    terminal.sees("luke logged in");
    terminal.types("to lu\t\r");
    terminal.wait("the prompt", |rows| rows.last().is_some_and(|row| row == "luke>"));
    terminal.types("lunch?\r");
    connection.expect("active");
    connection.expect("#1 message luke lunch?");
    connection.say("ok #1 message luke delivered");
    terminal.types("\x1b[200~one\rtwo\r\x1b[201~");
    terminal.shows(&["2 lines to luke as one message? y/n"]);
    terminal.types("y");
    connection.expect("#2 message luke one\u{2028}two");
    connection.say("ok #2 message luke delivered");
    // Behind the beginning of a command the lines are commands.
    terminal.types("/pi\x1b[200~ng luke\r/who\r\x1b[201~");
    terminal.shows(&["run 2 lines as commands? y/n"]);
    terminal.types("n\x03");
    terminal.wait("an empty line", |rows| rows.last().is_some_and(|row| row == "luke>"));
    // A slash that is pasted begins no command.
    terminal.types("\x1b[200~/etc/hosts\r\r  127.0.0.1\r\x1b[201~");
    terminal.shows(&["3 lines to luke as one message? y/n"]);
    terminal.types("y");
    connection.expect("#3 message luke /etc/hosts\u{2028}\u{2028}  127.0.0.1");
    connection.say("ok #3 message luke delivered");
    // What was sent can be edited and sent again.
    terminal.types("\x1b[A");
    terminal
        .wait("the lines", |rows| rows.last().is_some_and(|row| row.contains("hosts\u{21b5}\u{21b5}  127")));
    terminal.types("\x03");
    connection.say("group-message 1.1 jedi yoda 1700000000000000 9.1 live patience");
    terminal.sees_message("yoda(group jedi): patience");
    terminal.types("/reply no\r");
    connection.expect("#4 message group jedi no");
    connection.say("ok #4 message group jedi 1 0 0 complete");
    terminal.types("/to\r");
    terminal.wait("the prompt", |rows| rows.last().is_some_and(|row| row == ">"));
    terminal.types("reply\r");
    terminal.sees("Error. Invalid command. Usage: reply TEXT");
}

#[test]
fn private_texts_are_not_in_the_history_file() {
    let server = FakeServer::start();
    let (mut terminal, mut connection) = logged_in(&server);
    terminal.types("private luke the plans\rping luke\r");
    connection.expect("active");
    connection.expect("#1 ping luke");
    terminal.types("\x03");
    assert_eq!(terminal.end().0, 130);
    let history = format!("hobnob/127.0.0.1_{}/hans/history", server.port);
    let history = std::fs::read_to_string(server.place.states().join(history)).expect("is kept");
    assert!(history.contains("ping luke") && !history.contains("plans"), "{history}");
}

#[test]
fn a_signal_ends_the_client_in_the_middle_of_a_line() {
    let server = FakeServer::start();
    let (mut terminal, _connection) = logged_in(&server);
    terminal.types("half a line");
    terminal.shows(&["> half a line"]);
    let process =
        rustix::process::Pid::from_raw(terminal.id().try_into().expect("an id")).expect("a process");
    rustix::process::kill_process(process, rustix::process::Signal::INT).expect("runs");
    assert_eq!(terminal.end().0, 130);
}

#[test]
fn what_nobody_took_does_not_run_in_the_shell() {
    let server = FakeServer::start();
    let rest = "stty -icanon min 0 time 5; echo left:$(head -c 20)";
    let script = format!("$CLIENT --plaintext --user hans {}; echo code $?; {rest}", server.port);
    let mut terminal = Terminal::script(&server.place, &script);
    let mut connection = server.accept();
    connection.expect("login hans");
    connection.say("ask password");
    terminal.sees("Password:");
    terminal.types("falcon\r");
    connection.expect("login hans falcon");
    connection.welcome("hans");
    terminal.shows(&["Welcome, hans!", ">"]);
    terminal.types("logout\r");
    connection.expect("#1 logout");
    terminal.types("rm -r falcon\rrm -r ");
    terminal.wait("it is typed", |rows| rows.iter().any(|row| row == "> rm -r"));
    connection.say("ok #1 logout\nbye logout");
    let (_, rows, _) = terminal.end();
    assert!(rows.contains(&"code 0".to_owned()), "{rows:#?}");
    assert!(rows.ends_with(&["left:".to_owned()]), "{rows:#?}");
}

#[test]
fn what_nobody_took_does_not_run_in_the_shell_where_the_output_is_for_a_script() {
    let server = FakeServer::start();
    let rest = "stty -icanon min 0 time 5; echo left:$(head -c 20)";
    let script = format!("$CLIENT --plaintext --json --user hans {}; echo code $?; {rest}", server.port);
    let mut terminal = Terminal::script(&server.place, &script);
    let mut connection = server.accept();
    connection.expect("login hans");
    terminal.types("rm -r falcon\rrm -r all\rrm -r");
    terminal.wait("it is typed", |rows| rows.concat().contains("rm -r all"));
    connection.say("refused locked_out 60");
    let (_, rows, _) = terminal.end();
    assert!(rows.contains(&"code 4".to_owned()), "{rows:#?}");
    assert!(rows.ends_with(&["left:".to_owned()]), "{rows:#?}");
}

#[test]
fn a_password_file_that_others_can_read_is_warned_of() {
    let server = FakeServer::start();
    let file = server.place.folder().join("password");
    std::fs::write(&file, "falcon\n").expect("writes");
    for (mode, warned) in [(0o644, true), (0o600, false)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("is ours");
        let path = file.to_str().expect("UTF-8");
        let mut client = server.client(&["--user", "hans", "--password-file", path]);
        let _connection = server.log_in("hans");
        assert_eq!(client.line(), "Welcome, hans!");
        client.signal(rustix::process::Signal::TERM);
        let _ = client.ended();
        let said = client.diagnostics();
        assert_eq!(said.contains("can be read by others"), warned, "{said}");
    }
}
