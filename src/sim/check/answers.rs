//! Answers: each command gets one, and it is what the reference says.

use alloc::collections::btree_map::Entry;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::allowed::Allowed;
use super::{Call, Check, Verdict, rule};
use crate::record::{Change, Fact, Record, RecordNumber};
use crate::sim::model::User;
use crate::time::Time;
use crate::wire::{Answer, Code, Command, PingStatus, Prompt, Refusal, ServerLine, Status, Words};
use crate::words::{LinkId, Name, Origin};

/// An answer that is owed.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Expected {
    pub(super) number: Option<u64>,
    pub(super) command: &'static str,
    allowed: Allowed,
    /// The text it sends, if it sends one.
    pub(super) text: Option<u32>,
    at: Time,
    /// Whom or what it is about.
    subject: String,
    /// The record of earlier commands that the answer waits for.
    after: RecordNumber,
    /// Its own record, or the one by which it is so already: success waits for it.
    own: Option<RecordNumber>,
    /// Whom it may not show as online.
    hidden: Vec<User>,
}

impl Expected {
    /// Whether it cannot be a success.
    fn fails(&self) -> bool {
        matches!(&self.allowed, Allowed::Codes(codes) if !codes.is_empty())
    }

    /// The store has refused all from this record on. What rests on them fails, else it is open.
    pub(super) fn store_refused(&mut self, from: RecordNumber) {
        let fails = self.allowed != Allowed::Anything && self.own.is_some_and(|own| own >= from);
        let codes = if fails { Some(Vec::from([Code::StorageUnavailable])) } else { None };
        self.allowed = codes.map_or(Allowed::Anything, Allowed::Codes);
        (self.after, self.own) = (RecordNumber(0), None);
    }
}

impl Check {
    /// A command reaches the server. Says whether what follows in the same chunk may find another world.
    pub(super) fn requested(
        &mut self,
        link: LinkId,
        number: Option<u64>,
        command: &Command<'_>,
        at_once: bool,
    ) -> bool {
        let text = self.text_requested(link, command, at_once);
        let seen = self.links.seen.get(&link);
        let (user, login) = seen.map_or((None, 0), |seen| (seen.user, seen.login));
        // A command behind a token may be obeyed, and answered on a later link, before this one is welcomed.
        let asker = user.map(|user| (user, login)).or_else(|| self.tokens.claims(link));
        let repeat = asker.zip(number).is_some_and(|((user, login), number)| {
            let asked = self.model.users[user].numbers.entry((login, number));
            let repeat = matches!(asked, Entry::Occupied(_));
            *asked.or_default() += 1;
            repeat
        });
        let judged = at_once && number.is_some() && !repeat;
        let judged = judged.then_some(user).flatten();
        let hidden = judged.map_or_else(Vec::new, |user| self.hidden_from(user, command));
        let own = judged.and_then(|user| self.already_so_by(user, command));
        let allowed = match user {
            // What one may do whose account comes and goes is another matter.
            Some(user) if self.model.users[user].odd || self.is_somebody_due() => Allowed::Anything,
            Some(user) if judged.is_some() => self.allowed(user, command),
            Some(_) | None => Allowed::Anything,
        };
        if matches!(command, Command::Logout)
            && let Some(session) = asker.and_then(|(user, _)| self.model.session_mut(user))
        {
            session.logout_asked = true;
            self.logout_asked(link);
        }
        let welcomed = user.is_some();
        if let Some(seen) = self.links.seen.get_mut(&link) {
            if !welcomed {
                seen.logout_ahead |= matches!(command, Command::Logout);
                seen.early.extend(number);
                return true;
            }
            let subject = subject(command).to_string();
            let (at, after) = (self.now, seen.held);
            let command = command.name();
            seen.expected.push_back(Expected {
                number,
                command,
                allowed,
                text,
                at,
                subject,
                after,
                own,
                hidden,
            });
        }
        matches!(command, Command::Offline | Command::Logout) || !subject(command).is_empty()
    }

