//! Recognises messages that were shown before, by their id and by the command that sent them.

use alloc::collections::{BTreeMap, VecDeque};

use super::event::Mark;
use crate::words::{MessageId, Name, Origin};

/// Marks kept for each sender; the oldest is dropped first. This is far more than may wait from one sender by
/// default (1,000): a server that could not record that mail was shown (its disk was full) sends all of it
/// again, the oldest first. If the oldest were forgotten, each message shown again would displace the mark of
/// the next one.
const MARKS_PER_SENDER: usize = 8_192;

/// Marks kept in all; the oldest is dropped first.
const MARKS_IN_ALL: usize = 65_536;

/// Senders of whom marks are kept: one takes more memory than a mark.
const SENDERS: usize = 4_096;

/// The marks of the messages shown last, each with the sequence number of its delivery (0: known
/// from an earlier run).
#[derive(Default)]
pub(super) struct Seen {
    senders: BTreeMap<Name, Sender>,
    /// The senders of all marks by age, oldest first.
    ages: BTreeMap<u64, Name>,
    next_age: u64,
}

#[derive(Default)]
struct Sender {
    /// Oldest first, each with its age.
    marks: VecDeque<(u64, MessageId, Option<Origin>)>,
    ids: BTreeMap<MessageId, (u64, Option<Origin>)>,
    origins: BTreeMap<Origin, u64>,
}

impl Seen {
    /// The sequence number under which a message was delivered, if it was.
    pub(super) fn find(&self, mark: &Mark) -> Option<u64> {
        let sender = self.senders.get(&mark.from)?;
        let by_origin = || mark.origin.and_then(|origin| sender.origins.get(&origin)).copied();
        match sender.ids.get(&mark.id) {
            // From another command: a server without a data folder that was started twice within a second gives
            // ids twice.
            Some((_, Some(origin))) if mark.origin.is_some_and(|of_this| of_this != *origin) => by_origin(),
            Some((sequence, _)) => Some(*sequence),
            None => by_origin(),
        }
    }

    /// Whether a message from this command is known, whatever its id.
    pub(super) fn knows_origin(&self, from: &Name, origin: Origin) -> bool {
        self.senders.get(from).is_some_and(|sender| sender.origins.contains_key(&origin))
    }

    /// Notes a message of an earlier run, which may be noted twice there.
    pub(super) fn note_once(&mut self, mark: &Mark) {
        if self.find(mark).is_none() {
            self.note(mark, 0);
        }
    }

    /// Notes a message that `find` did not know.
    pub(super) fn note(&mut self, mark: &Mark, sequence: u64) {
        let sender = self.senders.entry(mark.from.clone()).or_default();
        sender.marks.push_back((self.next_age, mark.id, mark.origin));
        sender.ids.insert(mark.id, (sequence, mark.origin));
        if let Some(origin) = mark.origin {
            sender.origins.insert(origin, sequence);
        }
        self.ages.insert(self.next_age, mark.from.clone());
        self.next_age += 1;
        if sender.marks.len() > MARKS_PER_SENDER {
            self.forget_oldest_of(&mark.from);
        }
        self.keep_last(MARKS_IN_ALL);
    }

    /// Drops the oldest marks beyond this number.
    pub(super) fn keep_last(&mut self, marks: usize) {
        while (self.ages.len() > marks || self.senders.len() > SENDERS)
            && let Some(name) = self.ages.first_key_value().map(|(_, name)| name.clone())
        {
            self.forget_oldest_of(&name);
        }
    }

