//! Subcommands: the credentials file, backup and check. They work beside a running server too.

mod check;
mod export;
pub(super) mod forget;
mod replay;

use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use thiserror::Error;
use zeroize::Zeroizing;

use super::ctl::CtlError;
use super::hashing::{HashFailed, Hasher};
use super::setup::config::{ConfigError, Sources};
use super::setup::reload::ReloadError;
use crate::shell::credentials::{self, CredentialsError};
use crate::shell::store;
use crate::shell::visible::visible;
use crate::words::Name;

pub use self::check::check;
pub use self::export::export;
pub use self::forget::forget;
pub use self::replay::{Printed, ReplayFailure, replay};

/// The longest password, in bytes. A longer one does not fit into a line of the protocol.
const LONGEST_PASSWORD: u64 = 4096;

/// An error of a subcommand.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The credentials file.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A server would not start so.
    #[error(transparent)]
    Start(#[from] ReloadError),
    /// The credentials file could not be written.
    #[error("the credentials file was not changed: {0}")]
    NotWritten(io::Error),
    /// The argument is not a valid name.
    #[error("\"{}\" is no name (1 to 32 visible characters, no white space, not \"group\")", visible(name))]
    BadName {
        /// What was typed.
        name: String,
    },
    /// No such account.
    #[error("\"{}\" has no account", visible(name))]
    UnknownUser {
        /// What was typed.
        name: String,
    },
    /// The two passwords differ.
    #[error("the two passwords differ; nothing was changed")]
    PasswordsDiffer,
    /// No password, or one that cannot be typed in a line.
    #[error("a password is one line of text, not empty, of at most {LONGEST_PASSWORD} bytes")]
    BadPassword,
    /// The password could not be read.
    #[error("no password: {0}")]
    NoPassword(io::Error),
    /// The hash could not be made.
    #[error(transparent)]
    Hash(#[from] HashFailed),
    /// The backup failed.
    #[error("no backup: {0}")]
    Backup(store::BackupError),
    /// The server that runs does not do it.
    #[error("the server that runs does not do its part: {0}")]
    Server(CtlError),
    /// Without this account a server with `registration=closed` does not start.
    #[error(
        "{} is the only account, and a server with registration=closed does not run without one: \
         make another first (hobnob-server passwd NAME)",
        visible(name)
    )]
    LastAccount {
        /// The name.
        name: String,
    },
    /// The account is removed, and the rest is left to the next start.
    #[error(
        "{} has no account any more, and is forgotten when the server starts next; \
         the one that runs does not restart for it: {source}",
        visible(name)
    )]
    ForgottenLater {
        /// The name.
        name: String,
        /// Why not.
        source: CtlError,
    },
    /// Somebody could not be forgotten.
    #[error("not everything is forgotten, say it again: {0}")]
    Forget(#[from] store::ForgetError),
    /// The store cannot be read for an export.
    #[error("{0}")]
    Export(store::ExportError),
    /// The store cannot be opened for a check.
    #[error("{0}")]
    Check(store::CheckError),
    /// The check found problems.
    #[error("the store in {} is not sound", visible(folder))]
    NotSound {
        /// The data folder.
        folder: String,
    },
}

impl CommandError {
    /// The exit code of the program: 2 for usage, settings and credentials, else 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            CommandError::Config(_)
            | CommandError::Credentials(_)
            | CommandError::Start(_)
            | CommandError::BadName { .. } => 2,
            CommandError::NotWritten(_)
            | CommandError::UnknownUser { .. }
            | CommandError::LastAccount { .. }
            | CommandError::ForgottenLater { .. }
            | CommandError::PasswordsDiffer
            | CommandError::BadPassword
            | CommandError::NoPassword(_)
            | CommandError::Hash(_)
            | CommandError::Backup(_)
            | CommandError::Server(_)
            | CommandError::Forget(_)
            | CommandError::Export(_)
            | CommandError::Check(_)
            | CommandError::NotSound { .. } => 1,
        }
    }
}

/// `passwd NAME`: gives an account a new password, or makes it.
///
/// # Errors
/// [`CommandError`]; the file is unchanged then.
pub fn passwd(sources: &Sources, name: &str) -> Result<(), CommandError> {
    let settings = sources.load()?;
    let name = Name::new(name).map_err(|_| CommandError::BadName { name: name.to_string() })?;
    read_to_change(&settings.credentials)?;
    let password = ask_password()?;
    let credential = Hasher::default().hash(&password, settings.limits.hash_cost)?;
    let new =
        credentials::set(&settings.credentials, &name, &credential).map_err(CommandError::NotWritten)?;
    say(&format!("{} {name}; a running server takes it up at SIGHUP", if new { "added" } else { "changed" }));
    Ok(())
}

