//! What an answer may be, as the reference says.

use alloc::vec::Vec;

use super::Check;
use crate::record::RecordNumber;
use crate::server::settings::{BlockNotice, HistoryMode, OfflineDelivery};
use crate::sim::model::User;
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
                Ok(whom) if self.model.is_shut(user, whom) => {
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
        // It cannot wait until it is durable that the block is lifted.
        if off && self.model.is_shut(user, to) {
            return match settings.block_notice {
                BlockNotice::Tell => Allowed::Codes(Vec::from([Code::Blocked])),
                BlockNotice::Silent => Allowed::Codes(Vec::from([Code::Offline])),
            };
        }
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
        let own = settings.block_mutual && self.model.may_stand(user, whom);
        let status = match (self.model.is_shut(user, whom), settings.ping_reveals_block || own) {
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
            let hidden = settings.hide_blockers_in_whoelse && self.model.may_stand(*user, asker);
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
            if user == asker || (settings.hide_blockers_in_history && self.model.may_stand(user, asker)) {
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

    /// Whom the answer may not show as online, whatever becomes of what is on its way to the disk.
    pub(super) fn hidden_from(&self, user: User, command: &Command<'_>) -> Vec<User> {
        let settings = &self.model.settings;
        let hides = match command {
            Command::Whoelse => settings.hide_blockers_in_whoelse,
            Command::WhoelseSince { .. } | Command::Wholasthr => settings.hide_blockers_in_history,
            _ => matches!(command, Command::Ping { .. }),
        };
        let odd = |user: User| self.model.users[user].odd;
        let hidden = |other: &User| !odd(*other) && !odd(user) && self.model.stands_durably(*other, user);
        (0..self.model.users.len()).filter(|_| hides).filter(hidden).collect()
    }

    /// The record that makes a change so already which a command asks for, if it is not durable.
    pub(super) fn already_so_by(&self, user: User, command: &Command<'_>) -> Option<RecordNumber> {
        let model = &self.model;
        match command {
            Command::Block { user: whom } | Command::Unblock { user: whom } => {
                let whom = model.find(whom)?;
                let blocks = matches!(command, Command::Block { .. });
                let already = model.users[user].blocks.contains(&whom) == blocks;
                model.last_block_change(user, whom).filter(|_| already)
            }
            Command::AddToGroup { group, user: whom } => {
                let whom = model.find(whom)?;
                let name = Name::new(group).ok()?;
                let owns = matches!(self.owner_allowed(user, group), Allowed::Not(_));
                model.last_group_change(&name).filter(|_| owns && self.is_member(whom, group))
            }
            _ => None,
        }
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
            // Members who went may be back after a crash, and their group with them.
            let gone = if self.somebody_is_odd() { None } else { Some(Code::GroupExists) };
            return Allowed::Not(gone.iter().chain(&REFUSALS).copied().collect());
        }
        codes.push(Code::Limit);
        Allowed::Codes(codes)
    }

    fn somebody_is_odd(&self) -> bool {
        self.model.users.iter().any(|known| known.odd)
    }

    fn owner_allowed(&self, user: User, group: &str) -> Allowed {
        let members = Name::new(group).ok().and_then(|name| self.model.groups.get(&name));
        // Members who went may be back after a crash, as owners too.
        if self.somebody_is_odd() {
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
