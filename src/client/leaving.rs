//! How a session ends: by logout, by the server's `bye`, by a signal, or by the loss of the server.

use super::effect::Exit;
use super::event::Signal;
use super::outstanding::{AskedBy, Said};
use super::session::Session;
use super::standing::{LOGOUT_PATIENCE, Leaving, PARTING_PATIENCE, Standing};
use super::verb::Verb;
use super::view::{Bye, Success, View};
use super::{ClientState, Phase};
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::wire::{ClientLine, Code, Command, CommandKind, Farewell, PeerFarewell};

impl ClientState {
    /// `logout` was typed, or the input has ended. The end of the input waits for every result. A typed
    /// `logout` waits a limited time, and not for other users to accept a private link.
    pub(super) fn leave(&mut self, line: Option<u64>) {
        let patience = self.now + LOGOUT_PATIENCE;
        let Some(session) = self.session() else { return };
        if session.takes_commands() {
            let until = if line.is_some() { patience } else { Time::MAX };
            session.leaving = Some(Leaving::Waiting { line, until, shown: None });
        }
        if self.session().is_some_and(|session| session.lost().is_some()) {
            self.hurry_logout();
        }
    }

    /// A person who leaves while the server is lost does not wait for ever.
    pub(super) fn hurry_logout(&mut self) {
        let now = self.now;
        if self.settings.outlasts_server()
            && let Some(leaving) = self.session().and_then(|session| session.leaving.as_mut())
        {
            leaving.hurry(now);
        }
    }

    pub(super) fn leave_when_ready(&mut self) {
        let now = self.now;
        let Phase::Session(session) = &self.phase else { return };
        let (line, until, shown) = match session.leaving {
            Some(Leaving::Waiting { line, until, shown }) => (line, until, shown),
            Some(Leaving::Parting { line, until }) => {
                let is_over = until <= now && !planted::is(Planted::ClientPartsForEver);
                if is_over || !self.has_relayed_links() {
                    self.say_logout(line);
                }
                return;
            }
            Some(Leaving::Said) | None => return,
        };
        match &session.standing {
            Standing::Online if until <= now => self.part(line),
            Standing::Online if self.owes_nothing(session, line.is_some()) => {
                // The results may have arrived after messages that are still being shown.
                let shown = shown.unwrap_or(self.delivery.last_sequence());
                if self.delivery.is_carried_out(shown) {
                    self.part(line);
                } else if let Some(session) = self.session() {
                    session.leaving = Some(Leaving::Waiting { line, until, shown: Some(shown) });
                }
            }
            // Other clients may still acknowledge texts.
            Standing::Lost(lost)
                if lost.is_given_up() && (until <= now || self.owes_nothing(session, line.is_some())) =>
            {
                self.end_session(Bye::ConnectionLost, Exit::ServerLost);
            }
            Standing::Lost(_) if until <= now && self.settings.outlasts_server() => {
                self.end_session(Bye::Logout, Exit::Done);
            }
            Standing::Online | Standing::Lost(_) | Standing::Opening(_) => {}
        }
    }

    /// Whether all lines that a logout waits for have their results.
    fn owes_nothing(&self, session: &Session, typed: bool) -> bool {
        if self.looking_up.is_some() {
            return false;
        }
        let mut open =
            session.commands.iter().map(|asked| &asked.command).filter(|asked| asked.line.is_some());
        if typed {
            self.peers.open_texts() == 0 && open.all(AskedBy::is_private)
        } else {
            self.peers.open_results() == 0 && open.next().is_none()
        }
    }

    /// Says goodbye on links that the server relays, as it does so no more after the logout.
    fn part(&mut self, line: Option<u64>) {
        if !self.has_relayed_links() {
            return self.say_logout(line);
        }
        self.end_relayed_conversations();
        let until = self.now + PARTING_PATIENCE;
        if let Some(session) = self.session() {
            session.leaving = Some(Leaving::Parting { line, until });
        }
    }

    fn say_logout(&mut self, line: Option<u64>) {
        if planted::is(Planted::ClientClosesStateEarly) {
            self.outbox.close_state();
        }
        self.delivery.gather(self.now);
        self.acknowledge();
        let Some(session) = self.session() else { return };
        session.leaving = Some(Leaving::Said);
        self.request(line, Command::Logout);
    }

    /// The server has refused the logout: end the session without it.
    pub(super) fn on_logout_refused(&mut self) {
        self.end_session(Bye::Logout, Exit::Done);
    }

