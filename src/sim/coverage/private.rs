//! Rare states of private links.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::{Coverage, Rare};
use crate::client::Verb;
use crate::client::view::{Failure, Path, View};
use crate::sim::calls::proof;
use crate::sim::cast::USERS;
use crate::sim::network::Place;
use crate::sim::relayed::is_relayed;
use crate::sim::trace::{PeerSeen, ProcessId, Seen, Told, Trace};
use crate::wire::Code;
use crate::words::LinkId;

/// What is remembered of private links.
#[derive(Debug, Default)]
pub(super) struct Links {
    places: BTreeMap<ProcessId, Place>,
    /// What routers pass on because they were asked to.
    passed_on: BTreeSet<SocketAddr>,
    programs: BTreeMap<LinkId, ProcessId>,
    /// The users of an introduction, by its id, and whether all of them are programs.
    introduced: BTreeMap<String, Vec<(Option<ProcessId>, String)>>,
    /// The diallers of connections that may not be accepted yet.
    diallers: BTreeMap<LinkId, ProcessId>,
    /// The introductions of links that were called, and those of links that are open or nominated.
    called: BTreeMap<(LinkId, ProcessId), String>,
    nominated: BTreeSet<(String, LinkId)>,
    opened: BTreeSet<String>,
    /// Where requesters have begun to move their conversations, and whether these have lost their relays.
    moving: BTreeMap<(LinkId, ProcessId), bool>,
    /// Links of a later introduction than the one that the conversation began with.
    continues: BTreeSet<(LinkId, ProcessId)>,
    /// The last texts that clients have said, by introduction.
    said: BTreeMap<(String, ProcessId), u64>,
    /// The server was told that a time has come.
    ticks: bool,
}

impl Links {
    pub(super) fn see(&mut self, seen: &Seen, trace: &Trace, coverage: &mut Coverage) {
        match seen {
            Seen::ClientStarted { process, place, .. } => drop(self.places.insert(*process, *place)),
            Seen::Caller { link, process: Some(process) } => drop(self.programs.insert(*link, *process)),
            Seen::Sent { link, bytes } => {
                self.introduce(*link, trace.bytes(*bytes));
                self.relays(trace.bytes(*bytes), coverage);
            }
            Seen::Told(told) => self.ticks = matches!(told, Told::Tick),
            Seen::Showed { view, .. } => {
                if matches!(&**view, View::PrivateOpened { path: Path::Relayed, .. }) {
                    coverage.saw(Rare::RelayStood);
                }
                let View::Result { command, outcome, .. } = &**view else { return };
                match outcome {
                    Err(Failure { code: Code::Unreachable, .. }) => coverage.saw(Rare::Unreachable),
                    Err(Failure { code: Code::KeyChanged, .. }) => coverage.saw(Rare::KeyChanged),
                    Ok(_) if *command == Verb::Trust.into() => coverage.saw(Rare::KeyTrusted),
                    Ok(_) | Err(_) => {}
                }
            }
            Seen::Peer(peer) => self.peer(peer, trace, coverage),
            _ => {}
        }
    }

    /// What the server says of relays.
    fn relays(&self, bytes: &[u8], coverage: &mut Coverage) {
        let has = |word: &[u8]| memchr::memmem::find(bytes, word).is_some();
        if !has(b"relay ") {
            return;
        }
        let seen = [
            (has(b"relay refused "), Rare::RelayRefused),
            (has(b"relay unknown "), Rare::RelayUnknown),
            (has(b"relay closed "), Rare::RelayClosed),
            (has(b"relay data ") && self.ticks, Rare::RelayWaited),
        ];
        seen.into_iter().filter(|(seen, _)| *seen).for_each(|(_, rare)| coverage.saw(rare));
    }

    fn introduce(&mut self, link: LinkId, bytes: &[u8]) {
        if memchr::memmem::find(bytes, b"introduce ").is_none() {
            return;
        }
        for line in String::from_utf8_lossy(bytes).lines() {
            if let ["introduce", user, _, id, ..] = line.split(' ').collect::<Vec<_>>().as_slice() {
                let program = self.programs.get(&link).copied();
                let users = self.introduced.entry((*id).to_string()).or_default();
                users.push((program, (*user).to_string()));
            }
        }
    }

