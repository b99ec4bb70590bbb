//! Effects: what the server wants done.

use core::fmt;
use core::net::SocketAddr;

use super::acts::Reached;
use crate::record::{Record, RecordNumber};
use crate::time::Time;
use crate::wire::Code;
use crate::words::{Credential, LinkId, MessageId, Name, Password, Ticket};

/// Something to do. Effects are carried out in order.
#[derive(Clone, Copy, PartialEq)]
pub enum Effect<'a> {
    /// Queue whole lines on a link.
    Send {
        /// On which link.
        link: LinkId,
        /// The lines.
        bytes: &'a [u8],
    },
    /// Close a link once all that was queued has left, or soon. For the core it is gone.
    Close {
        /// Which.
        link: LinkId,
    },
    /// Read no more from a link until `Resume`. What was read before may still be handed in.
    Pause {
        /// Which.
        link: LinkId,
    },
    /// Read from a link again.
    Resume {
        /// Which.
        link: LinkId,
    },
    /// Compare a password; answered by `Verified`. The work must be the same for every credential.
    Verify {
        /// To answer with.
        ticket: Ticket,
        /// What to compare with; `None`: there is no account; do the same work and say `Wrong`.
        credential: Option<&'a Credential>,
        /// The password.
        password: &'a Password,
    },
    /// Hash the password of a new account; answered by `Hashed`.
    Hash {
        /// To answer with.
        ticket: Ticket,
        /// The password.
        password: &'a Password,
    },
    /// Make a record durable; answered by `Committed` or `StoreRefused`, in order.
    Persist {
        /// Its number.
        number: RecordNumber,
        /// Counts refusals. After a `StoreRefused` the store drops what still comes of that epoch or an earlier one.
        epoch: u64,
        /// The record.
        record: &'a Record,
    },
    /// Read stored mail as it is after all records before; answered by `MailLoaded`, which comes after the answers
    /// to those and before the answers to later ones.
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
    /// Call with `Tick` at this time, which is later than now. Replaces the one before.
    ScheduleTimeout {
        /// When.
        at: Time,
    },
    /// What an operator wanted is done, or is not.
    Acted {
        /// Answers which.
        ticket: Ticket,
        /// How many it has reached (sessions, or names and devices that are unlocked), the number of an invite, or why it
        /// was not done.
        outcome: Reached,
    },
    /// A user who is an operator wants something done; answered by `Obeyed`.
    Order {
        /// To answer with.
        ticket: Ticket,
        /// Who.
        user: &'a Name,
        /// What, as they have typed it.
        words: &'a str,
    },
    /// Log something for the operator.
    Report(&'a Report),
}

/// Without the lines to clients: they hold tokens and texts.
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
            Effect::Acted { ticket, outcome } => write!(f, "Acted({ticket:?}, {outcome:?})"),
            Effect::Order { ticket, user, words: _ } => write!(f, "Order({ticket:?} of {user:?})"),
            Effect::Report(report) => write!(f, "Report({report:?})"),
        }
    }
}

/// A line for the operator's log. Holds no password and no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A session began.
    LoggedIn {
        /// Whose.
        user: Name,
        /// From where.
        from: SocketAddr,
        /// Whether by token, without a password.
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
        /// Whose; `None` if there is no account of that name, which may be a password typed in its place.
        user: Option<Name>,
        /// From where.
        from: SocketAddr,
        /// Wrong ones in a row, of all addresses, or of a device that was in before.
        failures: u32,
        /// Whether they are counted for a device that was in before, and not for the name.
        device: bool,
        /// For how long the name or the device is locked now, if it is.
        locked_secs: Option<u64>,
    },
    /// The code of an invite was not good.
    InviteRefused {
        /// From where.
        from: SocketAddr,
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
        /// Which setting, or which limit in words if there is none.
        limit: &'static str,
        /// From where.
        from: SocketAddr,
    },
    /// The store refused to write: commands that needed it failed.
    StorageRefused {
        /// Records given up.
        records: u64,
    },
    /// The store writes again.
    StorageBack,
    /// A command failed because a limit was reached.
    CommandFailed {
        /// Whose.
        user: Name,
        /// How.
        code: Code,
    },
    /// An account was purged: it is gone from the credentials file, and all that was stored for it is removed.
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
    /// The user was idle for too long.
    Timeout,
    /// The link was lost.
    LinkLost,
    /// A new login took its place (`duplicate_login=replace`).
    Replaced,
    /// An operator has ended it.
    Kicked,
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
