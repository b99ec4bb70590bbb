//! The invariant of the lane: what is in memory equals what a restart would read.
//!
//! For the simulator and for tests; no program calls it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::ServerState;
use super::accounts::UserId;
use super::people::{blocks, groups, history};
use super::post;
use super::restraints::Restraints;
use crate::record::{Digest, Outcome, Recovery, WordsDigest};
use crate::time::Time;
use crate::words::{Credential, LoginNumber, Name};

/// What is remembered of one account, but for its ledger.
#[derive(Debug, PartialEq, Eq)]
struct Remembered {
    blocks: Vec<Name>,
    groups: Vec<Name>,
    restraints: Restraints,
    /// What operators have said to all; nothing while a session goes on or begins.
    heard: Option<u32>,
    /// Messages of each sender in the mailbox, and all their bytes.
    mail: (BTreeMap<Name, u32>, u64),
    login: LoginNumber,
    token: Option<Digest>,
    /// Messages whose time was over, and that the user was not told of.
    untold: u32,
    /// Messages with given ids.
    sends: Vec<(u64, WordsDigest, Outcome, Time)>,
    locked_until: Option<Time>,
    /// Beginning and end of the last session; `None` while a session goes on or begins.
    last_session: Option<(Option<Time>, Time)>,
}

impl ServerState {
    /// What differs from a server that would start on the same store now; `None`: nothing. Says nothing while a
    /// fact is on its way to the store: until then the memory is ahead of it.
    #[must_use]
    pub fn differs_from(&self, stored: Recovery) -> Option<String> {
        if self.papers.has_facts_under_way() {
            return None;
        }
        let any = Credential::new("");
        let ids = self.accounts.ids();
        let accounts = ids.iter().map(|user| (self.accounts.name(*user).clone(), any.clone())).collect();
        let recovered = &ServerState::new(self.settings.clone(), accounts, stored, 1, self.now);
        let groups = (groups::all(self), groups::all(recovered));
        if groups.0 != groups.1 {
            return Some(format!("groups {:?}, stored {:?}", groups.0, groups.1));
        }
        let invites = (self.invites(), recovered.invites());
        if invites.0 != invites.1 {
            return Some(format!("invites {:?}, stored {:?}", invites.0, invites.1));
        }
        if !self.announcements(self.now).eq(recovered.announcements(self.now)) {
            return Some(String::from("what is kept of what operators have said"));
        }
        if !self.banned_ranges().eq(recovered.banned_ranges()) {
            return Some(String::from("addresses from which nobody is let in"));
        }
        let stored_bytes = (post::booked_bytes(self), post::booked_bytes(recovered));
        if stored_bytes.0 != stored_bytes.1 {
            return Some(format!("{} bytes of mail, stored {}", stored_bytes.0, stored_bytes.1));
        }
        ids.into_iter().find_map(|user| self.account_differs(recovered, user))
    }

    fn account_differs(&self, recovered: &ServerState, user: UserId) -> Option<String> {
        let name = self.accounts.name(user);
        let other = recovered.accounts.find(name.as_str())?;
        let mut here = self.remembered(user);
        let mut there = recovered.remembered(other);
        if self.accounts[user].session.is_some() || self.accounts[user].entering.is_some() {
            (here.last_session, there.last_session) = (None, None);
            (here.heard, there.heard) = (None, None);
        }
        if self.accounts[user].is_leaving() {
            // Nobody resumes into it, or tries its password; the store forgets it whole.
            there.token = None;
            (here.locked_until, there.locked_until) = (None, None);
        }
        if there.login == LoginNumber(0) {
            // A new account's numbers begin above those of accounts that are gone.
            here.login = LoginNumber(0);
        }
        if here != there {
            return Some(format!("{name}: {here:?}, stored {there:?}"));
        }
        let ledgers = (&self.accounts[user].ledger, &recovered.accounts[other].ledger);
        ledgers.0.differs_from(ledgers.1).map(|difference| format!("{name}: {difference}"))
    }

    fn remembered(&self, user: UserId) -> Remembered {
        let account = &self.accounts[user];
        let locked_until = super::door::locked_until(self, user);
        Remembered {
            blocks: blocks::blocked_by(self, user),
            groups: groups::of(self, user),
            restraints: account.restraints.clone(),
            heard: Some(account.heard.upto),
            mail: post::booked(self, user),
            login: account.login,
            token: account.token,
            untold: account.inbox.untold(),
            sends: account.sends.durable(self.now),
            locked_until,
            last_session: Some(history::last_session(self, user)),
        }
    }
}
