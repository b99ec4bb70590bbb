//! Couriers: clients that carry messages of a user and hold no session (R57).

use alloc::vec::Vec;
use core::time::Duration;

use super::addresses;
use super::commands::carry_out;
use super::entry::refuse;
use super::input::misused;
use super::links::{self, LastAnswer, Stage};
use super::login;
use super::sends;
use super::tries::{self, Counted, Success};
use super::waiting::{self, Waits};
use crate::planted::{self, Planted};
use crate::record::{Digest, Fact, RecordNumber};
use crate::server::accounts::UserId;
use crate::server::answers::Asker;
use crate::server::deadlines::Deadline;
use crate::server::{ServerState, session};
use crate::time::Time;
use crate::wire::{
    Admission, Answer, ClientLine, Code, Command, CommandKind, Farewell, Misuse, Refusal, ServerLine,
};
use crate::words::{Credential, LinkId, LoginNumber, Name, Token};

/// Tokens of an account.
const TOKENS: usize = 8;
/// A token is good for so long.
const GOOD_FOR: Duration = Duration::from_secs(86_400);
/// A courier is closed so long after its last answer.
const IDLE_FOR: Duration = Duration::from_secs(10);
/// What a login by token costs.
const TOKEN_UNITS: u64 = 20;
const AT_ONCE: RecordNumber = RecordNumber(0);
/// In place of a login number: a courier has no login.
pub(super) const NO_LOGIN: LoginNumber = LoginNumber(0);

/// The couriers of an account, and what lets them in without the password.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Couriers {
    /// Those that are in or are being let in, in that order.
    links: Vec<LinkId>,
    /// The digests of tokens, and until when they are good.
    tokens: Vec<(Digest, Time)>,
}

impl Couriers {
    pub(super) fn links(&self) -> Vec<LinkId> {
        self.links.clone()
    }

    pub(super) fn leave(&mut self, id: LinkId) {
        self.links.retain(|link| *link != id);
    }

    /// What an earlier run remembered.
    pub(in crate::server) fn apply(&mut self, token: Digest, until: Option<Time>) {
        self.tokens.retain(|(known, _)| *known != token);
        self.tokens.extend(until.map(|until| (token, until)));
    }
}

/// Whether a client has announced that it is a courier.
pub(super) fn is_one(server: &ServerState, id: LinkId) -> bool {
    server.door.links.get(&id).is_some_and(|link| link.capabilities.courier)
}

/// Whether a link is a courier of this user, who can be answered there.
pub(in crate::server) fn is_courier_of(server: &ServerState, id: LinkId, user: UserId) -> bool {
    matches!(links::stage(server, id), Some(Stage::Carrying(of) | Stage::Departing(of, _)) if of == user)
}

/// A password was right: it lets one courier more in, if there may be one.
pub(super) fn right_password(server: &mut ServerState, id: LinkId, user: UserId, counted: Counted) {
    // What has failed is told to the next session.
    tries::forgive(server, counted, Success::Refused);
    if !links::is_anonymous(server, id) {
        return;
    }
    if is_busy(server, user) {
        return refuse(server, id, AT_ONCE, Refusal::Busy);
    }
    by_password(server, id, user);
}

fn is_busy(server: &ServerState, user: UserId) -> bool {
    let most = server.settings.courier_max as usize;
    let account = &server.accounts[user];
    let full = most > 0 && account.couriers.links.len() >= most && !planted::is(Planted::CouriersUnbounded);
    full || server.papers.is_behind_with(&account.name)
}

/// Lets a courier in, with a token for the next, once that is durable.
pub(super) fn by_password(server: &mut ServerState, id: LinkId, user: UserId) {
    let token = server.secrets.token();
    let Some(credential) = server.accounts[user].credential.as_ref() else { return };
    let [digest, _] = server.secrets.courier_digests(&token, credential);
    let until = server.now + GOOD_FOR;
    forget_beyond(server, user, TOKENS - 1);
    let account = &mut server.accounts[user];
    account.couriers.tokens.push((digest, until));
    account.couriers.links.push(id);
    let name = account.name.clone();
    links::set_stage(server, id, Stage::Hailing(user, token));
    waiting::wait(server, id, Waits::LOGIN);
    set_due(server, id, None);
    let number = persist(server, name, digest, Some(until));
    server.papers.wait_for(number, id);
}

fn persist(server: &mut ServerState, user: Name, token: Digest, until: Option<Time>) -> RecordNumber {
    let ServerState { papers, out, .. } = server;
    papers.persist_fact(out, Fact::Courier { user, token, until })
}

