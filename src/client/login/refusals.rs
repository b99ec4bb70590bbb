//! What a refused login leads to.

use super::{ATTEMPTS, BUSY_PATIENCE, BUSY_PAUSE, Next, Request, Step};
use crate::client::ClientState;
use crate::client::effect::Exit;
use crate::client::input::Typed;
use crate::client::view::{LoginRefused, Question, View};
use crate::wire::{ClientLine, Code, Refusal};
use crate::words::Name;

impl ClientState {
    pub(super) fn on_refused(&mut self, refusal: Refusal) {
        let Some(name) = self.waiting().map(|request| request.name().clone()) else { return };
        match refusal {
            Refusal::InvalidCredentials { attempts_left } => {
                if let Some(entry) = self.entry() {
                    entry.failure = Some((name.clone(), attempts_left));
                }
                let next = if attempts_left == 0 { Next::Leave } else { Next::Password(name) };
                self.refuse(LoginRefused::InvalidCredentials { attempts_left }, next);
            }
            Refusal::LockedOut { retry_after_secs } if self.registers() => {
                self.refuse(LoginRefused::TooManyAccounts { retry_after_secs }, Next::Leave);
            }
            Refusal::LockedOut { retry_after_secs } => {
                let just_now = self.attempts_left(&name) == Some(1);
                self.refuse(LoginRefused::LockedOut { retry_after_secs, just_now }, Next::Leave);
            }
            Refusal::AlreadyOnline => self.on_already_online(),
            Refusal::BadName => self.refuse(LoginRefused::BadName, Next::Username),
            Refusal::NameTaken => self.on_name_taken(),
            Refusal::Busy => self.on_busy(),
            // Used up meanwhile.
            Refusal::InvalidInvite => self.on_invite_over(),
            // Nothing was to be resumed: start over.
            Refusal::Stale => self.ask_username(),
        }
    }

    /// Whether a new account was asked for.
    fn registers(&mut self) -> bool {
        matches!(self.waiting(), Some(Request::Register(..)))
    }

    /// A session of the user stands in the way. It may be taken over once.
    fn on_already_online(&mut self) {
        let can = self.link.capabilities().alive && self.entry().is_some_and(|entry| !entry.took_over);
        let Some(request) = self.waiting().cloned() else { return };
        if can && self.settings.takeover {
            self.take_over(request);
        } else if can && self.settings.terminal {
            self.refuse(LoginRefused::AlreadyOnline, Next::Takeover(request));
        } else {
            self.refuse(LoginRefused::AlreadyOnline, Next::Username);
        }
    }

    /// The server could not read or carry out the request: what it cannot read has to be typed again, what it
    /// cannot do now is retried.
    pub(super) fn on_login_failed(&mut self, code: Code) {
        let Some(request) = self.waiting().cloned() else { return };
        match (code, request) {
            (Code::TooLong | Code::Usage | Code::BadName, Request::Introduce(_)) => {
                self.refuse(LoginRefused::BadName, Next::Username);
            }
            (Code::TooLong | Code::Usage | Code::BadName, Request::Login(name, _)) => {
                self.refuse_password(Next::Password(name));
            }
            (Code::TooLong | Code::Usage | Code::BadName, Request::Register(name, _)) => {
                self.refuse_password(Next::NewPassword(name));
            }
            (_, Request::Introduce(_) | Request::Login(..) | Request::Register(..)) => self.on_busy(),
        }
    }

    /// Shows that a login was refused and asks again, unless the client is unattended.
    pub(super) fn refuse(&mut self, refused: LoginRefused, next: Next) {
        self.outbox.show(View::LoginRefused(refused));
        if let Some(entry) = self.entry() {
            entry.refused = true;
        }
        if let Some(name) = self.held_user() {
            return self.ask_again(name, next);
        }
        match next {
            _ if self.unattended => self.exit(Exit::LoginRefused),
            Next::Username => self.ask_username(),
            Next::Password(name) => self.ask_password(name),
            Next::NewPassword(name) => self.ask_new_password(name, None),
            Next::Takeover(request) => self.ask_takeover(request),
            Next::Leave => self.return_to_prompt(Exit::LoginRefused),
        }
    }

    pub(super) fn ask_takeover(&mut self, request: Request) {
        self.prompt(Question::Takeover, false);
        self.step_to(Step::Takeover { request });
    }

    /// The password does not fit into a line: it is wrong, but costs no try.
    pub(super) fn refuse_password(&mut self, next: Next) {
        let attempts_left = match &next {
            Next::Password(name) => self.attempts_left(name),
            Next::NewPassword(_) | Next::Username | Next::Takeover(_) | Next::Leave => None,
        };
        let attempts_left = attempts_left.unwrap_or(ATTEMPTS);
        self.refuse(LoginRefused::UnusablePassword { attempts_left }, next);
    }

    /// The tries left for this name, if the server has said so on this connection.
    fn attempts_left(&mut self, name: &Name) -> Option<u32> {
        let (failed, left) = self.entry()?.failure.as_ref()?;
        (failed == name).then_some(*left)
    }

    /// Too many logins at the moment: the client retries by itself, nobody has to type again.
    fn on_busy(&mut self) {
        let now = self.now;
        let Some(entry) = self.entry() else { return };
        let Step::Waiting { request, busy_since } = &entry.step else { return };
        let since = busy_since.unwrap_or(now);
        if now >= since + BUSY_PATIENCE {
            self.refuse(LoginRefused::Busy, Next::Username);
        } else {
            entry.step = Step::Busy { request: request.clone(), since, again_at: now + BUSY_PAUSE };
        }
    }

    /// `y` ends the session that stands in the way, `n` asks for another name.
    pub(super) fn take_takeover(&mut self, request: Request, typed: &Typed) {
        match typed.text.trim_ascii() {
            b"y" => self.take_over(request),
            b"n" => match self.held_user() {
                Some(name) => self.ask_password(name),
                None => self.ask_username(),
            },
            _ => self.prompt(Question::Takeover, false),
        }
    }

    /// Of a connection that was lost meanwhile nothing can be taken over: the login is tried again on another.
    fn take_over(&mut self, request: Request) {
        if self.link.is_down() {
            return self.ask_server(request);
        }
        self.step_to(Step::Waiting { request, busy_since: None });
        if let Some(entry) = self.entry() {
            entry.took_over = true;
        }
        self.outbox.send(&ClientLine::Takeover);
    }
}
