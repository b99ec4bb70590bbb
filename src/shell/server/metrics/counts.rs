//! What the reports of the core tell, counted.

use std::collections::BTreeMap;

use crate::server::{Report, SessionEnd};

/// Counted since the start of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::shell::server) struct Counts {
    /// Sessions that began with a password.
    pub(super) logged_in: u64,
    /// Sessions that were resumed by token.
    pub(super) resumed: u64,
    /// Sessions that ended, by why.
    pub(super) ended: Ended,
    /// Wrong passwords that locked a name.
    pub(super) locks: u64,
    /// Accounts made by their users.
    pub(super) registered: u64,
    /// Accounts purged.
    pub(super) removed: u64,
    /// Connections closed because of a limit, by its name. The names are those of the core.
    pub(super) limits: BTreeMap<&'static str, u64>,
    /// Records that the store refused.
    pub(super) records_refused: u64,
}

/// How many sessions ended so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::shell::server) struct Ended {
    pub(super) logout: u64,
    pub(super) timeout: u64,
    pub(super) link_lost: u64,
    pub(super) replaced: u64,
    pub(super) kicked: u64,
    pub(super) stopped: u64,
}

impl Counts {
    pub(in crate::shell::server) fn note(&mut self, report: &Report) {
        match report {
            Report::LoggedIn { resumed: false, .. } => self.logged_in += 1,
            Report::LoggedIn { resumed: true, .. } => self.resumed += 1,
            Report::LoggedOut { why, .. } => *self.ended.of(*why) += 1,
            Report::LoginFailed { locked_secs, .. } => self.locks += u64::from(locked_secs.is_some()),
            Report::Registered { .. } => self.registered += 1,
            Report::LimitReached { limit, .. } => *self.limits.entry(limit).or_default() += 1,
            Report::StorageRefused { records } => self.records_refused += records,
            Report::AccountRemoved { .. } => self.removed += 1,
            // The core counts failed commands, and refused logins.
            Report::StorageBack | Report::CommandFailed { .. } | Report::InviteRefused { .. } => {}
        }
    }

    /// Sessions that began, or were resumed.
    pub(in crate::shell::server) const fn logins(&self) -> u64 {
        self.logged_in + self.resumed
    }
}

impl Ended {
    const fn of(&mut self, why: SessionEnd) -> &mut u64 {
        match why {
            SessionEnd::Logout => &mut self.logout,
            SessionEnd::Timeout => &mut self.timeout,
            SessionEnd::LinkLost => &mut self.link_lost,
            SessionEnd::Replaced => &mut self.replaced,
            SessionEnd::Kicked => &mut self.kicked,
            SessionEnd::Stopped => &mut self.stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Name;

    #[test]
    fn reports_are_counted_by_what_they_tell() {
        let user = Name::new("hans").expect("a name");
        let from = ([127, 0, 0, 1], 4000).into();
        let mut counts = Counts::default();
        for report in [
            Report::LoggedIn { user: user.clone(), from, resumed: false },
            Report::LoggedIn { user: user.clone(), from, resumed: true },
            Report::LoggedIn { user: user.clone(), from, resumed: true },
            Report::LoggedOut { user: user.clone(), why: SessionEnd::Kicked },
            Report::LoginFailed { user: None, from, failures: 2, device: false, locked_secs: None },
            Report::LoginFailed { user: Some(user), from, failures: 3, device: false, locked_secs: Some(60) },
            Report::LimitReached { limit: "login_secs", from },
            Report::StorageRefused { records: 7 },
            Report::StorageBack,
        ] {
            counts.note(&report);
        }
        let expected = Counts {
            logged_in: 1,
            resumed: 2,
            ended: Ended { kicked: 1, ..Ended::default() },
            locks: 1,
            limits: BTreeMap::from([("login_secs", 1)]),
            records_refused: 7,
            ..Counts::default()
        };
        assert_eq!(counts, expected);
    }
}
