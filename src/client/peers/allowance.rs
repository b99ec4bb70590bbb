//! How many relays a conversation may take (R70).
//!
//! Each costs this client a handshake: 1.7 to 1.9 KB that it has relayed for 13 to 15 units at the server (R42), 21 more if it
//! has asked for the relay, and what the two say again. The other side decides how many there are, for it may end its link as
//! often as it likes. The price does not bound that: with 20,000 units a second either side could have more than 500. A client
//! that has lost a link asks for a relay once a second, so that a machine that moves all day stays within what is allowed here.

use core::time::Duration;

use crate::planted::{self, Planted};
use crate::time::Time;

/// Relays that a conversation may take at once.
const RELAYS: u32 = 16;

/// After so long it may take one more.
const PERIOD: Duration = Duration::from_secs(1);

/// The relays that a conversation may still take.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Allowance {
    /// When it may take [`RELAYS`] at once again.
    whole_at: Time,
}

impl Allowance {
    pub(super) fn is_spent(&self, now: Time) -> bool {
        self.whole_at > now + PERIOD * (RELAYS - 1) && !planted::is(Planted::RejoinsUnbounded)
    }

    /// A relay is taken.
    pub(super) fn spend(&mut self, now: Time) {
        self.whole_at = self.whole_at.max(now) + PERIOD;
    }
}
