//! What a terminal shows: times, stored mail, addresses; and a terminal that can do nothing but lines.

use support::{Connection, FakeServer, Terminal};

/// Friday, 20 November 2026, 14:02 in UTC.
const FRIDAY: u64 = 1_795_183_320_000_000;
const HOUR: u64 = 3_600_000_000;

/// A terminal in which hans is logged in, with so many stored messages to come.
fn logged_in(
    server: &FakeServer,
    options: &[&str],
    environment: &[(&str, &str)],
    unread: u64,
) -> (Terminal, Connection) {
    let password = server.place.folder().join("password");
    std::fs::write(&password, "falcon\n").expect("writes");
    let password = password.to_str().expect("UTF-8");
    let options = [&["--user", "hans", "--password-file", password], options].concat();
    let terminal = server.terminal_in(&options, environment);
    let mut connection = server.accept();
    connection.expect("login hans");
    connection.say("ask password");
    connection.expect("login hans falcon");
    connection.say(&format!("welcome hans unread {unread} login 1"));
    terminal.sees("Welcome, hans!");
    (terminal, connection)
}

#[test]
fn messages_have_their_time_and_stored_ones_their_day() {
    let server = FakeServer::start();
    let (terminal, mut connection) = logged_in(&server, &[], &[], 2);
    connection.say(&format!("message 1.1 luke {FRIDAY} 9.1 stored lunch?"));
    connection.say(&format!("message 1.2 yoda {} 9.1 stored no.", FRIDAY + 24 * HOUR));
    connection.say(&format!("broadcast 1.9 luke {} 9.2 live all here?", FRIDAY + 48 * HOUR));
    connection.say(&format!("group-message 1.3 jedi yoda {} 9.2 live patience.", FRIDAY + 49 * HOUR));
    terminal.shows(&[
        "── stored, Friday 20 November ──",
        "14:02 luke: lunch?",
        "── stored, Saturday 21 November ──",
        "14:02 yoda: no.",
        "── now ──",
        "14:02 luke(all): all here?",
        "15:02 yoda(group jedi): patience.",
        ">",
    ]);
}

#[test]
fn times_are_as_they_are_wanted_and_local() {
    for (form, shown) in
        [("off", "luke: hi"), ("time", "23:02 luke: hi"), ("full", "2026-11-20 23:02:00 luke: hi")]
    {
        let server = FakeServer::start();
        let options = ["--timestamps", form];
        let (terminal, mut connection) = logged_in(&server, &options, &[("TZ", "Asia/Tokyo")], 0);
        connection.say(&format!("message 1.1 luke {FRIDAY} 9.1 live hi"));
        terminal.shows(&[shown, ">"]);
    }
}

#[test]
fn lines_break_at_words_and_an_address_stays_whole() {
    let server = FakeServer::start();
    let (terminal, mut connection) = logged_in(&server, &[], &[], 0);
    let address = format!("https://example.org/{}yoda:", "x".repeat(35));
    connection.say(&format!(
        "message 1.1 luke {FRIDAY} 9.1 live the quick brown fox jumps over the lazy dog, and then goes {address} home again"
    ));
    terminal.wait("rows", |rows| {
        let at = rows.iter().position(|row| row.starts_with("14:02 luke: ")).unwrap_or(0);
        rows.get(at..at + 4).is_some_and(|rows| {
            rows[0] == "14:02 luke: the quick brown fox jumps over the lazy dog, and"
                || rows[0] == "14:02 luke: the quick brown fox jumps over the lazy dog,"
        }) && rows.iter().any(|row| row == "    home again")
            && rows.concat().contains(&address)
    });
}

#[test]
fn a_terminal_without_a_cursor_shows_what_is_typed_and_no_escape() {
    for (options, environment) in [(vec![], vec![("TERM", "dumb")]), (vec!["--plain"], vec![])] {
        let server = FakeServer::start();
        let mut terminal = server.terminal_in(&options, &environment);
        let mut connection = server.accept();
        terminal.sees("Username:");
        terminal.types("hanss\x7f\r");
        connection.expect("login hans");
        connection.say("ask password");
        terminal.shows(&["Username: hans", "Password:"]);
        terminal.types("falcon\r");
        connection.expect("login hans falcon");
        connection.welcome("hans");
        terminal.sees("Welcome, hans!");
        terminal.types("message luke h\u{e4}lf");
        terminal.sees_last("message luke h\u{e4}lf");
        connection.say(&format!("message 1.1 luke {FRIDAY} 9.1 live Hey Dude"));
        terminal.shows(&["message luke h\u{e4}lf", "14:02 luke: Hey Dude", "message luke h\u{e4}lf"]);
        terminal.types(" a line\r");
        connection.expect("#1 message luke h\u{e4}lf a line");
        connection.say("ok #1 message luke stored");
        terminal.shows(&[
            "message luke h\u{e4}lf a line",
            "Your message to luke has been stored: h\u{e4}lf a line",
        ]);
        // Ctrl-C clears a line, and ends the program on an empty one. It is a key while a line is read.
        terminal.types("whoelse");
        terminal.sees_last("whoelse");
        terminal.types("\x03");
        terminal.sees("whoelse^C");
        terminal.types("\x03");
        let (code, _, written) = terminal.end();
        assert_eq!(code, 130);
        assert!(!written.contains('\x1b'), "{written:?}");
        assert!(!written.contains("falcon"), "the password was shown");
    }
}

