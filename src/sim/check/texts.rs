//! Texts: what was typed is what is said, and what is said to be delivered was shown.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Check, Verdict, number_of, rule};
use crate::record::Outcome;
use crate::sim::reference::News;
use crate::sim::trace::ProcessId;
use crate::words::LinkId;

/// All texts that were ever sent, by number.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub(super) sent: BTreeMap<u32, SentText>,
    /// The latest text that was heard on each link: of all, the one that was typed last.
    last_heard: BTreeMap<LinkId, u32>,
}

/// A text and what became of it.
#[derive(Debug, Default)]
pub(super) struct SentText {
    pub(super) whole: String,
    pub(super) kind: Kind,
    /// As far as it is known yet.
    pub(super) sender: Option<String>,
    pub(super) to: Option<String>,
    /// Which program typed it, or on which link it was written by hand.
    pub(super) typed_by: u64,
    /// How often the server was told it.
    heard: u32,
    /// Which accounts of its sender's name said it, by how many were gone before: one that comes again under the name
    /// is another user, to whom the ids of couriers' messages (R61) are new.
    said_by: BTreeSet<u32>,
    /// What the server has said of it.
    pub(super) outcomes: Vec<Outcome>,
    /// Those who were shown it, and those who got it by hand.
    pub(super) shown_to: Vec<String>,
    pub(super) by_hand: Vec<String>,
    /// Those whom a group message reaches, as its sender was told, if they were told as well that it misses
    /// somebody.
    pub(super) told: Option<u64>,
    /// The sender was told that it did not arrive.
    pub(super) refused: bool,
    /// It may come after later ones (R28).
    pub(super) late: bool,
}

/// What kind of message a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    #[default]
    Direct,
    Broadcast,
    Group,
    Private,
}

impl SentText {
    /// Whether somebody has been shown it, or has got it by hand.
    pub(super) fn reached(&self, user: &str) -> bool {
        self.shown_to.iter().chain(&self.by_hand).any(|reader| reader == user)
    }

    /// How many it has reached.
    pub(super) fn reached_by(&self) -> u64 {
        let users: BTreeSet<&String> = self.shown_to.iter().chain(&self.by_hand).collect();
        users.len() as u64
    }

    /// Notes that it, number `number`, is shown where `seen` was shown before; returns whether it may be: once for each
    /// account that said it.
    pub(super) fn note_shown(&self, number: u32, seen: &mut BTreeSet<(u32, usize)>) -> bool {
        (0..self.said_by.len().max(1)).any(|place| seen.insert((number, place)))
    }

    pub(super) const fn is_repeated(&self) -> bool {
        self.heard > 1
    }

    /// Whether the last that the server has said of it is that it failed.
    fn has_failed(&self) -> bool {
        self.outcomes.last().is_some_and(|last| matches!(last, Outcome::Failed(_)))
    }
}

impl Check {
    /// What the server was told of texts, and did with them.
    pub(super) fn news(&mut self) -> Verdict {
        for news in self.reference.take_news() {
            match news {
                News::Heard { link, user, command, to, text, marked } => {
                    let kind = match command {
                        "broadcast" => Kind::Broadcast,
                        "message group" => Kind::Group,
                        _ => Kind::Direct,
                    };
                    let number = number_of(&text);
                    self.heard(link.0 << 32, user.as_str(), kind, &to, text)?;
                    let Some(number) = number else { continue };
                    let last = self.texts.last_heard.get(&link).copied().unwrap_or(0);
                    self.texts.last_heard.insert(link, number.max(last));
                    // What was refused and is said again may be accepted now, behind later ones (R28). What a courier
                    // says again, and was lost before, comes behind what it has said since (R61).
                    if let Some(text) = self.texts.sent.get_mut(&number) {
                        text.late |= text.has_failed() || marked && (text.is_repeated() || number < last);
                    }
                }
                News::Came { text, outcome } => {
                    if let Some(text) = number_of(&text).and_then(|number| self.texts.sent.get_mut(&number)) {
                        text.outcomes.push(outcome);
                    }
                }
                News::Got { link, user, text } => {
                    let Some(number) = number_of(&text) else { continue };
                    match self.clients.process_on(link) {
                        Some(process) => self.acknowledged_is_shown(process, user.as_str(), number)?,
                        None => {
                            let text = self.texts.sent.entry(number).or_default();
                            text.by_hand.push(user.as_str().to_string());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn heard(&mut self, link: u64, user: &str, kind: Kind, to: &str, whole: String) -> Verdict {
        let Some(number) = number_of(&whole) else { return Ok(()) };
        let gone = self.reference.gone_of(user);
        let text = self.texts.sent.entry(number).or_default();
        text.heard += 1;
        text.said_by.insert(gone);
        if text.typed_by == 0 {
            text.typed_by = link;
            (text.kind, text.whole) = (kind, whole);
            text.to = (kind == Kind::Direct).then(|| to.to_string());
            text.sender = Some(user.to_string());
            return Ok(());
        }
        let sender = text.sender.get_or_insert_with(|| user.to_string());
        let same = text.whole == whole
            && text.kind == kind
            && sender == user
            && text.to.as_ref().is_none_or(|typed| typed == to);
        rule!(self, same, "what is typed is what is said", "{user} says {whole:?}; typed was {text:?}");
        Ok(())
    }

    /// A client acknowledges what it has shown and noted, and nothing else (R24, design 3.2).
    fn acknowledged_is_shown(&self, process: ProcessId, user: &str, number: u32) -> Verdict {
        let noted = self.clients.has_noted(process, user, number);
        rule!(self, noted, "delivered means shown", "t{number} to {user} of {process:?}");
        Ok(())
    }

    /// The sender knows that a text was refused.
    pub(super) fn text_refused(&mut self, number: u32) -> Verdict {
        let Some(text) = self.texts.sent.get_mut(&number) else { return Ok(()) };
        text.refused = true;
        let shown = text.shown_to.len();
        rule!(self, shown == 0, "what was refused never appears", "t{number} was shown");
        Ok(())
    }

    /// The sender knows that a group message misses somebody, and how many it reaches.
    pub(super) fn group_refused(&mut self, number: u32, reached: u64) -> Verdict {
        if let Some(text) = self.texts.sent.get_mut(&number) {
            text.told = Some(reached);
        }
        self.not_more_than_told(number)
    }

    /// Whom a group message missed, as its sender was told, is never shown it.
    pub(super) fn not_more_than_told(&self, number: u32) -> Verdict {
        let Some(text) = self.texts.sent.get(&number) else { return Ok(()) };
        let Some(told) = text.told else { return Ok(()) };
        let reached = text.reached_by();
        rule!(
            self,
            reached <= told,
            "what was refused never appears",
            "t{number} to {told} of a group, but {reached}"
        );
        Ok(())
    }
}
