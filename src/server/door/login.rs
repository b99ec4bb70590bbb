//! From a name and a password to a login that is decided.

use core::net::SocketAddr;

use super::entry::{self, refuse, refuse_for_good};
use super::hashing::{self, Job, Task};
use super::links::{self, Stage};
use super::names::Subject;
use super::tries::{self, Counted, Success};
use super::waiting::{self, Waits};
use super::{accounts, addresses, couriers, devices, ending, invites, probes, ranges, strangers};
use crate::planted::{self, Planted};
use crate::record::RecordNumber;
use crate::server::accounts::UserId;
use crate::server::effect::Report;
use crate::server::event::Verdict;
use crate::server::out::Slow;
use crate::server::settings::{DuplicateLogin, Registration};
use crate::server::{Later, ServerState, orders, restraints};
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
    Comparing(Attempt),
    /// A password for a new account is being hashed.
    Hashing { link: LinkId, name: Name },
}

/// A password that is tried.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) link: LinkId,
    pub(super) from: SocketAddr,
    pub(super) counted: Counted,
    /// What it is compared with: the file may be read again before the verdict is there.
    pub(super) credential: Option<Credential>,
}

/// By what a login whose password is right is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It was compared.
    Password,
    /// `takeover`.
    Takeover,
}

/// A login begins, of whatever kind; `false`: it is refused, as nobody is let in from its address.
#[must_use]
pub(super) fn begin(server: &mut ServerState, id: LinkId) -> bool {
    strangers::note_begun(server, id);
    probes::forget_claim(server, id);
    let secs = ranges::is_barred(server, id).filter(|_| !planted::is(Planted::RangeComesIn));
    if let Some(retry_after_secs) = secs {
        refuse_for_good(server, id, AT_ONCE, Refusal::LockedOut { retry_after_secs });
    }
    secs.is_none()
}

pub(super) fn login(server: &mut ServerState, id: LinkId, name: &str, password: Option<Secret<'_>>) {
    if !begin(server, id) {
        return;
    }
    if Name::new(name).is_err() && !planted::is(Planted::BadNameIsTried) {
        return refuse(server, id, AT_ONCE, Refusal::BadName);
    }
    let code = invites::of_link(server, id);
    if code.is_some_and(|code| invites::is_no_more(server, code)) && !planted::is(Planted::OverInviteLogsIn) {
        return refuse_for_good(server, id, AT_ONCE, Refusal::InvalidInvite);
    }
    let open = server.settings.registration == Registration::Open;
    let invited = code.is_some_and(|code| invites::is_good(server, code, name));
    let kept = orders::is_operator(server, name);
    let new = (open || invited) && !kept && server.accounts.find_open(name).is_none();
    let busy = server.door.registering.contains(name) || server.papers.lane.is_returning(name);
    match password {
        None if new && !planted::is(Planted::NewNameAskedAsOld) => {
            server.out.send(id, &ServerLine::Ask(Prompt::NewPassword))
        }
        None => server.out.send(id, &ServerLine::Ask(Prompt::Password)),
        Some(_) if busy => refuse(server, id, AT_ONCE, Refusal::Busy),
        Some(_) if new => server.out.send(id, &ServerLine::Ask(Prompt::NewPassword)),
        Some(password) => attempt(server, id, name, Password::new(password.0)),
    }
}

/// Tries a password: refused while the name or the address is locked, else it waits for its turn.
fn attempt(server: &mut ServerState, id: LinkId, name: &str, password: Password) {
    let Some((from, failures)) = server.door.links.get(&id).map(|link| (link.from, link.failures)) else {
        return;
    };
    let subject = tries::subject(server, name);
    let device = match subject {
        Subject::Account(user) => devices::of_link(server, id, user).map(|device| (user, device)),
        Subject::Unknown(_) => None,
    };
    let counted = device.map_or(Counted::Name(subject), |(user, device)| Counted::Device(user, device));
    tries::end_lock_of_device(server, counted);
    if planted::is(Planted::CounterPerLink) && failures == 0 {
        tries::count_from_zero(server, counted);
    }
    if is_locked(server, id, from, counted) {
        return;
    }
    let task = Task::Compare(counted);
    if hashing::has_room(server, id, name, &task) {
        hashing::submit(server, Job { link: id, name: name.into(), password, task });
    } else {
        refuse_busy(server, id, counted, from);
    }
}

fn refuse_busy(server: &mut ServerState, id: LinkId, counted: Counted, from: SocketAddr) {
    if planted::is(Planted::BusyCostsTry) && tries::find_place(server, counted, from) {
        tries::count_failure(server, counted, from);
    }
    refuse(server, id, AT_ONCE, Refusal::Busy);
}

