//! What is remembered of addresses: their wrong passwords, their registrations, and which are known.

use alloc::collections::{BTreeMap, VecDeque};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use crate::planted::{self, Planted};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::time::Time;

/// Addresses remembered of each kind.
const ADDRESSES: usize = 10_000;
/// Known addresses where the same user was the last to log in.
const KNOWN_OF_A_USER: usize = 8;
/// For so long a registration counts.
const REGISTRATION_COUNTS: Duration = Duration::from_secs(3_600);
/// Registrations of an address that are remembered, also while fewer are allowed, or any number.
const REGISTRATIONS: usize = 64;

/// The address of one host, by which callers are counted: an IPv4 address, or the first 64 bits of an IPv6 one.
#[must_use]
pub fn host(from: SocketAddr) -> IpAddr {
    match from.ip().to_canonical() {
        ip @ IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

/// Whether limits by address apply: an operator's own machine is exempt.
pub(super) fn limited(from: SocketAddr) -> Option<IpAddr> {
    (!from.ip().to_canonical().is_loopback()).then(|| host(from))
}

/// The network of an address: its first 24 or 48 bits, or loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Network(IpAddr);

impl Network {
    pub(super) fn of(from: SocketAddr) -> Network {
        Network(match from.ip().to_canonical() {
            ip if ip.is_loopback() => IpAddr::V4(core::net::Ipv4Addr::LOCALHOST),
            IpAddr::V4(v4) => IpAddr::V4((u32::from(v4) & !0xff).into()),
            IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !(u128::MAX >> 48)).into()),
        })
    }
}

/// What is remembered of addresses as long as the server runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Addresses {
    failures: BTreeMap<IpAddr, Failures>,
    /// The times of the last registrations, the oldest first.
    registrations: BTreeMap<IpAddr, VecDeque<Time>>,
    known: Known,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    since: Time,
}

/// Addresses that somebody logged in from.
#[derive(Debug, Clone, Default)]
struct Known {
    by_address: BTreeMap<IpAddr, (u64, UserId)>,
    by_age: BTreeMap<u64, IpAddr>,
    /// Those where a user was the last, the oldest first.
    of_user: BTreeMap<UserId, VecDeque<IpAddr>>,
}

impl Known {
    fn note(&mut self, address: IpAddr, user: UserId, age: u64) {
        self.forget(address);
        let of_user = self.of_user.entry(user).or_default();
        let oldest = (of_user.len() >= KNOWN_OF_A_USER).then(|| of_user.front().copied()).flatten();
        let oldest = oldest.or_else(|| {
            let is_full = self.by_age.len() >= ADDRESSES;
            is_full.then(|| self.by_age.first_key_value().map(|(_, address)| *address)).flatten()
        });
        if let Some(oldest) = oldest {
            self.forget(oldest);
        }
        self.by_address.insert(address, (age, user));
        self.by_age.insert(age, address);
        self.of_user.entry(user).or_default().push_back(address);
    }

    fn forget(&mut self, address: IpAddr) {
        let Some((age, user)) = self.by_address.remove(&address) else { return };
        self.by_age.remove(&age);
        if let Some(of_user) = self.of_user.get_mut(&user) {
            of_user.retain(|known| *known != address);
            if of_user.is_empty() {
                self.of_user.remove(&user);
            }
        }
    }
}

/// Somebody has come in from here: the address is known from now on.
pub(super) fn note_known(server: &mut ServerState, from: SocketAddr, user: UserId) {
    let age = server.next_serial();
    server.door.addresses.known.note(host(from), user, age);
}

pub(super) fn is_known(server: &ServerState, from: SocketAddr) -> bool {
    server.door.addresses.knows(from)
}

impl Addresses {
    pub(super) fn knows(&self, from: SocketAddr) -> bool {
        self.known.by_address.contains_key(&host(from))
    }
}

/// An account is purged, and the addresses that are known for it with it.
pub(super) fn forget_user(server: &mut ServerState, user: UserId) {
    let known = &mut server.door.addresses.known;
    for address in known.of_user.get(&user).cloned().unwrap_or_default() {
        known.forget(address);
    }
}

/// Seconds until the address may try again, if it has guessed wrong too often.
pub(super) fn locked_secs(server: &ServerState, from: SocketAddr) -> Option<u64> {
    let failures = server.door.addresses.failures.get(&limited(from)?)?;
    let until = failures.since + Duration::from_secs(server.settings.block_duration_secs);
    let limit = server.settings.failures_per_address;
    let more = u32::from(planted::is(Planted::AddressLimitOneMore));
    (limit > 0 && failures.count >= limit + more && until > server.now)
        .then(|| server.now.seconds_until(until))
}

