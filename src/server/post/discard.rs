//! `held_on_block=drop`: mail of a sender who was just blocked leaves the mailbox.

use alloc::vec::Vec;

use super::{delivery, storing};
use crate::record::Mail;
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::out::Slow;
use crate::server::papers::Stored;
use crate::server::people::blocks;
use crate::server::settings::HeldOnBlock;
use crate::words::{MessageId, Name, Ticket};

/// Messages asked of the store at a time.
const PAGE_MESSAGES: u32 = 48;

/// Mail of a sender that is being looked up, as far as it came before the block.
#[derive(Debug, Clone)]
pub(super) struct Discard {
    user: UserId,
    from: Name,
    upto: MessageId,
}

impl Discard {
    pub(super) fn is_of(&self, user: UserId) -> bool {
        self.user == user
    }
}

/// Drops what a sender has stored, and what is on its way: the block counts as later.
pub(super) fn begin(server: &mut ServerState, user: UserId, from: UserId) {
    let from = server.accounts.name(from).clone();
    let mailbox = server.accounts[user].inbox.mailbox.as_deref();
    if mailbox.is_some_and(|mailbox| mailbox.expected_of(&from) > 0) {
        let upto = super::last_id(server, user);
        look_up(server, Discard { user, from, upto }, MessageId::default());
    }
}

/// A message is stored whose receiver has blocked its sender since it was sent.
pub(super) fn drop_if_blocked(server: &mut ServerState, stored: &Stored) {
    let Stored { from, to, id, bytes, .. } = stored;
    if server.settings.held_on_block == HeldOnBlock::Drop && blocks::has_blocked(server, *to, *from) {
        let name = server.accounts.name(*from).clone();
        if take_out(server, *to, *id, &name, *bytes) {
            delivery::note_removed(server, *to, Vec::from([*id]));
        }
    }
}

/// Takes a message out of a mailbox. It may be under way: then its acknowledgement finds nothing to take out.
fn take_out(server: &mut ServerState, user: UserId, id: MessageId, from: &Name, bytes: u64) -> bool {
    let taken = storing::take_out(server, user, id, from, bytes);
    if let Some(session) = server.accounts[user].session.as_mut().filter(|_| taken) {
        session.delivery.give_up(id);
    }
    taken
}

/// Whether a message is to be dropped and was not looked up yet.
pub(super) fn is_dropped(server: &ServerState, user: UserId, mail: &Mail) -> bool {
    let mut discards = server.post.discards.values();
    discards.any(|discard| discard.user == user && discard.from == mail.from && mail.id <= discard.upto)
}

fn look_up(server: &mut ServerState, discard: Discard, after: MessageId) {
    let ticket = Ticket(server.next_serial());
    let user = server.accounts.name(discard.user).clone();
    let from = Some(discard.from.clone());
    server.post.discards.insert(ticket, discard);
    server.out.slow(Slow::LoadMail { ticket, user, from, after, limit: PAGE_MESSAGES });
}

pub(super) fn loaded(server: &mut ServerState, discard: Discard, mail: &[Mail], more: bool) {
    let Some(last) = mail.last().map(|mail| mail.id) else { return };
    let user = discard.user;
    let mut ids: Vec<MessageId> = Vec::new();
    for mail in mail.iter().filter(|mail| mail.id <= discard.upto) {
        if take_out(server, user, mail.id, &mail.from, mail.text.len() as u64) {
            ids.push(mail.id);
        }
    }
    delivery::note_removed(server, user, ids);
    if more && last < discard.upto {
        look_up(server, discard, last);
    }
}

#[cfg(test)]
mod tests {
    use super::super::pages;
    use super::*;

    use crate::record::{MailSummary, RecordNumber, Recovery};
    use crate::server::settings::{HeldOnBlock, OfflineDelivery};
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

    fn mail(boot: u32, number: u64) -> Mail {
        Mail {
            id: MessageId { boot, number },
            from: Name::new("luke").unwrap(),
            group: None,
            origin: None,
            sent_at: Time::ZERO,
            text: "hello".parse().unwrap(),
        }
    }

