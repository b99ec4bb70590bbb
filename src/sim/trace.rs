//! What was seen: an append-only record of everything that crossed a boundary of a real program.
//!
//! It is all that [`check`](super::check) and [`coverage`](super::coverage) know.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash, Hasher};
use core::net::SocketAddr;

use foldhash::fast::{FixedState, FoldHasher};

use super::network::{Favour, Place};
use super::store::LoadMail;
use crate::client::view::View;
use crate::client::{AcceptPrivate, Exit, Way};
use crate::record::{Record, RecordNumber};
use crate::server::{Act, Reached, Settings, Verdict};
use crate::time::Time;
use crate::words::{Credential, DeviceKey, LinkId, Name, Ticket};

/// Bytes kept in the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

/// A run of a client program, counted over the whole world. A person at a raw link has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProcessId(pub(crate) u32);

/// One thing that was seen. Calls of the server are followed by its effects and `Returned`.
#[derive(Debug, Clone)]
pub(crate) enum Seen {
    /// A server started on the data folder. Its clock is so many microseconds ahead of the world's.
    ServerStarted { boot: u32, ahead: i64, settings: Box<Settings>, accounts: Vec<(Name, Credential)> },
    /// The server process is gone. Records up to `survived` are durable.
    ServerGone { crashed: bool, survived: RecordNumber },
    /// The credentials and settings that the server is about to be given.
    FilesChanged { settings: Box<Settings>, accounts: Vec<(Name, Credential)> },
    /// The line of an account holds the same password as a new hash.
    HashRenewed { name: Name, credential: Credential },
    /// What an operator is about to want done.
    OperatorWants { ticket: Ticket, act: Act },
    /// The server says what came of it.
    Acted { ticket: Ticket, outcome: Reached },
    /// What an operator who asks for everything is answered now, a line each, in order.
    Questioned { answers: Vec<String> },
    /// The server hands out what a user wants done.
    Ordered { ticket: Ticket, user: Name, words: Span },
    /// What the server is about to be told of an order.
    OrderOver { done: bool, lines: Vec<Box<str>> },
    /// Who is at the other end of a link of the server.
    Caller { link: LinkId, process: Option<ProcessId> },
    /// The server was told something.
    Told(Told),
    /// The server queued lines.
    Sent { link: LinkId, bytes: Span },
    /// The server closed a link.
    Closed { link: LinkId },
    /// The server stopped reading a link.
    Paused { link: LinkId },
    /// The server reads a link again.
    Resumed { link: LinkId },
    /// The server asked for a comparison.
    VerifyAsked { ticket: Ticket, password: Span },
    /// The server asked for a hash.
    HashAsked { ticket: Ticket },
    /// The server handed out a record.
    Persisted { number: RecordNumber, record: Record },
    /// The server asked for stored mail.
    LoadAsked(LoadMail),
    /// The server asked to be called.
    Scheduled { at: Time },
    /// The server remembers something else than it would read.
    Differs { what: String },
    /// The effects of a call are at their end.
    Returned,
    /// The store wrote a batch; it is not synced.
    Appended,
    /// The store synced its batch; records up to this one are durable.
    Synced { upto: RecordNumber },
    /// A client program started.
    ClientStarted {
        process: ProcessId,
        home: u8,
        place: Place,
        outlasts_server: bool,
        /// Whether it comes back to a server that it has lost.
        reconnects: bool,
        strict: bool,
        path: Way,
        accepts: AcceptPrivate,
    },
    /// A line was typed at it.
    Typed { process: ProcessId, line: u64, text: Span },
    /// It showed something. `delivered`: it is a message that must not be shown twice.
    Showed { process: ProcessId, view: Box<View>, delivered: bool },
    /// It noted as shown all messages that it has shown so far.
    Noted { process: ProcessId },
    /// It has its state folder, or closed it.
    Folder { process: ProcessId, open: bool },
    /// It ended by itself.
    ClientExited { process: ProcessId, exit: Exit },
    /// It was killed. `unnoted`: messages that were shown, or about to be, and not noted.
    ClientKilled { process: ProcessId, unnoted: u32 },
    /// It stopped running, or goes on.
    Frozen { process: ProcessId, frozen: bool },
    /// Its output was closed.
    OutputClosed { process: ProcessId },
    /// A client wants to be woken.
    ClientScheduled { process: ProcessId, at: Time },
    /// A stranger came to the private port of a client; they may know the id of an introduction.
    Stranger { process: ProcessId, knows_id: bool },
    /// Something concerns private links.
    Peer(PeerSeen),
    /// All faults are over.
    Healed,
}

