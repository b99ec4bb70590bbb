//! Lines from a client to the server, and the commands in them.

mod encoder;
mod grammar;
mod misuse;

pub use misuse::Misuse;

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::command::CommandKind;
use super::parts::{Capabilities, MessageMark, Words};
use super::relay_line::RelayLine;
use crate::words::{DeviceKey, MessageId, Secret, Text, Token};

/// One line from a client to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientLine<'a> {
    /// `hello VERSION [ack] [resume] [device] [alive] [courier] [away] [relay] [until]`: optional, first. Unknown capabilities are skipped.
    Hello {
        /// Protocol version.
        version: u32,
        /// What the client can do.
        capabilities: Capabilities,
    },
    /// `login NAME [PASSWORD]`: without a password the server asks for one. The password is the rest of the
    /// line after one space.
    Login {
        /// Any word; the server checks it.
        name: &'a str,
        /// The password, if given.
        password: Option<Secret<'a>>,
    },
    /// `register NAME PASSWORD`.
    Register {
        /// Any word; the server checks it.
        name: &'a str,
        /// The password of the new account.
        password: Secret<'a>,
    },
    /// `resume NAME TOKEN`.
    Resume {
        /// The user.
        name: &'a str,
        /// The token from `welcome`.
        token: Token,
    },
    /// `device COOKIE`: before `login`, by a client that was in before.
    Device {
        /// The cookie from `device`.
        cookie: Token,
    },
    /// `invite CODE`: before `login` or `register`, by whom an operator has invited.
    Invite {
        /// The code of the invite.
        code: Token,
    },
    /// `takeover`: after `refused already_online`, the session is to make way.
    Takeover,
    /// `alive`: the client is there.
    Alive,
    /// `ack SHOWN ANSWERED`, each `-` if there is nothing to report: everything that arrived on
    /// this link up to and including the message is shown, and all answers up to and including the number have
    /// arrived.
    Acknowledge {
        /// The last message shown.
        shown: Option<MessageId>,
        /// All commands up to this number are answered and will not be repeated.
        answered: Option<u64>,
    },
    /// `active` or `active invalid`: the user typed a line that the server need not see, but that counts as
    /// activity.
    Active {
        /// Whether it was a valid command.
        valid: bool,
    },
    /// `relay …`: about a private link that runs through the server.
    Relay(RelayLine<'a>),
    /// `[#NUMBER ]COMMAND`.
    Request {
        /// Chosen by the client, rising by one. The answer carries it; a repeat is answered again and
        /// carried out once.
        number: Option<u64>,
        /// The command.
        command: Command<'a>,
    },
    /// `#NUMBER given|random ID COMMAND`: a message of a courier that may be said again.
    Marked {
        /// Chosen by the client; the answer carries it.
        number: u64,
        /// Tells a repeat.
        mark: MessageMark,
        /// `message`, `message group` or `broadcast`.
        command: Command<'a>,
    },
}

