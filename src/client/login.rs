//! Before a session: prompts, credentials, registration, refusals.

use alloc::borrow::Cow;
use alloc::string::String;
use core::time::Duration;

use super::effect::Exit;
use super::input::Typed;
use super::view::{LoginRefused, Notice, View};
use super::{ClientState, Phase};
use crate::time::Time;
use crate::wire::{ClientLine, Code, Prompt, Refusal, ServerLine};
use crate::words::{Name, Password, Secret};

/// How long to retry while the server is busy.
const BUSY_PATIENCE: Duration = Duration::from_secs(30);

/// The pause between two attempts.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// The login of a person or a script.
#[derive(Default)]
pub(super) struct Entry {
    step: Step,
    /// Whether the last login was refused.
    refused: bool,
    /// The last wrong password on this connection: for whom, and how many tries were left.
    failure: Option<(Name, u32)>,
}

#[derive(Default)]
enum Step {
    /// Nothing was asked yet.
    #[default]
    Arriving,
    /// The username is asked for.
    Username,
    /// The password is asked for.
    Password { name: Name },
    /// The password of a new account is asked for, a second time if `first` is there.
    NewPassword { name: Name, first: Option<Password> },
    /// The server's answer is awaited. `busy_since`: since when the server has been too busy, if it is.
    Waiting { request: Request, busy_since: Option<Time> },
    /// The server was too busy; the request is repeated.
    Busy { request: Request, since: Time, again_at: Time },
}

/// Wrong passwords that lock a name by default: the tries left if the server has not named a number.
const ATTEMPTS: u32 = 3;

/// A request to the server.
#[derive(Clone)]
enum Request {
    /// Ask what this name needs to log in.
    Introduce(Name),
    Login(Name, Password),
    Register(Name, Password),
}

/// What a refused login leads to.
enum Next {
    Username,
    Password(Name),
    NewPassword(Name),
    /// The program ends, or begins again with `--retry-login`.
    Leave,
}

impl Request {
    fn name(&self) -> &Name {
        match self {
            Request::Introduce(name) | Request::Login(name, _) | Request::Register(name, _) => name,
        }
    }

    fn line(&self) -> ClientLine<'_> {
        match self {
            Request::Introduce(name) => ClientLine::Login { name: name.as_str(), password: None },
            Request::Login(name, password) => {
                ClientLine::Login { name: name.as_str(), password: Some(Secret(password.reveal())) }
            }
            Request::Register(name, password) => {
                ClientLine::Register { name: name.as_str(), password: Secret(password.reveal()) }
            }
        }
    }
}

impl Entry {
    /// Whether a prompt is open.
    pub(super) fn asks(&self) -> bool {
        match self.step {
            Step::Username | Step::Password { .. } | Step::NewPassword { .. } => true,
            Step::Arriving | Step::Waiting { .. } | Step::Busy { .. } => false,
        }
    }

    /// How the program ends when the input ends at a prompt.
    pub(super) fn exit_at_prompt(&self) -> Exit {
        if self.refused { Exit::LoginRefused } else { Exit::Done }
    }

    /// When to ask the busy server again.
    pub(super) fn due(&self) -> Option<Time> {
        match self.step {
            Step::Busy { again_at, .. } => Some(again_at),
            Step::Arriving
            | Step::Username
            | Step::Password { .. }
            | Step::NewPassword { .. }
            | Step::Waiting { .. } => None,
        }
    }

    /// Tries are counted on each connection.
    pub(super) fn begin_connection(&mut self) {
        self.failure = None;
    }
}

impl ClientState {
    fn entry(&mut self) -> Option<&mut Entry> {
        match &mut self.phase {
            Phase::Entry(entry) => Some(entry),
            Phase::Session(_) | Phase::Over => None,
        }
    }

    fn step_to(&mut self, step: Step) {
        if let Some(entry) = self.entry() {
            entry.step = step;
        }
    }

    /// The server has greeted.
    pub(super) fn begin_login(&mut self) {
        match self.entry().map(|entry| &entry.step) {
            Some(Step::Arriving) => self.ask_username(),
            Some(Step::Waiting { .. }) => self.send_request(),
            _ => {}
        }
    }

