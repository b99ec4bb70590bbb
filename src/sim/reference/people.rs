//! Blocks, presence and lists (features 4 and 5, R30).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::answers::{Asker, name_lines};
use super::lane::Decision;
use super::{Server, User};
use crate::record::{Change, Outcome};
use crate::server::settings::{HeldOnBlock, HistoryMode, OfflineDelivery};
use crate::wire::Code;
use crate::words::Name;

impl Server {
    pub(super) fn has_blocked(&self, by: User, user: User) -> bool {
        self.at(by).blocks.contains(&user)
    }

    /// Whether something of one user may come to another.
    pub(super) fn may_reach(&self, from: User, to: User) -> bool {
        !(self.has_blocked(to, from) || self.settings.block_mutual && self.has_blocked(from, to))
    }

    pub(super) fn blockers_of(&self, user: User) -> Vec<User> {
        self.everybody().into_iter().filter(|by| self.has_blocked(*by, user)).collect()
    }

    pub(super) fn set_block(&mut self, by: &Name, user: &Name, blocks: bool) {
        if let (Some(by), Some(user)) = (self.find(by.as_str()), self.find(user.as_str())) {
            let set = &mut self.at_mut(by).blocks;
            if blocks {
                set.insert(user)
            } else {
                set.remove(&user)
            };
        }
    }

    pub(super) fn decide_block(&mut self, asker: &Asker, user: &str) -> Decision {
        let blocks = asker.name == "block";
        let found = self.another(asker, user);
        let refusal = match found {
            _ if self.at(asker.user).is_gone() => Some(Code::StorageUnavailable),
            Err(code) => Some(code),
            Ok(user) if self.at(user).is_gone() => Some(Code::UnknownUser),
            Ok(user) if self.has_blocked(asker.user, user) != blocks => None,
            Ok(_) if self.settings.strict_block && blocks => Some(Code::AlreadyBlocked),
            Ok(_) if self.settings.strict_block => Some(Code::NotBlocked),
            Ok(_) => {
                self.answer(asker, Outcome::Done, &format!("{} {user}", asker.name));
                return Decision::Answered;
            }
        };
        match (refusal, found) {
            (None, Ok(user)) => {
                let (by, user) = (self.name(asker.user).clone(), self.name(user).clone());
                let change =
                    if blocks { Change::Blocked { by, user } } else { Change::Unblocked { by, user } };
                Decision::Change(change, BTreeSet::new())
            }
            (refusal, _) => {
                self.fail(asker, refusal.unwrap_or(Code::UnknownUser));
                Decision::Answered
            }
        }
    }

    /// A block or its lifting is durable.
    pub(super) fn block_changed(&mut self, asker: &Asker, name: &str) {
        let Some(user) = self.find(name) else { return };
        let by = asker.user;
        self.answer(asker, Outcome::Done, &format!("{} {name}", asker.name));
        if asker.name == "block" {
            self.end_request(user, by, Code::Declined);
            self.block_ends_relay(user, by);
            if self.settings.block_ends_private
                && let Some(link) = self.asker_link(asker)
            {
                self.send(link, &format!("endprivate {name}"));
            }
            self.hold_back_unsent(by, user);
            if self.settings.held_on_block == HeldOnBlock::Drop {
                self.begin_discard(by, user);
            }
        } else {
            let (own, others) = (self.name(by).clone(), self.name(user).clone());
            self.show_held(by, &others);
            if self.settings.block_mutual && self.settings.offline_delivery == OfflineDelivery::Auto {
                self.show_held(user, &own);
            }
        }
    }

    /// Names, sorted by code point (ruling 48).
    pub(super) fn sorted_names(&self, users: impl IntoIterator<Item = User>) -> Vec<&str> {
        let mut names: Vec<&str> = users.into_iter().map(|user| self.name(user).as_str()).collect();
        names.sort_unstable();
        names
    }

    fn list_users(&mut self, asker: &Asker, users: BTreeSet<User>) {
        let count = users.len();
        self.charge(asker.user, count as u64);
        let head = format!("users {}", asker.tag());
        let mut lines = name_lines(head.trim_end(), &self.sorted_names(users.iter().copied()));
        if asker.name == "whoelse" {
            lines.extend(self.away_lines(asker, users));
        }
        self.answer_list(asker, lines, &format!("{} {count}", asker.name));
    }

    pub(super) fn whoelse(&mut self, asker: &Asker) {
        let settings = &self.settings;
        let shown = |user: &User| match *user == asker.user {
            true => settings.whoelse_include_self,
            false => !(settings.hide_blockers_in_whoelse && self.has_blocked(*user, asker.user)),
        };
        let users = self.roster.iter().copied().filter(shown).collect();
        self.list_users(asker, users);
    }

    /// Those whose session overlaps the last seconds, or (`history_mode=login`) began in them.
    pub(super) fn whoelse_since(&mut self, asker: &Asker, seconds: u64) {
        let since = self.now.minus_seconds(seconds);
        let shown = |user: &User| {
            let account = self.at(*user);
            let hidden = self.settings.hide_blockers_in_history && self.has_blocked(*user, asker.user);
            let was_here = match self.settings.history_mode {
                HistoryMode::Overlap => {
                    account.session.is_some() || account.is_ended && account.ended >= since
                }
                HistoryMode::Login => account.began.is_some_and(|began| began >= since),
            };
            *user != asker.user && !hidden && was_here
        };
        let users = self.everybody().into_iter().filter(shown).collect();
        self.list_users(asker, users);
    }

    pub(super) fn ping(&mut self, asker: &Asker, name: &str) {
        let user = match self.another(asker, name) {
            Ok(user) => user,
            Err(code) => return self.fail(asker, code),
        };
        let own = self.settings.block_mutual && self.has_blocked(asker.user, user);
        let word = match self.may_reach(asker.user, user) {
            true if self.session(user).is_some() => "online",
            true => "offline",
            false if self.settings.ping_reveals_block || own => "blocked",
            false => "offline",
        };
        self.answer(asker, Outcome::Done, &format!("ping {name} {word}"));
    }

    /// When a user was last here, to those who would find them by `whoelsesince`.
    pub(super) fn seen(&mut self, asker: &Asker, name: &str) {
        let user = match self.another(asker, name) {
            Ok(user) => user,
            Err(code) => return self.fail(asker, code),
        };
        let account = self.at(user);
        let word = if self.settings.hide_blockers_in_history && self.has_blocked(user, asker.user) {
            String::from("offline -")
        } else if account.session.is_some() {
            String::from("online -")
        } else if account.is_ended {
            format!("offline {}", account.ended.0)
        } else {
            String::from("offline -")
        };
        self.answer(asker, Outcome::Done, &format!("seen {name} {word}"));
    }

    /// `members` lines of a group.
    pub(super) fn member_lines(&self, tag: &str, group: &Name) -> Vec<String> {
        let members = self.groups.get(group).cloned().unwrap_or_default();
        name_lines(&format!("members {tag}{group}"), &self.sorted_names(members))
    }
}
