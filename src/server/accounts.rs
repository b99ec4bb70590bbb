//! Accounts: who exists, and what each room of the server knows of them.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::announcements::Heard;
use super::door::{Couriers, Device, Probe};
use super::papers::{Ledger, Sends};
use super::people::{Past, Ties, Told};
use super::post::Inbox;
use super::restraints::Restraints;
use super::session::{Debt, Session, Unanswered};
use crate::planted::{self, Planted};
use crate::record::Digest;
use crate::words::look_alike::Looks;
use crate::words::{Credential, LinkId, LoginNumber, Name};

/// An account's place in the table. Used again once the account and everything under way for it are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct UserId(pub(super) u32);

/// One account. What most accounts lack at a given moment is boxed away.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) name: Name,
    /// What passwords are compared with; `None`: gone from the credentials file, and to be purged.
    pub(super) credential: Option<Credential>,
    /// Wrong passwords since the last login; for its notice.
    pub(super) failed_since_login: u32,
    pub(super) devices: Vec<Device>,
    pub(super) couriers: Couriers,
    /// A login that waits to know whether the session's client is there.
    pub(super) probe: Option<Box<Probe>>,
    pub(super) login: LoginNumber,
    /// Resumes the session of `login`.
    pub(super) token: Option<Digest>,
    pub(super) ledger: Ledger,
    /// Messages to which couriers gave ids.
    pub(super) sends: Sends,
    /// What an operator keeps the user from.
    pub(super) restraints: Restraints,
    /// What operators have said to all, as far as the user knows.
    pub(super) heard: Heard,
    pub(super) ties: Ties,
    pub(super) past: Past,
    pub(super) inbox: Inbox,
    pub(super) told: Told,
    pub(super) debt: Debt,
    /// What the user has had relayed, in bytes.
    pub(super) relay_debt: Debt,
    /// Records of the user's commands that are on their way to the disk, and messages that wait behind them.
    pub(super) unsettled: u32,
    pub(super) unanswered: Unanswered,
    /// The link whose login is decided and not durable yet.
    pub(super) entering: Option<LinkId>,
    pub(super) session: Option<Box<Session>>,
}

impl Account {
    fn new(name: Name, credential: Option<Credential>) -> Account {
        Account {
            name,
            credential,
            failed_since_login: 0,
            devices: Vec::new(),
            couriers: Couriers::default(),
            probe: None,
            login: LoginNumber(0),
            token: None,
            ledger: Ledger::default(),
            sends: Sends::default(),
            restraints: Restraints::new(),
            heard: Heard::default(),
            ties: Ties::default(),
            past: Past::default(),
            inbox: Inbox::default(),
            told: Told::default(),
            debt: Debt::default(),
            relay_debt: Debt::default(),
            unsettled: 0,
            unanswered: Unanswered::default(),
            entering: None,
            session: None,
        }
    }

    /// The link of the user's session, if it has one.
    pub(super) fn link(&self) -> Option<LinkId> {
        self.session.as_ref()?.link
    }

    /// Whether a restart leaves the session to the next start: its client can take it up again.
    pub(super) const fn can_be_held(&self) -> bool {
        self.token.is_some() && !self.is_leaving()
    }

    /// Whether the account is gone from the credentials file.
    pub(super) const fn is_leaving(&self) -> bool {
        self.credential.is_none()
    }
}

/// All accounts, by id and by name.
#[derive(Debug, Clone)]
pub(super) struct Accounts {
    list: Vec<Account>,
    names: HashMap<Name, UserId, FixedState>,
    /// Places of accounts that are gone.
    spare: Vec<UserId>,
    /// What the names look like; made when somebody first registers.
    looks: Option<Looks>,
    /// Not below any message number or login number of an account that is gone: one that comes again under
    /// the same name, or at the same place, gives neither twice.
    messages_floor: u64,
    logins_floor: LoginNumber,
}

