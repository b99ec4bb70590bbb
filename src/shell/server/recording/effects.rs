//! What the core wanted, told from other effects by a number that does not depend on secrets.
//!
//! Tokens in lines to clients count by the order in which they appeared; passwords by their length; digests and
//! credentials not at all. Of a line that could not be obeyed its words are repeated to whoever typed it: they count by
//! their length, too.

use std::collections::HashMap;
use std::ops::Range;
use std::str::FromStr as _;

use super::coded::{Coded, Encoder};
use super::sum::Sum;
use crate::server::{Effect, Report};
use crate::words::{LinkId, Token};

/// Sums up the effects of one event after the other.
pub(super) struct Effects {
    sum: Sum,
    count: u64,
    /// The tokens that clients were told, by the order in which they were.
    told: HashMap<Token, u64>,
    /// What came of the last event.
    pub(super) new: News,
    /// Kept for one of them.
    own: Encoder,
}

/// What else is to be known of effects.
#[derive(Default)]
pub(super) struct News {
    /// Tokens that nobody was told before.
    pub(super) tokens: Vec<Token>,
    /// Links that ended.
    pub(super) closed: Vec<LinkId>,
}

/// How many effects there were, and what tells them from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) digest: u64,
}

impl Summary {
    pub(super) const NOTHING: Summary = Summary { count: 0, digest: 0 };
}

const SEND: u8 = 0;
const CLOSE: u8 = 1;
const OTHER: u8 = 2;

impl Default for Effects {
    fn default() -> Effects {
        Effects {
            sum: Sum::default(),
            count: 0,
            told: HashMap::new(),
            new: News::default(),
            own: Encoder { leaves_out: true, ..Encoder::default() },
        }
    }
}

impl Effects {
    /// Begins with those of an event.
    pub(super) fn begin(&mut self) {
        if self.count > 0 {
            self.sum = Sum::default();
            self.count = 0;
            self.new.tokens.clear();
            self.new.closed.clear();
        }
    }

    pub(super) fn add(&mut self, effect: &Effect<'_>) {
        self.count += 1;
        if let Effect::Send { link, bytes } = effect {
            self.head(SEND, link.0, bytes.len());
            self.lines(bytes);
        } else if let Effect::Close { link } = effect {
            self.head(CLOSE, link.0, 0);
            self.new.closed.push(*link);
        } else {
            self.own.bytes.clear();
            put_other(effect, &mut self.own);
            self.head(OTHER, 0, self.own.bytes.len());
            self.sum.bytes(&self.own.bytes);
        }
    }

    pub(super) fn sum(&self) -> Summary {
        match self.count {
            0 => Summary::NOTHING,
            count => Summary { count, digest: self.sum.finish() },
        }
    }

    fn head(&mut self, kind: u8, link: u64, length: usize) {
        self.sum.pair(link, (length as u64) << 8 | u64::from(kind));
    }

    fn lines(&mut self, bytes: &[u8]) {
        let (mut at, mut done) = (0, 0);
        while at < bytes.len() {
            let line = &bytes[at..];
            // Most lines are none of these.
            if matches!(line, [b'w' | b'r' | b'd' | b'i' | b'e', ..] | [b'o', b'r', ..]) {
                let length = memchr::memchr(b'\n', line).map_or(line.len(), |end| end + 1);
                if let Some(hidden) = hidden_in(&line[..length]) {
                    self.sum.bytes(&bytes[done..at + hidden.start]);
                    let secret = &line[hidden.clone()];
                    let stand_in = token(secret).map_or(secret.len() as u64, |token| self.place(token));
                    self.sum.pair(stand_in, 0);
                    done = at + hidden.end;
                }
                at += length;
            } else {
                at += memchr::memchr(b'\n', line).map_or(line.len(), |end| end + 1);
            }
        }
        self.sum.bytes(&bytes[done..]);
    }

    /// Counted from the first.
    fn place(&mut self, token: Token) -> u64 {
        let next = self.told.len() as u64;
        let tokens = &mut self.new.tokens;
        *self.told.entry(token).or_insert_with(|| {
            tokens.push(token);
            next
        })
    }
}

