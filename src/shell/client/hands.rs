//! Carries out effects: links, screen, state folder, timer. It decides nothing.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use async_channel::Sender;
use smol::{LocalExecutor, Task};

use super::alarm::Alarm;
use super::keyboard::Keyboard;
use super::links::{self, Link, LinkNews, Way};
use super::log::Log;
use super::news::{News, Printed};
use super::options::Places;
use super::reach::{Reached, Unreached, reach};
use super::relay::Feed;
use super::screen::Screen;
use super::state_folder::{self, Refusal, StateFolder};
use super::trusting;
use crate::client::trust::Demand;
use crate::client::view::View;
use crate::client::{Effect, Event, Exit, KnownKey, Query};
use crate::shell::heap::Heap;
use crate::shell::platform::{Platform, Socket, System};
use crate::shell::tunnel::between_clients::Device;
use crate::shell::visible::visible;
use crate::words::wiped::WipedBytes;
use crate::words::{LinkId, Token};

/// How long to wait for another client of the same user to release the state folder.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two attempts to lock it.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Everything effects work on.
pub(super) struct Hands<P: Platform = System> {
    pub(super) places: Places,
    pub(super) platform: P,
    pub(super) executor: Rc<LocalExecutor<'static>>,
    pub(super) heap: Heap,
    /// For news that are handled even while output waits.
    pub(super) urgent: Sender<News<P>>,
    /// For bytes from the server.
    pub(super) inbox: Sender<News<P>>,
    /// For bytes from other clients.
    pub(super) peer_inbox: Sender<News<P>>,
    /// For those who come to the private port.
    pub(super) door: Sender<News<P>>,
    /// Held by every link's task; closed when the last one has ended.
    pub(super) linked: Sender<()>,
    pub(super) keyboard: Keyboard,
    pub(super) screen: Screen,
    pub(super) alarm: Alarm<P>,
    pub(super) server: Server,
    pub(super) peers: Peers<P>,
    /// Takes what is to be asked of the router, once something is.
    pub(super) router: Option<Sender<mapping::Order>>,
    pub(super) folder: Folder,
    /// What was said, if it is kept.
    pub(super) log: Option<Log>,
    pub(super) exit: Option<Exit>,
    /// Notes could not be written, and the core has not been told yet.
    pub(super) notes_failed: bool,
}

/// The connection to the server.
#[derive(Debug, Default)]
pub(super) struct Server {
    /// Numbers dials and their connections, so that late news are recognised.
    dial: u64,
    link: Option<Link>,
    /// To send.
    out: WipedBytes,
    /// The link.
    local: Option<SocketAddr>,
    /// The server.
    remote: Option<SocketAddr>,
    /// Why the last dial has failed, as long as none has succeeded; or that it has reached somebody else.
    unreached: Option<Unreached>,
    reached: bool,
    /// Whether it has ever said anything.
    heard: bool,
    /// Whether the session that was dialled for last has shown its end.
    said_bye: bool,
}

/// Private links.
pub(super) struct Peers<P: Platform> {
    links: BTreeMap<LinkId, (Link, WipedBytes)>,
    /// Of those that the server relays.
    feeds: BTreeMap<LinkId, Feed>,
    last: u64,
    /// Accepts incoming links.
    listener: Option<Task<()>>,
    /// Its port, if dials can have it as well.
    port: Option<u16>,
    /// Somebody who has come, until the core was told. Nothing is said to them meanwhile.
    caller: Option<(LinkId, P::Socket)>,
    /// Proves who this device is; without it nobody can be sure of it, and there are no private links.
    device: Option<Rc<Device>>,
}

impl<P: Platform> Peers<P> {
    pub(super) fn of(device: Option<Rc<Device>>) -> Peers<P> {
        Peers {
            links: BTreeMap::new(),
            feeds: BTreeMap::new(),
            last: 0,
            listener: None,
            port: None,
            caller: None,
            device,
        }
    }
}

/// The state folder of the session.
#[derive(Debug, Default)]
pub(super) struct Folder {
    open: Option<StateFolder>,
    /// Deliveries on their way to the screen.
    showing: usize,
    /// Whether to close the folder when they are shown.
    closing: bool,
    /// The user whose folder is opened next.
    wanted: Option<String>,
}

