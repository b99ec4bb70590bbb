//! A person at a terminal.

use support::{Server, password};

#[test]
fn a_session_at_a_terminal() {
    let server = Server::start(&[]);
    let mut hans = server.terminal(&[]);
    hans.log_in("hans", password("hans"));
    let mut luke = server.user("luke");
    hans.sees("luke logged in");
    hans.types("message luke half a li");
    hans.sees_last("> message luke half a li");
    luke.ok("message hans Hey Dude");
    hans.sees_message("luke: Hey Dude");
    hans.sees_last("> message luke half a li");
    hans.types("ne\r");
    luke.message("half a line");
    hans.types("message yoda hi\r");
    hans.sees("Your message to yoda has been stored: hi");
    hans.types("whoelse\r");
    hans.sees("luke");
    hans.types("nonsense\r");
    hans.sees("Error. Invalid command: nonsense. `help` lists all commands");
    hans.types("logout\r");
    let (code, _, written) = hans.end();
    assert_eq!(code, 0);
    assert!(!written.contains(password("hans")), "the password was shown");
    luke.presence("hans", false);
}

#[test]
fn y_and_n_answer_private_requests() {
    let server = Server::start(&[]);
    let mut hans = server.terminal(&[]);
    hans.log_in("hans", password("hans"));
    let (mut luke, mut yoda) = (server.user("luke"), server.user("yoda"));
    let of_luke = luke.say("startprivate hans");
    hans.sees("luke would like to private message, enter y or n:");
    let of_yoda = yoda.say("startprivate hans");
    yoda.ok("ping hans");
    hans.types("y\r");
    assert_eq!(luke.result_of(of_luke)["ok"], true, "the oldest first");
    hans.sees("Start private messaging with luke");
    hans.sees("yoda would like to private message, enter y or n:");
    hans.types("n\r");
    assert_eq!(yoda.result_of(of_yoda)["error"], "declined");
    luke.ok("private hans psst");
    hans.sees_message("luke(private): psst");
    hans.types("private luke psst to you\r");
    luke.message("psst to you");
}

#[test]
fn wrong_passwords_and_a_lock() {
    let server = Server::start(&[]);
    let mut hans = server.terminal(&[]);
    hans.sees("Username:");
    hans.types("hans\r");
    for _ in 0..2 {
        hans.sees_last("Password:");
        hans.types("wrong\r");
        hans.sees("Invalid Password. Please try again");
    }
    hans.types("wrong\r");
    let (code, _, written) = hans.end();
    assert_eq!(code, 4);
    assert!(written.contains("Invalid Password. Your account has been blocked. Please try again later"));
    assert!(!written.contains("wrong"), "a password was shown");
}

#[test]
fn registration_asks_twice() {
    let server = Server::start(&["registration=open"]);
    let mut leia = server.terminal(&[]);
    leia.sees("Username:");
    leia.types("leia\r");
    leia.sees("This is a new user. Enter a password:");
    leia.types("alderaan\r");
    leia.types("aldera\r");
    leia.sees("The two passwords differ. Please try again");
    leia.types("alderaan\r");
    leia.types("alderaan\r");
    leia.sees("Welcome, leia!");
    leia.types("\u{4}");
    let (code, _, written) = leia.end();
    assert_eq!(code, 0);
    assert!(!written.contains("aldera"), "a password was shown");
}

#[test]
fn a_closed_window_logs_out() {
    let server = Server::start(&[]);
    let mut luke = server.user("luke");
    let mut hans = server.terminal(&[]);
    hans.log_in("hans", password("hans"));
    luke.presence("hans", true);
    hans.close();
    luke.presence("hans", false);
    server.user("hans").log_out();
}

#[test]
fn ctrl_c_is_130_and_one_notice() {
    let server = Server::start(&[]);
    let mut luke = server.user("luke");
    let mut hans = server.terminal(&[]);
    hans.log_in("hans", password("hans"));
    hans.types("half a line\u{3}\u{3}");
    assert_eq!(hans.end().0, 130);
    luke.presence("hans", true);
    luke.presence("hans", false);
    let mut asked = server.terminal(&[]);
    asked.sees("Username:");
    asked.types("\u{3}");
    assert_eq!(asked.end().0, 130);
}

#[test]
fn no_colour_is_honoured_and_json_has_no_prompt() {
    let server = Server::start(&[]);
    let mut hans = server.terminal_in(&[], &[("NO_COLOR", "1")]);
    hans.log_in("hans", password("hans"));
    hans.types("nonsense\r");
    hans.sees("Error. Invalid command: nonsense. `help` lists all commands");
    hans.types("logout\r");
    let (code, _, written) = hans.end();
    assert_eq!(code, 0);
    assert!(!written.contains("\u{1b}[31m") && !written.contains("\u{1b}[1m"), "{written:?}");
    let mut luke = server.terminal(&[]);
    luke.log_in("luke", password("luke"));
    luke.types("nonsense\r");
    luke.sees("Error. Invalid command: nonsense. `help` lists all commands");
    luke.types("logout\r");
    assert!(luke.end().2.contains("\u{1b}[31m"), "colours where nobody refused them");
    let mut yoda = server.terminal(&["--json"]);
    yoda.types("yoda\r");
    yoda.sees("{\"type\":\"prompt\",\"ask\":\"password\"}");
    yoda.types("\u{3}");
    let (code, _, written) = yoda.end();
    assert_eq!(code, 130);
    assert!(!written.contains("Username") && !written.contains("Password:"), "{written:?}");
}
