//! What can happen to the client.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use super::log::Logged;
use super::view::ServerKey;
use crate::words::{DeviceKey, LinkId, MessageId, Name, Origin, Token};

/// Something that has happened. Events are handed in in the order in which they happened; those of links and
/// dials that are gone are ignored.
#[derive(Clone)]
pub enum Event<'a> {
    /// The program has started.
    Started,
    /// The server that is being dialled has proved to have this key, which is trusted. Told before `Connected`; not
    /// without TLS.
    ServerKey(ServerKey),
    /// A `Dial` of the server succeeded.
    Connected,
    /// A `Dial` of the server failed, or the connection to it ended.
    Disconnected,
    /// The connection to the server is over because the machine has lost the address that it had there. No other client
    /// has lost its own with it, so that it is made again at once.
    Stranded,
    /// A `Dial` has reached a server that is not the trusted one ([`trust`](super::trust)); nothing was said to it. The
    /// shell says why on stderr at the end.
    Distrusted,
    /// A `Dial` has reached a server whose key could not be kept in the state folder, or the key that it is known by could
    /// not be read there; nothing was said to it. The shell says why on stderr at the end.
    Unpinned,
    /// Bytes have arrived from the server, in any chunking.
    Received {
        /// At least one.
        bytes: &'a [u8],
    },
    /// At a terminal a key was pressed: somebody is there. Keys between two events may be told as one.
    KeyPressed,
    /// A line was typed or read from a pipe: an answer to the open prompt, or a command.
    Typed {
        /// Counts the lines of the input from 1.
        line: u64,
        /// Without its line feed; any bytes.
        text: &'a [u8],
    },
    /// The input is at its end.
    EndOfInput,
    /// A signal asks the program to end.
    Interrupted(Signal),
    /// `Deliver` effects are carried out: the messages are shown and noted in the state folder.
    Delivered {
        /// The sequence number of the last one.
        upto: u64,
    },
    /// The program that a message was handed to has failed: it counts as not shown, and is the last one.
    ProgramFailed,
    /// Standard output is closed: nothing can be shown any more.
    OutputClosed,
    /// `OpenState` succeeded.
    StateOpened(Recall),
    /// `OpenState` failed: another client uses the folder, or it cannot be read or written. The
    /// shell has said why on stderr.
    StateRefused,
    /// The answer to `FindCookie`.
    CookieFound {
        /// What was kept for the user at this server, if anything.
        cookie: Option<Token>,
    },
    /// The answer to `LookUp`.
    LookedUp {
        /// The line that asked.
        line: u64,
        /// What was found, the newest last; `None` if the log cannot be read.
        found: Option<Vec<Logged>>,
    },
    /// `Listen` succeeded, or failed (no address).
    Listening {
        /// Addresses that other clients may connect to.
        addresses: Vec<SocketAddr>,
    },
    /// The router was asked for a mapping, and has answered or not; nothing waits for that.
    PortMapped {
        /// The number of the attempt.
        attempt: u64,
        /// What it passes on.
        mapped: Option<Mapped>,
    },
    /// A `DialPeer` or a `PunchPeer` succeeded, or somebody connected to the private port.
    PeerOpened {
        /// The new link.
        link: LinkId,
        /// The side that has connected.
        opened: PeerOpened,
    },
    /// A `DialPeer` failed.
    PeerUnreached {
        /// The address.
        address: SocketAddr,
    },
    /// A `PunchPeer` failed.
    PeerUnpunched {
        /// The address.
        address: SocketAddr,
    },
    /// A `SecurePeer` is carried out: what is said on the link from now on only the owner of a key hears and says.
    PeerProved {
        /// The link.
        link: LinkId,
        /// The key that the other side has proved to have, for this introduction and this link.
        key: DeviceKey,
        /// Whether the other side can move a conversation to another link.
        can_move: bool,
    },
    /// Bytes have arrived on a private link, in any chunking.
    PeerReceived {
        /// The link.
        link: LinkId,
        /// At least one.
        bytes: &'a [u8],
    },
    /// A private link is closed.
    PeerClosed {
        /// The link.
        link: LinkId,
    },
    /// A link that the server relays has something to send to the other client.
    RelayLeaving {
        /// The link.
        link: LinkId,
        /// None if nothing follows.
        bytes: &'a [u8],
    },
    /// Of the bytes of `FeedRelay` so many further ones were dealt with.
    RelayTaken {
        /// The link.
        link: LinkId,
        /// How many.
        count: usize,
    },
    /// The time requested by `ScheduleTimeout` has come. Harmless at any other time.
    Tick,
}

