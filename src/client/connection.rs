//! The connection to the server: dialling, greeting, lines.

use core::mem;
use core::time::Duration;

use super::effect::Exit;
use super::view::{Bye, Connection, Contact, ServerKey, View};
use super::{ClientState, Phase};
use crate::time::Time;
use crate::wire::{Capabilities, ClientLine, Farewell, Frame, Framer, ServerLine, VERSION};

/// Longest line that is read from a server. Operators may raise the server's own limit, so this one is
/// generous: a message cut off here would be lost.
pub(super) const SERVER_LINE_BYTES: usize = 1 << 20;

/// How long to wait for a server's greeting, or its answer to `resume`.
pub(super) const GREETING_PATIENCE: Duration = Duration::from_secs(10);

/// The connection to the server, of which there is at most one.
#[derive(Default)]
pub(super) struct ServerLink {
    stage: Stage,
    framer: Framer,
    /// What the server has said it can do.
    capabilities: Capabilities,
    /// What the server is known by.
    key: Option<ServerKey>,
    /// Whether any server has ever greeted: a connection that is lost after that is made again.
    reached: bool,
    /// Counts the connections, so that the rest of a chunk from one connection is not taken for the next one's.
    generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Down,
    Dialling,
    /// Connected; the server's greeting is awaited until then.
    Silent {
        until: Time,
    },
    Greeted,
}

impl ServerLink {
    pub(super) fn is_down(&self) -> bool {
        self.stage == Stage::Down
    }

    /// Whether the server has greeted.
    pub(super) fn is_greeted(&self) -> bool {
        self.stage == Stage::Greeted
    }

    /// Whether a server has ever greeted.
    pub(super) const fn was_reached(&self) -> bool {
        self.reached
    }

    /// What the server has said it can do.
    pub(super) const fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn is_up(&self) -> bool {
        match self.stage {
            Stage::Silent { .. } | Stage::Greeted => true,
            Stage::Down | Stage::Dialling => false,
        }
    }

    /// When to give up on a silent server.
    pub(super) fn due(&self) -> Option<Time> {
        match self.stage {
            Stage::Silent { until } => Some(until),
            Stage::Down | Stage::Dialling | Stage::Greeted => None,
        }
    }

    fn turn(&mut self, stage: Stage) {
        let (generation, reached) = (self.generation + 1, self.reached);
        *self = ServerLink { stage, generation, reached, ..ServerLink::default() };
    }
}

impl ClientState {
    pub(super) fn start(&mut self) {
        if self.link.is_down() && self.link.generation == 0 {
            self.dial();
        }
    }

    pub(super) fn dial(&mut self) {
        self.link.turn(Stage::Dialling);
        self.outbox.dial();
    }

    /// Closes the connection, or stops connecting.
    pub(super) fn hang_up(&mut self) {
        if !self.link.is_down() {
            self.link.turn(Stage::Down);
            self.outbox.hang_up();
        }
    }

    pub(super) fn on_connected(&mut self) {
        if self.link.stage != Stage::Dialling {
            return;
        }
        let key = self.link.key;
        self.link.turn(Stage::Silent { until: self.now + GREETING_PATIENCE });
        self.link.key = key;
        if let Phase::Entry(entry) = &mut self.phase {
            entry.begin_connection();
            self.show_connection(Connection::Connected);
        }
    }

    /// The server that is being dialled has shown its key.
    pub(super) fn on_server_key(&mut self, key: ServerKey) {
        if self.link.stage == Stage::Dialling {
            self.link.key = Some(key);
        }
    }

    pub(super) fn show_connection(&mut self, state: Connection) {
        self.outbox.show(View::Connection(Contact { state, key: self.link.key }));
    }

    /// The server that was dialled is another one than the one that is meant: nothing goes on without that one.
    pub(super) fn on_distrusted(&mut self) {
        if self.link.is_down() {
            return;
        }
        self.link.turn(Stage::Down);
        match self.phase {
            Phase::Entry(_) => self.end_entry(Bye::ConnectionLost, Exit::Distrusted),
            Phase::Session(_) => self.end_session(Bye::ConnectionLost, Exit::Distrusted),
            Phase::Over => {}
        }
    }

