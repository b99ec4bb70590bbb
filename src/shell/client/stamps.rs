//! Local times of messages, and the lines around stored mail, at a terminal.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned, civil};

use crate::client::view::{Message, Success, View};
use crate::time::Time;

/// `--timestamps`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timestamps {
    /// None.
    Off,
    /// `14:02`
    Time,
    /// `2026-11-20 14:02:33`
    Full,
}

/// Says when messages were sent.
#[derive(Debug, Clone)]
pub(super) struct Stamps {
    form: Timestamps,
    zone: TimeZone,
    /// What stands at both sides of a line around stored mail.
    rule: &'static str,
    /// Stored messages that are still to come, as far as is known.
    awaited: u64,
    /// The day of the stored message shown last, until the line after it.
    day: Option<civil::Date>,
}

impl Stamps {
    /// `plain`: in ASCII.
    pub(super) fn new(form: Timestamps, zone: TimeZone, plain: bool) -> Stamps {
        Stamps { form, zone, rule: if plain { "--" } else { "──" }, awaited: 0, day: None }
    }

    /// The time of a message, with a space behind it; empty if it is not wanted.
    pub(super) fn of(&self, sent_at: Time) -> String {
        match self.form {
            Timestamps::Off => String::new(),
            Timestamps::Time => self.local(sent_at).strftime("%H:%M ").to_string(),
            Timestamps::Full => self.local(sent_at).strftime("%Y-%m-%d %H:%M:%S ").to_string(),
        }
    }

    /// A moment that may lie days back.
    pub(super) fn moment(&self, time: Time) -> String {
        self.local(time).strftime("%A %-d %B %Y, %H:%M").to_string()
    }

    /// Lines that begin a day, each before the first message of it.
    pub(super) fn day_lines(&self, times: impl Iterator<Item = Time>) -> Vec<Option<String>> {
        let mut day = None;
        let line = |time| {
            let date = self.local(time).date();
            let begins = day.replace(date) != Some(date);
            begins.then(|| self.ruled(&date.strftime("%A %-d %B %Y").to_string()))
        };
        times.map(line).collect()
    }

    fn local(&self, time: Time) -> Zoned {
        let micros = i64::try_from(time.0).unwrap_or(i64::MAX);
        Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX).to_zoned(self.zone.clone())
    }

    /// A line to show before a view: where stored mail of a day begins, or where it has ended.
    pub(super) fn before(&mut self, view: &View) -> Option<String> {
        match view {
            View::Message(Message { stored: true, sent_at, .. }) => {
                let day = self.local(*sent_at).date();
                let begins = self.day.replace(day) != Some(day);
                begins.then(|| self.ruled(&format!("stored, {}", day.strftime("%A %-d %B"))))
            }
            View::Before { .. } => None,
            View::LoggedIn { unread, .. } => {
                self.awaited = *unread;
                self.end()
            }
            View::Message(_) | View::Result { outcome: Ok(Success::Offline { .. }), .. } | View::Bye(_) => {
                self.end()
            }
            View::Connection(_)
            | View::Prompt { .. }
            | View::Offline { .. }
            | View::Wire { .. }
            | View::Addressee { .. }
            | View::LoginRefused(_)
            | View::Result { .. }
            | View::Presence { .. }
            | View::PrivateRequest { .. }
            | View::RequestOver { .. }
            | View::PrivateOpened { .. }
            | View::PrivateClosed { .. }
            | View::Group { .. }
            | View::Announcement { .. }
            | View::Notice(_) => None,
        }
    }

    /// A line to show after a view: behind the last stored message.
    pub(super) fn after(&mut self, view: &View) -> Option<String> {
        if !matches!(view, View::Message(Message { stored: true, .. })) || self.awaited == 0 {
            return None;
        }
        self.awaited -= 1;
        if self.awaited == 0 { self.end() } else { None }
    }

    fn end(&mut self) -> Option<String> {
        self.day.take().map(|_| self.ruled("now"))
    }

    /// Words between two rules.
    pub(super) fn ruled(&self, words: &str) -> String {
        format!("{} {words} {}", self.rule, self.rule)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::client::view::MessageKind;

    fn message(stored: bool, days: u64) -> View {
        let message = samples::message(MessageKind::Direct, "hans", "hi");
        let sent_at = Time(message.sent_at.0 + days * 86_400_000_000);
        View::Message(Message { stored, sent_at, ..message })
    }

    fn stamps(form: Timestamps) -> Stamps {
        let zone = TimeZone::fixed(jiff::tz::Offset::constant(1));
        Stamps::new(form, zone, false)
    }

    #[test]
    fn times_are_local() {
        let sent_at = Time(1_700_000_000_000_000);
        assert_eq!(stamps(Timestamps::Off).of(sent_at), "");
        assert_eq!(stamps(Timestamps::Time).of(sent_at), "23:13 ");
        assert_eq!(stamps(Timestamps::Full).of(sent_at), "2023-11-14 23:13:20 ");
        assert_eq!(stamps(Timestamps::Time).of(Time(u64::MAX)).len(), 6, "beyond the calendar");
    }

    #[test]
    fn stored_mail_stands_between_its_days_and_now() {
        let mut stamps = stamps(Timestamps::Time);
        let welcome = View::LoggedIn { user: "luke".into(), unread: 3 };
        assert_eq!(stamps.before(&welcome), None);
        let mut shown = Vec::new();
        for view in [message(true, 0), message(true, 0), message(true, 1), message(false, 2)] {
            shown.extend(stamps.before(&view));
            shown.push("message".into());
            shown.extend(stamps.after(&view));
        }
        assert_eq!(
            shown,
            [
                "── stored, Tuesday 14 November ──",
                "message",
                "message",
                "── stored, Wednesday 15 November ──",
                "message",
                "── now ──",
                "message"
            ]
        );
    }

    #[test]
    fn stored_mail_that_nobody_announced_ends_with_the_next_message() {
        let mut stamps = stamps(Timestamps::Time);
        assert!(stamps.before(&message(true, 0)).is_some());
        assert_eq!(stamps.after(&message(true, 0)), None);
        assert_eq!(stamps.before(&message(false, 0)).as_deref(), Some("── now ──"));
    }
}