impl<P: Platform> Hands<P> {
    /// Carries out one effect. Bytes, output and notes are gathered until [`Hands::finish_turn`].
    pub(super) fn carry_out(&mut self, effect: Effect<'_>) {
        match effect {
            Effect::Dial => self.dial(),
            Effect::Send { bytes } => self.server.out.extend_from_slice(bytes),
            Effect::HangUp => self.hang_up(),
            Effect::Show(view) => self.show(view),
            Effect::Deliver { sequence, mark, view } => {
                if let (Some(mark), Some(folder)) = (mark, &mut self.folder.open) {
                    folder.journal.note_showing(mark);
                }
                self.folder.showing += usize::from(mark.is_some());
                self.screen.deliver(sequence, mark.is_some(), view);
            }
            Effect::NoteOpen { number } => {
                if let Some(folder) = &mut self.folder.open {
                    folder.journal.note_open(number);
                }
            }
            Effect::NoteSettled { number } => {
                if let Some(folder) = &mut self.folder.open {
                    folder.journal.note_settled(number);
                }
            }
            Effect::OpenState { user } => self.open_folder(user),
            Effect::FindCookie { user } => self.find_cookie(user),
            Effect::KeepCookie { cookie } => self.keep_cookie(&cookie),
            Effect::Log(logged) => self.log.iter().for_each(|log| log.keep(logged)),
            Effect::LookUp { line, query } => self.look_up(line, query),
            Effect::CloseState => {
                self.write_notes();
                self.folder.closing = true;
                self.close_folder();
            }
            Effect::Listen => self.listen(),
            Effect::StopListening => self.peers.listener = None,
            Effect::MapPort { attempt } => self.map_port(attempt),
            Effect::UnmapPort => self.unmap_port(),
            Effect::DialPeer { address } => self.dial_peer(address),
            Effect::PunchPeer { address } => self.punch_peer(address),
            Effect::SendPeer { link, bytes } => {
                if let Some((_, out)) = self.peers.links.get_mut(&link) {
                    out.extend_from_slice(bytes);
                }
            }
            Effect::SecurePeer { link, dialled, introduction } => {
                self.secure_peer(link, dialled, introduction);
            }
            Effect::KeepKey(known) => self.keep_key(known),
            Effect::BeginRelay { link, calls } => self.begin_relay(link, calls),
            Effect::FeedRelay { link, bytes } => self.feed_relay(link, bytes),
            Effect::EndRelay { link } => self.end_relay(link),
            Effect::ClosePeer { link } => {
                if let Some((near, mut out)) = self.peers.links.remove(&link) {
                    near.send(&mut out);
                }
            }
            Effect::ResetPeer { link } => self.reset_peer(link),
            Effect::ScheduleTimeout { at } => self.alarm.set(self.platform.timer(at)),
            Effect::Exit(exit) => self.exit = Some(exit),
        }
    }

    /// Writes everything that was gathered: first the notes, then bytes and output.
    pub(super) fn finish_turn(&mut self) {
        self.write_notes();
        self.flush_server();
        for (link, (near, out)) in &mut self.peers.links {
            near.send(out);
            if near.is_clogged() {
                let _ = self.urgent.try_send(News::PeerGone { link: *link });
            }
        }
        self.screen.print();
    }

    fn show(&mut self, view: &View) {
        self.server.said_bye |= matches!(view, View::Bye(_));
        self.keyboard.heed(view);
        self.screen.show(view);
    }

    /// Notes are written at once, before the bytes and the output that they are about.
    fn write_notes(&mut self) {
        let Some(folder) = &mut self.folder.open else { return };
        if let Err(error) = folder.journal.write() {
            self.fail_notes(&error);
        }
    }

    /// Without their notes, the bytes are not sent and the output is not shown.
    fn fail_notes(&mut self, error: &io::Error) {
        self.folder.open = None;
        self.server.out.clear();
        self.screen.forget();
        self.screen.say(&format!("cannot write to the state folder: {error}"));
        self.notes_failed = true;
    }

    /// A sheet is printed. Returns the last delivery carried out by that.
    pub(super) fn printed(&mut self, printed: Printed) -> Option<u64> {
        self.screen.printed(printed);
        self.folder.showing -= printed.noted.min(self.folder.showing);
        if printed.noted > 0
            && let Some(folder) = &mut self.folder.open
        {
            folder.journal.note_shown(printed.noted);
            self.write_notes();
        }
        self.close_folder();
        printed.upto.filter(|_| !self.notes_failed)
    }

