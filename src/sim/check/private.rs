//! Private links: two clients who agree get one, at the addresses that they were told, and nobody else does.
//!
//! The lines of introductions and of clients among each other are read here by a reader of their own, written
//! from the grammar (R33 to R39).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::{Check, Verdict, lines, rule};
use crate::client::view::{Failure, Success, View};
use crate::sim::network::{Answer, Place};
use crate::sim::trace::{PeerSeen, ProcessId, Seen, Trace};
use crate::time::Time;
use crate::wire::Code;
use crate::words::LinkId;

/// A client gives up after this, and so two clients who agree have a link by then (R35).
const PATIENCE_MICROS: u64 = 15_000_000;
/// How long it takes a line to come and a result to be shown.
const SHOWING_MICROS: u64 = 6_000_000;
/// An introduction is good for so long (R35).
pub(super) const GOOD_MICROS: u64 = 30_000_000;
/// After a disturbance: a silent link is found dead within 15 s.
const CALM_MICROS: u64 = 16_000_000;
/// Addresses dialled for an introduction, and endpoints declared (R33, R35).
const DIALS: usize = 4;
const ENDPOINTS: usize = 8;
/// One stranger is enough: they may know the id, and take the place of the one who is meant.
const STRANGERS: usize = 1;
const STRANGER_MICROS: u64 = 6_000_000;
/// Introductions remembered.
const REMEMBERED: usize = 64;

/// What is known of private links.
#[derive(Debug, Default)]
pub(super) struct Private {
    pub(super) clients: BTreeMap<ProcessId, Client>,
    pub(super) introductions: BTreeMap<String, Introduction>,
    pub(super) ends: BTreeMap<(LinkId, ProcessId), End>,
    /// Links that must be open by a time, by the ids of their introductions.
    due: BTreeSet<(Time, String)>,
    /// Those who asked for a link, and must know by a time what came of it.
    owed: BTreeSet<(Time, ProcessId, String)>,
}

/// A client program.
#[derive(Debug)]
pub(super) struct Client {
    place: Place,
    listening: Vec<SocketAddr>,
    /// At some time it could not listen.
    was_deaf: bool,
    /// What it said last of where it listens, by the user it wants a link with.
    declared: BTreeMap<String, Vec<String>>,
    disturbed: Time,
    frozen: bool,
    strangers: Vec<Time>,
    /// Links that were opened and not shown yet, by user.
    pub(super) opened: BTreeMap<String, u32>,
}

/// What the server has told two users about each other.
#[derive(Debug)]
pub(super) struct Introduction {
    pub(super) at: Time,
    sides: Vec<Side>,
}

#[derive(Debug)]
pub(super) struct Side {
    /// `None`: a person by hand.
    process: Option<ProcessId>,
    /// The other's name.
    pub(super) user: String,
    pub(super) is_requester: bool,
    addresses: Vec<SocketAddr>,
    dialled: Vec<SocketAddr>,
    pub(super) nominated: Option<LinkId>,
    pub(super) opened: bool,
    shown: bool,
}

/// A client's end of a connection with another.
#[derive(Debug)]
pub(super) struct End {
    pub(super) dialled: bool,
    pub(super) heard: Vec<u8>,
    pub(super) stage: Stage,
    /// Of the introduction.
    pub(super) id: String,
    /// As the caller has said.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) is_nominated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    New,
    Called,
    Ready,
    Open,
    /// The other side has said what is not its part.
    Broken,
}

impl Introduction {
    pub(super) fn side(&self, process: ProcessId) -> Option<&Side> {
        self.sides.iter().find(|side| side.process == Some(process))
    }

    pub(super) fn side_mut(&mut self, process: ProcessId) -> Option<&mut Side> {
        self.sides.iter_mut().find(|side| side.process == Some(process))
    }

    /// The name of a client's own user, as the other side was told it.
    pub(super) fn name_of(&self, process: ProcessId) -> Option<&str> {
        let other = self.sides.iter().find(|side| side.process != Some(process));
        other.map(|side| side.user.as_str())
    }
}

impl Private {
    fn disturb(&mut self, process: ProcessId, now: Time) {
        if let Some(client) = self.clients.get_mut(&process) {
            client.disturbed = now;
        }
        let introductions = &self.introductions;
        let concerns = |id: &String| introductions.get(id).is_some_and(|both| both.side(process).is_some());
        self.due.retain(|(_, id)| !concerns(id));
        self.owed.retain(|(_, asker, _)| *asker != process);
    }

