//! Which addresses of the other client are dialled, and when.
//!
//! The server chooses the addresses. It cannot make a client dial the services of a system, nor many addresses.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::ClientState;
use super::meeting::Meeting;
use crate::planted::{self, Planted};
use crate::time::Time;

/// The lowest port that is dialled.
const LOWEST_PORT: u16 = 1_024;

/// Addresses dialled for one introduction.
const ADDRESSES: usize = 4;

/// When an address is dialled, counted from its first dial.
pub(super) const ROUNDS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(4)];

/// Addresses first dialled within a [`BUDGET_PERIOD`], over all introductions.
const BUDGET: usize = 16;
const BUDGET_PERIOD: Duration = Duration::from_secs(60);

/// An address of an introduction.
pub(super) struct Way {
    pub(super) address: SocketAddr,
    /// When it was first dialled.
    pub(super) begun: Option<Time>,
    /// Rounds that are over.
    rounds: usize,
    is_dialling: bool,
    /// Rounds of dials from the listening port that are over, and whether one is under way.
    pub(super) punches: usize,
    pub(super) is_punching: bool,
}

impl Way {
    fn new(address: SocketAddr) -> Way {
        Way { address, begun: None, rounds: 0, is_dialling: false, punches: 0, is_punching: false }
    }

    /// When it is dialled next, given when the budget has room.
    fn due(&self, room_at: Time) -> Option<Time> {
        match self.begun {
            None => Some(room_at),
            Some(begun) => ROUNDS.get(self.rounds).map(|round| begun + *round),
        }
    }

    /// Its round has come; those that a client has missed that stood still come with it.
    fn begin_round(&mut self, now: Time) {
        let begun = *self.begun.get_or_insert(now);
        self.rounds = rounds_begun(begun, now);
    }
}

/// How many rounds have begun by now, if the first was then.
pub(super) fn rounds_begun(first: Time, now: Time) -> usize {
    ROUNDS.iter().take_while(|round| first + **round <= now).count()
}

/// The ways to the addresses that may be dialled.
pub(super) fn ways(addresses: &[SocketAddr]) -> Vec<Way> {
    let most = if planted::is(Planted::ClientDialsFirstOnly) { 1 } else { ADDRESSES };
    let most = if planted::is(Planted::DialsAllAddresses) { usize::MAX } else { most };
    let mut ways: Vec<Way> = Vec::new();
    for address in addresses.iter().copied().filter(may_be_dialled) {
        if ways.len() < most && ways.iter().all(|way| way.address != address) {
            ways.push(Way::new(address));
        }
    }
    ways
}

/// Whether a client may listen there. The addresses must not lead to the services of a system, which have the ports
/// below, nor to a neighbour that only this machine knows.
fn may_be_dialled(address: &SocketAddr) -> bool {
    let reachable = match address.ip().to_canonical() {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_unicast_link_local(),
    };
    reachable && (address.port() >= LOWEST_PORT || planted::is(Planted::DialsAnyPort))
}

/// Limits the addresses that are dialled.
#[derive(Default)]
pub(super) struct Budget {
    /// When the last addresses were first dialled, oldest first; at most [`BUDGET`].
    begun: VecDeque<Time>,
}

impl Budget {
    /// From when on one more address may be dialled.
    fn room_at(&self) -> Time {
        let full = self.begun.len() >= BUDGET && !planted::is(Planted::DialsUnbounded);
        self.begun.front().filter(|_| full).map_or(Time::ZERO, |oldest| *oldest + BUDGET_PERIOD)
    }

    /// Counts an address.
    fn take(&mut self, now: Time) {
        if self.begun.len() >= BUDGET {
            self.begun.pop_front();
        }
        self.begun.push_back(now);
    }
}

impl Meeting {
    /// When an address is dialled next, given when the budget has room.
    pub(super) fn dial_due(&self, budget: &Budget) -> Option<Time> {
        let room_at = budget.room_at();
        let dials = self.ways().iter().filter_map(|way| way.due(room_at));
        let next = dials.chain(self.ways().iter().filter_map(Way::punch_due)).min();
        next.filter(|due| *due < self.until)
    }

    /// Whether the introduction names this address, with any port.
    pub(super) fn names(&self, ip: IpAddr) -> bool {
        self.ways().iter().any(|way| way.address.ip().to_canonical() == ip.to_canonical())
    }

    /// A dial of the address is over; returns whether it was one of this introduction.
    fn end_dial(&mut self, address: SocketAddr) -> bool {
        let dialled = |way: &&mut Way| way.is_dialling && way.address == address;
        let way = self.ways_mut().iter_mut().find(dialled);
        way.map(|way| way.is_dialling = false).is_some()
    }
}

impl ClientState {
    /// Dials the addresses whose round has come. One that is still being dialled, or was called and has not answered,
    /// sits the round out; so do all when there is a link that can be opened.
    pub(super) fn dial_when_due(&mut self) {
        let users: Vec<String> = self.peers.meetings.keys().cloned().collect();
        for user in users {
            let most = if planted::is(Planted::DialsAllAddresses) { usize::from(u8::MAX) } else { ADDRESSES };
            for place in 0..most {
                self.dial_way(&user, place);
            }
        }
    }

    fn dial_way(&mut self, user: &str, place: usize) {
        let now = self.now;
        let peers = &mut self.peers;
        let room_at = peers.budget.room_at();
        let Some(meeting) = peers.meetings.get_mut(user).filter(|meeting| meeting.until > now) else {
            return;
        };
        let Some(way) = meeting.ways_mut().get_mut(place) else { return };
        if way.due(room_at).is_none_or(|due| due > now) {
            return;
        }
        if way.begun.is_none() {
            peers.budget.take(now);
        }
        way.begin_round(now);
        let address = way.address;
        if !way.is_dialling && !peers.links.values().any(|link| link.spares_dial(user, address)) {
            way.is_dialling = true;
            *peers.dialling.entry(address).or_default() += 1;
            self.outbox.dial_peer(address);
        }
    }

    /// A dial of an address has succeeded; returns the user who is to be called there, `None` if nobody is any more.
    pub(super) fn end_dial_of_meeting(&mut self, address: SocketAddr) -> Option<String> {
        self.end_dial(address);
        let mut meetings = self.peers.meetings.iter_mut();
        let (user, _) =
            meetings.find_map(|(user, meeting)| meeting.end_dial(address).then_some((user, ())))?;
        Some(user.clone())
    }

    /// A dial for an introduction that is over says nothing about a current one.
    pub(in super::super) fn on_peer_unreached(&mut self, address: SocketAddr) {
        if self.end_dial(address) {
            self.peers.meetings.values_mut().for_each(|meeting| _ = meeting.end_dial(address));
        }
    }

    /// A dial of an address has ended; returns whether it was the last one.
    fn end_dial(&mut self, address: SocketAddr) -> bool {
        let Some(left) = self.peers.dialling.get_mut(&address) else { return true };
        *left -= 1;
        let last = *left == 0;
        if last {
            self.peers.dialling.remove(&address);
        }
        last
    }
}
