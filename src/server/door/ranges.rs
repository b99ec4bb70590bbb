//! Addresses from which an operator lets nobody in (R63).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::turning_out;
use crate::planted::{self, Planted};
use crate::record::{Change, Record};
use crate::server::acts::NotDone;
use crate::server::papers::Then;
use crate::server::papers::lane::{Subject, Subjects, Wish};
use crate::server::wishes::{self, Decision};
use crate::server::{ServerState, restraints};
use crate::time::Time;
use crate::words::{AddressRange, LinkId, Ticket};

/// Ranges that are remembered; those that are over make room.
const RANGES: usize = 1_000;

/// Until when nobody is let in from there; [`Time::MAX`]: without end. Some are over.
pub(super) type Ranges = BTreeMap<AddressRange, Time>;

/// An operator wants nobody let in from there, or does so no more.
pub(in crate::server) fn ban_range(
    server: &mut ServerState,
    ticket: Ticket,
    range: AddressRange,
    until: Option<Time>,
) {
    wishes::submit(server, Wish::BanRange { ticket, range, until });
}

pub(in crate::server) fn range_subjects() -> Subjects {
    Subjects { reads: Vec::new(), writes: Vec::from([Subject::Ranges]) }
}

pub(in crate::server) fn decide_range(
    server: &mut ServerState,
    ticket: Ticket,
    range: AddressRange,
    until: Option<Time>,
) -> Decision {
    let ranges = &server.door.ranges;
    let known = ranges.contains_key(&range);
    if until.is_none() && !known {
        server.out.acted(ticket, Ok(0));
        return Decision::Answered;
    }
    if !known && ranges.len() >= RANGES {
        let over = ranges.iter().filter(|(_, until)| **until <= server.now);
        let Some(first) = over.min_by_key(|(_, until)| **until).map(|(range, _)| *range) else {
            server.out.acted(ticket, Err(NotDone::Limit));
            return Decision::Answered;
        };
        let forgotten = Record::Change(Change::RangeBanned { range: first, until: None });
        server.papers.persist(&mut server.out, forgotten, Then::Nothing);
    }
    Decision::Change { change: Change::RangeBanned { range, until }, concerned: Vec::new() }
}

/// What the record does.
pub(in crate::server) fn apply_range(server: &mut ServerState, range: AddressRange, until: Option<Time>) {
    match until {
        Some(until) => server.door.ranges.insert(range, until),
        None => server.door.ranges.remove(&range),
    };
}

/// It is durable, or the disk has refused it. Whoever is there from such an address goes.
pub(in crate::server) fn range_decided(
    server: &mut ServerState,
    ticket: Ticket,
    range: AddressRange,
    durable: bool,
) {
    if !durable {
        return server.out.acted(ticket, Err(NotDone::StorageUnavailable));
    }
    if server.door.ranges.get(&range).is_some_and(|until| *until > server.now)
        && !planted::is(Planted::RangeStaysIn)
    {
        let from_there = server.door.links.iter().filter(|(_, link)| range.contains(link.from.ip()));
        let mut all: Vec<LinkId> = from_there.map(|(id, _)| *id).collect();
        all.sort_unstable();
        for link in all {
            turning_out::turn_out_link(server, link);
        }
    }
    server.out.acted(ticket, Ok(1));
}

/// For how many seconds nobody is let in from an address, if so.
pub(super) fn barred_secs(server: &ServerState, from: SocketAddr) -> Option<u64> {
    let holds = |(range, until): (&AddressRange, &Time)| {
        (range.contains(from.ip()) && *until > server.now).then_some(*until)
    };
    let until = server.door.ranges.iter().filter_map(holds).max()?;
    Some(restraints::told_secs(server, until))
}

/// Whether a link is from an address that is banned.
pub(super) fn is_barred(server: &ServerState, id: LinkId) -> Option<u64> {
    barred_secs(server, server.door.links.get(&id)?.from)
}

impl ServerState {
    /// The addresses from which nobody is let in, and until when; also bans that are over.
    pub fn banned_ranges(&self) -> impl Iterator<Item = (AddressRange, Time)> + '_ {
        self.door.ranges.iter().map(|(range, until)| (*range, *until))
    }
}
