//! Who is away (R59).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answers::Asker;
use super::{Server, User};
use crate::record::Outcome;
use crate::wire::Code;

/// The longest text.
const TEXT_BYTES: usize = 256;

impl Server {
    pub(super) fn go_away(&mut self, asker: &Asker, text: &str) {
        if text.len() > TEXT_BYTES {
            return self.fail(asker, Code::TooLong);
        }
        self.set_away(asker, Some(text.to_string()));
    }

    pub(super) fn come_back(&mut self, asker: &Asker) {
        self.set_away(asker, None);
    }

    fn set_away(&mut self, asker: &Asker, text: Option<String>) {
        if let Some(session) = self.session_mut(asker.user) {
            session.away = text;
        }
        self.answer(asker, Outcome::Done, asker.name);
    }

    /// The lines that an asker gets about those who are away, by name; they are paid for.
    pub(super) fn away_lines(&mut self, asker: &Asker, users: impl IntoIterator<Item = User>) -> Vec<String> {
        let reads = self.asker_link(asker).and_then(|link| self.links.get(&link));
        if !reads.is_some_and(|link| link.reads_away) {
            return Vec::new();
        }
        let mut lines: Vec<(String, String)> = Vec::new();
        for user in users {
            let apart = self.has_blocked(user, asker.user) || self.has_blocked(asker.user, user);
            if let Some(text) = self.session(user).and_then(|session| session.away.clone())
                && !apart
            {
                lines.push((self.name(user).to_string(), text));
            }
        }
        lines.sort_unstable();
        self.charge(asker.user, lines.len() as u64);
        lines.into_iter().map(|(name, text)| format!("away {}{name} {text}", asker.tag())).collect()
    }

    /// The answer to a message, after what its sender is told of its receiver.
    pub(super) fn answer_message(&mut self, asker: &Asker, name: &str, to: Option<User>, outcome: Outcome) {
        let away = if asker.send.is_some() { Vec::new() } else { self.away_lines(asker, to) };
        let became = self.became(self.asker_link(asker), outcome).unwrap_or_default();
        self.answer_after(asker, outcome, &away, &format!("message {name} {became}"));
    }
}