    /// A line goes out.
    pub(super) fn line_sent(&mut self, link: LinkId, line: &ServerLine<'_>) -> Verdict {
        match line {
            ServerLine::Welcome(admission) | ServerLine::Resumed(admission) => {
                let resumed = matches!(line, ServerLine::Resumed(_));
                self.welcomed(link, admission, resumed)
            }
            ServerLine::Refused(refusal) => self.refused(link, *refusal),
            ServerLine::Ask(Prompt::Password | Prompt::NewPassword) => {
                self.name_answered(link);
                Ok(())
            }
            ServerLine::Done { number, answer } => {
                if let Answer::Logout = answer {
                    self.logout_answered(link)?;
                }
                self.answered(link, *number, Ok(answer))
            }
            ServerLine::Failed { number, code, command } => {
                self.answered(link, *number, Err((*code, command)))
            }
            ServerLine::Message(delivery) => self.text_sent(link, delivery, None, false),
            ServerLine::GroupMessage { group, delivery } => {
                self.text_sent(link, delivery, Some(group), false)
            }
            ServerLine::Broadcast(delivery) => self.text_sent(link, delivery, None, true),
            ServerLine::Online { user } => self.presence_sent(link, user, true),
            ServerLine::Offline { user } => self.presence_sent(link, user, false),
            ServerLine::Users { users, .. } => self.listed(link, *users),
            ServerLine::Request { from } => self.request_sent(link, from),
            ServerLine::Bye(farewell) => {
                self.farewell(link, *farewell);
                Ok(())
            }
            ServerLine::Ask(Prompt::Username)
            | ServerLine::Greeting { .. }
            | ServerLine::Members { .. }
            | ServerLine::Changed { .. }
            | ServerLine::Withdrawn { .. }
            | ServerLine::Introduce { .. }
            | ServerLine::EndPrivate { .. }
            | ServerLine::Help(_)
            | ServerLine::Notice(_) => Ok(()),
        }
    }

    fn refused(&mut self, link: LinkId, refusal: Refusal) -> Verdict {
        self.login_refused(link, refusal)
    }

    fn listed(&mut self, link: LinkId, users: Words<'_>) -> Verdict {
        let mut places: Vec<User> = Vec::new();
        for name in users.iter() {
            places.push(self.model.user(name));
        }
        let Some(seen) = self.links.seen.get_mut(&link) else { return Ok(()) };
        let last = seen.list.last().copied();
        seen.list.extend(&places);
        let names = |user: &User| self.model.users[*user].name.clone();
        let all: Vec<String> = last.iter().chain(&places).map(names).collect();
        let sorted = all.windows(2).all(|pair| pair[0] < pair[1]);
        rule!(self, sorted, "lists are sorted", "{all:?}");
        Ok(())
    }

    /// An answer goes out: it is owed, and it is one that is allowed.
    fn answered(
        &mut self,
        link: LinkId,
        number: Option<u64>,
        answer: Result<&Answer<'_>, (Code, &str)>,
    ) -> Verdict {
        let seen = self.links.seen.get_mut(&link);
        let list = seen.map(|seen| core::mem::take(&mut seen.list)).unwrap_or_default();
        // A line that cannot be read is no command, though it may bear the number of one.
        let misread = matches!(answer, Err((Code::Usage | Code::UnknownCommand, _)));
        if misread && number.is_some() {
            return Ok(());
        }
        let unread = misread || matches!(answer, Err((Code::TooLong, _)));
        let asked = self.count_off(link, number);
        let expected = self.links.seen.get_mut(&link).and_then(|seen| seen.take_expected(number));
        let Some(expected) = expected else {
            let early = number.is_some_and(|number| {
                self.links.seen.get(&link).is_some_and(|seen| seen.early.contains(&number))
            });
            let asked = asked || early;
            let mode = number.is_none() || unread || asked;
            rule!(self, mode, "every command has one answer", "{link:?} #{number:?}: {answer:?}");
            return Ok(());
        };
        if number.is_none() {
            return self.text_answered(&expected, answer.map_err(|(code, _)| code));
        }
        let store = matches!(answer, Err((Code::StorageUnavailable | Code::OutcomeUnknown, _)));
        // Settings that change meanwhile decide as well.
        let excused = (store && self.refused_at >= expected.at) || self.settled_at >= expected.at;
        let fits = excused || self.fits(&expected.allowed, answer.map_err(|(code, _)| code), &list);
        rule!(
            self,
            fits,
            "answers are those of the reference",
            "{} #{number:?}: {answer:?} {list:?}, should be {:?} (users {:?})",
            expected.command,
            expected.allowed,
            self.model.users.iter().map(|known| known.name.to_string()).collect::<Vec<_>>()
        );
        self.blockers_stay_hidden(&expected.hidden, answer.ok(), &list)?;
        let own = expected.own.filter(|_| answer.is_ok()).unwrap_or_default();
        let (after, committed) = (expected.after.max(own), self.model.committed);
        let durable = after <= committed || self.refused_at >= expected.at;
        rule!(
            self,
            durable,
            "nothing before its record",
            "{answer:?} waits for {after:?}, durable {committed:?}"
        );
        self.same_answer(link, &expected, answer.map_err(|(code, _)| code))?;
        self.block_announced(link, answer.ok());
        self.text_answered(&expected, answer.map_err(|(code, _)| code))
    }

