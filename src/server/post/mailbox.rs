//! Mailboxes: what is counted of them here, and showing what the store keeps.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::ServerState;
use super::accounts::UserId;
use super::commands::Asker;
use super::delivery::{Keep, Loading, Parcel, Tell};
use super::outbox::Slow;
use super::settings::HeldOnBlock;
use crate::planted::{self, Planted};
use crate::record::{Fact, Mail, Outcome, Record, RecordNumber};
use crate::wire::{Answer, Freshness};
use crate::words::{MessageId, Name, Ticket};

/// Messages asked of the store at a time; at most 192 KiB of text.
const PAGE_MESSAGES: u32 = 48;

/// How much is stored for a user. The mail itself is in the store.
#[derive(Debug, Clone, Default)]
pub(super) struct Mailbox {
    count: u32,
    bytes: u64,
    senders: BTreeMap<UserId, u32>,
}

/// Stored mail that a session is to be shown.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// Only mail of this sender, above this id: what was held back by a block.
    only: Option<(UserId, MessageId)>,
    /// Who asked for it by `offline`, and how many were shown so far.
    asker: Option<Asker>,
    shown: u64,
    /// Whether a page of it was asked for.
    begun: bool,
}

impl Source {
    /// All above the session's cursor.
    pub(super) const fn all(asker: Option<Asker>) -> Source {
        Source { only: None, asker, shown: 0, begun: false }
    }

    const fn held(from: UserId) -> Source {
        let only = Some((from, MessageId { boot: 0, number: 0 }));
        Source { only, asker: None, shown: 0, begun: false }
    }

    /// Whether it will show all that another one, which has not begun either, could show.
    pub(super) fn covers(&self, other: &Source) -> bool {
        !self.begun && self.only.map(|(from, _)| from) == other.only.map(|(from, _)| from)
    }
}

/// A page of mail asked of the store, for a session, to be shown.
#[derive(Debug, Clone)]
pub(super) struct Page {
    user: UserId,
    serial: u64,
}

/// Mail of a sender that is dropped because he was blocked, as far as it came before that.
#[derive(Debug, Clone)]
pub(super) struct Discard {
    user: UserId,
    from: UserId,
    upto: MessageId,
    /// What was taken out of the mailbox since the store was asked: it may be in the answer all the same.
    gone: Vec<MessageId>,
}

impl ServerState {
    /// Whether one more message of so many bytes may be stored.
    pub(super) fn has_room(&self, to: UserId, from: UserId, bytes: u64) -> bool {
        let settings = &self.settings;
        let within = |limit: u64, used: u64| limit == 0 || used <= limit;
        let (count, stored, of_sender) = self.accounts[to].mailbox.as_ref().map_or((0, 0, 0), |mailbox| {
            (mailbox.count, mailbox.bytes, mailbox.senders.get(&from).copied().unwrap_or(0))
        });
        within(u64::from(settings.mailbox_messages), u64::from(count) + 1)
            && within(settings.mailbox_bytes, stored + bytes)
            && within(u64::from(settings.mailbox_per_sender), u64::from(of_sender) + 1)
            && within(settings.mailbox_total_bytes, self.stored_bytes + bytes)
    }

    pub(super) fn count_mail(&mut self, to: UserId, from: UserId, count: u32, bytes: u64) {
        let mailbox = self.accounts[to].mailbox.get_or_insert_with(Box::default);
        mailbox.count += count;
        mailbox.bytes += bytes;
        *mailbox.senders.entry(from).or_default() += count;
        self.stored_bytes += bytes;
    }

    /// Whose mail of that sender is: that of who has the name, or of an account that is gone.
    pub(super) fn sender_of(&self, to: UserId, name: &Name) -> Option<UserId> {
        self.accounts.find(name.as_str()).or_else(|| self.counted_by_name(to, name))
    }

    /// Under whom mail of a sender is counted: maybe one that had the name before.
    fn counted_as(&self, to: UserId, from: UserId) -> Option<UserId> {
        let mailbox = self.accounts[to].mailbox.as_ref()?;
        let own = mailbox.senders.contains_key(&from).then_some(from);
        own.or_else(|| self.counted_by_name(to, self.accounts.name(from)))
    }

