//! Everything durable: each change the server must remember is one [`Record`].
//!
//! Records are decided by `ServerState::handle`, applied by one total function, written by the
//! store, and read back at start into that same function. Accounts live in the credentials file,
//! everything else in the store.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::time::Time;
use crate::wire::{Code, Status};
use crate::words::{Credential, LoginNumber, MessageId, Name, Origin};

/// Records are numbered from 1 in the order in which they were decided. Numbers are not reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RecordNumber(pub u64);

/// A keyed digest: of a resume token, or of a made-up name. The key never leaves the data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 16]);

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
    /// Text, without a line feed.
    pub text: Arc<str>,
}

impl core::fmt::Debug for Mail {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Mail({} from {} {} bytes)", self.id, self.from, self.text.len())
    }
}

/// One durable change.
///
/// *Firm* records belong to a command that fails if they cannot be stored; *soft* ones hold a whole
/// new value, so a later one replaces an earlier one of the same key, and they are written when the
/// store can again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Firm: a new account (`registration=open`); goes to the credentials file.
    AccountAdded {
        /// The name.
        name: Name,
        /// An argon2id PHC string.
        credential: Credential,
    },
    /// Soft: the account is no longer in the credentials file. Its mail, blocks, memberships, history
    /// and counters go with it.
    AccountRemoved {
        /// The name.
        name: Name,
    },
    /// Soft: the failures counted for a name, and its lock.
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
    /// Soft: a session began or was resumed.
    SessionBegan {
        /// Whose.
        user: Name,
        /// Its number; the same as before if it was resumed.
        login: LoginNumber,
        /// Resumes it; `None` if the client cannot.
        token: Option<Digest>,
        /// When.
        at: Time,
    },
    /// Soft: a session ended. After a crash, every open one ended when the server last wrote.
    SessionEnded {
        /// Whose.
        user: Name,
        /// Whether its token may still resume it (the link was lost, or the server stopped).
        resumable: bool,
        /// When.
        at: Time,
    },
    /// Firm: a message waits for its receiver.
    MailStored {
        /// Receiver.
        to: Name,
        /// The message.
        mail: Mail,
    },
    /// Soft: messages need not wait any more. Adds up with others of the same user.
    MailRemoved {
        /// Receiver.
        user: Name,
        /// Which.
        ids: Vec<MessageId>,
    },
    /// Firm: `user` no longer reaches `by`.
    Blocked {
        /// The blocker.
        by: Name,
        /// The blocked.
        user: Name,
    },
    /// Firm: the block is lifted.
    Unblocked {
        /// Who had blocked.
        by: Name,
        /// Who was blocked.
        user: Name,
    },
    /// Firm: a group as it is from now on: created, or with other members.
    GroupSet {
        /// Name of the group.
        group: Name,
        /// Members, the longest-standing first; never empty. The first is the owner.
        members: Vec<Name>,
    },
    /// Firm: a group is no more.
    GroupRemoved {
        /// Name of the group.
        group: Name,
    },
    /// Firm, written together with the record it answers for: a numbered command has been done, so a
    /// repeat after a restart is answered and not done again.
    Settled {
        /// Who commanded.
        user: Name,
        /// The command.
        origin: Origin,
        /// What it came to.
        outcome: Outcome,
    },
}

/// What a command that changed something came to, small enough to remember for every one that
/// might be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A message ended so.
    Message(Status),
    /// A broadcast was sent.
    Broadcast {
        /// To how many.
        recipients: u32,
        /// Whether an online user has blocked the sender.
        withheld: bool,
    },
    /// A group message ended so.
    Group {
        /// Shown by so many members.
        delivered: u16,
        /// Stored for so many.
        stored: u16,
        /// Refused by so many full mailboxes.
        refused: u16,
        /// Whether a member has blocked the sender.
        withheld: bool,
    },
    /// It was done; there is nothing to say beyond that.
    Done,
    /// It failed.
    Failed(Code),
}

/// The state that a store hands back at start.
#[derive(Clone, Default)]
pub struct Recovery {
    /// Higher than at every start before, on this data folder or (it is the second of the start) another.
    pub boot: u32,
    /// Secret of the data folder: keys the digests.
    pub secret: [u8; 32],
    /// When the store was last written; sessions open at a crash ended then.
    pub last_written: Time,
    /// What is remembered, as records. Of stored mail only [`MailSummary`].
    pub records: Vec<Record>,
    /// Mailboxes that are not empty.
    pub mail: Vec<MailSummary>,
}

impl Recovery {
    /// Whether anything is remembered of somebody with an account.
    #[must_use]
    pub fn remembers_accounts(&self) -> bool {
        let of_account =
            |record: &Record| !matches!(record, Record::Failures { suspect: Suspect::Unknown(_), .. });
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
}
