//! What an answer may be, as the reference says.

use alloc::vec::Vec;

use super::Check;
use crate::server::settings::{BlockNotice, HistoryMode, OfflineDelivery};
use crate::sim::model::User;
use crate::time::Time;
use crate::wire::{Answer, Code, Command, PingStatus, Words};
use crate::words::Name;

/// What the answer may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Allowed {
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
    pub(super) fn allowed(&self, user: User, command: &Command<'_>) -> Allowed {
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
                match (self.is_member(user, group), command) {
                    (false, _) => Allowed::Codes(Vec::from([Code::UnknownGroup])),
                    (true, Command::LeaveGroup { .. }) => Allowed::Codes(Vec::new()),
                    (true, _) => Allowed::Not(Vec::from([Code::UnknownGroup, Code::NotMember])),
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
        if known.is_odd() || self.model.users[user].is_odd() {
            return Err(Allowed::Anything);
        }
        if whom == user {
            return Err(Allowed::Codes(Vec::from([Code::Oneself])));
        }
        if known.is_account() { Ok(whom) } else { Err(Allowed::Codes(Vec::from([Code::UnknownUser]))) }
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

    /// What the answer to a command may be that was obeyed at a time that is not seen, and is answered now:
    /// an error that says something about the recipient is so now.
    pub(super) fn allowed_later(&self, user: User, command: &Command<'_>, at: Time) -> Allowed {
        let (to, group) = match command {
            Command::Message { to, .. } => (*to, ""),
            Command::StartPrivate { user: to, .. } => (*to, ""),
            Command::MessageGroup { group, .. } => ("", *group),
            _ => return Allowed::Anything,
        };
        if !group.is_empty() {
            let never =
                if self.is_member(user, group) { Vec::from([Code::UnknownGroup]) } else { Vec::new() };
            return Allowed::Not(never);
        }
        let about = self.about(user, to);
        if about == Err(Allowed::Anything) {
            return Allowed::Anything;
        }
        let cut_off = self.model.find(to).is_some_and(|to| self.model.is_cut_off_since(user, to, at));
        let may = |code: &Code| match code {
            Code::Blocked => cut_off,
            code => about == Err(Allowed::Codes(Vec::from([*code]))),
        };
        let mut never: Vec<Code> = REFUSALS.into_iter().filter(|code| !may(code)).collect();
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
        let odd = |user: &User| self.model.users[*user].is_odd();
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
                    known.history.ended.map_or((false, false), |(from, upto)| (from > since, upto >= since))
                }
                HistoryMode::Login => {
                    known.history.last_login.map_or((false, false), |at| (at > since, at >= since))
                }
            };
            if known.is_odd() || known.blurred || least != most {
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

    fn create_allowed(&self, user: User, group: &str, words: Words<'_>) -> Allowed {
        let Ok(name) = Name::new(group) else { return Allowed::Codes(Vec::from([Code::BadName])) };
        let mut codes = Vec::new();
        if self.model.groups.contains_key(&name) {
            codes.push(Code::GroupExists);
        }
        let mut members = Vec::from([user]);
        for member in words.iter() {
            match self.about(user, member) {
                Ok(member) => {
                    if self.model.is_cut_off(user, member) {
                        codes.push(Code::Blocked);
                    }
                    if !members.contains(&member) {
                        members.push(member);
                    }
                }
                Err(Allowed::Codes(more)) if !more.contains(&Code::Oneself) => codes.extend(more),
                Err(Allowed::Codes(_)) => {}
                Err(_) => return Allowed::Anything,
            }
        }
        self.or_limit(codes, &members, &members)
    }

    fn owner_allowed(&self, user: User, group: &str) -> Allowed {
        let members = Name::new(group).ok().and_then(|name| self.model.groups.get(&name));
        match members.map(|members| (members.first() == Some(&user), members.contains(&user))) {
            Some((true, _)) => Allowed::Codes(Vec::new()),
            Some((false, true)) => Allowed::Codes(Vec::from([Code::NotOwner])),
            Some((false, false)) | None => Allowed::Codes(Vec::from([Code::UnknownGroup])),
        }
    }

    fn change_allowed(&self, user: User, group: &str, whom: &str, adds: bool) -> Allowed {
        let owner = self.owner_allowed(user, group);
        if owner != Allowed::Codes(Vec::new()) {
            return owner;
        }
        let member = match self.about(user, whom) {
            Ok(member) => member,
            Err(Allowed::Codes(codes)) if adds && codes.contains(&Code::Oneself) => return owner,
            Err(allowed) => return allowed,
        };
        let is_in = self.is_member(member, group);
        match (adds, is_in) {
            (true, true) | (false, true) => owner,
            (false, false) => Allowed::Codes(Vec::from([Code::NotMember])),
            (true, false) => {
                let cut_off = self.model.is_cut_off(user, member);
                let codes = if cut_off { Vec::from([Code::Blocked]) } else { Vec::new() };
                let members = Name::new(group).ok().and_then(|name| self.model.groups.get(&name));
                let mut members = members.cloned().unwrap_or_default();
                members.push(member);
                self.or_limit(codes, &members, &[member])
            }
        }
    }

    /// These errors, `limit` where a group of these members has no room, or success if there is no error.
    fn or_limit(&self, mut codes: Vec<Code>, members: &[User], joining: &[User]) -> Allowed {
        if !self.has_room(members, joining) {
            codes.push(Code::Limit);
        }
        Allowed::Codes(codes)
    }

    /// Whether the members that stand before an answer are those of its group.
    pub(super) fn members_are_true(&self, answer: &Answer<'_>, told: &[User]) -> bool {
        let group = match answer {
            Answer::CreateGroup { group }
            | Answer::AddToGroup { group }
            | Answer::RemoveFromGroup { group }
            | Answer::LeaveGroup { group } => group,
            _ => return true,
        };
        let members = Name::new(group).ok().and_then(|name| self.model.groups.get(&name));
        let members = members.map_or(&[][..], Vec::as_slice);
        members.len() == told.len() && members.iter().all(|member| told.contains(member))
    }

    /// Whether an answer is one of those that it may be; `list`: the names that came before it.
    pub(super) fn fits(&self, allowed: &Allowed, answer: Result<&Answer<'_>, Code>, list: &[User]) -> bool {
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
}

/// What `block` and `unblock` may come to, if it is so already.
fn switch(already: bool, strict: bool, code: Code) -> Allowed {
    match (already, strict) {
        (true, true) => Allowed::Codes(Vec::from([code])),
        (true, false) => Allowed::Codes(Vec::new()),
        (false, _) => Allowed::Codes(Vec::new()),
    }
}
