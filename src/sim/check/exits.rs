//! How client programs end: with every result said, and an exit code that tells the reason.

use super::{Check, Verdict, rule};
use crate::client::Exit;
use crate::client::view::Bye;
use crate::sim::trace::ProcessId;

impl Check {
    pub(super) fn client_exited(&mut self, process: ProcessId, exit: Exit) -> Verdict {
        let Some(running) = self.clients.running.remove(&process) else { return Ok(()) };
        if running.output_closed {
            return Ok(());
        }
        let is_lost = exit == Exit::ServerLost && running.was_in;
        rule!(self, !(is_lost && running.outlasts_server), "a terminal outlasts the server", "{process:?}");
        let said = match (running.last_bye, exit) {
            (None, _) | (Some(_), Exit::Signalled(_)) => true,
            (Some(Bye::Logout), exit) if running.strict && running.refused => exit == Exit::Refused,
            (Some(Bye::Logout), exit) => exit == Exit::Done,
            (Some(Bye::Timeout | Bye::LoginTimeout), exit) => exit == Exit::TimedOut,
            (Some(Bye::ServerShutdown | Bye::ConnectionLost), exit) => exit == Exit::ServerLost,
            (Some(Bye::Replaced | Bye::Kicked), exit) => exit == Exit::Failed,
        };
        rule!(
            self,
            said,
            "the exit code tells the reason",
            "{process:?}: {exit:?} after {:?}",
            running.last_bye
        );
        let open = running.open;
        rule!(self, open.is_empty(), "every line has one result", "{process:?}: {open:?} at its end");
        rule!(self, running.user.is_none(), "a session ends with a farewell", "{process:?}");
        Ok(())
    }

    /// At the end every line typed in a session has its result.
    pub(super) fn clients_have_results(&self) -> Verdict {
        for (process, running) in &self.clients.running {
            let done = running.open.is_empty() || running.output_closed;
            rule!(self, done, "every line has one result", "{process:?}: {:?} at the end", running.open);
        }
        Ok(())
    }
}
