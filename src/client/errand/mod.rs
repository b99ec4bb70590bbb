//! The errand of a script: a client that sends texts, hears what becomes of them, and ends. It is a courier (R57): it
//! holds no session, beside whatever session its user has.
//!
//! Each text has an id (R61). What was sent and has no answer when the connection breaks is sent again under it, until
//! the time is over: then its outcome is not known.

mod ends;
mod outcome;
#[cfg(test)]
mod tests;

pub use outcome::Wanted;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use self::outcome::Ending;
use super::answers;
use super::connection::{GREETING_PATIENCE, SERVER_LINE_BYTES};
use super::effect::Exit;
use super::outstanding::Parts;
use super::view::{Failure, Success, View};
use crate::time::Time;
use crate::wire::{
    Admission, Answer, Capabilities, ClientLine, Code, Command, Frame, Framer, MessageMark, Refusal,
    ServerLine, VERSION,
};
use crate::words::wiped::WipedBytes;
use crate::words::{Name, Password, Secret, Text, Token};

/// Commands without an answer at a time.
const WINDOW: usize = 64;
/// The pause before a busy server is asked again.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// Whom texts are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// A user.
    User(String),
    /// The members of a group.
    Group(String),
    /// Everybody online.
    All,
}

/// What lets the client in.
#[derive(Debug, Clone, Default)]
pub struct Means {
    /// The password.
    pub password: Option<Password>,
    /// What an earlier errand was given instead.
    pub token: Option<Token>,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Orders {
    /// In whose name.
    pub user: Name,
    /// What lets the client in.
    pub means: Means,
    /// To whom.
    pub recipient: Recipient,
    /// What.
    pub texts: Vec<Piece>,
    /// What has to come of it.
    pub wanted: Wanted,
    /// For how long it is tried and waited for.
    pub timeout_secs: u64,
    /// Longest command, in bytes.
    pub line_bytes: usize,
}

/// A text, and what tells a repeat of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// A line break in it is U+2028.
    pub text: String,
    /// Its id.
    pub mark: MessageMark,
}

/// Something that has happened.
#[derive(Clone, Copy)]
pub enum Happening<'a> {
    /// The program has started.
    Started,
    /// A `Dial` succeeded.
    Connected,
    /// The connection was lost, or a later `Dial` failed.
    Disconnected,
    /// Bytes have arrived, in any chunking.
    Received(&'a [u8]),
    /// The time of a `WakeAt` has come.
    Tick,
}

/// Something to do. `Debug` prints no bytes: they may hold a password.
pub enum Action {
    /// Connect to the server. If that fails the first time the errand is over.
    Dial,
    /// Send bytes.
    Send(WipedBytes),
    /// Keep this instead of the password, readable by its owner only.
    KeepToken(Token),
    /// What was kept is good no more.
    ForgetToken,
    /// The password is wrong: it is not to be tried again.
    PasswordRefused,
    /// Tell what has become of a text: a [`View::Result`] whose line is the number of the text.
    Show(View),
    /// Say why it ends.
    Explain(Reason),
    /// Send `Tick` then. Replaces the time before.
    WakeAt(Time),
    /// End, once all is sent.
    Exit(Exit),
}

/// Why an errand ends before anything was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The server was not reached, or did not answer.
    NoAnswer,
    /// What answers is no Hobnob server.
    Stranger,
    /// It knows no couriers.
    NoCouriers,
    /// There is no password, and no token that is good.
    NoPassword,
    /// The login was refused.
    Refused(Refusal),
}

impl core::fmt::Debug for Action {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Action::Dial => write!(f, "Dial"),
            Action::Send(bytes) => write!(f, "Send({} bytes)", bytes.len()),
            Action::KeepToken(_) => write!(f, "KeepToken"),
            Action::ForgetToken => write!(f, "ForgetToken"),
            Action::PasswordRefused => write!(f, "PasswordRefused"),
            Action::Show(view) => write!(f, "Show({view:?})"),
            Action::Explain(reason) => write!(f, "Explain({reason:?})"),
            Action::WakeAt(at) => write!(f, "WakeAt({at:?})"),
            Action::Exit(exit) => write!(f, "Exit({exit:?})"),
        }
    }
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Dialling,
    /// The greeting is awaited until then.
    Silent(Time),
    /// The login is under way.
    Entering,
    /// The server was busy, and is asked again then.
    Busy(Time),
    Carrying,
    /// The connection was lost; the server is dialled again then.
    Away(Time),
    Over,
}

/// A text that was sent and has no answer.
struct Sent {
    piece: Piece,
    /// What came of its lists.
    parts: Parts,
}

