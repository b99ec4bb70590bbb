//! Stored mail: shown page by page, the oldest first, before anything newer (R15, R18, R30).

use alloc::vec::Vec;

use super::answers::Asker;
use super::messages::{Keep, Parcel, Tell};
use super::told::Ask;
use super::{Server, User};
use crate::record::{Mail, Outcome};
use crate::server::settings::{HeldOnBlock, OfflineDelivery};
use crate::words::{MessageId, Name};

/// Beyond so much under way no further page is asked for.
const WINDOW_BYTES: usize = 64 * 1024;
const PAGE_WINDOW_MESSAGES: usize = 256;

/// Stored mail that a session is to be shown.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// Only of this sender: what a block held back.
    only: Option<Name>,
    after: MessageId,
    /// Who asked by `offline`, and how many they were shown.
    asker: Option<Asker>,
    shown: u64,
    begun: bool,
}

impl Source {
    fn new(only: Option<Name>, after: MessageId, asker: Option<Asker>) -> Source {
        Source { only, after, asker, shown: 0, begun: false }
    }

    /// Whether it will show all that another could.
    fn covers(&self, other: &Source, loading: bool) -> bool {
        let in_time = if other.asker.is_some() { !self.begun } else { !loading };
        in_time && self.only == other.only && self.after <= other.after
    }
}

impl Server {
    /// Whether a block holds mail back.
    pub(super) fn is_held(&self, user: User, from: &Name) -> bool {
        let from = self.find(from.as_str());
        self.settings.held_on_block != HeldOnBlock::Deliver
            && from.is_some_and(|from| self.has_blocked(user, from))
    }

    /// R15: what a login shows, or leaves to `offline`.
    pub(super) fn unread(&self, user: User) -> usize {
        if self.settings.offline_delivery == OfflineDelivery::Off {
            return 0;
        }
        let shown = |from: &&Name| !self.at(user).is_gone() && !self.is_held(user, from);
        self.at(user).mailbox.senders().filter(shown).count()
    }

    pub(super) fn show_stored(&mut self, user: User) {
        self.show(user, Source::new(None, MessageId::default(), None));
        self.advance(user);
    }

    pub(super) fn show_on_command(&mut self, asker: &Asker) {
        if self.settings.offline_delivery == OfflineDelivery::Manual {
            self.show(asker.user, Source::new(None, MessageId::default(), Some(asker.clone())));
            self.advance(asker.user);
        } else {
            self.answer(asker, Outcome::Done, "offline 0");
        }
    }

    /// What a block held back is shown at once (ruling 14).
    pub(super) fn show_held(&mut self, user: User, from: &Name) {
        let known = self.users.get(user).is_some_and(Option::is_some);
        if known
            && self.at(user).mailbox.has_mail_of(from)
            && !self.is_held(user, from)
            && self.settings.offline_delivery != OfflineDelivery::Off
        {
            self.show(user, Source::new(Some(from.clone()), MessageId::default(), None));
            self.advance(user);
        }
    }

    /// Mail became durable whose receiver is there (R15).
    pub(super) fn show_new(&mut self, user: User, id: MessageId) {
        let Some(session) = self.session(user).filter(|session| session.link.is_some()) else { return };
        let delivery = &session.delivery;
        let late = delivery.leaving.is_some_and(|last| id > last);
        let under_way = delivery.sent.iter().any(|parcel| parcel.mail.id == id);
        let auto = self.settings.offline_delivery == OfflineDelivery::Auto;
        if auto && !self.at(user).mailbox.is_removed(id) && !under_way && !late {
            let before = MessageId { boot: id.boot, number: id.number.saturating_sub(1) };
            self.show(user, Source::new(None, before, None));
            self.advance(user);
        }
    }

    fn show(&mut self, user: User, source: Source) {
        let account = self.at(user);
        let nothing = account.is_gone() || !account.mailbox.has_mail();
        let Some(session) = &account.session else { return };
        let sources = &session.delivery.sources;
        let loading = session.delivery.loading.is_some();
        let covered = sources.iter().enumerate().any(|(at, other)| other.covers(&source, loading && at == 0));
        if nothing && sources.is_empty() || covered {
            return self.source_is_empty(&source);
        }
        if let Some(session) = self.session_mut(user) {
            session.delivery.sources.push_back(source);
        }
    }

