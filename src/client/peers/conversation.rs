//! Conversations on private links: texts, acknowledgements, closing.

use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use super::super::verb::Verb;
use super::super::view::{Message, MessageKind, Path, PrivateEnd, Success, View};
use super::ClientState;
use super::allowance::Allowance;
use super::meeting::Met;
use super::rejoining::Search;
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::wire::{Code, Command, PeerFarewell, PeerLine, Role, Status};
use crate::words::{DeviceKey, LinkId, Text, Token};

/// Departed users that are remembered.
const DEPARTED: usize = 1_024;

/// A peer that has not acknowledged a text for so long is stalled: typed lines no longer wait for it.
const STALLED: Duration = Duration::from_secs(5);

/// Texts that a stalled peer may have open, and all of them together; further ones are refused.
const STALLED_TEXTS: usize = 64;
const ALL_STALLED_TEXTS: usize = 1_024;

/// A conversation with another user, on one link at a time.
pub(super) struct Conversation {
    /// The introduction that it began with.
    pub(super) id: Token,
    pub(super) role: Role,
    /// Calls of this client for it, and the last nonce of the other's calls.
    pub(super) calls: u128,
    pub(super) last_nonce: Option<Token>,
    /// `None` while the link has ended and another one may take over.
    pub(super) link: Option<LinkId>,
    /// When it lost its link, if it has none, and how many relays have ended since before it went on there.
    pub(super) lost_at: Option<Time>,
    pub(super) in_vain: u8,
    /// The relays that it may still take.
    pub(super) allowance: Allowance,
    /// Whether the other side can move it to another link.
    pub(super) can_move: bool,
    /// Whether the two look for a direct link after they have lost one.
    pub(super) search: Search,
    /// Where this client, the requester, moves it to; the other side has not agreed yet.
    pub(super) next: Option<LinkId>,
    /// The other side has proved to have it.
    pub(super) key: DeviceKey,
    /// Number of the last text sent.
    pub(super) sent: u64,
    /// Number of the last text received.
    pub(super) arrived: u64,
    /// Number of the last text heard on this link: after a move some are said again.
    pub(super) heard: u64,
    /// None was heard on this link, to which the conversation has moved.
    pub(super) is_new_link: bool,
    /// Number of the last text acknowledged.
    pub(super) shown: u64,
    /// Texts received and not acknowledged: their numbers and their deliveries.
    showing: VecDeque<(u64, u64)>,
    /// Texts that the other side has not acknowledged, the oldest first.
    pub(super) open: VecDeque<OpenText>,
    /// When the other side has last acknowledged one.
    heard_of: Time,
    /// It has acknowledged none for [`STALLED`] or longer.
    stalled: bool,
}

/// A text that is kept until it is acknowledged. It has no `Debug`.
pub(super) struct OpenText {
    pub(super) number: u64,
    pub(super) sent_at: Time,
    pub(super) text: String,
    /// The typed line that waits for the result.
    line: u64,
}

impl Conversation {
    fn new(link: LinkId, met: Met) -> Conversation {
        let Met { id, role, key, calls, last_nonce } = met;
        Conversation {
            id,
            role,
            calls,
            last_nonce,
            link: Some(link),
            lost_at: None,
            in_vain: 0,
            allowance: Allowance::default(),
            can_move: false,
            search: Search::No,
            next: None,
            key,
            sent: 0,
            arrived: 0,
            heard: 0,
            is_new_link: false,
            shown: 0,
            showing: VecDeque::new(),
            open: VecDeque::new(),
            heard_of: Time::ZERO,
            stalled: false,
        }
    }

