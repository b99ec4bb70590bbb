//! Sentences for people: one for each error and notice, in plain mode as in the `text` of JSON.

use crate::client::view::{Bye, Failure, LoginRefused, Notice};
use crate::wire::Code;

/// Why a command failed. Names in it are as they came.
pub(super) fn failure(command: &str, failure: &Failure) -> String {
    let subject = failure.subject.as_deref();
    let user = subject.unwrap_or("the user");
    let group = subject.unwrap_or("of that name");
    match failure.code {
        Code::UnknownCommand => "Error. Invalid command".into(),
        Code::Usage => wrong_usage(command),
        Code::TooLong => "Error. The line is too long".into(),
        Code::UnknownUser => "Error. Invalid user".into(),
        Code::Oneself => format!("Error. Cannot {} self", verb(command)),
        Code::Blocked => blocked(command, user),
        // A message that reaches some of a group is none that failed.
        Code::Offline if command == "message group" => format!("Error. Nobody in group {group} is online"),
        Code::MailboxFull if command == "message group" => {
            format!("Error. The mailboxes of group {group} are full")
        }
        Code::AlreadyBlocked => format!("Error. {user} is already blocked"),
        Code::NotBlocked => format!("Error. {user} was not blocked"),
        Code::Offline if command == "private" => format!("Error. {user} is no longer online"),
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
        Code::NoRequest => format!("Error. {user} has not asked to private message"),
        Code::AlreadyMember => format!("Error. {user} is already in the group"),
        Code::Limit => "Error. The limit of groups or members is reached".into(),
    }
}

fn blocked(command: &str, user: &str) -> String {
    match command {
        "message" => "Your message could not be delivered as the recipient has blocked you".into(),
        "message group" => "Your message could not be delivered as the members have blocked you".into(),
        "create group" => "Error. One of the users has blocked you".into(),
        "startprivate" | "accept" => "Private messaging is not possible as the user has blocked you".into(),
        _ => format!("Error. {user} has blocked you"),
    }
}

fn verb(command: &str) -> &str {
    match command {
        "startprivate" | "private" | "stopprivate" => "private message",
        "add group" | "create group" => "add",
        "remove group" => "remove",
        _ => command,
    }
}

fn wrong_usage(command: &str) -> String {
    match usage(command) {
        Some(usage) => format!("Error. Invalid command. Usage: {usage}"),
        None => "Error. Invalid command".into(),
    }
}

/// How a command is written, by the name that results carry.
fn usage(command: &str) -> Option<&'static str> {
    Some(match command {
        "message" => "message USER TEXT",
        "broadcast" => "broadcast TEXT",
        "whoelse" => "whoelse",
        "whoelsesince" => "whoelsesince SECONDS",
        "wholasthr" | "wholasthtr" => "wholasthr",
        "block" => "block USER",
        "unblock" => "unblock USER",
        "offline" => "offline",
        "ping" => "ping USER",
        "create" | "create group" => "create group NAME USER…",
        "message group" => "message group NAME TEXT",
        "grouplist" => "grouplist",
        "add" | "add group" => "add group NAME USER",
        "remove" | "remove group" => "remove group NAME USER",
        "leave" | "leave group" => "leave group NAME",
        "delete" | "delete group" => "delete group NAME",
        "startprivate" => "startprivate USER",
        "accept" => "accept USER",
        "decline" => "decline USER",
        "private" => "private USER TEXT",
        "stopprivate" => "stopprivate USER",
        "verify" => "verify USER",
        "path" => "path USER direct|auto|relay",
        "help" => "help [COMMAND]",
        "logout" => "logout",
        _ => return None,
    })
}

/// Why a login was refused.
pub(super) fn refused(refused: LoginRefused) -> String {
    match refused {
        LoginRefused::InvalidCredentials { attempts_left: 0 } => "Invalid Password".into(),
        LoginRefused::InvalidCredentials { .. } => "Invalid Password. Please try again".into(),
        LoginRefused::LockedOut { just_now: true, .. } => {
            "Invalid Password. Your account has been blocked. Please try again later".into()
        }
        LoginRefused::LockedOut { just_now: false, .. } => {
            "Your account is blocked due to multiple login failures. Please try again later".into()
        }
        LoginRefused::AlreadyOnline => "Your account is already logged in".into(),
        LoginRefused::BadName => "Error. Invalid username".into(),
        LoginRefused::Busy => "The server is busy. Please try again later".into(),
        LoginRefused::NameTaken => "Error. This username has just been taken. Please choose another".into(),
    }
}

/// Something about one's own session.
pub(super) fn notice(notice: Notice) -> String {
    match notice {
        Notice::FailedLogins { count: 1 } => "1 failed login to your account since you were last here".into(),
        Notice::FailedLogins { count } => {
            format!("{count} failed logins to your account since you were last here")
        }
        Notice::Unsettled { count: 1 } => {
            "The outcome of 1 earlier command is not known; it is not repeated".into()
        }
        Notice::Unsettled { count } => {
            format!("The outcome of {count} earlier commands is not known; they are not repeated")
        }
        Notice::PasswordsDiffer => "The two passwords differ. Please try again".into(),
    }
}

/// How a session ended; nothing after a logout, which the user asked for.
pub(super) fn bye(bye: Bye) -> Option<&'static str> {
    match bye {
        Bye::Logout => None,
        Bye::LoginTimeout => Some("You have not logged in in time"),
        Bye::Timeout => Some("You have been logged out as nothing was heard of you for too long"),
        Bye::ServerShutdown => Some("The server has stopped"),
        Bye::ConnectionLost => Some("The connection to the server is lost"),
        Bye::Replaced => Some("You have been logged out as you logged in elsewhere"),
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
            assert_eq!(failure(command, sample), *sentence);
        }
        for code in Code::ALL {
            assert!(samples.iter().any(|(_, sample, _)| sample.code == *code), "no sample of {code}");
            let nameless = failure("message", &Failure { code: *code, subject: None });
            assert!(!nameless.contains("  ") && !nameless.is_empty(), "{nameless}");
        }
    }

    #[test]
    fn wrong_usage_shows_how_a_command_is_written() {
        let failed = Failure { code: Code::Usage, subject: None };
        assert_eq!(failure("create", &failed), "Error. Invalid command. Usage: create group NAME USER…");
        assert_eq!(failure("xyzzy", &failed), "Error. Invalid command");
    }
}