/// Prints nothing that was typed, which may be a password, nor anything from others.
impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Started => write!(f, "Started"),
            Event::ServerKey(key) => write!(f, "ServerKey({key:?})"),
            Event::Connected => write!(f, "Connected"),
            Event::Disconnected => write!(f, "Disconnected"),
            Event::Stranded => write!(f, "Stranded"),
            Event::Distrusted => write!(f, "Distrusted"),
            Event::Unpinned => write!(f, "Unpinned"),
            Event::Received { bytes } => write!(f, "Received({} bytes)", bytes.len()),
            Event::Typed { line, text } => write!(f, "Typed(line {line}, {} bytes)", text.len()),
            Event::EndOfInput => write!(f, "EndOfInput"),
            Event::Interrupted(signal) => write!(f, "Interrupted({signal:?})"),
            Event::Delivered { upto } => write!(f, "Delivered(up to {upto})"),
            Event::ProgramFailed => write!(f, "ProgramFailed"),
            Event::OutputClosed => write!(f, "OutputClosed"),
            Event::StateOpened(recall) => write!(f, "StateOpened({recall:?})"),
            Event::StateRefused => write!(f, "StateRefused"),
            Event::CookieFound { cookie } => write!(f, "CookieFound({})", cookie.is_some()),
            Event::LookedUp { line, found } => write!(f, "LookedUp({line}, {})", found.is_some()),
            Event::Listening { addresses } => write!(f, "Listening({addresses:?})"),
            Event::PortMapped { attempt, mapped } => write!(f, "PortMapped({attempt}, {mapped:?})"),
            Event::PeerOpened { link, opened } => write!(f, "PeerOpened({link:?}, {opened:?})"),
            Event::PeerUnreached { address } => write!(f, "PeerUnreached({address})"),
            Event::PeerUnpunched { address } => write!(f, "PeerUnpunched({address})"),
            Event::PeerProved { link, key, can_move } => {
                write!(f, "PeerProved({link:?}, {key}, can_move: {can_move})")
            }
            Event::PeerReceived { link, bytes } => write!(f, "PeerReceived({link:?}, {} bytes)", bytes.len()),
            Event::PeerClosed { link } => write!(f, "PeerClosed({link:?})"),
            Event::KeyPressed => write!(f, "KeyPressed"),
            Event::RelayLeaving { link, bytes } => write!(f, "RelayLeaving({link:?}, {} bytes)", bytes.len()),
            Event::RelayTaken { link, count } => write!(f, "RelayTaken({link:?}, {count})"),
            Event::Tick => write!(f, "Tick"),
        }
    }
}

/// What a router passes on to the port where a client listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapped {
    /// An address and port outside.
    pub outside: SocketAddr,
    /// For how long, unless it is renewed.
    pub lease_secs: u64,
}

/// Which side has connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerOpened {
    /// This client, to this address.
    Dialled(SocketAddr),
    /// This client from its listening port, to this address, and perhaps the other side at the same time.
    Punched(SocketAddr),
    /// The other side.
    Accepted(SocketAddr),
}

/// A signal that ends the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C: exit 130.
    Interrupt,
    /// SIGTERM: exit 143.
    Terminate,
    /// SIGHUP, the terminal is gone: exit 129.
    HangUp,
}

/// What the state folder remembers of earlier runs for this server and user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recall {
    /// Messages that were shown, oldest first.
    pub shown: Vec<Mark>,
    /// Messages that were about to be shown when the client died; they may have been shown.
    pub doubtful: Vec<Mark>,
    /// Commands that had no result yet when the client died.
    pub unsettled: u32,
    /// The end of the log, the newest last.
    pub logged: Vec<Logged>,
    /// Keys of other users' devices, in the order in which they were noted; of one that was noted more than once the
    /// last note holds.
    pub keys: Vec<KnownKey>,
}

/// The key of another user's device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// The user.
    pub user: String,
    /// The device's key.
    pub key: DeviceKey,
    /// Both people have compared the code of the link.
    pub is_verified: bool,
}

/// What identifies a shown message when it arrives again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Sender.
    pub from: Name,
    /// The server's id.
    pub id: MessageId,
    /// The sender's command.
    pub origin: Option<Origin>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn nothing_that_is_typed_or_heard_is_printed() {
        let bytes = b"topsecret".as_slice();
        let events = [
            Event::Typed { line: 2, text: bytes },
            Event::Received { bytes },
            Event::PeerReceived { link: LinkId(1), bytes },
        ];
        for event in events {
            let printed = format!("{event:?}");
            // The bytes of a word, as a list of numbers, are the word.
            assert!(!printed.contains("topsecret") && !printed.contains("116, 111, 112"), "{printed}");
        }
    }
}