/// The errand.
pub struct Errand {
    orders: Orders,
    step: Step,
    framer: Framer,
    now: Time,
    /// When it has taken long enough.
    until: Time,
    /// Texts that were not sent, with their numbers.
    waiting: VecDeque<(u64, Piece)>,
    /// Those sent whose outcome is not known.
    open: BTreeMap<u64, Sent>,
    /// It was let in before.
    was_in: bool,
    ending: Ending,
    actions: Vec<Action>,
}

impl core::fmt::Debug for Errand {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Errand")
            .field("step", &self.step)
            .field("open", &self.open.len())
            .finish_non_exhaustive()
    }
}

impl Errand {
    /// One that has not begun.
    #[must_use]
    pub fn new(mut orders: Orders) -> Errand {
        let waiting = (1..).zip(mem::take(&mut orders.texts)).collect();
        Errand {
            orders,
            step: Step::Dialling,
            framer: Framer::default(),
            now: Time::ZERO,
            until: Time::MAX,
            waiting,
            open: BTreeMap::new(),
            was_in: false,
            ending: Ending::default(),
            actions: Vec::new(),
        }
    }

    /// Takes notice of something; what to do about it, in order.
    pub fn handle(&mut self, happening: Happening<'_>, now: Time) -> Vec<Action> {
        self.now = self.now.max(now);
        if self.step != Step::Over {
            match happening {
                Happening::Started => self.start(),
                Happening::Connected => self.connected(),
                Happening::Disconnected => self.lost(),
                Happening::Received(bytes) => self.receive(bytes),
                Happening::Tick => {}
            }
            self.look_at_the_clock();
        }
        mem::take(&mut self.actions)
    }

    fn start(&mut self) {
        self.until = self.now + Duration::from_secs(self.orders.timeout_secs);
        self.actions.push(Action::Dial);
    }

    fn connected(&mut self) {
        if self.step == Step::Dialling {
            self.step = Step::Silent(self.now + GREETING_PATIENCE);
        }
    }

    fn receive(&mut self, mut bytes: &[u8]) {
        let mut framer = mem::take(&mut self.framer);
        while self.step != Step::Over
            && let Some(frame) = framer.next(&mut bytes, SERVER_LINE_BYTES)
        {
            let line = match frame {
                Frame::Line(line) => ServerLine::parse(line).ok(),
                Frame::TooLong { .. } => None,
            };
            match (self.step, line) {
                (Step::Silent(_), Some(ServerLine::Greeting { capabilities, .. })) => {
                    self.greeted(capabilities)
                }
                (Step::Silent(_), _) => self.fail(Reason::Stranger, Exit::Stranger),
                (_, Some(line)) => self.read(&line),
                (_, None) => {}
            }
        }
        self.framer = framer;
    }

    fn greeted(&mut self, capabilities: Capabilities) {
        if !capabilities.courier {
            return self.fail(Reason::NoCouriers, Exit::VersionRefused);
        }
        let courier = Capabilities { courier: true, until: true, ..Capabilities::default() };
        self.say(&ClientLine::Hello { version: VERSION, capabilities: courier });
        self.enter();
    }

    /// Asks to be let in, by the token if there is one.
    fn enter(&mut self) {
        self.step = Step::Entering;
        let user = self.orders.user.clone();
        let Means { password, token } = self.orders.means.clone();
        match (token, password) {
            (Some(token), _) => self.say(&ClientLine::Resume { name: user.as_str(), token }),
            (None, Some(password)) => {
                let password = Some(Secret(password.reveal()));
                self.say(&ClientLine::Login { name: user.as_str(), password });
            }
            (None, None) => self.fail(Reason::NoPassword, Exit::LoginRefused),
        }
    }