/// A command of a logged-in user. Names are words as typed; the server checks them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// `message USER TEXT`
    Message {
        /// Recipient.
        to: &'a str,
        /// Text.
        text: Text<'a>,
    },
    /// `broadcast TEXT`
    Broadcast {
        /// Text.
        text: Text<'a>,
    },
    /// `whoelse`
    Whoelse,
    /// `whoelsesince SECONDS`; any whole non-negative number, however large, saturating.
    WhoelseSince {
        /// Length of the period, in seconds back from now.
        seconds: u64,
    },
    /// `wholasthr` (also `wholasthtr`)
    Wholasthr,
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
    /// `offline`
    Offline,
    /// `ping USER`
    Ping {
        /// The user.
        user: &'a str,
    },
    /// `seen USER`
    Seen {
        /// The user.
        user: &'a str,
    },
    /// `away TEXT`
    Away {
        /// What others are told.
        text: Text<'a>,
    },
    /// `back`
    Back,
    /// `create group NAME USER…`
    CreateGroup {
        /// Name of the group.
        group: &'a str,
        /// At least one.
        members: Words<'a>,
    },
    /// `message group NAME TEXT`
    MessageGroup {
        /// Name of the group.
        group: &'a str,
        /// Text.
        text: Text<'a>,
    },
    /// `grouplist`
    GroupList,
    /// `add group NAME USER`
    AddToGroup {
        /// Name of the group.
        group: &'a str,
        /// The user.
        user: &'a str,
    },
    /// `remove group NAME USER`
    RemoveFromGroup {
        /// Name of the group.
        group: &'a str,
        /// The user.
        user: &'a str,
    },
    /// `leave group NAME`
    LeaveGroup {
        /// Name of the group.
        group: &'a str,
    },
    /// `delete group NAME`
    DeleteGroup {
        /// Name of the group.
        group: &'a str,
    },
    /// `startprivate USER [KEY] ENDPOINT…`: requests a private link with USER.
    StartPrivate {
        /// The user.
        user: &'a str,
        /// What the other is told of this client.
        contact: Contact,
    },
    /// `accept USER [KEY] ENDPOINT…`: accepts USER's request.
    Accept {
        /// The requester.
        user: &'a str,
        /// What the other is told of this client.
        contact: Contact,
    },
    /// `decline USER`: declines USER's request.
    Decline {
        /// The requester.
        user: &'a str,
    },
    /// `op ORDER`: has the server do something, for its operators.
    Op {
        /// What, in the words of `hobnob-server ctl`.
        order: Text<'a>,
    },
    /// `help [COMMAND]`
    Help {
        /// The command to explain.
        about: Option<&'a str>,
    },
    /// `logout`
    Logout,
}

impl Command<'_> {
    /// Which command it is.
    #[must_use]
    pub const fn kind(&self) -> CommandKind {
        match self {
            Command::Message { .. } => CommandKind::Message,
            Command::Broadcast { .. } => CommandKind::Broadcast,
            Command::Whoelse => CommandKind::Whoelse,
            Command::WhoelseSince { .. } => CommandKind::WhoelseSince,
            Command::Wholasthr => CommandKind::Wholasthr,
            Command::Block { .. } => CommandKind::Block,
            Command::Unblock { .. } => CommandKind::Unblock,
            Command::Offline => CommandKind::Offline,
            Command::Ping { .. } => CommandKind::Ping,
            Command::Seen { .. } => CommandKind::Seen,
            Command::Away { .. } => CommandKind::Away,
            Command::Back => CommandKind::Back,
            Command::CreateGroup { .. } => CommandKind::CreateGroup,
            Command::MessageGroup { .. } => CommandKind::MessageGroup,
            Command::GroupList => CommandKind::GroupList,
            Command::AddToGroup { .. } => CommandKind::AddToGroup,
            Command::RemoveFromGroup { .. } => CommandKind::RemoveFromGroup,
            Command::LeaveGroup { .. } => CommandKind::LeaveGroup,
            Command::DeleteGroup { .. } => CommandKind::DeleteGroup,
            Command::StartPrivate { .. } => CommandKind::StartPrivate,
            Command::Accept { .. } => CommandKind::Accept,
            Command::Decline { .. } => CommandKind::Decline,
            Command::Op { .. } => CommandKind::Op,
            Command::Help { .. } => CommandKind::Help,
            Command::Logout => CommandKind::Logout,
        }
    }

    /// The name of its kind.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }
}

/// What a client says of itself to another, by way of the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contact {
    /// The key that it will prove to have; none of clients from before there were keys, and of people by hand.
    pub key: Option<DeviceKey>,
    /// The addresses where it listens; at most [`MAX_ENDPOINTS`].
    pub endpoints: Vec<Endpoint>,
}

/// Endpoints a client may declare in one line.
pub const MAX_ENDPOINTS: usize = 8;

/// An address where a client listens for a private link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// A port at the address from which the client has connected to the server: `5123`.
    Port(u16),
    /// A full address: `10.0.0.2:5123` or `[::1]:5123`.
    Address(SocketAddr),
}