    fn disturb_all(&mut self, now: Time) {
        self.clients.values_mut().for_each(|client| client.disturbed = now);
        self.due.clear();
        self.owed.clear();
    }

    fn is_calm(&self, process: ProcessId, now: Time) -> bool {
        let calm = |client: &Client| !client.frozen && client.disturbed.0 + CALM_MICROS < now.0;
        self.clients.get(&process).is_some_and(calm)
    }

    fn forget(&mut self, process: ProcessId, now: Time) {
        self.disturb(process, now);
        self.clients.remove(&process);
        self.ends.retain(|(_, of), _| *of != process);
    }

    /// Whether one of two clients reaches the other at an address that it was told.
    fn can_meet(&self, both: &Introduction) -> bool {
        let reaches = |here: &Side, there: &Side| {
            let client = |side: &Side| side.process.and_then(|process| self.clients.get(&process));
            let (Some(from), Some(to)) = (client(here), client(there)) else { return false };
            let mut told = here.addresses.iter().take(DIALS).filter(|address| may_be_dialled(address));
            told.any(|address| from.place.dials(*address, &to.place, &to.listening) == Answer::Connected)
        };
        let [one, other] = both.sides.as_slice() else { return false };
        reaches(one, other) || reaches(other, one)
    }
}

impl Check {
    pub(super) fn see_private(&mut self, seen: &Seen, trace: &Trace) -> Verdict {
        let now = self.now;
        match seen {
            Seen::ClientStarted { process, place, .. } => {
                let client = Client {
                    place: *place,
                    listening: Vec::new(),
                    was_deaf: false,
                    declared: BTreeMap::new(),
                    disturbed: Time::ZERO,
                    frozen: false,
                    strangers: Vec::new(),
                    opened: BTreeMap::new(),
                };
                self.private.clients.insert(*process, client);
            }
            Seen::Sent { link, bytes } => return self.introductions_sent(*link, trace.bytes(*bytes)),
            Seen::Peer(peer) => return self.see_peer(peer, trace),
            Seen::Showed { process, view, .. } => return self.opening_shown(*process, view),
            Seen::ClientExited { process, .. } | Seen::ClientKilled { process, .. } => {
                self.private.forget(*process, now);
            }
            Seen::Frozen { process, frozen } => {
                self.private.disturb(*process, now);
                if let Some(client) = self.private.clients.get_mut(process) {
                    client.frozen = *frozen;
                }
            }
            // Nothing more is shown there.
            Seen::OutputClosed { process } => self.private.disturb(*process, Time(u64::MAX >> 1)),
            Seen::Typed { process, text, .. } if trace.bytes(*text).starts_with(b"logout") => {
                self.private.disturb(*process, now);
            }
            Seen::Stranger { process } => {
                if let Some(client) = self.private.clients.get_mut(process) {
                    client.strangers.retain(|at| at.0 + STRANGER_MICROS > now.0);
                    client.strangers.push(now);
                    if client.strangers.len() >= STRANGERS {
                        self.private.disturb(*process, now);
                    }
                }
            }
            Seen::ServerGone { .. } => self.private.disturb_all(now),
            _ => {}
        }
        Ok(())
    }

    /// Links that two clients agreed on are open in time.
    pub(super) fn private_links_are_open(&mut self) -> Verdict {
        if let Some((until, id)) = self.private.due.first() {
            let both = self.private.introductions.get(id);
            rule!(self, *until >= self.now, "two who agree get a private link", "{id}: {both:?}");
        }
        if let Some((until, asker, user)) = self.private.owed.first() {
            rule!(self, *until >= self.now, "a private link has its result in time", "{asker:?}: {user}");
        }
        Ok(())
    }

    /// The server introduces, or ends a link.
    fn introductions_sent(&mut self, link: LinkId, bytes: &[u8]) -> Verdict {
        let has = |word: &[u8]| memchr::memmem::find(bytes, word).is_some();
        if has(b"endprivate ")
            && let Some(process) = self.clients.process_on(link)
        {
            self.private.disturb(process, self.now);
        }
        if !has(b"introduce ") {
            return Ok(());
        }
        for line in lines(bytes).filter_map(|line| core::str::from_utf8(line).ok()) {
            if let ["introduce", user, role, id, addresses @ ..] =
                line.split(' ').collect::<Vec<_>>().as_slice()
            {
                let side = Side {
                    process: self.clients.process_on(link),
                    user: (*user).to_string(),
                    is_requester: *role == "requester",
                    addresses: addresses.iter().filter_map(|word| word.parse().ok()).collect(),
                    dialled: Vec::new(),
                    nominated: None,
                    opened: false,
                    shown: false,
                };
                self.introduced(id, side)?;
            }
        }
        Ok(())
    }

