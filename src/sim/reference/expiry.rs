//! What is kept for so many days only: stored messages, and when somebody was here last (R68).

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::answers::status_word;
use super::told::Ask;
use super::{Server, Timer, User, later};
use crate::record::{Fact, Mail, Outcome};
use crate::time::Time;
use crate::wire::Status;
use crate::words::{LinkId, MessageId};

const DAY_SECS: u64 = 86_400;
/// A mailbox is looked at once in so long at most.
const LOOK_SECS: u64 = 60;
/// So many sessions are forgotten in a second at most.
const FORGOTTEN_AT_ONCE: usize = 64;

/// The mailboxes that are to be looked at, in the order in which they became due.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    due: VecDeque<User>,
    looking: bool,
}

/// When a mailbox is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Look {
    #[default]
    Never,
    At(Time),
    /// It is its turn, or will be next.
    Now,
}

impl Server {
    /// The end of a message that was accepted at a time, by the setting of now.
    fn end_of(&self, sent_at: Time) -> Option<Time> {
        let days = u64::from(self.settings.mailbox_days);
        (days > 0).then(|| later(sent_at, days * DAY_SECS))
    }

    /// What the sender of a message hears that is stored.
    pub(super) fn stored(&self, sent_at: Time) -> Outcome {
        self.end_of(sent_at).map_or(Outcome::Message(Status::Stored), Outcome::StoredUntil)
    }

    /// The end of an answer to `message`, as the reader of a link has it.
    pub(super) fn became(&self, link: Option<LinkId>, outcome: Outcome) -> Option<String> {
        let reads_until = link.and_then(|link| self.links.get(&link)).is_some_and(|link| link.reads_until);
        match outcome {
            Outcome::Message(status) => Some(status_word(status).into()),
            Outcome::StoredUntil(until) if reads_until => Some(format!("stored {}", until.0)),
            Outcome::StoredUntil(_) => Some("stored".into()),
            _ => None,
        }
    }

    /// What is in a mailbox has changed.
    pub(super) fn mailbox_changed(&mut self, user: User) {
        let mailbox = &self.at(user).mailbox;
        let (before, oldest, not_before) = (mailbox.look, mailbox.oldest, mailbox.not_before);
        let end = self.end_of(oldest).filter(|_| mailbox.has_mail());
        if before == Look::Now {
            return;
        }
        if let Look::At(at) = before {
            self.timers.remove(&(at, Timer::Mailbox(user)));
        }
        let look = end.map_or(Look::Never, |end| Look::At(end.max(not_before)));
        if let Look::At(at) = look {
            self.set(at, Timer::Mailbox(user));
        }
        self.at_mut(user).mailbox.look = look;
    }

    /// The operator has another opinion of how long mail is kept.
    pub(super) fn mailbox_days_changed(&mut self) {
        for user in self.everybody() {
            self.mailbox_changed(user);
        }
    }

    /// A message may have had its time.
    pub(super) fn mailbox_due(&mut self, user: User) {
        self.at_mut(user).mailbox.look = Look::Now;
        self.expiry.due.push_back(user);
        self.look_at_mailboxes();
    }

    /// One mailbox after the other.
    fn look_at_mailboxes(&mut self) {
        while !self.expiry.looking
            && let Some(user) = self.expiry.due.pop_front()
        {
            if self.is_looked_at(user) {
                self.ask_expired(user, MessageId::default(), None, false);
            } else {
                self.mailbox_seen(user, None);
            }
        }
    }

    /// Not that of an account that is to be purged, nor while its user is being shown what is in it.
    fn is_looked_at(&self, user: User) -> bool {
        let account = self.at(user);
        let shown = account.session.as_ref().is_some_and(|session| {
            session.delivery.loading.is_some() || !session.delivery.sources.is_empty()
        });
        self.settings.mailbox_days > 0 && !account.is_gone() && account.mailbox.has_mail() && !shown
    }

    fn ask_expired(&mut self, user: User, after: MessageId, first_left: Option<Time>, goes_on: bool) {
        self.expiry.looking = true;
        let of = self.name(user).clone();
        self.expected.ask(Ask::Expired { user: Some(user), of, after, first_left, goes_on });
    }

