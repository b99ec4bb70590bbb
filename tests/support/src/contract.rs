//! The contract's table of objects: which fields each has, and what may be in them.

use std::collections::BTreeSet;

use serde_json::Value;

const ERRORS: &str = "unknown_command usage too_long unknown_user self blocked already_blocked not_blocked offline \
     declined no_answer already_private not_private unreachable unknown_group group_exists bad_name not_member \
     not_owner mailbox_full rate_limited storage_unavailable not_connected outcome_unknown key_changed no_request no_log \
     already_member limit muted not_operator not_done";

/// Asserts that an object is one of the contract, with these fields and no others.
pub(crate) fn check(object: &Value) {
    let fields: BTreeSet<&str> = object
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .filter(|key| *key != "type")
        .collect();
    let wanted: BTreeSet<&str> = wanted(object).split_whitespace().collect();
    let optional: BTreeSet<&str> =
        ["again", "withheld_users", "fingerprint", "first_use", "away", "by", "until", "removed"].into();
    let missing = wanted.difference(&fields).next();
    let more = fields.difference(&wanted).find(|field| !optional.contains(*field));
    assert_eq!((missing, more), (None, None), "fields of {object}");
    for field in fields {
        assert!(is_good(field, &object[field], object), "{field} of {object}");
    }
}

fn wanted(object: &Value) -> &'static str {
    let ok = object["ok"].as_bool();
    match object["type"].as_str().expect("a type") {
        "connection" => "state",
        "prompt" => "ask",
        "login" => match (ok, object["error"].as_str()) {
            (Some(true), _) => "ok user unread",
            (_, Some("invalid_credentials")) => "ok error attempts_left",
            (_, Some("locked_out")) => "ok error retry_after",
            _ => "ok error",
        },
        "result" if ok == Some(true) => success(object["command"].as_str().expect("a command")),
        "result" => "line command ok error text",
        "message" if object["kind"] == "group" => "kind group from text sent_at stored id",
        "message" => "kind from text sent_at stored id",
        "presence" => "user online",
        "private_request" => "from",
        "private_opened" => "user path",
        "private_closed" => "user reason",
        "group" => "group by members",
        "notice" => "text",
        "bye" => "reason",
        other => panic!("{other} is no type"),
    }
}

fn success(command: &str) -> &'static str {
    match command {
        "message" | "private" => "line command ok to status",
        "broadcast" => "line command ok recipients withheld",
        "whoelse" => "line command ok users away",
        "whoelsesince" | "wholasthr" | "wholasthtr" => "line command ok users",
        "block" | "unblock" | "accept" | "decline" | "stopprivate" | "trust" => "line command ok user",
        "offline" => "line command ok messages",
        "ping" => "line command ok user status",
        "seen" => "line command ok user online at",
        "message group" => "line command ok group delivered stored refused withheld",
        "grouplist" => "line command ok groups",
        "create group" | "add group" | "remove group" | "leave group" | "delete group" => {
            "line command ok group members"
        }
        "startprivate" => "line command ok user path",
        "path" => "line command ok user way path",
        "verify" => "line command ok user code verified",
        "help" => "line command ok text",
        "op" => "line command ok lines",
        "history" | "search" => "line command ok messages",
        "away" | "back" | "logout" => "line command ok",
        other => panic!("{other} is no command"),
    }
}

fn is_good(field: &str, value: &Value, object: &Value) -> bool {
    let one_of =
        |words: &str| value.as_str().is_some_and(|text| words.split_whitespace().any(|word| word == text));
    let kind = object["type"].as_str().unwrap_or_default();
    match field {
        "ok" | "withheld" | "online" | "verified" | "stored" if kind != "result" || field != "stored" => {
            value.is_boolean()
        }
        "again" | "first_use" => *value == true,
        "fingerprint" => value.as_str().is_some_and(|word| word.starts_with("SHA256:") && word.len() == 50),
        "line" => value.as_u64().is_some_and(|line| line > 0),
        "messages" if object["command"] != "offline" => value.as_array().is_some_and(|all| {
            all.iter()
                .all(|one| one["kind"].is_string() && one["from"].is_string() && one["text"].is_string())
        }),
        "unread" | "attempts_left" | "retry_after" | "recipients" | "messages" | "delivered" | "stored"
        | "refused" => value.is_u64(),
        "away" if object["command"] == "whoelse" => value
            .as_object()
            .is_some_and(|away| away.values().all(|text| text.as_str().is_some_and(|text| !text.is_empty()))),
        "lines" => value.as_array().is_some_and(|lines| lines.iter().all(Value::is_string)),
        "users" | "withheld_users" | "members" => sorted(value),
        "groups" => value.as_array().is_some_and(|groups| {
            groups.iter().all(|group| group["group"].is_string() && sorted(&group["members"]))
        }),
        "state" => one_of("connected reconnecting resumed"),
        "ask" => one_of("username password new_password"),
        "error" if kind == "login" => one_of(
            "invalid_credentials locked_out already_online bad_name busy name_taken invalid_invite no_invites",
        ),
        "error" => one_of(ERRORS),
        "kind" => one_of("direct broadcast group private"),
        "path" => value.is_null() && object["command"] == "path" || one_of("direct relayed"),
        "way" => one_of("direct auto relay"),
        "status" if object["command"] == "ping" => one_of("online offline blocked"),
        "status" => one_of("delivered stored"),
        "reason" if kind == "bye" => one_of("logout timeout server_shutdown connection_lost replaced kicked"),
        "reason" => one_of("stopped logged_out timed_out lost"),
        "at" => value.is_null() || value.as_str().is_some_and(is_rfc3339),
        "removed" => kind == "notice" && value.is_u64(),
        "sent_at" | "until" => value.as_str().is_some_and(is_rfc3339),
        _ => value.as_str().is_some_and(|text| !text.is_empty()),
    }
}

fn sorted(names: &Value) -> bool {
    let names: Option<Vec<&str>> =
        names.as_array().and_then(|names| names.iter().map(Value::as_str).collect());
    names.is_some_and(|names| names.is_sorted())
}

/// `2026-01-01T00:00:00`, with or without a fraction, and `Z`.
fn is_rfc3339(text: &str) -> bool {
    let Some(text) = text.strip_suffix('Z') else { return false };
    let (instant, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let form: String = instant.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    form == "0000-00-00T00:00:00" && !fraction.is_empty() && fraction.chars().all(|c| c.is_ascii_digit())
}