    fn open_folder(&mut self, user: &str) {
        if self.folder.open.is_some() {
            self.folder.wanted = Some(user.to_owned());
            return;
        }
        let server = self.places.server.to_string();
        let (state, user, urgent) = (self.places.state.clone(), user.to_owned(), self.urgent.clone());
        let platform = self.platform.clone();
        let opening = async move {
            let opened = match state {
                Ok(root) => open_folder(&platform, &root, &server, &user).await.map(Box::new),
                Err(reason) => Err(Refusal::Homeless(reason)),
            };
            let _ = urgent.send(News::StateFolder(opened)).await;
        };
        self.executor.spawn(opening).detach();
    }

    /// Looks for what an earlier login of this user has left.
    fn find_cookie(&self, user: &str) {
        let found = self
            .places
            .state
            .as_ref()
            .ok()
            .and_then(|root| state_folder::cookie(root, &self.places.server.to_string(), user));
        let urgent = self.urgent.clone();
        let telling = async move {
            let _ = urgent.send(News::Cookie(found)).await;
        };
        self.executor.spawn(telling).detach();
    }

    fn keep_cookie(&mut self, cookie: &Token) {
        if let Some(folder) = &self.folder.open
            && let Err(error) = folder.keep_cookie(cookie)
        {
            self.screen.say(&format!("cannot keep what tells this device from others: {error}"));
        }
    }

    fn keep_key(&mut self, known: &KnownKey) {
        if let Some(folder) = &mut self.folder.open
            && let Err(error) = folder.keys.keep(known)
        {
            self.screen.say(&format!("cannot keep the key of {}: {error}", visible(&known.user)));
        }
    }

    /// Without a log there is nothing to find.
    fn look_up(&mut self, line: u64, query: &Query) {
        if !self.log.as_ref().is_some_and(|log| log.look_up(line, query)) {
            let _ = self.urgent.try_send(News::LookedUp { line, found: None });
        }
    }

    /// A state folder was opened.
    pub(super) fn keep_folder(&mut self, folder: StateFolder) {
        if let Some(log) = &self.log {
            log.open(folder.path(), self.platform.now());
        }
        self.folder.open = Some(folder);
    }

    /// Closes the folder if that was requested, and opens the next one if there is one.
    fn close_folder(&mut self) {
        if !self.folder.closing || self.folder.showing > 0 {
            return;
        }
        self.folder.closing = false;
        if let Some(folder) = &mut self.folder.open {
            folder.journal.note_closed();
            self.write_notes();
        }
        self.folder.open = None;
        if let Some(user) = self.folder.wanted.take() {
            self.open_folder(&user);
        }
    }

    /// The file of the user's command history.
    pub(super) fn history(&self) -> Option<PathBuf> {
        self.folder.open.as_ref().map(StateFolder::history)
    }

    fn dial(&mut self) {
        self.hang_up();
        self.server.said_bye = false;
        let dial = self.server.dial;
        let (places, platform) = (self.places.clone(), self.platform.clone());
        let urgent = self.urgent.clone();
        let dialling = async move {
            let reached = reach(&platform, &places).await.map(Box::new);
            let _ = urgent.send(News::Dialled { dial, reached }).await;
        };
        self.executor.spawn(dialling).detach();
    }