    /// Asks for a username, unless the command line has given one.
    fn ask_username(&mut self) {
        match self.settings.user.take() {
            Some(name) => self.take_username(&name),
            None => {
                self.prompt(Prompt::Username, false);
                self.step_to(Step::Username);
            }
        }
    }

    fn prompt(&mut self, ask: Prompt, again: bool) {
        self.outbox.show(View::Prompt { ask, again });
    }

    /// A typed line is the answer to the open prompt.
    pub(super) fn take_answer(&mut self, typed: &Typed) {
        let Some(entry) = self.entry() else { return };
        match &entry.step {
            Step::Username if typed.is_blank() => self.repeat_prompt(Prompt::Username),
            Step::Username => self.take_username(core::str::from_utf8(&typed.text).unwrap_or_default()),
            Step::Password { .. } if typed.is_blank() => self.repeat_prompt(Prompt::Password),
            Step::Password { name } => {
                let name = name.clone();
                self.take_password(name, typed);
            }
            Step::NewPassword { name, first } => {
                let (name, first) = (name.clone(), first.clone());
                self.take_new_password(name, first, typed);
            }
            Step::Arriving | Step::Waiting { .. } | Step::Busy { .. } => {}
        }
    }

    /// An empty line asks again at a terminal; on a pipe it is skipped.
    fn repeat_prompt(&mut self, ask: Prompt) {
        if self.settings.terminal {
            self.prompt(ask, false);
        }
    }

    fn take_username(&mut self, name: &str) {
        match Name::new(name) {
            Ok(name) => self.ask_server(Request::Introduce(name)),
            Err(_) => self.refuse(LoginRefused::BadName, Next::Username),
        }
    }

    /// One that is not UTF-8 is sent with replacement characters: it is wrong in any case, and the server
    /// counts the tries.
    fn take_password(&mut self, name: Name, typed: &Typed) {
        if typed.text.len() > self.settings.line_bytes {
            self.refuse_password(Next::Password(name));
        } else {
            let password = match String::from_utf8_lossy(&typed.text) {
                Cow::Borrowed(text) => Password::new(text),
                Cow::Owned(text) => Password::from(text),
            };
            self.ask_server(Request::Login(name, password));
        }
    }

    /// A person at a terminal does not see what they type, so they type it twice.
    fn take_new_password(&mut self, name: Name, first: Option<Password>, typed: &Typed) {
        if typed.is_blank() {
            return self.ask_new_password(name, None);
        }
        let short = typed.text.len() <= self.settings.line_bytes;
        let Some(password) = core::str::from_utf8(&typed.text).ok().filter(|_| short).map(Password::new)
        else {
            return self.refuse_password(Next::NewPassword(name));
        };
        match first {
            None if self.settings.terminal => self.ask_new_password(name, Some(password)),
            Some(first) if first != password => {
                self.outbox.show(View::Notice(Notice::PasswordsDiffer));
                self.ask_new_password(name, None);
            }
            None | Some(_) => self.ask_server(Request::Register(name, password)),
        }
    }

    fn ask_new_password(&mut self, name: Name, first: Option<Password>) {
        self.prompt(Prompt::NewPassword, first.is_some());
        self.step_to(Step::NewPassword { name, first });
    }

    fn ask_server(&mut self, request: Request) {
        self.step_to(Step::Waiting { request, busy_since: None });
        if self.link.is_down() {
            self.dial();
        } else if self.link.is_greeted() {
            self.send_request();
        }
    }

    fn send_request(&mut self) {
        if let Phase::Entry(Entry { step: Step::Waiting { request, .. }, .. }) = &self.phase {
            self.outbox.send(&request.line());
        }
    }