/// Refuses a password because its name or its address is locked, if so.
fn is_locked(server: &mut ServerState, id: LinkId, from: SocketAddr, counted: Counted) -> bool {
    if let Some(retry_after_secs) = addresses::locked_secs(server, from) {
        refuse_for_good(server, id, AT_ONCE, Refusal::LockedOut { retry_after_secs });
        return true;
    }
    let locked = tries::locked_secs(server, counted).is_some() && !planted::is(Planted::LockedButRight);
    if locked {
        let (retry_after_secs, record) = tries::extend_lock(server, counted, from);
        refuse_for_good(server, id, record, Refusal::LockedOut { retry_after_secs });
    }
    locked
}

/// Refuses a user whom an operator does not let in, if so.
pub(super) fn refuse_barred(server: &mut ServerState, id: LinkId, user: Option<UserId>) -> bool {
    let secs = user.and_then(|user| restraints::barred_secs(server, user));
    if let Some(retry_after_secs) = secs {
        refuse_for_good(server, id, AT_ONCE, Refusal::LockedOut { retry_after_secs });
    }
    secs.is_some()
}

/// The turn of a password that waited has come: it goes to a thread, unless it is refused.
pub(super) fn turn_has_come(server: &mut ServerState, job: Job) {
    let Job { link: id, password, task, .. } = job;
    let Some(from) = server.door.links.get(&id).map(|link| link.from) else { return };
    match task {
        Task::Compare(counted) => {
            if is_locked(server, id, from, counted) {
                return;
            }
            if !tries::find_place(server, counted, from) {
                return refuse_busy(server, id, counted, from);
            }
            tries::begin_comparison(server, counted);
            let ticket = begin_work(server, id);
            let credential = counted.user().and_then(|user| server.accounts[user].credential.clone());
            let compared = Attempt { link: id, from, counted, credential: credential.clone() };
            server.door.slow_logins.insert(ticket, SlowLogin::Comparing(compared));
            server.out.slow(Slow::Verify { ticket, credential, password });
        }
        Task::Register(name) => {
            let ticket = begin_work(server, id);
            server.door.slow_logins.insert(ticket, SlowLogin::Hashing { link: id, name });
            server.out.slow(Slow::Hash { ticket, password });
        }
    }
}

fn begin_work(server: &mut ServerState, id: LinkId) -> Ticket {
    hashing::thread_is_taken(server);
    let ticket = Ticket(server.next_serial());
    links::set_stage(server, id, Stage::LoggingIn(ticket));
    ticket
}

/// A password was compared.
pub(in crate::server) fn verified(server: &mut ServerState, ticket: Ticket, verdict: Verdict) {
    let slow = server.door.slow_logins.get(&ticket).cloned();
    let Some(SlowLogin::Comparing(attempt)) = slow else { return };
    server.door.slow_logins.remove(&ticket);
    hashing::thread_is_free(server);
    let Attempt { link, from, counted, .. } = attempt;
    tries::end_lock_of_device(server, counted);
    if links::stage(server, link) == Some(Stage::LoggingIn(ticket)) {
        links::set_stage(server, link, Stage::Anonymous);
    }
    match verdict {
        Verdict::Overloaded => refuse_busy(server, link, counted, from),
        Verdict::Wrong => wrong_password(server, link, from, counted),
        Verdict::Right => right_password(server, &attempt, Way::Password),
    }
    tries::end_comparison(server, counted);
    if !planted::is(Planted::OverloadHangs) {
        read_on_if_refused(server, link);
    }
    hashing::give_turns(server);
    if let Some(user) = counted.user()
        && server.accounts[user].is_leaving()
    {
        server.later.push_back(Later::Purge);
    }
}

/// A link that is not logged in, and waits for nothing, is read again.
pub(super) fn read_on_if_refused(server: &mut ServerState, id: LinkId) {
    if links::is_anonymous(server, id) {
        waiting::wait_no_more(server, id, Waits::LOGIN);
    }
}

