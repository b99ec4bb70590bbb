//! What the client wants done.

use core::fmt;
use core::net::SocketAddr;

use super::event::{Mark, Signal};
use super::view::View;
use crate::time::Time;
use crate::words::LinkId;

/// Something to do, in this order.
#[derive(Clone, Copy, PartialEq)]
pub enum Effect<'a> {
    /// Connect to the server; answer with `Connected` or `Disconnected`.
    Dial,
    /// Send bytes to the server.
    Send {
        /// Whole lines.
        bytes: &'a [u8],
    },
    /// Close the connection to the server once all has left. No `Disconnected` is needed.
    HangUp,
    /// Show something at once.
    Show(&'a View),
    /// Show a message whose sender hears of it: note that it is about to be shown, show it, note that it
    /// was, then answer with `Delivered`. Several in a row may share their notes and their answer.
    Deliver {
        /// Rises by one.
        sequence: u64,
        /// To note; a private text, which cannot come again on another link, has none.
        mark: Option<&'a Mark>,
        /// To show.
        view: &'a View,
    },
    /// Note that the result of a command is open. Before its bytes leave.
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
    /// Close the state folder: the session is over, all is settled.
    CloseState,
    /// Listen for private links; answer with `Listening`.
    Listen,
    /// Connect to another client; answer with `PeerOpened` or `PeerUnreached`.
    DialPeer {
        /// Where.
        address: SocketAddr,
    },
    /// Send bytes on a private link.
    SendPeer {
        /// On which.
        link: LinkId,
        /// Whole lines.
        bytes: &'a [u8],
    },
    /// Close a private link once all has left. It is gone for the core from now on.
    ClosePeer {
        /// Which.
        link: LinkId,
    },
    /// Call with `Tick` at this time. Replaces the one before; always later than now.
    ScheduleTimeout {
        /// When.
        at: Time,
    },
    /// End the program. Nothing follows.
    Exit(Exit),
}

/// Without the bytes that are sent, which may be a password.
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
            Effect::CloseState => write!(f, "CloseState"),
            Effect::Listen => write!(f, "Listen"),
            Effect::DialPeer { address } => write!(f, "DialPeer({address})"),
            Effect::SendPeer { link, bytes } => write!(f, "SendPeer({link:?}, {} bytes)", bytes.len()),
            Effect::ClosePeer { link } => write!(f, "ClosePeer({link:?})"),
            Effect::ScheduleTimeout { at } => write!(f, "ScheduleTimeout({at:?})"),
            Effect::Exit(exit) => write!(f, "Exit({exit:?})"),
        }
    }
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
    /// What was reached does not greet as a server of this protocol: 3.
    Stranger,
    /// The server does not want this version of the protocol: 1.
    VersionRefused,
    /// Login refused: 4.
    LoginRefused,
    /// Logged out by timeout, or no login in time: 5.
    TimedOut,
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