    pub(super) fn on_bye(&mut self, farewell: Farewell) {
        match farewell {
            Farewell::Logout => self.end_session(Bye::Logout, Exit::Done),
            Farewell::Timeout if self.settings.comes_back() => self.log_in_again(),
            Farewell::Timeout => self.end_session(Bye::Timeout, Exit::TimedOut),
            Farewell::ServerShutdown if self.outlasts_stop() => {
                self.hang_up();
                self.on_link_lost();
            }
            Farewell::ServerShutdown => self.end_session(Bye::ServerShutdown, Exit::ServerLost),
            Farewell::Replaced => self.end_session(Bye::Replaced, Exit::Failed),
            Farewell::Kicked => self.end_session(Bye::Kicked, Exit::Failed),
            Farewell::Version => self.end_session(Bye::ConnectionLost, Exit::Failed),
        }
    }

    fn outlasts_stop(&self) -> bool {
        self.settings.outlasts_server() && !planted::is(Planted::ClientEndsWithServer)
    }

    /// A signal asks the program to end.
    pub(super) fn interrupt(&mut self, signal: Signal) {
        self.acknowledge();
        self.take_up_held();
        match self.session().map(|session| &session.standing) {
            Some(Standing::Online | Standing::Lost(_)) => {
                self.send_last_logout();
                self.end_session(Bye::Logout, Exit::Signalled(signal));
            }
            Some(Standing::Opening(_)) | None => self.abandon(Exit::Signalled(signal)),
        }
    }

    /// Ends the program without showing anything: nothing can be shown, or no session has begun yet.
    pub(super) fn abandon(&mut self, exit: Exit) {
        self.take_up_held();
        if self.session().is_some() {
            self.peers.say_farewell(PeerFarewell::LoggedOut, &mut self.outbox);
            self.send_last_logout();
        }
        self.exit(exit);
    }

    /// Nothing waits for the answer, so it has no number.
    fn send_last_logout(&mut self) {
        let resuming = self.session().is_some_and(|session| session.lost().is_some());
        if self.link.is_greeted() && !resuming {
            self.outbox.send(&ClientLine::Request { number: None, command: Command::Logout });
        }
    }

    /// Ends the session: every command gets its result, private links are closed, `bye` comes last.
    pub(super) fn end_session(&mut self, bye: Bye, exit: Exit) {
        let Some(session) = self.session() else { return };
        let leaving = session.leaving;
        let logged_out = bye == Bye::Logout;
        self.close_private_links(match bye {
            Bye::Timeout => PeerFarewell::TimedOut,
            Bye::Logout
            | Bye::LoginTimeout
            | Bye::ServerShutdown
            | Bye::ConnectionLost
            | Bye::Replaced
            | Bye::Kicked => PeerFarewell::LoggedOut,
        });
        if logged_out {
            self.settle_logout();
        }
        self.settle_commands();
        self.end_look_up();
        if let Some(Leaving::Waiting { line: Some(line), .. } | Leaving::Parting { line: Some(line), .. }) =
            leaving
        {
            let outcome = if logged_out { Ok(Success::Logout) } else { Err(Code::NotConnected) };
            self.result(AskedBy::local(line, Verb::Server(CommandKind::Logout), None), outcome);
        }
        let stays = self.settings.retry_login && matches!(exit, Exit::Done | Exit::TimedOut);
        // Lines typed after a logout were not meant for this session.
        if leaving.is_none() && !stays {
            self.refuse_waiting_lines();
        }
        self.outbox.show(View::Bye(bye));
        self.hang_up();
        self.outbox.close_state();
        if stays { self.return_to_prompt(exit) } else { self.exit(exit) }
    }

    /// The server has carried out a logout that it did not answer.
    fn settle_logout(&mut self) {
        let Some(session) = self.session() else { return };
        let number = session.commands.logout();
        if let Some((number, asked)) =
            number.and_then(|number| Some((number, session.commands.settle(number)?)))
        {
            self.settled(number, asked.command, Ok(Success::Logout));
        }
    }

    /// Gives every command its result: one that was sent may have been carried out.
    pub(super) fn settle_commands(&mut self) {
        while let Some((number, asked)) = self.session().and_then(|session| session.commands.settle_oldest())
        {
            match asked.said {
                Said::NotYet => self.result(asked.command, Err(Code::NotConnected)),
                Said::Once | Said::Again => self.settled(number, asked.command, Err(Code::OutcomeUnknown)),
            }
        }
    }
}
