//! What a person is to notice: their name, chosen words, the bell, and what came while they were away.

use support::{Connection, FakeServer, TOKEN, Terminal};

/// 14:02 in UTC.
const SENT: u64 = 1_795_183_320_000_000;

fn logged_in(
    server: &FakeServer,
    size: (u16, u16),
    options: &[&str],
    environment: &[(&str, &str)],
) -> (Terminal, Connection) {
    let password = server.place.folder().join("password");
    std::fs::write(&password, "falcon\n").expect("writes");
    let password = password.to_str().expect("UTF-8");
    let options = [&["--user", "hans", "--password-file", password], options].concat();
    let terminal = server.terminal_of(size, &options, environment);
    let mut connection = server.accept();
    connection.expect("login hans");
    connection.say("ask password");
    connection.expect("login hans falcon");
    connection.welcome("hans");
    terminal.sees("Welcome, hans!");
    (terminal, connection)
}

fn rung(written: &str) -> usize {
    written.matches('\x07').count()
}

fn leave(mut terminal: Terminal, connection: Connection) -> (Vec<String>, String) {
    terminal.types("logout\r");
    connection.expect_logout();
    let (code, rows, written) = terminal.end();
    assert_eq!(code, 0);
    (rows, written)
}

#[test]
fn own_name_and_chosen_words_stand_out_and_ring() {
    for size in [(24, 80), (15, 60)] {
        let server = FakeServer::start();
        let options = ["--highlight", "deploy*,pager"];
        let (terminal, mut connection) = logged_in(&server, size, &options, &[]);
        connection.say(&format!("broadcast 1.1 luke {SENT} 9.1 live lunch at noon, hansel?"));
        connection.say(&format!("broadcast 1.2 luke {SENT} 9.2 live Hans, deployed: https://x.org/hans"));
        terminal.shows(&[
            "14:02 luke(all): lunch at noon, hansel?",
            "14:02 * luke(all): Hans, deployed: https://x.org/hans",
            ">",
        ]);
        let (_, written) = leave(terminal, connection);
        assert_eq!(rung(&written), 1);
        for word in ["Hans", "deploy", "hans"] {
            assert!(written.contains(&format!("\x1b[1;33m{word}\x1b[0m")), "{word} in {written:?}");
        }
    }
}

#[test]
fn without_colour_and_in_plain_mode_there_are_words_and_no_escape() {
    for (options, environment, mark, escapes) in [
        (vec![], vec![("NO_COLOR", "1")], "14:02 * luke(all): hans?", true),
        (vec!["--plain"], vec![], "14:02 (for you) luke(all): hans?", false),
        (vec![], vec![("TERM", "dumb")], "14:02 (for you) luke(all): hans?", false),
    ] {
        let server = FakeServer::start();
        let (terminal, mut connection) = logged_in(&server, (24, 80), &options, &environment);
        connection.say(&format!("broadcast 1.1 luke {SENT} 9.1 live hans?"));
        terminal.sees(mark);
        let (_, written) = leave(terminal, connection);
        assert_eq!(written.contains('\x1b'), escapes, "{written:?}");
        assert!(!written.contains("\x1b[1;33m"), "{written:?}");
        assert_eq!(rung(&written), 1);
    }
}

#[test]
fn the_bell_is_the_persons_own() {
    for (bell, texts, count) in [
        ("never", ["direct", "hans"], 0),
        ("mention", ["hostile \x07\x07", "\x1b]0;\x07"], 1),
        ("message", ["lunch?", "\x07"], 1),
    ] {
        let server = FakeServer::start();
        let (terminal, mut connection) = logged_in(&server, (24, 80), &["--bell", bell], &[]);
        connection.say(&format!("message 1.1 luke {SENT} 9.1 live {}", texts[0]));
        connection.say(&format!("broadcast 1.2 luke {SENT} 9.2 live {}", texts[1]));
        connection.say(&format!("broadcast 1.3 luke {SENT} 9.3 live done"));
        terminal.sees("14:02 luke(all): done");
        let (_, written) = leave(terminal, connection);
        assert_eq!(rung(&written), count, "{bell}: {written:?}");
    }
    let server = FakeServer::start();
    let mut client = server.client(&["--bell", "message"]);
    let mut connection = server.accept();
    client.answer("hans");
    client.answer("falcon");
    connection.log_in("hans");
    connection.say(&format!("message 1.1 luke {SENT} 9.1 live hans"));
    client.shows("luke: hans");
}

#[test]
fn what_came_while_the_person_was_away_is_marked_at_both_ends() {
    for (options, rule) in [(&["--new-after", "1"][..], "──"), (&["--new-after", "1", "--plain"], "--")] {
        let server = FakeServer::start();
        let (mut terminal, mut connection) = logged_in(&server, (15, 60), options, &[]);
        terminal.types("help ping\r");
        terminal.wait("help", |rows| rows.iter().any(|row| row.starts_with("ping USER")));
        connection.expect("active");
        // What is tested is that time passes.
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        for id in 1..15 {
            connection.say(&format!("message 1.{id} luke {SENT} 9.{id} live number {id}"));
        }
        terminal.sees("14:02 luke: number 14");
        terminal.types("w");
        let (begin, end) = (format!("{rule} new {rule}"), format!("{rule} 14 new {rule}"));
        terminal.sees(&end);
        terminal.types("hoelse\r");
        connection.expect("#1 whoelse");
        connection.say("ok #1 whoelse 0");
        terminal.sees("Nobody else");
        let (_, written) = leave(terminal, connection);
        let place = |words: &str| written.find(words).unwrap_or_else(|| panic!("{words} in {written}"));
        assert!(place("ping USER") < place(&begin) && place(&begin) < place("number 1\r"), "{written}");
        assert!(place("number 14") < place(&end) && place(&end) < place("Nobody else"), "{written}");
        assert_eq!(written.matches(&begin).count(), 1);
    }
}

#[test]
fn raw_shows_the_lines_of_the_protocol_and_no_secret() {
    for (size, options) in [((24, 80), &[][..]), ((15, 60), &["--plain"])] {
        let server = FakeServer::start();
        let (mut terminal, mut connection) = logged_in(&server, size, options, &[]);
        terminal.types("/raw\r");
        connection.expect("active");
        terminal.sees("-> active");
        connection.say(&format!("device {TOKEN}"));
        connection.say("online \x1b[2Jluke");
        connection.say("online luke");
        terminal.sees("<- device …");
        terminal.sees("<- online ^[[2Jluke");
        terminal.sees("luke logged in");
        terminal.types("ping luke\r");
        connection.expect("#1 ping luke");
        connection.say("ok #1 ping luke online");
        terminal.sees("-> #1 ping luke");
        terminal.sees("<- ok #1 ping luke online");
        terminal.types("/raw\r");
        terminal.sees("Lines of the protocol are shown no more");
        let (_, written) = leave(terminal, connection);
        assert!(!written.contains(TOKEN) && !written.contains("falcon"), "{written}");
        assert!(!written.contains(" logout\r"), "{written}");
    }
}
