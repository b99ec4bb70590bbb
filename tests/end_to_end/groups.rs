//! Groups.

use serde_json::{Value, json};
use support::{Client, Server};

fn members(object: &Value) -> Vec<&str> {
    object["members"].as_array().expect("members").iter().filter_map(Value::as_str).collect()
}

fn changed(client: &mut Client, by: &str) -> Value {
    let object = client.wait_for("group");
    assert_eq!(object["by"], by, "{object}");
    object
}

#[test]
fn creating_tells_the_members() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda, mut luke) = (server.user("hans"), server.user("yoda"), server.user("luke"));
    let created = hans.ok("create group crew yoda vader");
    assert_eq!(
        created,
        json!({
            "type": "result", "line": 3, "command": "create group", "ok": true, "group": "crew",
            "members": ["hans", "vader", "yoda"],
        })
    );
    let told = changed(&mut yoda, "hans");
    assert_eq!((&told["group"], members(&told)), (&json!("crew"), vec!["hans", "vader", "yoda"]));
    luke.has_not("a group he is not in", |object| object["type"] == "group");
    hans.has_not("his own change", |object| object["type"] == "group");
    assert_eq!(
        yoda.ok("grouplist")["groups"],
        json!([{"group": "crew", "members": ["hans", "vader", "yoda"]}])
    );
    assert_eq!(luke.ok("grouplist")["groups"], json!([]));
    assert_eq!(server.user("vader").ok("grouplist")["groups"][0]["group"], "crew");
}

#[test]
fn messages_go_to_all_members_and_wait_for_the_absent() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda, mut luke) = (server.user("hans"), server.user("yoda"), server.user("luke"));
    hans.ok("create group crew yoda vader");
    let result = hans.ok("message group crew  secret text ");
    assert_eq!(
        result,
        json!({
            "type": "result", "line": 4, "command": "message group", "ok": true, "group": "crew",
            "delivered": 1, "stored": 1, "refused": 0, "withheld": false,
        })
    );
    let message = yoda.message(" secret text ");
    assert_eq!(
        (&message["kind"], &message["group"], &message["from"]),
        (&json!("group"), &json!("crew"), &json!("hans"))
    );
    let mut vader = server.user("vader");
    let message = vader.message(" secret text ");
    assert_eq!((&message["group"], &message["stored"]), (&json!("crew"), &json!(true)));
    luke.has_not("a group's message", |object| object["type"] == "message");
    assert_eq!(luke.fails("message group crew hi"), "unknown_group");
    assert_eq!(luke.fails("message group nowhere hi"), "unknown_group");
}

#[test]
fn every_error_of_groups() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda, mut luke) = (server.user("hans"), server.user("yoda"), server.user("luke"));
    hans.ok("create group crew yoda");
    for (line, code) in [
        ("create group crew luke", "group_exists"),
        ("create group other nobody", "unknown_user"),
        ("create group other", "usage"),
        ("create group #x luke", "bad_name"),
        ("create group group luke", "bad_name"),
        ("add group crew nobody", "unknown_user"),
        ("add group nowhere luke", "unknown_group"),
        ("remove group crew luke", "not_member"),
        ("remove group crew nobody", "unknown_user"),
        ("remove group nowhere yoda", "unknown_group"),
        ("leave group nowhere", "unknown_group"),
        ("delete group nowhere", "unknown_group"),
        ("message group nowhere hi", "unknown_group"),
        ("message group crew", "usage"),
        ("grouplist crew", "usage"),
    ] {
        assert_eq!(hans.fails(line), code, "{line}");
    }
    assert_eq!(members(&hans.ok("add group crew yoda")), ["hans", "yoda"], "again is no error");
    yoda.wait_for("group");
    yoda.ok("whoelse");
    assert_eq!(yoda.count(|object| object["type"] == "group"), 1);
    for line in ["add group crew luke", "remove group crew hans", "delete group crew"] {
        assert_eq!(yoda.fails(line), "not_owner", "{line}");
    }
    for line in ["add group crew vader", "remove group crew yoda", "delete group crew", "leave group crew"] {
        assert_eq!(luke.fails(line), "unknown_group", "{line}");
    }
    assert_eq!(luke.fails("create group crew vader"), "group_exists");
    assert_eq!(members(&hans.ok("grouplist")["groups"][0]), ["hans", "yoda"]);
}

