//! What the other side says on a private link.

use core::mem;

use super::ClientState;
use super::link::Stage;
use crate::wire::{Frame, PeerLine};
use crate::words::LinkId;

/// How much longer than a typed line a line between clients may be.
const PEER_LINE_ROOM: usize = 512;

impl ClientState {
    /// Takes bytes in any chunking; after a line that closes the link the rest is dropped.
    pub(in super::super) fn receive_from_peer(&mut self, link: LinkId, bytes: &[u8]) {
        self.abandon_meetings_that_are_over();
        let limit = self.settings.line_bytes.saturating_add(PEER_LINE_ROOM);
        let Some(known) = self.peers.links.get_mut(&link) else { return };
        let mut framer = mem::take(&mut known.framer);
        let mut rest = bytes;
        while self.peers.links.contains_key(&link)
            && let Some(frame) = framer.next(&mut rest, limit)
        {
            let line = match frame {
                Frame::Line(line) => PeerLine::parse(line).ok(),
                Frame::TooLong { .. } => None,
            };
            match line {
                Some(line) => self.on_peer_line(link, &line),
                None => self.break_link(link),
            }
            self.proceed();
        }
        let overlong = framer.skipped() > 0;
        match self.peers.links.get_mut(&link) {
            Some(_) if overlong => self.break_link(link),
            Some(known) => known.framer = framer,
            None => {}
        }
    }

    fn on_peer_line(&mut self, link: LinkId, line: &PeerLine<'_>) {
        let Some(known) = self.peers.links.get(&link) else { return };
        match (&known.stage, line) {
            (
                Stage::Stranger { early: None, .. } | Stage::Punched { .. },
                PeerLine::Call { nonce, proof },
            ) => {
                self.on_call(link, *nonce, *proof);
            }
            (Stage::Relayed { user, .. }, PeerLine::Call { nonce, proof }) => {
                let user = user.clone();
                self.on_relayed_call(link, &user, *nonce, *proof);
            }
            (Stage::Calling { user, .. }, PeerLine::Ready) => {
                let user = user.clone();
                self.make_ready(link, user);
            }
            (Stage::Ready { user }, PeerLine::Continue { id, arrived }) => {
                let user = user.clone();
                self.on_continue(link, &user, *id, *arrived);
            }
            (Stage::Continuing { user, arrived: said, .. }, PeerLine::Continued { arrived }) => {
                let (user, said) = (user.clone(), *said);
                self.on_continued(link, &user, said, *arrived);
            }
            (Stage::Ready { user }, PeerLine::Nominate) => {
                let user = user.clone();
                self.on_nominate(link, user);
            }
            (Stage::Nominated { user }, PeerLine::Opened) => {
                let user = user.clone();
                self.stand(link, user);
            }
            (Stage::Standing { user }, _) => {
                let user = user.clone();
                self.on_conversation_line(link, &user, line);
            }
            // No client that follows the protocol sends this here.
            (
                Stage::Stranger { .. }
                | Stage::Punched { .. }
                | Stage::Securing { .. }
                | Stage::Calling { .. }
                | Stage::Relayed { .. }
                | Stage::Ready { .. }
                | Stage::Nominated { .. }
                | Stage::Continuing { .. },
                _,
            ) => {
                self.break_link(link);
            }
        }
    }

    /// Closes a link whose other side violates the protocol.
    pub(super) fn break_link(&mut self, link: LinkId) {
        let Some(known) = self.peers.links.get(&link) else { return };
        if known.stranger().is_some() {
            return self.drop_link(link);
        }
        if let Stage::Standing { user } = &known.stage {
            let user = user.clone();
            return self.lose_conversation(&user);
        }
        self.on_peer_closed(link);
        self.outbox.close_peer(link);
    }
}
