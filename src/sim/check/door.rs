//! What a server and strangers can make a client do: whom it dials, when its port is open, and who has a place there.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::mem;
use core::net::{IpAddr, SocketAddr};

use super::private::{
    CALM_MICROS, Client, DIALS, GOOD_MICROS, Introduction, PATIENCE_MICROS, Private, SHOWING_MICROS, Side,
};
use super::{Check, Verdict, lines, rule};
use crate::client::Way;
use crate::sim::network::Answer;
use crate::sim::trace::ProcessId;
use crate::time::Time;
use crate::words::LinkId;

/// Rounds of dials, and addresses that a client begins to dial within a minute (R35).
const ROUNDS: u32 = 3;
const BUDGET: usize = 16;
const BUDGET_MICROS: u64 = 60_000_000;
/// A stranger is reset after this, and so many may wait (R36).
const PROOF_MICROS: u64 = 300_000;
const PLACES: usize = 4;
/// Two clients who agree have a link after the second round of dials, whoever else comes to their ports: after so
/// long, and the time that so many lines take.
const MEETING_MICROS: u64 = 1_500_000;
const MEETING_LINES: u64 = 8;
/// How long a line takes if nothing is said of it.
const LATENCY_MICROS: u64 = 200;

impl Client {
    /// Whether it may dial the addresses of one more introduction.
    pub(super) fn may_dial(&self, now: Time) -> bool {
        self.begun.iter().filter(|at| at.0 + BUDGET_MICROS > now.0).count() + DIALS <= BUDGET
    }
}

impl Private {
    /// When two who were introduced have a link at the latest.
    pub(super) fn must_meet(&self, introduced: Time) -> Time {
        let lines = MEETING_LINES * self.latency_micros.max(LATENCY_MICROS);
        Time(introduced.0 + PATIENCE_MICROS.min(MEETING_MICROS + lines))
    }

    /// Lines of new connections may take longer: so may links for which the clients are dialling.
    pub(super) fn slows(&mut self, latency_micros: u64) {
        self.latency_micros = self.latency_micros.max(latency_micros);
        for (_, id) in mem::take(&mut self.due_open) {
            if let Some(both) = self.introductions.get(&id) {
                self.due_open.insert((self.must_meet(both.at), id));
            }
        }
    }

    /// A client stands still.
    pub(super) fn stops(&mut self, process: ProcessId, now: Time) {
        if let Some(client) = self.clients.get_mut(&process) {
            client.frozen = client.frozen.or(Some(now));
        }
    }

    /// A client that stood still goes on. It may only now read introductions that it has not used.
    pub(super) fn goes_on(&mut self, process: ProcessId, now: Time) {
        let client = self.clients.get_mut(&process);
        let Some(since) = client.and_then(|client| client.frozen.take()) else { return };
        self.learns_of_losses(process, now);
        let waited = self.introductions.values_mut().filter(|both| both.at.0 + CALM_MICROS >= since.0);
        for side in waited.filter_map(|both| both.side_mut(process)).filter(|side| side.dialled.is_empty()) {
            side.good_until = Time(now.0 + GOOD_MICROS);
        }
    }

    /// Strangers have come to a port. Whoever comes there from an address that the client was not told may find no
    /// place.
    pub(super) fn strangers_come(&mut self, process: ProcessId) {
        let lost = |id: &String| {
            let both = self.introductions.get(id).filter(|both| both.side(process).is_some());
            both.is_some_and(|both| !self.can_meet(both, true))
        };
        let lost: Vec<String> =
            self.due.iter().filter(|(_, id)| lost(id)).map(|(_, id)| id.clone()).collect();
        self.due.retain(|(_, id)| !lost.contains(id));
        self.due_open.retain(|(_, id)| !lost.contains(id));
        let introductions = &self.introductions;
        let comes_here = |id: &String| introductions.get(id).is_some_and(|both| both.side(process).is_some());
        self.moving.is_excused(comes_here);
    }

