//! Accounts: who exists, and what is known of each.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use core::ops::{Index, IndexMut};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::ledger::Ledger;
use super::lockout::Guesses;
use super::mailbox::Mailbox;
use super::session::Session;
use crate::planted::{self, Planted};
use crate::record::{Digest, RecordNumber};
use crate::time::Time;
use crate::words::look_alike::skeleton;
use crate::words::{Credential, LoginNumber, MessageId, Name};

/// An account's place in the table. Reused only if the account never came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct UserId(pub(super) u32);

/// One account. What most accounts do not have at a given moment is boxed away.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) name: Name,
    /// `None`: removed from the credentials file; a session may still stand.
    pub(super) credential: Option<Credential>,
    pub(super) guesses: Guesses,
    /// The last record that concerns this user; output to him waits for it.
    pub(super) touched: RecordNumber,
    /// Whom this user has blocked, in order of their ids.
    pub(super) blocks: Vec<UserId>,
    pub(super) mailbox: Option<Box<Mailbox>>,
    /// Running number of the last message to this user within this boot.
    pub(super) last_message: u64,
    pub(super) login: LoginNumber,
    /// Resumes the session of `login`.
    pub(super) token: Option<Digest>,
    pub(super) ledger: Ledger,
    /// Beginning and end of the last session, if there was one. While online the end is not in use.
    pub(super) last_login: Option<Time>,
    pub(super) last_end: Time,
    /// When the deliveries that the user has caused are paid for, at the rate that is set.
    pub(super) paid_until: Time,
    /// Groups the user is a member of, sorted.
    pub(super) groups: Vec<Name>,
    pub(super) session: Option<Box<Session>>,
}

impl Account {
    fn new(name: Name, credential: Option<Credential>) -> Account {
        Account {
            name,
            credential,
            guesses: Guesses::default(),
            touched: RecordNumber(0),
            blocks: Vec::new(),
            mailbox: None,
            last_message: 0,
            login: LoginNumber(0),
            token: None,
            ledger: Ledger::default(),
            last_login: None,
            last_end: Time::ZERO,
            paid_until: Time::ZERO,
            groups: Vec::new(),
            session: None,
        }
    }

    pub(super) fn has_blocked(&self, user: UserId) -> bool {
        self.blocks.binary_search(&user).is_ok()
    }

    /// The next id for a message to this user.
    pub(super) fn next_message(&mut self, boot: u32) -> MessageId {
        self.last_message += 1;
        let boot = if planted::is(Planted::IdReused) { 1 } else { boot };
        MessageId { boot, number: self.last_message }
    }
}

/// All accounts, by id and by name.
#[derive(Debug, Clone)]
pub(super) struct Accounts {
    list: Vec<Account>,
    names: HashMap<Name, UserId, FixedState>,
    /// Places without an account that mail is counted under, or was, by the name they had; of each name
    /// in the order of their making.
    departed: BTreeMap<Name, Vec<UserId>>,
    /// Places of accounts that were taken back before anybody could have met them.
    spare: Vec<UserId>,
    /// What the names look like; made when somebody first registers.
    looks: Option<BTreeMap<String, u32>>,
    /// Above the numbers of all messages to accounts that are gone: one that comes again under the
    /// same name within this boot gives no id twice.
    messages_floor: u64,
}

impl Accounts {
    pub(super) fn new(seed: u64) -> Accounts {
        Accounts {
            list: Vec::new(),
            names: HashMap::with_hasher(FixedState::with_seed(seed)),
            departed: BTreeMap::new(),
            spare: Vec::new(),
            looks: None,
            messages_floor: 0,
        }
    }

    /// Whether a new name could be taken for one that exists.
    pub(super) fn looks_like_another(&mut self, name: &Name) -> bool {
        let names = &self.names;
        let looks = self.looks.get_or_insert_with(|| {
            let mut looks = BTreeMap::new();
            for name in names.keys() {
                *looks.entry(skeleton(name.as_str())).or_default() += 1;
            }
            looks
        });
        looks.contains_key(&skeleton(name.as_str()))
    }

    /// Makes an account, or gives the one of that name its credential.
    pub(super) fn insert(&mut self, name: &Name, credential: Option<Credential>) -> UserId {
        if let Some(&user) = self.names.get(name) {
            let account = &mut self[user];
            if account.credential.is_none() {
                // What was judged since then was a guess at the one that is gone.
                account.guesses.begin_anew();
            }
            account.credential = credential;
            return user;
        }
        let user = self.push(name, credential);
        self[user].last_message = self.messages_floor;
        self.names.insert(name.clone(), user);
        if let Some(looks) = &mut self.looks {
            *looks.entry(skeleton(name.as_str())).or_default() += 1;
        }
        user
    }

