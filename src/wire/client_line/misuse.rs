//! Names the command that was meant by a line that cannot be obeyed.

use nom::Parser;
use nom::sequence::preceded;

use crate::wire::code::Code;
use crate::wire::command::CommandKind;
use crate::wire::parse::{keyword_group, numbered, spaces, word};

/// A line that cannot be obeyed. It names the command, so that its sender knows which of their lines is
/// meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misuse<'a> {
    /// The number, if one could be read.
    pub number: Option<u64>,
    /// The command's name, or the first word of the line, cut to 32 characters; empty if there is none.
    pub command: &'a str,
    /// [`Code::UnknownCommand`] or [`Code::Usage`].
    pub code: Code,
}

/// Characters of a first word that are repeated to whoever typed it.
const NAMED_CHARS: usize = 32;

impl<'a> Misuse<'a> {
    /// The misuse in a line that is not UTF-8: [`Code::Usage`] of the command that can be read before
    /// the bad bytes.
    #[must_use]
    pub fn unreadable(line: &'a [u8]) -> Misuse<'a> {
        let line = memchr::memchr(b'\n', line).and_then(|end| line.get(..end)).unwrap_or(line);
        let readable = line.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        // The last word may continue in the bad bytes.
        let whole_words = readable.rsplit_once(' ').map_or("", |(whole_words, _)| whole_words);
        Misuse::of(whole_words, Code::Usage)
    }

    /// The misuse in a line that does not parse.
    pub(super) fn of(line: &'a str, code: Code) -> Misuse<'a> {
        match numbered(line) {
            Ok((line, number)) => Misuse { number: Some(number), command: command_name(line), code },
            Err(_) => Misuse { number: None, command: command_name(line), code },
        }
    }
}

/// The name of the command that a line begins with, however wrong its arguments are; else its first
/// word, shortened.
pub(super) fn command_name(line: &str) -> &str {
    let Ok((rest, first)) = preceded(spaces, word).parse(line) else { return "" };
    match CommandKind::begun_with(first) {
        Some(CommandKind::Message) if keyword_group(rest).is_ok() => CommandKind::MessageGroup.name(),
        Some(kind) => kind.name(),
        None => shortened(first),
    }
}

fn shortened(word: &str) -> &str {
    word.char_indices().nth(NAMED_CHARS).and_then(|(end, _)| word.get(..end)).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ClientLine, Command};

    fn misuse(number: impl Into<Option<u64>>, command: &str, code: Code) -> Misuse<'_> {
        Misuse { number: number.into(), command, code }
    }

    #[test]
    fn wrong_arguments_name_the_command() {
        for (line, command) in [
            ("hello", "hello"),
            ("hello one", "hello"),
            ("hello 01", "hello"),
            ("login", "login"),
            ("register hans", "register"),
            ("register hans ", "register"),
            ("resume hans abc", "resume"),
            ("ack", "ack"),
            ("ack 3.17", "ack"),
            ("ack 3 5", "ack"),
            ("ack 3.17 5 6", "ack"),
            ("active sometimes", "active"),
            ("message", "message"),
            ("message yoda", "message"),
            ("message yoda ", "message"),
            ("message group", "message group"),
            ("message group hi", "message group"),
            ("message group crew ", "message group"),
            ("broadcast", "broadcast"),
            ("broadcast ", "broadcast"),
            ("whoelse all", "whoelse"),
            ("whoelsesince", "whoelsesince"),
            ("whoelsesince -1", "whoelsesince"),
            ("whoelsesince +1", "whoelsesince"),
            ("whoelsesince 1.5", "whoelsesince"),
            ("whoelsesince 1e3", "whoelsesince"),
            ("whoelsesince ten", "whoelsesince"),
            ("whoelsesince 1 2", "whoelsesince"),
            ("whoelsesince ٣", "whoelsesince"),
            ("wholasthtr now", "wholasthr"),
            ("block", "block"),
            ("block yoda luke", "block"),
            ("ping  ", "ping"),
            ("create", "create group"),
            ("create crew yoda", "create group"),
            ("create group crew", "create group"),
            ("create group crew  ", "create group"),
            ("add crew yoda", "add group"),
            ("add group crew", "add group"),
            ("add group crew yoda luke", "add group"),
            ("remove", "remove group"),
            ("leave", "leave group"),
            ("leave group crew now", "leave group"),
            ("delete group", "delete group"),
            ("startprivate", "startprivate"),
            ("startprivate yoda 65536", "startprivate"),
            ("startprivate yoda here", "startprivate"),
            ("startprivate yoda 05123", "startprivate"),
            ("startprivate yoda 127.0.0.1:05123", "startprivate"),
            ("startprivate yoda 127.0.0.1:+5123", "startprivate"),
            ("startprivate yoda 127.0.0.1:65536", "startprivate"),
            ("startprivate yoda 127.1:5123", "startprivate"),
            ("startprivate yoda ::1:5123", "startprivate"),
            ("accept yoda [::1]:05123", "accept"),
            ("accept yoda [::1%1]:5123", "accept"),
            ("accept yoda [127.0.0.1]:5123", "accept"),
            ("accept yoda 1 2 3 4 5 6 7 8 9", "accept"),
            ("decline yoda 5123", "decline"),
            ("help me please", "help"),
            ("logout now", "logout"),
        ] {
            assert_eq!(
                ClientLine::parse(line.as_bytes()),
                Err(misuse(None, command, Code::Usage)),
                "{line:?}"
            );
        }
    }

