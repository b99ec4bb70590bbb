//! Coming in: a login is decided, made durable, and then told to its user and to the others.

use alloc::boxed::Box;

use super::links::{self, Stage};
use super::waiting::{self, Waits};
use super::{addresses, couriers, devices, ending, probes, tries};
use crate::planted::{self, Planted};
use crate::record::{Fact, RecordNumber};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::effect::Report;
use crate::server::people::{history, introductions, presence, relays};
use crate::server::post::{Delivery, expiry, pages, storing};
use crate::server::session::{self, Session};
use crate::server::settings::OfflineDelivery;
use crate::server::{acts, announcements};
use crate::time::Time;
use crate::wire::{Admission, Notice, Refusal, ServerLine};
use crate::words::{LinkId, LoginNumber, Token};

/// A login that is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    by: By,
    /// When it was decided.
    pub(super) at: Time,
}

impl Entry {
    pub(super) fn is_by_token(self) -> bool {
        self.by == By::Token
    }
}

/// How somebody comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// By password, after so many failures since the last time. The token resumes the session, the cookie tells
    /// the device.
    Password { failed: u32, token: Option<Token>, cookie: Option<Token> },
    /// By the token of an earlier login.
    Token,
}

/// Lets a user in by password: with a login number and a token of their own, once that is durable. Whatever
/// an earlier login left open is void.
pub(super) fn by_password(server: &mut ServerState, id: LinkId, user: UserId, failed: u32) {
    let Some(link) = server.door.links.get(&id) else { return };
    if link.capabilities.courier {
        return couriers::by_password(server, id, user);
    }
    let token = link.capabilities.resume.then(|| server.secrets.token());
    let credential = server.accounts[user].credential.as_ref();
    let digests =
        token.zip(credential).map(|(token, credential)| server.secrets.token_digests(&token, credential));
    // From the clock, so that no number comes again should the store lose or refuse the last one: receivers
    // would take new messages for repeats.
    let millisecond = if planted::is(Planted::LoginsCounted) { 0 } else { server.now.0 / 1_000 };
    let account = &mut server.accounts[user];
    account.login = LoginNumber(millisecond.max(account.login.0 + 1));
    account.token = digests.map(|[digest, _]| digest);
    account.ledger.clear();
    account.unanswered.begin_login();
    if planted::is(Planted::DebtEndsWithSession) {
        account.debt = session::Debt::default();
    }
    let cookie = devices::note_login(server, id, user);
    enter(server, id, user, By::Password { failed, token, cookie });
}

/// What a resume costs.
const RESUME_UNITS: u64 = 20;

/// Lets a user in by token: into the session that goes on, at once, or into a new one.
pub(super) fn by_token(server: &mut ServerState, id: LinkId, user: UserId) {
    session::charge(server, user, if planted::is(Planted::ResumeIsFree) { 0 } else { RESUME_UNITS });
    if server.accounts[user].session.is_none() {
        if planted::is(Planted::ResumeForgetsAnswers) {
            server.accounts[user].ledger.clear();
        }
        return enter(server, id, user, By::Token);
    }
    let Some(link) = server.door.links.get(&id) else { return };
    let (from, capabilities) = (link.from, link.capabilities);
    links::leave_anonymous(server, id);
    storing::store_all_under_way(server, user);
    if !planted::is(Planted::ResumeKeepsUnnumbered) {
        introductions::withdraw_unnumbered(server, user);
    }
    let old = server.accounts[user].session.as_mut().and_then(|session| session.link.take());
    relays::lost_link(server, user);
    if let Some(old) = old {
        links::detach(server, old);
    }
    if let Some(session) = server.accounts[user].session.as_mut() {
        server.door.awaited -= usize::from(session.held);
        (session.link, session.held) = (Some(id), false);
        (session.from, session.capabilities) = (from, capabilities);
        session.delivery = Delivery::default();
        if planted::is(Planted::ResumeEndsAway) {
            session.away = None;
        }
    }
    probes::session_moved(server, user);
    let entry = Entry { by: By::Token, at: server.now };
    admit(server, id, user, entry, false);
    introductions::tell_again(server, user);
    if planted::is(Planted::ResumeTold) {
        presence::tell(server, user, true);
    }
}

/// Whether nobody can come in as this user for now: somebody does, or the store is far behind.
pub(super) fn is_busy(server: &ServerState, user: UserId) -> bool {
    let account = &server.accounts[user];
    account.entering.is_some() || account.session.is_none() && server.papers.is_behind_with(&account.name)
}

/// A session is to begin: its record goes to the store, and the link waits for it.
fn enter(server: &mut ServerState, id: LinkId, user: UserId, by: By) {
    let account = &mut server.accounts[user];
    assert!(account.session.is_none() && account.entering.is_none(), "a user has one session");
    account.entering = Some(id);
    let (name, login, token) = (account.name.clone(), account.login, account.token);
    links::leave_anonymous(server, id);
    let entry = Entry { by, at: server.now };
    links::set_stage(server, id, Stage::Entering(user, entry));
    waiting::wait(server, id, Waits::LOGIN);
    let began = Fact::SessionBegan { user: name, login, token, at: server.now };
    let ServerState { papers, out, .. } = server;
    let number = papers.persist_fact(out, began);
    if planted::is(Planted::WelcomeEarly) {
        return welcome(server, id, user, entry);
    }
    papers.wait_for(number, id);
}

