//! `hobnob-server ctl`: an operator steers a running server.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use serde_json::Value;
use support::{Place, Server, password};

/// The answer to a command, and the exit code.
fn ask(place: &Place, words: &[&str]) -> (Value, Option<i32>) {
    let output = place.run_server(&[&["ctl", "--json"], words].concat());
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    (serde_json::from_str(&stdout).unwrap_or(Value::Null), output.status.code())
}

/// What people read.
fn read(place: &Place, words: &[&str]) -> String {
    let output = place.run_server(&[&["ctl"], words].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn without_a_server_nothing_is_steered() {
    let mut server = Server::start(&[]);
    let place = server.place.clone();
    let fresh = Place::samples();
    let output = fresh.run_server(&["ctl", "status"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("hobnob-server: no server runs on ") && said.lines().count() == 1, "{said}");
    assert!(server.kill().signal.is_some());
    assert_eq!(ask(&place, &["status"]), (Value::Null, Some(1)), "a socket that was left behind");
    server.start_again();
    assert_eq!(ask(&place, &["status"]).1, Some(0));
    assert_eq!(place.run_server(&["ctl", "dance"]).status.code(), Some(2));
}

#[test]
fn only_the_owner_of_the_data_folder_may_open_the_socket() {
    let server = Server::start(&[]);
    let socket = fs::metadata(server.place.data().join("ctl.sock")).expect("the socket");
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
}

#[test]
fn status_and_sessions_say_what_is_there() {
    let server = Server::start(&["failures_per_address=0"]);
    let mut hans = server.user("hans");
    let _luke = server.user("luke");
    hans.ok("message yoda hello");
    let (status, code) = ask(&server.place, &["status"]);
    assert_eq!(code, Some(0));
    let expected = [("sessions", 2), ("links", 2), ("locked", 0), ("store_queue", 0), ("mailbox_bytes", 5)];
    for (field, value) in expected {
        assert_eq!(status[field], value, "{field} of {status}");
    }
    assert!(status["accounts"].as_u64().is_some_and(|accounts| accounts >= 3), "{status}");
    assert!(status["uptime_secs"].is_u64() && status["version"] == env!("CARGO_PKG_VERSION"), "{status}");
    let (answer, _) = ask(&server.place, &["sessions"]);
    let sessions = answer["sessions"].as_array().expect("a list");
    let users: Vec<&Value> = sessions.iter().map(|session| &session["user"]).collect();
    assert_eq!(users, ["hans", "luke"]);
    for session in sessions {
        assert!(session["from"].as_str().is_some_and(|from| from.starts_with("127.0.0.1:")), "{session}");
        assert!(session["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{session}");
        assert!(session["idle_secs"].is_u64(), "{session}");
    }
    assert!(read(&server.place, &["status"]).contains("\nsessions       2\n"));
    assert!(read(&server.place, &["sessions"]).starts_with("hans "));
    let mut stranger = server.client(&[]);
    stranger.answer("yoda");
    for _ in 0..3 {
        stranger.answer("wrong");
        stranger.wait_for("login");
    }
    assert_eq!(ask(&server.place, &["status"]).0["locked"], 1);
}

#[test]
fn status_has_what_happens_a_second() {
    let server = Server::start(&[]);
    let rates = || ask(&server.place, &["status"]).0["rates"].clone();
    let is_more = |rates: &Value, of: &str| rates[of].as_f64().is_some_and(|rate| rate > 0.0);
    for of in ["messages", "logins", "commands"] {
        assert_eq!(rates()[of], 0.0, "{of}");
    }
    // A rate looks back on ten seconds, which may be over before it is asked for.
    while !["messages", "logins", "commands"].iter().all(|of| is_more(&rates(), of)) {
        let mut hans = server.user("hans");
        hans.ok("message yoda hello");
        hans.log_out();
    }
    assert!(read(&server.place, &["status"]).contains("\nrates          commands "));
}

#[test]
fn a_reload_says_what_has_changed_or_why_nothing_has() {
    let place = Place::samples();
    place.write("hobnob.toml", "timeout = 900\n");
    let config = place.path("hobnob.toml");
    let config = config.to_str().expect("UTF-8");
    let server = Server::start_with(place, &["--config", config]);
    let (answer, code) = ask(&server.place, &["reload"]);
    assert_eq!((code, answer["changed"].as_array().map(Vec::len)), (Some(0), Some(0)), "{answer}");
    server.place.write("hobnob.toml", "timeout = 600\ncore_dumps = true\n");
    let (answer, _) = ask(&server.place, &["reload"]);
    assert_eq!(answer["changed"][0], "timeout: 900 -> 600", "{answer}");
    assert_eq!(answer["changed"].as_array().map(Vec::len), Some(1), "{answer}");
    assert_eq!(answer["needs_restart"][0], "core_dumps", "{answer}");
    server.place.write("hobnob.toml", "timeout = soon\n");
    let (answer, code) = ask(&server.place, &["reload"]);
    assert_eq!((code, &answer["ok"]), (Some(1), &Value::Bool(false)));
    assert!(answer["error"].as_str().is_some_and(|why| why.starts_with("nothing was changed: ")), "{answer}");
    let uid = rustix::process::getuid().as_raw();
    server.logs(&format!("an operator (uid {uid}) says reload"), 3);
}

#[test]
fn an_operator_steers_from_their_session() {
    let place = Place::samples();
    place.write("hobnob.toml", "operators = [\"hans\", \"nobody-yet\"]\nregistration = \"open\"\n");
    let config = place.path("hobnob.toml");
    let server = Server::start_with(place, &["--config", config.to_str().expect("UTF-8")]);
    let (mut hans, mut luke) = (server.user("hans"), server.user("luke"));
    let lines = |result: &Value| result["lines"].as_array().expect("lines").clone();
    let status = lines(&hans.ok("op status"));
    assert!(status.iter().any(|line| line == "sessions       2"), "{status:?}");
    let sessions = lines(&hans.ok("op sessions"));
    assert!(sessions[1].as_str().is_some_and(|line| line.starts_with("luke ")), "{sessions:?}");
    assert_eq!(luke.fails("op status"), "not_operator");
    assert_eq!(lines(&hans.ok("op mute luke 10m")), ["reached        1"]);
    assert_eq!(luke.fails("message hans hi"), "muted");
    server.logs("an operator (hans) says mute luke 600s", 1);
    for (order, why) in [
        ("stop", "this is for hobnob-server ctl only"),
        ("kick yoda", "this user is not online"),
        ("dance", "the server does not know this command"),
    ] {
        let refused = hans.ask(&format!("op {order}"));
        assert_eq!(refused["error"], "not_done");
        assert!(refused["text"].as_str().is_some_and(|text| text.contains(why)), "{refused}");
    }
    server.place.write("hobnob.toml", "operators = \"luke\"\n");
    assert_eq!(lines(&hans.ok("op reload"))[0], "accounts       5");
    assert_eq!(hans.fails("op status"), "not_operator");
    luke.ok("op unmute luke");
    assert_eq!(lines(&luke.ok("op kick hans")), ["reached        1"]);
    assert_eq!(hans.wait_for("bye")["reason"], "kicked");
}

#[test]
fn a_reload_takes_up_where_the_server_is_advertised() {
    let place = Place::samples();
    place.write("hobnob.toml", "");
    let config = place.path("hobnob.toml");
    let server = Server::start_with(place, &["--config", config.to_str().expect("UTF-8")]);
    server.place.write("hobnob.toml", "advertise = \"chat.example.org:7\"\n");
    let (answer, _) = ask(&server.place, &["reload"]);
    assert_eq!(answer["changed"][0], "advertise:  -> chat.example.org:7", "{answer}");
    assert_eq!(ask(&server.place, &["reload"]).0["changed"].as_array().map(Vec::len), Some(0));
    let config = server.place.path("hobnob.toml");
    let invite = server.place.run_server(&["--config", config.to_str().expect("UTF-8"), "invite"]);
    let line = String::from_utf8_lossy(&invite.stdout).into_owned();
    assert!(line.contains("join chat.example.org:7/"), "{line}");
}

#[test]
fn stop_returns_when_the_server_has_stopped() {
    for sessions in [0, 1] {
        let mut server = Server::start(&[]);
        let mut users: Vec<_> = (0..sessions).map(|_| server.user("hans")).collect();
        assert_eq!(read(&server.place, &["stop"]), "");
        assert_eq!(ask(&server.place, &["status"]).1, Some(1));
        assert_eq!(server.ended().code, Some(0));
        for user in &mut users {
            assert_eq!(user.wait_for("bye")["reason"], "server_shutdown");
        }
    }
}

#[test]
fn a_restart_keeps_sessions() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    assert_eq!(read(&server.place, &["restart"]), "");
    hans.ok("whoelse");
    let (answer, code) = ask(&server.place, &["sessions"]);
    assert_eq!((code, &answer["sessions"][0]["user"]), (Some(0), &Value::from("hans")));
}

#[test]
fn who_is_away_reads_what_is_kept_when_they_are_back() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let (answer, code) = ask(&server.place, &["announce", "--keep", "back", "at 5"]);
    assert_eq!((code, &answer["reached"]), (Some(0), &Value::from(1)), "{answer}");
    assert_eq!(hans.wait_for("notice")["text"], "back at 5");
    assert_eq!(ask(&server.place, &["announce", "--keep", "at\nsix"]).1, Some(0));
    let listed = read(&server.place, &["announcements"]);
    assert!(listed.starts_with("1      2") && listed.contains("  back at 5\n2      2"), "{listed}");
    assert_eq!(ask(&server.place, &["withdraw", "1"]).1, Some(0));
    assert_eq!(ask(&server.place, &["withdraw", "1"]).0["code"], "unknown_announcement");
    assert_eq!(read(&server.place, &["restart"]), "");
    let mut luke = server.user("luke");
    assert_eq!(luke.wait_for("notice")["text"], "at\nsix");
    luke.log_out();
    let mut luke = server.user("luke");
    luke.ok("whoelse");
    assert!(!luke.history().contains("at\\nsix"), "{}", luke.history());
    hans.ok("whoelse");
    assert_eq!(hans.history().matches("at\\nsix").count(), 1, "{}", hans.history());
}

#[test]
fn an_operator_speaks_to_all_and_ends_a_session() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let mut luke = server.user("luke");
    let (answer, code) = ask(&server.place, &["announce", "back", "at 5"]);
    assert_eq!((code, &answer["reached"]), (Some(0), &Value::from(2)), "{answer}");
    for user in [&mut hans, &mut luke] {
        let notice = user.wait_for("notice");
        assert_eq!((&notice["by"], &notice["text"]), (&"operator".into(), &"back at 5".into()), "{notice}");
    }
    assert_eq!(ask(&server.place, &["kick", "luke", "take a break"]).1, Some(0));
    assert_eq!(luke.wait_for("notice")["text"], "take a break");
    assert_eq!(luke.wait_for("bye")["reason"], "kicked");
    assert_eq!(luke.ended(), 1);
    let (answer, code) = ask(&server.place, &["kick", "luke"]);
    assert_eq!((code, &answer["code"]), (Some(1), &"offline".into()), "{answer}");
    assert_eq!(ask(&server.place, &["kick", "nobody-here"]).0["code"], "unknown_user");
    assert_eq!(ask(&server.place, &["kick", "#"]).0["error"], "this is no name");
    assert_eq!(ask(&server.place, &["announce", "two\nlines\n"]).1, Some(0));
    assert_eq!(hans.wait_for("notice")["text"], "two\nlines");
    assert_eq!(ask(&server.place, &["kick", "luke\n#"]).0["error"], "this is no name");
    let mut luke = server.user("luke");
    luke.ok("message hans I am back");
    server.logs("says kick luke", 1);
    server.logs("take a break", 0);
}

#[test]
fn an_operator_unlocks_a_name() {
    let server = Server::start(&["failures_per_address=0"]);
    let mut stranger = server.client(&[]);
    stranger.answer("yoda");
    for _ in 0..3 {
        stranger.answer("wrong");
        stranger.wait_for("login");
    }
    assert_eq!(ask(&server.place, &["unlock", "yoda"]).0["reached"], 1);
    assert_eq!(ask(&server.place, &["unlock", "yoda"]).0["reached"], 0);
    let mut yoda = server.user("yoda");
    yoda.ok("whoelse");
}

#[test]
fn whoever_is_banned_or_muted_stays_so_over_a_restart() {
    let mut server = Server::start(&[]);
    let mut hans = server.user("hans");
    let mut luke = server.user("luke");
    assert_eq!(ask(&server.place, &["mute", "hans"]).1, Some(0));
    assert_eq!(hans.fails("message luke hello"), "muted");
    assert_eq!(ask(&server.place, &["ban", "luke", "7d"]).1, Some(0));
    assert_eq!(luke.ended(), 1);
    drop(hans);
    assert!(server.kill().signal.is_some());
    server.start_again();
    let mut hans = server.user("hans");
    assert_eq!(hans.fails("broadcast hello"), "muted");
    let mut luke = server.client(&[]);
    luke.answer("luke");
    luke.answer(password("luke"));
    assert_eq!(luke.wait_for("login")["error"], "locked_out");
    for words in [["unban", "luke"], ["unmute", "hans"]] {
        assert_eq!(ask(&server.place, &words).0["reached"], 1);
        assert_eq!(ask(&server.place, &words).0["reached"], 0);
    }
    let _luke = server.user("luke");
    hans.ok("message luke hello");
    assert_eq!(
        ask(&server.place, &["ban", "luke", "soon"]).0["error"],
        "this is no time: 30s, 10m, 2h or 7d"
    );
    server.logs("says ban luke 604800s", 1);
}

#[test]
fn a_banned_network_is_locked_out_over_a_restart() {
    let mut server = Server::start(&[]);
    let mut hans = server.user("hans");
    assert_eq!(ask(&server.place, &["ban", "127.0.0.0/8"]).0["reached"], 1);
    assert_eq!(hans.wait_for("bye")["reason"], "kicked");
    assert_eq!(hans.ended(), 1);
    assert_eq!(ask(&server.place, &["mute", "luke", "1h"]).1, Some(0));
    server.restart();
    let mut wire = server.wire();
    assert_eq!(wire.asks("login hans"), "refused locked_out 60");
    let said = read(&server.place, &["restraints"]);
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines.len() == 2 && lines[0].starts_with("muted     until 20") && lines[0].ends_with(" luke"),
        "{said}"
    );
    assert!(lines[1].starts_with("banned    until - ") && lines[1].ends_with(" 127.0.0.0/8"), "{said}");
    assert_eq!(ask(&server.place, &["unban", "127.0.0.0/8"]).1, Some(0));
    let _hans = server.user("hans");
    let (refused, code) = ask(&server.place, &["ban", "127.0.0.0/40"]);
    assert_eq!((code, refused["ok"].as_bool()), (Some(1), Some(false)), "{refused}");
}

