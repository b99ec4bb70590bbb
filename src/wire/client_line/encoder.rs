//! Writes lines from a client.

use alloc::vec::Vec;

use super::{ClientLine, Command, Contact, Endpoint};
use crate::wire::emit::{Line, push_command_number};

impl ClientLine<'_> {
    /// Appends the line with its line feed.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ClientLine::Hello { version, capabilities } => {
                Line::begin(out, "hello").number(u64::from(*version)).capabilities(*capabilities).end();
            }
            ClientLine::Login { name, password: None } => Line::begin(out, "login").field(name).end(),
            ClientLine::Login { name, password: Some(password) } => {
                Line::begin(out, "login").field(name).rest(password.0).end();
            }
            ClientLine::Register { name, password } => {
                Line::begin(out, "register").field(name).rest(password.0).end();
            }
            ClientLine::Resume { name, token } => {
                Line::begin(out, "resume").field(name).shown(token).end();
            }
            ClientLine::Device { cookie } => Line::begin(out, "device").shown(cookie).end(),
            ClientLine::Invite { code } => Line::begin(out, "invite").shown(code).end(),
            ClientLine::Takeover => Line::begin(out, "takeover").end(),
            ClientLine::Alive => Line::begin(out, "alive").end(),
            ClientLine::Acknowledge { shown, answered } => {
                let line = Line::begin(out, "ack");
                let line = match shown {
                    Some(shown) => line.message_id(*shown),
                    None => line.field("-"),
                };
                match answered {
                    Some(answered) => line.number(*answered).end(),
                    None => line.field("-").end(),
                }
            }
            ClientLine::Active { valid: true } => Line::begin(out, "active").end(),
            ClientLine::Active { valid: false } => Line::begin(out, "active").field("invalid").end(),
            ClientLine::Relay(line) => line.encode(out),
            ClientLine::Request { number, command } => {
                if let Some(number) = number {
                    push_command_number(out, *number);
                }
                command.encode(out);
            }
            ClientLine::Marked { number, mark, command } => {
                push_command_number(out, *number);
                out.extend_from_slice(alloc::format!("{} {} ", mark.kind.as_str(), mark.id).as_bytes());
                command.encode(out);
            }
        }
    }
}

impl ClientLine<'_> {
    /// For a line with a password: at least the bytes that it takes.
    #[must_use]
    pub const fn with_password(&self) -> Option<usize> {
        const WORDS: usize = "register  \n".len();
        match self {
            ClientLine::Login { name, password: Some(password) }
            | ClientLine::Register { name, password } => Some(WORDS + name.len() + password.0.len()),
            ClientLine::Hello { .. }
            | ClientLine::Login { password: None, .. }
            | ClientLine::Resume { .. }
            | ClientLine::Device { .. }
            | ClientLine::Invite { .. }
            | ClientLine::Takeover
            | ClientLine::Alive
            | ClientLine::Acknowledge { .. }
            | ClientLine::Active { .. }
            | ClientLine::Relay(_)
            | ClientLine::Request { .. }
            | ClientLine::Marked { .. } => None,
        }
    }

    /// The words it begins with, after its number; errors name it so.
    #[must_use]
    pub const fn first_word(&self) -> &'static str {
        match self {
            ClientLine::Hello { .. } => "hello",
            ClientLine::Login { .. } => "login",
            ClientLine::Register { .. } => "register",
            ClientLine::Resume { .. } => "resume",
            ClientLine::Device { .. } => "device",
            ClientLine::Invite { .. } => "invite",
            ClientLine::Takeover => "takeover",
            ClientLine::Alive => "alive",
            ClientLine::Acknowledge { .. } => "ack",
            ClientLine::Active { .. } => "active",
            ClientLine::Relay(_) => "relay",
            ClientLine::Request { command, .. } => command.name(),
            ClientLine::Marked { mark, .. } => mark.kind.as_str(),
        }
    }
}

impl Command<'_> {
    /// Appends the command with a line feed and without a number. Two commands are equal if and only if
    /// their bytes are, so that a digest of these tells commands apart.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let line = Line::begin(out, self.name());
        match self {
            Command::Message { to, text } => line.field(to).rest(text.as_str()),
            Command::Broadcast { text } | Command::Away { text } | Command::Op { order: text } => {
                line.rest(text.as_str())
            }
            Command::WhoelseSince { seconds } => line.number(*seconds),
            Command::Whoelse
            | Command::Wholasthr
            | Command::Offline
            | Command::Back
            | Command::GroupList
            | Command::Logout
            | Command::Help { about: None } => line,
            Command::Block { user }
            | Command::Unblock { user }
            | Command::Ping { user }
            | Command::Seen { user }
            | Command::Decline { user } => line.field(user),
            Command::CreateGroup { group, members } => line.field(group).fields(*members),
            Command::MessageGroup { group, text } => line.field(group).rest(text.as_str()),
            Command::AddToGroup { group, user } | Command::RemoveFromGroup { group, user } => {
                line.field(group).field(user)
            }
            Command::LeaveGroup { group } | Command::DeleteGroup { group } => line.field(group),
            Command::StartPrivate { user, contact } | Command::Accept { user, contact } => {
                let Contact { key, endpoints } = contact;
                let line = line.field(user);
                let line = key.iter().fold(line, Line::shown);
                endpoints.iter().fold(line, |line, endpoint| match endpoint {
                    Endpoint::Port(port) => line.number(u64::from(*port)),
                    Endpoint::Address(address) => line.address(*address),
                })
            }
            Command::Help { about: Some(about) } => line.rest(about),
        }
        .end();
    }
}