    /// The link it runs on, and the one that it moves to.
    pub(super) fn links(&self) -> impl Iterator<Item = LinkId> {
        self.link.into_iter().chain(self.next)
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// When the other side is stalled, unless it acknowledges a text before.
    pub(super) fn stalls_at(&self) -> Option<Time> {
        let oldest = self.open.front().filter(|_| !self.stalled);
        oldest.map(|oldest| oldest.sent_at.max(self.heard_of) + STALLED)
    }

    pub(super) fn stall_when_due(&mut self, now: Time) {
        self.stalled |= self.stalls_at().is_some_and(|due| due <= now);
    }

    pub(super) fn key(&self) -> DeviceKey {
        self.key
    }

    pub(super) fn open_texts(&self) -> usize {
        self.open.len()
    }
}

impl ClientState {
    /// A link is open. If there was an older conversation with the same user, they have lost it.
    pub(super) fn begin_conversation(&mut self, link: LinkId, met: Met, user: String) {
        self.lose_conversation(&user);
        self.peers.departed.remove(&user);
        self.remember_key(&user, met.key);
        let mut conversation = Conversation::new(link, met);
        conversation.can_move = self.peers.links.get(&link).is_some_and(|known| known.can_move);
        self.peers.conversations.insert(user.clone(), conversation);
        let path = self.peers.path_of(&user).unwrap_or(Path::Direct);
        self.outbox.show(View::PrivateOpened { user, path });
    }

    /// `private USER TEXT`
    pub(in super::super) fn send_private(&mut self, line: u64, to: &str, text: Text<'_>) {
        let takes_no_more = self.takes_no_more(to);
        if let Some(conversation) = self.peers.conversations.get_mut(to).filter(|_| !takes_no_more) {
            conversation.sent += 1;
            let (number, sent_at) = (conversation.sent, self.now);
            let kept = OpenText { number, sent_at, text: text.as_str().to_owned(), line };
            conversation.open.push_back(kept);
            if let Some(link) = conversation.link {
                self.outbox.send_peer(link, &PeerLine::Text { number, sent_at, text });
            }
            return self.log_own_private(to, text.as_str());
        }
        if planted::is(Planted::PrivateFallsBack) && !takes_no_more {
            return self.request(Some(line), Command::Message { to, text });
        }
        let code = if takes_no_more {
            Code::Limit
        } else if self.is_oneself(to) {
            Code::Oneself
        } else if self.peers.departed.contains(to) {
            Code::Offline
        } else {
            Code::NotPrivate
        };
        self.result(Self::local_private(line, Verb::Private, to), Err(code));
    }

    /// Whether the other side is stalled and has as many open texts as it may have.
    fn takes_no_more(&self, to: &str) -> bool {
        let stalled = self.peers.conversations.get(to).filter(|conversation| conversation.is_stalled());
        stalled.is_some_and(|conversation| {
            conversation.open_texts() >= STALLED_TEXTS || self.peers.stalled_texts() >= ALL_STALLED_TEXTS
        })
    }

    /// `stopprivate USER`
    pub(in super::super) fn stop_private(&mut self, line: u64, user: &str) {
        let outcome = if self.close_conversation(user) {
            Ok(Success::User { user: user.to_owned() })
        } else if self.is_oneself(user) {
            Err(Code::Oneself)
        } else {
            Err(Code::NotPrivate)
        };
        self.result(Self::local_private(line, Verb::StopPrivate, user), outcome);
    }

    /// The server ends the link with a user, whether it is open or being made.
    pub(in super::super) fn end_private(&mut self, user: &str) {
        self.close_conversation(user);
        self.abandon_meeting(user);
    }

    /// Closes the conversation with a user from this side; returns whether there was one.
    fn close_conversation(&mut self, user: &str) -> bool {
        self.say_close(user, PeerFarewell::Stopped)
    }

    /// Says on all links of a conversation that it is over; returns whether there was one. The other side may have moved
    /// it already.
    pub(super) fn say_close(&mut self, user: &str, farewell: PeerFarewell) -> bool {
        let Some(conversation) = self.peers.conversations.remove(user) else { return false };
        for link in conversation.links() {
            self.outbox.send_peer(link, &PeerLine::Close(farewell));
        }
        self.end_conversation(user.to_owned(), conversation, farewell.into());
        true
    }

    pub(super) fn on_conversation_line(&mut self, link: LinkId, user: &str, line: &PeerLine<'_>) {
        match *line {
            PeerLine::Text { number, sent_at, text } => self.on_text(link, user, number, sent_at, text),
            PeerLine::Acknowledge { number } => self.on_text_acknowledged(link, user, number),
            PeerLine::Meet => self.on_meet(link, user),
            PeerLine::Close(farewell) => {
                if let Some(conversation) = self.peers.conversations.remove(user) {
                    self.end_conversation(user.to_owned(), conversation, farewell.into());
                }
            }
            PeerLine::Call { .. }
            | PeerLine::Ready
            | PeerLine::Nominate
            | PeerLine::Opened
            | PeerLine::Continue { .. }
            | PeerLine::Continued { .. } => self.break_link(link),
        }
    }

