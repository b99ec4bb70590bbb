//! `block` and `unblock`.

use super::ServerState;
use super::accounts::UserId;
use super::commands::Asker;
use super::journal::{Settlement, Then};
use super::settings::{HeldOnBlock, OfflineDelivery};
use crate::planted::{self, Planted};
use crate::record::{Outcome, Record, RecordNumber};
use crate::wire::{Answer, Code};

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
        if self.accounts[asker.user].has_blocked(user) == blocked {
            if self.settings.strict_block {
                return self.fail(&asker, None, no_change, command);
            }
            return self.answer_block(&asker, None, user, blocked);
        }
        let (by, name) = (self.accounts.name(asker.user).clone(), self.accounts.name(user).clone());
        let record = match blocked {
            true => Record::Blocked { by, user: name },
            false => Record::Unblocked { by, user: name },
        };
        let number = self.persist_firm(record, Then::Block { asker, user, blocked });
        // Both could see the change: the blocker by its answer, the blocked by what he is answered.
        self.accounts[asker.user].touched = number;
        self.accounts[user].touched = number;
        self.persist_settled(&asker, Outcome::Done);
        if let Some(link) = self.asker_link(&asker) {
            self.reserve_answer(link, number);
        }
        if blocked {
            self.drop_private_request(user, asker.user);
            // What was accepted and not sent yet is held back from now on.
            self.store_behind(asker.user);
        }
    }

    /// The block is durable, or the store refused it.
    pub(super) fn block_settled(
        &mut self,
        record: RecordNumber,
        asker: &Asker,
        user: UserId,
        blocked: bool,
        settlement: Settlement,
    ) {
        if let Err(code) = settlement {
            let command = if blocked { "block" } else { "unblock" };
            self.fail(asker, Some(record), code, command);
            // What the block has held back since it was made is in its turn.
            if blocked {
                self.show_held_back(asker.user, user);
            }
            return;
        }
        self.answer_block(asker, Some(record), user, blocked);
        if blocked && self.settings.block_ends_private {
            self.end_private_link(asker, user);
        }
        if blocked && self.settings.held_on_block == HeldOnBlock::Drop {
            self.discard_mail_of(asker.user, user);
        }
        if !blocked && !planted::is(Planted::UnblockShowsNothing) {
            self.show_held_back(asker.user, user);
        }
    }

    /// No block stands any more between a user and what somebody has sent him.
    fn show_held_back(&mut self, user: UserId, from: UserId) {
        if self.settings.offline_delivery != OfflineDelivery::Off && !self.accounts[user].has_blocked(from) {
            self.show_held(user, from);
        }
    }

    fn answer_block(&mut self, asker: &Asker, record: Option<RecordNumber>, user: UserId, blocked: bool) {
        let name = self.accounts.name(user).clone();
        let user = name.as_str();
        let answer = if blocked { Answer::Block { user } } else { Answer::Unblock { user } };
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
            self.persist_note(Record::Settled { user, origin, outcome });
        }
    }
}
