//! The operator's log: its formats, its file, and what it says of a start, a stop and wrong passwords.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use serde_json::Value;
use support::{Place, Server};

/// Three wrong passwords of hans.
fn lock(server: &Server) {
    let mut stranger = server.client(&[]);
    stranger.answer("hans");
    for _ in 0..3 {
        stranger.answer("wrongwrong");
        stranger.wait_for("login");
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

#[test]
fn start_lock_and_stop_are_told_at_the_default_level_with_names() {
    let mut server = Place::samples().serve_with(&["--set", "failures_per_address=0"]);
    lock(&server);
    server.logs("hans is locked for 60 s, 3 wrong passwords, the last from 127.0.0.1:", 1);
    let mut stranger = server.client(&[]);
    stranger.answer("opensesame");
    for _ in 0..3 {
        stranger.answer("wrongwrong");
        stranger.wait_for("login");
    }
    server.logs("a name without an account is locked for 60 s", 1);
    let address = server.address;
    let log = server.stop().log;
    let version = env!("CARGO_PKG_VERSION");
    for part in [
        &format!("INFO hobnob-server {version} starts (process {}): {address} without TLS", server.id()),
        "hobnob-data, 5 accounts, 0 bytes of stored mail\n",
        " INFO stopped after ",
    ] {
        assert!(log.contains(part), "{part:?} in {log}");
    }
    assert!(!log.contains("opensesame") && !log.contains("wrongwrong"), "{log}");
    assert!(!log.contains("logged in"), "{log}");
}

#[test]
fn each_line_of_json_is_an_object_with_its_parts() {
    let server = Place::samples().serve_with(&["-v", "--set", "log_format=json"]);
    lock(&server);
    server.user("yoda").log_out();
    server.logs("\"logout\"", 1);
    let log = lines(&server.log());
    let of =
        |event: &str| log.iter().find(|line| line["event"] == event).unwrap_or_else(|| panic!("{event}"));
    assert_eq!(of("start")["address"], server.address.to_string());
    let locked = of("lock");
    assert_eq!((&locked["user"], &locked["failures"]), (&"hans".into(), &3.into()), "{locked}");
    assert_eq!((&locked["level"], &locked["secs"]), (&"warn".into(), &60.into()), "{locked}");
    assert!(locked["from"].as_str().is_some_and(|from| from.starts_with("127.0.0.1:")), "{locked}");
    assert!(locked["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{locked}");
    assert_eq!(of("login")["user"], "yoda");
}

#[test]
fn lines_for_journald_begin_with_their_priority() {
    let mut server = Place::samples().serve_with(&["--set", "log_format=journald"]);
    lock(&server);
    server.logs("<4>hans is locked for 60 s", 1);
    let log = server.stop().log;
    assert!(log.contains("\n<6>hobnob-server ") && log.ends_with(" s\n"), "{log}");
    assert!(log.lines().all(|line| line.starts_with('<')), "{log}");
}

#[test]
fn the_log_file_is_the_owners_and_a_rotated_one_is_made_again() {
    let place = Place::samples();
    let mut server = place.serve_with(&["--set", "log_file=hobnob-data/log"]);
    let file = server.place.data().join("log");
    let read = || fs::read_to_string(&file).expect("the log");
    assert_eq!(fs::metadata(&file).expect("the log").permissions().mode() & 0o777, 0o600);
    assert!(read().contains(" starts (process "), "{}", read());
    fs::rename(&file, file.with_extension("1")).expect("a rotation");
    let status = server.place.run_server(&["ctl", "reload"]);
    assert!(status.status.success(), "{status:?}");
    lock(&server);
    let status = server.place.run_server(&["ctl", "status"]);
    assert!(status.status.success(), "{status:?}");
    assert!(read().contains("hans is locked") && !read().contains(" starts "), "{}", read());
    let ended = server.stop();
    assert_eq!((ended.code, ended.log.as_str()), (Some(0), ""), "everything is in the file");
    assert!(read().contains("stopped after"), "{}", read());
}

#[test]
fn a_log_file_that_cannot_be_opened_is_told_and_the_old_one_stays() {
    let place = Place::samples();
    let output = place.run_server(&["0", "--plaintext", "--set", "log_file=nowhere/log"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("hobnob-server: log_file nowhere/log: No such file"), "{said}");
    place.write("hobnob.toml", "log_file = \"log\"\n");
    let config = place.path("hobnob.toml");
    let server = Server::start_with(place, &["--config", config.to_str().expect("UTF-8")]);
    server.place.write("hobnob.toml", "log_file = \"nowhere/log\"\n");
    let output = server.place.run_server(&["ctl", "reload"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("nothing was changed: log_file nowhere/log: "), "{said}");
    let log = server.place.read("log");
    assert!(log.contains("ERROR nothing was changed: log_file nowhere/log: "), "{log}");
    server.place.write("hobnob.toml", "log_format = \"json\"\n");
    server.signal(Signal::HUP);
    server.logs("\"accounts and settings are read again\"", 1);
}
