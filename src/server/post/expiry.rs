//! `mailbox_days`: stored messages whose time is over are removed, one mailbox after the other, page by page.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::mailbox::Watch;
use super::storing;
use crate::planted::{self, Planted};
use crate::record::{Fact, Mail};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::deadlines::Deadline;
use crate::server::out::Slow;
use crate::time::Time;
use crate::wire::{Notice, ServerLine};
use crate::words::{LinkId, MessageId, Ticket};

/// Messages asked of the store at a time.
const PAGE_MESSAGES: u32 = 48;
/// A mailbox is looked at no sooner again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
const DAY_SECS: u64 = 86_400;

/// Mailboxes that are due, the first one first, and the page that was asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Expiry {
    due: VecDeque<UserId>,
    look: Option<(Ticket, Option<Look>)>,
}

/// One mailbox that is being looked at.
#[derive(Debug, Clone, Copy)]
struct Look {
    user: UserId,
    /// When the first message was accepted that stays, if one does.
    oldest_left: Option<Time>,
    /// Whether this is not its first page.
    goes_on: bool,
}

impl Expiry {
    pub(super) fn is_quiet(&self) -> bool {
        self.due.is_empty() && self.look.is_none()
    }
}

/// How long a stored message has, if that is limited.
fn time_allowed(server: &ServerState) -> Option<Duration> {
    let days = u64::from(server.settings.mailbox_days);
    (days > 0).then(|| Duration::from_secs(days.saturating_mul(DAY_SECS)))
}

/// When the time of a message is over that was accepted then, if ever.
pub(super) fn end_of(server: &ServerState, sent_at: Time) -> Option<Time> {
    time_allowed(server).map(|time| sent_at + time)
}

/// Sets the deadline of a mailbox to what is in it now.
pub(super) fn watch(server: &mut ServerState, user: UserId) {
    let time = time_allowed(server);
    let Some(mailbox) = server.accounts[user].inbox.mailbox.as_deref_mut() else { return };
    let wanted = time.and_then(|time| mailbox.look_at(time)).map_or(Watch::No, Watch::At);
    if mailbox.watch == wanted || mailbox.watch == Watch::Due {
        return;
    }
    let before = core::mem::replace(&mut mailbox.watch, wanted);
    if let Watch::At(at) = before {
        server.deadlines.remove(at, Deadline::Mailbox(user));
    }
    if let Watch::At(at) = wanted {
        server.deadlines.add(at, Deadline::Mailbox(user));
    }
}

/// Another `mailbox_days` holds for what is stored already.
pub(in crate::server) fn days_changed(server: &mut ServerState) {
    for user in server.accounts.ids() {
        watch(server, user);
    }
}

/// The account is purged, and its mailbox with it.
pub(super) fn unwatch(server: &mut ServerState, user: UserId) {
    if let Some(Watch::At(at)) = server.accounts[user].inbox.mailbox.as_ref().map(|mailbox| mailbox.watch) {
        server.deadlines.remove(at, Deadline::Mailbox(user));
    }
}

/// A page of the mailbox may still be on its way.
pub(super) fn forget(server: &mut ServerState, user: UserId) {
    let expiry = &mut server.post.expiry;
    expiry.due.retain(|due| *due != user);
    if let Some((_, look)) = &mut expiry.look {
        look.take_if(|look| look.user == user);
    }
}

/// The time of a message in a mailbox may be over.
pub(in crate::server) fn due(server: &mut ServerState, user: UserId) {
    if let Some(mailbox) = server.accounts[user].inbox.mailbox.as_deref_mut() {
        mailbox.watch = Watch::Due;
        server.post.expiry.due.push_back(user);
    }
    look_at_next(server);
}

/// Looks at the next mailbox, if none is being looked at.
fn look_at_next(server: &mut ServerState) {
    while server.post.expiry.look.is_none()
        && let Some(user) = server.post.expiry.due.pop_front()
    {
        if may_be_looked_at(server, user) {
            ask(server, Look { user, oldest_left: None, goes_on: false }, MessageId::default());
        } else {
            finish(server, user, None);
        }
    }
}

