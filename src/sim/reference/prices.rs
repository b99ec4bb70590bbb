//! What users cause is paid for, connections take turns, and little of a user is on its way to the disk (R42 to R44).

use super::door::{Stage, waits};
use super::{Server, Timer, User};
use crate::record::Record;
use crate::time::Time;
use crate::words::LinkId;

/// Units after which the turn of a connection is over (R43).
const TURN_UNITS: u64 = 64;
/// Bytes of a text or of lines that cost one unit, begun ones too (R42).
const UNIT_BYTES: u64 = 256;
/// What a unit is counted in, so that `rate_per_s` of them are paid off in a microsecond.
const MILLIONTHS: u64 = 1_000_000;
pub(super) const STORED: u64 = 4;
pub(super) const CHANGE: u64 = 20;
pub(super) const MEMBER: u64 = 20;
pub(super) const INTRODUCTION: u64 = 20;
pub(super) const RESUMPTION: u64 = 20;
pub(super) const RELAY: u64 = 20;

/// What so many bytes cost.
pub(super) const fn units_of(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(UNIT_BYTES)
}

/// What a user owed at some time, in millionths of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Debt {
    millionths: u64,
    at: Time,
}

impl Debt {
    pub(super) const fn left(self, now: Time, rate_per_s: u64) -> u64 {
        let paid = now.0.saturating_sub(self.at.0).saturating_mul(rate_per_s);
        self.millionths.saturating_sub(paid)
    }

    pub(super) const fn grown(self, now: Time, rate_per_s: u64, units: u64) -> Debt {
        let more = units.saturating_mul(MILLIONTHS);
        Debt { millionths: self.left(now, rate_per_s).saturating_add(more), at: now }
    }

    /// The first whole microsecond at which less than `burst` units are owed, if that is not now.
    pub(super) fn pressing_until(self, now: Time, rate_per_s: u64, burst: u64) -> Option<Time> {
        let over = self.left(now, rate_per_s).checked_sub(burst.saturating_mul(MILLIONTHS))?;
        Some(Time(now.0.saturating_add(over / rate_per_s + 1)))
    }
}

impl Server {
    /// `rate_burst` and `rate_per_s`, unless nobody owes anything.
    fn rate(&self) -> Option<(u64, u64)> {
        let (burst, rate) = (u64::from(self.settings.rate_burst), u64::from(self.settings.rate_per_s));
        (burst > 0 && rate > 0).then_some((burst, rate))
    }

    pub(super) fn charge(&mut self, user: User, units: u64) {
        if let Some((of, charged)) = &mut self.charged
            && *of == user
        {
            *charged += units;
        }
        if let Some((_, rate)) = self.rate() {
            let now = self.now;
            let account = self.at_mut(user);
            account.debt = account.debt.grown(now, rate, units);
        }
    }

    fn owes_until(&self, user: User) -> Option<Time> {
        let (burst, rate) = self.rate()?;
        self.at(user).debt.pressing_until(self.now, rate, burst)
    }

    fn is_beyond_unsettled(&self, user: User) -> bool {
        let records = self.under_way.iter().map(|under_way| match &under_way.record {
            Record::MailStored { mail, .. } => 256 + mail.text.len() as u64,
            _ => 256,
        });
        let queue = self.settings.store_queue_bytes;
        let is_full = queue > 0 && self.at(user).unsettled > 0 && records.sum::<u64>() >= queue;
        let most = if is_full { 1 } else { self.settings.unsettled_max };
        most > 0 && self.at(user).unsettled >= most
    }

    /// Before a line: whether it has to wait because of what its user has caused before.
    pub(super) fn waits_for_user(&mut self, id: LinkId) -> bool {
        let (user, timer) = match self.stage(id) {
            Some(Stage::Member(user)) => match self.session(*user) {
                Some(session) => (*user, Timer::Throttle(*user, session.serial)),
                None => return false,
            },
            Some(Stage::Carrying(user)) => (*user, Timer::ThrottleCourier(id)),
            _ => return false,
        };
        let changes = timer == Timer::ThrottleCourier(id) && self.has_wish(user);
        if changes {
            self.wait(id, waits::CHANGE);
        }
        let owes = self.owes_until(user);
        let beyond = self.is_beyond_unsettled(user);
        if let Some(at) = owes {
            self.set(at, timer);
            self.wait(id, waits::RATE);
        }
        if beyond {
            self.wait(id, waits::DISK);
        }
        owes.is_some() || beyond || changes
    }

