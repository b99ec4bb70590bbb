//! Relays: private links that run through the server, for two clients that do not reach each other (R60).
//!
//! What they say to each other is encrypted, and passed on as it comes. It waits here until the receiver's connection has
//! nothing else to write and the sender may send more, and never is more than what the two have agreed may be under way.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use super::blocks;
use crate::planted::{self, Planted};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::deadlines::Deadline;
use crate::server::session::{self, Debt};
use crate::time::Time;
use crate::wire::{RELAY_WINDOW_BYTES, RelayLine, Relayed, Sealed, ServerLine};
use crate::words::LinkId;

/// Introductions of a user that are remembered.
const INTRODUCED: usize = 256;
/// Those of a user who asked for a relay without an introduction that are remembered, and for how long.
const WANTED: usize = 16;
const WANTED_FOR: Duration = Duration::from_secs(15);
/// What a relay costs the one who opens it.
const RELAY_UNITS: u64 = 20;

/// A relay, as one of the two knows it.
type Place = (UserId, u64);

/// The relays, and who may have one.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Relays {
    /// Whom each user was introduced to in their session, the last one last.
    introduced: BTreeMap<UserId, VecDeque<UserId>>,
    /// Whom users have asked for a relay with, to whom they were not introduced, and when; the last one last.
    wanted: BTreeMap<UserId, VecDeque<(UserId, Time)>>,
    ends: BTreeMap<Place, End>,
}

/// One user's end of a relay.
#[derive(Debug, Clone)]
struct End {
    /// `None`: the other end is closed, and so is this one once it has got what waits.
    other: Option<Place>,
    /// Frames for this user.
    waiting: VecDeque<Box<str>>,
    waiting_bytes: usize,
    /// Bytes for this user that they have not taken, those that wait included.
    under_way: usize,
    /// Bytes that the other user has taken, and this one was not told of.
    taken: u64,
}

impl End {
    const fn new(other: Place) -> End {
        End { other: Some(other), waiting: VecDeque::new(), waiting_bytes: 0, under_way: 0, taken: 0 }
    }
}

impl Relays {
    fn places(&self, user: UserId) -> impl DoubleEndedIterator<Item = Place> + '_ {
        self.ends.range((user, 0)..=(user, u64::MAX)).map(|(place, _)| *place)
    }

    /// Whether there is an open relay of these two.
    fn joins(&self, one: UserId, other: UserId) -> bool {
        let is_open = |place: Place| self.ends.get(&place).and_then(|end| end.other);
        self.places(one).filter_map(is_open).any(|(user, _)| user == other)
    }

    fn knows(&self, one: UserId, other: UserId) -> bool {
        let knows = |one, other| self.introduced.get(&one).is_some_and(|known| known.contains(&other));
        knows(one, other) && knows(other, one)
    }

    /// A user wants a relay with another, to whom they were not introduced; returns whether that one does too.
    fn want(&mut self, user: UserId, other: UserId, now: Time) -> bool {
        let wants = self.wanted.get(&other).is_some_and(|wanted| {
            wanted.iter().any(|(wanted, at)| *wanted == user && *at + WANTED_FOR > now)
        });
        let wanted = self.wanted.entry(user).or_default();
        wanted.retain(|(known, _)| *known != other);
        if wanted.len() >= WANTED {
            wanted.pop_front();
        }
        wanted.push_back((other, now));
        wants || planted::is(Planted::RelayForOne)
    }

    fn note(&mut self, one: UserId, other: UserId) {
        let known = self.introduced.entry(one).or_default();
        known.retain(|known| *known != other);
        if known.len() >= INTRODUCED {
            known.pop_front();
        }
        known.push_back(other);
    }
}

/// Two users were introduced in their sessions.
pub(super) fn introduced(server: &mut ServerState, one: UserId, other: UserId) {
    server.people.relays.note(one, other);
    server.people.relays.note(other, one);
}

/// Does what a client says about relays.
pub(in crate::server) fn obey(server: &mut ServerState, link: LinkId, user: UserId, line: RelayLine<'_>) {
    match line {
        RelayLine::Open { user: name } => open(server, link, user, name),
        RelayLine::Data { number, sealed } => pass_on(server, (user, number), sealed),
        RelayLine::Took { number, count } => took(server, (user, number), count),
        RelayLine::Close { number } => close(server, (user, number)),
    }
}

