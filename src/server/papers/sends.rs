//! What became of the messages to which couriers gave ids (R61), so that a repeat is answered and not done again.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use blake2::{Blake2s256, Digest as _};

use crate::planted::{self, Planted};
use crate::record::{Outcome, WordsDigest};
use crate::time::Time;
use crate::wire::{IdKind, MessageMark};
use crate::words::{LinkId, Name};

/// Given ids that are kept of a user.
const GIVEN: usize = 10_000;
/// Random ids that are kept of a user.
const RANDOM: usize = 1_000;

/// An id of a user's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct SendKey {
    pub(in crate::server) kind: IdKind,
    /// Of the user and the id.
    pub(in crate::server) number: u64,
    /// The number of its ORIGIN: of the words as well, for an id that is not remembered any more may be said with others.
    pub(in crate::server) origin: u64,
}

impl SendKey {
    /// Of a command as it is encoded.
    pub(in crate::server) fn of(user: &Name, mark: MessageMark, command: &[u8]) -> SendKey {
        let id = alloc::format!("{user} {} {}", mark.kind.as_str(), mark.id);
        let words = command.strip_suffix(b"\n").unwrap_or(command);
        let words = if planted::is(Planted::SendOriginOfId) { b"" } else { words };
        let origin = Blake2s256::new().chain_update(&id).chain_update(b" ").chain_update(words);
        let number = first_eight(Blake2s256::digest(id).into());
        SendKey { kind: mark.kind, number, origin: first_eight(origin.finalize().into()) }
    }
}

fn first_eight(digest: [u8; 32]) -> u64 {
    let mut front = [0; 8];
    front.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(front)
}

/// The messages of one user.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Sends {
    given: Table,
    random: Table,
}

#[derive(Debug, Clone, Default)]
struct Table {
    entries: BTreeMap<u64, Entry>,
    /// Until when those that are known are kept.
    ends: BTreeSet<(Time, u64)>,
}

#[derive(Debug, Clone)]
struct Entry {
    words: WordsDigest,
    known: Option<(Outcome, Time)>,
    /// Whom it is for, while somebody waits for the answer.
    to: Box<str>,
    waiting: Vec<(LinkId, u64)>,
}

/// What is known of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Taken {
    /// Nothing: the message is to be sent.
    New,
    /// It is under way: its answer will come.
    Open,
    /// What became of it.
    Known(Outcome),
    /// It is the id of a message with other words.
    Other,
    /// There are as many as may be kept.
    Full,
}

impl Sends {
    const fn table(&mut self, kind: IdKind) -> &mut Table {
        match kind {
            IdKind::Given => &mut self.given,
            IdKind::Random => &mut self.random,
        }
    }

    /// Looks at an id; if it is new there is room for it.
    pub(in crate::server) fn take_up(&mut self, key: SendKey, words: WordsDigest, now: Time) -> Taken {
        let table = self.table(key.kind);
        table.forget_over(now);
        if let Some(entry) = table.entries.get(&key.number) {
            let same = entry.words == words || planted::is(Planted::SendWordsIgnored);
            return match entry.known {
                _ if !same => Taken::Other,
                Some((outcome, _)) => Taken::Known(outcome),
                None => Taken::Open,
            };
        }
        let most = match key.kind {
            IdKind::Given => GIVEN,
            IdKind::Random => RANDOM,
        };
        let full = table.entries.len() >= most;
        if full && (key.kind == IdKind::Given || !table.forget_oldest()) { Taken::Full } else { Taken::New }
    }

    /// The message is under way, and this number on this link is answered.
    pub(in crate::server) fn open(
        &mut self,
        key: SendKey,
        words: WordsDigest,
        to: &str,
        asked: (LinkId, u64),
    ) {
        let entry = Entry { words, known: None, to: to.into(), waiting: Vec::from([asked]) };
        self.table(key.kind).entries.insert(key.number, entry);
    }

    /// One more is answered.
    pub(in crate::server) fn wait(&mut self, key: SendKey, asked: (LinkId, u64)) {
        if let Some(entry) = self.table(key.kind).entries.get_mut(&key.number) {
            entry.waiting.push(asked);
        }
    }

    pub(in crate::server) fn is_known(&mut self, key: SendKey) -> bool {
        self.table(key.kind).entries.get(&key.number).is_some_and(|entry| entry.known.is_some())
    }

    /// What became of a message with a given id is durable.
    pub(in crate::server) fn apply(
        &mut self,
        number: u64,
        outcome: Outcome,
        words: WordsDigest,
        until: Time,
    ) {
        self.given.know(number, outcome, words, until);
    }

    /// Who is answered now. With `until` it is remembered, if it was not; without, it is forgotten.
    pub(in crate::server) fn conclude(
        &mut self,
        key: SendKey,
        outcome: Outcome,
        until: Option<Time>,
    ) -> (Box<str>, Vec<(LinkId, u64)>) {
        let table = self.table(key.kind);
        let Some(entry) = table.entries.get_mut(&key.number) else { return ("".into(), Vec::new()) };
        let (to, waiting) = (core::mem::take(&mut entry.to), core::mem::take(&mut entry.waiting));
        let (words, known) = (entry.words, entry.known.is_some());
        match until {
            Some(until) if !known => table.know(key.number, outcome, words, until),
            Some(_) => {}
            None => table.forget(key.number),
        }
        (to, waiting)
    }

