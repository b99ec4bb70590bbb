//! Connections that are not logged in: which are closed when there are many (R48).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::{IpAddr, SocketAddr};

use super::Server;
use super::links::{address_of, limited_address};
use crate::words::LinkId;

/// Connections of an address that are safe.
const SAFE: usize = 16;

impl Server {
    /// Makes room for a connection that comes; `false`: it is to be closed itself.
    pub(super) fn make_room(&mut self, from: SocketAddr) -> bool {
        let (own, all) =
            (self.settings.unauthenticated_per_address as usize, self.settings.unauthenticated_max as usize);
        if own > 0 && limited_address(from).is_some() {
            let address = address_of(from);
            while self.strangers_of(address).len() >= own {
                let Some(id) = self.first_to_close(address) else { return false };
                self.close(id);
            }
        }
        if all == 0 {
            return true;
        }
        while self.strangers() >= all {
            let Some(id) = self.first_of_most() else { return false };
            self.close(id);
        }
        let beyond_half = (2 * self.strangers()).saturating_sub(all) as u64;
        if beyond_half > 0 {
            self.early_drops += beyond_half;
            if self.early_drops >= all as u64 {
                self.early_drops -= all as u64;
                if let Some(id) = self.first_of_most() {
                    self.close(id);
                }
            }
        }
        true
    }

    fn strangers(&self) -> usize {
        self.links.values().filter(|link| link.is_anonymous).count()
    }

    /// Those of an address, the oldest first.
    fn strangers_of(&self, address: IpAddr) -> Vec<LinkId> {
        let of_address =
            self.links.iter().filter(|(_, link)| link.is_anonymous && address_of(link.from) == address);
        of_address.map(|(id, _)| *id).collect()
    }

    /// Of an address: the oldest that has sent nothing, else the oldest that is not safe.
    fn first_to_close(&self, address: IpAddr) -> Option<LinkId> {
        let strangers = self.strangers_of(address);
        let began = |id: &LinkId| self.links.get(id).and_then(|link| link.began_login);
        let mut begun: Vec<(u64, LinkId)> =
            strangers.iter().filter_map(|id| Some((began(id)?, *id))).collect();
        begun.sort_unstable();
        let safe: BTreeSet<LinkId> = begun.into_iter().take(SAFE).map(|(_, id)| id).collect();
        let is_silent = |id: &&LinkId| self.links.get(id).is_some_and(|link| !link.spoke);
        strangers.iter().find(is_silent).or_else(|| strangers.iter().find(|id| !safe.contains(id))).copied()
    }

    /// Of the address with the most connections, of those that have any to close.
    fn first_of_most(&self) -> Option<LinkId> {
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for link in self.links.values().filter(|link| link.is_anonymous) {
            *counts.entry(address_of(link.from)).or_default() += 1;
        }
        let first = |(address, count): (IpAddr, usize)| Some((count, Reverse(self.first_to_close(address)?)));
        counts.into_iter().filter_map(first).max().map(|(_, Reverse(id))| id)
    }
}