    /// No answer shows somebody as online to one whom he has blocked.
    fn blockers_stay_hidden(&self, hidden: &[User], answer: Option<&Answer<'_>>, list: &[User]) -> Verdict {
        let pinged = match answer {
            Some(Answer::Ping { user, status: PingStatus::Online }) => self.model.find(user),
            Some(_) | None => None,
        };
        let shown = list.iter().copied().chain(pinged).find(|user| hidden.contains(user));
        let name = shown.map(|user| self.model.users[user].name.as_str());
        rule!(self, shown.is_none(), "nothing crosses a block", "{name:?} is shown by {answer:?}");
        Ok(())
    }

    /// Whether a command of this number has come, here or on an earlier link, and waits for its answer.
    fn count_off(&mut self, link: LinkId, number: Option<u64>) -> bool {
        let (Some(seen), Some(number)) = (self.links.seen.get(&link), number) else { return false };
        let Some(user) = seen.user else { return false };
        let waits = self.model.users[user].numbers.get_mut(&(seen.login, number)).filter(|waits| **waits > 0);
        let asked = waits.is_some();
        if let Some(waits) = waits {
            *waits -= 1;
        }
        asked
    }

    /// A repeat of a command that changes something gets the same answer.
    fn same_answer(
        &mut self,
        link: LinkId,
        expected: &Expected,
        answer: Result<&Answer<'_>, Code>,
    ) -> Verdict {
        let user = self.links.seen.get(&link).and_then(|seen| seen.user);
        let (Some(user), Some(number)) = (user, expected.number) else { return Ok(()) };
        let login = self.links.seen.get(&link).map_or(0, |seen| seen.login);
        if login != self.model.users[user].login {
            return Ok(());
        }
        let changes = expected.text.is_some() || !expected.subject.is_empty();
        let short = match answer {
            Ok(answer) => Ok(accepted(answer)),
            Err(code) => Err(code),
        };
        if !changes {
            return Ok(());
        }
        let before = self.model.users[user].answers.insert((login, number), short);
        let same = before.is_none_or(|before| before == short);
        rule!(self, same, "a repeat gets the same answer", "#{number}: {short:?} after {before:?}");
        Ok(())
    }

    /// The blocker knows now that the block stands.
    fn block_announced(&mut self, link: LinkId, answer: Option<&Answer<'_>>) {
        let user = self.links.seen.get(&link).and_then(|seen| seen.user);
        let (Some(user), Some(Answer::Block { user: name })) = (user, answer) else { return };
        let whom = self.model.user(name);
        // A later change of the block is told behind what came between.
        let changes = |expected: &Expected| {
            matches!(expected.command, "block" | "unblock") && expected.subject == *name
        };
        let last = self.links.seen.get(&link).is_none_or(|seen| !seen.expected.iter().any(changes));
        if last && self.model.users[user].blocks.contains(&whom) {
            self.model.users[user].announced.insert(whom);
        }
    }

