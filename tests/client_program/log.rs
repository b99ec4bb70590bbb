//! What was said, kept on the client's own disk: history, search, and the lines before a session.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use support::{Client, Connection, FakeServer, Terminal};

/// Friday, 20 November 2026, 14:02 in UTC.
const FRIDAY: u64 = 1_795_183_320_000_000;

/// Where hans' client keeps its log.
fn log(server: &FakeServer) -> PathBuf {
    server.place.folder().join(format!("state/hobnob/127.0.0.1_{}/hans/log", server.port))
}

/// Writes lines into the log, as an earlier client has, or somebody else.
fn write_log(server: &FakeServer, lines: &str) {
    let path = log(server);
    fs::create_dir_all(path.parent().expect("a folder")).expect("makes it");
    fs::write(path, lines).expect("writes");
}

fn line(kind: &str, with: &str, from: &str, text: &str, minutes: u64) -> String {
    let at = FRIDAY + minutes * 60_000_000;
    format!("{}\n", json!({ "kind": kind, "with": with, "from": from, "text": text, "at": at }))
}

fn with_password(server: &FakeServer, options: &[&str]) -> Vec<String> {
    let password = server.place.folder().join("password");
    fs::write(&password, "falcon\n").expect("writes");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).expect("changes it");
    let password = password.to_str().expect("UTF-8").to_owned();
    let first = ["--user".into(), "hans".into(), "--password-file".into(), password];
    first.into_iter().chain(options.iter().map(|word| (*word).to_owned())).collect()
}

fn welcomed(server: &FakeServer) -> Connection {
    let mut connection = server.accept();
    connection.expect("login hans");
    connection.say("ask password");
    connection.expect("login hans falcon");
    connection.welcome("hans");
    connection
}

fn on_pipe(server: &FakeServer, options: &[&str]) -> (Client, Connection) {
    let options = with_password(server, options);
    let client = server.client(&options.iter().map(String::as_str).collect::<Vec<_>>());
    let connection = welcomed(server);
    (client, connection)
}

fn at_terminal(server: &FakeServer, options: &[&str]) -> (Terminal, Connection) {
    let options = with_password(server, options);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let terminal = server.terminal_in(&options, &[("TZ", "UTC")]);
    let connection = welcomed(server);
    terminal.sees("Welcome, hans!");
    (terminal, connection)
}

fn log_out(hans: &mut Client, mut connection: Connection) {
    hans.say("logout");
    let number = loop {
        // The client says that something was typed.
        let line = connection.hear_command().expect("a logout");
        match line.strip_suffix(" logout") {
            Some(number) => break number.to_owned(),
            None => assert_eq!(line, "active"),
        }
    };
    connection.say(&format!("ok {number} logout\nbye logout"));
    assert_eq!(hans.ended(), 0);
}

/// The texts of a result.
fn texts(result: &Value) -> Vec<&str> {
    let messages = result["messages"].as_array().unwrap_or_else(|| panic!("messages in {result}"));
    messages.iter().filter_map(|message| message["text"].as_str()).collect()
}

#[test]
fn what_was_said_is_found_in_the_next_session() {
    let server = FakeServer::start();
    let (mut hans, mut connection) = on_pipe(&server, &["--json", "--log", "on"]);
    connection.say(&format!("message 1.1 luke {FRIDAY} 9.1 live Lunch at noon?"));
    connection.say(&format!("group-message 1.2 jedi yoda {FRIDAY} 9.2 live lunch I need not"));
    connection.say(&format!("broadcast 1.1 vader {FRIDAY} 9.3 live all stop"));
    for _ in 0..3 {
        hans.wait_for("message");
    }
    connection.expect_shown("1.2");
    let line = hans.say("message luke at one\u{2028}or two");
    connection.expect("#1 message luke at one\u{2028}or two");
    connection.say("ok #1 message luke delivered");
    hans.result_of(line);
    let line = hans.say("message nobody lost");
    connection.expect("#2 message nobody lost");
    connection.say("error #2 unknown_user message");
    hans.result_of(line);
    assert_eq!(texts(&hans.ok("history luke")), ["Lunch at noon?", "at one\nor two"]);
    log_out(&mut hans, connection);
    assert_eq!(fs::metadata(log(&server)).expect("is there").permissions().mode() & 0o777, 0o600);

    let (mut hans, connection) = on_pipe(&server, &["--json", "--log", "on"]);
    let all = hans.ok("history");
    assert_eq!(texts(&all), ["Lunch at noon?", "lunch I need not", "all stop", "at one\nor two"]);
    assert_eq!(
        all["messages"][0],
        json!({ "kind": "direct", "from": "luke", "text": "Lunch at noon?", "sent_at": "2026-11-20T14:02:00.000Z" })
    );
    assert_eq!((&all["messages"][1]["group"], &all["messages"][3]["to"]), (&json!("jedi"), &json!("luke")));
    assert_eq!(texts(&hans.ok("history 1")), ["at one\nor two"]);
    assert_eq!(texts(&hans.ok("history group jedi")), ["lunch I need not"]);
    assert_eq!(texts(&hans.ok("search LUNCH")), ["Lunch at noon?", "lunch I need not"]);
    assert_eq!(texts(&hans.ok("search lunch noon")), ["Lunch at noon?"]);
    assert_eq!(hans.fails("search"), "usage");
    assert_eq!(hans.fails("history luke 0"), "usage");
    log_out(&mut hans, connection);
}

