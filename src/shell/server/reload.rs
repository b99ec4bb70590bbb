//! Settings and credentials, read together: at start, and again when the operator asks.

use thiserror::Error;

use super::config::{ConfigError, Sources};
use super::settings::Settings;
use crate::server::settings::Registration;
use crate::shell::credentials::{self, Accounts, CredentialsError};

/// Good settings and good accounts.
#[derive(Debug, Clone)]
pub struct Reload {
    /// The settings.
    pub settings: Settings,
    /// The accounts.
    pub accounts: Accounts,
}

/// Why settings or credentials cannot be used.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The accounts.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// TLS is wanted.
    #[error("TLS is not built in yet: say --plaintext on both sides, and only where you trust the network")]
    NoTls,
    /// Plaintext would leave the machine.
    #[error(
        "plaintext on {bind} lets others on the network read passwords and messages; \
         if that is what you want, say --set allow_plaintext=true"
    )]
    PlaintextBeyondLoopback {
        /// `bind`
        bind: std::net::IpAddr,
    },
}

/// Reads everything, checks everything, changes nothing.
///
/// # Errors
/// [`ReloadError`] says what is wrong and where.
pub fn reload(sources: &Sources) -> Result<Reload, ReloadError> {
    let settings = sources.load()?;
    if !settings.plaintext {
        return Err(ReloadError::NoTls);
    }
    if !settings.bind.to_canonical().is_loopback() && !settings.allow_plaintext {
        return Err(ReloadError::PlaintextBeyondLoopback { bind: settings.bind });
    }
    let accounts =
        credentials::read(&settings.credentials, settings.core.registration == Registration::Open)?;
    Ok(Reload { settings, accounts })
}

impl Reload {
    /// Whether the credentials file was changed since it was read.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        credentials::stamp(&self.settings.credentials) != self.accounts.stamp
    }

    /// Whether there is no credentials file. It is no list without accounts where some are known: all that is
    /// stored for them would go.
    #[must_use]
    pub const fn lacks_accounts(&self) -> bool {
        self.accounts.stamp.is_none()
    }

    /// The refusal for that.
    #[must_use]
    pub fn gone(self) -> ReloadError {
        CredentialsError::Gone { path: self.settings.credentials }.into()
    }

    /// Settings that differ from the running ones but need a restart.
    #[must_use]
    pub fn needing_restart(&self, running: &Settings) -> Vec<&'static str> {
        let Settings { bind, port, credentials, data, .. } = &self.settings;
        let differing = [
            ("bind", *bind != running.bind),
            ("port", *port != running.port),
            ("credentials", *credentials != running.credentials),
            ("data", *data != running.data),
            ("ephemeral", self.settings.ephemeral != running.ephemeral),
        ];
        differing.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }
}