    pub(super) fn load_next(&mut self, user: User) {
        let page = self.next_serial();
        let room = self.may_be_sent(user);
        let Some(session) = self.session_mut(user).filter(|_| room) else { return };
        let delivery = &mut session.delivery;
        let bytes: usize = delivery.sent.iter().map(|parcel| parcel.mail.text.len()).sum();
        let open =
            delivery.loading.is_none() && bytes < WINDOW_BYTES && delivery.sent.len() < PAGE_WINDOW_MESSAGES;
        let Some(source) = delivery.sources.front_mut().filter(|_| open) else { return };
        source.begun = true;
        let (from, after) = (source.only.clone(), source.after);
        delivery.loading = Some(page);
        let of = self.name(user).clone();
        self.expected.ask(Ask::Page { user, of, page, from, after });
    }

    /// The store has read a page; nobody waits for it any more if the link was lost meanwhile.
    pub(super) fn page_loaded(&mut self, user: User, page: u64, mail: Vec<Mail>, more: bool) {
        if self.session_of(user).is_none_or(|session| session.delivery.loading != Some(page)) {
            return;
        }
        let Some(session) = self.session_mut(user) else { return };
        session.delivery.loading = None;
        let leaving = session.delivery.leaving;
        let late = |id: MessageId| leaving.is_some_and(|last| id > last);
        let last = mail.last().map(|mail| mail.id);
        let more = more && !last.is_some_and(late);
        let mut shown = 0;
        for mail in mail.into_iter().filter(|mail| !late(mail.id)) {
            shown += u64::from(self.show_mail(user, mail));
        }
        let Some(session) = self.session_mut(user) else { return };
        if let (Some(source), Some(last)) = (session.delivery.sources.front_mut(), last) {
            source.shown += shown;
            source.after = source.after.max(last);
        }
        if !more && let Some(source) = session.delivery.sources.pop_front() {
            self.source_is_empty(&source);
        }
        self.advance(user);
        self.leaving_moved(user);
    }

    /// Sends a stored message, unless it is held back, on its way already, or out of the mailbox.
    fn show_mail(&mut self, user: User, mail: Mail) -> bool {
        let account = self.at(user);
        let Some(session) = &account.session else { return false };
        let gone = account.is_gone() || account.mailbox.is_removed(mail.id);
        let in_turn =
            session.delivery.sources.iter().skip(1).any(|source| source.only.as_ref() == Some(&mail.from));
        let under_way = session.delivery.sent.iter().any(|parcel| parcel.mail.id == mail.id);
        let dropped = self.asked.values().any(|ask| {
            matches!(ask, Ask::Discard { user: of, from, upto, .. } if *of == user && *from == mail.from && mail.id <= *upto)
        });
        if gone || in_turn || under_way || dropped || self.is_held(user, &mail.from) {
            return false;
        }
        self.send_parcel(user, Parcel { mail, keep: Keep::Mailbox, tell: Tell::Nobody, end: 0 }, "stored");
        true
    }

    fn source_is_empty(&mut self, source: &Source) {
        if let Some(asker) = &source.asker {
            self.answer(asker, Outcome::Done, &alloc::format!("offline {}", source.shown));
        }
    }

    /// `held_on_block=drop`: what the blocked has stored before the block is removed (R30).
    pub(super) fn begin_discard(&mut self, user: User, from: User) {
        let from = self.name(from).clone();
        if self.at(user).mailbox.count_of(&from) > 0 {
            let upto = MessageId { boot: self.boot, number: self.at(user).last_message };
            let of = self.name(user).clone();
            self.expected.ask(Ask::Discard { user, of, from, upto, after: MessageId::default() });
        }
    }

    pub(super) fn discard_loaded(
        &mut self,
        user: User,
        of: Name,
        from: Name,
        upto: MessageId,
        mail: &[Mail],
        more: bool,
    ) {
        let Some(last) = mail.last().map(|mail| mail.id) else { return };
        let mut ids: Vec<MessageId> = Vec::new();
        for id in mail.iter().map(|mail| mail.id).filter(|id| *id <= upto) {
            if self.at_mut(user).mailbox.take_out(id) {
                self.mailbox_changed(user);
                self.give_up(user, id);
                ids.push(id);
            }
        }
        self.note_removed(user, ids);
        if more && last < upto {
            self.expected.ask(Ask::Discard { user, of, from, upto, after: last });
        }
    }
}
