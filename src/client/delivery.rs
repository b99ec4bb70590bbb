//! Shows each message once, and acknowledges it only when it was shown.
//!
//! Acknowledgements are cumulative in the order of the link, so a message that is recognised as shown is
//! acknowledged only after all that arrived before it.

use alloc::collections::VecDeque;
use core::time::Duration;

use super::event::{Mark, Recall};
use super::seen::Seen;
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::words::MessageId;

/// Longest delay of an acknowledgement.
const ACK_DELAY: Duration = Duration::from_millis(10);

/// Messages and answers after which an acknowledgement is not delayed any longer.
const ACK_BATCH: usize = 64;

/// Broadcasts that are recognised when they arrive again: those before were sent long ago.
const BROADCASTS: usize = 4_096;

/// Messages that may have arrived and not been shown yet; a server that sends more violates the protocol.
const ARRIVED: usize = 65_536;

/// Which messages have arrived, were shown and were acknowledged.
#[derive(Default)]
pub(super) struct Delivery {
    seen: Seen,
    /// Broadcasts have ids of their own and are recognised by their origin, in this run only.
    broadcasts: Seen,
    /// Messages that an earlier run may have shown.
    doubtful: Seen,
    /// Sequence number of the delivery handed out last.
    sequence: u64,
    /// Sequence number of the last delivery carried out.
    delivered: u64,
    /// Messages of this link that are not acknowledged, each with the delivery that has to be carried out
    /// before.
    arrived: VecDeque<(MessageId, u64)>,
    /// The contents of the next acknowledgement.
    shown: Option<MessageId>,
    answered: Option<u64>,
    /// The last command that the server was told to be answered.
    told: u64,
    /// How many messages and answers it covers.
    batch: usize,
    due: Option<Time>,
}

/// What to do with a message that has arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Show it.
    New {
        /// Sequence number of its delivery.
        sequence: u64,
        /// Whether an earlier run may have shown it.
        again: bool,
    },
    /// It was shown already, or is about to be.
    Known,
    /// The server has sent more than it may without acknowledgement.
    TooMany,
}

/// An acknowledgement to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Acknowledgement {
    pub(super) shown: Option<MessageId>,
    pub(super) answered: Option<u64>,
}

impl Delivery {
    /// Begins a session: only what the state folder recalls is known. Deliveries of the session before may
    /// still be under way, so the numbering continues.
    pub(super) fn begin(&mut self, recall: Recall) {
        let (sequence, delivered) = (self.sequence, self.delivered);
        *self = Delivery { sequence, delivered, ..Delivery::default() };
        recall.shown.iter().for_each(|mark| self.seen.note_once(mark));
        recall.doubtful.iter().for_each(|mark| self.doubtful.note_once(mark));
    }

    /// The link is lost: its messages will be acknowledged when they arrive again.
    pub(super) fn lose_link(&mut self) {
        self.arrived.clear();
        self.shown = None;
        self.answered = None;
        self.told = 0;
    }

    /// A direct or group message has arrived.
    pub(super) fn arrive(&mut self, mark: &Mark) -> Arrival {
        if self.arrived.len() >= ARRIVED {
            return Arrival::TooMany;
        }
        if let Some(sequence) = self.seen.find(mark)
            && !planted::is(Planted::ClientShowsAgain)
        {
            self.arrived.push_back((mark.id, sequence));
            return Arrival::Known;
        }
        self.sequence += 1;
        self.seen.note(mark, self.sequence);
        self.arrived.push_back((
            mark.id,
            if planted::is(Planted::ClientAcknowledgesEarly) { 0 } else { self.sequence },
        ));
        Arrival::New { sequence: self.sequence, again: self.doubtful.find(mark).is_some() }
    }

    /// The number of the delivery of a message that has no mark.
    pub(super) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// The number of the delivery handed out last.
    pub(super) fn last_sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether the delivery of this number is carried out.
    pub(super) fn is_carried_out(&self, sequence: u64) -> bool {
        sequence <= self.delivered
    }

    /// A broadcast has arrived; returns whether to show it. Broadcasts are not acknowledged.
    pub(super) fn arrive_broadcast(&mut self, mark: &Mark) -> bool {
        let Some(origin) = mark.origin else { return true };
        let known = self.broadcasts.knows_origin(&mark.from, origin);
        if !known {
            self.broadcasts.note(mark, 0);
            self.broadcasts.keep_last(BROADCASTS);
        }
        !known
    }

    /// Deliveries up to this one are carried out.
    pub(super) fn delivered(&mut self, upto: u64) {
        self.delivered = self.delivered.max(upto.min(self.sequence));
    }

    /// All commands up to this number are answered.
    pub(super) fn answered(&mut self, upto: u64, now: Time) {
        if upto > self.told {
            self.told = upto;
            self.answered = Some(upto);
            self.count(now);
        }
    }

    /// Adds everything shown so far to the next acknowledgement.
    pub(super) fn gather(&mut self, now: Time) {
        while let Some((id, sequence)) = self.arrived.front().copied()
            && sequence <= self.delivered
        {
            self.arrived.pop_front();
            self.shown = Some(id);
            self.count(now);
        }
    }

    fn count(&mut self, now: Time) {
        self.batch += 1;
        self.due.get_or_insert(now + ACK_DELAY);
    }

    /// When to send the next acknowledgement: immediately if it covers enough.
    pub(super) fn due(&self) -> Option<Time> {
        if self.batch >= ACK_BATCH { Some(Time::ZERO) } else { self.due }
    }

