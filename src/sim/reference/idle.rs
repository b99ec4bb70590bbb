//! Sessions without activity: the notice and the timeout (R20).

use alloc::format;

use super::door::waits;
use super::sessions::End;
use super::{Server, Timer, User, later};
use crate::time::Time;
use crate::words::LinkId;

impl Server {
    pub(super) fn idle_due(&mut self, user: User, serial: u64) {
        let Some(session) = self.session_of(user).filter(|session| session.serial == serial) else { return };
        let not_idle = |id: LinkId| {
            self.links.get(&id).is_some_and(|link| link.waits & !waits::TURN != 0 || !link.held.is_empty())
        };
        if session.link.is_some_and(not_idle) {
            self.note_activity(user, true);
        }
        if self.idle_until(user).is_some_and(|until| until <= self.now) {
            self.end_session(user, End::Farewell("timeout", None));
        } else {
            self.announce_timeout(user);
            self.look_again(user);
        }
    }

    /// A session that has been without activity for long hears how many seconds are left (R20).
    fn announce_timeout(&mut self, user: User) {
        let now = self.now;
        if self.announced_at(user).is_none_or(|at| at > now) {
            return;
        }
        let Some(until) = self.idle_until(user) else { return };
        let Some(session) = self.session_mut(user) else { return };
        session.announced_after = Some(session.last_active);
        let (link, left) = (session.link, (until.0 - now.0).div_ceil(1_000_000));
        if let Some(id) = link {
            self.send(id, &format!("notice idle {left}"));
        }
    }

    /// When that is said, unless it was.
    fn announced_at(&self, user: User) -> Option<Time> {
        let session = self.session(user).filter(|one| one.announced_after != Some(one.last_active))?;
        let timeout_secs = self.settings.timeout_secs;
        let silent_secs =
            if timeout_secs > 120 { timeout_secs - 60 } else { timeout_secs - timeout_secs / 2 };
        (timeout_secs > 1).then(|| later(session.last_active, silent_secs))
    }

    fn idle_until(&self, user: User) -> Option<Time> {
        let timeout_secs = self.settings.timeout_secs;
        let session = self.session(user).filter(|_| timeout_secs > 0)?;
        Some(later(session.last_active, timeout_secs))
    }

    pub(super) fn look_again(&mut self, user: User) {
        self.look_at(user, self.announced_at(user).or(self.idle_until(user)));
    }

    pub(super) fn look_at(&mut self, user: User, due: Option<Time>) {
        let Some(session) = self.session_mut(user) else { return };
        let timer = Timer::Idle(user, session.serial);
        let before = core::mem::replace(&mut session.looked_at, due);
        if let Some(before) = before {
            self.timers.remove(&(before, timer));
        }
        if let Some(due) = due {
            self.set(due, timer);
        }
    }
}
