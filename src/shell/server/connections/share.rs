//! What connections from addresses that are not known get of the server (R48).

use std::time::Duration;

use crate::server::ServerState;

/// How much they get while many connections are not logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// Once a crowd has come, so often one more is taken on. The others are closed at once.
    pub(super) every: Duration,
    /// So often one of the same address.
    pub(super) same_every: Duration,
    /// After a step of a handshake for one of them, the others wait for so many times as long as it took.
    pub(super) rest: u32,
}

impl Share {
    /// So little that others do not feel a flood. Beside ClientHellos as fast as a core could say them, the median of
    /// others' messages was 0.21 to 0.26 ms, without them 0.16; with the figures of `RETURNING` but a rest of 9 times it was
    /// 0.26 and 0.27; with a rest of once it was ninefold.
    pub(super) const USUAL: Share =
        Share { every: Duration::from_millis(2), same_every: Duration::from_millis(500), rest: 14 };

    /// While sessions that a restart has left wait for their clients (R58): these are most of those who come, from addresses
    /// that the server does not know yet, and have `restart_grace_secs` to come back.
    pub(super) const RETURNING: Share =
        Share { every: Duration::from_micros(500), same_every: Duration::from_millis(100), rest: 1 };

    /// What they get now.
    pub(crate) fn now(core: &ServerState) -> Share {
        if core.awaits_clients() { Share::RETURNING } else { Share::USUAL }
    }
}
