//! `logout`: carried out once what was under way to the user has come to him, or his client stops taking it.

use core::time::Duration;

use super::ServerState;
use super::accounts::UserId;
use super::commands::Asker;
use super::deadlines::Deadline;
use super::links::Stage;
use super::listing::Waiting;
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::words::{LinkId, MessageId};

/// A client that takes nothing for so long has had what it gets.
const PROGRESS_WITHIN: Duration = Duration::from_secs(2);

/// A session that was told to end and has not shown all that its user waits for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    /// Stored mail up to here is shown before; what comes since waits for the next login.
    pub(super) upto: MessageId,
    /// When something of it was last taken.
    pub(super) moved_at: Time,
}

impl ServerState {
    /// `logout`: behind the lists that were asked for before, the mail that is being shown, and for a
    /// client that acknowledges, its word that it has shown it. Nothing else is obeyed any more.
    pub(super) fn leave(&mut self, asker: Asker) {
        let upto = MessageId { boot: self.boot, number: self.accounts[asker.user].last_message };
        let moved_at = self.now;
        let Some(session) = self.accounts[asker.user].session.as_mut() else { return };
        session.delivery.leaving = Some(Leaving { upto, moved_at });
        let serial = session.serial;
        let Some(link) = self.links.get_mut(&asker.link) else { return };
        link.stage = Stage::Leaving(asker.user);
        link.listings.push_back(Waiting::Logout(asker));
        self.continue_listings(asker.link);
        if self.is_leaving(asker.user) {
            self.deadlines.add(self.now + PROGRESS_WITHIN, Deadline::Leaving(asker.user, serial));
        }
    }

    /// Whether a user has said that he goes.
    pub(super) fn is_leaving(&self, user: UserId) -> bool {
        let session = self.accounts[user].session.as_ref();
        session.is_some_and(|session| session.delivery.leaving.is_some())
    }

    /// Whether a logout waits for mail on its way to the user.
    pub(super) fn owes_mail(&self, user: UserId) -> bool {
        let session = self.accounts[user].session.as_ref();
        session.is_some_and(|session| !session.delivery.is_done()) && !planted::is(Planted::LogoutCutsMail)
    }

    /// Something was taken of what a logout waits for; maybe it was the last.
    pub(super) fn leaving_moved(&mut self, user: UserId) {
        let now = self.now;
        let Some(session) = self.accounts[user].session.as_mut() else { return };
        let Some(leaving) = &mut session.delivery.leaving else { return };
        leaving.moved_at = now;
        if session.delivery.is_done()
            && let Some(link) = session.link
        {
            self.leavers.push(link);
        }
    }

    /// Ends the sessions that waited for their mail alone. Only now, so that none ends under the hands
    /// of what settled the last message.
    pub(super) fn let_leavers_go(&mut self) {
        while let Some(link) = self.leavers.pop() {
            self.continue_listings(link);
        }
    }

    /// A logout has waited: without any progress it waits no longer. Mail that was not acknowledged stays
    /// stored. Lists before it have the limits of every output.
    pub(super) fn leaving_due(&mut self, user: UserId, serial: u64) {
        let session = self.accounts[user].session.as_ref().filter(|session| session.serial == serial);
        let Some((leaving, link)) = session.and_then(|session| session.delivery.leaving.zip(session.link))
        else {
            return;
        };
        let lists = match self.links.get(&link).and_then(|link| link.listings.front()) {
            Some(&Waiting::Logout(asker)) if leaving.moved_at + PROGRESS_WITHIN <= self.now => {
                return self.log_out(asker);
            }
            Some(Waiting::Logout(_)) => false,
            Some(Waiting::List(_)) => true,
            None => return,
        };
        let from = if lists { self.now } else { leaving.moved_at };
        self.deadlines.add(from + PROGRESS_WITHIN, Deadline::Leaving(user, serial));
    }

    /// The link on which a logout waited is gone: that is the logout.
    pub(super) fn leaving_link_lost(&mut self, link: LinkId, user: UserId) {
        let Some(session) = self.accounts[user].session.as_mut() else { return };
        if session.link == Some(link) {
            session.link = None;
            self.end_session(user, super::effect::SessionEnd::Logout);
        }
    }
}