    /// Whether one of two clients reaches the other at an address that it was told; among strangers, from one that the
    /// other was told.
    pub(super) fn can_meet(&self, both: &Introduction, among_strangers: bool) -> bool {
        let reaches = |here: &Side, there: &Side| {
            let client = |side: &Side| side.process.and_then(|process| self.clients.get(&process));
            let (Some(from), Some(to)) = (client(here), client(there)) else { return false };
            let mut told = here.addresses.iter().take(DIALS).filter(|address| may_be_dialled(address));
            let seen_at = from.place.observed().to_canonical();
            let is_named = there.addresses.iter().any(|address| address.ip().to_canonical() == seen_at);
            (is_named || !among_strangers)
                && told
                    .any(|address| from.place.dials(*address, &to.place, &to.listening) == Answer::Connected)
        };
        let hides = |side: &Side| {
            let client = side.process.and_then(|process| self.clients.get(&process));
            client.is_some_and(|client| client.ways(&side.user).contains(&Way::Relay))
        };
        let [one, other] = both.sides.as_slice() else { return false };
        // One who wants relayed links may have said so after they told their address.
        !both.sides.iter().any(hides)
            && (reaches(one, other) || reaches(other, one) || self.can_punch(both, among_strangers))
    }

    /// Whether each of two clients was told where the other calls from, so that they meet halfway. One whose port is
    /// open to the other may find a stranger's place taken there instead.
    fn can_punch(&self, both: &Introduction, among_strangers: bool) -> bool {
        let finds = |here: &Side, there: &Side| {
            let client = |side: &Side| side.process.and_then(|process| self.clients.get_key_value(&process));
            let (Some((_, from)), Some((named, to))) = (client(here), client(there)) else { return false };
            let told = here.addresses.iter().take(DIALS).filter(|address| may_be_dialled(address));
            let shown = to.place.shows_itself(named.0, &from.place);
            !to.listening.is_empty() && shown.is_some_and(|shown| told.into_iter().any(|told| *told == shown))
        };
        let [one, other] = both.sides.as_slice() else { return false };
        finds(one, other) && finds(other, one) && (!among_strangers || !self.can_meet_at_ports(both))
    }

    fn can_meet_at_ports(&self, both: &Introduction) -> bool {
        let reaches = |here: &Side, there: &Side| {
            let client = |side: &Side| side.process.and_then(|process| self.clients.get(&process));
            let (Some(from), Some(to)) = (client(here), client(there)) else { return false };
            let reached = |told: &SocketAddr| from.place.dials(*told, &to.place, &to.listening);
            here.addresses.iter().any(|told| reached(told) == Answer::Connected)
        };
        let [one, other] = both.sides.as_slice() else { return false };
        reaches(one, other) || reaches(other, one)
    }

    /// Whether a client has to call on a connection from its listening port to an address: so the requester does.
    pub(super) fn calls_there(&self, process: ProcessId, address: SocketAddr) -> bool {
        let told = self.introductions.values().filter(|both| both.side(process).is_some());
        let told = told.filter(|both| {
            both.side(process).is_some_and(|side| side.punched.contains_key(&address) && side.may_call())
        });
        let last = told.max_by_key(|both| both.at).and_then(|both| both.side(process));
        last.is_some_and(|side| side.is_requester)
    }

    /// What the server says may answer requests.
    pub(super) fn is_answered(&mut self, process: ProcessId, bytes: &[u8], now: Time) {
        let Some(client) = self.clients.get_mut(&process).filter(|client| !client.asked.is_empty()) else {
            return;
        };
        for line in lines(bytes).filter_map(|line| core::str::from_utf8(line).ok()) {
            let answer = line.strip_prefix("ok ").or(line.strip_prefix("error "));
            if answer.and_then(number).is_some_and(|number| client.asked.remove(&number).is_some()) {
                client.expected = now;
            }
        }
    }

    /// A stranger has said the id, or has gone.
    pub(super) fn is_let_in(&mut self, process: ProcessId, link: LinkId) {
        self.strangers.retain(|(_, of, known)| (*of, *known) != (process, link));
    }
}

/// The introductions that sent a client to an address and are good still: those without a link first, the newest first.
fn told(
    introductions: &mut BTreeMap<String, Introduction>,
    process: ProcessId,
    address: SocketAddr,
    now: Time,
) -> Vec<&mut Side> {
    let told = introductions.values_mut().filter_map(|both| Some((both.at, both.side_mut(process)?)));
    let good = told.filter(|(_, side)| side.good_until >= now && side.addresses.contains(&address));
    let mut good: Vec<(Time, &mut Side)> = good.collect();
    good.sort_by_key(|(at, side)| (side.opened, Reverse(*at)));
    good.into_iter().map(|(_, side)| side).collect()
}