    /// The first of all that had the name, and have it, under whom mail waits there.
    fn counted_by_name(&self, to: UserId, name: &Name) -> Option<UserId> {
        let mailbox = self.accounts[to].mailbox.as_ref()?;
        let before = self.accounts.departed_places(name).iter().copied();
        before.chain(self.accounts.find(name.as_str())).find(|from| mailbox.senders.contains_key(from))
    }

    pub(super) fn uncount_mail(&mut self, to: UserId, from: UserId, count: u32, bytes: u64) {
        let from = self.counted_as(to, from).unwrap_or(from);
        let Some(mailbox) = self.accounts[to].mailbox.as_mut() else { return };
        mailbox.count = mailbox.count.saturating_sub(count);
        mailbox.bytes = mailbox.bytes.saturating_sub(bytes);
        self.stored_bytes = self.stored_bytes.saturating_sub(bytes);
        if let Some(of_sender) = mailbox.senders.get_mut(&from) {
            *of_sender = of_sender.saturating_sub(count);
            if *of_sender == 0 {
                mailbox.senders.remove(&from);
            }
        }
        if mailbox.count == 0 {
            self.accounts[to].mailbox = None;
        }
    }

    pub(super) fn empty_mailbox(&mut self, user: UserId) {
        if let Some(mailbox) = self.accounts[user].mailbox.take() {
            self.stored_bytes = self.stored_bytes.saturating_sub(mailbox.bytes);
        }
        self.discards.retain(|_, discard| discard.user != user);
    }

    /// Stored messages that a user may be shown now: those of senders he has blocked are held back.
    pub(super) fn unread(&self, user: UserId) -> u64 {
        let account = &self.accounts[user];
        let Some(mailbox) = &account.mailbox else { return 0 };
        let shown = |from: UserId| {
            let holder = self.accounts.find(self.accounts.name(from).as_str());
            !self.is_held(user, holder.unwrap_or(from))
        };
        let senders = mailbox.senders.iter();
        senders.filter(|(from, _)| shown(**from)).map(|(_, count)| u64::from(*count)).sum()
    }

    fn is_held(&self, user: UserId, from: UserId) -> bool {
        self.settings.held_on_block != HeldOnBlock::Deliver
            && !planted::is(Planted::BlockSkippedInMailbox)
            && self.accounts[user].has_blocked(from)
    }

    /// Whether it is on its way to the disk that mail is held back no more, and may come to nothing.
    fn may_be_held(&self, user: UserId, from: UserId) -> bool {
        self.settings.held_on_block != HeldOnBlock::Deliver && self.journal.changes_block(user, from)
    }

    /// Shows a user who has come in what waits for him.
    pub(super) fn show_stored(&mut self, user: UserId) {
        self.show(user, Source::all(None));
    }

    /// What waited to be asked for is shown to everybody online, as it will be from now on.
    pub(super) fn show_stored_to_all(&mut self) {
        for user in self.online.clone() {
            // In the mode before nothing moved the cursor past mail.
            if let Some(session) = self.accounts[user].session.as_mut() {
                session.delivery.cursor = MessageId::default();
            }
            self.show_stored(user);
        }
    }

    /// `offline`: shows what waits, then says how much it was.
    pub(super) fn show_on_command(&mut self, user: UserId, asker: Asker) {
        // Nothing moves the cursor past mail in this mode, so that mail older than it is seen as well.
        if let Some(session) = self.accounts[user].session.as_mut() {
            session.delivery.cursor = MessageId::default();
        }
        self.show(user, Source::all(Some(asker)));
    }

    /// Shows what was held back while its sender was blocked.
    pub(super) fn show_held(&mut self, user: UserId, from: UserId) {
        if self.counted_as(user, from).is_some() {
            self.show(user, Source::held(from));
        }
    }

