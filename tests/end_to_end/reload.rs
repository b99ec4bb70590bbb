//! SIGHUP: accounts and settings are read again.

use rustix::process::Signal;
use support::{Place, Server, password};

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    let server = Server::start(&[]);
    server.place.write("credentials.txt", "hans falcon\nbroken\n");
    server.signal(Signal::HUP);
    server.logs("nothing was changed", 1);
    assert!(server.log().contains("credentials.txt:2"), "{}", server.log());
    server.user("hans").log_out();
    server.user("yoda").log_out();
}

#[test]
fn accounts_come_and_go() {
    let server = Server::start(&[]);
    let mut yoda = server.user("yoda");
    let mut hans = server.user("hans");
    hans.ok("message luke for luke");
    server.place.write("credentials.txt", "hans other\nleia alderaan\n");
    server.reload();
    yoda.ok("message hans a removed account keeps its session");
    hans.message("a removed account keeps its session");
    yoda.log_out();
    let mut gone = server.client(&[]);
    gone.answer("yoda");
    gone.answer(password("yoda"));
    assert_eq!(gone.wait_for("login")["error"], "invalid_credentials");
    let mut leia = server.client(&[]);
    leia.log_in("leia", "alderaan");
    hans.presence("leia", true);
    assert_eq!(hans.fails("message luke hi"), "unknown_user");
    hans.log_out();
    let mut old = server.client(&[]);
    old.answer("hans");
    old.answer(password("hans"));
    assert_eq!(old.wait_for("login")["error"], "invalid_credentials");
    old.answer("other");
    assert_eq!(old.wait_for("login")["ok"], true);
}

#[test]
fn a_removed_account_leaves_nothing_to_its_next_owner() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    hans.ok("message luke for the old luke");
    hans.ok("create group crew luke");
    let all = server.place.read("credentials.txt");
    let without: String =
        all.lines().filter(|line| !line.starts_with("luke ")).map(|line| format!("{line}\n")).collect();
    server.place.write("credentials.txt", without);
    server.reload();
    server.place.write("credentials.txt", all);
    server.reload();
    let mut luke = server.user("luke");
    luke.has_not("the old one's mail", |object| object["type"] == "message");
    assert_eq!(luke.ok("grouplist")["groups"], serde_json::json!([]));
    assert_eq!(hans.ok("grouplist")["groups"][0]["members"], serde_json::json!(["hans"]));
}

#[test]
fn settings_change_but_options_win() {
    let place = Place::samples();
    place.write("hobnob.toml", "lock_attempts = 5\nwhoelse_include_self = false\n");
    let options = ["--config", "hobnob.toml", "--set", "ping_reveals_block=false"];
    let server = Server::start_with(place, &options);
    let mut hans = server.user("hans");
    let mut yoda = server.user("yoda");
    yoda.ok("block hans");
    assert!(hans.users("whoelse").is_empty());
    server.place.write("hobnob.toml", "whoelse_include_self = true\nping_reveals_block = true\nport = 1\n");
    server.reload();
    assert_eq!(hans.users("whoelse"), ["hans"]);
    assert_eq!(hans.ok("ping yoda")["status"], "offline", "the option wins");
    server.place.write("hobnob.toml", "colour = 1\n");
    server.signal(Signal::HUP);
    server.logs("nothing was changed", 1);
    assert_eq!(hans.users("whoelse"), ["hans"]);
}

#[test]
fn a_changed_password_ends_resume_tokens() {
    let mut server = Server::start(&[]);
    let mut hans = server.user_with("hans", &["--reconnect", "5"]);
    server.kill();
    hans.wait("the loss", |object| object["state"] == "reconnecting");
    let content = server.place.read("credentials.txt").replace(password("hans"), "another");
    server.place.write("credentials.txt", content.clone());
    server.start_again();
    assert_eq!(hans.wait_for("bye")["reason"], "connection_lost");
    assert_eq!(hans.ended(), 3);
    let mut yoda = server.user("yoda");
    server.place.write("credentials.txt", content.replace(password("yoda"), "another"));
    server.reload();
    yoda.ok("whoelse");
    server.kill();
    server.start_again();
    assert_eq!(yoda.wait_for("bye")["reason"], "connection_lost", "nor after SIGHUP");
    assert_eq!(yoda.ended(), 3);
}