    /// Nobody could tell the server that was dialled from another one. That may pass while a session waits for it.
    pub(super) fn on_unpinned(&mut self) {
        let is_first = matches!(self.phase, Phase::Entry(_)) && !self.link.was_reached();
        if self.link.is_down() || !is_first {
            return self.on_disconnected();
        }
        self.link.turn(Stage::Down);
        self.end_entry(Bye::ConnectionLost, Exit::Failed);
    }

    pub(super) fn on_stranded(&mut self) {
        if self.link.is_down() {
            return;
        }
        self.on_disconnected();
        self.end_pause();
    }

    pub(super) fn on_disconnected(&mut self) {
        if self.link.is_down() {
            return;
        }
        self.link.turn(Stage::Down);
        match self.phase {
            Phase::Entry(_) => self.on_entry_cut(Exit::ServerLost),
            Phase::Session(_) => self.on_link_lost(),
            Phase::Over => {}
        }
    }

    /// Takes bytes in any chunking. Each line is dealt with completely before the next one is read, so that the
    /// chunking makes no difference.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        let generation = self.link.generation;
        let mut framer = mem::take(&mut self.link.framer);
        let mut rest = bytes;
        while self.link.is_up() && self.link.generation == generation {
            if self.hold(rest) {
                break;
            }
            match framer.next(&mut rest, SERVER_LINE_BYTES) {
                Some(frame) => self.on_frame(frame),
                None => break,
            }
            self.proceed();
        }
        if self.link.generation == generation {
            self.link.framer = framer;
        }
    }

    fn on_frame(&mut self, frame: Frame<'_>) {
        let line = match frame {
            Frame::Line(line) => ServerLine::parse(line).ok(),
            Frame::TooLong { .. } => None,
        };
        if let Frame::Line(bytes) = frame {
            self.show_heard(bytes, line.as_ref());
        }
        match (self.link.is_greeted(), line) {
            (true, Some(line)) => self.on_line(&line),
            // A later version of the server may send lines that this client does not know.
            (true, None) => {}
            (false, Some(ServerLine::Greeting { capabilities, .. })) => self.on_greeting(capabilities),
            // This is not a Hobnob server.
            (false, _) => self.on_silence(),
        }
    }

    fn on_greeting(&mut self, server: Capabilities) {
        (self.link.stage, self.link.capabilities) = (Stage::Greeted, server);
        self.link.reached = true;
        let capabilities = Capabilities {
            acknowledge: true,
            resume: true,
            device: true,
            alive: true,
            courier: false,
            away: true,
            relay: true,
            until: true,
        };
        self.outbox.send(&ClientLine::Hello { version: VERSION, capabilities });
        match self.phase {
            Phase::Entry(_) => self.begin_login(),
            Phase::Session(_) => self.resume(),
            Phase::Over => {}
        }
    }

    fn on_line(&mut self, line: &ServerLine<'_>) {
        match &self.phase {
            Phase::Entry(_) => self.on_login_line(line),
            Phase::Session(session) if session.is_online() => self.on_session_line(line),
            Phase::Session(_) => self.on_resume_line(line),
            Phase::Over => {}
        }
    }

    /// The server does not greet, or does not speak the protocol.
    pub(super) fn on_silence(&mut self) {
        match self.phase {
            Phase::Entry(_) => {
                self.hang_up();
                self.on_entry_cut(Exit::Stranger);
            }
            Phase::Session(_) => {
                self.hang_up();
                self.on_link_lost();
            }
            Phase::Over => {}
        }
    }

    /// The server says goodbye before a login.
    pub(super) fn on_early_bye(&mut self, farewell: Farewell) {
        match farewell {
            Farewell::Timeout if !self.holds_session() => {
                self.outbox.show(View::Bye(Bye::LoginTimeout));
                self.return_to_prompt(Exit::TimedOut);
            }
            // If somebody is asked, the connection is made again when they have answered.
            Farewell::Timeout | Farewell::ServerShutdown | Farewell::Logout | Farewell::Replaced => {
                self.hang_up();
                self.on_entry_cut(Exit::ServerLost);
            }
            Farewell::Kicked => {
                if !self.holds_session() {
                    self.outbox.show(View::Bye(Bye::Kicked));
                }
                self.end_entry(Bye::Kicked, Exit::Failed);
            }
            Farewell::Version => self.end_entry(Bye::ConnectionLost, Exit::VersionRefused),
        }
    }
}
