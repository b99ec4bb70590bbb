//! Rare states of the world of an evil server.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use super::impostors::{EVIL_KEYS, cannot_be};
use super::processes::is_relayed;
use super::trace::Seen;
use crate::client::Verb;
use crate::client::view::{Failure, Path, PrivateEnd, Success, View};
use crate::sim::coverage::{Coverage, Rare};
use crate::sim::trace::ProcessId;
use crate::time::Time;
use crate::wire::Code;
use crate::words::{DeviceKey, LinkId};

/// Addresses that a client dials in a minute.
const BUDGET: usize = 16;

/// Watches for rare states.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    pub(super) coverage: Coverage,
    proved: BTreeMap<(ProcessId, LinkId), DeviceKey>,
    told: Option<(ProcessId, Option<LinkId>)>,
    /// Relays whose end is not the other client, or that were tampered with, since a time.
    tampered: Option<Time>,
    codes: BTreeMap<String, String>,
    dialled: BTreeMap<ProcessId, BTreeMap<String, Time>>,
    relayed: BTreeSet<(ProcessId, String)>,
}

impl Watcher {
    pub(super) fn watch(&mut self, seen: &[(Time, Seen)]) {
        for (at, seen) in seen {
            self.see(*at, seen);
        }
    }

    fn see(&mut self, at: Time, seen: &Seen) {
        match seen {
            Seen::Did(rare) => {
                self.coverage.saw(*rare);
                self.tampered = Some(at);
            }
            Seen::Proved { process, link, key } => {
                self.proved.insert((*process, *link), *key);
                if EVIL_KEYS.contains(key) {
                    self.coverage.saw(Rare::EvilKeyProved);
                }
            }
            Seen::Told { process, link } => self.told = Some((*process, *link)),
            Seen::Heard { process, link, bytes } => self.heard(*process, *link, bytes),
            Seen::Showed { process, view } => self.showed(at, *process, view),
            Seen::Dialled { process, address, .. } => {
                let dialled = self.dialled.entry(*process).or_default();
                dialled.insert(alloc::format!("{address}"), at);
                let recent = dialled.values().filter(|then| then.0 + 60_000_000 > at.0).count();
                if recent >= BUDGET {
                    self.coverage.saw(Rare::DialBudgetSpent);
                }
            }
            _ => {}
        }
    }

    fn heard(&mut self, process: ProcessId, link: LinkId, bytes: &[u8]) {
        let is_proved = self.proved.contains_key(&(process, link));
        if is_proved && cannot_be(bytes) {
            self.coverage.saw(Rare::ImpossibleHeard);
        }
        if bytes.starts_with(b"continued ") && self.tampered.is_some() {
            self.coverage.saw(Rare::MovedUnderEvil);
        }
    }

    fn speaker(&self, process: ProcessId) -> Option<DeviceKey> {
        let (_, link) = self.told.filter(|(told, _)| *told == process)?;
        self.proved.get(&(process, link?)).copied()
    }

    fn showed(&mut self, at: Time, process: ProcessId, view: &View) {
        let is_evil = self.speaker(process).is_some_and(|key| EVIL_KEYS.contains(&key));
        match view {
            View::PrivateOpened { user, path } => {
                self.coverage.saw(if is_evil { Rare::EvilKeyTaken } else { Rare::OpenedUnderEvil });
                if *path == Path::Relayed {
                    self.relayed.insert((process, user.clone()));
                    self.coverage.saw(Rare::RelayedUnderEvil);
                }
            }
            View::PrivateClosed { user, reason } => {
                let was_relayed = self.relayed.remove(&(process, user.clone()));
                let soon = self.tampered.is_some_and(|then| then.0 + 5_000_000 > at.0);
                let link = self.told.and_then(|(_, link)| link).is_some_and(is_relayed);
                if was_relayed && soon && link && *reason == PrivateEnd::Lost {
                    self.coverage.saw(Rare::RelayLostToEvil);
                }
            }
            View::Message(_) if is_evil => self.coverage.saw(Rare::EvilTextShown),
            View::Result { outcome: Err(Failure { code: Code::KeyChanged, .. }), .. } => {
                self.coverage.saw(Rare::EvilKeyRefused);
            }
            View::Result { outcome: Ok(Success::User { .. }), command, .. }
                if *command == Verb::Trust.into() =>
            {
                self.coverage.saw(Rare::EvilKeyTrusted);
            }
            View::Result { outcome: Ok(Success::Verification { user, code, .. }), .. } => {
                let known = self.codes.insert(user.clone(), code.clone());
                if known.is_some_and(|known| known != *code) {
                    self.coverage.saw(Rare::CodesDiffer);
                }
            }
            _ => {}
        }
    }
}
