//! Who is online, who was, and telling others.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::ServerState;
use super::accounts::{Account, UserId};
use super::commands::Asker;
use super::messages::Reach;
use super::outbox::Written;
use super::settings::HistoryMode;
use crate::planted::{self, Planted};
use crate::record::RecordNumber;
use crate::time::Time;
use crate::wire::{Answer, ServerLine};
use crate::words::LinkId;

/// Last logins and last ends, by time, so that a period costs what it returns.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    logins: BTreeSet<(Time, UserId)>,
    ends: BTreeSet<(Time, UserId)>,
    /// Users whose last session has not ended.
    open: BTreeSet<UserId>,
}

impl History {
    pub(super) fn began(&mut self, user: UserId, account: &Account, at: Time) {
        self.forget(user, account);
        self.logins.insert((at, user));
        self.open.insert(user);
    }

    pub(super) fn ended(&mut self, user: UserId, at: Time) {
        self.open.remove(&user);
        self.ends.insert((at, user));
    }

    pub(super) fn forget(&mut self, user: UserId, account: &Account) {
        if let Some(login) = account.last_login {
            self.logins.remove(&(login, user));
        }
        self.ends.remove(&(account.last_end, user));
        self.open.remove(&user);
    }

    pub(super) fn is_open(&self, user: UserId) -> bool {
        self.open.contains(&user)
    }

    fn ended_since(&self, since: Time) -> impl Iterator<Item = UserId> {
        self.ends.range((since, UserId(0))..).map(|(_, user)| *user)
    }

    fn logged_in_since(&self, since: Time) -> impl Iterator<Item = UserId> {
        self.logins.range((since, UserId(0))..).map(|(_, user)| *user)
    }
}

/// Word that somebody came or went, which waits for a change of his block of the viewer.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    pub(super) subject: UserId,
    pub(super) viewer: UserId,
    link: LinkId,
    online: bool,
    /// What it reveals itself.
    record: RecordNumber,
    /// Whether the change is that the block is lifted.
    lifted: bool,
}

impl ServerState {
    /// Tells every other user online that somebody came or went, but for those he has blocked. Where a block
    /// may come to nothing, or its lifting, it waits until that is known.
    pub(super) fn tell_presence(&mut self, user: UserId, online: bool, record: RecordNumber) {
        let written = self.write_presence(user, online);
        let (mut links, mut waiting): (Vec<LinkId>, Vec<Notice>) = (Vec::new(), Vec::new());
        for &viewer in self.online.iter().filter(|&&viewer| viewer != user) {
            let Some(link) = self.accounts[viewer].session.as_ref().and_then(|session| session.link) else {
                continue;
            };
            let block = self.block_of(user, viewer);
            if !block.is_shut() || planted::is(Planted::PresenceToBlocked) {
                links.push(link);
            } else if block != Reach::Barred {
                let lifted = !block.is_barred();
                waiting.push(Notice { subject: user, viewer, link, online, record, lifted });
            }
        }
        for link in links {
            self.queue(link, record, written);
            if planted::is(Planted::PresenceTwice) {
                self.queue(link, record, written);
            }
        }
        for notice in waiting {
            self.journal.keep_notice(notice);
        }
    }

    /// It is known what a change of a block came to: who came or went meanwhile is told, or never.
    pub(super) fn tell_kept_presence(&mut self, change: RecordNumber, durable: bool) {
        for notice in self.journal.take_notices(change) {
            let Notice { subject, viewer, link, online, record, lifted } = notice;
            let entitled = if durable { lifted } else { !self.accounts[subject].has_blocked(viewer) };
            if entitled {
                let written = self.write_presence(subject, online);
                self.queue(link, record, written);
            }
        }
    }

    fn write_presence(&mut self, user: UserId, online: bool) -> Written {
        let name = self.accounts.name(user).as_str();
        let line =
            if online { ServerLine::Online { user: name } } else { ServerLine::Offline { user: name } };
        self.outbox.write(|out| line.encode(out))
    }

    pub(super) fn whoelse(&mut self, asker: Asker) {
        let hide = self.settings.hide_blockers_in_whoelse && !planted::is(Planted::BlockSkippedInWhoelse);
        let include_self = self.settings.whoelse_include_self;
        let shown = |&user: &UserId| {
            if user == asker.user {
                include_self
            } else {
                !(hide && self.block_of(user, asker.user).is_shut())
            }
        };
        let users: Vec<UserId> = self.online.iter().copied().filter(shown).collect();
        self.list_users(asker, users, |count| Answer::Whoelse { count });
    }

    /// Users with a session within the last seconds, or (`history_mode=login`) with a login.
    pub(super) fn whoelse_since(&mut self, asker: Asker, seconds: u64, answer: fn(u64) -> Answer<'static>) {
        let since =
            self.now.minus_seconds(seconds.saturating_add(u64::from(planted::is(Planted::HistoryTooLong))));
        let hide = self.settings.hide_blockers_in_history && !planted::is(Planted::BlockSkippedInHistory);
        let shown =
            |user: &UserId| *user != asker.user && !(hide && self.block_of(*user, asker.user).is_shut());
        let users: Vec<UserId> = match self.settings.history_mode {
            HistoryMode::Overlap => {
                self.online.iter().copied().chain(self.history.ended_since(since)).filter(shown).collect()
            }
            HistoryMode::Login => self.history.logged_in_since(since).filter(shown).collect(),
        };
        self.list_users(asker, users, answer);
    }
}
