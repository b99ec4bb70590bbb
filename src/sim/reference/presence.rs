//! What is told of who comes and goes: some of it at once, then what lasts, and who is heard of (R46).

use alloc::format;
use alloc::vec::Vec;

use super::{Server, Timer, User, later};
use crate::server::Settings;
use crate::time::Time;
use crate::words::LinkId;

/// What was told of a user, over sessions.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// What was told last: that they are online.
    pub(super) told: bool,
    /// How many of `presence_burst` are used, and since when, or when one came back last.
    used: u32,
    since: Time,
    /// When they came or went last.
    changed: Time,
    /// When that is told, if it was not and lasts.
    due: Option<Time>,
}

/// `presence_burst` and `presence_settle_secs`, unless all is told at once.
fn bounds(settings: &Settings) -> Option<(u32, u64)> {
    let (burst, settle) = (settings.presence_burst, settings.presence_settle_secs);
    (burst > 0 && settle > 0).then_some((burst, settle))
}

impl Presence {
    /// One comes back each time that it takes to settle.
    fn give_back(&mut self, now: Time, settle_secs: u64) {
        while self.used > 0 && later(self.since, settle_secs) <= now {
            self.used -= 1;
            self.since = later(self.since, settle_secs);
        }
    }

    /// Uses one of the burst, if any is left.
    fn take_one(&mut self, now: Time, (burst, settle_secs): (u32, u64)) -> bool {
        self.give_back(now, settle_secs);
        let is_left = self.used < burst;
        if is_left {
            if self.used == 0 {
                self.since = now;
            }
            self.used += 1;
        }
        is_left
    }
}

impl Server {
    /// A session has begun or ended.
    pub(super) fn came_or_went(&mut self, user: User) {
        self.settle_no_more(user);
        let (now, bounds) = (self.now, bounds(&self.settings));
        let account = self.at_mut(user);
        account.presence.changed = now;
        if account.session.is_some() == account.presence.told {
            return;
        }
        match bounds {
            Some(bounds @ (_, settle_secs)) if !account.presence.take_one(now, bounds) => {
                self.settle_at(user, later(now, settle_secs));
            }
            _ => self.tell_how_it_is(user),
        }
    }

    /// A user is about to be heard of: the others are told before that they are online.
    pub(super) fn will_be_heard_of(&mut self, user: User) {
        if self.session(user).is_some() && !self.at(user).presence.told {
            self.tell_how_it_is(user);
        }
    }

    /// What was not told has lasted.
    pub(super) fn settled(&mut self, user: User) {
        self.at_mut(user).presence.due = None;
        self.tell_how_it_is(user);
    }

    /// The account goes: nobody believes any more that its user is online (R41).
    pub(super) fn tell_of_purge(&mut self, user: User) {
        self.settle_no_more(user);
        if self.at(user).presence.told {
            self.tell(user, false);
        }
    }

    /// The operator has changed how much is told at once, or what lasts: that holds at once, for what waits too.
    pub(super) fn presence_settings_changed(&mut self) {
        let bounds_now = bounds(&self.settings);
        for user in self.everybody() {
            let presence = &mut self.at_mut(user).presence;
            presence.used = 0;
            let (waits, changed) = (presence.due.is_some(), presence.changed);
            self.settle_no_more(user);
            match bounds_now {
                _ if !waits => {}
                Some((_, settle_secs)) => self.settle_at(user, later(changed, settle_secs)),
                None => self.tell_how_it_is(user),
            }
        }
    }

    fn settle_at(&mut self, user: User, due: Time) {
        self.at_mut(user).presence.due = Some(due);
        self.set(due, Timer::Settle(user));
    }

    fn settle_no_more(&mut self, user: User) {
        if let Some(due) = self.at_mut(user).presence.due.take() {
            self.timers.remove(&(due, Timer::Settle(user)));
        }
    }

    fn tell_how_it_is(&mut self, user: User) {
        self.settle_no_more(user);
        self.tell(user, self.session(user).is_some());
    }

    /// Tells each user who may know (features 4.3).
    fn tell(&mut self, user: User, online: bool) {
        self.at_mut(user).presence.told = online;
        let may_know = |viewer: &&User| **viewer != user && !self.has_blocked(user, **viewer);
        let viewers = self.roster.iter().filter(may_know);
        let links: Vec<LinkId> = viewers.filter_map(|viewer| self.at(*viewer).link()).collect();
        let line = [format!("{} {}", if online { "online" } else { "offline" }, self.name(user))];
        for link in links {
            self.notify(link, &line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_that_is_used_comes_back_after_the_one_before() {
        let second = 1_000_000;
        let mut presence = Presence::default();
        let mut take = |at: u64| presence.take_one(Time(at), (2, 15));
        assert_eq!([100, 100 + 5 * second, 100 + 15 * second - 1].map(&mut take), [true, true, false]);
        // The first is back, then both.
        assert_eq!([100 + 15 * second, 100 + 16 * second].map(&mut take), [true, false]);
        assert_eq!([100 + 45 * second, 100 + 45 * second].map(&mut take), [true, true]);
        // What is used when none was begins the count anew.
        assert_eq!([100 + 60 * second - 1, 100 + 60 * second].map(&mut take), [false, true]);
    }
}