/// All but lines and the ends of links.
fn put_other(effect: &Effect<'_>, out: &mut Encoder) {
    let mut kind = |kind: u8| out.bytes.push(kind);
    match effect {
        Effect::Send { .. } | Effect::Close { .. } => {}
        Effect::Pause { link } => {
            kind(0);
            link.put(out);
        }
        Effect::Resume { link } => {
            kind(1);
            link.put(out);
        }
        Effect::Verify { ticket, credential, password } => {
            kind(2);
            ticket.put(out);
            credential.is_some().put(out);
            password.reveal().len().put(out);
        }
        Effect::Hash { ticket, password } => {
            kind(3);
            ticket.put(out);
            password.reveal().len().put(out);
        }
        Effect::Persist { number, epoch, record } => {
            kind(4);
            number.put(out);
            epoch.put(out);
            record.put(out);
        }
        Effect::LoadMail { ticket, user, from, after, limit } => {
            kind(5);
            ticket.put(out);
            user.put(out);
            from.cloned().put(out);
            after.put(out);
            limit.put(out);
        }
        Effect::ScheduleTimeout { at } => {
            kind(6);
            at.put(out);
        }
        Effect::Acted { ticket, outcome } => {
            kind(7);
            ticket.put(out);
            outcome.ok().put(out);
            outcome.err().put(out);
        }
        Effect::Order { ticket, user, words } => {
            kind(9);
            ticket.put(out);
            (*user).clone().put(out);
            out.block(words.as_bytes());
        }
        Effect::Report(report) => {
            kind(8);
            put_report(report, out);
        }
    }
}

fn put_report(report: &Report, out: &mut Encoder) {
    // Nothing of a report is secret, and nobody reads it again.
    out.block(format!("{report:?}").as_bytes());
}

fn token(word: &[u8]) -> Option<Token> {
    std::str::from_utf8(word).ok().and_then(|word| Token::from_str(word).ok())
}

/// Characters of a token.
pub(super) const TOKEN: usize = 32;

/// Where a line to a client holds a token, or words that the client typed and that may be a secret.
fn hidden_in(line: &[u8]) -> Option<Range<usize>> {
    let end = line.strip_suffix(b"\n").unwrap_or(line).len();
    let mut words = line[..end].split(|byte| *byte == b' ');
    let first = words.next()?;
    let after = |count: usize| {
        let mut at = first.len() + 1;
        line[..end].split(|byte| *byte == b' ').skip(1).take(count).for_each(|word| at += word.len() + 1);
        (at <= end).then_some(at)
    };
    let token_at = |start: usize| (start + TOKEN <= end).then(|| start..start + TOKEN);
    match first {
        b"welcome" | b"resumed" => {
            let named = words.nth(5)? == b"token";
            named.then(|| after(6)).flatten().and_then(token_at)
        }
        b"device" => token_at(after(0)?),
        b"introduce" => token_at(after(2)?),
        // It may hold the code of an invite.
        b"order" => {
            let numbered = words.next()?.starts_with(b"#");
            Some(after(usize::from(numbered))?..end)
        }
        b"error" => {
            let numbered = words.next()?.starts_with(b"#");
            Some(after(if numbered { 2 } else { 1 })?..end)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_repeated_words_are_found() {
        let token = "0f".repeat(16);
        for (line, hidden) in [
            (format!("welcome hans unread 2 login 7 token {token}\n"), Some(token.as_str())),
            (format!("resumed hans unread 2 login 7 token {token}\n"), Some(token.as_str())),
            ("welcome hans unread 2 login 7\n".to_owned(), None),
            (format!("device {token}\n"), Some(token.as_str())),
            (format!("introduce hans requester {token} 192.0.2.1:80\n"), Some(token.as_str())),
            ("error #7 unknown_command hunter2\n".to_owned(), Some("hunter2")),
            ("error unknown_command hunter2\n".to_owned(), Some("hunter2")),
            ("error usage\n".to_owned(), None),
            ("online hans\n".to_owned(), None),
        ] {
            let found = hidden_in(line.as_bytes()).map(|range| &line[range]);
            assert_eq!(found, hidden, "{line}");
        }
    }
}