    pub(super) fn on_login_line(&mut self, line: &ServerLine<'_>) {
        match line {
            ServerLine::Ask(prompt) => self.on_ask(*prompt),
            ServerLine::Refused(refusal) => self.on_refused(*refusal),
            ServerLine::Welcome(admission) => {
                let Some(name) = self.waiting().map(|request| request.name().clone()) else { return };
                if admission.user == name.as_str() {
                    self.begin_session(name, admission);
                } else {
                    // The state folder would mix up two users.
                    self.on_silence();
                }
            }
            ServerLine::Failed { number: None, code, .. } => self.on_login_failed(*code),
            ServerLine::Bye(farewell) => self.on_early_bye(*farewell),
            // The others do not concern a client that is not logged in.
            ServerLine::Greeting { .. }
            | ServerLine::Resumed(_)
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

    /// The request that the server has not answered, if there is one.
    fn waiting(&mut self) -> Option<&Request> {
        match &self.entry()?.step {
            Step::Waiting { request, .. } => Some(request),
            Step::Arriving
            | Step::Username
            | Step::Password { .. }
            | Step::NewPassword { .. }
            | Step::Busy { .. } => None,
        }
    }

    fn on_ask(&mut self, prompt: Prompt) {
        let Some(name) = self.waiting().map(|request| request.name().clone()) else { return };
        match (prompt, self.settings.password.take_if(|_| prompt != Prompt::Username)) {
            (Prompt::Username, _) => self.ask_username(),
            (Prompt::Password, Some(password)) => self.ask_server(Request::Login(name, password)),
            (Prompt::NewPassword, Some(password)) => self.ask_server(Request::Register(name, password)),
            (Prompt::Password, None) => self.ask_password(name),
            (Prompt::NewPassword, None) => self.ask_new_password(name, None),
        }
    }

    fn ask_password(&mut self, name: Name) {
        self.prompt(Prompt::Password, false);
        self.step_to(Step::Password { name });
    }

    fn on_refused(&mut self, refusal: Refusal) {
        let Some(name) = self.waiting().map(|request| request.name().clone()) else { return };
        match refusal {
            Refusal::InvalidCredentials { attempts_left } => {
                if let Some(entry) = self.entry() {
                    entry.failure = Some((name.clone(), attempts_left));
                }
                let next = if attempts_left == 0 { Next::Leave } else { Next::Password(name) };
                self.refuse(LoginRefused::InvalidCredentials { attempts_left }, next);
            }
            Refusal::LockedOut { retry_after_secs } => {
                let just_now = self.attempts_left(&name) == Some(1);
                self.refuse(LoginRefused::LockedOut { retry_after_secs, just_now }, Next::Leave);
            }
            Refusal::AlreadyOnline => self.refuse(LoginRefused::AlreadyOnline, Next::Username),
            Refusal::BadName => self.refuse(LoginRefused::BadName, Next::Username),
            Refusal::NameTaken => self.refuse(LoginRefused::NameTaken, Next::Username),
            Refusal::Busy => self.on_busy(),
            // Nothing was to be resumed: start over.
            Refusal::Stale => self.ask_username(),
        }
    }

    /// The server could not read or carry out the request: what it cannot read has to be typed again, what it
    /// cannot do now is retried.
    fn on_login_failed(&mut self, code: Code) {
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
    fn refuse(&mut self, refused: LoginRefused, next: Next) {
        self.outbox.show(View::LoginRefused(refused));
        if let Some(entry) = self.entry() {
            entry.refused = true;
        }
        match next {
            _ if self.unattended => self.exit(Exit::LoginRefused),
            Next::Username => self.ask_username(),
            Next::Password(name) => self.ask_password(name),
            Next::NewPassword(name) => self.ask_new_password(name, None),
            Next::Leave => self.return_to_prompt(Exit::LoginRefused),
        }
    }

    /// The password does not fit into a line: it is wrong, but costs no try.
    fn refuse_password(&mut self, next: Next) {
        let attempts_left = match &next {
            Next::Password(name) => self.attempts_left(name),
            Next::NewPassword(_) | Next::Username | Next::Leave => None,
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

    /// Repeats the request to a busy server when it is time.
    pub(super) fn retry_busy(&mut self) {
        let now = self.now;
        let Some(entry) = self.entry() else { return };
        if let Step::Busy { request, since, again_at } = &entry.step
            && *again_at <= now
        {
            entry.step = Step::Waiting { request: request.clone(), busy_since: Some(*since) };
            self.send_request();
        }
    }

    /// The login or the session has ended: with `--retry-login` somebody may log in again. The server is
    /// dialled once they have typed a name, so that a prompt that is open for hours holds no connection.
    pub(super) fn return_to_prompt(&mut self, otherwise: Exit) {
        if !self.settings.retry_login || self.input.is_exhausted() {
            return self.exit(otherwise);
        }
        self.hang_up();
        let refused = otherwise == Exit::LoginRefused;
        self.phase = Phase::Entry(Entry { step: Step::Username, refused, failure: None });
        self.prompt(Prompt::Username, false);
    }
}
