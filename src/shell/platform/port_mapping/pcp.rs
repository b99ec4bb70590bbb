//! PCP (RFC 6887) and NAT-PMP (RFC 6886), which a router hears at the same port.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

use super::LEASE_SECS;
use super::exchange::Exchange;
use crate::client::Mapped;

const PORT: u16 = 5_351;
/// TCP, as PCP counts protocols.
const TCP: u8 = 6;
/// The opcode of a mapping: PCP's, and NAT-PMP's for TCP. An answer has the highest bit as well.
const MAP: u8 = 1;
const MAP_TCP: u8 = 2;
const ANSWER: u8 = 0x80;
/// Which mapping a message of PCP is about.
const NONCE_BYTES: usize = 12;

/// A mapping of a router that speaks either.
#[derive(Debug)]
pub(super) struct Mapping {
    router: SocketAddrV4,
    inside: SocketAddrV4,
    /// The port outside.
    port: u16,
    protocol: Protocol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Pcp { nonce: [u8; NONCE_BYTES] },
    NatPmp,
}

/// What a router says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Mapped {
        ip: Ipv4Addr,
        port: u16,
        lease_secs: u32,
    },
    /// It speaks NAT-PMP only.
    Older,
    Refused,
}

impl Mapping {
    /// Asks a router for a mapping, by PCP or else by NAT-PMP.
    pub(super) fn ask(inside: SocketAddrV4, router: Ipv4Addr) -> Option<(Mapped, Mapping)> {
        Mapping::ask_at(inside, SocketAddrV4::new(router, PORT))
    }

    fn ask_at(inside: SocketAddrV4, router: SocketAddrV4) -> Option<(Mapped, Mapping)> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).ok()?;
        let new = |protocol| Mapping { router, inside, port: inside.port(), protocol };
        match new(Protocol::Pcp { nonce }).request() {
            Ok(Answer::Mapped { ip, port, lease_secs }) => {
                Some(new(Protocol::Pcp { nonce }).at(ip, port, lease_secs))
            }
            Ok(Answer::Older) => new(Protocol::NatPmp).renew(),
            // One that does not know the newer protocol may say nothing to it.
            Err(error) if error.kind() == io::ErrorKind::TimedOut => new(Protocol::NatPmp).renew(),
            Ok(Answer::Refused) | Err(_) => None,
        }
    }

    /// Asks for it again.
    pub(super) fn renew(self) -> Option<(Mapped, Mapping)> {
        match self.request() {
            Ok(Answer::Mapped { ip, port, lease_secs }) => Some(self.at(ip, port, lease_secs)),
            Ok(Answer::Older | Answer::Refused) | Err(_) => None,
        }
    }

    fn at(self, ip: Ipv4Addr, port: u16, lease_secs: u32) -> (Mapped, Mapping) {
        let outside = SocketAddr::new(ip.into(), port);
        (Mapped { outside, lease_secs: lease_secs.into() }, Mapping { port, ..self })
    }

    fn request(&self) -> io::Result<Answer> {
        let exchange = Exchange::new(*self.inside.ip(), self.router)?;
        let question = self.question(LEASE_SECS);
        let answer = exchange.ask(&question, |answer| self.protocol.read(answer, self.inside.port()))?;
        match (self.protocol, answer) {
            (Protocol::NatPmp, Answer::Mapped { port, lease_secs, .. }) => {
                // It does not say the address with the port.
                let ip = exchange.ask(&[0, 0], read_address)?;
                Ok(ip.map_or(Answer::Refused, |ip| Answer::Mapped { ip, port, lease_secs }))
            }
            (Protocol::Pcp { .. }, Answer::Mapped { .. })
            | (Protocol::Pcp { .. } | Protocol::NatPmp, Answer::Older | Answer::Refused) => Ok(answer),
        }
    }

    /// Ends it.
    pub(super) fn end(self) {
        if let Ok(exchange) = Exchange::new(*self.inside.ip(), self.router) {
            exchange.say(&Mapping { port: 0, ..self }.question(0));
        }
    }

    fn question(&self, lease_secs: u32) -> Vec<u8> {
        let (inside, outside) = (self.inside.port().to_be_bytes(), self.port.to_be_bytes());
        let lease = lease_secs.to_be_bytes();
        match self.protocol {
            Protocol::Pcp { nonce } => {
                let own = self.inside.ip().to_ipv6_mapped().octets();
                let any = Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets();
                let head = [&[2, MAP, 0, 0][..], &lease, &own].concat();
                [&head[..], &nonce, &[TCP, 0, 0, 0], &inside, &outside, &any].concat()
            }
            Protocol::NatPmp => [&[0, MAP_TCP, 0, 0][..], &inside, &outside, &lease].concat(),
        }
    }
}

impl Protocol {
    /// An answer to a request for this port; `None`: it is about something else.
    fn read(self, answer: &[u8], inside: u16) -> Option<Answer> {
        match self {
            Protocol::Pcp { nonce } => read_pcp(answer, nonce, inside),
            Protocol::NatPmp => read_nat_pmp(answer, inside),
        }
    }
}

fn read_pcp(answer: &[u8], nonce: [u8; NONCE_BYTES], inside: u16) -> Option<Answer> {
    match *answer {
        // In the form of NAT-PMP: it does not know this version.
        [0, opcode, ..] => return (opcode & ANSWER != 0).then_some(Answer::Older),
        [2, opcode, _, result, ..] if opcode == ANSWER | MAP => {
            if result != 0 {
                return Some(Answer::Refused);
            }
        }
        _ => return None,
    }
    let is_ours = part(answer, 24)? == nonce && *answer.get(36)? == TCP && number(answer, 40)? == inside;
    let ip = Ipv6Addr::from(part::<16>(answer, 44)?).to_ipv4_mapped()?;
    let lease_secs = u32::from_be_bytes(part(answer, 4)?);
    is_ours.then_some(Answer::Mapped { ip, port: number(answer, 42)?, lease_secs })
}

fn read_nat_pmp(answer: &[u8], inside: u16) -> Option<Answer> {
    if !matches!(answer, [0, opcode, ..] if *opcode == ANSWER | MAP_TCP) {
        return None;
    }
    if number(answer, 2)? != 0 {
        return Some(Answer::Refused);
    }
    let lease_secs = u32::from_be_bytes(part(answer, 12)?);
    let mapped = Answer::Mapped { ip: Ipv4Addr::UNSPECIFIED, port: number(answer, 10)?, lease_secs };
    (number(answer, 8)? == inside).then_some(mapped)
}

/// The address of the router outside, by NAT-PMP; inside: it does not say one.
fn read_address(answer: &[u8]) -> Option<Option<Ipv4Addr>> {
    match answer {
        [0, ANSWER, 0, 0, ..] => part::<4>(answer, 8).map(|ip| Some(ip.into())),
        [0, ANSWER, ..] => Some(None),
        _ => None,
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    part(bytes, at).map(u16::from_be_bytes)
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests;
