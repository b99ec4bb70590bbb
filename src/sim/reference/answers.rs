//! Commands: each is done once, and answered once, on the link where its user is (R21, R22).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::door::Stage;
use super::lane::{GroupChange, Wish};
use super::messages::Tell;
use super::reader::{COMMANDS, Command};
use super::{News, Server, User};
use crate::record::Outcome;
use crate::wire::{Code, Status};
use crate::words::{LinkId, LoginNumber, Origin};

/// Numbers that are remembered of a login (R21).
const REMEMBERED: usize = 512;

/// Who gave a command.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) user: User,
    pub(super) login: u64,
    pub(super) link: LinkId,
    pub(super) number: Option<u64>,
    pub(super) name: &'static str,
    /// Of a command that is remembered.
    pub(super) words: Option<String>,
    /// Of a courier's message with an id: `given` or `random`, and a number for the id (R61).
    pub(super) send: Option<(&'static str, u64)>,
    /// The number of its ORIGIN.
    pub(super) send_origin: Option<u64>,
}

impl Asker {
    pub(super) fn origin(&self) -> Option<Origin> {
        if let Some(number) = self.send_origin {
            return Some(Origin { login: LoginNumber(0), number });
        }
        self.number
            .filter(|_| !self.is_courier())
            .map(|number| Origin { login: LoginNumber(self.login), number })
    }

    /// R57: it has no login.
    pub(super) const fn is_courier(&self) -> bool {
        self.login == 0
    }

    /// What follows `ok` or `error`, or begins a list.
    pub(super) fn tag(&self) -> String {
        self.number.map_or_else(String::new, |number| format!("#{number} "))
    }
}

/// What the numbered commands of a login came to.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: BTreeMap<u64, (Option<String>, Option<Outcome>)>,
    unanswered_from: u64,
}

impl Ledger {
    fn set(&mut self, number: u64, words: Option<String>, outcome: Option<Outcome>) {
        self.entries.insert(number, (words, outcome));
        if self.entries.len() > REMEMBERED {
            self.entries.pop_first();
        }
    }

    pub(super) fn settle(&mut self, number: u64, words: Option<String>, outcome: Outcome) {
        self.set(number, words, Some(outcome));
    }

    /// The client has all answers up to this one.
    pub(super) fn answered(&mut self, upto: u64) {
        self.unanswered_from = self.unanswered_from.max(upto.saturating_add(1));
        while let Some(entry) = self.entries.first_entry()
            && *entry.key() <= upto
            && entry.get().1.is_some()
        {
            entry.remove();
        }
    }
}

/// The word of a code.
pub(super) const fn code_word(code: Code) -> &'static str {
    match code {
        Code::UnknownCommand => "unknown_command",
        Code::Usage => "usage",
        Code::TooLong => "too_long",
        Code::UnknownUser => "unknown_user",
        Code::Oneself => "self",
        Code::Blocked => "blocked",
        Code::AlreadyBlocked => "already_blocked",
        Code::NotBlocked => "not_blocked",
        Code::Offline => "offline",
        Code::Declined => "declined",
        Code::NoAnswer => "no_answer",
        Code::AlreadyPrivate => "already_private",
        Code::UnknownGroup => "unknown_group",
        Code::GroupExists => "group_exists",
        Code::BadName => "bad_name",
        Code::NotMember => "not_member",
        Code::NotOwner => "not_owner",
        Code::MailboxFull => "mailbox_full",
        Code::RateLimited => "rate_limited",
        Code::StorageUnavailable => "storage_unavailable",
        Code::OutcomeUnknown => "outcome_unknown",
        Code::NoRequest => "no_request",
        Code::Limit => "limit",
        Code::Muted => "muted",
        Code::NotOperator => "not_operator",
        Code::NotDone => "not_done",
        _ => "a code that the server does not say",
    }
}

pub(super) const fn status_word(status: Status) -> &'static str {
    match status {
        Status::Delivered => "delivered",
        Status::Stored => "stored",
    }
}

pub(super) const fn reach_word(withheld: bool) -> &'static str {
    if withheld { "withheld" } else { "complete" }
}

/// Names in as few lines of a list as hold them.
pub(super) fn name_lines(head: &str, names: &[&str]) -> Vec<String> {
    const LINE_BYTES: usize = 3_800;
    let mut lines: Vec<String> = Vec::new();
    let mut bytes = 0;
    for name in names {
        match lines.last_mut() {
            Some(line) if bytes + 1 + name.len() <= LINE_BYTES => {
                bytes += 1 + name.len();
                line.push(' ');
                line.push_str(name);
            }
            _ => {
                bytes = name.len();
                lines.push(format!("{head} {name}"));
            }
        }
    }
    lines
}