    /// The oldest mark of all is also the oldest of its sender.
    fn forget_oldest_of(&mut self, name: &Name) {
        let Some(sender) = self.senders.get_mut(name) else { return };
        if let Some((age, id, origin)) = sender.marks.pop_front() {
            self.ages.remove(&age);
            if sender.ids.get(&id).is_some_and(|(_, of_last)| *of_last == origin) {
                sender.ids.remove(&id);
            }
            if let Some(origin) = origin {
                sender.origins.remove(&origin);
            }
        }
        if sender.marks.is_empty() {
            self.senders.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::LoginNumber;
    use alloc::format;

    fn mark(from: &str, id: u64, origin: Option<u64>) -> Mark {
        let origin = origin.map(|number| Origin { login: LoginNumber(1), number });
        Mark { from: Name::new(from).unwrap(), id: MessageId { boot: 1, number: id }, origin }
    }

    #[test]
    fn the_marks_of_many_senders_make_room_for_later_ones() {
        let mut seen = Seen::default();
        let sender = |number: usize| mark(&format!("u{number}"), 1, None);
        (0..SENDERS + 1).for_each(|number| seen.note(&sender(number), 1));
        assert_eq!(
            (seen.senders.len(), seen.find(&sender(0)), seen.find(&sender(1))),
            (SENDERS, None, Some(1))
        );
        seen.keep_last(2);
        assert_eq!((seen.ages.len(), seen.find(&sender(SENDERS))), (2, Some(1)));
    }

    #[test]
    fn a_repeat_is_known_by_id_or_by_origin_but_only_of_the_same_sender() {
        let mut seen = Seen::default();
        seen.note(&mark("hans", 7, Some(3)), 42);
        assert_eq!(seen.find(&mark("hans", 7, None)), Some(42));
        assert_eq!(seen.find(&mark("hans", 8, Some(3))), Some(42), "stored again after a restart");
        assert_eq!(seen.find(&mark("hans", 8, None)), None);
        assert_eq!(seen.find(&mark("hans", 8, Some(4))), None);
        assert_eq!(seen.find(&mark("yoda", 7, Some(3))), None);
    }

    #[test]
    fn an_id_that_is_given_for_another_command_is_new() {
        let mut seen = Seen::default();
        seen.note(&mark("hans", 7, Some(3)), 42);
        assert_eq!(seen.find(&mark("hans", 7, Some(4))), None);
        seen.note(&mark("hans", 7, Some(4)), 43);
        assert_eq!(seen.find(&mark("hans", 7, Some(3))), Some(42));
        assert_eq!(seen.find(&mark("hans", 7, Some(4))), Some(43));
        // A dropped mark removes only its own command.
        seen.forget_oldest_of(&Name::new("hans").unwrap());
        assert_eq!(seen.find(&mark("hans", 7, Some(3))), None);
        assert_eq!(seen.find(&mark("hans", 7, Some(4))), Some(43));
        assert_eq!(seen.find(&mark("hans", 7, None)), Some(43));
    }

    #[test]
    fn the_oldest_mark_of_a_sender_goes_first() {
        let mut seen = Seen::default();
        for id in 1..=MARKS_PER_SENDER as u64 + 1 {
            seen.note(&mark("hans", id, Some(id)), id);
        }
        assert_eq!(seen.find(&mark("hans", 1, Some(1))), None);
        assert_eq!(seen.find(&mark("hans", 2, Some(2))), Some(2));
    }

    #[test]
    fn the_oldest_mark_of_all_goes_first() {
        let mut seen = Seen::default();
        let senders = SENDERS as u64 / 2;
        let fitting = (MARKS_IN_ALL / (SENDERS / 2)) as u64;
        for id in 1..=fitting {
            (0..senders).for_each(|sender| seen.note(&mark(&format!("u{sender}"), id, None), 1));
        }
        for sender in ["u0", "u1"] {
            seen.note(&mark(sender, fitting + 1, None), 1);
        }
        assert_eq!(seen.ages.len(), MARKS_IN_ALL);
        assert_eq!(seen.find(&mark("u0", 1, None)), None);
        assert_eq!(seen.find(&mark("u1", 1, None)), None);
        assert_eq!(seen.find(&mark("u2", 1, None)), Some(1));
    }
}
