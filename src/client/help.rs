//! What `help` says about each command.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::verb::{AT_TERMINAL, Verb};
use crate::wire::CommandKind;

/// Commands that share a line in the list of all, which fits on a screen, and what they do.
const PAIRS: [(Verb, Verb, &str); 9] = [
    (
        Verb::Server(CommandKind::WhoelseSince),
        Verb::Server(CommandKind::Wholasthr),
        "who else was online within SECONDS, or an hour",
    ),
    (
        Verb::Server(CommandKind::Ping),
        Verb::Server(CommandKind::Seen),
        "ask whether USER is online, and until when they were",
    ),
    (
        Verb::Server(CommandKind::Block),
        Verb::Server(CommandKind::Unblock),
        "keep USER from reaching you, or no longer",
    ),
    (
        Verb::Server(CommandKind::Away),
        Verb::Server(CommandKind::Back),
        "let others know why you do not answer, or no longer",
    ),
    (
        Verb::Server(CommandKind::LeaveGroup),
        Verb::Server(CommandKind::DeleteGroup),
        "leave a group; delete your own",
    ),
    (
        Verb::Server(CommandKind::Accept),
        Verb::Server(CommandKind::Decline),
        "agree to a private link that USER asked for, or not",
    ),
    (
        Verb::Server(CommandKind::StartPrivate),
        Verb::StopPrivate,
        "talk with USER without the server; end that",
    ),
    (Verb::History, Verb::Search, "show or find what was said"),
    (Verb::Verify, Verb::Trust, "compare keys; accept another key"),
];

/// The help for a command, named by its first word or all of them, or for all commands; `None` if there is no
/// such command.
pub(super) fn text(about: Option<&str>) -> Option<String> {
    let Some(about) = about else { return Some(overview()) };
    let about = if about == "wholasthtr" { "wholasthr" } else { about };
    let meant = |verb: &Verb| {
        let further = verb.name().strip_prefix(about);
        further.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let topics: Vec<String> = Verb::all().chain(AT_TERMINAL).filter(meant).map(explained).collect();
    if topics.is_empty() { None } else { Some(topics.join("\n")) }
}

fn overview() -> String {
    let alone = |verb: &Verb| !PAIRS.iter().any(|(one, other, _)| one == verb || other == verb);
    let widest = Verb::all().filter(alone).map(|verb| verb.form().len()).max().unwrap_or_default();
    let mut lines: Vec<String> = Verb::all().filter_map(|verb| listed(verb, widest)).collect();
    lines
        .push(format!("{:widest$} {}", "to USER, reply TEXT, raw", "at a terminal: see help to, help reply"));
    lines.join("\n")
}

/// The line of a command in the list of all; none if it shares that of another.
fn listed(verb: Verb, widest: usize) -> Option<String> {
    if PAIRS.iter().any(|(_, second, _)| *second == verb) {
        return None;
    }
    Some(match PAIRS.iter().find(|(first, _, _)| *first == verb) {
        Some((first, second, gist)) => {
            format!("{:widest$} {gist}", format!("{}, {}", first.form(), second.form()))
        }
        None => format!("{:widest$} {}", verb.form(), verb.help()),
    })
}

fn explained(verb: Verb) -> String {
    let gist = format!("{}: {}.", verb.form(), verb.help());
    match more(verb) {
        "" => gist,
        more => format!("{gist} {more}"),
    }
}

/// What else there is to know; empty if there is nothing.
const fn more(verb: Verb) -> &'static str {
    match verb {
        Verb::Server(kind) => more_of_server(kind),
        Verb::Private => "Start one with startprivate. Only USER's device can read what you write.",
        Verb::StopPrivate => "",
        Verb::To => {
            "At a terminal. Then /COMMAND is a command, // begins a text with a slash, and /to ends it."
        }
        Verb::History => {
            "The last 20 lines, or COUNT up to 1,000, that this client has kept; with --log on, as at a terminal."
        }
        Verb::Search => "The last 20 such lines that this client has kept.",
        Verb::Reply => "At a terminal.",
        Verb::Raw => "At a terminal. Passwords, tokens and cookies are not shown.",
        Verb::Verify => {
            "Read the code out to each other. If it is the same, nobody is between you: verify USER yes."
        }
        Verb::Trust => "Only after they have told you so in another way: somebody else may have that key.",
        Verb::Path => {
            "direct: from client to client; relay: through the server, which cannot read it, and hides your address; auto: whichever works."
        }
    }
}

