//! Which link a conversation begins on, and what happens when the word of that is lost (R37).
//!
//! The requester chooses a link with `nominate`, and the accepter opens it with `opened`. If the link ends in between, the
//! requester cannot know whether the other side has a conversation. It chooses another link of the introduction, which may
//! be a relay as for a conversation that has lost its link (R70), and an accepter that has opened one opens it there again.

use alloc::borrow::ToOwned;
use alloc::string::String;

use super::ClientState;
use super::link::Stage;
use super::meeting::Meeting;
use super::rejoining::{IN_VAIN, PAUSE, REJOIN_PATIENCE};
use super::relays::{self, Wish};
use crate::client::settings::Way;
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::wire::{PeerLine, Role};
use crate::words::LinkId;

/// The requester has lost the link that it had chosen: the other side may have opened it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doubt {
    /// How long it looks for the other side on relays; this does not change.
    until: Time,
    /// How many of these have ended since.
    in_vain: u8,
}

impl Meeting {
    /// Whether a conversation that the other side may have is looked for on relays.
    pub(super) fn is_in_doubt(&self, now: Time) -> bool {
        self.doubt.is_some_and(|doubt| doubt.until > now)
    }

    /// When this client gives up.
    pub(super) fn until(&self) -> Time {
        self.doubt.map_or(self.until, |doubt| doubt.until.max(self.until))
    }

    /// A relay has ended on which nothing was opened.
    pub(super) fn count_relay_in_vain(&mut self, now: Time) {
        let Some(doubt) = self.doubt.as_mut().filter(|doubt| doubt.until > now) else { return };
        doubt.in_vain += 1;
        if doubt.in_vain >= IN_VAIN {
            self.end_doubt(now);
        }
    }

    /// The other side is not to be found on a relay.
    pub(super) fn end_doubt(&mut self, now: Time) {
        if let Some(doubt) = self.doubt.as_mut().filter(|doubt| doubt.until > now) {
            doubt.until = now;
            self.relay = Wish::No;
        }
    }
}

impl ClientState {
    /// The requester has chosen this link.
    pub(super) fn on_nominate(&mut self, link: LinkId, user: String) {
        if self.takes_nomination(&user) {
            self.outbox.send_peer(link, &PeerLine::Opened);
            self.stand(link, user);
        } else if self.has_opened_in_vain(&user) && !planted::is(Planted::AccepterOpensOnce) {
            self.outbox.send_peer(link, &PeerLine::Opened);
            self.open_again(link, &user);
        } else {
            self.break_link(link);
        }
    }

    fn takes_nomination(&self, user: &str) -> bool {
        let begins = |meeting: &&Meeting| meeting.moves.is_none();
        let role = self.peers.meetings.get(user).filter(begins).map(|meeting| meeting.role);
        role == Some(Role::Accepter) || role.is_some() && planted::is(Planted::RequesterTakesNomination)
    }

    /// Whether this client has opened a conversation by the introduction that it has with a user, who has neither said nor
    /// acknowledged anything in it.
    fn has_opened_in_vain(&self, user: &str) -> bool {
        let meeting = self.peers.meetings.get(user);
        let conversation = self.peers.conversations.get(user);
        meeting.zip(conversation).is_some_and(|(meeting, conversation)| {
            let is_the_same = meeting.id == conversation.id && meeting.role == Role::Accepter;
            let is_silent = conversation.arrived == 0 && conversation.open.len() as u64 == conversation.sent;
            is_the_same && is_silent
        })
    }

    /// The requester has none of what was said: all of it is said again. The two go on calling each other as when a
    /// conversation begins.
    fn open_again(&mut self, link: LinkId, user: &str) {
        self.go_on_at(link, user, 0, 0);
        let meets = |meeting: &&mut Meeting| meeting.way == Way::Auto && relays::is_relayed(link);
        match self.peers.meetings.get_mut(user).filter(meets) {
            Some(meeting) => meeting.relay = Wish::No,
            None => {
                self.end_meeting(user);
                self.drop_other_links_meeting(user, link);
            }
        }
    }

    pub(super) fn nominate(&mut self, link: LinkId, user: String) {
        if let Some(meeting) = self.peers.meetings.get_mut(&user) {
            meeting.nominated = Some(link);
            self.outbox.send_peer(link, &PeerLine::Nominate);
            self.turn(link, Stage::Nominated { user });
        }
    }

    /// The chosen link broke before the other side had agreed to it, as far as this client knows.
    pub(super) fn lose_nominated(&mut self, link: LinkId, user: &str, can_move: bool) {
        let begins = self.doubt_opening(user, can_move);
        self.nominate_another(user);
        if begins {
            self.open_relays_when_due();
        } else {
            self.note_unmade(link, user);
        }
    }

    /// The other side may have opened the chosen link. Returns whether that is new: whoever looks for it does so once.
    fn doubt_opening(&mut self, user: &str, can_move: bool) -> bool {
        let now = self.now;
        let looks = can_move
            && self.way_to(user) != Way::Direct
            && self.may_have_relays()
            && !planted::is(Planted::RequesterForgetsNomination);
        let Some(meeting) = self.peers.meetings.get_mut(user).filter(|_| looks) else { return false };
        let begins = meeting.doubt.is_none();
        let doubt = *meeting.doubt.get_or_insert(Doubt { until: now + REJOIN_PATIENCE, in_vain: 0 });
        if doubt.until > now {
            meeting.relay = Wish::Due(if begins { now } else { now + PAUSE });
        }
        begins
    }

    fn nominate_another(&mut self, user: &str) {
        if let Some(meeting) = self.peers.meetings.get_mut(user) {
            meeting.nominated = None;
            let mut ready = self.peers.links.iter().filter(|(_, link)| link.is_ready_for(user));
            if let Some(link) = ready.next().map(|(link, _)| *link) {
                self.nominate(link, user.to_owned());
            }
        }
    }
}
