//! Who is let in at the private port.
//!
//! The port is open only while this client expects to meet somebody. Until a caller has said the id of an
//! introduction, they have one of a few places for a short time, hear nothing, and are reset at the end of it.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::ClientState;
use super::asking::Listening;
use super::link::{PeerLink, Stage};
use super::meeting::Meeting;
use crate::client::settings::Way;
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::words::{LinkId, Token};

/// How long a caller may take to say the id. Callers say it as soon as they are connected.
const PROOF_PATIENCE: Duration = Duration::from_millis(300);

/// Callers who have not said the id; a further one is reset.
const PLACES: usize = 4;

/// Places for callers whose address no introduction names. The others are kept for those who are meant.
const PLACES_FOR_OTHERS: usize = 2;

impl Meeting {
    /// Whether the other is let in at the port.
    fn lets_in(&self, now: Time) -> bool {
        self.way != Way::Relay && self.until > now
    }
}

impl ClientState {
    /// Somebody has connected.
    pub(super) fn on_caller(&mut self, link: LinkId, from: SocketAddr) {
        if self.expects_somebody() && self.has_place_for(from.ip()) {
            let stage = Stage::Stranger { from, until: self.now + PROOF_PATIENCE, early: None };
            self.add_link(link, stage);
        } else {
            self.outbox.reset_peer(link);
        }
    }

    /// Whether this client has asked for a link or agreed to one, and that is not decided yet.
    fn expects_somebody(&self) -> bool {
        let asks = self
            .lasting_session()
            .is_some_and(|session| session.commands.iter().any(|asked| asked.command.is_private()));
        asks || self.peers.meetings.values().any(|meeting| meeting.lets_in(self.now))
            || !self.peers.drafts.is_empty()
    }

    fn has_place_for(&self, ip: IpAddr) -> bool {
        let strangers = self.peers.links.values().filter_map(PeerLink::stranger);
        let (meant, others): (Vec<IpAddr>, Vec<IpAddr>) =
            strangers.map(|from| from.ip()).partition(|ip| self.is_meant(*ip));
        let for_others =
            if planted::is(Planted::StrangersTakeAllPlaces) { PLACES } else { PLACES_FOR_OTHERS };
        meant.len() + others.len() < PLACES && (self.is_meant(ip) || others.len() < for_others)
    }

    /// Whether an introduction names this address.
    fn is_meant(&self, ip: IpAddr) -> bool {
        self.peers.meetings.values().any(|meeting| meeting.names(ip))
    }

    /// Closes the port when nobody is expected any more.
    pub(in super::super) fn close_door(&mut self) {
        let is_open = matches!(self.peers.listening, Listening::At(_));
        if !is_open || self.expects_somebody() || planted::is(Planted::ClientDoorStaysOpen) {
            return;
        }
        self.peers.listening = Listening::No;
        self.outbox.stop_listening();
        let strangers = self.peers.links.iter().filter(|(_, link)| link.stranger().is_some());
        let strangers: Vec<LinkId> = strangers.map(|(link, _)| *link).collect();
        strangers.into_iter().for_each(|link| self.drop_link(link));
    }

    /// A caller identifies itself. Only a client that the server has introduced can; all others learn nothing.
    pub(super) fn on_call(&mut self, link: LinkId, nonce: Token, proof: Token) {
        let now = self.now;
        let own = self.session().map(|session| session.user.clone());
        let Some(own) = own else { return self.drop_link(link) };
        // Whoever has their links relayed lets nobody in, who would see their address.
        let called = |(user, meeting): (&String, &mut Meeting)| {
            let is_called = meeting.lets_in(now) && meeting.is_called(user, own.as_str(), nonce, proof);
            is_called.then(|| user.clone())
        };
        let user = self.peers.meetings.iter_mut().find_map(called);
        match user {
            Some(user) => self.secure(link, &user),
            None if self.awaits_introduction() => self.wait_for_introduction(link, nonce, proof),
            None => self.drop_link(link),
        }
    }

    /// The same on a link that the server relays: it can be of one user only.
    pub(super) fn on_relayed_call(&mut self, link: LinkId, user: &str, nonce: Token, proof: Token) {
        let own = self.session().map(|session| session.user.clone());
        let meeting = self.peers.meetings.get_mut(user).zip(own);
        match meeting.map(|(meeting, own)| meeting.is_called(user, own.as_str(), nonce, proof)) {
            Some(true) => self.secure(link, user),
            Some(false) | None => self.break_link(link),
        }
    }

    /// Whether the server is to introduce somebody: who is introduced to them first may call before.
    fn awaits_introduction(&self) -> bool {
        self.lasting_session().is_some_and(|session| session.commands.await_introduction())
    }

    /// The other client was introduced first.
    fn wait_for_introduction(&mut self, link: LinkId, nonce: Token, proof: Token) {
        if let Some(Stage::Stranger { early, .. }) = self.peers.links.get_mut(&link).map(PeerLink::stage_mut)
        {
            *early = Some((nonce, proof));
        }
    }

    /// Lets callers in that came before their introduction. Others may wait for another one.
    pub(super) fn admit_early(&mut self, user: &str) {
        let own = self.session().map(|session| session.user.clone());
        let meeting = self.peers.meetings.get_mut(user).filter(|meeting| meeting.way != Way::Relay);
        let (Some(meeting), Some(own)) = (meeting, own) else { return };
        let early = self.peers.links.iter().filter_map(|(link, known)| Some((*link, known.early()?)));
        let called =
            early.filter(|(_, (nonce, proof))| meeting.is_called(user, own.as_str(), *nonce, *proof));
        let callers: Vec<LinkId> = called.map(|(link, _)| link).collect();
        callers.into_iter().for_each(|link| self.secure(link, user));
    }
}
