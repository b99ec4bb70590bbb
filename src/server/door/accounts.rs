//! Accounts come and go: by registration, and as the credentials file is read again.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::entry::{self, refuse, refuse_for_good};
use super::links::{self, Stage};
use super::waiting::{self, Waits};
use super::{couriers, ending, hashing, invites, probes, tries};
use crate::planted::{self, Planted};
use crate::record::{Change, RecordNumber};
use crate::server::effect::Report;
use crate::server::papers::lane::{Registration, Subject, Subjects, Wish};
use crate::server::people::{history, presence, relays};
use crate::server::settings::{OfflineDelivery, Settings};
use crate::server::wishes::{self, Decision};
use crate::server::{Phase, Renewal, ServerState, orders, post};
use crate::wire::{Code, Refusal};
use crate::words::look_alike::{is_fit, looks};
use crate::words::{Credential, LinkId, Name};

const AT_ONCE: RecordNumber = RecordNumber(0);

/// Why no account of this name can be made, if so.
pub(super) fn why_not_new(server: &mut ServerState, name: &Name) -> Option<Refusal> {
    if server.papers.lane.is_purging(name.as_str()) {
        return Some(Refusal::Busy);
    }
    if server.accounts.find(name.as_str()).is_some() {
        return Some(Refusal::NameTaken);
    }
    let alike = server.accounts.looks_like_another(name) && !planted::is(Planted::LookAlikesIgnored);
    let kept = orders::is_kept_for_operator(server, name);
    (kept || alike || !is_fit(name.as_str())).then_some(Refusal::BadName)
}

/// The password of a new account is hashed: the account is to be made.
pub(super) fn wish_for_account(server: &mut ServerState, link: LinkId, name: Name, credential: Credential) {
    let invite = invites::of_link(server, link);
    wishes::submit(server, Wish::Register(Registration { link, name, credential, invite }));
}

/// What making or purging an account reads and writes.
pub(in crate::server) fn account_subjects(name: &Name) -> Subjects {
    let looks = looks(name.as_str()).into_iter().map(Subject::Look);
    let writes = core::iter::once(Subject::Account(name.clone())).chain(looks).collect();
    Subjects { reads: Vec::new(), writes }
}

/// Decides a registration whose turn has come.
pub(in crate::server) fn decide_account(server: &mut ServerState, registration: &Registration) -> Decision {
    let Registration { link, ref name, ref credential, invite } = *registration;
    let here = matches!(links::stage(server, link), Some(Stage::LoggingIn(_)));
    let over = invite.filter(|code| !invites::is_good(server, *code, name.as_str()));
    let refusal = over.map(|_| Refusal::InvalidInvite).or_else(|| why_not_new(server, name));
    if here && refusal.is_none() {
        if let Some(code) = invite {
            invites::take(server, code);
        }
        let change = Change::AccountAdded { name: name.clone(), credential: credential.clone() };
        return Decision::Change { change, concerned: Vec::new() };
    }
    server.door.registering.remove(name);
    if let Some(refusal) = refusal.filter(|_| here) {
        refuse_registration(server, link, refusal);
    }
    Decision::Answered
}

fn refuse_registration(server: &mut ServerState, link: LinkId, refusal: Refusal) {
    links::set_stage(server, link, Stage::Anonymous);
    if refusal == Refusal::InvalidInvite {
        return refuse_for_good(server, link, AT_ONCE, refusal);
    }
    refuse(server, link, AT_ONCE, refusal);
    waiting::wait_no_more(server, link, Waits::LOGIN);
}

/// The new account is in the credentials file, or could not be written.
pub(in crate::server) fn account_decided(
    server: &mut ServerState,
    registration: &Registration,
    settlement: Result<(), Code>,
) {
    let Registration { link, ref name, ref credential, invite } = *registration;
    server.door.registering.remove(name);
    let waits = matches!(links::stage(server, link), Some(Stage::LoggingIn(_)));
    if settlement.is_err() {
        if let Some(code) = invite {
            invites::give_back(server, code);
        }
        if waits {
            refuse_registration(server, link, Refusal::Busy);
        }
        return;
    }
    tries::forget_unknown(server, name);
    if let Some(from) = server.door.links.get(&link).map(|link| link.from) {
        server.out.report(Report::Registered { user: name.clone(), from });
    }
    if !waits {
        return;
    }
    match server.accounts.find_open(name.as_str()) {
        // The operator has given the name to somebody meanwhile.
        Some(user) if server.accounts[user].credential.as_ref() != Some(credential) => {
            refuse_registration(server, link, Refusal::NameTaken);
        }
        Some(user) if couriers::is_one(server, link) => {
            links::set_stage(server, link, Stage::Anonymous);
            entry::by_password(server, link, user, 0);
        }
        Some(user) if server.accounts[user].session.is_none() && server.accounts[user].entering.is_none() => {
            links::set_stage(server, link, Stage::Anonymous);
            entry::by_password(server, link, user, 0);
        }
        // Somebody has come in under the name meanwhile, or the operator has taken it away.
        Some(_) | None => refuse_registration(server, link, Refusal::Busy),
    }
}

