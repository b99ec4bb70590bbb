//! The inbox of the task that owns the state.

use std::net::SocketAddr;

use super::control::Asker;
use super::metrics::Figures;
use super::orders::Order;
use super::setup::reload::{Reload, ReloadError};
use super::shortages::Disk;
use crate::server::{Renewal, Verdict};
use crate::shell::platform::{Listener, Platform, System};
use crate::shell::store;
use crate::shell::tunnel::acceptor::Acceptor;
use crate::words::wiped::WipedBytes;
use crate::words::{Credential, LinkId, Name, Ticket};

/// Capacity. When the inbox is full, connections stop reading and TCP pushes back.
pub(super) const CAPACITY: usize = 256;

/// An item for the state task.
pub(super) enum Item<P: Platform = System> {
    /// A client connected.
    Opened {
        arrival: <P::Listener as Listener>::Arrival,
        from: SocketAddr,
    },
    /// Some of a handshake was read, and the work for it is to be done.
    Handshake {
        link: LinkId,
    },
    /// The bytes of one read; there may be a password in them.
    Chunk {
        link: LinkId,
        bytes: WipedBytes,
    },
    /// The client closed its side; it may still read.
    StreamEnded {
        link: LinkId,
    },
    /// The connection's own task has written. `upto` counts over the life of the link.
    Flushed {
        link: LinkId,
        upto: u64,
    },
    /// The connection's task ended: it was closed or lost, or its client was too slow.
    Ended {
        link: LinkId,
    },
    Verified {
        ticket: Ticket,
        verdict: Verdict,
        /// The hash that was compared, and one of the right cost.
        renewed: Option<(Credential, Credential)>,
    },
    Hashed {
        ticket: Ticket,
        credential: Option<Credential>,
    },
    Stored(store::Answer),
    /// Lines of the credentials file were replaced by new hashes of their passwords.
    HashesRenewed(Vec<Renewal>),
    /// Settings and credentials were read again; valid ones. For an operator, if one waits.
    Reloaded(Result<Box<Reload>, ReloadError>, Option<Asker>),
    /// An operator wants something.
    Operator(Order, Asker),
    /// A user who is an operator wants something done.
    Ordered {
        ticket: Ticket,
        user: Name,
        words: Box<str>,
    },
    /// Somebody asks for metrics, and may have gone.
    Measure(async_channel::Sender<Box<Figures>>),
    /// The certificate that the server made itself ends before long.
    CertificateDue,
    /// Another certificate was made.
    CertificateRenewed(Acceptor),
    /// The disk of the data folder was looked at.
    DiskSeen(Option<Disk>),
    /// The operator asked to stop; the second time, at once.
    Stop,
    /// The operator wants the server to restart.
    Restart(Wish),
    /// The service manager waits to hear that the state task runs.
    WatchdogDue,
}

/// How a restart was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// By a signal, which may be one of the service manager.
    Signal,
    /// By an order, which the service manager does not know of: it would start the server when somebody connects.
    Order,
}

pub(super) type Sender<P = System> = async_channel::Sender<Item<P>>;
pub(super) type Receiver<P = System> = async_channel::Receiver<Item<P>>;

pub(super) fn inbox<P: Platform>() -> (Sender<P>, Receiver<P>) {
    async_channel::bounded(CAPACITY)
}

/// Forwards answers of the store to the inbox until either is closed.
pub(super) async fn forward<P: Platform>(answered: async_channel::Receiver<store::Answer>, inbox: Sender<P>) {
    while let Ok(answer) = answered.recv().await {
        if inbox.send(Item::Stored(answer)).await.is_err() {
            break;
        }
    }
}
