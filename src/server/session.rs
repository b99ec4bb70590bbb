//! Sessions: what a user who is online has, and what they have caused.

use core::net::SocketAddr;
use core::time::Duration;

use super::accounts::UserId;
use super::answers::Asker;
use super::people::roster::Place;
use super::post::Delivery;
use super::{Later, ServerState};
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
    /// Messages of the user that nothing is known of yet.
    pub(super) unanswered: u32,
    pub(super) delivery: Delivery,
}

/// A message of a user is under way: a logout waits for what becomes of it.
pub(super) fn begin_message(server: &mut ServerState, asker: &Asker) {
    if let Some(session) = session_of(server, asker) {
        session.unanswered += 1;
    }
}

/// It is known what became of a message.
pub(super) fn end_message(server: &mut ServerState, asker: &Asker) {
    let Some(session) = session_of(server, asker) else { return };
    session.unanswered = session.unanswered.saturating_sub(1);
    if session.delivery.is_leaving() {
        server.later.push_back(Later::GoOnLeaving(asker.user));
    }
}

/// The session in which a command was given, if it goes on.
fn session_of<'a>(server: &'a mut ServerState, asker: &Asker) -> Option<&'a mut Session> {
    let account = &mut server.accounts[asker.user];
    let same = account.login == asker.login;
    account.session.as_deref_mut().filter(|_| same)
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
    let burst = u64::from(server.settings.rate_burst);
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
