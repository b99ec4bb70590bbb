//! From a name and a password to a login that is decided.

use core::net::SocketAddr;

use super::entry::{self, refuse, refuse_for_good};
use super::links::{self, Stage};
use super::lockout::{self, Subject, guesses};
use super::waiting::{self, Waits};
use super::{accounts, ending};
use crate::planted::{self, Planted};
use crate::record::RecordNumber;
use crate::server::effect::Report;
use crate::server::event::Verdict;
use crate::server::out::Slow;
use crate::server::settings::{DuplicateLogin, Registration};
use crate::server::{Later, ServerState};
use crate::wire::{Prompt, Refusal, ServerLine};
use crate::words::{Credential, LinkId, NAME_CHARS, Name, Password, Secret, Ticket, Token};

/// Wrong passwords on one link where names are not locked.
const TRIES_A_LINK: u32 = 3;
/// For what reveals no record.
const AT_ONCE: RecordNumber = RecordNumber(0);

/// A login that waits for hashing.
#[derive(Debug, Clone)]
pub(super) enum SlowLogin {
    /// A password is being compared. The link may be gone by then; the verdict counts all the same.
    Comparing {
        link: LinkId,
        from: SocketAddr,
        subject: Subject,
        /// What it is compared with: the file may be read again before the verdict is there.
        credential: Option<Credential>,
    },
    /// A password for a new account is being hashed.
    Hashing { link: LinkId, name: Name },
}

pub(super) fn login(server: &mut ServerState, id: LinkId, name: &str, password: Option<Secret<'_>>) {
    if Name::new(name).is_err() && !planted::is(Planted::BadNameIsTried) {
        return refuse(server, id, AT_ONCE, Refusal::BadName);
    }
    let open = server.settings.registration == Registration::Open;
    let new = open && server.accounts.find_open(name).is_none();
    let busy = server.door.registering.contains(name) || server.papers.lane.is_returning(name);
    match password {
        None if new && !planted::is(Planted::NewNameAskedAsOld) => {
            server.out.send(id, &ServerLine::Ask(Prompt::NewPassword))
        }
        None => server.out.send(id, &ServerLine::Ask(Prompt::Password)),
        Some(_) if busy => refuse(server, id, AT_ONCE, Refusal::Busy),
        Some(_) if new => server.out.send(id, &ServerLine::Ask(Prompt::NewPassword)),
        Some(password) => {
            let subject = lockout::subject(server, name);
            attempt(server, id, subject, Password::new(password.0));
        }
    }
}

/// Tries a password: refused while the name or the address is locked, else compared, as soon as the
/// comparisons under way leave a try.
fn attempt(server: &mut ServerState, id: LinkId, subject: Subject, password: Password) {
    let Some((from, failures)) = server.door.links.get(&id).map(|link| (link.from, link.failures)) else {
        return;
    };
    if let Some(retry_after_secs) = lockout::address_locked_secs(server, from) {
        return refuse_for_good(server, id, AT_ONCE, Refusal::LockedOut { retry_after_secs });
    }
    if planted::is(Planted::CounterPerLink) && failures == 0 {
        guesses(server, subject).count = 0;
    }
    if lockout::locked_secs(server, subject).is_some() && !planted::is(Planted::LockedButRight) {
        let (retry_after_secs, record) = lockout::extend_lock(server, subject);
        return refuse_for_good(server, id, record, Refusal::LockedOut { retry_after_secs });
    }
    waiting::wait(server, id, Waits::LOGIN);
    if lockout::tries_are_taken(server, subject) {
        guesses(server, subject).waiting.push_back((id, password));
        return links::set_stage(server, id, Stage::Queued(subject));
    }
    guesses(server, subject).verifying += 1;
    let ticket = Ticket(server.next_serial());
    let credential = match subject {
        Subject::Account(user) => server.accounts[user].credential.clone(),
        Subject::Unknown(_) => None,
    };
    links::set_stage(server, id, Stage::LoggingIn(ticket));
    let comparing = SlowLogin::Comparing { link: id, from, subject, credential: credential.clone() };
    server.door.slow_logins.insert(ticket, comparing);
    server.out.slow(Slow::Verify { ticket, credential, password });
}