impl Accounts {
    pub(super) fn new(seed: u64) -> Accounts {
        Accounts {
            list: Vec::new(),
            names: HashMap::with_hasher(FixedState::with_seed(seed)),
            spare: Vec::new(),
            looks: None,
            messages_floor: 0,
            logins_floor: LoginNumber(0),
        }
    }

    /// Whether a new name could be taken for one that exists.
    pub(super) fn looks_like_another(&mut self, name: &Name) -> bool {
        let names = &self.names;
        let looks = self.looks.get_or_insert_with(|| {
            let mut looks = Looks::default();
            names.keys().for_each(|name| looks.insert(name.as_str()));
            looks
        });
        looks.have_alike(name.as_str())
    }

    /// Makes an account, or gives the one of that name its credential.
    pub(super) fn insert(&mut self, name: &Name, credential: Credential) -> UserId {
        if let Some(user) = self.find(name.as_str()) {
            self[user].credential = Some(credential);
            return user;
        }
        let mut account = Account::new(name.clone(), Some(credential));
        account.inbox.number_from(self.messages_floor);
        account.login = self.logins_floor;
        let user = self.place(account);
        self.names.insert(name.clone(), user);
        if let Some(looks) = &mut self.looks {
            looks.insert(name.as_str());
        }
        user
    }

    fn place(&mut self, account: Account) -> UserId {
        if let Some(user) = self.spare.pop() {
            self[user] = account;
            return user;
        }
        let place = u32::try_from(self.list.len());
        assert!(place.is_ok(), "four thousand million accounts do not fit into memory");
        let user = UserId(place.unwrap_or(u32::MAX));
        self.list.push(account);
        user
    }

    /// Frees the name and the place of an account.
    pub(super) fn remove(&mut self, user: UserId) {
        let vacant = Account::new(self[user].name.clone(), None);
        let account = core::mem::replace(&mut self[user], vacant);
        assert!(account.session.is_none() && account.entering.is_none(), "the user of a purge is gone");
        assert!(account.probe.is_none(), "no login waits for the session of an account after its purge");
        assert!(account.unsettled == 0, "no record of an account is under way after its purge");
        assert!(account.unanswered.is_none(), "no message of an account is under way after its purge");
        self.messages_floor = self.messages_floor.max(account.inbox.last_number());
        self.logins_floor = self.logins_floor.max(account.login);
        let freed = self.names.remove(&account.name);
        assert!(freed == Some(user), "a name leads to its account");
        if let Some(looks) = &mut self.looks {
            looks.remove(account.name.as_str());
        }
        self.spare.push(user);
    }

    /// The account of that name, also one that is to be purged.
    pub(super) fn find(&self, name: &str) -> Option<UserId> {
        self.names.get(name).copied()
    }

    /// The account of that name if it is in the credentials file.
    pub(super) fn find_open(&self, name: &str) -> Option<UserId> {
        self.find(name).filter(|&user| !self[user].is_leaving())
    }

    /// All accounts, in order of their places.
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
        let Some(account) = self.list.get(user.0 as usize) else { unreachable!("ids come from this table") };
        account
    }
}

impl IndexMut<UserId> for Accounts {
    fn index_mut(&mut self, user: UserId) -> &mut Account {
        let Some(account) = self.list.get_mut(user.0 as usize) else {
            unreachable!("ids come from this table")
        };
        account
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_that_are_gone_leave_no_places_behind() {
        let mut accounts = Accounts::new(1);
        let hans = accounts.insert(&Name::new("hans").unwrap(), Credential::new("pw"));
        for number in 0..100 {
            let name = Name::new(&alloc::format!("new{number}")).unwrap();
            assert!(!accounts.looks_like_another(&name));
            let user = accounts.insert(&name, Credential::new("pw"));
            assert!(user != hans && accounts.find_open(name.as_str()) == Some(user));
            assert!(accounts.looks_like_another(&name));
            accounts.remove(user);
            assert_eq!(accounts.find(name.as_str()), None);
            assert!(!accounts.looks_like_another(&name));
        }
        assert_eq!(accounts.list.len(), 2);
    }
}
