//! The task that owns the state: feeds events to the core and carries out its effects.

use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use futures_lite::future::{or, yield_now};

use super::alarm::until;
use super::connections::{Caller, Share, Turn};
use super::hands::{Hands, Stopping, Successor};
use super::inbox::{self, Item, Receiver, Wish};
use super::metrics::Figures;
use super::rates::Counted;
use super::service_manager;
use crate::server::{Event, ServerState, host};
use crate::shell::platform::{Arrival, Platform, System};
use crate::shell::store::{Answer, CloseError};
use crate::shell::tunnel::acceptor::Acceptor;
use crate::time::Time;
use crate::words::LinkId;

/// Time for connections to close and for the store to write its queue when the server stops.
const STOP: Duration = Duration::from_millis(1500);
/// Time the store has in any case after its queue is closed.
const LAST_WRITE: Duration = Duration::from_millis(300);

/// How long connections that wait for their turn are given turns before sockets are read again, and how long output
/// waits at least meanwhile: what several turns say to one connection leaves in one write. With 200 µs, 50 pairs with 64
/// messages under way each moved a quarter less.
const TURNS: Duration = Duration::from_micros(500);

/// An alarm that is later than this finds a server that stood still, or is overloaded.
const LATE: Duration = Duration::from_millis(10);

/// How the server ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Every record was written.
    Stopped,
    /// The same, and the server starts again on the socket with this number.
    Restarts {
        /// Of its file.
        socket: i32,
    },
    /// The store failed, with this reason.
    StoreFailed(String),
    /// The store did not finish in time; its thread may be blocked by the disk.
    StoreHangs,
}

/// The core, its inbox, and everything that carries out its effects.
pub(super) struct Server<P: Platform = System> {
    pub(super) core: ServerState,
    pub(super) hands: Hands<P>,
    pub(super) inbox: Receiver<P>,
    /// When output was written last, and how long that took.
    pub(super) written: (Time, Duration),
}