impl Seen {
    /// Whether somebody said something: lines were sent, shown, or recorded.
    pub(crate) const fn is_said(&self) -> bool {
        matches!(self, Seen::Sent { .. } | Seen::Showed { .. } | Seen::Persisted { .. } | Seen::Closed { .. })
    }
}

/// What is seen of the private links of a client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum PeerSeen {
    /// It listens, or cannot (no address).
    Listens { process: ProcessId, addresses: Vec<SocketAddr> },
    /// It listens no more.
    StopsListening { process: ProcessId },
    /// Its router has answered that it passes a port on, or does so no more; how its place is then.
    Favoured { process: ProcessId, favour: Option<Favour>, place: Place },
    /// It wrote lines to the server of which one may be a request for a link or its answer.
    Asked { process: ProcessId, bytes: Span },
    /// It dialled.
    Dialled { process: ProcessId, address: SocketAddr },
    /// It dialled from a port where it listens.
    Punches { process: ProcessId, address: SocketAddr },
    /// It has a connection by that; the other side may have called at the same time.
    Punched { link: LinkId, process: ProcessId, address: SocketAddr, both: bool },
    /// Its dial has failed: a machine refused it, or nothing came back.
    Unreached { process: ProcessId, refused: bool },
    /// It has a connection: it dialled, or somebody else did.
    Joined { link: LinkId, process: ProcessId, dialled: bool },
    /// It has one through the server, on which it calls, or somebody else does.
    Relayed { link: LinkId, process: ProcessId, calls: bool },
    /// What the server has relayed to it is not what came.
    Tampered { process: ProcessId },
    /// It wrote lines.
    Said { link: LinkId, process: ProcessId, bytes: Span },
    /// It read bytes.
    Heard { link: LinkId, process: ProcessId, bytes: Span },
    /// It begins to encrypt the connection.
    Secured { link: LinkId, process: ProcessId },
    /// The other side has proved to it that it has a key; whether both can move a conversation.
    Proved { link: LinkId, process: ProcessId, key: DeviceKey, can_move: bool },
    /// The connection is gone. `closed`: by the client itself.
    Left { link: LinkId, process: ProcessId, closed: bool },
    /// Lines of new connections may take so long.
    Slow { latency_micros: u64 },
    /// Something may keep it from making links: it was cut off, or is about to end.
    Disturbed { process: ProcessId },
    /// Its connection to the server is gone.
    CutOff { process: ProcessId },
}

/// What the server was told: the event, without what only it must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Told {
    LinkOpened { link: LinkId, from: SocketAddr },
    Received { link: LinkId, bytes: Span },
    Flushed { link: LinkId, upto: u64 },
    StreamEnded { link: LinkId },
    LinkClosed { link: LinkId },
    Verified { ticket: Ticket, verdict: SeenVerdict },
    Hashed { ticket: Ticket, done: bool },
    Committed { upto: RecordNumber },
    StoreRefused { from: RecordNumber },
    MailLoaded { ticket: Ticket, count: u32 },
    Reloaded,
    HashesRenewed,
    Operator { ticket: Ticket },
    Obeyed { ticket: Ticket },
    Turn,
    Stop,
    Restart,
    Tick,
}

/// A verdict that can be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SeenVerdict {
    Right,
    Wrong,
    Overloaded,
}

impl From<Verdict> for SeenVerdict {
    fn from(verdict: Verdict) -> SeenVerdict {
        match verdict {
            Verdict::Right => SeenVerdict::Right,
            Verdict::Wrong => SeenVerdict::Wrong,
            Verdict::Overloaded => SeenVerdict::Overloaded,
        }
    }
}

/// The trace of a world.
#[derive(Debug)]
pub(crate) struct Trace {
    entries: Vec<(Time, Seen)>,
    bytes: Vec<u8>,
    digest: u64,
    hashing: FixedState,
}

impl Trace {
    pub(crate) fn new() -> Trace {
        Trace { entries: Vec::new(), bytes: Vec::new(), digest: 0, hashing: FixedState::with_seed(0) }
    }