    fn peer(&mut self, peer: &PeerSeen, trace: &Trace, coverage: &mut Coverage) {
        match peer {
            PeerSeen::Listens { addresses, .. } if addresses.len() > 1 => {
                coverage.saw(Rare::SeveralListeners)
            }
            PeerSeen::Favoured { favour: Some(favour), .. } => match (favour.says, favour.keeps) {
                (Some(outside), true) => drop(self.passed_on.insert(outside)),
                (Some(_), false) => coverage.saw(Rare::RouterLied),
                (None, _) => {}
            },
            PeerSeen::Dialled { address, .. } if self.passed_on.contains(address) => {
                coverage.saw(Rare::PassedOnDialled);
            }
            PeerSeen::Tampered { .. } => coverage.saw(Rare::RelayTampered),
            PeerSeen::Unreached { refused, .. } => {
                coverage.saw(if *refused { Rare::DialRefused } else { Rare::DialUnanswered });
            }
            PeerSeen::Punched { both, .. } => {
                coverage.saw(if *both { Rare::OpenedByBoth } else { Rare::PunchedToPort });
            }
            PeerSeen::Joined { link, process, dialled: true } => {
                self.diallers.insert(*link, *process);
            }
            PeerSeen::Left { link, process, .. } if self.diallers.get(link) == Some(process) => {
                self.diallers.remove(link);
            }
            PeerSeen::Left { link, process, .. } if is_relayed(*link) => {
                let moving = self.moving.iter_mut().filter(|((_, of), _)| of == process);
                moving.for_each(|(_, lost)| *lost = true);
            }
            PeerSeen::Joined { link, process, dialled: false } => {
                let dialler = self.diallers.remove(link);
                let place = |process: &ProcessId| self.places.get(process);
                let Some((from, to)) = dialler.as_ref().and_then(place).zip(place(process)) else { return };
                if from.has_firewall() {
                    coverage.saw(Rare::FromFirewall);
                }
                if to.has_router() && !from.is_near(to) {
                    coverage.saw(Rare::ThroughRouter);
                }
                if from.has_router() && from.is_near(to) {
                    coverage.saw(Rare::BehindOneRouter);
                }
            }
            PeerSeen::Heard { link, process, bytes } => {
                for line in String::from_utf8_lossy(trace.bytes(*bytes)).lines() {
                    self.heard(*link, *process, line, coverage);
                }
            }
            PeerSeen::Said { link, process, bytes } => {
                for line in String::from_utf8_lossy(trace.bytes(*bytes)).lines() {
                    self.said(*link, *process, line, coverage);
                }
            }
            _ => {}
        }
    }

    fn heard(&mut self, link: LinkId, process: ProcessId, line: &str, coverage: &mut Coverage) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["hobnob-private", "2", nonce, proof] => {
                let Some((id, from)) = self.claims(nonce, proof) else {
                    return coverage.saw(Rare::CalledWithWrongId);
                };
                let users = self.introduced.get(&id).map(Vec::as_slice).unwrap_or_default();
                let own = users.iter().find(|(reader, _)| *reader == Some(process));
                let rare = match own {
                    None => Some(Rare::CalledWithOthersId),
                    Some((_, other)) if *other != from => Some(Rare::CalledWithWrongName),
                    Some(_) => self.opened.contains(&id).then_some(Rare::CalledAgain),
                };
                rare.into_iter().for_each(|rare| coverage.saw(rare));
                self.called.insert((link, process), id);
            }
            ["nominate"] => {
                let Some(id) = self.called.get(&(link, process)) else { return };
                self.nominated.insert((id.clone(), link));
                if self.nominated.iter().filter(|(of, _)| of == id).count() > 1 {
                    coverage.saw(Rare::NominatedTwice);
                }
            }
            ["opened"] => self.has_opened(link, process, coverage),
            ["continued", _] => {
                coverage.saw(if is_relayed(link) { Rare::Rejoined } else { Rare::Moved });
                if self.continues.remove(&(link, process)) {
                    coverage.saw(Rare::FoundAgain);
                }
                if self.moving.remove(&(link, process)) == Some(true) {
                    coverage.saw(Rare::OldLinkEndedFirst);
                }
            }
            _ => {}
        }
    }

    /// What a caller has proved: of which introduction it knows the id, and as whom.
    fn claims(&self, nonce: &str, shown: &str) -> Option<(String, String)> {
        self.introduced.iter().find_map(|(id, users)| {
            let token = id.parse().ok()?;
            let told = users.iter().map(|(_, user)| user.as_str());
            let from = USERS.iter().copied().chain(told.clone());
            let pairs = from.flat_map(|from| told.clone().map(move |to| (from, to)));
            let mut claims = pairs.flat_map(|(from, to)| [(from, to, true), (from, to, false)]);
            let (from, _, _) =
                claims.find(|(from, to, asks)| proof(token, nonce, *asks, from, to) == shown)?;
            Some((id.clone(), from.to_string()))
        })
    }

    fn said(&mut self, link: LinkId, process: ProcessId, line: &str, coverage: &mut Coverage) {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["hobnob-private", _, nonce, proof] => {
                if let Some((id, _)) = self.claims(nonce, proof) {
                    self.called.insert((link, process), id);
                }
            }
            ["opened"] => {
                if self.called.get(&(link, process)).is_some_and(|id| self.opened.contains(id)) {
                    coverage.saw(Rare::OpenedAgain);
                }
                self.has_opened(link, process, coverage);
            }
            ["continue", id, _] => {
                self.moving.insert((link, process), false);
                if self.called.get(&(link, process)).is_some_and(|called| called != id) {
                    self.continues.insert((link, process));
                }
            }
            ["text", number, ..] => {
                let Some(id) = self.called.get(&(link, process)) else { return };
                let last = self.said.entry((id.clone(), process)).or_default();
                let number = number.parse().unwrap_or(0);
                if number <= *last {
                    coverage.saw(Rare::SaidAgainAfterMove);
                }
                *last = number.max(*last);
            }
            _ => {}
        }
    }

    fn has_opened(&mut self, link: LinkId, process: ProcessId, coverage: &mut Coverage) {
        let Some(id) = self.called.get(&(link, process)) else { return };
        let by_hand = |users: &Vec<(Option<ProcessId>, String)>| users.iter().any(|(one, _)| one.is_none());
        if self.introduced.get(id).is_some_and(by_hand) {
            coverage.saw(Rare::OpenedByHand);
        }
        self.opened.insert(id.clone());
    }
}