    /// Queues what is to be shown, unless it waits already: somebody who takes none of it could ask for
    /// ever. His link must not wait for that, because what he acknowledges comes on it.
    fn show(&mut self, user: UserId, source: Source) {
        let nothing_stored = self.accounts[user].mailbox.is_none();
        let Some(session) = self.accounts[user].session.as_mut() else { return };
        let delivery = &mut session.delivery;
        if nothing_stored && delivery.sources.is_empty() || delivery.covers(&source) {
            return self.source_is_empty(source);
        }
        delivery.sources.push_back(source);
        self.advance(user);
    }

    pub(super) fn load_next_page(&mut self, user: UserId) {
        let Some(session) = self.accounts[user].session.as_ref() else { return };
        let Some(source) = session.delivery.sources.front() else { return };
        if !session.delivery.wants_page() || session.link.is_none() {
            return;
        }
        let serial = session.serial;
        let (from, after) = match source.only {
            Some((from, after)) => (Some(self.accounts.name(from).clone()), after),
            None => (None, session.delivery.cursor),
        };
        let ticket = Ticket(self.next_serial());
        self.loads.insert(ticket, Page { user, serial });
        let name = self.accounts.name(user).clone();
        self.outbox.slow(Slow::LoadMail { ticket, user: name, from, after, limit: PAGE_MESSAGES });
        if let Some(session) = self.accounts[user].session.as_mut() {
            if let Some(source) = session.delivery.sources.front_mut() {
                source.begun = true;
            }
            session.delivery.loading = Some(Loading { ticket, gone: Vec::new(), all_gone: false });
        }
    }

    pub(super) fn mail_loaded(&mut self, ticket: Ticket, mail: Vec<Mail>, more: bool) {
        if let Some(Page { user, serial }) = self.loads.remove(&ticket) {
            self.page_loaded(user, serial, mail, more);
        } else if let Some(discard) = self.discards.remove(&ticket) {
            self.discard_loaded(discard, &mail, more);
        }
    }

    fn page_loaded(&mut self, user: UserId, serial: u64, mail: Vec<Mail>, more: bool) {
        let account = &mut self.accounts[user];
        let session = account.session.as_mut().filter(|session| session.serial == serial);
        let Some(session) = session else { return };
        let (gone, all_gone) =
            session.delivery.loading.take().map_or_else(Default::default, |page| (page.gone, page.all_gone));
        if all_gone {
            // What came behind the removal is in the next.
            return self.advance(user);
        }
        // What the store has still of a mailbox that was emptied, and what comes for it would be behind that.
        let (mail, more) =
            if self.journal.is_unsaved_emptying(&account.name) { (Vec::new(), false) } else { (mail, more) };
        // What came behind his logout waits for the next login.
        let upto = session.delivery.leaving.map(|leaving| leaving.upto);
        let late = |id: MessageId| upto.is_some_and(|upto| id > upto);
        let more = more && !mail.last().is_some_and(|mail| late(mail.id));
        let last = mail.last().map(|mail| mail.id);
        let mut shown = 0;
        let cut = usize::from(more && planted::is(Planted::PageDropsLast));
        let count = mail.len() - cut.min(mail.len());
        for mail in mail.into_iter().take(count).filter(|mail| !gone.contains(&mail.id) && !late(mail.id)) {
            shown += u64::from(self.show_mail(user, mail));
        }
        let Some(session) = self.accounts[user].session.as_mut() else { return };
        if let (Some(source), Some(last)) = (session.delivery.sources.front_mut(), last) {
            source.shown += shown;
            match &mut source.only {
                Some((_, after)) => *after = last,
                None => session.delivery.cursor = session.delivery.cursor.max(last),
            }
        }
        if !more && let Some(source) = session.delivery.sources.pop_front() {
            self.source_is_empty(source);
        }
        self.advance(user);
        self.leaving_moved(user);
    }