/// A user who is being shown stored mail was told how much it is, and an account that is to be purged loses all.
fn may_be_looked_at(server: &ServerState, user: UserId) -> bool {
    let account = &server.accounts[user];
    let has_mail = account.inbox.mailbox.as_deref().is_some_and(|mailbox| mailbox.has_mail());
    let showing = account.session.as_ref().is_some_and(|session| session.delivery.is_showing());
    has_mail && !account.is_leaving() && time_allowed(server).is_some() && !showing
}

fn ask(server: &mut ServerState, look: Look, after: MessageId) {
    let ticket = Ticket(server.next_serial());
    let user = server.accounts[look.user].name.clone();
    server.post.expiry.look = Some((ticket, Some(look)));
    server.out.slow(Slow::LoadMail { ticket, user, from: None, after, limit: PAGE_MESSAGES });
}

/// The store has read a page of the mailbox that is being looked at.
pub(super) fn loaded(server: &mut ServerState, ticket: Ticket, mail: &[Mail], more: bool) {
    let Some((_, look)) = server.post.expiry.look.take_if(|(asked, _)| *asked == ticket) else { return };
    if let Some(look) = look {
        page_loaded(server, look, mail, more);
    }
    look_at_next(server);
}

fn page_loaded(server: &mut ServerState, mut look: Look, mail: &[Mail], more: bool) {
    let user = look.user;
    let Some(time) = time_allowed(server).filter(|_| may_be_looked_at(server, user)) else {
        return finish(server, user, None);
    };
    let mut expired: Vec<MessageId> = Vec::new();
    let mut all_over = true;
    for mail in mail {
        let early =
            if planted::is(Planted::ExpiresEarly) { Duration::from_secs(3_600) } else { Duration::ZERO };
        all_over = mail.sent_at + time <= server.now + early;
        if !all_over {
            look.oldest_left = look.oldest_left.or(Some(mail.sent_at));
            break;
        }
        if is_under_way(server, user, mail.id) {
            look.oldest_left = look.oldest_left.or(Some(mail.sent_at));
        } else if storing::take_out(server, user, mail.id, &mail.from, mail.text.len() as u64) {
            expired.push(mail.id);
        }
    }
    note_expired(server, user, expired);
    match mail.last() {
        Some(last) if all_over && more => ask(server, Look { goes_on: true, ..look }, last.id),
        // What was stored between two pages may be older.
        Some(_) | None => finish(server, user, look.oldest_left.filter(|_| !look.goes_on)),
    }
}

/// What is on its way to the client of its receiver stays.
fn is_under_way(server: &ServerState, user: UserId, id: MessageId) -> bool {
    let session = server.accounts[user].session.as_ref();
    session.is_some_and(|session| session.delivery.is_under_way(id)) && !planted::is(Planted::ExpiresUnderWay)
}

fn note_expired(server: &mut ServerState, user: UserId, ids: Vec<MessageId>) {
    if ids.is_empty() {
        return;
    }
    let count = if planted::is(Planted::ExpiredCountedOnce) {
        1
    } else {
        u32::try_from(ids.len()).unwrap_or(u32::MAX)
    };
    let untold = server.accounts[user].inbox.untold.saturating_add(count);
    server.accounts[user].inbox.set_untold(untold);
    let user = server.accounts[user].name.clone();
    let ServerState { papers, out, .. } = server;
    papers.persist_fact(out, Fact::MailExpired { user, ids, untold });
}

/// A mailbox was looked at.
fn finish(server: &mut ServerState, user: UserId, oldest_left: Option<Time>) {
    let not_before = server.now + AGAIN_AFTER;
    if let Some(mailbox) = server.accounts[user].inbox.mailbox.as_deref_mut() {
        mailbox.looked_at(oldest_left, not_before);
    }
    if !server.accounts[user].is_leaving() {
        watch(server, user);
    }
    storing::drop_idle(server, user);
}

