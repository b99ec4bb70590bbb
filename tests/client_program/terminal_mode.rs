//! A person at a terminal.

use support::{FakeServer, Terminal};

use super::logged_in;

#[test]
fn a_half_typed_line_survives_what_arrives() {
    let server = FakeServer::start();
    let (mut terminal, mut connection) = logged_in(&server);
    terminal.types("message luke half ");
    terminal.shows(&["> message luke half"]);
    connection.say("online luke");
    connection.say("message 1.1 luke 1700000000000000 9.1 live Hey Dude");
    terminal.shows(&["luke logged in", "22:13 luke: Hey Dude", "> message luke half"]);
    connection.expect_shown("1.1");
    terminal.types("typed\r");
    connection.expect("#1 message luke half typed");
    connection.say("ok #1 message luke stored");
    terminal.shows(&["> message luke half typed", "Your message to luke has been stored: half typed", ">"]);
    terminal.types("logout\r");
    connection.expect_logout();
    let (code, _, written) = terminal.end();
    assert_eq!(code, 0);
    assert!(!written.contains("falcon"), "the password was shown");
}

#[test]
fn an_empty_line_at_a_prompt_asks_again() {
    let server = FakeServer::start();
    let mut terminal = server.terminal(&[]);
    let mut connection = server.accept();
    terminal.shows(&["Username:"]);
    terminal.types("\r");
    terminal.shows(&["Username:", "Username:"]);
    terminal.types("  \rhans\r");
    connection.expect("login hans");
    connection.say("ask password");
    terminal.shows(&["Username: hans", "Password:"]);
    terminal.types("\r");
    terminal.shows(&["Password:", "Password:"]);
    terminal.types("falcon\r");
    connection.expect("login hans falcon");
    connection.welcome("hans");
    terminal.shows(&["Welcome, hans!", ">"]);
}

#[test]
fn typed_input_is_not_left_to_the_shell_when_the_client_fails() {
    let server = FakeServer::start();
    // A read that finds nothing ends after half a second.
    let rest = "stty -icanon min 0 time 5; echo left:$(head -c 20)";
    let script = format!("$CLIENT --plaintext --user hans {}; echo code $?; {rest}", server.port);
    let mut terminal = Terminal::script(&server.place, &script);
    let mut connection = server.accept();
    connection.expect("login hans");
    // Typed blindly, before anything asks for it.
    terminal.types("falcon\r");
    connection.say("refused locked_out 60");
    let (_, rows, written) = terminal.end();
    assert!(rows.contains(&"code 4".to_owned()), "{rows:#?}");
    assert!(rows.ends_with(&["left:".to_owned()]), "{rows:#?}");
    assert!(!written.contains("falcon"), "{written}");
}

#[test]
fn everything_typed_ahead_is_taken_and_no_password_shows() {
    let server = FakeServer::start();
    let mut terminal = server.terminal(&[]);
    let mut connection = server.accept();
    terminal.shows(&["Username:"]);
    terminal.types("hans\rfalcon\rmessage luke hi\rwhoelse\rlogout\r");
    connection.log_in("hans");
    connection.expect("#1 message luke hi");
    connection.expect("#2 whoelse");
    connection.say("ok #1 message luke stored\nusers #2 luke\nok #2 whoelse 1");
    connection.expect_logout();
    let (code, rows, written) = terminal.end();
    assert_eq!(code, 0);
    assert!(!written.contains("falcon"), "the password was shown");
    let stored = rows.iter().position(|row| row == "Your message to luke has been stored: hi");
    let luke = rows.iter().position(|row| row == "luke");
    assert!(stored.is_some() && stored < luke, "{rows:#?}");
}

