//! In which order a search looks where.

use alloc::vec::Vec;

use super::{Place, World};

/// So many scenarios of an evil server for each other one, if they come to the code of the bug.
const EVIL_SEEDS: u64 = 4;
/// By then they have come to it, or do not: the server's code is none of theirs.
const PROBED: u64 = 30;

/// The order of a search.
pub(super) struct Order {
    /// Where the search began.
    hint: Option<Place>,
    /// The world of an evil server comes to the code of the bug.
    is_in_evil: bool,
}

impl Order {
    pub(super) fn after(hint: Option<Place>) -> Order {
        Order { hint, is_in_evil: hint.is_some_and(|hint| hint.world == World::Evil) }
    }

    /// The code of the bug was come to at a place.
    pub(super) fn met_at(&mut self, place: Place) {
        self.is_in_evil |= place.world == World::Evil;
    }

    /// Where is looked at a seed: nowhere twice.
    pub(super) fn places(&self, seed: u64) -> Vec<Place> {
        let of_evil = match (self.is_in_evil, seed < PROBED) {
            (true, _) => EVIL_SEEDS,
            (false, true) => 1,
            (false, false) => 0,
        };
        let evil = (0..of_evil).map(|of_it| Place { world: World::Evil, seed: seed * EVIL_SEEDS + of_it });
        let twins = (seed % 4 == 1).then_some(Place { world: World::Twins, seed });
        let all = [Place { world: World::Good, seed }].into_iter().chain(evil).chain(twins);
        all.filter(|place| Some(*place) != self.hint).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(order: &Order, seeds: core::ops::Range<u64>) -> Vec<Place> {
        seeds.flat_map(|seed| order.places(seed)).collect()
    }

    #[test]
    fn where_a_search_began_it_does_not_look_again() {
        let places = all(&Order::after(None), 0..8);
        for hint in [World::Good, World::Twins].map(|world| Place { world, seed: 5 }) {
            let mut others = places.clone();
            others.retain(|place| *place != hint);
            assert_eq!(
                (all(&Order::after(Some(hint)), 0..8), others.len()),
                (others.clone(), places.len() - 1)
            );
        }
    }

    #[test]
    fn a_bug_that_an_evil_server_comes_to_is_looked_for_there() {
        let evil = |order: &Order, seed: u64| {
            order.places(seed).iter().filter(|place| place.world == World::Evil).count() as u64
        };
        let mut order = Order::after(None);
        assert_eq!((evil(&order, 0), evil(&order, PROBED)), (1, 0));
        order.met_at(Place { world: World::Good, seed: 0 });
        assert_eq!(evil(&order, PROBED), 0);
        order.met_at(Place { world: World::Evil, seed: 0 });
        assert_eq!((evil(&order, 0), evil(&order, PROBED)), (EVIL_SEEDS, EVIL_SEEDS));
        let hinted = Order::after(Some(Place { world: World::Evil, seed: 9 }));
        assert_eq!((evil(&hinted, 2), evil(&hinted, PROBED)), (EVIL_SEEDS - 1, EVIL_SEEDS));
    }
}
