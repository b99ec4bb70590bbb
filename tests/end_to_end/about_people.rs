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