#[test]
fn a_terminal_without_a_cursor_asks_for_the_password_in_the_middle_of_a_line() {
    let server = FakeServer::start();
    let mut terminal = server.terminal_in(&["--plain", "--user", "hans"], &[]);
    let mut connection = server.accept();
    connection.expect("login hans");
    connection.say("ask password");
    terminal.sees("Password:");
    terminal.types("falcon\r");
    connection.expect("login hans falcon");
    connection.welcome("hans");
    terminal.sees("Welcome, hans!");
    terminal.types("message luke ha");
    terminal.sees_last("message luke ha");
    drop(connection);
    let mut connection = server.accept();
    assert!(connection.hear().is_some_and(|line| line.starts_with("resume hans")));
    connection.say("refused stale");
    terminal.sees_last("Password:");
    terminal.types("falcon\r");
    let mut connection = server.accept();
    connection.expect("login hans falcon");
    connection.welcome("hans");
    terminal.shows(&["Welcome, hans!", "message luke ha"]);
    terminal.types("lf\r");
    connection.expect("#1 message luke half");
    terminal.types("\x04");
    connection.say("ok #1 message luke delivered");
    connection.expect_logout();
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn a_text_of_several_lines_goes_on_indented() {
    for options in [&[][..], &["--plain"]] {
        let server = FakeServer::start();
        let (terminal, mut connection) = logged_in(&server, options, &[], 0);
        connection.say(&format!(
            "message 1.1 luke {FRIDAY} 9.1 live one\u{2028}14:02 yoda: two\u{2029}\u{85}\u{2028}end"
        ));
        let shown = ["14:02 luke: one", "    14:02 yoda: two<U+2029><U+0085>", "    end"];
        terminal.wait("the lines", |rows| rows.windows(3).any(|rows| rows == shown));
    }
}

#[test]
fn seen_tells_the_local_day_and_time() {
    let server = FakeServer::start();
    let (mut terminal, mut connection) = logged_in(&server, &[], &[("TZ", "UTC")], 0);
    terminal.types("seen luke\r");
    connection.expect("#1 seen luke");
    connection.say("ok #1 seen luke offline 1700000000000000");
    terminal.shows(&["> seen luke", "luke was last here on Tuesday 14 November 2023, 22:13", ">"]);
    terminal.types("seen yoda\r");
    connection.expect("#2 seen yoda");
    connection.say("ok #2 seen yoda offline -");
    terminal.shows(&["> seen yoda", "yoda has not been seen", ">"]);
}

#[test]
fn who_is_away_is_named_with_what_they_have_said() {
    let server = FakeServer::start();
    let (mut terminal, mut connection) = logged_in(&server, &[], &[("TZ", "UTC")], 0);
    terminal.types("message luke hi\r");
    connection.expect("#1 message luke hi");
    connection.say("away #1 luke at\u{2028}lunch \u{1b}[31mred");
    connection.say("ok #1 message luke delivered");
    terminal.shows(&["> message luke hi", "luke is away: at<U+2028>lunch ^[[31mred", ">"]);
    terminal.types("whoelse\r");
    connection.expect("#2 whoelse");
    connection.say("users #2 hans luke");
    connection.say("away #2 luke lunch");
    connection.say("ok #2 whoelse 2");
    terminal.shows(&["> whoelse", "hans", "luke is away: lunch", ">"]);
    terminal.types("away asleep\r");
    connection.expect("#3 away asleep");
    connection.say("ok #3 away");
    terminal.shows(&["> away asleep", "You are away, until you say: back", ">"]);
    terminal.types("back\r");
    connection.expect("#4 back");
    connection.say("ok #4 back");
    terminal.shows(&["> back", "You are back", ">"]);
}
