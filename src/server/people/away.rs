//! `away`: what a user who does not answer lets others know, as long as their session lasts.

use alloc::vec::Vec;

use super::blocks;
use crate::planted::{self, Planted};
use crate::record::Outcome;
use crate::server::accounts::UserId;
use crate::server::answers::{self, Asker};
use crate::server::{ServerState, session};
use crate::wire::{Answer, Code, ServerLine};
use crate::words::{Name, SharedText, Text};

/// The longest text, so that a line of a list costs one unit.
const AWAY_BYTES: usize = 256;

/// Carries out `away`.
pub(in crate::server) fn go(server: &mut ServerState, asker: &Asker, text: Text<'_>) {
    if text.as_str().len() > AWAY_BYTES && !planted::is(Planted::LongAwayKept) {
        return answers::fail(server, asker, Code::TooLong);
    }
    if let Some(session) = server.accounts[asker.user].session.as_mut() {
        session.away = Some(text.into());
    }
    answers::answer(server, asker, Outcome::Done, Answer::Away);
}

/// Carries out `back`, which is right for those who are not away too.
pub(in crate::server) fn come_back(server: &mut ServerState, asker: &Asker) {
    if let Some(session) = server.accounts[asker.user].session.as_mut()
        && !planted::is(Planted::BackIgnored)
    {
        session.away = None;
    }
    answers::answer(server, asker, Outcome::Done, Answer::Back);
}

/// What a user has said to be away for, if the asker may know: nothing comes from one to the other, in either
/// direction, where one has blocked the other.
fn heard<'a>(server: &'a ServerState, asker: &Asker, user: UserId) -> Option<Text<'a>> {
    let text = server.accounts[user].session.as_ref()?.away.as_ref().map(SharedText::as_text)?;
    let hidden = blocks::has_blocked(server, user, asker.user) && !planted::is(Planted::BlockSkippedInAway);
    let refused = blocks::has_blocked(server, asker.user, user) && !planted::is(Planted::BlockedAwayHeard);
    (!hidden && !refused).then_some(text)
}

/// Whether the asker's program reads such lines.
fn reads(server: &ServerState, asker: &Asker) -> bool {
    let link = answers::asker_link(server, asker);
    link.is_some_and(|link| server.door.reads_away(link) || planted::is(Planted::AwayForAll))
}

/// Appends a line for each of these users who is away, in the order of their names, and says how many.
pub(super) fn list(server: &ServerState, asker: &Asker, users: &[UserId], lines: &mut Vec<u8>) -> u64 {
    if !reads(server, asker) || planted::is(Planted::AwayNotListed) {
        return 0;
    }
    let away = |user: &UserId| Some((server.accounts.name(*user), heard(server, asker, *user)?));
    let mut all: Vec<(&Name, Text<'_>)> = users.iter().filter_map(away).collect();
    all.sort_unstable_by_key(|(name, _)| *name);
    for &(name, text) in &all {
        encode(asker, name, text, lines);
    }
    all.len() as u64
}

/// Says that the recipient of a message is away, before its answer. The sender pays for it.
pub(in crate::server) fn tell(server: &mut ServerState, asker: &Asker, user: UserId) {
    let Some(text) = heard(server, asker, user) else { return };
    if !reads(server, asker) {
        return;
    }
    let mut line = Vec::new();
    encode(asker, server.accounts.name(user), text, &mut line);
    if !planted::is(Planted::AwayIsFree) {
        session::charge(server, asker.user, 1);
    }
    if let Some(link) = answers::asker_link(server, asker) {
        let written = server.out.write(|out| out.extend_from_slice(&line));
        server.out.queue(link, written);
    }
}

fn encode(asker: &Asker, name: &Name, text: Text<'_>, lines: &mut Vec<u8>) {
    ServerLine::Away { number: asker.number, user: name.as_str(), text }.encode(lines);
}
