//! What the client shows, as data. The shell turns it into JSON Lines or into text for people.

mod notice;

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::log::Logged;
use super::settings::Way;
use super::verb::Named;
use crate::time::Time;
use crate::wire::code::spelled;
use crate::wire::{Code, PingStatus, Presence, Status};
use crate::words::Fingerprint;

pub use self::notice::Notice;

/// One thing to show. `line` is the number of the input line that is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// The connection to the server changed.
    Connection(Contact),
    /// The next line typed is the answer to this.
    Prompt {
        /// What is asked for.
        ask: Question,
        /// Whether it is to be typed a second time (a new password at a terminal).
        again: bool,
    },
    /// At a terminal without its server: so many typed lines wait for it.
    Offline {
        /// The number.
        queued: usize,
    },
    /// At a terminal: what is typed is for these from now on.
    Addressee {
        /// As the prompt shows them; `None`: lines are commands.
        to: Option<String>,
    },
    /// At a terminal, after `/raw`: a line of the protocol.
    Wire {
        /// To the server, or from it.
        sent: bool,
        /// Without what proves who somebody is; anything else may be in it.
        line: String,
    },
    /// Logged in.
    LoggedIn {
        /// The user.
        user: String,
        /// Stored messages about to follow.
        unread: u64,
    },
    /// A login was refused.
    LoginRefused(LoginRefused),
    /// The one result of a command line.
    Result {
        /// The number of the line.
        line: u64,
        /// The command, or the first word typed.
        command: Named,
        /// Its outcome.
        outcome: Result<Success, Failure>,
    },
    /// At a terminal, at the start of a session: what was said before.
    Before {
        /// The newest last.
        messages: Vec<Logged>,
    },
    /// A message.
    Message(Message),
    /// A user came online or went offline.
    Presence {
        /// The user.
        user: String,
        /// Whether they came online.
        online: bool,
    },
    /// A user requests a private link.
    PrivateRequest {
        /// The user.
        from: String,
    },
    /// At a terminal: a request that the person was asked about is open no more.
    RequestOver {
        /// The user.
        from: String,
    },
    /// A private link is open.
    PrivateOpened {
        /// The other user.
        user: String,
        /// The way it takes.
        path: Path,
    },
    /// A private link is closed.
    PrivateClosed {
        /// The other user.
        user: String,
        /// The reason.
        reason: PrivateEnd,
    },
    /// A group changed: you were added to or removed from it, or others were.
    Group {
        /// Name of the group.
        group: String,
        /// The user who changed it.
        by: String,
        /// Members now, sorted.
        members: Vec<String>,
        /// What was done, as far as this client can tell.
        change: GroupChange,
    },
    /// An operator says something to all, or to this user.
    Announcement {
        /// What.
        text: String,
    },
    /// Something about the user's own session.
    Notice(Notice),
    /// The session is over; nothing of it follows.
    Bye(Bye),
}

spelled! {
    /// What a person is asked before a session.
    Question {
        /// A name.
        Username = "username",
        /// The password of a known name.
        Password = "password",
        /// A password for a name that is new.
        NewPassword = "new_password",
        /// Whether the session that stands in the way is to end; at a terminal only.
        Takeover = "takeover",
    }
}

spelled! {
    /// States of the connection.
    Connection {
        /// It is open.
        Connected = "connected",
        /// It is lost and being made again.
        Reconnecting = "reconnecting",
        /// It is back, and the session continues.
        Resumed = "resumed",
    }
}

/// The connection to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// How it is.
    pub state: Connection,
    /// What the server is known by; with TLS, while there is a connection.
    pub key: Option<ServerKey>,
}

/// The key of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerKey {
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// It was pinned just now.
    pub first_use: bool,
}

/// The reason why a login was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginRefused {
    /// Wrong password, or no such account.
    InvalidCredentials {
        /// Tries left before the name is locked.
        attempts_left: u32,
    },
    /// The password is too long or not UTF-8, so it was not tried.
    UnusablePassword {
        /// Tries left before the name is locked, as far as this client knows.
        attempts_left: u32,
    },
    /// Too many accounts were made from this address.
    TooManyAccounts {
        /// Seconds until one more may be made.
        retry_after_secs: u64,
    },
    /// The name is locked.
    LockedOut {
        /// Seconds until it is not.
        retry_after_secs: u64,
        /// Whether this attempt has locked it.
        just_now: bool,
    },
    /// The account has a session.
    AlreadyOnline,
    /// It is not a valid name.
    BadName,
    /// Too many logins for too long.
    Busy,
    /// There is an account of this name already.
    NameTaken,
    /// The invite is not good any more, or never was.
    InvalidInvite,
    /// The server is of a version that knows no invites.
    NoInvites,
}

