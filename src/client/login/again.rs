//! A login in the middle of a session that the server has ended: what was typed goes on with it.

use alloc::boxed::Box;

use super::{Entry, Next, Request, Step};
use crate::client::effect::Exit;
use crate::client::outstanding::Said;
use crate::client::session::Session;
use crate::client::settings::Watch;
use crate::client::standing::{Lost, Stage, Standing};
use crate::client::view::{Bye, Connection, Notice, View};
use crate::client::{ClientState, Phase};
use crate::planted::{self, Planted};
use crate::wire::{Admission, Code};
use crate::words::{LoginNumber, Name};

impl ClientState {
    /// The session is over for the server, and not for the person: they log in again. What was sent and not
    /// answered is never sent again, for in another login it would be done twice; what was not sent waits.
    pub(in super::super) fn log_in_again(&mut self) {
        if self.session().is_some_and(|session| session.leaving.is_some()) {
            return self.end_session(Bye::Logout, Exit::Done);
        }
        self.hang_up();
        if !planted::is(Planted::ClientRepeatsInNewLogin) {
            self.settle_sent_commands();
        }
        // What was answered in the old login is nothing to the new one.
        self.delivery.lose_link();
        self.peers.forget_requests();
        self.lose_relays();
        self.input.set_aside();
        let Phase::Session(session) = core::mem::replace(&mut self.phase, Phase::Over) else { return };
        let name = session.user.clone();
        self.phase = Phase::Entry(Entry { held: Some(session), ..Entry::default() });
        self.outbox.show(View::Notice(Notice::LogInAgain));
        match self.kept_password.clone() {
            Some(password) => self.ask_server(Request::Login(name, password)),
            None => self.ask_password(name),
        }
    }

    /// Gives every command that may have been carried out its result.
    fn settle_sent_commands(&mut self) {
        while let Some((number, asked)) =
            self.session().and_then(|session| session.commands.settle_oldest_sent())
        {
            if asked.said != Said::NotYet {
                self.settled(number, asked.command, Err(Code::OutcomeUnknown));
            }
        }
    }

    /// The session goes on in a new login. Its state folder was open all the time.
    pub(in super::super) fn continue_session(
        &mut self,
        mut session: Box<Session>,
        admission: &Admission<'_>,
    ) {
        (session.login, session.token) = (admission.login, admission.token);
        session.standing = Standing::Online;
        let user = session.user.as_str().into();
        let numbers = session.commands.number_anew();
        self.phase = Phase::Session(session);
        self.outbox.show(View::LoggedIn { user, unread: admission.unread });
        if !planted::is(Planted::ClientForgetsQueue) {
            numbers.into_iter().for_each(|number| self.send_command(number));
        }
        self.rejoin_all();
        self.input.take_up();
    }

    /// Takes the session that waits for this login, to begin it again or to end it.
    pub(in super::super) fn take_held(&mut self) -> Option<Box<Session>> {
        self.entry()?.held.take()
    }

    /// Whoever leaves instead of logging in again ends the session that waits for that.
    pub(in super::super) fn take_up_held(&mut self) -> bool {
        let Some(session) = self.take_held() else { return false };
        self.phase = Phase::Session(session);
        self.input.take_up();
        true
    }

    /// The login of the session that stands, or that waits for another one.
    pub(in super::super) fn login_number(&mut self) -> Option<LoginNumber> {
        self.lasting_session().map(|session| session.login)
    }

    /// The session that stands, or that waits for another login.
    pub(in super::super) fn lasting_session(&self) -> Option<&Session> {
        match &self.phase {
            Phase::Session(session) => Some(session),
            Phase::Entry(entry) => entry.held.as_deref(),
            Phase::Over => None,
        }
    }

    pub(in super::super) fn holds_session(&mut self) -> bool {
        self.entry().is_some_and(|entry| entry.held.is_some())
    }

    /// The user whose session waits for this login: nobody else may log in.
    pub(super) fn held_user(&mut self) -> Option<Name> {
        self.entry()?.held.as_ref().map(|session| session.user.clone())
    }

    /// A refusal in the middle of a session ends nothing: the password is asked for until it is right.
    pub(super) fn ask_again(&mut self, name: Name, next: Next) {
        if self.settings.watch != Watch::Off {
            // There is nobody to ask.
            return self.end_entry(Bye::ConnectionLost, Exit::LoginRefused);
        }
        self.kept_password = None;
        match next {
            Next::Takeover(request) => self.ask_takeover(request),
            Next::Leave => {
                self.hang_up();
                self.ask_password(name);
            }
            Next::Username | Next::Password(_) | Next::NewPassword(_) => self.ask_password(name),
        }
    }

    /// The end of a login that is given up. The session that waits for it ends with it, so that each of its lines
    /// has a result.
    pub(in super::super) fn end_entry(&mut self, bye: Bye, exit: Exit) {
        if self.take_up_held() {
            self.end_session(bye, exit);
        } else {
            self.exit(exit);
        }
    }

    /// The connection was lost during a login. A person who has had one goes on: what they were asked stays, and
    /// what the server was asked is asked again.
    pub(in super::super) fn on_entry_cut(&mut self, exit: Exit) {
        if !self.settings.outlasts_server() || !self.link.was_reached() {
            return self.end_entry(Bye::ConnectionLost, exit);
        }
        let now = self.now;
        let Phase::Entry(entry) = &mut self.phase else { return };
        if let Step::Busy { request, since, .. } = &entry.step {
            entry.step = Step::Waiting { request: request.clone(), busy_since: Some(*since) };
        }
        if entry.asks() {
            return;
        }
        entry.repeats = true;
        let was_cut = entry.is_cut();
        entry.cut.get_or_insert_with(|| Lost::new(now)).pause(now, &mut self.jitter);
        if !was_cut {
            self.show_connection(Connection::Reconnecting);
        }
    }

    /// Dials the lost server again.
    pub(in super::super) fn redial_when_due(&mut self) {
        let now = self.now;
        let Some(cut) = self.entry().and_then(|entry| entry.cut.as_mut()) else { return };
        if matches!(cut.stage, Stage::Pausing { until } if until <= now) {
            cut.stage = Stage::Dialling;
            self.dial();
        }
    }
}
