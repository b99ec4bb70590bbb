//! Whom typed texts are for, at a terminal: `to luke`, `reply TEXT`, `/command`.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use super::ClientState;
use super::input::Typed;
use super::verb::{Named, Verb};
use super::view::{Failure, MessageKind, View};
use crate::wire::Code;
use crate::words::Name;

/// Who was written to, and who has written last.
#[derive(Default)]
pub(super) struct Addressing {
    /// Everything typed is for them, but for what begins with `/`.
    to: Option<Address>,
    /// Who is answered by `reply`.
    last: Option<Address>,
}

#[derive(Clone)]
enum Address {
    User(String),
    Private(String),
    Group(String),
    All,
}

impl Address {
    /// `USER`, `group NAME` or `all`.
    fn parse(words: &str) -> Option<Address> {
        let mut words = words.split(' ').filter(|word| !word.is_empty());
        let address = match (words.next()?, words.next()) {
            ("all", None) => Address::All,
            ("group", Some(group)) => Address::Group(group.to_owned()),
            (user, None) => Name::new(user).ok().map(|user| Address::User(user.as_str().to_owned()))?,
            (_, Some(_)) => return None,
        };
        words.next().is_none().then_some(address)
    }

    /// As the prompt shows it.
    fn shown(&self) -> String {
        match self {
            Address::User(user) | Address::Private(user) => user.clone(),
            Address::Group(group) => format!("group {group}"),
            Address::All => "all".into(),
        }
    }

    /// The command that sends a text there.
    fn command(&self, text: &str) -> String {
        match self {
            Address::User(user) => format!("message {user} {text}"),
            Address::Private(user) => format!("private {user} {text}"),
            Address::Group(group) => format!("message group {group} {text}"),
            Address::All => format!("broadcast {text}"),
        }
    }
}

impl ClientState {
    /// The command that a line typed at a terminal stands for; `None` if it was carried out or refused here.
    pub(super) fn command_for(&mut self, typed: &Typed) -> Option<String> {
        let line = String::from_utf8_lossy(&typed.text).into_owned();
        let words = line.trim_start_matches(' ');
        let answers = matches!(words.trim_end_matches(' '), "y" | "n") && self.peers.asks_person();
        match (&self.addressing.to, words.strip_prefix('/')) {
            (Some(to), Some(text)) if text.starts_with('/') => Some(to.command(text)),
            (Some(_) | None, Some(command)) => self.terminal_command(typed.line, command),
            (Some(to), None) if !answers => Some(to.command(&line)),
            (Some(_) | None, None) => self.terminal_command(typed.line, words),
        }
    }

    fn terminal_command(&mut self, line: u64, command: &str) -> Option<String> {
        let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
        match word {
            "to" if rest.trim_matches(' ').is_empty() && self.addressing.to.is_some() => {
                self.turn_to(line, None)
            }
            "to" => match Address::parse(rest) {
                Some(address) => self.turn_to(line, Some(address)),
                None => self.misuse(line, Verb::To),
            },
            "raw" => self.toggle_raw(line, rest),
            "reply" => match &self.addressing.last {
                Some(last) if !rest.is_empty() => Some(last.command(rest)),
                Some(_) | None => self.misuse(line, Verb::Reply),
            },
            _ => Some(command.to_owned()),
        }
    }

    fn turn_to(&mut self, line: u64, address: Option<Address>) -> Option<String> {
        self.unanswered.remove(line);
        let to = address.as_ref().map(Address::shown);
        self.addressing.to = address;
        self.outbox.show(View::Addressee { to });
        self.note_activity(true);
        None
    }

    pub(super) fn misuse(&mut self, line: u64, verb: Verb) -> Option<String> {
        self.unanswered.remove(line);
        let failure = Failure { code: Code::Usage, subject: None, typed: None };
        self.outbox.show(View::Result { line, command: Named::Command(verb), outcome: Err(failure) });
        self.note_activity(false);
        None
    }

    /// A message has come: `reply` answers it where it was said.
    pub(super) fn note_sender(&mut self, kind: MessageKind, from: &str, group: Option<&str>) {
        self.addressing.last = Some(match (kind, group) {
            (MessageKind::Group, Some(group)) => Address::Group(group.to_owned()),
            (MessageKind::Private, _) => Address::Private(from.to_owned()),
            (MessageKind::Direct | MessageKind::Broadcast | MessageKind::Group, _) => {
                Address::User(from.to_owned())
            }
        });
    }

    /// Another session begins.
    pub(super) fn forget_addresses(&mut self) {
        if core::mem::take(&mut self.addressing).to.is_some() {
            self.outbox.show(View::Addressee { to: None });
        }
    }
}
