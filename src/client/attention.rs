//! What a person at a terminal is to notice: their name and chosen words, the bell, and what came while no key was
//! pressed.
//!
//! The screen is only ever added to, so that what is new is marked twice: where it begins, as soon as the first message
//! comes after a while without a key; and with its count, below it, when a key is pressed again.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use super::ClientState;
use super::settings::Bell;
use super::view::{Message, MessageKind, Notice, View};
use crate::time::Time;

/// Several messages at once ring once.
const BELL_PAUSE: Duration = Duration::from_secs(1);

/// Whether somebody is there, and what they have heard.
#[derive(Default)]
pub(super) struct Attention {
    /// When a key was pressed last.
    key: Time,
    rang: Option<Time>,
    /// Stored mail has rung, and nothing else has come since.
    rang_stored: bool,
    /// Messages since the person is away; `None`: nothing has come yet.
    unseen: Option<u64>,
}

impl ClientState {
    /// A key was pressed: the person is there.
    pub(super) fn on_key(&mut self) {
        if !self.settings.terminal {
            return;
        }
        self.attention.key = self.now;
        if let Some(count) = self.attention.unseen.take() {
            self.outbox.show(View::Notice(Notice::Unseen { count }));
        }
    }

    /// Another session begins.
    pub(super) fn begin_attention(&mut self) {
        self.attention = Attention { key: self.now, ..Attention::default() };
    }

    /// The message, with what is to be noticed of it; before it a line if it is the first that comes while nobody is
    /// there.
    pub(super) fn noticed(&mut self, message: Message) -> Message {
        if !self.settings.terminal {
            return message;
        }
        self.count_unseen();
        let mentions = self.mentions(&message.text);
        let is_personal = match message.kind {
            MessageKind::Direct | MessageKind::Private => true,
            MessageKind::Broadcast | MessageKind::Group => !mentions.is_empty(),
        };
        let wanted = match self.settings.bell {
            Bell::Never => false,
            Bell::Mention => is_personal,
            Bell::Message => true,
        };
        let rings = wanted && self.attention.may_ring(message.stored, self.now);
        Message { mentions, rings, ..message }
    }

    fn count_unseen(&mut self) {
        let (attention, after) = (&mut self.attention, self.settings.new_after_secs);
        let is_away = after > 0 && self.now >= attention.key + Duration::from_secs(after);
        match &mut attention.unseen {
            Some(count) => *count += 1,
            None if is_away => {
                attention.unseen = Some(1);
                self.outbox.show(View::Notice(Notice::New));
            }
            None => {}
        }
    }

    /// Where the user's own name or a chosen word stands in a text.
    fn mentions(&mut self, text: &str) -> Vec<Range<usize>> {
        let user: Option<String> = self.session().map(|session| session.user.as_str().into());
        let words = user.iter().chain(&self.settings.highlight);
        let mut found: Vec<Range<usize>> = words.flat_map(|word| Word::new(word).all_in(text)).collect();
        found.sort_unstable_by_key(|range| (range.start, range.end));
        found.dedup_by(|later, earlier| {
            let overlap = later.start < earlier.end;
            if overlap {
                earlier.end = earlier.end.max(later.end);
            }
            overlap
        });
        found
    }
}

impl Attention {
    fn may_ring(&mut self, stored: bool, now: Time) -> bool {
        let again = stored && self.rang_stored;
        let soon = self.rang.is_some_and(|rang| now < rang + BELL_PAUSE);
        self.rang_stored = stored && (self.rang_stored || !soon);
        let rings = !again && !soon;
        if rings {
            self.rang = Some(now);
        }
        rings
    }
}

/// A word to look for, in lower case. `*` at an end of it stands for the rest of a longer word.
struct Word {
    letters: Vec<char>,
    /// Whether a word must begin, and end, with it.
    begins: bool,
    ends: bool,
}

impl Word {
    fn new(word: &str) -> Word {
        let (begins, inner) = word.strip_prefix('*').map_or((true, word), |inner| (false, inner));
        let (ends, inner) = inner.strip_suffix('*').map_or((true, inner), |inner| (false, inner));
        Word { letters: inner.chars().flat_map(char::to_lowercase).collect(), begins, ends }
    }

    fn all_in(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut before = None;
        for (at, c) in text.char_indices() {
            let may_begin = !self.begins || !before.is_some_and(is_of_word);
            before = Some(c);
            let rest = text.get(at..).unwrap_or_default();
            if may_begin
                && found.last().is_none_or(|last| last.end <= at)
                && let Some(length) = self.length_at(rest)
            {
                found.push(at..at + length);
            }
        }
        found
    }

    /// How long it is at the beginning of a text, if it stands there.
    fn length_at(&self, text: &str) -> Option<usize> {
        let mut letters = self.letters.iter();
        let mut chars = text.char_indices();
        while !letters.as_slice().is_empty() {
            let (_, c) = chars.next()?;
            if !c.to_lowercase().all(|c| letters.next() == Some(&c)) {
                return None;
            }
        }
        let end = chars.clone().next().map_or(text.len(), |(at, _)| at);
        let goes_on = self.ends && chars.next().is_some_and(|(_, c)| is_of_word(c));
        (!goes_on && end > 0).then_some(end)
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn found<'a>(word: &str, text: &'a str) -> Vec<&'a str> {
        Word::new(word).all_in(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn a_word_is_found_as_a_word_in_any_case() {
        assert_eq!(found("hans", "Hans, HANS: hans!"), ["Hans", "HANS", "hans"]);
        assert_eq!(found("hans", "hansel ahans hans_ hans-peter hans1 hansé"), Vec::<&str>::new());
        assert_eq!(found("Ärger", "großer ÄRGER"), ["ÄRGER"]);
        assert_eq!(found("İ", "i\u{307} İ"), ["i\u{307}", "İ"]);
        assert_eq!(found("c++", "c++ (C++)"), ["c++", "C++"]);
        assert_eq!(found("prod is down", "Prod is down!"), ["Prod is down"]);
        assert_eq!(found("名前", "名前, 名前"), ["名前", "名前"]);
    }

    #[test]
    fn a_star_stands_for_the_rest_of_a_word() {
        assert_eq!(found("deploy*", "deployed, redeploy"), ["deploy"]);
        assert_eq!(found("*deploy*", "deployed, redeploy"), ["deploy", "deploy"]);
        for nothing in ["", "*", "**"] {
            assert_eq!(found(nothing, "a * b"), Vec::<&str>::new());
        }
    }

    #[test]
    fn several_at_once_ring_once_and_stored_mail_too() {
        let mut attention = Attention::default();
        let mut rings = |stored, secs: u64| attention.may_ring(stored, Time(secs * 1_000_000));
        let rung = [
            rings(true, 10),
            rings(true, 20),
            rings(true, 30),
            rings(false, 30),
            rings(false, 30),
            rings(false, 31),
            rings(true, 40),
            rings(true, 50),
        ];
        assert_eq!(rung, [true, false, false, true, false, true, true, false]);
        assert_eq!(vec![rings(false, 60), rings(true, 60), rings(true, 70)], [true, false, true]);
    }
}