/// Forgets tokens that are good no more, and leaves an account so many; those given longest ago go.
fn forget_beyond(server: &mut ServerState, user: UserId, left: usize) {
    let (now, account) = (server.now, &mut server.accounts[user]);
    let tokens = &mut account.couriers.tokens;
    tokens.sort_unstable_by_key(|(digest, until)| (*until, *digest));
    let over = tokens.iter().take_while(|(_, until)| *until <= now).count();
    let count = over.max(tokens.len().saturating_sub(left));
    let (forgotten, name): (Vec<_>, _) = (tokens.drain(..count).collect(), account.name.clone());
    for (token, _) in forgotten {
        persist(server, name.clone(), token, None);
    }
}

/// After a start.
pub(super) fn forget_too_many(server: &mut ServerState, user: UserId) {
    if server.accounts[user].couriers.tokens.len() > TOKENS {
        forget_beyond(server, user, TOKENS);
    }
}

/// `resume` of a courier: it is let in by a token instead of the password.
pub(super) fn resume(server: &mut ServerState, id: LinkId, name: &str, token: &Token) {
    let is_good = |user: &UserId| {
        let account = &server.accounts[*user];
        let Some(credential) = account.credential.as_ref() else { return false };
        let digests = server.secrets.courier_digests(token, credential);
        let lasts = |until: Time| until > server.now || planted::is(Planted::CourierTokenForEver);
        account.couriers.tokens.iter().any(|(digest, until)| digests.contains(digest) && lasts(*until))
    };
    let user = server.accounts.find(name).filter(is_good);
    if login::refuse_barred(server, id, user) {
        return;
    }
    match user {
        None => refuse(server, id, AT_ONCE, Refusal::Stale),
        Some(user) if is_busy(server, user) => refuse(server, id, AT_ONCE, Refusal::Busy),
        Some(user) => {
            session::charge(server, user, TOKEN_UNITS);
            server.accounts[user].couriers.links.push(id);
            admit(server, id, user, None);
        }
    }
}

/// Tells a courier that it is in. It counts among the connections that are not logged in all the same.
pub(super) fn admit(server: &mut ServerState, id: LinkId, user: UserId, token: Option<Token>) {
    let Some(from) = server.door.links.get(&id).map(|link| link.from) else { return };
    links::set_stage(server, id, Stage::Carrying(user));
    server.tally.couriers += 1;
    let name = server.accounts.name(user).clone();
    let admission = Admission { user: name.as_str(), unread: 0, login: NO_LOGIN, token };
    let line = if token.is_some() { ServerLine::Welcome(admission) } else { ServerLine::Resumed(admission) };
    server.out.send(id, &line);
    addresses::note_known(server, from, user);
    waiting::wait_no_more(server, id, Waits::LOGIN);
    look(server, id);
}

/// Obeys a line of a courier.
pub(super) fn obey(server: &mut ServerState, id: LinkId, user: UserId, line: ClientLine<'_>) {
    let first_word = line.first_word();
    match line {
        ClientLine::Request { number, command: Command::Logout } => {
            leave(server, id, user, LastAnswer::Logout(number));
        }
        ClientLine::Request { number, command } if may_say(command.kind()) => {
            let kind = command.kind();
            let (login, since) = (NO_LOGIN, server.now);
            let asker = Asker { user, login, link: id, number, kind, words: None, send: None, since };
            carry_out(server, &asker, command);
            look(server, id);
        }
        ClientLine::Marked { number, mark, command } => {
            sends::carry(server, id, user, number, mark, command);
            look(server, id);
        }
        ClientLine::Request { number, command } => {
            misused(
                server,
                id,
                Misuse { number, command: command.kind().name(), code: Code::UnknownCommand },
            );
        }
        ClientLine::Acknowledge { .. } | ClientLine::Active { .. } | ClientLine::Alive => {}
        ClientLine::Relay(_)
        | ClientLine::Hello { .. }
        | ClientLine::Device { .. }
        | ClientLine::Invite { .. }
        | ClientLine::Takeover
        | ClientLine::Login { .. }
        | ClientLine::Register { .. }
        | ClientLine::Resume { .. } => {
            misused(server, id, Misuse { number: None, command: first_word, code: Code::UnknownCommand });
        }
    }
}

fn may_say(kind: CommandKind) -> bool {
    matches!(
        kind,
        CommandKind::Message | CommandKind::MessageGroup | CommandKind::Broadcast | CommandKind::Ping
    ) || planted::is(Planted::CourierSaysAll) && kind == CommandKind::Whoelse
}

