//! What two users were told about each other, and how far their connections are.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::moves::{Debt, Talk};
use crate::sim::calls::proof;
use crate::sim::relayed::is_relayed;
use crate::sim::trace::ProcessId;
use crate::time::Time;
use crate::words::{DeviceKey, LinkId, Token};

/// What the server has told two users about each other.
#[derive(Debug)]
pub(super) struct Introduction {
    pub(super) at: Time,
    pub(super) sides: Vec<Side>,
}

#[derive(Debug)]
pub(super) struct Side {
    /// `None`: a person by hand.
    pub(super) process: Option<ProcessId>,
    /// The other's name.
    pub(super) user: String,
    pub(super) is_requester: bool,
    /// The key that the other has to prove.
    pub(super) key: Option<DeviceKey>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) dialled: BTreeMap<SocketAddr, u32>,
    /// From the listening port.
    pub(super) punched: BTreeMap<SocketAddr, u32>,
    pub(super) nominated: Option<LinkId>,
    /// When the requester first lost the link that it had chosen.
    pub(super) lost_choice: Option<Time>,
    pub(super) opened: bool,
    pub(super) shown: bool,
    pub(super) talk: Talk,
    /// When its client uses it no more.
    pub(super) good_until: Time,
    /// Of the calls that were taken.
    pub(super) nonces: BTreeSet<String>,
    /// The two look for a direct link for the conversation that began with this introduction.
    pub(super) continues: Option<String>,
    /// The requester has said where the conversation moves.
    pub(super) is_moved: bool,
}

/// A client's end of a connection with another.
#[derive(Debug)]
pub(super) struct End {
    pub(super) dialled: bool,
    pub(super) heard: Vec<u8>,
    pub(super) stage: Stage,
    /// Of the introduction.
    pub(super) id: String,
    /// As the caller has said.
    pub(super) nonce: String,
    /// What the other side has proved.
    pub(super) proved: Option<DeviceKey>,
    /// Whether both sides can move a conversation to another link.
    pub(super) can_move: bool,
    pub(super) is_nominated: bool,
    /// When the client has begun to move its conversation here.
    pub(super) moved_at: Time,
    /// The other side moves the conversation here, and has so many of its texts.
    pub(super) moved_with: Option<u64>,
    /// The number of the next text that is said here.
    pub(super) next_text: u64,
    pub(super) debt: Debt,
}

impl End {
    pub(super) fn new(dialled: bool) -> End {
        End {
            dialled,
            heard: Vec::new(),
            stage: Stage::New,
            id: String::new(),
            nonce: String::new(),
            proved: None,
            can_move: false,
            is_nominated: false,
            moved_at: Time::ZERO,
            moved_with: None,
            next_text: 1,
            debt: Debt::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    New,
    /// The caller has proved that it knows the id.
    Called,
    /// The client encrypts the connection.
    Secured,
    Ready,
    /// The client moves its conversation here.
    Moving,
    Open,
    /// The other side has said what is not its part.
    Broken,
}

impl Side {
    /// Whether its client may call the other: there is no link, or only one that is relayed.
    pub(super) const fn may_call(&self) -> bool {
        !self.opened || self.talk.can_move
    }

    /// The same on a link of which nothing else is known: a relay may be for a conversation that was lost.
    pub(super) fn may_call_on(&self, link: LinkId, now: Time) -> bool {
        let is_known = self.talk.can_rejoin || self.is_in_doubt(now);
        self.may_call() && self.good_until >= now || is_relayed(link) && is_known
    }
}

impl Introduction {
    pub(super) fn side(&self, process: ProcessId) -> Option<&Side> {
        self.sides.iter().find(|side| side.process == Some(process))
    }

    pub(super) fn side_mut(&mut self, process: ProcessId) -> Option<&mut Side> {
        self.sides.iter_mut().find(|side| side.process == Some(process))
    }

    /// The name of a client's own user, as the other side was told it.
    pub(super) fn name_of(&self, process: ProcessId) -> Option<&str> {
        let other = self.sides.iter().find(|side| side.process != Some(process));
        other.map(|side| side.user.as_str())
    }

    /// Whether a call between a client and the other proves that its caller knows the id.
    pub(super) fn is_proved(&self, id: &str, process: ProcessId, dialled: bool, said: (&str, &str)) -> bool {
        let (nonce, shown) = said;
        let (Some(side), Some(own), Ok(id)) =
            (self.side(process), self.name_of(process), id.parse::<Token>())
        else {
            return false;
        };
        let (from, to) = if dialled { (own, side.user.as_str()) } else { (side.user.as_str(), own) };
        proof(id, nonce, side.is_requester == dialled, from, to) == shown
    }
}
