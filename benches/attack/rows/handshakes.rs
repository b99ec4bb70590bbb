//! Handshakes of TLS, whole, half and in pieces, beside users who speak TLS.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::Row;
use super::strangers::begin;
use crate::Suite;
use crate::attacker::{Act, Target, tell};
use crate::beside::{Attack, Beside};
use crate::stage::{Plan, Stage};
use crate::table::Outcome;
use crate::talk::is_timeout;

pub(crate) const ACTS: &[(&str, Act)] = &[("shake", shake), ("half", half), ("dribble", dribble)];

/// Connections of an attacker that are open at the same time.
const AT_ONCE: usize = 64;
const SILENT_AT_ONCE: usize = 4_000;
/// Bytes of a `ClientHello` that are sent at a time.
const PIECE: usize = 16;

/// From so few addresses that newcomers from others can be told apart.
const FEW: &str = "64";
const MANY: &str = "25600";

pub(crate) const WHOLE: Row = row(
    "handshakes",
    "whole TLS handshakes from 64 addresses, each closed when it is done, as fast as one core makes them; all speak TLS",
    |suite| flooded(suite, "shake", FEW),
);

pub(crate) const HALF: Row = row(
    "half-handshakes",
    "ClientHellos from 64 addresses, each on its own connection and followed by nothing, as fast as one core says them; all speak TLS",
    |suite| flooded(suite, "half", FEW),
);

pub(crate) const HALF_OF_MANY: Row =
    row("half-of-many", "the same from 25,600 addresses, which are as new as a newcomer's", |suite| {
        flooded(suite, "half", MANY)
    });

pub(crate) const PIECES: Row = row(
    "hellos-in-pieces",
    "ClientHellos from 64 addresses in pieces of 16 bytes, on 128 connections, as fast as one core says them; all speak TLS",
    |suite| flooded(suite, "dribble", FEW),
);

const fn row(name: &'static str, attack: &'static str, run: fn(&Suite) -> Result<Outcome>) -> Row {
    Row { name, attack, addresses: true, secs: 75, run }
}

fn flooded(suite: &Suite, act: &str, addresses: &str) -> Result<Outcome> {
    // The disk is not what is attacked.
    let plan = Plan::of([]).with_tls().set("ephemeral=true");
    let stage = Stage::open(&suite.folder, &plan)?;
    let words = [addresses];
    let attack = Attack {
        words: &words,
        logins: true,
        newcomers: addresses == FEW,
        fills_core: true,
        ..Attack::new(act)
    };
    let beside = Beside::run(suite, &stage, attack)?;
    let mut outcome = Outcome::default();
    beside.judge_links(&mut outcome);
    beside.judge_median(&mut outcome);
    beside.show_p99(&mut outcome);
    beside.judge_logins(&mut outcome, 2.0, 1.0);
    beside.judge_memory(&mut outcome, None);
    beside.show_usage(&mut outcome);
    let seconds = beside.fact("seconds").max(1);
    outcome.check("connections a second", beside.fact("connections") / seconds, "shown", true);
    outcome.check("whole handshakes a second", beside.fact("whole") / seconds, "shown", true);
    Ok(outcome)
}

/// TLS that costs the attacker as little as it can: no post-quantum exchange, nothing verified, no ticket.
fn cheap() -> Result<Arc<ClientConfig>> {
    let provider =
        CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519], ..aws_lc_rs::default_provider() };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn session(config: &Arc<ClientConfig>) -> Result<ClientConnection> {
    Ok(ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost")?)?)
}

/// An attacker that connects from one address after the other, until its time is over.
struct Caller<'a> {
    target: &'a Target,
    addresses: u32,
    began: Instant,
    end: Instant,
    connections: u32,
}

impl<'a> Caller<'a> {
    fn begin(target: &'a Target) -> Result<Caller<'a>> {
        let addresses = target.word(1)?;
        let end = target.begin();
        Ok(Caller { target, addresses, began: Instant::now(), end, connections: 0 })
    }

    fn goes_on(&self) -> bool {
        Instant::now() < self.end
    }

    /// One more connection, if it can be begun.
    fn call(&mut self) -> Option<TcpStream> {
        let stream = begin(self.connections % self.addresses, self.target.address).ok();
        self.connections += 1;
        stream
    }

    fn tell(&self) {
        tell("connections", self.connections.into());
        tell("seconds", self.began.elapsed().as_secs());
    }
}

/// Handshakes one after the other on each of some connections.
fn shake(target: &Target) -> Result<()> {
    let config = cheap()?;
    let mut caller = Caller::begin(target)?;
    let mut open: VecDeque<(TcpStream, ClientConnection)> = VecDeque::new();
    let mut whole = 0;
    while caller.goes_on() {
        while open.len() < AT_ONCE {
            if let Some(stream) = caller.call() {
                open.push_back((stream, session(&config)?));
            }
        }
        let Some((mut stream, mut session)) = open.pop_front() else { continue };
        if goes_on(&mut stream, &mut session).unwrap_or(false) {
            open.push_back((stream, session));
        } else {
            whole += u64::from(!session.is_handshaking());
        }
    }
    tell("whole", whole);
    caller.tell();
    Ok(())
}

/// Reads and writes what can be; `false` if all is done.
fn goes_on(stream: &mut TcpStream, session: &mut ClientConnection) -> Result<bool> {
    loop {
        while session.wants_write() {
            match session.write_tls(stream) {
                Err(error) if is_timeout(&error) => return Ok(true),
                written => written?,
            };
        }
        if !session.is_handshaking() {
            return Ok(false);
        }
        match session.read_tls(stream) {
            Ok(0) => return Ok(false),
            Err(error) if is_timeout(&error) => return Ok(true),
            read => read?,
        };
        session.process_new_packets()?;
    }
}

/// The first message of a client.
fn hello() -> Result<Vec<u8>> {
    let mut hello = Vec::new();
    session(&cheap()?)?.write_tls(&mut hello)?;
    Ok(hello)
}

fn half(target: &Target) -> Result<()> {
    let hello = hello()?;
    let mut caller = Caller::begin(target)?;
    let mut open = VecDeque::new();
    while caller.goes_on() {
        if let Some(mut stream) = caller.call() {
            let _ = stream.write(&hello);
            open.push_back(stream);
        }
        if open.len() > SILENT_AT_ONCE {
            open.pop_front();
        }
    }
    caller.tell();
    Ok(())
}

fn dribble(target: &Target) -> Result<()> {
    let hello = hello()?;
    let mut caller = Caller::begin(target)?;
    let mut open: VecDeque<(TcpStream, usize)> = VecDeque::new();
    while caller.goes_on() {
        while open.len() < 2 * AT_ONCE {
            open.extend(caller.call().map(|stream| (stream, 0)));
        }
        let (mut stream, said) = open.pop_front().context("a connection")?;
        let piece = hello.get(said..(said + PIECE).min(hello.len())).unwrap_or_default();
        if !piece.is_empty()
            && stream.write(piece).is_ok_and(|count| count == piece.len())
            && !is_closed(&stream)
        {
            open.push_back((stream, said + piece.len()));
        }
    }
    caller.tell();
    Ok(())
}

fn is_closed(mut stream: &TcpStream) -> bool {
    !matches!(stream.read(&mut [0; 16]), Err(error) if is_timeout(&error))
}

/// Takes any certificate, and looks at no signature.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
