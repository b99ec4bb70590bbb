//! `path`: how private links run, and how they are to run.

use alloc::borrow::ToOwned;

use super::rejoining::Search;
use super::{ClientState, Peers, relays};
use crate::client::settings::Way;
use crate::client::verb::Verb;
use crate::client::view::{Path, Success};
use crate::wire::Code;

/// Users of whom it was said how links with them are to run.
const CHOSEN: usize = 1_024;

impl Peers {
    /// How the link with a user runs, if there is one.
    pub(super) fn path_of(&self, user: &str) -> Option<Path> {
        let link = self.conversations.get(user)?.link?;
        Some(if relays::is_relayed(link) { Path::Relayed } else { Path::Direct })
    }
}

impl ClientState {
    /// How links with a user are to run.
    pub(super) fn way_to(&self, user: &str) -> Way {
        self.peers.ways.get(user).copied().unwrap_or(self.settings.path)
    }

    /// `path USER [direct|auto|relay]`
    pub(in super::super) fn choose_path(&mut self, line: u64, user: &str, chosen: Option<Way>) {
        let outcome = if self.is_oneself(user) {
            Err(Code::Oneself)
        } else {
            self.choose_way(user, chosen).map(|()| Success::Path {
                user: user.to_owned(),
                way: self.way_to(user),
                path: self.peers.path_of(user),
            })
        };
        self.local_result(line, Verb::Path, Some(user), outcome);
    }

    fn choose_way(&mut self, user: &str, chosen: Option<Way>) -> Result<(), Code> {
        let Some(way) = chosen else { return Ok(()) };
        if way == self.settings.path {
            self.peers.ways.remove(user);
        } else if self.peers.ways.len() < CHOSEN || self.peers.ways.contains_key(user) {
            self.peers.ways.insert(user.to_owned(), way);
        } else {
            return Err(Code::Limit);
        }
        if let Some(conversation) = self.peers.conversations.get_mut(user).filter(|_| way != Way::Auto) {
            conversation.search = Search::No;
        }
        match way {
            Way::Relay => self.abandon_move(user),
            Way::Direct if self.peers.is_lost(user) => self.lose_conversation(user),
            Way::Direct | Way::Auto => {}
        }
        Ok(())
    }
}
