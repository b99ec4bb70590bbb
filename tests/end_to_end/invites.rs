//! `hobnob-server invite` and `hobnob join`.

use std::fs;
use std::process::Output;

use serde_json::Value;
use support::{Client, Place, Server};

/// A server with TLS that lets nobody register.
fn server() -> Server {
    Server::start_in(Place::samples().encrypted(), &[])
}

fn invite(server: &Server, words: &[&str]) -> Output {
    server.place.run_server(&[&["invite"], words].concat())
}

/// What whoever is invited types, as people read it.
fn link(server: &Server, words: &[&str]) -> String {
    let output = invite(server, words);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let line = String::from_utf8(output.stdout).expect("UTF-8");
    line.trim_end().strip_prefix("hobnob join ").expect("a command").to_owned()
}

fn object(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("an object")
}

fn join(server: &Server, state: &str, link: &str, options: &[&str]) -> Client {
    let mut command = server.place.client_command();
    let state = server.place.state_of(state);
    command.args(["join", link, "--json", "--state"]).arg(state).args(options);
    Client::spawn(command, true)
}

#[test]
fn one_line_pins_the_key_and_makes_an_account() {
    let server = server();
    let mut hans = server.user("hans");
    let link = link(&server, &[]);
    assert!(link.ends_with(&server.fingerprint), "{link}");
    let mut rey = join(&server, "rey", &link, &[]);
    let connection = rey.wait_for("connection");
    assert_eq!(
        (&connection["fingerprint"], &connection["first_use"]),
        (&server.fingerprint.as_str().into(), &true.into())
    );
    rey.wait("a question", |object| object["ask"] == "username");
    rey.answer("hans");
    rey.wait("a refusal", |object| object["error"] == "name_taken");
    rey.wait("a question", |object| object["ask"] == "username");
    rey.answer("rey");
    rey.wait("a question", |object| object["ask"] == "new_password");
    rey.answer("a secret");
    rey.wait("a session", |object| object["type"] == "login" && object["ok"] == true);
    hans.presence("rey", true);
    hans.ok("message rey hello");
    rey.message("hello");
    rey.log_out();
    // The key is pinned, and the account is there for good; the invite is not.
    let mut again = server.client(&["--state", server.place.state_of("rey").to_str().expect("UTF-8")]);
    let connection = again.skip_to("connection");
    assert_ne!(connection["first_use"], true, "{connection}");
    again.log_in("rey", "a secret");
    let mut late = join(&server, "late", &link, &[]);
    late.wait("a refusal", |object| object["error"] == "invalid_invite");
    assert_eq!(late.ended(), 4);
    let credentials = fs::read_to_string(server.place.path("credentials.txt")).expect("a file");
    assert!(credentials.lines().any(|line| line.starts_with("rey $argon2id$")), "{credentials}");
}

/// As the operator's program prints it, by a pipe: nothing of it is in the list of processes.
#[test]
fn an_invite_is_read_from_the_input() {
    let server = server();
    let said = String::from_utf8(invite(&server, &[]).stdout).expect("UTF-8");
    let mut rey = join(&server, "rey", "-", &[]);
    rey.answer(said.trim_end());
    rey.wait("a question", |object| object["ask"] == "username");
    let line = fs::read(format!("/proc/{}/cmdline", rey.id())).expect("a command line");
    let code = said.split(['/', '#']).nth(1).expect("a code");
    assert!(!String::from_utf8_lossy(&line).contains(code));
    rey.answer("rey");
    rey.wait("a question", |object| object["ask"] == "new_password");
    rey.answer("a secret");
    rey.wait("a session", |object| object["type"] == "login" && object["ok"] == true);
    // Lines are counted from the invite on.
    assert_eq!(rey.ok("whoelse")["line"], 4);
    rey.log_out();
}

#[test]
fn an_input_without_an_invite_is_a_usage_error() {
    let server = server();
    for (first, why) in [
        ("chat.example.org\n", "the first line of the input is no invite"),
        ("\n", "the first line of the input is no invite"),
        ("", "say the invite"),
    ] {
        let mut rey = join(&server, "rey", "-", &[]);
        rey.write(first.as_bytes());
        rey.end_input();
        assert_eq!(rey.ended(), 2, "{first:?}");
        let said = rey.diagnostic();
        assert!(said.contains(why) && said.contains("HOST:PORT/CODE"), "{first:?}: {said}");
    }
}