    /// A page of the mailbox that is looked at; its account may be gone.
    pub(super) fn expired_loaded(
        &mut self,
        user: Option<User>,
        mut first_left: Option<Time>,
        goes_on: bool,
        (mail, more): (&[Mail], bool),
    ) {
        self.expiry.looking = false;
        let Some(user) = user else { return self.look_at_mailboxes() };
        if !self.is_looked_at(user) {
            self.mailbox_seen(user, None);
            return self.look_at_mailboxes();
        }
        let mut over: Vec<MessageId> = Vec::new();
        let mut stopped = false;
        for mail in mail {
            let is_over = self.end_of(mail.sent_at).is_some_and(|end| end <= self.now);
            let session = self.session(user);
            let under_way = session
                .is_some_and(|session| session.delivery.sent.iter().any(|parcel| parcel.mail.id == mail.id));
            if !is_over || under_way {
                first_left = first_left.or(Some(mail.sent_at));
            }
            if !is_over {
                stopped = true;
                break;
            }
            if !under_way && self.at_mut(user).mailbox.take_out(mail.id) {
                over.push(mail.id);
            }
        }
        self.mailbox_changed(user);
        if !over.is_empty() {
            let account = self.at_mut(user);
            account.untold += u32::try_from(over.len()).unwrap_or(0);
            let (user, untold) = (account.name.clone(), account.untold);
            self.persist_fact(Fact::MailExpired { user, ids: over, untold });
        }
        match mail.last() {
            Some(last) if more && !stopped => self.ask_expired(user, last.id, first_left, true),
            _ => self.mailbox_seen(user, first_left.filter(|_| !goes_on)),
        }
        self.look_at_mailboxes();
    }

    fn mailbox_seen(&mut self, user: User, first_left: Option<Time>) {
        let not_before = later(self.now, LOOK_SECS);
        let mailbox = &mut self.at_mut(user).mailbox;
        mailbox.oldest = first_left.unwrap_or(mailbox.oldest);
        (mailbox.not_before, mailbox.look) = (not_before, Look::Never);
        if !self.at(user).is_gone() {
            self.mailbox_changed(user);
        }
    }

    /// The account of a mailbox is purged.
    pub(super) fn mailbox_gone(&mut self, user: User) {
        self.expiry.due.retain(|due| *due != user);
        self.timers.retain(|(_, timer)| *timer != Timer::Mailbox(user));
        for ask in self.asked.values_mut() {
            if let Ask::Expired { user: of, .. } = ask {
                of.take_if(|of| *of == user);
            }
        }
    }

    /// Whoever comes in hears how much was removed since they were told last.
    pub(super) fn tell_expired(&mut self, link: LinkId, user: User) {
        let untold = core::mem::take(&mut self.at_mut(user).untold);
        if untold > 0 {
            self.send(link, &format!("notice expired {untold}"));
            let user = self.name(user).clone();
            self.persist_fact(Fact::MailExpired { user, ids: Vec::new(), untold: 0 });
        }
    }

    /// Sessions have begun, ended or been forgotten.
    pub(super) fn past_changed(&mut self) {
        let days = u64::from(self.settings.history_days);
        let ended = self.users.iter().flatten().filter(|account| account.is_ended);
        let first = ended.map(|account| account.ended).min().filter(|_| days > 0);
        let wanted = first.map(|first| later(first, days * DAY_SECS).max(self.forgets_after));
        if let Some(at) = core::mem::replace(&mut self.forgets_at, wanted) {
            self.timers.remove(&(at, Timer::History));
        }
        if let Some(at) = wanted {
            self.set(at, Timer::History);
        }
    }

    /// Those that ended first are forgotten first.
    pub(super) fn forget_past(&mut self) {
        self.forgets_at = None;
        let time_secs = u64::from(self.settings.history_days) * DAY_SECS;
        if time_secs == 0 {
            return;
        }
        self.forgets_after = later(self.now, 1);
        let mut over: Vec<(Time, User)> = Vec::new();
        for user in self.everybody() {
            let account = self.at(user);
            if account.is_ended && later(account.ended, time_secs) <= self.now {
                over.push((account.ended, user));
            }
        }
        over.sort_unstable();
        for (_, user) in over.into_iter().take(FORGOTTEN_AT_ONCE) {
            let account = self.at_mut(user);
            (account.began, account.ended, account.is_ended) = (None, Time::ZERO, false);
            if account.entering.is_none() {
                let user = account.name.clone();
                self.persist_fact(Fact::SessionForgotten { user });
            }
        }
        self.past_changed();
    }
}