#[test]
fn whoever_logs_in_reads_the_message_of_the_day() {
    let place = Place::samples();
    place.write("hobnob.toml", "motd = \"Backup at six.\\nBe nice.\"\n");
    let config = place.path("hobnob.toml");
    let config = config.to_str().expect("UTF-8");
    let server = Server::start_with(place, &["--config", config]);
    let mut hans = server.user("hans");
    let notice = hans.wait_for("notice");
    assert_eq!((&notice["by"], &notice["text"]), (&"operator".into(), &"Backup at six.\nBe nice.".into()));
    server.place.write("hobnob.toml", "motd = \"\"\n");
    let (answer, _) = ask(&server.place, &["reload"]);
    assert_eq!(answer["changed"][0], "motd: Backup at six.\u{2028}Be nice. -> ", "{answer}");
    let mut luke = server.user("luke");
    luke.ok("whoelse");
    assert!(luke.shown("notice").is_empty());
    server.place.write("hobnob.toml", format!("motd = \"{}\"\n", "x".repeat(2_001)));
    let (answer, code) = ask(&server.place, &["reload"]);
    assert_eq!((code, &answer["ok"]), (Some(1), &Value::Bool(false)), "{answer}");
}

#[test]
fn an_order_that_is_cut_off_is_none_and_too_many_operators_are_sent_away() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let connect = || UnixStream::connect(server.place.data().join("ctl.sock")).expect("a server");
    let mut dead = connect();
    dead.write_all(b"kick hans").expect("says it");
    dead.shutdown(Shutdown::Write).expect("is cut off");
    let mut heard = String::new();
    dead.read_to_string(&mut heard).expect("ends");
    assert_eq!(heard, "");
    hans.ok("whoelse");
    let mut silent: Vec<UnixStream> = (0..16).map(|_| connect()).collect();
    let (answer, code) = ask(&server.place, &["status"]);
    assert_eq!(code, Some(1), "{answer}");
    assert_eq!(answer["error"], "too many operators have orders under way");
    for one in &mut silent {
        one.write_all(b"\xff\n").expect("says it");
        let mut heard = String::new();
        one.read_to_string(&mut heard).expect("ends");
        assert!(heard.contains("no UTF-8"), "{heard}");
    }
    assert_eq!(ask(&server.place, &["status"]).1, Some(0));
}
