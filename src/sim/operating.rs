//! What operators do.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::cast::{USERS, any_address, hand_address, shared};
use super::scenario::Step;
use super::trace::{Seen, Told};
use super::world::World;
use crate::record::Restraint;
use crate::server::operators::{Census, Seat};
use crate::server::{Act, Event};
use crate::time::Time;
use crate::words::{AddressRange, Name, Ticket};

impl World {
    /// An operator does something about a user, or somebody who is none, or all.
    pub(super) fn operate(&mut self, step: Step) {
        let name = if step.salt.is_multiple_of(13) { "nobody-1" } else { self.user(step.actor.into()) };
        let Ok(user) = Name::new(name) else { return };
        let act = match step.argument % 12 {
            0..6 if step.salt % 16 == 15 => self.range_ban(step),
            0..6 => {
                let how = Restraint::ALL[usize::try_from(step.salt % 3).unwrap_or(0)];
                let secs = [0, 1, 30, 600, 7_200, u64::MAX, u64::MAX]
                    [usize::try_from(step.salt / 3 % 7).unwrap_or(0)];
                let now = self.host.clock(self.now);
                let until = match secs {
                    0 => None,
                    u64::MAX => Some(Time::MAX),
                    secs => Some(Time(now.0 + secs * 1_000_000)),
                };
                Act::Restrain { user, how, until }
            }
            act => self.act_at_once(step, user, act),
        };
        let restrains = matches!(act, Act::Restrain { until: Some(_), .. });
        self.operator_acts(act);
        if restrains && step.salt % 11 < 2 {
            // In the last moment before it.
            self.restart_server(1_000_000 * u64::from(1 + step.salt / 11 % 4));
        }
    }

    /// Of one host, a network, or all but a few; some are of those where nobody is.
    fn range_ban(&mut self, step: Step) -> Act {
        let place = u64::from(step.salt / 16);
        let address = match step.actor % 4 {
            0 => hand_address(0, step.actor / 4).ip(),
            1 => any_address(0, place).ip(),
            _ => self.host_of_a_link(place),
        };
        let bits = match (step.salt / 64 % 4, address) {
            (0 | 1, IpAddr::V4(_)) => 32,
            (0 | 1, IpAddr::V6(_)) => 128,
            (2, _) => 24,
            (_, _) => 8,
        };
        let range = AddressRange::new(address, bits).or_else(|| AddressRange::new(address, 32));
        let range = range.unwrap_or_else(|| unreachable!("no address has fewer bits"));
        self.banned.insert(range);
        let secs = [0, 1, 30, 600, u64::MAX][usize::try_from(step.salt / 256 % 5).unwrap_or(0)];
        let now = self.host.clock(self.now);
        let until = match secs {
            0 => None,
            u64::MAX => Some(Time::MAX),
            secs => Some(Time(now.0 + secs * 1_000_000)),
        };
        Act::BanRange { range, until }
    }

    /// Where one of those who are connected comes from.
    fn host_of_a_link(&self, place: u64) -> IpAddr {
        let seats = self.host.state.iter().flat_map(|state| state.seats(self.now));
        let open: Vec<IpAddr> = seats.map(|seat| seat.from.ip()).collect();
        let at = usize::try_from(place % open.len().max(1) as u64).unwrap_or(0);
        open.get(at).copied().unwrap_or_else(|| any_address(0, place).ip())
    }

    /// The operators lift what they keep users from.
    pub(super) fn lift_all_restraints(&mut self) {
        for range in self.banned.clone() {
            self.operator_acts(Act::BanRange { range, until: None });
        }
        for name in USERS {
            let Ok(user) = Name::new(name) else { continue };
            for &how in Restraint::ALL {
                self.operator_acts(Act::Restrain { user: user.clone(), how, until: None });
            }
        }
    }

    fn act_at_once(&mut self, step: Step, user: Name, act: u16) -> Act {
        let says = |world: &mut World| shared(&world.new_text());
        match act {
            6 | 7 => {
                let reason = step.salt.is_multiple_of(2).then(|| says(self));
                Act::Kick { user, reason }
            }
            8 => match step.salt % 4 {
                0 => Act::Announce(says(self)),
                1 => Act::Withdraw(step.salt / 4 % 6),
                _ => Act::AnnounceKept(says(self)),
            },
            _ => {
                let known = USERS.iter().find(|known| **known == user.as_str());
                if let Some(name) = known.filter(|_| step.salt.is_multiple_of(3)) {
                    self.guess_in_vain(name);
                }
                Act::Unlock(user)
            }
        }
    }

    pub(super) fn operator_acts(&mut self, act: Act) {
        if !self.host.is_up() {
            return;
        }
        self.host.acts += 1;
        let ticket = Ticket(self.host.acts);
        self.trace.add(self.now, Seen::OperatorWants { ticket, act: act.clone() });
        self.tell_server(Event::Operator { ticket, act: Box::new(act) }, Told::Operator { ticket });
        self.ask_how_it_is();
    }

    /// Each question that an operator may ask, whatever has come of what they wanted so far.
    fn ask_how_it_is(&mut self) {
        let now = self.host.clock(self.now);
        let Some(state) = &self.host.state else { return };
        let Census { sessions, links, accounts, .. } = state.census(now);
        let mut answers = Vec::from([
            format!("accounts {accounts}"),
            format!("links {links}"),
            format!("sessions {sessions}"),
        ]);
        for Seat { user, from, since, idle_secs } in state.seats(now) {
            answers.push(format!("session {user} {from} {since:?} {idle_secs}"));
        }
        for (user, how, until) in state.restraints(now) {
            answers.push(format!("restraint {user} {how:?} {}", until.0));
        }
        for (range, until) in state.banned_ranges().filter(|(_, until)| *until > now) {
            answers.push(format!("range {range} {}", until.0));
        }
        for said in state.announcements(now) {
            answers.push(format!("announcement {} {} {}", said.number, said.at.0, said.text));
        }
        answers.extend(state.invites().into_iter().map(|invite| format!("{invite:?}")));
        answers.sort();
        self.trace.add(self.now, Seen::Questioned { answers });
    }
}
