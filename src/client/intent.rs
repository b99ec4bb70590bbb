//! Parses typed lines: commands for the server, and those that the client carries out itself.

use alloc::string::String;

use super::log::Query;
use super::settings::{Settings, Way};
use super::verb::{Named, Verb};
use crate::wire::{Code, Command, CommandKind, Contact, Misuse};
use crate::words::Text;

/// Characters of an unknown first word that the result repeats.
const NAMED_CHARS: usize = 32;

/// A parsed line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Intent<'a> {
    /// A command for the server.
    Request(Command<'a>),
    /// `startprivate USER`
    StartPrivate { user: &'a str },
    /// `accept USER`
    Accept { user: &'a str },
    /// `decline USER`
    Decline { user: &'a str },
    /// `y` (true) or `n`, at a terminal: answers the oldest open request for a private link.
    Reply(bool),
    /// `private USER TEXT`
    Private { to: &'a str, text: Text<'a> },
    /// `stopprivate USER`
    StopPrivate { user: &'a str },
    /// `verify USER [yes]`
    Verify { user: &'a str, is_right: bool },
    /// `trust USER`
    Trust { user: &'a str },
    /// `path USER [direct|auto|relay]`
    Path { user: &'a str, way: Option<Way> },
    /// `history [USER|group NAME] [COUNT]`
    History(Query),
    /// `search WORDS`
    Search(Query),
    /// `help [COMMAND]`
    Help { about: Option<&'a str> },
    /// `logout`
    Logout,
}

impl Intent<'_> {
    /// Which command it is.
    pub(super) const fn verb(&self) -> Verb {
        match self {
            Intent::Request(command) => Verb::Server(command.kind()),
            Intent::StartPrivate { .. } => Verb::Server(CommandKind::StartPrivate),
            Intent::Accept { .. } | Intent::Reply(true) => Verb::Server(CommandKind::Accept),
            Intent::Decline { .. } | Intent::Reply(false) => Verb::Server(CommandKind::Decline),
            Intent::Private { .. } => Verb::Private,
            Intent::StopPrivate { .. } => Verb::StopPrivate,
            Intent::Verify { .. } => Verb::Verify,
            Intent::Trust { .. } => Verb::Trust,
            Intent::Path { .. } => Verb::Path,
            Intent::History(_) => Verb::History,
            Intent::Search(_) => Verb::Search,
            Intent::Help { .. } => Verb::Server(CommandKind::Help),
            Intent::Logout => Verb::Server(CommandKind::Logout),
        }
    }
}

/// A typed line that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misread {
    /// The command, or the first word typed (shortened).
    pub(super) command: Named,
    /// [`Code::UnknownCommand`], [`Code::Usage`] or [`Code::TooLong`].
    pub(super) code: Code,
}

impl From<Misuse<'_>> for Misread {
    fn from(misuse: Misuse<'_>) -> Misread {
        Misread { command: misuse.command.into(), code: misuse.code }
    }
}

/// Parses a typed line.
pub(super) fn read<'a>(line: &'a [u8], settings: &Settings) -> Result<Intent<'a>, Misread> {
    if line.len() > settings.line_bytes {
        return Err(Misread { command: named(line), code: Code::TooLong });
    }
    let Ok(text) = core::str::from_utf8(line) else {
        return Err(Misread { command: named(line), code: Code::Usage });
    };
    let command = text.trim_start_matches(' ');
    if settings.terminal
        && let Some(yes) = reply(command.trim_end_matches(' '))
    {
        return Ok(Intent::Reply(yes));
    }
    match local(command) {
        Some(read) => read,
        None => read_request(text),
    }
}

/// The name of the command that a line begins with, as far as it can be read, otherwise its first word.
fn named(line: &[u8]) -> Named {
    let start = line.trim_ascii_start();
    let word = start.split(|byte| *byte == b' ').next().unwrap_or_default();
    match Misuse::unreadable(line).command {
        "" => Named::Word(String::from_utf8_lossy(word).chars().take(NAMED_CHARS).collect()),
        command => command.into(),
    }
}

/// `y` or `n`; for a person only. A script has to say whose request it answers.
fn reply(word: &str) -> Option<bool> {
    match word {
        "y" => Some(true),
        "n" => Some(false),
        _ => None,
    }
}

/// Commands that the server does not know; `None` if it is none of them.
fn local(line: &str) -> Option<Result<Intent<'_>, Misread>> {
    let (word, rest) = line.split_at(line.find(' ').unwrap_or(line.len()));
    let (command, intent) = match word {
        "private" => (Verb::Private, private(rest)),
        "stopprivate" => (Verb::StopPrivate, one(rest).map(|user| Intent::StopPrivate { user })),
        "verify" => (Verb::Verify, verify(rest)),
        "trust" => (Verb::Trust, one(rest).map(|user| Intent::Trust { user })),
        "history" => (Verb::History, Query::history(rest).map(Intent::History)),
        "search" => (Verb::Search, Query::search(rest).map(Intent::Search)),
        "path" => (Verb::Path, path(rest)),
        _ => return None,
    };
    Some(intent.ok_or_else(|| Misread { command: command.into(), code: Code::Usage }))
}

/// Commands that the server knows, some of which the client carries out itself or adds to.
fn read_request(line: &str) -> Result<Intent<'_>, Misread> {
    let command = Command::parse(line)?;
    match command {
        Command::StartPrivate { user, ref contact } if *contact == Contact::default() => {
            Ok(Intent::StartPrivate { user })
        }
        Command::Accept { user, ref contact } if *contact == Contact::default() => {
            Ok(Intent::Accept { user })
        }
        // Where this client listens is not typed.
        Command::StartPrivate { .. } | Command::Accept { .. } => {
            Err(Misread { command: Verb::Server(command.kind()).into(), code: Code::Usage })
        }
        Command::Decline { user } => Ok(Intent::Decline { user }),
        Command::Help { about } => Ok(Intent::Help { about }),
        Command::Logout => Ok(Intent::Logout),
        Command::Message { .. }
        | Command::Broadcast { .. }
        | Command::Whoelse
        | Command::WhoelseSince { .. }
        | Command::Wholasthr
        | Command::Block { .. }
        | Command::Unblock { .. }
        | Command::Offline
        | Command::Ping { .. }
        | Command::Seen { .. }
        | Command::Away { .. }
        | Command::Back
        | Command::CreateGroup { .. }
        | Command::MessageGroup { .. }
        | Command::GroupList
        | Command::AddToGroup { .. }
        | Command::RemoveFromGroup { .. }
        | Command::LeaveGroup { .. }
        | Command::DeleteGroup { .. }
        | Command::Op { .. } => Ok(Intent::Request(command)),
    }
}

fn one(rest: &str) -> Option<&str> {
    let mut words = words(rest);
    words.next().filter(|_| words.next().is_none())
}

fn words(rest: &str) -> impl Iterator<Item = &str> {
    rest.split(' ').filter(|word| !word.is_empty())
}

/// ` USER TEXT`; the text begins after one space and is kept byte for byte.
fn private(rest: &str) -> Option<Intent<'_>> {
    let (to, text) = rest.trim_start_matches(' ').split_once(' ')?;
    Some(Intent::Private { to, text: Text::new(text)? })
}

