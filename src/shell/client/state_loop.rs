//! The task that owns the state: hands events to the core and carries out its effects.

use std::mem;
use std::time::Duration;

use async_channel::Receiver;
use futures_lite::future::{or, pending};

use super::door;
use super::hands::Hands;
use super::keyboard::Next;
use super::log::Log;
use super::news::News;
use super::peer_links::Opened;
use super::relay::Relayed;
use super::state_folder::{Refusal, StateFolder};
use crate::client::{ClientState, Event, Exit, PeerOpened, Recall};
use crate::shell::platform::{Platform, System};
use crate::words::LinkId;

/// News of the user and the server handled in one turn.
const TURN: usize = 64;
/// News of other clients handled in one turn, after those.
const PEER_TURN: usize = 16;
/// How long the program waits at its end for links to close, and on a terminal or after a signal for output.
const END: Duration = Duration::from_secs(1);

/// The state and everything around it.
pub(super) struct Client<P: Platform = System> {
    pub(super) core: ClientState,
    pub(super) hands: Hands<P>,
    /// News that are handled even while output waits.
    pub(super) urgent: Receiver<News<P>>,
    /// Bytes of the server.
    pub(super) inbox: Receiver<News<P>>,
    /// Bytes of other clients.
    pub(super) peer_inbox: Receiver<News<P>>,
    /// Those who come to the private port.
    pub(super) door: Receiver<News<P>>,
    /// Closed when the last link's task has ended.
    pub(super) linked: Receiver<()>,
}

impl<P: Platform> Client<P> {
    /// Runs until the program is to end; returns its exit code.
    pub(super) async fn run(mut self) -> u8 {
        self.tell(Event::Started);
        loop {
            self.take_lines();
            if let Some(exit) = self.hands.exit {
                return self.end(exit).await;
            }
            let news = self.next().await;
            self.take_turn(news);
        }
    }

    /// Waits for something to happen; `None`: the timer.
    async fn next(&mut self) -> Option<News<P>> {
        let Client { hands, urgent, inbox, peer_inbox, door, .. } = self;
        let crowded = hands.screen.is_crowded();
        let soon = async { urgent.recv().await.ok() };
        let later = async {
            if crowded {
                return pending().await;
            }
            or(inbox.recv(), or(peer_inbox.recv(), door.recv())).await.ok()
        };
        let alarm = async {
            hands.alarm.ring().await;
            None
        };
        or(soon, or(alarm, later)).await
    }

    /// Handles some news: those of the user and the server first, then some of other clients, then some strangers. So
    /// whatever comes to the private port, the server's bytes do not wait for more than that.
    fn take_turn(&mut self, first: Option<News<P>>) {
        self.hands.heap.note_work();
        let is_due = first.is_none();
        if let Some(news) = first {
            self.take(news);
        }
        for _ in 1..TURN {
            let Some(news) = self.soon() else { break };
            self.take(news);
        }
        for _ in 0..PEER_TURN {
            let Some(news) = self.waiting(&self.peer_inbox) else { break };
            self.take(news);
        }
        for _ in 0..door::WAITING {
            let Some(news) = self.waiting(&self.door) else { break };
            self.take(news);
        }
        if is_due && self.hands.exit.is_none() {
            self.hands.alarm.reset();
            self.tell(Event::Tick);
        }
    }

    /// The next news of the user or the server.
    fn soon(&self) -> Option<News<P>> {
        let urgent = if self.hands.exit.is_none() { self.urgent.try_recv().ok() } else { None };
        urgent.or_else(|| self.waiting(&self.inbox))
    }

    /// The next of these news, unless too much output waits.
    fn waiting(&self, news: &Receiver<News<P>>) -> Option<News<P>> {
        let are_taken = self.hands.exit.is_none() && !self.hands.screen.is_crowded();
        if are_taken { news.try_recv().ok() } else { None }
    }

    fn take(&mut self, news: News<P>) {
        match news {
            News::Dialled { dial, reached } => {
                for event in self.hands.dialled(dial, reached) {
                    self.tell(event);
                }
            }
            News::FromServer { dial, bytes } if self.hands.hears(dial) => {
                self.tell(Event::Received { bytes: &bytes });
            }
            News::ServerGone { dial } if self.hands.is_present(dial) => {
                self.hands.lose_server();
                self.tell(Event::Disconnected);
            }
            News::ServerStranded { dial } if self.hands.is_present(dial) => {
                self.hands.lose_server();
                self.tell(Event::Stranded);
            }
            News::PeerReached { address, socket } => {
                self.has_peer(socket, Opened::Here, PeerOpened::Dialled(address));
            }
            News::PeerPunched { address, socket } => {
                self.has_peer(socket, Opened::Both, PeerOpened::Punched(address));
            }
            News::PeerUnpunched { address } => self.tell(Event::PeerUnpunched { address }),
            News::PeerCame { from, socket } => {
                let link = self.hands.add_caller(socket);
                self.tell(Event::PeerOpened { link, opened: PeerOpened::Accepted(from) });
                self.hands.serve_caller();
            }
            News::PeerUnreached { address } => self.tell(Event::PeerUnreached { address }),
            News::FromPeer { link, bytes } if self.hands.has_peer(link) => {
                self.tell(Event::PeerReceived { link, bytes: &bytes });
            }
            News::PeerProved { link, key, can_move } if self.hands.has_peer(link) => {
                self.tell(Event::PeerProved { link, key, can_move });
            }
            News::PeerGone { link } if self.hands.has_peer(link) => {
                self.hands.lose_peer(link);
                self.tell(Event::PeerClosed { link });
            }
            News::FromServer { .. }
            | News::ServerGone { .. }
            | News::ServerStranded { .. }
            | News::FromPeer { .. }
            | News::PeerProved { .. }
            | News::PeerGone { .. } => {}
            News::Relay { link, relayed } => self.take_relayed(link, &relayed),
            News::Listening(addresses) => self.tell(Event::Listening { addresses }),
            News::PortMapped { attempt, mapped } => self.tell(Event::PortMapped { attempt, mapped }),
            News::StateFolder(opened) => self.take_folder(opened),
            News::Cookie(cookie) => self.tell(Event::CookieFound { cookie }),
            News::LookedUp { line, found } => self.tell(Event::LookedUp { line, found }),
            News::LogFailed(error) => self.warn(&format!("what is said is not kept: {error}")),
            News::Read(bytes) => self.hands.keyboard.read(&bytes),
            News::Line { question, command, text } => self.hands.keyboard.typed(question, command, &text),
            News::Keys(pressed) => {
                drop(pressed);
                self.tell(Event::KeyPressed);
            }
            News::EndOfInput => self.hands.keyboard.end(),
            News::Signal(signal) => self.tell(Event::Interrupted(signal)),
            News::Printed(printed) => match self.hands.printed(printed) {
                Some(upto) => self.tell(Event::Delivered { upto }),
                None => self.finish_turn(),
            },
            News::PrintFailed => self.fail_screen(Event::OutputClosed),
            News::ProgramFailed => self.fail_screen(Event::ProgramFailed),
        }
    }

