//! Each code that a command can fail with.

use crate::client::view::Failure;
use crate::wire::Code;

/// Every code at least once: the command, the failure, its sentence.
pub(in crate::shell::client) fn failures() -> Vec<(&'static str, Failure, &'static str)> {
    let mut failures = failures_about_users();
    failures.extend(failures_of_orders());
    failures.extend(failures_about_groups());
    failures
}

fn failed(
    command: &'static str,
    code: Code,
    subject: &str,
    sentence: &'static str,
) -> (&'static str, Failure, &'static str) {
    let subject = (!subject.is_empty()).then(|| subject.to_owned());
    (command, Failure { code, subject, typed: None }, sentence)
}

fn failures_about_users() -> Vec<(&'static str, Failure, &'static str)> {
    vec![
        failed("xyzzy", Code::UnknownCommand, "", "Error. Invalid command"),
        failed("message", Code::Usage, "", "Error. Invalid command. Usage: message USER TEXT"),
        failed("message", Code::TooLong, "", "Error. The line is too long"),
        failed("message", Code::UnknownUser, "hans", "Error. Invalid user"),
        failed("block", Code::Oneself, "hans", "Error. Cannot block self"),
        failed("startprivate", Code::Oneself, "hans", "Error. Cannot private message self"),
        failed(
            "message",
            Code::Blocked,
            "hans",
            "Your message could not be delivered as the recipient has blocked you",
        ),
        failed(
            "startprivate",
            Code::Blocked,
            "hans",
            "Private messaging is not possible as the user has blocked you",
        ),
        failed("block", Code::AlreadyBlocked, "hans", "Error. hans is already blocked"),
        failed("unblock", Code::NotBlocked, "yoda", "Error. yoda was not blocked"),
        failed("startprivate", Code::Offline, "luke", "Error. luke is not online"),
        failed("private", Code::Offline, "luke", "Error. luke is no longer online"),
        failed("startprivate", Code::Declined, "luke", "luke does not want to private message"),
        failed("startprivate", Code::NoAnswer, "luke", "luke did not answer the request to private message"),
        failed(
            "startprivate",
            Code::AlreadyPrivate,
            "luke",
            "Error. Private messaging to luke is enabled or asked for already",
        ),
        failed("private", Code::NotPrivate, "luke", "Error. Private messaging to luke not enabled"),
        failed(
            "startprivate",
            Code::Unreachable,
            "luke",
            "Error. luke could not be reached for private messaging",
        ),
        failed("message", Code::MailboxFull, "luke", "Error. The mailbox of luke is full"),
        failed("startprivate", Code::RateLimited, "luke", "Error. Too many requests. Please try again later"),
        failed(
            "block",
            Code::StorageUnavailable,
            "luke",
            "Error. The server cannot store this now. Please try again later",
        ),
        failed("whoelse", Code::NotConnected, "", "Error. Not connected to the server"),
        failed(
            "message",
            Code::OutcomeUnknown,
            "luke",
            "Error. Whether this was done is not known: message luke",
        ),
        failed("startprivate", Code::KeyChanged, "luke", "Error. The key of luke has changed"),
        failed(
            "history",
            Code::NoLog,
            "luke",
            "Error. What is said is not kept on this machine: start with --log on",
        ),
        failed(
            "broadcast",
            Code::Muted,
            "luke",
            "Error. The operator does not let you say anything to others",
        ),
        failed("accept", Code::NoRequest, "luke", "Error. luke has not asked to private message"),
        failed("trust", Code::NoRequest, "luke", "Error. No new key of luke waits to be accepted"),
    ]
}

fn failures_of_orders() -> Vec<(&'static str, Failure, &'static str)> {
    vec![
        failed("op", Code::NotOperator, "", "Error. You are no operator of this server"),
        failed("op", Code::NotDone, "", "Error. Not done"),
        failed(
            "op",
            Code::NotDone,
            "there is no account of this name",
            "Error. Not done: there is no account of this name",
        ),
    ]
}

fn failures_about_groups() -> Vec<(&'static str, Failure, &'static str)> {
    vec![
        failed("add group", Code::Blocked, "hans", "Error. hans has blocked you"),
        failed("message group", Code::UnknownGroup, "rebels", "Error. Invalid group"),
        failed("create group", Code::GroupExists, "rebels", "Error. Group rebels already exists"),
        failed("create group", Code::BadName, "", "Error. Invalid name"),
        failed("remove group", Code::NotMember, "luke", "Error. luke is not in the group"),
        failed("delete group", Code::NotOwner, "", "Error. Only the owner of the group may do this"),
        failed("add group", Code::AlreadyMember, "luke", "Error. luke is already in the group"),
        failed("private", Code::Limit, "yoda", "Error. yoda shows nothing, and too many of your texts wait"),
        failed("startprivate", Code::Limit, "", "Error. Too many private links are open"),
        failed("create group", Code::Limit, "", "Error. The limit of groups or members is reached"),
        failed(
            "message group",
            Code::OutcomeUnknown,
            "rebels",
            "Error. Whether this was done is not known: message group rebels",
        ),
        failed(
            "message group",
            Code::Blocked,
            "rebels",
            "Your message could not be delivered as the members have blocked you",
        ),
        failed("message group", Code::Offline, "rebels", "Error. Nobody in group rebels is online"),
        failed("message group", Code::MailboxFull, "rebels", "Error. The mailboxes of group rebels are full"),
        failed("create group", Code::Blocked, "rebels", "Error. One of the users has blocked you"),
    ]
}
