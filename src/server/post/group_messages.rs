//! `message group`: to every member, each as a message of its own; answered once all are settled.

use super::messages::{self, Letter};
use crate::planted::{self, Planted};
use crate::record::Outcome;
use crate::server::ServerState;
use crate::server::answers::{self, Asker, Tell};
use crate::server::papers::Then;
use crate::server::people::{blocks, groups, presence};
use crate::server::session;
use crate::wire::{Answer, Code, Status};
use crate::words::{Name, Text};

/// A group message whose members are not all settled.
#[derive(Debug, Clone)]
pub(super) struct GroupMessage {
    asker: Asker,
    group: Name,
    open: u32,
    delivered: u16,
    stored: u16,
    refused: u16,
    withheld: bool,
    error: Option<Code>,
}

pub(in crate::server) fn message_group(server: &mut ServerState, asker: &Asker, group: &str, text: Text<'_>) {
    let (group, members) = match groups::members_for(server, asker, group) {
        Ok(found) => found,
        Err(code) => return answers::fail(server, asker, code),
    };
    session::begin_message(server, asker);
    presence::reveal(server, asker.user);
    server.tally.group_messages += 1;
    let number = server.next_serial();
    let message = GroupMessage {
        asker: *asker,
        group: group.clone(),
        // One for this loop: the message is not answered before all members were tried.
        open: 1,
        delivered: 0,
        stored: 0,
        refused: 0,
        withheld: false,
        error: None,
    };
    server.post.group_messages.insert(number, message);
    let origin = asker.origin().filter(|_| !planted::is(Planted::GroupOriginDropped));
    let letter = Letter { from: asker.user, group: Some(group), origin, text: text.into() };
    let last = members.last().copied();
    for member in members.into_iter().filter(|&member| member != asker.user) {
        let open = blocks::may_reach(server, asker.user, member) || planted::is(Planted::BlockSkippedInGroup);
        let Some(message) = server.post.group_messages.get_mut(&number) else {
            unreachable!("a group message is open until its loop is done")
        };
        if !open {
            message.withheld = true;
            continue;
        }
        message.open += 1;
        let cost = session::units_for(text.as_str().len());
        session::charge(server, asker.user, if planted::is(Planted::GroupCostsOne) { 0 } else { cost });
        if planted::is(Planted::LastMemberLeftOut) && last == Some(member) {
            member_settled(server, number, Ok(Status::Stored));
        } else {
            messages::post(server, member, letter.clone(), Tell::Group(number));
        }
    }
    part_done(server, number);
}

/// What became of a group message for one member.
pub(super) fn member_settled(server: &mut ServerState, number: u64, ending: Result<Status, Code>) {
    let Some(message) = server.post.group_messages.get_mut(&number) else {
        unreachable!("a group message is open until all members are settled")
    };
    match ending {
        Ok(Status::Delivered) => message.delivered = message.delivered.saturating_add(1),
        Ok(Status::Stored) => message.stored = message.stored.saturating_add(1),
        // A block came between: the member counts as one who had blocked the sender before.
        Err(Code::Blocked) => message.withheld = true,
        Err(code) => {
            message.refused += u16::from(!planted::is(Planted::RefusedNotCounted));
            if message.error != Some(Code::OutcomeUnknown) {
                message.error = Some(code);
            }
        }
    }
    part_done(server, number);
}

fn part_done(server: &mut ServerState, number: u64) {
    let Some(message) = server.post.group_messages.get_mut(&number) else {
        unreachable!("a part is done of a group message that is open")
    };
    message.open -= 1;
    if message.open > 0 {
        return;
    }
    let Some(message) = server.post.group_messages.remove(&number) else { return };
    finish(server, message);
}

fn finish(server: &mut ServerState, message: GroupMessage) {
    let GroupMessage { asker, group, delivered, stored, refused, withheld, error, .. } = message;
    let nobody = delivered == 0 && stored == 0;
    // No count can tell of members of whom it is unknown.
    let error = error.filter(|code| nobody || *code == Code::OutcomeUnknown);
    if let Some(code) = error.or((nobody && withheld).then_some(Code::Blocked)) {
        answers::fail(server, &asker, code);
        return session::end_message(server, &asker);
    }
    let withheld = withheld || planted::is(Planted::GroupAlwaysWithheld);
    let outcome = Outcome::Group { delivered, stored, refused, withheld };
    let settled =
        answers::settled_record(server, &asker, outcome).filter(|_| stored > 0 && asker.send.is_none());
    match settled {
        None => answer(server, &asker, &group, outcome),
        Some(settled) => {
            session::begin_record(server, asker.user);
            let ServerState { papers, out, .. } = server;
            papers.persist(out, settled, Then::GroupMessage { asker, group, outcome });
        }
    }
}

/// A repeat of a group message after a restart would be known: it is answered.
pub(in crate::server) fn settled(server: &mut ServerState, asker: &Asker, group: &Name, outcome: Outcome) {
    session::end_record(server, asker.user);
    answer(server, asker, group, outcome);
}

fn answer(server: &mut ServerState, asker: &Asker, group: &Name, outcome: Outcome) {
    let Outcome::Group { delivered, stored, refused, withheld } = outcome else {
        unreachable!("a group message comes to counts")
    };
    if asker.send.is_none() {
        answers::note_confirmed(server, asker, outcome);
    }
    let answer = Answer::MessageGroup {
        group: group.as_str(),
        delivered: u64::from(delivered),
        stored: u64::from(stored),
        refused: u64::from(refused),
        withheld,
    };
    answers::answer(server, asker, outcome, answer);
    session::end_message(server, asker);
}
