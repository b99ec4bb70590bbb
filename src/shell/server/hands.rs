//! Carries out what the core wants done.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::net::SocketAddr;
use std::rc::Rc;

use serde_json::Value;
use smol::LocalExecutor;

use super::alarm::Alarm;
use super::connections::{Accepting, Connection, Handshakes, Links, Newcomers, Shared, Written};
use super::control::{self, Asker};
use super::hashing::{Hashing, Pool};
use super::inbox::{Item, Sender};
use super::log::Log;
use super::metrics::Counts;
use super::nonces::Nonces;
use super::operator::{ReadAgain, RenewCertificate};
use super::rates::Rates;
use super::recording::Recorder;
use super::renewals::Renewals;
use super::report;
use super::setup::settings::Settings;
use super::shortages::Shortages;
use crate::server::{Effect, OTHERS_BYTES, Verdict};
use crate::shell::heap::Heap;
use crate::shell::platform::{Platform, System};
use crate::shell::store;
use crate::shell::tunnel::Tunnel;
use crate::shell::tunnel::acceptor::Acceptor;
use crate::time::Time;
use crate::words::{LinkId, Name, Ticket};

/// Bytes queued for all connections together that trigger a write in the middle of a batch. A broadcast is
/// queued once for each receiver, and the allocator seldom returns memory.
const QUEUED_BYTES: usize = 4 << 20;
/// Carries out effects.
pub(super) struct Hands<P: Platform = System> {
    pub(super) platform: P,
    pub(super) settings: Settings,
    pub(super) store: store::Handle,
    pub(super) hashing: Pool,
    pub(super) executor: Rc<LocalExecutor<'static>>,
    pub(super) heap: Heap,
    pub(super) shared: Rc<Shared<P>>,
    /// Takes new connections; `None` once the server stops.
    pub(super) accepting: Option<Accepting<P>>,
    /// Reads settings and credentials again.
    pub(super) reload: ReadAgain,
    /// Makes the certificate anew.
    pub(super) renew_certificate: RenewCertificate,
    /// Cloned for the task of each connection.
    pub(super) sender: Sender<P>,
    pub(super) links: Links<P>,
    /// How connections begin.
    pub(super) acceptor: Acceptor,
    pub(super) handshakes: Handshakes,
    pub(super) newcomers: Newcomers,
    pub(super) nonces: Nonces,
    pub(super) renewals: Renewals,
    pub(super) alarm: Alarm<P>,
    pub(super) log: Log,
    /// Links with bytes to write.
    pub(super) dirty: Vec<LinkId>,
    /// Bytes queued since they were last written.
    pub(super) queued: usize,
    /// Links whose bytes were written, not yet reported to the core.
    pub(super) flushed: Vec<(LinkId, u64)>,
    /// Items that carrying out effects produced, not yet reported to the core.
    pub(super) follow_ups: VecDeque<Item<P>>,
    /// Where the server listens.
    pub(super) address: SocketAddr,
    /// What operators wait for.
    pub(super) acts: Acts,
    /// What users who are operators are answered.
    pub(super) answers: Answers,
    /// Something was queued for the store, which was not woken yet.
    pub(super) stored: bool,
    pub(super) started: Time,
    /// What reports have told since then.
    pub(super) counts: Counts,
    /// How fast they grow.
    pub(super) rates: Rates,
    pub(super) shortages: Shortages,
    /// Takes note of all that the core is told, if that is recorded.
    pub(super) recorder: Option<Recorder>,
    pub(super) stopping: Stopping,
    /// Who starts the server again when it restarts.
    pub(super) successor: Successor,
}

/// Operators who wait for what they want done.
#[derive(Debug, Default)]
pub(super) struct Acts {
    last: u64,
    waiting: BTreeMap<Ticket, Asker>,
}

impl Acts {
    pub(super) fn begin(&mut self, asker: Asker) -> Ticket {
        self.last += 1;
        let ticket = Ticket(self.last);
        self.waiting.insert(ticket, asker);
        ticket
    }

    fn end(&mut self, ticket: Ticket) -> Option<Asker> {
        self.waiting.remove(&ticket)
    }
}