/// The outcome of a command that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Success {
    /// `message`, `private`
    Message {
        /// Recipient.
        to: String,
        /// Whether it was shown or stored.
        status: Status,
        /// When it is removed if it was not shown, where it was stored for so long.
        until: Option<Time>,
        /// What the recipient is away for, if they are.
        away: Option<String>,
        /// At a terminal, if it was stored or took longer than a second: its first words.
        words: Option<String>,
    },
    /// `broadcast`
    Broadcast {
        /// How many it was sent to.
        recipients: u64,
        /// Whether an online user did not get it.
        withheld: bool,
        /// Who did not (only with `broadcast_report=names`, otherwise empty).
        withheld_users: Vec<String>,
    },
    /// `whoelse`
    Whoelse {
        /// Sorted.
        users: Vec<String>,
        /// Those of them who are away, and what for; sorted.
        away: Vec<(String, String)>,
    },
    /// `whoelsesince`, `wholasthr`
    Users {
        /// Sorted.
        users: Vec<String>,
    },
    /// `block`, `unblock`, `startprivate` (see there), `accept`, `decline`, `stopprivate`, `trust`
    User {
        /// The user.
        user: String,
    },
    /// `verify`
    Verification {
        /// The other user.
        user: String,
        /// Groups of digits that are the same at the other end, unless somebody is between.
        code: String,
        /// Whether the person has said that they are.
        is_verified: bool,
    },
    /// `offline`
    Offline {
        /// Messages shown before.
        messages: u64,
    },
    /// `ping`
    Ping {
        /// The user.
        user: String,
        /// Their status.
        status: PingStatus,
    },
    /// `seen`
    Seen {
        /// The user.
        user: String,
        /// When they were here.
        presence: Presence,
    },
    /// `create group`, `add group`, `remove group`, `leave group`, `delete group`
    Group {
        /// Name of the group.
        group: String,
        /// Members now, sorted.
        members: Vec<String>,
    },
    /// `message group`
    GroupMessage {
        /// Name of the group.
        group: String,
        /// Shown by so many members.
        delivered: u64,
        /// Stored for so many.
        stored: u64,
        /// Refused by so many full mailboxes.
        refused: u64,
        /// Whether a member has blocked you.
        withheld: bool,
        /// As for `message`.
        words: Option<String>,
    },
    /// `grouplist`
    Groups {
        /// Groups with their members, both sorted.
        groups: Vec<(String, Vec<String>)>,
    },
    /// `startprivate`
    Private {
        /// The other user.
        user: String,
        /// The way it takes.
        path: Path,
    },
    /// `path`
    Path {
        /// The other user.
        user: String,
        /// How links with them are to run.
        way: Way,
        /// How the link with them runs, if there is one.
        path: Option<Path>,
    },
    /// `help`
    Help {
        /// For people; lines separated by line feeds.
        text: String,
    },
    /// `op`
    Ordered {
        /// What it came to, for people.
        lines: Vec<String>,
    },
    /// `history`, `search`
    History {
        /// The newest last.
        messages: Vec<Logged>,
    },
    /// `away`, `back`
    Done,
    /// `logout`
    Logout,
}

/// The outcome of a command that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The reason.
    pub code: Code,
    /// The user or group that the error is about, for the text that people read; of `not_done` what the server has said.
    pub subject: Option<String>,
    /// The line as it was typed, at a terminal, where the error alone does not tell which one it is about.
    pub typed: Option<String>,
}

/// A message to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The kind.
    pub kind: MessageKind,
    /// The group, for group messages.
    pub group: Option<String>,
    /// Sender.
    pub from: String,
    /// Text, byte for byte.
    pub text: String,
    /// When it was sent.
    pub sent_at: Time,
    /// It waited in the mailbox.
    pub stored: bool,
    /// It may have been shown before, by a client that died.
    pub again: bool,
    /// At a terminal: where the user's own name or a chosen word stands in the text.
    pub mentions: Vec<Range<usize>>,
    /// At a terminal: it rings the bell.
    pub rings: bool,
    /// Unique for the receiver.
    pub id: String,
}

spelled! {
    /// Kinds of messages.
    MessageKind {
        /// To this user.
        Direct = "direct",
        /// To all.
        Broadcast = "broadcast",
        /// To a group.
        Group = "group",
        /// From client to client.
        Private = "private",
    }
}

spelled! {
    /// The way that a private link takes.
    Path {
        /// From client to client.
        Direct = "direct",
        /// Through the server, encrypted from client to client.
        Relayed = "relayed",
    }
}

spelled! {
    /// The reason why a private link ended.
    PrivateEnd {
        /// By `stopprivate` of either side.
        Stopped = "stopped",
        /// One side logged out.
        LoggedOut = "logged_out",
        /// One side's session timed out.
        TimedOut = "timed_out",
        /// It broke.
        Lost = "lost",
    }
}

/// What was done to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupChange {
    /// Not known: this client has not seen the group before.
    Some,
    /// It was deleted.
    Deleted,
    /// The one who changed it has left it.
    Left,
    /// These were added; or nobody, and it has another owner.
    Added(Vec<String>),
    /// These were removed.
    Removed(Vec<String>),
    /// This user was removed.
    RemovedYou,
}

/// The reason why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bye {
    /// The user asked.
    Logout,
    /// The user was inactive for too long.
    Timeout,
    /// There was no login in time, so no session.
    LoginTimeout,
    /// The server stopped.
    ServerShutdown,
    /// The connection is lost for good.
    ConnectionLost,
    /// The user logged in elsewhere.
    Replaced,
    /// An operator has ended the session.
    Kicked,
}

impl Bye {
    /// Its spelling; a timeout is one, before a login or after.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Bye::Logout => "logout",
            Bye::Timeout | Bye::LoginTimeout => "timeout",
            Bye::ServerShutdown => "server_shutdown",
            Bye::ConnectionLost => "connection_lost",
            Bye::Replaced => "replaced",
            Bye::Kicked => "kicked",
        }
    }
}

impl core::fmt::Display for Bye {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}
