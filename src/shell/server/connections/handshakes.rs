//! Handshakes under way: how many there may be, and whose turn it is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use crate::words::LinkId;

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

    /// Whether any waits for a step.
    pub(crate) fn are_waiting(&self) -> bool {
        !self.known.turns.is_empty() || !self.strangers.turns.is_empty()
    }

    /// The one whose turn it is. If that is its first, and `most` (0: no bound) have begun, one of these gives up its
    /// place: known addresses are spared while there are others, the earlier stage goes before the later, then it is the
    /// oldest of the address that has most such ones, of several such the oldest of all.
    pub(crate) fn next(&mut self, most: u32) -> Option<Turn> {
        let link = self.known.pop().or_else(|| self.strangers.pop())?;
        let Some(caller) = self.new.remove(&link) else { return Some(Turn { link, loser: None }) };
        let is_full = most > 0 && self.begun.len() >= most as usize;
        let loser = if is_full { self.loser() } else { None };
        if let Some(loser) = loser {
            self.end(loser);
        }
        self.begun.insert(link, (caller, Stage::Half));
        Some(Turn { link, loser })
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
        std::iter::from_fn(|| handshakes.next(0)).map(|turn| turn.link.0).collect()
    }

    /// These have begun and are at a stage.
    fn begun(links: &[(u64, Caller, Stage)]) -> Handshakes {
        let mut handshakes = Handshakes::default();
        for (link, caller, stage) in links {
            handshakes.wait(LinkId(*link), *caller);
            assert_eq!(handshakes.next(0), Some(Turn { link: LinkId(*link), loser: None }));
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
        assert!(!handshakes.are_waiting());
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
        assert_eq!(handshakes.next(8), Some(Turn { link: LinkId(8), loser: None }), "it has begun");
        // Those that come wait for a turn, and are not counted before they have it.
        for link in 11..18 {
            handshakes.wait(LinkId(link), from(9));
        }
        for (link, loser) in [(11, 7), (12, 6), (13, 8), (14, 3), (15, 11), (16, 12), (17, 13)] {
            let turn = Turn { link: LinkId(link), loser: Some(LinkId(loser)) };
            assert_eq!(handshakes.next(8), Some(turn));
            handshakes.stepped(LinkId(link), Answered);
        }
        assert_eq!(handshakes.begun.len(), 8);
    }

    #[test]
    fn where_all_are_known_one_of_them_goes_and_has_no_turn_any_more() {
        let mut handshakes = begun(&[(1, known(1), Stage::Answered), (2, known(1), Stage::Half)]);
        handshakes.wait(LinkId(3), known(2));
        handshakes.wait(LinkId(2), known(1));
        assert_eq!(handshakes.next(2), Some(Turn { link: LinkId(3), loser: Some(LinkId(2)) }));
        assert_eq!(handshakes.next(2), None);
    }

    #[test]
    fn one_that_ends_leaves_nothing_behind() {
        let mut handshakes = Handshakes::default();
        for link in 1..100 {
            handshakes.wait(LinkId(link), from((link % 7) as u8));
        }
        for _ in 0..30 {
            assert!(handshakes.next(0).is_some());
        }
        for link in 1..100 {
            handshakes.end(LinkId(link));
        }
        assert!(handshakes.begun.is_empty() && handshakes.new.is_empty() && !handshakes.are_waiting());
        assert!(handshakes.strangers.waiting.is_empty() && handshakes.next(0).is_none());
    }
}
