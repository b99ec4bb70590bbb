//! Why a link does not obey its next line, and when it goes on.

use super::ending;
use super::links::Stage;
use crate::planted::{self, Planted};
use crate::server::accounts::UserId;
use crate::server::deadlines::Deadline;
use crate::server::session::{Debt, has_too_many_records, throttled_until};
use crate::server::{Later, ServerState};
use crate::words::LinkId;

/// Long lists that may wait on one link; with more its next line waits.
const WAITING_LISTS: usize = 4;

/// Why a link obeys nothing for now; several reasons may hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Waits(u8);

impl Waits {
    /// A password is compared or hashed, or the record of a login is on its way.
    pub(super) const LOGIN: Waits = Waits(1);
    /// The user has caused more than their rate allows.
    pub(super) const RATE: Waits = Waits(2);
    /// Lists have not left.
    pub(super) const LISTS: Waits = Waits(4);
    /// A change of the user is not durable.
    pub(super) const CHANGE: Waits = Waits(8);
    /// Too many records of the user are on their way to the disk.
    pub(super) const RECORDS: Waits = Waits(16);
    /// Its turn is over.
    pub(super) const TURN: Waits = Waits(32);

    pub(super) const fn has(self, why: Waits) -> bool {
        self.0 & why.0 != 0
    }

    pub(super) const fn any(self) -> bool {
        self.0 != 0
    }
}

/// Makes a link wait: its next lines are held.
pub(super) fn wait(server: &mut ServerState, id: LinkId, why: Waits) {
    if let Some(link) = server.door.links.get_mut(&id) {
        let new = link.waits.0 & why.0 == 0;
        link.waits.0 |= why.0;
        server.tally.waits_for_rate += u64::from(new && why == Waits::RATE);
        server.tally.waits_for_records += u64::from(new && why == Waits::RECORDS);
    }
}

/// Ends one reason to wait. The user was not idle until now.
pub(super) fn wait_no_more(server: &mut ServerState, id: LinkId, why: Waits) {
    if let Some(link) = server.door.links.get_mut(&id)
        && link.waits.0 & why.0 != 0
    {
        link.waits.0 &= !why.0;
        if !link.waits.any() {
            let user = link.stage.user().filter(|_| why != Waits::TURN);
            server.later.push_back(Later::Read(id));
            if let Some(user) = user.filter(|_| !planted::is(Planted::WaitingIsIdle)) {
                ending::note_activity(server, user, true);
            }
        }
    }
}

/// A command was obeyed: the next line may have to wait.
pub(super) fn look(server: &mut ServerState, id: LinkId, user: UserId) {
    if server.papers.lane.is_busy(user) {
        wait(server, id, Waits::CHANGE);
    }
    if server.out.lists_waiting(id) > WAITING_LISTS {
        wait(server, id, Waits::LISTS);
    }
}

/// Whether the next line of a user has to wait, for what they owe or for their records. If so the link, which is that of
/// one of their couriers or of their session, waits.
pub(super) fn must_wait(server: &mut ServerState, id: LinkId, user: UserId, is_courier: bool) -> bool {
    let mut waits = false;
    if let Some(free_at) = throttled_until(server, user) {
        let session = server.accounts[user].session.as_ref();
        let of_session = session.map(|session| Deadline::Throttle(user, session.serial));
        if let Some(deadline) = is_courier.then_some(Deadline::ThrottleCourier(id)).or(of_session) {
            server.deadlines.add(free_at, deadline);
            wait(server, id, Waits::RATE);
            waits = true;
        }
    }
    if is_courier && server.papers.lane.is_busy(user) {
        wait(server, id, Waits::CHANGE);
        waits = true;
    }
    if has_too_many_records(server, user) {
        wait(server, id, Waits::RECORDS);
        waits = true;
    }
    waits
}

/// A record of a user is settled: their next line need not wait any more.
pub(in crate::server) fn record_settled(server: &mut ServerState, user: UserId) {
    if !has_too_many_records(server, user) {
        end_wait_of(server, user, Waits::RECORDS);
    }
}

/// The wish of a user is settled: their next line is obeyed, or their account may go.
pub(in crate::server) fn read_on(server: &mut ServerState, user: UserId) {
    if server.accounts[user].is_leaving() {
        server.later.push_back(Later::Purge);
    }
    end_wait_of(server, user, Waits::CHANGE);
}

/// No link of a user waits for this any more.
fn end_wait_of(server: &mut ServerState, user: UserId, why: Waits) {
    let account = &server.accounts[user];
    for link in account.link().into_iter().chain(account.couriers.links()) {
        wait_no_more(server, link, why);
    }
}

/// Some of a link's output has left.
pub(super) fn lists_moved(server: &mut ServerState, id: LinkId) {
    if server.out.lists_waiting(id) <= WAITING_LISTS && !planted::is(Planted::ListsFillUp) {
        wait_no_more(server, id, Waits::LISTS);
    }
}

/// A user may be within their rate again, unless they have caused more since that was expected.
pub(in crate::server) fn throttle_due(server: &mut ServerState, user: UserId, serial: u64) {
    let session = server.accounts[user].session.as_ref().filter(|session| session.serial == serial);
    let Some(link) = session.and_then(|session| session.link) else { return };
    match throttled_until(server, user) {
        Some(free_at) => server.deadlines.add(free_at, Deadline::Throttle(user, serial)),
        None => wait_no_more(server, link, Waits::RATE),
    }
}

/// A courier's user may be within their rate again.
pub(in crate::server) fn throttle_courier_due(server: &mut ServerState, id: LinkId) {
    let Some(Stage::Carrying(user)) = super::links::stage(server, id) else { return };
    match throttled_until(server, user) {
        Some(free_at) => server.deadlines.add(free_at, Deadline::ThrottleCourier(id)),
        None => wait_no_more(server, id, Waits::RATE),
    }
}

/// The rate has changed: nobody owes anything any more.
pub(super) fn rate_changed(server: &mut ServerState) {
    for user in server.accounts.ids() {
        server.accounts[user].debt = Debt::default();
        end_wait_of(server, user, Waits::RATE);
    }
}

/// `unsettled_max` has changed: whoever waits for it is looked at again.
pub(super) fn records_limit_changed(server: &mut ServerState) {
    for user in server.accounts.ids() {
        record_settled(server, user);
    }
}

/// Whether a user's link waits, or holds lines: they are not idle meanwhile. That a turn is over, and nothing waits
/// for the next, keeps nobody from being idle.
pub(super) fn is_waiting(server: &ServerState, id: LinkId) -> bool {
    let waits = |link: &super::links::Link| link.waits.0 & !Waits::TURN.0 != 0 || !link.held.is_empty();
    server.door.links.get(&id).is_some_and(waits)
}

/// A link carries a session from now on: it waits for what its user waits for.
pub(super) fn join(server: &mut ServerState, id: LinkId, user: UserId) {
    assert!(
        super::links::stage(server, id) == Some(Stage::Member(user)),
        "a link joins the session that it carries"
    );
    // What was caused before, on another link or in another session, may not be paid for.
    look(server, id, user);
}
