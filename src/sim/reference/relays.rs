//! Private links that run through the server (R60).

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::prices::{Debt, RELAY, units_of};
use super::reader::RelayLine;
use super::{Server, Timer, User};
use crate::time::Time;
use crate::words::LinkId;

/// Introductions of a user that are remembered.
const INTRODUCTIONS: usize = 256;
/// Those of a user that want a relay without an introduction, and for how long they do.
const WANTED: usize = 16;
const WANTED_MICROS: u64 = 15_000_000;
/// Bytes of one direction that may be sent and not taken.
const WINDOW_BYTES: usize = 16_384;
/// While more has not left on a connection, nothing of a relay is written to it.
const CLEAR_BYTES: u64 = 4_096;

/// The relays of all, and who may have one.
#[derive(Debug, Default)]
pub(super) struct Relays {
    /// Whom users were introduced to in their sessions, the last one last.
    known: BTreeMap<User, Vec<User>>,
    /// Who has wanted a relay with whom without an introduction, and when last.
    wanted: Vec<(User, User, Time)>,
    all: Vec<Relay>,
    /// The relay of a user that something was written of last, by the serial number of the session.
    served: BTreeMap<(User, u64), u64>,
    /// How many there were in a session.
    counted: BTreeMap<(User, u64), u64>,
}

/// A relay: two sides, each of which reads what the other says.
#[derive(Debug)]
struct Relay {
    sides: [Side; 2],
}

#[derive(Debug)]
struct Side {
    user: User,
    number: u64,
    /// It has not been told of its end, nor ended it.
    is_open: bool,
    /// To be read by it: base64, and how many bytes that is.
    waiting: VecDeque<(String, usize)>,
    /// Read by it and not taken.
    untaken: usize,
    /// What it has said that was taken, and that it was not told of.
    news: u64,
}

impl Side {
    const fn new((user, number): (User, u64)) -> Side {
        Side { user, number, is_open: true, waiting: VecDeque::new(), untaken: 0, news: 0 }
    }

    fn under_way(&self) -> usize {
        self.untaken + self.waiting.iter().map(|(_, bytes)| bytes).sum::<usize>()
    }
}

impl Relays {
    /// The relay of a user by its number, and which side the user is.
    fn find(&self, user: User, number: u64) -> Option<(usize, usize)> {
        let is_it = |side: &Side| side.is_open && side.user == user && side.number == number;
        self.all.iter().enumerate().find_map(|(at, relay)| Some((at, relay.sides.iter().position(is_it)?)))
    }

    /// Numbers of a user's relays, in order.
    fn numbers(&self, user: User) -> Vec<u64> {
        let sides = self.all.iter().flat_map(|relay| &relay.sides);
        let mut numbers: Vec<u64> =
            sides.filter(|side| side.is_open && side.user == user).map(|side| side.number).collect();
        numbers.sort_unstable();
        numbers
    }

    fn are_introduced(&self, one: User, other: User) -> bool {
        [(one, other), (other, one)]
            .iter()
            .all(|(one, other)| self.known.get(one).is_some_and(|known| known.contains(other)))
    }

    fn are_joined(&self, one: User, other: User) -> bool {
        let both = |relay: &&Relay| {
            relay.sides.iter().all(|side| side.is_open && (side.user == one || side.user == other))
        };
        self.all.iter().find(both).is_some()
    }
}

impl Server {
    pub(super) fn introduced(&mut self, one: User, other: User) {
        for (one, other) in [(one, other), (other, one)] {
            let known = self.relays.known.entry(one).or_default();
            known.retain(|known| *known != other);
            known.push(other);
            if known.len() > INTRODUCTIONS {
                known.remove(0);
            }
        }
    }

    pub(super) fn obey_relay(&mut self, id: LinkId, user: User, line: RelayLine) {
        match line {
            RelayLine::Open { user: name } => self.open_relay(id, user, &name),
            RelayLine::Data { number, base64, bytes } => self.relay_data(user, number, base64, bytes),
            RelayLine::Took { number, count } => self.relay_took(user, number, count),
            RelayLine::Close { number } => self.close_relay(user, number),
        }
    }