fn verify(rest: &str) -> Option<Intent<'_>> {
    let mut words = words(rest);
    let user = words.next()?;
    let is_right = match words.next() {
        None => false,
        Some("yes") => true,
        Some(_) => return None,
    };
    words.next().is_none().then_some(Intent::Verify { user, is_right })
}

fn path(rest: &str) -> Option<Intent<'_>> {
    let mut words = words(rest);
    let user = words.next()?;
    let way = match words.next() {
        None => None,
        Some(word) => Some(Way::from_word(word)?),
    };
    words.next().is_none().then_some(Intent::Path { user, way })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn settings(terminal: bool) -> Settings {
        Settings { terminal, line_bytes: 40, ..Settings::default() }
    }

    fn refused(line: &[u8]) -> (String, Code) {
        let misread = read(line, &settings(false)).unwrap_err();
        (misread.command.to_string(), misread.code)
    }

    #[test]
    fn commands_of_the_client() {
        let private = |text| Intent::Private { to: "hans", text: Text::new(text).unwrap() };
        for (line, intent) in [
            ("startprivate hans", Intent::StartPrivate { user: "hans" }),
            ("  accept   hans ", Intent::Accept { user: "hans" }),
            ("decline hans", Intent::Decline { user: "hans" }),
            ("private hans hi", private("hi")),
            ("  private   hans   hi ", private("  hi ")),
            ("stopprivate hans", Intent::StopPrivate { user: "hans" }),
            ("verify hans", Intent::Verify { user: "hans", is_right: false }),
            ("verify hans yes", Intent::Verify { user: "hans", is_right: true }),
            ("trust hans", Intent::Trust { user: "hans" }),
            ("path hans auto", Intent::Path { user: "hans", way: Some(Way::Auto) }),
            ("path hans", Intent::Path { user: "hans", way: None }),
            ("help", Intent::Help { about: None }),
            ("help create group", Intent::Help { about: Some("create group") }),
            ("logout", Intent::Logout),
            ("whoelse", Intent::Request(Command::Whoelse)),
        ] {
            assert_eq!(read(line.as_bytes(), &settings(false)), Ok(intent), "{line}");
        }
    }

    #[test]
    fn y_and_n_are_answers_at_a_terminal_only() {
        for (line, yes) in [("y", true), ("n", false), ("  y  ", true)] {
            assert_eq!(read(line.as_bytes(), &settings(true)), Ok(Intent::Reply(yes)), "{line}");
            assert_eq!(refused(line.as_bytes()), (line.trim().into(), Code::UnknownCommand));
        }
        assert!(read(b"y please", &settings(true)).is_err());
    }

    #[test]
    fn a_command_that_lacks_something_or_has_too_much_is_usage() {
        for (line, command) in [
            ("private", "private"),
            ("private hans", "private"),
            ("private hans ", "private"),
            ("stopprivate", "stopprivate"),
            ("stopprivate a b", "stopprivate"),
            ("verify", "verify"),
            ("verify hans no", "verify"),
            ("trust hans yes", "trust"),
            ("path", "path"),
            ("path hans over", "path"),
            ("path hans auto now", "path"),
            ("startprivate hans 5000", "startprivate"),
            ("startprivate", "startprivate"),
            ("logout now", "logout"),
            ("create group g", "create group"),
        ] {
            assert_eq!(refused(line.as_bytes()), (command.into(), Code::Usage), "{line}");
        }
    }

    #[test]
    fn unknown_overlong_and_unreadable_lines_are_named_by_their_first_word() {
        assert_eq!(refused(b"dance hans"), ("dance".into(), Code::UnknownCommand));
        assert_eq!(refused(b"Message hans hi"), ("Message".into(), Code::UnknownCommand));
        assert_eq!(refused(b"y please"), ("y".into(), Code::UnknownCommand));
        assert_eq!(refused(b"#5 whoelse"), ("#5".into(), Code::UnknownCommand));
        assert_eq!(refused(&[b'x'; 41]), ("x".repeat(32), Code::TooLong));
        let long = b"message hans 0123456789012345678901234567";
        assert_eq!(refused(long), ("message".into(), Code::TooLong));
        assert!(read(&long[..40], &settings(false)).is_ok());
        assert_eq!(refused(b"message hans \xff"), ("message".into(), Code::Usage));
        assert_eq!(refused(b"\xff"), ("\u{fffd}".into(), Code::Usage));
    }
}
