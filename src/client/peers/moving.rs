//! Conversations that move to another link (R69).
//!
//! A conversation that the server relays began there because that was faster, or the first calls were lost. The two go on
//! calling each other for as long as their introduction lasts, and move to the first direct link. The requester says
//! where; each side says how many texts have arrived, and says again those that have not.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;

use super::ClientState;
use super::link::{PeerLink, Stage};
use super::meeting::{ANSWER_PATIENCE, Meeting};
use super::relays::{self, Wish};
use crate::client::settings::Way;
use crate::planted::{self, Planted};
use crate::wire::{PeerLine, Role};
use crate::words::{LinkId, Text, Token};

impl ClientState {
    /// A conversation has begun on this link. If a direct one would be better, and the other side can move, the two go on
    /// calling each other.
    pub(super) fn go_on_meeting(&mut self, link: LinkId, user: &str, mut meeting: Meeting) {
        let can_move = self.peers.links.get(&link).is_some_and(|known| known.can_move);
        let is_over = meeting.until <= self.now;
        let moves = relays::is_relayed(link) && meeting.way == Way::Auto && can_move && !is_over;
        if !moves || planted::is(Planted::ClientStaysOnRelay) {
            return self.drop_links_meeting(user);
        }
        (meeting.moves, meeting.doubt) = (Some(meeting.id), None);
        meeting.relay = Wish::No;
        self.peers.meetings.insert(user.to_owned(), meeting);
    }

    /// The requester moves the conversation with a user to a link that is ready, if there is one.
    pub(super) fn move_when_possible(&mut self, user: &str) {
        let Some(meeting) = self.peers.meetings.get(user) else { return };
        let moves = meeting.role() == Role::Requester || planted::is(Planted::AccepterMoves);
        let Some(id) = meeting.moves.filter(|_| moves) else { return };
        let ready = |known: &PeerLink| known.is_ready_for(user) && known.can_move;
        let link = self.peers.links.iter().find(|(_, known)| ready(known)).map(|(link, _)| *link);
        let Some((link, conversation)) = link.zip(self.peers.conversations.get_mut(user)) else { return };
        conversation.next = Some(link);
        let arrived = conversation.arrived;
        self.outbox.send_peer(link, &PeerLine::Continue { id, arrived });
        self.turn(
            link,
            Stage::Continuing { user: user.to_owned(), arrived, until: self.now + ANSWER_PATIENCE },
        );
        self.end_meeting(user);
        self.drop_other_links_meeting(user, link);
    }

    pub(super) fn drop_other_links_meeting(&mut self, user: &str, but: LinkId) {
        let links = self.peers.links.iter();
        let others = links.filter(|(link, known)| known.meets() == Some(user) && **link != but);
        let others: Vec<LinkId> = others.map(|(link, _)| *link).collect();
        others.into_iter().for_each(|link| self.drop_link(link));
    }

    /// The requester moves a conversation to this link.
    pub(super) fn on_continue(&mut self, link: LinkId, user: &str, id: Token, has: u64) {
        let meeting = self.peers.meetings.get(user);
        let is_any = planted::is(Planted::MoveTakesAnyId);
        let role = meeting.filter(|meeting| meeting.moves == Some(id) || is_any).map(Meeting::role);
        let conversation = self.peers.conversations.get(user);
        let conversation = conversation.filter(|conversation| conversation.id == id || is_any);
        let Some(arrived) = conversation.map(|conversation| conversation.arrived) else {
            return self.break_link(link);
        };
        if role != Some(Role::Accepter) || !self.may_have(user, has) {
            return self.break_link(link);
        }
        self.outbox.send_peer(link, &PeerLine::Continued { arrived });
        // It runs here before the others are closed, of which one may be all that it has.
        self.go_on_at(link, user, arrived, has);
        self.search_again(link, user);
        self.end_meeting(user);
        self.drop_other_links_meeting(user, link);
    }

    /// The accepter has agreed to move a conversation to this link.
    pub(super) fn on_continued(&mut self, link: LinkId, user: &str, said: u64, has: u64) {
        if self.may_have(user, has) {
            self.go_on_at(link, user, said, has);
            self.search_again(link, user);
        } else {
            self.lose_conversation(user);
        }
    }

    /// Whether the other side can have had so many of this client's texts. It may have acknowledged more since.
    fn may_have(&self, user: &str, count: u64) -> bool {
        self.peers.conversations.get(user).is_some_and(|conversation| {
            let acknowledged = conversation.sent - conversation.open.len() as u64;
            let is_refused = count < acknowledged && planted::is(Planted::MoveRefusesAcknowledged);
            (count <= conversation.sent || planted::is(Planted::MoveTakesAnyCount)) && !is_refused
        })
    }

    /// The conversation goes on at this link: the other side says again what came after `said` and was not acknowledged
    /// since, and has the texts up to `has`.
    pub(super) fn go_on_at(&mut self, link: LinkId, user: &str, said: u64, has: u64) {
        self.turn(link, Stage::Standing { user: user.to_owned() });
        let Some(conversation) = self.peers.conversations.get_mut(user) else { return };
        let old = conversation.link.replace(link);
        conversation.next = None;
        (conversation.lost_at, conversation.in_vain) = (None, 0);
        (conversation.heard, conversation.is_new_link) = (said, true);
        if conversation.shown > 0 && !planted::is(Planted::MoveForgetsAcknowledgement) {
            self.outbox.send_peer(link, &PeerLine::Acknowledge { number: conversation.shown });
        }
        let unheard = conversation.open.iter().filter(|kept| kept.number > has);
        let forgets = planted::is(Planted::MoveForgetsTexts)
            || relays::is_relayed(link) && planted::is(Planted::RejoinForgetsTexts);
        for kept in unheard.filter(|_| !forgets) {
            let Some(text) = Text::new(&kept.text) else { continue };
            let again = PeerLine::Text { number: kept.number, sent_at: kept.sent_at, text };
            self.outbox.send_peer(link, &again);
        }
        if let Some(old) = old {
            self.drop_link(old);
        }
    }

    /// The link of a conversation has ended without a `close`: it may be that it was moved, or will be.
    pub(super) fn lose_link(&mut self, user: &str) {
        if let Some(conversation) = self.peers.conversations.get_mut(user) {
            conversation.link = None;
        }
        if planted::is(Planted::MoveEndsWithOldLink) {
            return self.lose_conversation(user);
        }
        self.lose_conversation_without_link(user);
    }

    /// The link that a conversation was to move to has ended: it stays where it is.
    pub(super) fn stay(&mut self, user: &str) {
        if let Some(conversation) = self.peers.conversations.get_mut(user) {
            conversation.next = None;
        }
        self.lose_conversation_without_link(user);
    }

    /// A conversation without a link goes on over a relay when no other link can take over.
    pub(super) fn lose_conversation_without_link(&mut self, user: &str) {
        let has_no_link = self.peers.conversations.get(user).is_some_and(|open| open.link.is_none());
        let moves = self.peers.conversations.get(user).is_some_and(|open| open.next.is_some())
            || self.peers.meetings.get(user).is_some_and(|meeting| meeting.moves.is_some());
        let can_go_on = moves && self.peers.links.values().any(|known| known.may_take_over(user));
        if has_no_link && !can_go_on {
            self.rejoin(user);
        }
    }

    /// The conversation with a user stays on its link, or is over.
    pub(super) fn abandon_move(&mut self, user: &str) {
        if self.peers.meetings.get(user).is_some_and(|meeting| meeting.moves.is_some()) {
            self.abandon_meeting(user);
        }
    }
}
