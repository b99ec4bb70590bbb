//! What an error at a terminal says beyond its sentence: whom it is about, and what can be done.

use super::wording;
use crate::client::view::{Failure, LoginRefused};
use crate::client::{Named, Verb};
use crate::wire::{Code, CommandKind};

/// The sentence for a failed command at a terminal. Names in it are not escaped.
pub(super) fn failure(command: &Named, failure: &Failure) -> String {
    let mut text = wording::failure(command, failure);
    let culprit = match (command, &failure.subject) {
        (Named::Word(word), None) => Some(word.as_str()),
        (Named::Command(_) | Named::Word(_), subject) => subject.as_deref(),
    };
    if let Some(culprit) = culprit.filter(|culprit| !text.contains(culprit)) {
        text.push_str(&format!(": {culprit}"));
    }
    if let Some(typed) = failure.typed.as_ref().filter(|typed| !text.contains(*typed)) {
        text.push_str(&format!(" ({typed})"));
    }
    let user = failure.subject.as_deref().unwrap_or("USER");
    if let Some(step) = next_step(command, failure.code, user) {
        text.push_str(&format!(". {step}"));
    }
    text
}

/// Whether a command is about private links.
fn is_private(command: &Named) -> bool {
    matches!(command, Named::Command(Verb::Server(CommandKind::StartPrivate | CommandKind::Accept)))
}

/// What to do about it.
fn next_step(command: &Named, code: Code, user: &str) -> Option<String> {
    Some(match code {
        Code::UnknownCommand => "`help` lists all commands".into(),
        Code::UnknownUser => "`whoelse` lists who is online".into(),
        Code::TooLong => "Send it in parts".into(),
        Code::AlreadyBlocked => format!("`unblock {user}` lifts it"),
        Code::Offline => format!("`message {user} TEXT` waits for the next login"),
        Code::NoAnswer => "Try again later".into(),
        Code::NotPrivate => format!("`startprivate {user}` asks for it"),
        Code::UnknownGroup => "`grouplist` lists yours".into(),
        Code::GroupExists => "Choose another name".into(),
        Code::BadName => "A name has 1 to 32 characters, and no spaces".into(),
        Code::NotMember | Code::AlreadyMember | Code::NotOwner => {
            "`grouplist` lists who is in your groups".into()
        }
        Code::MailboxFull => "Try again when some of it is read".into(),
        Code::Limit if *command == Named::Command(Verb::Private) => {
            format!("Try again when they go on, or `stopprivate {user}` and `message {user} TEXT`")
        }
        Code::Limit if is_private(command) => "`stopprivate USER` makes room".into(),
        Code::Limit => "`leave group` or `delete group` makes room".into(),
        Code::Unreachable => format!("`message {user} TEXT` goes over the server"),
        Code::KeyChanged => format!("If they say so in another way, accept it: `trust {user}`"),
        Code::NotOperator => "Operators are named in the server's setting `operators`".into(),
        Code::OutcomeUnknown => "Ask before you repeat it".into(),
        Code::Usage
        | Code::Oneself
        | Code::Blocked
        | Code::NotBlocked
        | Code::Declined
        | Code::AlreadyPrivate
        | Code::RateLimited
        | Code::StorageUnavailable
        | Code::NotConnected
        | Code::NoRequest
        | Code::Muted
        | Code::NotDone
        | Code::NoLog => return None,
    })
}

/// The sentence for a refused login at a terminal.
pub(super) fn refused(refused: LoginRefused) -> String {
    let text = wording::refused(refused);
    match refused {
        LoginRefused::LockedOut { retry_after_secs, just_now: _ } => {
            format!("{text} (in {retry_after_secs} s)")
        }
        LoginRefused::InvalidCredentials { .. }
        | LoginRefused::UnusablePassword { .. }
        | LoginRefused::TooManyAccounts { .. }
        | LoginRefused::AlreadyOnline
        | LoginRefused::BadName
        | LoginRefused::Busy
        | LoginRefused::NameTaken
        | LoginRefused::InvalidInvite
        | LoginRefused::NoInvites => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn every_error_names_whom_it_is_about() {
        for (command, failed, sentence) in samples::failures() {
            let text = failure(&Named::from(command), &failed);
            assert!(text.starts_with(sentence), "{text}");
            let subject = failed.subject.as_deref().filter(|_| failed.code != Code::Oneself);
            assert!(subject.is_none_or(|subject| text.contains(subject)), "{text}");
        }
        let nobody = Failure { code: Code::UnknownUser, subject: Some("nobdy".into()), typed: None };
        let text = failure(&Named::from("message"), &nobody);
        assert_eq!(text, "Error. Invalid user: nobdy. `whoelse` lists who is online");
    }

    #[test]
    fn one_line_of_several_is_named_as_it_was_typed() {
        let failed = Failure {
            code: Code::NotConnected,
            subject: Some("luke".into()),
            typed: Some("ping luke".into()),
        };
        let text = failure(&Named::from("ping"), &failed);
        assert_eq!(text, "Error. Not connected to the server: luke (ping luke)");
    }

    #[test]
    fn a_lock_says_its_seconds() {
        let text = refused(LoginRefused::LockedOut { retry_after_secs: 60, just_now: true });
        assert!(text.ends_with("Please try again later (in 60 s)"), "{text}");
    }
}
