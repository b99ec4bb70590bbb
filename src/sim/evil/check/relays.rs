//! How many relays others can make a client take for a conversation that it has (R70).

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::mem;

use super::{Check, Verdict, hold};
use crate::sim::trace::ProcessId;
use crate::time::Time;

/// A conversation takes 16 relays at once, and one more a second.
const AT_ONCE_MICROS: u64 = 16_000_000;
const ONE_MICROS: u64 = 1_000_000;

/// Relays that a client was offered and has taken.
#[derive(Debug, Default)]
pub(super) struct Relays {
    /// With whom: those of what it is told next, and of what it is told now.
    next: Vec<String>,
    now: Vec<String>,
    /// What a conversation has taken and not paid off, and since when.
    taken: BTreeMap<String, (u64, Time)>,
}

impl Relays {
    pub(super) fn is_opened(&mut self, user: &str) {
        self.next.push(user.to_string());
    }

    pub(super) fn is_told(&mut self) {
        self.now = mem::take(&mut self.next);
    }

    /// A conversation has ended.
    pub(super) fn talk_is_over(&mut self, user: &str) {
        self.taken.remove(user);
    }

    /// It is known of whom, if what the client is told now offers those of one user only.
    fn user(&self) -> Option<String> {
        let first = self.now.first()?;
        self.now.iter().all(|user| user == first).then(|| first.clone())
    }
}

impl Check {
    /// A client takes a relay.
    pub(super) fn takes_relay(&mut self, process: ProcessId) -> Verdict {
        let now = self.now;
        let Some(client) = self.clients.get_mut(&process) else { return Ok(()) };
        let Some(user) = client.relays.user().filter(|user| client.talks.contains_key(user)) else {
            return Ok(());
        };
        let (taken, since) = client.relays.taken.get(&user).copied().unwrap_or_default();
        let taken = taken.saturating_sub(now.0 - since.0) + ONE_MICROS;
        client.relays.taken.insert(user.clone(), (taken, now));
        let few = taken <= AT_ONCE_MICROS;
        hold!(self, few, "others make a client take few relays", "{process:?}: {user} {taken}");
        Ok(())
    }
}
