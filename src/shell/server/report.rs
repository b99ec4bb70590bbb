//! Writes reports of the core to the operator's log.

use tracing::{debug, error, info, warn};

use crate::server::{Report, SessionEnd};
use crate::shell::visible::visible;

/// Logs a report. Names are untrusted and pass through [`visible`].
pub(super) fn log(report: &Report) {
    match report {
        Report::LoggedIn { user, from, resumed: false } => {
            info!("{} logged in from {from}", visible(user.as_str()));
        }
        Report::LoggedIn { user, from, resumed: true } => {
            info!("{} resumed from {from}", visible(user.as_str()));
        }
        Report::LoggedOut { user, why } => {
            info!("{} logged out: {}", visible(user.as_str()), reason(*why));
        }
        Report::LoginFailed { from, locked: false } => info!("login failed from {from}"),
        Report::LoginFailed { from, locked: true } => {
            warn!("login failed from {from}; the name is locked");
        }
        Report::InviteRefused { from } => info!("an invite that is not good, from {from}"),
        Report::Registered { user, from } => {
            info!("{} registered from {from}", visible(user.as_str()));
        }
        Report::LimitReached { limit, from } => {
            info!("connection from {from} closed, limit reached: {limit}");
        }
        Report::StorageRefused { records } => {
            error!("the store cannot write: {records} changes refused; is the disk full?");
        }
        Report::StorageBack => warn!("the store writes again"),
        Report::CommandFailed { user, code } => {
            debug!("a command of {} failed: {code}", visible(user.as_str()));
        }
        Report::AccountRemoved { name } => {
            info!("account {} removed", visible(name.as_str()));
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
