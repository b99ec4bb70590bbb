//! A connection with another client, from its first byte to its end.

use alloc::string::String;
use core::net::SocketAddr;

use crate::time::Time;
use crate::wire::Framer;
use crate::words::Token;

/// A connection with another client.
pub(super) struct PeerLink {
    pub(super) framer: Framer,
    pub(super) stage: Stage,
    /// Whether the other side can move a conversation to another link; known once it has proved its key.
    pub(super) can_move: bool,
}

/// Who has called on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// This client, at this address.
    Dialled(SocketAddr),
    /// This client, through the server.
    Relay,
    /// The other side.
    Caller,
}

pub(super) enum Stage {
    /// Somebody has connected and is not identified. They may have come before their introduction, which is
    /// then on its way.
    Stranger { from: SocketAddr, until: Time, early: Option<(Token, Token)> },
    /// This client has connected to an address of the user from its listening port, and expects to be called.
    Punched { user: String, address: SocketAddr, until: Time },
    /// The caller has proved that it knows the introduction, or this client has; the link is being encrypted, and both
    /// prove their keys.
    Securing { user: String, origin: Origin, until: Time },
    /// The other side has proved its key, and is to say that it is ready.
    Calling { user: String, origin: Origin, until: Time },
    /// The server relays it, and the other side is to call.
    Relayed { user: String, until: Time },
    /// Both sides know the introduction.
    Ready { user: String },
    /// The requester has chosen this link and waits for `opened`.
    Nominated { user: String },
    /// The requester moves a conversation here, has received so many of its texts, and waits for `continued`.
    Continuing { user: String, arrived: u64, until: Time },
    /// Texts may flow.
    Standing { user: String },
}

impl PeerLink {
    /// When it must have been identified.
    pub(super) fn due(&self) -> Option<Time> {
        match &self.stage {
            Stage::Stranger { until, .. }
            | Stage::Punched { until, .. }
            | Stage::Securing { until, .. }
            | Stage::Calling { until, .. }
            | Stage::Relayed { until, .. }
            | Stage::Continuing { until, .. } => Some(*until),
            Stage::Ready { .. } | Stage::Nominated { .. } | Stage::Standing { .. } => None,
        }
    }

    /// The user with whom the link is being made.
    pub(super) fn meets(&self) -> Option<&str> {
        match &self.stage {
            Stage::Punched { user, .. }
            | Stage::Securing { user, .. }
            | Stage::Calling { user, .. }
            | Stage::Relayed { user, .. }
            | Stage::Ready { user }
            | Stage::Nominated { user }
            | Stage::Continuing { user, .. } => Some(user),
            Stage::Stranger { .. } | Stage::Standing { .. } => None,
        }
    }

    /// Where somebody has come from who is not identified.
    pub(super) fn stranger(&self) -> Option<SocketAddr> {
        match &self.stage {
            Stage::Stranger { from, .. } => Some(*from),
            Stage::Punched { .. }
            | Stage::Securing { .. }
            | Stage::Calling { .. }
            | Stage::Relayed { .. }
            | Stage::Ready { .. }
            | Stage::Nominated { .. }
            | Stage::Continuing { .. }
            | Stage::Standing { .. } => None,
        }
    }

    /// What somebody has said who came before their introduction: a nonce and a proof.
    pub(super) fn early(&self) -> Option<(Token, Token)> {
        match &self.stage {
            Stage::Stranger { early, .. } => *early,
            Stage::Punched { .. }
            | Stage::Securing { .. }
            | Stage::Calling { .. }
            | Stage::Relayed { .. }
            | Stage::Ready { .. }
            | Stage::Nominated { .. }
            | Stage::Continuing { .. }
            | Stage::Standing { .. } => None,
        }
    }

    /// Whether dialling the user there is of no use now: they were called there, or can be told to open a link.
    pub(super) fn spares_dial(&self, name: &str, there: SocketAddr) -> bool {
        match &self.stage {
            Stage::Securing { user, origin, .. } | Stage::Calling { user, origin, .. } => {
                user == name && *origin == Origin::Dialled(there)
            }
            Stage::Ready { .. }
            | Stage::Nominated { .. }
            | Stage::Continuing { .. }
            | Stage::Stranger { .. }
            | Stage::Punched { .. }
            | Stage::Relayed { .. }
            | Stage::Standing { .. } => self.can_be_opened(name),
        }
    }

    /// Whether nothing but the choice of this link is left to do.
    pub(super) fn can_be_opened(&self, name: &str) -> bool {
        matches!(&self.stage, Stage::Ready { user } | Stage::Nominated { user } if user == name)
    }

    /// Whether a conversation with the user may go on here when its own link has ended.
    pub(super) fn may_take_over(&self, name: &str) -> bool {
        match &self.stage {
            Stage::Calling { user, .. } | Stage::Ready { user } | Stage::Continuing { user, .. } => {
                user == name
            }
            Stage::Stranger { .. }
            | Stage::Punched { .. }
            | Stage::Securing { .. }
            | Stage::Relayed { .. }
            | Stage::Nominated { .. }
            | Stage::Standing { .. } => false,
        }
    }

    pub(super) fn stage_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }

    pub(super) fn is_continuing(&self) -> bool {
        matches!(&self.stage, Stage::Continuing { .. })
    }

    pub(super) fn is_ready_for(&self, name: &str) -> bool {
        matches!(&self.stage, Stage::Ready { user } if user == name)
    }
}