#[test]
fn on_a_pipe_nothing_is_kept_unless_it_is_asked_for() {
    let server = FakeServer::start();
    let (mut hans, mut connection) = on_pipe(&server, &["--json"]);
    connection.say(&format!("message 1.1 luke {FRIDAY} 9.1 live hi"));
    connection.expect_shown("1.1");
    assert_eq!(hans.fails("history"), "no_log");
    assert_eq!(hans.fails("search hi"), "no_log");
    log_out(&mut hans, connection);
    assert!(!log(&server).exists());
}

#[test]
fn a_terminal_shows_what_was_said_before_and_finds_it() {
    let server = FakeServer::start();
    let lines = [
        line("direct", "luke", "luke", "lunch?", 0),
        line("direct", "luke", "hans", "yes", 1),
        line("group", "jedi", "yoda", "patience", 2),
    ];
    write_log(&server, &lines.concat());
    let (mut terminal, mut connection) = at_terminal(&server, &["--log-days", "0"]);
    let before = [
        "── before ──",
        "── Friday 20 November 2026 ──",
        "14:02 luke: lunch?",
        "14:03 hans(to luke): yes",
        "14:04 yoda(group jedi): patience",
        "── now ──",
        ">",
    ];
    terminal.shows(&before);
    terminal.types("message luke hi\r");
    connection.expect("#1 message luke hi");
    terminal.types("half a li");
    connection.say("ok #1 message luke delivered\nonline leia");
    terminal.sees("leia logged in");
    terminal.types("\x15search PATIENCE\r");
    terminal.shows(&[
        "> search PATIENCE",
        "── Friday 20 November 2026 ──",
        "14:04 yoda(group jedi): patience",
        ">",
    ]);
    terminal.types("history luke 1\r");
    terminal.wait("what was sent", |rows| rows.concat().contains("hans(to luke): hi"));
    terminal.types("search nothing\r");
    terminal.shows(&["> search nothing", "Nothing is known of that", ">"]);
}

#[test]
fn a_damaged_or_hostile_log_does_nothing_to_the_terminal() {
    let server = FakeServer::start();
    let mut lines = String::from("no JSON at all\n{\"kind\":\"direct\"}\n\0\u{1b}[2J\n");
    lines += &format!("{}\n", "x".repeat(300_000));
    lines += &line("direct", "luke", "luke", "\u{1b}[31mred\u{202e}\r\n14:02 yoda: me", 0);
    lines += &line("direct", "lu\u{1b}ke", "luke", "no name", 0);
    lines += &line("everybody", "luke", "luke", "no kind", 0);
    lines += &line("direct", "luke", "luke", "good", 1);
    lines += "{\"kind\":\"direct\",\"with\":\"luke\",\"from\":\"luke\",\"te";
    write_log(&server, &lines);
    let (terminal, mut connection) = at_terminal(&server, &["--log-days", "0"]);
    terminal.shows(&[
        "── before ──",
        "── Friday 20 November 2026 ──",
        "14:02 luke: ^[[31mred<U+202E>^M",
        "    14:02 yoda: me",
        "14:03 luke: good",
        "── now ──",
        ">",
    ]);
    connection.say("online luke");
    terminal.sees("luke logged in");
}

#[test]
fn a_log_that_cannot_be_written_is_said_once_and_nothing_else_happens() {
    let server = FakeServer::start();
    fs::create_dir_all(log(&server)).expect("a folder in its place");
    let (mut hans, mut connection) = on_pipe(&server, &["--json", "--log", "on"]);
    for number in 1..=3 {
        connection.say(&format!("message 1.{number} luke {FRIDAY} 9.{number} live hi"));
        hans.wait_for("message");
    }
    connection.expect_shown("1.3");
    assert_eq!(hans.fails("history"), "no_log");
    log_out(&mut hans, connection);
    let said = hans.diagnostics();
    assert_eq!(said.matches("what is said is not kept").count(), 1, "{said}");
}

#[test]
fn a_link_in_place_of_the_log_is_not_followed() {
    let server = FakeServer::start();
    let path = log(&server);
    fs::create_dir_all(path.parent().expect("a folder")).expect("makes it");
    let target = server.place.folder().join("target");
    fs::write(&target, "kept").expect("writes");
    std::os::unix::fs::symlink(&target, &path).expect("a link");
    let (mut hans, mut connection) = on_pipe(&server, &["--json", "--log", "on"]);
    connection.say(&format!("message 1.1 luke {FRIDAY} 9.1 live hi"));
    hans.wait_for("message");
    connection.expect_shown("1.1");
    log_out(&mut hans, connection);
    assert_eq!(fs::read_to_string(target).expect("is there"), "kept");
}

#[test]
fn old_lines_go_at_the_start() {
    let server = FakeServer::start();
    let old = json!({ "kind": "direct", "with": "luke", "from": "luke", "text": "old", "at": 1_700_000_000_000_000_u64 });
    write_log(&server, &format!("{old}\n{}", line("direct", "luke", "luke", "to come", 600_000)));
    let (mut hans, connection) = on_pipe(&server, &["--json", "--log", "on", "--log-days", "1"]);
    assert_eq!(texts(&hans.ok("history")), ["to come"]);
    log_out(&mut hans, connection);
    assert!(!fs::read_to_string(log(&server)).expect("is there").contains("old"));
}
