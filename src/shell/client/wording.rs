//! Sentences for people: one for each error and notice, in plain mode as in the `text` of JSON.

use crate::client::view::{Bye, Failure, LoginRefused, Notice};
use crate::client::{Named, Verb};
use crate::wire::{Code, CommandKind};

/// The sentence for a failed command. Names in it are not escaped.
pub(super) fn failure(command: &Named, failure: &Failure) -> String {
    let subject = failure.subject.as_deref();
    let user = subject.unwrap_or("the user");
    let group = subject.unwrap_or("of that name");
    match failure.code {
        Code::UnknownCommand => "Error. Invalid command".into(),
        Code::Usage => wrong_usage(command),
        Code::TooLong => "Error. The line is too long".into(),
        Code::UnknownUser => "Error. Invalid user".into(),
        Code::Oneself => format!("Error. Cannot {} self", action(command)),
        Code::Blocked => blocked(command, user),
        // A group message fails only if nobody gets it.
        Code::Offline if *command == Named::Command(MESSAGE_GROUP) => {
            format!("Error. Nobody in group {group} is online")
        }
        Code::MailboxFull if *command == Named::Command(MESSAGE_GROUP) => {
            format!("Error. The mailboxes of group {group} are full")
        }
        Code::AlreadyBlocked => format!("Error. {user} is already blocked"),
        Code::NotBlocked => format!("Error. {user} was not blocked"),
        Code::Offline if *command == Named::Command(Verb::Private) => {
            format!("Error. {user} is no longer online")
        }
        Code::Offline => format!("Error. {user} is not online"),
        Code::Declined => format!("{user} does not want to private message"),
        Code::NoAnswer => format!("{user} did not answer the request to private message"),
        Code::AlreadyPrivate => format!("Error. Private messaging to {user} is enabled or asked for already"),
        Code::NotPrivate => format!("Error. Private messaging to {user} not enabled"),
        Code::Unreachable => format!("Error. {user} could not be reached for private messaging"),
        Code::UnknownGroup => "Error. Invalid group".into(),
        Code::GroupExists => format!("Error. Group {group} already exists"),
        Code::BadName => "Error. Invalid name".into(),
        Code::NotMember => format!("Error. {user} is not in the group"),
        Code::NotOwner => "Error. Only the owner of the group may do this".into(),
        Code::MailboxFull => format!("Error. The mailbox of {user} is full"),
        Code::RateLimited => "Error. Too many requests. Please try again later".into(),
        Code::StorageUnavailable => "Error. The server cannot store this now. Please try again later".into(),
        Code::NotConnected => "Error. Not connected to the server".into(),
        Code::OutcomeUnknown => {
            let about = subject.map_or_else(String::new, |subject| format!(" {subject}"));
            format!("Error. Whether this was done is not known: {command}{about}")
        }
        Code::KeyChanged => format!("Error. The key of {user} has changed"),
        Code::Muted => "Error. The operator does not let you say anything to others".into(),
        Code::NotOperator => "Error. You are no operator of this server".into(),
        Code::NotDone => {
            subject.map_or_else(|| "Error. Not done".into(), |why| format!("Error. Not done: {why}"))
        }
        Code::NoLog => "Error. What is said is not kept on this machine: start with --log on".into(),
        Code::NoRequest if subject.is_none() => "Error. No request is open that y or n could answer".into(),
        Code::NoRequest if *command == Named::Command(Verb::Trust) => {
            format!("Error. No new key of {user} waits to be accepted")
        }
        Code::NoRequest => format!("Error. {user} has not asked to private message"),
        Code::AlreadyMember => format!("Error. {user} is already in the group"),
        Code::Limit => too_many(command, user),
    }
}

/// Which limit of the client or the server a command has met.
fn too_many(command: &Named, user: &str) -> String {
    match command {
        Named::Command(Verb::Private) => {
            format!("Error. {user} shows nothing, and too many of your texts wait")
        }
        Named::Command(Verb::Path) => "Error. The ways to too many users were chosen".into(),
        Named::Command(Verb::Server(CommandKind::StartPrivate | CommandKind::Accept)) => {
            "Error. Too many private links are open".into()
        }
        Named::Command(_) | Named::Word(_) => "Error. The limit of groups or members is reached".into(),
    }
}

fn blocked(command: &Named, user: &str) -> String {
    match command {
        Named::Command(MESSAGE) => {
            "Your message could not be delivered as the recipient has blocked you".into()
        }
        Named::Command(MESSAGE_GROUP) => {
            "Your message could not be delivered as the members have blocked you".into()
        }
        Named::Command(CREATE_GROUP) => "Error. One of the users has blocked you".into(),
        Named::Command(START_PRIVATE | ACCEPT) => {
            "Private messaging is not possible as the user has blocked you".into()
        }
        Named::Command(_) | Named::Word(_) => format!("Error. {user} has blocked you"),
    }
}

/// The action that makes no sense with oneself.
fn action(command: &Named) -> &str {
    match command {
        Named::Command(START_PRIVATE | Verb::Private | Verb::StopPrivate) => "private message",
        Named::Command(ADD_TO_GROUP | CREATE_GROUP) => "add",
        Named::Command(REMOVE_FROM_GROUP) => "remove",
        Named::Command(_) | Named::Word(_) => command.as_str(),
    }
}

fn wrong_usage(command: &Named) -> String {
    match command {
        Named::Command(verb) => format!("Error. Invalid command. Usage: {}", verb.form()),
        Named::Word(_) => "Error. Invalid command".into(),
    }
}