/// A password was compared.
pub(in crate::server) fn verified(server: &mut ServerState, ticket: Ticket, verdict: Verdict) {
    let slow = server.door.slow_logins.get(&ticket).cloned();
    let Some(SlowLogin::Comparing { link, from, subject, credential }) = slow else { return };
    server.door.slow_logins.remove(&ticket);
    let name = guesses(server, subject);
    assert!(name.verifying > 0, "a comparison is counted until its verdict");
    name.verifying -= 1;
    if links::stage(server, link) == Some(Stage::LoggingIn(ticket)) {
        links::set_stage(server, link, Stage::Anonymous);
    }
    match verdict {
        Verdict::Overloaded => {
            if planted::is(Planted::BusyCostsTry) {
                lockout::count_failure(server, subject, from);
            }
            refuse(server, link, AT_ONCE, Refusal::Busy);
        }
        Verdict::Wrong => wrong_password(server, link, from, subject),
        Verdict::Right => right_password(server, link, from, subject, credential.as_ref()),
    }
    if !planted::is(Planted::OverloadHangs) {
        read_on_if_refused(server, link);
    }
    try_queued(server, subject);
    if let Subject::Account(user) = subject
        && server.accounts[user].is_leaving()
    {
        server.later.push_back(Later::Purge);
    }
}

/// A link that is not logged in, and waits for nothing, is read again.
fn read_on_if_refused(server: &mut ServerState, id: LinkId) {
    if links::is_anonymous(server, id) {
        waiting::wait_no_more(server, id, Waits::LOGIN);
    }
}

/// Attempts that had to wait for this verdict go on, the first first.
fn try_queued(server: &mut ServerState, subject: Subject) {
    let obeys_lock = !planted::is(Planted::LockedButRight);
    while (obeys_lock && lockout::locked_secs(server, subject).is_some())
        || !lockout::tries_are_taken(server, subject)
    {
        let Some((link, password)) = guesses(server, subject).waiting.pop_front() else { return };
        if links::stage(server, link) == Some(Stage::Queued(subject)) {
            links::set_stage(server, link, Stage::Anonymous);
            attempt(server, link, subject, password);
            read_on_if_refused(server, link);
        }
    }
}

/// A link went away while it waited for a try.
pub(super) fn leave_queue(server: &mut ServerState, id: LinkId, subject: Subject) {
    guesses(server, subject).waiting.retain(|(link, _)| *link != id);
}

fn wrong_password(server: &mut ServerState, id: LinkId, from: SocketAddr, subject: Subject) {
    let address_locked_secs = lockout::address_locked_secs(server, from);
    let (record, locked_secs) = lockout::count_failure(server, subject, from);
    server.out.report(Report::LoginFailed { from, locked: locked_secs.is_some() });
    if let Subject::Account(user) = subject
        && locked_secs.is_some()
        && planted::is(Planted::LockEndsSession)
    {
        ending::make_way(server, user);
    }
    if let Some(retry_after_secs) = locked_secs.or(address_locked_secs) {
        return refuse_for_good(server, id, record, Refusal::LockedOut { retry_after_secs });
    }
    if planted::is(Planted::CounterPerLink)
        && let Some(link) = server.door.links.get_mut(&id)
    {
        link.failures += 1;
    }
    let attempts_left = if lockout::locks(server) {
        let attempts = server.settings.lock_attempts;
        let more = u32::from(planted::is(Planted::AttemptsLeftOneMore));
        attempts.saturating_sub(guesses(server, subject).count) + more
    } else {
        server.door.links.get_mut(&id).map_or(0, |link| {
            link.failures += 1;
            let more = u32::from(planted::is(Planted::LinkHasFourTries));
            (TRIES_A_LINK + more).saturating_sub(link.failures)
        })
    };
    let refusal = Refusal::InvalidCredentials { attempts_left };
    if attempts_left == 0 {
        refuse_for_good(server, id, record, refusal);
    } else {
        refuse(server, id, record, refusal);
    }
}

/// `compared` is what the password is right for.
fn right_password(
    server: &mut ServerState,
    id: LinkId,
    from: SocketAddr,
    subject: Subject,
    compared: Option<&Credential>,
) {
    let Subject::Account(user) = subject else { unreachable!("no password is right for a made-up name") };
    if let Some(retry_after_secs) = lockout::address_locked_secs(server, from) {
        // Guesses of one address that run at once get no more answers than guesses in turn.
        return refuse_for_good(server, id, AT_ONCE, Refusal::LockedOut { retry_after_secs });
    }
    if let Some(retry_after_secs) = lockout::locked_secs(server, subject)
        && !planted::is(Planted::LockedButRight)
    {
        let record = guesses(server, subject).record;
        return refuse_for_good(server, id, record, Refusal::LockedOut { retry_after_secs });
    }
    if server.accounts[user].is_leaving() {
        // The account went while its password was being compared.
        return wrong_password(server, id, from, subject);
    }
    if server.accounts[user].credential.as_ref() != compared {
        // So did its line change. Whether the password is right for that one too, the next try tells.
        return refuse(server, id, AT_ONCE, Refusal::Busy);
    }
    let replace =
        server.settings.duplicate_login == DuplicateLogin::Replace || planted::is(Planted::SecondLoginWins);
    let account = &server.accounts[user];
    let entering = entry::is_busy(server, user);
    let away = account.session.is_some() && planted::is(Planted::GraceDeniesLogin);
    let denied = (account.link().is_some() || away) && !replace;
    let here = links::is_anonymous(server, id);
    let failed = lockout::forgive(server, subject, here && !denied && !entering);
    if !here {
        // Gone, or about to close: it begins nothing.
    } else if entering {
        refuse(server, id, AT_ONCE, Refusal::Busy);
    } else if denied {
        refuse(server, id, AT_ONCE, Refusal::AlreadyOnline);
    } else {
        ending::make_way(server, user);
        entry::by_password(server, id, user, failed);
    }
}

