//! The tunnels of those who are called: their key, its certificate, tickets.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::sign::CertifiedKey;
use rustls::ticketer::TicketRotator;
use rustls::{ServerConfig, ServerConnection};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{Tunnel, fingerprint, provider};
use crate::words::Fingerprint;

/// The longest that a ticket may be good for.
const WEEK_SECS: u32 = 7 * 24 * 3_600;

/// How tunnels begin at the side that is called.
#[derive(Clone)]
pub enum Acceptor {
    /// Without TLS.
    Plain,
    /// With TLS, proving this key.
    Tls {
        /// What a client knows the key by.
        fingerprint: Fingerprint,
        /// How.
        config: Arc<ServerConfig>,
    },
}

impl Acceptor {
    /// With TLS, from a certificate with those of its issuers, and its key. A session can be taken up again for
    /// `ticket_secs`; 0: for as long as TLS allows.
    ///
    /// # Errors
    /// They do not fit, or cannot be used; or the system has no randomness.
    pub fn tls(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        ticket_secs: u64,
    ) -> Result<Acceptor, rustls::Error> {
        let provider = provider();
        let first = chain.first().ok_or(rustls::Error::NoCertificatesPresented)?;
        let fingerprint = fingerprint(first).ok_or(rustls::CertificateError::BadEncoding)?;
        CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider)?.keys_match()?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 1;
        config.ticketer = tickets(ticket_secs)?;
        Ok(Acceptor::Tls { fingerprint, config: Arc::new(config) })
    }

    /// What a client knows the key by.
    #[must_use]
    pub const fn fingerprint(&self) -> Option<Fingerprint> {
        match self {
            Acceptor::Plain => None,
            Acceptor::Tls { fingerprint, .. } => Some(*fingerprint),
        }
    }

    /// The same, with the tickets of the one before if that has the same key.
    #[must_use]
    pub fn after(self, before: &Acceptor) -> Acceptor {
        match (self, before) {
            (Acceptor::Tls { fingerprint, config }, Acceptor::Tls { fingerprint: same, config: before })
                if fingerprint == *same && config.ticketer.lifetime() == before.ticketer.lifetime() =>
            {
                let mut config = (*config).clone();
                config.ticketer = Arc::clone(&before.ticketer);
                Acceptor::Tls { fingerprint, config: Arc::new(config) }
            }
            (after, _) => after,
        }
    }

    /// A tunnel for a connection that has come.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn tunnel(&self) -> io::Result<Tunnel> {
        match self {
            Acceptor::Plain => Ok(Tunnel::plain()),
            Acceptor::Tls { config, .. } => {
                let session = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                Ok(Tunnel::tls(session.into()))
            }
        }
    }
}

/// Its fingerprint; nothing secret.
impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Acceptor({:?})", self.fingerprint())
    }
}

/// Makes tickets, whose keys are in memory only and change while they are used: one is good for half of the time at
/// least and for all of it at most.
fn tickets(secs: u64) -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    let secs = u32::try_from(secs).unwrap_or(WEEK_SECS).min(WEEK_SECS);
    let half = if secs == 0 { WEEK_SECS / 2 } else { (secs / 2).max(1) };
    let generation = || {
        let keys = Ticketer::new().map_err(|_| rustls::crypto::GetRandomFailed)?;
        Ok(Box::new(Generation(keys)) as Box<dyn ProducesTickets>)
    };
    Ok(Arc::new(TicketRotator::new(half, generation)?))
}

/// The keys of tickets for a while.
#[derive(Debug)]
struct Generation(Arc<dyn ProducesTickets>);

impl ProducesTickets for Generation {
    fn enabled(&self) -> bool {
        self.0.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.0.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.0.decrypt(cipher)
    }
}
