//! Reconnecting: dials again after growing pauses, resumes the session, repeats commands without an answer.

use super::connection::GREETING_PATIENCE;
use super::effect::Exit;
use super::standing::{Leaving, Lost, Stage, Standing};
use super::view::{Bye, Connection, View};
use super::{ClientState, Phase};
use crate::wire::{Admission, ClientLine, Refusal, ServerLine};

impl ClientState {
    /// The connection was lost or closed.
    pub(super) fn on_link_lost(&mut self) {
        if self.lose_link_early() {
            return;
        }
        let now = self.now;
        let may_resume = self.settings.reconnect_secs != Some(0);
        let outlasts = self.settings.outlasts_server();
        let Some(session) = self.session() else { return };
        if session.leaving == Some(Leaving::Said) {
            // The answer would have been to log out.
            return self.end_session(Bye::Logout, Exit::Done);
        }
        if session.is_online() {
            session.standing = Standing::Lost(Lost::new(now));
            session.forget_parts();
            let resumable = may_resume && session.token.is_some();
            session.leaving.iter_mut().for_each(|leaving| leaving.wait_again(now));
            self.delivery.lose_link();
            self.peers.doubt_requests();
            self.lose_relays();
            if !resumable {
                return if outlasts { self.log_in_again() } else { self.give_up() };
            }
            self.show_connection(Connection::Reconnecting);
            self.hurry_logout();
        }
        self.pause();
    }

    fn pause(&mut self) {
        let now = self.now;
        if let Phase::Session(session) = &mut self.phase
            && let Some(lost) = session.lost()
        {
            lost.pause(now, &mut self.jitter);
        }
    }

    /// Lets the next dial come at once.
    pub(super) fn end_pause(&mut self) {
        let now = self.now;
        if let Some(lost) = self.session().and_then(|session| session.lost())
            && let Stage::Pausing { until } = &mut lost.stage
        {
            *until = now;
        }
    }

    /// Handles the timeouts of a lost connection.
    pub(super) fn pass_reconnect(&mut self) {
        let now = self.now;
        let patience_secs = self.settings.patience_secs();
        let Some(lost) = self.session().and_then(|session| session.lost()) else { return };
        if !lost.given_up && lost.end_of_patience(patience_secs).is_some_and(|end| end <= now) {
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
        let Phase::Session(session) = &mut self.phase else { return };
        let Some(token) = session.token else { return };
        self.outbox.send(&ClientLine::Resume { name: session.user.as_str(), token });
        if let Some(lost) = session.lost() {
            lost.stage = Stage::Resuming { until };
        }
    }

    pub(super) fn on_resume_line(&mut self, line: &ServerLine<'_>) {
        match line {
            ServerLine::Resumed(admission) => self.on_resumed(admission),
            // The server may not know yet that the old connection is dead, or be too busy at the moment.
            ServerLine::Refused(Refusal::AlreadyOnline | Refusal::Busy) | ServerLine::Bye(_) => {
                self.hang_up();
                self.pause();
            }
            ServerLine::Refused(_) | ServerLine::Failed { number: None, .. } => self.on_resume_refused(),
            // Lines of a session are not expected before it is resumed.
            ServerLine::Greeting { .. }
            | ServerLine::Ask(_)
            | ServerLine::Welcome(_)
            | ServerLine::Device { .. }
            | ServerLine::Invited { .. }
            | ServerLine::Alive
            | ServerLine::Done { .. }
            | ServerLine::Failed { number: Some(_), .. }
            | ServerLine::Message(_)
            | ServerLine::GroupMessage { .. }
            | ServerLine::Broadcast(_)
            | ServerLine::Away { .. }
            | ServerLine::Order { .. }
            | ServerLine::Online { .. }
            | ServerLine::Offline { .. }
            | ServerLine::Users { .. }
            | ServerLine::Members { .. }
            | ServerLine::Changed { .. }
            | ServerLine::Request { .. }
            | ServerLine::Withdrawn { .. }
            | ServerLine::EndPrivate { .. }
            | ServerLine::Introduce { .. }
            | ServerLine::Relay(_)
            | ServerLine::Help(_)
            | ServerLine::Notice(_) => {}
        }
    }

    /// The session continues: all commands without an answer are repeated, in order.
    fn on_resumed(&mut self, admission: &Admission<'_>) {
        let now = self.now;
        let Some(session) = self.session() else { return };
        // In another login the numbers would be new, and the commands be carried out twice.
        if admission.login != session.login || admission.user != session.user.as_str() {
            return self.on_resume_refused();
        }
        session.standing = Standing::Online;
        if let Some(leaving) = &mut session.leaving {
            leaving.begin_again(now);
        }
        session.token = admission.token.or(session.token);
        let numbers = session.commands.begin_again();
        self.show_connection(Connection::Resumed);
        for number in numbers {
            self.send_command(number);
        }
        self.tell_answered();
        self.tell_activity();
        self.rejoin_all();
    }

    /// The session is over for the server.
    fn on_resume_refused(&mut self) {
        self.hang_up();
        let Some(session) = self.session() else { return };
        session.token = None;
        if let Some(lost) = session.lost() {
            lost.stage = Stage::Hopeless;
        }
        if self.settings.outlasts_server() { self.log_in_again() } else { self.give_up() }
    }

    /// Gives up on the server. Without a private link that ends the session.
    fn give_up(&mut self) {
        let Some(lost) = self.session().and_then(|session| session.lost()) else { return };
        if lost.given_up {
            return;
        }
        lost.given_up = true;
        self.settle_commands();
        self.refuse_drafts();
    }

    /// At a terminal, shows how much waits for the server, whenever that changes.
    pub(super) fn tell_queue(&mut self) {
        let queued = match &self.phase {
            Phase::Session(session)
                if self.settings.terminal && self.settings.outlasts_server() && session.is_waiting() =>
            {
                Some(session.commands.iter().filter(|asked| asked.waits()).count() + self.input.len())
            }
            Phase::Session(_) | Phase::Entry(_) | Phase::Over => None,
        };
        if queued != self.queued {
            self.queued = queued;
            queued.into_iter().for_each(|queued| self.outbox.show(View::Offline { queued }));
        }
    }

    /// Without the server, a session lives as long as its last private link.
    pub(super) fn end_when_cut_off(&mut self) {
        let alone = !self.peers.are_alive();
        if alone && self.session().is_some_and(|session| session.is_cut_off()) {
            self.end_session(Bye::ConnectionLost, Exit::ServerLost);
        }
    }
}
