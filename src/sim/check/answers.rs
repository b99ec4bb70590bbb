//! Answers: each command gets one, and it is what the reference says.

use alloc::collections::btree_map::Entry;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Call, Check, Verdict, rule};
use crate::record::{Record, RecordNumber};
use crate::server::settings::{BlockNotice, HistoryMode, OfflineDelivery};
use crate::sim::model::User;
use crate::time::Time;
use crate::wire::{Answer, Code, Command, PingStatus, Prompt, Refusal, ServerLine, Status, Words};
use crate::words::{LinkId, Name};

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
    /// Its own record, which success waits for.
    own: Option<RecordNumber>,
}

impl Expected {
    pub(super) fn anything(&mut self) {
        (self.after, self.own) = (RecordNumber(0), None);
        self.allowed = Allowed::Anything;
    }
}

/// What the answer may be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    Anything,
    /// One of these errors, or success if the list is empty.
    Codes(Vec<Code>),
    /// Success, or none of these errors.
    Not(Vec<Code>),
    /// These users, sorted; of the others of the second list it does not matter.
    Users(Vec<User>, Vec<User>),
    Ping(PingStatus),
}

/// Errors that say something about the recipient.
const REFUSALS: [Code; 4] = [Code::Blocked, Code::UnknownUser, Code::Oneself, Code::UnknownGroup];

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
        let repeat = user.zip(number).is_some_and(|(user, number)| {
            let asked = self.model.users[user].numbers.entry((login, number));
            let repeat = matches!(asked, Entry::Occupied(_));
            *asked.or_default() += 1;
            repeat
        });
        let allowed = match user {
            // What one may do whose account comes and goes is another matter.
            Some(user) if self.model.users[user].odd => Allowed::Anything,
            Some(user) if at_once && number.is_some() && !repeat => self.allowed(user, command),
            Some(_) | None => Allowed::Anything,
        };
        if matches!(command, Command::Logout)
            && let Some(session) = user.and_then(|user| self.model.session_mut(user))
        {
            session.logout_asked = true;
        }
        let welcomed = user.is_some();
        if let Some(seen) = self.links.seen.get_mut(&link) {
            if !welcomed {
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
                own: None,
            });
        }
        matches!(command, Command::Offline | Command::Logout) || !subject(command).is_empty()
    }

    fn allowed(&self, user: User, command: &Command<'_>) -> Allowed {
        let model = &self.model;
        match command {
            Command::Message { to, .. } => self.message_allowed(user, to),
            Command::Block { user: whom } => match self.about(user, whom) {
                Err(allowed) => allowed,
                Ok(whom) => switch(
                    model.users[user].blocks.contains(&whom),
                    model.settings.strict_block,
                    Code::AlreadyBlocked,
                ),
            },
            Command::Unblock { user: whom } => match self.about(user, whom) {
                Err(allowed) => allowed,
                Ok(whom) => switch(
                    !model.users[user].blocks.contains(&whom),
                    model.settings.strict_block,
                    Code::NotBlocked,
                ),
            },
            Command::Ping { user: whom } => match self.about(user, whom) {
                Err(allowed) => allowed,
                Ok(whom) => self.ping_allowed(user, whom),
            },
            Command::Whoelse => self.users_online(user),
            Command::WhoelseSince { seconds } => self.users_since(user, *seconds),
            Command::Wholasthr => self.users_since(user, 3_600),
            Command::StartPrivate { user: whom, .. } => match self.about(user, whom) {
                Ok(whom) if self.model.is_cut_off(user, whom) => {
                    Allowed::Codes(Vec::from([Code::Blocked, Code::Offline]))
                }
                Ok(_) => Allowed::Not(REFUSALS.to_vec()),
                Err(allowed) => allowed,
            },
            Command::CreateGroup { group, members } => self.create_allowed(user, group, *members),
            Command::MessageGroup { group, .. } | Command::LeaveGroup { group } => {
                if model.users[user].odd {
                    Allowed::Anything
                } else if self.is_member(user, group) {
                    Allowed::Not(Vec::from([Code::UnknownGroup, Code::NotMember]))
                } else {
                    Allowed::Codes(Vec::from([Code::UnknownGroup]))
                }
            }
            Command::DeleteGroup { group } => self.owner_allowed(user, group),
            Command::AddToGroup { group, user: whom } | Command::RemoveFromGroup { group, user: whom } => {
                let adds = matches!(command, Command::AddToGroup { .. });
                self.change_allowed(user, group, whom, adds)
            }
            Command::Broadcast { .. }
            | Command::Offline
            | Command::GroupList
            | Command::Accept { .. }
            | Command::Decline { .. }
            | Command::Help { .. }
            | Command::Logout => Allowed::Anything,
        }
    }

    /// The user a command is about, unless the answer is clear, or cannot be known.
    fn about(&self, user: User, whom: &str) -> Result<User, Allowed> {
        let Some(whom) = self.model.find(whom) else {
            return Err(Allowed::Codes(Vec::from([Code::UnknownUser])));
        };
        let known = &self.model.users[whom];
        if known.odd || self.model.users[user].odd {
            return Err(Allowed::Anything);
        }
        if whom == user {
            return Err(Allowed::Codes(Vec::from([Code::Oneself])));
        }
        if known.account { Ok(whom) } else { Err(Allowed::Codes(Vec::from([Code::UnknownUser]))) }
    }

    fn message_allowed(&self, user: User, to: &str) -> Allowed {
        let to = match self.about(user, to) {
            Ok(to) => to,
            Err(allowed) => return allowed,
        };
        let settings = &self.model.settings;
        if self.model.is_cut_off(user, to) {
            return match settings.block_notice {
                BlockNotice::Tell => Allowed::Codes(Vec::from([Code::Blocked])),
                // A block on its way to the disk may come to nothing, and the mailbox is full for him as for all.
                BlockNotice::Silent if self.model.is_pending(to, user) || self.model.is_pending(user, to) => {
                    Allowed::Not(REFUSALS.to_vec())
                }
                BlockNotice::Silent => Allowed::Codes(Vec::new()),
            };
        }
        let off = settings.offline_delivery == OfflineDelivery::Off;
        let mut never = REFUSALS.to_vec();
        if !off {
            never.push(Code::Offline);
        } else if self.model.users[to].session.is_none() {
            return Allowed::Codes(Vec::from([Code::Offline]));
        }
        never.push(Code::MailboxFull);
        Allowed::Not(never)
    }

    /// Whether any mailbox was ever near its bounds.
    pub(super) fn may_be_full(&self) -> bool {
        let (limits, peak) = (self.model.limits, self.model.peak);
        let near = |limit: u64, most: u64, room: u64| limit > 0 && most + room >= limit;
        near(limits.messages, peak.messages, 1)
            || near(limits.of_one, peak.of_one, 1)
            || near(limits.bytes, peak.bytes, 4_096)
            || near(limits.in_all, peak.in_all, 4_096)
    }

    fn ping_allowed(&self, user: User, whom: User) -> Allowed {
        let settings = &self.model.settings;
        // His own block is no secret to anybody.
        let own = settings.block_mutual && self.model.users[user].blocks.contains(&whom);
        let status = match (self.model.is_cut_off(user, whom), settings.ping_reveals_block || own) {
            (true, true) => PingStatus::Blocked,
            (true, false) => PingStatus::Offline,
            (false, _) if self.model.users[whom].session.is_some() => PingStatus::Online,
            (false, _) => PingStatus::Offline,
        };
        Allowed::Ping(status)
    }

    fn users_online(&self, asker: User) -> Allowed {
        let settings = &self.model.settings;
        let shown = |user: &User| {
            let known = &self.model.users[*user];
            let hidden = settings.hide_blockers_in_whoelse && known.blocks.contains(&asker);
            known.session.is_some() && if *user == asker { settings.whoelse_include_self } else { !hidden }
        };
        let users = 0..self.model.users.len();
        // What an account had blocked that came and went may be forgotten.
        let odd = |user: &User| self.model.users[*user].odd;
        let surely = users.clone().filter(|user| shown(user) && !odd(user)).collect();
        Allowed::Users(surely, users.filter(odd).collect())
    }

    fn users_since(&self, asker: User, seconds: u64) -> Allowed {
        let since = self.now.minus_seconds(seconds);
        let settings = &self.model.settings;
        let (mut surely, mut perhaps) = (Vec::new(), Vec::new());
        for (user, known) in self.model.users.iter().enumerate() {
            if user == asker || (settings.hide_blockers_in_history && known.blocks.contains(&asker)) {
                continue;
            }
            let (least, most) = match settings.history_mode {
                HistoryMode::Overlap if known.session.is_some() => (true, true),
                HistoryMode::Overlap => {
                    known.ended.map_or((false, false), |(from, upto)| (from > since, upto >= since))
                }
                HistoryMode::Login => known.last_login.map_or((false, false), |at| (at > since, at >= since)),
            };
            if known.odd || known.blurred || least != most {
                perhaps.push(user);
            } else if least {
                surely.push(user);
            }
        }
        Allowed::Users(surely, perhaps)
    }

    fn is_member(&self, user: User, group: &str) -> bool {
        let group = Name::new(group).ok().and_then(|name| self.model.groups.get(&name));
        group.is_some_and(|members| members.contains(&user))
    }

    fn create_allowed(&self, user: User, group: &str, members: Words<'_>) -> Allowed {
        let Ok(name) = Name::new(group) else { return Allowed::Codes(Vec::from([Code::BadName])) };
        let mut codes = Vec::new();
        if self.model.groups.contains_key(&name) {
            codes.push(Code::GroupExists);
        }
        for member in members.iter() {
            match self.about(user, member) {
                Ok(member) if self.model.is_cut_off(user, member) => codes.push(Code::Blocked),
                Ok(_) => {}
                Err(Allowed::Codes(more)) if !more.contains(&Code::Oneself) => codes.extend(more),
                Err(_) => return Allowed::Anything,
            }
        }
        if codes.is_empty() {
            return Allowed::Not([Code::GroupExists].iter().chain(&REFUSALS).copied().collect());
        }
        codes.push(Code::Limit);
        Allowed::Codes(codes)
    }

    fn owner_allowed(&self, user: User, group: &str) -> Allowed {
        let members = Name::new(group).ok().and_then(|name| self.model.groups.get(&name));
        let odd = |member: &User| self.model.users[*member].odd;
        if odd(&user) || members.is_some_and(|members| members.iter().any(odd)) {
            return Allowed::Anything;
        }
        match members.map(|members| (members.first() == Some(&user), members.contains(&user))) {
            Some((true, _)) => Allowed::Not(Vec::from([Code::UnknownGroup, Code::NotOwner])),
            Some((false, true)) => Allowed::Codes(Vec::from([Code::NotOwner])),
            Some((false, false)) | None => Allowed::Codes(Vec::from([Code::UnknownGroup])),
        }
    }

    fn change_allowed(&self, user: User, group: &str, whom: &str, adds: bool) -> Allowed {
        let owner = self.owner_allowed(user, group);
        if !matches!(owner, Allowed::Not(_)) {
            return owner;
        }
        match self.about(user, whom) {
            Ok(member) => {
                let is_in = self.is_member(member, group);
                if adds && is_in {
                    Allowed::Not(REFUSALS.to_vec())
                } else if adds && self.model.is_cut_off(user, member) {
                    Allowed::Codes(Vec::from([Code::Blocked, Code::Limit]))
                } else if !adds && !is_in {
                    Allowed::Codes(Vec::from([Code::NotMember]))
                } else {
                    Allowed::Not(Vec::from([Code::NotMember, Code::Blocked, Code::UnknownUser]))
                }
            }
            Err(Allowed::Codes(codes)) if codes.contains(&Code::UnknownUser) => {
                Allowed::Codes(Vec::from([Code::UnknownUser, Code::NotMember]))
            }
            Err(_) => Allowed::Anything,
        }
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
            ServerLine::Done { number, answer } => self.answered(link, *number, Ok(answer)),
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
        let asked = self.count_off(link, number);
        let expected = self.links.seen.get_mut(&link).and_then(|seen| seen.take_expected(number));
        let Some(expected) = expected else {
            let unread = matches!(answer, Err((Code::Usage | Code::UnknownCommand | Code::TooLong, _)));
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

    fn fits(&self, allowed: &Allowed, answer: Result<&Answer<'_>, Code>, list: &[User]) -> bool {
        match (allowed, answer) {
            (Allowed::Anything, _) => true,
            (Allowed::Codes(codes), Ok(_)) => codes.is_empty(),
            (Allowed::Codes(codes), Err(code)) => codes.contains(&code),
            (Allowed::Not(_), Ok(_)) => true,
            (Allowed::Not(_), Err(Code::MailboxFull)) if self.may_be_full() => true,
            (Allowed::Not(codes), Err(code)) => !codes.contains(&code),
            (Allowed::Ping(status), Ok(Answer::Ping { status: told, .. })) => told == status,
            (Allowed::Users(surely, perhaps), Ok(_)) => {
                surely.iter().all(|user| list.contains(user))
                    && list.iter().all(|user| surely.contains(user) || perhaps.contains(user))
            }
            (Allowed::Ping(_) | Allowed::Users(..), _) => false,
        }
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
            Record::Blocked { by, user } => (&["block"], Some(by), user),
            Record::Unblocked { by, user } => (&["unblock"], Some(by), user),
            Record::GroupRemoved { group } => (&["delete group", "leave group"], None, group),
            Record::GroupSet { group, .. } => {
                (&["create group", "add group", "remove group", "leave group"], None, group)
            }
            Record::AccountAdded { .. }
            | Record::AccountRemoved { .. }
            | Record::Failures { .. }
            | Record::SessionBegan { .. }
            | Record::SessionEnded { .. }
            | Record::MailStored { .. }
            | Record::MailRemoved { .. }
            | Record::Settled { .. } => return,
        };
        let by = by.and_then(|by| self.model.find(by.as_str()));
        let session = by.and_then(|by| self.model.users[by].session.as_ref());
        let caller = if let Call::Received(link) = self.call { Some(link) } else { None };
        let link = session.map_or(caller, |session| session.link);
        let Some(seen) = link.and_then(|link| self.links.seen.get_mut(&link)) else { return };
        let fits = |expected: &&mut Expected| {
            let fails = matches!(&expected.allowed, Allowed::Codes(codes) if !codes.is_empty());
            commands.contains(&expected.command)
                && expected.subject == subject.as_str()
                && expected.own.is_none()
                && !fails
        };
        // A change that was none, as when a member is added again, has no record: which of two it was is open.
        let mut fitting = seen.expected.iter_mut().filter(fits);
        if let (Some(expected), None) = (fitting.next(), fitting.next()) {
            expected.own = Some(number);
        }
        seen.held = seen.held.max(number);
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

/// What `block` and `unblock` may come to, if it is so already.
fn switch(already: bool, strict: bool, code: Code) -> Allowed {
    match (already, strict) {
        (true, true) => Allowed::Codes(Vec::from([code])),
        (true, false) => Allowed::Codes(Vec::new()),
        (false, _) => Allowed::Codes(Vec::new()),
    }
}

/// Whether an answer says that a message arrived somewhere.
pub(super) const fn accepted(answer: &Answer<'_>) -> Option<Status> {
    if let Answer::Message { status, .. } = answer { Some(*status) } else { None }
}
