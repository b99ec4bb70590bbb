//! How many accounts one address may register (R53).

use alloc::collections::{BTreeMap, VecDeque};
use core::net::{IpAddr, SocketAddr};

use super::links::address_of;
use super::{Server, later};
use crate::time::Time;

const HOUR_SECS: u64 = 3_600;
/// Addresses that are remembered.
const ADDRESSES: usize = 10_000;
/// Registrations of an address that are remembered in any case.
const LEAST_REMEMBERED: usize = 64;

/// When each address has registered accounts, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Registrations(BTreeMap<IpAddr, VecDeque<Time>>);

impl Server {
    /// Seconds until an address may register again, if it may not now.
    pub(super) fn registers_too_often(&self, from: SocketAddr) -> Option<u64> {
        let most = self.settings.registrations_per_address as usize;
        let times = self.registrations.0.get(&address_of(from)).filter(|_| most > 0)?;
        let oldest = times.iter().rev().nth(most - 1)?;
        let until = later(*oldest, HOUR_SECS);
        (until > self.now).then(|| self.now.seconds_until(until))
    }

    pub(super) fn count_registration(&mut self, from: SocketAddr) {
        let remembered = LEAST_REMEMBERED.max(self.settings.registrations_per_address as usize);
        let all = &mut self.registrations.0;
        let times = all.entry(address_of(from)).or_default();
        times.push_back(self.now);
        while times.len() > remembered {
            times.pop_front();
        }
        if all.len() > ADDRESSES
            && let Some(oldest) = all.iter().min_by_key(|(_, times)| times.back().copied()).map(|(ip, _)| *ip)
        {
            all.remove(&oldest);
        }
    }
}
