//! The client as a state machine: events in, effects out.
//!
//! It uses no socket, no terminal, no file and no clock. Its driver hands in events and carries out the effects
//! that come back; `Started` is the first event, `Exit` the last effect.
//!
//! ```
//! use hobnob::client::{ClientState, Effect, Event, Settings};
//! use hobnob::time::Time;
//!
//! let settings = Settings { user: Some("hans".into()), ..Settings::default() };
//! let mut client = ClientState::new(settings, 1);
//! let effects: Vec<_> = client.handle(Event::Started, Time(0)).collect();
//! assert_eq!(effects, [Effect::Dial]);
//! // The driver has connected; the server greets first.
//! client.handle(Event::Connected, Time(1)).for_each(drop);
//! let bytes = b"hobnob 1 ack resume\n";
//! let sent = client.handle(Event::Received { bytes }, Time(2)).next();
//! assert_eq!(sent, Some(Effect::Send { bytes: b"hello 1 ack resume device alive away relay until\nlogin hans\n" }));
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod activity;
mod addressing;
mod answers;
mod attention;
mod commands;
mod connection;
mod deadlines;
mod delivery;
pub mod effect;
pub mod errand;
pub mod event;
mod groups;
mod help;
mod input;
mod intent;
mod leaving;
pub mod log;
mod login;
mod outbox;
mod outstanding;
mod peers;
mod raw;
mod reconnect;
mod seen;
mod session;
pub mod settings;
mod standing;
#[cfg(test)]
mod tests;
pub mod trust;
mod unanswered;
mod verb;
pub mod view;

pub use effect::{Effect, Exit, Introduction};
pub use event::{Event, KnownKey, Mapped, Mark, PeerOpened, Recall, Signal};
pub use log::{Logged, Query};
pub use outbox::Effects;
pub use peers::mapping::is_behind_router;
pub use settings::{AcceptPrivate, Bell, Log, MapPort, Settings, Watch, Way};
pub use verb::{AT_TERMINAL, Named, Verb};

use alloc::boxed::Box;
use core::fmt;

use addressing::Addressing;
use attention::Attention;
use connection::ServerLink;
use delivery::Delivery;
use input::{Input, Typed};
use login::Entry;
use outbox::Outbox;
use peers::Peers;
use session::Session;
use standing::Jitter;
use unanswered::Unanswered;
use view::Bye;

use crate::planted::{self, Planted};
use crate::time::Time;
use crate::words::Password;

/// The client: its login, its outstanding commands, its private links.
pub struct ClientState {
    settings: Settings,
    /// The time of the current event.
    now: Time,
    outbox: Outbox,
    input: Input,
    link: ServerLink,
    phase: Phase,
    peers: Peers,
    delivery: Delivery,
    jitter: Jitter,
    /// The password of the options, to log in again with.
    kept_password: Option<Password>,
    /// The password comes from a file and there is no terminal: a refused login ends the program, so that no
    /// command on the pipe is taken for a name or a password.
    unattended: bool,
    unanswered: Unanswered,
    /// The line that asks the log for something, and its command.
    looking_up: Option<(u64, Verb)>,
    addressing: Addressing,
    attention: Attention,
    /// What was last shown of the lines that wait for the server.
    queued: Option<usize>,
    /// The pending timeout.
    scheduled: Option<Time>,
}

/// What the client is doing.
enum Phase {
    /// Before a session.
    Entry(Entry),
    /// Logged in, with or without a connection at the moment.
    Session(Box<Session>),
    /// The program is ending.
    Over,
}

