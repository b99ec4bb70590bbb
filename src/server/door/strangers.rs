//! Connections that are not logged in, and which of them go when there are too many (R48).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::addresses;
use super::links;
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
    }
}

/// Makes room for one more. `false`: there is none.
pub(super) fn make_room(server: &mut ServerState, from: SocketAddr) -> bool {
    let per_address = server.settings.unauthenticated_per_address as usize;
    if let Some(host) = addresses::limited(from)
        && per_address > 0
    {
        while server.door.strangers.of(host) >= per_address {
            let same = server.door.strangers.of_host.get(&host);
            let Some(victim) = same.and_then(|same| victim_of(server, same)) else {
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
        let Some(victim) = victim(server) else {
            return turn_away(server, from, "unauthenticated_max");
        };
        close(server, victim, "unauthenticated_max");
    }
    drop_early(server, all);
    true
}

/// Beyond half of the bound some go early, the more the closer it is.
fn drop_early(server: &mut ServerState, all: usize) {
    let beyond = (2 * server.door.strangers.all.len()).saturating_sub(all);
    if beyond == 0 || planted::is(Planted::NobodyGoesEarly) {
        return;
    }
    server.door.early += beyond;
    if server.door.early >= all {
        server.door.early -= all;
        if let Some(victim) = victim(server) {
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
}

impl Strangers {
    pub(super) fn insert(&mut self, id: LinkId, from: SocketAddr) {
        self.all.insert(id);
        self.of_host.entry(addresses::host(from)).or_default().insert(id);
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
        self.all.remove(&id)
    }

    pub(super) fn contains(&self, id: LinkId) -> bool {
        self.all.contains(&id)
    }

    fn of(&self, host: IpAddr) -> usize {
        self.of_host.get(&host).map_or(0, BTreeSet::len)
    }
}

/// The connection of an address that goes: the oldest that is silent, else the oldest that is not safe.
fn victim_of(server: &ServerState, strangers: &BTreeSet<LinkId>) -> Option<LinkId> {
    let links = || strangers.iter().filter_map(|id| Some((*id, server.door.links.get(id)?)));
    let newest = planted::is(Planted::NewestSilentGoes);
    let mut silent = links().filter(|(_, link)| !link.spoke);
    if let Some((id, _)) = if newest { silent.next_back() } else { silent.next() } {
        return Some(id);
    }
    let mut begun: Vec<u64> = links().filter_map(|(_, link)| link.begun).collect();
    begun.sort_unstable();
    let last_safe = begun.get(SAFE - 1).copied().unwrap_or(u64::MAX);
    let is_safe = |begun: Option<u64>| {
        begun.is_some_and(|begun| begun <= last_safe) && !planted::is(Planted::NobodyIsSafe)
    };
    links().find(|(_, link)| !is_safe(link.begun)).map(|(id, _)| id)
}

/// The connection that goes of the address that has most, of those that have one that may go.
fn victim(server: &ServerState) -> Option<LinkId> {
    let victims = server.door.strangers.of_host.values().filter_map(|strangers| {
        let victim = victim_of(server, strangers)?;
        Some((core::cmp::Reverse(strangers.len()), victim))
    });
    victims.min().map(|(_, victim)| victim)
}
