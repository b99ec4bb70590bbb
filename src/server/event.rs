//! What can happen to the server.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use super::settings::Settings;
use crate::record::{Mail, RecordNumber};
use crate::words::{Credential, LinkId, Name, Ticket};

/// Something that happened, in the order in which it did. Events for links and tickets that are
/// gone are ignored.
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
    /// The client has said all that it will: the end of its stream, behind everything that was received. It may
    /// still listen. Answered by `Close`, at the latest when nothing of what it asked for is under way any more;
    /// the link can still be lost before.
    StreamEnded {
        /// Which.
        link: LinkId,
    },
    /// The link is gone: its client hung up, it broke, fell silent, or was too slow. Never follows a `Close`.
    LinkClosed {
        /// Which.
        link: LinkId,
    },
    /// A `Verify` is done.
    Verified {
        /// Of which.
        ticket: Ticket,
        /// What came out.
        verdict: Verdict,
    },
    /// A `Hash` is done.
    Hashed {
        /// Of which.
        ticket: Ticket,
        /// The credential; `None` if the pool of hashing threads was too busy.
        credential: Option<Credential>,
    },
    /// All records up to this one are durable.
    Committed {
        /// The last one.
        upto: RecordNumber,
    },
    /// The store could not write (disk full): this record and all later ones that were handed out
    /// under this or an earlier epoch are not and will not be stored.
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
        /// Whether more was waiting behind them at that moment.
        more: bool,
    },
    /// The operator asked to read credentials and settings again, and both are good.
    Reloaded {
        /// All accounts.
        accounts: Vec<(Name, Credential)>,
        /// All settings.
        settings: Box<Settings>,
    },
    /// The operator asked to stop. Sessions are told, mail under way is stored, links are closed.
    Stop,
    /// The time asked for by `ScheduleTimeout` has come. Harmless at any other time.
    Tick,
}

/// Without nonces, which tokens are made of, and without what clients and users say.
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
            Event::Stop => write!(f, "Stop"),
            Event::Tick => write!(f, "Tick"),
        }
    }
}

/// What comparing a password came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the right one.
    Right,
    /// It is not.
    Wrong,
    /// The pool of hashing threads was too busy to look at it.
    Overloaded,
}