#[test]
fn what_is_left_of_an_invite_outlives_a_kill() {
    let mut server = server();
    let made = object(&invite(&server, &["--uses", "2", "--expires", "1h", "--json"]));
    let link = made["join"]
        .as_str()
        .and_then(|line| line.strip_prefix("hobnob join "))
        .expect("a command")
        .to_owned();
    server.place.write("password", "a secret\n");
    let password = server.place.path("password").to_str().expect("UTF-8").to_owned();
    let come = |server: &Server, name: &str| {
        join(server, name, &link, &["--user", name, "--password-file", &password])
    };
    come(&server, "rey").wait("a session", |object| object["ok"] == true);
    assert!(server.kill().signal.is_some());
    server.start_again();
    let list = object(&invite(&server, &["--list", "--json"]));
    assert_eq!(
        (&list["invites"][0]["left"], &list["invites"][0]["good"]),
        (&1.into(), &true.into()),
        "{list}"
    );
    come(&server, "finn").wait("a session", |object| object["ok"] == true);
    let mut third = come(&server, "poe");
    third.wait("a refusal", |object| object["error"] == "invalid_invite");
    assert_eq!(third.ended(), 4);
}

#[test]
fn an_invite_for_one_name_and_one_that_is_revoked() {
    let server = server();
    let link = link(&server, &["rey", "--expires", "10m"]);
    let mut rey = join(&server, "rey", &link, &[]);
    rey.wait("her name", |object| object["text"] == "You are invited as rey");
    rey.wait("a question", |object| object["ask"] == "new_password");
    let said = invite(&server, &["--list"]);
    let said = String::from_utf8(said.stdout).expect("UTF-8");
    assert!(said.starts_with("1 ") && said.contains("good") && said.trim_end().ends_with("rey"), "{said}");
    assert_eq!(invite(&server, &["--revoke", "1"]).status.code(), Some(0));
    rey.answer("a secret");
    rey.wait("a refusal", |object| object["error"] == "invalid_invite");
    assert_eq!(rey.ended(), 4);
    let twice = invite(&server, &["--revoke", "1"]);
    let said = String::from_utf8_lossy(&twice.stderr).into_owned();
    assert_eq!(twice.status.code(), Some(1));
    assert!(said.contains("no invite of this number"), "{said}");
}

#[test]
fn a_link_of_another_key_is_no_link_and_nothing_is_said() {
    let server = server();
    let link = link(&server, &[]);
    let (place, _) = link.split_once('#').expect("a key");
    let other = format!("{place}#SHA256:{}", "A".repeat(43));
    let mut client = join(&server, "rey", &other, &[]);
    assert_eq!(client.ended(), 6);
    assert!(client.diagnostic().contains(&server.fingerprint));
    let mut client = join(&server, "rey", &link, &[]);
    client.wait("a question", |object| object["ask"] == "username");
}

#[test]
fn people_read_what_an_invite_is_good_for() {
    let place = Place::samples().encrypted().set("advertise=chat.example.org");
    let server = Server::start_in(place, &[]);
    let output = invite(&server, &["--uses", "30", "--qr"]);
    let (said, about) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let begins = format!("hobnob join chat.example.org:{}/", server.port);
    assert!(said.starts_with(&begins) && said.contains('█'), "{said}");
    assert!(
        about.starts_with("invite 1: for 30 accounts, until 20") && about.lines().count() == 1,
        "{about}"
    );
    for (words, why) in [
        (&["--uses", "0"][..], "1 to 1000 accounts"),
        (&["--expires", "tomorrow"], "no time"),
        (&["a b"], "no name"),
        (&["--revoke", "9"], "no invite"),
    ] {
        let output = invite(&server, words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(why), "{words:?}: {said}");
    }
    assert_eq!(invite(&server, &["--list", "--qr"]).status.code(), Some(2));
    let log = server.log();
    let code = said.split(['/', '#']).nth(1).expect("a code");
    assert!(log.contains("invite 30") && !log.contains(code), "{log}");
}
