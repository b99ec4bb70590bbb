//! What the one task that owns the state is told.

use std::net::SocketAddr;

use async_net::TcpStream;

use super::reload::Reload;
use crate::server::Verdict;
use crate::shell::store;
use crate::words::{Credential, LinkId, Ticket};

/// Items that may wait. Connections wait before they read more, and TCP pushes back.
pub(super) const CAPACITY: usize = 256;

/// Something that happened outside.
pub(super) enum Item {
    /// Somebody connected.
    Opened {
        socket: TcpStream,
        from: SocketAddr,
    },
    /// All bytes of one read.
    Chunk {
        link: LinkId,
        bytes: Box<[u8]>,
    },
    /// The client has said all; it may still listen.
    StreamEnded {
        link: LinkId,
    },
    /// The connection's own task has written; counted over the life of the link.
    Flushed {
        link: LinkId,
        upto: u64,
    },
    /// The connection's task is over: the connection is closed or lost, or its client was too slow.
    Ended {
        link: LinkId,
    },
    Verified {
        ticket: Ticket,
        verdict: Verdict,
    },
    Hashed {
        ticket: Ticket,
        credential: Option<Credential>,
    },
    Stored(store::Answer),
    /// Settings and credentials were read again and are good.
    Reloaded(Box<Reload>),
    /// The operator wants the end; the second time: at once.
    Stop,
}

pub(super) type Sender = async_channel::Sender<Item>;
pub(super) type Receiver = async_channel::Receiver<Item>;

pub(super) fn inbox() -> (Sender, Receiver) {
    async_channel::bounded(CAPACITY)
}

/// Puts what the store says into the inbox, for as long as both are there.
pub(super) async fn forward(answered: async_channel::Receiver<store::Answer>, inbox: Sender) {
    while let Ok(answer) = answered.recv().await {
        if inbox.send(Item::Stored(answer)).await.is_err() {
            break;
        }
    }
}