/// A message of a courier is under way.
pub(in crate::server) fn courier_began(server: &mut ServerState, id: LinkId) {
    if let Some(link) = server.door.links.get_mut(&id) {
        link.open += 1;
    }
}

/// A message of a courier was answered.
pub(in crate::server) fn courier_answered(server: &mut ServerState, id: LinkId) {
    if let Some(link) = server.door.links.get_mut(&id).filter(|link| link.stage.courier().is_some()) {
        assert!(link.open > 0, "a message is answered once");
        link.open -= 1;
        look(server, id);
    }
}

/// Something was answered: without another line the courier is closed in a while. One that leaves is closed once all
/// is answered.
pub(super) fn look(server: &mut ServerState, id: LinkId) {
    let Some(link) = server.door.links.get(&id) else { return };
    match link.stage {
        Stage::Departing(_, last) if link.open == 0 => part(server, id, last),
        Stage::Carrying(_) => {
            let due = (link.open == 0).then(|| server.now + IDLE_FOR);
            set_due(server, id, due);
        }
        Stage::Departing(..)
        | Stage::Hailing(..)
        | Stage::Anonymous
        | Stage::LoggingIn(_)
        | Stage::Queued
        | Stage::Asking(_)
        | Stage::Refused(..)
        | Stage::Entering(..)
        | Stage::Member(_)
        | Stage::Leaving(..)
        | Stage::Parting(..) => {}
    }
}

/// Sets when a courier is closed, and at no other time.
pub(super) fn set_due(server: &mut ServerState, id: LinkId, due: Option<Time>) {
    let Some(link) = server.door.links.get_mut(&id) else { return };
    if let Some(before) = core::mem::replace(&mut link.due, due) {
        server.deadlines.remove(before, Deadline::Login(id));
    }
    if let Some(due) = due.filter(|_| !planted::is(Planted::CourierStays)) {
        server.deadlines.add(due, Deadline::Login(id));
    }
}

/// Whether lines of a courier wait: it is not closed meanwhile.
pub(super) fn is_kept_waiting(server: &ServerState, id: LinkId) -> bool {
    matches!(links::stage(server, id), Some(Stage::Carrying(_))) && waiting::is_waiting(server, id)
}

/// `logout`, or the end of the stream: once all is answered.
pub(super) fn leave(server: &mut ServerState, id: LinkId, user: UserId, last: LastAnswer) {
    links::set_stage(server, id, Stage::Departing(user, last));
    set_due(server, id, None);
    look(server, id);
}

fn part(server: &mut ServerState, id: LinkId, last: LastAnswer) {
    if let LastAnswer::Logout(number) = last {
        server.out.send(id, &ServerLine::Done { number, answer: Answer::Logout });
    }
    links::say_farewell(server, id, Farewell::Logout);
}

/// The line of an account is to be another, or goes: unless it is the same password, its couriers end.
pub(super) fn line_changes(server: &mut ServerState, name: &Name, credential: Option<&Credential>) {
    let Some(user) = server.accounts.find(name.as_str()) else { return };
    let before = server.accounts[user].credential.as_ref();
    let same = before.zip(credential).is_some_and(|(before, now)| now == before || now.renews(before));
    if same || planted::is(Planted::CourierOutlivesPassword) {
        return;
    }
    for link in server.accounts[user].couriers.links() {
        links::say_farewell(server, link, Farewell::Replaced);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::record::{Record, Recovery};
    use crate::server::{Effect, Event, Settings};

    #[test]
    fn a_start_forgets_the_oldest_tokens_of_an_account_that_has_too_many() {
        let hans = Name::new("hans").unwrap();
        let given = |number: u8| {
            let until = Some(Time::ZERO + Duration::from_secs(number.into()));
            Record::Fact(Fact::Courier { user: hans.clone(), token: Digest([number; 16]), until })
        };
        let recovery = Recovery { records: (1..=10).rev().map(given).collect(), ..Recovery::default() };
        let accounts = Vec::from([(hans.clone(), Credential::new("pw"))]);
        let mut server = ServerState::new(Settings::default(), accounts, recovery, 1, Time::ZERO);
        let mut forgotten = Vec::new();
        for effect in server.handle(Event::Tick, Time::ZERO) {
            if let Effect::Persist { record: Record::Fact(Fact::Courier { token, until, .. }), .. } = effect {
                forgotten.push((*token, *until));
            }
        }
        assert_eq!(forgotten, [(Digest([1; 16]), None), (Digest([2; 16]), None)]);
    }
}