    pub(super) fn throttle_courier_due(&mut self, id: LinkId) {
        let waits = self.links.get(&id).is_some_and(|link| link.waits & waits::RATE != 0);
        let Some(Stage::Carrying(user)) = self.stage(id).filter(|_| waits).cloned() else { return };
        match self.owes_until(user) {
            Some(at) => self.set(at, Timer::ThrottleCourier(id)),
            None => self.wait_no_more(id, waits::RATE),
        }
    }

    /// Nothing of a user waits for this any more, on whatever link.
    pub(super) fn end_wait_of(&mut self, user: User, why: u8) {
        let account = self.at(user);
        let links: alloc::vec::Vec<LinkId> =
            account.link().into_iter().chain(account.couriers.iter().copied()).collect();
        for link in links {
            self.wait_no_more(link, why);
        }
    }

    pub(super) fn throttle_due(&mut self, user: User, serial: u64) {
        let session = self.session_of(user).filter(|session| session.serial == serial);
        let Some(link) = session.and_then(|session| session.link) else { return };
        if self.links.get(&link).is_none_or(|link| link.waits & waits::RATE == 0) {
            return;
        }
        match self.owes_until(user) {
            Some(at) => self.set(at, Timer::Throttle(user, serial)),
            None => self.wait_no_more(link, waits::RATE),
        }
    }

    /// The operator has changed what users may owe: nobody owes anything.
    pub(super) fn rate_changed(&mut self) {
        for user in self.everybody() {
            self.at_mut(user).debt = Debt::default();
            self.end_wait_of(user, waits::RATE);
        }
    }

    /// Nobody waits for a limit that holds no more.
    pub(super) fn unsettled_max_changed(&mut self) {
        for user in self.everybody() {
            self.look_at_unsettled(user);
        }
    }

    fn look_at_unsettled(&mut self, user: User) {
        if !self.is_beyond_unsettled(user) {
            self.end_wait_of(user, waits::DISK);
        }
    }

    /// Something of the user is on its way to the disk (R44).
    pub(super) fn begin_unsettled(&mut self, user: User) {
        self.at_mut(user).unsettled += 1;
    }

    pub(super) fn end_unsettled(&mut self, user: User) {
        self.at_mut(user).unsettled -= 1;
        self.look_at_unsettled(user);
    }

    /// A line was obeyed: it counts as what its user was charged meanwhile, and at least 1.
    pub(super) fn count_in_turn(&mut self, id: LinkId) {
        let charged = self.charged.take().map_or(0, |(_, charged)| charged);
        let Some(link) = self.links.get_mut(&id) else { return };
        link.turn += charged.max(1);
        if link.turn >= TURN_UNITS && link.waits & waits::TURN == 0 {
            link.waits |= waits::TURN;
            self.turns.push_back(id);
        }
    }

    /// The first of those that wait for a turn has it.
    pub(super) fn give_turn(&mut self) {
        let Some(id) = self.turns.pop_front() else { return };
        if let Some(link) = self.links.get_mut(&id) {
            link.turn = 0;
        }
        self.wait_no_more(id, waits::TURN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begun_bytes_cost_as_much_as_whole_ones() {
        assert_eq!([0, 1, 256, 257, 512, 513].map(units_of), [0, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn a_debt_is_paid_off_evenly_and_presses_until_it_is_less_than_the_burst() {
        let debt = Debt::default().grown(Time(100), 3, 2);
        assert_eq!(debt.left(Time(100), 3), 2_000_000);
        assert_eq!(debt.left(Time(101), 3), 1_999_997);
        // One unit and no more is owed after 333,333 and a third microseconds; less than it after 333,334.
        assert_eq!(debt.pressing_until(Time(100), 3, 1), Some(Time(100 + 333_334)));
        assert_eq!(debt.pressing_until(Time(100 + 333_333), 3, 1), Some(Time(100 + 333_334)));
        assert_eq!(debt.pressing_until(Time(100 + 333_334), 3, 1), None);
        // To owe exactly the burst is to owe as much.
        assert_eq!(debt.pressing_until(Time(100), 2, 2), Some(Time(101)));
        assert_eq!(debt.left(Time(u64::MAX), u64::from(u32::MAX)), 0);
    }

    #[test]
    fn what_is_charged_later_is_added_to_what_is_left() {
        let debt = Debt::default().grown(Time(0), 1, 1).grown(Time(250_000), 1, 1);
        assert_eq!(debt.left(Time(250_000), 1), 1_750_000);
        assert_eq!(debt.grown(Time(9_000_000), 1, 1).left(Time(9_000_000), 1), 1_000_000);
    }
}