    /// Shows a text, unless it came on an earlier link. Texts are numbered without a gap, as none can get lost on a
    /// link; after a move those are left out that were acknowledged meanwhile.
    fn on_text(&mut self, link: LinkId, user: &str, number: u64, sent_at: Time, text: Text<'_>) {
        let Some(login) = self.login_number() else { return };
        let Some(conversation) = self.peers.conversations.get_mut(user) else { return };
        let is_new_link = mem::take(&mut conversation.is_new_link);
        let last = if is_new_link { conversation.arrived + 1 } else { conversation.heard + 1 };
        let is_next = (conversation.heard + 1..=last).contains(&number);
        if !is_next && !planted::is(Planted::TextGapTaken) {
            return self.break_link(link);
        }
        conversation.heard = number;
        if number <= conversation.arrived && !planted::is(Planted::MoveShowsAgain) {
            return;
        }
        conversation.arrived = number;
        let sequence = self.delivery.next_sequence();
        conversation.showing.push_back((number, sequence));
        self.peers.shown += 1;
        let message = Message {
            kind: MessageKind::Private,
            group: None,
            from: user.to_owned(),
            text: text.as_str().to_owned(),
            sent_at,
            stored: false,
            again: false,
            mentions: Vec::new(),
            rings: false,
            id: format!("p{}.{}", login.0, self.peers.shown),
        };
        self.note_sender(MessageKind::Private, user, None);
        self.log_message(&message);
        let message = self.noticed(message);
        self.outbox.deliver(sequence, None, View::Message(message));
    }

    /// Acknowledges the texts shown so far.
    pub(in super::super) fn acknowledge_texts(&mut self) {
        for conversation in self.peers.conversations.values_mut() {
            let shown = conversation
                .showing
                .iter()
                .take_while(|(_, sequence)| self.delivery.is_carried_out(*sequence));
            let shown = shown.count();
            if let Some((number, _)) = conversation.showing.drain(..shown).next_back() {
                conversation.shown = number;
                if let Some(link) = conversation.link {
                    self.outbox.send_peer(link, &PeerLine::Acknowledge { number });
                }
            }
        }
    }

    fn on_text_acknowledged(&mut self, link: LinkId, user: &str, upto: u64) {
        let Some(conversation) = self.peers.conversations.get_mut(user) else { return };
        if upto > conversation.sent && !planted::is(Planted::AckBeyondSent) {
            return self.break_link(link);
        }
        while let Some(line) = self.next_acknowledged(user, upto) {
            let success = Success::Message {
                to: user.to_owned(),
                status: Status::Delivered,
                until: None,
                away: None,
                words: None,
            };
            self.result(Self::local_private(line, Verb::Private, user), Ok(success));
        }
    }

    fn next_acknowledged(&mut self, user: &str, upto: u64) -> Option<u64> {
        let conversation = self.peers.conversations.get_mut(user)?;
        let acknowledged = conversation.open.pop_front_if(|oldest| oldest.number <= upto)?;
        (conversation.stalled, conversation.heard_of) = (false, self.now);
        Some(acknowledged.line)
    }

    /// All links were lost without a `close`.
    pub(super) fn lose_conversation(&mut self, user: &str) {
        if let Some(conversation) = self.peers.conversations.remove(user) {
            self.end_conversation(user.to_owned(), conversation, PrivateEnd::Lost);
        }
    }

    /// Closes what links there are, shows the end once, and gives texts without acknowledgement their result.
    pub(super) fn end_conversation(&mut self, user: String, ended: Conversation, reason: PrivateEnd) {
        ended.links().for_each(|link| self.drop_link(link));
        self.abandon_move(&user);
        if reason != PrivateEnd::Stopped {
            self.peers.departed.insert(user.clone());
            if self.peers.departed.len() > DEPARTED {
                self.peers.departed.pop_first();
            }
        }
        self.show_closed(user.clone(), reason);
        for OpenText { line, .. } in ended.open {
            self.result(Self::local_private(line, Verb::Private, &user), Err(Code::OutcomeUnknown));
        }
    }
}
