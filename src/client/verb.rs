//! The commands that people type: those of the server, and those that the client carries out itself.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

use crate::wire::CommandKind;

/// Which command was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// One that the server knows.
    Server(CommandKind),
    /// `private USER TEXT`
    Private,
    /// `stopprivate USER`
    StopPrivate,
    /// `verify USER [yes]`
    Verify,
    /// `trust USER`
    Trust,
    /// `path USER [direct|auto|relay]`
    Path,
    /// `history [USER|group NAME] [COUNT]`
    History,
    /// `search WORDS`
    Search,
    /// `to USER`, at a terminal
    To,
    /// `reply TEXT`, at a terminal
    Reply,
    /// `raw`, at a terminal
    Raw,
}

/// Those that exist at a terminal only.
pub const AT_TERMINAL: [Verb; 3] = [Verb::To, Verb::Reply, Verb::Raw];

/// Those that the client carries out itself.
const LOCAL: [Verb; 7] =
    [Verb::Private, Verb::StopPrivate, Verb::Verify, Verb::Trust, Verb::Path, Verb::History, Verb::Search];

impl Verb {
    /// All of them but those of terminals, in the order in which help lists them: those of the client come after the other
    /// ones that private links need.
    pub fn all() -> impl Iterator<Item = Verb> {
        let comes_last = |kind: &CommandKind| matches!(kind, CommandKind::Help | CommandKind::Logout);
        let of_server = |last| CommandKind::ALL.iter().copied().filter(move |kind| comes_last(kind) == last);
        of_server(false).map(Verb::Server).chain(LOCAL).chain(of_server(true).map(Verb::Server))
    }

    /// The words it begins with, as results name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verb::Server(kind) => kind.name(),
            Verb::Private => "private",
            Verb::StopPrivate => "stopprivate",
            Verb::Verify => "verify",
            Verb::Trust => "trust",
            Verb::Path => "path",
            Verb::History => "history",
            Verb::Search => "search",
            Verb::To => "to",
            Verb::Reply => "reply",
            Verb::Raw => "raw",
        }
    }

    /// What a person types after its name; empty if nothing. Where the client listens is not typed.
    #[must_use]
    pub const fn arguments(self) -> &'static str {
        match self {
            Verb::Server(CommandKind::StartPrivate | CommandKind::Accept) => "USER",
            Verb::Server(kind) => kind.arguments(),
            Verb::Private => "USER TEXT",
            Verb::StopPrivate | Verb::Trust => "USER",
            Verb::Verify => "USER [yes]",
            Verb::Path => "USER [WAY]",
            Verb::History => "[USER|group NAME] [COUNT]",
            Verb::Search => "WORDS",
            Verb::To => "USER|group NAME|all",
            Verb::Reply => "TEXT",
            Verb::Raw => "",
        }
    }

    /// What it does, in a few words.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Verb::Server(kind) => kind.help(),
            Verb::Private => "send over the private link",
            Verb::StopPrivate => "end the private link with USER",
            Verb::Verify => "compare keys with USER; yes if equal",
            Verb::Trust => "accept that USER has another key",
            Verb::Path => "how private links run: direct, auto, relay",
            Verb::History => "show what was said before",
            Verb::Search => "find what was said with all these WORDS",
            Verb::To => "send what you type to them; to ends it",
            Verb::Reply => "send where the last message came from",
            Verb::Raw => "show the lines of the protocol; raw again ends it",
        }
    }

    /// How it is typed: its name and its arguments.
    #[must_use]
    pub fn form(self) -> String {
        match self.arguments() {
            "" => self.name().to_owned(),
            arguments => alloc::format!("{} {arguments}", self.name()),
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a result is about: a command, or the first word of a line that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// A command.
    Command(Verb),
    /// Any other word, shortened.
    Word(String),
}

impl Named {
    /// As it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Named::Command(verb) => verb.name(),
            Named::Word(word) => word,
        }
    }
}

impl From<Verb> for Named {
    fn from(verb: Verb) -> Named {
        Named::Command(verb)
    }
}

impl From<&str> for Named {
    fn from(name: &str) -> Named {
        match Verb::all().find(|verb| verb.name() == name) {
            Some(verb) => Named::Command(verb),
            None => Named::Word(name.to_owned()),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
