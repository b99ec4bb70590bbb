//! Commands of those who are logged in: each is done once, and answered once.

use alloc::format;
use alloc::vec::Vec;

use super::ending;
use crate::planted::{self, Planted};
use crate::record::{Outcome, WordsDigest};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::answers::{self, Asker, another, asker_link};
use crate::server::papers::Standing;
use crate::server::papers::lane::{GroupChange, Wish};
use crate::server::people::{away, blocks, groups, introductions, roster};
use crate::server::post::{broadcast, group_messages, messages, pages};
use crate::server::{orders, restraints, wishes};
use crate::wire::{Answer, Code, Command, CommandKind, PingStatus, ServerLine};
use crate::words::{LinkId, Text};

pub(super) fn obey_command(
    server: &mut ServerState,
    link: LinkId,
    user: UserId,
    number: Option<u64>,
    command: Command<'_>,
) {
    ending::note_activity(server, user, true);
    let kind = command.kind();
    let remembered = number.filter(|_| kind.is_remembered());
    let words = remembered.map(|_| digest(server, &command));
    let login = server.accounts[user].login;
    let since = server.now;
    let asker = Asker { user, login, link, number, kind, words, send: None, since };
    // What only asks is asked again, but not under the number of something else.
    if remembered.is_none() && number.is_some_and(|number| server.accounts[user].ledger.knows(number)) {
        return refuse_number(server, &asker);
    }
    if let Some(number) = remembered.filter(|_| !planted::is(Planted::RepeatDoneAgain)) {
        match server.accounts[user].ledger.standing(number, words) {
            Standing::New => server.accounts[user].ledger.open(number, words),
            Standing::Open => return,
            Standing::Settled(Outcome::Failed(_)) if planted::is(Planted::FailureTriedAgain) => {}
            Standing::Settled(outcome) => return answer_repeat(server, &asker, &command, outcome),
            Standing::Taken => return refuse_number(server, &asker),
        }
    }
    carry_out(server, &asker, command);
}

pub(super) fn digest(server: &mut ServerState, command: &Command<'_>) -> WordsDigest {
    let mut encoded = core::mem::take(&mut server.scratch);
    encoded.clear();
    command.encode(&mut encoded);
    let digest = server.secrets.words_digest(&encoded);
    server.scratch = encoded;
    digest
}

/// The number is that of another command: that one keeps its answer, and this one does nothing.
fn refuse_number(server: &mut ServerState, asker: &Asker) {
    server.tally.command_failed(Code::Usage);
    let line = ServerLine::Failed { number: asker.number, code: Code::Usage, command: asker.kind.name() };
    server.out.send(asker.link, &line);
}

pub(super) fn carry_out(server: &mut ServerState, asker: &Asker, command: Command<'_>) {
    server.tally.commands += 1;
    if let Some(code) = restraints::refusal(server, asker.user, command.kind()) {
        return answers::fail(server, asker, code);
    }
    match command {
        Command::Message { to, text } => messages::message(server, asker, to, text),
        Command::Broadcast { text } => broadcast::broadcast(server, asker, text),
        Command::Whoelse => roster::whoelse(server, asker),
        Command::WhoelseSince { seconds } => {
            let users = roster::whoelse_since(server, asker, seconds);
            roster::list(server, asker, &users, Answer::WhoelseSince { count: users.len() as u64 });
        }
        Command::Wholasthr => {
            let seconds = if planted::is(Planted::LastHourIsMinute) { 60 } else { 3600 };
            let users = roster::whoelse_since(server, asker, seconds);
            roster::list(server, asker, &users, Answer::Wholasthr { count: users.len() as u64 });
        }
        Command::Block { user } | Command::Unblock { user } => {
            wishes::submit(server, Wish::Block { asker: *asker, user: user.into() });
        }
        Command::Offline => pages::show_on_command(server, asker),
        Command::Ping { user } => ping(server, asker, user),
        Command::Seen { user } => roster::seen(server, asker, user),
        Command::Away { text } => away::go(server, asker, text),
        Command::Back => away::come_back(server, asker),
        Command::CreateGroup { .. }
        | Command::AddToGroup { .. }
        | Command::RemoveFromGroup { .. }
        | Command::LeaveGroup { .. }
        | Command::DeleteGroup { .. } => {
            if let Some((change, group)) = group_change(&command) {
                wishes::submit(server, Wish::Group { asker: *asker, change, group: group.into() });
            }
        }
        Command::MessageGroup { group, text } => group_messages::message_group(server, asker, group, text),
        Command::GroupList => groups::group_list(server, asker),
        Command::StartPrivate { user, contact } => introductions::start(server, asker, user, contact),
        Command::Accept { user, contact } => introductions::accept(server, asker, user, &contact),
        Command::Decline { user } => introductions::decline(server, asker, user),
        Command::Op { order } => orders::submit(server, asker, order.as_str()),
        Command::Help { about } => help(server, asker, about),
        Command::Logout => ending::leave(server, asker),
    }
}

