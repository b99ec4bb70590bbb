//! `export` and `forget`: what is kept about a user is printed, and is gone.

use std::fs;

use serde_json::Value;
use support::{Place, Server, password};

/// What is kept about a user; empty if nobody knows them.
fn export(place: &Place, user: &str) -> Vec<Value> {
    let output = place.run_server(&["export", user]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(i32::from(text.is_empty())), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

fn of<'a>(kept: &'a [Value], kind: &str) -> Vec<&'a Value> {
    kept.iter().filter(|object| object["kind"] == kind).collect()
}

/// A server with something of every kind about hans.
fn fill(server: &Server) {
    let uid = ["ctl", "mute", "hans", "1h"];
    let mut luke = server.user("luke");
    luke.ok("block hans");
    luke.ok("message hans hello from luke");
    let mut hans = server.user("hans");
    hans.message("hello from luke");
    hans.ok("block vader");
    hans.ok("create group jedi yoda r2d2");
    hans.ok("message yoda the plans of the secretbase");
    hans.ok("message group jedi one for all");
    hans.log_out();
    luke.ok("message hans the second one");
    luke.log_out();
    let mut stranger = server.client(&[]);
    stranger.answer("hans");
    stranger.answer("wrongwrong");
    stranger.wait_for("login");
    let output = server.place.run_server(&uid);
    assert!(output.status.success(), "{output:?}");
    let output = server.place.run_server(&["invite", "rey"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn an_export_has_all_that_is_kept_beside_a_server_and_without_one() {
    let mut server = Server::start(&[]);
    fill(&server);
    let kept = export(&server.place, "hans");
    assert_eq!(kept[0], serde_json::json!({ "kind": "account", "user": "hans", "has_account": true }));
    let [session] = of(&kept, "session")[..] else { panic!("one session: {kept:?}") };
    for field in ["began_at", "ended_at"] {
        assert!(session[field].as_str().is_some_and(|at| at.ends_with('Z')), "{session}");
    }
    assert!(!of(&kept, "device").is_empty(), "{kept:?}");
    assert_eq!(of(&kept, "failures")[0]["failures_since_login"], 1, "{kept:?}");
    assert_eq!(of(&kept, "restraint")[0]["how"], "muted", "{kept:?}");
    let invited = export(&server.place, "rey");
    assert_eq!(of(&invited, "invite")[0]["uses"], 1, "{invited:?}");
    assert_eq!(of(&kept, "block")[0]["blocked"], "vader", "{kept:?}");
    assert_eq!(of(&kept, "blocked_by")[0]["users"], 1, "{kept:?}");
    let [group] = of(&kept, "group")[..] else { panic!("one group: {kept:?}") };
    let members = serde_json::json!(["hans", "r2d2", "yoda"]);
    let sorted = |list: &Value| {
        let mut names: Vec<String> = list
            .as_array()
            .into_iter()
            .flatten()
            .map(|name| name.as_str().unwrap_or("").to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(sorted(&group["members"]), sorted(&members), "{group}");
    assert_eq!((&group["is_owner"], &group["is_maker"]), (&true.into(), &true.into()), "{group}");
    let mail = of(&kept, "mail");
    let texts: Vec<&str> = mail.iter().filter_map(|mail| mail["text"].as_str()).collect();
    assert_eq!(
        texts,
        ["the plans of the secretbase", "one for all", "one for all", "the second one"],
        "{kept:?}"
    );
    assert_eq!((&mail[1]["group"], &mail[3]["from"]), (&"jedi".into(), &"luke".into()));
    assert!(!of(&kept, "command").is_empty(), "{kept:?}");
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(export(&server.place, "hans"), kept, "nothing has changed");
    let text = format!("{kept:?}");
    for secret in ["digest", "token", "$argon2", password("hans")] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(!export(&server.place, "yoda").iter().any(|object| object.to_string().contains("vader")));
}

#[test]
fn nothing_is_exported_of_somebody_unknown_and_the_account_alone_without_a_store() {
    let place = Place::samples();
    assert_eq!(export(&place, "hans").len(), 1);
    assert!(!place.data().exists());
    let output = place.run_server(&["export", "nobody"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("\"nobody\" has no account"), "{said}");
    fs::create_dir(place.data()).expect("a folder");
    place.write("hobnob-data/hobnob.db", "no database");
    assert_eq!(place.run_server(&["export", "hans"]).status.code(), Some(1));
}

/// The files of the data folder that hold this word.
fn holding(place: &Place, word: &str) -> Vec<String> {
    let files = fs::read_dir(place.data()).expect("the folder").map(|entry| entry.expect("a file").path());
    let holds = |path: &std::path::Path| {
        // The socket cannot be read.
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(word.len()).any(|window| window == word.as_bytes())
    };
    files.filter(|path| holds(path)).map(|path| path.display().to_string()).collect()
}

/// Words that only hans brings in, his name among them.
const PLANTED: [&str; 4] = ["hanssolo", "secretbase", "allforone", "privateword"];

/// The lines of the others in the credentials file.
fn others() -> String {
    ["luke", "vader", "yoda"].map(|user| format!("{user} {}\n", password(user))).concat()
}

/// A server on which hanssolo has left traces everywhere: in mailboxes, groups, blocks, and in mail that was shown.
fn plant() -> Server {
    let place = Place::with(&format!("hanssolo falcon1\n{}", others()));
    let server = Server::start_in(place, &["presence_burst=0"]);
    let log_in = |user: &str, password: &str| {
        let mut client = server.client(&[]);
        client.log_in(user, password);
        client
    };
    let mut hans = log_in("hanssolo", "falcon1");
    hans.ok("create group jedi yoda");
    hans.ok("block vader");
    for number in 0..40 {
        hans.ok(&format!("message yoda secretbase {number} {}", "x".repeat(300)));
    }
    hans.log_out();
    let mut yoda = log_in("yoda", password("yoda"));
    yoda.message(&format!("secretbase 39 {}", "x".repeat(300)));
    yoda.ok("message hanssolo privateword");
    yoda.log_out();
    let mut hans = log_in("hanssolo", "falcon1");
    hans.message("privateword");
    hans.ok("message yoda allforone");
    hans.ok("message group jedi allforone");
    hans.log_out();
    server
}

#[test]
fn whoever_is_forgotten_without_a_server_is_in_no_file_any_more() {
    let mut server = plant();
    assert_eq!(server.stop().code, Some(0));
    for word in PLANTED {
        assert!(!holding(&server.place, word).is_empty(), "{word} was there");
    }
    let output = server.place.run_server(&["forget", "hanssolo"]);
    assert!(output.status.success(), "{output:?}");
    for word in PLANTED {
        assert!(holding(&server.place, word).is_empty(), "{word} is in {:?}", holding(&server.place, word));
    }
    assert!(!server.place.read("credentials.txt").contains("hanssolo"));
    assert!(export(&server.place, "hanssolo").is_empty());
    let again = server.place.run_server(&["forget", "hanssolo"]);
    assert_eq!(again.status.code(), Some(1), "nothing is left: {again:?}");
    assert_eq!(server.place.run_server(&["check"]).status.code(), Some(0));
    server.start_again();
    let mut yoda = server.user("yoda");
    yoda.ok("message luke are you there");
    yoda.has_not("what was forgotten", |object| object["text"] == "allforone");
    assert_eq!(yoda.fails("message hanssolo where are you"), "unknown_user");
}

#[test]
fn a_running_server_forgets_and_the_others_stay() {
    let server = plant();
    let mut luke = server.user("luke");
    let mut hans = server.client(&[]);
    hans.log_in("hanssolo", "falcon1");
    luke.presence("hanssolo", true);
    hans.ok("message yoda allforone once more");
    let output = server.place.run_server(&["forget", "hanssolo"]);
    assert!(output.status.success(), "{output:?}\n{}", server.log());
    assert_eq!(hans.wait_for("bye")["reason"], "kicked");
    luke.presence("hanssolo", false);
    for word in PLANTED {
        assert!(holding(&server.place, word).is_empty(), "{word} is in {:?}", holding(&server.place, word));
    }
    luke.ok("message yoda hello");
    assert_eq!(luke.count(|object| object["type"] == "login"), 1, "the session went on");
    let mut yoda = server.user("yoda");
    yoda.message("hello");
    yoda.has_not("what was forgotten", |object| {
        object["text"].as_str().is_some_and(|text| text.contains("allforone"))
    });
    let mut hans = server.client(&[]);
    hans.answer("hanssolo");
    hans.answer("falcon1");
    assert_eq!(hans.wait_for("login")["error"], "invalid_credentials");
    server.logs("what was kept about 1 names is gone", 0);
}

#[test]
fn the_only_account_is_not_forgotten_where_nobody_may_register() {
    let place = Place::samples();
    let accounts = place.read("credentials.txt");
    let hans = accounts.lines().find(|line| line.starts_with("hans ")).expect("hans");
    place.write("credentials.txt", format!("{hans}\n"));
    let server = Server::start_with(place, &[]);
    let mut hans = server.user("hans");
    let refused = server.place.run_server(&["forget", "hans"]);
    assert_eq!(refused.status.code(), Some(1));
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(why.contains("hans is the only account") && why.contains("passwd NAME"), "{why}");
    hans.ok("whoelse");
    assert!(server.place.read("credentials.txt").starts_with("hans "));
}

#[test]
fn a_name_that_has_an_account_again_is_not_forgotten_by_an_old_note() {
    let mut server = plant();
    assert_eq!(server.stop().code, Some(0));
    server.place.write("hobnob-data/forget.0123456789abcdef", "hanssolo");
    server.start_again();
    assert!(!server.place.path("hobnob-data/forget.0123456789abcdef").exists());
    assert!(!of(&export(&server.place, "hanssolo"), "mail").is_empty());
    assert_eq!(server.stop().code, Some(0));
    // As the command leaves it that is killed halfway.
    server.place.write("credentials.txt", others());
    server.place.write("hobnob-data/forget.0123456789abcdef", "hanssolo");
    server.start_again();
    server.logs("what was kept about 1 names is gone, as an operator wanted", 1);
    for word in PLANTED {
        assert!(holding(&server.place, word).is_empty(), "{word} is in {:?}", holding(&server.place, word));
    }
}
