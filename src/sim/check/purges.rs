//! Purges: an account that is gone from the credentials file goes with all that is remembered of it.

use alloc::collections::BTreeMap;

use super::{Check, Verdict, rule};
use crate::record::{Change, Record};
use crate::sim::known::Account;
use crate::sim::model::{Model, User};
use crate::time::Time;
use crate::words::Name;

/// A purge that nothing holds up is decided within this time, and tried again every second.
const WITHIN_MICROS: u64 = 2_500_000;

/// Accounts that are gone and not purged.
#[derive(Debug, Default)]
pub(super) struct Purges {
    gone: BTreeMap<User, Gone>,
    is_up: bool,
}

/// An account that is gone from the file.
#[derive(Debug, Default, Clone, Copy)]
struct Gone {
    /// Since when nothing holds up its purge.
    free_since: Option<Time>,
}

impl Purges {
    /// The credentials file is read; the model knows what was in it before.
    pub(super) fn file_read(&mut self, model: &Model, accounts: &[Name]) {
        self.is_up = true;
        for (user, known) in model.users.iter().enumerate() {
            if accounts.iter().any(|name| name.as_str() == known.name) {
                // It is back. Whether it was purged before is not judged.
                self.gone.remove(&user);
            } else if known.account != Account::Absent {
                self.gone.insert(user, Gone::default());
            }
        }
    }

    pub(super) fn server_gone(&mut self) {
        self.is_up = false;
        self.gone.values_mut().for_each(|gone| gone.free_since = None);
    }
}

impl Check {
    /// A purge goes to the store: nothing of the account is under way.
    pub(super) fn purge_decided(&mut self, record: &Record) -> Verdict {
        let Record::Change(Change::AccountRemoved { name }) = record else { return Ok(()) };
        let user = self.model.user(name.as_str());
        let known = &self.model.users[user];
        let ended = known.session.is_none() && known.coming.is_none();
        let mail = self.at_some_point(|check| !check.model.mail_under_way().any(|(to, _)| to == name));
        rule!(self, ended && mail, "an account is purged when nothing of it is under way", "{name}");
        if let Some(gone) = self.purges.gone.get_mut(&user) {
            gone.free_since = None;
        }
        Ok(())
    }

    pub(super) fn purge_applied(&mut self, record: &Record) {
        if let Record::Change(Change::AccountRemoved { name } | Change::AccountAdded { name, .. }) = record {
            let user = self.model.user(name.as_str());
            self.purges.gone.remove(&user);
        }
    }

    /// No purge is forgotten, whatever the store refused.
    pub(super) fn purges_are_tried_again(&mut self) -> Verdict {
        let rests = self.purges.is_up && self.is_at_rest();
        for (user, gone) in &mut self.purges.gone {
            let known = &self.model.users[*user];
            let tried =
                self.locks.attempts.iter().any(|attempt| attempt.name == known.name && attempt.is_compared());
            let alone = known.session.is_none() && known.coming.is_none() && !tried;
            let free = rests && alone && self.model.remembers(*user);
            gone.free_since = if free { gone.free_since.or(Some(self.now)) } else { None };
        }
        let late = |gone: &Gone| gone.free_since.is_some_and(|since| self.now.0 > since.0 + WITHIN_MICROS);
        let late = self.purges.gone.iter().find(|(_, gone)| late(gone));
        let name = late.map(|(user, _)| self.model.users[*user].name.as_str());
        rule!(self, name.is_none(), "an account that is gone is purged", "{name:?}");
        Ok(())
    }
}
