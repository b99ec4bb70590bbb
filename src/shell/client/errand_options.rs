//! The command line of `hobnob send`.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _};
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use super::config::Sources;
use super::options::{Options, Places, UsageError};
use crate::client::errand::{Means, Orders, Recipient, Wanted};
use crate::shell::pages::{COLUMNS, TEMPLATE};
use crate::words::{LINE_BREAK, Name};

const EXAMPLES: &str = "\
Examples:
  hobnob send --user cron --password-file pw yoda 'the disk is full'
  df -h | hobnob send --user cron --password-file pw --group admins
  hobnob send --wait delivered --timeout 60 yoda - < report";

const NOTES: &str = "\
It works beside a session of the same user, and keeps a token in the state
folder, so that the next one within a day costs no password. It prints one line
for each text: what has become of it.

Exit codes: 0 delivered or stored, 2 usage, 3 server not reached, 4 login
refused, 6 not the trusted server, 7 refused, 8 not known in time, or stored
where delivered was wanted.";

/// Sends a text, and says what has become of it.
#[derive(Debug, Parser)]
#[command(name = "hobnob send", version, max_term_width = COLUMNS)]
#[command(help_template = TEMPLATE, before_help = EXAMPLES, after_help = NOTES)]
#[command(
    override_usage = "hobnob send [OPTIONS] USER [TEXT...|-]\n       hobnob send [OPTIONS] --group NAME [TEXT...|-]\n       hobnob send [OPTIONS] --all [TEXT...|-]"
)]
pub(super) struct SendLine {
    /// Whom it is for, and the text; without a text, or with -, it is read from standard input
    #[arg(value_name = "USER TEXT")]
    words: Vec<String>,
    /// To the members of a group
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    group: Option<String>,
    /// To everybody online
    #[arg(long)]
    all: bool,
    /// Each line is a text of its own
    #[arg(long)]
    lines: bool,
    /// What has to come of it
    #[arg(long, value_name = "WHAT", value_enum, default_value = "stored")]
    wait: Wait,
    /// For how long to try and to wait
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// One JSON object for each text
    #[arg(long)]
    json: bool,
    /// The server [default: as for a session]
    #[arg(long, value_name = "HOST:PORT")]
    server: Option<String>,
    /// In whose name [default: as for a session]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The first line of FILE is the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Where the token is kept [default: $XDG_STATE_HOME/hobnob]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Trust only this key of the server
    #[arg(long, value_name = "SHA256:…")]
    fingerprint: Option<String>,
    /// Trust certificates of the authorities in FILE (PEM), for the server's name
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// No encryption to the server; both sides must say it
    #[arg(long)]
    plaintext: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wait {
    Stored,
    Delivered,
}

/// An errand, and where it is done.
#[derive(Debug)]
pub(super) struct ErrandOptions {
    pub(super) places: Places,
    pub(super) orders: Orders,
    pub(super) json: bool,
    /// What is to be said at the start.
    pub(super) warning: Option<String>,
}

impl ErrandOptions {
    /// Parses a command line whose first word is the program, without the word `send`.
    pub(super) fn parse(
        line: impl IntoIterator<Item = OsString>,
        sources: &Sources,
    ) -> Result<ErrandOptions, UsageError> {
        let line = SendLine::try_parse_from(line)?;
        // The server is named, trusted and logged in to as by the client.
        let Options { settings, places, warning, .. } =
            Options::parse_with(line.as_of_the_client(), sources)?;
        let (recipient, text) = line.recipient()?;
        let texts = texts(&text, line.lines);
        if texts.is_empty() {
            return Err(UsageError::NothingToSend);
        }
        let wanted = match line.wait {
            Wait::Stored => Wanted::Stored,
            Wait::Delivered => Wanted::Delivered,
        };
        let user = settings.user.ok_or(UsageError::NoUser)?;
        let user = Name::new(&user).map_err(|_| UsageError::NoName(user.clone()))?;
        let means = Means { password: settings.password, token: None };
        let (timeout_secs, line_bytes) = (line.timeout, settings.line_bytes);
        let orders = Orders { user, means, recipient, texts, wanted, timeout_secs, line_bytes };
        Ok(ErrandOptions { places, orders, json: line.json, warning })
    }
}

impl SendLine {
    fn as_of_the_client(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["hobnob".into()];
        let options = [
            ("--server", self.server.as_ref().map(OsString::from)),
            ("--user", self.user.as_ref().map(OsString::from)),
            ("--password-file", self.password_file.as_ref().map(|path| path.clone().into_os_string())),
            ("--state", self.state.as_ref().map(|path| path.clone().into_os_string())),
            ("--ca", self.ca.as_ref().map(|path| path.clone().into_os_string())),
            ("--fingerprint", self.fingerprint.as_ref().map(OsString::from)),
        ];
        for (option, value) in options {
            words.extend(value.into_iter().map(|value| [OsStr::new(option), &value].join(OsStr::new("="))));
        }
        words.extend(self.plaintext.then(|| "--plaintext".into()));
        words
    }

