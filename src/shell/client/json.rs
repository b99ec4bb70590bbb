//! Views as JSON Lines: one object a line, `type` first, field names as the contract has them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Serializer, json};

use super::wording;
use crate::client::Logged;
use crate::client::view::{Contact, LoginRefused, Message, MessageKind, Notice, Path, Success, View};
use crate::shell::visible::Visibly;
use crate::time::Time;
use crate::wire::Presence;
use crate::words::LINE_BREAK;

/// Appends a view as one line.
pub(super) fn write(out: &mut Vec<u8>, view: &View) {
    match view {
        View::Connection(contact) => write_contact(Object::begin(out, "connection"), contact),
        View::Prompt { ask, again: _ } => Object::begin(out, "prompt").with("ask", ask.as_str()).end(),
        // For people at terminals only.
        View::Offline { queued: _ }
        | View::Wire { .. }
        | View::Addressee { to: _ }
        | View::RequestOver { from: _ }
        | View::Before { messages: _ } => {}
        View::LoggedIn { user, unread } => {
            Object::begin(out, "login").with("ok", true).with("user", user).with("unread", unread).end();
        }
        View::LoginRefused(refused) => write_refused(Object::begin(out, "login").with("ok", false), *refused),
        View::Result { line, command, outcome } => {
            let object = Object::begin(out, "result").with("line", line).with("command", command.as_str());
            match outcome {
                Ok(success) => write_success(object.with("ok", true), success),
                Err(failure) => object
                    .with("ok", false)
                    .with("error", failure.code.as_str())
                    .with("text", wording::failure(command, failure))
                    .end(),
            }
        }
        View::Message(message) => write_message(Object::begin(out, "message"), message),
        View::Presence { user, online } => {
            Object::begin(out, "presence").with("user", user).with("online", online).end();
        }
        View::PrivateRequest { from } => Object::begin(out, "private_request").with("from", from).end(),
        View::PrivateOpened { user, path } => {
            Object::begin(out, "private_opened").with("user", user).with("path", path.as_str()).end();
        }
        View::PrivateClosed { user, reason } => {
            Object::begin(out, "private_closed").with("user", user).with("reason", reason.as_str()).end();
        }
        View::Group { group, by, members, change: _ } => {
            Object::begin(out, "group").with("group", group).with("by", by).with("members", members).end();
        }
        View::Announcement { text } => {
            Object::begin(out, "notice")
                .with("by", "operator")
                .with("text", text.replace(LINE_BREAK, "\n"))
                .end();
        }
        View::Notice(notice) => {
            let object = Object::begin(out, "notice").with("text", wording::notice(notice));
            let removed = if let Notice::Expired { count } = notice { Some(*count) } else { None };
            removed.iter().fold(object, |object, count| object.with("removed", count)).end();
        }
        View::Bye(bye) => Object::begin(out, "bye").with("reason", bye.as_str()).end(),
    }
}

fn write_contact(object: Object<'_>, contact: &Contact) {
    let mut object = object.with("state", contact.state.as_str());
    if let Some(key) = contact.key {
        object = object.with("fingerprint", key.fingerprint.to_string());
        if key.first_use {
            object = object.with("first_use", true);
        }
    }
    object.end();
}

fn write_refused(object: Object<'_>, refused: LoginRefused) {
    match refused {
        LoginRefused::InvalidCredentials { attempts_left }
        | LoginRefused::UnusablePassword { attempts_left } => {
            object.with("error", "invalid_credentials").with("attempts_left", attempts_left)
        }
        LoginRefused::LockedOut { retry_after_secs, just_now: _ }
        | LoginRefused::TooManyAccounts { retry_after_secs } => {
            object.with("error", "locked_out").with("retry_after", retry_after_secs)
        }
        LoginRefused::AlreadyOnline => object.with("error", "already_online"),
        LoginRefused::BadName => object.with("error", "bad_name"),
        LoginRefused::Busy => object.with("error", "busy"),
        LoginRefused::NameTaken => object.with("error", "name_taken"),
        LoginRefused::InvalidInvite => object.with("error", "invalid_invite"),
        LoginRefused::NoInvites => object.with("error", "no_invites"),
    }
    .end();
}

