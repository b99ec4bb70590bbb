//! The command line of `hobnob join`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Read, Write as _};
use std::os::fd::AsFd as _;

use clap::ArgMatches;

use super::config::Sources;
use super::options::{Options, Task, UsageError};
use super::tasks;
use crate::words::{Fingerprint, Token};

/// `HOST:PORT/CODE`, and `#SHA256:…` if the server has a key, as `hobnob-server invite` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Link<'a> {
    server: &'a str,
    code: Token,
    key: Option<Fingerprint>,
}

impl<'a> Link<'a> {
    fn read(word: &'a str) -> Option<Link<'a>> {
        let (place, key) = match word.split_once('#') {
            Some((place, key)) => (place, Some(key.parse().ok()?)),
            None => (word, None),
        };
        let (server, code) = place.split_once('/')?;
        Some(Link { server, code: code.parse().ok()?, key })
    }
}

/// In place of the invite: it is the first line of the input, so that nobody sees it in the list of processes.
const FROM_INPUT: &str = "-";

/// The longest such line.
const LINE_BYTES: usize = 4096;

/// Parses a command line whose first word is the program, without the word `join`.
pub(super) fn parse(words: Vec<OsString>, sources: &Sources) -> Result<Options, UsageError> {
    let is_for_people = !words.iter().any(|word| word == "--json");
    parse_with(words, sources, || {
        let input = io::stdin();
        if is_for_people && input.is_terminal() {
            // Without it the line is taken as well.
            let _ = write!(io::stderr(), "Invite: ");
        }
        // The standard library's own would read more, which may be the password.
        Ok(File::from(input.as_fd().try_clone_to_owned()?))
    })
}

/// The same, with another input.
fn parse_with<I: Read>(
    words: Vec<OsString>,
    sources: &Sources,
    input: impl FnOnce() -> io::Result<I>,
) -> Result<Options, UsageError> {
    let matches = tasks::join().try_get_matches_from(&words)?;
    let word = only_word(&matches).ok_or(UsageError::NoInvite(None))?;
    let (invite, lines_read) = if word == FROM_INPUT {
        let line = input().and_then(first_line).map_err(UsageError::Unread)?;
        (line.ok_or(UsageError::NoInvite(None))?, 1)
    } else {
        (word.to_owned(), 0)
    };
    let named = if lines_read > 0 { "the first line of the input" } else { word };
    let link = Link::read(&invite).ok_or_else(|| UsageError::NoInvite(Some(named.to_owned())))?;
    if link.key.is_some() && matches.contains_id("fingerprint") {
        return Err(UsageError::Contradiction("--fingerprint", "an invite that names the key"));
    }
    let mut words = at_server(&words, word, link.server).ok_or(UsageError::NoInvite(None))?;
    if let Some(key) = link.key {
        words.extend(["--fingerprint".into(), key.to_string().into()]);
    }
    let matches = tasks::join().try_get_matches_from(words)?;
    let mut options = Options::new(&matches, sources, Task::Join)?;
    options.settings.invite = Some(link.code);
    options.lines_read = lines_read;
    Ok(options)
}

/// The word of a line that has one, beside its options.
fn only_word(matches: &ArgMatches) -> Option<&str> {
    let mut words = matches.get_many::<String>("words").into_iter().flatten();
    words.next().filter(|_| words.next().is_none()).map(String::as_str)
}

/// What is left is the command line of a session at that server. An option may have the same word.
fn at_server(words: &[OsString], word: &str, server: &str) -> Option<Vec<OsString>> {
    let places = words.iter().enumerate().filter(|(_, said)| said.to_str() == Some(word));
    places.map(|(at, _)| at).find_map(|at| {
        let mut words = words.to_vec();
        words[at] = server.into();
        let matches = tasks::join().try_get_matches_from(&words).ok()?;
        (only_word(&matches) == Some(server)).then_some(words)
    })
}

/// The first line, and not a byte of what follows; without the command before the invite, as the operator's program
/// prints it. `None`: there is none.
fn first_line(mut input: impl Read) -> io::Result<Option<String>> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while line.len() < LINE_BYTES {
        match input.read(&mut byte) {
            Ok(0) if line.is_empty() => return Ok(None),
            Ok(0) => break,
            Ok(_) if byte == *b"\n" => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let line = String::from_utf8_lossy(&line);
    let line = line.trim();
    Ok(Some(line.strip_prefix("hobnob join ").unwrap_or(line).trim_start().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn an_invite_is_a_server_a_code_and_a_key() {
        let key = Fingerprint([7; 32]);
        let (code, server) = (CODE.parse().expect("a code"), "[2001:db8::1]:4000");
        let word = format!("{server}/{CODE}#{key}");
        assert_eq!(Link::read(&word), Some(Link { server, code, key: Some(key) }));
        let word = format!("chat/{CODE}");
        assert_eq!(Link::read(&word), Some(Link { server: "chat", code, key: None }));
        let cut = &CODE[1..];
        for word in ["chat", "chat/", &format!("chat/{cut}"), &format!("chat/{CODE}#SHA256:x"), CODE] {
            assert_eq!(Link::read(word), None, "{word}");
        }
    }

    #[test]
    fn the_rest_of_the_line_is_that_of_a_session() {
        let parsed = |line: &str| {
            let words = ["hobnob"].into_iter().chain(line.split(' ')).map(OsString::from).collect();
            parse(words, &Sources::default())
        };
        let link = format!("chat:5000/{CODE}");
        let options = parsed(&format!("--json {link} --plaintext --user rey")).expect("options");
        assert!(options.json && options.settings.invite.is_some());
        assert_eq!(options.settings.user.as_deref(), Some("rey"));
        assert_eq!(options.places.server.to_string(), "chat:5000");
        for (line, why) in [
            ("--json", "say the invite"),
            ("chat:5000", "chat:5000 is no invite"),
            (&format!("{link} {link}"), "say the invite"),
            (&format!("{link}#{} --plaintext", Fingerprint([7; 32])), "--plaintext"),
            (&format!("/{CODE}"), "is no server"),
        ] {
            let error = parsed(line).expect_err(line).to_string();
            assert!(error.contains(why), "{line}: {error}");
        }
    }

    #[test]
    fn a_dash_stands_for_the_first_line_of_the_input() {
        let key = Fingerprint([7; 32]);
        let link = format!("chat:5000/{CODE}#{key}");
        for line in [link.clone(), format!("hobnob join {link}"), format!(" {link}\r")] {
            let mut input = io::Cursor::new(format!("{line}\nrey\n"));
            let words = ["hobnob", "--user", "-", "-", "--json"].map(OsString::from).to_vec();
            let options = parse_with(words, &Sources::default(), || Ok(&mut input)).expect("options");
            assert_eq!(options.places.server.to_string(), "chat:5000");
            assert_eq!(options.settings.user.as_deref(), Some("-"), "the word of an option");
            assert!(options.settings.invite.is_some() && options.json && options.lines_read == 1);
            let mut rest = String::new();
            input.read_to_string(&mut rest).expect("the rest");
            assert_eq!(rest, "rey\n", "what follows is left for the session");
        }
    }
}
