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
pub(super) const REJOIN_PATIENCE: Duration = Duration::from_secs(15);

/// So many relays in a row may end before a conversation goes on at one.
pub(super) const IN_VAIN: u8 = 3;

/// How long after a relay failed the next one is asked for.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// Whether two who talk over a relay look for a direct link, after they have lost one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    /// They do not, or have done so already.
    No,
    /// The other side, which is the requester, may say that they do.
    Expected,
    /// This client has said so, or the other one has; until then the accepter may ask for it.
    Agreed { until: Time },
}

/// What an introduction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A conversation that begins with it.
    Begins,
    /// The conversation that began with another one, and moves to a link of this one.
    Moves(Token),
    /// A search for a direct link that is over.
    Over,
}

impl Meeting {
    /// The two of a conversation know each other already: they need a relay, and call nobody elsewhere.
    fn of_lost(conversation: &Conversation, until: Time, relay: Wish) -> Meeting {
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
            relay,
            moves: Some(conversation.id),
            nominated: None,
            doubt: None,
            asked: Vec::new(),
        }
    }
}

impl Peers {
    /// Whether the conversation with a user has no link.
    pub(super) fn is_lost(&self, user: &str) -> bool {
        self.conversations.get(user).is_some_and(|conversation| conversation.lost_at.is_some())
    }

    /// Whether a user is expected to ask for a direct link, for a conversation that runs over a relay.
    pub(super) fn is_sought(&self, user: &str, now: Time) -> bool {
        self.conversations.get(user).is_some_and(|conversation| match conversation.search {
            Search::Agreed { until } => now < until,
            Search::No | Search::Expected => false,
        })
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
        if conversation.search == Search::Expected {
            // Where this client has said that it looks for one, the other's request may be on its way.
            conversation.search = Search::No;
        }
        if !may || !conversation.can_move || begins_anew || until <= now {
            return self.lose_conversation(user);
        }
        self.know_again(user, until, Wish::Due(due));
        if let Some(meeting) = self.peers.meetings.get_mut(user).filter(|meeting| meeting.relay == Wish::No) {
            meeting.relay = Wish::Due(due);
        }
        self.open_relays_when_due();
    }

    /// The two of a conversation are to find each other on a relay, by the introduction that it began with. A search for a
    /// direct link by a later one is over.
    fn know_again(&mut self, user: &str, until: Time, relay: Wish) {
        let Some(conversation) = self.peers.conversations.get(user) else { return };
        if self.peers.meetings.get(user).is_some_and(|meeting| meeting.id == conversation.id) {
            return;
        }
        let again = Meeting::of_lost(conversation, until, relay);
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
    pub(super) fn may_have_relays(&self) -> bool {
        let is_away = self.lasting_session().is_some_and(|session| session.is_waiting());
        is_away || self.has_relays()
    }

    /// The session goes on: conversations without a link, and those that only the other side may have, ask for a relay.
    pub(in super::super) fn rejoin_all(&mut self) {
        let now = self.now;
        let in_doubt = |meeting: &&mut Meeting| meeting.is_in_doubt(now) && meeting.relay == Wish::No;
        self.peers.meetings.values_mut().filter(in_doubt).for_each(|meeting| meeting.relay = Wish::Due(now));
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

    /// A relay has ended before the conversation went on there, or began. If that happens again and again, the other side
    /// wants none.
    pub(super) fn relay_was_in_vain(&mut self, user: &str) {
        if let Some(meeting) = self.peers.meetings.get_mut(user).filter(|meeting| meeting.doubt.is_some()) {
            meeting.count_relay_in_vain(self.now);
            self.abandon_if_relayed(user);
        }
        let Some(conversation) = self.peers.conversations.get_mut(user) else { return };
        conversation.in_vain += u8::from(conversation.lost_at.is_some());
        if conversation.in_vain >= IN_VAIN {
            self.lose_conversation(user);
        }
    }

    /// A conversation may take no more relays: without a link it is over. One that has a link stays there.
    pub(super) fn lose_conversation_without_allowance(&mut self, user: &str) {
        if self.peers.is_lost(user) {
            self.lose_conversation(user);
        }
    }

    /// A relay was refused, or has failed; returns whether another one is asked for.
    pub(super) fn ask_for_relay_again(&mut self, user: &str) -> bool {
        let (now, is_lost) = (self.now, self.peers.is_lost(user));
        let is_sought =
            |meeting: &&mut Meeting| is_lost && meeting.moves.is_some() || meeting.is_in_doubt(now);
        let meeting = self.peers.meetings.get_mut(user).filter(is_sought);
        meeting.map(|meeting| meeting.relay = Wish::Due(self.now + PAUSE)).is_some()
    }

    /// The server relays for a user who has lost the link of a conversation, of which this client may not know yet.
    pub(super) fn be_rejoined(&mut self, user: &str) {
        let can_move = self.peers.conversations.get(user).is_some_and(|conversation| conversation.can_move);
        if can_move && !self.begins_anew(user) && self.way_to(user) != Way::Direct {
            self.know_again(user, self.now + MEETING_PATIENCE, Wish::No);
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
            Role::Requester => Search::Agreed { until: self.now + MEETING_PATIENCE },
            Role::Accepter => Search::Expected,
        };
        if matches!(conversation.search, Search::Agreed { .. }) {
            self.outbox.send_peer(link, &PeerLine::Meet);
        }
    }

    /// `meet`: the requester looks for a direct link, and expects to be asked for one.
    pub(super) fn on_meet(&mut self, link: LinkId, user: &str) {
        let Some(conversation) = self.peers.conversations.get_mut(user) else { return };
        match (conversation.role, conversation.search) {
            (Role::Accepter, Search::Expected) => {
                conversation.search = Search::Agreed { until: self.now + MEETING_PATIENCE };
                self.ask_to_meet(user);
            }
            // This client does not look for one, but the other does not know.
            (Role::Accepter, Search::No) => {}
            (Role::Accepter, Search::Agreed { .. }) | (Role::Requester, _) => self.break_link(link),
        }
    }

    /// What an introduction is for that a command has asked for. One that looks for a direct link is for the conversation
    /// that it was asked for, if that still runs over a relay, with the key that the other has in it.
    pub(super) fn purpose(&mut self, user: &str, key: Option<DeviceKey>) -> Purpose {
        let Some(id) = self.peers.searches.remove(user) else { return Purpose::Begins };
        let conversation = self.peers.conversations.get_mut(user).filter(|known| known.id == id);
        let way = self.peers.ways.get(user).copied().unwrap_or(self.settings.path);
        match conversation {
            Some(known) if known.lost_at.is_none() && way == Way::Auto && key == Some(known.key) => {
                known.search = Search::No;
                Purpose::Moves(id)
            }
            Some(_) | None => Purpose::Over,
        }
    }
}
