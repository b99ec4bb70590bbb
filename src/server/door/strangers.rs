//! Connections that are not logged in, and which of them go when there are too many (R48).

use alloc::collections::BTreeMap;
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
        loop {
            let strangers = Strangers::of(server);
            if strangers.count(host) < per_address {
                break;
            }
            let Some(victim) = strangers.victim_of(host) else {
                return turn_away(server, from, "unauthenticated_per_address");
            };
            close(server, victim, "unauthenticated_per_address");
        }
    }
    let all = server.settings.unauthenticated_max as usize;
    if all == 0 {
        return true;
    }
    while server.door.anonymous.len() >= all {
        let Some(victim) = Strangers::of(server).victim() else {
            return turn_away(server, from, "unauthenticated_max");
        };
        close(server, victim, "unauthenticated_max");
    }
    drop_early(server, all);
    true
}

/// Beyond half of the bound some go early, the more the closer it is.
fn drop_early(server: &mut ServerState, all: usize) {
    let beyond = (2 * server.door.anonymous.len()).saturating_sub(all);
    if beyond == 0 || planted::is(Planted::NobodyGoesEarly) {
        return;
    }
    server.door.early += beyond;
    if server.door.early >= all {
        server.door.early -= all;
        if let Some(victim) = Strangers::of(server).victim() {
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

/// Connections that are not logged in, by address, the oldest first.
struct Strangers(BTreeMap<IpAddr, Vec<Stranger>>);

struct Stranger {
    id: LinkId,
    silent: bool,
    begun: Option<u64>,
}

impl Strangers {
    fn of(server: &ServerState) -> Strangers {
        let mut strangers: BTreeMap<IpAddr, Vec<Stranger>> = BTreeMap::new();
        for id in &server.door.anonymous {
            if let Some(link) = server.door.links.get(id) {
                let stranger = Stranger { id: *id, silent: !link.spoke, begun: link.begun };
                strangers.entry(addresses::host(link.from)).or_default().push(stranger);
            }
        }
        Strangers(strangers)
    }

    fn count(&self, host: IpAddr) -> usize {
        self.0.get(&host).map_or(0, Vec::len)
    }

    /// Of an address: the oldest that is silent, else the oldest that is not safe.
    fn victim_of(&self, host: IpAddr) -> Option<LinkId> {
        let strangers = self.0.get(&host)?;
        let mut begun: Vec<u64> = strangers.iter().filter_map(|stranger| stranger.begun).collect();
        begun.sort_unstable();
        let last_safe = begun.get(SAFE - 1).copied().unwrap_or(u64::MAX);
        let safe = |stranger: &&Stranger| {
            stranger.begun.is_some_and(|begun| begun <= last_safe) && !planted::is(Planted::NobodyIsSafe)
        };
        let silent = |stranger: &&Stranger| stranger.silent;
        let found = if planted::is(Planted::NewestSilentGoes) {
            strangers.iter().rev().find(silent)
        } else {
            strangers.iter().find(silent)
        };
        let found = found.or_else(|| strangers.iter().find(|stranger| !safe(stranger)));
        found.map(|stranger| stranger.id)
    }

    /// Of the address that has most of those that have one that may go.
    fn victim(&self) -> Option<LinkId> {
        let victims = self.0.iter().filter_map(|(host, strangers)| {
            let victim = self.victim_of(*host)?;
            Some((core::cmp::Reverse(strangers.len()), victim))
        });
        victims.min().map(|(_, victim)| victim)
    }
}