    #[test]
    fn unknown_words_are_named_and_shortened() {
        let long = "x".repeat(33);
        let wide = "名".repeat(40);
        for (line, number, command) in [
            ("shout hello", None, "shout"),
            ("Message yoda hi", None, "Message"),
            ("messages yoda hi", None, "messages"),
            ("group", None, "group"),
            ("#7 frob", Some(7), "frob"),
            ("#7 login hans", Some(7), "login"),
            ("#7 #8 whoelse", Some(7), "#8"),
            ("#07 whoelse", None, "#07"),
            ("#-1 whoelse", None, "#-1"),
            ("#18446744073709551616 whoelse", None, "#18446744073709551616"),
            ("# whoelse", None, "#"),
            (&long, None, &long[..32]),
            (&wide, None, &wide[..96]),
        ] {
            let expected = misuse(number, command, Code::UnknownCommand);
            assert_eq!(ClientLine::parse(line.as_bytes()), Err(expected), "{line:?}");
        }
        assert_eq!(Command::parse("#7 whoelse"), Err(misuse(None, "#7", Code::UnknownCommand)));
    }

    /// R6
    #[test]
    fn blank_lines_name_nothing() {
        for line in ["", " ", "      "] {
            assert_eq!(ClientLine::parse(line.as_bytes()), Err(misuse(None, "", Code::Usage)));
            assert_eq!(Command::parse(line), Err(misuse(None, "", Code::Usage)));
        }
        assert_eq!(ClientLine::parse(b"#7 "), Err(misuse(7, "", Code::Usage)));
    }

    /// R4
    #[test]
    fn bad_bytes_are_usage_of_what_can_be_read() {
        for (line, number, command) in [
            (&b"message yoda \xff"[..], None, "message"),
            (b"message yoda ok \xed\xa0\x80 not", None, "message"),
            (b"#7 message group crew caf\xe9", Some(7), "message group"),
            (b"message gro\xffup", None, "message"),
            (b"mess\xffage yoda hi", None, ""),
            (b"\xff", None, ""),
            (b"#7 \xff", Some(7), ""),
            (b"frob \xff", None, "frob"),
            (b"broadcast \xe2\x82", None, "broadcast"),
            (b"broadcast two\nlines", None, "broadcast"),
        ] {
            let expected = misuse(number, command, Code::Usage);
            assert_eq!(ClientLine::parse(line), Err(expected), "{}", line.escape_ascii());
        }
        assert_eq!(Command::parse("block yo\nda"), Err(misuse(None, "block", Code::Usage)));
    }
}