    fn open_relay(&mut self, id: LinkId, user: User, name: &str) {
        let to = self.find(name);
        if to.is_some_and(|to| self.relays.are_joined(user, to)) {
            return;
        }
        let knows = |server: &Server, to: User| server.relays.are_introduced(user, to);
        let is_online = |server: &Server, to: User| server.at(to).session.is_some();
        let are_free = |to: User| self.may_reach(user, to) && self.may_reach(to, user);
        let may_want = |to: &User| user != *to && is_online(self, *to) && are_free(*to);
        let Some(to) = to.filter(|to| knows(self, *to) || may_want(to)) else {
            self.send(id, &format!("relay unknown {name}"));
            return;
        };
        if !knows(self, to) && self.wants_relay(user, to) {
            self.introduced(user, to);
        }
        if !knows(self, to) || !self.may_relay(user, to) {
            self.send(id, &format!("relay refused {name}"));
            return;
        }
        self.charge(user, RELAY);
        let places = [user, to].map(|user| (user, self.count_relay(user)));
        for ((reader, number), other) in places.into_iter().zip([to, user]) {
            let line = format!("relay opened {number} {}", self.name(other));
            self.tell_of_relay(reader, &line);
        }
        self.relays.all.push(Relay { sides: places.map(Side::new) });
    }

    /// One wants a relay with another without an introduction; returns whether that one has wanted it lately.
    fn wants_relay(&mut self, user: User, to: User) -> bool {
        let now = self.now;
        let wanted = &mut self.relays.wanted;
        let both = wanted.iter().any(|(by, of, at)| (*by, *of) == (to, user) && now.0 < at.0 + WANTED_MICROS);
        wanted.retain(|(by, of, _)| (*by, *of) != (user, to));
        if wanted.iter().filter(|(by, ..)| *by == user).count() >= WANTED
            && let Some(first) = wanted.iter().position(|(by, ..)| *by == user)
        {
            wanted.remove(first);
        }
        wanted.push((user, to, now));
        both
    }

    fn may_relay(&self, user: User, to: User) -> bool {
        let most = self.settings.relay_links_per_user as usize;
        let can = |user: User| {
            let link = self.at(user).link().and_then(|id| self.links.get(&id));
            link.is_some_and(|link| link.relays) && (most == 0 || self.relays.numbers(user).len() < most)
        };
        let room = self.at(to).link().is_some_and(|link| self.has_output_room(link));
        can(user) && can(to) && room
    }

    fn count_relay(&mut self, user: User) -> u64 {
        let serial = self.session(user).map_or(0, |session| session.serial);
        let count = self.relays.counted.entry((user, serial)).or_default();
        *count += 1;
        *count
    }

    fn tell_of_relay(&mut self, user: User, line: &str) {
        if let Some(link) = self.at(user).link() {
            self.send(link, line);
        }
    }

    fn relay_data(&mut self, user: User, number: u64, base64: String, bytes: usize) {
        let Some((at, own)) = self.relays.find(user, number) else { return };
        let reader = &mut self.relays.all[at].sides[1 - own];
        if !reader.is_open {
            return;
        }
        let (to, is_too_much) = (reader.user, reader.under_way() + bytes > WINDOW_BYTES);
        if !is_too_much {
            reader.waiting.push_back((base64, bytes));
        }
        self.charge(user, units_of(bytes));
        if is_too_much { self.cut_relay(at) } else { self.go_on_relaying(to) }
    }

    fn relay_took(&mut self, user: User, number: u64, count: u64) {
        let Some((at, own)) = self.relays.find(user, number) else { return };
        let sides = &mut self.relays.all[at].sides;
        if count > sides[own].untaken as u64 {
            return self.cut_relay(at);
        }
        sides[own].untaken -= usize::try_from(count).unwrap_or(0);
        if sides[1 - own].is_open {
            sides[1 - own].news += count;
            let other = sides[1 - own].user;
            self.go_on_relaying(other);
        }
    }

    /// One side is there no more: the other gets what was said before.
    fn close_relay(&mut self, user: User, number: u64) {
        let Some((at, own)) = self.relays.find(user, number) else { return };
        let sides = &mut self.relays.all[at].sides;
        sides[own].is_open = false;
        let (other, is_open) = (sides[1 - own].user, sides[1 - own].is_open);
        if is_open {
            self.go_on_relaying(other);
        }
        self.forget_closed_relays();
    }

    fn forget_closed_relays(&mut self) {
        self.relays.all.retain(|relay| relay.sides.iter().any(|side| side.is_open));
    }