    fn read(&mut self, line: &ServerLine<'_>) {
        match line {
            ServerLine::Welcome(admission) | ServerLine::Resumed(admission) => self.admitted(admission),
            ServerLine::Refused(refusal) => self.refused(*refusal),
            // A name without an account, where one could be made.
            ServerLine::Ask(_) => self.fail(Reason::NoPassword, Exit::LoginRefused),
            ServerLine::Users { number: Some(number), users } => {
                if let Some(sent) = self.open.get_mut(number) {
                    // One that does not fit is no part of the outcome.
                    let _ = sent.parts.add_users(*users, SERVER_LINE_BYTES);
                }
            }
            ServerLine::Done { number: Some(number), answer } => self.answered(*number, Ok(*answer)),
            ServerLine::Failed { number: Some(number), code, .. } => self.answered(*number, Err(*code)),
            ServerLine::Failed { number: None, .. } if self.step == Step::Entering => {
                self.fail(Reason::NoPassword, Exit::LoginRefused);
            }
            ServerLine::Bye(_) => self.lost(),
            // Nothing else is told to a courier that matters.
            ServerLine::Greeting { .. }
            | ServerLine::Device { .. }
            | ServerLine::Invited { .. }
            | ServerLine::Alive
            | ServerLine::Done { number: None, .. }
            | ServerLine::Failed { number: None, .. }
            | ServerLine::Message(_)
            | ServerLine::GroupMessage { .. }
            | ServerLine::Broadcast(_)
            | ServerLine::Away { .. }
            | ServerLine::Order { .. }
            | ServerLine::Online { .. }
            | ServerLine::Offline { .. }
            | ServerLine::Users { number: None, .. }
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

    fn admitted(&mut self, admission: &Admission<'_>) {
        if self.step == Step::Entering {
            (self.step, self.was_in) = (Step::Carrying, true);
            if let Some(token) = admission.token {
                self.orders.means.token = Some(token);
                self.actions.push(Action::KeepToken(token));
            }
            let again: Vec<(u64, Piece)> =
                self.open.iter().map(|(number, sent)| (*number, sent.piece.clone())).collect();
            for (number, piece) in &again {
                self.say_piece(*number, piece);
            }
            self.send_more();
        }
    }

    fn refused(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::Stale if self.orders.means.token.take().is_some() => {
                self.actions.push(Action::ForgetToken);
                self.enter();
            }
            Refusal::Busy => self.step = Step::Busy(self.now + BUSY_PAUSE),
            Refusal::InvalidCredentials { .. } => {
                self.actions.push(Action::PasswordRefused);
                self.fail(Reason::Refused(refusal), Exit::LoginRefused);
            }
            Refusal::LockedOut { .. }
            | Refusal::AlreadyOnline
            | Refusal::BadName
            | Refusal::NameTaken
            | Refusal::InvalidInvite
            | Refusal::Stale => self.fail(Reason::Refused(refusal), Exit::LoginRefused),
        }
    }

    /// Sends what may be sent now; at the end, says goodbye.
    fn send_more(&mut self) {
        while self.open.len() < WINDOW
            && let Some((number, piece)) = self.waiting.pop_front()
        {
            let Some(command) = command(&self.orders.recipient, &piece.text) else { continue };
            let mut encoded = Vec::new();
            command.encode(&mut encoded);
            if encoded.len() > self.orders.line_bytes {
                self.tell(number, Err(Code::TooLong));
                continue;
            }
            self.say_piece(number, &piece);
            self.open.insert(number, Sent { piece, parts: Parts::default() });
        }
        if self.open.is_empty() {
            self.say(&ClientLine::Request { number: None, command: Command::Logout });
            self.end();
        }
    }

    fn answered(&mut self, number: u64, answer: Result<Answer<'_>, Code>) {
        let Some(Sent { parts, .. }) = self.open.remove(&number) else { return };
        self.tell(number, answer.map(|answer| answers::success(answer, parts)));
        self.send_more();
    }

    /// Shows what has become of a text.
    fn tell(&mut self, line: u64, outcome: Result<Success, Code>) {
        self.ending.note(self.orders.wanted, &outcome);
        let subject = match &self.orders.recipient {
            Recipient::User(name) | Recipient::Group(name) => Some(name.to_string()),
            Recipient::All => None,
        };
        let outcome = outcome.map_err(|code| Failure { code, subject, typed: None });
        let command = self.orders.recipient.verb().into();
        self.actions.push(Action::Show(View::Result { line, command, outcome }));
    }

    fn say_piece(&mut self, number: u64, piece: &Piece) {
        let recipient = self.orders.recipient.clone();
        if let Some(command) = command(&recipient, &piece.text) {
            self.say(&ClientLine::Marked { number, mark: piece.mark, command });
        }
    }

    fn say(&mut self, line: &ClientLine<'_>) {
        let mut bytes = WipedBytes::new();
        bytes.write_with(line.with_password().unwrap_or_default(), |bytes| line.encode(bytes));
        self.actions.push(Action::Send(bytes));
    }
}

/// The command that sends a text; `None` for what is no text.
fn command<'a>(recipient: &'a Recipient, text: &'a str) -> Option<Command<'a>> {
    let text = Text::new(text)?;
    Some(match recipient {
        Recipient::User(to) => Command::Message { to, text },
        Recipient::Group(group) => Command::MessageGroup { group, text },
        Recipient::All => Command::Broadcast { text },
    })
}
