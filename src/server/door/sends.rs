//! Messages of couriers with an id, which they may say again (R61).

use alloc::vec::Vec;

use core::time::Duration;

use super::commands::carry_out;
use super::couriers::{self, NO_LOGIN};
use crate::planted::{self, Planted};
use crate::record::{Outcome, Record};
use crate::server::accounts::UserId;
use crate::server::answers::{self, Asker};
use crate::server::papers::{SendKey, Taken, Then};
use crate::server::{ServerState, session};
use crate::time::Time;
use crate::wire::{Answer, Code, Command, CommandKind, IdKind, MessageMark, ServerLine};
use crate::words::LinkId;

/// What became of a message with a given id is remembered for so long.
const GIVEN_FOR: Duration = Duration::from_secs(86_400);
/// The same with a random one.
const RANDOM_FOR: Duration = Duration::from_secs(600);
/// What it costs to write that down, where that is not part of a stored message.
const WRITTEN_UNITS: u64 = 4;

/// Sends a message, unless it was said before.
pub(super) fn carry(
    server: &mut ServerState,
    link: LinkId,
    user: UserId,
    number: u64,
    mark: MessageMark,
    command: Command<'_>,
) {
    let (kind, to) = (command.kind(), addressee(&command));
    let mut encoded = Vec::new();
    command.encode(&mut encoded);
    let words = server.secrets.words_digest(&encoded);
    let key = SendKey::of(server.accounts.name(user), mark, &encoded);
    let now = server.now;
    let sends = &mut server.accounts[user].sends;
    let taken = match sends.take_up(key, words, now) {
        Taken::Open | Taken::Known(_) if planted::is(Planted::SendDoneAgain) => Taken::New,
        taken @ (Taken::New | Taken::Open | Taken::Known(_) | Taken::Other | Taken::Full) => taken,
    };
    match taken {
        Taken::New => {
            sends.open(key, words, to, (link, number));
            couriers::courier_began(server, link);
            let (number, words) = (Some(number), Some(words));
            let send = Some(key);
            let asker = Asker { user, login: NO_LOGIN, link, number, kind, words, send, since: now };
            carry_out(server, &asker, command);
        }
        Taken::Open => {
            if !planted::is(Planted::SendRepeatUnheard) {
                sends.wait(key, (link, number));
                couriers::courier_began(server, link);
            }
        }
        Taken::Known(outcome) => say(server, link, number, kind, to, outcome),
        Taken::Other => say(server, link, number, kind, to, Outcome::Failed(Code::Usage)),
        Taken::Full => say(server, link, number, kind, to, Outcome::Failed(Code::Limit)),
    }
}

fn addressee<'a>(command: &Command<'a>) -> &'a str {
    if let Command::Message { to: name, .. } | Command::MessageGroup { group: name, .. } = command {
        name
    } else {
        ""
    }
}

/// Whether nothing else can become of a message: where nothing was done, or nothing is known, a repeat tries again.
const fn is_final(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Failed(Code::StorageUnavailable | Code::OutcomeUnknown))
}

/// The record of what became of a message with a given id.
pub(in crate::server) fn record(
    server: &ServerState,
    asker: &Asker,
    send: SendKey,
    outcome: Outcome,
) -> Option<Record> {
    let words = asker.words.filter(|_| send.kind == IdKind::Given && !planted::is(Planted::SendNotStored))?;
    let user = server.accounts.name(asker.user).clone();
    Some(Record::Sent { user, number: send.number, outcome, words, until: server.now + GIVEN_FOR })
}

/// It is known what became of a message. With a given id that is said once it is durable.
pub(in crate::server) fn came(server: &mut ServerState, asker: &Asker, send: SendKey, outcome: Outcome) {
    let durable = send.kind == IdKind::Random || server.accounts[asker.user].sends.is_known(send);
    if durable || !is_final(outcome) {
        return conclude(server, asker, send, outcome);
    }
    let Some(record) = record(server, asker, send, outcome) else {
        return conclude(server, asker, send, outcome);
    };
    session::charge(server, asker.user, WRITTEN_UNITS);
    session::begin_record(server, asker.user);
    let ServerState { papers, out, .. } = server;
    papers.persist(out, record, Then::Sent { asker: *asker, outcome });
    if planted::is(Planted::SendSaidEarly) {
        conclude(server, asker, send, outcome);
    }
}

/// What became of a message is durable, or was refused: then a message that was sent is not known to have been, and
/// one that was not sent was not.
pub(in crate::server) fn settled(server: &mut ServerState, asker: &Asker, outcome: Outcome, durable: bool) {
    session::end_record(server, asker.user);
    let Some(send) = asker.send else { return };
    let outcome = match outcome {
        outcome if durable || planted::is(Planted::SendRefusalConfirmed) => outcome,
        Outcome::Failed(_) => Outcome::Failed(Code::StorageUnavailable),
        Outcome::Message(_)
        | Outcome::StoredUntil(_)
        | Outcome::Broadcast { .. }
        | Outcome::Group { .. }
        | Outcome::Done => Outcome::Failed(Code::OutcomeUnknown),
    };
    conclude(server, asker, send, outcome);
}

/// Everybody who has said the message hears what became of it.
fn conclude(server: &mut ServerState, asker: &Asker, send: SendKey, outcome: Outcome) {
    answers::note_confirmed(server, asker, outcome);
    let until = is_final(outcome).then(|| kept_until(server.now, send.kind));
    let (to, waiting) = server.accounts[asker.user].sends.conclude(send, outcome, until);
    for (link, number) in waiting {
        if couriers::is_courier_of(server, link, asker.user) {
            say(server, link, number, asker.kind, &to, outcome);
        }
        couriers::courier_answered(server, link);
    }
}

fn kept_until(now: Time, kind: IdKind) -> Time {
    match kind {
        IdKind::Given => now + GIVEN_FOR,
        IdKind::Random => now + RANDOM_FOR,
    }
}

fn say(server: &mut ServerState, link: LinkId, number: u64, kind: CommandKind, to: &str, outcome: Outcome) {
    let number = Some(number);
    let outcome = answers::as_read(server, link, outcome);
    let line = match answer(kind, to, outcome) {
        Ok(answer) => ServerLine::Done { number, answer },
        Err(code) => ServerLine::Failed { number, code, command: kind.name() },
    };
    server.out.send(link, &line);
}

fn answer(kind: CommandKind, to: &str, outcome: Outcome) -> Result<Answer<'_>, Code> {
    match outcome {
        Outcome::Message(status) => Ok(Answer::Message { to, status }),
        Outcome::StoredUntil(until) => Ok(Answer::StoredUntil { to, until }),
        Outcome::Broadcast { recipients, withheld } => {
            Ok(Answer::Broadcast { recipients: u64::from(recipients), withheld })
        }
        Outcome::Group { delivered, stored, refused, withheld } if kind == CommandKind::MessageGroup => {
            Ok(Answer::MessageGroup {
                group: to,
                delivered: u64::from(delivered),
                stored: u64::from(stored),
                refused: u64::from(refused),
                withheld,
            })
        }
        Outcome::Failed(code) => Err(code),
        Outcome::Group { .. } | Outcome::Done => Err(Code::OutcomeUnknown),
    }
}
