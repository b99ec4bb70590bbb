//! What must happen at a certain time, in one ordered set.

use alloc::collections::BTreeSet;

use super::accounts::UserId;
use crate::time::Time;
use crate::words::LinkId;

/// Something with a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deadline {
    /// A link must be logged in by now.
    Login(LinkId),
    /// The last words on a link wait no longer for their record.
    Parting(LinkId),
    /// A session, told apart from later ones of the user, may have been idle for too long. Lazy:
    /// activity only notes its time, and this looks at it.
    Idle(UserId, u64),
    /// The oldest message under way to a session should have been acknowledged. Lazy as well.
    Acknowledgement(UserId, u64),
    /// A session without a link may have to be given up. Lazy as well.
    Grace(UserId, u64),
    /// A logout may have waited for its mail for too long. Lazy as well.
    Leaving(UserId, u64),
    /// A session may cause deliveries again. Lazy as well.
    Throttle(UserId, u64),
    /// A courier may cause deliveries again. Lazy as well.
    ThrottleCourier(LinkId),
    /// The client of a session has not said whether it is there.
    Probe(UserId, u64),
    /// A request for a private link gets no answer any more.
    PrivateRequest(UserId, UserId, u64),
    /// A user may have more relayed.
    Relay(UserId),
    /// A change of a user's presence has stood for long enough to be told.
    Presence(UserId),
    /// The time of a stored message may be over.
    Mailbox(UserId),
    /// The last session of somebody may have to be forgotten.
    History,
    /// Facts and purges that the store refused are tried again.
    Retry,
}

/// The deadlines, earliest first, and the timeout that was asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Deadlines {
    set: BTreeSet<(Time, Deadline)>,
    /// The earliest of the set; read for every event.
    earliest: Option<Time>,
    scheduled: Option<Time>,
}

impl Deadlines {
    pub(super) fn add(&mut self, at: Time, deadline: Deadline) {
        self.set.insert((at, deadline));
        self.earliest = Some(self.earliest.map_or(at, |earliest| earliest.min(at)));
    }

    pub(super) fn remove(&mut self, at: Time, deadline: Deadline) {
        self.set.remove(&(at, deadline));
        self.earliest = self.set.first().map(|(at, _)| *at);
    }

    /// Takes the earliest deadline if its time has come.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Deadline> {
        if self.earliest? > now {
            return None;
        }
        let (_, deadline) = self.set.pop_first()?;
        self.earliest = self.set.first().map(|(at, _)| *at);
        Some(deadline)
    }

    /// The timeout to ask for, if the one asked for before does not serve. Never at or before `now`.
    pub(super) fn next_timeout(&mut self, now: Time) -> Option<Time> {
        if self.scheduled.is_some_and(|at| at <= now) {
            self.scheduled = None;
        }
        let earliest = self.earliest?.max(Time(now.0.saturating_add(1)));
        if self.scheduled.is_some_and(|at| at <= earliest) {
            return None;
        }
        self.scheduled = Some(earliest);
        Some(earliest)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.set.len()
    }

    /// Deadlines but for those that may be left when all is quiet: of idle sessions, and of what is kept for days.
    pub(super) fn pressing(&self) -> usize {
        let may_be_left = |deadline: &Deadline| {
            matches!(deadline, Deadline::Idle(..) | Deadline::Mailbox(_) | Deadline::History)
        };
        self.set.iter().filter(|(_, deadline)| !may_be_left(deadline)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_asked_for_once_and_again_only_if_it_must_be_earlier() {
        let mut deadlines = Deadlines::default();
        deadlines.add(Time(50), Deadline::Login(LinkId(1)));
        assert_eq!(deadlines.next_timeout(Time(0)), Some(Time(50)));
        assert_eq!(deadlines.next_timeout(Time(0)), None);
        deadlines.add(Time(70), Deadline::Login(LinkId(2)));
        assert_eq!(deadlines.next_timeout(Time(1)), None);
        deadlines.add(Time(20), Deadline::Login(LinkId(3)));
        assert_eq!(deadlines.next_timeout(Time(1)), Some(Time(20)));
        assert_eq!(deadlines.take_due(Time(19)), None);
        assert_eq!(deadlines.take_due(Time(20)), Some(Deadline::Login(LinkId(3))));
        assert_eq!(deadlines.next_timeout(Time(20)), Some(Time(50)));
    }

    #[test]
    fn what_is_removed_does_not_come() {
        let mut deadlines = Deadlines::default();
        deadlines.add(Time(5), Deadline::Login(LinkId(1)));
        deadlines.remove(Time(5), Deadline::Login(LinkId(1)));
        assert_eq!(deadlines.take_due(Time(9)), None);
        assert_eq!(deadlines.next_timeout(Time(9)), None);
    }
}