    fn introduced(&mut self, id: &str, side: Side) -> Verdict {
        let now = self.now;
        if self.private.introductions.len() > REMEMBERED {
            self.private.introductions.retain(|_, both| both.at.0 + 2 * GOOD_MICROS > now.0);
        }
        // A later introduction of the same two takes the place of an earlier one.
        let introductions = &self.private.introductions;
        let same = |both: &Introduction| {
            let same = |known: &&Side| known.process == side.process && known.user == side.user;
            both.sides.iter().find(same).is_some()
        };
        let replaced = |other: &String| other != id && introductions.get(other).is_some_and(same);
        self.private.due.retain(|(_, other)| !replaced(other));
        let fresh = || Introduction { at: now, sides: Vec::new() };
        let both = self.private.introductions.entry(id.to_string()).or_insert_with(fresh);
        both.sides.push(side);
        let used = both.at != now || both.sides.len() > 2;
        rule!(self, !used, "an introduction has its own id", "{id}: {both:?}");
        self.tells_where_the_other_is(id)?;
        let Some(both) = self.private.introductions.get(id) else { return Ok(()) };
        for side in &both.sides {
            side.process.map_or(Ok(()), |process| self.declares(process, &side.user))?;
        }
        let processes: Vec<ProcessId> = both.sides.iter().filter_map(|side| side.process).collect();
        let calm = processes.len() == 2 && processes.iter().all(|one| self.private.is_calm(*one, now));
        if calm && self.private.can_meet(both) {
            self.private.due.insert((Time(now.0 + PATIENCE_MICROS), id.to_string()));
        }
        let asker = both.sides.last().filter(|_| both.sides.len() == 2).and(both.sides.first());
        if let Some(Side { process: Some(process), user, is_requester: true, .. }) = asker
            && self.private.is_calm(*process, now)
        {
            let until = Time(now.0 + PATIENCE_MICROS + SHOWING_MICROS);
            self.private.owed.insert((until, *process, user.clone()));
        }
        Ok(())
    }

    /// A client is told where the other listens and nothing else, and never its own address (R35, ruling 30).
    fn tells_where_the_other_is(&self, id: &str) -> Verdict {
        let Some(both) = self.private.introductions.get(id) else { return Ok(()) };
        let [one, other] = both.sides.as_slice() else { return Ok(()) };
        for (reader, other) in [(one, other), (other, one)] {
            let client =
                |side: &Side| side.process.and_then(|process| self.private.clients.get_key_value(&process));
            let (Some((_, reading)), Some((named, there))) = (client(reader), client(other)) else {
                continue;
            };
            let declared = endpoints(*named, there);
            let seen_at = there.place.observed().to_canonical();
            for address in &reader.addresses {
                let is_there = declared.iter().any(|endpoint| {
                    endpoint.port() == address.port() && (address.ip() == seen_at || endpoint == address)
                });
                let detail = || {
                    format!(
                        "{} is told {address}; the other is at {declared:?}, seen at {seen_at}",
                        other.user
                    )
                };
                rule!(self, is_there, "an introduction tells where the other is", "{}", detail());
                let own = reading.listening.contains(address);
                rule!(self, !own, "an introduction tells where the other is", "{}: its own", detail());
            }
        }
        Ok(())
    }

    fn see_peer(&mut self, peer: &PeerSeen, trace: &Trace) -> Verdict {
        match peer {
            PeerSeen::Listens { process, addresses } => {
                if let Some(client) = self.private.clients.get_mut(process) {
                    client.listening.clone_from(addresses);
                    client.was_deaf |= addresses.is_empty();
                }
            }
            PeerSeen::Asked { process, bytes } => self.asks(*process, trace.bytes(*bytes)),
            PeerSeen::Dialled { process, address } => return self.dials(*process, *address),
            PeerSeen::Joined { link, process, dialled } => {
                let end = End {
                    dialled: *dialled,
                    heard: Vec::new(),
                    stage: Stage::New,
                    id: String::new(),
                    from: String::new(),
                    to: String::new(),
                    is_nominated: false,
                };
                self.private.ends.insert((*link, *process), end);
            }
            PeerSeen::Said { link, process, bytes } => {
                for line in lines(trace.bytes(*bytes)) {
                    self.peer_says(*link, *process, &String::from_utf8_lossy(line))?;
                }
            }
            PeerSeen::Heard { link, process, bytes } => self.peer_hears(*link, *process, trace.bytes(*bytes)),
            PeerSeen::Left { link, process } => drop(self.private.ends.remove(&(*link, *process))),
            PeerSeen::Unreached { .. } => {}
            PeerSeen::Disturbed { process } => self.private.disturb(*process, self.now),
        }
        Ok(())
    }

