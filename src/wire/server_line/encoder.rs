//! Writes lines from the server.

use alloc::vec::Vec;

use super::{Admission, Answer, Delivery, Notice, Presence, ServerLine};
use crate::wire::code::{Freshness, Refusal, Status};
use crate::wire::emit::Line;

impl ServerLine<'_> {
    /// Appends the line with its line feed.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ServerLine::Message(delivery) => {
                Line::begin(out, "message")
                    .message_id(delivery.id)
                    .delivery(delivery, delivery.freshness)
                    .end();
            }
            ServerLine::Done { number, answer } => {
                Line::begin(out, "ok").answering(*number).answer(answer).end();
            }
            ServerLine::GroupMessage { group, delivery } => {
                let line = Line::begin(out, "group-message").message_id(delivery.id).field(group);
                line.delivery(delivery, delivery.freshness).end();
            }
            // Broadcasts are never stored.
            ServerLine::Broadcast(delivery) => {
                Line::begin(out, "broadcast")
                    .message_id(delivery.id)
                    .delivery(delivery, Freshness::Live)
                    .end();
            }
            ServerLine::Failed { number, code, command: "" } => {
                Line::begin(out, "error").answering(*number).field(code.as_str()).end();
            }
            ServerLine::Failed { number, code, command } => {
                Line::begin(out, "error").answering(*number).field(code.as_str()).rest(command).end();
            }
            ServerLine::Online { user } => Line::begin(out, "online").field(user).end(),
            ServerLine::Offline { user } => Line::begin(out, "offline").field(user).end(),
            ServerLine::Users { number, users } => {
                Line::begin(out, "users").answering(*number).fields(*users).end();
            }
            ServerLine::Away { number, user, text } => {
                Line::begin(out, "away").answering(*number).field(user).rest(text.as_str()).end();
            }
            ServerLine::Members { number, group, members } => {
                Line::begin(out, "members").answering(*number).field(group).fields(*members).end();
            }
            ServerLine::Changed { group, by } => Line::begin(out, "changed").field(group).field(by).end(),
            ServerLine::Request { from } => Line::begin(out, "request").field(from).end(),
            ServerLine::Withdrawn { from } => Line::begin(out, "withdrawn").field(from).end(),
            ServerLine::EndPrivate { user } => Line::begin(out, "endprivate").field(user).end(),
            ServerLine::Introduce { user, role, id, key, addresses } => {
                let line = Line::begin(out, "introduce").field(user).field(role.as_str()).shown(id);
                let line = key.iter().fold(line, Line::shown);
                addresses.iter().fold(line, |line, address| line.address(*address)).end();
            }
            ServerLine::Relay(line) => line.encode(out),
            ServerLine::Order { number, remark } => {
                Line::begin(out, "order").answering(*number).rest(remark.as_str()).end();
            }
            ServerLine::Help(text) => Line::begin(out, "help").rest(text.as_str()).end(),
            ServerLine::Greeting { version, capabilities } => {
                Line::begin(out, "hobnob").number(u64::from(*version)).capabilities(*capabilities).end();
            }
            ServerLine::Ask(prompt) => Line::begin(out, "ask").field(prompt.as_str()).end(),
            ServerLine::Welcome(admission) => Line::begin(out, "welcome").admission(admission).end(),
            ServerLine::Resumed(admission) => Line::begin(out, "resumed").admission(admission).end(),
            ServerLine::Device { cookie } => Line::begin(out, "device").shown(cookie).end(),
            ServerLine::Invited { name } => {
                name.iter().fold(Line::begin(out, "invited"), |line, name| line.field(name)).end();
            }
            ServerLine::Alive => Line::begin(out, "alive").end(),
            ServerLine::Refused(refusal) => Line::begin(out, "refused").refusal(*refusal).end(),
            ServerLine::Notice(notice) => Line::begin(out, "notice").notice(notice).end(),
            ServerLine::Bye(farewell) => Line::begin(out, "bye").field(farewell.as_str()).end(),
        }
    }
}

impl Line<'_> {
    /// What follows the id of a delivery.
    fn delivery(self, delivery: &Delivery<'_>, freshness: Freshness) -> Self {
        self.field(delivery.from)
            .number(delivery.sent_at.0)
            .origin(delivery.origin)
            .field(freshness.as_str())
            .rest(delivery.text.as_str())
    }

    fn notice(self, notice: &Notice<'_>) -> Self {
        match notice {
            Notice::FailedLogins { count } => self.field("failed_logins").number(u64::from(*count)),
            Notice::Expired { count } => self.field("expired").number(u64::from(*count)),
            Notice::Missed { count } => self.field("missed").number(u64::from(*count)),
            Notice::Idle { seconds } => self.field("idle").number(u64::from(*seconds)),
            Notice::Operator { text } => self.field("operator").rest(text.as_str()),
        }
    }

    fn admission(self, admission: &Admission<'_>) -> Self {
        let line = self
            .field(admission.user)
            .field("unread")
            .number(admission.unread)
            .field("login")
            .number(admission.login.0);
        match admission.token {
            Some(token) => line.field("token").shown(token),
            None => line,
        }
    }

    fn refusal(self, refusal: Refusal) -> Self {
        match refusal {
            Refusal::InvalidCredentials { attempts_left } => {
                self.field("invalid_credentials").number(u64::from(attempts_left))
            }
            Refusal::LockedOut { retry_after_secs } => self.field("locked_out").number(retry_after_secs),
            Refusal::AlreadyOnline => self.field("already_online"),
            Refusal::BadName => self.field("bad_name"),
            Refusal::Busy => self.field("busy"),
            Refusal::NameTaken => self.field("name_taken"),
            Refusal::Stale => self.field("stale"),
            Refusal::InvalidInvite => self.field("invalid_invite"),
        }
    }

    fn answer(self, answer: &Answer<'_>) -> Self {
        let line = self.rest(answer.kind().name());
        match *answer {
            Answer::Message { to, status } => line.field(to).field(status.as_str()),
            Answer::StoredUntil { to, until } => {
                line.field(to).field(Status::Stored.as_str()).number(until.0)
            }
            Answer::Broadcast { recipients, withheld } => line.number(recipients).withheld(withheld),
            Answer::Whoelse { count }
            | Answer::WhoelseSince { count }
            | Answer::Wholasthr { count }
            | Answer::GroupList { count }
            | Answer::Offline { messages: count } => line.number(count),
            Answer::Block { user }
            | Answer::Unblock { user }
            | Answer::StartPrivate { user }
            | Answer::Accept { user }
            | Answer::Decline { user } => line.field(user),
            Answer::Ping { user, status } => line.field(user).field(status.as_str()),
            Answer::Seen { user, presence } => match presence {
                Presence::Now => line.field(user).field("online").field("-"),
                Presence::Until(at) => line.field(user).field("offline").number(at.0),
                Presence::Never => line.field(user).field("offline").field("-"),
            },
            Answer::CreateGroup { group }
            | Answer::AddToGroup { group }
            | Answer::RemoveFromGroup { group }
            | Answer::LeaveGroup { group }
            | Answer::DeleteGroup { group } => line.field(group),
            Answer::MessageGroup { group, delivered, stored, refused, withheld } => {
                line.field(group).number(delivered).number(stored).number(refused).withheld(withheld)
            }
            Answer::Away | Answer::Back | Answer::Op | Answer::Help | Answer::Logout => line,
        }
    }

    fn withheld(self, withheld: bool) -> Self {
        self.field(if withheld { "withheld" } else { "complete" })
    }
}
