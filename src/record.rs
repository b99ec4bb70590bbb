//! Everything durable: each thing that the server must remember is one [`Record`].
//!
//! `ServerState::handle` decides records, the store writes them, and one total function applies them: each once
//! it is durable, and all of them again at the next start. Accounts live in the credentials file, everything
//! else in the store.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use crate::time::Time;
use crate::wire::code::spelled;
use crate::wire::{Code, Status};
use crate::words::{AddressRange, Credential, LoginNumber, MessageId, Name, Origin, SharedText};

/// Records are numbered from 1 in the order in which they were decided. Numbers are not reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RecordNumber(pub u64);

/// A keyed digest of a token, of a device's cookie, or of a name without an account. The key never leaves the data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 16]);

/// A keyed digest of a command's words, to tell a repeat from another command under the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WordsDigest(pub u64);

/// Whose failures are counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suspect {
    /// An account.
    Account(Name),
    /// A name without an account, known by its digest only.
    Unknown(Digest),
}

/// A message as the store keeps it. `Debug` shows the length of the text only.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Unique for the receiver; larger for later messages.
    pub id: MessageId,
    /// Sender.
    pub from: Name,
    /// The group it was sent to, if any.
    pub group: Option<Name>,
    /// The sender's command.
    pub origin: Option<Origin>,
    /// When the server accepted it.
    pub sent_at: Time,
    /// What it says.
    pub text: SharedText,
}

impl core::fmt::Debug for Mail {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Mail({} from {} {} bytes)", self.id, self.from, self.text.len())
    }
}

/// One thing that the store keeps. Records are written in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Something that has happened: it holds at once.
    Fact(Fact),
    /// Something that shall be: it holds once it is durable. A change that the store refuses has never been.
    Change(Change),
    /// A message waits for its receiver. It is in the mailbox once this is durable.
    MailStored {
        /// Receiver.
        to: Name,
        /// The message.
        mail: Mail,
    },
    /// The result of a numbered command, written in one batch with its change or mail: a repeat after a
    /// restart is answered and not done again.
    Settled {
        /// Whose command.
        user: Name,
        /// Which command.
        origin: Origin,
        /// Its result.
        outcome: Outcome,
        /// Digest of the command as encoded; `None` in a folder of version 0.1.0.
        words: Option<WordsDigest>,
    },
    /// What became of a message with a given id (R61), in one batch with it where it is stored: a repeat within the
    /// day is answered and not done again.
    Sent {
        /// Whose courier.
        user: Name,
        /// The number of its ORIGIN.
        number: u64,
        /// What became of it.
        outcome: Outcome,
        /// Digest of the command as encoded.
        words: WordsDigest,
        /// It is remembered until then.
        until: Time,
    },
}

/// Something that has happened. Each has a whole new value: a later one replaces an earlier one of its key, but
/// for the ids of [`Fact::MailRemoved`] and [`Fact::MailExpired`], which add up. A fact that the store refuses is written later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The failures counted for a name, and its lock.
    Failures {
        /// Whose.
        suspect: Suspect,
        /// Consecutive failures; 0 after a success or an expired lock.
        count: u32,
        /// The lock, while there is one.
        locked_until: Option<Time>,
        /// Failures since the last login that succeeded; for a notice.
        since_login: u32,
    },
    /// A device logged in, the failures counted for it have changed, or it is forgotten.
    Device {
        /// Whose.
        user: Name,
        /// Digest of its cookie.
        device: Digest,
        /// `None`: it is forgotten.
        standing: Option<DeviceStanding>,
    },
    /// A token was given to a user's couriers, or is forgotten.
    Courier {
        /// Whose.
        user: Name,
        /// Its digest.
        token: Digest,
        /// It is good until then. `None`: it is forgotten.
        until: Option<Time>,
    },
    /// A session began or was resumed.
    SessionBegan {
        /// Whose.
        user: Name,
        /// Its number; the same as before if it was resumed.
        login: LoginNumber,
        /// Resumes it; `None` if the client cannot.
        token: Option<Digest>,
        /// When; [`Time::MAX`] if nobody was told of it, and it is in no history.
        at: Time,
    },
    /// A session ended. After a crash, every open one ended when the server last wrote.
    SessionEnded {
        /// Whose.
        user: Name,
        /// What may follow.
        after: AfterEnd,
        /// When.
        at: Time,
    },
    /// Somebody registers by an invite, or came to nothing with it.
    InviteUsed {
        /// Its digest.
        code: Digest,
        /// For so many accounts it is still good.
        left: u32,
    },
    /// A user has heard what operators have said to all (R67).
    Heard {
        /// Who.
        user: Name,
        /// All announcements up to this number that were kept.
        upto: u32,
    },
    /// Messages were acknowledged or dropped: they are out of the mailbox.
    MailRemoved {
        /// Receiver.
        user: Name,
        /// Which.
        ids: Vec<MessageId>,
    },
    /// The time of messages was over: they are out of the mailbox. Or the receiver was told of those before.
    MailExpired {
        /// Receiver.
        user: Name,
        /// Which.
        ids: Vec<MessageId>,
        /// How many the receiver was not told of.
        untold: u32,
    },
    /// When the last session of a user began and ended is forgotten (`history_days`).
    SessionForgotten {
        /// Whose.
        user: Name,
    },
}