pub(super) fn count_failure(server: &mut ServerState, from: SocketAddr) {
    let Some(ip) = limited(from) else { return };
    let now = server.now;
    let window = Duration::from_secs(server.settings.block_duration_secs);
    let over = |failures: &Failures| failures.since + window <= now;
    let addresses = &mut server.door.addresses.failures;
    if addresses.len() >= ADDRESSES && !addresses.contains_key(&ip) {
        addresses.retain(|_, failures| !over(failures));
        if addresses.len() >= ADDRESSES {
            addresses.pop_first();
        }
    }
    let failures = addresses.entry(ip).or_insert(Failures { count: 0, since: now });
    if over(failures) {
        *failures = Failures { count: 0, since: now };
    }
    failures.count = failures.count.saturating_add(1);
}

/// Seconds until one more account may be made from an address, if it has made too many.
pub(super) fn registration_secs(server: &ServerState, from: SocketAddr) -> Option<u64> {
    let limit = server.settings.registrations_per_address as usize;
    if limit == 0 || planted::is(Planted::RegistrationsUncounted) {
        return None;
    }
    let times = server.door.addresses.registrations.get(&host(from))?;
    let oldest = *times.iter().rev().nth(limit - 1)?;
    let until = oldest + REGISTRATION_COUNTS;
    (until > server.now).then(|| server.now.seconds_until(until))
}

/// An account is about to be made from here. It counts whatever the limit is: that may be another one later.
pub(super) fn count_registration(server: &mut ServerState, from: SocketAddr) {
    let limit = server.settings.registrations_per_address as usize;
    let kept = if planted::is(Planted::RegistrationsForgotten) { limit } else { limit.max(REGISTRATIONS) };
    let now = server.now;
    let registrations = &mut server.door.addresses.registrations;
    let host = host(from);
    if registrations.len() >= ADDRESSES && !registrations.contains_key(&host) {
        let latest = |times: &VecDeque<Time>| times.back().copied();
        let oldest = registrations.iter().min_by_key(|(_, times)| latest(times)).map(|(host, _)| *host);
        if let Some(oldest) = oldest {
            registrations.remove(&oldest);
        }
    }
    let times = registrations.entry(host).or_default();
    times.push_back(now);
    let excess = times.len().saturating_sub(kept);
    times.drain(..excess);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    use crate::record::Recovery;
    use crate::server::Settings;

    fn from(number: usize) -> SocketAddr {
        let [.., a, b, c] = number.to_be_bytes();
        SocketAddr::from(([10, a, b, c], 40_000))
    }

    #[test]
    fn the_table_of_addresses_forgets_old_failures_first_and_none_for_an_address_it_knows() {
        let settings = Settings { block_duration_secs: 60, ..Settings::default() };
        let mut server = ServerState::new(settings, Vec::new(), Recovery::default(), 1, Time::ZERO);
        (0..ADDRESSES).for_each(|number| count_failure(&mut server, from(number)));
        count_failure(&mut server, from(7));
        assert_eq!(server.door.addresses.failures.len(), ADDRESSES, "a known address takes nobody's place");
        let count = |server: &ServerState, number| {
            server.door.addresses.failures.get(&from(number).ip()).map(|failures| failures.count)
        };
        assert_eq!((count(&server, 0), count(&server, 7)), (Some(1), Some(2)));
        server.now = Time::ZERO + Duration::from_secs(60);
        (0..2).for_each(|_| count_failure(&mut server, from(ADDRESSES)));
        assert_eq!((server.door.addresses.failures.len(), count(&server, ADDRESSES)), (1, Some(2)));
        (0..ADDRESSES).for_each(|number| count_failure(&mut server, from(number)));
        assert_eq!(server.door.addresses.failures.len(), ADDRESSES);
    }

    #[test]
    fn one_user_makes_no_more_than_eight_addresses_known_and_the_oldest_of_all_goes_first() {
        let mut known = Known::default();
        (0..20).for_each(|number| known.note(from(number).ip(), UserId(1), number as u64));
        assert_eq!(known.by_address.len(), KNOWN_OF_A_USER);
        assert!(
            known.by_address.contains_key(&from(19).ip()) && !known.by_address.contains_key(&from(11).ip())
        );
        // Whoever was there last counts.
        known.note(from(19).ip(), UserId(2), 20);
        known.note(from(20).ip(), UserId(1), 21);
        assert_eq!((known.by_address.len(), known.of_user.get(&UserId(2)).map(VecDeque::len)), (9, Some(1)));
        for number in 0..ADDRESSES {
            known.note(from(100 + number).ip(), UserId(3 + number as u32), 100 + number as u64);
        }
        assert_eq!((known.by_address.len(), known.by_age.len()), (ADDRESSES, ADDRESSES));
        assert!(!known.by_address.contains_key(&from(19).ip()), "the oldest are gone");
    }

    #[test]
    fn networks_are_24_and_48_bits_and_loopback_is_one() {
        let network = |ip: &str| Network::of(SocketAddr::new(ip.parse().unwrap(), 1));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.254"));
        assert_ne!(network("192.0.2.1"), network("192.0.3.1"));
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:ffff::9"));
        assert_ne!(network("2001:db8:1::1"), network("2001:db8:2::1"));
        assert_eq!(network("127.0.0.1"), network("127.200.3.4"));
        assert_eq!(network("127.0.0.1"), network("::1"));
    }
}