    /// The account of that name, also one that is removed but still has its session.
    pub(super) fn find(&self, name: &str) -> Option<UserId> {
        self.names.get(name).copied()
    }

    /// The account of that name if one may log in to it.
    pub(super) fn find_open(&self, name: &str) -> Option<UserId> {
        self.find(name).filter(|&user| self[user].credential.is_some())
    }

    /// Whether this is still the place of its name.
    pub(super) fn is_in_use(&self, user: UserId) -> bool {
        self.find(self[user].name.as_str()) == Some(user)
    }

    /// Takes back an account that the store refused, and with it all that was built on it: its place is free.
    pub(super) fn retract(&mut self, user: UserId) {
        let name = self.free_name(user);
        self[user] = Account::new(name, None);
        self.spare.push(user);
    }

    /// Frees the name of a removed account.
    pub(super) fn forget(&mut self, user: UserId) {
        let name = self.free_name(user);
        let mut guesses = mem::take(&mut self[user].guesses);
        if planted::is(Planted::RemovalForgetsWaiting) {
            guesses = Guesses::default();
        }
        self[user] = Account { guesses, ..Account::new(name.clone(), None) };
        self.departed.entry(name).or_default().push(user);
    }

    fn free_name(&mut self, user: UserId) -> Name {
        self.messages_floor = self.messages_floor.max(self[user].last_message);
        let name = self[user].name.clone();
        self.names.remove(&name);
        if let Some(looks) = &mut self.looks
            && let Some(count) = looks.get_mut(&skeleton(name.as_str()))
        {
            *count -= 1;
            if *count == 0 {
                looks.remove(&skeleton(name.as_str()));
            }
        }
        name
    }

    /// The place of somebody who has no account any more but whose mail still waits for others: one for
    /// all of them.
    pub(super) fn departed(&mut self, name: &Name) -> UserId {
        if let Some(&user) = self.departed_places(name).last() {
            return user;
        }
        let user = self.push(name, None);
        self.departed.insert(name.clone(), Vec::from([user]));
        user
    }

    /// Where mail may be counted of those who had that name and are gone, whoever has it now.
    pub(super) fn departed_places(&self, name: &Name) -> &[UserId] {
        self.departed.get(name).map_or(&[], Vec::as_slice)
    }

    fn push(&mut self, name: &Name, credential: Option<Credential>) -> UserId {
        let account = Account::new(name.clone(), credential);
        if let Some(user) = self.spare.pop() {
            self[user] = account;
            return user;
        }
        self.list.push(account);
        UserId(u32::try_from(self.list.len() - 1).unwrap_or(u32::MAX))
    }

    /// All that are in use, in order of their making.
    pub(super) fn ids(&self) -> Vec<UserId> {
        let mut ids: Vec<UserId> = self.names.values().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn name(&self, user: UserId) -> &Name {
        &self[user].name
    }

    /// The users' names, sorted by code point.
    pub(super) fn sorted_names(&self, users: &[UserId]) -> Vec<&str> {
        let mut names: Vec<&str> = users.iter().map(|&user| self[user].name.as_str()).collect();
        if !planted::is(Planted::ListUnsorted) {
            names.sort_unstable();
        }
        names
    }
}

impl Index<UserId> for Accounts {
    type Output = Account;
    fn index(&self, user: UserId) -> &Account {
        &self.list[user.0 as usize]
    }
}

impl IndexMut<UserId> for Accounts {
    fn index_mut(&mut self, user: UserId) -> &mut Account {
        &mut self.list[user.0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_that_were_taken_back_leave_no_places_behind() {
        let mut accounts = Accounts::new(1);
        let hans = accounts.insert(&Name::new("hans").unwrap(), None);
        for number in 0..100 {
            let name = Name::new(&alloc::format!("new{number}")).unwrap();
            assert!(!accounts.looks_like_another(&name));
            let user = accounts.insert(&name, Some(Credential::new("pw")));
            assert!(user != hans && accounts.find_open(name.as_str()) == Some(user));
            accounts.retract(user);
            assert_eq!(accounts.find(name.as_str()), None);
            assert!(!accounts.looks_like_another(&name));
        }
        assert_eq!((accounts.list.len(), accounts.departed.len()), (2, 0));
    }
}