#[test]
fn a_private_request_does_not_steal_the_line_being_typed() {
    let server = FakeServer::start();
    let (mut terminal, mut connection) = logged_in(&server);
    terminal.types("whoelse");
    terminal.shows(&["> whoelse"]);
    connection.say("request luke");
    terminal.shows(&["luke would like to private message, enter y or n:", "> whoelse"]);
    terminal.types("\r");
    connection.expect("#1 whoelse");
    connection.say("ok #1 whoelse 0");
    terminal.shows(&["Nobody else", ">"]);
    terminal.types("n\r");
    connection.expect("#2 decline luke");
    connection.say("ok #2 decline luke");
    terminal.shows(&["Private messaging with luke declined", ">"]);
}

#[test]
fn commands_and_names_are_completed_and_remembered() {
    let server = FakeServer::start();
    let (mut terminal, mut connection) = logged_in(&server);
    connection.say("online lukas");
    terminal.shows(&["lukas logged in", ">"]);
    terminal.types("mess\tlu\thi\r");
    connection.expect("#1 message lukas hi");
    connection.say("ok #1 message lukas delivered");
    terminal.types("\x1b[A again\r");
    connection.expect("#2 message lukas hi again");
    connection.say("ok #2 message lukas delivered");
    terminal.types("logout\r");
    connection.expect_logout();
    assert_eq!(terminal.end().0, 0);
    // The next client of the same user remembers, but no password.
    let (mut terminal, mut connection) = logged_in(&server);
    terminal.types("\x1b[A\x1b[A\r");
    connection.expect("#1 message lukas hi again");
    let history = format!("hobnob/127.0.0.1_{}/hans/history", server.port);
    let history = server.place.states().join(history);
    let history = std::fs::read_to_string(history).expect("is kept");
    assert!(!history.contains("falcon") && !history.contains("\nhans"), "{history}");
}

#[test]
fn hostile_texts_stay_in_their_rows() {
    let server = FakeServer::start();
    let (mut terminal, mut connection) = logged_in(&server);
    terminal.types("half");
    terminal.shows(&["> half"]);
    let padding = "x".repeat(54);
    connection.say(&format!(
        "message 1.1 luke 1700000000000000 9.1 live \x1b[2J\x1b[1;1H\x1b[?1049h{padding}yoda: hi"
    ));
    connection.say("message 1.2 luke 1700000000000000 9.2 live done");
    terminal.wait("the text on two rows", |rows| {
        rows.iter().any(|row| row.starts_with("22:13 luke: ^[[2J^[[1;1H^[[?1049hxxx"))
            && rows.iter().any(|row| row.starts_with("    x") && row.ends_with("yoda: hi"))
            && rows.ends_with(&["22:13 luke: done".into(), "> half".into()])
    });
}

#[test]
fn ctrl_c_is_exit_130_and_the_terminal_is_as_before() {
    let server = FakeServer::start();
    let script = format!("$CLIENT --plaintext --user hans {}; echo code $?; stty -a", server.port);
    let mut terminal = Terminal::script(&server.place, &script);
    let mut connection = server.accept();
    connection.expect("login hans");
    connection.say("ask password");
    terminal.shows(&["Password:"]);
    terminal.types("falcon\r");
    connection.expect("login hans falcon");
    connection.welcome("hans");
    terminal.shows(&["Welcome, hans!", ">"]);
    // With a draft it clears that first.
    terminal.types("half a line\x03");
    terminal.shows(&["Welcome, hans!", ">"]);
    terminal.types("\x03");
    let (_, rows, _) = terminal.end();
    assert!(rows.contains(&"code 130".to_owned()), "{rows:#?}");
    let modes = rows.join(" ");
    assert!(modes.contains(" echo ") && modes.contains(" icanon ") && !modes.contains(" -echo "), "{modes}");
}

