//! What can happen to the server.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use super::acts::Act;
use super::settings::Settings;
use crate::record::{Mail, RecordNumber};
use crate::words::{Credential, LinkId, Name, Ticket};

/// Something that has happened, handed in in the order in which it did. Events for links and tickets that are gone
/// are ignored.
#[derive(Clone)]
pub enum Event<'a> {
    /// A client connected.
    LinkOpened {
        /// Its link from now on.
        link: LinkId,
        /// Where it came from.
        from: SocketAddr,
        /// 32 random bytes, fresh for this link.
        nonce: [u8; 32],
    },
    /// Bytes came, in any chunking.
    Received {
        /// On which link.
        link: LinkId,
        /// At least one.
        bytes: &'a [u8],
    },
    /// Bytes that were handed out by `Send` have left for the network.
    Flushed {
        /// Of which link.
        link: LinkId,
        /// How many so far, counted over the whole life of the link.
        upto: u64,
    },
    /// The end of a client's stream, after everything that was received. It may still listen. Answered by `Close`
    /// once nothing that it asked for is under way; the link can be lost before.
    StreamEnded {
        /// Which.
        link: LinkId,
    },
    /// A link was lost: it broke, fell silent, or was too slow. Never comes after a `Close`.
    LinkClosed {
        /// Which.
        link: LinkId,
    },
    /// A `Verify` is done.
    Verified {
        /// Of which.
        ticket: Ticket,
        /// The outcome.
        verdict: Verdict,
    },
    /// A `Hash` is done.
    Hashed {
        /// Of which.
        ticket: Ticket,
        /// The credential; `None` if too many passwords wait to be hashed.
        credential: Option<Credential>,
    },
    /// All records up to this one are durable.
    Committed {
        /// The last one.
        upto: RecordNumber,
    },
    /// The store could not write (disk full): it has not stored this record and will not, nor any later one that
    /// was handed out in its epoch or an earlier one.
    StoreRefused {
        /// The first one refused.
        from: RecordNumber,
    },
    /// A `LoadMail` is done.
    MailLoaded {
        /// Of which.
        ticket: Ticket,
        /// In order of their ids; at most as many as were asked for.
        mail: Vec<Mail>,
        /// Whether there was more after them at that moment.
        more: bool,
    },
    /// Credentials and settings were read again, and both are good.
    Reloaded {
        /// All accounts.
        accounts: Vec<(Name, Credential)>,
        /// All settings.
        settings: Box<Settings>,
    },
    /// Hashes of the credentials file were renewed: the lines were replaced.
    HashesRenewed {
        /// Which.
        renewals: Vec<Renewal>,
    },
    /// One connection that waits for its turn has it. Due when `ServerState::has_turns` says so, after everything
    /// that was ready to be read; harmless at any other time.
    Turn,
    /// The server is to stop: sessions are told, mail under way is handed to the store, links are closed.
    Stop,
    /// The server is to restart: links are closed without a word, and sessions whose clients can resume are left to the
    /// next start.
    Restart,
    /// An operator wants something done; answered by `Acted`.
    Operator {
        /// To answer with.
        ticket: Ticket,
        /// What.
        act: Box<Act>,
    },
    /// An `Order` was obeyed, or was not.
    Obeyed {
        /// Of which.
        ticket: Ticket,
        /// Whether it was.
        done: bool,
        /// What it came to, or why it was not: lines for a person. What is no [`Text`](crate::words::Text) is left out.
        lines: Vec<Box<str>>,
    },
    /// The time that `ScheduleTimeout` asked for has come. Harmless at any other time.
    Tick,
}

/// Without nonces, of which tokens are made, and without the lines of clients.
impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::LinkOpened { link, from, nonce: _ } => write!(f, "LinkOpened({link:?} from {from})"),
            Event::Received { link, bytes } => write!(f, "Received({link:?}, {} bytes)", bytes.len()),
            Event::Flushed { link, upto } => write!(f, "Flushed({link:?} up to {upto})"),
            Event::StreamEnded { link } => write!(f, "StreamEnded({link:?})"),
            Event::LinkClosed { link } => write!(f, "LinkClosed({link:?})"),
            Event::Verified { ticket, verdict } => write!(f, "Verified({ticket:?}, {verdict:?})"),
            Event::Hashed { ticket, credential } => write!(f, "Hashed({ticket:?}, {credential:?})"),
            Event::Committed { upto } => write!(f, "Committed(up to {upto:?})"),
            Event::StoreRefused { from } => write!(f, "StoreRefused(from {from:?})"),
            Event::MailLoaded { ticket, mail, more } => {
                write!(f, "MailLoaded({ticket:?}, {mail:?}, more: {more})")
            }
            Event::Reloaded { accounts, settings: _ } => write!(f, "Reloaded({} accounts)", accounts.len()),
            Event::HashesRenewed { renewals } => write!(f, "HashesRenewed({} accounts)", renewals.len()),
            Event::Turn => write!(f, "Turn"),
            Event::Stop => write!(f, "Stop"),
            Event::Restart => write!(f, "Restart"),
            Event::Operator { ticket, act } => write!(f, "Operator({ticket:?}, {act:?})"),
            Event::Obeyed { ticket, done, lines } => {
                write!(f, "Obeyed({ticket:?}, {done}, {} lines)", lines.len())
            }
            Event::Tick => write!(f, "Tick"),
        }
    }
}

/// A line of the credentials file that holds the same password as a new hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// Whose.
    pub name: Name,
    /// The hash before.
    pub before: Credential,
    /// The hash from now on; it [renews](Credential::renews) the one before.
    pub after: Credential,
}

/// The outcome of comparing a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the right one.
    Right,
    /// It is not.
    Wrong,
    /// It was not compared: too many wait to be.
    Overloaded,
}
