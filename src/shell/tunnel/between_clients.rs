//! The tunnel of a private link: TLS 1.3 with raw public keys on both sides (RFC 7250).
//!
//! The keys of the handshake are made for the one connection. Inside it each side proves the key of its device: it signs
//! what only the two ends of this connection can know, the introduction, and its own key of the handshake.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    ServerConfig, ServerConnection, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};

use super::{Tunnel, provider};
use crate::client::Introduction;
use crate::words::DeviceKey;

/// Bytes of a proof: a device's key, and its signature.
pub const PROOF_BYTES: usize = 32 + 64;

/// What a client says in the handshake that can move conversations (R69); earlier ones say nothing.
const CAN_MOVE: &[u8] = b"hobnob-private-3";

const LABEL: &[u8] = b"EXPORTER-hobnob-private-2";

/// The secret key of a device.
pub struct Device(Ed25519KeyPair);

impl Device {
    /// A new one, as PKCS #8.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate() -> io::Result<Vec<u8>> {
        let pair = Ed25519KeyPair::generate().map_err(io::Error::other)?;
        Ok(pair.to_pkcs8().map_err(io::Error::other)?.as_ref().to_vec())
    }

    /// Reads PKCS #8.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidData`] if it is none.
    pub fn read(pkcs8: &[u8]) -> io::Result<Device> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8);
        pair.map(Device).map_err(|_| io::Error::new(ErrorKind::InvalidData, "no Ed25519 key"))
    }

    /// What others know it by.
    #[must_use]
    pub fn key(&self) -> DeviceKey {
        let mut key = DeviceKey([0; 32]);
        key.0.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(byte, read)| *byte = *read);
        key
    }
}

/// It is secret.
impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Device({})", self.key())
    }
}

/// A side of a private link.
#[derive(Debug)]
pub struct Side {
    /// Whether it has connected.
    dialled: bool,
    introduction: Introduction,
    /// Its key of the handshake.
    own: Vec<u8>,
}

impl Side {
    /// A side, and the tunnel that begins there.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn begin(dialled: bool, introduction: Introduction) -> io::Result<(Side, Tunnel)> {
        let provider = provider();
        let (own, key) = handshake_key(&provider).map_err(io::Error::other)?;
        let session = if dialled { caller(provider, key) } else { called(provider, key) };
        let tunnel = Tunnel::tls(session.map_err(io::Error::other)?);
        Ok((Side { dialled, introduction, own }, tunnel))
    }

    /// What proves the key of this device, on a tunnel that is open.
    ///
    /// # Errors
    /// The tunnel is not open.
    pub fn prove(&self, tunnel: &Tunnel, device: &Device) -> io::Result<[u8; PROOF_BYTES]> {
        let signature = device.0.sign(&self.claim(tunnel, self.dialled, &self.own)?);
        let mut proof = [0; PROOF_BYTES];
        let said = device.key().0.into_iter().chain(signature.as_ref().iter().copied());
        proof.iter_mut().zip(said).for_each(|(byte, said)| *byte = said);
        Ok(proof)
    }

    /// The key that the other side has proved.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidData`] if it has not.
    pub fn proved(&self, tunnel: &Tunnel, proof: &[u8; PROOF_BYTES]) -> io::Result<DeviceKey> {
        let (key, signature) = proof.split_at(32);
        let key = DeviceKey(key.try_into().map_err(io::Error::other)?);
        let theirs = tunnel.raw_peer_key().ok_or(ErrorKind::NotConnected)?;
        let claim = self.claim(tunnel, !self.dialled, theirs)?;
        let verified = UnparsedPublicKey::new(&ED25519, key.0).verify(&claim, signature);
        verified.map(|()| key).map_err(|_| io::Error::new(ErrorKind::InvalidData, "the key is not proved"))
    }

    /// What a side signs.
    fn claim(&self, tunnel: &Tunnel, by_caller: bool, handshake_key: &[u8]) -> io::Result<Vec<u8>> {
        let Introduction { id, requester, accepter } = &self.introduction;
        let part = if by_caller { "caller" } else { "called" };
        let context = format!("{id} {requester} {accepter}");
        let mut claim = format!("hobnob-private 2 {part} ").into_bytes();
        claim.extend(tunnel.export(LABEL, context.as_bytes())?);
        claim.extend(handshake_key);
        Ok(claim)
    }
}

impl Tunnel {
    /// The raw key of the other side's handshake.
    fn raw_peer_key(&self) -> Option<&[u8]> {
        Some(self.0.as_ref()?.session.peer_certificates()?.first()?.as_ref())
    }

    /// Whether both sides can move a conversation to another link.
    #[must_use]
    pub fn can_move(&self) -> bool {
        self.0.as_ref().is_some_and(|tls| tls.session.alpn_protocol() == Some(CAN_MOVE))
    }

    fn export(&self, label: &[u8], context: &[u8]) -> io::Result<[u8; 32]> {
        let tls = self.0.as_ref().ok_or(ErrorKind::NotConnected)?;
        tls.session.export_keying_material([0; 32], label, Some(context)).map_err(io::Error::other)
    }
}

/// A new key for one handshake: the public one, and both.
fn handshake_key(provider: &CryptoProvider) -> Result<(Vec<u8>, Arc<CertifiedKey>), Error> {
    let pkcs8 = Device::generate().map_err(|error| Error::General(error.to_string()))?;
    let key = provider.key_provider.load_private_key(PrivateKeyDer::Pkcs8(pkcs8.into()))?;
    let public = key.public_key().ok_or(Error::General("a key without a public one".into()))?.to_vec();
    let certified = CertifiedKey::new(vec![CertificateDer::from(public.clone())], key);
    Ok((public, Arc::new(certified)))
}

fn caller(provider: Arc<CryptoProvider>, key: Arc<CertifiedKey>) -> Result<rustls::Connection, Error> {
    let verifier = Arc::new(AnyRawKey(Arc::clone(&provider)));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(key)));
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    config.alpn_protocols = vec![CAN_MOVE.to_vec()];
    let nobody = ServerName::try_from("hobnob.invalid").map_err(|error| Error::General(error.to_string()))?;
    ClientConnection::new(Arc::new(config), nobody).map(rustls::Connection::from)
}

fn called(provider: Arc<CryptoProvider>, key: Arc<CertifiedKey>) -> Result<rustls::Connection, Error> {
    let verifier = Arc::new(AnyRawKey(Arc::clone(&provider)));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(key)));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![CAN_MOVE.to_vec()];
    ServerConnection::new(Arc::new(config)).map(rustls::Connection::from)
}

/// Makes sure that the other side has its key of the handshake, whatever it is.
#[derive(Debug)]
struct AnyRawKey(Arc<CryptoProvider>);

impl AnyRawKey {
    fn verify(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.0.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for AnyRawKey {
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
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, key, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for AnyRawKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
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
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, key, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