    /// Another client was reached.
    fn has_peer(&mut self, socket: P::Socket, by: Opened, opened: PeerOpened) {
        let link = self.hands.add_peer(socket, by);
        self.tell(Event::PeerOpened { link, opened });
    }

    fn take_folder(&mut self, opened: Result<Box<(StateFolder, Recall)>, Refusal>) {
        match opened {
            Ok(opened) => {
                let (folder, recall) = *opened;
                self.hands.keep_folder(folder);
                self.tell(Event::StateOpened(recall));
            }
            Err(refusal) => {
                self.hands.screen.say(&refusal.to_string());
                self.tell(Event::StateRefused);
            }
        }
    }

    fn take_relayed(&mut self, link: LinkId, relayed: &Relayed) {
        match relayed {
            Relayed::Leaving(bytes) => self.tell(Event::RelayLeaving { link, bytes }),
            Relayed::Taken(count) => self.tell(Event::RelayTaken { link, count: *count }),
        }
    }

    /// Nothing more is shown.
    fn fail_screen(&mut self, why: Event<'_>) {
        self.hands.screen.fail();
        self.tell(why);
    }

    /// Says something about the program itself.
    fn warn(&mut self, words: &str) {
        self.hands.screen.say(words);
        self.finish_turn();
    }

    /// Hands lines to the core while it takes any, and requests more.
    fn take_lines(&mut self) {
        while self.hands.exit.is_none() && self.core.wants_input() && !self.hands.screen.is_crowded() {
            let Client { core, hands, .. } = self;
            let now = hands.platform.now();
            let event = match hands.keyboard.next() {
                Next::Line(line, text) => Event::Typed { line, text },
                Next::End => Event::EndOfInput,
                Next::Nothing => {
                    let history = hands.history();
                    if hands.keyboard.ask(history.as_deref()) {
                        hands.screen.turn();
                    }
                    return;
                }
            };
            hands.platform.client_is_told(&event);
            for effect in core.handle(event, now) {
                hands.platform.client_wants(&effect);
                hands.carry_out(effect);
            }
            self.finish_turn();
        }
    }

    fn tell(&mut self, event: Event<'_>) {
        let now = self.hands.platform.now();
        self.hands.platform.client_is_told(&event);
        for effect in self.core.handle(event, now) {
            self.hands.platform.client_wants(&effect);
            self.hands.carry_out(effect);
        }
        self.finish_turn();
    }

    /// Writes everything that was gathered. If its notes cannot be written, it counts as not shown.
    fn finish_turn(&mut self) {
        self.hands.finish_turn();
        if mem::take(&mut self.hands.notes_failed) && self.hands.exit.is_none() {
            self.tell(Event::OutputClosed);
        }
    }

    /// Finishes output and links; returns the exit code.
    async fn end(mut self, exit: Exit) -> u8 {
        self.inbox.close();
        self.peer_inbox.close();
        self.door.close();
        self.hands.close_links();
        self.hands.explain(exit);
        self.hands.keyboard.close();
        self.hands.screen.print_last();
        let code = self.last_output(exit).await;
        let Client { hands, linked, .. } = self;
        let Hands { platform, keyboard, folder, log, linked: ours, .. } = hands;
        log.into_iter().for_each(Log::end);
        drop((ours, folder));
        let closed = async { linked.recv().await.unwrap_or(()) };
        or(closed, platform.after(END)).await;
        // Last, so that the terminal is restored after all output.
        drop(keyboard);
        code
    }

    /// Waits until everything is printed; a person or a signal does not wait for ever.
    async fn last_output(&mut self, exit: Exit) -> u8 {
        let hasty = self.hands.keyboard.is_terminal() || matches!(exit, Exit::Signalled(_));
        let platform = &self.hands.platform;
        let mut deadline = if hasty { platform.after(END) } else { platform.never() };
        while !self.hands.screen.is_clear() {
            let late = async {
                (&mut deadline).await;
                None
            };
            match or(async { self.urgent.recv().await.ok() }, late).await {
                Some(News::Printed(printed)) => drop(self.hands.printed(printed)),
                Some(News::PrintFailed | News::ProgramFailed) => return Exit::Failed.code(),
                Some(News::Signal(_)) | None => break,
                Some(_) => {}
            }
        }
        exit.code()
    }
}
