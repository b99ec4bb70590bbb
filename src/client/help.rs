//! What `help` says about each command.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A command as `help` explains it.
struct Topic {
    /// As results name it.
    name: &'static str,
    /// How it is typed.
    form: &'static str,
    /// What it does, in a few words.
    gist: &'static str,
    /// What else there is to know; may be empty.
    more: &'static str,
}

const fn topic(name: &'static str, form: &'static str, gist: &'static str, more: &'static str) -> Topic {
    Topic { name, form, gist, more }
}

const TOPICS: &[Topic] = &[
    topic(
        "message",
        "message USER TEXT",
        "send a message",
        "If USER is not online, it is kept for the next login.",
    ),
    topic(
        "broadcast",
        "broadcast TEXT",
        "send to everyone online",
        "Those who have blocked you do not get it. Broadcasts are never kept.",
    ),
    topic("whoelse", "whoelse", "list who else is online", ""),
    topic(
        "whoelsesince",
        "whoelsesince SECONDS",
        "list who else was online within the last SECONDS",
        "Those who are online now are among them.",
    ),
    topic("wholasthr", "wholasthr", "list who else was online within the last hour", ""),
    topic(
        "block",
        "block USER",
        "get nothing from USER any more, and show him nothing",
        "USER is not told. Private links that stand already go on.",
    ),
    topic("unblock", "unblock USER", "take a block back", "Messages that waited behind it are shown."),
    topic(
        "offline",
        "offline",
        "show stored messages",
        "Only needed where the server does not show them at login.",
    ),
    topic("ping", "ping USER", "ask whether USER is online", ""),
    topic(
        "create group",
        "create group NAME USER...",
        "make a group of yourself and others",
        "You own it: you may add and remove members, and delete it.",
    ),
    topic(
        "message group",
        "message group NAME TEXT",
        "send to all members of a group",
        "Members who are not online get it at their next login.",
    ),
    topic("grouplist", "grouplist", "list your groups and their members", ""),
    topic("add group", "add group NAME USER", "add USER to your group", ""),
    topic("remove group", "remove group NAME USER", "remove USER from your group", ""),
    topic(
        "leave group",
        "leave group NAME",
        "leave a group",
        "If it is yours, the member of longest standing owns it then.",
    ),
    topic("delete group", "delete group NAME", "delete your group", ""),
    topic(
        "startprivate",
        "startprivate USER",
        "ask USER for a private link",
        "If USER agrees, the two clients connect to each other; the server does not see what you write.",
    ),
    topic(
        "accept",
        "accept USER",
        "agree to a private link that USER asked for",
        "y agrees to the oldest request.",
    ),
    topic(
        "decline",
        "decline USER",
        "refuse a private link that USER asked for",
        "n refuses the oldest request.",
    ),
    topic(
        "private",
        "private USER TEXT",
        "send over the private link",
        "Start one with startprivate. These links are not encrypted yet.",
    ),
    topic("stopprivate", "stopprivate USER", "end the private link with USER", ""),
    topic(
        "verify",
        "verify USER",
        "compare keys with USER",
        "Private links have no keys yet, so this is refused.",
    ),
    topic(
        "path",
        "path USER direct|auto|relay",
        "choose how the private link with USER runs",
        "Links run directly from client to client; relay is not to be had yet.",
    ),
    topic("help", "help [COMMAND]", "explain the commands, or one of them", ""),
    topic("logout", "logout", "log out", ""),
];

/// The text for a command of one or two words, or for all of them; `None` if there is no such
/// command.
pub(super) fn text(about: Option<&str>) -> Option<String> {
    let Some(about) = about else { return Some(overview()) };
    let about = if about == "wholasthtr" { "wholasthr" } else { about };
    let meant = |topic: &&Topic| {
        let behind = topic.name.strip_prefix(about);
        behind.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let topics: Vec<String> = TOPICS.iter().filter(meant).map(explained).collect();
    if topics.is_empty() { None } else { Some(topics.join("\n")) }
}

fn overview() -> String {
    let widest = TOPICS.iter().map(|topic| topic.form.len()).max().unwrap_or_default();
    let lines: Vec<String> =
        TOPICS.iter().map(|topic| format!("{:widest$}  {}", topic.form, topic.gist)).collect();
    lines.join("\n")
}

fn explained(topic: &Topic) -> String {
    let gist = format!("{}: {}.", topic.form, topic.gist);
    if topic.more.is_empty() { gist } else { format!("{gist} {}", topic.more) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::intent;

    #[test]
    fn every_command_is_explained_and_every_topic_is_a_command() {
        for topic in TOPICS {
            let line = topic.form.replace("...", "").replace("[COMMAND]", "").replace("|auto|relay", "");
            let line = line.replace("SECONDS", "60");
            assert!(intent::read(line.as_bytes(), 100).is_ok(), "{line}");
            assert!(text(Some(topic.name)).unwrap().starts_with(topic.form));
            assert!(overview().contains(topic.form));
        }
    }

    #[test]
    fn a_first_word_brings_all_commands_that_begin_with_it() {
        assert_eq!(text(Some("message")).unwrap().lines().count(), 2);
        assert_eq!(text(Some("create")).unwrap().lines().count(), 1);
        assert_eq!(text(Some("mess")), None);
        assert_eq!(text(Some("")), None);
        assert_eq!(text(Some("wholasthtr")), text(Some("wholasthr")));
    }
}
