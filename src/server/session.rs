//! Sessions: what a user who is online has, and what they have caused.

use core::net::SocketAddr;

use super::accounts::UserId;
use super::answers::Asker;
use super::people::roster::Place;
use super::post::Delivery;
use super::settings::Settings;
use super::{Later, ServerState, door};
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::wire::Capabilities;
use crate::words::{LinkId, SharedText};

/// A user who is online.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// Tells it apart from the user's other sessions.
    pub(super) serial: u64,
    /// `None` while the session outlives its link.
    pub(super) link: Option<LinkId>,
    /// It was taken up after a restart, and its client has not come back.
    pub(super) held: bool,
    /// Where the last link came from.
    pub(super) from: SocketAddr,
    /// When it last lost its link.
    pub(super) lost_at: Time,
    pub(super) capabilities: Capabilities,
    pub(super) place: Place,
    /// What they have said to be away for.
    pub(super) away: Option<SharedText>,
    pub(super) last_active: Time,
    /// The last activity before the time without any that its user was told of.
    pub(super) told_idle_since: Option<Time>,
    /// When it is looked at again whether the session is idle.
    pub(super) looked_at: Option<Time>,
    pub(super) delivery: Delivery,
    /// The number of its last relay, and of the one that was served last.
    pub(super) relays: u64,
    pub(super) relay_served: u64,
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
    if asker.is_courier() {
        account.unanswered.all += 1;
        if asker.send.is_none() {
            door::courier_began(server, asker.link);
        }
        return;
    }
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
    if asker.is_courier() {
        if asker.send.is_none() {
            door::courier_answered(server, asker.link);
        }
    } else if account.login == asker.login {
        assert!(*of_login > 0, "a message is answered once");
        *of_login -= 1;
    }
    if server.accounts[asker.user].session.as_ref().is_some_and(|session| session.delivery.is_leaving()) {
        server.later.push_back(Later::GoOnLeaving(asker.user));
    }
    if server.accounts[asker.user].is_leaving() {
        server.later.push_back(Later::Purge);
    }
}

/// What a user owes for the work they have caused.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Debt {
    /// In millionths of a unit: a rate of units a second pays off as many of them each microsecond.
    owed: u64,
    /// When so much was owed.
    at: Time,
}

/// Millionths of a unit.
const UNIT: u64 = 1_000_000;

impl Debt {
    pub(super) fn add(&mut self, units: u64, rate: u64, now: Time) {
        let paid = now.0.saturating_sub(self.at.0).saturating_mul(rate);
        self.owed = self.owed.saturating_sub(paid).saturating_add(units.saturating_mul(UNIT));
        self.at = now;
    }

    /// The first microsecond at which less than `burst` units are owed.
    pub(super) const fn is_below_at(self, burst: u64, rate: u64) -> Time {
        match self.owed.checked_sub(burst.saturating_mul(UNIT)) {
            Some(excess) => Time(self.at.0.saturating_add(excess / rate + 1)),
            None => Time::ZERO,
        }
    }
}

/// Units for so many bytes that one user is sent: one for each 256.
pub(super) fn units_for(bytes: usize) -> u64 {
    if planted::is(Planted::LongTextIsShort) { 1 } else { bytes.div_ceil(256) as u64 }
}

/// Charges a user for work they have caused. Beyond their burst their next line waits.
pub(super) fn charge(server: &mut ServerState, user: UserId, units: u64) {
    server.door.meter(user, units);
    server.tally.units = server.tally.units.saturating_add(units);
    if let Some(rate) = rate(server) {
        server.accounts[user].debt.add(units, rate, server.now);
    }
}

/// When a user will owe less than their burst, if they do not now.
pub(super) fn throttled_until(server: &ServerState, user: UserId) -> Option<Time> {
    let burst = u64::from(server.settings.rate_burst) << u32::from(planted::is(Planted::BurstTwice));
    let free_at = server.accounts[user].debt.is_below_at(burst, rate(server)?);
    (free_at > server.now).then_some(free_at)
}

fn rate(server: &ServerState) -> Option<u64> {
    let (burst, rate) = (server.settings.rate_burst, u64::from(server.settings.rate_per_s));
    (burst > 0 && rate > 0).then_some(rate)
}

/// A record of a user's command is on its way to the disk, or a message waits behind one.
pub(super) fn begin_record(server: &mut ServerState, user: UserId) {
    server.accounts[user].unsettled += 1;
}

/// A record of a user's command is settled, or a message waits no more.
pub(super) fn end_record(server: &mut ServerState, user: UserId) {
    let unsettled = &mut server.accounts[user].unsettled;
    assert!(*unsettled > 0, "a record is settled once");
    *unsettled -= 1;
    door::record_settled(server, user);
}

/// Whether a user has so many records on their way that their next line waits.
pub(super) fn has_too_many_records(server: &ServerState, user: UserId) -> bool {
    let Settings { unsettled_max: most, store_queue_bytes, .. } = server.settings;
    let is_full = store_queue_bytes > 0 && server.papers.bytes_under_way() >= store_queue_bytes;
    let most = if is_full && !planted::is(Planted::StoreQueueUnbounded) { 1 } else { most };
    most > 0 && server.accounts[user].unsettled >= most && !planted::is(Planted::UnsettledUnbounded)
}
