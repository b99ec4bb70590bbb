//! Reaches the server: dials it, does the handshake, and has it judged before anything is said.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::time::Duration;

use futures_lite::future::or;

use super::links::{self, Way};
use super::options::Places;
use super::pins::Pins;
use crate::client::trust::{Certified, Demand, Distrust, Shown, Verdict, judge, may_dial};
use crate::client::view::ServerKey;
use crate::shell::platform::{Platform, Socket};
use crate::shell::tunnel::dialler::Dialler;
use crate::shell::tunnel::{Received, is_fault};
use crate::words::Fingerprint;
use crate::words::wiped::WipedBytes;

/// Time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// How the server is to be spoken to.
#[derive(Debug, Clone)]
pub(super) struct Security {
    pub(super) demand: Demand,
    pub(super) dialler: Dialler,
}

impl Security {
    /// Without TLS.
    pub(super) const PLAINTEXT: Security = Security { demand: Demand::Plaintext, dialler: Dialler::Plain };
}

/// A connection to the server that is meant.
#[derive(Debug)]
pub(super) struct Reached<S> {
    pub(super) way: Way<S>,
    /// What it is known by; with TLS.
    pub(super) key: Option<ServerKey>,
}

/// Why there is none. `Display` says it in one line, to be put after the server's name and `: `.
#[derive(Debug)]
pub(super) enum Unreached {
    /// There is no connection.
    Io(io::Error),
    /// What answers speaks no TLS 1.3, and nothing says who it is.
    NoTls,
    /// It is not the server that is meant, or cannot be told from another.
    Distrusted(Distrust),
    /// The key that it is known by cannot be read from the state folder.
    Unknown(io::Error),
    /// It is met for the first time, and its key cannot be kept in the state folder: the next time another one would be
    /// trusted as well.
    Unkept(io::Error),
}

impl From<io::Error> for Unreached {
    fn from(error: io::Error) -> Unreached {
        Unreached::Io(error)
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreached::Io(error) => write!(f, "{error}"),
            Unreached::NoTls => {
                write!(
                    f,
                    "it does not answer by TLS 1.3; a server without TLS takes --plaintext at both sides"
                )
            }
            Unreached::Distrusted(distrust) => write!(f, "{distrust}"),
            Unreached::Unknown(error) => write!(f, "the key that it is known by cannot be read: {error}"),
            Unreached::Unkept(error) => {
                write!(f, "its key cannot be kept: {error}; choose a folder with --state")
            }
        }
    }
}

/// Reaches the server, and pins its key if that is the verdict.
pub(super) async fn reach<P: Platform>(
    platform: &P,
    places: &Places,
) -> Result<Reached<P::Socket>, Unreached> {
    let server = &places.server;
    let (name, Security { demand, dialler }) = (server.to_string(), &places.security);
    let pinned = pinned(places, &name)?;
    may_dial(*demand, pinned).map_err(Unreached::Distrusted)?;
    let socket = links::dial(platform, &server.host, server.port).await?;
    let mut way = Way { socket, tunnel: RefCell::new(dialler.tunnel()?), first: WipedBytes::new() };
    if *demand == Demand::Plaintext {
        return Ok(Reached { way, key: None });
    }
    let late = async {
        platform.after(HANDSHAKE).await;
        Err(ErrorKind::TimedOut.into())
    };
    let shown = match or(shake(&mut way), late).await {
        Ok(key) => key.map_or(Shown::NoKey, |key| Shown::Key(key, certified(*demand))),
        Err(error) if is_fault(&error) => Shown::NoKey,
        Err(error) => return Err(error.into()),
    };
    let first_use = match judge(*demand, pinned, shown) {
        Verdict::Trusted => false,
        Verdict::Pin => true,
        Verdict::Unusable => return Err(Unreached::NoTls),
        Verdict::Distrusted(distrust) => return Err(Unreached::Distrusted(distrust)),
    };
    let Shown::Key(fingerprint, _) = shown else { return Err(Unreached::NoTls) };
    if first_use {
        pin(places, &name, fingerprint).map_err(Unreached::Unkept)?;
    }
    Ok(Reached { way, key: Some(ServerKey { fingerprint, first_use }) })
}

/// With authorities the handshake fails unless the certificate is good.
const fn certified(demand: Demand) -> Certified {
    match demand {
        Demand::Certificate(_) => Certified::Yes,
        Demand::Plaintext | Demand::Pin | Demand::Key(_) | Demand::First(_) | Demand::Accept(_) => {
            Certified::No
        }
    }
}

/// The key that is pinned for the server. Without a folder there are no pins: then only what needs none is done.
fn pinned(places: &Places, name: &str) -> Result<Option<Fingerprint>, Unreached> {
    match (&places.state, places.security.demand) {
        (Ok(root), _) => Pins(root).of(name).map_err(Unreached::Unknown),
        (Err(_), Demand::Plaintext | Demand::Key(_) | Demand::Certificate(_)) => Ok(None),
        (Err(reason), Demand::Pin | Demand::First(_) | Demand::Accept(_)) => {
            Err(Unreached::Unkept(io::Error::other(reason.clone())))
        }
    }
}

fn pin(places: &Places, name: &str, key: Fingerprint) -> io::Result<()> {
    match &places.state {
        Ok(root) => Pins(root).keep(name, key),
        Err(reason) => Err(io::Error::other(reason.clone())),
    }
}

/// Does the handshake; returns the key of the server.
async fn shake<S: Socket>(way: &mut Way<S>) -> io::Result<Option<Fingerprint>> {
    let Way { socket, tunnel, first } = way;
    let mut chunk = vec![0; CHUNK];
    loop {
        links::say(socket, tunnel, &[]).await?;
        if tunnel.borrow().is_open() {
            return Ok(tunnel.borrow().peer_key());
        }
        let received = tunnel.borrow_mut().read(socket, &mut chunk);
        match received {
            Ok(Received::Bytes(bytes)) => first.extend_from_slice(&bytes),
            Ok(Received::End | Received::Cut) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll_fn(|context| socket.poll_readable(context)).await?;
            }
            Err(error) => {
                // The server hears why; whether it does changes nothing.
                let _ = tunnel.borrow_mut().write(&[], socket);
                return Err(error);
            }
        }
    }
}
