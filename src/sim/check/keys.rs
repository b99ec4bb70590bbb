//! Which keys of other users a client knows: it makes no link with another one of a user whose key it knows (R36).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::introduced::{Introduction, Side};
use super::private::Private;
use super::{Check, Verdict, rule};
use crate::sim::trace::ProcessId;
use crate::words::DeviceKey;

/// A state folder, and the other user.
type Pair = (u8, String, String);

/// What clients know of the keys of others.
#[derive(Debug, Default)]
pub(super) struct Keys {
    homes: BTreeMap<ProcessId, u8>,
    /// Keys with which links were open.
    proved: BTreeMap<Pair, BTreeSet<DeviceKey>>,
    /// Keys that a person has accepted, or may have accepted: of those that stopped links it is not certain which one
    /// was the last that the client was told.
    trusted: BTreeMap<Pair, BTreeSet<DeviceKey>>,
    /// Keys that stopped a link, or would have.
    refused: BTreeMap<(ProcessId, String), Vec<DeviceKey>>,
    /// Own names of those whose links were stopped.
    names: BTreeMap<ProcessId, String>,
}

impl Keys {
    pub(super) fn starts(&mut self, process: ProcessId, home: u8) {
        self.homes.insert(process, home);
    }

    fn pair(&self, both: &Introduction, side: &Side) -> Option<Pair> {
        let process = side.process?;
        Some((*self.homes.get(&process)?, both.name_of(process)?.to_string(), side.user.clone()))
    }

    /// Whether a side makes a link with the other, by all that is known: people by hand do.
    pub(super) fn certainly_takes(&self, both: &Introduction, side: &Side) -> bool {
        let Some(key) = side.key else { return false };
        let Some(pair) = self.pair(both, side) else { return side.process.is_none() };
        match (self.proved.get(&pair), self.trusted.get(&pair)) {
            (None, None) => true,
            (proved, _) => proved.is_some_and(|proved| proved.contains(&key)),
        }
    }

    /// Whether a side may make a link with the other.
    fn may_take(&self, both: &Introduction, side: &Side) -> bool {
        let (Some(key), Some(pair)) = (side.key, self.pair(both, side)) else { return false };
        let known = [self.proved.get(&pair), self.trusted.get(&pair)];
        let mut known = known.into_iter().flatten().peekable();
        known.peek().is_none() || known.any(|known| known.contains(&key))
    }

    /// A person accepts the key that stopped a link; false if none did.
    pub(super) fn is_trusted(&mut self, process: ProcessId, user: &str) -> bool {
        let refused = self.refused.get(&(process, user.to_string()));
        let (Some(refused), Some(home), Some(own)) =
            (refused, self.homes.get(&process), self.names.get(&process))
        else {
            return false;
        };
        let pair = (*home, own.clone(), user.to_string());
        self.trusted.entry(pair).or_default().extend(refused.iter().copied());
        true
    }
}

impl Private {
    /// Two were introduced: a key that is not known may stop the link.
    pub(super) fn note_keys(&mut self, id: &str) {
        let Some(both) = self.introductions.get(id).filter(|both| both.sides.len() == 2) else { return };
        for side in &both.sides {
            let (Some(process), Some(key)) = (side.process, side.key) else { continue };
            if self.keys.certainly_takes(both, side) {
                continue;
            }
            if let Some(own) = both.name_of(process) {
                self.keys.names.insert(process, own.to_string());
            }
            self.keys.refused.entry((process, side.user.clone())).or_default().push(key);
        }
    }
}

impl Check {
    /// A link stands at a client.
    pub(super) fn stands(&mut self, process: ProcessId, id: &str) -> Verdict {
        let keys = &mut self.private.keys;
        let Some(both) = self.private.introductions.get(id) else { return Ok(()) };
        let Some(side) = both.side(process) else { return Ok(()) };
        let takes = keys.may_take(both, side);
        rule!(self, takes, "another key of a known user makes no link", "{process:?}: {side:?}");
        let (Some(pair), Some(key)) = (keys.pair(both, side), side.key) else { return Ok(()) };
        keys.proved.entry(pair).or_default().insert(key);
        // Others that were introduced before the first key was known are stopped now.
        let (keys, all) = (&self.private.keys, &self.private.introductions);
        let stopped = |id: &String| {
            all.get(id).is_some_and(|both| both.sides.iter().any(|side| !keys.certainly_takes(both, side)))
        };
        let stopped: Vec<String> = all.keys().filter(|id| stopped(id)).cloned().collect();
        self.private.due.retain(|(_, id)| !stopped.contains(id));
        self.private.due_open.retain(|(_, id)| !stopped.contains(id));
        for id in stopped {
            self.private.note_keys(&id);
        }
        Ok(())
    }
}
