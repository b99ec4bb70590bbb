//! What a client says about its own user's session.

use alloc::string::String;

/// Something about the user's own session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Failed logins to this account since the last successful one.
    FailedLogins {
        /// The number.
        count: u32,
    },
    /// Stored messages that the server removed because their time was over.
    Expired {
        /// The number.
        count: u32,
    },
    /// Broadcasts and notices that the server dropped because this client had not read what came before.
    Missed {
        /// The number.
        count: u32,
    },
    /// The session times out unless a command is typed.
    Idle {
        /// When.
        seconds: u32,
    },
    /// Commands of an earlier run that never got their result; they are not repeated.
    Unsettled {
        /// The number.
        count: u32,
    },
    /// The server has said more than this client keeps; the connection was closed.
    Excess,
    /// The server has ended the session; what was typed is kept until the next login.
    LogInAgain,
    /// At a terminal: lines of the protocol are shown from here on, or no longer.
    Raw {
        /// Whether they are.
        on: bool,
    },
    /// At a terminal: what follows came while nobody was there.
    New,
    /// At a terminal: somebody is there again.
    Unseen {
        /// Messages that came meanwhile.
        count: u64,
    },
    /// The two passwords typed for the new account differ.
    PasswordsDiffer,
    /// The invite is for one name only, which is the user's.
    InvitedAs {
        /// The name.
        user: String,
    },
}
