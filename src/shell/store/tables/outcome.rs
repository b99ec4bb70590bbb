//! Outcomes of commands as text, so that people can read them in the database.

use std::borrow::Cow;

use crate::record::Outcome;
use crate::time::Time;
use crate::wire::{Code, Status};

/// The text of an outcome.
pub(crate) fn print(outcome: Outcome) -> Cow<'static, str> {
    match outcome {
        Outcome::Message(status) => Cow::Borrowed(status.as_str()),
        Outcome::StoredUntil(until) => Cow::Owned(format!("{} until {}", Status::Stored, until.0)),
        Outcome::Broadcast { recipients, withheld } => {
            Cow::Owned(format!("broadcast {recipients}{}", suffix(withheld)))
        }
        Outcome::Group { delivered, stored, refused, withheld } => {
            Cow::Owned(format!("group {delivered} {stored} {refused}{}", suffix(withheld)))
        }
        Outcome::Done => Cow::Borrowed("done"),
        Outcome::Failed(code) => Cow::Owned(format!("failed {code}")),
    }
}

fn suffix(withheld: bool) -> &'static str {
    if withheld { " withheld" } else { "" }
}

/// Parses the text of an outcome.
pub(crate) fn parse(text: &str) -> Option<Outcome> {
    if let Some(status) = Status::from_word(text) {
        return Some(Outcome::Message(status));
    }
    let (text, withheld) = match text.strip_suffix(" withheld") {
        Some(counts) => (counts, true),
        None => (text, false),
    };
    let mut words = text.split(' ');
    let outcome = match (words.next()?, withheld) {
        ("done", false) => Outcome::Done,
        ("stored", false) if words.next() == Some("until") => {
            Outcome::StoredUntil(Time(words.next()?.parse().ok()?))
        }
        ("failed", false) => Outcome::Failed(Code::from_word(words.next()?)?),
        ("broadcast", _) => Outcome::Broadcast { recipients: words.next()?.parse().ok()?, withheld },
        ("group", _) => Outcome::Group {
            delivered: words.next()?.parse().ok()?,
            stored: words.next()?.parse().ok()?,
            refused: words.next()?.parse().ok()?,
            withheld,
        },
        _ => return None,
    };
    words.next().is_none().then_some(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back_as_it_was_written() {
        let mut outcomes =
            vec![Outcome::Done, Outcome::StoredUntil(Time(0)), Outcome::StoredUntil(Time::MAX)];
        outcomes.extend(Status::ALL.iter().map(|status| Outcome::Message(*status)));
        outcomes.extend(Code::ALL.iter().map(|code| Outcome::Failed(*code)));
        for withheld in [false, true] {
            outcomes.push(Outcome::Broadcast { recipients: u32::MAX, withheld });
            outcomes.push(Outcome::Group { delivered: 1, stored: u16::MAX, refused: 0, withheld });
        }
        for outcome in outcomes {
            assert_eq!(parse(&print(outcome)), Some(outcome), "{}", print(outcome));
        }
    }

    #[test]
    fn other_words_are_no_outcome() {
        for text in [
            "",
            "done withheld",
            "done 1",
            "failed",
            "failed x",
            "group 1 2",
            "broadcast -1",
            "x",
            "stored 1",
            "stored until",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