impl ClientState {
    /// A client that has not started yet. `seed` makes its pauses between attempts to reconnect
    /// differ from those of other clients.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> ClientState {
        ClientState {
            unattended: settings.password.is_some() && !settings.terminal,
            kept_password: settings.password.clone().filter(|_| settings.outlasts_server()),
            settings,
            now: Time::ZERO,
            outbox: Outbox::default(),
            input: Input::default(),
            link: ServerLink::default(),
            phase: Phase::Entry(Entry::default()),
            peers: Peers::default(),
            delivery: Delivery::default(),
            jitter: Jitter::new(seed),
            unanswered: Unanswered::default(),
            looking_up: None,
            addressing: Addressing::default(),
            attention: Attention::default(),
            queued: None,
            scheduled: None,
        }
    }

    /// Handles an event and returns what to do. All effects must be taken before the next call.
    ///
    /// # Panics
    /// If effects of the event before were not taken.
    pub fn handle(&mut self, event: Event<'_>, now: Time) -> Effects<'_> {
        self.outbox.begin();
        self.now = self.now.max(now);
        if !matches!(self.phase, Phase::Over) {
            self.dispatch(event);
            self.pass_deadlines();
            self.proceed();
            self.tell_queue();
            self.schedule();
        }
        self.outbox.lend()
    }

    /// Whether more lines may be handed in: false while too many wait.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.input.has_room()
    }

    fn dispatch(&mut self, event: Event<'_>) {
        match event {
            Event::Started => self.start(),
            Event::ServerKey(key) => self.on_server_key(key),
            Event::Connected => self.on_connected(),
            Event::Disconnected => self.on_disconnected(),
            Event::Stranded => self.on_stranded(),
            Event::Distrusted => self.on_distrusted(),
            Event::Unpinned => self.on_unpinned(),
            Event::Received { bytes } => self.receive(bytes),
            Event::KeyPressed => self.on_key(),
            Event::Typed { line, text } => {
                self.on_key();
                self.input.push(line, text);
            }
            Event::EndOfInput => self.input.end(),
            Event::Interrupted(signal) => self.interrupt(signal),
            Event::Delivered { upto } => {
                self.delivery.delivered(upto);
                self.acknowledge_texts();
                if self.settings.watch == Watch::Runs {
                    self.note_activity(true);
                }
            }
            Event::ProgramFailed => {
                self.delivery.gather(self.now);
                self.acknowledge();
                self.abandon(Exit::Refused);
            }
            Event::OutputClosed => self.abandon(Exit::Failed),
            Event::StateOpened(recall) => self.on_state_opened(recall),
            Event::StateRefused => self.on_state_refused(),
            Event::CookieFound { cookie } => self.on_cookie(cookie),
            Event::LookedUp { line, found } => self.on_looked_up(line, found),
            Event::Listening { addresses } => self.on_listening(&addresses),
            Event::PortMapped { attempt, mapped } => self.on_port_mapped(attempt, mapped),
            Event::PeerOpened { link, opened } => self.on_peer_opened(link, opened),
            Event::PeerUnreached { address } => self.on_peer_unreached(address),
            Event::PeerUnpunched { address } => self.on_peer_unpunched(address),
            Event::PeerProved { link, key, can_move } => self.on_peer_proved(link, key, can_move),
            Event::PeerReceived { link, bytes } => self.receive_from_peer(link, bytes),
            Event::PeerClosed { link } => self.on_peer_closed(link),
            Event::RelayLeaving { link, bytes } => self.on_relay_leaving(link, bytes),
            Event::RelayTaken { link, count } => self.on_relay_taken(link, count),
            Event::Tick => self.scheduled = None,
        }
    }

    /// Takes waiting lines while they are wanted, logs out after the last, and ends a session that is cut off.
    fn proceed(&mut self) {
        while self.takes_line() {
            let Some(typed) = self.input.pop() else { break };
            self.take_line(typed);
        }
        if self.input.is_exhausted() {
            self.on_input_exhausted();
        }
        self.leave_when_ready();
        self.end_when_cut_off();
        self.close_door();
        self.keep_mapping();
    }

    fn takes_line(&self) -> bool {
        match &self.phase {
            Phase::Entry(entry) => entry.asks(),
            Phase::Session(session) => {
                self.looking_up.is_none() && session.takes_commands() && self.has_room_for_commands()
            }
            Phase::Over => false,
        }
    }

    fn take_line(&mut self, typed: Typed) {
        match &self.phase {
            Phase::Entry(_) => self.take_answer(&typed),
            Phase::Session(_) => self.take_command(&typed),
            Phase::Over => {}
        }
    }

    fn on_input_exhausted(&mut self) {
        match &self.phase {
            Phase::Entry(entry) if entry.asks() || entry.is_cut() => {
                let exit = entry.exit_at_prompt();
                self.end_entry(Bye::Logout, exit);
            }
            Phase::Entry(_) | Phase::Over => {}
            Phase::Session(_) => self.leave(None),
        }
    }

    /// Ends the program.
    fn exit(&mut self, exit: Exit) {
        let strict =
            self.settings.strict && !self.settings.terminal && !planted::is(Planted::ClientExitsWell);
        let exit =
            if strict && self.outbox.has_refused() && exit == Exit::Done { Exit::Refused } else { exit };
        self.hang_up();
        self.outbox.exit(exit);
        self.phase = Phase::Over;
    }
}

/// Prints the phase, and nothing that was typed or read.
impl fmt::Debug for ClientState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match &self.phase {
            Phase::Entry(_) => "before login",
            Phase::Session(_) => "in session",
            Phase::Over => "over",
        };
        f.debug_struct("ClientState").field("now", &self.now).field("phase", &phase).finish_non_exhaustive()
    }
}
