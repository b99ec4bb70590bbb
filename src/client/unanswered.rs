//! The lines without a result, at a terminal: a failure names the line that it is about, and so does a success that
//! did not come at once.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::time::Duration;

use super::intent::Intent;
use crate::time::Time;
use crate::wire::Command;

/// A text that was delivered so soon needs no word.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Characters of a text that are repeated to tell which one it is.
const WORDS_CHARS: usize = 32;

/// Lines that were typed and have no result, by number.
#[derive(Default)]
pub(super) struct Unanswered {
    lines: BTreeMap<u64, Line>,
}

struct Line {
    typed: String,
    /// The first words of the text that it sends.
    words: Option<String>,
    since: Time,
}

impl Unanswered {
    pub(super) fn add(&mut self, line: u64, typed: String, since: Time) {
        self.lines.insert(line, Line { typed, words: None, since });
    }

    /// Notes the text that a line sends to somebody.
    pub(super) fn note_text(&mut self, line: u64, intent: &Intent<'_>) {
        let text = match intent {
            Intent::Request(Command::Message { text, .. } | Command::MessageGroup { text, .. })
            | Intent::Private { text, .. } => text.as_str(),
            Intent::Request(_)
            | Intent::StartPrivate { .. }
            | Intent::Accept { .. }
            | Intent::Decline { .. }
            | Intent::Reply(_)
            | Intent::StopPrivate { .. }
            | Intent::Verify { .. }
            | Intent::Trust { .. }
            | Intent::Path { .. }
            | Intent::History(_)
            | Intent::Search(_)
            | Intent::Help { .. }
            | Intent::Logout => return,
        };
        if let Some(line) = self.lines.get_mut(&line) {
            line.words = Some(first_words(text));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The line, as it was typed. It has its result.
    pub(super) fn remove(&mut self, line: u64) -> Option<String> {
        self.lines.remove(&line).map(|line| line.typed)
    }

    /// The first words of a text that was stored, or not delivered at once. The line has its result.
    pub(super) fn settle(&mut self, line: u64, stored: bool, now: Time) -> Option<String> {
        let line = self.lines.remove(&line)?;
        line.words.filter(|_| stored || now.since(line.since) > AT_ONCE)
    }
}

/// The beginning of a text, to tell it from others.
fn first_words(text: &str) -> String {
    let text = text.trim_start_matches(' ');
    let end = text.char_indices().nth(WORDS_CHARS).map_or(text.len(), |(at, _)| at);
    let end = text.find('\u{2028}').map_or(end, |at| at.min(end));
    if end == text.len() {
        return text.into();
    }
    let front = text.get(..end).unwrap_or_default();
    let whole = text.get(end..).is_some_and(|rest| rest.starts_with([' ', '\u{2028}']));
    let front = if whole { front } else { front.rsplit_once(' ').map_or(front, |(front, _)| front) };
    let mut words: String = front.trim_end_matches(' ').into();
    words.push('…');
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_told_by_its_first_words() {
        for (text, words) in [
            ("hi", "hi"),
            ("  are you there?", "are you there?"),
            ("12345678901234567890123456789012", "12345678901234567890123456789012"),
            ("123456789 123456789 123456789 12 and more", "123456789 123456789 123456789 12…"),
            ("are you there at eight, or is that too late", "are you there at eight, or is…"),
            ("012345678901234567890123456789012345", "01234567890123456789012345678901…"),
            ("lunch?\u{2028}at noon", "lunch?…"),
        ] {
            assert_eq!(first_words(text), words, "{text}");
        }
    }
}