impl Server {
    pub(super) fn obey_command(&mut self, link: LinkId, user: User, number: Option<u64>, command: &Command) {
        self.note_activity(user, true);
        let login = self.at(user).login;
        let words = number.filter(|_| command.is_remembered()).map(|_| command.canonical());
        let asker =
            Asker { user, login, link, number, name: command.name, words, send: None, send_origin: None };
        self.note_heard(&asker, command);
        let ledger = &self.at(user).ledger;
        let known = number.and_then(|number| ledger.entries.get(&number).cloned());
        match (&asker.words, number, known) {
            // What only asks is asked again, but not under the number of something else.
            (None, _, None) => {}
            (None, _, Some(_)) => return self.refuse_number(&asker),
            (Some(_), Some(number), None) if number < ledger.unanswered_from => {
                return self.refuse_number(&asker);
            }
            (Some(words), _, Some((Some(before), _))) if before != *words => {
                return self.refuse_number(&asker);
            }
            (Some(_), _, Some((_, None))) => return,
            (Some(_), _, Some((_, Some(outcome)))) => return self.answer_repeat(&asker, command, outcome),
            (Some(words), _, None) => {
                let words = Some(words.clone());
                self.at_mut(user).ledger.set(number.unwrap_or_default(), words, None);
            }
        }
        self.carry_out(&asker, command);
    }

    pub(super) fn note_heard(&mut self, asker: &Asker, command: &Command) {
        if !command.text.is_empty() {
            let (to, text) = (command.word(0).to_string(), command.text.clone());
            let (user, marked) = (self.name(asker.user).clone(), asker.send.is_some());
            self.news.push(News::Heard { link: asker.link, user, command: command.name, to, text, marked });
        }
    }

    pub(super) fn carry_out(&mut self, asker: &Asker, command: &Command) {
        let word = |at: usize| command.word(at).to_string();
        if self.may_not_say(asker.user, command.name) {
            return self.fail(asker, Code::Muted);
        }
        match command.name {
            "message" => self.message(asker, command.word(0), &command.text),
            "message group" => self.message_group(asker, command.word(0), &command.text),
            "broadcast" => self.broadcast(asker, &command.text),
            "whoelse" => self.whoelse(asker),
            "whoelsesince" => self.whoelse_since(asker, seconds(command.word(0))),
            "wholasthr" => self.whoelse_since(asker, 3_600),
            "block" | "unblock" => self.submit(Wish::Block { asker: asker.clone(), user: word(0) }),
            "offline" => self.show_on_command(asker),
            "ping" => self.ping(asker, command.word(0)),
            "seen" => self.seen(asker, command.word(0)),
            "away" => self.go_away(asker, &command.text),
            "back" => self.come_back(asker),
            "grouplist" => self.group_list(asker),
            "startprivate" => self.start_private(asker, command.word(0), &command.words[1..]),
            "accept" => self.accept(asker, command.word(0), &command.words[1..]),
            "decline" => self.decline(asker, command.word(0)),
            "op" => self.submit(Wish::Order { asker: asker.clone(), words: command.text.clone() }),
            "help" => self.help(asker, command.words.first().map(String::as_str)),
            "logout" => {
                let last = format!("ok {}logout", asker.tag());
                self.leave(asker.link, asker.user, Some(last));
            }
            _ => {
                if let Some(change) = group_change(command) {
                    self.submit(Wish::Group { asker: asker.clone(), change, group: word(0) });
                }
            }
        }
    }

    /// The number is that of another command (ruling 65).
    fn refuse_number(&mut self, asker: &Asker) {
        let line = format!("error {}usage {}", asker.tag(), asker.name);
        self.send(asker.link, &line);
    }

    /// A repeat gets the answer of the first; its members are as they are now.
    fn answer_repeat(&mut self, asker: &Asker, command: &Command, outcome: Outcome) {
        let word = command.word(0);
        let answer = match (outcome, command.name) {
            (Outcome::Failed(code), _) => return self.fail(asker, code),
            (Outcome::Done, "block" | "unblock") => format!("{} {word}", command.name),
            (Outcome::Done, "op") => String::from("op"),
            (Outcome::Done, _) => return self.answer_group(asker, word),
            (Outcome::Message(_) | Outcome::StoredUntil(_), "message") => {
                return self.answer_message(asker, word, self.find(word), outcome);
            }
            (Outcome::Broadcast { recipients, withheld }, "broadcast") => {
                format!("broadcast {recipients} {}", reach_word(withheld))
            }
            (Outcome::Group { delivered, stored, refused, withheld }, "message group") => {
                let reach = reach_word(withheld);
                format!("message group {word} {delivered} {stored} {refused} {reach}")
            }
            _ => return self.refuse_number(asker),
        };
        self.answer(asker, outcome, &answer);
    }

