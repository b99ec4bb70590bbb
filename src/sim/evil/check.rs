//! What must hold whatever the server says, judged by what was seen alone.
//!
//! A conversation is with whoever has proved a key to it. With the key of the other's own device it is their words, all of
//! them, in order, once; with a key of the server's own it is nobody's, and it may only begin if the client knew no key of
//! that name, or its person has said `trust`.

mod dials;
mod relays;
mod results;
mod words;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use self::dials::Dials;
use self::relays::Relays;
use self::words::Words;
use super::impostors::{EVIL_KEYS, cannot_be};
use super::steps::SECRET;
use super::trace::{Seen, Sizes};
use crate::client::Way;
use crate::client::view::{MessageKind, Path, View};
use crate::sim::check::Violation;
use crate::sim::trace::ProcessId;
use crate::time::Time;
use crate::words::{DeviceKey, LinkId};

pub(super) type Verdict = Result<(), Violation>;

/// Fails with a rule unless a condition holds.
macro_rules! hold {
    ($check:expr, $holds:expr, $rule:expr, $($detail:tt)*) => {
        if !$holds {
            return Err($crate::sim::check::Violation { rule: $rule, at: $check.now, detail: alloc::format!($($detail)*) });
        }
    };
}
use hold;

/// What a client may keep at most: links, relays, introductions under way, requests, dials under way, texts that wait.
const MOST: Sizes = [512, 256, 256, 64, 64, 4_096];

/// The checker.
#[derive(Debug, Default)]
pub(super) struct Check {
    pub(super) now: Time,
    clients: BTreeMap<ProcessId, Client>,
    /// Keys of devices.
    devices: BTreeMap<&'static str, DeviceKey>,
    /// Keys that a user may take for another's: of the first link, and those that were trusted.
    known: BTreeMap<(&'static str, String), BTreeSet<DeviceKey>>,
    words: Words,
    /// Codes that were shown, by the two keys that they stand for.
    codes: BTreeMap<[DeviceKey; 2], String>,
    /// Which client does something now, and of which link it was told before.
    acts: Option<(ProcessId, Option<LinkId>)>,
    /// A link on which something impossible was heard, and whether its client was told.
    spoilt: Option<(ProcessId, LinkId, bool)>,
}

/// A client program.
#[derive(Debug)]
struct Client {
    user: &'static str,
    path: Way,
    /// Whether it was told to take other ways.
    chooses: bool,
    proved: BTreeMap<LinkId, DeviceKey>,
    talks: BTreeMap<String, Talk>,
    /// Keys that it was told, by name.
    told: BTreeMap<String, BTreeSet<DeviceKey>>,
    dials: Dials,
    relays: Relays,
    /// What it has read of a line, and written to the server of relays.
    read: Vec<u8>,
    /// Lines without a result, and texts among them.
    open: BTreeMap<u64, Option<u32>>,
}

/// A conversation.
#[derive(Debug, Clone, Copy)]
struct Talk {
    key: DeviceKey,
    /// Counts all conversations.
    number: u32,
}

impl Check {
    /// Judges what was seen.
    pub(super) fn read(&mut self, seen: &[(Time, Seen)]) -> Verdict {
        for (at, seen) in seen {
            self.now = *at;
            self.see(seen)?;
        }
        Ok(())
    }