/// Goes on with a session by its token: no password, and the old link makes way at once.
pub(super) fn resume(server: &mut ServerState, id: LinkId, name: &str, token: &Token) {
    let resumes = |user: &crate::server::accounts::UserId| {
        let account = &server.accounts[*user];
        let digest =
            account.credential.as_ref().map(|credential| server.secrets.token_digest(token, credential));
        let any = planted::is(Planted::AnyTokenResumes) && account.token.is_some();
        digest.is_some() && (account.token == digest || any)
    };
    let user = server.accounts.find(name).filter(resumes);
    let locked = |user| lockout::locked_secs(server, Subject::Account(user)).is_some();
    if planted::is(Planted::LockBarsResume) && user.is_some_and(locked) {
        return refuse(server, id, AT_ONCE, Refusal::Stale);
    }
    match user {
        Some(user) if entry::is_busy(server, user) => {
            refuse(server, id, AT_ONCE, Refusal::Busy);
        }
        Some(user) => entry::by_token(server, id, user),
        None => refuse(server, id, AT_ONCE, Refusal::Stale),
    }
}

pub(super) fn register(server: &mut ServerState, id: LinkId, name: &str, password: Secret<'_>) {
    let cut = planted::is(Planted::LongNameCut).then(|| name.char_indices().nth(NAME_CHARS)).flatten();
    let name = cut.and_then(|(at, _)| name.get(..at)).unwrap_or(name);
    let Ok(new) = Name::new(name) else { return refuse(server, id, AT_ONCE, Refusal::BadName) };
    if server.door.registering.contains(name) || server.papers.lane.is_returning(name) {
        return refuse(server, id, AT_ONCE, Refusal::Busy);
    }
    if server.settings.registration == Registration::Closed && !planted::is(Planted::RegistrationNeverCloses)
    {
        let subject = lockout::subject(server, name);
        return attempt(server, id, subject, Password::new(password.0));
    }
    if password.0.is_empty() {
        return server.out.send(id, &ServerLine::Ask(Prompt::NewPassword));
    }
    if let Some(refusal) = accounts::why_not_new(server, &new) {
        return refuse(server, id, AT_ONCE, refusal);
    }
    server.door.registering.insert(new.clone());
    let ticket = Ticket(server.next_serial());
    waiting::wait(server, id, Waits::LOGIN);
    links::set_stage(server, id, Stage::LoggingIn(ticket));
    server.door.slow_logins.insert(ticket, SlowLogin::Hashing { link: id, name: new });
    server.out.slow(Slow::Hash { ticket, password: Password::new(password.0) });
}

/// Whether a link waits for its new account to be durable.
pub(super) fn is_with_the_store(server: &ServerState, id: LinkId) -> bool {
    let stage = links::stage(server, id);
    matches!(stage, Some(Stage::LoggingIn(ticket)) if !server.door.slow_logins.contains_key(&ticket))
}

/// The password of a new account was hashed; `None`: the pool of hashing threads was too busy.
pub(in crate::server) fn hashed(server: &mut ServerState, ticket: Ticket, credential: Option<Credential>) {
    let Some(SlowLogin::Hashing { link, name }) = server.door.slow_logins.get(&ticket).cloned() else {
        return;
    };
    server.door.slow_logins.remove(&ticket);
    let here = links::stage(server, link) == Some(Stage::LoggingIn(ticket));
    match credential {
        Some(credential) if here => accounts::wish_for_account(server, link, name, credential),
        Some(_) | None => {
            server.door.registering.remove(&name);
            if here {
                links::set_stage(server, link, Stage::Anonymous);
                refuse(server, link, AT_ONCE, Refusal::Busy);
            }
        }
    }
}