    /// A request, or the answer to one, says where the client listens.
    fn asks(&mut self, process: ProcessId, bytes: &[u8]) {
        let Some(client) = self.private.clients.get_mut(&process) else { return };
        for line in lines(bytes).filter_map(|line| core::str::from_utf8(line).ok()) {
            let words: Vec<&str> = line.split(' ').skip_while(|word| word.starts_with('#')).collect();
            if let ["startprivate" | "accept", user, said @ ..] = words.as_slice() {
                let said = said.iter().map(|word| (*word).to_string()).collect();
                client.declared.insert((*user).to_string(), said);
            }
        }
    }

    /// What led to an introduction has said where the client listens: at all its addresses (R33).
    fn declares(&self, process: ProcessId, user: &str) -> Verdict {
        let Some(client) = self.private.clients.get(&process) else { return Ok(()) };
        let Some(said) = client.declared.get(user) else { return Ok(()) };
        let listens = endpoints(process, client);
        let parsed: Option<Vec<SocketAddr>> = said.iter().map(|word| word.parse().ok()).collect();
        let same = parsed.as_ref().is_some_and(|said| {
            said.len() <= ENDPOINTS
                && said.iter().all(|address| listens.contains(address))
                && listens.iter().all(|address| said.contains(address))
        });
        let excused = client.was_deaf && said.is_empty();
        let detail = || format!("{process:?} to {user}: {said:?}, not {listens:?}");
        rule!(self, same || excused, "a client declares where it listens", "{}", detail());
        Ok(())
    }

    /// A client dials what it was told, once, and no port or address of others' services (R35).
    fn dials(&mut self, process: ProcessId, address: SocketAddr) -> Verdict {
        let now = self.now;
        let told = self.private.introductions.values_mut().rev().filter_map(|both| {
            let is_good = both.at.0 + GOOD_MICROS >= now.0;
            both.side_mut(process).filter(|_| is_good)
        });
        let open = |side: &&mut Side| {
            let new = !side.dialled.contains(&address) && side.dialled.len() < DIALS;
            side.addresses.contains(&address) && new
        };
        let found = told.into_iter().find(open).map(|side| side.dialled.push(address)).is_some();
        let good = found && may_be_dialled(&address);
        rule!(self, good, "a client dials only where it was sent", "{process:?} dials {address}");
        Ok(())
    }

    /// A link is shown as open once for each that was opened.
    fn opening_shown(&mut self, process: ProcessId, view: &View) -> Verdict {
        match view {
            View::PrivateOpened { user, .. } => {
                let client = self.private.clients.get_mut(&process);
                let opened = client.and_then(|client| client.opened.get_mut(user));
                let counted = opened.and_then(|count| count.checked_sub(1).map(|left| *count = left));
                rule!(self, counted.is_some(), "what is shown as open was opened", "{process:?}: {user}");
                let sides = self.private.introductions.values_mut().filter_map(|both| both.side_mut(process));
                sides.filter(|side| side.user == *user && side.opened).for_each(|side| side.shown = true);
                let introductions = &self.private.introductions;
                let is_open = |id: &String| {
                    introductions.get(id).is_none_or(|both| both.sides.iter().all(|side| side.shown))
                };
                self.private.due.retain(|(_, id)| !is_open(id));
            }
            View::Result { outcome, .. } => {
                let user = match outcome {
                    Ok(Success::Private { user, .. }) => Some(user),
                    Err(Failure { code: Code::Unreachable | Code::OutcomeUnknown, subject }) => {
                        subject.as_ref()
                    }
                    _ => None,
                };
                self.private.owed.retain(|(_, asker, of)| *asker != process || Some(of) != user);
            }
            View::Bye(_) => self.private.disturb(process, self.now),
            _ => {}
        }
        Ok(())
    }
}

/// Where a client can be told to be reached: where it listens, and what it was told to declare.
fn endpoints(process: ProcessId, client: &Client) -> Vec<SocketAddr> {
    let advertised = client.place.advertised(process.0).filter(|_| !client.listening.is_empty());
    client.listening.iter().copied().chain(advertised).collect()
}

fn may_be_dialled(address: &SocketAddr) -> bool {
    let good = match address.ip().to_canonical() {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_unicast_link_local(),
    };
    good && address.port() >= 1_024
}
