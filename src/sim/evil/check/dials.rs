//! What a server can make a client do: how much it dials, and what it says of where it is.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::{Check, Verdict, hold};
use crate::client::Way;
use crate::sim::trace::ProcessId;
use crate::time::Time;
use crate::words::DeviceKey;

/// A client uses an introduction for so long (R35).
const PATIENCE_MICROS: u64 = 10_000_000;
const MINUTE_MICROS: u64 = 60_000_000;
/// Addresses of one introduction, and of all in a minute.
const OF_ONE: usize = 4;
const IN_A_MINUTE: usize = 16;
const LOWEST_PORT: u16 = 1_024;
const BOUNDED: &str = "a server makes a client dial few addresses";

/// What a client dials.
#[derive(Debug, Default)]
pub(super) struct Dials {
    /// What it was told, and when: the addresses, and those of them that were dialled since.
    told: VecDeque<(Time, Vec<SocketAddr>, Vec<SocketAddr>)>,
    last: BTreeMap<SocketAddr, Time>,
    /// When it dialled an address that it had not dialled within an introduction's time.
    begun: VecDeque<Time>,
    /// Links that it has asked for or agreed to.
    asked: usize,
    addresses: usize,
}

impl Check {
    /// The server says something to a client.
    pub(super) fn read_line(&mut self, process: ProcessId, bytes: &[u8]) -> Verdict {
        let now = self.now;
        let Some(client) = self.clients.get_mut(&process) else { return Ok(()) };
        client.read.extend_from_slice(bytes);
        while let Some(end) = client.read.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = client.read.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            let words: Vec<&str> = line.split(' ').collect();
            if let ["relay", "opened", _, user] = words.as_slice() {
                client.relays.is_opened(user);
            }
            if let ["introduce", user, _, _, said @ ..] = words.as_slice() {
                let key: Option<DeviceKey> = said.first().and_then(|word| word.parse().ok());
                client.told.entry((*user).to_string()).or_default().extend(key);
                let addresses = said.iter().filter_map(|word| word.parse().ok()).collect();
                client.dials.told.push_back((now, addresses, Vec::new()));
            }
        }
        Ok(())
    }

    /// A client dials. What it is told is used for ten seconds.
    pub(super) fn dialled(&mut self, process: ProcessId, address: SocketAddr) -> Verdict {
        let now = self.now;
        let Some(client) = self.clients.get_mut(&process) else { return Ok(()) };
        let (hides, dials) = (client.path == Way::Relay && !client.chooses, &mut client.dials);
        dials.told.retain(|(at, ..)| at.0 + PATIENCE_MICROS >= now.0);
        let told = dials.told.iter_mut().filter(|(_, addresses, _)| addresses.contains(&address));
        let mut told: Vec<_> = told.collect();
        let is_told = !told.is_empty();
        if let [(_, _, dialled)] = told.as_mut_slice()
            && !dialled.contains(&address)
        {
            dialled.push(address);
        }
        let of_one = told.iter().all(|(_, _, dialled)| dialled.len() <= OF_ONE);
        let last = dials.last.insert(address, now);
        if last.is_none_or(|last| last.0 + PATIENCE_MICROS < now.0) {
            dials.begun.push_back(now);
            dials.addresses += 1;
        }
        while dials.begun.front().is_some_and(|at| at.0 + MINUTE_MICROS <= now.0) {
            dials.begun.pop_front();
        }
        let few = dials.begun.len() <= IN_A_MINUTE && dials.addresses <= OF_ONE * dials.asked;
        let counts = (dials.begun.len(), dials.addresses, dials.asked);
        hold!(self, !hides, "whose links are relayed dials nobody", "{process:?}: {address}");
        hold!(self, is_told, BOUNDED, "{process:?}: {address} was not told");
        hold!(self, of_one, BOUNDED, "{process:?}: {address} is the fifth of an introduction");
        hold!(self, few, BOUNDED, "{process:?}: {address}: {counts:?}");
        let local = match address.ip().to_canonical() {
            IpAddr::V4(ip) => ip.is_unspecified() || ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unspecified() || ip.is_unicast_link_local(),
        };
        let may_be = address.port() >= LOWEST_PORT && !local;
        hold!(self, may_be, "services and neighbours are not dialled", "{process:?}: {address}");
        Ok(())
    }

    /// A line to the server: whose links are relayed says no address, and whose are direct has nothing relayed.
    pub(super) fn keeps_to_its_way(&mut self, process: ProcessId, line: &str) -> Verdict {
        let Some(client) = self.clients.get_mut(&process) else { return Ok(()) };
        let words: Vec<&str> = line.split(' ').collect();
        let command = words.iter().skip_while(|word| word.starts_with('#'));
        let command: Vec<&str> = command.copied().collect();
        let (asks, endpoints) = match command.as_slice() {
            ["startprivate" | "accept", _, said @ ..] => {
                (true, said.iter().filter(|word| !word.starts_with("ed25519:")).count())
            }
            _ => (false, 0),
        };
        client.dials.asked += usize::from(asks);
        let (path, chooses) = (client.path, client.chooses);
        let hides = path == Way::Relay && !chooses;
        hold!(
            self,
            !hides || endpoints == 0,
            "whose links are relayed says no address",
            "{process:?}: {line}"
        );
        let relays = matches!(command.as_slice(), ["relay", "open" | "data", ..]);
        let is_direct = path == Way::Direct && !chooses;
        hold!(
            self,
            !is_direct || !relays,
            "whose links are direct has nothing relayed",
            "{process:?}: {line}"
        );
        Ok(())
    }
}
