//! How much happens a second.

use serde_json::{Value, json};

use super::metrics::Counts;
use crate::server::tally::Tally;
use crate::time::Time;

/// The seconds that are looked back on.
const SECS: usize = 10;

/// What has happened since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counted {
    /// Messages to one receiver and broadcasts, that were not refused.
    messages: u64,
    logins: u64,
    commands: u64,
}

impl Counted {
    pub(super) const fn of(tally: &Tally, counts: &Counts) -> Counted {
        Counted {
            messages: tally.delivered + tally.stored + tally.broadcasts,
            logins: counts.logins() + tally.couriers,
            commands: tally.commands,
        }
    }
}

/// What has happened in each of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Rates {
    total: Counted,
    /// The number of a second, and what happened in it; one place serves every tenth second.
    seconds: [(u64, Counted); SECS],
}

impl Rates {
    /// So much has happened up to now.
    pub(super) fn note(&mut self, total: Counted, now: impl FnOnce() -> Time) {
        if total == self.total {
            return;
        }
        let second = second(now());
        let place = &mut self.seconds[place(second)];
        if place.0 != second {
            *place = (second, Counted::default());
        }
        let (before, in_second) = (self.total, &mut place.1);
        in_second.messages += total.messages - before.messages;
        in_second.logins += total.logins - before.logins;
        in_second.commands += total.commands - before.commands;
        self.total = total;
    }

    /// Each a second, in the last seconds or since the start.
    pub(super) fn show(&self, started: Time, now: Time) -> Value {
        let secs = (now.since(started).as_secs() + 1).min(SECS as u64);
        let (last, first) = (second(now), second(now).saturating_sub(SECS as u64 - 1));
        let rate = |of: fn(&Counted) -> u64| {
            let seconds = self.seconds.iter().filter(|(second, _)| (first..=last).contains(second));
            let count = seconds.map(|(_, counted)| of(counted)).sum::<u64>();
            // Two digits behind the point are enough.
            (count as f64 * 100.0 / secs as f64).round() / 100.0
        };
        json!({
            "messages": rate(|counted| counted.messages),
            "logins": rate(|counted| counted.logins),
            "commands": rate(|counted| counted.commands),
        })
    }
}

const fn second(now: Time) -> u64 {
    now.0 / 1_000_000
}

const fn place(second: u64) -> usize {
    (second % SECS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_ten_seconds_count_and_fewer_after_a_start() {
        let at = |secs: u64| Time(secs * 1_000_000);
        let counted = |messages, logins, commands| Counted { messages, logins, commands };
        let mut rates = Rates::default();
        rates.note(counted(4, 1, 6), || at(100));
        assert_eq!(rates.show(at(99), at(100)), json!({ "messages": 2.0, "logins": 0.5, "commands": 3.0 }));
        rates.note(counted(4, 1, 7), || at(105));
        assert_eq!(rates.show(at(0), at(109)), json!({ "messages": 0.4, "logins": 0.1, "commands": 0.7 }));
        assert_eq!(rates.show(at(0), at(110)), json!({ "messages": 0.0, "logins": 0.0, "commands": 0.1 }));
        rates.note(counted(4, 1, 9), || at(115));
        assert_eq!(rates.show(at(0), at(115)), json!({ "messages": 0.0, "logins": 0.0, "commands": 0.2 }));
        assert_eq!(rates.show(at(0), at(500)), json!({ "messages": 0.0, "logins": 0.0, "commands": 0.0 }));
    }
}