/// Reads the credentials file before it is changed, and warns of one that others can read: its mode stays.
fn read_to_change(credentials: &Path) -> Result<(), CredentialsError> {
    let read = credentials::read(credentials)?;
    for warning in &read.warnings {
        if let credentials::Warning::OthersCanRead { .. } = warning {
            tracing::warn!("{}: {warning}", visible(&credentials.to_string_lossy()));
        }
    }
    Ok(())
}

/// `users`: prints the names, sorted by code point, one a line.
///
/// # Errors
/// [`CommandError`].
pub fn users(sources: &Sources) -> Result<(), CommandError> {
    let settings = sources.load()?;
    let accounts = credentials::read(&settings.credentials)?;
    let accounts = accounts.file.into_accounts();
    let mut names: Vec<&Name> = accounts.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    print(names);
    Ok(())
}

/// `remove NAME`: removes an account.
///
/// # Errors
/// [`CommandError`]; the file is unchanged then.
pub fn remove(sources: &Sources, name: &str) -> Result<(), CommandError> {
    let settings = sources.load()?;
    read_to_change(&settings.credentials)?;
    let unknown = || CommandError::UnknownUser { name: name.to_string() };
    let name = Name::new(name).map_err(|_| unknown())?;
    let removed = credentials::remove(&settings.credentials, &name).map_err(CommandError::NotWritten)?;
    removed.map_err(|_| unknown())?;
    say(&format!("removed {name}; a running server takes it up at SIGHUP"));
    Ok(())
}

/// `hash-credentials`: replaces plain passwords by hashes.
///
/// # Errors
/// [`CommandError`]; the file is unchanged then.
pub fn hash_credentials(sources: &Sources) -> Result<(), CommandError> {
    let settings = sources.load()?;
    read_to_change(&settings.credentials)?;
    let cost = settings.limits.hash_cost;
    let mut hasher = Hasher::default();
    let hashed = credentials::hash_plain(&settings.credentials, |password| {
        hasher.hash(password, cost).map_err(io::Error::other)
    });
    let count = hashed.map_err(CommandError::NotWritten)?;
    say(&format!("{count} password(s) hashed"));
    Ok(())
}

/// `backup FILE`: copies the store to a new file, even while a server uses it.
///
/// # Errors
/// [`CommandError`]; nothing is overwritten.
pub fn backup(sources: &Sources, to: &Path) -> Result<(), CommandError> {
    let settings = sources.load()?;
    let summary = store::backup(&settings.data, to).map_err(CommandError::Backup)?;
    print([summary]);
    Ok(())
}

/// Prints data, one item a line. A closed standard output is not an error.
pub fn print(items: impl IntoIterator<Item = impl Display>) {
    let mut stdout = io::stdout().lock();
    let printed = items.into_iter().try_for_each(|item| writeln!(stdout, "{item}"));
    let _ = printed.and_then(|()| stdout.flush());
}

/// Prints a message for people on standard error; standard output is for data.
fn say(words: &str) {
    let _ = writeln!(io::stderr(), "{words}");
}

/// Reads a password: twice and hidden from a terminal, one line from a pipe.
fn ask_password() -> Result<Zeroizing<String>, CommandError> {
    let password = if io::stdin().is_terminal() {
        let ask = |prompt: &str| {
            rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(CommandError::NoPassword)
        };
        let password = ask("New password: ")?;
        if ask("New password again: ")? != password {
            return Err(CommandError::PasswordsDiffer);
        }
        password
    } else {
        first_line(io::stdin().lock())?
    };
    let good = (1..=LONGEST_PASSWORD).contains(&(password.len() as u64)) && !password.contains(['\n', '\0']);
    if good { Ok(password) } else { Err(CommandError::BadPassword) }
}

fn first_line(input: impl BufRead) -> Result<Zeroizing<String>, CommandError> {
    let mut line = Zeroizing::new(Vec::new());
    let mut input = input.take(LONGEST_PASSWORD + 2);
    input.read_until(b'\n', &mut line).map_err(CommandError::NoPassword)?;
    let password = line.strip_suffix(b"\n").unwrap_or(&line);
    let password = password.strip_suffix(b"\r").unwrap_or(password);
    let text = std::str::from_utf8(password).map_err(|_| CommandError::BadPassword)?;
    Ok(Zeroizing::new(text.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_on_a_pipe_is_the_first_line_to_the_letter() {
        for (input, password) in
            [("falcon\n", "falcon"), ("falcon", "falcon"), (" two words \r\nmore\n", " two words "), ("", "")]
        {
            let line = first_line(input.as_bytes()).expect("a line");
            assert_eq!(line.as_str(), password, "{input:?}");
        }
        assert!(matches!(first_line(b"\xff\n".as_slice()), Err(CommandError::BadPassword)));
    }

    #[test]
    fn an_endless_line_is_not_read_to_its_end() {
        let line = first_line(io::BufReader::new(io::repeat(b'x'))).expect("a line");
        assert!(line.len() as u64 > LONGEST_PASSWORD && line.len() < 10_000);
    }
}
