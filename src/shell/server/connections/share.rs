//! What handshakes with addresses that are not known get of the server's time (R56).

use crate::server::ServerState;

/// After a step of such a handshake the others wait for so many times as long as it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(super) rest: u32,
}

impl Share {
    /// So little that others do not feel a flood. Beside ClientHellos as fast as a core could say them the median of others'
    /// messages was 0.15 ms, without them 0.13; with 14 times it was 0.13, with 3 times 0.21 to 0.23.
    pub(super) const USUAL: Share = Share { rest: 9 };

    /// While sessions that a restart has left wait for their clients (R58): these are most of those who come, from addresses
    /// that the server does not know yet, and have `restart_grace_secs` to come back.
    pub(super) const RETURNING: Share = Share { rest: 1 };

    /// What they get now.
    pub(crate) fn now(core: &ServerState) -> Share {
        if core.awaits_clients() { Share::RETURNING } else { Share::USUAL }
    }
}