    /// Where a command is answered: on its own link until the last word there, or, if it has a number, where
    /// its user has resumed.
    pub(super) fn asker_link(&self, asker: &Asker) -> Option<LinkId> {
        if asker.is_courier() {
            let is_there = matches!(self.stage(asker.link), Some(Stage::Carrying(_) | Stage::Departing(..)));
            return is_there.then_some(asker.link);
        }
        let account = self.at(asker.user);
        let same =
            |link: &LinkId| account.login == asker.login && (asker.number.is_some() || *link == asker.link);
        let parting = matches!(self.stage(asker.link), Some(Stage::Parting(..))).then_some(asker.link);
        account.link().filter(same).or(parting)
    }

    pub(super) fn note_outcome(&mut self, asker: &Asker, outcome: Outcome) {
        if let (Some(words), Some(number)) = (&asker.words, asker.number)
            && self.at(asker.user).login == asker.login
        {
            let words = Some(words.clone());
            self.at_mut(asker.user).ledger.settle(number, words, outcome);
        }
        if let Some((_, text)) = asker.words.as_ref().and_then(|words| words.split_once('\n')) {
            self.news.push(News::Came { text: text.to_string(), outcome });
        }
    }

    pub(super) fn answer(&mut self, asker: &Asker, outcome: Outcome, answer: &str) {
        self.answer_after(asker, outcome, &[], answer);
    }

    /// Answers after other lines.
    pub(super) fn answer_after(&mut self, asker: &Asker, outcome: Outcome, lines: &[String], answer: &str) {
        if asker.send.is_some() {
            return self.send_came(asker, outcome);
        }
        self.note_outcome(asker, outcome);
        if let Some(link) = self.asker_link(asker) {
            self.send_all(link, lines);
            self.send(link, &format!("ok {}{answer}", asker.tag()));
        }
    }

    pub(super) fn fail(&mut self, asker: &Asker, code: Code) {
        if asker.send.is_some() {
            return self.send_came(asker, Outcome::Failed(code));
        }
        self.note_outcome(asker, Outcome::Failed(code));
        if let Some(link) = self.asker_link(asker) {
            self.send(link, &format!("error {}{} {}", asker.tag(), code_word(code), asker.name));
        }
    }

    /// A list, and the answer behind it.
    pub(super) fn answer_list(&mut self, asker: &Asker, mut lines: Vec<String>, answer: &str) {
        if let Some(link) = self.asker_link(asker) {
            lines.push(format!("ok {}{answer}", asker.tag()));
            self.send_list(link, lines);
        }
    }

    /// Another user of that name. One who is to be removed counts while their session goes on (R41).
    pub(super) fn another(&self, asker: &Asker, name: &str) -> Result<User, Code> {
        match self.find(name) {
            Some(user) if user == asker.user => Err(Code::Oneself),
            Some(user) if !self.at(user).is_gone() || self.session(user).is_some() => Ok(user),
            _ => Err(Code::UnknownUser),
        }
    }

    fn help(&mut self, asker: &Asker, about: Option<&str>) {
        let Some(link) = self.asker_link(asker) else { return };
        let about = if about == Some("wholasthtr") { Some("wholasthr") } else { about };
        let is_about = |name: &str| {
            about.is_none_or(|about| {
                name.strip_prefix(about).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            })
        };
        let rows = COMMANDS.iter().filter(|row| is_about(row.name));
        let lines: Vec<String> = rows.map(|row| format!("help {}{}", row.name, row.arguments)).collect();
        if lines.is_empty() {
            return self.fail(asker, Code::UnknownCommand);
        }
        self.send_all(link, &lines);
        self.answer(asker, Outcome::Done, "help");
    }

    /// The sender of a message hears what became of it.
    pub(super) fn tell_sender(&mut self, to: User, tell: &Tell, ending: Result<Status, Code>) {
        self.tell_outcome(to, tell, ending.map(Outcome::Message));
    }

    pub(super) fn tell_outcome(&mut self, to: User, tell: &Tell, ending: Result<Outcome, Code>) {
        match tell {
            Tell::Nobody => {}
            Tell::Group(number) => {
                let delivered = ending == Ok(Outcome::Message(Status::Delivered));
                let status = if delivered { Status::Delivered } else { Status::Stored };
                self.member_settled(*number, ending.map(|_| status));
            }
            Tell::Sender(asker) => {
                match ending {
                    Ok(outcome) => {
                        let name = self.name(to).clone();
                        self.answer_message(asker, name.as_str(), Some(to), outcome);
                    }
                    Err(code) => self.fail(asker, code),
                }
                self.end_message(asker);
            }
        }
    }
}

/// R9: every run of digits is good, however long.
fn seconds(digits: &str) -> u64 {
    digits.parse().unwrap_or(u64::MAX)
}

pub(super) fn group_change(command: &Command) -> Option<GroupChange> {
    let user = command.word(1).to_string();
    Some(match command.name {
        "create group" => GroupChange::Create(command.words[1..].to_vec()),
        "add group" => GroupChange::Add(user),
        "remove group" => GroupChange::Remove(user),
        "leave group" => GroupChange::Leave,
        "delete group" => GroupChange::Delete,
        _ => return None,
    })
}
