//! Private links: two clients who agree get one, at the addresses that they were told, and nobody else does.
//!
//! The lines of introductions and of clients among each other are read here by a reader of their own, written
//! from the grammar (R33 to R39).

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::consent::Consent;
use super::declared::endpoints;
pub(super) use super::introduced::{End, Introduction, Side};
use super::keys::Keys;
use super::moves::{Moving, Talk};
use super::{Check, Verdict, lines, rule};
use crate::client::view::{Connection, Failure, Notice, Path, Success, View};
use crate::client::{Named, Verb, Way};
use crate::sim::network::{Favour, Place};
use crate::sim::trace::{PeerSeen, ProcessId, Seen, Trace};
use crate::time::Time;
use crate::wire::Code;
use crate::words::LinkId;

/// A client gives up after this (R35).
pub(super) const PATIENCE_MICROS: u64 = 10_000_000;
/// How long it takes a line to come and a result to be shown.
pub(super) const SHOWING_MICROS: u64 = 6_000_000;
/// A client that does not stand still has read an introduction and used it after so long (R35).
pub(super) const GOOD_MICROS: u64 = 30_000_000;
/// After a disturbance: a silent link is found dead within 15 s.
pub(super) const CALM_MICROS: u64 = 16_000_000;
/// Addresses dialled for an introduction (R35).
pub(super) const DIALS: usize = 4;
/// Introductions remembered.
const REMEMBERED: usize = 64;

/// What is known of private links.
#[derive(Debug, Default)]
pub(super) struct Private {
    pub(super) clients: BTreeMap<ProcessId, Client>,
    pub(super) introductions: BTreeMap<String, Introduction>,
    pub(super) ends: BTreeMap<(LinkId, ProcessId), End>,
    /// Links that must be open by a time, by the ids of their introductions.
    pub(super) due_open: BTreeSet<(Time, String)>,
    /// Those that must be shown by a time.
    pub(super) due: BTreeSet<(Time, String)>,
    /// Those who asked for a link, and must know by a time what came of it.
    pub(super) owed: BTreeSet<(Time, ProcessId, String)>,
    /// Strangers at the doors, and when they must have said the id or be gone.
    pub(super) strangers: BTreeSet<(Time, ProcessId, LinkId)>,
    /// What clients know of others' keys.
    pub(super) keys: Keys,
    pub(super) moving: Moving,
    /// The longest time that a line of any connection takes.
    pub(super) latency_micros: u64,
}

/// A client program.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) place: Place,
    /// What its router says that it passes on.
    pub(super) favour: Option<Favour>,
    pub(super) listening: Vec<SocketAddr>,
    /// At some time it could not listen.
    pub(super) was_deaf: bool,
    /// What it said last of where it listens, by the user it wants a link with.
    pub(super) declared: BTreeMap<String, Vec<String>>,
    pub(super) disturbed: Time,
    /// Since when.
    pub(super) frozen: Option<Time>,
    /// Its requests for links and its answers to those of others, without an answer: the users, by number.
    pub(super) asked: BTreeMap<u64, String>,
    /// It has said that it has lost the server: what it asks for waits.
    pub(super) is_cut_off: bool,
    /// It has lost the server and does not come back to it.
    pub(super) is_alone: bool,
    /// Whether it comes back to a server that it has lost.
    pub(super) reconnects: bool,
    /// It logs in again in the middle of its session: requests that were typed before it wait.
    pub(super) logs_in_again: bool,
    /// When it began to listen, or the last of them was answered.
    pub(super) expected: Time,
    /// When relays ended before a conversation began or went on there.
    pub(super) vain_relays: VecDeque<Time>,
    /// When it first dialled addresses, in the last minute.
    pub(super) begun: Vec<Time>,
    /// Links that were opened and not shown yet, by user.
    /// Whether they are relayed.
    pub(super) opened: BTreeMap<String, VecDeque<bool>>,
    pub(super) consent: Consent,
    /// How its links are to run, and what was said of users since.
    path: Way,
    chosen: BTreeMap<String, Vec<Way>>,
}

impl Client {
    /// How a link with a user may be to run, by all that was typed.
    pub(super) fn ways(&self, user: &str) -> Vec<Way> {
        let chosen = self.chosen.get(user).into_iter().flatten();
        chosen.chain([&self.path]).copied().collect()
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
        self.due_open.retain(|(_, id)| !concerns(id));
        self.moving.is_excused(concerns);
        self.owed.retain(|(_, asker, _)| *asker != process);
        self.moving.early.retain(|(_, of, _)| *of != process);
        self.strangers.retain(|(_, of, _)| *of != process);
    }