fn wrong_password(server: &mut ServerState, id: LinkId, from: SocketAddr, counted: Counted) {
    let address_locked_secs = addresses::locked_secs(server, from);
    let (count, record, locked_secs) = tries::count_failure(server, counted, from);
    let user = counted.user().map(|user| server.accounts.name(user).clone());
    let device = matches!(counted, Counted::Device(..));
    server.out.report(Report::LoginFailed { user, from, failures: count, device, locked_secs });
    if let Some(user) = counted.user()
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
    let attempts_left = if tries::locks(server) {
        let attempts = server.settings.lock_attempts;
        let more = u32::from(planted::is(Planted::AttemptsLeftOneMore));
        attempts.saturating_sub(count) + more
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

/// Decides a login whose password is right.
pub(super) fn right_password(server: &mut ServerState, attempt: &Attempt, way: Way) {
    let Attempt { link: id, from, counted, credential: ref compared } = *attempt;
    let Some(user) = counted.user() else { unreachable!("no password is right for a made-up name") };
    if let Some(retry_after_secs) = addresses::locked_secs(server, from) {
        // Guesses of one address that run at once get no more answers than guesses in turn.
        return refuse_for_good(server, id, AT_ONCE, Refusal::LockedOut { retry_after_secs });
    }
    if let Some(retry_after_secs) = tries::locked_secs(server, counted)
        && !planted::is(Planted::LockedButRight)
    {
        let record = tries::record(server, counted);
        return refuse_for_good(server, id, record, Refusal::LockedOut { retry_after_secs });
    }
    if server.accounts[user].is_leaving() {
        // The account went while its password was being compared, or its session asked: then it has no place.
        if !tries::find_place(server, counted, from) {
            return refuse(server, id, AT_ONCE, Refusal::Busy);
        }
        return wrong_password(server, id, from, counted);
    }
    let now = server.accounts[user].credential.as_ref();
    let renews = |(now, compared): (&Credential, &Credential)| {
        now == compared || now.renews(compared) && !planted::is(Planted::RenewalRefusesLogin)
    };
    if !now.zip(compared.as_ref()).is_some_and(renews) {
        // So did its line change. Whether the password is right for that one too, the next try tells.
        return refuse(server, id, AT_ONCE, Refusal::Busy);
    }
    // Nobody else learns of it: a wrong password is answered as ever.
    if refuse_barred(server, id, Some(user)) {
        return;
    }
    if couriers::is_one(server, id) {
        return couriers::right_password(server, id, user, counted);
    }
    let replace = server.settings.duplicate_login == DuplicateLogin::Replace
        || way == Way::Takeover
        || planted::is(Planted::SecondLoginWins);
    let account = &server.accounts[user];
    let entering = entry::is_busy(server, user) || probes::is_asked(server, user);
    let away = account.session.is_some() && planted::is(Planted::GraceDeniesLogin);
    let denied = (account.link().is_some() || away) && !replace;
    let here = links::is_anonymous(server, id);
    if here && denied && !entering && way == Way::Password && probes::ask(server, attempt) {
        return;
    }
    let notes_device = devices::is_noted(server, id);
    let enters = here && !denied && !entering;
    let success = if enters { Success::Login { notes_device } } else { Success::Refused };
    let failed = tries::forgive(server, counted, success);
    if !here {
        // Gone, or about to close: it begins nothing.
    } else if entering {
        refuse(server, id, AT_ONCE, Refusal::Busy);
    } else if denied {
        probes::deny(server, attempt);
    } else {
        ending::make_way(server, user);
        entry::by_password(server, id, user, failed);
    }
}

/// Goes on with a session by its token: no password, and the old link makes way at once.
pub(super) fn resume(server: &mut ServerState, id: LinkId, name: &str, token: &Token) {
    if !begin(server, id) {
        return;
    }
    if couriers::is_one(server, id) {
        return couriers::resume(server, id, name, token);
    }
    let resumes = |user: &crate::server::accounts::UserId| {
        let account = &server.accounts[*user];
        let good = account.credential.as_ref().zip(account.token).is_some_and(|(credential, digest)| {
            server.secrets.token_digests(token, credential).contains(&digest)
        });
        let any = planted::is(Planted::AnyTokenResumes) && account.token.is_some();
        good || any && account.credential.is_some()
    };
    let user = server.accounts.find(name).filter(resumes);
    if !planted::is(Planted::BannedResumes) && refuse_barred(server, id, user) {
        return;
    }
    let locked = |user| tries::locked_secs(server, Counted::Name(Subject::Account(user))).is_some();
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
    if !begin(server, id) {
        return;
    }
    let Ok(new) = Name::new(name) else { return refuse(server, id, AT_ONCE, Refusal::BadName) };
    if server.door.registering.contains(name) || server.papers.lane.is_returning(name) {
        return refuse(server, id, AT_ONCE, Refusal::Busy);
    }
    let invite = invites::of_link(server, id);
    let closed = server.settings.registration == Registration::Closed;
    if closed && invite.is_none() && !planted::is(Planted::RegistrationNeverCloses) {
        return attempt(server, id, name, Password::new(password.0));
    }
    if invite.is_some_and(|code| !invites::is_good(server, code, name)) {
        return refuse_for_good(server, id, AT_ONCE, Refusal::InvalidInvite);
    }
    if password.0.is_empty() {
        return server.out.send(id, &ServerLine::Ask(Prompt::NewPassword));
    }
    if let Some(refusal) = accounts::why_not_new(server, &new) {
        return refuse(server, id, AT_ONCE, refusal);
    }
    let task = Task::Register(new.clone());
    if !hashing::has_room(server, id, name, &task) {
        return refuse(server, id, AT_ONCE, Refusal::Busy);
    }
    let Some(from) = server.door.links.get(&id).map(|link| link.from) else { return };
    if invite.is_none() || planted::is(Planted::InviteCounts) {
        if let Some(retry_after_secs) = addresses::registration_secs(server, from) {
            return refuse_for_good(server, id, AT_ONCE, Refusal::LockedOut { retry_after_secs });
        }
        addresses::count_registration(server, from);
    }
    server.door.registering.insert(new);
    let password = Password::new(password.0);
    hashing::submit(server, Job { link: id, name: name.into(), password, task });
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
    hashing::thread_is_free(server);
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
    hashing::give_turns(server);
}
