//! What clients declare of where they listen: all their addresses, and the port that their router passes on (R33).

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::door::number;
use super::private::{Client, Private};
use super::{Check, Verdict, lines, rule};
use crate::client::Way;
use crate::sim::network::{Favour, Place};
use crate::sim::trace::ProcessId;
use crate::words::DeviceKey;

/// Endpoints declared (R33).
const ENDPOINTS: usize = 8;

impl Private {
    /// The router of a client passes a port on, or says so, or does so no more.
    pub(super) fn is_favoured(&mut self, process: ProcessId, favour: Option<Favour>, place: Place) {
        if let Some(client) = self.clients.get_mut(&process) {
            (client.favour, client.place) = (favour, place);
        }
    }

    /// A client has a connection to the server. It asks its router again.
    pub(super) fn finds_server(&mut self, process: ProcessId) {
        if let Some(client) = self.clients.get_mut(&process) {
            client.favour = None;
        }
    }
}

impl Client {
    /// The port that its router has, or may have, told it.
    pub(super) fn passed_on(&self, process: ProcessId) -> Option<u16> {
        self.place.favour(process.0).and_then(Favour::to_declare)
    }
}

impl Check {
    /// A request, or the answer to one, says where the client listens.
    pub(super) fn asks(&mut self, process: ProcessId, bytes: &[u8]) -> Verdict {
        let is_calm = self.private.is_calm(process, self.now);
        for line in lines(bytes).filter_map(|line| core::str::from_utf8(line).ok()) {
            let Some(client) = self.private.clients.get_mut(&process) else { return Ok(()) };
            let words: Vec<&str> = line.split(' ').skip_while(|word| word.starts_with('#')).collect();
            let [verb @ ("startprivate" | "accept"), user, said @ ..] = words.as_slice() else { continue };
            let (ports, said): (Vec<&str>, Vec<&str>) =
                said.iter().partition(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
            let ports: Vec<Option<u16>> = ports.iter().map(|port| port.parse().ok()).collect();
            let (verb, user) = (*verb, *user);
            let is_new =
                number(line).is_none_or(|number| client.asked.insert(number, user.to_string()).is_none());
            let listens = said.iter().any(|word| word.parse::<SocketAddr>().is_ok());
            let owed = client.favour.and_then(Favour::to_declare).filter(|_| is_new && is_calm && listens);
            let told = client.passed_on(process);
            let good = ports.iter().all(|port| *port == told) && (owed.is_none() || ports.contains(&owed));
            let said = said.into_iter().map(ToString::to_string).collect();
            client.declared.insert(user.to_string(), said);
            let detail = || format!("{process:?} to {user}: {ports:?}, of {told:?}");
            rule!(self, good, "a client declares what its router passes on", "{}", detail());
            if is_new {
                self.is_wanted(process, number(line), verb, user)?;
            }
        }
        Ok(())
    }

    /// What led to an introduction has said where the client listens: at all its addresses (R33).
    pub(super) fn declares(&self, process: ProcessId, user: &str) -> Verdict {
        let Some(client) = self.private.clients.get(&process) else { return Ok(()) };
        let Some(said) = client.declared.get(user) else { return Ok(()) };
        let listens = endpoints(process, client);
        let is_key = said.first().is_some_and(|word| word.parse::<DeviceKey>().is_ok());
        let said = said.get(usize::from(is_key)..).unwrap_or_default();
        let parsed: Option<Vec<SocketAddr>> = said.iter().map(|word| word.parse().ok()).collect();
        let same = parsed.as_ref().is_some_and(|said| {
            said.len() <= ENDPOINTS
                && said.iter().all(|address| listens.contains(address))
                && listens.iter().all(|address| said.contains(address))
        });
        let ways = client.ways(user);
        let hides = ways.contains(&Way::Relay);
        let excused = (client.was_deaf || hides) && said.is_empty();
        let same = same && ways.iter().any(|way| *way != Way::Relay);
        let detail = || format!("{process:?} to {user}: {said:?}, not {listens:?}");
        rule!(self, same || excused, "a client declares where it listens", "{}", detail());
        Ok(())
    }
}

/// Where a client can be told to be reached: where it listens, and what it was told to declare.
pub(super) fn endpoints(process: ProcessId, client: &Client) -> Vec<SocketAddr> {
    let advertised = client.place.advertised(process.0).filter(|_| !client.listening.is_empty());
    client.listening.iter().copied().chain(advertised).collect()
}
