//! Tells the server about typed lines that it does not see, at most once a second and without their content.

use core::time::Duration;

use crate::time::Time;

/// Least time between two such lines.
const PAUSE: Duration = Duration::from_secs(1);

/// What the server has not been told yet.
#[derive(Default)]
pub(super) struct Activity {
    told: Option<Time>,
    /// Whether a valid command was typed since the server was last told; `None`: nothing was typed.
    untold: Option<bool>,
}

impl Activity {
    /// A line was typed that the server will not see.
    pub(super) fn note(&mut self, valid: bool) {
        self.untold = Some(valid || self.untold == Some(true));
    }

    /// When the server is to be told; `None`: there is nothing to tell.
    pub(super) fn due(&self) -> Option<Time> {
        self.untold.map(|_| self.told.map_or(Time::ZERO, |told| told + PAUSE))
    }

    /// Whether a valid command was typed, if the server is to be told now.
    pub(super) fn take(&mut self, now: Time) -> Option<bool> {
        let valid = self.due().is_some_and(|due| due <= now).then(|| self.untold.take()).flatten()?;
        self.told = Some(now);
        Some(valid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_command_outweighs_invalid_ones_and_waits_out_the_second() {
        let mut activity = Activity::default();
        assert_eq!((activity.due(), activity.take(Time(5))), (None, None));
        activity.note(false);
        assert_eq!(activity.take(Time(5)), Some(false));
        activity.note(true);
        activity.note(false);
        assert_eq!(activity.due(), Some(Time(1_000_005)));
        assert_eq!(activity.take(Time(1_000_004)), None);
        assert_eq!(activity.take(Time(1_000_005)), Some(true));
        assert_eq!(activity.take(Time(9_000_000)), None);
    }
}
