//! Settings and credentials, read together: at start, and again when the operator asks.

use thiserror::Error;

use super::config::{ConfigError, Sources};
use super::identity::{self, IdentityError};
use super::settings::Settings;
use crate::shell::credentials::{self, Accounts, CredentialsError};
use crate::shell::server::log::{LogError, Sink};
use crate::shell::tunnel::acceptor::Acceptor;
use crate::words::{Credential, Name};

/// Valid settings and a valid credentials file.
#[derive(Debug, Clone)]
pub struct Reload {
    /// The settings.
    pub settings: Settings,
    /// The accounts.
    pub accounts: Accounts,
    /// How connections begin; `Plain` until the key was looked at.
    pub acceptor: Acceptor,
    /// Where the log is written; standard error until the file was opened.
    pub log: Sink,
}

/// An error in settings or credentials.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The accounts.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The key or its certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
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

/// Reads and validates settings and credentials. Changes nothing.
///
/// # Errors
/// [`ReloadError`] says what is wrong and where.
pub fn reload(sources: &Sources) -> Result<Reload, ReloadError> {
    let settings = sources.load()?;
    settings.guard_plaintext(settings.bind)?;
    if !settings.plaintext {
        identity::own(&settings)?;
    }
    let accounts = credentials::read(&settings.credentials)?;
    // Refuses before the port and the store are opened whatever would be refused in any case.
    match accounts.file.refusal(settings.core.registration, false) {
        Some(refusal) => Err(CredentialsError::refused(refusal, &settings.credentials).into()),
        None => Ok(Reload { settings, accounts, acceptor: Acceptor::Plain, log: Sink::default() }),
    }
}

impl Settings {
    /// Whether plaintext may be spoken on this address.
    ///
    /// # Errors
    /// [`ReloadError::PlaintextBeyondLoopback`]
    pub fn guard_plaintext(&self, bind: std::net::IpAddr) -> Result<(), ReloadError> {
        if self.plaintext && !bind.to_canonical().is_loopback() && !self.allow_plaintext {
            return Err(ReloadError::PlaintextBeyondLoopback { bind });
        }
        Ok(())
    }
}

impl Reload {
    /// Whether the credentials file was changed since it was read.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        credentials::stamp(&self.settings.credentials) != self.accounts.stamp
    }

    /// The settings and the accounts to serve. `remembered`: the store keeps something for an account.
    ///
    /// # Errors
    /// [`CredentialsError`], if the core does not accept the file or the lack of one.
    pub fn accept(self, remembered: bool) -> Result<(Settings, Vec<(Name, Credential)>), ReloadError> {
        let Reload { settings, accounts, acceptor: _, log: _ } = self;
        match accounts.file.accept(settings.core.registration, remembered) {
            Ok(list) => Ok((settings, list)),
            Err(refusal) => Err(CredentialsError::refused(refusal, &settings.credentials).into()),
        }
    }
}

/// Settings that differ from the running ones but need a restart.
#[must_use]
pub fn needing_restart(wanted: &Settings, running: &Settings) -> Vec<&'static str> {
    // Whoever adds a setting says here whether it takes a restart; `take_files` takes up the others.
    let Settings {
        bind,
        port,
        credentials,
        data,
        plaintext,
        ephemeral,
        metrics,
        core_dumps,
        allow_plaintext: _,
        tls: _,
        advertise: _,
        log: _,
        limits: _,
        core: _,
    } = wanted;
    let differing = [
        ("bind", *bind != running.bind),
        ("port", *port != running.port),
        ("credentials", *credentials != running.credentials),
        ("data", *data != running.data),
        ("plaintext", *plaintext != running.plaintext),
        ("ephemeral", *ephemeral != running.ephemeral),
        ("metrics", *metrics != running.metrics),
        ("core_dumps", *core_dumps != running.core_dumps),
    ];
    differing.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
}