    /// Hans and Luke, and so many messages of Luke in the mailbox of Hans.
    fn with_stored(count: u32) -> ServerState {
        let name = |name: &str| Name::new(name).unwrap();
        let accounts = ["hans", "luke"].map(|of| (name(of), Credential::new("pw")));
        let bytes = 5 * u64::from(count);
        let summary = MailSummary { to: name("hans"), from: name("luke"), count, bytes, oldest: Time::ZERO };
        let recovery = Recovery { boot: 2, mail: Vec::from([summary]), ..Recovery::default() };
        let settings = Settings {
            offline_delivery: OfflineDelivery::Manual,
            held_on_block: HeldOnBlock::Drop,
            ..Settings::default()
        };
        ServerState::new(settings, Vec::from(accounts), recovery, 1, Time::ZERO)
    }

    /// The server hears an event, and the store writes all that comes of it; pages that are asked for.
    fn hear(server: &mut ServerState, event: Event<'_>) -> Vec<Ticket> {
        let (mut asked, mut last) = (Vec::new(), None);
        for effect in server.handle(event, Time::ZERO) {
            if let Effect::LoadMail { ticket, .. } = effect {
                asked.push(ticket);
            } else if let Effect::Persist { number, .. } = effect {
                last = Some(number);
            }
        }
        match last {
            Some(upto) => [asked, hear(server, Event::Committed { upto })].concat(),
            None => asked,
        }
    }

    fn log_in(server: &mut ServerState, link: LinkId, line: &[u8]) {
        let from = "192.0.2.1:40000".parse().unwrap();
        hear(server, Event::LinkOpened { link, from, nonce: [0; 32] });
        let (ticket, _) = handle(server, Event::Received { link, bytes: line });
        hear(server, Event::Verified { ticket: ticket[0], verdict: Verdict::Right });
    }

    #[test]
    fn what_comes_after_a_block_that_drops_is_kept() {
        let mut server = with_stored(1);
        let (link, other) = (LinkId(1), LinkId(2));
        log_in(&mut server, link, b"login hans pw\n");
        log_in(&mut server, other, b"login luke pw\n");
        let first = hear(&mut server, Event::Received { link, bytes: b"block luke\n" });
        hear(&mut server, Event::Received { link, bytes: b"unblock luke\n" });
        hear(&mut server, Event::LinkClosed { link });
        hear(&mut server, Event::Received { link: other, bytes: b"message hans hello\n" });
        let hans = server.accounts.find("hans").unwrap();
        assert_eq!(pages::unread(&server, hans), 2);
        // The store has more for a second page, which is asked for after the later message was stored.
        let page = Event::MailLoaded { ticket: first[0], mail: Vec::from([mail(1, 1)]), more: true };
        let rest = hear(&mut server, page);
        hear(&mut server, Event::MailLoaded { ticket: rest[0], mail: Vec::from([mail(2, 1)]), more: false });
        assert_eq!(pages::unread(&server, hans), 1, "the later one");
    }

    #[test]
    fn what_a_block_drops_is_not_shown_because_it_was_lifted_before_the_last_page() {
        let mut server = with_stored(2);
        let loaded =
            |ticket, number, more| Event::MailLoaded { ticket, mail: Vec::from([mail(1, number)]), more };
        let link = LinkId(1);
        let committed = |upto| Event::Committed { upto: RecordNumber(upto) };
        let from = "192.0.2.1:40000".parse().unwrap();
        handle(&mut server, Event::LinkOpened { link, from, nonce: [0; 32] });
        let (ticket, _) = handle(&mut server, Event::Received { link, bytes: b"login hans pw\n" });
        handle(&mut server, Event::Verified { ticket: ticket[0], verdict: Verdict::Right });
        handle(&mut server, committed(1));
        handle(&mut server, Event::Received { link, bytes: b"block luke\n" });
        let (first, _) = handle(&mut server, committed(2));
        handle(&mut server, Event::Received { link, bytes: b"unblock luke\n" });
        let (held, _) = handle(&mut server, committed(3));
        // The store was asked for what the block held back before it is asked for the rest of what it drops.
        let (rest, _) = handle(&mut server, loaded(first[0], 1, true));
        assert_eq!(handle(&mut server, loaded(held[0], 2, false)), (Vec::new(), false));
        handle(&mut server, loaded(rest[0], 2, false));
        let hans = server.accounts.find("hans").unwrap();
        assert_eq!(pages::unread(&server, hans), 0);
        assert!(server.post.discards.is_empty());
    }
}
