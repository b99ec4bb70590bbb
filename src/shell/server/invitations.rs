//! Invites, for operators: what is ordered, and what whoever is invited types.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::control::moment;
use super::setup::settings::Settings;
use crate::record::Invite;
use crate::server::ServerState;
use crate::time::Time;
use crate::words::{Fingerprint, Name, Token};

/// Accounts that one invite may make.
pub(super) const MOST_USES: u32 = 1_000;

/// An invite that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: Option<Name>,
    pub(super) uses: u32,
    pub(super) lasts: Duration,
}

impl Wanted {
    /// The invite that it is from now on.
    pub(super) fn begin(&self, now: Time) -> Invite {
        Invite { number: 0, name: self.name.clone(), left: self.uses, until: now + self.lasts }
    }
}

/// What whoever is invited types.
#[derive(Debug)]
pub(super) struct Invitation {
    command: String,
    uses: u32,
    until: Time,
    name: Option<Name>,
}

impl Invitation {
    /// Of an invite to a server that listens at `bound` and has this key.
    pub(super) fn new(
        settings: &Settings,
        bound: SocketAddr,
        key: Option<Fingerprint>,
        code: &Token,
        invite: &Invite,
    ) -> Invitation {
        let server = match &settings.advertise {
            Some(advertised) => advertised.with_port(bound.port()),
            None => bound.to_string(),
        };
        let command = match key {
            Some(key) => format!("hobnob join {server}/{code}#{key}"),
            None => format!("hobnob join {server}/{code} --plaintext"),
        };
        Invitation { command, uses: invite.left, until: invite.until, name: invite.name.clone() }
    }

    /// The answer to the operator, once the invite is durable.
    pub(super) fn answer(&self, number: u64) -> Value {
        json!({
            "ok": true,
            "invite": number,
            "join": self.command,
            "name": self.name.as_ref().map(Name::as_str),
            "uses": self.uses,
            "until": moment(self.until),
        })
    }
}

/// `invites`
pub(super) fn list(core: &ServerState, now: Time) -> Value {
    let show = |invite: &Invite| {
        json!({
            "invite": invite.number,
            "name": invite.name.as_ref().map(Name::as_str),
            "left": invite.left,
            "until": moment(invite.until),
            "good": !invite.is_over(now),
        })
    };
    json!({ "ok": true, "invites": core.invites().into_iter().map(show).collect::<Vec<_>>() })
}

/// Where others reach the server: a host, and a port if it is another one than the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised(String);

impl Advertised {
    /// `HOST` or `HOST:PORT`; an IPv6 address in brackets.
    pub(super) fn read(text: &str) -> Option<Advertised> {
        let (host, port) = split(text);
        let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let good = match in_brackets {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                host.starts_with(char::is_alphanumeric)
                    && host.chars().all(|c| c.is_alphanumeric() || "-._".contains(c))
            }
        };
        let port = port.is_none_or(|port| port.parse().is_ok_and(|port: u16| port > 0));
        (good && port).then(|| Advertised(text.to_owned()))
    }

    fn with_port(&self, port: u16) -> String {
        let Advertised(text) = self;
        if split(text).1.is_some() { text.clone() } else { format!("{text}:{port}") }
    }
}

impl fmt::Display for Advertised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host, and a port if there is one.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_advertised_by_host_and_port() {
        for (text, with_port) in [
            ("chat.example.org", "chat.example.org:4000"),
            ("chat.example.org:5000", "chat.example.org:5000"),
            ("192.0.2.7", "192.0.2.7:4000"),
            ("[2001:db8::1]", "[2001:db8::1]:4000"),
            ("[2001:db8::1]:5000", "[2001:db8::1]:5000"),
        ] {
            assert_eq!(Advertised::read(text).expect(text).with_port(4000), with_port);
        }
        for text in
            ["", "a b", "host:", "host:0", "host:70000", "2001:db8::1", "[host]", "host/x", "#", ":4000"]
        {
            assert_eq!(Advertised::read(text), None, "{text:?}");
        }
    }

    #[test]
    fn whoever_is_invited_gets_one_line_to_type() {
        let bound = SocketAddr::from(([127, 0, 0, 1], 4000));
        let invite = Invite { number: 0, name: None, left: 2, until: Time(1_793_520_000_000_000) };
        let mut settings = Settings::default();
        let said = |settings: &Settings| {
            Invitation::new(settings, bound, None, &Token(*b"abcdefghijklmnop"), &invite).answer(3)
        };
        let code = "6162636465666768696a6b6c6d6e6f70";
        assert_eq!(said(&settings)["join"], format!("hobnob join 127.0.0.1:4000/{code} --plaintext"));
        settings.advertise = Advertised::read("chat.example.org");
        assert_eq!(said(&settings)["join"], format!("hobnob join chat.example.org:4000/{code} --plaintext"));
        assert_eq!((&said(&settings)["invite"], &said(&settings)["uses"]), (&json!(3), &json!(2)));
    }
}
