//! A server that says more than any client could keep.

use support::{Client, Connection, FakeServer};

/// The most memory that a client may have had, in KiB: its program and 64 MiB of what the server has said.
const MOST: u64 = (64 + 16) << 10;

fn logged_in(server: &FakeServer) -> (Client, Connection) {
    let mut client = server.client(&["--json", "--user", "hans"]);
    client.answer("falcon");
    let connection = server.log_in("hans");
    assert_eq!(client.skip_to("login")["ok"], true);
    (client, connection)
}

/// The most memory that a process has had, in KiB.
fn most_memory(client: &Client) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", client.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Says a line again and again until the connection is closed; how often.
fn say_on_and_on(connection: &mut Connection, line: impl Fn(usize) -> String) -> usize {
    (0..).take_while(|number| connection.try_say(&line(*number))).count()
}

fn names(name: &str) -> String {
    vec![name; 60_000 / name.len()].join(" ")
}

#[test]
fn a_list_without_end_is_refused_and_the_session_goes_on() {
    for name in ["a", "abcdefgh", "\u{1}\u{2}\u{3}", &"x".repeat(50_000)] {
        let server = FakeServer::start();
        let (mut client, mut connection) = logged_in(&server);
        (0..200).for_each(|_| _ = client.say("whoelse"));
        for _ in 0..200 {
            connection.hear_command();
        }
        let names = names(name);
        say_on_and_on(&mut connection, |number| format!("users #{} {names}", number % 200 + 1));
        assert_eq!(client.skip_to("result")["error"], "outcome_unknown");
        let notice = client.skip_to("notice");
        assert!(notice["text"].as_str().is_some_and(|text| text.contains("longer list")), "{notice}");
        let mut connection = server.accept();
        assert!(connection.hear().is_some_and(|line| line.starts_with("resume hans ")));
        connection.say(&format!("resumed hans unread 0 login 1 token {}", support::TOKEN));
        connection.say("online luke");
        assert_eq!(client.skip_to("presence")["user"], "luke");
        let memory = most_memory(&client);
        assert!(memory < MOST, "{memory} KiB after names like {:?}", &name[..name.len().min(8)]);
    }
}

#[test]
fn the_longest_list_that_fits_is_shown() {
    let server = FakeServer::start();
    let (mut client, mut connection) = logged_in(&server);
    client.say("whoelse");
    connection.expect("#1 whoelse");
    // 96 bytes each, of 24 MiB.
    let all = (24 << 20) / 96;
    for first in (0..all).step_by(5_000) {
        let names: Vec<String> =
            (first..all.min(first + 5_000)).map(|number| format!("u{number:07}")).collect();
        connection.say(&format!("users #1 {}", names.join(" ")));
    }
    connection.say(&format!("ok #1 whoelse {all}"));
    let result = client.skip_to("result");
    assert_eq!(result["users"].as_array().map(Vec::len), Some(all), "{}", client.diagnostics());
    let memory = most_memory(&client);
    assert!(memory < MOST, "{memory} KiB");
}

#[test]
fn what_comes_while_the_state_is_opened_and_after_it_is_bounded() {
    let server = FakeServer::start();
    let (mut client, mut connection) = logged_in(&server);
    let requests = (0..20_000).map(|number| format!("request u{number}")).collect::<Vec<_>>().join("\n");
    connection.say(&requests);
    let long = "y".repeat(900_000);
    for line in 0..100 {
        connection.say(&format!("members rebels{line} {long}\nrequest {long}\nonline {long}"));
    }
    connection.say("online luke");
    client.wait("luke", |object| object["type"] == "presence" && object["user"] == "luke");
    let memory = most_memory(&client);
    assert!(memory < MOST, "{memory} KiB");
}
