//! Agreement: what is durable in the reference is what a restart would read.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Check, Verdict, rule};
use crate::record::RecordNumber;
use crate::sim::model::ending_of;
use crate::sim::store::Store;
use crate::words::MessageId;

impl Check {
    /// Compares the reference with the store, where nothing is under way between them.
    pub(crate) fn agrees_with(&mut self, store: &Store) -> Verdict {
        let applied = self.model.applied();
        if !self.model.is_at_rest() || applied == self.agreed || applied != store.last_durable() {
            return Ok(());
        }
        self.agreed = applied;
        self.blocks_agree(store)?;
        self.groups_agree(store)?;
        self.mailboxes_agree(store)?;
        self.ledgers_agree(store)
    }

    /// A new life begins, which counts its records from 1.
    pub(super) fn agrees_no_more(&mut self) {
        self.agreed = RecordNumber(0);
    }

    fn blocks_agree(&self, store: &Store) -> Verdict {
        let users = &self.model.users;
        let name = |user: &usize| users[*user].name.as_str();
        let own: BTreeSet<(&str, &str)> = users
            .iter()
            .flat_map(|by| by.blocks.iter().map(move |user| (by.name.as_str(), name(user))))
            .collect();
        let kept: BTreeSet<(&str, &str)> =
            store.blocks().map(|(by, user)| (by.as_str(), user.as_str())).collect();
        rule!(self, own == kept, "what holds is what a restart would read", "{own:?}, kept are {kept:?}");
        Ok(())
    }

    fn groups_agree(&self, store: &Store) -> Verdict {
        let name = |user: &usize| self.model.users[*user].name.as_str();
        let same = self.model.kept_groups.len() == store.groups().len()
            && self.model.kept_groups.iter().all(|(group, members)| {
                let kept = store.groups().get(group).map(|kept| kept.iter().map(|name| name.as_str()));
                kept.is_some_and(|kept| kept.eq(members.iter().map(name)))
            });
        let (own, kept) = (&self.model.kept_groups, store.groups());
        rule!(self, same, "what holds is what a restart would read", "{own:?}, kept are {kept:?}");
        Ok(())
    }

    fn mailboxes_agree(&self, store: &Store) -> Verdict {
        let mut own: BTreeSet<(&str, MessageId)> = BTreeSet::new();
        for (user, known) in self.model.users.iter().enumerate() {
            let ids = known.mailbox.keys().copied().chain(self.model.to_be_removed(user));
            own.extend(ids.map(|id| (known.name.as_str(), id)));
        }
        let kept: BTreeSet<(&str, MessageId)> = store.mail().map(|(to, id)| (to.as_str(), id)).collect();
        let differ: Vec<_> = own.symmetric_difference(&kept).collect();
        rule!(self, differ.is_empty(), "what holds is what a restart would read", "mail {differ:?}");
        Ok(())
    }

    fn ledgers_agree(&self, store: &Store) -> Verdict {
        let own: usize = self.model.users.iter().map(|known| known.settled.len()).sum();
        let mut kept = 0;
        for (user, origin, outcome) in store.settled() {
            kept += 1;
            let known = self.model.find(user.as_str()).map(|user| &self.model.users[user]);
            let ending = known.and_then(|known| known.settled.get(&(origin.login.0, origin.number)));
            let same = ending == Some(&ending_of(outcome));
            rule!(self, same, "what holds is what a restart would read", "{user} {origin:?}: {outcome:?}");
        }
        let detail = String::from("commands that were settled");
        rule!(self, own == kept, "what holds is what a restart would read", "{own} {detail}, kept {kept}");
        Ok(())
    }
}
