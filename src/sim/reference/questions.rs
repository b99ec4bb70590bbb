//! What operators are answered who ask how the server is: `status`, `sessions`, `restraints`, `announcements`, and
//! `invite --list`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Reference, Server, later};
use crate::sim::check::Verdict;
use crate::time::Time;

/// Announcements are kept for thirty days.
const KEPT_SECS: u64 = 2_592_000;

impl Reference {
    pub(super) fn questioned(&mut self, now: Time, answers: &[String]) -> Verdict {
        let Some(server) = &mut self.server else { return Ok(()) };
        server.now = server.now.max(now);
        let wanted = server.answers();
        if wanted == answers {
            return Ok(());
        }
        let missing = wanted.iter().find(|line| !answers.contains(line));
        let added = answers.iter().find(|line| !wanted.contains(line));
        self.broken(now, "an operator reads what is so", format!("not {added:?} but {missing:?}"))
    }
}

impl Server {
    fn answers(&self) -> Vec<String> {
        let accounts = self.everybody().into_iter().filter(|user| !self.at(*user).is_gone());
        let mut lines = Vec::from([
            format!("accounts {}", accounts.count()),
            format!("links {}", self.links.len()),
            format!("sessions {}", self.roster.len()),
        ]);
        for user in self.everybody() {
            let account = self.at(user);
            if let Some(session) = &account.session {
                let idle_micros = self.now.0.saturating_sub(session.last_active.0);
                let idle = idle_micros / 1_000_000;
                let (name, from) = (&account.name, session.from);
                lines.push(format!("session {name} {from} {:?} {idle}", account.began));
            }
            for (how, until) in account.restraints.iter().filter(|(_, until)| **until > self.now) {
                lines.push(format!("restraint {} {how:?} {}", account.name, until.0));
            }
        }
        for (range, until) in self.ranges.iter().filter(|(_, until)| **until > self.now) {
            lines.push(format!("range {range} {}", until.0));
        }
        for said in self.announcements.values().filter(|said| later(said.at, KEPT_SECS) > self.now) {
            lines.push(format!("announcement {} {} {}", said.number, said.at.0, said.text));
        }
        for invite in self.invites.values() {
            lines.push(format!("{invite:?}"));
        }
        lines.sort();
        lines
    }
}