fn open(server: &mut ServerState, link: LinkId, user: UserId, name: &str) {
    let to = server.accounts.find(name);
    if to.is_some_and(|to| server.people.relays.joins(user, to)) {
        return;
    }
    let Some(to) = to.filter(|to| knows(server, user, *to) || may_want(server, user, *to)) else {
        return server.out.send(link, &ServerLine::Relay(Relayed::Unknown { user: name }));
    };
    if !knows(server, user, to) && server.people.relays.want(user, to, server.now) {
        introduced(server, user, to);
    }
    let can = |to: &UserId| knows(server, user, *to) && may_open(server, user, *to);
    let Some(to) = Some(to).filter(can) else {
        return server.out.send(link, &ServerLine::Relay(Relayed::Refused { user: name }));
    };
    session::charge(server, user, RELAY_UNITS);
    let (Some(one), Some(other)) = (next_place(server, user), next_place(server, to)) else { return };
    server.people.relays.ends.insert(one, End::new(other));
    server.people.relays.ends.insert(other, End::new(one));
    for ((reader, number), (other, _)) in [(one, other), (other, one)] {
        let name = server.accounts.name(other).clone();
        say(server, reader, Relayed::Opened { number, user: name.as_str() });
    }
}

/// Whether two were introduced to each other in the sessions that they have.
fn knows(server: &ServerState, user: UserId, to: UserId) -> bool {
    server.people.relays.knows(user, to) || planted::is(Planted::RelayForAll) && user != to
}

/// Whether a user may want a relay with another to whom they were not introduced: two who were, in sessions that were
/// held over a restart, both do.
fn may_want(server: &ServerState, user: UserId, to: UserId) -> bool {
    let are_free =
        [(user, to), (to, user)].iter().all(|(one, other)| blocks::may_reach(server, *one, *other));
    let are_free = are_free || planted::is(Planted::BlockedWantsRelay);
    user != to && server.accounts[to].session.is_some() && are_free
}

fn may_open(server: &ServerState, user: UserId, to: UserId) -> bool {
    let most = server.settings.relay_links_per_user as usize;
    let relays = &server.people.relays;
    let has_room =
        |user| most == 0 || relays.places(user).count() < most || planted::is(Planted::RelaysUnbounded);
    let can = |user: UserId| {
        let session = server.accounts[user].session.as_ref();
        session.is_some_and(|session| session.link.is_some() && session.capabilities.relay)
    };
    let takes = server.accounts[to].link().is_some_and(|link| server.out.takes(link));
    can(user) && can(to) && has_room(user) && has_room(to) && takes
}

fn next_place(server: &mut ServerState, user: UserId) -> Option<Place> {
    let session = server.accounts[user].session.as_mut()?;
    session.relays += 1;
    Some((user, session.relays))
}

fn say(server: &mut ServerState, user: UserId, line: Relayed<'_>) {
    if let Some(link) = server.accounts[user].link() {
        server.out.send(link, &ServerLine::Relay(line));
    }
}

fn pass_on(server: &mut ServerState, from: Place, sealed: Sealed<'_>) {
    let Some(to) = server.people.relays.ends.get(&from).and_then(|end| end.other) else { return };
    let free = planted::is(Planted::RelayIsFree);
    session::charge(server, from.0, if free { 0 } else { session::units_for(sealed.len()) });
    let Some(end) = server.people.relays.ends.get_mut(&to) else { return };
    if end.under_way + sealed.len() > RELAY_WINDOW_BYTES && !planted::is(Planted::RelayWindowIgnored) {
        return cut(server, from);
    }
    end.under_way += sealed.len();
    end.waiting_bytes += sealed.len();
    end.waiting.push_back(sealed.as_str().into());
    go_on(server, to.0);
}

fn took(server: &mut ServerState, by: Place, count: u64) {
    let Some(end) = server.people.relays.ends.get_mut(&by) else { return };
    let untaken = end.under_way - end.waiting_bytes;
    let Some(count) = usize::try_from(count).ok().filter(|count| *count <= untaken) else {
        return cut(server, by);
    };
    end.under_way -= count;
    let Some(other) = end.other else { return };
    if let Some(end) = server.people.relays.ends.get_mut(&other) {
        end.taken += count as u64;
        go_on(server, other.0);
    }
}

/// A client wants a relay no more, or its connection is gone: the other gets what was said before.
fn close(server: &mut ServerState, place: Place) {
    let Some(other) = server.people.relays.ends.remove(&place).and_then(|end| end.other) else { return };
    if let Some(end) = server.people.relays.ends.get_mut(&other) {
        end.other = None;
        go_on(server, other.0);
    }
}

/// Ends a relay at both ends at once.
fn cut(server: &mut ServerState, place: Place) {
    let other = server.people.relays.ends.get(&place).and_then(|end| end.other);
    for (user, number) in [place].into_iter().chain(other) {
        if server.people.relays.ends.remove(&(user, number)).is_some() {
            say(server, user, Relayed::Closed { number });
        }
    }
}

/// Writes what waits for a user, as long as what their connection was sent before has left: one line of each relay in
/// turn.
pub(in crate::server) fn go_on(server: &mut ServerState, user: UserId) {
    while let Some(link) = server.accounts[user].link()
        && (server.out.is_clear(link) || planted::is(Planted::RelayCutsIn))
        && let Some(place) = next_in_turn(server, user)
    {
        if let Some(session) = server.accounts[user].session.as_mut() {
            session.relay_served = place.1;
        }
        write_next(server, link, place);
    }
}