    /// Sends a stored message, unless it is held back or under way already.
    fn show_mail(&mut self, user: UserId, mail: Mail) -> bool {
        let Some(from) = self.sender_of(user, &mail.from) else { return false };
        let later = self.is_spoken_for(user, mail.id) || self.comes_in_turn(user, from);
        let dropped = self.is_being_dropped(user, from, mail.id);
        if later || dropped || self.is_held(user, from) || self.may_be_held(user, from) {
            return false;
        }
        let parcel = Parcel {
            id: mail.id,
            from,
            group: mail.group,
            origin: mail.origin,
            sent_at: mail.sent_at,
            text: mail.text,
            keep: Keep::Mailbox(RecordNumber(0)),
            tell: Tell::Nobody,
            end: 0,
        };
        if planted::is(Planted::RemovedWhenSent) {
            let name = self.accounts.name(user).clone();
            self.persist_soft(Record::Fact(Fact::MailRemoved { user: name, ids: alloc::vec![parcel.id] }));
        }
        self.send_parcel(user, parcel, Freshness::Stored);
        true
    }

    /// Whether a stored message is under way already, or was shown and could not be removed yet.
    fn is_spoken_for(&self, user: UserId, id: MessageId) -> bool {
        let account = &self.accounts[user];
        account.session.as_ref().is_some_and(|session| session.delivery.is_under_way(id))
            || self.journal.is_unsaved_removal(&account.name, id)
    }

    /// Whether mail of that sender is shown, all of it in order, behind what is being shown: what was
    /// passed over while it was held back has to come first.
    fn comes_in_turn(&self, user: UserId, from: UserId) -> bool {
        let Some(session) = self.accounts[user].session.as_ref() else { return false };
        let of_sender = |source: &Source| source.only.is_some_and(|(only, _)| only == from);
        session.delivery.sources.iter().skip(1).any(of_sender)
    }

    fn source_is_empty(&mut self, source: Source) {
        if let Some(asker) = source.asker {
            let messages = source.shown;
            self.answer(&asker, None, Outcome::Done, Answer::Offline { messages });
        }
    }

    /// Drops what a sender who was just blocked has stored (`held_on_block=drop`).
    pub(super) fn discard_mail_of(&mut self, user: UserId, from: UserId) {
        let account = &self.accounts[user];
        let waits = self.counted_as(user, from).is_some();
        // A block that was lifted meanwhile drops nothing.
        if waits && account.has_blocked(from) {
            let upto = MessageId { boot: self.boot, number: account.last_message };
            self.load_for_discard(user, from, upto, MessageId::default());
        }
    }

    /// Whether the look-up that drops what a block found has not come to a message yet.
    fn is_being_dropped(&self, user: UserId, from: UserId, id: MessageId) -> bool {
        let mut discards = self.discards.values();
        discards.any(|discard| discard.user == user && discard.from == from && id <= discard.upto)
    }

    fn load_for_discard(&mut self, user: UserId, from: UserId, upto: MessageId, after: MessageId) {
        let ticket = Ticket(self.next_serial());
        self.discards.insert(ticket, Discard { user, from, upto, gone: Vec::new() });
        let (name, from) = (self.accounts.name(user).clone(), self.accounts.name(from).clone());
        self.outbox.slow(Slow::LoadMail {
            ticket,
            user: name,
            from: Some(from),
            after,
            limit: PAGE_MESSAGES,
        });
    }

    fn discard_loaded(&mut self, discard: Discard, mail: &[Mail], more: bool) {
        let Discard { user, from, upto, gone } = discard;
        if self.journal.is_unsaved_emptying(self.accounts.name(user)) {
            return;
        }
        let Some(last) = mail.last().map(|mail| mail.id) else { return };
        let mut ids: Vec<MessageId> = Vec::new();
        // What came behind the block waits for a reader who may have lifted it.
        let goes =
            |mail: &&Mail| mail.id <= upto && !gone.contains(&mail.id) && !self.is_spoken_for(user, mail.id);
        for mail in mail.iter().filter(goes).collect::<Vec<_>>() {
            self.uncount_mail(user, from, 1, mail.text.len() as u64);
            ids.push(mail.id);
        }
        if !ids.is_empty() {
            self.persist_soft(Record::Fact(Fact::MailRemoved {
                user: self.accounts.name(user).clone(),
                ids,
            }));
        }
        if more && last < upto {
            self.load_for_discard(user, from, upto, last);
        }
    }