    /// A dial has ended; returns what the core is to be told, nothing if it is outdated.
    pub(super) fn dialled(
        &mut self,
        dial: u64,
        reached: Result<Box<Reached<P::Socket>>, Unreached>,
    ) -> Vec<Event<'static>> {
        if dial != self.server.dial {
            return Vec::new();
        }
        match reached {
            Ok(reached) => {
                let Reached { way, key } = *reached;
                self.server.local = way.socket.local_addr().ok();
                self.server.remote = way.socket.peer_addr().ok();
                self.server.reached = true;
                self.server.unreached = None;
                let link = self.serve(way, &self.inbox, move |news| match news {
                    LinkNews::Bytes(bytes) => News::FromServer { dial, bytes },
                    LinkNews::Gone => News::ServerGone { dial },
                    LinkNews::Stranded => News::ServerStranded { dial },
                });
                self.server.link = Some(link);
                key.map(Event::ServerKey).into_iter().chain([Event::Connected]).collect()
            }
            Err(unreached) => {
                let (event, explains) = match &unreached {
                    Unreached::Distrusted(_) => (Event::Distrusted, true),
                    Unreached::Unknown(_) | Unreached::Unkept(_) => (Event::Unpinned, true),
                    Unreached::Io(_) | Unreached::NoTls => (Event::Disconnected, !self.server.reached),
                };
                self.server.unreached = explains.then_some(unreached);
                vec![event]
            }
        }
    }

    /// The server has said something; whether it was on the current connection to it.
    pub(super) fn hears(&mut self, dial: u64) -> bool {
        self.server.heard = true;
        self.is_present(dial)
    }

    /// Whether news are about the current connection to the server.
    pub(super) fn is_present(&self, dial: u64) -> bool {
        dial == self.server.dial && self.server.link.is_some()
    }

    /// The connection to the server is closed.
    pub(super) fn lose_server(&mut self) {
        self.server.link.take().into_iter().for_each(Link::reset);
        self.server.out.clear();
    }

    fn hang_up(&mut self) {
        self.write_notes();
        self.flush_server();
        self.server.link = None;
        self.server.dial += 1;
    }

    /// Closes all links once everything is sent.
    pub(super) fn close_links(&mut self) {
        self.hang_up();
        self.peers.listener = None;
        self.router = None;
        for (link, mut out) in mem::take(&mut self.peers.links).into_values() {
            link.send(&mut out);
        }
    }

    /// Explains why the program ends, if the server is the reason and no view has said so.
    pub(super) fn explain(&mut self, exit: Exit) {
        let server = &self.places.server;
        let words = match (exit, self.server.unreached.take()) {
            (Exit::ServerLost | Exit::Distrusted | Exit::Failed, Some(reason)) => {
                trusting::explain(server, &reason)
            }
            (Exit::ServerLost, None) if !self.server.said_bye => {
                let silent = !self.server.heard && self.places.security.demand == Demand::Plaintext;
                let hint = if silent { "a server with TLS takes no --plaintext; " } else { "" };
                format!("{hint}the connection to {server} was lost before the login")
            }
            (Exit::Stranger, _) => format!("{server} does not answer as a Hobnob server of this version"),
            (Exit::VersionRefused, _) => format!("{server} does not want this version of the protocol"),
            (
                Exit::ServerLost
                | Exit::Distrusted
                | Exit::Done
                | Exit::Failed
                | Exit::LoginRefused
                | Exit::TimedOut
                | Exit::Refused
                | Exit::NotKnown
                | Exit::Signalled(_),
                _,
            ) => return,
        };
        self.screen.say(&words);
    }

    fn flush_server(&mut self) {
        match &self.server.link {
            Some(link) => {
                link.send(&mut self.server.out);
                if link.is_clogged() {
                    let _ = self.urgent.try_send(News::ServerGone { dial: self.server.dial });
                }
            }
            None => self.server.out.clear(),
        }
    }

    fn serve(
        &self,
        way: Way<P::Socket>,
        inbox: &Sender<News<P>>,
        report: impl Fn(LinkNews) -> News<P> + 'static,
    ) -> Link {
        let (link, orders) = Link::new();
        let (platform, inbox, linked) = (self.platform.clone(), inbox.clone(), self.linked.clone());
        let serving = async move {
            links::serve(platform, way, orders, inbox, report).await;
            drop(linked);
        };
        self.executor.spawn(serving).detach();
        link
    }
}

/// A session that was replaced may need a moment to release the folder.
async fn open_folder(
    platform: &impl Platform,
    root: &std::path::Path,
    server: &str,
    user: &str,
) -> Result<(StateFolder, crate::client::Recall), Refusal> {
    let mut looks = LOCK_PATIENCE.as_millis() / LOCK_PAUSE.as_millis();
    loop {
        match StateFolder::open(root, server, user) {
            Err(Refusal::InUse(_)) if looks > 0 => looks -= 1,
            opened => return opened,
        }
        platform.after(LOCK_PAUSE).await;
    }
}

mod mapping;
mod peers;
#[cfg(test)]
mod tests;
