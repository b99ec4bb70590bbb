//! What the core wanted, told from other effects by a number that does not depend on secrets.
//!
//! Tokens in lines to clients count by the order in which they appeared; passwords by their length; digests and
//! credentials not at all. Of a line that could not be obeyed its words are repeated to whoever typed it: they count by
//! their length, too.

use std::collections::HashMap;
use std::hash::Hasher as _;
use std::ops::Range;
use std::str::FromStr as _;

use siphasher::sip::SipHasher13;

use super::coded::{Coded, Decoder, Encoder};
use crate::server::{Effect, Report};
use crate::words::{LinkId, Token};

/// The effects of one event, written one after the other.
#[derive(Default)]
pub(super) struct Effects {
    encoder: Encoder,
    /// Kept for one of them.
    own: Encoder,
    /// Where the bytes of the last `Send` are.
    last: Range<usize>,
}

const SEND: u8 = 0;
const SEND_SAME: u8 = 1;
const CLOSE: u8 = 2;
const OTHER: u8 = 3;

impl Effects {
    pub(super) fn clear(&mut self) {
        self.encoder.bytes.clear();
        self.last = 0..0;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.encoder.bytes
    }

    pub(super) fn add(&mut self, effect: &Effect<'_>) {
        let out = &mut self.encoder;
        if let Effect::Send { link, bytes } = effect {
            let same = !self.last.is_empty() && out.bytes.get(self.last.clone()) == Some(*bytes);
            out.bytes.push(if same { SEND_SAME } else { SEND });
            link.put(out);
            if !same {
                out.block(bytes);
                let end = out.bytes.len();
                self.last = end - bytes.len()..end;
            }
        } else if let Effect::Close { link } = effect {
            out.bytes.push(CLOSE);
            link.put(out);
        } else {
            let own = &mut self.own;
            own.bytes.clear();
            own.leaves_out = true;
            put_other(effect, own);
            out.bytes.push(OTHER);
            out.block(&own.bytes);
        }
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

/// The tokens that clients were told, by the order in which they were.
#[derive(Default)]
pub(super) struct Told {
    places: HashMap<Token, u64>,
    /// Those of the last event that nobody was told before.
    pub(super) new: Vec<Token>,
}

impl Told {
    fn place(&mut self, token: Token) -> u64 {
        let next = self.places.len() as u64;
        let new = &mut self.new;
        *self.places.entry(token).or_insert_with(|| {
            new.push(token);
            next
        })
    }
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

/// Sums up the effects of one event. Calls `closed` for each link that ended. `None` if they cannot be read.
pub(super) fn sum_up(effects: &[u8], told: &mut Told, mut closed: impl FnMut(LinkId)) -> Option<Summary> {
    told.new.clear();
    let mut from = Decoder { rest: effects };
    let (mut hasher, mut count) = (SipHasher13::new(), 0);
    while let Some(kind) = from.byte() {
        count += 1;
        hasher.write_u8(kind);
        match kind {
            SEND => {
                hash_number(&mut hasher, LinkId::get(&mut from)?.0);
                let bytes = from.block()?;
                hash_number(&mut hasher, bytes.len() as u64);
                hash_lines(&mut hasher, bytes, told);
            }
            SEND_SAME => hash_number(&mut hasher, LinkId::get(&mut from)?.0),
            CLOSE => {
                let link = LinkId::get(&mut from)?;
                hash_number(&mut hasher, link.0);
                closed(link);
            }
            OTHER => {
                let bytes = from.block()?;
                hash_number(&mut hasher, bytes.len() as u64);
                hasher.write(bytes);
            }
            _ => return None,
        }
    }
    Some(if count == 0 { Summary::NOTHING } else { Summary { count, digest: hasher.finish() } })
}

/// In one order of bytes on all machines.
fn hash_number(hasher: &mut SipHasher13, number: u64) {
    hasher.write(&number.to_le_bytes());
}

fn hash_lines(hasher: &mut SipHasher13, bytes: &[u8], told: &mut Told) {
    let (mut rest, mut done) = (bytes, 0);
    let mut at = 0;
    while !rest.is_empty() {
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let (line, later) = rest.split_at(length);
        if let Some(hidden) = hidden_in(line) {
            hasher.write(&bytes[done..at + hidden.start]);
            let secret = &line[hidden.clone()];
            match token(secret) {
                Some(token) => hash_number(hasher, told.place(token)),
                None => hash_number(hasher, secret.len() as u64),
            }
            done = at + hidden.end;
        }
        at += length;
        rest = later;
    }
    hasher.write(&bytes[done..]);
}

fn token(word: &[u8]) -> Option<Token> {
    std::str::from_utf8(word).ok().and_then(|word| Token::from_str(word).ok())
}

/// Characters of a token.
pub(super) const TOKEN: usize = 32;

/// Where a line to a client holds a token, or words that the client typed and that may be a secret.
fn hidden_in(line: &[u8]) -> Option<Range<usize>> {
    // Most lines are none of these.
    if !matches!(line.first(), Some(b'w' | b'r' | b'd' | b'i' | b'e')) {
        return None;
    }
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
