//! Showing what a mailbox holds: page by page, oldest first, before anything newer.

use alloc::vec::Vec;

use super::delivery::{self, Keep, Parcel};
use super::{discard, expiry, is_held, storing};
use crate::planted::{self, Planted};
use crate::record::{Fact, Mail, Outcome};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::answers::{self, Asker, Tell};
use crate::server::out::Slow;
use crate::server::session::Session;
use crate::server::settings::OfflineDelivery;
use crate::wire::{Answer, Freshness};
use crate::words::{MessageId, Name, Ticket};

/// Messages asked of the store at a time; at most 192 KiB of text.
const PAGE_MESSAGES: u32 = 48;

/// Stored mail that a session is to be shown.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// Only mail of this sender: what a block held back.
    only: Option<Name>,
    /// The last message looked at.
    after: MessageId,
    /// Who asked for it by `offline`, and how many were shown so far.
    asker: Option<Asker>,
    shown: u64,
    /// Whether a page of it was asked for.
    begun: bool,
}

impl Source {
    /// All mail.
    const fn all(asker: Option<Asker>) -> Source {
        Source { only: None, after: MessageId { boot: 0, number: 0 }, asker, shown: 0, begun: false }
    }

    /// Mail with larger ids.
    pub(super) const fn after(after: MessageId) -> Source {
        Source { only: None, after, asker: None, shown: 0, begun: false }
    }

    fn held(from: Name) -> Source {
        Source { only: Some(from), ..Source::all(None) }
    }

    /// Whether it will show all that another one could.
    fn covers(&self, other: &Source, loading: bool) -> bool {
        let in_time = if other.asker.is_some() { !self.begun } else { !loading };
        in_time && self.only == other.only && self.after <= other.after
    }
}

/// A page of mail asked of the store, for a session.
#[derive(Debug, Clone)]
pub(super) struct Page {
    user: UserId,
    serial: u64,
}

/// Stored messages that a user may be shown now: none with `offline_delivery=off`, and none of an account that is to
/// be purged.
pub(in crate::server) fn unread(server: &ServerState, user: UserId) -> u64 {
    if server.accounts[user].is_leaving() || server.settings.offline_delivery == OfflineDelivery::Off {
        return 0;
    }
    let Some(mailbox) = &server.accounts[user].inbox.mailbox else { return 0 };
    let held = |from: &Name| is_held(server, user, from) && !planted::is(Planted::UnreadCountsHeld);
    let shown = mailbox.by_sender().filter(|(from, _)| !held(from));
    shown.map(|(_, messages)| u64::from(messages)).sum()
}

/// Shows a user who has come in what waits for them.
pub(in crate::server) fn show_stored(server: &mut ServerState, user: UserId) {
    show(server, user, Source::all(None));
    delivery::advance(server, user);
}

/// `offline`: shows what waits, then says how much it was.
pub(in crate::server) fn show_on_command(server: &mut ServerState, asker: &Asker) {
    match server.settings.offline_delivery {
        OfflineDelivery::Manual => {
            show(server, asker.user, Source::all(Some(*asker)));
            delivery::advance(server, asker.user);
        }
        OfflineDelivery::Auto | OfflineDelivery::Off => {
            answers::answer(server, asker, Outcome::Done, Answer::Offline { messages: 0 });
        }
    }
}

/// Shows what a block held back.
pub(in crate::server) fn show_held(server: &mut ServerState, user: UserId, from: &Name) {
    let mailbox = server.accounts[user].inbox.mailbox.as_deref();
    let waits = mailbox.is_some_and(|mailbox| mailbox.has_mail_of(from)) && !is_held(server, user, from);
    let manual = server.settings.offline_delivery == OfflineDelivery::Manual;
    let waits = waits && !(manual && planted::is(Planted::ManualUnblockShowsNothing));
    if waits && server.settings.offline_delivery != OfflineDelivery::Off {
        show(server, user, Source::held(from.clone()));
        delivery::advance(server, user);
    }
}

/// A message became durable: its receiver is shown it if they are there and it is not on its way to them.
pub(super) fn show_new(server: &mut ServerState, user: UserId, id: MessageId) {
    let account = &server.accounts[user];
    let Some(session) = account.session.as_ref().filter(|session| session.link.is_some()) else { return };
    let in_mailbox = account.inbox.mailbox.as_ref().is_some_and(|mailbox| !mailbox.is_removed(id));
    let shown = session.delivery.is_under_way(id) || session.delivery.is_late(id);
    if server.settings.offline_delivery == OfflineDelivery::Auto && in_mailbox && !shown {
        storing::show_from(server, user, id);
    }
}

/// Queues what is to be shown, unless it is going to be: a user who takes none of it could ask for ever.
pub(super) fn show(server: &mut ServerState, user: UserId, source: Source) {
    let account = &mut server.accounts[user];
    // An account that is to be purged is shown live messages only.
    let nothing_stored =
        account.is_leaving() || account.inbox.mailbox.as_deref().is_none_or(|mailbox| !mailbox.has_mail());
    let Some(session) = account.session.as_mut() else { return };
    let delivery = &mut session.delivery;
    let loading = delivery.loading.is_some();
    let covered = |(at, queued): (usize, &Source)| queued.covers(&source, loading && at == 0);
    if nothing_stored && delivery.sources.is_empty() || delivery.sources.iter().enumerate().any(covered) {
        return source_is_empty(server, &source);
    }
    delivery.sources.push_back(source);
}

