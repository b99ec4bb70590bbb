//! The key that clients know the server by, and its certificate: the operator's, or made here.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;
use zeroize::Zeroizing;

use super::settings::Settings;
use crate::shell::own_files::{open_own, refuse_link};
use crate::shell::replace_file::replace_file;
use crate::shell::tunnel::acceptor::Acceptor;
use crate::shell::visible::visible;
use crate::time::Time;

/// The key that is made at the first start. Whoever has it is the server for those who trust it.
const KEY: &str = "server-key.pem";
/// Its certificate, for those who want to have it. It is made anew at each start, and before it ends.
const CERTIFICATE: &str = "server-certificate.pem";
/// How long a certificate lasts. With the day before its start less than 90, which scanners take for the most.
const DAYS: i64 = 88;

/// An error with the key or its certificate.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// Only one of the two settings is there.
    #[error("tls_cert and tls_key belong together: a certificate and its key")]
    OneOfTwo,
    /// A file of the operator's cannot be used.
    #[error("{}: {why}", visible(&file.to_string_lossy()))]
    Own {
        /// Which.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// The key in the data folder cannot be used, or not be made.
    #[error("the server's key in {}: {why}", visible(&file.to_string_lossy()))]
    Key {
        /// Which.
        file: PathBuf,
        /// Why.
        why: String,
    },
}

impl IdentityError {
    /// Whether the operator's settings are the reason.
    #[must_use]
    pub const fn is_of_settings(&self) -> bool {
        match self {
            IdentityError::OneOfTwo | IdentityError::Own { .. } => true,
            IdentityError::Key { .. } => false,
        }
    }
}

/// Where the key comes from; one for each process.
#[derive(Debug, Default)]
pub struct Keys {
    /// The key of a server that keeps nothing.
    in_memory: OnceLock<KeyPair>,
}

impl Keys {
    /// How connections are to begin. Makes the key if there is none; the data folder is there and locked.
    ///
    /// # Errors
    /// [`IdentityError`] says which file is wrong.
    pub fn acceptor(&self, settings: &Settings, now: Time) -> Result<Acceptor, IdentityError> {
        if settings.plaintext {
            return Ok(Acceptor::Plain);
        }
        if let Some(own) = own(settings)? {
            return Ok(own);
        }
        let file = settings.data.join(KEY);
        let failed = |why: String| IdentityError::Key { file: file.clone(), why };
        let ticket_secs = settings.tls.ticket_secs;
        if settings.ephemeral {
            let key = match self.in_memory.get() {
                Some(key) => key,
                None => {
                    let fresh = KeyPair::generate().map_err(|error| failed(error.to_string()))?;
                    self.in_memory.get_or_init(|| fresh)
                }
            };
            return certify(key, settings.bind, now, ticket_secs)
                .map(|(acceptor, _)| acceptor)
                .map_err(failed);
        }
        let key = kept_key(&file).map_err(failed)?;
        let (acceptor, pem) = certify(&key, settings.bind, now, ticket_secs).map_err(failed)?;
        let copy = settings.data.join(CERTIFICATE);
        if let Err(error) = refuse_link(&copy).and_then(|()| replace_file(&copy, pem.as_bytes())) {
            tracing::warn!("the server's certificate is not in {}: {error}", copy.display());
        }
        Ok(acceptor)
    }
}

/// The operator's own certificate and key, if the settings name them.
///
/// # Errors
/// They cannot be read or used.
pub fn own(settings: &Settings) -> Result<Option<Acceptor>, IdentityError> {
    let (cert, key) = match (&settings.tls.cert, &settings.tls.key) {
        (Some(cert), Some(key)) => (cert, key),
        (None, None) => return Ok(None),
        (Some(_), None) | (None, Some(_)) => return Err(IdentityError::OneOfTwo),
    };
    let failed = |file: &Path, why: String| IdentityError::Own { file: file.into(), why };
    let unreadable = |file| move |error: pem::Error| failed(file, error.to_string());
    let chain = CertificateDer::pem_file_iter(cert).map_err(unreadable(cert))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(unreadable(cert))?;
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
    let acceptor = Acceptor::tls(chain, key_der, settings.tls.ticket_secs);
    acceptor.map(Some).map_err(|error| failed(cert, error.to_string()))
}

/// The key of the data folder, which is made if there is none.
fn kept_key(file: &Path) -> Result<KeyPair, String> {
    let mut pem = Zeroizing::new(String::new());
    let read =
        open_own(OpenOptions::new().read(true), file).and_then(|mut file| file.read_to_string(&mut pem));
    match read {
        Ok(_) => KeyPair::from_pem(&pem).map_err(|error| error.to_string()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = KeyPair::generate().map_err(|error| error.to_string())?;
            let pem = Zeroizing::new(key.serialize_pem());
            refuse_link(file)
                .and_then(|()| replace_file(file, pem.as_bytes()))
                .map_err(|error| error.to_string())?;
            Ok(key)
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Makes a certificate for a key, in memory and as PEM.
fn certify(key: &KeyPair, bind: IpAddr, now: Time, ticket_secs: u64) -> Result<(Acceptor, String), String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".into(), "::1".into()];
    if !bind.is_unspecified() && !bind.is_loopback() {
        names.push(bind.to_string());
    }
    let mut params = CertificateParams::new(names).map_err(|error| error.to_string())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Hobnob server");
    params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    // Some verifiers want it in any certificate.
    params.use_authority_key_identifier_extension = true;
    let today = date(now)?;
    let number = |number: i8| u8::try_from(number).unwrap_or(1);
    let midnight = |day: Date| date_time_ymd(day.year().into(), number(day.month()), number(day.day()));
    let day = |days: i64| today.checked_add(days.days()).map(midnight).map_err(|error| error.to_string());
    // Clocks of clients differ.
    (params.not_before, params.not_after) = (day(-1)?, day(DAYS)?);
    let certificate = params.self_signed(key).map_err(|error| error.to_string())?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let acceptor = Acceptor::tls(vec![certificate.der().clone()], der, ticket_secs);
    Ok((acceptor.map_err(|error| error.to_string())?, certificate.pem()))
}

fn date(now: Time) -> Result<Date, String> {
    let micros = i64::try_from(now.0).unwrap_or(i64::MAX);
    let now = Timestamp::from_microsecond(micros).map_err(|error| error.to_string())?;
    Ok(now.to_zoned(TimeZone::UTC).date())
}