#[test]
fn the_owner_adds_and_removes() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda, mut luke) = (server.user("hans"), server.user("yoda"), server.user("luke"));
    hans.ok("create group crew yoda");
    changed(&mut yoda, "hans");
    assert_eq!(members(&hans.ok("add group crew luke")), ["hans", "luke", "yoda"]);
    assert_eq!(members(&changed(&mut luke, "hans")), ["hans", "luke", "yoda"]);
    assert_eq!(members(&changed(&mut yoda, "hans")), ["hans", "luke", "yoda"]);
    luke.ok("message group crew hello");
    yoda.message("hello");
    assert_eq!(members(&hans.ok("remove group crew luke")), ["hans", "yoda"]);
    assert_eq!(members(&changed(&mut luke, "hans")), ["hans", "yoda"], "without himself");
    assert_eq!(members(&changed(&mut yoda, "hans")), ["hans", "yoda"]);
    assert_eq!(luke.fails("message group crew still here"), "unknown_group");
    hans.ok("message group crew without luke");
    yoda.message("without luke");
    luke.has_not("what came later", |object| object["text"] == "without luke");
}

#[test]
fn the_owner_leaves_and_the_oldest_member_owns() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda, mut luke) = (server.user("hans"), server.user("yoda"), server.user("luke"));
    hans.ok("create group crew yoda");
    hans.ok("add group crew luke");
    assert_eq!(members(&hans.ok("leave group crew")), ["luke", "yoda"]);
    changed(&mut yoda, "hans");
    yoda.wait("hans to leave", |object| object["type"] == "group" && members(object) == ["luke", "yoda"]);
    assert_eq!(luke.fails("remove group crew yoda"), "not_owner");
    yoda.ok("add group crew vader");
    yoda.ok("remove group crew vader");
    assert_eq!(members(&luke.ok("leave group crew")), ["yoda"]);
    assert_eq!(members(&yoda.ok("leave group crew")), Vec::<&str>::new());
    luke.ok("create group crew hans");
}

#[test]
fn deleting_ends_the_group_for_all() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    hans.ok("create group crew yoda");
    changed(&mut yoda, "hans");
    assert!(members(&hans.ok("delete group crew")).is_empty());
    assert!(members(&changed(&mut yoda, "hans")).is_empty());
    assert_eq!(yoda.ok("grouplist")["groups"], json!([]));
    assert_eq!(yoda.fails("message group crew hi"), "unknown_group");
    hans.ok("create group crew luke");
}

#[test]
fn groups_respect_blocks() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda, mut luke) = (server.user("hans"), server.user("yoda"), server.user("luke"));
    hans.ok("create group crew yoda luke");
    yoda.ok("block hans");
    let result = hans.ok("message group crew hi");
    assert_eq!((&result["delivered"], &result["withheld"]), (&json!(1), &json!(true)));
    assert_eq!(luke.ok("message group crew hi all")["withheld"], false);
    yoda.message("hi all");
    assert_eq!(members(&hans.ok("grouplist")["groups"][0]), ["hans", "luke", "yoda"]);
    assert_eq!(hans.fails("create group two yoda"), "blocked");
    hans.ok("create group two luke");
    assert_eq!(hans.fails("add group two yoda"), "blocked");
    luke.ok("block hans");
    assert_eq!(hans.fails("message group crew nobody gets it"), "blocked");
}

#[test]
fn groups_survive_a_restart() {
    let mut server = Server::start(&[]);
    let mut hans = server.user("hans");
    hans.ok("create group crew yoda luke");
    hans.ok("leave group crew");
    hans.log_out();
    server.restart();
    let mut yoda = server.user("yoda");
    assert_eq!(yoda.ok("grouplist")["groups"], json!([{"group": "crew", "members": ["luke", "yoda"]}]));
    assert_eq!(members(&yoda.ok("delete group crew")).len(), 0, "yoda or luke owns it; yoda was named first");
}

#[test]
fn groups_have_limits() {
    let server = Server::start(&["groups_per_user=1", "members_per_group=2"]);
    let mut hans = server.user("hans");
    assert_eq!(hans.fails("create group big yoda luke"), "limit");
    hans.ok("create group one yoda");
    assert_eq!(hans.fails("create group two vader"), "limit");
    assert_eq!(hans.fails("add group one luke"), "limit");
}

#[test]
fn a_group_message_to_full_mailboxes_says_so() {
    let server = Server::start(&["mailbox_messages=1"]);
    let mut hans = server.user("hans");
    hans.ok("create group crew yoda luke");
    hans.ok("message yoda fills it");
    let result = hans.ok("message group crew one");
    assert_eq!((&result["stored"], &result["refused"]), (&json!(1), &json!(1)));
    assert_eq!(hans.fails("message group crew two"), "mailbox_full");
}