/// The relay of a user that is to have its turn and has something to say.
fn next_in_turn(server: &mut ServerState, user: UserId) -> Option<Place> {
    let served = server.accounts[user].session.as_ref()?.relay_served;
    let (before, after): (Vec<Place>, Vec<Place>) =
        server.people.relays.places(user).partition(|(_, number)| *number <= served);
    after.into_iter().chain(before).find(|place| has_something(server, *place))
}

fn has_something(server: &mut ServerState, place: Place) -> bool {
    let Some(end) = server.people.relays.ends.get(&place) else { return false };
    if end.taken > 0 {
        return true;
    }
    let Some((sender, _)) = end.other else { return true };
    if end.waiting.is_empty() {
        return false;
    }
    let due = paid_off_at(server, sender);
    if let Some(at) = due {
        server.deadlines.add(at, Deadline::Relay(sender));
    }
    due.is_none()
}

fn write_next(server: &mut ServerState, link: LinkId, (user, number): Place) {
    let Some(end) = server.people.relays.ends.get_mut(&(user, number)) else { return };
    let taken = core::mem::take(&mut end.taken);
    if taken > 0 {
        return server.out.send(link, &ServerLine::Relay(Relayed::Took { number, count: taken }));
    }
    let (sender, frame) = (end.other, end.waiting.pop_front());
    let Some(sealed) = frame.as_deref().and_then(Sealed::new) else {
        server.people.relays.ends.remove(&(user, number));
        return server.out.send(link, &ServerLine::Relay(Relayed::Closed { number }));
    };
    end.waiting_bytes -= sealed.len();
    server.out.send(link, &ServerLine::Relay(Relayed::Data { number, sealed }));
    if let Some((sender, _)) = sender {
        count(server, sender, sealed.len());
    }
}

/// Counts what a user has had relayed.
fn count(server: &mut ServerState, sender: UserId, bytes: usize) {
    let rate = u64::from(server.settings.relay_bytes_per_s);
    if rate > 0 {
        let now = server.now;
        server.accounts[sender].relay_debt.add(bytes as u64, rate, now);
    }
}

/// When a user may have more relayed, if not now: while it is as much as in a second, it waits.
fn paid_off_at(server: &ServerState, sender: UserId) -> Option<Time> {
    let rate = u64::from(server.settings.relay_bytes_per_s);
    if rate == 0 || planted::is(Planted::RelayUnmetered) {
        return None;
    }
    let at = server.accounts[sender].relay_debt.is_below_at(rate, rate);
    (at > server.now).then_some(at)
}

/// A user may have more relayed.
pub(in crate::server) fn paid_off(server: &mut ServerState, sender: UserId) {
    let relays = &server.people.relays;
    let readers = relays.places(sender).filter_map(|place| relays.ends.get(&place)?.other);
    let readers: Vec<UserId> = readers.map(|(reader, _)| reader).collect();
    readers.into_iter().for_each(|reader| go_on(server, reader));
}

/// The operator has changed how much is relayed: nobody has had anything relayed.
pub(in crate::server) fn rate_changed(server: &mut ServerState) {
    for user in server.accounts.ids() {
        server.accounts[user].relay_debt = Debt::default();
    }
    let mut readers: Vec<UserId> = server.people.relays.ends.keys().map(|(user, _)| *user).collect();
    readers.dedup();
    readers.into_iter().for_each(|reader| go_on(server, reader));
}

/// A user's connection is gone, and with it what was on its way over it.
pub(in crate::server) fn lost_link(server: &mut ServerState, user: UserId) {
    let places: Vec<Place> = server.people.relays.places(user).collect();
    for place in places {
        close(server, place);
    }
}

/// A user's session is over, and with it their introductions.
pub(in crate::server) fn session_ended(server: &mut ServerState, user: UserId) {
    if !planted::is(Planted::RelayOutlivesSession) {
        server.people.relays.introduced.remove(&user);
        server.people.relays.wanted.remove(&user);
    }
    lost_link(server, user);
}

/// One of these two has blocked the other.
pub(super) fn end_blocked(server: &mut ServerState, one: UserId, other: UserId) {
    if planted::is(Planted::BlockLeavesRelay) {
        return;
    }
    let relays = &mut server.people.relays;
    for (one, other) in [(one, other), (other, one)] {
        if let Some(known) = relays.introduced.get_mut(&one) {
            known.retain(|known| *known != other);
        }
    }
    let of_both = |place: &Place| {
        relays.ends.get(place).and_then(|end| end.other).is_some_and(|(user, _)| user == other)
    };
    let places: Vec<Place> = relays.places(one).filter(of_both).collect();
    places.into_iter().for_each(|place| cut(server, place));
}
