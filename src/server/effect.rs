//! What the server wants done.

use core::fmt;
use core::net::SocketAddr;

use crate::record::{Record, RecordNumber};
use crate::time::Time;
use crate::wire::Code;
use crate::words::{Credential, LinkId, MessageId, Name, Password, Ticket};

/// Something to do, in this order.
#[derive(Clone, Copy, PartialEq)]
pub enum Effect<'a> {
    /// Queue bytes on a link: whole lines.
    Send {
        /// On which link.
        link: LinkId,
        /// The lines.
        bytes: &'a [u8],
    },
    /// Close the link once all that was queued has left, or soon. It is gone for the core from now on.
    Close {
        /// Which.
        link: LinkId,
    },
    /// Take no more from this link until `Resume`; what was read already may still come.
    Pause {
        /// Which.
        link: LinkId,
    },
    /// Read from this link again.
    Resume {
        /// Which.
        link: LinkId,
    },
    /// Compare a password; answer with `Verified`. The work must be the same for every credential.
    Verify {
        /// To answer with.
        ticket: Ticket,
        /// What to compare with; `None`: the account does not exist, do the work and say `Wrong`.
        credential: Option<&'a Credential>,
        /// What was typed.
        password: &'a Password,
    },
    /// Hash a password for a new account; answer with `Hashed`.
    Hash {
        /// To answer with.
        ticket: Ticket,
        /// What was typed.
        password: &'a Password,
    },
    /// Make a record durable; answer with `Committed` or `StoreRefused`. In order.
    Persist {
        /// Its number.
        number: RecordNumber,
        /// Counts refusals: after a `StoreRefused` the store drops records of the epoch before.
        epoch: u64,
        /// The record.
        record: &'a Record,
    },
    /// Read stored mail, behind all records persisted so far; answer with `MailLoaded`. The answer comes before
    /// those to records that are persisted later.
    LoadMail {
        /// To answer with.
        ticket: Ticket,
        /// Receiver.
        user: &'a Name,
        /// Only mail of this sender.
        from: Option<&'a Name>,
        /// Only ids above this one.
        after: MessageId,
        /// At most so many messages.
        limit: u32,
    },
    /// Call with `Tick` at this time. Replaces the one before; always later than now.
    ScheduleTimeout {
        /// When.
        at: Time,
    },
    /// Something for the operator's log.
    Report(&'a Report),
}

/// Without what is said to clients, which holds tokens and texts.
impl fmt::Debug for Effect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Send { link, bytes } => write!(f, "Send({link:?}, {} bytes)", bytes.len()),
            Effect::Close { link } => write!(f, "Close({link:?})"),
            Effect::Pause { link } => write!(f, "Pause({link:?})"),
            Effect::Resume { link } => write!(f, "Resume({link:?})"),
            Effect::Verify { ticket, credential, password } => {
                write!(f, "Verify({ticket:?}, {credential:?}, {password:?})")
            }
            Effect::Hash { ticket, password } => write!(f, "Hash({ticket:?}, {password:?})"),
            Effect::Persist { number, epoch, record } => {
                write!(f, "Persist({number:?} of epoch {epoch}, {record:?})")
            }
            Effect::LoadMail { ticket, user, from, after, limit } => {
                write!(f, "LoadMail({ticket:?}, {user:?} from {from:?} after {after:?}, at most {limit})")
            }
            Effect::ScheduleTimeout { at } => write!(f, "ScheduleTimeout({at:?})"),
            Effect::Report(report) => write!(f, "Report({report:?})"),
        }
    }
}

/// What an operator may want to know. Holds no password and no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A session began.
    LoggedIn {
        /// Whose.
        user: Name,
        /// From where.
        from: SocketAddr,
        /// Without a password, by token.
        resumed: bool,
    },
    /// A session ended.
    LoggedOut {
        /// Whose.
        user: Name,
        /// Why.
        why: SessionEnd,
    },
    /// A password was wrong.
    LoginFailed {
        /// From where.
        from: SocketAddr,
        /// Whether the name is locked now.
        locked: bool,
    },
    /// An account was made.
    Registered {
        /// The name.
        user: Name,
        /// From where.
        from: SocketAddr,
    },
    /// A connection was closed because a limit was reached.
    LimitReached {
        /// Which: the setting, or in words where none changes it.
        limit: &'static str,
        /// From where.
        from: SocketAddr,
    },
    /// The store refused to write; commands that needed it failed.
    StorageRefused {
        /// Records given up.
        records: u64,
    },
    /// The store writes again.
    StorageBack,
    /// A command failed in a way that may interest the operator (`rate_limited`, `mailbox_full`).
    CommandFailed {
        /// Whose.
        user: Name,
        /// How.
        code: Code,
    },
    /// An account is gone from the credentials file, its mail and memberships with it.
    AccountRemoved {
        /// The name.
        name: Name,
    },
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// The user asked.
    Logout,
    /// Nothing was heard of the user for too long.
    Timeout,
    /// The link was lost.
    LinkLost,
    /// A new login took its place (`duplicate_login=replace`).
    Replaced,
    /// The server stops.
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn no_token_text_or_password_is_printed() {
        let ticket = Ticket(1);
        let (password, credential) = (&Password::new("topsecret"), &Credential::new("topsecret"));
        let effects = [
            Effect::Send { link: LinkId(1), bytes: b"welcome hans unread 0 login 1 token topsecret\n" },
            Effect::Verify { ticket, credential: Some(credential), password },
            Effect::Hash { ticket, password },
        ];
        for effect in effects {
            let printed = format!("{effect:?}");
            // The bytes of a word, as a list of numbers, are the word.
            assert!(!printed.contains("topsecret") && !printed.contains("116, 111, 112"), "{printed}");
        }
    }
}