    fn see(&mut self, seen: &Seen) -> Verdict {
        match seen {
            Seen::Started { process, user, key, path } => {
                self.devices.insert(user, *key);
                let client = Client {
                    user,
                    path: *path,
                    chooses: false,
                    proved: BTreeMap::new(),
                    talks: BTreeMap::new(),
                    told: BTreeMap::new(),
                    dials: Dials::default(),
                    relays: Relays::default(),
                    read: Vec::new(),
                    open: BTreeMap::new(),
                };
                self.clients.insert(*process, client);
            }
            Seen::Forgot { user } => self.known.retain(|(by, _), _| by != user),
            Seen::Gone { process, exit } => return self.is_gone(*process, exit.is_some()),
            Seen::Typed { process, line, text } => self.typed(*process, *line, text),
            Seen::Told { process, link } => {
                self.acts = Some((*process, *link));
                self.clients.entry(*process).and_modify(|client| client.relays.is_told());
                let goes_on = self.spoilt.take_if(|(.., is_told)| *is_told);
                self.spoilt.iter_mut().for_each(|(.., is_told)| *is_told = true);
                hold!(
                    self,
                    goes_on.is_none(),
                    "nobody goes on with one who says what cannot be",
                    "{goes_on:?}"
                );
            }
            Seen::Heard { process, link, bytes } => self.heard(*process, *link, bytes),
            Seen::Showed { process, view } => return self.showed(*process, view),
            Seen::Proved { process, link, key } => {
                if let Some(client) = self.clients.get_mut(process) {
                    client.proved.insert(*link, *key);
                }
            }
            Seen::Left { process, link } => {
                self.spoilt.take_if(|(of, spoilt, _)| (*of, *spoilt) == (*process, *link));
            }
            Seen::Wrote { process, bytes } => return self.wrote(*process, bytes),
            Seen::Read { process, bytes } => return self.read_line(*process, bytes),
            Seen::Relayed { process } => return self.takes_relay(*process),
            Seen::Dialled { process, address, .. } => return self.dialled(*process, *address),
            Seen::Keeps { process, sizes } => {
                let within = sizes.iter().zip(MOST).all(|(size, most)| *size <= most);
                hold!(self, within, "a client keeps no more than it may", "{process:?}: {sizes:?}");
            }
            Seen::Said { .. } | Seen::Did(_) | Seen::Healed => {}
        }
        Ok(())
    }

    /// A line that no client that follows the protocol says on an encrypted link, in whatever state it is.
    fn heard(&mut self, process: ProcessId, link: LinkId, bytes: &[u8]) {
        let client = self.clients.get(&process);
        let is_proved = client.is_some_and(|client| client.proved.contains_key(&link));
        if is_proved && cannot_be(bytes) {
            self.spoilt = Some((process, link, false));
        }
    }

    fn showed(&mut self, process: ProcessId, view: &View) -> Verdict {
        match view {
            View::PrivateOpened { user, path } => self.opened(process, user, *path),
            View::PrivateClosed { user, .. } => {
                let Some(client) = self.clients.get_mut(&process) else { return Ok(()) };
                let was_open = client.talks.remove(user).is_some();
                client.relays.talk_is_over(user);
                hold!(self, was_open, "conversations begin and end in turn", "{process:?}: {user}");
                Ok(())
            }
            View::Message(message) if message.kind == MessageKind::Private => {
                self.text_shown(process, &message.from, &message.text)
            }
            View::Message(message) => {
                let is_secret = message.text.contains(SECRET);
                hold!(self, !is_secret, "a private text is shown as one", "{process:?}: {}", message.text);
                Ok(())
            }
            View::Result { line, outcome, command } => {
                self.result(process, *line, command.as_str(), outcome.as_ref())
            }
            _ => Ok(()),
        }
    }

    /// With whom a link is, of which a client was told just now.
    fn speaker(&self, process: ProcessId) -> Option<DeviceKey> {
        let (_, link) = self.acts.filter(|(acts, _)| *acts == process)?;
        self.clients.get(&process)?.proved.get(&link?).copied()
    }

    /// A conversation begins: with a key that was proved, and is the first of this name or was accepted.
    fn opened(&mut self, process: ProcessId, user: &str, path: Path) -> Verdict {
        let key = self.speaker(process);
        let Some(client) = self.clients.get(&process) else { return Ok(()) };
        let known = self.known.entry((client.user, String::from(user))).or_default();
        let Some(key) = key else {
            hold!(self, false, "a conversation begins with a key that was proved", "{process:?}: {user}");
            return Ok(());
        };
        let is_known = known.is_empty() || known.contains(&key);
        hold!(self, is_known, "another key of a known user makes no link", "{process:?}: {user} has {key:?}");
        known.insert(key);
        let right = self.devices.get(user) == Some(&key) || EVIL_KEYS.contains(&key);
        hold!(self, right, "nobody has the key of another", "{process:?}: {user} has {key:?}");
        let relayed = path == Path::Relayed;
        let wanted = client.chooses
            || match client.path {
                Way::Direct => !relayed,
                Way::Relay => relayed,
                Way::Auto => true,
            };
        hold!(self, wanted, "a link runs as its user wants", "{process:?}: {user} {path:?}");
        let number = self.words.new_talk();
        let client = self.clients.get_mut(&process);
        let before = client.and_then(|client| client.talks.insert(String::from(user), Talk { key, number }));
        hold!(self, before.is_none(), "conversations begin and end in turn", "{process:?}: {user}");
        Ok(())
    }

    /// Nothing is left to be shown.
    pub(super) fn texts_shown(&self) -> u64 {
        self.words.shown()
    }
}
