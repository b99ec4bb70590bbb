//! What has happened since the start, and what is under way, in numbers. Nothing is decided by them.

use super::ServerState;
use super::times::Times;
use crate::record::Outcome;
use crate::wire::{Code, Refusal, Status};
use alloc::collections::BTreeMap;
use core::time::Duration;

/// What has happened since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages to one receiver, each member of a group counted, whose sender heard `delivered`.
    pub delivered: u64,
    /// The same for `stored`.
    pub stored: u64,
    /// The same for an error.
    pub refused: u64,
    /// Group messages, however many members they had.
    pub group_messages: u64,
    /// Broadcasts, however many heard them.
    pub broadcasts: u64,
    /// From a message's line being obeyed until its sender was told `delivered`.
    pub until_delivered: Times,
    /// The same for `stored`.
    pub until_stored: Times,
    /// The same for a group message and what became of it for its members.
    pub until_group_settled: Times,
    /// Commands that were obeyed, whatever they came to; those of couriers too, repeats not.
    pub commands: u64,
    /// Units of work that users have caused (R42).
    pub units: u64,
    /// How often a connection had to wait because its user had caused more than their rate allows.
    pub waits_for_rate: u64,
    /// The same because of `unsettled_max` or `store_queue_bytes` (R44).
    pub waits_for_records: u64,
    /// Couriers let in.
    pub couriers: u64,
    /// Logins that were refused, by the word of the refusal.
    pub logins_refused: BTreeMap<&'static str, u64>,
    /// Commands that failed, by how.
    pub commands_failed: BTreeMap<Code, u64>,
}

impl Tally {
    /// The sender of a message to one receiver hears this.
    pub(super) const fn message(&mut self, ending: Result<Status, Code>) {
        let count = match ending {
            Ok(Status::Delivered) => &mut self.delivered,
            Ok(Status::Stored) => &mut self.stored,
            Err(_) => &mut self.refused,
        };
        *count += 1;
    }

    /// The sender of a message is told what became of it, so long after it was obeyed.
    pub(super) fn confirmed(&mut self, outcome: Outcome, took: Duration) {
        let times = match outcome {
            Outcome::Message(Status::Delivered) => &mut self.until_delivered,
            Outcome::Message(Status::Stored) | Outcome::StoredUntil(_) => &mut self.until_stored,
            Outcome::Group { .. } => &mut self.until_group_settled,
            Outcome::Broadcast { .. } | Outcome::Done | Outcome::Failed(_) => return,
        };
        times.note(took);
    }

    /// A login is refused.
    pub(super) fn login_refused(&mut self, refusal: Refusal) {
        *self.logins_refused.entry(word(refusal)).or_default() += 1;
    }

    /// A command fails.
    pub(super) fn command_failed(&mut self, code: Code) {
        *self.commands_failed.entry(code).or_default() += 1;
    }
}

/// The words that refusals have, for who counts those as well that have not happened.
pub const REFUSALS: [&str; 8] = [
    "already_online",
    "bad_name",
    "busy",
    "invalid_credentials",
    "invalid_invite",
    "locked_out",
    "name_taken",
    "stale",
];

/// The first word of a refusal, as the protocol spells it.
const fn word(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::InvalidCredentials { .. } => "invalid_credentials",
        Refusal::LockedOut { .. } => "locked_out",
        Refusal::AlreadyOnline => "already_online",
        Refusal::BadName => "bad_name",
        Refusal::Busy => "busy",
        Refusal::NameTaken => "name_taken",
        Refusal::Stale => "stale",
        Refusal::InvalidInvite => "invalid_invite",
    }
}

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Passwords that are being hashed.
    pub hashing: u32,
    /// Passwords that wait for that.
    pub hashing_waiting: usize,
    /// Bytes on their way to the disk, as `store_queue_bytes` counts them.
    pub store_queue_bytes: u64,
    /// Records that were written or refused since the start.
    pub records_settled: u64,
}

impl ServerState {
    /// What has happened since the start.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What is under way.
    #[must_use]
    pub const fn load(&self) -> Load {
        let (hashing, hashing_waiting) = self.door.hashing();
        Load {
            hashing,
            hashing_waiting,
            store_queue_bytes: self.papers.bytes_under_way(),
            records_settled: self.papers.settled().0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{records, say, server};
    use super::*;
    use crate::record::RecordNumber;
    use crate::server::Event;

    #[test]
    fn what_becomes_of_messages_is_counted_once_it_is_told() {
        let mut server = server(&["hans", "luke", "yoda"], 2);
        say(&mut server, 1, "message yoda hello\n");
        assert_eq!(server.tally().stored, 0, "it is on its way");
        assert!(server.load().store_queue_bytes > 0);
        let before = server.load().records_settled;
        records(&mut server, Event::Committed { upto: RecordNumber(u64::MAX) });
        assert_eq!((server.tally().stored, server.load().store_queue_bytes), (1, 0));
        let tally = server.tally();
        assert_eq!((tally.until_stored.count(), tally.until_delivered.count()), (1, 0));
        assert_eq!(tally.units, 1 + 1 + 4, "a line, a text and that it is stored");
        assert_eq!(server.load().records_settled, before + 1);
        say(&mut server, 1, "broadcast hello\n");
        say(&mut server, 1, "message nobody hello\n");
        say(&mut server, 1, "dance\n");
        let tally = server.tally();
        assert_eq!((tally.broadcasts, tally.delivered, tally.refused), (1, 0, 0));
        assert_eq!(tally.commands, 3, "the last line is no command");
        let failed: [(Code, u64); 2] = [(Code::UnknownCommand, 1), (Code::UnknownUser, 1)];
        assert_eq!(tally.commands_failed, BTreeMap::from(failed));
    }
}