/// The record that a link's next word reveals is durable, or was refused: facts hold all the same.
pub(in crate::server) fn word_is_due(server: &mut ServerState, id: LinkId) {
    match links::stage(server, id) {
        Some(Stage::Entering(user, entry)) => welcome(server, id, user, entry),
        Some(Stage::Refused(refusal, closes)) => {
            links::set_stage(server, id, Stage::Anonymous);
            say_refused(server, id, refusal, closes);
        }
        Some(Stage::Parting(..)) => links::part(server, id),
        Some(Stage::Hailing(user, token)) => couriers::admit(server, id, user, Some(token)),
        Some(
            Stage::Anonymous
            | Stage::Carrying(_)
            | Stage::Departing(..)
            | Stage::LoggingIn(_)
            | Stage::Queued
            | Stage::Asking(_)
            | Stage::Member(_)
            | Stage::Leaving(..),
        )
        | None => {}
    }
}

/// The session begins: for its user, and for the others.
fn welcome(server: &mut ServerState, id: LinkId, user: UserId, entry: Entry) {
    let Some(link) = server.door.links.get(&id) else { unreachable!("a link that enters is there") };
    let (from, capabilities) = (link.from, link.capabilities);
    let place = server.people.roster.enter(user);
    let serial = server.next_serial();
    let session = Session {
        serial,
        link: Some(id),
        held: false,
        from,
        lost_at: server.now,
        capabilities,
        place,
        away: None,
        last_active: server.now,
        told_idle_since: None,
        looked_at: None,
        delivery: Delivery::default(),
        relays: 0,
        relay_served: 0,
    };
    let account = &mut server.accounts[user];
    assert!(account.entering == Some(id), "a user enters on one link");
    account.entering = None;
    account.session = Some(Box::new(session));
    history::session_began(server, user, entry.at);
    ending::idle_due(server, user, serial);
    admit(server, id, user, entry, true);
    presence::changed(server, user, true);
}

/// Tells a user that they are in, in a session that is new or goes on, and shows what waits for them.
fn admit(server: &mut ServerState, id: LinkId, user: UserId, entry: Entry, is_new: bool) {
    let Some(from) = server.door.links.get(&id).map(|link| link.from) else { return };
    links::set_stage(server, id, Stage::Member(user));
    let resumed = entry.is_by_token();
    let token = match entry.by {
        By::Password { token, .. } => token,
        By::Token => None,
    };
    let unread = pages::unread(server, user);
    let (name, login) = (server.accounts.name(user).clone(), server.accounts[user].login);
    let admission = Admission { user: name.as_str(), unread, login, token };
    let line = if resumed { ServerLine::Resumed(admission) } else { ServerLine::Welcome(admission) };
    server.out.send(id, &line);
    if let By::Password { cookie: Some(cookie), .. } = entry.by {
        server.out.send(id, &ServerLine::Device { cookie });
    }
    if let By::Password { failed: count @ 1.., .. } = entry.by {
        server.out.send(id, &ServerLine::Notice(Notice::FailedLogins { count }));
    }
    if is_new {
        expiry::tell(server, id, user);
    }
    if !resumed || planted::is(Planted::MotdAtResume) {
        acts::greet(server, id);
    }
    announcements::catch_up(server, user, id);
    server.out.report(Report::LoggedIn { user: name, from, resumed });
    addresses::note_known(server, from, user);
    waiting::join(server, id, user);
    waiting::wait_no_more(server, id, Waits::LOGIN);
    if server.settings.offline_delivery == OfflineDelivery::Auto || planted::is(Planted::ManualShows) {
        pages::show_stored(server, user);
    }
}

/// The failures that a login was to tell of are told at the next one.
pub(super) fn remember_failures(server: &mut ServerState, user: UserId, entry: Entry) {
    if let By::Password { failed: failed @ 1.., .. } = entry.by {
        tries::remember_failures(server, user, failed);
    }
}

/// Refuses a login that may be tried again.
pub(super) fn refuse(server: &mut ServerState, id: LinkId, after: RecordNumber, refusal: Refusal) {
    refuse_then(server, id, after, refusal, false);
}

/// Refuses a login and closes its link.
pub(super) fn refuse_for_good(server: &mut ServerState, id: LinkId, after: RecordNumber, refusal: Refusal) {
    refuse_then(server, id, after, refusal, true);
}

/// Refuses a login, once the record is settled that the refusal reveals.
fn refuse_then(server: &mut ServerState, id: LinkId, after: RecordNumber, refusal: Refusal, closes: bool) {
    if !links::is_anonymous(server, id) {
        return;
    }
    if server.papers.is_settled(after) {
        return say_refused(server, id, refusal, closes);
    }
    links::set_stage(server, id, Stage::Refused(refusal, closes));
    waiting::wait(server, id, Waits::LOGIN);
    server.papers.wait_for(after, id);
}

fn say_refused(server: &mut ServerState, id: LinkId, refusal: Refusal, closes: bool) {
    server.tally.login_refused(refusal);
    server.out.send(id, &ServerLine::Refused(refusal));
    if closes {
        links::close(server, id);
    } else if !(refusal == Refusal::Busy && planted::is(Planted::OverloadHangs)) {
        waiting::wait_no_more(server, id, Waits::LOGIN);
    }
}