/// What orders of users have come to, not yet reported to the core: one a user at most.
#[derive(Debug)]
pub(super) struct Answers {
    sender: async_channel::Sender<(Ticket, Value)>,
    pub(super) come: async_channel::Receiver<(Ticket, Value)>,
}

impl Default for Answers {
    fn default() -> Answers {
        let (sender, come) = async_channel::unbounded();
        Answers { sender, come }
    }
}

impl Answers {
    pub(super) fn asker(&self, ticket: Ticket, user: Name) -> Asker {
        Asker::user(user, ticket, self.sender.clone())
    }
}

/// Who starts the server again when it restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Successor {
    /// The service manager, which has the socket, if it wants the restart; or else the server itself.
    Manager,
    /// The server itself.
    Itself,
    /// The same, and the port is kept open under this number of a file.
    ItselfWith(i32),
}

/// Whether the server is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopping {
    No,
    /// Connections and the store have until then.
    Until(Time),
}

impl<P: Platform> Hands<P> {
    pub(super) fn carry_out(&mut self, effect: Effect<'_>) {
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
                let at_once = self.hashing.verify(ticket, credential, password, limits.hash_cost);
                self.follow_ups.extend(at_once.map(Item::from));
            }
            Effect::Hash { ticket, password } => {
                let limits = self.settings.limits;
                let at_once = self.hashing.hash(ticket, password, limits.hash_cost);
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
            Effect::Acted { ticket, outcome } => {
                if let Some(asker) = self.acts.end(ticket) {
                    control::log(&asker, &outcome);
                    asker.tell(control::acted(&asker, outcome));
                }
            }
            Effect::Order { ticket, user, words } => {
                self.follow_ups.push_back(Item::Ordered { ticket, user: user.clone(), words: words.into() });
            }
            Effect::Report(report) => {
                self.counts.note(report);
                report::log(report);
            }
        }
    }

    pub(super) fn open(&mut self, socket: P::Socket, tunnel: Tunnel, from: SocketAddr) -> Option<LinkId> {
        let Hands { links, executor, shared, sender, .. } = self;
        links.insert(from, |link| {
            let connection = Rc::new(Connection::new(link, socket, tunnel, Rc::clone(shared)));
            let task = executor.spawn(Rc::clone(&connection).serve(sender.clone()));
            (connection, task)
        })
    }

    /// Whether the core has not closed the link.
    pub(super) fn is_open(&mut self, link: LinkId) -> bool {
        self.links.get(link).is_some_and(|link| !link.connection.is_closing())
    }

    fn send(&mut self, id: LinkId, bytes: &[u8]) {
        let Some(link) = self.links.get(id) else { return };
        let backlog = link.connection.queue(bytes);
        if !mem::replace(&mut link.dirty, true) {
            self.dirty.push(id);
        }
        if is_too_much(self.settings.limits.output_bytes, backlog) {
            // Too much to wait for the end of the batch.
            self.write(id);
        }
        self.queued += bytes.len();
        if self.queued > QUEUED_BYTES {
            self.write_dirty();
        }
    }

    pub(super) fn write_dirty(&mut self) {
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
        match link.connection.write() {
            Written::All { upto } => self.flushed.push((id, upto)),
            Written::Part { upto }
                if !is_too_much(self.settings.limits.output_bytes, link.connection.backlog()) =>
            {
                self.flushed.extend(upto.map(|upto| (id, upto)));
            }
            Written::Part { .. } | Written::Broken => {
                link.connection.abandon();
                self.follow_ups.push_back(Item::Ended { link: id });
            }
        }
    }
}

/// Whether more waits for a connection than its user may have caused and others may have beside.
const fn is_too_much(output_bytes: usize, backlog: usize) -> bool {
    output_bytes != 0 && backlog > output_bytes.saturating_add(OTHERS_BYTES)
}

impl<P: Platform> From<Hashing> for Item<P> {
    fn from(answer: Hashing) -> Item<P> {
        match answer {
            Hashing::Verified(ticket, verdict) => Item::Verified { ticket, verdict, renewed: None },
            Hashing::Renewed(ticket, before, after) => {
                Item::Verified { ticket, verdict: Verdict::Right, renewed: Some((before, after)) }
            }
            Hashing::Hashed(ticket, credential) => Item::Hashed { ticket, credential },
        }
    }
}
