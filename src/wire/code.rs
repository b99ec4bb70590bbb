//! Words with one meaning on the wire and in JSON: error codes, refusals, reasons.

/// Declares an enum whose variants have one spelling each, with both directions from one table.
macro_rules! spelled {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// Its spelling.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }

            /// The variant with this spelling.
            #[must_use]
            pub fn from_word(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$variant),)+ _ => None }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use spelled;

spelled! {
    /// The reason why a command failed.
    Code {
        /// No such command.
        UnknownCommand = "unknown_command",
        /// The command is known, its arguments are not of its form, or the line is not UTF-8.
        Usage = "usage",
        /// The line is longer than the limit.
        TooLong = "too_long",
        /// No account of that name.
        UnknownUser = "unknown_user",
        /// The command makes no sense with oneself.
        Oneself = "self",
        /// The recipient has blocked the sender.
        Blocked = "blocked",
        /// The user is blocked already.
        AlreadyBlocked = "already_blocked",
        /// The user is not blocked.
        NotBlocked = "not_blocked",
        /// The user is not online.
        Offline = "offline",
        /// The user does not want a private link.
        Declined = "declined",
        /// The user did not answer in time.
        NoAnswer = "no_answer",
        /// A private link with the user exists, or is being requested.
        AlreadyPrivate = "already_private",
        /// No private link with the user.
        NotPrivate = "not_private",
        /// The other client could not be reached.
        Unreachable = "unreachable",
        /// No such group, or none the asker is in.
        UnknownGroup = "unknown_group",
        /// A group of that name exists.
        GroupExists = "group_exists",
        /// It is not a valid name.
        BadName = "bad_name",
        /// The user is not in the group.
        NotMember = "not_member",
        /// Only the owner may do this.
        NotOwner = "not_owner",
        /// The recipient's mailbox is full.
        MailboxFull = "mailbox_full",
        /// Too many introductions.
        RateLimited = "rate_limited",
        /// The server cannot store anything at the moment.
        StorageUnavailable = "storage_unavailable",
        /// No connection to the server.
        NotConnected = "not_connected",
        /// Whether it happened cannot be known.
        OutcomeUnknown = "outcome_unknown",
        /// The other client's key is not the one remembered.
        KeyChanged = "key_changed",
        /// An operator keeps the user from saying anything to others.
        Muted = "muted",
        /// The user is no operator of the server.
        NotOperator = "not_operator",
        /// The server has not done what an operator wanted; it has said why.
        NotDone = "not_done",
        /// Nothing to accept or decline.
        NoRequest = "no_request",
        /// No log of what was said is kept on this machine (said by the client).
        NoLog = "no_log",
        /// The user is in the group already.
        AlreadyMember = "already_member",
        /// A limit of groups or members is reached.
        Limit = "limit",
    }
}

spelled! {
    /// The answer that the server needs next.
    Prompt {
        /// A name.
        Username = "username",
        /// The password of a known name.
        Password = "password",
        /// A password for a name that is new.
        NewPassword = "new_password",
    }
}

spelled! {
    /// How a message ended, for its sender.
    Status {
        /// The recipient's client has shown it.
        Delivered = "delivered",
        /// It is kept for the recipient's next login.
        Stored = "stored",
    }
}

spelled! {
    /// The answer to `ping`.
    PingStatus {
        /// They have a session.
        Online = "online",
        /// They have no session.
        Offline = "offline",
        /// The user has blocked the asker.
        Blocked = "blocked",
    }
}

spelled! {
    /// Whether a message is passed on as it was sent or had waited in the mailbox.
    Freshness {
        /// Passed on immediately.
        Live = "live",
        /// It waited in the mailbox.
        Stored = "stored",
    }
}

spelled! {
    /// The reason why the server ends a session.
    Farewell {
        /// The user asked.
        Logout = "logout",
        /// The user was inactive for too long.
        Timeout = "timeout",
        /// The server is stopping.
        ServerShutdown = "server_shutdown",
        /// The user logged in elsewhere (`duplicate_login=replace`).
        Replaced = "replaced",
        /// An operator has ended the session.
        Kicked = "kicked",
        /// The client speaks a version the server does not.
        Version = "version",
    }
}

spelled! {
    /// Which side of an introduction this client is. The requester chooses the link to use.
    Role {
        /// It requested the link.
        Requester = "requester",
        /// It accepted the request.
        Accepter = "accepter",
    }
}

impl Role {
    /// That of the other side.
    #[must_use]
    pub const fn other(self) -> Role {
        match self {
            Role::Requester => Role::Accepter,
            Role::Accepter => Role::Requester,
        }
    }
}

spelled! {
    /// The reason why the other side closes a private link.
    PeerFarewell {
        /// By `stopprivate`.
        Stopped = "stopped",
        /// The other's session ended by logout.
        LoggedOut = "logged_out",
        /// The other's session ended by timeout.
        TimedOut = "timed_out",
    }
}

/// The reason why a login was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Wrong password, or no such account: `invalid_credentials LEFT`.
    InvalidCredentials {
        /// Attempts left before the name is locked.
        attempts_left: u32,
    },
    /// The name is locked: `locked_out SECONDS`.
    LockedOut {
        /// Seconds until it is not, rounded up.
        retry_after_secs: u64,
    },
    /// The account has a session: `already_online`.
    AlreadyOnline,
    /// It is not a valid name: `bad_name`.
    BadName,
    /// Too many logins at the moment: `busy`. It does not count as a failure.
    Busy,
    /// Somebody else has just registered the name: `name_taken`. It does not count as a failure.
    NameTaken,
    /// The token no longer resumes a session: `stale`.
    Stale,
    /// The invite is not good, or not for this name: `invalid_invite`. The connection is closed.
    InvalidInvite,
}
