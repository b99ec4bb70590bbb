//! The command line of `hobnob send`.

use std::ffi::OsString;
use std::io::{self, Read as _};

use blake2::{Blake2s256, Digest as _};
use clap::{Parser, ValueEnum};

use super::config::Sources;
use super::options::{Options, Places, UsageError};
use super::passwords::Access;
use crate::client::errand::{Means, Orders, Piece, Recipient, Wanted};
use crate::shell::pages::{COLUMNS, TEMPLATE};
use crate::wire::{IdKind, MessageMark};
use crate::words::{LINE_BREAK, Name, Token};

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
    /// Sends it once only: for a day a repeat with the same ID and words is answered as the first was; with --lines
    /// each line has an id of its own, made of ID and its number
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: Option<String>,
    /// What has to come of it
    #[arg(long, value_name = "WHAT", value_enum, default_value = "stored")]
    wait: Wait,
    /// For how long to try and to wait
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// One JSON object for each text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
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
    pub(super) warnings: Vec<String>,
}

impl ErrandOptions {
    /// Parses a command line whose first word is the program, without the word `send`.
    pub(super) fn parse(
        line: impl IntoIterator<Item = OsString>,
        sources: &Sources,
    ) -> Result<ErrandOptions, UsageError> {
        let line = SendLine::try_parse_from(line)?;
        // The server is named, trusted and logged in to as by the client.
        let Options { settings, places, warnings, .. } =
            Options::parse_with(line.access.as_of_the_client(), sources)?;
        let (recipient, text) = line.recipient()?;
        let texts = pieces(texts(&text, line.lines), line.id.as_deref(), line.lines)?;
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
        Ok(ErrandOptions { places, orders, json: line.json, warnings })
    }
}

impl SendLine {
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

/// The texts with their ids.
fn pieces(texts: Vec<String>, id: Option<&str>, lines: bool) -> Result<Vec<Piece>, UsageError> {
    let piece = |(number, text): (u64, String)| {
        let mark = match id {
            Some(id) => {
                let id = given(id, lines.then_some(number));
                MessageMark { kind: IdKind::Given, id }
            }
            None => {
                let mut id = Token([0; 16]);
                let failed = |error: getrandom::Error| UsageError::NoRandomness(error.to_string());
                getrandom::fill(&mut id.0).map_err(failed)?;
                MessageMark { kind: IdKind::Random, id }
            }
        };
        Ok(Piece { text, mark })
    };
    (1..).zip(texts).map(piece).collect()
}

/// The id of a text as the server knows it: the same for the same words and number.
fn given(id: &str, number: Option<u64>) -> Token {
    let number = number.map_or_else(String::new, |number| number.to_string());
    let digest: [u8; 32] = Blake2s256::digest(format!("hobnob send {number}\n{id}")).into();
    let mut front = Token([0; 16]);
    front.0.copy_from_slice(&digest[..16]);
    front
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

    fn said(pieces: &[Piece]) -> Vec<&str> {
        pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    #[test]
    fn an_id_is_the_same_each_time_and_another_for_each_line() {
        let ids = |words: &[&str]| -> Vec<Token> {
            let orders = parse(words).expect("is good").orders;
            orders.texts.iter().map(|piece| piece.mark.id).collect()
        };
        let lines = ids(&["--id", "x", "--lines", "yoda", "a\nb"]);
        assert_eq!(lines, ids(&["--id", "x", "--lines", "luke", "a\nb"]));
        assert_ne!(lines[0], lines[1]);
        assert!(!lines.contains(&ids(&["--id", "x", "yoda", "a"])[0]));
        assert_ne!(ids(&["--id", "x", "yoda", "a"]), ids(&["--id", "y", "yoda", "a"]));
        assert_ne!(ids(&["yoda", "a"]), ids(&["yoda", "a"]));
        assert!(matches!(parse(&["--id", "", "yoda", "a"]), Err(UsageError::Options(_))));
    }

    #[test]
    fn words_name_the_recipient_and_the_text() {
        for (words, recipient, text) in [
            (&["yoda", "the", "disk is", "full"][..], Recipient::User("yoda".into()), "the disk is full"),
            (&["--group", "jedi", "a\nb\n"], Recipient::Group("jedi".into()), "a\u{2028}b"),
            (&["--all", "--", "-x"], Recipient::All, "-x"),
        ] {
            let orders = parse(words).expect("is good").orders;
            assert_eq!((orders.recipient, said(&orders.texts)), (recipient, vec![text]));
        }
        let orders = parse(&["--lines", "--wait", "delivered", "--timeout", "5", "yoda", "a\r\n\nb\n"]);
        let orders = orders.expect("is good").orders;
        assert_eq!(
            (said(&orders.texts), orders.wanted, orders.timeout_secs),
            (vec!["a", "b"], Wanted::Delivered, 5)
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
