//! `broadcast`: to every other user online, at once, never stored.

use alloc::vec::Vec;

use crate::planted::{self, Planted};
use crate::record::Outcome;
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::answers::{self, Asker};
use crate::server::out::word_lines;
use crate::server::people::{blocks, presence};
use crate::server::session;
use crate::server::settings::BroadcastReport;
use crate::wire::{Answer, Delivery, Freshness, ServerLine, Words};
use crate::words::{LinkId, MessageId, Text};

pub(in crate::server) fn broadcast(server: &mut ServerState, asker: &Asker, text: Text<'_>) {
    let mut links: Vec<LinkId> = Vec::with_capacity(server.people.roster.users().len());
    let mut barred: Vec<UserId> = Vec::new();
    let to_self = planted::is(Planted::BroadcastToSelf);
    for &user in server.people.roster.users().iter().filter(|&&user| user != asker.user || to_self) {
        let skipped = planted::is(Planted::BlockSkippedInBroadcast);
        if blocks::may_reach(server, asker.user, user) || skipped {
            links.extend(server.accounts[user].link());
        } else if blocks::has_blocked(server, user, asker.user) {
            // What the sender's own block keeps from somebody (`block_mutual`) is no news to the sender.
            barred.push(user);
        }
    }
    presence::reveal(server, asker.user);
    server.post.broadcasts += 1;
    server.tally.broadcasts += 1;
    let line = ServerLine::Broadcast(Delivery {
        id: MessageId { boot: server.boot, number: server.post.broadcasts },
        from: server.accounts.name(asker.user).as_str(),
        sent_at: server.now,
        origin: asker.origin(),
        freshness: Freshness::Live,
        text,
    });
    // Written once, shared by all.
    let written = server.out.write_line(&line);
    let recipients = links.into_iter().filter(|link| server.out.offer(*link, written)).count();
    let cost = recipients as u64 * session::units_for(text.as_str().len());
    session::charge(server, asker.user, if planted::is(Planted::BroadcastIsFree) { 0 } else { cost });
    report(server, asker, recipients, &barred);
}

fn report(server: &mut ServerState, asker: &Asker, recipients: usize, barred: &[UserId]) {
    let mut lines = Vec::new();
    // A repeat of one with an id gets the answer alone, and so does the first.
    if server.settings.broadcast_report == BroadcastReport::Names && asker.send.is_none() {
        session::charge(server, asker.user, barred.len() as u64);
        for line in word_lines(&server.accounts.sorted_names(barred)) {
            let Some(users) = Words::new(&line) else { unreachable!("names hold no line feed") };
            ServerLine::Users { number: asker.number, users }.encode(&mut lines);
        }
    }
    let told =
        server.settings.broadcast_report != BroadcastReport::None || planted::is(Planted::ReportNoneTells);
    let offline =
        planted::is(Planted::WithheldByOffline) && !blocks::blockers_of(server, asker.user).is_empty();
    let withheld = (!barred.is_empty() || offline) && told;
    let recipients = recipients + usize::from(planted::is(Planted::BroadcastCountsSender));
    let outcome = Outcome::Broadcast { recipients: u32::try_from(recipients).unwrap_or(u32::MAX), withheld };
    let answer = Answer::Broadcast { recipients: recipients as u64, withheld };
    ServerLine::Done { number: asker.number, answer }.encode(&mut lines);
    let written = server.out.write(|out| out.extend_from_slice(&lines));
    answers::answer_written(server, asker, outcome, written);
}