    /// Both sides hear of the end at once.
    fn cut_relay(&mut self, at: usize) {
        let relay = self.relays.all.remove(at);
        for side in relay.sides.iter().filter(|side| side.is_open) {
            self.tell_of_relay(side.user, &format!("relay closed {}", side.number));
        }
    }

    /// Writes what waits for a user as long as their connection is clear, a line of each relay in turn.
    pub(super) fn go_on_relaying(&mut self, user: User) {
        while let Some(session) = self.session(user)
            && let Some(link) = session.link
            && self.links.get(&link).is_some_and(|link| link.sent - link.flushed <= CLEAR_BYTES)
        {
            let turn = (user, session.serial);
            let served = self.relays.served.get(&turn).copied().unwrap_or(0);
            let mut numbers = self.relays.numbers(user);
            numbers.sort_by_key(|number| (*number <= served, *number));
            let Some((number, line)) =
                numbers.into_iter().find_map(|number| Some((number, self.next_of_relay(user, number)?)))
            else {
                break;
            };
            self.relays.served.insert(turn, number);
            self.send(link, &line);
        }
        self.forget_closed_relays();
    }

    /// The next line about a relay, if there is one.
    fn next_of_relay(&mut self, user: User, number: u64) -> Option<String> {
        let (at, own) = self.relays.find(user, number)?;
        let sides = &mut self.relays.all[at].sides;
        let sender = Some(sides[1 - own].user).filter(|_| sides[1 - own].is_open);
        let side = &mut sides[own];
        if side.news > 0 {
            return Some(format!("relay took {number} {}", core::mem::take(&mut side.news)));
        }
        let Some(bytes) = side.waiting.front().map(|(_, bytes)| *bytes) else {
            side.is_open = sender.is_some();
            return (!side.is_open).then(|| format!("relay closed {number}"));
        };
        let rate = u64::from(self.settings.relay_bytes_per_s);
        if let Some(sender) = sender.filter(|_| rate > 0) {
            let (now, debt) = (self.now, self.at(sender).relayed);
            if let Some(at) = debt.pressing_until(now, rate, rate) {
                self.set(at, Timer::Relay(sender));
                return None;
            }
            self.at_mut(sender).relayed = debt.grown(now, rate, bytes as u64);
        }
        let side = &mut self.relays.all[at].sides[own];
        let (base64, bytes) = side.waiting.pop_front()?;
        side.untaken += bytes;
        Some(format!("relay data {number} {base64}"))
    }

    /// What a user has had relayed is paid off far enough.
    pub(super) fn relay_due(&mut self, sender: User) {
        let readers: Vec<User> = self
            .relays
            .all
            .iter()
            .filter_map(|relay| {
                let own = relay.sides.iter().position(|side| side.is_open && side.user == sender)?;
                Some(&relay.sides[1 - own]).filter(|side| side.is_open).map(|side| side.user)
            })
            .collect();
        readers.into_iter().for_each(|reader| self.go_on_relaying(reader));
    }

    /// The operator has changed how much is relayed.
    pub(super) fn relay_rate_changed(&mut self) {
        for user in self.everybody() {
            self.at_mut(user).relayed = Debt::default();
        }
        for user in self.everybody() {
            self.go_on_relaying(user);
        }
    }

    /// A user's connection is gone.
    pub(super) fn end_relays(&mut self, user: User) {
        for number in self.relays.numbers(user) {
            self.close_relay(user, number);
        }
    }

    /// A user's session is over.
    pub(super) fn end_introductions(&mut self, user: User) {
        self.relays.known.remove(&user);
        self.relays.wanted.retain(|(by, ..)| *by != user);
        self.end_relays(user);
        self.relays.served.retain(|(of, _), _| *of != user);
        self.relays.counted.retain(|(of, _), _| *of != user);
    }

    /// One of these has blocked the other.
    pub(super) fn block_ends_relay(&mut self, one: User, other: User) {
        for (one, other) in [(one, other), (other, one)] {
            if let Some(known) = self.relays.known.get_mut(&one) {
                known.retain(|known| *known != other);
            }
        }
        let of_both =
            |relay: &Relay| relay.sides.iter().all(|side| side.is_open && [one, other].contains(&side.user));
        while let Some(at) = self.relays.all.iter().position(of_both) {
            self.cut_relay(at);
        }
    }
}
