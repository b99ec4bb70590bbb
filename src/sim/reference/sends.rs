//! Messages of couriers with an id, which they may say again (R61).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use blake2::{Blake2s256, Digest as _};

use super::answers::{Asker, code_word, reach_word};
use super::door::Stage;
use super::papers::Then;
use super::prices::STORED;
use super::reader::Command;
use super::{News, Server, User, later};
use crate::record::{Outcome, Record, WordsDigest};
use crate::time::Time;
use crate::wire::Code;
use crate::words::LinkId;

const DAY_SECS: u64 = 86_400;
const TEN_MINUTES_SECS: u64 = 600;

/// Ids of a user, by their words and numbers.
pub(super) type Sends = BTreeMap<(&'static str, u64), Sent>;

/// A message with an id.
#[derive(Debug, Default)]
pub(super) struct Sent {
    words: String,
    /// What became of it, and until when that is remembered.
    came: Option<(Outcome, Time)>,
    to: String,
    /// Those who wait for the answer, with their numbers.
    asked: Vec<(LinkId, u64)>,
}

/// Ids that are kept of a user.
fn most_of(word: &str) -> usize {
    if word == "given" { 10_000 } else { 1_000 }
}

/// The first 8 bytes of the digest, the lowest first.
fn number_of(words: &str) -> u64 {
    let digest = Blake2s256::digest(words);
    digest.iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Where nothing was done, or nothing is known, a repeat tries again.
const fn is_kept(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Failed(Code::StorageUnavailable | Code::OutcomeUnknown))
}

impl Server {
    pub(super) fn carry_marked(
        &mut self,
        link: LinkId,
        user: User,
        number: u64,
        (word, id): (&'static str, &str),
        command: &Command,
    ) {
        let mark = format!("{} {word} {id}", self.name(user));
        let key = (word, number_of(&mark));
        let words = command.canonical();
        let said = [&[mark, command.name.to_string()], command.words.as_slice()].concat().join(" ");
        let send_origin = Some(number_of(&format!("{said} {}", command.text)));
        let asker = Asker {
            user,
            login: 0,
            link,
            number: Some(number),
            name: command.name,
            words: Some(words.clone()),
            send: Some(key),
            send_origin,
        };
        let now = self.now;
        let sends = &mut self.at_mut(user).sends;
        sends.retain(|_, sent| sent.came.is_none_or(|(_, until)| until > now));
        let same_kind = sends.keys().filter(|(kind, _)| *kind == word).count();
        let known = sends.get(&key).map(|sent| (sent.words == words, sent.came));
        match known {
            Some((false, _)) => self.send_said(&asker, link, number, &Err(Code::Usage)),
            Some((true, Some((outcome, _)))) => {
                let answer = self.answer_of(link, outcome, command.word(0));
                self.note_heard(&asker, command);
                self.send_said(&asker, link, number, &answer);
            }
            Some((true, None)) => {
                if let Some(sent) = self.at_mut(user).sends.get_mut(&key) {
                    sent.asked.push((link, number));
                }
                self.courier_asks(link);
                self.note_heard(&asker, command);
            }
            None if same_kind >= most_of(word) && !self.forget_answered(user, word) => {
                self.send_said(&asker, link, number, &Err(Code::Limit));
            }
            None => {
                let to = command.word(0).to_string();
                let sent = Sent { words, came: None, to, asked: Vec::from([(link, number)]) };
                self.at_mut(user).sends.insert(key, sent);
                self.courier_asks(link);
                self.note_heard(&asker, command);
                self.carry_out(&asker, command);
            }
        }
        self.look_at_courier(link);
    }

    /// Of random ids the one that was answered first goes.
    fn forget_answered(&mut self, user: User, word: &str) -> bool {
        let sends = &mut self.at_mut(user).sends;
        let of_kind = sends.iter().filter(|((kind, _), _)| *kind == word && word == "random");
        let oldest = of_kind.filter_map(|(key, sent)| sent.came.map(|(_, until)| (until, *key))).min();
        oldest.is_some_and(|(_, key)| sends.remove(&key).is_some())
    }

    /// What is written of a message with a given id.
    pub(super) fn sent_record(&self, asker: &Asker, outcome: Outcome) -> Option<(Record, String)> {
        let (_, number) = asker.send.filter(|(word, _)| *word == "given")?;
        let (user, until) = (self.name(asker.user).clone(), later(self.now, DAY_SECS));
        let words = asker.words.clone()?;
        Some((Record::Sent { user, number, outcome, words: WordsDigest(0), until }, words))
    }

    /// Such a record is durable, or was found at the start.
    pub(super) fn send_read(
        &mut self,
        user: User,
        number: u64,
        words: String,
        outcome: Outcome,
        until: Time,
    ) {
        let sent = self.at_mut(user).sends.entry(("given", number)).or_default();
        (sent.words, sent.came) = (words, Some((outcome, until)));
    }

    /// It is decided what became of it.
    pub(super) fn send_came(&mut self, asker: &Asker, outcome: Outcome) {
        let Some(key) = asker.send else { return };
        let durable = self.at(asker.user).sends.get(&key).is_some_and(|sent| sent.came.is_some());
        if key.0 == "random" || durable || !is_kept(outcome) {
            return self.send_concluded(asker, outcome);
        }
        self.charge(asker.user, STORED);
        self.begin_unsettled(asker.user);
        let then = Then::Sent { asker: asker.clone(), outcome };
        self.persist_settled(None, Some(asker), outcome, then);
    }

    pub(super) fn send_settled(&mut self, asker: &Asker, outcome: Outcome, durable: bool) {
        self.end_unsettled(asker.user);
        let outcome = match outcome {
            _ if durable => outcome,
            Outcome::Failed(_) => Outcome::Failed(Code::StorageUnavailable),
            _ => Outcome::Failed(Code::OutcomeUnknown),
        };
        self.send_concluded(asker, outcome);
    }

    fn send_concluded(&mut self, asker: &Asker, outcome: Outcome) {
        let Some(key) = asker.send else { return };
        let until = later(self.now, TEN_MINUTES_SECS);
        let sends = &mut self.at_mut(asker.user).sends;
        let Some(sent) = sends.get_mut(&key) else { return };
        let (to, asked) = (sent.to.clone(), core::mem::take(&mut sent.asked));
        if !is_kept(outcome) {
            sends.remove(&key);
        } else if sent.came.is_none() {
            sent.came = Some((outcome, until));
        }
        if let Some((_, text)) = asker.words.as_ref().and_then(|words| words.split_once('\n')) {
            self.news.push(News::Came { text: text.to_string(), outcome });
        }
        for (link, number) in asked {
            let answer = self.answer_of(link, outcome, &to);
            self.send_said(asker, link, number, &answer);
            if matches!(self.stage(link), Some(Stage::Carrying(_) | Stage::Departing(..))) {
                self.courier_answered(link);
            }
        }
    }

    fn send_said(&mut self, asker: &Asker, link: LinkId, number: u64, answer: &Result<String, Code>) {
        if matches!(self.stage(link), Some(Stage::Carrying(_) | Stage::Departing(..))) {
            let line = match answer {
                Ok(answer) => format!("ok #{number} {answer}"),
                Err(code) => format!("error #{number} {} {}", code_word(*code), asker.name),
            };
            self.send(link, &line);
        }
    }

    fn answer_of(&self, link: LinkId, outcome: Outcome, to: &str) -> Result<String, Code> {
        Ok(match outcome {
            Outcome::Message(_) | Outcome::StoredUntil(_) => {
                format!("message {to} {}", self.became(Some(link), outcome).unwrap_or_default())
            }
            Outcome::Broadcast { recipients, withheld } => {
                format!("broadcast {recipients} {}", reach_word(withheld))
            }
            Outcome::Group { delivered, stored, refused, withheld } => {
                let reach = reach_word(withheld);
                format!("message group {to} {delivered} {stored} {refused} {reach}")
            }
            Outcome::Failed(code) => return Err(code),
            Outcome::Done => return Err(Code::OutcomeUnknown),
        })
    }
}