    /// The mailbox is being emptied, maybe for the second time, because the store refused that. What it was
    /// asked for before may hold mail of it all the same.
    pub(super) fn note_all_gone(&mut self, user: &Name) {
        let Some(user) = self.accounts.find(user.as_str()) else { return };
        if let Some(session) = self.accounts[user].session.as_mut()
            && let Some(loading) = &mut session.delivery.loading
        {
            loading.all_gone = true;
        }
        self.discards.retain(|_, discard| discard.user != user);
    }

    /// Mail is being taken out of the mailbox. What the store was asked for before may hold it all the same.
    pub(super) fn note_gone(&mut self, user: &Name, ids: &[MessageId]) {
        let Some(user) = self.accounts.find(user.as_str()) else { return };
        if planted::is(Planted::PageShowsWhatIsGone) {
            return;
        }
        if let Some(session) = self.accounts[user].session.as_mut()
            && let Some(loading) = &mut session.delivery.loading
        {
            loading.gone.extend_from_slice(ids);
        }
        for discard in self.discards.values_mut().filter(|discard| discard.user == user) {
            discard.gone.extend_from_slice(ids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::record::{MailSummary, Recovery};
    use crate::server::settings::OfflineDelivery;
    use crate::server::{Effect, Event, Settings, Verdict};
    use crate::time::Time;
    use crate::words::{Credential, LinkId};

    /// What an event leads to: pages that are asked for, and whether a message is sent.
    fn handle(server: &mut ServerState, event: Event<'_>) -> (Vec<Ticket>, bool) {
        let (mut asked, mut shown) = (Vec::new(), false);
        for effect in server.handle(event, Time::ZERO) {
            if let Effect::LoadMail { ticket, .. } | Effect::Verify { ticket, .. } = effect {
                asked.push(ticket);
            } else if let Effect::Send { bytes, .. } = effect {
                shown |= bytes.starts_with(b"message ");
            }
        }
        (asked, shown)
    }

    #[test]
    fn what_a_block_drops_is_not_shown_because_it_was_lifted_before_the_last_page() {
        let name = |name: &str| Name::new(name).unwrap();
        let accounts = ["hans", "luke"].map(|of| (name(of), Credential::new("pw")));
        let summary = MailSummary { to: name("hans"), from: name("luke"), count: 2, bytes: 10 };
        let recovery = Recovery { boot: 2, mail: Vec::from([summary]), ..Recovery::default() };
        let settings = Settings {
            offline_delivery: OfflineDelivery::Manual,
            held_on_block: HeldOnBlock::Drop,
            ..Settings::default()
        };
        let mut server = ServerState::new(settings, Vec::from(accounts), recovery, 1, Time::ZERO);
        let mail = |number| Mail {
            id: MessageId { boot: 1, number },
            from: name("luke"),
            group: None,
            origin: None,
            sent_at: Time::ZERO,
            text: "hello".into(),
        };
        let loaded =
            |ticket, number, more| Event::MailLoaded { ticket, mail: Vec::from([mail(number)]), more };
        let link = LinkId(1);
        let committed = Event::Committed { upto: RecordNumber(99) };
        let from = "192.0.2.1:40000".parse().unwrap();
        handle(&mut server, Event::LinkOpened { link, from, nonce: [0; 32] });
        let (ticket, _) = handle(&mut server, Event::Received { link, bytes: b"login hans pw\n" });
        handle(&mut server, Event::Verified { ticket: ticket[0], verdict: Verdict::Right });
        handle(&mut server, Event::Received { link, bytes: b"block luke\n" });
        let (first, _) = handle(&mut server, committed.clone());
        handle(&mut server, Event::Received { link, bytes: b"unblock luke\n" });
        let (held, _) = handle(&mut server, committed);
        // The store was asked for what the block held back before it is asked for the rest of what it drops.
        let (rest, _) = handle(&mut server, loaded(first[0], 1, true));
        assert_eq!(handle(&mut server, loaded(held[0], 2, false)), (Vec::new(), false));
        handle(&mut server, loaded(rest[0], 2, false));
        let hans = server.accounts.find("hans").unwrap();
        assert!(server.accounts[hans].mailbox.is_none() && server.discards.is_empty());
    }
}