    /// Whom it is for, and what it is, as it was typed or read.
    fn recipient(&self) -> Result<(Recipient, String), UsageError> {
        let named = |name: &String| match Name::new(name) {
            // After `message` it says that a group's name follows.
            Ok(_) if name != "group" => Ok(name.clone()),
            Ok(_) | Err(_) => Err(UsageError::NoName(name.clone())),
        };
        let (recipient, words) = match (&self.group, self.all, self.words.split_first()) {
            (Some(group), _, _) => (Recipient::Group(named(group)?), &*self.words),
            (None, true, _) => (Recipient::All, &*self.words),
            (None, false, Some((user, words))) => (Recipient::User(named(user)?), words),
            (None, false, None) => return Err(UsageError::NobodyNamed),
        };
        let text = match words {
            [] => read()?,
            [dash] if dash == "-" => read()?,
            words => words.join(" "),
        };
        Ok((recipient, text))
    }
}

/// All of standard input.
fn read() -> Result<String, UsageError> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(|error| UsageError::Text(error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| UsageError::Text("it is not UTF-8".into()))
}

/// The texts in what was typed or read: one, without its last line end, or one each line.
fn texts(all: &str, lines: bool) -> Vec<String> {
    let all = all.replace("\r\n", "\n");
    if lines {
        return all.split('\n').filter(|line| !line.is_empty()).map(str::to_owned).collect();
    }
    let text = all.strip_suffix('\n').unwrap_or(&all);
    if text.is_empty() { Vec::new() } else { vec![text.replace('\n', LINE_BREAK.encode_utf8(&mut [0; 4]))] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<ErrandOptions, UsageError> {
        let fixed = ["hobnob", "--plaintext", "--user", "cron"];
        ErrandOptions::parse(fixed.iter().chain(words).map(OsString::from), &Sources::default())
    }

    #[test]
    fn words_name_the_recipient_and_the_text() {
        for (words, recipient, text) in [
            (&["yoda", "the", "disk is", "full"][..], Recipient::User("yoda".into()), "the disk is full"),
            (&["--group", "jedi", "a\nb\n"], Recipient::Group("jedi".into()), "a\u{2028}b"),
            (&["--all", "--", "-x"], Recipient::All, "-x"),
        ] {
            let orders = parse(words).expect("is good").orders;
            assert_eq!((orders.recipient, orders.texts), (recipient, vec![text.to_owned()]));
        }
        let orders = parse(&["--lines", "--wait", "delivered", "--timeout", "5", "yoda", "a\r\n\nb\n"]);
        let orders = orders.expect("is good").orders;
        assert_eq!(
            (orders.texts, orders.wanted, orders.timeout_secs),
            (vec!["a".into(), "b".into()], Wanted::Delivered, 5)
        );
    }

    #[test]
    fn what_is_no_errand_is_refused() {
        assert!(matches!(parse(&["yoda", "\n"]), Err(UsageError::NothingToSend)));
        assert!(matches!(parse(&["group", "x"]), Err(UsageError::NoName(_))));
        assert!(matches!(parse(&["a b", "x"]), Err(UsageError::NoName(_))));
        assert!(matches!(parse(&["--timeout", "0", "yoda", "x"]), Err(UsageError::Options(_))));
        assert!(matches!(parse(&["--group", "g", "--all", "x"]), Err(UsageError::Options(_))));
        assert!(matches!(parse(&["--server", "a:b", "yoda", "x"]), Err(UsageError::Config(_))));
    }

    #[test]
    fn line_ends_become_the_line_break_of_a_text() {
        assert_eq!(texts("a\r\nb\n\nc\n\n", false), ["a\u{2028}b\u{2028}\u{2028}c\u{2028}"]);
        assert_eq!(texts("\u{2028}\n", false), ["\u{2028}"]);
        assert!(
            texts("\n", false).is_empty() && texts("", false).is_empty() && texts("\n\n", true).is_empty()
        );
    }
}
