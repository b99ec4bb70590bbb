//! What people have said, as lines.

use std::fmt::Write as _;

use super::{Line, Look, MARKED, Tone, UNMARKED, answer, event, ruled};
use crate::client::Logged;
use crate::client::view::{Message, MessageKind};
use crate::shell::client::json::rfc3339;
use crate::shell::client::rows::name;
use crate::shell::visible::visible;
use crate::words::LINE_BREAK;

pub(super) fn said(message: &Message, look: &Look) -> Line {
    let from = name(&message.from);
    let mut text = match (message.kind, &message.group) {
        (MessageKind::Direct, _) => format!("{from}: "),
        (MessageKind::Broadcast, _) => format!("{from}(all): "),
        (MessageKind::Private, _) => format!("{from}(private): "),
        (MessageKind::Group, group) => {
            format!("{from}(group {}): ", name(group.as_deref().unwrap_or_default()))
        }
    };
    if message.again {
        text.insert_str(0, "(again) ");
    }
    if !message.mentions.is_empty() {
        text.insert_str(0, look.mark);
    }
    let lead = text.len();
    let mut at = 0;
    for mention in &message.mentions {
        push_visible(&mut text, message.text.get(at..mention.start).unwrap_or_default(), look.breaks_texts);
        text.push(MARKED);
        push_visible(&mut text, message.text.get(mention.clone()).unwrap_or_default(), look.breaks_texts);
        text.push(UNMARKED);
        at = mention.end;
    }
    push_visible(&mut text, message.text.get(at..).unwrap_or_default(), look.breaks_texts);
    Line::new(text, Tone::Said(lead))
}

pub(super) fn with_breaks(lead: &str, text: &str, look: &Look) -> String {
    let mut line = String::from(lead);
    push_visible(&mut line, text, look.breaks_texts);
    line
}

/// Appends a part of a text, with a line feed for each of its line breaks if they are wanted.
fn push_visible(out: &mut String, text: &str, breaks_text: bool) {
    for (at, part) in text.split(|c| breaks_text && c == LINE_BREAK).enumerate() {
        let _ = write!(out, "{}{}", if at > 0 { "\n" } else { "" }, visible(part));
    }
}

/// What was said before, in front of what is said from now on.
pub(super) fn before(messages: &[Logged], look: &Look) -> Vec<Line> {
    let rule = |words: &str| event(ruled(words.into(), look));
    rule("before").into_iter().chain(history(messages, look)).chain(rule("now")).collect()
}

/// Messages of the log: under their days at a terminal, elsewhere each with its time as in JSON.
pub(super) fn history(messages: &[Logged], look: &Look) -> Vec<Line> {
    if messages.is_empty() {
        return answer("Nothing is known of that".into());
    }
    let Some(stamps) = &look.stamps else {
        return messages.iter().map(|one| logged(one, look, format!("{} ", rfc3339(one.sent_at)))).collect();
    };
    let days = stamps.day_lines(messages.iter().map(|one| one.sent_at));
    let under_days = days.into_iter().zip(messages).flat_map(|(day, one)| {
        let day = day.map_or_else(Vec::new, event);
        day.into_iter().chain([logged(one, look, stamps.of(one.sent_at))])
    });
    under_days.collect()
}

fn logged(logged: &Logged, look: &Look, time: String) -> Line {
    let (from, with) = (name(&logged.from), name(&logged.with));
    let lead = match logged.kind {
        MessageKind::Direct if logged.from == logged.with => format!("{from}: "),
        MessageKind::Direct => format!("{from}(to {with}): "),
        MessageKind::Broadcast => format!("{from}(all): "),
        MessageKind::Group => format!("{from}(group {with}): "),
        MessageKind::Private if logged.from == logged.with => format!("{from}(private): "),
        MessageKind::Private => format!("{from}(private to {with}): "),
    };
    let mut text = lead.clone();
    push_visible(&mut text, &logged.text, look.breaks_texts);
    Line { time, ..Line::new(text, Tone::Said(lead.len())) }
}
