//! `broadcast`: to every other user online, at once, never stored.

use alloc::vec::Vec;

use super::ServerState;
use super::accounts::UserId;
use super::commands::Asker;
use super::settings::BroadcastReport;
use crate::planted::{self, Planted};
use crate::record::{Outcome, RecordNumber};
use crate::wire::{Answer, Delivery, Freshness, ServerLine};
use crate::words::{LinkId, MessageId, Text};

impl ServerState {
    pub(super) fn broadcast(&mut self, asker: Asker, text: Text<'_>) {
        let mut links: Vec<LinkId> = Vec::with_capacity(self.online.len());
        let mut barred: Vec<UserId> = Vec::new();
        for &user in
            self.online.iter().filter(|&&user| user != asker.user || planted::is(Planted::BroadcastToSelf))
        {
            if !self.reach(asker.user, user).is_shut() || planted::is(Planted::BlockSkippedInBroadcast) {
                links.extend(self.accounts[user].session.as_ref().and_then(|session| session.link));
            } else if self.block_of(user, asker.user).is_shut() {
                // What the sender's own block keeps from somebody (`block_mutual`) is no news to him.
                barred.push(user);
            }
        }
        self.charge(asker.user, links.len() as u64);
        self.broadcasts += 1;
        let line = ServerLine::Broadcast(Delivery {
            id: MessageId { boot: self.boot, number: self.broadcasts },
            from: self.accounts.name(asker.user).as_str(),
            sent_at: self.now,
            origin: asker.origin(),
            freshness: Freshness::Live,
            text,
        });
        // Written once, shared by all.
        let written = self.outbox.write(|out| line.encode(out));
        for &link in &links {
            self.queue(link, RecordNumber(0), written);
        }
        self.report_broadcast(&asker, links.len(), &barred);
    }

    fn report_broadcast(&mut self, asker: &Asker, recipients: usize, barred: &[UserId]) {
        if self.settings.broadcast_report == BroadcastReport::Names {
            let names: Vec<crate::words::Name> =
                barred.iter().map(|&user| self.accounts.name(user).clone()).collect();
            let mut names: Vec<&str> = names.iter().map(crate::words::Name::as_str).collect();
            names.sort_unstable();
            self.send_users(asker, &names);
        }
        let withheld = !barred.is_empty() && self.settings.broadcast_report != BroadcastReport::None;
        let outcome =
            Outcome::Broadcast { recipients: u32::try_from(recipients).unwrap_or(u32::MAX), withheld };
        let recipients = recipients as u64;
        self.answer(asker, None, outcome, Answer::Broadcast { recipients, withheld });
    }
}