pub(super) fn load_next(server: &mut ServerState, user: UserId) {
    let account = &server.accounts[user];
    let takes = |session: &&Session| session.link.is_some_and(|link| server.out.takes(link));
    let Some(session) = account.session.as_deref().filter(takes) else { return };
    let Some(source) = session.delivery.sources.front().filter(|_| session.delivery.wants_page()) else {
        return;
    };
    let (serial, from, after) = (session.serial, source.only.clone(), source.after);
    let name = account.name.clone();
    let ticket = Ticket(server.next_serial());
    server.post.pages.insert(ticket, Page { user, serial });
    server.out.slow(Slow::LoadMail { ticket, user: name, from, after, limit: PAGE_MESSAGES });
    if let Some(session) = server.accounts[user].session.as_mut() {
        session.delivery.loading = Some(ticket);
        if let Some(source) = session.delivery.sources.front_mut() {
            source.begun = true;
        }
    }
}

/// The store has read mail that it was asked for.
pub(in crate::server) fn loaded(server: &mut ServerState, ticket: Ticket, mail: Vec<Mail>, more: bool) {
    if let Some(page) = server.post.pages.remove(&ticket) {
        page_loaded(server, &page, mail, more);
    } else if let Some(discard) = server.post.discards.remove(&ticket) {
        discard::loaded(server, discard, &mail, more);
    } else {
        expiry::loaded(server, ticket, &mail, more);
    }
}

/// Nobody waits for this page any more.
pub(super) fn forget(server: &mut ServerState, page: Option<Ticket>) {
    if let Some(ticket) = page {
        server.post.pages.remove(&ticket);
    }
}

fn page_loaded(server: &mut ServerState, page: &Page, mail: Vec<Mail>, more: bool) {
    let user = page.user;
    let session = server.accounts[user].session.as_mut().filter(|session| session.serial == page.serial);
    let Some(session) = session else { return };
    let asked = session.delivery.loading.take();
    assert!(asked.is_some(), "a page that is not forgotten is waited for");
    let late = |id: MessageId| session.delivery.is_late(id);
    let last = mail.last().map(|mail| mail.id);
    // What came after a logout waits for the next login.
    let more = more && !last.is_some_and(late);
    let cut = usize::from(more && planted::is(Planted::PageDropsLast));
    let count = mail.len() - cut.min(mail.len());
    let mail: Vec<Mail> = mail.into_iter().take(count).filter(|mail| !late(mail.id)).collect();
    let mut shown = 0;
    for mail in mail {
        shown += u64::from(show_mail(server, user, mail));
    }
    let Some(session) = server.accounts[user].session.as_mut() else { return };
    if let (Some(source), Some(last)) = (session.delivery.sources.front_mut(), last) {
        source.shown += shown;
        source.after = source.after.max(last);
    }
    if !more && let Some(source) = session.delivery.sources.pop_front() {
        source_is_empty(server, &source);
    }
    delivery::advance(server, user);
    server.go_on_leaving(user);
}

/// Sends a stored message, unless it is held back, on its way already, or out of the mailbox.
fn show_mail(server: &mut ServerState, user: UserId, mail: Mail) -> bool {
    let Some(session) = server.accounts[user].session.as_ref() else { return false };
    let mailbox = server.accounts[user].inbox.mailbox.as_ref();
    let gone = mailbox.is_none_or(|mailbox| mailbox.is_removed(mail.id))
        && !planted::is(Planted::PageShowsWhatIsGone);
    // Mail that was held back comes in its own turn, all of it in order.
    let mut later = session.delivery.sources.iter().skip(1);
    let in_turn = later.any(|source| source.only.as_ref() == Some(&mail.from));
    let gone = gone || server.accounts[user].is_leaving();
    let elsewhere = gone || in_turn || session.delivery.is_under_way(mail.id);
    if elsewhere || discard::is_dropped(server, user, &mail) || is_held(server, user, &mail.from) {
        return false;
    }
    if planted::is(Planted::RemovedWhenSent) {
        let user = server.accounts.name(user).clone();
        let ServerState { papers, out, .. } = server;
        papers.persist_fact(out, Fact::MailRemoved { user, ids: Vec::from([mail.id]) });
    }
    let parcel = Parcel { mail, keep: Keep::Mailbox, tell: Tell::Nobody, end: 0 };
    delivery::send_parcel(server, user, parcel, Freshness::Stored);
    true
}

fn source_is_empty(server: &mut ServerState, source: &Source) {
    if let Some(asker) = source.asker {
        let messages = source.shown;
        answers::answer(server, &asker, Outcome::Done, Answer::Offline { messages });
    }
}
