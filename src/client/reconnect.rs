//! The server is lost: dialling again with growing pauses, resuming, repeating what has no answer.

use core::time::Duration;

use super::ClientState;
use super::connection::GREETING_PATIENCE;
use super::effect::Exit;
use super::leaving::Leaving;
use super::session::Standing;
use super::view::{Bye, Connection, View};
use crate::time::Time;
use crate::wire::{Admission, ClientLine, Refusal, ServerLine};

/// The first pause; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A session without its connection.
pub(super) struct Lost {
    since: Time,
    attempts: u32,
    stage: Stage,
    /// It has taken too long: commands for the server fail at once. A private link may keep the
    /// session alive all the same.
    given_up: bool,
}

enum Stage {
    Pausing {
        until: Time,
    },
    /// Connecting, or waiting for the greeting.
    Dialling,
    /// The server has to answer until then.
    Resuming {
        until: Time,
    },
    /// The session cannot be resumed.
    Hopeless,
}

impl Lost {
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// When something has to be done, if the person waits for so many seconds.
    pub(super) fn due(&self, patience_secs: u64) -> Option<Time> {
        let stage = match self.stage {
            Stage::Pausing { until } | Stage::Resuming { until } => Some(until),
            Stage::Dialling | Stage::Hopeless => None,
        };
        let patience = (!self.given_up).then(|| self.end_of_patience(patience_secs));
        [stage, patience].into_iter().flatten().min()
    }

    fn end_of_patience(&self, patience_secs: u64) -> Time {
        self.since + Duration::from_secs(patience_secs)
    }

    fn pause(&mut self, now: Time, jitter: &mut Jitter) {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.attempts.min(10));
        self.attempts = self.attempts.saturating_add(1);
        self.stage = Stage::Pausing { until: now + jitter.shorten(doubled.min(LONGEST_PAUSE)) };
    }
}

impl ClientState {
    /// The connection is gone, or was given up.
    pub(super) fn on_link_lost(&mut self) {
        if self.lose_link_early() {
            return;
        }
        let now = self.now;
        let may_resume = self.settings.reconnect_secs > 0;
        let Some(session) = self.session() else { return };
        if session.leaving == Some(Leaving::Said) {
            // What the server would have answered is plain.
            return self.end_session(Bye::Logout, Exit::Done);
        }
        if session.is_online() {
            let lost = Lost { since: now, attempts: 0, stage: Stage::Hopeless, given_up: false };
            session.standing = Standing::Lost(lost);
            session.forget_parts();
            let resumable = may_resume && session.token.is_some();
            self.delivery.lose_link();
            self.peers.doubt_requests();
            if !resumable {
                return self.give_up();
            }
            self.outbox.show(View::Connection(Connection::Reconnecting));
        }
        self.pause();
    }

    fn pause(&mut self) {
        let now = self.now;
        if let super::Phase::Session(session) = &mut self.phase
            && let Some(lost) = session.lost()
        {
            lost.pause(now, &mut self.jitter);
        }
    }

    /// What is due while the server is lost.
    pub(super) fn pass_reconnect(&mut self) {
        let now = self.now;
        let patience_secs = self.settings.reconnect_secs;
        let Some(lost) = self.session().and_then(|session| session.lost()) else { return };
        if !lost.given_up && lost.end_of_patience(patience_secs) <= now {
            self.give_up();
        }
        let Some(lost) = self.session().and_then(|session| session.lost()) else { return };
        match lost.stage {
            Stage::Pausing { until } if until <= now => {
                lost.stage = Stage::Dialling;
                self.dial();
            }
            Stage::Resuming { until } if until <= now => {
                self.hang_up();
                self.pause();
            }
            Stage::Pausing { .. } | Stage::Resuming { .. } | Stage::Dialling | Stage::Hopeless => {}
        }
    }

    /// The server has greeted again.
    pub(super) fn resume(&mut self) {
        let until = self.now + GREETING_PATIENCE;
        let super::Phase::Session(session) = &mut self.phase else { return };
        let Some(token) = session.token else { return };
        self.outbox.send(&ClientLine::Resume { name: session.user.as_str(), token });
        if let Some(lost) = session.lost() {
            lost.stage = Stage::Resuming { until };
        }
    }

    pub(super) fn on_resume_line(&mut self, line: &ServerLine<'_>) {
        match line {
            ServerLine::Resumed(admission) => self.on_resumed(admission),
            // The server may not know yet that the old connection is dead, or be too busy now.
            ServerLine::Refused(Refusal::AlreadyOnline | Refusal::Busy) | ServerLine::Bye(_) => {
                self.hang_up();
                self.pause();
            }
            ServerLine::Refused(_) | ServerLine::Failed { number: None, .. } => self.on_resume_refused(),
            // Whatever belongs to a session waits until it is resumed.
            ServerLine::Greeting { .. }
            | ServerLine::Ask(_)
            | ServerLine::Welcome(_)
            | ServerLine::Done { .. }
            | ServerLine::Failed { number: Some(_), .. }
            | ServerLine::Message(_)
            | ServerLine::GroupMessage { .. }
            | ServerLine::Broadcast(_)
            | ServerLine::Online { .. }
            | ServerLine::Offline { .. }
            | ServerLine::Users { .. }
            | ServerLine::Members { .. }
            | ServerLine::Changed { .. }
            | ServerLine::Request { .. }
            | ServerLine::Withdrawn { .. }
            | ServerLine::EndPrivate { .. }
            | ServerLine::Introduce { .. }
            | ServerLine::Help(_)
            | ServerLine::Notice(_) => {}
        }
    }

    /// The session goes on: everything without an answer is said again, in order.
    fn on_resumed(&mut self, admission: &Admission<'_>) {
        let now = self.now;
        let Some(session) = self.session() else { return };
        // The numbers of the commands mean nothing in another login: repeated there, they would be new.
        if admission.login != session.login || admission.user != session.user.as_str() {
            return self.on_resume_refused();
        }
        session.standing = Standing::Online;
        if let Some(leaving) = &mut session.leaving {
            leaving.begin_again(now);
        }
        session.token = admission.token.or(session.token);
        let numbers = session.commands.begin_again();
        self.outbox.show(View::Connection(Connection::Resumed));
        for number in numbers {
            self.send_command(number);
        }
        self.tell_answered();
        self.tell_activity();
    }

    /// The session is over for the server.
    fn on_resume_refused(&mut self) {
        self.hang_up();
        let Some(session) = self.session() else { return };
        session.token = None;
        if let Some(lost) = session.lost() {
            lost.stage = Stage::Hopeless;
        }
        self.give_up();
    }

    /// Nothing more is expected of the server. If no private link stands, that is the end.
    fn give_up(&mut self) {
        let Some(lost) = self.session().and_then(|session| session.lost()) else { return };
        if lost.given_up {
            return;
        }
        lost.given_up = true;
        self.settle_commands();
        self.refuse_drafts();
    }

    /// Without the server, a session lives as long as its last private link.
    pub(super) fn end_when_cut_off(&mut self) {
        let alone = !self.peers.are_alive();
        if alone && self.session().is_some_and(|session| session.is_cut_off()) {
            self.end_session(Bye::ConnectionLost, Exit::ServerLost);
        }
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
        let mut lost = Lost { since: Time(0), attempts: 0, stage: Stage::Hopeless, given_up: true };
        let mut jitter = Jitter::new(seed);
        core::array::from_fn(|_| {
            lost.pause(Time(0), &mut jitter);
            lost.due(0).map_or(0, |due| due.0 / 1_000)
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