    /// At the end nothing is owed any more.
    pub(super) fn everything_is_answered(&self) -> Verdict {
        for (link, seen) in &self.links.seen {
            let owed = seen.expected.front();
            rule!(self, owed.is_none(), "every command has one answer", "{link:?} waits for {owed:?}");
        }
        Ok(())
    }
}

impl Check {
    /// A record was decided for a command of a user: its answer, and later ones, wait for it.
    pub(super) fn command_record(&mut self, number: RecordNumber, record: &Record) {
        let (commands, by, subject): (&[&str], _, _) = match record {
            Record::Change(Change::Blocked { by, user }) => (&["block"], Some(by), user),
            Record::Change(Change::Unblocked { by, user }) => (&["unblock"], Some(by), user),
            Record::Change(Change::GroupRemoved { group }) => (&["delete group", "leave group"], None, group),
            Record::Change(Change::GroupSet { group, .. }) => {
                (&["create group", "add group", "remove group", "leave group"], None, group)
            }
            Record::Change(Change::AccountAdded { .. })
            | Record::Change(Change::AccountRemoved { .. })
            | Record::Fact(Fact::Failures { .. })
            | Record::Fact(Fact::SessionBegan { .. })
            | Record::Fact(Fact::SessionEnded { .. })
            | Record::MailStored { .. }
            | Record::Fact(Fact::MailRemoved { .. }) => return,
            Record::Settled { user, origin, .. } => return self.command_settled(number, user, *origin),
        };
        let by = by.and_then(|by| self.model.find(by.as_str()));
        let session = by.and_then(|by| self.model.users[by].session.as_ref());
        let caller = if let Call::Received(link) = self.call { Some(link) } else { None };
        let link = session.map_or(caller, |session| session.link);
        let Some(seen) = link.and_then(|link| self.links.seen.get_mut(&link)) else { return };
        let fits = |expected: &&mut Expected| {
            commands.contains(&expected.command)
                && expected.subject == subject.as_str()
                && expected.own.is_none()
                && !expected.fails()
        };
        // A change that was none, as when a member is added again, has no record: which of two it was is open.
        let mut fitting = seen.expected.iter_mut().filter(fits);
        if let (Some(expected), None) = (fitting.next(), fitting.next()) {
            expected.own = Some(number);
        }
        seen.held = seen.held.max(number);
    }

    /// The record before was decided for the command of this number, and for no other.
    fn command_settled(&mut self, number: RecordNumber, user: &Name, origin: Origin) {
        let decided = Some(RecordNumber(number.0 - 1));
        let user = self.model.find(user.as_str());
        let session = user.and_then(|user| self.model.users[user].session.as_ref());
        let link = session.and_then(|session| session.link);
        let Some(seen) = link.and_then(|link| self.links.seen.get_mut(&link)) else { return };
        for expected in seen.expected.iter_mut().filter(|expected| expected.own == decided) {
            expected.own = None;
        }
        let changes = |expected: &&mut Expected| {
            expected.number == Some(origin.number) && expected.text.is_none() && !expected.fails()
        };
        if let Some(expected) = seen.expected.iter_mut().find(changes) {
            expected.own = decided;
        }
    }
}

/// Whom or what a command that is recorded is about.
fn subject<'a>(command: &Command<'a>) -> &'a str {
    match command {
        Command::Block { user } | Command::Unblock { user } => user,
        Command::CreateGroup { group, .. }
        | Command::AddToGroup { group, .. }
        | Command::RemoveFromGroup { group, .. }
        | Command::LeaveGroup { group }
        | Command::DeleteGroup { group } => group,
        Command::Message { .. }
        | Command::Broadcast { .. }
        | Command::Whoelse
        | Command::WhoelseSince { .. }
        | Command::Wholasthr
        | Command::Offline
        | Command::Ping { .. }
        | Command::MessageGroup { .. }
        | Command::GroupList
        | Command::StartPrivate { .. }
        | Command::Accept { .. }
        | Command::Decline { .. }
        | Command::Help { .. }
        | Command::Logout => "",
    }
}

/// Whether an answer says that a message arrived somewhere.
pub(super) const fn accepted(answer: &Answer<'_>) -> Option<Status> {
    if let Answer::Message { status, .. } = answer { Some(*status) } else { None }
}
