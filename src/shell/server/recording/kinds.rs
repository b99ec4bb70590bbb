//! How events, records and settings are written. A field or a kind that is forgotten here does not compile.

use super::coded::{Coded, Decoder, Encoder};
use crate::record::{
    AfterEnd, Announcement, Change, DeviceStanding, Fact, Invite, Mail, MailSummary, Maker, Outcome, Record,
    Recovery, Restraint, Suspect,
};
use crate::server::settings::{
    BlockNotice, BroadcastReport, DuplicateLogin, HeldOnBlock, HistoryMode, OfflineDelivery, Registration,
    Takeover,
};
use crate::server::{Act, Event, NotDone, Renewal, Settings, Verdict};
use crate::wire::{Code, Status};

macro_rules! structs {
    ($($name:ident { $($field:ident),+ $(,)? })*) => { $(
        impl Coded for $name {
            fn put(&self, out: &mut Encoder) {
                let $name { $($field),+ } = self;
                $( $field.put(out); )+
            }

            fn get(from: &mut Decoder<'_>) -> Option<$name> {
                $( let $field = Coded::get(from)?; )+
                Some($name { $($field),+ })
            }
        }
    )* };
}

macro_rules! enums {
    ($($name:ident { $(
        $tag:literal => $kind:ident $(($($part:ident),+))? $({ $($field:ident),+ })?
    ),+ $(,)? })*) => { $(
        impl Coded for $name {
            fn put(&self, out: &mut Encoder) {
                match self {
                    $( $name::$kind $(($($part),+))? $({ $($field),+ })? => {
                        out.bytes.push($tag);
                        $( $( $part.put(out); )+ )?
                        $( $( $field.put(out); )+ )?
                    } )+
                }
            }

            fn get(from: &mut Decoder<'_>) -> Option<$name> {
                Some(match from.byte()? {
                    $( $tag => {
                        $( $( let $part = Coded::get(from)?; )+ )?
                        $( $( let $field = Coded::get(from)?; )+ )?
                        $name::$kind $(($($part),+))? $({ $($field),+ })?
                    } )+
                    _ => return None,
                })
            }
        }
    )* };
}

/// What has one spelling is written so.
macro_rules! spelled {
    ($($name:ident),*) => { $(
        impl Coded for $name {
            fn put(&self, out: &mut Encoder) {
                out.block(self.as_str().as_bytes());
            }

            fn get(from: &mut Decoder<'_>) -> Option<$name> {
                $name::from_word(from.text()?)
            }
        }
    )* };
}

spelled!(Code, Status, Restraint, NotDone);

structs! {
    Mail { id, from, group, origin, sent_at, text }
    MailSummary { to, from, count, bytes, oldest }
    Maker { name, left_at }
    DeviceStanding { login, count, locked_until }
    Invite { number, name, left, until }
    Announcement { number, at, text }
    Renewal { name, before, after }
    Settings {
        block_duration_secs, timeout_secs, lock_attempts, lock_extend, registration, duplicate_login,
        invalid_counts_as_activity, block_notice, offline_delivery, held_on_block, broadcast_report,
        hide_blockers_in_whoelse, whoelse_include_self, hide_blockers_in_history, history_mode, strict_block,
        block_mutual, block_ends_private, ping_reveals_block, resume_grace_secs, restart_grace_secs,
        mailbox_messages, mailbox_bytes, mailbox_per_sender, mailbox_total_bytes, unauthenticated_max,
        hash_queue, hashing_threads, name_places, courier_max, relay_bytes_per_s, relay_links_per_user,
        registrations_per_address, takeover, unauthenticated_per_address, login_secs, line_bytes,
        mailbox_share, total_share, rate_burst, rate_per_s, presence_burst, presence_settle_secs,
        unsettled_max, store_queue_bytes, groups_per_user, members_per_group, failures_per_address,
        private_request_secs, motd, operators, mailbox_days, history_days,
    }
}

enums! {
    Suspect { 0 => Account(name), 1 => Unknown(digest) }
    AfterEnd { 0 => Nothing, 1 => Resume, 2 => Held }
    Outcome {
        0 => Message(status),
        1 => Broadcast { recipients, withheld },
        2 => Group { delivered, stored, refused, withheld },
        3 => Done,
        4 => Failed(code),
        5 => StoredUntil(at),
    }
    Record {
        0 => Fact(fact),
        1 => Change(change),
        2 => MailStored { to, mail },
        3 => Settled { user, origin, outcome, words },
        4 => Sent { user, number, outcome, words, until },
    }
    Fact {
        0 => Failures { suspect, count, locked_until, since_login },
        1 => Device { user, device, standing },
        2 => Courier { user, token, until },
        3 => SessionBegan { user, login, token, at },
        4 => SessionEnded { user, after, at },
        5 => InviteUsed { code, left },
        6 => MailRemoved { user, ids },
        7 => Heard { user, upto },
        8 => MailExpired { user, ids, untold },
        9 => SessionForgotten { user },
    }
    Change {
        0 => AccountAdded { name, credential },
        1 => AccountRemoved { name },
        2 => Blocked { by, user },
        3 => Unblocked { by, user },
        4 => GroupSet { group, members, maker },
        5 => GroupRemoved { group },
        6 => Restrained { user, how, until },
        7 => RangeBanned { range, until },
        8 => InviteMade { code, invite },
        9 => InviteRevoked { code },
        10 => Announced { announcement },
        11 => AnnouncementWithdrawn { number },
    }
    Act {
        0 => Announce(text),
        1 => Kick { user, reason },
        2 => Unlock(name),
        3 => Restrain { user, how, until },
        4 => BanRange { range, until },
        5 => Invite { code, invite },
        6 => Revoke(number),
        7 => AnnounceKept(text),
        8 => Withdraw(number),
    }
    Verdict { 0 => Right, 1 => Wrong, 2 => Overloaded }
    Registration { 0 => Closed, 1 => Open }
    DuplicateLogin { 0 => Deny, 1 => Replace }
    Takeover { 0 => Allow, 1 => Deny }
    BlockNotice { 0 => Tell, 1 => Silent }
    OfflineDelivery { 0 => Auto, 1 => Manual, 2 => Off }
    HeldOnBlock { 0 => Hold, 1 => Deliver, 2 => Drop }
    BroadcastReport { 0 => Generic, 1 => Names, 2 => None }
    HistoryMode { 0 => Overlap, 1 => Login }
}

