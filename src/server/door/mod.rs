//! The door: connections, who may come in, and what those inside ask for.
//!
//! Input comes in here as bytes and becomes lines and commands; the other rooms carry them out.

mod accounts;
mod addresses;
mod backlog;
mod commands;
mod couriers;
mod devices;
mod ending;
mod entry;
mod hashing;
mod input;
mod invites;
mod links;
mod login;
mod names;
mod probes;
mod ranges;
mod restart;
mod sends;
mod strangers;
mod tries;
mod turning_out;
mod turns;
mod waiting;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::net::SocketAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

pub(super) use self::accounts::{
    account_decided, account_subjects, begin_purges, decide_account, file_read, hashes_renewed, note_unknown,
    open_account, purged,
};
use self::addresses::Addresses;
pub use self::addresses::host;
pub(super) use self::couriers::{Couriers, courier_answered, courier_began, is_courier_of};
pub(super) use self::devices::{Device, apply_device, forget_too_many};
pub(super) use self::ending::{go_on_leaving, grace_due, idle_due, leaving_due, note_progress, stop};
pub(super) use self::entry::word_is_due;
use self::hashing::Hashing;
pub(super) use self::input::{go_on_reading, receive};
use self::invites::Invites;
pub(super) use self::invites::{
    apply_invite, apply_use, decide_invite, decide_revocation, invite_decided, invite_subjects,
    make as make_invite, revoke as revoke_invite,
};
use self::links::Link;
pub(super) use self::links::{
    close_overdue, flushed, is_parting, link_lost, open_link, parting_due, stream_ended,
};
use self::login::SlowLogin;
pub(super) use self::login::{hashed, verified};
use self::names::Names;
pub(super) use self::probes::{Probe, decide as decide_asked, silent};
use self::ranges::Ranges;
pub(super) use self::ranges::{apply_range, ban_range, decide_range, range_decided, range_subjects};
pub(super) use self::restart::{restart, take_up_held};
pub(super) use self::sends::{came as send_came, record as send_record, settled as send_settled};
use self::strangers::Strangers;
#[cfg(feature = "sim")]
pub(super) use self::tries::locked_until;
pub(super) use self::tries::{apply_failures, end_locks, forget_account, locked_names, unlock};
pub(super) use self::turning_out::{kick, turn_out};
use self::turns::Meter;
pub(super) use self::turns::give_turn;
pub(super) use self::waiting::{read_on, record_settled, throttle_courier_due, throttle_due};
use crate::words::{LinkId, Name, Ticket};

/// Connections, and logins under way.
#[derive(Clone)]
pub(super) struct Door {
    links: HashMap<LinkId, Link, FixedState>,
    strangers: Strangers,
    /// Links that wait for their turn, the next first.
    turns: VecDeque<LinkId>,
    meter: Meter,
    addresses: Addresses,
    invites: Invites,
    ranges: Ranges,
    /// Those that passwords are counted for.
    names: Names,
    hashing: Hashing,
    /// What decides when one more goes early of the connections that are not logged in.
    early: usize,
    /// Sessions that a restart has left, and that wait for their clients.
    awaited: usize,
    slow_logins: BTreeMap<Ticket, SlowLogin>,
    /// Names for which an account is being made.
    registering: BTreeSet<Name>,
}

impl Door {
    pub(super) fn new(seed: u64) -> Door {
        Door {
            links: HashMap::with_hasher(FixedState::with_seed(seed.rotate_left(32))),
            strangers: Strangers::default(),
            turns: VecDeque::new(),
            meter: Meter::default(),
            addresses: Addresses::default(),
            invites: Invites::default(),
            ranges: Ranges::new(),
            names: Names::new(seed),
            hashing: Hashing::default(),
            early: 0,
            awaited: 0,
            slow_logins: BTreeMap::new(),
            registering: BTreeSet::new(),
        }
    }

    /// Links that stand, logged in or not.
    pub(super) fn link_count(&self) -> usize {
        self.links.len()
    }

    /// How many passwords are being hashed, and how many wait.
    pub(super) const fn hashing(&self) -> (u32, usize) {
        self.hashing.counts()
    }

    /// Whether a link waits for its turn.
    pub(super) fn has_turns(&self) -> bool {
        !self.turns.is_empty()
    }

    /// Whether the program at the other end of a link reads who is away.
    pub(super) fn reads_away(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.capabilities.away)
    }

    /// Whether the program at the other end of a link reads until when a message is stored.
    pub(super) fn reads_until(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.capabilities.until)
    }

    /// Whether somebody has logged in from an address.
    pub(super) fn knows(&self, from: SocketAddr) -> bool {
        self.addresses.knows(from)
    }

    /// Whether more connections than half of a bound are not logged in.
    pub(super) fn is_crowded(&self, bound: u32) -> bool {
        bound > 0 && 2 * self.strangers.count() > bound as usize
    }

    /// Whether sessions that a restart has left wait for their clients.
    pub(super) const fn awaits_clients(&self) -> bool {
        self.awaited > 0
    }

    /// Whether no password is being compared or hashed, and no link waits for its turn.
    pub(super) fn is_quiet(&self) -> bool {
        self.slow_logins.is_empty() && self.hashing.is_quiet() && self.turns.is_empty()
    }
}
