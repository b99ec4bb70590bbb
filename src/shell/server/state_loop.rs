//! The task that owns the state: takes what happened, asks the core, carries out what it says.

use std::collections::VecDeque;
use std::mem;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::{or, yield_now};
use smol::LocalExecutor;

use super::accept::Accepting;
use super::alarm::{Alarm, until};
use super::barrier::Barrier;
use super::connection::{Connection, Shared, Written};
use super::hashing_threads::{Hashing, Pool};
use super::inbox::{self, Item, Receiver, Sender};
use super::links::Links;
use super::nonces::Nonces;
use super::reload::{Reload, needing_restart};
use super::report;
use super::settings::Settings;
use crate::server::{Effect, Event, ServerState};
use crate::shell::store::{self, Answer, CloseError};
use crate::shell::wall_clock::WallClock;
use crate::time::Time;
use crate::words::LinkId;

/// Bytes queued for all connections together before they are written in the middle of a batch. What
/// everybody is told is queued once for each, and memory once taken is seldom given back.
const QUEUED_BYTES: usize = 4 << 20;
/// How long connections may take to end, and the store to write what it has, when the server stops.
const STOP: Duration = Duration::from_millis(1500);
/// How long the store is waited for in any case, once it knows that nothing follows.
const LAST_WRITE: Duration = Duration::from_millis(300);

/// How the server ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Everything is stored.
    Stopped,
    /// The store failed, for this reason.
    StoreFailed(String),
    /// The store did not finish; its thread may wait for the disk for ever.
    StoreHangs,
}

/// The state and everything that is there to serve it.
pub(super) struct Server {
    pub(super) core: ServerState,
    pub(super) hands: Hands,
    pub(super) inbox: Receiver,
}

/// What carries out effects.
pub(super) struct Hands {
    pub(super) clock: WallClock,
    pub(super) settings: Settings,
    pub(super) store: store::Handle,
    pub(super) hashing: Pool,
    pub(super) executor: Rc<LocalExecutor<'static>>,
    pub(super) shared: Rc<Shared>,
    /// Takes new connections; `None` once the server stops.
    pub(super) accepting: Option<Accepting>,
    /// Reads settings and credentials again.
    pub(super) reload: Rc<dyn Fn()>,
    /// For the tasks of connections.
    pub(super) sender: Sender,
    pub(super) links: Links,
    pub(super) nonces: Nonces,
    pub(super) alarm: Alarm,
    pub(super) barrier: Barrier,
    /// Links with bytes to write.
    pub(super) dirty: Vec<LinkId>,
    /// Bytes queued since they were last written.
    pub(super) queued: usize,
    /// Links whose bytes have left, which the core has not heard yet.
    pub(super) flushed: Vec<(LinkId, u64)>,
    /// What carrying out effects brought about, which the core has not heard yet.
    pub(super) follow_ups: VecDeque<Item>,
    /// Something was handed to the store and waits for `wake`.
    pub(super) stored: bool,
    pub(super) stopping: Stopping,
}

/// Whether the server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopping {
    No,
    /// Connections have until then to end.
    Until(Time),
}

impl Server {
    /// Runs until the server stops.
    pub(super) async fn run(mut self) -> Outcome {
        self.tell(Event::Tick, self.hands.clock.now());
        loop {
            if let Err(reason) = self.settle() {
                return Outcome::StoreFailed(reason);
            }
            if self.has_stopped() {
                return self.close();
            }
            let item = self.next().await;
            if let Err(reason) = self.turn(item).await {
                return Outcome::StoreFailed(reason);
            }
        }
    }

    /// Everything that was queued is stored, or the store says why not.
    fn close(self) -> Outcome {
        let left = match self.hands.stopping {
            Stopping::No => Duration::ZERO,
            Stopping::Until(deadline) => deadline.since(self.hands.clock.now()),
        };
        match self.hands.store.close_within(left.max(LAST_WRITE)) {
            Ok(()) => Outcome::Stopped,
            Err(CloseError::Failed(reason)) => Outcome::StoreFailed(reason),
            Err(CloseError::Hangs) => Outcome::StoreHangs,
        }
    }

    /// Waits for something to happen: an item, or `None` if it is time for something.
    async fn next(&mut self) -> Option<Item> {
        if !self.hands.flushed.is_empty() {
            // There is more to tell the core; connections get their turn first.
            yield_now().await;
            return self.inbox.try_recv().ok();
        }
        let Server { inbox, hands: Hands { clock, alarm, stopping, .. }, .. } = self;
        let deadline = match stopping {
            Stopping::No => None,
            Stopping::Until(deadline) => Some(*deadline),
        };
        let item = async { inbox.recv().await.ok() };
        let alarm = async {
            or(alarm.rings(), until(*clock, deadline)).await;
            None
        };
        or(item, alarm).await
    }

