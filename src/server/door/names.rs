//! The names that wrong passwords are counted for, those with an account and those without alike (R50).

use alloc::collections::{BTreeMap, BTreeSet};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::addresses::Network;
use crate::planted::{self, Planted};
use crate::record::{Digest, RecordNumber};
use crate::server::accounts::UserId;
use crate::time::Time;

/// Of all places a network may have locked one of so many.
const SHARE_OF_A_NETWORK: usize = 16;

/// Which name: an account's, or a made-up one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Subject {
    Account(UserId),
    Unknown(Digest),
}

/// Wrong passwords of a name, or of a device.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::server) struct Guesses {
    /// In a row.
    pub(super) count: u32,
    pub(super) locked_until: Option<Time>,
    /// The record of the last change; an answer that reveals it waits for it.
    pub(super) record: RecordNumber,
    /// Comparisons under way; each may turn out to be wrong.
    pub(super) verifying: u32,
}

impl Guesses {
    /// Counts from zero. What is being compared is counted all the same.
    pub(super) fn begin_anew(&mut self) {
        *self = Guesses { verifying: self.verifying, ..Guesses::default() };
    }

    /// Ends a lock whose time has come: counting begins at zero, or at `left`.
    pub(super) fn end_lock(&mut self, now: Time, left: u32) {
        if self.locked_until.is_some_and(|until| until <= now) && !planted::is(Planted::LockForEver) {
            (self.locked_until, self.count) = (None, left);
        }
    }
}

#[derive(Debug, Clone)]
struct Place {
    age: u64,
    guesses: Guesses,
    /// From where it was locked.
    network: Option<Network>,
}

/// The places. Whoever has one is found by name, by the end of its lock, or by age if it may be forgotten.
#[derive(Debug, Clone)]
pub(super) struct Names {
    places: HashMap<Subject, Place, FixedState>,
    /// Neither locked nor being compared.
    forgettable: BTreeMap<u64, Subject>,
    locks: BTreeSet<(Time, Subject)>,
    locked_from: BTreeMap<Network, usize>,
}

impl Names {
    pub(super) fn new(seed: u64) -> Names {
        Names {
            places: HashMap::with_hasher(FixedState::with_seed(seed.rotate_left(16))),
            forgettable: BTreeMap::new(),
            locks: BTreeSet::new(),
            locked_from: BTreeMap::new(),
        }
    }

    pub(super) fn get(&self, subject: Subject) -> Option<&Guesses> {
        self.places.get(&subject).map(|place| &place.guesses)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// How many are locked at this time.
    pub(super) fn locked(&self, now: Time) -> usize {
        self.locks.iter().rev().take_while(|(until, _)| *until > now).count()
    }

    /// Whether no name may be locked from this network any more, of so many places.
    pub(super) fn is_spent(&self, network: Network, places: usize) -> bool {
        let share = (places / SHARE_OF_A_NETWORK).max(1);
        self.locked_from.get(&network).is_some_and(|locked| *locked >= share)
            && !planted::is(Planted::NetworksLockAll)
    }

    /// Gives a name its place.
    pub(super) fn enter(&mut self, subject: Subject, age: u64) {
        let place = Place { age, guesses: Guesses::default(), network: None };
        self.forgettable.insert(age, subject);
        let known = self.places.insert(subject, place);
        assert!(known.is_none(), "a name has one place");
    }

    /// The name that goes if one must.
    pub(super) fn first_to_go(&self) -> Option<Subject> {
        let subject = if planted::is(Planted::LockedNamePushedOut) {
            self.places.iter().min_by_key(|(_, place)| place.age).map(|(subject, _)| subject)
        } else if planted::is(Planted::NewestMadeUpGoes) {
            self.forgettable.last_key_value().map(|(_, subject)| subject)
        } else {
            self.forgettable.first_key_value().map(|(_, subject)| subject)
        };
        subject.copied()
    }

    /// Changes what is counted for a name. Its place is free once nothing is counted any more. `from`: where a lock
    /// comes from that begins or is renewed.
    pub(super) fn change(
        &mut self,
        subject: Subject,
        from: Option<Network>,
        change: impl FnOnce(&mut Guesses),
    ) {
        let Some(mut place) = self.take(subject) else { return };
        let lock = place.guesses.locked_until;
        change(&mut place.guesses);
        let Place { age, ref guesses, .. } = place;
        if guesses.count == 0 && guesses.verifying == 0 && guesses.locked_until.is_none() {
            return;
        }
        if from.is_some() || guesses.locked_until != lock {
            place.network = from;
        }
        match guesses.locked_until {
            Some(until) => {
                self.locks.insert((until, subject));
                if let Some(network) = place.network {
                    *self.locked_from.entry(network).or_default() += 1;
                }
            }
            None if guesses.verifying == 0 => {
                self.forgettable.insert(age, subject);
            }
            None => {}
        }
        self.places.insert(subject, place);
    }

    /// Forgets a name; what was counted for it.
    pub(super) fn forget(&mut self, subject: Subject) -> Option<Guesses> {
        self.take(subject).map(|place| place.guesses)
    }

    fn take(&mut self, subject: Subject) -> Option<Place> {
        let place = self.places.remove(&subject)?;
        self.forgettable.remove(&place.age);
        if let Some(until) = place.guesses.locked_until {
            self.locks.remove(&(until, subject));
            if let Some(network) = place.network
                && let Some(locked) = self.locked_from.get_mut(&network)
            {
                *locked -= 1;
                if *locked == 0 {
                    self.locked_from.remove(&network);
                }
            }
        }
        Some(place)
    }

    /// Ends the locks whose time has come.
    pub(super) fn end_locks(&mut self, now: Time, left: u32) {
        if planted::is(Planted::LockForEver) {
            return;
        }
        while let Some((until, subject)) = self.locks.first().copied()
            && until <= now
        {
            self.change(subject, None, |guesses| guesses.end_lock(now, left));
        }
    }
}
