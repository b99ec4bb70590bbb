//! The state of a session: opening, connected, reconnecting, leaving.

use alloc::vec::Vec;
use core::time::Duration;

use crate::time::Time;

/// The state of the session's connection.
pub(super) enum Standing {
    /// The state folder is being opened; what the server says waits.
    Opening(Opening),
    /// Connected.
    Online,
    /// The connection is lost and being made again.
    Lost(Lost),
}

/// What is kept until the state folder is open.
pub(super) struct Opening {
    pub(super) unread: u64,
    pub(super) held: Vec<u8>,
    /// The connection was lost meanwhile.
    pub(super) lost: bool,
}

/// How long a typed `logout` waits for results that are on their way.
pub(super) const LOGOUT_PATIENCE: Duration = Duration::from_secs(5);

/// How long a logout waits for what was said on relayed links.
pub(super) const PARTING_PATIENCE: Duration = Duration::from_secs(1);

/// A logout under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Earlier commands have no result yet.
    Waiting {
        /// The line of the typed `logout`; none at the end of the input.
        line: Option<u64>,
        /// When it is sent in any case.
        until: Time,
        /// The last delivery handed out when all results had arrived: what arrived before a logout is
        /// acknowledged before it.
        shown: Option<u64>,
    },
    /// It is sent when what was said on relayed links has left, and at that time in any case.
    Parting { line: Option<u64>, until: Time },
    /// It was sent. The server ends the session after the stored mail that is under way, which is still shown
    /// and acknowledged.
    Said,
}

impl Leaving {
    /// The server is back: it has to answer the repeated commands first.
    pub(super) fn begin_again(&mut self, now: Time) {
        match self {
            Leaving::Waiting { line: Some(_), until, .. } => *until = now + LOGOUT_PATIENCE,
            Leaving::Waiting { line: None, .. } | Leaving::Parting { .. } | Leaving::Said => {}
        }
    }

    /// The server is lost, and relayed links with it: what has no result is waited for again.
    pub(super) fn wait_again(&mut self, now: Time) {
        if let Leaving::Parting { line, .. } = *self {
            let until = if line.is_some() { now + LOGOUT_PATIENCE } else { Time::MAX };
            *self = Leaving::Waiting { line, until, shown: None };
        }
    }

    /// The server is lost, and a person waits: what has no result by then stays without one from the server.
    pub(super) fn hurry(&mut self, now: Time) {
        match self {
            Leaving::Waiting { until, .. } => *until = (*until).min(now + LOGOUT_PATIENCE),
            Leaving::Parting { .. } | Leaving::Said => {}
        }
    }

    pub(super) fn due(self) -> Option<Time> {
        match self {
            Leaving::Waiting { until, .. } => Some(until).filter(|until| *until < Time::MAX),
            Leaving::Parting { until, .. } => Some(until),
            Leaving::Said => None,
        }
    }
}

/// The first pause; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A session without its connection.
pub(super) struct Lost {
    since: Time,
    attempts: u32,
    pub(super) stage: Stage,
    /// It has taken too long: commands for the server fail immediately. A private link may still keep the
    /// session alive.
    pub(super) given_up: bool,
}

/// The stage of reconnecting.
pub(super) enum Stage {
    Pausing {
        until: Time,
    },
    /// Connecting, or waiting for the greeting.
    Dialling,
    /// The server's answer to `resume` is awaited until then.
    Resuming {
        until: Time,
    },
    /// The session cannot be resumed.
    Hopeless,
}

impl Lost {
    pub(super) fn new(now: Time) -> Lost {
        Lost { since: now, attempts: 0, stage: Stage::Hopeless, given_up: false }
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// The next timeout, if reconnecting is given up after so many seconds, or never.
    pub(super) fn due(&self, patience_secs: Option<u64>) -> Option<Time> {
        let stage = match self.stage {
            Stage::Pausing { until } | Stage::Resuming { until } => Some(until),
            Stage::Dialling | Stage::Hopeless => None,
        };
        let patience = self.end_of_patience(patience_secs).filter(|_| !self.given_up);
        [stage, patience].into_iter().flatten().min()
    }

    pub(super) fn end_of_patience(&self, patience_secs: Option<u64>) -> Option<Time> {
        patience_secs.map(|patience_secs| self.since + Duration::from_secs(patience_secs))
    }

    pub(super) fn pause(&mut self, now: Time, jitter: &mut Jitter) {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.attempts.min(10));
        self.attempts = self.attempts.saturating_add(1);
        self.stage = Stage::Pausing { until: now + jitter.shorten(doubled.min(LONGEST_PAUSE)) };
    }
}

/// Makes the pauses of many clients differ, so that they do not all come back at once.
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) fn new(seed: u64) -> Jitter {
        Jitter(seed)
    }

    /// Between half of a pause and the whole of it.
    fn shorten(&mut self, pause: Duration) -> Duration {
        let half = pause / 2;
        let micros = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
        half + Duration::from_micros(self.draw() % micros.max(1))
    }

    /// `SplitMix64` (Steele, Lea, Flood 2014).
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(seed: u64) -> [u64; 8] {
        let mut lost = Lost { given_up: true, ..Lost::new(Time(0)) };
        let mut jitter = Jitter::new(seed);
        core::array::from_fn(|_| {
            lost.pause(Time(0), &mut jitter);
            lost.due(Some(0)).map_or(0, |due| due.0 / 1_000)
        })
    }

    #[test]
    fn pauses_double_up_to_five_seconds_and_differ_by_seed() {
        let longest = [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000];
        for (pause, longest) in pauses(7).into_iter().zip(longest) {
            assert!((longest / 2..=longest).contains(&pause), "{pause} of {longest}");
        }
        assert_ne!(pauses(7), pauses(8));
        assert_eq!(pauses(7), pauses(7));
    }
}