/// How a command changes which group, if it does.
fn group_change<'a>(command: &Command<'a>) -> Option<(GroupChange, &'a str)> {
    Some(match command {
        Command::CreateGroup { group, members } => {
            (GroupChange::Create(members.iter().map(Into::into).collect()), group)
        }
        Command::AddToGroup { group, user } => (GroupChange::Add((*user).into()), group),
        Command::RemoveFromGroup { group, user } => (GroupChange::Remove((*user).into()), group),
        Command::LeaveGroup { group } => (GroupChange::Leave, group),
        Command::DeleteGroup { group } => (GroupChange::Delete, group),
        Command::Message { .. }
        | Command::Broadcast { .. }
        | Command::Whoelse
        | Command::WhoelseSince { .. }
        | Command::Wholasthr
        | Command::Block { .. }
        | Command::Unblock { .. }
        | Command::Offline
        | Command::Ping { .. }
        | Command::Seen { .. }
        | Command::Away { .. }
        | Command::Back
        | Command::MessageGroup { .. }
        | Command::GroupList
        | Command::StartPrivate { .. }
        | Command::Accept { .. }
        | Command::Decline { .. }
        | Command::Op { .. }
        | Command::Help { .. }
        | Command::Logout => return None,
    })
}

/// The answer to a command that was done before; its words stand in the repeat itself.
fn answer_repeat(server: &mut ServerState, asker: &Asker, command: &Command<'_>, outcome: Outcome) {
    if let Outcome::Failed(code) = outcome {
        return answers::fail(server, asker, code);
    }
    if let (Some((change, group)), Outcome::Done) = (group_change(command), outcome) {
        return groups::answer(server, asker, &change, group);
    }
    if let (Command::Message { to, .. }, Outcome::Message(_) | Outcome::StoredUntil(_)) = (command, outcome)
        && let Some(to) = server.accounts.find(to)
    {
        away::tell(server, asker, to);
    }
    let answer = match (command, answers::as_heard(server, asker, outcome)) {
        (Command::Message { to, .. }, Outcome::Message(status)) => Answer::Message { to, status },
        (Command::Message { to, .. }, Outcome::StoredUntil(until)) => Answer::StoredUntil { to, until },
        (Command::Broadcast { .. }, Outcome::Broadcast { recipients, withheld }) => {
            Answer::Broadcast { recipients: u64::from(recipients), withheld }
        }
        (Command::MessageGroup { group, .. }, Outcome::Group { delivered, stored, refused, withheld }) => {
            Answer::MessageGroup {
                group,
                delivered: u64::from(delivered),
                stored: u64::from(stored),
                refused: u64::from(refused),
                withheld,
            }
        }
        (Command::Block { user }, Outcome::Done) => Answer::Block { user },
        (Command::Op { .. }, Outcome::Done) => Answer::Op,
        (Command::Unblock { user }, Outcome::Done) => Answer::Unblock { user },
        // An entry of an earlier version says nothing of the words, but it was of another kind.
        _ => return refuse_number(server, asker),
    };
    answers::answer(server, asker, outcome, answer);
}

fn ping(server: &mut ServerState, asker: &Asker, user: &str) {
    let other = match another(server, asker, user) {
        Ok(other) => other,
        Err(code) => return answers::fail(server, asker, code),
    };
    let mutual = server.settings.block_mutual || planted::is(Planted::PingOfBlockedTells);
    let own = mutual && blocks::has_blocked(server, asker.user, other);
    let open = blocks::may_reach(server, asker.user, other) || planted::is(Planted::BlockSkippedInPing);
    let open = open && !(own && planted::is(Planted::PingOfBlockedTells));
    let status = if open {
        let away = server.accounts[other].link().is_none() && planted::is(Planted::GracePingsOffline);
        let online = server.accounts[other].session.is_some() && !away;
        if online { PingStatus::Online } else { PingStatus::Offline }
    } else if server.settings.ping_reveals_block || own {
        PingStatus::Blocked
    } else {
        PingStatus::Offline
    };
    let name = server.accounts.name(other).clone();
    answers::answer(server, asker, Outcome::Done, Answer::Ping { user: name.as_str(), status });
}

/// For those who speak the protocol by hand; our own client has its own help.
fn help(server: &mut ServerState, asker: &Asker, about: Option<&str>) {
    let Some(link) = asker_link(server, asker) else { return };
    // It may be typed so.
    let about = about.map(|about| if about == "wholasthtr" { "wholasthr" } else { about });
    let is_about = |kind: &&CommandKind| match about {
        Some(about) => {
            let rest = kind.name().strip_prefix(about);
            rest.is_some_and(|rest| matches!(rest.as_bytes(), [] | [b' ', ..]))
        }
        None => true,
    };
    let kinds: Vec<&CommandKind> = CommandKind::ALL.iter().filter(is_about).collect();
    if kinds.is_empty() {
        return answers::fail(server, asker, Code::UnknownCommand);
    }
    for kind in kinds {
        let line = format!("{} {}", kind.name(), kind.arguments());
        let Some(text) = Text::new(line.trim_end()) else { unreachable!("a command has a name") };
        server.out.send(link, &ServerLine::Help(text));
    }
    answers::answer(server, asker, Outcome::Done, Answer::Help);
}
