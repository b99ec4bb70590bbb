//! Answers: each command gets one, on the link where its user is.

use alloc::vec::Vec;

use super::ServerState;
use super::accounts::UserId;
use super::door;
use super::out::Written;
use super::papers::SendKey;
use crate::planted::{self, Planted};
use crate::record::{Outcome, Record, WordsDigest};
use crate::time::Time;
use crate::wire::{Answer, Code, CommandKind, ServerLine, Status};
use crate::words::{LinkId, LoginNumber, Origin};

/// Who gave a command, and how its answer finds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asker {
    pub(super) user: UserId,
    pub(super) login: LoginNumber,
    pub(super) link: LinkId,
    pub(super) number: Option<u64>,
    pub(super) kind: CommandKind,
    /// Of the command's words, if it is remembered: tells a repeat from another command.
    pub(super) words: Option<WordsDigest>,
    /// Of a courier's message with an id: whoever says that again hears its answer as well.
    pub(super) send: Option<SendKey>,
    /// When it was obeyed.
    pub(super) since: Time,
}

impl Asker {
    /// Whether a courier gave it, who has no session and no login.
    pub(super) fn is_courier(&self) -> bool {
        self.login == LoginNumber(0)
    }

    /// The command as its receivers know it.
    pub(super) fn origin(&self) -> Option<Origin> {
        if let Some(send) = self.send {
            let dropped = planted::is(Planted::SendOriginDropped);
            return (!dropped).then_some(Origin { login: self.login, number: send.origin });
        }
        let number = self.number.filter(|_| !self.is_courier());
        number.map(|number| Origin { login: self.login, number })
    }

    /// The command's number, if a repeat is answered from the ledger.
    pub(super) fn remembered(&self) -> Option<u64> {
        self.number.filter(|_| self.kind.is_remembered() && !self.is_courier())
    }
}

/// Who hears what became of a message.
#[derive(Debug, Clone)]
pub(super) enum Tell {
    Nobody,
    Sender(Asker),
    /// The group message of this number counts it.
    Group(u64),
}

/// The link on which a command's answer leaves: the one it came on, until its last word is said, or, if it has a
/// number, the one that its client resumed on.
pub(super) fn asker_link(server: &ServerState, asker: &Asker) -> Option<LinkId> {
    if asker.is_courier() {
        return door::is_courier_of(server, asker.link, asker.user).then_some(asker.link);
    }
    let account = &server.accounts[asker.user];
    let same =
        |link: &LinkId| account.login == asker.login && (asker.number.is_some() || *link == asker.link);
    let parting = || door::is_parting(server, asker.link).then_some(asker.link);
    account.link().filter(same).or_else(parting)
}

/// Answers a command that succeeded.
pub(super) fn answer(server: &mut ServerState, asker: &Asker, outcome: Outcome, answer: Answer<'_>) {
    let written = server.out.write_line(&ServerLine::Done { number: asker.number, answer });
    answer_written(server, asker, outcome, written);
}

/// The sender of a message, or of a group message, is told what became of it.
pub(super) fn note_confirmed(server: &mut ServerState, asker: &Asker, outcome: Outcome) {
    server.tally.confirmed(outcome, server.now.since(asker.since));
}

/// Answers a command with what was written already.
pub(super) fn answer_written(server: &mut ServerState, asker: &Asker, outcome: Outcome, written: Written) {
    if let Some(send) = asker.send {
        return door::send_came(server, asker, send, outcome);
    }
    note_outcome(server, asker, outcome);
    if let Some(link) = asker_link(server, asker) {
        server.out.queue(link, written);
        if planted::is(Planted::AnsweredTwice) {
            server.out.queue(link, written);
        }
    }
}

/// Answers a command with a list, its last line included.
pub(super) fn answer_list(server: &mut ServerState, asker: &Asker, outcome: Outcome, lines: Vec<u8>) {
    note_outcome(server, asker, outcome);
    if let Some(link) = asker_link(server, asker) {
        server.out.list(link, lines);
    }
}

/// Appends the last word to a command that failed.
pub(super) fn write_failure(server: &mut ServerState, asker: &Asker, code: Code, lines: &mut Vec<u8>) {
    server.tally.command_failed(code);
    ServerLine::Failed { number: asker.number, code, command: asker.kind.name() }.encode(lines);
}

/// What a command came to, as far as whoever gave it reads it. Only what is stored for a time is heard by some as something
/// else: for all else nobody is looked up.
pub(super) fn as_heard(server: &ServerState, asker: &Asker, outcome: Outcome) -> Outcome {
    if !matches!(outcome, Outcome::StoredUntil(_)) {
        return outcome;
    }
    asker_link(server, asker).map_or(outcome, |link| as_read(server, link, outcome))
}

/// The same on a link: programs that do not read until when a message is stored are not told.
pub(super) fn as_read(server: &ServerState, link: LinkId, outcome: Outcome) -> Outcome {
    let reads = server.door.reads_until(link) || planted::is(Planted::UntilForAll);
    if matches!(outcome, Outcome::StoredUntil(_)) && !reads {
        return Outcome::Message(Status::Stored);
    }
    outcome
}

/// Answers a command that failed.
pub(super) fn fail(server: &mut ServerState, asker: &Asker, code: Code) {
    server.tally.command_failed(code);
    let line = ServerLine::Failed { number: asker.number, code, command: asker.kind.name() };
    let written = server.out.write_line(&line);
    answer_written(server, asker, Outcome::Failed(code), written);
}

fn note_outcome(server: &mut ServerState, asker: &Asker, outcome: Outcome) {
    let account = &mut server.accounts[asker.user];
    if let Some(number) = asker.remembered()
        && account.login == asker.login
    {
        account.ledger.settle(number, outcome, asker.words);
    }
}

/// What a command comes to, to be written in one batch with its change or mail; `None` if a repeat would be
/// done again anyway.
pub(super) fn settled_record(server: &ServerState, asker: &Asker, outcome: Outcome) -> Option<Record> {
    if let Some(send) = asker.send {
        return door::send_record(server, asker, send, outcome);
    }
    let origin = asker.origin().filter(|_| asker.kind.is_remembered())?;
    let user = server.accounts.name(asker.user).clone();
    Some(Record::Settled { user, origin, outcome, words: asker.words })
}

/// The account of that name, if it is not the asker's own. One that is to be purged counts while its session
/// goes on.
pub(super) fn another(server: &ServerState, asker: &Asker, name: &str) -> Result<UserId, Code> {
    match server.accounts.find(name) {
        Some(user) if user == asker.user => Err(Code::Oneself),
        Some(user)
            if !server.accounts[user].is_leaving()
                || server.accounts[user].session.is_some() && !planted::is(Planted::RemovedGetsNothing) =>
        {
            Ok(user)
        }
        Some(_) | None => Err(Code::UnknownUser),
    }
}
