//! The commands of the protocol, in one table: names, arguments, help, and what a repeat must not do.

/// How a command that is repeated has to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// Carried out again: it only asks, or asks a person.
    Again,
    /// Answered as before: others see what it does.
    Once,
    /// Answered as before, also after a restart of the server: it changes what is stored.
    Change,
}

/// Declares the kinds of commands from a table with a row for each.
macro_rules! commands {
    ($($variant:ident = $verb:literal $($group:literal)?, $arguments:literal, $repeat:ident, $help:literal;)+) => {
        /// Which command, without its arguments.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CommandKind {
            $(
                #[doc = concat!("`", $verb, $(" ", $group,)? "`: ", $help)]
                $variant,
            )+
        }

        impl CommandKind {
            /// All of them, in the order in which help lists them.
            pub const ALL: &'static [CommandKind] = &[$(CommandKind::$variant,)+];

            /// The words it begins with, as results and errors name it: `message`, `create group`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(CommandKind::$variant => concat!($verb $(, " ", $group)?),)+ }
            }

            /// The first word of its name.
            #[must_use]
            pub const fn verb(self) -> &'static str {
                match self { $(CommandKind::$variant => $verb,)+ }
            }

            /// What follows its name on a line: `NAME USER...`; empty if nothing does.
            #[must_use]
            pub const fn arguments(self) -> &'static str {
                match self { $(CommandKind::$variant => $arguments,)+ }
            }

            /// What it does, in a few words for people.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(CommandKind::$variant => $help,)+ }
            }

            /// The kind with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<CommandKind> {
                match name {
                    $(concat!($verb $(, " ", $group)?) => Some(CommandKind::$variant),)+
                    _ => None,
                }
            }

            const fn repeat(self) -> Repeat {
                match self { $(CommandKind::$variant => Repeat::$repeat,)+ }
            }
        }
    };
}

commands! {
    Message = "message", "USER TEXT", Once, "send a message";
    Broadcast = "broadcast", "TEXT", Once, "send to everyone online";
    Whoelse = "whoelse", "", Again, "list who else is online";
    WhoelseSince = "whoelsesince", "SECONDS", Again, "list who else was online within the last SECONDS";
    Wholasthr = "wholasthr", "", Again, "list who else was online within the last hour";
    Block = "block", "USER", Change, "get nothing from USER any more, and show USER nothing";
    Unblock = "unblock", "USER", Change, "take a block back";
    Offline = "offline", "", Again, "show stored messages";
    Ping = "ping", "USER", Again, "ask whether USER is online";
    Seen = "seen", "USER", Again, "ask when USER was last here";
    Away = "away", "TEXT", Again, "let others know why you do not answer";
    Back = "back", "", Again, "be away no longer";
    CreateGroup = "create" "group", "NAME USER...", Change, "make a group of yourself and others";
    MessageGroup = "message" "group", "NAME TEXT", Once, "send to all members of a group";
    GroupList = "grouplist", "", Again, "list your groups and their members";
    AddToGroup = "add" "group", "NAME USER", Change, "add USER to your group";
    RemoveFromGroup = "remove" "group", "NAME USER", Change, "remove USER from your group";
    LeaveGroup = "leave" "group", "NAME", Change, "leave a group";
    DeleteGroup = "delete" "group", "NAME", Change, "delete your group";
    StartPrivate = "startprivate", "USER ENDPOINT...", Again, "ask USER for a private link";
    Accept = "accept", "USER ENDPOINT...", Again, "agree to a private link that USER asked for";
    Decline = "decline", "USER", Again, "refuse a private link that USER asked for";
    Op = "op", "ORDER", Once, "have the server do something, as its operator";
    Help = "help", "[COMMAND]", Again, "explain the commands, or one of them";
    Logout = "logout", "", Again, "log out";
}

impl CommandKind {
    /// Whether the server remembers the answer to a numbered one, because a repeat must not be carried
    /// out again.
    #[must_use]
    pub const fn is_remembered(self) -> bool {
        match self.repeat() {
            Repeat::Once | Repeat::Change => true,
            Repeat::Again => false,
        }
    }

    /// Whether it changes what the server stores: blocks and groups.
    #[must_use]
    pub const fn is_change(self) -> bool {
        match self.repeat() {
            Repeat::Change => true,
            Repeat::Again | Repeat::Once => false,
        }
    }

    /// The kind whose name begins with this word; for `message` it is the one without `group`.
    pub(super) fn begun_with(word: &str) -> Option<CommandKind> {
        let word = if word == "wholasthtr" { "wholasthr" } else { word };
        CommandKind::ALL.iter().copied().find(|kind| kind.verb() == word)
    }

    /// Whether the word `group` belongs to its name.
    pub(super) const fn is_of_groups(self) -> bool {
        self.verb().len() < self.name().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Command;
    use alloc::format;

    /// Each form is a command of its own kind once its capitals stand for words.
    #[test]
    fn each_form_in_the_table_is_a_command_of_its_kind() {
        for kind in CommandKind::ALL {
            let line = format!("{} {}", kind.name(), kind.arguments()).replace("...", "");
            let line = line.replace("SECONDS", "60").replace("ENDPOINT", "5123").replace("[COMMAND]", "");
            assert_eq!(Command::parse(&line).unwrap().kind(), *kind, "{line}");
            assert_eq!(CommandKind::from_name(kind.name()), Some(*kind));
        }
    }

    #[test]
    fn changes_and_messages_are_remembered() {
        let names = |chosen: fn(CommandKind) -> bool| {
            let kinds = CommandKind::ALL.iter().copied().filter(|kind| chosen(*kind));
            kinds.map(CommandKind::name).collect::<alloc::vec::Vec<_>>()
        };
        let changes = names(CommandKind::is_change);
        let group = ["create group", "add group", "remove group", "leave group", "delete group"];
        assert_eq!(changes, [&["block", "unblock"], &group[..]].concat());
        let only_remembered = names(|kind| kind.is_remembered() && !kind.is_change());
        assert_eq!(only_remembered, ["message", "broadcast", "message group", "op"]);
        assert!(changes.iter().all(|name| CommandKind::from_name(name).unwrap().is_remembered()));
    }
}
