//! Conversations that have lost their link (R70).
//!
//! A machine that changes its network, or a router that forgets, cuts a conversation off without a `close`. Both clients
//! are still there: they go on over a relay, say again what has not arrived, and look for a direct link from there.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::conversation::Conversation;
use super::meeting::{MEETING_PATIENCE, Meeting};
use super::relays::{self, Wish};
use super::{ClientState, Peers};
use crate::client::settings::Way;
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::wire::{PeerLine, Role};
use crate::words::{DeviceKey, LinkId, Token};

/// How long a conversation may have no link.
const REJOIN_PATIENCE: Duration = Duration::from_secs(15);

/// How long after a relay failed the next one is asked for.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether two who talk over a relay look for a direct link, after they have lost one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    /// They do not, or have done so already.
    No,
    /// The other side, which is the requester, may say that they do.
    Expected,
    /// Both have said that they do.
    Agreed,
}

impl Meeting {
    /// The two of a conversation know each other already: they need a relay, and call nobody elsewhere.
    fn of_lost(conversation: &Conversation, until: Time) -> Meeting {
        Meeting {
            role: conversation.role,
            id: conversation.id,
            key: conversation.key,
            until,
            calls: conversation.calls,
            nonces: Vec::new(),
            last_nonce: conversation.last_nonce,
            ways: Vec::new(),
            way: Way::Relay,
            relay: Wish::No,
            moves: Some(conversation.id),
            nominated: None,
            asked: Vec::new(),
        }
    }
}

impl Peers {
    /// Whether the conversation with a user has no link.
    pub(super) fn is_lost(&self, user: &str) -> bool {
        self.conversations.get(user).is_some_and(|conversation| conversation.lost_at.is_some())
    }

    /// Whether this client has agreed to look for a direct link with a user.
    pub(super) fn is_sought(&self, user: &str) -> bool {
        let conversation = self.conversations.get(user);
        conversation.is_some_and(|conversation| conversation.search == Search::Agreed)
    }
}

impl ClientState {
    /// A conversation has no link, and none that it may move to: it goes on over a relay, or is over.
    pub(super) fn rejoin(&mut self, user: &str) {
        let now = self.now;
        let may = self.way_to(user) != Way::Direct
            && self.may_have_relays()
            && !planted::is(Planted::ClientNeverRejoins);
        let begins_anew = self.begins_anew(user);
        let Some(conversation) = self.peers.conversations.get_mut(user) else { return };
        let due = if conversation.lost_at.is_none() { now } else { now + PAUSE };
        let until = *conversation.lost_at.get_or_insert(now) + REJOIN_PATIENCE;
        if !may || !conversation.can_move || begins_anew || until <= now {
            return self.lose_conversation(user);
        }
        self.know_again(user, until);
        if let Some(meeting) = self.peers.meetings.get_mut(user).filter(|meeting| meeting.relay == Wish::No) {
            meeting.relay = Wish::Due(due);
        }
        self.open_relays_when_due();
    }

    /// The two of a conversation are to find each other on a relay, by the introduction that it began with. A search for a
    /// direct link by a later one is over.
    fn know_again(&mut self, user: &str, until: Time) {
        let Some(conversation) = self.peers.conversations.get(user) else { return };
        if self.peers.meetings.get(user).is_some_and(|meeting| meeting.id == conversation.id) {
            return;
        }
        let again = Meeting::of_lost(conversation, until);
        if let Some(search) = self.peers.meetings.insert(user.to_owned(), again) {
            self.drop_links_meeting(user);
            self.fail_meeting(search);
        }
    }

    /// Whether the two were introduced for another conversation.
    fn begins_anew(&self, user: &str) -> bool {
        self.peers.meetings.get(user).is_some_and(|meeting| meeting.moves.is_none())
    }

    /// Whether the server relays, as far as this client knows: it may be away.
    fn may_have_relays(&self) -> bool {
        let is_away = self.lasting_session().is_some_and(|session| session.is_waiting());
        is_away || self.has_relays()
    }

    /// The session goes on: conversations without a link ask for a relay.
    pub(in super::super) fn rejoin_all(&mut self) {
        let lost = self.peers.conversations.iter().filter(|(_, conversation)| conversation.lost_at.is_some());
        let lost: Vec<String> = lost.map(|(user, _)| user.clone()).collect();
        for user in lost {
            if let Some(meeting) = self.peers.meetings.get_mut(&user).filter(|known| known.relay == Wish::No)
            {
                meeting.relay = Wish::Due(self.now);
            }
            self.lose_conversation_without_link(&user);
        }
    }

    /// A relay was refused, or has failed; returns whether another one is asked for.
    pub(super) fn ask_for_relay_again(&mut self, user: &str) -> bool {
        let is_lost = self.peers.is_lost(user);
        let meeting = self.peers.meetings.get_mut(user).filter(|meeting| is_lost && meeting.moves.is_some());
        meeting.map(|meeting| meeting.relay = Wish::Due(self.now + PAUSE)).is_some()
    }

    /// The server relays for a user who has lost the link of a conversation, of which this client may not know yet.
    pub(super) fn be_rejoined(&mut self, user: &str) {
        let can_move = self.peers.conversations.get(user).is_some_and(|conversation| conversation.can_move);
        if can_move && !self.begins_anew(user) && self.way_to(user) != Way::Direct {
            self.know_again(user, self.now + MEETING_PATIENCE);
        }
    }

    /// An introduction is over: the conversation that began with it keeps what its calls have used up.
    pub(super) fn end_meeting(&mut self, user: &str) -> Option<Meeting> {
        let meeting = self.peers.meetings.remove(user)?;
        if let Some(conversation) =
            self.peers.conversations.get_mut(user).filter(|known| known.id == meeting.id)
        {
            let met = meeting.met();
            (conversation.calls, conversation.last_nonce) = (met.calls, met.last_nonce);
        }
        Some(meeting)
    }

    /// A conversation goes on at a link. If that is a relay, because the link before was lost, the two look for a direct
    /// one.
    pub(super) fn search_again(&mut self, link: LinkId, user: &str) {
        let searches = relays::is_relayed(link)
            && self.way_to(user) == Way::Auto
            && !planted::is(Planted::ClientNeverMeetsAgain);
        let Some(conversation) = self.peers.conversations.get_mut(user) else { return };
        conversation.search = match conversation.role {
            _ if !searches => Search::No,
            Role::Requester => Search::Agreed,
            Role::Accepter => Search::Expected,
        };
        if conversation.search == Search::Agreed {
            self.outbox.send_peer(link, &PeerLine::Meet);
        }
    }

    /// `meet`: the requester looks for a direct link, and expects to be asked for one.
    pub(super) fn on_meet(&mut self, link: LinkId, user: &str) {
        let Some(conversation) = self.peers.conversations.get_mut(user) else { return };
        match (conversation.role, conversation.search) {
            (Role::Accepter, Search::Expected) => {
                conversation.search = Search::Agreed;
                self.ask_to_meet(user);
            }
            // This client does not look for one, but the other does not know.
            (Role::Accepter, Search::No) => {}
            (Role::Accepter, Search::Agreed) | (Role::Requester, _) => self.break_link(link),
        }
    }

    /// The conversation that moves to the link of a new introduction: one that looks for a direct link, with the key
    /// that it has.
    pub(super) fn is_found_again(&mut self, user: &str, key: Option<DeviceKey>) -> Option<Token> {
        let conversation = self.peers.conversations.get_mut(user)?;
        let search = core::mem::replace(&mut conversation.search, Search::No);
        (search == Search::Agreed && key == Some(conversation.key)).then_some(conversation.id)
    }
}
