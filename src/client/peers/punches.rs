//! Simultaneous opens, which make routers let each other's clients in.
//!
//! Many routers and firewalls let in only who was called from inside. So both clients call each other at the same time,
//! each from the port where it listens. The connection to the server has that port too: the address that the server
//! sees, and tells the other, is the one that a router keeps for it. If both calls become one connection, both clients
//! have opened it: then the requester is its caller.

use alloc::borrow::ToOwned;
use core::net::SocketAddr;
use core::time::Duration;

use super::ClientState;
use super::asking::Listening;
use super::dials::{ROUNDS, Way, rounds_begun};
use super::link::{Origin, PeerLink, Stage};
use super::meeting::{ANSWER_PATIENCE, Meeting};
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::wire::Role;
use crate::words::LinkId;

/// For so long an address has only been dialled: where nothing stands between two clients, they have a link by then.
const DELAY: Duration = Duration::from_millis(200);

impl Way {
    /// When it is dialled next from the listening port.
    pub(super) fn punch_due(&self) -> Option<Time> {
        let begun = self.begun? + DELAY;
        ROUNDS.get(self.punches).map(|round| begun + *round)
    }
}

impl Meeting {
    /// A dial of the address from the listening port is over; returns whether it was one of this introduction.
    fn end_punch(&mut self, address: SocketAddr) -> bool {
        let punched = |way: &&mut Way| way.is_punching && way.address == address;
        let way = self.ways_mut().iter_mut().find(punched);
        way.map(|way| way.is_punching = false).is_some()
    }
}

impl PeerLink {
    /// Whether there is a connection to the user's address already, or one that can be opened.
    fn spares_punch(&self, name: &str, there: SocketAddr) -> bool {
        match &self.stage {
            Stage::Punched { user, address, .. } => user == name && *address == there,
            Stage::Stranger { .. }
            | Stage::Securing { .. }
            | Stage::Calling { .. }
            | Stage::Relayed { .. }
            | Stage::Ready { .. }
            | Stage::Nominated { .. }
            | Stage::Continuing { .. }
            | Stage::Standing { .. } => self.spares_dial(name, there),
        }
    }
}

impl ClientState {
    /// Dials the addresses whose round has come from the listening port, if there is one.
    pub(super) fn punch_when_due(&mut self) {
        let now = self.now;
        let listens = matches!(self.peers.listening, Listening::At(_));
        let peers = &mut self.peers;
        for (user, meeting) in peers.meetings.iter_mut().filter(|(_, meeting)| meeting.until > now) {
            for way in meeting.ways_mut() {
                if way.punch_due().is_none_or(|due| due > now) {
                    continue;
                }
                way.punches = way.begun.map_or(0, |begun| rounds_begun(begun + DELAY, now));
                let spared = peers.links.values().any(|link| link.spares_punch(user, way.address));
                if listens && !way.is_punching && !spared && !planted::is(Planted::ClientNeverPunches) {
                    way.is_punching = true;
                    self.outbox.punch_peer(way.address);
                }
            }
        }
    }

    /// There is a connection from the listening port: the requester calls on it, the accepter is called.
    pub(super) fn on_punched(&mut self, link: LinkId, address: SocketAddr) {
        let mut meetings = self.peers.meetings.iter_mut();
        let found = meetings.find_map(|(user, meeting)| {
            meeting.end_punch(address).then(|| (user.to_owned(), meeting.role()))
        });
        match found {
            Some((user, Role::Requester)) => self.call(link, &user, Origin::Dialled(address)),
            Some((user, Role::Accepter)) if planted::is(Planted::BothCallPunched) => {
                self.call(link, &user, Origin::Dialled(address));
            }
            Some((user, Role::Accepter)) => {
                let hurries = planted::is(Planted::PunchedHasNoTime);
                let until = self.now + if hurries { Duration::ZERO } else { ANSWER_PATIENCE };
                self.add_link(link, Stage::Punched { user, address, until });
            }
            None => self.outbox.close_peer(link),
        }
    }

    /// It may have been for an introduction that is over: then the address is dialled once too often.
    pub(in super::super) fn on_peer_unpunched(&mut self, address: SocketAddr) {
        self.peers.meetings.values_mut().for_each(|meeting| _ = meeting.end_punch(address));
    }
}