fn write_success(object: Object<'_>, success: &Success) {
    match success {
        Success::Message { to, status, until, away, words: _ } => {
            let object = object.with("to", to).with("status", status.as_str());
            let object = until.iter().fold(object, |object, until| object.with("until", rfc3339(*until)));
            away.iter().fold(object, |object, text| object.with("away", text.replace(LINE_BREAK, "\n")))
        }
        Success::Broadcast { recipients, withheld, withheld_users } => {
            let object = object.with("recipients", recipients).with("withheld", withheld);
            if withheld_users.is_empty() { object } else { object.with("withheld_users", withheld_users) }
        }
        Success::Whoelse { users, away } => {
            let texts = away.iter().map(|(user, text)| (user, text.replace(LINE_BREAK, "\n")));
            object.with("users", users).with("away", texts.collect::<BTreeMap<_, _>>())
        }
        Success::Users { users } => object.with("users", users),
        Success::User { user } => object.with("user", user),
        Success::Verification { user, code, is_verified } => {
            object.with("user", user).with("code", code).with("verified", is_verified)
        }
        Success::Offline { messages } => object.with("messages", messages),
        Success::Ping { user, status } => object.with("user", user).with("status", status.as_str()),
        Success::Seen { user, presence } => {
            let at = match presence {
                Presence::Until(at) => Some(rfc3339(*at)),
                Presence::Now | Presence::Never => None,
            };
            object.with("user", user).with("online", *presence == Presence::Now).with("at", at)
        }
        Success::Group { group, members } => object.with("group", group).with("members", members),
        Success::GroupMessage { group, delivered, stored, refused, withheld, words: _ } => object
            .with("group", group)
            .with("delivered", delivered)
            .with("stored", stored)
            .with("refused", refused)
            .with("withheld", withheld),
        Success::Groups { groups } => {
            let groups = groups.iter().map(|(group, members)| json!({ "group": group, "members": members }));
            object.with("groups", groups.collect::<Vec<_>>())
        }
        Success::Private { user, path } => object.with("user", user).with("path", path.as_str()),
        Success::Path { user, way, path } => {
            let path = path.map(Path::as_str);
            object.with("user", user).with("way", way.as_str()).with("path", path)
        }
        Success::Help { text } => object.with("text", text),
        Success::Ordered { lines } => {
            object.with("lines", lines.iter().map(|line| line.replace(LINE_BREAK, "\n")).collect::<Vec<_>>())
        }
        Success::History { messages } => {
            let messages = messages.iter().map(|logged| {
                let mut object = json!({ "kind": logged.kind.as_str(), "from": logged.from });
                let with = match logged.kind {
                    MessageKind::Group => Some("group"),
                    MessageKind::Direct | MessageKind::Private if logged.with != logged.from => Some("to"),
                    MessageKind::Direct | MessageKind::Private | MessageKind::Broadcast => None,
                };
                if let Some(with) = with {
                    object[with] = json!(logged.with);
                }
                object["text"] = json!(logged.text.replace(LINE_BREAK, "\n"));
                object["sent_at"] = json!(rfc3339(logged.sent_at));
                object
            });
            object.with("messages", messages.collect::<Vec<_>>())
        }
        Success::Done | Success::Logout => object,
    }
    .end();
}

/// Appends a line of the log.
pub(super) fn write_logged(out: &mut Vec<u8>, logged: &Logged) {
    let Logged { kind, with, from, text, sent_at } = logged;
    Object::begin(out, "message")
        .with("kind", kind.as_str())
        .with("with", with)
        .with("from", from)
        .with("text", text.replace(LINE_BREAK, "\n"))
        .with("at", sent_at.0)
        .end();
}

fn write_message(object: Object<'_>, message: &Message) {
    let mut object = object.with("kind", message.kind.as_str());
    if let Some(group) = &message.group {
        object = object.with("group", group);
    }
    object = object
        .with("from", &message.from)
        .with("text", message.text.replace(LINE_BREAK, "\n"))
        .with("sent_at", rfc3339(message.sent_at))
        .with("stored", message.stored)
        .with("id", &message.id);
    if message.again {
        object = object.with("again", true);
    }
    object.end();
}

/// UTC with milliseconds. Times beyond the calendar become its last instant.
pub(super) fn rfc3339(time: Time) -> String {
    let micros = i64::try_from(time.0).unwrap_or(i64::MAX);
    let instant = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX);
    format!("{instant:.3}")
}