impl<P: Platform> Server<P> {
    /// Runs until the server stops.
    pub(super) async fn run(mut self) -> Outcome {
        self.tell(Event::Tick, self.hands.platform.now());
        loop {
            if (!self.core.has_turns() || self.writing_is_due())
                && let Err(reason) = self.settle()
            {
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

    /// Closes the store, which writes what is queued.
    fn close(self) -> Outcome {
        let left = match self.hands.stopping {
            Stopping::No => Duration::ZERO,
            Stopping::Until(deadline) => deadline.since(self.hands.platform.now()),
        };
        match self.hands.store.close_within(left.max(LAST_WRITE)) {
            Ok(()) => match self.hands.successor {
                Successor::ItselfWith(socket) => Outcome::Restarts { socket },
                Successor::Manager | Successor::Itself => Outcome::Stopped,
            },
            Err(CloseError::Failed(reason)) => Outcome::StoreFailed(reason),
            Err(CloseError::Hangs) => Outcome::StoreHangs,
        }
    }

    /// Waits for the next item; `None` when the alarm rings or the time to stop is over.
    async fn next(&mut self) -> Option<Item<P>> {
        let due = self.hands.handshakes.due();
        let is_due = due.is_some_and(|due| due <= self.hands.platform.now());
        if !self.hands.flushed.is_empty() || self.core.has_turns() || is_due {
            // The core has yet to be told of these, but connections are read first.
            yield_now().await;
            return self.inbox.try_recv().ok();
        }
        let Server { inbox, hands: Hands { platform, alarm, stopping, .. }, .. } = self;
        let deadline = match stopping {
            Stopping::No => None,
            Stopping::Until(deadline) => Some(*deadline),
        };
        let deadline = deadline.into_iter().chain(due).min();
        let item = async { inbox.recv().await.ok() };
        let alarm = async {
            or(alarm.rings(), until(platform, deadline)).await;
            None
        };
        or(item, alarm).await
    }

    /// Handles all waiting items, then tells the core the time if its alarm is due. Sockets are read first:
    /// otherwise a server that was suspended would time out users whose lines it has not read yet.
    async fn turn(&mut self, first: Option<Item<P>>) -> Result<(), String> {
        self.hands.heap.note_work();
        if let Some(item) = first {
            self.take(item, self.hands.platform.now())?;
        }
        self.drain()?;
        if let Some(late) = self.hands.alarm.take_due() {
            self.catch_up(late).await?;
            self.tell(Event::Tick, self.hands.platform.now());
        }
        self.give_turns();
        self.shake_hands();
        let Hands { rates, counts, platform, .. } = &mut self.hands;
        rates.note(Counted::of(self.core.tally(), counts), || platform.now());
        Ok(())
    }

    /// Gives turns to connections that wait for them, for a while.
    fn give_turns(&mut self) {
        let began = self.hands.platform.now();
        let mut now = began;
        while self.core.has_turns() && now.since(began) < TURNS {
            self.tell(Event::Turn, now);
            now = self.hands.platform.now();
        }
    }

    /// Does the work of handshakes that wait for it, for half of the time of a turn.
    fn shake_hands(&mut self) {
        let began = self.hands.platform.now();
        let most = self.hands.settings.limits.handshakes_max;
        let mut now = began;
        while let Some(Turn { link, known, loser }) = self.hands.handshakes.next(most, now) {
            if let Some(loser) = loser.and_then(|loser| self.hands.links.get(loser)) {
                loser.connection.break_off();
            }
            match self.hands.links.get(link).and_then(|link| link.connection.step()) {
                Some(stage) => self.hands.handshakes.stepped(link, stage),
                None => self.hands.handshakes.end(link),
            }
            let done = self.hands.platform.now();
            if !known {
                self.hands.handshakes.rest(done, done.since(now), Share::now(&self.core));
            }
            now = done;
            if now.since(began) >= TURNS / 2 {
                break;
            }
        }
    }

    /// Some of a handshake has come.
    fn queue_handshake(&mut self, id: LinkId) {
        let Some(from) = self.hands.links.get(id).map(|link| link.from) else { return };
        let caller = Caller { host: host(from), known: self.core.knows(from) };
        self.hands.handshakes.wait(id, caller);
    }

    /// Lets every connection with unread input read once, and handles what it read. If the alarm is on time, the
    /// reactor has woken those connections already.
    async fn catch_up(&mut self, late: Duration) -> Result<(), String> {
        if late > LATE {
            self.hands.links.wake_readable(&self.hands.platform);
        }
        // The inbox is filled at most once in each turn of the connections.
        for _ in 0..=self.hands.links.len() / inbox::CAPACITY + 1 {
            yield_now().await;
            if self.inbox.is_empty() {
                break;
            }
            self.drain()?;
        }
        Ok(())
    }

    /// Handles all waiting items. Only other threads can add to them meanwhile.
    fn drain(&mut self) -> Result<(), String> {
        let now = self.hands.platform.now();
        for _ in 0..self.inbox.len() {
            let Ok(item) = self.inbox.try_recv() else { break };
            self.take(item, now)?;
        }
        Ok(())
    }

    /// Whether output has waited for long enough: also as long as writing it took the last time, so that writing takes
    /// half of the time at most.
    fn writing_is_due(&self) -> bool {
        let (at, took) = self.written;
        self.hands.platform.now().since(at) >= took.max(TURNS)
    }

    /// Writes each dirty connection once and wakes the store. Flushed bytes are reported to the core once,
    /// and its effects are carried out as well.
    fn settle(&mut self) -> Result<(), String> {
        let now = self.hands.platform.now();
        let mut told = false;
        loop {
            while let Some(item) = self.hands.follow_ups.pop_front() {
                self.take(item, now)?;
            }
            while let Ok((ticket, answer)) = self.hands.answers.come.try_recv() {
                self.answer_user(ticket, &answer, now);
            }
            self.hands.write_dirty();
            if !mem::replace(&mut told, true) {
                for (link, upto) in mem::take(&mut self.hands.flushed) {
                    self.tell(Event::Flushed { link, upto }, now);
                }
            }
            if self.hands.dirty.is_empty()
                && self.hands.follow_ups.is_empty()
                && self.hands.answers.come.is_empty()
            {
                break;
            }
        }
        if mem::take(&mut self.hands.stored) {
            self.hands.store.wake(now);
        }
        self.hands.recorder.take_if(|recorder| !recorder.hand_over());
        let at = self.hands.platform.now();
        self.written = (at, at.since(now));
        Ok(())
    }

    /// Handles one item. Fails if the store has failed.
    fn take(&mut self, item: Item<P>, now: Time) -> Result<(), String> {
        match item {
            Item::Opened { arrival, from } => self.open(arrival, from, now),
            Item::Handshake { link } => self.queue_handshake(link),
            Item::Chunk { link, bytes } => {
                // The link may have been closed after the chunk was read.
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
            Item::Verified { ticket, verdict, renewed } => {
                if let Some((before, after)) = renewed {
                    self.hands.replace_hash(before, after);
                }
                self.tell(Event::Verified { ticket, verdict }, now);
            }
            Item::Hashed { ticket, credential } => self.tell(Event::Hashed { ticket, credential }, now),
            Item::Stored(Answer::Committed { upto }) => self.tell(Event::Committed { upto }, now),
            Item::Stored(Answer::Refused { from }) => self.tell(Event::StoreRefused { from }, now),
            Item::Stored(Answer::Mail { ticket, mail, more }) => {
                self.tell(Event::MailLoaded { ticket, mail, more }, now);
            }
            Item::Stored(Answer::Failed(reason)) => return Err(reason),
            Item::HashesRenewed(renewals) => {
                self.hands.hashing.learn_renewals(&renewals);
                self.tell(Event::HashesRenewed { renewals }, now);
            }
            Item::Reloaded(read, asker) => self.reloaded(read, asker, now),
            Item::Operator(order, asker) => self.obey(order, asker, now),
            Item::Ordered { ticket, user, words } => self.obey_user(ticket, user, &words, now),
            Item::Measure(answer) => {
                // Fails only if nobody waits for it any more.
                let _ = answer.try_send(Box::new(self.figures(now)));
            }
            Item::DiskSeen(disk) => {
                let Hands { shortages, settings, .. } = &mut self.hands;
                shortages.look(disk, settings, self.core.census(now).mailbox_bytes, now);
            }
            Item::WatchdogDue => service_manager::alive(),
            Item::CertificateDue => (self.hands.renew_certificate)(&self.hands.settings),
            Item::CertificateRenewed(acceptor) => self.take_up(acceptor),
            Item::Stop => self.stop(now),
            Item::Restart(wish) => self.restart(wish, now),
        }
        Ok(())
    }

    fn figures(&self, now: Time) -> Figures {
        Figures {
            started: self.hands.started,
            uptime: now.since(self.hands.started),
            census: self.core.census(now),
            load: self.core.load(),
            tally: self.core.tally().clone(),
            counts: self.hands.counts.clone(),
            batches: self.hands.store.batch_times(),
        }
    }

    pub(super) fn tell(&mut self, event: Event<'_>, now: Time) {
        self.hands.platform.server_is_told(&event);
        if let Some(recorder) = &mut self.hands.recorder {
            recorder.event(&event, now);
        }
        for effect in self.core.handle(event, now) {
            self.hands.platform.server_wants(&effect);
            if let Some(recorder) = &mut self.hands.recorder {
                recorder.effect(&effect);
            }
            self.hands.carry_out(effect);
        }
        if let Some(recorder) = &mut self.hands.recorder {
            recorder.done();
        }
        self.hands.platform.server_has_done();
    }

    fn open(&mut self, arrival: impl Arrival<Socket = P::Socket>, from: SocketAddr, now: Time) {
        self.hands.shared.files.arrived();
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        if self.is_turned_away(from, now) {
            return arrival.turn_away();
        }
        let socket = match arrival.take_on() {
            Ok(socket) => socket,
            Err(error) => return self.hands.shared.files.ran_short(&error),
        };
        let nonce = match self.hands.nonces.next(&self.hands.platform) {
            Ok(nonce) => nonce,
            Err(error) => {
                tracing::error!("a connection was refused: no randomness: {error}");
                return;
            }
        };
        let tunnel = match self.hands.acceptor.tunnel() {
            Ok(tunnel) => tunnel,
            Err(error) => return tracing::error!("a connection was refused: no TLS: {error}"),
        };
        if let Some(link) = self.hands.open(socket, tunnel, from) {
            self.tell(Event::LinkOpened { link, from, nonce }, now);
        }
    }

    /// Whether a connection comes that is not even worth a handshake (R48).
    fn is_turned_away(&mut self, from: SocketAddr, now: Time) -> bool {
        let is_stranger = self.core.is_crowded() && !self.core.knows(from);
        is_stranger && !self.hands.newcomers.take_on(host(from), now)
    }

    fn ended(&mut self, link: LinkId, now: Time) {
        let Some(gone) = self.hands.links.remove(link) else { return };
        self.hands.handshakes.end(link);
        if !gone.connection.is_closing() {
            self.tell(Event::LinkClosed { link }, now);
        }
    }

    /// Connections begin with this certificate from now on.
    pub(super) fn take_up(&mut self, acceptor: Acceptor) {
        let before = self.hands.acceptor.fingerprint();
        self.hands.acceptor = acceptor.after(&self.hands.acceptor);
        if let (Some(now), true) =
            (self.hands.acceptor.fingerprint(), self.hands.acceptor.fingerprint() != before)
        {
            tracing::warn!("the key of this server is another one now: {now}");
        }
    }

    fn stop(&mut self, now: Time) {
        match self.hands.stopping {
            Stopping::No => {
                self.hands.stopping = Stopping::Until(now + STOP);
                self.hands.accepting = None;
                service_manager::stopping();
                self.tell(Event::Stop, now);
            }
            Stopping::Until(_) => self.hands.stopping = Stopping::Until(now),
        }
    }

    /// Stops in order to start again at once: the port stays open, and sessions are left to the next start.
    fn restart(&mut self, wish: Wish, now: Time) {
        let Some(accepting) = self.hands.accepting.take_if(|_| self.hands.stopping == Stopping::No) else {
            return;
        };
        let is_managers = wish == Wish::Signal && self.hands.successor == Successor::Manager;
        if !is_managers {
            match accepting.hand_on() {
                Ok(socket) => self.hands.successor = Successor::ItselfWith(socket),
                Err(error) => {
                    self.hands.accepting = Some(accepting);
                    return tracing::error!(
                        "the server does not restart: its port cannot be kept open: {error}"
                    );
                }
            }
        }
        tracing::info!("the server restarts");
        match self.hands.successor {
            Successor::Manager => service_manager::stopping(),
            Successor::Itself | Successor::ItselfWith(_) => service_manager::reloading(),
        }
        self.hands.stopping = Stopping::Until(now + STOP);
        self.tell(Event::Restart, now);
    }

    fn has_stopped(&self) -> bool {
        match self.hands.stopping {
            Stopping::No => false,
            Stopping::Until(deadline) => self.hands.links.len() == 0 || deadline <= self.hands.platform.now(),
        }
    }
}

#[cfg(test)]
mod tests;
