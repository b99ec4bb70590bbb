//! Connections that are not logged in, and which of them go when there are too many (R48).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::addresses;
use super::links::{self, Link};
use crate::planted::{self, Planted};
use crate::server::ServerState;
use crate::server::effect::Report;
use crate::words::LinkId;

/// Connections of an address that may stay once they have begun to log in.
const SAFE: usize = 16;

/// A connection has begun to log in.
pub(super) fn note_begun(server: &mut ServerState, id: LinkId) {
    if server.door.links.get(&id).is_some_and(|link| link.begun.is_none()) {
        let serial = server.next_serial();
        if let Some(link) = server.door.links.get_mut(&id) {
            link.begun = Some(serial);
        }
        server.door.strangers.note_begun(id);
    }
}

/// A connection that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Newcomer {
    from: SocketAddr,
    /// Whether its address is known (R49).
    known: bool,
}

impl Newcomer {
    pub(super) fn from(server: &ServerState, from: SocketAddr) -> Newcomer {
        let known = addresses::is_known(server, from) && !planted::is(Planted::KnownGoesLikeOthers);
        Newcomer { from, known }
    }
}

/// Makes room for one more. `false`: there is none.
pub(super) fn make_room(server: &mut ServerState, newcomer: Newcomer) -> bool {
    let from = newcomer.from;
    let per_address = server.settings.unauthenticated_per_address as usize;
    if let Some(host) = addresses::limited(from)
        && per_address > 0
    {
        while server.door.strangers.of(host) >= per_address {
            let same = server.door.strangers.of_host.get(&host);
            let Some(victim) = same.and_then(|same| victim_of(server, same, |_| true)) else {
                return turn_away(server, from, "unauthenticated_per_address");
            };
            close(server, victim, "unauthenticated_per_address");
        }
    }
    let all = server.settings.unauthenticated_max as usize;
    if all == 0 {
        return true;
    }
    while server.door.strangers.all.len() >= all {
        let victim = victim(server, newcomer, all).or_else(|| last_begun(server, newcomer, all));
        let Some(victim) = victim else {
            return turn_away(server, from, "unauthenticated_max");
        };
        close(server, victim, "unauthenticated_max");
    }
    drop_early(server, newcomer, all);
    true
}

/// While those that have not begun are more than half of the bound some go early, the more the closer they are to it.
fn drop_early(server: &mut ServerState, newcomer: Newcomer, all: usize) {
    let Strangers { all: strangers, begun, .. } = &server.door.strangers;
    let counted = strangers.len() - if planted::is(Planted::BegunDropsOthers) { 0 } else { begun.len() };
    let beyond = (2 * counted).saturating_sub(all);
    if beyond == 0 || planted::is(Planted::NobodyGoesEarly) {
        return;
    }
    server.door.early += beyond;
    if server.door.early >= all {
        server.door.early -= all;
        if let Some(victim) = victim(server, newcomer, all) {
            close(server, victim, "unauthenticated_max");
        }
    }
}

fn turn_away(server: &mut ServerState, from: SocketAddr, limit: &'static str) -> bool {
    server.out.report(Report::LimitReached { limit, from });
    false
}

fn close(server: &mut ServerState, id: LinkId, limit: &'static str) {
    let Some(link) = server.door.links.get(&id) else {
        unreachable!("links that are not logged in are links")
    };
    let from = link.from;
    server.out.report(Report::LimitReached { limit, from });
    links::close(server, id);
}

/// Connections that are not logged in, the oldest first, in all and of each address.
#[derive(Debug, Clone, Default)]
pub(super) struct Strangers {
    all: BTreeSet<LinkId>,
    of_host: BTreeMap<IpAddr, BTreeSet<LinkId>>,
    /// Those whose address was known when they came.
    known: BTreeSet<LinkId>,
    /// Those that have begun to log in.
    begun: BTreeSet<LinkId>,
}

impl Strangers {
    pub(super) fn insert(&mut self, id: LinkId, newcomer: Newcomer) {
        self.all.insert(id);
        self.of_host.entry(addresses::host(newcomer.from)).or_default().insert(id);
        if newcomer.known {
            self.known.insert(id);
        }
    }

    fn note_begun(&mut self, id: LinkId) {
        if self.all.contains(&id) {
            self.begun.insert(id);
        }
    }

    /// Whether it was among them.
    pub(super) fn remove(&mut self, id: LinkId, from: SocketAddr) -> bool {
        let host = addresses::host(from);
        if let Some(same) = self.of_host.get_mut(&host) {
            same.remove(&id);
            if same.is_empty() {
                self.of_host.remove(&host);
            }
        }
        self.known.remove(&id);
        self.begun.remove(&id);
        self.all.remove(&id)
    }

    pub(super) fn contains(&self, id: LinkId) -> bool {
        self.all.contains(&id)
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    fn of(&self, host: IpAddr) -> usize {
        self.of_host.get(&host).map_or(0, BTreeSet::len)
    }
}

/// The connection of an address that goes, of these: the oldest that is silent, else the oldest that is not safe.
fn victim_of(
    server: &ServerState,
    strangers: &BTreeSet<LinkId>,
    these: impl Fn(LinkId) -> bool,
) -> Option<LinkId> {
    let links = || strangers.iter().filter_map(|id| Some((*id, server.door.links.get(id)?)));
    let newest = planted::is(Planted::NewestSilentGoes);
    let mut silent = links().filter(|(id, link)| !link.spoke && these(*id));
    if let Some((id, _)) = if newest { silent.next_back() } else { silent.next() } {
        return Some(id);
    }
    let stays = |link: &Link| !link.ended || planted::is(Planted::EndedIsSafe);
    let mut begun: Vec<u64> = links().filter_map(|(_, link)| link.begun.filter(|_| stays(link))).collect();
    begun.sort_unstable();
    let last_safe = begun.get(SAFE - 1).copied().unwrap_or(u64::MAX);
    let is_safe = |link: &Link| {
        let is_first = link.begun.is_some_and(|begun| begun <= last_safe);
        is_first && stays(link) && !planted::is(Planted::NobodyIsSafe)
    };
    links().find(|(id, link)| !is_safe(link) && these(*id)).map(|(id, _)| id)
}

/// The connection that goes of the address that has most, of those that have one that may go: one that is not known, or
/// one that is if those, with the one that comes, are more than half of the bound.
fn victim(server: &ServerState, newcomer: Newcomer, all: usize) -> Option<LinkId> {
    let strangers = &server.door.strangers;
    let of_kind = |known: bool| {
        let victims = strangers.of_host.values().filter_map(|same| {
            let victim = victim_of(server, same, |id| strangers.known.contains(&id) == known)?;
            Some((core::cmp::Reverse(same.len()), victim))
        });
        victims.min().map(|(_, victim)| victim)
    };
    let known_go = known_are_many(strangers, newcomer, all);
    known_go.then(|| of_kind(true)).flatten().or_else(|| of_kind(false))
}

/// Of those that are not known the one that began last: it goes for a known one, unless those are many.
fn last_begun(server: &ServerState, newcomer: Newcomer, all: usize) -> Option<LinkId> {
    let strangers = &server.door.strangers;
    if !newcomer.known || known_are_many(strangers, newcomer, all) {
        return None;
    }
    let began = |id: &LinkId| Some((server.door.links.get(id)?.begun?, *id));
    strangers.begun.difference(&strangers.known).filter_map(began).max().map(|(_, id)| id)
}

fn known_are_many(strangers: &Strangers, newcomer: Newcomer, all: usize) -> bool {
    2 * (strangers.known.len() + usize::from(newcomer.known)) > all
}
