//! Timeouts: what is due now, and when the next one is.
//!
//! A client has few timeouts, so all of them are checked at each event; a tick that comes early, late or twice
//! does no harm.

use super::{ClientState, Phase};
use crate::time::Time;

impl ClientState {
    /// Handles all timeouts that have expired.
    pub(super) fn pass_deadlines(&mut self) {
        self.delivery.gather(self.now);
        self.acknowledge_when_due();
        self.tell_activity();
        self.retry_busy();
        if self.link.due().is_some_and(|due| due <= self.now) {
            self.on_silence();
        }
        self.pass_reconnect();
        self.redial_when_due();
        self.pass_peer_deadlines();
    }

    /// Requests a tick at the next deadline, unless an earlier one is pending.
    pub(super) fn schedule(&mut self) {
        let Some(at) = self.next_deadline() else { return };
        if self.scheduled.is_none_or(|scheduled| scheduled > at || scheduled <= self.now) {
            self.scheduled = Some(at);
            self.outbox.schedule(at);
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        let within = match &self.phase {
            Phase::Over => return None,
            Phase::Entry(entry) => [entry.due(), self.peers.due()].into_iter().flatten().min(),
            Phase::Session(session) => {
                let own = session.due(&self.settings);
                let acknowledgement = self.delivery.due().filter(|_| session.is_online());
                [own, acknowledgement, self.peers.due()].into_iter().flatten().min()
            }
        };
        [self.link.due(), within].into_iter().flatten().min()
    }
}