const MESSAGE: Verb = Verb::Server(CommandKind::Message);
const MESSAGE_GROUP: Verb = Verb::Server(CommandKind::MessageGroup);
const CREATE_GROUP: Verb = Verb::Server(CommandKind::CreateGroup);
const ADD_TO_GROUP: Verb = Verb::Server(CommandKind::AddToGroup);
const REMOVE_FROM_GROUP: Verb = Verb::Server(CommandKind::RemoveFromGroup);
const START_PRIVATE: Verb = Verb::Server(CommandKind::StartPrivate);
const ACCEPT: Verb = Verb::Server(CommandKind::Accept);

/// The sentence for a refused login.
pub(super) fn refused(refused: LoginRefused) -> String {
    match refused {
        LoginRefused::InvalidCredentials { attempts_left: 0 } => "Invalid Password".into(),
        LoginRefused::InvalidCredentials { .. } => "Invalid Password. Please try again".into(),
        LoginRefused::UnusablePassword { .. } => "Error. The password is too long or not UTF-8".into(),
        LoginRefused::TooManyAccounts { retry_after_secs } => {
            let minutes = retry_after_secs.div_ceil(60);
            format!("Error. Too many accounts were made from this address. Try again in {minutes} min")
        }
        LoginRefused::LockedOut { just_now: true, .. } => {
            "Invalid Password. Your account has been blocked. Please try again later".into()
        }
        LoginRefused::LockedOut { just_now: false, .. } => {
            "Your account is blocked due to multiple login failures. Please try again later".into()
        }
        LoginRefused::AlreadyOnline => "Your account is already logged in".into(),
        LoginRefused::BadName => "Error. Invalid username".into(),
        LoginRefused::Busy => "The server is busy. Please try again later".into(),
        LoginRefused::NameTaken => "Error. This username is taken. Please choose another".into(),
        LoginRefused::InvalidInvite => {
            "Error. This invite is used up, at its end, or wrong. Please ask for another one".into()
        }
        LoginRefused::NoInvites => "Error. This server knows no invites: it is of an earlier version".into(),
    }
}

/// The sentence for a notice.
pub(super) fn notice(notice: &Notice) -> String {
    match notice {
        Notice::FailedLogins { count: 1 } => "1 failed login to your account since you were last here".into(),
        Notice::FailedLogins { count } => {
            format!("{count} failed logins to your account since you were last here")
        }
        Notice::Expired { count: 1 } => "1 stored message was removed: it had waited for too long".into(),
        Notice::Expired { count } => {
            format!("{count} stored messages were removed: they had waited for too long")
        }
        Notice::Missed { count: 1 } => {
            "1 broadcast or notice was dropped: this client read too slowly".into()
        }
        Notice::Missed { count } => {
            format!("{count} broadcasts and notices were dropped: this client read too slowly")
        }
        Notice::Idle { seconds: 1 } => "You will be logged out in 1 second unless you enter a command".into(),
        Notice::Idle { seconds } => {
            format!("You will be logged out in {seconds} seconds unless you enter a command")
        }
        Notice::Excess => {
            "The server has sent a longer list than this client keeps; the connection was closed".into()
        }
        Notice::Unsettled { count: 1 } => {
            "The outcome of 1 earlier command is not known; it is not repeated".into()
        }
        Notice::Unsettled { count } => {
            format!("The outcome of {count} earlier commands is not known; they are not repeated")
        }
        Notice::LogInAgain => "Your session is over: please log in again. What you have typed is kept".into(),
        Notice::Raw { on: true } => "Lines of the protocol are shown; raw again ends it".into(),
        Notice::Raw { on: false } => "Lines of the protocol are shown no more".into(),
        Notice::New => "New messages from here on".into(),
        Notice::Unseen { count: 1 } => "1 new message".into(),
        Notice::Unseen { count } => format!("{count} new messages"),
        Notice::PasswordsDiffer => "The two passwords differ. Please try again".into(),
        Notice::InvitedAs { user } => format!("You are invited as {user}"),
    }
}

/// The sentence for the end of a session; none after a logout.
pub(super) fn bye(bye: Bye) -> Option<&'static str> {
    match bye {
        Bye::Logout => None,
        Bye::LoginTimeout => Some("You have not logged in in time"),
        Bye::Timeout => Some("You have been logged out as nothing was heard of you for too long"),
        Bye::ServerShutdown => Some("The server has stopped"),
        Bye::ConnectionLost => Some("The connection to the server is lost"),
        Bye::Replaced => Some("You have been logged out as you logged in elsewhere"),
        Bye::Kicked => Some("You have been logged out by the operator"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn every_code_has_its_sentence() {
        let samples = samples::failures();
        for (command, sample, sentence) in &samples {
            assert_eq!(failure(&Named::from(*command), sample), *sentence);
        }
        for code in Code::ALL {
            assert!(samples.iter().any(|(_, sample, _)| sample.code == *code), "no sample of {code}");
            let nameless =
                failure(&Named::Command(MESSAGE), &Failure { code: *code, subject: None, typed: None });
            assert!(!nameless.contains("  ") && !nameless.is_empty(), "{nameless}");
        }
    }

    #[test]
    fn wrong_usage_shows_how_a_command_is_written() {
        let failed = Failure { code: Code::Usage, subject: None, typed: None };
        let command = Named::Command(CREATE_GROUP);
        assert_eq!(failure(&command, &failed), "Error. Invalid command. Usage: create group NAME USER...");
        let command = Named::Word("xyzzy".into());
        assert_eq!(failure(&command, &failed), "Error. Invalid command");
    }
}