    /// Keeps bytes for an entry.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Span { start: index(start), end: index(self.bytes.len()) }
    }

    /// Adds an entry.
    pub(crate) fn add(&mut self, now: Time, seen: Seen) {
        let mut hasher: FoldHasher<'_> = self.hashing.build_hasher();
        hasher.write_u64(self.digest);
        hasher.write_u64(now.0);
        self.mix(&seen, &mut hasher);
        self.digest = hasher.finish();
        self.entries.push((now, seen));
    }

    /// The bytes of an entry.
    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        self.bytes.get(span.start as usize..span.end as usize).unwrap_or(&[])
    }

    /// All entries since the last [`forget`](Self::forget).
    pub(crate) fn entries(&self) -> &[(Time, Seen)] {
        &self.entries
    }

    /// A number that differs when two traces do.
    pub(crate) const fn digest(&self) -> u64 {
        self.digest
    }

    /// Drops the entries that have been looked at.
    pub(crate) fn forget(&mut self) {
        self.entries.clear();
        self.bytes.clear();
    }

    fn mix(&self, seen: &Seen, hasher: &mut impl Hasher) {
        core::mem::discriminant(seen).hash(hasher);
        match seen {
            Seen::Sent { link, bytes } => {
                link.hash(hasher);
                hasher.write(self.bytes(*bytes));
            }
            Seen::Told(Told::Received { link, bytes }) => {
                link.hash(hasher);
                hasher.write(self.bytes(*bytes));
            }
            Seen::Told(told) => told.hash(hasher),
            Seen::Typed { process, line, text } => {
                (process, line).hash(hasher);
                hasher.write(self.bytes(*text));
            }
            Seen::Closed { link } | Seen::Paused { link } | Seen::Resumed { link } => link.hash(hasher),
            Seen::Persisted { number, record } => {
                number.hash(hasher);
                core::mem::discriminant(record).hash(hasher);
            }
            Seen::Showed { process, view, .. } => {
                process.hash(hasher);
                mix_view(view, hasher);
            }
            Seen::VerifyAsked { ticket, .. } | Seen::HashAsked { ticket } => ticket.hash(hasher),
            Seen::Scheduled { at } => at.hash(hasher),
            Seen::ClientScheduled { process, at } => (process, at).hash(hasher),
            Seen::Noted { process }
            | Seen::ClientExited { process, .. }
            | Seen::ClientKilled { process, .. }
            | Seen::ClientStarted { process, .. }
            | Seen::OutputClosed { process }
            | Seen::Stranger { process, .. } => process.hash(hasher),
            Seen::Peer(
                PeerSeen::Said { link, process, bytes } | PeerSeen::Heard { link, process, bytes },
            ) => {
                (link, process).hash(hasher);
                hasher.write(self.bytes(*bytes));
            }
            Seen::Peer(peer) => peer.hash(hasher),
            Seen::Folder { process, open } => (process, open).hash(hasher),
            Seen::Frozen { process, frozen } => (process, frozen).hash(hasher),
            Seen::LoadAsked(load) => load.user.hash(hasher),
            Seen::Synced { upto } => upto.hash(hasher),
            Seen::OperatorWants { ticket, .. } => ticket.hash(hasher),
            Seen::Acted { ticket, outcome } => (ticket, outcome).hash(hasher),
            Seen::Questioned { answers } => answers.hash(hasher),
            Seen::Ordered { ticket, words, .. } => {
                ticket.hash(hasher);
                hasher.write(self.bytes(*words));
            }
            Seen::OrderOver { done, lines } => (done, lines).hash(hasher),
            Seen::ServerStarted { .. }
            | Seen::ServerGone { .. }
            | Seen::FilesChanged { .. }
            | Seen::HashRenewed { .. }
            | Seen::Caller { .. }
            | Seen::Differs { .. }
            | Seen::Returned
            | Seen::Appended
            | Seen::Healed => {}
        }
    }
}

fn mix_view(view: &View, hasher: &mut impl Hasher) {
    core::mem::discriminant(view).hash(hasher);
    match view {
        View::Message(message) => (&message.text, &message.id, message.again).hash(hasher),
        View::Result { line, outcome, .. } => (line, outcome.is_ok()).hash(hasher),
        View::Presence { user, online } => (user, online).hash(hasher),
        View::LoggedIn { user, unread } => (user, unread).hash(hasher),
        View::PrivateClosed { user, reason } => (user, reason).hash(hasher),
        View::Offline { queued } => queued.hash(hasher),
        View::Connection(_)
        | View::Prompt { .. }
        | View::Wire { .. }
        | View::Addressee { .. }
        | View::Before { .. }
        | View::LoginRefused(_)
        | View::PrivateRequest { .. }
        | View::RequestOver { .. }
        | View::PrivateOpened { .. }
        | View::Group { .. }
        | View::Announcement { .. }
        | View::Notice(_)
        | View::Bye(_) => {}
    }
}

fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
