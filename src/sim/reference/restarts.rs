//! Restarts: sessions go on over them (R58).

use alloc::vec::Vec;

use super::door::Stage;
use super::sessions::{Delivery, End, Session};
use super::{Server, Timer, User, later};
use crate::record::{AfterEnd, Fact};
use crate::time::Time;
use crate::words::{LinkId, LoginNumber};

impl Server {
    pub(super) fn restart(&mut self) {
        self.stopping = true;
        self.drop_waiting(|_| true);
        let users = self.roster.clone();
        for &user in &users {
            self.store_all_under_way(user);
        }
        let comes_back = |user: &User| self.at(*user).token.is_some() && !self.at(*user).is_gone();
        let (back, over): (Vec<User>, Vec<User>) = users.into_iter().partition(comes_back);
        over.into_iter().for_each(|user| self.end_session(user, End::Restarted));
        for user in back {
            let (user_name, at) = (self.name(user).clone(), self.now);
            self.write_heard(user);
            self.persist_fact(Fact::SessionEnded { user: user_name, after: AfterEnd::Held, at });
            if let Some(link) = self.session_mut(user).and_then(|session| session.link.take()) {
                self.detach(link);
            }
        }
        let rest: Vec<LinkId> = self.links.keys().copied().collect();
        for id in rest {
            match self.stage(id).cloned() {
                Some(Stage::Parting(..)) => self.part(id),
                Some(Stage::Entering(user, entry)) => {
                    self.never_entered(user, &entry);
                    self.detach(id);
                }
                _ => self.detach(id),
            }
        }
        self.write_kept();
    }

    /// At a start: the sessions that a restart has left go on, if it was not too long ago.
    pub(super) fn take_up(&mut self, held: Vec<(User, Time)>) {
        let (now, grace_secs) = (self.now, self.settings.restart_grace_secs);
        for (user, since) in held {
            if self.barred(user).is_some() {
                continue;
            }
            let account = self.at(user);
            let Some(began) = account.began.filter(|_| account.token.is_some() && !account.is_gone()) else {
                continue;
            };
            if grace_secs == 0 || later(since, grace_secs) <= now {
                continue;
            }
            let (name, login, token) = (account.name.clone(), LoginNumber(account.login), account.token);
            self.roster.push(user);
            let serial = self.next_serial();
            let session = Session::without_link(serial, now);
            self.at_mut(user).session = Some(session);
            self.at_mut(user).presence.told = true;
            self.note_began(user, began);
            self.persist_fact(Fact::SessionBegan { user: name, login, token, at: began });
            self.idle_due(user, serial);
            self.set(later(now, grace_secs), Timer::Grace(user, serial));
        }
    }
}

impl Session {
    fn without_link(serial: u64, now: Time) -> Session {
        Session {
            serial,
            link: None,
            from: core::net::SocketAddr::from(([0, 0, 0, 0], 0)),
            lost_at: now,
            held: true,
            away: None,
            last_active: now,
            announced_after: None,
            looked_at: None,
            delivery: Delivery::default(),
        }
    }
}
