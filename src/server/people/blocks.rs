//! `block` and `unblock`.

use super::ServerState;
use super::accounts::UserId;
use super::commands::Asker;
use super::journal::{Settlement, Then};
use super::settings::{HeldOnBlock, OfflineDelivery};
use crate::planted::{self, Planted};
use crate::record::{Change, Outcome, Record, RecordNumber};
use crate::wire::{Answer, Code};

/// A `block` or `unblock` whose record is on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockChange {
    asker: Asker,
    user: UserId,
    blocked: bool,
    /// What it comes to if it is so already, by a change that is not durable itself.
    already: Option<Outcome>,
}

impl ServerState {
    pub(super) fn block(&mut self, asker: Asker, user: &str) {
        self.change_block(asker, user, true, "block", Code::AlreadyBlocked);
    }

    pub(super) fn unblock(&mut self, asker: Asker, user: &str) {
        self.change_block(asker, user, false, "unblock", Code::NotBlocked);
    }

    fn change_block(&mut self, asker: Asker, user: &str, blocked: bool, command: &str, no_change: Code) {
        let user = match self.another(&asker, user) {
            Ok(user) => user,
            Err(code) => return self.fail(&asker, None, code, command),
        };
        let no_change = if self.settings.strict_block { Outcome::Failed(no_change) } else { Outcome::Done };
        let already = (self.accounts[asker.user].has_blocked(user) == blocked).then_some(no_change);
        let change = BlockChange { asker, user, blocked, already };
        let may_come_to_nothing =
            self.journal.changes_block(asker.user, user) && !planted::is(Planted::SoAlreadyIsSure);
        match already {
            Some(outcome) if !may_come_to_nothing => self.answer_block(&change, None, outcome),
            Some(_) | None => self.persist_block(change),
        }
    }

    fn persist_block(&mut self, change: BlockChange) {
        let BlockChange { asker, user, blocked, already } = change;
        let (by, name) = (self.accounts.name(asker.user).clone(), self.accounts.name(user).clone());
        let record = match blocked {
            true => Record::Change(Change::Blocked { by, user: name }),
            false => Record::Change(Change::Unblocked { by, user: name }),
        };
        let number = match already {
            Some(_) => self.persist_answer(record, Then::Block(change)),
            None => self.persist_firm(record, Then::Block(change)),
        };
        // Both could see the change: the blocker by its answer, the blocked by what he is answered.
        self.accounts[asker.user].touched = number;
        self.accounts[user].touched = number;
        self.persist_settled(&asker, already.unwrap_or(Outcome::Done));
        if let Some(link) = self.asker_link(&asker) {
            self.reserve_answer(link, number);
        }
        if blocked && already.is_none() {
            self.drop_private_request(user, asker.user);
            self.hold_back_behind(asker.user, user);
        }
    }

    /// The block is durable, or the store refused it.
    pub(super) fn block_settled(
        &mut self,
        record: RecordNumber,
        change: &BlockChange,
        settlement: Settlement,
    ) {
        let BlockChange { asker, user, blocked, already } = *change;
        self.tell_kept_presence(record, settlement.is_ok());
        if let Err(code) = settlement {
            self.answer_block(change, Some(record), Outcome::Failed(code));
            // What the block has held back since it was made is in its turn.
            if blocked {
                self.show_held_back(asker.user, user);
            }
            return;
        }
        self.answer_block(change, Some(record), already.unwrap_or(Outcome::Done));
        if already.is_some() {
            return;
        }
        if blocked && self.settings.block_ends_private {
            self.end_private_link(&asker, user);
        }
        if blocked && self.settings.held_on_block == HeldOnBlock::Drop {
            self.discard_mail_of(asker.user, user);
        }
        // A block may have ended with its subject's account before it was durable.
        let ended = blocked
            && !self.accounts[asker.user].has_blocked(user)
            && !self.journal.changes_block(asker.user, user);
        if (!blocked && !planted::is(Planted::UnblockShowsNothing)) || ended {
            self.show_held_back(asker.user, user);
        }
    }

    /// No block stands any more between a user and what somebody has sent him.
    pub(super) fn show_held_back(&mut self, user: UserId, from: UserId) {
        if self.settings.offline_delivery == OfflineDelivery::Off {
            return;
        }
        if !self.accounts[user].has_blocked(from) {
            self.show_held(user, from);
        }
        // What he has sent in the other direction meanwhile has waited as well.
        if self.settings.block_mutual
            && self.settings.offline_delivery == OfflineDelivery::Auto
            && !self.reach(user, from).is_shut()
        {
            self.show_held(from, user);
        }
    }

    fn answer_block(&mut self, change: &BlockChange, record: Option<RecordNumber>, outcome: Outcome) {
        let BlockChange { asker, user, blocked, .. } = change;
        if let Outcome::Failed(code) = outcome {
            let command = if *blocked { "block" } else { "unblock" };
            return self.fail(asker, record, code, command);
        }
        let name = self.accounts.name(*user).clone();
        let user = name.as_str();
        let answer = if *blocked { Answer::Block { user } } else { Answer::Unblock { user } };
        self.answer(asker, record, Outcome::Done, answer);
    }

    pub(super) fn set_block(&mut self, by: UserId, user: UserId, blocked: bool) {
        let blocks = &mut self.accounts[by].blocks;
        match (blocks.binary_search(&user), blocked) {
            (Err(at), true) => blocks.insert(at, user),
            (Ok(at), false) => {
                blocks.remove(at);
            }
            (Ok(_), true) | (Err(_), false) => {}
        }
    }

    /// Notes along with a command's record what it came to, so that a repeat after a restart is known.
    pub(super) fn persist_settled(&mut self, asker: &Asker, outcome: Outcome) {
        if let (Some(origin), true) = (asker.origin(), asker.is_remembered()) {
            let user = self.accounts.name(asker.user).clone();
            self.persist_note(Record::Settled { user, origin, outcome, words: None });
        }
    }
}
