//! `hobnob-server top`: what a server does, each second.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use serde_json::Value;
use support::{Place, Server, Terminal};

#[test]
fn without_a_server_there_is_nothing_to_show() {
    let output = Place::samples().run_server(&["top", "--once"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.starts_with("hobnob-server: no server runs on "), "{said}");
}

#[test]
fn once_is_one_table_or_one_object() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    hans.ok("message yoda hello");
    let output = server.place.run_server(&["top", "--once"]);
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with("hobnob-server ") && lines[1].starts_with("1 sessions, 1 links, "),
        "{said}"
    );
    assert!(lines.last().is_some_and(|line| line.starts_with("hans ") && line.ends_with('s')), "{said}");
    assert!(!said.contains('\u{1b}') && said.ends_with("s\n"), "{said}");
    let output = server.place.run_server(&["top", "--once", "--json"]);
    let object: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(object["status"]["mailbox_bytes"], 5, "{object}");
    assert!(object["status"]["rates"]["messages"].is_f64(), "{object}");
    assert_eq!(object["sessions"][0]["user"], "hans", "{object}");
}

/// What a terminal with one row asks for.
#[test]
fn a_server_tells_no_more_sessions_than_it_is_asked_for() {
    let server = Server::start(&[]);
    let (_hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    yoda.ok("whoelse");
    let ask = |line: &str| {
        let mut socket = UnixStream::connect(server.place.data().join("ctl.sock")).expect("a server");
        socket.write_all(line.as_bytes()).expect("said");
        let mut answer = String::new();
        BufReader::new(socket).read_line(&mut answer).expect("an answer");
        serde_json::from_str::<Value>(&answer).expect("JSON")
    };
    let answer = ask("top 1\n");
    assert_eq!(answer["status"]["sessions"], 2, "{answer}");
    assert_eq!(answer["sessions"].as_array().map(Vec::len), Some(1), "{answer}");
    assert_eq!(ask("top\n")["sessions"].as_array().map(Vec::len), Some(2));
    assert_eq!(ask("top all\n")["ok"], false);
}

#[test]
fn on_a_pipe_there_is_one_object_after_the_other_until_nobody_reads() {
    let server = Server::start(&[]);
    let mut command = server.place.server_command();
    let mut top = command.args(["top", "--json"]).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut objects = BufReader::new(top.stdout.take().expect("its output")).lines();
    for _ in 0..2 {
        let line = objects.next().expect("an object").expect("text");
        let object: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(object["status"]["sessions"], 0, "{object}");
    }
    drop(objects);
    assert_eq!(top.wait().expect("its end").code(), Some(0));
}

#[test]
fn at_a_terminal_the_table_follows_and_the_terminal_is_left_as_it_was() {
    let server = Server::start(&[]);
    let script = "echo before; \"$SERVER\" top; echo \"left $?\"; stty -a | grep -ow -e '-icanon' -e icanon";
    let mut terminal = Terminal::script(&server.place, script);
    terminal.wait("the table", |rows| rows.iter().any(|row| row.starts_with("USER ")));
    assert!(!terminal.rows().iter().any(|row| row == "before"), "it has a screen of its own");
    let _hans = server.user("hans");
    terminal.wait("the session", |rows| rows.iter().any(|row| row.starts_with("hans ")));
    terminal.types("x");
    terminal.types("q");
    terminal.shows(&["before", "left 0", "icanon"]);
    let mut terminal = Terminal::script(&server.place, script);
    terminal.wait("the table", |rows| rows.iter().any(|row| row.starts_with("USER ")));
    terminal.types("\u{3}");
    terminal.shows(&["before", "left 0", "icanon"]);
}

#[test]
fn a_server_that_goes_is_told_of_and_asked_again() {
    let mut server = Server::start(&[]);
    let mut terminal = Terminal::script(&server.place, "\"$SERVER\" top");
    terminal.wait("the table", |rows| rows.iter().any(|row| row.starts_with("USER ")));
    server.stop();
    terminal.wait("the trouble", |rows| rows.iter().any(|row| row.starts_with("no server runs on ")));
    server.start_again();
    terminal.wait("the table", |rows| rows.iter().any(|row| row.starts_with("USER ")));
    terminal.types("q");
}

#[test]
fn a_dumb_terminal_gets_tables_without_escape_sequences() {
    let server = Server::start(&[]);
    let script = "TERM=dumb timeout 20 \"$SERVER\" top | head -14 | od -c | grep -c 033; echo done";
    let terminal = Terminal::script(&server.place, script);
    terminal.shows(&["0", "done"]);
}
