//! Rare states of the server's door: who is let in, closed or refused there.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::{Coverage, Rare};
use crate::record::{Change, Fact, Record, Suspect};
use crate::server::Settings;
use crate::server::settings::Registration;
use crate::sim::trace::{Seen, Told, Trace};
use crate::time::Time;
use crate::wire::{Farewell, Refusal, ServerLine};
use crate::words::{LinkId, LoginNumber, Name, Ticket};

/// One part in so many of the places for names may be locked from one network.
const SHARE_OF_A_NETWORK: usize = 16;
/// Connections of an address that are safe once they have begun to log in.
const SAFE: usize = 16;

/// What a connection has said that has one answer.
#[derive(Debug)]
enum Said {
    /// With the name.
    Login(String),
    Register,
    Takeover,
    Other,
}

/// A connection that is not logged in.
#[derive(Debug)]
struct Stranger {
    from: SocketAddr,
    line: Vec<u8>,
    spoke: bool,
    begun: bool,
    said: VecDeque<Said>,
}

/// What is remembered of the door.
#[derive(Debug, Default)]
pub(super) struct Door {
    settings: Settings,
    /// By how many microseconds the server's clock is ahead.
    ahead: i64,
    now: Time,
    told: Option<Told>,
    stopping: bool,
    strangers: BTreeMap<LinkId, Stranger>,
    /// Strangers before the connection that has come in this call, of its address and in all.
    before: (usize, usize),
    /// Sessions that were asked whether they are there, and have said nothing since; and one that has just answered.
    asked: BTreeSet<LinkId>,
    answered: bool,
    /// Where the passwords come from that wait, and those that are compared.
    passwords: BTreeMap<Vec<u8>, SocketAddr>,
    compared: BTreeMap<Ticket, SocketAddr>,
    /// From where the call comes.
    from: Option<SocketAddr>,
    /// Locks of names, and from where they came.
    locks: BTreeMap<Suspect, (Time, Option<SocketAddr>)>,
    /// Who is about to come in while their name is locked.
    locked: BTreeSet<Name>,
}

/// The bits of an address that count: 24 and 48 of a network, 32 and 64 of a host.
fn bits(from: SocketAddr, of_four: usize, of_six: usize) -> Vec<u8> {
    match from.ip().to_canonical() {
        IpAddr::V4(ip) => ip.octets().into_iter().take(of_four).collect(),
        IpAddr::V6(ip) => ip.octets().into_iter().take(of_six).collect(),
    }
}

fn are_of_one_host(one: SocketAddr, other: SocketAddr) -> bool {
    bits(one, 4, 8) == bits(other, 4, 8)
}

fn are_of_one_network(one: SocketAddr, other: SocketAddr) -> bool {
    let is_loopback = |from: SocketAddr| from.ip().to_canonical().is_loopback();
    is_loopback(one) && is_loopback(other) || bits(one, 3, 6) == bits(other, 3, 6)
}

impl Door {
    pub(super) fn see(&mut self, at: Time, seen: &Seen, trace: &Trace, coverage: &mut Coverage) {
        self.now = Time(at.0.saturating_add_signed(self.ahead));
        match seen {
            Seen::ServerStarted { settings, ahead, .. } => {
                *self = Door { settings: (**settings).clone(), ahead: *ahead, ..Door::default() };
            }
            Seen::FilesChanged { settings, .. } => self.settings = (**settings).clone(),
            Seen::Told(told) => self.told(*told, trace),
            Seen::VerifyAsked { ticket, password } => {
                if let Some(from) = self.passwords.remove(trace.bytes(*password)) {
                    self.compared.insert(*ticket, from);
                }
            }
            Seen::Persisted { record, .. } => self.record(record),
            Seen::Sent { link, bytes } => {
                for line in crate::sim::check::lines(trace.bytes(*bytes)) {
                    if let Ok(line) = ServerLine::parse(line.strip_suffix(b"\r").unwrap_or(line)) {
                        self.line(*link, &line, coverage);
                    }
                }
            }
            Seen::Closed { link } => self.closed(*link, coverage),
            _ => {}
        }
    }

    fn told(&mut self, told: Told, trace: &Trace) {
        self.told = Some(told);
        self.from = None;
        self.answered = false;
        match told {
            Told::LinkOpened { link, from } => {
                let of_host = self.strangers.values().filter(|other| are_of_one_host(other.from, from));
                self.before = (of_host.count(), self.strangers.len());
                let said = VecDeque::new();
                let stranger = Stranger { from, line: Vec::new(), spoke: false, begun: false, said };
                self.strangers.insert(link, stranger);
            }
            Told::Received { link, bytes } => {
                self.answered = self.asked.remove(&link);
                self.received(link, trace.bytes(bytes));
            }
            Told::LinkClosed { link } | Told::StreamEnded { link } => {
                self.asked.remove(&link);
                if matches!(told, Told::LinkClosed { .. }) {
                    self.strangers.remove(&link);
                } else if let Some(stranger) = self.strangers.get_mut(&link) {
                    // It is not safe any more.
                    stranger.begun = false;
                }
            }
            Told::Verified { ticket, .. } => self.from = self.compared.remove(&ticket),
            Told::Stop | Told::Restart => self.stopping = true,
            _ => {}
        }
    }

