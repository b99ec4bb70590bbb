//! What operators say to all, and what of it is kept for those who are away (R67).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::ServerState;
use super::accounts::UserId;
use super::acts::NotDone;
use super::papers::Then;
use super::papers::lane::{Subject, Subjects, Wish};
use super::wishes::{self, Decision};
use crate::planted::{self, Planted};
use crate::record::{Announcement, Change, Fact, Record};
use crate::wire::{Notice, ServerLine};
use crate::words::{LinkId, SharedText, Text, Ticket};

/// Announcements that are kept; the oldest makes room.
const KEPT: usize = 16;
/// For so long each is.
const KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);

/// Announcements that are kept, by number.
#[derive(Debug, Clone, Default)]
pub(super) struct Announcements {
    kept: BTreeMap<u32, Announcement>,
    /// Not below any number that was given.
    last: u32,
}

/// What a user has heard.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Heard {
    /// All announcements up to this one that were kept.
    pub(super) upto: u32,
    /// The same, as it is written.
    written: u32,
}

/// As other notices: whoever does not read misses it.
pub(super) fn say(server: &mut ServerState, text: Text<'_>) -> u64 {
    let links: Vec<LinkId> = connected(server).into_iter().map(|(_, link)| link).collect();
    let written = server.out.write_line(&ServerLine::Notice(Notice::Operator { text }));
    let most = if planted::is(Planted::AnnouncedToOne) { 1 } else { links.len() };
    links.into_iter().take(most).filter(|link| server.out.offer(*link, written)).count() as u64
}

/// Users who have a connection.
fn connected(server: &ServerState) -> Vec<(UserId, LinkId)> {
    let online = server.people.roster.users().iter();
    online.filter_map(|user| Some((*user, server.accounts[*user].link()?))).collect()
}

/// Something is to be said to all, and kept for those who are away.
pub(super) fn submit(server: &mut ServerState, ticket: Ticket, text: SharedText) {
    wishes::submit(server, Wish::Announce { ticket, text });
}

/// One is not to be kept any more.
pub(super) fn withdraw(server: &mut ServerState, ticket: Ticket, number: u32) {
    wishes::submit(server, Wish::Withdraw { ticket, number });
}

pub(super) fn subjects() -> Subjects {
    Subjects { reads: Vec::new(), writes: Vec::from([Subject::Announcements]) }
}

/// Says it to those who are there. It is kept once it is durable.
pub(super) fn decide(server: &mut ServerState, text: &SharedText) -> Decision {
    if server.announcements.kept.len() >= KEPT
        && let Some((&number, _)) = server.announcements.kept.first_key_value()
    {
        let forgotten = Record::Change(Change::AnnouncementWithdrawn { number });
        server.papers.persist(&mut server.out, forgotten, Then::Nothing);
    }
    let number = server.announcements.last.saturating_add(1);
    server.announcements.last = number;
    let there = connected(server);
    say(server, text.as_text());
    let concerned: Vec<UserId> = there.into_iter().map(|(user, _)| user).collect();
    for &user in &concerned {
        server.accounts[user].heard.upto = number;
    }
    let announcement = Announcement { number, at: server.now, text: text.clone() };
    Decision::Change { change: Change::Announced { announcement }, concerned }
}

pub(super) fn decide_withdrawal(server: &mut ServerState, ticket: Ticket, number: u32) -> Decision {
    if server.announcements.kept.contains_key(&number) {
        let change = Change::AnnouncementWithdrawn { number };
        return Decision::Change { change, concerned: Vec::new() };
    }
    server.out.acted(ticket, Err(NotDone::UnknownAnnouncement));
    Decision::Answered
}

/// It is durable, or the disk has refused it. Those who have come meanwhile hear it now.
pub(super) fn decided(server: &mut ServerState, ticket: Ticket, heard: usize, durable: bool) {
    if !durable {
        return server.out.acted(ticket, Err(NotDone::StorageUnavailable));
    }
    let mut reached = heard as u64;
    for (user, link) in connected(server) {
        reached += u64::from(catch_up(server, user, link) > 0);
    }
    server.out.acted(ticket, Ok(reached));
}

/// Says to a user what was said while they had no connection; how much that is.
pub(super) fn catch_up(server: &mut ServerState, user: UserId, link: LinkId) -> usize {
    let upto = server.accounts[user].heard.upto;
    let is_over = |said: &Announcement| said.at + KEPT_FOR <= server.now;
    let missed = server.announcements.kept.range(upto.saturating_add(1)..).map(|(_, said)| said);
    let missed: Vec<Announcement> = missed.filter(|said| !is_over(said)).cloned().collect();
    for said in &missed {
        server.out.send(link, &ServerLine::Notice(Notice::Operator { text: said.text.as_text() }));
    }
    if let Some((&last, _)) = server.announcements.kept.last_key_value()
        && !planted::is(Planted::KeptSaidAgain)
    {
        let heard = &mut server.accounts[user].heard;
        heard.upto = heard.upto.max(last);
    }
    missed.len()
}

/// A session ends, or is left to the next start: what its user has heard is written.
pub(super) fn note_heard(server: &mut ServerState, user: UserId) {
    let account = &mut server.accounts[user];
    let upto = account.heard.upto;
    if account.heard.written < upto && !planted::is(Planted::HeardNotWritten) {
        account.heard.written = upto;
        let heard = Fact::Heard { user: account.name.clone(), upto };
        let ServerState { papers, out, .. } = server;
        papers.persist_fact(out, heard);
    }
}

/// What a record of what a user has heard does.
pub(super) fn apply_heard(server: &mut ServerState, user: UserId, upto: u32) {
    server.accounts[user].heard = Heard { upto, written: upto };
    server.announcements.last = server.announcements.last.max(upto);
}

/// What the record of an announcement does.
pub(super) fn apply(server: &mut ServerState, announcement: &Announcement) {
    let Announcements { kept, last } = &mut server.announcements;
    *last = (*last).max(announcement.number);
    kept.insert(announcement.number, announcement.clone());
}

pub(super) fn apply_withdrawal(server: &mut ServerState, number: u32) {
    if !planted::is(Planted::WithdrawnIsKept) {
        server.announcements.kept.remove(&number);
    }
}

impl ServerState {
    /// What is kept for those who are away at this time, the oldest first.
    pub fn announcements(&self, now: crate::time::Time) -> impl Iterator<Item = &Announcement> {
        self.announcements.kept.values().filter(move |said| said.at + KEPT_FOR > now)
    }
}