/// An object being written; its fields are in the order of the calls.
struct Object<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Object<'a> {
    fn begin(out: &'a mut Vec<u8>, kind: &'static str) -> Object<'a> {
        out.push(b'{');
        Object { out }.field("type", kind)
    }

    fn with(self, key: &'static str, value: impl Serialize) -> Object<'a> {
        self.out.push(b',');
        self.field(key, value)
    }

    fn field(self, key: &'static str, value: impl Serialize) -> Object<'a> {
        // Strings, numbers and lists of them, into memory: neither can fail.
        let _ = serde_json::to_writer(&mut *self.out, key);
        self.out.push(b':');
        let _ = value.serialize(&mut Serializer::with_formatter(&mut *self.out, Visibly));
        self
    }

    fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::client::view::{MessageKind, Notice};
    use crate::words::is_invisible;

    /// Every character, alone and between others, reads back as what it was; none that cannot be seen is written.
    #[test]
    fn every_character_is_visible_or_escaped_and_reads_back() {
        let all: Vec<char> = ('\0'..=char::MAX).collect();
        for chunk in all.chunks(1_000) {
            let text: String = chunk.iter().flat_map(|c| [*c, 'x']).collect();
            let mut out = Vec::new();
            Object::begin(&mut out, "t").with("text", &text).with("list", [&text]).end();
            let line = String::from_utf8(out).expect("JSON is UTF-8");
            let value: serde_json::Value = serde_json::from_str(&line).expect("is JSON");
            assert_eq!((&value["text"], &value["list"][0]), (&json!(text), &json!(text)));
            let raw = line.trim_end_matches('\n').chars().find(|c| c.is_control() || is_invisible(*c));
            assert_eq!(raw, None, "{raw:?}");
        }
        let mut out = Vec::new();
        Object::begin(&mut out, "\x7f\u{9b}\u{202e}\u{200b}\u{e0041}a").end();
        assert_eq!(out, b"{\"type\":\"\\u007f\\u009b\\u202e\\u200b\\udb40\\udc41a\"}\n");
    }

    fn line(view: &View) -> String {
        let mut out = Vec::new();
        write(&mut out, view);
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn every_view_is_one_object_as_the_contract_has_it() {
        for (view, json, _) in samples::views() {
            let line = line(&view);
            assert_eq!(line, format!("{json}\n"));
            let value: serde_json::Value = serde_json::from_str(&line).expect("is JSON");
            assert!(value["type"].is_string());
        }
    }

    #[test]
    fn texts_are_exact_and_stay_on_one_line() {
        let text = "\u{1b}[2J \r\0 \"q\" \\ \u{202e}x\u{85}\u{2028}";
        let message = samples::message(MessageKind::Direct, "hans", text);
        let line = line(&View::Message(message));
        assert_eq!(line.lines().count(), 1);
        assert!(!line.trim_end().chars().any(|c| c.is_ascii_control()));
        let value: serde_json::Value = serde_json::from_str(&line).expect("is JSON");
        assert_eq!(value["text"], text.replace('\u{2028}', "\n"));
    }

    #[test]
    fn every_failure_has_its_code_and_a_text() {
        for (command, failure, text) in samples::failures() {
            let code = failure.code.as_str();
            let view = View::Result { line: 7, command: command.into(), outcome: Err(failure) };
            let wanted = json!({
                "type": "result", "line": 7, "command": command, "ok": false, "error": code, "text": text,
            });
            let value: serde_json::Value = serde_json::from_str(&line(&view)).expect("is JSON");
            assert_eq!(value, wanted);
        }
    }

    #[test]
    fn dates_are_utc_with_milliseconds() {
        assert_eq!(rfc3339(Time(1_700_000_000_123_999)), "2023-11-14T22:13:20.123Z");
        assert_eq!(rfc3339(Time::ZERO), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(Time::MAX), "9999-12-30T22:00:00.999Z");
    }

    #[test]
    fn a_notice_is_a_text() {
        let view = View::Notice(Notice::FailedLogins { count: 2 });
        assert_eq!(
            line(&view),
            "{\"type\":\"notice\",\"text\":\"2 failed logins to your account since you were last here\"}\n"
        );
    }
}
