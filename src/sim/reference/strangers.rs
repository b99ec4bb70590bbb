//! Connections that are not logged in: which are closed when there are many (R48).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::{IpAddr, SocketAddr};

use super::Server;
use super::door::Link;
use super::links::{address_of, limited_address};
use crate::words::LinkId;

/// Connections of an address that are safe.
const SAFE: usize = 16;

/// Which connections may be closed for one that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum May {
    Any,
    Known,
    NotKnown,
}

impl Server {
    /// Makes room for a connection that comes; `false`: it is to be closed itself.
    pub(super) fn make_room(&mut self, from: SocketAddr) -> bool {
        let (own, all) =
            (self.settings.unauthenticated_per_address as usize, self.settings.unauthenticated_max as usize);
        if own > 0 && limited_address(from).is_some() {
            let address = address_of(from);
            while self.strangers_of(address).len() >= own {
                let Some(id) = self.first_to_close(address, May::Any) else { return false };
                self.close(id);
            }
        }
        if all == 0 {
            return true;
        }
        let is_known = self.is_known(from);
        while self.strangers(|_| true) >= all {
            let Some(id) = self.next_to_close(is_known).or_else(|| self.last_begun(is_known)) else {
                return false;
            };
            self.close(id);
        }
        let beyond_half = (2 * self.strangers(|link| link.began_login.is_none())).saturating_sub(all) as u64;
        if beyond_half > 0 {
            self.early_drops += beyond_half;
            if self.early_drops >= all as u64 {
                self.early_drops -= all as u64;
                if let Some(id) = self.next_to_close(is_known) {
                    self.close(id);
                }
            }
        }
        true
    }

    /// Whether known ones, with one that comes, are more than half of all that may be.
    fn known_are_too_many(&self, comes_known: bool) -> bool {
        let known = self.strangers(|link| link.is_known) + usize::from(comes_known);
        known * 2 > self.settings.unauthenticated_max as usize
    }

    /// 2a and 2b.
    fn next_to_close(&self, comes_known: bool) -> Option<LinkId> {
        if self.known_are_too_many(comes_known)
            && let Some(id) = self.first_of_most(May::Known)
        {
            return Some(id);
        }
        self.first_of_most(May::NotKnown)
    }

    /// 2c.
    fn last_begun(&self, comes_known: bool) -> Option<LinkId> {
        if !comes_known || self.known_are_too_many(true) {
            return None;
        }
        let others = self.links.iter().filter(|(_, link)| link.is_anonymous && !link.is_known);
        others.filter_map(|(id, link)| Some((link.began_login?, *id))).max().map(|(_, id)| id)
    }

    fn strangers(&self, these: impl Fn(&Link) -> bool) -> usize {
        self.links.values().filter(|link| link.is_anonymous && these(link)).count()
    }

    /// Those of an address, the oldest first.
    fn strangers_of(&self, address: IpAddr) -> Vec<LinkId> {
        let of_address =
            self.links.iter().filter(|(_, link)| link.is_anonymous && address_of(link.from) == address);
        of_address.map(|(id, _)| *id).collect()
    }

    /// Of an address: the oldest that has sent nothing, else the oldest that is not safe.
    fn first_to_close(&self, address: IpAddr, may: May) -> Option<LinkId> {
        let strangers = self.strangers_of(address);
        let began = |id: &LinkId| self.links.get(id).filter(|link| !link.ended)?.began_login;
        let mut begun: Vec<(u64, LinkId)> =
            strangers.iter().filter_map(|id| Some((began(id)?, *id))).collect();
        begun.sort_unstable();
        let safe: BTreeSet<LinkId> = begun.into_iter().take(SAFE).map(|(_, id)| id).collect();
        let mut those: Vec<(LinkId, &Link)> =
            strangers.iter().filter_map(|id| Some((*id, self.links.get(id)?))).collect();
        those.retain(|(_, link)| match may {
            May::Any => true,
            May::Known => link.is_known,
            May::NotKnown => !link.is_known,
        });
        let silent = those.iter().find(|(_, link)| !link.spoke);
        silent.or_else(|| those.iter().find(|(id, _)| !safe.contains(id))).map(|(id, _)| *id)
    }

    /// Of the address with the most connections, of those that have any to close.
    fn first_of_most(&self, may: May) -> Option<LinkId> {
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for link in self.links.values().filter(|link| link.is_anonymous) {
            *counts.entry(address_of(link.from)).or_default() += 1;
        }
        let first =
            |(address, count): (IpAddr, usize)| Some((count, Reverse(self.first_to_close(address, may)?)));
        counts.into_iter().filter_map(first).max().map(|(_, Reverse(id))| id)
    }
}
