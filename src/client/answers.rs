//! Turns the server's answers into results.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::outstanding::Parts;
use super::view::Success;
use crate::wire::{Answer, Status};

/// The result of a successful command: its answer and the lists that came before it.
pub(super) fn success(answer: Answer<'_>, mut parts: Parts) -> Success {
    match answer {
        Answer::Message { to, status } => {
            let away = away_of(&parts, to);
            Success::Message { to: to.to_owned(), status, until: None, away, words: None }
        }
        Answer::StoredUntil { to, until } => {
            let away = away_of(&parts, to);
            Success::Message {
                to: to.to_owned(),
                status: Status::Stored,
                until: Some(until),
                away,
                words: None,
            }
        }
        Answer::Broadcast { recipients, withheld } => {
            parts.users.sort_unstable();
            Success::Broadcast { recipients, withheld, withheld_users: parts.users }
        }
        Answer::Whoelse { .. } => {
            parts.users.sort_unstable();
            parts.away.sort_unstable();
            Success::Whoelse { users: parts.users, away: parts.away }
        }
        Answer::WhoelseSince { .. } | Answer::Wholasthr { .. } => {
            parts.users.sort_unstable();
            Success::Users { users: parts.users }
        }
        Answer::Block { user }
        | Answer::Unblock { user }
        | Answer::StartPrivate { user }
        | Answer::Accept { user }
        | Answer::Decline { user } => Success::User { user: user.to_owned() },
        Answer::Offline { messages } => Success::Offline { messages },
        Answer::Ping { user, status } => Success::Ping { user: user.to_owned(), status },
        Answer::Seen { user, presence } => Success::Seen { user: user.to_owned(), presence },
        Answer::CreateGroup { group }
        | Answer::AddToGroup { group }
        | Answer::RemoveFromGroup { group }
        | Answer::LeaveGroup { group } => {
            Success::Group { group: group.to_owned(), members: parts.members_of(group) }
        }
        Answer::DeleteGroup { group } => Success::Group { group: group.to_owned(), members: Vec::new() },
        Answer::MessageGroup { group, delivered, stored, refused, withheld } => Success::GroupMessage {
            group: group.to_owned(),
            delivered,
            stored,
            refused,
            withheld,
            words: None,
        },
        Answer::GroupList { .. } => {
            parts.groups.iter_mut().for_each(|(_, members)| members.sort_unstable());
            parts.groups.sort_unstable();
            Success::Groups { groups: parts.groups }
        }
        // The client explains its commands itself.
        Answer::Help => Success::Help { text: Default::default() },
        Answer::Away | Answer::Back => Success::Done,
        Answer::Op => Success::Ordered { lines: parts.lines },
        Answer::Logout => Success::Logout,
    }
}

/// What a user is away for, if they are.
fn away_of(parts: &Parts, user: &str) -> Option<String> {
    parts.away.iter().find(|(away, _)| away == user).map(|(_, text)| text.clone())
}
