//! Lines from the server to a client.

mod encoder;
mod grammar;

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::code::{Code, Farewell, Freshness, PingStatus, Prompt, Refusal, Role, Status};
use super::command::CommandKind;
use super::parts::{Capabilities, Words};
use super::relay_line::Relayed;
use crate::time::Time;
use crate::words::{DeviceKey, LoginNumber, MessageId, Origin, Text, Token};

/// One line from the server to a client. `#NUMBER` is there if the command had one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerLine<'a> {
    /// `hobnob VERSION [ack] [resume] [device] [alive] [courier] [away] [relay] [until]`: the first line of all.
    Greeting {
        /// Protocol version.
        version: u32,
        /// What the server can do.
        capabilities: Capabilities,
    },
    /// `ask username|password|new_password`
    Ask(Prompt),
    /// `welcome USER unread COUNT login NUMBER [token TOKEN]`
    Welcome(Admission<'a>),
    /// `resumed USER unread COUNT login NUMBER [token TOKEN]`
    Resumed(Admission<'a>),
    /// `device COOKIE`: after `welcome`, for a client that keeps one.
    Device {
        /// Tells this device from others at its next login.
        cookie: Token,
    },
    /// `invited [NAME]`: the invite is good; only for this name, if there is one.
    Invited {
        /// The name.
        name: Option<&'a str>,
    },
    /// `alive`: the client is to say so too, if it is there.
    Alive,
    /// `refused REASON [NUMBER]`
    Refused(Refusal),
    /// `ok [#NUMBER ]COMMAND …`
    Done {
        /// The command's number.
        number: Option<u64>,
        /// The outcome.
        answer: Answer<'a>,
    },
    /// `error [#NUMBER ]CODE COMMAND`
    Failed {
        /// The command's number.
        number: Option<u64>,
        /// The reason.
        code: Code,
        /// The command's name, or the first word of what was typed (shortened).
        command: &'a str,
    },
    /// `message ID FROM SENT_AT ORIGIN live|stored TEXT`
    Message(Delivery<'a>),
    /// `group-message ID GROUP FROM SENT_AT ORIGIN live|stored TEXT`
    GroupMessage {
        /// Name of the group.
        group: &'a str,
        /// The message.
        delivery: Delivery<'a>,
    },
    /// `broadcast ID FROM SENT_AT ORIGIN live TEXT`. The id counts the server's broadcasts.
    Broadcast(Delivery<'a>),
    /// `online USER`
    Online {
        /// The user.
        user: &'a str,
    },
    /// `offline USER`
    Offline {
        /// The user.
        user: &'a str,
    },
    /// `users [#NUMBER ]NAME…`: part of a list; the `ok` it belongs to follows.
    Users {
        /// The command's number.
        number: Option<u64>,
        /// Some of the names, in order.
        users: Words<'a>,
    },
    /// `away [#NUMBER ]USER TEXT`: somebody in a list, or the recipient of a message, is away; the `ok` it belongs to
    /// follows.
    Away {
        /// The command's number.
        number: Option<u64>,
        /// The user.
        user: &'a str,
        /// What they have said.
        text: Text<'a>,
    },
    /// `order [#NUMBER ]REMARK`: a line of what an order came to, or why it was not obeyed; its `ok` or `error` follows.
    Order {
        /// The command's number.
        number: Option<u64>,
        /// The line.
        remark: Remark<'a>,
    },
    /// `members [#NUMBER ]GROUP NAME…`: some members of a group; its `ok`, or `changed`, follows.
    Members {
        /// The command's number; none before `changed`.
        number: Option<u64>,
        /// Name of the group.
        group: &'a str,
        /// Some of the members, in order.
        members: Words<'a>,
    },
    /// `changed GROUP BY`: its members are those of the `members` lines before; without such lines
    /// it has none any more.
    Changed {
        /// Name of the group.
        group: &'a str,
        /// The user who changed it.
        by: &'a str,
    },
    /// `request USER`: USER asks for a private link.
    Request {
        /// The requester.
        from: &'a str,
    },
    /// `withdrawn USER`: the request of USER is no longer open.
    Withdrawn {
        /// The requester.
        from: &'a str,
    },
    /// `endprivate USER`: the client is to close its private link with USER (`block_ends_private`).
    EndPrivate {
        /// The other user.
        user: &'a str,
    },
    /// `introduce USER requester|accepter ID [KEY] ADDRESS…`
    Introduce {
        /// The other user.
        user: &'a str,
        /// Which side the reader is.
        role: Role,
        /// Identifies the two clients to each other; used once.
        id: Token,
        /// The key that the other client will prove to have, if both have shown one.
        key: Option<DeviceKey>,
        /// Addresses at which the other client may be reached.
        addresses: Vec<SocketAddr>,
    },
    /// `relay …`: about a private link that runs through the server.
    Relay(Relayed<'a>),
    /// `help TEXT`: one line of help; `ok help` follows the last.
    Help(Text<'a>),
    /// `notice failed_logins COUNT`, `notice expired COUNT`, `notice missed COUNT`, `notice idle SECONDS` and
    /// `notice operator TEXT`; later versions may add others.
    Notice(Notice<'a>),
    /// `bye REASON`: the last line of all.
    Bye(Farewell),
}

/// A line of what came of an order (R66), borrowed: a [`Text`] that cannot be taken for a command's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remark<'a>(Text<'a>);

impl<'a> Remark<'a> {
    /// Takes a text; `None` if it begins with `#`.
    #[must_use]
    pub fn new(text: Text<'a>) -> Option<Remark<'a>> {
        (!text.as_str().starts_with('#')).then_some(Remark(text))
    }

    /// The line as a string.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0.as_str()
    }
}

/// The result of a successful login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission<'a> {
    /// The user.
    pub user: &'a str,
    /// Stored messages about to follow (`offline_delivery=manual`: waiting).
    pub unread: u64,
    /// This login's number; a resumed session keeps its own.
    pub login: LoginNumber,
    /// Resumes the session; only for a client that can.
    pub token: Option<Token>,
}

/// A message on its way to a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// Unique for the receiver.
    pub id: MessageId,
    /// Sender.
    pub from: &'a str,
    /// The time at which the server accepted it.
    pub sent_at: Time,
    /// The sender's command, `-` if it had no number.
    pub origin: Option<Origin>,
    /// Whether it waited in the mailbox.
    pub freshness: Freshness,
    /// Text.
    pub text: Text<'a>,
}

/// A message from the server to a user about their own session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice<'a> {
    /// Failed logins to this account since the last successful one.
    FailedLogins {
        /// How many.
        count: u32,
    },
    /// Stored messages that were removed because their time was over, since somebody was last told.
    Expired {
        /// How many.
        count: u32,
    },
    /// Broadcasts and notices that were dropped because this link had not taken what came before.
    Missed {
        /// How many.
        count: u32,
    },
    /// The session times out unless something is said.
    Idle {
        /// When.
        seconds: u32,
    },
    /// An operator has something to say.
    Operator {
        /// What.
        text: Text<'a>,
    },
}

/// When a user was here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// They are online.
    Now,
    /// They were, until then.
    Until(Time),
    /// They have never been.
    Never,
}

/// The outcome of a command that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// `message USER delivered|stored`
    Message {
        /// Recipient.
        to: &'a str,
        /// Whether it was shown or stored.
        status: Status,
    },
    /// `message USER stored TIME`: it is stored, and removed if it was not shown by then. Only for a client that reads
    /// this.
    StoredUntil {
        /// Recipient.
        to: &'a str,
        /// The end of its time.
        until: Time,
    },
    /// `broadcast RECIPIENTS complete|withheld`; `users` lines before it may name those it was withheld
    /// from.
    Broadcast {
        /// How many it was sent to.
        recipients: u64,
        /// Whether an online user did not get it because they have blocked the sender.
        withheld: bool,
    },
    /// `whoelse COUNT`, after that many names in `users` lines.
    Whoelse {
        /// How many.
        count: u64,
    },
    /// `whoelsesince COUNT`, after that many names in `users` lines.
    WhoelseSince {
        /// How many.
        count: u64,
    },
    /// `wholasthr COUNT`, after that many names in `users` lines.
    Wholasthr {
        /// How many.
        count: u64,
    },
    /// `block USER`
    Block {
        /// The user.
        user: &'a str,
    },
    /// `unblock USER`
    Unblock {
        /// The user.
        user: &'a str,
    },
    /// `offline COUNT`, after that many stored messages.
    Offline {
        /// How many.
        messages: u64,
    },
    /// `ping USER online|offline|blocked`
    Ping {
        /// The user.
        user: &'a str,
        /// Their status, as far as the asker may know it.
        status: PingStatus,
    },
    /// `seen USER online -`, `seen USER offline TIME` or `seen USER offline -`
    Seen {
        /// The user.
        user: &'a str,
        /// When they were here, as far as the asker may know it.
        presence: Presence,
    },
    /// `away`
    Away,
    /// `back`
    Back,
    /// `create group NAME`, after its `members` lines.
    CreateGroup {
        /// Name of the group.
        group: &'a str,
    },
    /// `message group NAME DELIVERED STORED REFUSED complete|withheld`
    MessageGroup {
        /// Name of the group.
        group: &'a str,
        /// Members whose client has shown it.
        delivered: u64,
        /// Members for whom it is stored.
        stored: u64,
        /// Members whose mailbox is full.
        refused: u64,
        /// Whether a member did not get it because they have blocked the sender.
        withheld: bool,
    },
    /// `grouplist COUNT`, after `members` lines for that many groups.
    GroupList {
        /// How many groups.
        count: u64,
    },
    /// `add group NAME`, after its `members` lines.
    AddToGroup {
        /// Name of the group.
        group: &'a str,
    },
    /// `remove group NAME`, after its `members` lines.
    RemoveFromGroup {
        /// Name of the group.
        group: &'a str,
    },
    /// `leave group NAME`, after its `members` lines.
    LeaveGroup {
        /// Name of the group.
        group: &'a str,
    },
    /// `delete group NAME`
    DeleteGroup {
        /// Name of the group.
        group: &'a str,
    },
    /// `startprivate USER`, after `introduce`.
    StartPrivate {
        /// The other user.
        user: &'a str,
    },
    /// `accept USER`, after `introduce`.
    Accept {
        /// The other user.
        user: &'a str,
    },
    /// `decline USER`
    Decline {
        /// The other user.
        user: &'a str,
    },
    /// `op`, after its `order` lines.
    Op,
    /// `help`, after its lines.
    Help,
    /// `logout`; `bye` follows.
    Logout,
}

impl Answer<'_> {
    /// Which command is answered.
    #[must_use]
    pub const fn kind(&self) -> CommandKind {
        match self {
            Answer::Message { .. } | Answer::StoredUntil { .. } => CommandKind::Message,
            Answer::Broadcast { .. } => CommandKind::Broadcast,
            Answer::Whoelse { .. } => CommandKind::Whoelse,
            Answer::WhoelseSince { .. } => CommandKind::WhoelseSince,
            Answer::Wholasthr { .. } => CommandKind::Wholasthr,
            Answer::Block { .. } => CommandKind::Block,
            Answer::Unblock { .. } => CommandKind::Unblock,
            Answer::Offline { .. } => CommandKind::Offline,
            Answer::Ping { .. } => CommandKind::Ping,
            Answer::Seen { .. } => CommandKind::Seen,
            Answer::Away => CommandKind::Away,
            Answer::Back => CommandKind::Back,
            Answer::CreateGroup { .. } => CommandKind::CreateGroup,
            Answer::MessageGroup { .. } => CommandKind::MessageGroup,
            Answer::GroupList { .. } => CommandKind::GroupList,
            Answer::AddToGroup { .. } => CommandKind::AddToGroup,
            Answer::RemoveFromGroup { .. } => CommandKind::RemoveFromGroup,
            Answer::LeaveGroup { .. } => CommandKind::LeaveGroup,
            Answer::DeleteGroup { .. } => CommandKind::DeleteGroup,
            Answer::StartPrivate { .. } => CommandKind::StartPrivate,
            Answer::Accept { .. } => CommandKind::Accept,
            Answer::Decline { .. } => CommandKind::Decline,
            Answer::Op => CommandKind::Op,
            Answer::Help => CommandKind::Help,
            Answer::Logout => CommandKind::Logout,
        }
    }
}
