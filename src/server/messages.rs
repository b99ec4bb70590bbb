//! `message`, and the one place that decides whether somebody may reach somebody.

use alloc::sync::Arc;

use super::ServerState;
use super::accounts::UserId;
use super::commands::Asker;
use super::delivery::{Keep, Parcel, Tell};
use super::settings::{BlockNotice, OfflineDelivery};
use crate::planted::{self, Planted};
use crate::record::{Mail, Outcome};
use crate::wire::{Answer, Code, Status};
use crate::words::{Name, Text};

/// Whether what one user sends may come to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Open,
    /// By a block, of the recipient or (`block_mutual`) of the sender.
    Barred,
}

/// A message that is about to go to one or more recipients.
pub(super) struct Post {
    pub(super) from: UserId,
    pub(super) group: Option<Name>,
    pub(super) text: Arc<str>,
    pub(super) asker: Asker,
}

impl ServerState {
    /// Every path on which something of one user could come to another asks here.
    pub(super) fn reach(&self, from: UserId, to: UserId) -> Reach {
        let barred = self.accounts[to].has_blocked(from)
            || ((self.settings.block_mutual || planted::is(Planted::BlockMutual))
                && self.accounts[from].has_blocked(to));
        if barred { Reach::Barred } else { Reach::Open }
    }

    pub(super) fn message(&mut self, asker: Asker, to: &str, text: Text<'_>) {
        self.charge(asker.user, 1);
        let to = match self.another(&asker, to) {
            Ok(to) => to,
            Err(code) => return self.fail(&asker, None, code, "message"),
        };
        let barred =
            self.reach(asker.user, to) == Reach::Barred && !planted::is(Planted::BlockSkippedInMessage);
        if barred && self.settings.block_notice == BlockNotice::Tell {
            return self.fail(&asker, None, Code::Blocked, "message");
        }
        if barred && self.is_barred_for_good(asker.user, to) {
            return self.pretend_stored(&asker, to);
        }
        let post = Post { from: asker.user, group: None, text: text.as_str().into(), asker };
        let tell = Tell::Sender(asker);
        // A block that is not durable may come to nothing: what it bars waits in the mailbox, held back.
        let posted = if barred { self.post_to_mailbox(to, &post, tell) } else { self.post(to, &post, tell) };
        if let Err(code) = posted {
            self.fail(&asker, None, code, "message");
        }
    }

    /// Whether a block that is durable stands between two users.
    fn is_barred_for_good(&self, from: UserId, to: UserId) -> bool {
        let blocks =
            |by: UserId, user| self.accounts[by].has_blocked(user) && !self.journal.changes_block(by, user);
        blocks(to, from) || (self.settings.block_mutual && blocks(from, to))
    }

    /// `block_notice=silent`: the sender hears what he would of one who is offline.
    fn pretend_stored(&mut self, asker: &Asker, to: UserId) {
        let status = Status::Stored;
        let name = self.accounts.name(to).clone();
        let answer = Answer::Message { to: name.as_str(), status };
        self.answer(asker, None, Outcome::Message(status), answer);
    }

    /// Sends a message to somebody it may reach, or stores it for him. An error means that it is
    /// neither under way nor stored, and that nobody has been told.
    pub(super) fn post(&mut self, to: UserId, post: &Post, tell: Tell) -> Result<(), Code> {
        // Who leaves is shown what was under way to him, and no more.
        let session = self.accounts[to].session.as_ref();
        let away = session.is_none_or(|session| session.link.is_none() || session.delivery.leaving.is_some());
        // Mail that a block has held back is shown once it is durable that the block is lifted, and first.
        let behind = self.journal.changes_block(to, post.from)
            && self.settings.offline_delivery != OfflineDelivery::Off;
        if away || behind {
            return self.post_to_mailbox(to, post, tell);
        }
        let Post { from, group, text, asker } = post;
        let id = self.accounts[to].next_message(self.boot);
        let (group, text, origin) = (group.clone(), text.clone(), asker.origin());
        let (sent_at, keep) = (self.now, Keep::Memory);
        self.deliver(to, Parcel { id, from: *from, group, origin, sent_at, text, keep, tell, end: 0 });
        Ok(())
    }

    fn post_to_mailbox(&mut self, to: UserId, post: &Post, tell: Tell) -> Result<(), Code> {
        let Post { from, group, text, asker } = post;
        if self.settings.offline_delivery == OfflineDelivery::Off {
            return Err(Code::Offline);
        }
        if self.accounts[to].credential.is_none() {
            return Err(Code::UnknownUser);
        }
        if !self.has_room(to, *from, text.len() as u64) {
            if planted::is(Planted::FullMailboxDrops) {
                self.tell_sender(to, &tell, Ok(Status::Stored), None);
                return Ok(());
            }
            return Err(Code::MailboxFull);
        }
        let id = self.accounts[to].next_message(self.boot);
        let (from_name, group) = (self.accounts.name(*from).clone(), group.clone());
        let (origin, sent_at, text) = (asker.origin(), self.now, text.clone());
        let mail = Mail { id, from: from_name, group, origin, sent_at, text };
        self.store_mail(to, *from, mail, tell, Code::StorageUnavailable);
        Ok(())
    }
}