const fn more_of_server(kind: CommandKind) -> &'static str {
    match kind {
        CommandKind::Message => "If USER is not online, it is kept for the next login.",
        CommandKind::Broadcast => "Those who have blocked you do not get it. Broadcasts are never kept.",
        CommandKind::WhoelseSince => "Those who are online now are among them.",
        CommandKind::Block => "USER is not told. A private link that is open already stays open.",
        CommandKind::Unblock => "Messages that were held back by the block are shown.",
        CommandKind::Offline => "Only needed where the server does not show them at login.",
        CommandKind::Seen => "Who is online is here now. Of those who have blocked you nothing is known.",
        CommandKind::Away => {
            "They are told when they write to you and in whoelse, until you are back or log out."
        }
        CommandKind::CreateGroup => "You own it: you may add and remove members, and delete it.",
        CommandKind::MessageGroup => "Members who are not online get it at their next login.",
        CommandKind::LeaveGroup => "If it is yours, it passes to the member who has been in it longest.",
        CommandKind::StartPrivate => {
            "If USER agrees, the two clients connect to each other; the server cannot see what you write."
        }
        CommandKind::Op => {
            "status, sessions, kick USER [TEXT], mute USER [FOR], announce TEXT and the rest of hobnob-server ctl, but for stop and restart."
        }
        CommandKind::Accept => "At a terminal, y agrees to the oldest request.",
        CommandKind::Decline => "At a terminal, n refuses the oldest request.",
        CommandKind::Whoelse
        | CommandKind::Wholasthr
        | CommandKind::Ping
        | CommandKind::Back
        | CommandKind::GroupList
        | CommandKind::AddToGroup
        | CommandKind::RemoveFromGroup
        | CommandKind::DeleteGroup
        | CommandKind::Help
        | CommandKind::Logout => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::verb::Named;
    use crate::client::{Settings, intent};

    #[test]
    fn every_command_is_explained_and_can_be_typed_so() {
        for verb in Verb::all() {
            let form = verb.form();
            let line =
                form.replace("...", "").replace("[COMMAND]", "").replace("[yes]", "").replace("[WAY]", "");
            let line = line.replace("SECONDS", "60").replace("[USER|group NAME] [COUNT]", "");
            assert_eq!(intent::read(line.as_bytes(), &Settings::default()).unwrap().verb(), verb, "{line}");
            assert_eq!(Named::from(verb.name()), Named::Command(verb));
            assert!(text(Some(verb.name())).unwrap().starts_with(&form));
            assert!(overview().contains(&form));
        }
    }

    #[test]
    fn every_command_is_listed_once() {
        let mut verbs: Vec<Verb> = Verb::all().collect();
        verbs.sort_unstable();
        verbs.dedup();
        assert_eq!(verbs.len(), CommandKind::ALL.len() + 7);
        assert_eq!(overview().lines().count(), verbs.len() + 1 - PAIRS.len());
    }

    #[test]
    fn all_commands_fit_on_a_small_screen() {
        let overview = overview();
        assert!(overview.lines().count() <= 24);
        assert_eq!(overview.lines().find(|line| line.len() >= 80), None);
    }

    #[test]
    fn help_and_logout_come_last() {
        let verbs: Vec<Verb> = Verb::all().collect();
        assert_eq!(verbs[..1], [Verb::Server(CommandKind::Message)]);
        let last = [CommandKind::Help, CommandKind::Logout].map(Verb::Server);
        assert_eq!(verbs[verbs.len() - 2..], last);
    }

    #[test]
    fn what_else_there_is_to_know_follows_the_gist() {
        let private = text(Some("private")).unwrap();
        assert!(
            private.ends_with(". Start one with startprivate. Only USER's device can read what you write."),
            "{private}"
        );
        assert!(text(Some("stopprivate")).unwrap().ends_with(&format!("{}.", Verb::StopPrivate.help())));
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
