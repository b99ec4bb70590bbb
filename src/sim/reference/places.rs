//! Places for the names whose wrong passwords are counted (R50).

use alloc::collections::BTreeMap;

use super::Server;
use super::links::{Network, network_of};
use super::lockout::{Guesses, Subject};
use super::papers::DRAWN;
use crate::record::{Fact, Suspect};
use core::net::SocketAddr;

/// One network may hold this part of the places locked.
const SHARE: usize = 16;

/// The names that have places.
#[derive(Debug, Default)]
pub(super) struct Places {
    last: u64,
    /// When each came, in an order of all.
    taken: BTreeMap<Subject, u64>,
    by_age: BTreeMap<u64, Subject>,
    /// Names whose lock was begun or renewed, and from which network; some of these locks are over.
    locks: BTreeMap<Subject, Option<Network>>,
}

impl Places {
    fn insert(&mut self, subject: &Subject) {
        if !self.taken.contains_key(subject) {
            self.last += 1;
            self.taken.insert(subject.clone(), self.last);
            self.by_age.insert(self.last, subject.clone());
        }
    }

    pub(super) fn has(&self, subject: &Subject) -> bool {
        self.taken.contains_key(subject)
    }

    pub(super) fn remove(&mut self, subject: &Subject) {
        if let Some(place) = self.taken.remove(subject) {
            self.by_age.remove(&place);
        }
        self.locks.remove(subject);
    }

    pub(super) fn locked(&mut self, subject: &Subject, from: Option<Network>) {
        self.locks.insert(subject.clone(), from);
    }
}

impl Server {
    /// A place for a name whose password is to be compared; `false`: there is none.
    pub(super) fn finds_place(&mut self, subject: &Subject, from: SocketAddr) -> bool {
        self.settle_place(subject);
        if self.places.taken.contains_key(subject) {
            return true;
        }
        let most = self.settings.name_places as usize;
        let from = Some(network_of(from));
        let is_of_network = |(name, network): &(&Subject, &Option<Network>)| {
            **network == from && self.guesses(name).locked_until.is_some()
        };
        if self.places.locks.iter().filter(is_of_network).count() >= (most / SHARE).max(1) {
            return false;
        }
        if !self.make_place(most) {
            return false;
        }
        self.places.insert(subject);
        true
    }

    /// Whether there is room for one more name, when the oldest that may be is forgotten.
    fn make_place(&mut self, most: usize) -> bool {
        if self.places.taken.len() < most {
            return true;
        }
        let all: alloc::vec::Vec<Subject> = self.places.taken.keys().cloned().collect();
        all.iter().for_each(|subject| self.settle_place(subject));
        while self.places.taken.len() >= most {
            let may_go = |subject: &&Subject| {
                let guesses = self.guesses(subject);
                guesses.comparing == 0 && guesses.locked_until.is_none()
            };
            let Some(oldest) = self.places.by_age.values().find(may_go).cloned() else { return false };
            self.forget_name(&oldest);
        }
        true
    }

    /// Forgets what is counted for a name, on the disk too.
    fn forget_name(&mut self, subject: &Subject) {
        self.places.remove(subject);
        match subject {
            Subject::MadeUp(name) => {
                self.made_up.remove(name);
                let suspect = Suspect::Unknown(DRAWN);
                let fact = Fact::Failures { suspect, count: 0, locked_until: None, since_login: 0 };
                self.persist_made_up(name, fact);
            }
            Subject::Account(_) | Subject::Device(..) => {
                self.change_guesses(subject, |guesses| guesses.count = 0);
                self.persist_guesses(subject);
            }
        }
    }

    /// A name for which nothing is counted or compared any more has no place.
    pub(super) fn settle_place(&mut self, subject: &Subject) {
        if !self.guesses(subject).needs_place() {
            self.places.remove(subject);
            if let Subject::MadeUp(name) = subject {
                self.made_up.remove(name);
            }
        }
    }

    /// After a restart: a name that has a count takes its place again.
    pub(super) fn take_place_again(&mut self, subject: &Subject, guesses: Guesses) {
        self.set_guesses(subject, guesses);
        if self.guesses(subject).needs_place() {
            self.places.insert(subject);
        } else {
            self.settle_place(subject);
        }
        if self.guesses(subject).locked_until.is_some() {
            self.places.locked(subject, None);
        }
    }
}
