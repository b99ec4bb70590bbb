//! The command line of `hobnob join`.

use std::ffi::OsString;

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

/// Parses a command line whose first word is the program, without the word `join`.
pub(super) fn parse(mut words: Vec<OsString>, sources: &Sources) -> Result<Options, UsageError> {
    let matches = tasks::join().try_get_matches_from(&words)?;
    let given: Vec<&String> = matches.get_many("words").into_iter().flatten().collect();
    let [word] = given[..] else { return Err(UsageError::NoInvite(None)) };
    let link = Link::read(word).ok_or_else(|| UsageError::NoInvite(Some(word.clone())))?;
    if link.key.is_some() && matches.contains_id("fingerprint") {
        return Err(UsageError::Contradiction("--fingerprint", "an invite that names the key"));
    }
    // What is left is the command line of a session at that server.
    for at in words.iter_mut().filter(|at| at.to_str() == Some(word)) {
        *at = link.server.into();
    }
    if let Some(key) = link.key {
        words.extend(["--fingerprint".into(), key.to_string().into()]);
    }
    let matches = tasks::join().try_get_matches_from(words)?;
    let mut options = Options::new(&matches, sources, Task::Join)?;
    options.settings.invite = Some(link.code);
    Ok(options)
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
}