    fn disturb_all(&mut self, now: Time) {
        self.clients.values_mut().for_each(|client| client.disturbed = now);
        self.due.clear();
        self.due_open.clear();
        self.moving.are_all_excused();
        self.owed.clear();
        self.strangers.clear();
    }

    pub(super) fn is_calm(&self, process: ProcessId, now: Time) -> bool {
        let calm = |client: &Client| client.frozen.is_none() && client.disturbed.0 + CALM_MICROS < now.0;
        self.clients.get(&process).is_some_and(calm)
    }

    fn forget(&mut self, process: ProcessId, now: Time) {
        self.disturb(process, now);
        self.moving.lost.retain(|(_, of, _)| *of != process);
        self.clients.remove(&process);
        self.ends.retain(|(_, of), _| *of != process);
    }
}

impl Check {
    pub(super) fn see_private(&mut self, seen: &Seen, trace: &Trace) -> Verdict {
        let now = self.now;
        match seen {
            Seen::ClientStarted { process, place, home, reconnects, path, accepts, .. } => {
                self.private.keys.starts(*process, *home);
                let client = Client {
                    place: *place,
                    favour: None,
                    listening: Vec::new(),
                    was_deaf: false,
                    declared: BTreeMap::new(),
                    disturbed: Time::ZERO,
                    frozen: None,
                    asked: BTreeMap::new(),
                    is_cut_off: false,
                    is_alone: false,
                    reconnects: *reconnects,
                    logs_in_again: false,
                    expected: now,
                    vain_relays: VecDeque::new(),
                    begun: Vec::new(),
                    opened: BTreeMap::new(),
                    consent: Consent::new(*accepts),
                    path: *path,
                    chosen: BTreeMap::new(),
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
                if *frozen { self.private.stops(*process, now) } else { self.private.goes_on(*process, now) }
            }
            // Nothing more is shown there.
            Seen::OutputClosed { process } => self.private.disturb(*process, Time(u64::MAX >> 1)),
            Seen::Typed { process, line, text } => {
                self.is_typed(*process, *line, &String::from_utf8_lossy(trace.bytes(*text)));
            }
            // They may get the link of the one who is meant.
            Seen::Stranger { process, knows_id: true } => self.private.disturb(*process, now),
            Seen::Stranger { process, knows_id: false } => self.private.strangers_come(*process),
            Seen::ServerGone { .. } => self.private.disturb_all(now),
            _ => {}
        }
        Ok(())
    }

    /// A link is open if both sides say so.
    pub(super) fn note_open(&mut self, id: &str) {
        let is_open = |both: &Introduction| both.sides.iter().all(|side| side.opened);
        if self.private.introductions.get(id).is_some_and(is_open) {
            self.private.due_open.retain(|(_, other)| other != id);
            self.private.may_have_to_move(id);
        }
    }

    /// Links that two clients agreed on are open in time.
    pub(super) fn private_links_are_open(&mut self) -> Verdict {
        for due in [&self.private.due_open, &self.private.due] {
            if let Some((until, id)) = due.first() {
                let both = self.private.introductions.get(id);
                rule!(self, *until >= self.now, "two who agree get a private link", "{id}: {both:?}");
            }
        }
        if let Some((until, asker, user)) = self.private.owed.first() {
            rule!(self, *until >= self.now, "a private link has its result in time", "{asker:?}: {user}");
        }
        self.doors_are_guarded()
    }

    /// The server introduces, or ends a link.
    fn introductions_sent(&mut self, link: LinkId, bytes: &[u8]) -> Verdict {
        let has = |word: &[u8]| memchr::memmem::find(bytes, word).is_some();
        if has(b"endprivate ")
            && let Some(process) = self.clients.process_on(link)
        {
            self.private.disturb(process, self.now);
        }
        if let Some(process) = self.clients.process_on(link) {
            self.private.is_answered(process, bytes, self.now);
            self.private.are_unknown(process, bytes);
        }
        if !has(b"introduce ") {
            return Ok(());
        }
        for line in lines(bytes).filter_map(|line| core::str::from_utf8(line).ok()) {
            if let ["introduce", user, role, id, said @ ..] = line.split(' ').collect::<Vec<_>>().as_slice() {
                let side = Side {
                    process: self.clients.process_on(link),
                    user: (*user).to_string(),
                    is_requester: *role == "requester",
                    key: said.first().and_then(|word| word.parse().ok()),
                    addresses: said.iter().filter_map(|word| word.parse().ok()).collect(),
                    dialled: BTreeMap::new(),
                    punched: BTreeMap::new(),
                    nominated: None,
                    lost_choice: None,
                    opened: false,
                    shown: false,
                    talk: Talk::default(),
                    good_until: Time(self.now.0 + GOOD_MICROS),
                    nonces: BTreeSet::new(),
                    continues: None,
                    is_moved: false,
                };
                self.introduced(id, side)?;
            }
        }
        Ok(())
    }

    fn introduced(&mut self, id: &str, mut side: Side) -> Verdict {
        let now = self.now;
        self.private.may_continue(&mut side);
        if let Some(process) = side.process {
            self.private.choices_are_over(process, &side.user);
        }
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
        self.private.due_open.retain(|(_, other)| !replaced(other));
        if let Some(process) = side.process {
            self.private.moving.are_introduced_anew(process, &side.user);
        }
        let fresh = || Introduction { at: now, sides: Vec::new() };
        let both = self.private.introductions.entry(id.to_string()).or_insert_with(fresh);
        both.sides.push(side);
        let used = both.at != now || both.sides.len() > 2;
        rule!(self, !used, "an introduction has its own id", "{id}: {both:?}");
        self.private.note_keys(id);
        self.tells_where_the_other_is(id)?;
        let Some(both) = self.private.introductions.get(id) else { return Ok(()) };
        for side in &both.sides {
            side.process.map_or(Ok(()), |process| self.declares(process, &side.user))?;
        }
        let processes: Vec<ProcessId> = both.sides.iter().filter_map(|side| side.process).collect();
        let may_dial = |one: &ProcessId| {
            self.private.is_calm(*one, now)
                && self.private.clients.get(one).is_some_and(|one| one.may_dial(now))
        };
        let keys = &self.private.keys;
        let known = both.sides.iter().all(|side| keys.certainly_takes(both, side));
        if known
            && processes.len() == 2
            && processes.iter().all(may_dial)
            && both.sides.iter().all(|side| side.continues.is_none())
            && self.private.can_meet(both, false)
        {
            self.private.due_open.insert((self.private.must_meet(now), id.to_string()));
            self.private.due.insert((Time(now.0 + PATIENCE_MICROS), id.to_string()));
        }
        let asker = both.sides.last().filter(|_| both.sides.len() == 2).and(both.sides.first());
        if let Some(Side { process: Some(process), user, is_requester: true, continues: None, .. }) = asker
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
                let outside = [Some(there.place.seen_by_server(named.0).port()), there.passed_on(*named)];
                let is_outside = address.ip() == seen_at && outside.contains(&Some(address.port()));
                let is_there = is_there || is_outside;
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

    /// A line was typed at a client.
    fn is_typed(&mut self, process: ProcessId, line: u64, text: &str) {
        let now = self.now;
        let linked = self.private.linked(process);
        let Some(client) = self.private.clients.get_mut(&process) else { return };
        client.consent.is_typed(line, text, &linked);
        match text.split(' ').collect::<Vec<_>>().as_slice() {
            ["path", user, way] => {
                let chosen = client.chosen.entry((*user).to_string()).or_default();
                chosen.extend(Way::from_word(way));
                client.consent.chooses(user, way);
            }
            // The result may be shown long after.
            ["trust", _, ..] => {
                self.private.keys.is_trusted(process, text.trim_start_matches("trust "));
            }
            _ if text.starts_with("logout") => self.private.disturb(process, now),
            _ => {}
        }
    }

    fn see_peer(&mut self, peer: &PeerSeen, trace: &Trace) -> Verdict {
        match peer {
            PeerSeen::Listens { process, addresses } => {
                if let Some(client) = self.private.clients.get_mut(process) {
                    client.listening.clone_from(addresses);
                    client.was_deaf |= addresses.is_empty();
                    client.expected = self.now;
                }
            }
            PeerSeen::StopsListening { process } => {
                if let Some(client) = self.private.clients.get_mut(process) {
                    client.listening.clear();
                }
            }
            PeerSeen::Favoured { process, favour, place } => {
                self.private.is_favoured(*process, *favour, *place)
            }
            PeerSeen::Asked { process, bytes } => return self.asks(*process, trace.bytes(*bytes)),
            PeerSeen::Dialled { process, address } => return self.dials(*process, *address),
            PeerSeen::Punches { process, address } => return self.punches(*process, *address),
            PeerSeen::Punched { link, process, address, .. } => {
                let calls = self.private.calls_there(*process, *address);
                self.private.ends.insert((*link, *process), End::new(calls));
            }
            PeerSeen::Relayed { link, process, calls } => {
                self.private.ends.insert((*link, *process), End::new(*calls));
            }
            PeerSeen::Tampered { .. } => self.private.disturb_all(self.now),
            PeerSeen::Joined { link, process, dialled } => {
                self.private.ends.insert((*link, *process), End::new(*dialled));
                return if *dialled { Ok(()) } else { self.comes(*process, *link) };
            }
            PeerSeen::Said { link, process, bytes } => {
                for line in lines(trace.bytes(*bytes)) {
                    self.peer_says(*link, *process, &String::from_utf8_lossy(line))?;
                }
            }
            PeerSeen::Heard { link, process, bytes } => {
                return self.peer_hears(*link, *process, trace.bytes(*bytes));
            }
            PeerSeen::Secured { link, process } => return self.secures(*link, *process),
            PeerSeen::Proved { link, process, key, can_move } => {
                if let Some(end) = self.private.ends.get_mut(&(*link, *process)) {
                    (end.proved, end.can_move) = (Some(*key), *can_move);
                }
            }
            PeerSeen::Left { link, process, closed } => {
                self.private.is_left(*process, *link, *closed, self.now);
                self.private.is_let_in(*process, *link);
            }
            PeerSeen::Unreached { .. } => {}
            PeerSeen::Slow { latency_micros } => self.private.slows(*latency_micros),
            PeerSeen::Disturbed { process } => self.private.disturb(*process, self.now),
            PeerSeen::CutOff { process } => self.private.loses_server(*process),
        }
        Ok(())
    }

    /// A link is shown as open once for each that was opened.
    fn opening_shown(&mut self, process: ProcessId, view: &View) -> Verdict {
        match view {
            View::PrivateOpened { user, path } => {
                let client = self.private.clients.get_mut(&process);
                let opened = client.and_then(|client| client.opened.get_mut(user)?.pop_front());
                let told = opened == Some(*path == Path::Relayed);
                rule!(self, told, "what is shown as open was opened", "{process:?}: {user} {path}");
                let sides = self.private.introductions.values_mut().filter_map(|both| both.side_mut(process));
                sides.filter(|side| side.user == *user && side.opened).for_each(|side| side.shown = true);
                let introductions = &self.private.introductions;
                let is_open = |id: &String| {
                    introductions.get(id).is_none_or(|both| both.sides.iter().all(|side| side.shown))
                };
                self.private.due.retain(|(_, id)| !is_open(id));
            }
            View::PrivateClosed { user, reason } => return self.is_over(process, user, *reason),
            View::PrivateRequest { from } => {
                let client = self.private.clients.get_mut(&process);
                client.into_iter().for_each(|client| client.consent.is_asked_by(from));
            }
            View::Result { line, command, outcome } => {
                let client = self.private.clients.get_mut(&process);
                client.into_iter().for_each(|client| client.consent.has_result(*line));
                if let (Named::Command(Verb::Trust), Ok(Success::User { user })) = (command, outcome) {
                    let refused = self.private.keys.is_trusted(process, user);
                    rule!(self, refused, "only a key that was refused is trusted", "{process:?}: {user}");
                }
                if let Err(Failure { code: Code::Unreachable, subject: Some(user), .. }) = outcome {
                    self.gives_up(process, user)?;
                }
                let user = match outcome {
                    Ok(Success::Private { user, .. }) => Some(user),
                    Err(Failure {
                        code: Code::Unreachable | Code::KeyChanged | Code::OutcomeUnknown,
                        subject,
                        ..
                    }) => subject.as_ref(),
                    _ => None,
                };
                self.private.owed.retain(|(_, asker, of)| *asker != process || Some(of) != user);
            }
            View::Connection(contact) => {
                if let Some(client) = self.private.clients.get_mut(&process) {
                    client.is_cut_off = contact.state == Connection::Reconnecting;
                    client.expected = self.now;
                }
            }
            View::LoggedIn { .. } => {
                if let Some(client) = self.private.clients.get_mut(&process) {
                    client.is_cut_off = false;
                    client.logs_in_again = false;
                    client.expected = self.now;
                }
            }
            View::Bye(_) | View::Notice(Notice::LogInAgain) => {
                self.private.disturb(process, self.now);
                // The next session counts from one.
                if let Some(client) = self.private.clients.get_mut(&process) {
                    client.asked.clear();
                    client.consent.begins_session();
                    client.logs_in_again = !matches!(view, View::Bye(_));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
