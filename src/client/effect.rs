//! What the shell has to do for the client.

use alloc::string::String;
use core::fmt;
use core::net::SocketAddr;

use super::event::{KnownKey, Mark, Signal};
use super::log::{Logged, Query};
use super::view::View;
use crate::time::Time;
use crate::words::{LinkId, Token};

/// Something to do. Effects are carried out in order.
#[derive(Clone, Copy, PartialEq)]
pub enum Effect<'a> {
    /// Connect to the server; answer with `Connected`, `Disconnected`, `Distrusted` or
    /// `Unpinned`.
    Dial,
    /// Send bytes to the server.
    Send {
        /// Whole lines.
        bytes: &'a [u8],
    },
    /// Close the connection to the server once everything is sent. No `Disconnected` is needed.
    HangUp,
    /// Show something.
    Show(&'a View),
    /// Show a message and report it: note that it is about to be shown, show it, note that it was shown, then
    /// answer with `Delivered`. Several in a row may share their notes and their answer.
    Deliver {
        /// Rises by one.
        sequence: u64,
        /// What to note; `None` for a private text, which never arrives a second time.
        mark: Option<&'a Mark>,
        /// To show.
        view: &'a View,
    },
    /// Note that a command has no result yet, before its bytes are sent.
    NoteOpen {
        /// The command's number.
        number: u64,
    },
    /// Note that the result of a command is known.
    NoteSettled {
        /// The command's number.
        number: u64,
    },
    /// Open and lock the state folder of this user; answer with `StateOpened` or `StateRefused`.
    OpenState {
        /// The user.
        user: &'a str,
    },
    /// Look for the cookie that was kept for this user at this server; answer with `CookieFound`.
    FindCookie {
        /// The user.
        user: &'a str,
    },
    /// Keep the cookie of this device in the state folder, readable by its owner only.
    KeepCookie {
        /// Of the user whose state folder is open.
        cookie: Token,
    },
    /// Keep what was said in the log of the state folder, which only its owner can read. If that fails it is said once,
    /// and nothing else happens.
    Log(&'a Logged),
    /// Look something up in that log; answer with `LookedUp`.
    LookUp {
        /// The line that asks.
        line: u64,
        /// What for.
        query: &'a Query,
    },
    /// Close the state folder: the session is over.
    CloseState,
    /// Listen for private links; answer with `Listening`.
    Listen,
    /// Stop listening: connections that nobody has accepted are reset.
    StopListening,
    /// Ask the router to pass a port on to the one where this client listens, or to go on doing so; answer with
    /// `PortMapped`, whenever that is known.
    MapPort {
        /// Counts from 1.
        attempt: u64,
    },
    /// Tell the router that nothing is to be passed on any more. So it is at the end of the program, too.
    UnmapPort,
    /// Connect to another client; answer with `PeerOpened` or `PeerUnreached`.
    DialPeer {
        /// The address.
        address: SocketAddr,
    },
    /// Connect to another client from the port where this one listens, which is also that of the connection to the
    /// server: routers let the other in there who does the same at that time. Answer with `PeerOpened` or
    /// `PeerUnpunched`.
    PunchPeer {
        /// The address.
        address: SocketAddr,
    },
    /// Send bytes on a private link.
    SendPeer {
        /// The link.
        link: LinkId,
        /// Whole lines.
        bytes: &'a [u8],
    },
    /// Encrypt a private link from here on: what was sent on it before leaves in the clear, and all that arrives from
    /// now on belongs to the handshake. Each side proves the key of its device for this introduction. Answer with
    /// `PeerProved`, or with `PeerClosed` if that fails.
    SecurePeer {
        /// The link.
        link: LinkId,
        /// Whether this client has connected.
        dialled: bool,
        /// What both sides must agree on.
        introduction: &'a Introduction,
    },
    /// Note in the state folder that this is a key of a user's device.
    KeepKey(&'a KnownKey),
    /// Serve a private link that the server relays. What is to leave on it is told by `RelayLeaving`, and the end of that by
    /// one with no bytes; `PeerClosed` follows when nothing more comes.
    BeginRelay {
        /// The link, which no other has.
        link: LinkId,
        /// Whether this client calls on it; otherwise the other's call is read first, in the clear.
        calls: bool,
    },
    /// Bytes for such a link have come; answer with `RelayTaken` as they are dealt with.
    FeedRelay {
        /// The link.
        link: LinkId,
        /// At least one.
        bytes: &'a [u8],
    },
    /// Nothing more comes for such a link.
    EndRelay {
        /// The link.
        link: LinkId,
    },
    /// Close a private link once everything is sent. The core takes it for closed from now on.
    ClosePeer {
        /// The link.
        link: LinkId,
    },
    /// Reset a private link at once: unread and unsent bytes are dropped. The core takes it for closed from now on.
    ResetPeer {
        /// The link.
        link: LinkId,
    },
    /// Send `Tick` at this time, which is later than now. Replaces the time requested before.
    ScheduleTimeout {
        /// The time.
        at: Time,
    },
    /// End the program. Nothing follows.
    Exit(Exit),
}

/// Prints no sent bytes: they may hold a password.
impl fmt::Debug for Effect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Dial => write!(f, "Dial"),
            Effect::Send { bytes } => write!(f, "Send({} bytes)", bytes.len()),
            Effect::HangUp => write!(f, "HangUp"),
            Effect::Show(view) => write!(f, "Show({view:?})"),
            Effect::Deliver { sequence, mark, view } => write!(f, "Deliver({sequence}, {mark:?}, {view:?})"),
            Effect::NoteOpen { number } => write!(f, "NoteOpen({number})"),
            Effect::NoteSettled { number } => write!(f, "NoteSettled({number})"),
            Effect::OpenState { user } => write!(f, "OpenState({user})"),
            Effect::FindCookie { user } => write!(f, "FindCookie({user})"),
            Effect::KeepCookie { cookie: _ } => write!(f, "KeepCookie"),
            Effect::Log(_) => write!(f, "Log"),
            Effect::LookUp { line, query: _ } => write!(f, "LookUp({line})"),
            Effect::CloseState => write!(f, "CloseState"),
            Effect::Listen => write!(f, "Listen"),
            Effect::StopListening => write!(f, "StopListening"),
            Effect::MapPort { attempt } => write!(f, "MapPort({attempt})"),
            Effect::UnmapPort => write!(f, "UnmapPort"),
            Effect::DialPeer { address } => write!(f, "DialPeer({address})"),
            Effect::PunchPeer { address } => write!(f, "PunchPeer({address})"),
            Effect::SendPeer { link, bytes } => write!(f, "SendPeer({link:?}, {} bytes)", bytes.len()),
            Effect::SecurePeer { link, dialled, introduction: _ } => {
                write!(f, "SecurePeer({link:?}, {})", if *dialled { "dialled" } else { "accepted" })
            }
            Effect::KeepKey(known) => write!(f, "KeepKey({known:?})"),
            Effect::BeginRelay { link, calls } => write!(f, "BeginRelay({link:?}, {calls})"),
            Effect::FeedRelay { link, bytes } => write!(f, "FeedRelay({link:?}, {} bytes)", bytes.len()),
            Effect::EndRelay { link } => write!(f, "EndRelay({link:?})"),
            Effect::ClosePeer { link } => write!(f, "ClosePeer({link:?})"),
            Effect::ResetPeer { link } => write!(f, "ResetPeer({link:?})"),
            Effect::ScheduleTimeout { at } => write!(f, "ScheduleTimeout({at:?})"),
            Effect::Exit(exit) => write!(f, "Exit({exit:?})"),
        }
    }
}