    /// What is kept on the disk.
    #[cfg(feature = "sim")]
    pub(in crate::server) fn durable(&self, now: Time) -> Vec<(u64, WordsDigest, Outcome, Time)> {
        let known = self.given.entries.iter().filter_map(|(number, entry)| {
            let (outcome, until) = entry.known?;
            (until > now).then_some((*number, entry.words, outcome, until))
        });
        known.collect()
    }
}

impl Table {
    fn know(&mut self, number: u64, outcome: Outcome, words: WordsDigest, until: Time) {
        let fresh = || Entry { words, known: None, to: "".into(), waiting: Vec::new() };
        let entry = self.entries.entry(number).or_insert_with(fresh);
        if let Some((_, before)) = entry.known.replace((outcome, until)) {
            self.ends.remove(&(before, number));
        }
        entry.words = words;
        self.ends.insert((until, number));
    }

    fn forget(&mut self, number: u64) {
        if let Some((_, until)) = self.entries.remove(&number).and_then(|entry| entry.known) {
            self.ends.remove(&(until, number));
        }
    }

    fn forget_over(&mut self, now: Time) {
        while let Some((until, _)) = self.ends.first()
            && *until <= now
            && !planted::is(Planted::SendKeptForEver)
        {
            self.forget_oldest();
        }
    }

    /// The one that was answered first is forgotten, if one was.
    fn forget_oldest(&mut self) -> bool {
        let Some((_, number)) = self.ends.pop_first() else { return false };
        self.entries.remove(&number);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Status;

    const STORED: Outcome = Outcome::Message(Status::Stored);
    const WORDS: WordsDigest = WordsDigest(7);

    fn key(kind: IdKind, number: usize) -> SendKey {
        SendKey { kind, number: number as u64, origin: 0 }
    }

    /// R61
    #[test]
    fn the_oldest_answered_random_id_goes_and_given_ones_are_refused_beyond_their_number() {
        for (kind, most) in [(IdKind::Given, GIVEN), (IdKind::Random, RANDOM)] {
            let mut sends = Sends::default();
            for number in 0..most {
                assert_eq!(sends.take_up(key(kind, number), WORDS, Time(1)), Taken::New);
                sends.open(key(kind, number), WORDS, "yoda", (LinkId(1), 1));
            }
            let next = key(kind, most);
            assert_eq!(sends.take_up(next, WORDS, Time(1)), Taken::Full, "none is answered");
            for (number, until) in [(5, 20), (3, 10)] {
                assert_eq!(sends.conclude(key(kind, number), STORED, Some(Time(until))).1.len(), 1);
            }
            let full = if kind == IdKind::Given { Taken::Full } else { Taken::New };
            assert_eq!(sends.take_up(next, WORDS, Time(1)), full);
            if kind == IdKind::Random {
                assert!(!sends.is_known(key(kind, 3)) && sends.is_known(key(kind, 5)));
            }
            assert_eq!(sends.take_up(next, WORDS, Time(20)), Taken::New, "their time is over");
        }
    }

    #[test]
    fn a_repeat_is_told_from_other_words_and_waits_or_is_answered() {
        let (mut sends, given) = (Sends::default(), key(IdKind::Given, 1));
        sends.open(given, WORDS, "yoda", (LinkId(1), 1));
        assert_eq!(sends.take_up(given, WORDS, Time(1)), Taken::Open);
        assert_eq!(sends.take_up(given, WordsDigest(8), Time(1)), Taken::Other);
        assert_eq!(sends.take_up(key(IdKind::Random, 1), WORDS, Time(1)), Taken::New, "they are told apart");
        sends.wait(given, (LinkId(2), 9));
        let (to, waiting) = sends.conclude(given, STORED, Some(Time(9)));
        assert_eq!((&*to, waiting.len()), ("yoda", 2));
        assert_eq!(sends.take_up(given, WORDS, Time(8)), Taken::Known(STORED));
        assert_eq!(sends.take_up(given, WORDS, Time(9)), Taken::New);
    }

    #[test]
    fn the_number_is_of_user_kind_and_id_and_the_origin_of_the_words_too() {
        let key = |user, kind, byte, words: &[u8]| {
            let id = crate::words::Token([byte; 16]);
            let key = SendKey::of(&Name::new(user).unwrap(), MessageMark { kind, id }, words);
            (key.number, key.origin)
        };
        let (number, origin) = key("hans", IdKind::Given, 1, b"message yoda hi\n");
        assert_eq!((number, origin), key("hans", IdKind::Given, 1, b"message yoda hi"));
        for other in [("luke", IdKind::Given, 1), ("hans", IdKind::Random, 1), ("hans", IdKind::Given, 2)] {
            let other = key(other.0, other.1, other.2, b"message yoda hi\n");
            assert!(other.0 != number && other.1 != origin);
        }
        let other = key("hans", IdKind::Given, 1, b"message yoda ho\n");
        assert!(other.0 == number && other.1 != origin);
    }
}