    /// Takes what has happened. A deadline that has come is met after that: a server that stood still must not
    /// take those for silent whose lines it has not read.
    async fn turn(&mut self, first: Option<Item>) -> Result<(), String> {
        if let Some(item) = first {
            self.take(item, self.hands.clock.now())?;
        }
        self.drain()?;
        if self.hands.alarm.take_due() {
            self.catch_up().await?;
            self.tell(Event::Tick, self.hands.clock.now());
        }
        Ok(())
    }

    /// Reads every socket that is ready once.
    async fn catch_up(&mut self) -> Result<(), String> {
        self.hands.barrier.passed().await;
        // Each turn of the connections fills the inbox at most once.
        for _ in 0..=self.hands.links.len() / inbox::CAPACITY + 1 {
            yield_now().await;
            if self.inbox.is_empty() {
                break;
            }
            self.drain()?;
        }
        Ok(())
    }

    /// Takes all items that wait. Their number cannot grow meanwhile but for what other threads add.
    fn drain(&mut self) -> Result<(), String> {
        let now = self.hands.clock.now();
        for _ in 0..self.inbox.len() {
            let Ok(item) = self.inbox.try_recv() else { break };
            self.take(item, now)?;
        }
        Ok(())
    }

    /// Writes what is to be written, once a connection, and hands the store what is to be stored.
    /// What has left is told to the core, once, and what it says to that is written too.
    fn settle(&mut self) -> Result<(), String> {
        let now = self.hands.clock.now();
        let mut told = false;
        loop {
            while let Some(item) = self.hands.follow_ups.pop_front() {
                self.take(item, now)?;
            }
            self.hands.write_dirty();
            if !mem::replace(&mut told, true) {
                for (link, upto) in mem::take(&mut self.hands.flushed) {
                    self.tell(Event::Flushed { link, upto }, now);
                }
            }
            if self.hands.dirty.is_empty() && self.hands.follow_ups.is_empty() {
                break;
            }
        }
        if mem::take(&mut self.hands.stored) {
            self.hands.store.wake(now);
        }
        Ok(())
    }

    /// Tells the core what happened. The error: the store has failed.
    fn take(&mut self, item: Item, now: Time) -> Result<(), String> {
        match item {
            Item::Opened { socket, from } => self.open(socket, from, now),
            Item::Chunk { link, bytes } => {
                // A chunk may have been on its way when the link was closed.
                if self.hands.is_open(link) {
                    self.tell(Event::Received { link, bytes: &bytes }, now);
                }
            }
            Item::StreamEnded { link } => {
                if self.hands.is_open(link) {
                    self.tell(Event::StreamEnded { link }, now);
                }
            }
            Item::Flushed { link, upto } => self.tell(Event::Flushed { link, upto }, now),
            Item::Ended { link } => self.ended(link, now),
            Item::Verified { ticket, verdict } => self.tell(Event::Verified { ticket, verdict }, now),
            Item::Hashed { ticket, credential } => self.tell(Event::Hashed { ticket, credential }, now),
            Item::Stored(Answer::Committed { upto }) => self.tell(Event::Committed { upto }, now),
            Item::Stored(Answer::Refused { from }) => self.tell(Event::StoreRefused { from }, now),
            Item::Stored(Answer::Mail { ticket, mail, more }) => {
                self.tell(Event::MailLoaded { ticket, mail, more }, now);
            }
            Item::Stored(Answer::Failed(reason)) => return Err(reason),
            Item::Reloaded(reload) => self.reloaded(*reload, now),
            Item::Stop => self.stop(now),
        }
        Ok(())
    }

    fn tell(&mut self, event: Event<'_>, now: Time) {
        for effect in self.core.handle(event, now) {
            self.hands.carry_out(effect);
        }
    }

    fn open(&mut self, socket: async_net::TcpStream, from: SocketAddr, now: Time) {
        let nonce = match self.hands.nonces.next() {
            Ok(nonce) => nonce,
            Err(error) => {
                tracing::error!("a connection was refused: no randomness: {error}");
                return;
            }
        };
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        if let Some(link) = self.hands.open(socket) {
            self.tell(Event::LinkOpened { link, from, nonce }, now);
        }
    }

    fn ended(&mut self, link: LinkId, now: Time) {
        let Some(gone) = self.hands.links.remove(link) else { return };
        if !gone.connection.is_closing() {
            self.tell(Event::LinkClosed { link }, now);
        }
    }