/// Tells somebody who has come in how many messages were removed since they were told last.
pub(in crate::server) fn tell(server: &mut ServerState, link: LinkId, user: UserId) {
    let count = server.accounts[user].inbox.untold();
    if count == 0 {
        return;
    }
    server.out.send(link, &ServerLine::Notice(Notice::Expired { count }));
    if planted::is(Planted::ExpiredToldAgain) {
        return;
    }
    server.accounts[user].inbox.set_untold(0);
    let user = server.accounts.name(user).clone();
    let ServerState { papers, out, .. } = server;
    papers.persist_fact(out, Fact::MailExpired { user, ids: Vec::new(), untold: 0 });
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::record::{MailSummary, Record, Recovery};
    use crate::server::{Effect, Event, Settings};
    use crate::words::{Credential, Name};

    const NOW: Time = Time(2 * DAY_SECS * 1_000_000);

    fn name(name: &str) -> Name {
        Name::new(name).unwrap()
    }

    /// A server with so many messages for each of these users, whose time is over.
    fn with_mail(users: &[&str], count: u32) -> ServerState {
        let accounts = users.iter().map(|user| (name(user), Credential::new("pw"))).collect();
        let summary = |user: &&str| {
            let (to, from, bytes) = (name(user), name("luke"), u64::from(count));
            MailSummary { to, from, count, bytes, oldest: Time::ZERO }
        };
        let mail = users.iter().map(summary).collect();
        let settings = Settings { mailbox_days: 1, ..Settings::default() };
        ServerState::new(settings, accounts, Recovery { boot: 2, mail, ..Recovery::default() }, 1, NOW)
    }

    /// What an event leads to: the pages that are asked for, and how many messages are removed.
    fn handle(server: &mut ServerState, event: Event<'_>) -> (Vec<(Ticket, Name, MessageId)>, usize) {
        let (mut asked, mut removed) = (Vec::new(), 0);
        for effect in server.handle(event, NOW) {
            if let Effect::LoadMail { ticket, user, after, limit, .. } = effect {
                assert_eq!(limit, PAGE_MESSAGES);
                asked.push((ticket, user.clone(), after));
            } else if let Effect::Persist { record: Record::Fact(Fact::MailExpired { ids, .. }), .. } = effect
            {
                removed += ids.len();
            }
        }
        (asked, removed)
    }

    fn page(numbers: core::ops::Range<u64>) -> Vec<Mail> {
        let mail = |number| Mail {
            id: MessageId { boot: 1, number },
            from: name("luke"),
            group: None,
            origin: None,
            sent_at: Time::ZERO,
            text: "x".parse().unwrap(),
        };
        numbers.map(mail).collect()
    }

    #[test]
    fn one_mailbox_is_looked_at_after_the_other_a_page_at_a_time() {
        let mut server = with_mail(&["hans", "yoda", "vader"], 60);
        let (asked, removed) = handle(&mut server, Event::Tick);
        let [(ticket, user, _)] = &asked[..] else { panic!("one page: {asked:?}") };
        assert_eq!((user.as_str(), removed), ("hans", 0));
        let first = Event::MailLoaded { ticket: *ticket, mail: page(1..49), more: true };
        let (asked, removed) = handle(&mut server, first);
        let [(ticket, user, after)] = &asked[..] else { panic!("one page: {asked:?}") };
        assert_eq!((user.as_str(), after.number, removed), ("hans", 48, 48));
        let rest = Event::MailLoaded { ticket: *ticket, mail: page(49..61), more: false };
        let (asked, removed) = handle(&mut server, rest);
        assert_eq!((asked.len(), removed, asked[0].1.as_str()), (1, 12, "yoda"));
        assert!(!server.is_quiet());
        let hans = server.accounts.find("hans").unwrap();
        assert_eq!(server.accounts[hans].inbox.untold(), 60);
        assert_eq!(server.post.stored_bytes(), 120);
    }

    #[test]
    fn nothing_is_asked_before_a_time_is_over() {
        let mut server = with_mail(&["hans"], 1);
        server.settings.mailbox_days = 3;
        days_changed(&mut server);
        assert_eq!(handle(&mut server, Event::Tick), (Vec::new(), 0));
        assert!(server.is_quiet(), "a deadline days ahead keeps nobody");
    }
}
