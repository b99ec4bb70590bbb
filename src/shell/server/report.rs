//! Writes reports of the core to the operator's log.

use std::net::SocketAddr;

use tracing::{debug, error, info, warn};

use crate::server::{Report, SessionEnd};
use crate::shell::visible::visible;
use crate::words::Name;

/// Logs a report. Names are untrusted and pass through [`visible`].
pub(super) fn log(report: &Report) {
    match report {
        Report::LoggedIn { user, from, resumed } => {
            let (event, how) = if *resumed { ("resume", "resumed") } else { ("login", "logged in") };
            info!(event, user = user.as_str(), %from, "{} {how} from {from}", visible(user.as_str()));
        }
        Report::LoggedOut { user, why } => {
            let why = reason(*why);
            info!(
                event = "logout",
                user = user.as_str(),
                why,
                "{} logged out: {why}",
                visible(user.as_str())
            );
        }
        Report::LoginFailed { user, from, failures, device, locked_secs } => {
            login_failed((user.as_ref(), *device), *from, *failures, *locked_secs);
        }
        Report::InviteRefused { from } => {
            info!(event = "invite_refused", %from, "an invite that is not good, from {from}")
        }
        Report::Registered { user, from } => {
            let name = user.as_str();
            info!(event = "registration", user = name, %from, "{} registered from {from}", visible(name));
        }
        Report::LimitReached { limit, from } => {
            info!(event = "limit", limit, %from, "connection from {from} closed, limit reached: {limit}");
        }
        Report::StorageRefused { records } => {
            error!(
                event = "storage_refused",
                records, "the store cannot write: {records} changes refused; is the disk full?"
            );
        }
        Report::StorageBack => warn!(event = "storage_back", "the store writes again"),
        Report::CommandFailed { user, code } => {
            let name = user.as_str();
            debug!(event = "command_failed", user = name, %code, "a command of {} failed: {code}", visible(name));
        }
        Report::AccountRemoved { name } => {
            let name = name.as_str();
            info!(event = "account_removed", user = name, "account {} removed", visible(name));
        }
    }
}

/// A name without an account is not written: it may be a password that was typed in its place.
fn login_failed(
    (user, device): (Option<&Name>, bool),
    from: SocketAddr,
    failures: u32,
    locked_secs: Option<u64>,
) {
    let user = user.map(Name::as_str);
    let name = match user {
        None => "a name without an account".to_owned(),
        Some(user) if device => format!("a device of {}", visible(user)),
        Some(user) => visible(user).to_string(),
    };
    match locked_secs {
        Some(secs) => {
            let event = "lock";
            warn!(event, user, %from, failures, secs, "{name} is locked for {secs} s, {failures} wrong passwords, the last from {from}");
        }
        None => {
            let event = "login_failed";
            info!(event, user, %from, failures, "login of {name} failed from {from}, {failures} wrong passwords in a row");
        }
    }
}

const fn reason(why: SessionEnd) -> &'static str {
    match why {
        SessionEnd::Logout => "on request",
        SessionEnd::Timeout => "timed out",
        SessionEnd::LinkLost => "connection lost",
        SessionEnd::Replaced => "logged in elsewhere",
        SessionEnd::Kicked => "ended by the operator",
        SessionEnd::Stopped => "server stops",
    }
}
