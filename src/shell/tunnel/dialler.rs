//! The tunnels of those who call. Whom they have reached is judged afterwards, by the key that was proved.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, PeerIncompatible, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{Tunnel, provider};

/// Sessions that can be taken up again.
const SESSIONS: usize = 8;

/// How tunnels begin at the side that calls.
#[derive(Clone)]
pub enum Dialler {
    /// Without TLS.
    Plain,
    /// With TLS, to a host of this name.
    Tls {
        /// How. Sessions are taken up again with tickets that are kept here.
        config: Arc<ClientConfig>,
        /// The name, which certificates of authorities must have.
        name: ServerName<'static>,
    },
}

impl Dialler {
    /// With TLS to whoever has a key.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn to_any_key(host: &str) -> Result<Dialler, Error> {
        // The name is told to the server, and not looked at.
        let name = server_name(host).or_else(|_| server_name("hobnob.invalid"))?;
        Dialler::with(name, |_| Ok(None))
    }

    /// With TLS to hosts that have a certificate of these authorities (PEM).
    ///
    /// # Errors
    /// There is none, or no certificate can be for a host of this name.
    pub fn to_certified(host: &str, authorities: &[u8]) -> Result<Dialler, Error> {
        Dialler::with(server_name(host)?, |provider| {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(authorities) {
                let certificate = certificate.map_err(|error| Error::General(error.to_string()))?;
                roots.add(certificate)?;
            }
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
            verifier.map(Some).map_err(|error| Error::General(error.to_string()))
        })
    }

    fn with(
        name: ServerName<'static>,
        authority: impl FnOnce(&Arc<CryptoProvider>) -> Result<Option<Arc<WebPkiServerVerifier>>, Error>,
    ) -> Result<Dialler, Error> {
        let provider = provider();
        let verifier = Verifier { authority: authority(&provider)?, provider: Arc::clone(&provider) };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(Dialler::Tls { config: Arc::new(config), name })
    }

    /// A tunnel for a connection that was made.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn tunnel(&self) -> io::Result<Tunnel> {
        match self {
            Dialler::Plain => Ok(Tunnel::plain()),
            Dialler::Tls { config, name } => {
                let session = ClientConnection::new(Arc::clone(config), name.clone());
                Ok(Tunnel::tls(session.map_err(io::Error::other)?.into()))
            }
        }
    }
}

impl fmt::Debug for Dialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dialler::Plain => write!(f, "Dialler(plain)"),
            Dialler::Tls { name, .. } => write!(f, "Dialler({name:?})"),
        }
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(host.to_owned()).map_err(|error| Error::General(error.to_string()))
}

/// Makes sure that a server has the key of its certificate. Whether that is the right key is judged elsewhere, unless
/// there is an authority to decide it.
#[derive(Debug)]
struct Verifier {
    authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.authority {
            Some(authority) => authority.verify_server_cert(certificate, issuers, name, ocsp, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
