//! `forget`: removes an account, and all that is kept about its user.

use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::{CommandError, read_to_change, say};
use crate::server::settings::Registration;
use crate::shell::credentials;
use crate::shell::server::ctl::{CtlError, accepted, ask_within};
use crate::shell::server::setup::config::Sources;
use crate::shell::server::setup::settings::Settings;
use crate::shell::store::{self, ForgetError, OpenError};
use crate::shell::visible::visible;
use crate::words::Name;

/// Between two looks at whether the folder is free, or the server has done it; and how often.
pub(in crate::shell::server) const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: u32 = 1_500;
/// How long a server may take for an answer, and for its end.
const PATIENCE: Duration = Duration::from_secs(30);

/// `forget USER`: removes an account, and all that is kept about its user, and what they have written to others who
/// have not seen it yet. A running server restarts for it, which nobody notices.
///
/// # Errors
/// [`CommandError`]. If the account was removed before the error, the same command goes on where it stopped, and so does
/// the next start of a server.
pub fn forget(sources: &Sources, name: &str) -> Result<(), CommandError> {
    let settings = sources.load()?;
    let unknown = || CommandError::UnknownUser { name: name.to_string() };
    let user = Name::new(name).map_err(|_| unknown())?;
    read_to_change(&settings.credentials)?;
    refuse_last(&settings, &user)?;
    let removed = credentials::remove(&settings.credentials, &user).map_err(CommandError::NotWritten)?;
    if settings.ephemeral || !store::is_there(&settings.data) {
        removed.map_err(|_| unknown())?;
        let folder = settings.data.to_string_lossy();
        let why = if settings.ephemeral {
            "an ephemeral server keeps nothing".to_owned()
        } else {
            format!("there is no store in {}", visible(&folder))
        };
        say(&format!("removed {user}, about whom nothing else is kept: {why}"));
        return Ok(());
    }
    let known = store::knows(&settings.data, &user).map_err(ForgetError::from)?;
    // Noted: a command before has not come to its end.
    if removed.is_err() && !known && !store::noted(&settings.data)?.contains(&user) {
        return Err(unknown());
    }
    let note = store::note(&settings.data, &user)?;
    let left = leave_to_start(&settings.data, &user, PATIENCE);
    let runs = left.map_err(|source| CommandError::ForgottenLater { name: name.to_string(), source })?;
    wait(&settings, &note)?;
    say(&format!("forgot {user}{}", if runs { "; the server starts again" } else { "" }));
    Ok(())
}

/// A server that would not start any more could not forget anybody either.
fn refuse_last(settings: &Settings, user: &Name) -> Result<(), CommandError> {
    let accounts = credentials::read(&settings.credentials)?.file.into_accounts();
    let is_last = matches!(&accounts[..], [(name, _)] if name == user);
    if is_last && settings.core.registration == Registration::Closed {
        return Err(CommandError::LastAccount { name: user.to_string() });
    }
    Ok(())
}

/// Has a running server end the user's session and start again; whether there is one.
fn leave_to_start(data: &Path, user: &Name, patience: Duration) -> Result<bool, CtlError> {
    let ask = |command: &str| ask_within(data, command, Some(patience));
    match ask("reload") {
        Err(CtlError::NoServer { .. }) => return Ok(false),
        answer => drop(accepted(&answer?.0)?),
    }
    // Refused if they are not online.
    ask(&format!("kick {user}"))?;
    let (answer, mut link) = ask("restart")?;
    if accepted(&answer).is_ok() {
        // It ends with the process, or with the folder that it leaves to the next.
        match link.read_to_end(&mut Vec::new()) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(CtlError::NoAnswer),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(true)
}

/// Forgets, or waits until a server has at its start.
fn wait(settings: &Settings, note: &Path) -> Result<(), CommandError> {
    for _ in 0..LOOKS {
        let accounts = credentials::read(&settings.credentials)?.file.into_accounts();
        let has_account = |user: &Name| accounts.iter().any(|(name, _)| name == user);
        match store::forget_noted(&settings.data, has_account) {
            Err(ForgetError::Open(OpenError::InUse(_))) => {}
            done => drop(done?),
        }
        if !note.exists() {
            return Ok(());
        }
        thread::sleep(LOOK_EVERY);
    }
    Err(ForgetError::Open(OpenError::InUse(settings.data.clone())).into())
}

/// At the start of a server, before it has the folder: forgets whoever is noted. The operator's command may be about to,
/// and have the folder for a moment still: returns for how often the server is to look whether it is free.
pub(in crate::shell::server) fn forget_at_start(data: &Path, has_account: impl Fn(&Name) -> bool) -> u32 {
    match store::noted(data) {
        Ok(names) if names.is_empty() => return 0,
        Ok(_) => {}
        // The start says so itself.
        Err(ForgetError::Note { path, .. }) if path == data => return 0,
        Err(error) => {
            tracing::error!("nobody is forgotten, which is tried again at the next start: {error}");
            return 0;
        }
    }
    for _ in 0..LOOKS {
        match store::forget_noted(data, &has_account) {
            Err(ForgetError::Open(OpenError::InUse(_)))
                if store::noted(data).is_ok_and(|names| !names.is_empty()) =>
            {
                thread::sleep(LOOK_EVERY);
            }
            Ok(0) => break,
            Ok(count) => {
                tracing::warn!("what was kept about {count} names is gone, as an operator wanted");
                break;
            }
            Err(error) => {
                tracing::error!(
                    "somebody is to be forgotten, which is tried again at the next start: {error}"
                );
                break;
            }
        }
    }
    LOOKS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::server::control::SOCKET;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_server_that_does_not_answer_or_does_not_restart_is_not_waited_for_without_end() {
        // It answers so many orders, and keeps the connections open.
        for answered in 0..=3 {
            let folder = tempfile::tempdir().expect("a folder");
            let socket = UnixListener::bind(folder.path().join(SOCKET)).expect("a socket");
            let server = thread::spawn(move || {
                let mut open = Vec::new();
                for place in 0..=answered.min(2) {
                    let mut link = socket.accept().expect("an operator").0;
                    let mut order = String::new();
                    BufReader::new(&link).read_line(&mut order).expect("an order");
                    if place < answered {
                        link.write_all(b"{\"ok\":true}\n").expect("written");
                    }
                    open.push(link);
                }
                open
            });
            let user = Name::new("hans").expect("a name");
            let left = leave_to_start(folder.path(), &user, Duration::from_millis(50));
            assert!(matches!(left, Err(CtlError::NoAnswer)), "{answered}: {left:?}");
            drop(server.join().expect("a server"));
        }
    }
}
