//! Turns: each link is obeyed for so much, then others are.

use super::waiting::{self, Waits};
use crate::planted::{self, Planted};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::words::LinkId;

/// What one turn of a link may cost.
const TURN_UNITS: u64 = 64;

/// Measures what the line that is being obeyed costs its user.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter {
    user: Option<UserId>,
    units: u64,
}

impl super::Door {
    /// A user is charged.
    pub(in crate::server) fn meter(&mut self, user: UserId, units: u64) {
        if self.meter.user == Some(user) {
            self.meter.units += units;
        }
    }

    /// A line of this user, or of a stranger, begins.
    pub(super) fn begin_line(&mut self, user: Option<UserId>) {
        self.meter = Meter { user, units: 0 };
    }
}

/// A line was obeyed: it counts for the turn of its link.
pub(super) fn end_line(server: &mut ServerState, id: LinkId) {
    let Meter { units, .. } = core::mem::take(&mut server.door.meter);
    let Some(link) = server.door.links.get_mut(&id) else { return };
    link.spent += units.max(1);
    if link.spent >= TURN_UNITS && !planted::is(Planted::TurnsUnbounded) {
        waiting::wait(server, id, Waits::TURN);
        server.door.turns.push_back(id);
    }
}

/// The next link that waits for its turn has it.
pub(in crate::server) fn give_turn(server: &mut ServerState) {
    if let Some(id) = server.door.turns.pop_front()
        && let Some(link) = server.door.links.get_mut(&id)
    {
        link.spent = 0;
        waiting::wait_no_more(server, id, Waits::TURN);
    }
}

/// A link is gone: it waits for no turn.
pub(super) fn forget(server: &mut ServerState, id: LinkId) {
    server.door.turns.retain(|waiting| *waiting != id);
}
