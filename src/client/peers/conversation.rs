//! Open private links: texts, acknowledgements, closing.

use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::verb::Verb;
use super::super::view::{Message, MessageKind, PrivateEnd, Success, View};
use super::ClientState;
use crate::time::Time;
use crate::wire::{Code, PeerFarewell, PeerLine, Status};
use crate::words::{DeviceKey, LinkId, Text};

/// Departed users that are remembered.
const DEPARTED: usize = 1_024;

/// An open private link.
pub(super) struct Conversation {
    link: LinkId,
    /// The other side has proved to have it.
    key: DeviceKey,
    /// Number of the last text sent.
    sent: u64,
    /// Number of the last text received.
    arrived: u64,
    /// Texts received and not acknowledged: their numbers and their deliveries.
    showing: VecDeque<(u64, u64)>,
    /// Texts that the other side has not acknowledged: their numbers and their lines.
    open: VecDeque<(u64, u64)>,
}

impl Conversation {
    pub(super) fn link(&self) -> LinkId {
        self.link
    }

    pub(super) fn key(&self) -> DeviceKey {
        self.key
    }

    pub(super) fn open_texts(&self) -> usize {
        self.open.len()
    }
}

impl ClientState {
    /// A link is open. If there was an older one with the same user, they have lost it.
    pub(super) fn begin_conversation(&mut self, link: LinkId, key: DeviceKey, user: String) {
        if let Some(old) = self.peers.conversations.get(&user).map(Conversation::link) {
            self.break_link(old);
        }
        self.peers.departed.remove(&user);
        self.remember_key(&user, key);
        let (showing, open) = (VecDeque::new(), VecDeque::new());
        let conversation = Conversation { link, key, sent: 0, arrived: 0, showing, open };
        self.peers.conversations.insert(user.clone(), conversation);
        let path = self.peers.path_of(&user);
        self.outbox.show(View::PrivateOpened { user, path });
    }

    /// `private USER TEXT`
    pub(in super::super) fn send_private(&mut self, line: u64, to: &str, text: Text<'_>) {
        if let Some(conversation) = self.peers.conversations.get_mut(to) {
            conversation.sent += 1;
            let number = conversation.sent;
            conversation.open.push_back((number, line));
            let line = PeerLine::Text { number, sent_at: self.now, text };
            self.outbox.send_peer(conversation.link, &line);
            return self.log_own_private(to, text.as_str());
        }
        let code = if self.is_oneself(to) {
            Code::Oneself
        } else if self.peers.departed.contains(to) {
            Code::Offline
        } else {
            Code::NotPrivate
        };
        self.result(Self::local_private(line, Verb::Private, to), Err(code));
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
        let Some(conversation) = self.peers.conversations.remove(user) else { return false };
        let stopped = PeerFarewell::Stopped;
        self.outbox.send_peer(conversation.link, &PeerLine::Close(stopped));
        self.drop_link(conversation.link);
        self.end_conversation(user.to_owned(), conversation, stopped.into());
        true
    }

    pub(super) fn on_conversation_line(&mut self, link: LinkId, user: &str, line: &PeerLine<'_>) {
        match *line {
            PeerLine::Text { number, sent_at, text } => self.on_text(link, user, number, sent_at, text),
            PeerLine::Acknowledge { number } => self.on_text_acknowledged(link, user, number),
            PeerLine::Close(farewell) => {
                if let Some(conversation) = self.peers.conversations.remove(user) {
                    self.drop_link(link);
                    self.end_conversation(user.to_owned(), conversation, farewell.into());
                }
            }
            PeerLine::Call { .. } | PeerLine::Ready | PeerLine::Nominate | PeerLine::Opened => {
                self.break_link(link);
            }
        }
    }

    /// Shows a text. Texts are numbered without a gap, as none can get lost on a link.
    fn on_text(&mut self, link: LinkId, user: &str, number: u64, sent_at: Time, text: Text<'_>) {
        let Some(login) = self.login_number() else { return };
        let Some(conversation) = self.peers.conversations.get_mut(user) else { return };
        if number != conversation.arrived + 1 {
            return self.break_link(link);
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
                self.outbox.send_peer(conversation.link, &PeerLine::Acknowledge { number });
            }
        }
    }

    fn on_text_acknowledged(&mut self, link: LinkId, user: &str, upto: u64) {
        let Some(conversation) = self.peers.conversations.get_mut(user) else { return };
        if upto > conversation.sent {
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
        let open = &mut self.peers.conversations.get_mut(user)?.open;
        let (_, line) = open.front().filter(|(number, _)| *number <= upto).copied()?;
        open.pop_front();
        Some(line)
    }

    /// The link was lost without a `close`.
    pub(super) fn lose_conversation(&mut self, user: &str) {
        if let Some(conversation) = self.peers.conversations.remove(user) {
            self.end_conversation(user.to_owned(), conversation, PrivateEnd::Lost);
        }
    }

    /// Shows the end once, and gives texts without acknowledgement their result.
    pub(super) fn end_conversation(&mut self, user: String, ended: Conversation, reason: PrivateEnd) {
        if reason != PrivateEnd::Stopped {
            self.peers.departed.insert(user.clone());
            if self.peers.departed.len() > DEPARTED {
                self.peers.departed.pop_first();
            }
        }
        self.show_closed(user.clone(), reason);
        for (_, line) in ended.open {
            self.result(Self::local_private(line, Verb::Private, &user), Err(Code::OutcomeUnknown));
        }
    }
}
