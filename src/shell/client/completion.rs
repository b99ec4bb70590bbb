//! Completion of commands and names at a terminal.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::client::view::{MessageKind, Success, View};
use crate::client::{AT_TERMINAL, Verb, Way};
use crate::words::Name;

/// Names that are remembered.
const NAMES: usize = 10_000;

/// Names seen so far, shared with the line editor.
#[derive(Debug, Clone, Default)]
pub(super) struct Roster(Arc<Mutex<Names>>);

#[derive(Debug, Default)]
struct Names {
    users: BTreeSet<String>,
    groups: BTreeSet<String>,
}

impl Roster {
    /// Learns names from what is shown.
    pub(super) fn learn(&self, view: &View) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match view {
            View::LoggedIn { .. } => *names = Names::default(),
            View::Presence { user, online: false } => {
                names.users.remove(user);
            }
            View::Presence { user, online: true } | View::PrivateOpened { user, .. } => names.add_user(user),
            View::PrivateRequest { from } | View::RequestOver { from } => names.add_user(from),
            View::Message(message) => {
                names.add_user(&message.from);
                if message.kind == MessageKind::Group {
                    message.group.iter().for_each(|group| names.add_group(group));
                }
            }
            View::Group { group, .. } => names.add_group(group),
            View::Result { outcome: Ok(success), .. } => names.learn(success),
            View::Result { outcome: Err(_), .. }
            | View::Connection(_)
            | View::Before { .. }
            | View::Prompt { .. }
            | View::Offline { .. }
            | View::Wire { .. }
            | View::Addressee { .. }
            | View::LoginRefused(_)
            | View::PrivateClosed { .. }
            | View::Announcement { .. }
            | View::Notice(_)
            | View::Bye(_) => {}
        }
    }

    /// Where the word at the end of `line` begins, and its completions.
    pub(super) fn complete(&self, line: &str) -> (usize, Vec<String>) {
        let start = line.rfind(' ').map_or(0, |space| space + 1);
        let (before, word) = line.split_at(start);
        let before: Vec<&str> = before.split(' ').filter(|word| !word.is_empty()).collect();
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = |words: &mut dyn Iterator<Item = &str>| -> Vec<String> {
            words.filter(|whole| whole.starts_with(word)).map(|whole| format!("{whole} ")).collect()
        };
        let candidates = match before[..] {
            [] | ["help"] => fitting(&mut first_words().into_iter()),
            ["to"] => fitting(&mut names.users.iter().map(String::as_str).chain(["all", "group"])),
            ["path", _] => fitting(&mut Way::ALL.iter().map(|way| way.as_str())),
            ["to", "group"] => fitting(&mut names.groups.iter().map(String::as_str)),
            ["message"] => fitting(&mut names.users.iter().map(String::as_str).chain(["group"])),
            [command] if is_of_groups(command) => fitting(&mut ["group"].into_iter()),
            [_] => fitting(&mut names.users.iter().map(String::as_str)),
            [command, "group"] if command != "create" && is_of_groups(command) => {
                fitting(&mut names.groups.iter().map(String::as_str))
            }
            ["add" | "remove", "group", _] | ["create", "group", _, ..] => {
                fitting(&mut names.users.iter().map(String::as_str))
            }
            _ => Vec::new(),
        };
        (start, candidates)
    }
}

impl Names {
    fn learn(&mut self, success: &Success) {
        match success {
            Success::Whoelse { users, .. } | Success::Users { users } => {
                users.iter().for_each(|user| self.add_user(user))
            }
            Success::Group { group, members } if members.is_empty() => drop(self.groups.remove(group)),
            Success::Group { group, .. } | Success::GroupMessage { group, .. } => self.add_group(group),
            Success::Groups { groups } => groups.iter().for_each(|(group, _)| self.add_group(group)),
            Success::Message { to: user, .. }
            | Success::User { user }
            | Success::Ping { user, .. }
            | Success::Seen { user, .. }
            | Success::Verification { user, .. }
            | Success::Path { user, .. }
            | Success::Private { user, .. } => self.add_user(user),
            Success::Broadcast { .. }
            | Success::Offline { .. }
            | Success::Ordered { .. }
            | Success::Help { .. }
            | Success::History { .. }
            | Success::Done
            | Success::Logout => {}
        }
    }

    fn add_user(&mut self, user: &str) {
        add(&mut self.users, user);
    }

    fn add_group(&mut self, group: &str) {
        add(&mut self.groups, group);
    }
}

/// The first words of all commands, in order.
fn first_words() -> BTreeSet<&'static str> {
    Verb::all().chain(AT_TERMINAL).filter_map(|verb| verb.name().split(' ').next()).collect()
}

/// Whether the second word of some command that begins with this one is `group`.
fn is_of_groups(first: &str) -> bool {
    Verb::all().any(|verb| verb.name().split_once(' ') == Some((first, "group")))
}

/// Only names that are harmless on a terminal are offered.
fn add(names: &mut BTreeSet<String>, name: &str) {
    if names.len() < NAMES && Name::new(name).is_ok() {
        names.insert(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::view::GroupChange;

    fn roster() -> Roster {
        let roster = Roster::default();
        for user in ["hans", "hanna", "luke", "\x1b[2J"] {
            roster.learn(&View::Presence { user: user.into(), online: true });
        }
        roster.learn(&View::Group {
            group: "rebels".into(),
            by: "hans".into(),
            members: vec!["luke".into()],
            change: GroupChange::Some,
        });
        roster.learn(&View::Presence { user: "luke".into(), online: false });
        roster
    }

    #[test]
    fn commands_names_and_groups_are_completed_where_they_stand() {
        let roster = roster();
        for (line, start, candidates) in [
            ("me", 0, vec!["message "]),
            ("message ha", 8, vec!["hanna ", "hans "]),
            ("message g", 8, vec!["group "]),
            ("message group r", 14, vec!["rebels "]),
            ("message hans ha", 13, vec![]),
            ("create gr", 7, vec!["group "]),
            ("create group r", 13, vec![]),
            ("create group new hans ha", 22, vec!["hanna ", "hans "]),
            ("add group rebels hans", 17, vec!["hans "]),
            ("ping l", 5, vec![]),
            ("help blo", 5, vec!["block "]),
            ("ping \x1b", 5, vec![]),
        ] {
            assert_eq!(
                roster.complete(line),
                (start, candidates.into_iter().map(String::from).collect()),
                "{line}"
            );
        }
    }

    #[test]
    fn a_login_forgets_what_another_user_saw() {
        let roster = roster();
        roster.learn(&View::LoggedIn { user: "yoda".into(), unread: 0 });
        assert_eq!(roster.complete("ping h").1, Vec::<String>::new());
    }
}
