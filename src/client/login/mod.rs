//! Before a session: prompts, credentials, registration.

mod again;
mod joining;
mod refusals;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;

use super::effect::Exit;
use super::input::Typed;
use super::session::Session;
use super::standing::{Lost, Stage};
use super::view::{Bye, LoginRefused, Notice, Question, View};
use super::{ClientState, Phase};
use crate::time::Time;
use crate::wire::{ClientLine, Prompt, ServerLine};
use crate::words::{Name, Password, Secret, Token};

/// How long to retry while the server is busy.
const BUSY_PATIENCE: Duration = Duration::from_secs(30);

/// The pause between two attempts.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// The login of a person or a script.
#[derive(Default)]
pub(super) struct Entry {
    step: Step,
    /// What the server says to the invite.
    invite: joining::Invite,
    /// Whether the last login was refused.
    refused: bool,
    /// What the state folder knows of this device.
    cookie: Cookie,
    /// Whether the session in the way was to be taken over already.
    took_over: bool,
    /// The last wrong password on this connection: for whom, and how many tries were left.
    failure: Option<(Name, u32)>,
    /// The session that the server has ended, and that goes on for the person after this login.
    held: Option<Box<Session>>,
    /// The server was lost and is dialled again.
    cut: Option<Lost>,
    /// Whether what the server is asked was asked on an earlier connection too, which may have carried it out.
    repeats: bool,
}

/// The cookie of the user who logs in.
#[derive(Default)]
enum Cookie {
    #[default]
    Unknown,
    /// It is looked for; no password is sent before it is found or not.
    Sought(Name),
    Known(Name, Option<Token>),
}