    fn reloaded(&mut self, reload: Reload, now: Time) {
        if reload.is_stale() {
            // Somebody, maybe this server, has changed the file since: read that one.
            return (self.hands.reload)();
        }
        let (settings, accounts) = match reload.accept(self.core.has_accounts()) {
            Ok(accepted) => accepted,
            Err(error) => return tracing::error!("nothing was changed: {error}"),
        };
        for setting in needing_restart(&settings, &self.hands.settings) {
            tracing::warn!("{setting} has changed; that takes a restart");
        }
        self.hands.settings.limits = settings.limits;
        self.hands.shared.limits.set(settings.limits);
        if let Some(accepting) = &self.hands.accepting
            && let Err(error) = accepting.set_dead_link_secs(settings.limits.dead_link_secs)
        {
            tracing::warn!("dead_link_secs stays as it was: {error}");
        }
        let settings = Box::new(settings.core);
        self.tell(Event::Reloaded { accounts, settings }, now);
        tracing::info!("accounts and settings are read again");
    }

    fn stop(&mut self, now: Time) {
        match self.hands.stopping {
            Stopping::No => {
                self.hands.stopping = Stopping::Until(now + STOP);
                self.hands.accepting = None;
                self.tell(Event::Stop, now);
            }
            Stopping::Until(_) => self.hands.stopping = Stopping::Until(now),
        }
    }

    fn has_stopped(&self) -> bool {
        match self.hands.stopping {
            Stopping::No => false,
            Stopping::Until(deadline) => self.hands.links.len() == 0 || deadline <= self.hands.clock.now(),
        }
    }
}

impl Hands {
    fn carry_out(&mut self, effect: Effect<'_>) {
        match effect {
            Effect::Send { link, bytes } => self.send(link, bytes),
            Effect::Close { link } => {
                if let Some(link) = self.links.get(link) {
                    link.connection.close();
                }
            }
            Effect::Pause { link } => {
                if let Some(link) = self.links.get(link) {
                    link.connection.pause();
                }
            }
            Effect::Resume { link } => {
                if let Some(link) = self.links.get(link) {
                    link.connection.resume();
                }
            }
            Effect::Verify { ticket, credential, password } => {
                let limits = self.settings.limits;
                let at_once =
                    self.hashing.verify(ticket, credential, password, limits.hash_cost, limits.hash_queue);
                self.follow_ups.extend(at_once.map(Item::from));
            }
            Effect::Hash { ticket, password } => {
                let limits = self.settings.limits;
                let at_once = self.hashing.hash(ticket, password, limits.hash_cost, limits.hash_queue);
                self.follow_ups.extend(at_once.map(Item::from));
            }
            Effect::Persist { number, epoch, record } => {
                self.store.persist(number, epoch, record.clone());
                self.stored = true;
            }
            Effect::LoadMail { ticket, user, from, after, limit } => {
                self.store.load(ticket, user.clone(), from.cloned(), after, limit);
                self.stored = true;
            }
            Effect::ScheduleTimeout { at } => self.alarm.set(at),
            Effect::Report(report) => report::log(report),
        }
    }

    fn open(&mut self, socket: async_net::TcpStream) -> Option<LinkId> {
        let Hands { links, executor, shared, sender, .. } = self;
        links.insert(|link| {
            let connection = Rc::new(Connection::new(link, socket, Rc::clone(shared)));
            let task = executor.spawn(Rc::clone(&connection).serve(sender.clone()));
            (connection, task)
        })
    }

    /// Whether the core still knows the link.
    fn is_open(&mut self, link: LinkId) -> bool {
        self.links.get(link).is_some_and(|link| !link.connection.is_closing())
    }

    fn send(&mut self, id: LinkId, bytes: &[u8]) {
        let Some(link) = self.links.get(id) else { return };
        let backlog = link.connection.queue(bytes);
        if !mem::replace(&mut link.dirty, true) {
            self.dirty.push(id);
        }
        let limit = self.settings.limits.output_bytes;
        if limit != 0 && backlog > limit {
            // So much cannot wait for the end of the batch.
            self.write(id);
        }
        self.queued += bytes.len();
        if self.queued > QUEUED_BYTES {
            self.write_dirty();
        }
    }

    fn write_dirty(&mut self) {
        self.queued = 0;
        let mut dirty = mem::take(&mut self.dirty);
        for id in dirty.drain(..) {
            if let Some(link) = self.links.get(id) {
                link.dirty = false;
                self.write(id);
            }
        }
        self.dirty = dirty;
    }

    fn write(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else { return };
        let limit = self.settings.limits.output_bytes;
        match link.connection.write() {
            Written::All { upto } => self.flushed.push((id, upto)),
            Written::Part if limit == 0 || link.connection.backlog() <= limit => {}
            Written::Part | Written::Broken => {
                link.connection.abandon();
                self.follow_ups.push_back(Item::Ended { link: id });
            }
        }
    }
}

impl From<Hashing> for Item {
    fn from(answer: Hashing) -> Item {
        match answer {
            Hashing::Verified(ticket, verdict) => Item::Verified { ticket, verdict },
            Hashing::Hashed(ticket, credential) => Item::Hashed { ticket, credential },
        }
    }
}

#[cfg(test)]
mod tests;