/// What the server has told two clients about each other, as far as both know the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// Used once.
    pub id: Token,
    /// The user who has asked for the link.
    pub requester: String,
    /// The user who has agreed to it.
    pub accepter: String,
}

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Logout or end of input: 0.
    Done,
    /// Another failure: 1.
    Failed,
    /// The server was never reached, stopped, or is lost for good: 3.
    ServerLost,
    /// The other side is not a Hobnob server: 3.
    Stranger,
    /// The server does not speak this version of the protocol: 1.
    VersionRefused,
    /// The server is not the trusted one: 6.
    Distrusted,
    /// Login refused: 4.
    LoginRefused,
    /// Logged out by timeout, or no login in time: 5.
    TimedOut,
    /// With `--strict`, after a command that failed; an errand that was refused: 7.
    Refused,
    /// What has come of an errand is not known, or not what was wanted: 8.
    NotKnown,
    /// By a signal: 130, 143 or 129.
    Signalled(Signal),
}

impl Exit {
    /// The exit code of the program.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed | Exit::VersionRefused => 1,
            Exit::ServerLost | Exit::Stranger => 3,
            Exit::LoginRefused => 4,
            Exit::TimedOut => 5,
            Exit::Distrusted => 6,
            Exit::Refused => 7,
            Exit::NotKnown => 8,
            Exit::Signalled(Signal::Interrupt) => 130,
            Exit::Signalled(Signal::Terminate) => 143,
            Exit::Signalled(Signal::HangUp) => 129,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn nothing_that_is_sent_is_printed() {
        let bytes = b"login hans topsecret\n".as_slice();
        for effect in [Effect::Send { bytes }, Effect::SendPeer { link: LinkId(1), bytes }] {
            let printed = format!("{effect:?}");
            // The bytes of a word, as a list of numbers, are the word.
            assert!(!printed.contains("topsecret") && !printed.contains("116, 111, 112"), "{printed}");
        }
    }
}
