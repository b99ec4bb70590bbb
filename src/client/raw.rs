//! `/raw` at a terminal: the lines that are said and heard, without what proves who somebody is.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::ClientState;
use super::verb::Verb;
use super::view::{Notice, View};
use crate::wire::{ClientLine, ServerLine};
use crate::words::Token;

/// In place of a secret.
const HIDDEN: &str = "…";

impl ClientState {
    /// Begins to show lines of the protocol, or ends it.
    pub(super) fn toggle_raw(&mut self, line: u64, rest: &str) -> Option<String> {
        if !rest.trim_matches(' ').is_empty() {
            return self.misuse(line, Verb::Raw);
        }
        self.unanswered.remove(line);
        let on = self.outbox.toggle_raw();
        self.outbox.show(View::Notice(Notice::Raw { on }));
        self.note_activity(true);
        None
    }

    /// A line of the server has arrived.
    pub(super) fn show_heard(&mut self, bytes: &[u8], line: Option<&ServerLine<'_>>) {
        if self.outbox.is_raw() {
            self.outbox.show(View::Wire { sent: false, line: heard(bytes, line) });
        }
    }
}

/// A line to the server, as it may be shown.
pub(super) fn said(line: &ClientLine<'_>) -> String {
    match line {
        ClientLine::Login { name, password: Some(_) } => format!("login {name} {HIDDEN}"),
        ClientLine::Register { name, .. } => format!("register {name} {HIDDEN}"),
        ClientLine::Resume { name, .. } => format!("resume {name} {HIDDEN}"),
        ClientLine::Device { .. } => format!("device {HIDDEN}"),
        ClientLine::Invite { .. } => format!("invite {HIDDEN}"),
        ClientLine::Hello { .. }
        | ClientLine::Login { password: None, .. }
        | ClientLine::Takeover
        | ClientLine::Alive
        | ClientLine::Acknowledge { .. }
        | ClientLine::Active { .. }
        | ClientLine::Relay(_)
        | ClientLine::Request { .. }
        | ClientLine::Marked { .. } => {
            let mut bytes = Vec::new();
            line.encode(&mut bytes);
            text(&bytes)
        }
    }
}

/// A line that is encoded already, without its end.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(bytes)).into_owned()
}

/// A line of the server, as it may be shown. Of one that this client does not know nothing but the first word.
fn heard(bytes: &[u8], line: Option<&ServerLine<'_>>) -> String {
    let Some(line) = line else {
        let word = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
        return format!("{} {HIDDEN}", String::from_utf8_lossy(word));
    };
    match secret(line) {
        Some(secret) => text(bytes).replace(&secret.to_string(), HIDDEN),
        None => text(bytes),
    }
}

/// What a line holds that nobody else may see.
fn secret(line: &ServerLine<'_>) -> Option<Token> {
    match line {
        ServerLine::Welcome(admission) | ServerLine::Resumed(admission) => admission.token,
        ServerLine::Device { cookie } => Some(*cookie),
        ServerLine::Introduce { id, .. } => Some(*id),
        ServerLine::Greeting { .. }
        | ServerLine::Ask(_)
        | ServerLine::Invited { .. }
        | ServerLine::Alive
        | ServerLine::Refused(_)
        | ServerLine::Done { .. }
        | ServerLine::Failed { .. }
        | ServerLine::Message(_)
        | ServerLine::GroupMessage { .. }
        | ServerLine::Broadcast(_)
        | ServerLine::Online { .. }
        | ServerLine::Offline { .. }
        | ServerLine::Users { .. }
        | ServerLine::Away { .. }
        | ServerLine::Order { .. }
        | ServerLine::Members { .. }
        | ServerLine::Changed { .. }
        | ServerLine::Request { .. }
        | ServerLine::Withdrawn { .. }
        | ServerLine::EndPrivate { .. }
        | ServerLine::Relay(_)
        | ServerLine::Notice(_)
        | ServerLine::Help(_)
        | ServerLine::Bye(_) => None,
    }
}
