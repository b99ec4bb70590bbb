//! Connections from addresses that are not known, while many are not logged in (R48).

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::time::Time;

/// So many of them are taken on at once.
const AT_ONCE: u32 = 512;
/// Once a crowd has come, so often one more is. The others are closed at once.
const EVERY: Duration = Duration::from_micros(500);
/// So often one of the same address.
const SAME_EVERY: Duration = Duration::from_millis(100);

/// Which of them are taken on.
#[derive(Debug)]
pub(crate) struct Newcomers {
    /// How many may come now, as it was counted then.
    left: u32,
    counted: Time,
    /// The addresses of those that were taken on, and until when no other of theirs is.
    lately: VecDeque<(Time, IpAddr)>,
    waiting: BTreeSet<IpAddr>,
}

impl Default for Newcomers {
    fn default() -> Newcomers {
        Newcomers { left: AT_ONCE, counted: Time::ZERO, lately: VecDeque::new(), waiting: BTreeSet::new() }
    }
}

impl Newcomers {
    /// Whether one that comes now is taken on. The bound for one address holds once half of those at once have come, and
    /// not for addresses of the loopback.
    pub(crate) fn take_on(&mut self, host: IpAddr, now: Time) -> bool {
        while let Some((_, over)) = self.lately.pop_front_if(|(until, _)| *until <= now) {
            self.waiting.remove(&over);
        }
        while self.left < AT_ONCE && self.counted + EVERY <= now {
            self.left += 1;
            self.counted = self.counted + EVERY;
        }
        let is_one_of_many = self.left <= AT_ONCE / 2 && self.waiting.contains(&host);
        if self.left == 0 || is_one_of_many {
            return false;
        }
        if self.left == AT_ONCE {
            self.counted = now;
        }
        self.left -= 1;
        if !host.is_loopback() && self.waiting.insert(host) {
            self.lately.push_back((now + SAME_EVERY, host));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: u32) -> IpAddr {
        let [_, a, b, c] = number.to_be_bytes();
        [10, a, b, c].into()
    }

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(1_000 + millis)
    }

    /// How many of so many that come at once are taken on, each from the address that `from` names.
    fn taken(newcomers: &mut Newcomers, count: u32, now: Time, from: impl Fn(u32) -> IpAddr) -> usize {
        (0..count).filter(|number| newcomers.take_on(from(*number), now)).count()
    }

    #[test]
    fn a_crowd_is_taken_on_at_once_and_then_one_every_half_millisecond() {
        let mut newcomers = Newcomers::default();
        assert_eq!(taken(&mut newcomers, 1_000, at(0), host), 512);
        assert_eq!(taken(&mut newcomers, 1_000, at(0), |number| host(5_000 + number)), 0);
        assert_eq!(taken(&mut newcomers, 1_000, at(5), |number| host(5_000 + number)), 10);
        assert_eq!(taken(&mut newcomers, 1_000, at(10_000), host), 512, "no more after a rest");
    }

    #[test]
    fn an_address_that_has_many_leaves_places_to_others() {
        let mut newcomers = Newcomers::default();
        assert_eq!(taken(&mut newcomers, 1_000, at(0), |_| host(1)), 256);
        assert_eq!(taken(&mut newcomers, 255, at(0), |number| host(2 + number)), 255);
        assert!(newcomers.take_on(host(9_999), at(0)));
        assert_eq!(taken(&mut newcomers, 1_000, at(99), |_| host(1)), 0);
        assert_eq!(taken(&mut newcomers, 1_000, at(100), |_| host(1)), 1);
        assert_eq!(taken(&mut newcomers, 1_000, at(1_000), |_| host(1)), 256);
    }

    #[test]
    fn the_loopback_counts_only_in_all_and_what_is_remembered_is_bounded() {
        let mut newcomers = Newcomers::default();
        assert_eq!(taken(&mut newcomers, 1_000, at(0), |_| [127, 0, 0, 1].into()), 512);
        for number in 0..10_000 {
            newcomers.take_on(host(number), at(u64::from(number)));
            assert!(newcomers.lately.len() <= 512 + 200 && newcomers.waiting.len() == newcomers.lately.len());
        }
    }
}