/// The folder's secret stays out: what is read has another one.
impl Coded for Recovery {
    fn put(&self, out: &mut Encoder) {
        let Recovery { boot, secret: _, last_written, records, mail } = self;
        boot.put(out);
        last_written.put(out);
        records.put(out);
        mail.put(out);
    }

    fn get(from: &mut Decoder<'_>) -> Option<Recovery> {
        Some(Recovery {
            boot: Coded::get(from)?,
            secret: [0; 32],
            last_written: Coded::get(from)?,
            records: Coded::get(from)?,
            mail: Coded::get(from)?,
        })
    }
}

/// Writes an event. The randomness of a new link stays out.
pub(super) fn put_event(event: &Event<'_>, out: &mut Encoder) {
    let mut kind = |kind: u8| out.bytes.push(kind);
    match event {
        Event::LinkOpened { link, from, nonce: _ } => {
            kind(0);
            link.put(out);
            from.put(out);
        }
        Event::Received { link, bytes } => {
            kind(1);
            link.put(out);
            out.block(bytes);
        }
        Event::Flushed { link, upto } => {
            kind(2);
            link.put(out);
            upto.put(out);
        }
        Event::StreamEnded { link } => put_one(3, link, out),
        Event::LinkClosed { link } => put_one(4, link, out),
        Event::Verified { ticket, verdict } => {
            kind(5);
            ticket.put(out);
            verdict.put(out);
        }
        Event::Hashed { ticket, credential } => {
            kind(6);
            ticket.put(out);
            credential.put(out);
        }
        Event::Committed { upto } => put_one(7, upto, out),
        Event::StoreRefused { from } => put_one(8, from, out),
        Event::MailLoaded { ticket, mail, more } => {
            kind(9);
            ticket.put(out);
            mail.put(out);
            more.put(out);
        }
        Event::Reloaded { accounts, settings } => {
            kind(10);
            accounts.put(out);
            settings.put(out);
        }
        Event::HashesRenewed { renewals } => put_one(11, renewals, out),
        Event::Turn => kind(12),
        Event::Stop => kind(13),
        Event::Restart => kind(14),
        Event::Operator { ticket, act } => {
            kind(15);
            ticket.put(out);
            act.put(out);
        }
        Event::Tick => kind(16),
        Event::Obeyed { ticket, done, lines } => {
            kind(17);
            ticket.put(out);
            done.put(out);
            lines.put(out);
        }
    }
}

fn put_one(kind: u8, value: &impl Coded, out: &mut Encoder) {
    out.bytes.push(kind);
    value.put(out);
}

/// Reads what [`put_event`] has written. A link has randomness made of its number.
pub(super) fn get_event<'a>(from: &mut Decoder<'a>) -> Option<Event<'a>> {
    Some(match from.byte()? {
        0 => {
            let (link, address): (crate::words::LinkId, _) = Coded::get(from)?;
            let mut nonce = [0; 32];
            nonce.iter_mut().zip(link.0.to_le_bytes()).for_each(|(byte, own)| *byte = own);
            Event::LinkOpened { link, from: address, nonce }
        }
        1 => Event::Received { link: Coded::get(from)?, bytes: from.block()? },
        2 => Event::Flushed { link: Coded::get(from)?, upto: Coded::get(from)? },
        3 => Event::StreamEnded { link: Coded::get(from)? },
        4 => Event::LinkClosed { link: Coded::get(from)? },
        5 => Event::Verified { ticket: Coded::get(from)?, verdict: Coded::get(from)? },
        6 => Event::Hashed { ticket: Coded::get(from)?, credential: Coded::get(from)? },
        7 => Event::Committed { upto: Coded::get(from)? },
        8 => Event::StoreRefused { from: Coded::get(from)? },
        9 => {
            Event::MailLoaded { ticket: Coded::get(from)?, mail: Coded::get(from)?, more: Coded::get(from)? }
        }
        10 => Event::Reloaded { accounts: Coded::get(from)?, settings: Coded::get(from)? },
        11 => Event::HashesRenewed { renewals: Coded::get(from)? },
        12 => Event::Turn,
        13 => Event::Stop,
        14 => Event::Restart,
        15 => Event::Operator { ticket: Coded::get(from)?, act: Coded::get(from)? },
        16 => Event::Tick,
        17 => Event::Obeyed { ticket: Coded::get(from)?, done: Coded::get(from)?, lines: Coded::get(from)? },
        _ => return None,
    })
}