/// The operator read accounts and settings again. Sessions go on; a changed password ends the right to
/// resume; an account that is gone is locked out at once.
pub(in crate::server) fn file_read(
    server: &mut ServerState,
    accounts: Vec<(Name, Credential)>,
    settings: Settings,
) {
    take_settings(server, settings);
    if planted::is(Planted::ReloadUnlocks) {
        for user in server.accounts.ids() {
            tries::begin_anew(server, user);
        }
    }
    let kept: BTreeSet<Name> = accounts.iter().map(|(name, _)| name.clone()).collect();
    server.papers.lane.forget_returns();
    for (name, credential) in accounts {
        open_account(server, &name, credential);
    }
    for user in server.accounts.ids() {
        let name = server.accounts.name(user).clone();
        if !kept.contains(&name) {
            retire(server, &name);
        }
    }
    begin_purges(server);
}

/// An account is in the credentials file: it is there, or will be once the earlier one of its name is purged.
pub(in crate::server) fn open_account(server: &mut ServerState, name: &Name, credential: Credential) {
    if server.papers.lane.is_purging(name.as_str()) {
        server.papers.lane.note_return(name, credential);
    } else {
        if let Some(user) = server.accounts.find_open(name.as_str())
            && server.accounts[user].credential.as_ref() != Some(&credential)
            && planted::is(Planted::NewPasswordEndsSession)
        {
            ending::make_way(server, user);
        }
        couriers::line_changes(server, name, Some(&credential));
        server.accounts.insert(name, credential);
    }
}

/// Lines were replaced by renewals of their hashes. An account whose line is another one by now keeps that.
pub(in crate::server) fn hashes_renewed(server: &mut ServerState, renewals: Vec<Renewal>) {
    for renewal in renewals.into_iter().filter(|renewal| renewal.after.renews(&renewal.before)) {
        server.papers.lane.renew_return(&renewal);
        let Renewal { name, before, after } = renewal;
        if let Some(user) = server.accounts.find_open(name.as_str())
            && server.accounts[user].credential.as_ref() == Some(&before)
        {
            server.accounts[user].credential = Some(after);
        }
    }
}

fn take_settings(server: &mut ServerState, settings: Settings) {
    let before = core::mem::replace(&mut server.settings, settings);
    let now = &server.settings;
    let waits = |settings: &Settings| {
        (settings.timeout_secs, settings.resume_grace_secs, settings.restart_grace_secs)
    };
    let rate = |settings: &Settings| (settings.rate_burst, settings.rate_per_s);
    let shows = |settings: &Settings| settings.offline_delivery == OfflineDelivery::Auto;
    let records = |settings: &Settings| (settings.unsettled_max, settings.store_queue_bytes);
    let records_changed = records(now) != records(&before);
    let (waits_changed, rate_changed) = (waits(now) != waits(&before), rate(now) != rate(&before));
    let presence = |settings: &Settings| (settings.presence_burst, settings.presence_settle_secs);
    let presence_changed = presence(now) != presence(&before);
    let relayed_changed = now.relay_bytes_per_s != before.relay_bytes_per_s;
    let shows_now = shows(now) && !shows(&before);
    let mail_days_changed = now.mailbox_days != before.mailbox_days;
    let past_days_changed = now.history_days != before.history_days;
    if waits_changed && !planted::is(Planted::ReloadKeepsIdle) {
        ending::watch_all(server);
    }
    if rate_changed {
        waiting::rate_changed(server);
    }
    if records_changed {
        waiting::records_limit_changed(server);
    }
    if presence_changed {
        presence::settings_changed(server);
    }
    if relayed_changed {
        relays::rate_changed(server);
    }
    if mail_days_changed && !planted::is(Planted::ReloadKeepsMailDays) {
        post::expiry::days_changed(server);
    }
    if past_days_changed {
        history::watch(server);
    }
    if shows_now {
        for user in server.people.roster.users().to_vec() {
            post::pages::show_stored(server, user);
        }
    }
}

/// An account is gone from the credentials file. Nobody can log in to it from now on; it is purged when its
/// session has ended and nothing is under way to it or from it.
fn retire(server: &mut ServerState, name: &Name) {
    server.papers.lane.note_purge(name);
    couriers::line_changes(server, name, None);
    if let Some(user) = server.accounts.find(name.as_str()) {
        let account = &mut server.accounts[user];
        if account.credential.take().is_some() {
            account.token = None;
            tries::begin_anew(server, user);
            if planted::is(Planted::RemovalEndsSession) {
                ending::make_way(server, user);
            }
        }
    }
}

/// Purges every account that is gone and for which nothing is under way. A purge that the store refused is
/// tried again.
pub(in crate::server) fn begin_purges(server: &mut ServerState) {
    if server.phase == Phase::Stopping {
        // The next start finds them.
        return;
    }
    for name in server.papers.lane.purges_to_begin() {
        let is_free = server.accounts.find(name.as_str()).is_none_or(|user| {
            let account = &server.accounts[user];
            account.session.is_none()
                && account.entering.is_none()
                && !account.inbox.is_expecting()
                && !probes::is_asked(server, user)
                && !hashing::has_passwords_of(server, user)
                && account.unanswered.is_none()
                && !server.papers.lane.is_busy(user)
        });
        if is_free {
            wishes::submit(server, Wish::Purge { name });
        }
    }
}

/// A purge is durable and applied: the name is free, or its new account is made.
pub(in crate::server) fn purged(server: &mut ServerState, name: &Name) {
    server.papers.forget_facts_of(name);
    server.out.report(Report::AccountRemoved { name: name.clone() });
    if let Some(credential) = server.papers.lane.end_purge(name) {
        server.accounts.insert(name, credential);
    }
}

/// An account that the store remembers is not in the credentials file.
pub(in crate::server) fn note_unknown(server: &mut ServerState, name: &Name) {
    server.papers.lane.note_purge(name);
}