/// What may follow the end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AfterEnd {
    /// Its token is void.
    Nothing,
    /// Its token may resume it, as a new session: the link was lost, or the server stopped.
    Resume,
    /// The server restarts: if the next start comes soon, the session goes on.
    Held,
}

/// What is remembered of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceStanding {
    /// The last login from it.
    pub login: LoginNumber,
    /// Consecutive failures; 0 after a success or an expired lock.
    pub count: u32,
    /// The lock, while there is one.
    pub locked_until: Option<Time>,
}

/// Something that shall be, by the will of a user or of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new account (`registration=open`); goes to the credentials file.
    AccountAdded {
        /// The name.
        name: Name,
        /// An argon2id PHC string.
        credential: Credential,
    },
    /// An account is gone from the credentials file. Its mail, blocks, memberships, history and counters are
    /// removed.
    AccountRemoved {
        /// The name.
        name: Name,
    },
    /// `user` no longer reaches `by`.
    Blocked {
        /// The blocker.
        by: Name,
        /// The blocked.
        user: Name,
    },
    /// The block is lifted.
    Unblocked {
        /// The blocker.
        by: Name,
        /// The blocked.
        user: Name,
    },
    /// A group is made, or has other members.
    GroupSet {
        /// Name of the group.
        group: Name,
        /// Members, the longest-standing first; never empty. The first is the owner.
        members: Vec<Name>,
        /// Whom it counts for; `None` once their account is purged.
        maker: Option<Maker>,
    },
    /// A group is no more.
    GroupRemoved {
        /// Name of the group.
        group: Name,
    },
    /// An operator keeps a user from something, or does so no more.
    Restrained {
        /// Whom.
        user: Name,
        /// From what.
        how: Restraint,
        /// For so long, with [`Time::MAX`] without end. `None`: no more.
        until: Option<Time>,
    },
    /// An operator lets nobody in from these addresses, or does so no more.
    RangeBanned {
        /// From where.
        range: AddressRange,
        /// For so long, with [`Time::MAX`] without end. `None`: no more.
        until: Option<Time>,
    },
    /// What an operator has said to all is kept for those who are away.
    Announced {
        /// What.
        announcement: Announcement,
    },
    /// An announcement is kept no more.
    AnnouncementWithdrawn {
        /// Which.
        number: u32,
    },
    /// An operator lets somebody make an account.
    InviteMade {
        /// Digest of its code.
        code: Digest,
        /// What it is good for.
        invite: Invite,
    },
    /// An invite is no more.
    InviteRevoked {
        /// Its digest.
        code: Digest,
    },
}

/// What an operator has said to all. `Debug` shows the length of the text only.
#[derive(Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Tells it from others; greater than those of all that were made before.
    pub number: u32,
    /// When it was said.
    pub at: Time,
    /// What was said.
    pub text: SharedText,
}

