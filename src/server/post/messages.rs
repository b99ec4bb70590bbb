//! `message`, and the one place that decides whether somebody may reach somebody.

use alloc::sync::Arc;

use super::ServerState;
use super::accounts::UserId;
use super::commands::Asker;
use super::delivery::{Keep, Parcel, Tell};
use super::journal::Then;
use super::settings::{BlockNotice, OfflineDelivery};
use crate::planted::{self, Planted};
use crate::record::{Mail, Outcome, Record};
use crate::time::Time;
use crate::wire::{Code, Status};
use crate::words::{Name, Text};

/// Whether what one user sends may come to another; the more it is barred, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    Open,
    /// A block was lifted. That is not durable and may come to nothing: then it has stood all along.
    Opening,
    /// By a block that is not durable and may come to nothing.
    Barring,
    /// By a block for good.
    Barred,
}

impl Reach {
    /// For what is seen at once, or never: whether it must not be.
    pub(super) fn is_shut(self) -> bool {
        match self {
            Reach::Open => false,
            Reach::Opening => !planted::is(Planted::LiftedTooEarly),
            Reach::Barring | Reach::Barred => true,
        }
    }

    /// For what becomes durable behind the lifting of a block, or is refused with it.
    pub(super) const fn is_barred(self) -> bool {
        match self {
            Reach::Open | Reach::Opening => false,
            Reach::Barring | Reach::Barred => true,
        }
    }
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
        let of_recipient = self.block_of(to, from);
        if self.settings.block_mutual || planted::is(Planted::BlockMutual) {
            of_recipient.max(self.block_of(from, to))
        } else {
            of_recipient
        }
    }

    /// What a user's own block does to another: it alone decides who sees that he is online.
    pub(super) fn block_of(&self, by: UserId, user: UserId) -> Reach {
        match (self.accounts[by].has_blocked(user), self.journal.changes_block(by, user)) {
            (false, false) => Reach::Open,
            (false, true) => Reach::Opening,
            (true, true) => Reach::Barring,
            (true, false) => Reach::Barred,
        }
    }

    /// Whether a message may neither be sent nor wait in the mailbox until it is known if it may.
    pub(super) fn refuses_message(&self, reach: Reach) -> bool {
        match reach {
            Reach::Open => false,
            Reach::Opening => self.settings.offline_delivery == OfflineDelivery::Off && reach.is_shut(),
            Reach::Barring | Reach::Barred => true,
        }
    }

    pub(super) fn message(&mut self, asker: Asker, to: &str, text: Text<'_>) {
        self.charge(asker.user, 1);
        let to = match self.another(&asker, to) {
            Ok(to) => to,
            Err(code) => return self.fail(&asker, None, code, "message"),
        };
        let skipped = planted::is(Planted::BlockSkippedInMessage);
        let reach = if skipped { Reach::Open } else { self.reach(asker.user, to) };
        if self.refuses_message(reach) && self.settings.block_notice == BlockNotice::Tell {
            return self.fail(&asker, None, Code::Blocked, "message");
        }
        if reach == Reach::Barred {
            return self.pretend_stored(&asker, to);
        }
        let post = Post { from: asker.user, group: None, text: text.as_str().into(), asker };
        if let Err(code) = self.post(to, reach, &post, Tell::Sender(asker)) {
            self.fail(&asker, None, code, "message");
        }
    }

    /// `block_notice=silent`: the sender hears `stored`, whatever would have become of the message, when it
    /// is durable that he does: neither the time it takes nor a repeat gives the block away. Where one who is
    /// offline is answered otherwise (`offline_delivery=off`, a full mailbox), it does.
    fn pretend_stored(&mut self, asker: &Asker, to: UserId) {
        let tell = Tell::Sender(*asker);
        let Some(origin) = asker.origin().filter(|_| asker.is_remembered()) else {
            return self.tell_sender(to, &tell, Ok(Status::Stored), None);
        };
        let user = self.accounts.name(asker.user).clone();
        let record = Record::Settled { user, origin, outcome: Outcome::Message(Status::Stored), words: None };
        let then = Then::Mail { to, tell, refused: Code::StorageUnavailable };
        let number = self.persist_answer(record, then);
        self.accounts[asker.user].touched = number;
        if let Some(link) = self.asker_link(asker) {
            self.reserve_answer(link, number);
        }
    }

    /// Sends a message to somebody, or stores it for him: also if a block may yet turn out to stand, or not
    /// to; then it is held back until that is durable. An error means that it is neither under way nor
    /// stored, and that nobody has been told.
    pub(super) fn post(&mut self, to: UserId, reach: Reach, post: &Post, tell: Tell) -> Result<(), Code> {
        // Who leaves is shown what was under way to him, and no more.
        let session = self.accounts[to].session.as_ref();
        let away = session.is_none_or(|session| session.link.is_none() || session.delivery.leaving.is_some());
        if away || reach.is_shut() {
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
        let bytes = text.len() as u64;
        if self.has_room(to, *from, bytes) {
            // What is under way to him came before, and must not be lost where this is kept.
            self.store_unacknowledged(to, Time::MAX);
            self.store_behind(to);
        }
        if !self.has_room(to, *from, bytes) {
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
