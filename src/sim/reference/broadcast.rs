//! Broadcasts: to all who are online, and never stored (R29).

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::answers::{Asker, name_lines, reach_word};
use super::prices::units_of;
use super::{Server, User};
use crate::record::Outcome;
use crate::server::settings::BroadcastReport;
use crate::words::{LinkId, MessageId};

impl Server {
    pub(super) fn broadcast(&mut self, asker: &Asker, text: &str) {
        self.will_be_heard_of(asker.user);
        let others: Vec<User> = self.roster.iter().copied().filter(|user| *user != asker.user).collect();
        let (open, closed): (Vec<User>, Vec<User>) =
            others.into_iter().partition(|user| self.may_reach(asker.user, *user));
        let links: Vec<LinkId> = open.into_iter().filter_map(|user| self.at(user).link()).collect();
        self.broadcasts += 1;
        let origin = asker.origin().map_or_else(|| "-".to_string(), |origin| format!("{origin}"));
        let (id, from) = (MessageId { boot: self.boot, number: self.broadcasts }, self.name(asker.user));
        let line = format!("broadcast {id} {from} {} {origin} live {text}", self.now.0);
        let mut recipients = 0;
        for link in links {
            if self.notify(link, core::slice::from_ref(&line)) {
                self.charge(asker.user, units_of(text.len()));
                recipients += 1;
            }
        }
        let barred: Vec<User> =
            closed.into_iter().filter(|user| self.has_blocked(*user, asker.user)).collect();
        let report = self.settings.broadcast_report;
        let withheld = !barred.is_empty() && report != BroadcastReport::None;
        let head = format!("users {}", asker.tag());
        let lines = match report {
            BroadcastReport::Names if asker.send.is_none() => {
                self.charge(asker.user, barred.len() as u64);
                name_lines(head.trim_end(), &self.sorted_names(barred))
            }
            BroadcastReport::Names | BroadcastReport::Generic | BroadcastReport::None => Vec::new(),
        };
        let outcome = Outcome::Broadcast { recipients, withheld };
        let answer = format!("broadcast {recipients} {}", reach_word(withheld));
        self.answer_after(asker, outcome, &lines, &answer);
    }
}