impl core::fmt::Debug for Announcement {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Announcement({} at {:?}, {} bytes)", self.number, self.at, self.text.len())
    }
}

/// What an invite is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Tells it from others; greater than those of all that are remembered.
    pub number: u32,
    /// The only name that may be registered by it; `None`: any.
    pub name: Option<Name>,
    /// For so many accounts; 0: it is used up.
    pub left: u32,
    /// It is good until then.
    pub until: Time,
}

impl Invite {
    /// Whether nobody can use it any more.
    #[must_use]
    pub fn is_over(&self, now: Time) -> bool {
        self.left == 0 || self.until <= now
    }
}

spelled! {
    /// What an operator keeps a user from.
    Restraint {
        /// Saying something to others.
        Muted = "muted",
        /// Coming in, for a time.
        Banned = "banned",
        /// Coming in, until they are enabled again.
        Disabled = "disabled",
    }
}

/// The maker of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Maker {
    /// Their name.
    pub name: Name,
    /// When they left it, if they are not in it.
    pub left_at: Option<Time>,
}

/// The result of a command that must not be done twice. Small: it is kept for every command that may be
/// repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A message was delivered or stored.
    Message(Status),
    /// A message was stored, and is removed if it was not shown by then (`mailbox_days`).
    StoredUntil(Time),
    /// A broadcast was sent.
    Broadcast {
        /// To how many.
        recipients: u32,
        /// Whether an online user has blocked the sender.
        withheld: bool,
    },
    /// A group message was sent.
    Group {
        /// Shown by so many members.
        delivered: u16,
        /// Stored for so many.
        stored: u16,
        /// Refused for so many.
        refused: u16,
        /// Whether a member has blocked the sender.
        withheld: bool,
    },
    /// It was done.
    Done,
    /// It failed.
    Failed(Code),
}

/// The state that a store hands back at start.
#[derive(Clone, Default)]
pub struct Recovery {
    /// The second of this start, or one more than at the start before if that is higher.
    pub boot: u32,
    /// Secret of the data folder: keys the digests.
    pub secret: [u8; 32],
    /// When the store was last written. Sessions that were open at a crash ended then.
    pub last_written: Time,
    /// Everything else that is remembered, as records.
    pub records: Vec<Record>,
    /// Mailboxes that are not empty.
    pub mail: Vec<MailSummary>,
}

impl Recovery {
    /// Whether anything is remembered of an account.
    #[must_use]
    pub fn remembers_accounts(&self) -> bool {
        let of_account = |record: &Record| {
            !matches!(record, Record::Fact(Fact::Failures { suspect: Suspect::Unknown(_), .. }))
        };
        !self.mail.is_empty() || self.records.iter().any(of_account)
    }
}

/// Without the secret.
impl core::fmt::Debug for Recovery {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Recovery")
            .field("boot", &self.boot)
            .field("last_written", &self.last_written)
            .field("records", &self.records)
            .field("mail", &self.mail)
            .finish_non_exhaustive()
    }
}

/// How much mail of one sender waits for one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSummary {
    /// Receiver.
    pub to: Name,
    /// Sender.
    pub from: Name,
    /// Messages.
    pub count: u32,
    /// Bytes of text.
    pub bytes: u64,
    /// When the oldest of them was accepted.
    pub oldest: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_for_names_without_an_account_is_no_memory_of_accounts() {
        let failures =
            |suspect| Record::Fact(Fact::Failures { suspect, count: 1, locked_until: None, since_login: 1 });
        let of = |records| Recovery { records, ..Recovery::default() };
        let unknown = failures(Suspect::Unknown(Digest([1; 16])));
        assert!(!Recovery::default().remembers_accounts());
        assert!(!of(Vec::from([unknown.clone()])).remembers_accounts());
        let hans = Name::new("hans").unwrap();
        assert!(of(Vec::from([unknown, failures(Suspect::Account(hans.clone()))])).remembers_accounts());
        let mail = MailSummary { to: hans.clone(), from: hans, count: 1, bytes: 1, oldest: Time::ZERO };
        assert!(Recovery { mail: Vec::from([mail]), ..Recovery::default() }.remembers_accounts());
    }
}