    fn received(&mut self, link: LinkId, bytes: &[u8]) {
        let Some(stranger) = self.strangers.get_mut(&link) else { return };
        self.from = Some(stranger.from);
        stranger.spoke = true;
        stranger.line.extend_from_slice(bytes);
        while let Some(end) = stranger.line.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = stranger.line.drain(..=end).collect();
            let Ok(line) = String::from_utf8(line) else { continue };
            let line = line.trim_end_matches(['\n', '\r']);
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let (name, password) = rest.split_once(' ').unwrap_or((rest, ""));
            let said = match word {
                "" | "hello" | "device" => continue,
                "login" => Said::Login(String::from(name)),
                "register" => Said::Register,
                "takeover" => Said::Takeover,
                _ => Said::Other,
            };
            stranger.begun |= matches!(word, "login" | "register" | "resume");
            if matches!(word, "login" | "register") && !password.is_empty() {
                self.passwords.insert(password.as_bytes().to_vec(), stranger.from);
            }
            stranger.said.push_back(said);
        }
    }

    fn line(&mut self, link: LinkId, line: &ServerLine<'_>, coverage: &mut Coverage) {
        match line {
            ServerLine::Alive => drop(self.asked.insert(link)),
            ServerLine::Bye(Farewell::Replaced) if self.asked.remove(&link) => {
                coverage.saw(Rare::ProbeUnanswered);
            }
            // A courier stays among them.
            ServerLine::Welcome(admission) | ServerLine::Resumed(admission)
                if admission.login == LoginNumber(0) => {}
            ServerLine::Welcome(admission) => {
                if Name::new(admission.user).is_ok_and(|user| self.locked.remove(&user)) {
                    coverage.saw(Rare::DeviceWhileLocked);
                }
                let stranger = self.strangers.remove(&link);
                if stranger.is_some_and(|stranger| matches!(stranger.said.front(), Some(Said::Takeover))) {
                    coverage.saw(Rare::TakenOver);
                }
            }
            ServerLine::Resumed(admission) => {
                self.strangers.remove(&link);
                self.locked.retain(|user| user.as_str() != admission.user);
            }
            ServerLine::Ask(_) | ServerLine::Failed { .. } => {
                if let Some(stranger) = self.strangers.get_mut(&link) {
                    stranger.said.pop_front();
                }
            }
            ServerLine::Refused(refusal) => self.refused(link, *refusal, coverage),
            _ => {}
        }
    }

    fn refused(&mut self, link: LinkId, refusal: Refusal, coverage: &mut Coverage) {
        let Some(stranger) = self.strangers.get_mut(&link) else { return };
        let (said, from) = (stranger.said.pop_front(), stranger.from);
        match (refusal, said) {
            (Refusal::AlreadyOnline, _) if self.answered => coverage.saw(Rare::ProbeAnswered),
            (Refusal::LockedOut { .. }, Some(Said::Register))
                if self.settings.registration == Registration::Open =>
            {
                coverage.saw(Rare::RegistrationBeyond);
            }
            // Nobody has such a name, and no thread is busy: what is missing is a place.
            (Refusal::Busy, Some(Said::Login(name))) if name.starts_with("nobody-") => {
                let is_idle = self.compared.len() < self.settings.hashing_threads as usize;
                let locked = self.locks.values().filter(|(until, _)| *until > self.now);
                let of_network = locked
                    .clone()
                    .filter(|(_, place)| place.is_some_and(|place| are_of_one_network(place, from)));
                let places = self.settings.name_places as usize;
                let is_spent = of_network.count() >= (places / SHARE_OF_A_NETWORK).max(1);
                if is_idle && is_spent && locked.count() < places {
                    coverage.saw(Rare::NetworkBusy);
                }
            }
            _ => {}
        }
    }

    fn record(&mut self, record: &Record) {
        match record {
            Record::Fact(Fact::Failures { suspect, locked_until: Some(until), .. }) => {
                let before = self.locks.insert(suspect.clone(), (*until, self.from));
                // What is written once more was locked from where it was.
                if let Some(before) = before.filter(|(known, _)| known == until) {
                    self.locks.insert(suspect.clone(), before);
                }
            }
            Record::Fact(Fact::Failures { suspect, locked_until: None, .. }) => {
                self.locks.remove(suspect);
            }
            Record::Fact(Fact::SessionBegan { user, at, .. }) => {
                let lock = self.locks.get(&Suspect::Account(user.clone()));
                if lock.is_some_and(|(until, _)| until > at) {
                    self.locked.insert(user.clone());
                } else {
                    self.locked.remove(user);
                }
            }
            Record::Change(Change::AccountRemoved { name }) => {
                self.locks.remove(&Suspect::Account(name.clone()));
            }
            _ => {}
        }
    }

    fn closed(&mut self, link: LinkId, coverage: &mut Coverage) {
        self.asked.remove(&link);
        let Some(gone) = self.strangers.remove(&link) else { return };
        let Some(Told::LinkOpened { link: new, .. }) = self.told.filter(|_| !self.stopping) else { return };
        let (of_host, all) = self.before;
        let most = self.settings.unauthenticated_max as usize;
        let own = self.settings.unauthenticated_per_address as usize;
        if link != new && all < most && (own == 0 || of_host < own) {
            coverage.saw(Rare::StrangerDroppedEarly);
        }
        let beside = self.strangers.values().filter(|other| are_of_one_host(other.from, gone.from)).count();
        if link != new && gone.begun && beside < SAFE && all >= most && (own == 0 || of_host < own) {
            coverage.saw(Rare::StrangerMadeRoomForKnown);
        }
        let stays = |(id, other): (&LinkId, &Stranger)| {
            *id < link && other.begun && are_of_one_host(other.from, gone.from)
        };
        if (link == new || gone.spoke) && self.strangers.iter().any(stays) {
            coverage.saw(Rare::SafeStrangerKept);
        }
    }
}
