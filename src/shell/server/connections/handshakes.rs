//! Handshakes under way: how many there may be, and whose turn it is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::share::Share;
use crate::time::Time;
use crate::words::LinkId;

/// A step takes no longer, unless something else has the processor.
const LONGEST_STEP: Duration = Duration::from_millis(1);

/// Who is on the other side of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The address, or for IPv6 the network of it.
    pub(crate) host: IpAddr,
    /// Somebody has logged in from there.
    pub(crate) known: bool,
}

/// Handshakes that wait for a step, and those that had one. The addresses take turns, known ones first.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    /// Those that wait for their first step.
    new: BTreeMap<LinkId, Caller>,
    begun: BTreeMap<LinkId, (Caller, Stage)>,
    known: Lanes,
    strangers: Lanes,
    /// Until then no stranger has a step.
    rest: Time,
}

/// How far a handshake has come. Of several, one of the first stage gives up its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The client has said half of what it has to say first.
    Half,
    /// The server has answered, and the client has to say the rest.
    Answered,
}

/// The turn of a handshake.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) link: LinkId,
    /// Its address is known.
    pub(crate) known: bool,
    /// The one that gives up its place for it.
    pub(crate) loser: Option<LinkId>,
}

impl Handshakes {
    /// A handshake waits for a step.
    pub(crate) fn wait(&mut self, link: LinkId, caller: Caller) {
        if !self.begun.contains_key(&link) {
            self.new.insert(link, caller);
        }
        self.lanes(caller).push(caller.host, link);
    }

    /// When the next step may be done, if any waits for one.
    pub(crate) fn due(&self) -> Option<Time> {
        match (self.known.turns.is_empty(), self.strangers.turns.is_empty()) {
            (false, _) => Some(Time::ZERO),
            (true, false) => Some(self.rest),
            (true, true) => None,
        }
    }

    /// The one whose turn it is. If that is its first, and `most` (0: no bound) have begun, one of these gives up its
    /// place: known addresses are spared while there are others, the earlier stage goes before the later, then it is the
    /// oldest of the address that has most such ones, of several such the oldest of all. Strangers have none while they rest.
    pub(crate) fn next(&mut self, most: u32, now: Time) -> Option<Turn> {
        let first = self.known.pop();
        let known = first.is_some();
        let link = first.or_else(|| if self.rest <= now { self.strangers.pop() } else { None })?;
        let Some(caller) = self.new.remove(&link) else { return Some(Turn { link, known, loser: None }) };
        let is_full = most > 0 && self.begun.len() >= most as usize;
        let loser = if is_full { self.loser() } else { None };
        if let Some(loser) = loser {
            self.end(loser);
        }
        self.begun.insert(link, (caller, Stage::Half));
        Some(Turn { link, known, loser })
    }

    /// A step for a stranger is done, and took so long: the others wait, so that strangers have no more than their share.
    pub(crate) fn rest(&mut self, now: Time, took: Duration, share: Share) {
        self.rest = now + took.min(LONGEST_STEP) * share.rest;
    }

    /// A handshake had its step, and has come so far.
    pub(crate) fn stepped(&mut self, link: LinkId, stage: Stage) {
        if let Some((_, now)) = self.begun.get_mut(&link) {
            *now = stage;
        }
    }

    /// A handshake is done, has failed, or its connection is gone.
    pub(crate) fn end(&mut self, link: LinkId) {
        let begun = self.begun.remove(&link).map(|(caller, _)| caller);
        if let Some(caller) = begun.or_else(|| self.new.remove(&link)) {
            self.lanes(caller).remove(caller.host, link);
        }
    }

    const fn lanes(&mut self, caller: Caller) -> &mut Lanes {
        if caller.known { &mut self.known } else { &mut self.strangers }
    }

    fn loser(&self) -> Option<LinkId> {
        let rank = |(caller, stage): &(Caller, Stage)| (caller.known, *stage);
        let first = self.begun.values().map(rank).min()?;
        // Of each address that has such ones: how many, and the oldest.
        let mut hosts: BTreeMap<IpAddr, (usize, Reverse<LinkId>)> = BTreeMap::new();
        for (link, (caller, _)) in self.begun.iter().filter(|(_, handshake)| rank(handshake) == first) {
            hosts.entry(caller.host).or_insert((0, Reverse(*link))).0 += 1;
        }
        hosts.into_values().max().map(|(_, Reverse(oldest))| oldest)
    }
}

/// Those who wait, by address.
#[derive(Debug, Default)]
struct Lanes {
    turns: VecDeque<IpAddr>,
    waiting: BTreeMap<IpAddr, VecDeque<LinkId>>,
}

impl Lanes {
    fn push(&mut self, host: IpAddr, link: LinkId) {
        let lane = self.waiting.entry(host).or_default();
        if lane.is_empty() {
            self.turns.push_back(host);
        }
        lane.push_back(link);
    }

    fn pop(&mut self) -> Option<LinkId> {
        let host = self.turns.pop_front()?;
        let lane = self.waiting.get_mut(&host)?;
        let link = lane.pop_front();
        if lane.is_empty() {
            self.waiting.remove(&host);
        } else {
            self.turns.push_back(host);
        }
        link
    }