impl Cookie {
    /// Whether it has been looked for, for this user.
    fn is_of(&self, name: &Name) -> bool {
        matches!(self, Cookie::Sought(known) | Cookie::Known(known, _) if known == name)
    }
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
    /// Whether to end the session that stands in the way is asked.
    Takeover { request: Request },
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
    Takeover(Request),
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
            Step::Username | Step::Password { .. } | Step::NewPassword { .. } | Step::Takeover { .. } => true,
            Step::Arriving | Step::Waiting { .. } | Step::Busy { .. } => false,
        }
    }

    /// Whether the server is lost and somebody waits for its answer.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.as_ref().is_some_and(|cut| !matches!(cut.stage, Stage::Hopeless))
    }

    /// How the program ends when the input ends at a prompt.
    pub(super) fn exit_at_prompt(&self) -> Exit {
        if self.refused && self.held.is_none() { Exit::LoginRefused } else { Exit::Done }
    }

    /// When to ask the busy server again, or to dial the lost one.
    pub(super) fn due(&self) -> Option<Time> {
        match self.step {
            Step::Busy { again_at, .. } => Some(again_at),
            Step::Arriving
            | Step::Username
            | Step::Password { .. }
            | Step::NewPassword { .. }
            | Step::Takeover { .. }
            | Step::Waiting { .. } => self.cut.as_ref().and_then(|cut| cut.due(None)),
        }
    }

    /// Tries are counted on each connection.
    pub(super) fn begin_connection(&mut self) {
        self.failure = None;
        self.invite = joining::Invite::NotShown;
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
            entry.repeats = false;
        }
    }

    /// The server has greeted.
    pub(super) fn begin_login(&mut self) {
        if let Some(cut) = self.entry().and_then(|entry| entry.cut.as_mut()) {
            cut.stage = Stage::Hopeless;
        }
        if !self.show_invite() {
            self.go_on_with_login();
        }
    }

    fn go_on_with_login(&mut self) {
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
                self.prompt(Question::Username, false);
                self.step_to(Step::Username);
            }
        }
    }

    fn prompt(&mut self, ask: Question, again: bool) {
        self.outbox.show(View::Prompt { ask, again });
    }

    /// A typed line is the answer to the open prompt.
    pub(super) fn take_answer(&mut self, typed: &Typed) {
        let Some(entry) = self.entry() else { return };
        match &entry.step {
            Step::Username if typed.is_blank() => self.repeat_prompt(Question::Username),
            Step::Username => self.take_username(core::str::from_utf8(&typed.text).unwrap_or_default()),
            Step::Password { .. } if typed.is_blank() => self.repeat_prompt(Question::Password),
            Step::Password { name } => {
                let name = name.clone();
                self.take_password(name, typed);
            }
            Step::NewPassword { name, first } => {
                let (name, first) = (name.clone(), first.clone());
                self.take_new_password(name, first, typed);
            }
            Step::Takeover { request } => {
                let request = request.clone();
                self.take_takeover(request, typed);
            }
            Step::Arriving | Step::Waiting { .. } | Step::Busy { .. } => {}
        }
    }

    /// An empty line asks again at a terminal; on a pipe it is skipped.
    fn repeat_prompt(&mut self, ask: Question) {
        if self.settings.terminal {
            self.prompt(ask, false);
        }
    }

    fn take_username(&mut self, name: &str) {
        match Name::new(name) {
            Ok(name) => {
                if let Some(entry) = self.entry() {
                    entry.took_over = false;
                }
                self.ask_server(Request::Introduce(name));
            }
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
        self.prompt(Question::NewPassword, first.is_some());
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
        let knows_devices = self.link.capabilities().device;
        let Phase::Entry(Entry { step: Step::Waiting { request, .. }, cookie, .. }) = &mut self.phase else {
            return;
        };
        if knows_devices && !cookie.is_of(request.name()) {
            self.outbox.find_cookie(request.name().as_str());
            *cookie = Cookie::Sought(request.name().clone());
        }
        if let Request::Login(..) = request
            && knows_devices
        {
            match cookie {
                Cookie::Sought(_) => return,
                Cookie::Known(_, Some(cookie)) => self.outbox.send(&ClientLine::Device { cookie: *cookie }),
                Cookie::Unknown | Cookie::Known(_, None) => {}
            }
        }
        self.outbox.send(&request.line());
    }

    /// The state folder knows a cookie of the user, or none: the password that waits for that is sent.
    pub(super) fn on_cookie(&mut self, found: Option<Token>) {
        let Some(entry) = self.entry() else { return };
        let Cookie::Sought(name) = &entry.cookie else { return };
        entry.cookie = Cookie::Known(name.clone(), found);
        let waits = matches!(entry.step, Step::Waiting { request: Request::Login(..), .. });
        if waits && self.link.is_greeted() {
            self.send_request();
        }
    }

    pub(super) fn on_login_line(&mut self, line: &ServerLine<'_>) {
        match line {
            ServerLine::Ask(prompt) => self.on_ask(*prompt),
            ServerLine::Invited { name } => self.on_invited(*name),
            ServerLine::Refused(refusal) if self.awaits_invite() => self.on_invite_refused(*refusal),
            ServerLine::Refused(refusal) => self.on_refused(*refusal),
            ServerLine::Welcome(admission) => {
                let Some(name) = self.waiting().map(|request| request.name().clone()) else { return };
                if admission.user == name.as_str() {
                    self.begin_session(name, admission);
                } else {
                    // The state folder would mix up two users.
                    self.end_entry(Bye::ConnectionLost, Exit::Stranger);
                }
            }
            ServerLine::Failed { number: None, code, .. } if self.awaits_invite() => {
                self.on_invite_failed(*code);
            }
            ServerLine::Failed { number: None, code, .. } => self.on_login_failed(*code),
            ServerLine::Bye(farewell) => self.on_early_bye(*farewell),
            // The others do not concern a client that is not logged in.
            ServerLine::Greeting { .. }
            | ServerLine::Resumed(_)
            | ServerLine::Device { .. }
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

    /// The request that the server has not answered, if there is one.
    fn waiting(&mut self) -> Option<&Request> {
        match &self.entry()?.step {
            Step::Waiting { request, .. } => Some(request),
            Step::Arriving
            | Step::Username
            | Step::Password { .. }
            | Step::NewPassword { .. }
            | Step::Takeover { .. }
            | Step::Busy { .. } => None,
        }
    }

    fn on_ask(&mut self, prompt: Prompt) {
        let Some(name) = self.waiting().map(|request| request.name().clone()) else { return };
        if prompt == Prompt::Password && self.settings.invite.is_some() {
            return self.on_name_taken();
        }
        match (prompt, self.settings.password.take_if(|_| prompt != Prompt::Username)) {
            (Prompt::Username, _) => self.ask_username(),
            (Prompt::Password, Some(password)) => self.ask_server(Request::Login(name, password)),
            (Prompt::NewPassword, Some(password)) => self.ask_server(Request::Register(name, password)),
            (Prompt::Password, None) => self.ask_password(name),
            (Prompt::NewPassword, None) => self.ask_new_password(name, None),
        }
    }

    fn ask_password(&mut self, name: Name) {
        self.prompt(Question::Password, false);
        self.step_to(Step::Password { name });
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
        self.phase = Phase::Entry(Entry { step: Step::Username, refused, ..Entry::default() });
        self.prompt(Question::Username, false);
    }
}
