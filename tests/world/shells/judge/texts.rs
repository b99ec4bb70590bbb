//! Texts from keyboard to screen.

use std::collections::BTreeMap;

use hobnob::client::view::{Failure, MessageKind, Success, View};

use super::{Tally, Verdict};

/// How a text is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Direct,
    Broadcast,
    Private,
}

#[derive(Debug, Default)]
pub(super) struct Texts {
    sent: BTreeMap<u32, Text>,
    /// The last text that a user was shown of another, by kind.
    last: BTreeMap<(String, String, bool), u32>,
    /// Users whose clients were killed when they may have shown what they had not noted.
    doubtful: Vec<String>,
}

#[derive(Debug)]
struct Text {
    from: String,
    to: String,
    kind: Kind,
    /// Those who were shown it.
    shown: Vec<String>,
    /// Somebody typed it at a bare connection.
    by_hand: bool,
    /// It was said to be delivered or stored.
    promised: bool,
}

/// The number in a text `tN …`.
fn number_of(text: &str) -> Option<u32> {
    text.strip_prefix('t')?.split(' ').next()?.parse().ok()
}

impl Texts {
    pub(super) fn typed(&mut self, number: u32, by_hand: bool, from: &str, to: &str, kind: Kind) {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.sent.insert(number, Text { from, to, kind, shown: Vec::new(), by_hand, promised: false });
    }

    pub(super) fn may_come_again(&mut self, users: Vec<String>) {
        self.doubtful.extend(users);
    }

    /// A line was answered with a promise.
    pub(super) fn promised(&mut self, line: &str) {
        let number = line.split(' ').find_map(number_of);
        if let Some(text) = number.and_then(|number| self.sent.get_mut(&number)) {
            text.promised = true;
        }
    }

    pub(super) fn shown(&mut self, user: &str, view: &View, verdict: &mut Verdict, tally: &mut Tally) {
        let View::Message(message) = view else { return };
        let text = number_of(&message.text).and_then(|number| Some((number, self.sent.get_mut(&number)?)));
        verdict.rule(text.is_some(), "every text has an origin", || message.text.clone());
        let Some((number, text)) = text else { return };
        let kind = match message.kind {
            MessageKind::Broadcast => Kind::Broadcast,
            MessageKind::Private => Kind::Private,
            MessageKind::Direct | MessageKind::Group => Kind::Direct,
        };
        tally.shown += 1;
        tally.private += u64::from(kind == Kind::Private);
        let right = text.kind == kind && text.from == message.from && (text.to.is_empty() || text.to == user);
        verdict
            .rule(right, "a text comes from its sender to its receiver", || format!("{user}: {message:?}"));
        let again = text.shown.iter().any(|shown| shown == user);
        let doubtful = self.doubtful.iter().any(|one| one == user);
        verdict.rule(!again || doubtful, "a text is shown once", || format!("{user}: {message:?}"));
        text.shown.push(user.to_owned());
        let of = (message.from.clone(), user.to_owned(), kind == Kind::Direct);
        let before = self.last.insert(of, number);
        // Several people may be the same user at once.
        let in_order = before.is_none_or(|before| before < number) || text.by_hand;
        verdict.rule(in_order || again || kind != Kind::Direct, "texts are shown in order", || {
            format!("{user}: t{number} after {before:?}")
        });
    }

    pub(super) fn end(&self, readers: &[&str], verdict: &mut Verdict) {
        for (number, text) in &self.sent {
            let is_due = text.promised && text.kind == Kind::Direct && readers.contains(&text.to.as_str());
            let arrived = !is_due || text.shown.contains(&text.to);
            verdict.rule(arrived, "what was accepted is shown", || format!("t{number}: {text:?}"));
        }
    }
}

/// Whether a result promises that the text is shown, now or later.
pub(super) fn promises(outcome: Result<&Success, &Failure>) -> bool {
    matches!(outcome, Ok(Success::Message { .. }))
}
