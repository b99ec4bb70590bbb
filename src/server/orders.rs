//! What users who are operators have the server do (R66).

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use super::answers::{self, Asker};
use super::papers::lane::Wish;
use super::wishes::{self, CHANGE_UNITS, Decision};
use super::{ServerState, session};
use crate::planted::{self, Planted};
use crate::record::Outcome;
use crate::wire::{Answer, Code, Remark, ServerLine};
use crate::words::{Name, Text, Ticket};

/// Whether this is the name of an operator, with an account or without.
pub(super) fn is_operator(server: &ServerState, name: &str) -> bool {
    server.settings.operators.iter().any(|operator| operator.as_str() == name)
}

/// Whether nobody may register this name, which is that of an operator or looks like it.
pub(super) fn is_kept_for_operator(server: &ServerState, name: &Name) -> bool {
    let alike = |operator: &Name| crate::words::look_alike::are_alike(operator.as_str(), name.as_str());
    server.settings.operators.iter().any(alike) && !planted::is(Planted::OperatorRegistered)
}

/// A user wants something done.
pub(super) fn submit(server: &mut ServerState, asker: &Asker, words: &str) {
    let ticket = Ticket(server.next_serial());
    wishes::submit(server, Wish::Order { asker: *asker, ticket, words: words.into() });
}

pub(super) fn decide(server: &mut ServerState, asker: &Asker, ticket: Ticket, words: &str) -> Decision {
    let user = server.accounts.name(asker.user).clone();
    if !is_operator(server, user.as_str()) && !planted::is(Planted::AnybodyOrders) {
        answers::fail(server, asker, Code::NotOperator);
        return Decision::Answered;
    }
    if !planted::is(Planted::OrderIsFree) {
        session::charge(server, asker.user, CHANGE_UNITS);
    }
    server.out.order(ticket, user, words);
    Decision::Ordered
}

/// What an order came to, line by line.
pub(super) fn answer(server: &mut ServerState, asker: &Asker, done: bool, said: &[Box<str>]) {
    let mut lines = Vec::new();
    for line in said {
        let line = set_apart(line);
        if let Some(remark) = Text::new(&line).and_then(Remark::new) {
            ServerLine::Order { number: asker.number, remark }.encode(&mut lines);
        }
    }
    let outcome = if done || planted::is(Planted::OrderAlwaysDone) {
        ServerLine::Done { number: asker.number, answer: Answer::Op }.encode(&mut lines);
        Outcome::Done
    } else {
        answers::write_failure(server, asker, Code::NotDone, &mut lines);
        Outcome::Failed(Code::NotDone)
    };
    answers::answer_list(server, asker, outcome, lines);
}

/// R66: what would read as the number of a command is said behind a space.
fn set_apart(line: &str) -> Cow<'_, str> {
    if line.starts_with('#') { Cow::Owned(format!(" {line}")) } else { Cow::Borrowed(line) }
}