    fn remove(&mut self, host: IpAddr, link: LinkId) {
        let Some(lane) = self.waiting.get_mut(&host) else { return };
        lane.retain(|waiting| *waiting != link);
        if lane.is_empty() {
            self.waiting.remove(&host);
            self.turns.retain(|other| *other != host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(host: u8) -> Caller {
        Caller { host: [192, 0, 2, host].into(), known: false }
    }

    fn known(host: u8) -> Caller {
        Caller { known: true, ..from(host) }
    }

    fn order(handshakes: &mut Handshakes) -> Vec<u64> {
        std::iter::from_fn(|| handshakes.next(0, Time::MAX)).map(|turn| turn.link.0).collect()
    }

    /// Whose turn it is, and who gives up a place for it.
    fn turn(handshakes: &mut Handshakes, most: u32) -> Option<(u64, Option<u64>)> {
        handshakes.next(most, Time::MAX).map(|turn| (turn.link.0, turn.loser.map(|loser| loser.0)))
    }

    /// These have begun and are at a stage.
    fn begun(links: &[(u64, Caller, Stage)]) -> Handshakes {
        let mut handshakes = Handshakes::default();
        for (link, caller, stage) in links {
            handshakes.wait(LinkId(*link), *caller);
            assert_eq!(turn(&mut handshakes, 0), Some((*link, None)));
            handshakes.stepped(LinkId(*link), *stage);
        }
        handshakes
    }

    #[test]
    fn addresses_take_turns_and_known_ones_go_first() {
        let mut handshakes = Handshakes::default();
        let callers = [(1, from(1)), (2, from(1)), (3, from(1)), (4, from(2)), (5, known(3)), (6, known(3))];
        for (link, caller) in callers {
            handshakes.wait(LinkId(link), caller);
        }
        assert_eq!(order(&mut handshakes), [5, 6, 1, 4, 2, 3]);
        assert_eq!(handshakes.due(), None);
    }

    #[test]
    fn of_strangers_with_half_a_hello_the_address_with_most_gives_up_its_oldest() {
        use Stage::{Answered, Half};
        let mut handshakes = begun(&[
            (1, known(1), Half),
            (2, known(1), Half),
            (3, from(2), Answered),
            (4, from(2), Answered),
            (5, from(2), Answered),
            (6, from(3), Half),
            (7, from(4), Half),
            (8, from(4), Half),
        ]);
        handshakes.wait(LinkId(8), from(4));
        assert_eq!(turn(&mut handshakes, 8), Some((8, None)), "it has begun");
        // Those that come wait for a turn, and are not counted before they have it.
        for link in 11..18 {
            handshakes.wait(LinkId(link), from(9));
        }
        for (link, loser) in [(11, 7), (12, 6), (13, 8), (14, 3), (15, 11), (16, 12), (17, 13)] {
            assert_eq!(turn(&mut handshakes, 8), Some((link, Some(loser))));
            handshakes.stepped(LinkId(link), Answered);
        }
        assert_eq!(handshakes.begun.len(), 8);
    }

    #[test]
    fn where_all_are_known_one_of_them_goes_and_has_no_turn_any_more() {
        let mut handshakes = begun(&[(1, known(1), Stage::Answered), (2, known(1), Stage::Half)]);
        handshakes.wait(LinkId(3), known(2));
        handshakes.wait(LinkId(2), known(1));
        assert_eq!(turn(&mut handshakes, 2), Some((3, Some(2))));
        assert_eq!(turn(&mut handshakes, 2), None);
    }

    #[test]
    fn strangers_rest_after_a_step_and_known_ones_do_not() {
        let mut handshakes = Handshakes::default();
        for (link, caller) in [(1, from(1)), (2, from(2)), (3, known(3)), (4, known(3))] {
            handshakes.wait(LinkId(link), caller);
        }
        let mut next = |now| {
            let (due, turn) = (handshakes.due(), handshakes.next(0, Time(now)));
            if turn.as_ref().is_some_and(|turn| !turn.known) {
                handshakes.rest(Time(now), Duration::from_micros(100), Share::USUAL);
            }
            (due.map(|due| due.0), turn.map(|turn| turn.link.0))
        };
        assert_eq!([next(1_000), next(1_000)], [(Some(0), Some(3)), (Some(0), Some(4))]);
        assert_eq!(next(1_000), (Some(0), Some(1)), "nobody has made them rest");
        assert_eq!(next(1_899), (Some(1_900), None), "nine times as long as a step took");
        assert_eq!(next(1_900), (Some(1_900), Some(2)));
        assert_eq!(next(9_999), (None, None));
        handshakes.rest(Time(10_000), Duration::from_secs(2), Share::USUAL);
        handshakes.wait(LinkId(5), from(1));
        assert_eq!(handshakes.due(), Some(Time(19_000)), "the server stood still meanwhile");
        handshakes.rest(Time(10_000), Duration::from_micros(100), Share::RETURNING);
        assert_eq!(handshakes.due(), Some(Time(10_100)), "as long as the step");
    }

    #[test]
    fn one_that_ends_leaves_nothing_behind() {
        let mut handshakes = Handshakes::default();
        for link in 1..100 {
            handshakes.wait(LinkId(link), from((link % 7) as u8));
        }
        for _ in 0..30 {
            assert!(turn(&mut handshakes, 0).is_some());
        }
        for link in 1..100 {
            handshakes.end(LinkId(link));
        }
        assert!(handshakes.begun.is_empty() && handshakes.new.is_empty() && handshakes.due().is_none());
        assert!(handshakes.strangers.waiting.is_empty() && turn(&mut handshakes, 0).is_none());
    }
}