#[test]
fn ctrl_d_is_the_end_of_input() {
    let server = FakeServer::start();
    let (mut terminal, connection) = logged_in(&server);
    terminal.types("\x04");
    connection.expect_logout();
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn the_last_words_of_the_server_are_read() {
    let server = FakeServer::start();
    let (mut terminal, mut connection) = logged_in(&server);
    terminal.types("half");
    terminal.shows(&["> half"]);
    connection.say("message 1.1 luke 1700000000000000 9.1 live last\nbye replaced");
    let (code, rows, _) = terminal.end();
    assert_eq!(code, 1);
    let farewell = "You have been logged out as you logged in elsewhere";
    assert!(rows.ends_with(&["22:13 luke: last".into(), farewell.into()]), "{rows:#?}");
}

#[test]
fn a_new_user_types_the_password_twice() {
    let server = FakeServer::start();
    let mut terminal = server.terminal(&["--user", "leia"]);
    let mut connection = server.accept();
    connection.expect("login leia");
    connection.say("ask new_password");
    terminal.shows(&["This is a new user. Enter a password:"]);
    terminal.types("alderaan\r");
    terminal.shows(&["Enter the password again:"]);
    terminal.types("alderaan\r");
    connection.expect("register leia alderaan");
    connection.welcome("leia");
    terminal.shows(&["Welcome, leia!", ">"]);
    terminal.types("logout\r");
    connection.expect_logout();
    let (code, _, written) = terminal.end();
    assert_eq!(code, 0);
    assert!(!written.contains("alderaan"));
}

#[test]
fn retry_login_goes_back_to_the_prompt_and_hides_the_next_password() {
    let server = FakeServer::start();
    let mut terminal = server.terminal(&["--retry-login", "--user", "hans"]);
    let mut connection = server.accept();
    connection.expect("login hans");
    connection.say("ask password");
    terminal.shows(&["Password:"]);
    terminal.types("falcon\r");
    connection.expect("login hans falcon");
    connection.welcome("hans");
    terminal.shows(&["Welcome, hans!", ">"]);
    terminal.types("logout\r");
    connection.expect_logout();
    terminal.wait("the prompt", |rows| rows.iter().any(|row| row == "Username:"));
    terminal.types("luke\r");
    let mut connection = server.accept();
    connection.expect("login luke");
    connection.say("ask password");
    terminal.shows(&["Password:"]);
    terminal.types("lightsaber\r");
    connection.expect("login luke lightsaber");
    connection.welcome("luke");
    terminal.shows(&["Welcome, luke!", ">"]);
    terminal.types("logout\r");
    connection.expect_logout();
    terminal.types("\x04");
    let (code, _, written) = terminal.end();
    assert_eq!(code, 0);
    assert!(!written.contains("falcon") && !written.contains("lightsaber"));
}

#[test]
fn a_password_typed_where_the_output_goes_elsewhere_does_not_show() {
    let server = FakeServer::start();
    let mut terminal = server.terminal(&["--json"]);
    let mut connection = server.accept();
    terminal.wait("the prompt", |rows| rows.iter().any(|row| row.contains("\"ask\":\"username\"")));
    terminal.types("hans\n");
    connection.expect("login hans");
    connection.say("ask password");
    terminal.wait("the prompt", |rows| rows.iter().any(|row| row.contains("\"ask\":\"password\"")));
    terminal.types("falcon\n");
    connection.expect("login hans falcon");
    connection.welcome("hans");
    terminal.types("\x04");
    connection.expect_logout();
    let (code, _, written) = terminal.end();
    assert_eq!(code, 0);
    assert!(written.contains("hans") && !written.contains("falcon"), "{written}");
}

#[test]
fn only_what_is_not_delivered_at_once_is_told_and_by_its_words() {
    let server = FakeServer::start();
    let (mut terminal, mut connection) = logged_in(&server);
    terminal.types("message luke at once\r");
    connection.expect("#1 message luke at once");
    connection.say("ok #1 message luke delivered");
    terminal.types("message luke are you there at eight, or is that too late?\r");
    connection.expect("#2 message luke are you there at eight, or is that too late?");
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    connection.say("ok #2 message luke delivered");
    connection.say("notice idle 60");
    terminal.shows(&[
        "> message luke at once",
        "> message luke are you there at eight, or is that too late?",
        "Your message to luke has been delivered: are you there at",
        "    eight, or is…",
        "You will be logged out in 60 seconds unless you enter a",
        "    command",
        ">",
    ]);
}
