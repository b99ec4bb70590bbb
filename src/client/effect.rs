//! What the client wants done.

use core::net::SocketAddr;

use super::event::{Mark, Signal};
use super::view::View;
use crate::time::Time;
use crate::words::LinkId;

/// Something to do, in this order.
#[derive(Debug, Clone, Copy, PartialEq)]
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

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Logout or end of input: 0.
    Done,
    /// Another failure: 1.
    Failed,
    /// The server was never reached, stopped, or is lost for good: 3.
    ServerLost,
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
            Exit::Failed => 1,
            Exit::ServerLost => 3,
            Exit::LoginRefused => 4,
            Exit::TimedOut => 5,
            Exit::Signalled(Signal::Interrupt) => 130,
            Exit::Signalled(Signal::Terminate) => 143,
            Exit::Signalled(Signal::HangUp) => 129,
        }
    }
}
