//! Sessions: what a user who is online has, and what they have caused.

use core::net::SocketAddr;
use core::time::Duration;

use super::accounts::UserId;
use super::answers::Asker;
use super::people::roster::Place;
use super::post::Delivery;
use super::{Later, ServerState};
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::wire::Capabilities;
use crate::words::LinkId;

/// A user who is online.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// Tells it apart from the user's other sessions.
    pub(super) serial: u64,
    /// `None` while the session outlives its link.
    pub(super) link: Option<LinkId>,
    /// Where the last link came from.
    pub(super) from: SocketAddr,
    /// When it last lost its link.
    pub(super) lost_at: Time,
    pub(super) capabilities: Capabilities,
    pub(super) place: Place,
    pub(super) last_active: Time,
    /// When it is looked at again whether the session is idle.
    pub(super) looked_at: Option<Time>,
    pub(super) delivery: Delivery,
}

/// Messages of a user that nothing is known of yet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Unanswered {
    /// Those of the present login, whose logout waits for what becomes of them.
    of_login: u32,
    /// Those of earlier logins too: while there are any, the account keeps its place.
    all: u32,
}

impl Unanswered {
    /// Nobody hears any more what becomes of the messages of the login before.
    pub(super) const fn begin_login(&mut self) {
        self.of_login = 0;
    }

    pub(super) const fn holds_logout(self) -> bool {
        self.of_login > 0
    }

    pub(super) const fn is_none(self) -> bool {
        self.all == 0
    }
}

/// A message of a user is under way.
pub(super) fn begin_message(server: &mut ServerState, asker: &Asker) {
    let account = &mut server.accounts[asker.user];
    assert!(account.login == asker.login, "a command is obeyed in its own login");
    account.unanswered.of_login += 1;
    account.unanswered.all += 1;
}

/// It is known what became of a message.
pub(super) fn end_message(server: &mut ServerState, asker: &Asker) {
    let account = &mut server.accounts[asker.user];
    let Unanswered { of_login, all } = &mut account.unanswered;
    assert!(*all > 0, "a message is answered once");
    *all -= 1;
    if account.login == asker.login {
        assert!(*of_login > 0, "a message is answered once");
        *of_login -= 1;
    }
    if account.session.as_ref().is_some_and(|session| session.delivery.is_leaving()) {
        server.later.push_back(Later::GoOnLeaving(asker.user));
    }
    if server.accounts[asker.user].is_leaving() {
        server.later.push_back(Later::Purge);
    }
}

/// Charges a user for deliveries. Beyond their burst their next line waits.
pub(super) fn charge(server: &mut ServerState, user: UserId, deliveries: u64) {
    if let Some(rate) = rate(server) {
        let paid_until = &mut server.accounts[user].paid_until;
        *paid_until = (*paid_until).max(server.now) + time_for(deliveries, rate);
    }
}

/// When all that a user has caused will be within their burst, if it is not.
pub(super) fn throttled_until(server: &ServerState, user: UserId) -> Option<Time> {
    let burst = u64::from(server.settings.rate_burst) << u32::from(planted::is(Planted::BurstTwice));
    let free_at = server.accounts[user].paid_until - time_for(burst, rate(server)?);
    (free_at > server.now).then_some(free_at)
}

fn rate(server: &ServerState) -> Option<u64> {
    let (burst, rate) = (server.settings.rate_burst, u64::from(server.settings.rate_per_s));
    (burst > 0 && rate > 0).then_some(rate)
}

/// How long so many deliveries take, in nanoseconds, so that high rates lose nothing to rounding.
const fn time_for(deliveries: u64, rate: u64) -> Duration {
    Duration::from_nanos(deliveries.saturating_mul(1_000_000_000) / rate)
}