impl Check {
    /// Strangers are reset in time, and a port is closed when nobody is expected (R36).
    pub(super) fn doors_are_guarded(&self) -> Verdict {
        if let Some((until, process, link)) = self.private.strangers.first() {
            rule!(self, *until >= self.now, "a stranger is reset in time", "{process:?}: {link:?}");
        }
        for (process, client) in &self.private.clients {
            let expects = client.listening.is_empty()
                || !client.asked.is_empty()
                || client.is_cut_off
                || client.logs_in_again
                || !self.private.is_calm(*process, self.now)
                || client.expected.0 + PATIENCE_MICROS + SHOWING_MICROS >= self.now.0;
            rule!(self, expects, "a private port is open while somebody is expected", "{process:?}");
        }
        Ok(())
    }

    /// A client dials what it was told, in three rounds, few addresses, and no port or address of others' services
    /// (R35).
    pub(super) fn dials(&mut self, process: ProcessId, address: SocketAddr) -> Verdict {
        let now = self.now;
        let client = self.private.clients.get(&process);
        let shows = |side: &&mut Side| {
            client.is_none_or(|client| client.ways(&side.user).iter().any(|way| *way != Way::Relay))
        };
        let told = told(&mut self.private.introductions, process, address, now);
        let mut sides: Vec<&mut Side> = told.into_iter().filter(shows).collect();
        let dialled = |side: &Side| side.dialled.get(&address).copied();
        let again = sides.iter().position(|side| dialled(side).is_some_and(|rounds| rounds < ROUNDS));
        let open = |side: &&mut Side| dialled(side).is_none() && side.dialled.len() < DIALS;
        let place = again.or_else(|| sides.iter().position(open));
        if let Some(side) = place.and_then(|place| sides.get_mut(place)) {
            if side.dialled.is_empty() {
                side.good_until = Time(now.0 + PATIENCE_MICROS);
            }
            *side.dialled.entry(address).or_default() += 1;
        }
        let good = place.is_some() && may_be_dialled(&address);
        rule!(self, good, "a client dials only where it was sent", "{process:?} dials {address}");
        if let (None, Some(client)) = (again, self.private.clients.get_mut(&process)) {
            client.begun.retain(|at| at.0 + BUDGET_MICROS > now.0);
            client.begun.push(now);
            let few = client.begun.len() <= BUDGET;
            rule!(self, few, "a client dials few addresses", "{process:?} dials {address}");
        }
        Ok(())
    }

    /// It dials from its listening port what it was told, in three rounds (R35).
    pub(super) fn punches(&mut self, process: ProcessId, address: SocketAddr) -> Verdict {
        let told = told(&mut self.private.introductions, process, address, self.now);
        let rounds = |side: &Side| side.punched.get(&address).copied().unwrap_or(0);
        let side = told.into_iter().find(|side| rounds(side) < ROUNDS);
        let good = side.is_some();
        side.into_iter().for_each(|side| *side.punched.entry(address).or_default() += 1);
        rule!(
            self,
            good,
            "a client dials only where it was sent",
            "{process:?} dials {address} from its port"
        );
        Ok(())
    }

    /// Somebody has come to the port of a client (R36).
    pub(super) fn comes(&mut self, process: ProcessId, link: LinkId) -> Verdict {
        if self.private.is_calm(process, self.now) {
            let until = Time(self.now.0 + PROOF_MICROS);
            // One more than may stay: the client is told of them next.
            let at_door = self.private.strangers.iter().filter(|(_, of, _)| *of == process).count();
            rule!(self, at_door <= PLACES, "few strangers have a place", "{process:?}: {at_door}");
            self.private.strangers.insert((until, process, link));
        }
        Ok(())
    }
}

/// The number at the beginning of a command or an answer.
pub(super) fn number(line: &str) -> Option<u64> {
    line.split(' ').next()?.strip_prefix('#')?.parse().ok()
}

pub(super) fn may_be_dialled(address: &SocketAddr) -> bool {
    let good = match address.ip().to_canonical() {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_unicast_link_local(),
    };
    good && address.port() >= 1_024
}