    /// The next acknowledgement, if there is anything to acknowledge.
    pub(super) fn take(&mut self) -> Option<Acknowledgement> {
        self.due = None;
        self.batch = 0;
        let (shown, answered) = (self.shown.take(), self.answered.take());
        (shown.is_some() || answered.is_some()).then_some(Acknowledgement { shown, answered })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{LoginNumber, Name, Origin};
    use alloc::vec;

    fn mark(id: u64) -> Mark {
        let origin = Some(Origin { login: LoginNumber(1), number: id });
        Mark { from: Name::new("hans").unwrap(), id: MessageId { boot: 1, number: id }, origin }
    }

    fn new(sequence: u64) -> Arrival {
        Arrival::New { sequence, again: false }
    }

    fn acknowledged(delivery: &mut Delivery) -> Option<u64> {
        delivery.gather(Time(0));
        delivery.take().and_then(|ack| ack.shown).map(|id| id.number)
    }

    #[test]
    fn a_repeat_is_acknowledged_after_what_came_before_it() {
        let mut delivery = Delivery::default();
        delivery.begin(Recall { shown: vec![mark(1)], ..Recall::default() });
        assert_eq!(delivery.arrive(&mark(2)), new(1));
        assert_eq!(delivery.arrive(&mark(1)), Arrival::Known);
        assert_eq!(acknowledged(&mut delivery), None, "nothing is shown yet");
        delivery.delivered(1);
        assert_eq!(acknowledged(&mut delivery), Some(1));
    }

    #[test]
    fn a_message_that_comes_again_before_it_is_shown_waits_for_that() {
        let mut delivery = Delivery::default();
        assert_eq!(delivery.arrive(&mark(1)), new(1));
        delivery.lose_link();
        assert_eq!(delivery.arrive(&mark(1)), Arrival::Known);
        assert_eq!(acknowledged(&mut delivery), None);
        delivery.delivered(1);
        assert_eq!(acknowledged(&mut delivery), Some(1));
    }

    #[test]
    fn what_was_shown_in_the_session_before_stays_carried_out() {
        let mut delivery = Delivery::default();
        assert_eq!(delivery.arrive(&mark(1)), new(1));
        delivery.delivered(1);
        delivery.begin(Recall::default());
        assert!(delivery.is_carried_out(delivery.last_sequence()), "nothing is left to wait for");
        assert_eq!(delivery.arrive(&mark(2)), new(2));
        assert!(!delivery.is_carried_out(delivery.last_sequence()));
    }

    #[test]
    fn messages_of_a_lost_link_are_not_acknowledged_on_the_next() {
        let mut delivery = Delivery::default();
        assert_eq!(delivery.arrive(&mark(1)), new(1));
        delivery.delivered(1);
        delivery.gather(Time(0));
        delivery.lose_link();
        assert_eq!(acknowledged(&mut delivery), None);
    }

    #[test]
    fn doubtful_messages_are_shown_again_and_say_so() {
        let mut delivery = Delivery::default();
        delivery.begin(Recall { doubtful: vec![mark(7)], ..Recall::default() });
        assert_eq!(delivery.arrive(&mark(7)), Arrival::New { sequence: 1, again: true });
        assert_eq!(delivery.arrive(&mark(7)), Arrival::Known);
    }

    #[test]
    fn sequence_numbers_go_on_over_sessions() {
        let mut delivery = Delivery::default();
        assert_eq!(delivery.arrive(&mark(1)), new(1));
        delivery.begin(Recall::default());
        assert_eq!(delivery.arrive(&mark(1)), new(2));
        delivery.delivered(1);
        assert_eq!(acknowledged(&mut delivery), None);
        delivery.delivered(u64::MAX);
        assert_eq!(acknowledged(&mut delivery), Some(1));
    }

    #[test]
    fn an_acknowledgement_waits_for_ten_milliseconds_or_sixty_four_messages() {
        let mut delivery = Delivery::default();
        delivery.answered(1, Time(5));
        assert_eq!(delivery.due(), Some(Time(10_005)));
        for id in 1..=63 {
            assert_eq!(delivery.arrive(&mark(id)), new(id));
        }
        delivery.delivered(62);
        delivery.gather(Time(9));
        assert_eq!(delivery.due(), Some(Time(10_005)));
        delivery.delivered(63);
        delivery.gather(Time(9));
        assert_eq!(delivery.due(), Some(Time::ZERO));
        let shown = Some(MessageId { boot: 1, number: 63 });
        assert_eq!(delivery.take(), Some(Acknowledgement { shown, answered: Some(1) }));
        assert_eq!(delivery.due(), None);
    }

    #[test]
    fn a_broadcast_is_known_by_its_origin_and_only_by_it() {
        let mut delivery = Delivery::default();
        assert!(delivery.arrive_broadcast(&mark(1)));
        assert!(!delivery.arrive_broadcast(&Mark { id: MessageId { boot: 2, number: 9 }, ..mark(1) }));
        assert!(delivery.arrive_broadcast(&Mark { origin: None, ..mark(1) }));
        assert!(delivery.arrive_broadcast(&mark(2)));
        assert_eq!(delivery.arrive(&mark(1)), new(1), "ids of broadcasts are their own");
    }

    #[test]
    fn a_server_that_sends_without_end_is_stopped() {
        let mut delivery = Delivery::default();
        for id in 1..=ARRIVED as u64 {
            assert_eq!(delivery.arrive(&mark(id)), new(id));
        }
        assert_eq!(delivery.arrive(&mark(0)), Arrival::TooMany);
    }
}
